# SPDX-License-Identifier: Apache-2.0
"""healthcheck, /metrics and backend_ratelimit."""
import os
import re
import time

from both import BothCase
from harness import suite

RATE = {'pipeline:main': {'pipeline': 'healthcheck recon backend_ratelimit object-server'},
        'filter:backend_ratelimit': {'use': 'egg:swift#backend_ratelimit'}}


def exposition(text):
    """{name{labels}: value} of the text format, checked line by line."""
    types, found, family = {}, {}, None
    for line in text.decode('ascii').splitlines():
        if line.startswith('# HELP '):
            family = line.split(' ')[2]
            assert family not in types, line
        elif line.startswith('# TYPE '):
            assert line.split(' ')[2] == family, line
            types[family] = line.split(' ')[3]
            assert types[family] in ('counter', 'gauge', 'histogram'), line
        else:
            match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\})? (\d+(?:\.\d+)?)', line)
            assert match, line
            name = match.group(1)
            bare = re.sub(r'_(bucket|sum|count)$', '', name) if types[family] == 'histogram' else name
            assert bare == family, line
            assert name + (match.group(2) or '') not in found, line
            found[name + (match.group(2) or '')] = float(match.group(3))
    assert text.endswith(b'\n')
    return found


def check_histograms(case, found):
    """Buckets grow, and the last is the count."""
    series = {}
    for name, value in found.items():
        match = re.fullmatch(r'(\w+)_bucket\{(.*)le="([^"]+)"\}', name)
        if match:
            series.setdefault((match.group(1), match.group(2).rstrip(',')), []).append(value)
    for (name, labels), buckets in series.items():
        case.assertEqual(buckets, sorted(buckets), name)
        case.assertEqual(buckets[-1], found[f'{name}_count{{{labels}}}'], name)
    return len(series)


class Healthcheck(BothCase):
    def test_214_215_healthcheck(self):
        """disable_path while it exists, and any method."""
        path = os.path.join(self.root, 'disable')
        os.makedirs(self.root, exist_ok=True)
        servers = self.pair({'filter:healthcheck': {'disable_path': path}})
        for exists in (False, True, False):
            if exists:
                open(path, 'w').close()
            elif os.path.exists(path):
                os.remove(path)
            for method in ('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'NONSENSE'):
                for target in ('/healthcheck', '/healthcheck?x=1', '/healthcheck/'):
                    ours, theirs = ((r.status, r.get('Content-Type'), r.get('Content-Length'), r.body)
                                    for r in (s.request(method, target) for s in servers))
                    self.assertEqual(ours, theirs, (method, target, exists))
        self.assertNotIn('"GET /healthcheck"', servers[0].log())


class Metrics(suite.Case):
    oracle_too = False
    conf = {'DEFAULT': {'metrics': 'true'}}

    def scrape(self):
        response = self.server.request('GET', '/metrics')
        self.assertEqual(response.status, 200)
        self.assertEqual(response.get('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8')
        return exposition(response.body)

    def test_metrics(self):
        put = {'X-Timestamp': '1700000000', 'Content-Type': 'a/b'}
        big = os.urandom(300000)
        with self.server.connect() as c:
            self.assertEqual(c.request('PUT', '/sda1/1/a/c/o', put, b'12345').status, 201)
            self.assertEqual(c.request('PUT', '/sda1/1/a/c/big', put, big).status, 201)
            self.assertEqual(c.request('GET', '/sda1/1/a/c/o').body, b'12345')
            self.assertEqual(c.request('GET', '/sda1/1/a/c/big').body, big)
            self.assertEqual(c.request('HEAD', '/sda1/1/a/c/o').status, 200)
            self.assertEqual(c.request('GET', '/sda1/1/a/c/none').status, 404)
            self.assertEqual(c.request('GET', '/nodev/1/a/c/none').status, 507)
            self.assertEqual(c.request('POST', '/sda1/1/a/c/o', {'X-Timestamp': '1700000001'}).status, 202)
            self.assertEqual(c.request('DELETE', '/sda1/1/a/c/o', {'X-Timestamp': '1700000002'}).status, 204)
        found = self.scrape()
        for method, status, n in (('PUT', 201, 2), ('GET', 200, 2), ('GET', 404, 1), ('GET', 507, 1),
                                  ('POST', 202, 1), ('DELETE', 204, 1), ('HEAD', 200, 1)):
            name = f'swift_object_server_requests_total{{method="{method}",status="{status}"}}'
            self.assertEqual(found.get(name), n, name)
        self.assertEqual(found['swift_storage_server_count{type="object-server",method="GET",status="ok"}'], 3)
        self.assertEqual(found['swift_storage_server_count{type="object-server",method="GET",status="errors"}'], 1)
        self.assertEqual(found['objsrv_received_bytes_total'], 300005)
        self.assertEqual(found['objsrv_sent_bytes_total'], 300005)
        self.assertEqual(found['objsrv_device_requests_total{device="sda1"}'], 8)
        self.assertEqual(found['objsrv_device_received_bytes_total{device="sda1"}'], 300005)
        self.assertNotIn('objsrv_device_requests_total{device="nodev"}', found)
        steps = {re.search('step="(.*)"', n).group(1) for n in found if n.startswith('objsrv_step_seconds_count')}
        self.assertLessEqual({'look', 'open', 'data', 'meta', 'sync', 'place', 'link', 'confirm', 'read'}, steps)
        self.assertGreater(check_histograms(self, found), 10)
        self.assertEqual(found['objsrv_requests_begun_total'], 9)

    def test_metrics_leave_no_trace(self):
        before = self.scrape()
        after = self.scrape()
        self.assertEqual(before['objsrv_requests_begun_total'], after['objsrv_requests_begun_total'])
        self.assertNotIn('/metrics', self.server.log())
        head = self.server.request('HEAD', '/metrics')
        self.assertEqual((head.status, head.body), (200, b''))
        self.assertEqual(self.server.request('PUT', '/metrics', {}, b'').status, 400)
        self.assertEqual(self.server.request('GET', '/metrics/').status, 400)

    def test_quarantine_is_counted(self):
        before = self.scrape()['objsrv_quarantines_total']
        self.server.request('PUT', '/sda1/7/a/c/q', {'X-Timestamp': '1700000000', 'Content-Type': 'a/b'}, b'1234')
        for where, _, files in os.walk(os.path.join(self.server.device, 'objects', '7')):
            for name in files:
                if name.endswith('.data'):
                    os.truncate(os.path.join(where, name), 2)
        self.assertEqual(self.server.request('GET', '/sda1/7/a/c/q').status, 404)
        self.assertEqual(self.scrape()['objsrv_quarantines_total'], before + 1)

    def test_off(self):
        server = self.start()
        self.assertEqual(server.request('GET', '/metrics').status, 400)


class MetricsAlone(Metrics):
    alone = True

    def test_metrics(self):
        with self.server.connect() as c:
            self.assertEqual(c.request('PUT', '/metrics/key', {}, b'12345').status, 201)
            self.assertEqual(c.request('GET', '/metrics/key').body, b'12345')
        found = self.scrape()
        self.assertEqual(found['objsrv_device_requests_total{device="d0"}'], 2)
        self.assertEqual(found['swift_object_server_requests_total{method="PUT",status="201"}'], 1)

    def test_metrics_leave_no_trace(self):
        self.assertNotIn('objsrv_device_requests_total{device="other"}', self.scrape())

    def test_quarantine_is_counted(self):
        self.skipTest('as in Swift mode')

    def test_off(self):
        self.assertEqual(self.start().request('GET', '/metrics').status, 404)


class Ratelimit(suite.Case):
    oracle_too = False
    own_server = False

    def limited(self, server, count, target='/sda1/1/a/c/none', method='GET'):
        """How many of `count` requests on one connection are refused."""
        with server.connect() as c:
            return sum(c.request(method, target).status == 529 for _ in range(count))

    def configured(self, **options):
        conf = {k: dict(v) for k, v in RATE.items()}
        conf['filter:backend_ratelimit'].update(options)
        conf['DEFAULT'] = {'metrics': 'true', 'workers': 1}     # each worker counts for itself
        return self.start(conf=conf)

    def test_off_by_default(self):
        self.assertEqual(self.limited(self.configured(), 50), 0)

    def test_per_device(self):
        server = self.configured(requests_per_device_per_second=0.01, requests_per_device_rate_buffer=300)
        with server.connect() as c:     # 3 from the buffer, and one
            statuses = [c.request('GET', '/sda1/1/a/c/none').status for _ in range(8)]
            self.assertEqual(statuses, [404] * 4 + [529] * 4)
            refused = c.request('GET', '/sda1/1/a/c/none')
            self.assertEqual(refused.reason, 'Too Many Backend Requests')
            self.assertEqual(c.request('GET', '/sda2/1/a/c/none').status, 507)     # another device
            self.assertEqual(c.request('OPTIONS', '/').status, 200)
            self.assertEqual(c.request('GET', '/healthcheck').status, 200)
            self.assertEqual(c.request('GET', '/recon/version').status, 200)
            self.assertEqual(c.request('GET', '/sda1/part/a/c/o').status in (400, 404, 500, 507), True)
            found = exposition(c.request('GET', '/metrics').body)
        self.assertEqual(found['objsrv_ratelimited_total'], 5)
        self.assertNotIn(' 529 ', server.log())

    def test_per_method(self):
        server = self.configured(head_requests_per_device_per_second=0.001, requests_per_device_rate_buffer=0)
        self.assertEqual(self.limited(server, 5, method='HEAD'), 4)
        self.assertEqual(self.limited(server, 5), 0)

    def test_reload(self):
        path = os.path.join(self.root, 'rates.conf')
        server = self.configured(backend_ratelimit_conf_path=path, config_reload_interval=0.01,
                                 requests_per_device_rate_buffer=0)
        self.assertEqual(self.limited(server, 5), 0)
        with open(path, 'w') as f:
            f.write('[backend_ratelimit]\nget_requests_per_device_per_second = 0.001\n')
        end = time.monotonic() + 20
        while self.limited(server, 1) == 0 and time.monotonic() < end:
            pass
        self.assertEqual(self.limited(server, 3), 3)
        with open(path, 'w') as f:
            f.write('[backend_ratelimit]\nget_requests_per_device_per_second = many\n')
        while 'rates.conf:2: [backend_ratelimit]' not in server.log() and time.monotonic() < end:
            self.limited(server, 1)
        self.assertIn('= many: expected a number', server.log())
        self.assertEqual(self.limited(server, 3), 3)        # as they were

    def test_wrong_file_at_start(self):
        os.makedirs(self.root, exist_ok=True)
        path = os.path.join(self.root, 'wrong.conf')
        with open(path, 'w') as f:
            f.write('[backend_ratelimit]\nrequests_per_device_per_second = -1\n')
        conf = {k: dict(v) for k, v in RATE.items()}
        conf['filter:backend_ratelimit']['backend_ratelimit_conf_path'] = path
        code, log = self.make(conf=conf).run_to_end()
        self.assertEqual(code, 1)
        self.assertIn('requests_per_device_per_second = -1: expected a number', log)

    def test_unknown_filter(self):
        for name in ('xprofile', 'nonsense'):
            server = self.make(name, conf={'pipeline:main': {'pipeline': 'healthcheck odd object-server'},
                                           'filter:odd': {'use': f'egg:swift#{name}'}})
            code, log = server.run_to_end()
            self.assertEqual(code, 1)
            self.assertIn(f'egg:swift#{name}: this server has no such filter', log)
