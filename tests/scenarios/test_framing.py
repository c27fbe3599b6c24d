# SPDX-License-Identifier: Apache-2.0
"""Messages on the wire: limits, keep-alive, pipelining, Expect, chunks, slow and broken ones."""
import os

from base import SwiftCase, wait_until
from harness import wire


def get_with(lines, target='/healthcheck'):
    return f'GET {target} HTTP/1.1\r\nHost: t\r\n{lines}\r\n'.encode('latin-1')


class Framing(SwiftCase):
    def test_029_request_line_8192(self):
        for length, status in ((8192, 414), (9000, 414)):
            line = b'GET /' + b'x' * (length - len(b'GET / HTTP/1.1\r\n')) + b' HTTP/1.1\r\n'
            self.assertEqual(len(line), length)
            r = self.raw(line + b'Host: t\r\n\r\n')
            self.check(r, status, '')
            self.assertEqual((r.version, r.reason), ('HTTP/1.0', 'Request URI Too Long'))
        line = b'GET /' + b'x' * (8191 - len(b'GET / HTTP/1.1\r\n')) + b' HTTP/1.1\r\n'
        self.check(self.raw(line + b'Host: t\r\n\r\n'), 400)

    def test_030_header_line_8192(self):
        r = self.raw(get_with('X: ' + 'x' * (8192 - 5) + '\r\n'))
        self.check(r, 400, '')
        self.assertEqual((r.version, r.reason), ('HTTP/1.0', 'Header Line Too Long'))
        self.check(self.raw(get_with('X: ' + 'x' * (8191 - 5) + '\r\n')), 200)

    def test_030_headers_too_large(self):
        r = self.raw(get_with(''.join(f'X{i}: {"x" * 8000}\r\n' for i in range(9))))
        self.check(r, 400, '')
        self.assertEqual((r.version, r.reason), ('HTTP/1.0', 'Headers Too Large'))

    def test_031_header_count_201(self):
        self.check(self.raw(get_with(''.join(f'X{i}: y\r\n' for i in range(199)))), 200)
        r = self.raw(get_with(''.join(f'X{i}: y\r\n' for i in range(200))))
        self.check(r, 431)
        self.assertEqual((r.version, r.reason, r.closes), ('HTTP/1.1', 'Too many headers', True))

    def test_032_content_length_bad(self):
        for value in ('abc', '-1', '1x', '0x10'):
            r = self.raw(self.put_head(Content_Length=value) + b'x', 'PUT')
            self.check(r, 400, '')
            self.assertEqual((r.version, r.reason), ('HTTP/1.0', 'Bad Request'))
        self.assert_nothing_stored()

    def test_032_two_different_lengths(self):
        """Two lengths are two messages to somebody: refused. (Swift takes the first.)"""
        if self.is_oracle:
            self.skipTest('Swift takes the first length')
        r = self.raw(self.put_head(Content_Length='3')[:-2] + b'Content-Length: 4\r\n\r\nabcd', 'PUT')
        self.check(r, 400)
        self.assert_nothing_stored()

    def test_033_expect_sent_after_checks(self):
        self.put(10)
        with self.server.connect() as c:
            c.send(self.put_head(5, Content_Length='5', Expect='100-continue'))
            r = c.read_response('PUT', interim=True)
            self.check(r, 409)
            self.assertEqual(r.get('Connection'), 'close')
            self.assertTrue(c.is_closed())

    def test_033_expect_continue_then_body(self):
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length='5', Expect='100-continue'))
            self.check(c.read_response('PUT', interim=True), 100)
            c.send(b'hello')
            self.check(c.read_response('PUT'), 201)
            c.send(wire.head_bytes('GET', self.path))
            self.assertEqual(c.read_response().body, b'hello')

    def test_034_expect_zero_length(self):
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length='0', Expect='100-continue'))
            self.check(c.read_response('PUT', interim=True), 100)
            self.check(c.read_response('PUT', interim=True), 201)

    def test_035_keepalive_drains_body(self):
        self.put(10)
        with self.server.connect() as c:
            c.send(self.put_head(5, Content_Length='300000'))
            self.check(c.read_response('PUT'), 409)
            c.send(b'x' * 300000)
            self.check(c.request('GET', self.path), 200, '0123456789')

    def test_036_chunked_beats_content_length(self):
        r = self.raw(self.put_head(Transfer_Encoding='chunked', Content_Length='50') +
                     wire.chunks(b'chunky'), 'PUT')
        self.check(r, 201)
        self.assertEqual(self.get().body, b'chunky')

    def test_038_repeated_header_joined(self):
        data = self.put_head(Content_Length='0')[:-2] + b'X-Object-Meta-A: 1\r\nX-Object-Meta-A: 2\r\n\r\n'
        self.check(self.raw(data, 'PUT'), 201)
        self.assertEqual(self.stored()['X-Object-Meta-A'], '1,2')
        self.assertEqual(self.head().get('X-Object-Meta-A'), '1,2')

    def test_pipelining(self):
        """Answers come in order; a PUT between GETs is seen by those after it."""
        get = wire.head_bytes('GET', self.path)
        with self.server.connect() as c:
            c.send(get + self.put_head(Content_Length='3') + b'one' + get +
                   self.put_head(11, Content_Length='3') + b'two' + get)
            self.check(c.read_response(), 404)
            self.check(c.read_response('PUT'), 201)
            self.check(c.read_response(), 200, 'one')
            self.check(c.read_response('PUT'), 201)
            self.check(c.read_response(), 200, 'two')

    def test_pipelining_many(self):
        with self.server.connect() as c:
            c.send(wire.head_bytes('GET', '/healthcheck') * 500)
            for _ in range(500):
                self.check(c.read_response(), 200, 'OK')

    def test_split_anywhere(self):
        """A request cut in two at every byte is the same request."""
        data = self.put_head(Transfer_Encoding='chunked') + wire.chunks(b'some bytes', 4)
        for cut in range(1, len(data)):
            path = f'{self.path}{cut}'
            whole = data.replace(self.path.encode() + b' ', path.encode() + b' ', 1)
            at = cut + len(path) - len(self.path) if cut > 10 else cut
            with self.server.connect() as c:
                c.send(whole[:at])
                c.send(whole[at:])
                self.check(c.read_response('PUT'), 201)
            self.assertEqual(self.get(path=path).body, b'some bytes', at)

    def test_byte_by_byte(self):
        data = self.put_head(Transfer_Encoding='chunked') + wire.chunks(b'some bytes', 4)
        with self.server.connect() as c:
            for i in range(len(data)):
                c.send(data[i:i + 1])
            self.check(c.read_response('PUT'), 201)
        self.assertEqual(self.get().body, b'some bytes')

    def test_http10(self):
        self.put()
        with self.server.connect() as c:
            c.send(f'GET {self.path} HTTP/1.0\r\n\r\n'.encode())
            r = c.read_response()
            self.check(r, 200, '0123456789')
            self.assertEqual(r.version, 'HTTP/1.1')
            self.assertTrue(c.is_closed())
        with self.server.connect() as c:
            c.send(f'GET {self.path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'.encode())
            r = c.read_response()
            self.assertEqual(r.get('Connection'), 'keep-alive')
            self.check(c.request('GET', self.path), 200)

    def test_connection_close(self):
        with self.server.connect() as c:
            r = c.request('GET', '/healthcheck', {'Connection': 'close'})
            self.assertEqual(r.get('Connection'), 'close')
            self.assertTrue(c.is_closed())

    def test_garbage_is_refused(self):
        for line in (b'GARBAGE', b'GET / x HTTP/1.1', b'GET / HTTX/1.1', b'\x16\x03\x01\x00\x00'):
            with self.server.connect() as c:
                c.send(line + b'\r\n\r\n')
                r = c.read_response()
                self.assertIn(r.status, (400, 405, 505), r)
                self.assertEqual(c.read_rest(), b'')

    def test_http2_is_505(self):
        self.check(self.raw(b'GET / HTTP/2.0\r\nHost: t\r\n\r\n'), 505)

    def test_absolute_target(self):
        """Newer Swift strips scheme and host; 2.30.1 answers 400."""
        self.put()
        r = self.raw(f'GET http://host:1{self.path} HTTP/1.1\r\nHost: t\r\n\r\n'.encode())
        self.check(r, 400 if self.is_oracle else 200)

    def test_nonascii_header_name(self):
        data = self.put_head(Content_Length='0')[:-2] + b'X-Object-Meta-\xc3\xbc: \xc3\xa9\r\n\r\n'
        self.check(self.raw(data, 'PUT'), 201)
        r = self.head()
        self.assertIn('\xc3\xa9', [v for n, v in r.headers if n.lower().startswith('x-object-meta-')])

    def test_large_body_both_ways(self):
        """16 MiB, read by a client that is slow to start, both framings."""
        body = os.urandom(1 << 20) * 16
        self.put(body=body)
        self.assertEqual(self.get().body, body)
        r = self.raw(self.put_head(11, Transfer_Encoding='chunked') + wire.chunks(body, 100000), 'PUT')
        self.check(r, 201)
        with self.server.connect(rcvbuf=4096) as c:
            c.send(wire.head_bytes('GET', self.path))
            self.assertEqual(c.read_response().body, body)

    def test_many_connections_at_once(self):
        connections = [self.server.connect() for _ in range(300)]
        for c in connections:
            c.send(wire.head_bytes('GET', '/healthcheck'))
        for c in connections:
            self.check(c.read_response(), 200)
            c.close()


class Smuggling(SwiftCase):
    """Requests that two servers could read differently. Nothing of the tail may be obeyed."""
    oracle_too = False

    rows = [
        ('bare LF in head', b'GET %O HTTP/1.1\nHost: t\n\n'),
        ('space before colon', b'GET %O HTTP/1.1\r\nHost : t\r\n\r\n'),
        ('folded header', b'GET %O HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n'),
        ('NUL in value', b'GET %O HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n'),
        ('CR in value', b'GET %O HTTP/1.1\r\nHost: t\r\nX: a\rb\r\n\r\n'),
        ('length list', b'PUT %O HTTP/1.1\r\nHost: t\r\nContent-Length: 1, 1\r\n\r\nx'),
        ('length plus', b'PUT %O HTTP/1.1\r\nHost: t\r\nContent-Length: +1\r\n\r\nx'),
        ('length overflow', b'PUT %O HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551617\r\n\r\nx'),
        ('chunk size 0x', b'PUT %O HTTP/1.1\r\nHost: t\r\n%Hx-A: 1\r\n\r\n0x1\r\nx\r\n0\r\n\r\n'),
        ('chunk size -1', b'PUT %O HTTP/1.1\r\nHost: t\r\n%H\r\n-1\r\nx\r\n0\r\n\r\n'),
        ('chunk size overflow', b'PUT %O HTTP/1.1\r\nHost: t\r\n%H\r\nffffffffffffffff1\r\nx\r\n0\r\n\r\n'),
        ('chunk without CRLF', b'PUT %O HTTP/1.1\r\nHost: t\r\n%H\r\n1\r\nxy0\r\n\r\n'),
        ('xchunked', b'PUT %O HTTP/1.1\r\nHost: t\r\nX-Timestamp: %T\r\nContent-Type: a/b\r\n'
                     b'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'),
        ('no colon', b'GET %O HTTP/1.1\r\nHost: t\r\nNonsense\r\n\r\n'),
    ]

    def test_refused_and_closed(self):
        tail = b'DELETE %O HTTP/1.1\r\nHost: t\r\nX-Timestamp: %L\r\n\r\n'
        self.put(10)
        head = f'X-Timestamp: {self.t(20)}\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n'
        for name, data in self.rows:
            with self.subTest(name), self.server.connect() as c:
                whole = (data + tail).replace(b'%H', head.encode()).replace(b'%O', self.path.encode())
                whole = whole.replace(b'%T', self.t(20).encode()).replace(b'%L', self.t(25).encode())
                c.send(whole)
                r = c.read_response('GET')
                self.assertTrue(400 <= r.status < 500, r)
                c.read_rest()
                self.assertEqual(self.get().body, b'0123456789')


class Timeouts(SwiftCase):
    conf = {'DEFAULT': {'client_timeout': 1}, 'app:object-server': {'max_upload_time': 2}}

    def test_037_idle_connection_closed_after_client_timeout(self):
        with self.server.connect() as c:
            self.check(c.request('GET', '/healthcheck'), 200)
            self.assertTrue(c.is_closed())

    def test_037_never_a_byte(self):
        with self.server.connect() as c:
            self.assertTrue(c.is_closed())

    def test_037_stuck_in_headers(self):
        with self.server.connect() as c:
            c.send(b'GET /healthcheck HTTP/1.1\r\nHos')
            self.assertEqual(c.read_rest(), b'')

    def test_079_put_stalled(self):
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length='100') + b'some')
            self.check(c.read_response('PUT'), 408, '<html><h1>Request Timeout</h1><p>The server has waited '
                       'too long for the request to be sent by the client.</p></html>')
        self.assert_nothing_stored()
        self.assert_no_trace()

    def test_080_put_trickle_slower_than_window(self):
        """Bytes keep coming, but one read takes longer than client_timeout in all."""
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length='100'))
            status = self._trickle(c)
        self.assertEqual(status, 408)
        self.assert_nothing_stored()

    def _trickle(self, c):
        c.socket.settimeout(0.2)
        for _ in range(40):
            try:
                c.send(b'x')
                return c.read_response('PUT').status
            except TimeoutError:
                continue                # the 0.2 s between two bytes
            except OSError:
                break
        c.socket.settimeout(10)
        return c.read_response('PUT').status

    def test_081_put_max_upload_time(self):
        """Each read is fast enough, the whole is not."""
        block = b'x' * 65536
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length=str(len(block) * 100)))
            c.socket.settimeout(0.3)
            status = None
            for _ in range(60):
                try:
                    c.send(block)
                    status = c.read_response('PUT').status
                    break
                except TimeoutError:
                    continue            # the 0.3 s between two blocks
                except OSError:
                    break
            if status is None:
                c.socket.settimeout(10)
                status = c.read_response('PUT').status
        self.assertEqual(status, 408)
        self.assert_nothing_stored()

    def test_slow_reader_is_cut_off(self):
        """A client that asks for much and reads nothing does not hold its connection for ever."""
        if self.is_oracle:
            self.skipTest('how long Swift waits for a reader is its socket timeout, not compared')
        self.put(body=b'x' * (16 << 20))
        with self.server.connect(rcvbuf=4096) as c:
            c.send(wire.head_bytes('GET', self.path))
            with self.server.connect() as other:
                self.check(other.request('GET', '/healthcheck'), 200)
            self.assertTrue(wait_until(lambda: not _established(self.server.port, c)))


def _established(port, connection):
    """Whether the server's end of this connection still is a live socket."""
    mine = connection.socket.getsockname()[1]
    with open('/proc/net/tcp', encoding='ascii') as f:
        for line in f.readlines()[1:]:
            local, remote, state = line.split()[1:4]
            if int(local.split(':')[1], 16) == port and int(remote.split(':')[1], 16) == mine:
                return state == '01'
    return False
