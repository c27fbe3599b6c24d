# SPDX-License-Identifier: Apache-2.0
"""Access lines: the same requests to both servers, their syslog on sockets of ours."""
import re

from both import BothCase, datagrams
from harness import wire

FIELDS = ('remote_addr method path disk partition account container object status content_length '
          'referer txn_id user_agent additional_info policy_index').split()
DIGESTIBLE = ('remote_addr', 'path', 'account', 'container', 'object', 'referer', 'user_agent')

TEMPLATES = [
    '',
    ' '.join(f'{f}={{{f}}}' for f in FIELDS),
    '|'.join(f'{{{f}.anonymized}}' for f in DIGESTIBLE),
    '{{{method}}} {status:>5} {status:<5}| {method:*^9} {path:.7} {content_length:06} {path:>3.2}',
    '{time.Y}-{time.m}-{time.d}T{time.H}:{time.M} {time.a} {time.A} {time.b} {time.B} {time.j} '
    '{time.p} {time.I} {time.U} {time.W} {time.w} {time.y} {time.Z} {time.x}',
    '{time} {time.s} {time.ms} {time.us} {time.ns} {time.asctime} {time.datetime} {time.iso8601} '
    '{time.X} {time.c} {trans_time} {trans_time:.4f} {trans_time:9.3e} {trans_time:.2g} {pid} {pid:>9}',
]
MOVES = (0, 4, 5)   # those that hold a moment

REQUESTS = [
    ('PUT', '/sda1/0/a/c%20x/%C3%A9o', {'Referer': 'ignored', 'X-Trans-Id': 'tx123'}, b'body'),
    ('GET', '/sda1/0/a/c%20x/%C3%A9o', {'User-Agent': 'a "b" \xe9', 'X-Backend-Storage-Policy-Index': '0'}, None),
    ('GET', '/sda1/0/a/c%20x/%C3%A9o/with/more//slashes?query=1', {'X-Trans-Id': 'txn'}, None),
    ('HEAD', '/sda1/0/a/c/none', {'X-Backend-Storage-Policy-Index': '1', 'X-Trans-Id': 'tx-head'}, None),
    ('GET', '/sda1/0/a', {'X-Trans-Id': 'GET'}, None),
    ('NONSENSE', '/x', {}, None),
    ('OPTIONS', '/', {'Referer': 'http://r/?x={y}'}, None),
    ('DELETE', '/sda1/0/a/c%20x/%C3%A9o', {'X-Trans-Id': 'txd', 'X-Timestamp': '1700000009'}, None),
    ('GET', '/sda9/0/a/c/o', {'X-Backend-Replication': 'no', 'X-Trans-Id': 'txr'}, None),
    ('REPLICATE', '/sda1/9', {'X-Trans-Id': 'txh', 'X-Backend-Storage-Policy-Index': '0'}, None),
    ('REPLICATE', '/sda1/0/abc-def', {'X-Trans-Id': 'txs'}, None),
    ('REPLICATE', '/sda9/0', {'X-Trans-Id': 'tx9'}, None),
    ('REPLICATE', '/sda1', {'X-Trans-Id': 'tx4'}, None),
]


class Access(BothCase):
    def setUp(self):
        super().setUp()
        self.sockets = []

    def start_pair(self, **options):
        extra = []
        for _ in range(2):
            s, port = datagrams()
            self.addCleanup(s.close)
            self.sockets.append(s)
            # One worker: the lines of several come in any order, and one request's end another's.
            extra.append({'DEFAULT': {'log_udp_host': '127.0.0.1', 'log_udp_port': port, 'workers': 0}})
        for e in extra:
            e['DEFAULT'].update(options)
        self.servers = self.pair(None, *extra, quiet=True)

    def lines(self, server, s, request):
        """The lines of one request: up to that of a request which ends them."""
        method, target, headers, body = request
        headers = dict({'X-Timestamp': '1700000000', 'Content-Type': 'a/b', 'User-Agent': 'test'}, **headers)
        server.request(method, target, headers, body)
        server.request('OPTIONS', '/end-of-request', {'User-Agent': 'END', 'Referer': 'END'})
        found = []
        while True:
            line = s.recv(65536).decode('utf-8').rstrip('\0')
            if self.is_end(line):
                return found
            if not re.match(r'<\d+>[^:]*: (Quarantined|Error|objsrv |STDERR|ERROR)', line):
                found.append(line)

    def is_end(self, line):
        return 'END' in line or 'end-of-request' in line or self.end in line

    def test_lines(self):
        for number, template in enumerate(TEMPLATES):
            options = {'log_format': template + ' {referer}' if template else None,
                       'log_anonymization_method': ('md5', 'SHA256')[number % 2],
                       'log_anonymization_salt': ('', 'salt')[number % 2] if number != 1 else ''}
            self.sockets = []
            self.end = ' END'
            self.start_pair(**{k: v for k, v in options.items() if v is not None})
            for request in REQUESTS:
                ours, theirs = (self.lines(server, s, request)
                                for server, s in zip(self.servers, self.sockets))
                with self.subTest(template=template, request=request):
                    if number in MOVES:
                        ours, theirs = ([self.shape(line) for line in lines] for lines in (ours, theirs))
                    self.assertEqual(ours, theirs)
                    self.assertEqual(len(ours), 1)
            for server in self.servers:
                server.stop()

    @staticmethod
    def shape(line):
        return re.sub(r'  +', ' ', re.sub(r'\d+', 'N', re.sub(r'\d+\.?\d*(e[+-]\d+)?', 'N', line)))

    def test_219_access_log_debug_when_x_backend_replication_present(self):
        self.end = 'END'
        self.start_pair()
        for headers, priority in (({}, 134), ({'X-Backend-Replication': 'false'}, 135)):
            for server, s in zip(self.servers, self.sockets):
                lines = self.lines(server, s, ('GET', '/sda1/0/a/c/o', headers, None))
                self.assertEqual([line.startswith(f'<{priority}>') for line in lines], [True], lines)

    def test_wrong_template(self):
        for template in ('{nothing}', '{method', 'method}', '{method!r}', '{status.anonymized}', '{time.q}',
                         '{method:d}', '{}', '{path:>9999999}', '{time:>30}', '{trans_time:s}'):
            server = self.make(conf={'DEFAULT': {'log_format': template}})
            code, log = server.run_to_end()
            self.assertEqual(code, 1, template)
            self.assertIn('log_format', log)
        code, log = self.make('x', conf={'DEFAULT': {'log_anonymization_method': 'rot13'}}).run_to_end()
        self.assertEqual(code, 1)
        self.assertIn('log_anonymization_method = rot13', log)

    def test_log_address(self):
        """A Unix socket of syslog; the level and the facility are in the number in front."""
        import os
        import socket
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        os.makedirs(self.root, exist_ok=True)
        path = os.path.join(self.root, 'syslog')
        s.bind(path)
        s.settimeout(20)
        self.addCleanup(s.close)
        server = self.make(conf={'DEFAULT': {'log_address': path, 'log_facility': 'LOG_LOCAL3',
                                             'log_level': 'INFO', 'log_name': 'x'}}, quiet=True).start()
        server.request('GET', '/sda1/0/a/c/o', {'X-Backend-Replication': '1'})
        server.request('GET', '/sda1/0/a/c/seen')
        line = ''
        while '/sda1/' not in line:
            line = s.recv(65536).decode()
        self.assertRegex(line, r'^<158>x: 127\.0\.0\.1 .*seen')
