# SPDX-License-Identifier: Apache-2.0
"""/recon: each endpoint asked of both servers over the same files, compared to the byte."""
import json
import os
import re
import subprocess

from both import BothCase

CHECKS = '''mem load async replication replication/object replication/container
replication/account replication/x replication/ devices updater/object updater/container updater
auditor/object auditor/container auditor/account auditor expirer/object expirer/container expirer
reconstruction/object reconstruction mounted unmounted diskusage ringmd5 swiftconfmd5 quarantined
sockstat version driveaudit time sharding relinker mem/ mem/more/still replication/object/ Mem
%6dem nope %C3%A9 a%20b'''.split() + ['', '/mem', 'nope?q=1', 'mem?x']

# What moves while one looks: compared by its shape.
VOLATILE = ('mem', 'load', 'sockstat', 'time', 'version')

OBJECT = {'async_pending': 12, 'async_pending_last': 1700000000.25, 'replication_time': 0.1,
          'replication_stats': {'attempted': 3, 'hashmatch': 0, 'é\u2028\U0001F600': ['a', None, True],
                                'empty': {}, 'none': [], 'deep': [[1, [2.5, -3e-7]], {'x': 'y"\\/\n\t\x7f'}]},
          'replication_last': 1e22, 'object_replication_time': 123456789.123456789,
          'object_replication_last': -0.0, 'object_updater_sweep': 5e-324,
          'object_auditor_stats_ALL': {'sda1': {'errors': 0, 'passes': 2}},
          'object_auditor_stats_ZBF': [], 'object_expiration_pass': 2 ** 63 - 1,
          'expired_last_pass': -5, 'object_reconstruction_last': 1e16,
          'object_reconstruction_time': 0.0001, 'not asked for': [1]}

SANE = {'async_pending': 12, 'async_pending_last': 1700000000.25, 'replication_time': 0.5,
        'replication_stats': {'attempted': 3, 'failure': 0, 'success': 3, 'failure_nodes': {}},
        'replication_last': 1700000000.5, 'object_replication_time': 0.5,
        'object_replication_last': 1700000000.5, 'object_updater_sweep': 0.25,
        'object_auditor_stats_ALL': {'audit_time': 1.5, 'bytes_processed': 5, 'passes': 2,
                                     'errors': 0, 'quarantined': 0, 'start_time': 1700000000.5},
        'object_auditor_stats_ZBF': {'audit_time': 1.5, 'bytes_processed': 0, 'passes': 2,
                                     'errors': 0, 'quarantined': 0, 'start_time': 1700000000.5},
        'object_expiration_pass': 1.5, 'expired_last_pass': 4,
        'object_reconstruction_last': 1700000000.5, 'object_reconstruction_time': 0.5}

FILES = [
    json.dumps(OBJECT).encode(),
    json.dumps(OBJECT, ensure_ascii=False, indent=3).encode(),
    b'{"replication_stats": "\\ud83d\\ude00 \\u00E9 \\/", "object_updater_sweep": -0, '
    b'"expired_last_pass": 1.50e+1}',
    b'', b'{', b'[1]', b'{"async_pending": 1} x', b'{"async_pending": 01}', b'{"async_pending": 1,}',
    b'{"async_pending": "\xff"}', b'{"async_pending": "a\nb"}', b'\xef\xbb\xbf{}', b' { } ', b'null',
    b'{"async_pending": tru}', b'{"async_pending": .5}', b'{"async_pending": "\\x"}',
    b"{'async_pending': 1}", b'{"async_pending": [1 2]}', b'{"a": {"async_pending": 3}}',
    b'{"async_pending": -}', b'{"async_pending": +1}', b'{"async_pending": "\xed\xa0\x80"}',
]

# Python reads these, RFC 8259 or 64 bits do not allow them, and no daemon of Swift writes them.
BEYOND = [b'NaN', b'-Infinity', b'1E400', b'%d' % 10 ** 30, b'"\\ud800"']


def comparable(response):
    headers = sorted((n, v) for n, v in response.headers
                     if n.lower() not in ('date', 'x-trans-id', 'x-openstack-request-id'))
    return response.status, response.reason, headers, response.body


def shape(body):
    """Numbers and sizes become types; keys, their order and every blank stay."""
    text = re.sub(r'-?\d+\.\d+(e[+-]?\d+)?', 'FLOAT', body.decode())
    return re.sub(r'\d+', 'INT', re.sub(r'"(FLOAT|\d+\.\d+\.\d+[^"]*)"', 'VERSION', text))


class Recon(BothCase):
    def setUp(self):
        super().setUp()
        self.servers = self.pair(shared=True, devices=('sda1', 'sdb1', 'sd c'))
        self.root_dir = self.servers[0].root
        os.makedirs(os.path.join(self.root_dir, 'recon'), exist_ok=True)

    def ask(self, check, method='GET'):
        ours, theirs = (comparable(s.request(method, '/recon/' + check)) for s in self.servers)
        if check.split('/')[0].split('?')[0] in VOLATILE and method != 'HEAD':
            ours, theirs = ((a[:2], [h for h in a[2] if h[0] != 'Content-Length'], shape(a[3]))
                            for a in (ours, theirs))
        if check.split('/')[0].split('?')[0] in VOLATILE + ('%6dem',) and (method == 'HEAD' or check[0] == '%'):
            return
        if check == 'version':
            ours, theirs = ((a[0], a[1], re.sub(r'"version": .*}', 'V', a[2])) for a in (ours, theirs))
        self.assertEqual(ours, theirs, check)

    def test_218_recon_any_method(self):
        """Every path by GET, and some by other methods; 217 recon_unknown is among them."""
        for check in CHECKS:
            self.ask(check)
        for method in ('HEAD', 'POST', 'PUT', 'DELETE', 'REPLICATE', 'NONSENSE'):
            for check in ('async', 'nope', 'mem', 'devices'):
                self.ask(check, method)
        head = self.servers[0].request('HEAD', '/recon/async')
        self.assertEqual((head.status, head.body), (200, b''))
        self.assertGreater(int(head.get('Content-Length')), 0)

    def test_216_recon_missing_cache_file(self):
        response = self.servers[0].request('GET', '/recon/async')
        self.assertEqual((response.status, response.body),
                         (200, b'{"async_pending": null, "async_pending_last": null}'))
        self.assertIn('Error reading recon cache file', self.servers[0].log())

    def test_recon_cache_files(self):
        for data in FILES:
            for name in ('object', 'container', 'account', 'drive', 'relinker'):
                with open(os.path.join(self.root_dir, 'recon', name + '.recon'), 'wb') as f:
                    f.write(data)
            for check in CHECKS:
                if re.match('async|repl|upd|aud|exp|recons|drive|shar|relink', check):
                    with self.subTest(data=data[:60], check=check):
                        self.ask(check)

    def test_recon_beyond_json(self):
        """Treated as a file that cannot be parsed, where Swift would pass them on."""
        for value in BEYOND:
            with open(os.path.join(self.root_dir, 'recon', 'object.recon'), 'wb') as f:
                f.write(b'{"async_pending": %s, "async_pending_last": 1}' % value)
            with self.subTest(value=value):
                before = len(self.servers[0].log())
                self.assertEqual(self.servers[0].request('GET', '/recon/async').body,
                                 b'{"async_pending": null, "async_pending_last": null}')
                self.assertIn('Error parsing recon cache file', self.servers[0].log()[before:])

    def test_recon_devices(self):
        devices = self.servers[0].devices
        os.makedirs(os.path.join(devices, 'mounted'))
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none',
                        os.path.join(devices, 'mounted')], check=True)
        open(os.path.join(devices, 'sdb1', '.ismount'), 'w').close()
        open(os.path.join(devices, 'file'), 'w').close()
        os.symlink('sdb1', os.path.join(devices, 'link'))
        os.symlink('sda1', os.path.join(devices, 'link2'))
        os.symlink('nowhere', os.path.join(devices, 'dangling'))
        odd = os.fsencode(devices) + b'/odd \xff\xc3\xa9"'
        os.makedirs(odd)
        open(odd + b'/.ismount', 'w').close()       # no device all the same, by its name
        for kind, count in (('objects', 2), ('objects-1', 3), ('containers', 1), ('accounts', 0)):
            for n in range(count):
                os.makedirs(os.path.join(devices, 'sda1', 'quarantined', kind, str(n)))
        os.makedirs(os.path.join(devices, 'sdb1', 'quarantined', 'objects-1', 'x'))
        for check in ('devices', 'unmounted', 'quarantined', 'mounted'):
            self.ask(check)
        for left in range(20, 0, -1):     # the disk below sdb1 is in use by others
            try:
                self.ask('diskusage')
                break
            except AssertionError:
                if left == 1:
                    raise
        usage = {d['device']: d for d in json.loads(self.servers[0].request('GET', '/recon/diskusage').body)}
        self.assertEqual(usage['mounted']['size'], 1 << 20)
        self.assertIs(usage['sda1']['mounted'], False)

    def test_recon_no_devices(self):
        """Swift's middleware raises where the directory cannot be listed: 500 in both."""
        os.rename(self.servers[0].devices, self.servers[0].devices + '.away')
        self.ask('devices')
        for check in ('unmounted', 'diskusage', 'quarantined'):
            for server in self.servers:
                self.assertEqual(server.request('GET', '/recon/' + check).status, 500)

    def test_recon_rings(self):
        for name in ('account', 'container', 'object', 'object-1', 'object-7'):
            with open(f'/etc/swift/{name}.ring.gz', 'w') as f:
                f.write(name)
        self.addCleanup(lambda: [os.remove(f'/etc/swift/{n}.ring.gz')
                                 for n in ('account', 'container', 'object', 'object-1', 'object-7')])
        self.ask('ringmd5')
        self.ask('swiftconfmd5')
        self.assertEqual(len(json.loads(self.servers[0].request('GET', '/recon/ringmd5').body)), 4)

    def test_no_trace_in_the_log(self):
        """Monitoring asks often: no access line, no numbers."""
        before = self.servers[0].log()
        for path in ('/recon/mem', '/recon/nope', '/healthcheck'):
            self.servers[0].request('GET', path)
        self.assertNotIn('"GET ', self.servers[0].log()[len(before):])

    def swift_recon(self, server):
        rings = ('object', 'object-1', 'object-2')      # of every policy
        for ring in rings:
            for args in (['create', '4', '1', '1'],
                         ['add', f'r1z1-127.0.0.1:{server.port}/sda1', '100'], ['rebalance']):
                subprocess.run(['/usr/bin/swift-ring-builder', f'/etc/swift/{ring}.builder', *args],
                               check=True, stdout=subprocess.DEVNULL)
        run = subprocess.run(['/usr/bin/swift-recon', 'object', '--all', '--validate-servers',
                              '--swift-versions', '--driveaudit', '--top', '3'], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        for ring in rings:
            os.remove(f'/etc/swift/{ring}.builder')
            os.remove(f'/etc/swift/{ring}.ring.gz')
        return run.returncode, run.stdout.replace(str(server.port), 'PORT')

    def test_swift_recon(self):
        with open(os.path.join(self.root_dir, 'recon', 'object.recon'), 'w') as f:
            json.dump(SANE, f)
        (code, ours), (their_code, theirs) = (self.swift_recon(s) for s in self.servers)
        self.assertEqual(code, their_code, ours)
        self.assertNotIn('Traceback', ours)
        self.assertIn('1/1 hosts ok', ours)
        self.assertIn('1/1 hosts matched', ours)
        report = [[re.sub(r'\d[\d.:-]*', 'N', line) for line in text.splitlines()] for text in (ours, theirs)]
        self.assertEqual(*report, ours)
