# SPDX-License-Identifier: Apache-2.0
"""statsd: the same requests to both servers, each with a socket of ours for its statsd; the names,
types and rates of the datagrams are compared."""
import re
import time

from both import BothCase, datagrams, drain
from harness import wire

NUMBER = r'-?\d+(?:\.\d+)?(?:e-?\d+)?'


def name_of(datagram):
    """The datagram without its number, which must be one."""
    match = re.fullmatch(rf'([^:]+):{NUMBER}(\|(?:ms|c)(?:\|@{NUMBER})?)', datagram)
    assert match, datagram
    return match.group(1) + match.group(2)


class Statsd(BothCase):
    def start_pair(self, **options):
        self.sockets = []
        ports = []
        for _ in range(2):
            s, port = datagrams()
            self.addCleanup(s.close)
            self.sockets.append(s)
            ports.append(port)
        common = {'DEFAULT': dict({'log_statsd_host': '127.0.0.1'}, **options)}
        self.servers = self.pair(common, *({'DEFAULT': {'log_statsd_port': p}} for p in ports))

    def names(self, server, s, method, target, headers, body=None):
        """What a request made both sides send. The reply may be faster than the last datagram: a
        second request, of a kind that is always counted, marks the end."""
        with server.connect() as c:
            response = c.request(method, target, headers, body)
        server.request('OPTIONS', '/mark')
        found = []
        while True:
            name = name_of(s.recv(65536).decode())
            if 'OPTIONS.timing' in name:
                return response.status, sorted(found)
            found.append(name)

    def same(self, method, target, headers=None, body=None, expected=None):
        headers = dict({'X-Timestamp': '1700000000.00000', 'Content-Type': 'a/b'}, **(headers or {}))
        ours, theirs = (self.names(server, s, method, target, headers, body)
                        for server, s in zip(self.servers, self.sockets))
        with self.subTest(method=method, target=target, headers=headers):
            self.assertEqual(ours, theirs)
            if expected is not None:
                self.assertEqual(ours[1], expected)

    def test_220_statsd_no_timing_for_early_400(self):
        """And all other outcomes, in the order in which a server may meet them."""
        self.start_pair()
        o = '/sda1/1/a/c/o'
        self.same('PUT', '/sda1/1/a/c', body=b'x', expected=[])
        self.same('PUT', o, {'X-Timestamp': 'never'}, b'x', [])
        self.same('PUT', o, {'Content-Type': ''}, b'x', [])
        self.same('PUT', o, {'X-Backend-Storage-Policy-Index': '77'}, b'x', [])
        self.same('PUT', o, {'X-Delete-At': '1'}, b'x', [])
        self.same('PUT', '/sda9/1/a/c/o', body=b'x')
        self.same('PUT', o, body=b'12345', expected=['object-server.PUT.sda1.timing|ms',
                                                     'object-server.PUT.timing|ms'])
        self.same('PUT', o, body=b'12345', expected=[])                           # 409
        self.same('PUT', o, {'X-Timestamp': '1700000001', 'ETag': 'x' * 32}, b'12345',
                  ['object-server.PUT.sda1.timing|ms'])                           # 422
        self.same('PUT', o, {'If-None-Match': '*', 'X-Timestamp': '1700000001'}, b'1', [])
        self.same('PUT', '/sda1/1/a/c/empty', body=b'', expected=['object-server.PUT.timing|ms'])
        self.same('PUT', '/sda1/1/a/c/told', {'X-Container-Partition': '1'}, b'',
                  ['object-server.PUT.timing|ms', 'object-server.async_pendings|c'])
        for target in (o, '/sda1/1/a/c/none', '/sda9/1/a/c/o', '/sda1/1/a/c'):
            self.same('GET', target)
        self.same('GET', o, {'If-None-Match': '"827ccb0eea8a706c4c34a16891f84e7b"'})
        self.same('GET', o, {'If-Match': '"x"'})
        self.same('GET', o, {'Range': 'bytes=99-'})
        self.same('GET', o, {'X-Timestamp': 'never'})
        for target in (o, '/sda1/1/a/c/none', '/sda9/1/a/c/o'):
            self.same('POST', target, {'X-Timestamp': '1700000002'})
        self.same('POST', o, {'X-Delete-At': '5'})
        self.same('POST', o, {'X-Timestamp': 'x'})
        self.same('POST', o)                                                      # 409
        for target in (o, o, '/sda1/1/a/c/none', '/sda9/1/a/c/o', '/sda1/1/a'):
            self.same('DELETE', target, {'X-Timestamp': '1700000003'})
        self.same('DELETE', o, {'X-If-Delete-At': 'x'})
        self.same('DELETE', o, {'X-If-Delete-At': '17', 'X-Timestamp': '1700000009'})
        self.same('NONSENSE', o, expected=[])
        self.same('GET', '/sda1/1/a/c/%ff', expected=[])
        self.same('GET', '/healthcheck', expected=[])
        self.same('GET', '/recon/time', expected=[])

    def test_replicate(self):
        """Usually one in ten is told."""
        self.start_pair(log_statsd_sample_rate_factor='10')
        timing, errors = ['object-server.REPLICATE.timing|ms'], ['object-server.REPLICATE.errors.timing|ms']
        self.same('REPLICATE', '/sda1/1', expected=timing)
        self.same('REPLICATE', '/sda1/1/abc', expected=timing)
        self.same('REPLICATE', '/sda9/1', expected=errors)
        self.same('REPLICATE', '/sda1', expected=[])
        self.same('REPLICATE', '/sda1/..', expected=[])
        self.same('REPLICATE', '/sda1/1', {'X-Backend-Storage-Policy-Index': '77'}, expected=[])

    def test_prefix_and_rates(self):
        self.start_pair(log_statsd_metric_prefix='a.b', log_name='my-server',
                        log_statsd_default_sample_rate='0.999999', log_statsd_sample_rate_factor='0.9999999')
        self.same('GET', '/sda1/1/a/c/none')

    def test_sampling(self):
        """HEAD is sent four times out of five; with a factor of 0.5, two."""
        self.start_pair(log_statsd_sample_rate_factor='0.5')
        server, s = self.servers[0], self.sockets[0]
        with server.connect() as c:
            found = []
            for n in range(1000):
                c.request('HEAD', '/sda1/1/a/c/none')
                if n % 50 == 0:
                    found += drain(s)       # before the socket's buffer is full
        end = time.monotonic() + 20
        while time.monotonic() < end and not any('OPTIONS' in d for d in found):
            server.request('OPTIONS', '/mark')
            found += drain(s)
        heads = [name_of(d) for d in found if 'HEAD' in d]
        self.assertEqual(set(heads), {'object-server.HEAD.timing|ms|@0.4'})
        self.assertTrue(330 < len(heads) < 470, len(heads))

    def test_put_timeouts(self):
        self.start_pair(max_upload_time=1)
        for server, s in zip(self.servers, self.sockets):
            with server.connect() as c:
                c.send(wire.head_bytes('PUT', '/sda1/2/a/c/slow', {
                    'X-Timestamp': '1700000000', 'Content-Type': 'a/b', 'Content-Length': '300000'}))
                end = time.monotonic() + 15
                c.socket.settimeout(0.3)
                while time.monotonic() < end:      # a trickle, for longer than it may take
                    try:
                        c.send(b'x' * 4096)
                        c._fill()
                        break
                    except TimeoutError:
                        continue
                c.socket.settimeout(20)
                self.assertEqual(c.read_response('PUT').status, 408)
            self.assertEqual(name_of(s.recv(65536).decode()), 'object-server.PUT.timeouts|c')

    def test_quarantines(self):
        self.start_pair()
        import os
        import subprocess
        for server, s in zip(self.servers, self.sockets):
            server.request('PUT', '/sda1/3/a/c/q', {'X-Timestamp': '1700000000', 'Content-Type': 'a/b'},
                           b'0123456789')
            found = subprocess.run(['find', os.path.join(server.device, 'objects', '3'), '-name', '*.data'],
                                   stdout=subprocess.PIPE, text=True).stdout.split()
            with open(found[0], 'r+b') as f:
                f.truncate(5)
            server.request('GET', '/sda1/3/a/c/q')
            server.request('OPTIONS', '/mark')
            names = []
            while 'object-server.OPTIONS.timing|ms' not in names:
                names.append(name_of(s.recv(65536).decode()))
            self.assertIn('object-server.quarantines|c', names)

    def test_nobody_listens(self):
        """No statsd there: nothing breaks, and what is not taken is counted or lost in silence."""
        server = self.make(conf={'DEFAULT': {'log_statsd_host': '127.0.0.1', 'log_statsd_port': 9}}).start()
        for _ in range(10):
            self.assertEqual(server.request('GET', '/sda1/1/a/c/none').status, 404)
