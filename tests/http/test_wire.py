#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Raw bytes to the real loop and connections (stub_server), and what comes back.

    test_wire.py STUB_SERVER [TEST ...]
"""
import errno
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

STUB = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ''
DATE = re.compile(rb'Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n')
PATIENCE = 10.0  # s, until a test gives up
SANITIZED = 'libasan' in subprocess.run(['ldd', STUB], capture_output=True, text=True).stdout or \
    b'__asan_init' in open(STUB, 'rb').read() or b'__tsan_init' in open(STUB, 'rb').read()


class Server:
    def __init__(self, *options, fds=None):
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (fds, fds))) if fds else None
        self.log = open('/tmp/stub_server.%d.log' % os.getpid(), 'w+b')
        self.process = subprocess.Popen([STUB, '0', *options], stdout=subprocess.PIPE,
                                        stderr=self.log, preexec_fn=limit)
        self.port = int(self.process.stdout.readline().split()[1])

    def connect(self, small_buffer=False):
        s = socket.socket()
        if small_buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(PATIENCE)
        s.connect(('127.0.0.1', self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def talk(self, raw, shut=False, step=None):
        """Sends, reads to the end of the connection."""
        with self.connect() as s:
            send(s, raw, step)
            if shut:
                s.shutdown(socket.SHUT_WR)
            return until_eof(s)

    def stats(self):
        text = self.talk(b'GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').split(b'\r\n\r\n')[1]
        return {k: int(v) for k, v in (x.split('=') for x in text.decode().split())}

    def rss(self):
        with open('/proc/%d/statm' % self.process.pid) as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    def cpu(self):
        with open('/proc/%d/stat' % self.process.pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def signal(self, number):
        self.process.send_signal(number)

    def log_text(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGINT)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        text = self.log_text()
        self.log.close()
        os.unlink(self.log.name)
        assert code == 0, 'exit %d\n%s' % (code, text.decode('latin-1')[-4000:])


def send(s, raw, step=None):
    try:
        for i in range(0, len(raw), step or len(raw) or 1):
            s.sendall(raw[i:i + (step or len(raw))])
    except OSError:
        pass  # refused early: what came back tells


def until_eof(s):
    out = b''
    try:
        while True:
            data = s.recv(65536)
            if not data:
                return out
            out += data
    except ConnectionResetError:
        return out + b'<reset>'


def reply(s):
    """One reply: (status, head, body)."""
    buf = b''
    while b'\r\n\r\n' not in buf:
        data = s.recv(1)
        if not data:
            raise EOFError(buf)
        buf += data
    length = re.search(rb'\r\nContent-Length: (\d+)', buf)
    body = b''
    while length and len(body) < int(length.group(1)):
        data = s.recv(int(length.group(1)) - len(body))
        if not data:
            raise EOFError(buf + body)
        body += data
    return int(buf.split()[1]), buf, body


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)  # polls; the condition is what counts
    return False


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


def put(path, body=b'', *headers, close=False):
    lines = [b'PUT %s HTTP/1.1' % path, b'Host: x', *headers]
    if not any(h.lower().startswith(b'transfer-encoding') or h.lower().startswith(b'content-length')
               for h in headers):
        lines.append(b'Content-Length: %d' % len(body))
    if close:
        lines.append(b'Connection: close')
    return b'\r\n'.join(lines) + b'\r\n\r\n' + body


def get(path, *headers):
    return b'\r\n'.join([b'GET %s HTTP/1.1' % path, b'Host: x', *headers]) + b'\r\n\r\n'


CHUNKED = b'Transfer-Encoding: chunked'
EXPECT = b'Expect: 100-continue'
CLOSE = b'Connection: close'


class Wire(unittest.TestCase):
    options = ('client_timeout=1',)

    def setUp(self):
        self.server = Server(*self.options)

    def tearDown(self):
        self.server.stop()


class Exchanges(Wire):
    def test_reply_bytes(self):
        out = self.server.talk(get(b'/hello', CLOSE))
        self.assertEqual(DATE.sub(b'', out), b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'
                         b'Content-Length: 5\r\nConnection: close\r\n\r\nhello')
        self.assertEqual(len(DATE.findall(out)), 1)

    def test_http10(self):
        out = self.server.talk(b'GET /hello HTTP/1.0\r\n\r\n')
        self.assertIn(b'HTTP/1.1 200', out)
        self.assertIn(b'Connection: close', out)
        with self.server.connect() as s:
            for _ in range(2):
                s.sendall(b'GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
                self.assertIn(b'Connection: keep-alive', reply(s)[1])

    def test_head(self):
        for path, length in ((b'/hello', 5), (b'/none', 0), (b'/stream/100000', 100000), (b'/lent', 65536)):
            with self.server.connect() as s:
                s.sendall(b'HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n' % path + get(b'/hello', CLOSE))
                out = until_eof(s)
                self.assertIn(b'Content-Length: %d\r\n\r\nHTTP/1.1 200' % length, out, path)

    def test_pipelined(self):
        many = b''.join(put(b'/echo', b'body-%d' % i) + get(b'/hello') for i in range(500))
        for step in (None, 1000, 7):
            out = self.server.talk(many + get(b'/hello', CLOSE), step=step)
            self.assertEqual(re.findall(rb'body-\d+|hello', out),
                             [x for i in range(500) for x in (b'body-%d' % i, b'hello')] + [b'hello'])

    def test_pipelined_before_close(self):
        self.assertEqual(self.server.talk(get(b'/hello', CLOSE) * 3).count(b'hello'), 1)

    def test_byte_by_byte(self):
        raw = put(b'/echo', b'abc') + put(b'/echo', b'2\r\nde\r\n1;x=y\r\nf\r\n0\r\n\r\n', CHUNKED, close=True)
        out = self.server.talk(raw, step=1)
        self.assertTrue(out.index(b'\r\n\r\nabc') < out.index(b'\r\n\r\ndef'))

    def test_cut_everywhere(self):
        raw = put(b'/echo', b'2\r\nab\r\n0\r\n\r\n', CHUNKED, EXPECT) + get(b'/hello', CLOSE)
        for cut in range(len(raw)):
            with self.server.connect() as s:
                s.sendall(raw[:cut])
                s.sendall(raw[cut:])
                out = until_eof(s)
            self.assertEqual(out.count(b'HTTP/1.1 '), 3, raw[:cut])
            self.assertTrue(out.endswith(b'hello'))

    def test_header_values_are_one_line(self):
        self.assertIn(b'\r\nX-Echo: a  b\r\n', self.server.talk(put(b'/echo', b'x', close=True)))

    def test_non_ascii_header_names(self):
        out = self.server.talk(get(b'/dump', b'X-\xe9: \xff', b'Upgrade: h2c', b'Connection: Upgrade') +
                               get(b'/hello', CLOSE))
        self.assertIn(b'\nX-\xe9: \xff\n', out)
        self.assertTrue(out.endswith(b'hello'))

    def test_unknown_methods(self):
        for method in (b'REPLICATE', b'SSYNC', b'X' * 40, b'CONNECT', b'get'):
            out = self.server.talk(b'%s /dump HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' % method)
            self.assertIn(b'\r\n\r\n%s|2f64756d70||1.1' % method, out)

    def test_access_line_comes_before_the_body_is_taken(self):
        with self.server.connect(small_buffer=True) as s:
            s.sendall(get(b'/stream/100000000'))
            self.assertTrue(wait_for(lambda: b'access GET /stream/100000000 200 100000000' in self.server.log_text()))


class Bodies(Wire):
    def test_sizes(self):
        with self.server.connect() as s:
            for size in (0, 1, 65535, 65536, 65537, 1000000):
                body = os.urandom(size)
                s.sendall(put(b'/echo', body))
                self.assertEqual(reply(s)[2], body)
                s.sendall(put(b'/echo', b'%x\r\n%s\r\n0\r\n\r\n' % (size, body) if size else b'0\r\n\r\n', CHUNKED))
                self.assertEqual(reply(s)[2], body)

    def test_trailers_are_dropped(self):
        with self.server.connect() as s:
            s.sendall(put(b'/echo', b'1\r\na\r\n0\r\nContent-Length: 9\r\nA: b\r\n\r\n', CHUNKED) + get(b'/hello'))
            self.assertEqual(reply(s)[2], b'a')
            self.assertEqual(reply(s)[2], b'hello')

    def test_continue_when_asked(self):
        with self.server.connect() as s:
            for body in (b'ab', b''):
                s.sendall(put(b'/echo', body, EXPECT)[:-len(body) or None])
                self.assertEqual(reply(s)[1], b'HTTP/1.1 100 Continue\r\n\r\n')
                s.sendall(body)
                self.assertEqual(reply(s)[2], body)

    CONTINUE = b'HTTP/1.1 100 Continue\r\nX-Twice: yes\r\n\r\n'

    def test_two_streams_of_one_body(self):
        """Every split of the bytes, two such requests and a plain one on one connection."""
        first, second = b'2\r\nab\r\n0\r\n\r\n', b'1\r\nc\r\n4\r\nDEFG\r\n0\r\n\r\n'
        for path in (b'/twice', b'/twice?5'):
            for cut in range(len(second)):
                with self.server.connect() as s:
                    for _ in range(2):
                        s.sendall(put(path, b'', CHUNKED, EXPECT))
                        self.assertEqual(reply(s)[1], self.CONTINUE)
                        s.sendall(first[:cut])
                        s.sendall(first[cut:])
                        self.assertEqual(reply(s)[1], self.CONTINUE)
                        s.sendall(second[:cut])
                        s.sendall(second[cut:])
                        self.assertEqual(reply(s)[2], b'ab|cDEFG')
                    s.sendall(get(b'/hello'))
                    self.assertEqual(reply(s)[2], b'hello')

    def test_two_streams_sent_without_waiting(self):
        for path in (b'/twice', b'/twice?30'):
            with self.server.connect() as s:
                s.sendall(put(path, b'2\r\nab\r\n0\r\n\r\n0\r\n\r\n', CHUNKED, EXPECT) + get(b'/hello'))
                self.assertEqual(reply(s)[1], self.CONTINUE)
                self.assertEqual(reply(s)[1], self.CONTINUE)
                self.assertEqual(reply(s)[2], b'ab|')
                self.assertEqual(reply(s)[2], b'hello')

    def test_second_stream_with_close(self):
        with self.server.connect() as s:
            s.sendall(put(b'/twice', b'0\r\n\r\n', CHUNKED, EXPECT, close=True))
            self.assertEqual(reply(s)[1], self.CONTINUE)
            self.assertEqual(reply(s)[1], self.CONTINUE)
            s.sendall(b'1\r\nx\r\n0\r\n\r\n')
            out = until_eof(s)
            self.assertIn(b'Connection: close', out)
            self.assertTrue(out.endswith(b'|x'), out)

    def test_second_stream_only_for_who_waits(self):
        for headers in ((CHUNKED,), (EXPECT, b'Content-Length: 1')):
            body = b'1\r\na\r\n0\r\n\r\n' if CHUNKED in headers else b'a'
            with self.server.connect() as s:
                s.sendall(put(b'/twice', body, *headers))
                if EXPECT in headers:
                    self.assertEqual(reply(s)[0], 100)
                self.assertEqual(reply(s)[0], 500)
                s.sendall(get(b'/hello'))
                self.assertEqual(reply(s)[2], b'hello')

    def test_second_stream_that_breaks(self):
        for broken in (b'xyz\r\n', b'5\r\nab'):
            with self.server.connect() as s:
                s.sendall(put(b'/twice?20', b'0\r\n\r\n', CHUNKED, EXPECT))
                self.assertEqual(reply(s)[0], 100)
                self.assertEqual(reply(s)[0], 100)
                s.sendall(broken)
                s.shutdown(socket.SHUT_WR)
                self.assertIn(b'499', until_eof(s))

    def test_second_stream_that_never_comes(self):
        with self.server.connect() as s:    # client_timeout=1
            s.sendall(put(b'/twice', b'0\r\n\r\n', CHUNKED, EXPECT))
            self.assertEqual(reply(s)[0], 100)
            self.assertEqual(reply(s)[0], 100)
            self.assertIn(b'408', until_eof(s))

    def test_expect_of_http10_is_ignored(self):
        out = self.server.talk(b'PUT /echo HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\na')
        self.assertTrue(out.startswith(b'HTTP/1.1 200'))

    def test_early_reply_instead_of_continue(self):
        for sent in (b'', b'ab', b'ab' + get(b'/hello')):  # a client that does not wait, too
            with self.server.connect() as s:
                s.sendall(put(b'/expected', b'', b'Content-Length: 2', EXPECT) + sent)
                out = until_eof(s)
            self.assertTrue(out.startswith(b'HTTP/1.1 409'), out)
            self.assertIn(b'Connection: close', out)
            self.assertEqual(out.count(b'HTTP/1.1'), 1)

    def test_unread_body_is_drained(self):
        with self.server.connect() as s:
            s.sendall(put(b'/early', b'', b'Content-Length: 100000'))
            status, head, _ = reply(s)
            self.assertEqual((status, b'close' in head), (409, False))
            s.sendall(b'x' * 100000 + get(b'/hello'))
            self.assertEqual(reply(s)[2], b'hello')
            s.sendall(put(b'/early', b'3\r\nabc\r\n0\r\n\r\n', CHUNKED) + get(b'/hello'))
            self.assertEqual(reply(s)[0], 409)
            self.assertEqual(reply(s)[2], b'hello')

    def test_unread_long_body_closes(self):
        with self.server.connect() as s:
            s.sendall(put(b'/early', b'', b'Content-Length: 50000000'))
            send(s, b'x' * 500000)
            status, head, _ = reply(s)
            self.assertEqual((status, b'Connection: close' in head), (409, True))
            self.assertEqual(s.recv(1), b'')

    def test_unread_endless_chunks_close(self):
        with self.server.connect() as s:
            s.sendall(put(b'/early', b'', CHUNKED))
            self.assertEqual(reply(s)[0], 409)
            send(s, b'10000\r\n%s\r\n' % (b'x' * 65536) * 40)
            self.assertIn(until_eof(s), (b'', b'<reset>'))

    def test_reply_in_the_middle(self):
        with self.server.connect() as s:
            s.sendall(put(b'/mid', b'', b'Content-Length: 200000') + b'x' * 1000)
            self.assertEqual(reply(s)[0], 413)
            s.sendall(b'x' * 199000 + get(b'/hello'))
            self.assertEqual(reply(s)[2], b'hello')

    def test_slow_sink_gets_it_all(self):
        with self.server.connect() as s:
            s.sendall(put(b'/slow?1', b'x' * 3000000) + put(b'/slow?1', b'3\r\nabc\r\n' * 20 + b'0\r\n\r\n', CHUNKED))
            total, _, biggest = map(int, reply(s)[2].split())
            self.assertEqual(total, 3000000)
            self.assertLessEqual(biggest, 65536)
            self.assertEqual(reply(s)[2], b'60 20 3')

    def test_time_of_the_sink_is_not_the_clients(self):
        with self.server.connect() as s:
            s.sendall(put(b'/slow?1300', b'1\r\na\r\n1\r\nb\r\n0\r\n\r\n', CHUNKED))
            self.assertEqual(reply(s)[2], b'2 2 1')

    def test_broken_chunks(self):
        for name, chunks in BROKEN_CHUNKS:
            for step in (None, 1):
                with self.server.connect() as s:
                    send(s, put(b'/echo', chunks, CHUNKED) + get(b'/hello'), step)
                    out = until_eof(s)
                self.assertTrue(out.startswith(b'HTTP/1.1 499'), (name, step, out))
                self.assertEqual(out.count(b'HTTP/1.1'), 1, name)
        stats = self.server.stats()
        self.assertEqual(stats['failed'], 2 * len(BROKEN_CHUNKS))
        self.assertEqual(stats['error'], -errno.EPROTO)

    def test_framing_without_a_body_has_a_limit(self):
        for flood in (b'1;' + b'a' * 40000, b'1\r\na\r\n0\r\n' + b'A: b\r\n' * 8000):
            with self.server.connect() as s:
                send(s, put(b'/echo', flood, CHUNKED))  # and no more: else it would be a 408
                self.assertEqual(reply(s)[0], 499)

    def test_good_chunks(self):
        for chunks, body in GOOD_CHUNKS:
            out = self.server.talk(put(b'/echo', chunks, CHUNKED) + get(b'/hello', CLOSE))
            self.assertIn(b'\r\n\r\n' + body + b'HTTP/1.1 200', out)

    def test_both_framings_in_swift_mode(self):
        out = self.server.talk(put(b'/echo', b'1\r\na\r\n0\r\n\r\n', b'Content-Length: 5', CHUNKED) + get(b'/hello'))
        self.assertIn(b'Connection: close', out)
        self.assertTrue(out.endswith(b'\r\n\r\na'), out)

    def test_unknown_coding_in_swift_mode(self):
        for te in (b'gzip', b'chunked, chunked', b'gzip, chunked', b'xchunked'):
            out = self.server.talk(put(b'/early', b'1\r\na\r\n0\r\n\r\n', b'Transfer-Encoding: ' + te) + get(b'/hello'))
            self.assertTrue(out.startswith(b'HTTP/1.1 409'))
            self.assertIn(b'Connection: close', out)
            self.assertNotIn(b'hello', out)


BROKEN_CHUNKS = [
    ('garbage', b'zz\r\nab'), ('no size', b'\r\nab\r\n'), ('0x', b'0x1\r\na\r\n0\r\n\r\n'),
    ('sign', b'+1\r\na\r\n0\r\n\r\n'), ('minus', b'-1\r\na\r\n0\r\n\r\n'), ('overflow', b'1' * 17 + b'\r\na'),
    ('bare LF', b'1\na\r\n0\r\n\r\n'), ('blank before CRLF', b'1 \r\na\r\n0\r\n\r\n'),
    ('too long', b'1\r\nab\r\n0\r\n\r\n'), ('any two bytes behind', b'1\r\naXX0\r\n\r\n'),
    ('LF in extension', b'1;a\nb\r\na\r\n0\r\n\r\n'), ('no last LF', b'1\r\na\r\n0\r\n\rX'),
    ('bare LF behind', b'1\r\na\n0\r\n\r\n'), ('trailer without colon', b'0\r\nfoo\r\n\r\n'),
    ('leading blank', b' 1\r\na\r\n0\r\n\r\n'),
]
GOOD_CHUNKS = [
    (b'1\r\na\r\n0\r\n\r\n', b'a'), (b'0A\r\n0123456789\r\n000\r\n\r\n', b'0123456789'),
    (b'1;z\r\na\r\n0;x="y"\r\n\r\n', b'a'), (b'0\r\n\r\n', b''), (b'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n', b'0123456789' * 2),
]


class Refusals(Wire):
    def test_bytes_in_swift_mode(self):
        empty = b'\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
        ok = b'Host: x\r\n'
        for raw, wanted in (
                (b'GET /' + b'a' * 8177 + b' HTTP/1.1\r\n', b'HTTP/1.0 414 Request URI Too Long' + empty),
                (b'GET / HTTP/1.1\r\n' + ok + b'X: %s\r\n\r\n' % (b'a' * 8187), b'HTTP/1.0 400 Header Line Too Long' + empty),
                (b'GET / HTTP/1.1\r\n' + b'X: %s\r\n' % (b'a' * 8000) * 9, b'HTTP/1.0 400 Headers Too Large' + empty),
                (b'GET / HTTP/1.1\r\nContent-Length: abc\r\n\r\n', b'HTTP/1.0 400 Bad Request' + empty),
                (b'GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n', b'HTTP/1.0 400 Bad Request' + empty)):
            self.assertEqual(self.server.talk(raw), wanted)
        for raw, wanted in ((b'GET / HTTP/1.1\r\n' + b'X: a\r\n' * 201 + b'\r\n', b'HTTP/1.1 431 Too many headers\r\n'),
                            (b'GET\r\n\r\n', b'HTTP/1.1 400 Bad request syntax'),
                            (b'GET / HTTX/1.1\r\n\r\n', b'HTTP/1.1 400 Bad request version'),
                            (b'GET / HTTP/2.0\r\n\r\n', b'HTTP/1.1 505 Invalid HTTP version')):
            out = self.server.talk(raw)
            self.assertTrue(out.startswith(wanted), out)
            self.assertIn(b'Connection: close', out)
            self.assertEqual(len(DATE.findall(out)), 1)

    def test_refusal_reaches_a_client_that_goes_on_sending(self):
        with self.server.connect() as s:
            send(s, b'GET / HTTX/1.1\r\n\r\n' + b'x' * 3000000)
            self.assertTrue(until_eof(s).startswith(b'HTTP/1.1 400'))

    def test_no_access_line(self):
        self.server.talk(b'GET\r\n\r\n')
        self.assertNotIn(b'access', self.server.log_text())


class Alone(Wire):
    options = ('client_timeout=1', 'standalone=1')

    def test_refusals_say_why(self):
        for raw, status in ((b'GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n', 400), (b'GET / HTTP/1.1\r\n\r\n', 400),
                            (put(b'/echo', b'', b'Content-Length: 5', CHUNKED), 400),
                            (put(b'/echo', b'', b'Transfer-Encoding: gzip'), 501),
                            (b'GET / HTTP/2.0\r\n\r\n', 505), (b'\x16\x03\x01\x02\n\r\n', 400),
                            (b'GET / HTTP/1.1\r\nX: %s\r\n\r\n' % (b'a' * 9000), 431)):
            out = self.server.talk(raw)
            self.assertTrue(out.startswith(b'HTTP/1.1 %d ' % status), out)
            self.assertRegex(out, rb'Content-Type: text/plain[^\r]*\r\n')
            self.assertRegex(out, rb'\r\n\r\n[A-Z][^\n]+\.\n$')


class Times(Wire):
    def closes_within(self, s, least, most):
        start = time.monotonic()
        self.assertEqual(until_eof(s), b'')
        self.assertTrue(least <= time.monotonic() - start <= most, time.monotonic() - start)

    def test_idle(self):
        with self.server.connect() as s:
            self.closes_within(s, 0.9, 3)

    def test_idle_after_a_request(self):
        with self.server.connect() as s:
            s.sendall(get(b'/hello'))
            reply(s)
            self.closes_within(s, 0.9, 3)

    def test_stuck_head(self):
        with self.server.connect() as s:
            s.sendall(b'GET / HT')
            self.closes_within(s, 0.9, 3)

    def trickle(self, s, piece, seconds):
        end = time.monotonic() + seconds
        s.settimeout(0.1)  # the pace
        while time.monotonic() < end:
            try:
                s.sendall(piece)
                data = s.recv(65536)
                return data + until_eof(s)
            except socket.timeout:
                continue
            except OSError:
                return b''
        return None

    def test_trickling_head(self):
        with self.server.connect() as s:
            s.sendall(b'GET / HTTP/1.1\r\n')
            self.assertEqual(self.trickle(s, b'A: b\r\n', PATIENCE), b'')

    def test_trickling_body(self):
        for headers, piece in (((b'Content-Length: 100000',), b'x'), ((CHUNKED,), b'1\r\nx\r\n')):
            with self.server.connect() as s:
                s.sendall(put(b'/echo', b'', *headers))
                out = self.trickle(s, piece, PATIENCE)
                self.assertTrue(out and out.startswith(b'HTTP/1.1 408'), out)

    def test_trickling_to_a_slow_sink(self):
        with self.server.connect() as s:
            s.sendall(put(b'/slow?10', b'', CHUNKED))
            out = self.trickle(s, b'1\r\nx\r\n', PATIENCE)
            self.assertTrue(out and out.startswith(b'HTTP/1.1 408'), out)

    def test_steady_body_is_not_slow(self):
        with self.server.connect() as s:  # three windows of 64 KiB, 0.6 s each
            s.sendall(put(b'/echo', b'', b'Content-Length: 196608'))
            s.settimeout(0.3)
            for _ in range(6):
                s.sendall(b'x' * 32768)
                with self.assertRaises(socket.timeout):
                    s.recv(1) if _ < 5 else (_ for _ in ()).throw(socket.timeout())
            s.settimeout(PATIENCE)
            self.assertEqual(reply(s)[0], 200)

    def test_client_that_does_not_read(self):
        with self.server.connect(small_buffer=True) as s:
            s.sendall(get(b'/stream/100000000'))
            self.assertTrue(wait_for(lambda: self.server.stats()['gone'] == 1))

    def test_many_connections_time_out(self):
        socks = [self.server.connect() for _ in range(200)]
        for s in socks:
            self.assertEqual(until_eof(s), b'')
            s.close()


class Ends(Wire):
    options = ('client_timeout=5',)

    def test_half_close(self):
        self.assertTrue(self.server.talk(get(b'/hello'), shut=True).endswith(b'hello'))
        self.assertEqual(self.server.talk(get(b'/hello') * 3, shut=True).count(b'hello'), 3)
        self.assertTrue(self.server.talk(put(b'/slow?50', b'abc'), shut=True).endswith(b'3 1 3'))
        self.assertEqual(len(self.server.talk(get(b'/stream/5000000'), shut=True).split(b'\r\n\r\n', 1)[1]), 5000000)

    def test_half_close_in_a_body(self):
        for path in (b'/echo', b'/slow?10'):
            out = self.server.talk(put(path, b'ab', b'Content-Length: 5'), shut=True)
            self.assertTrue(out.startswith(b'HTTP/1.1 499'), out)
        self.assertEqual(self.server.stats()['error'], -104)

    def test_half_close_while_busy(self):
        with self.server.connect() as s:
            s.sendall(get(b'/hang'))
            s.shutdown(socket.SHUT_WR)
            self.server.signal(signal.SIGUSR2)
            self.assertTrue(until_eof(s).endswith(b'released'))

    def test_hang_up_in_a_body(self):
        for how in (socket.socket.close, reset):
            before = self.server.stats()
            s = self.server.connect()
            s.sendall(put(b'/echo', b'ab', b'Content-Length: 500000'))
            how(s)
            self.assertTrue(wait_for(lambda: self.server.stats()['failed'] == before['failed'] + 1))
            self.assertEqual(self.server.stats()['gone'], before['gone'])

    def test_hang_up_between_two_streams(self):
        before = self.server.stats()
        with self.server.connect() as s:
            s.sendall(put(b'/twice?50', b'0\r\n\r\n', CHUNKED, EXPECT))
            self.assertEqual(reply(s)[0], 100)
            reset(s)
        told = lambda st: st['gone'] + st['failed'] - before['gone'] - before['failed']
        self.assertTrue(wait_for(lambda: told(self.server.stats()) == 1))

    def test_hang_up_while_the_sink_waits(self):
        s = self.server.connect()
        s.sendall(put(b'/slow?60000', b'x' * 65536, b'Content-Length: 5000000'))
        send(s, b'x' * 65536)
        self.assertTrue(wait_for(lambda: self.server.stats()['conns'] == 2))
        reset(s)
        self.assertTrue(wait_for(lambda: self.server.stats()['failed'] == 1))

    def test_reset_while_busy(self):
        s = self.server.connect()
        s.sendall(get(b'/hang'))
        reset(s)
        self.assertTrue(wait_for(lambda: self.server.stats()['gone'] == 1))

    def test_reset_while_busy_and_unread(self):
        s = self.server.connect()
        s.sendall(get(b'/hang') + b'GET /x HTTP/1.1\r\n' * 5000)
        self.assertTrue(wait_for(lambda: self.server.stats()['conns'] == 2))
        reset(s)
        self.assertTrue(wait_for(lambda: self.server.stats()['gone'] == 1))

    def test_hang_up_in_a_stream(self):
        s = self.server.connect(small_buffer=True)
        s.sendall(get(b'/stream/1000000000'))
        s.recv(100)
        s.close()
        self.assertTrue(wait_for(lambda: self.server.stats()['gone'] == 1))

    def test_cut_off_stream(self):
        out = self.server.talk(get(b'/abort/1000000'))
        self.assertIn(b'Content-Length: 1000000', out)
        self.assertLessEqual(len(out), 501000)

    def test_random_hang_ups(self):
        raw = put(b'/slow?1', b'x' * 200000) + get(b'/stream/3000000') + put(b'/echo', b'4\r\nabcd\r\n0\r\n\r\n', CHUNKED, EXPECT)
        for i in range(300):
            s = self.server.connect()
            send(s, raw[:(i * 7919) % len(raw)])
            if i % 3 == 0:
                s.setblocking(False)
            reset(s) if i % 2 else s.close()
        self.assertTrue(wait_for(lambda: self.server.stats()['conns'] == 1))


class Limits(unittest.TestCase):
    def test_max_clients(self):
        server = Server('client_timeout=5', 'max_clients=3')
        socks = [server.connect() for _ in range(3)]
        for s in socks:
            s.sendall(get(b'/hello'))
            reply(s)
        late = server.connect()
        late.sendall(get(b'/hello'))
        late.settimeout(0.3)
        with self.assertRaises(socket.timeout):
            late.recv(1)
        late.settimeout(PATIENCE)
        socks.pop().close()
        self.assertEqual(reply(late)[2], b'hello')
        for s in socks + [late]:
            s.close()
        server.stop()

    def test_no_descriptors(self):
        server = Server('client_timeout=30', fds=24)
        socks = [server.connect() for _ in range(40)]
        self.assertTrue(wait_for(lambda: b'cannot accept' in server.log_text()))
        before = server.cpu()
        socks[39].sendall(get(b'/hello'))
        socks[39].settimeout(1)
        with self.assertRaises(socket.timeout):
            socks[39].recv(1)
        self.assertLess(server.cpu() - before, 0.2)  # no busy loop
        for s in socks[:39]:
            s.close()
        socks[39].settimeout(PATIENCE)
        self.assertEqual(reply(socks[39])[2], b'hello')
        self.assertEqual(server.log_text().count(b'cannot accept'), 1)
        socks[39].close()
        server.stop()

    @unittest.skipIf(SANITIZED, 'memory under a sanitizer says nothing')
    def test_idle_connections_are_small(self):
        server = Server('client_timeout=60')
        server.talk(get(b'/hello', CLOSE))
        before = server.rss()
        socks = []
        for i in range(2000):
            s = server.connect()
            s.sendall(get(b'/hello'))
            socks.append(s)
        for s in socks:
            reply(s)
        each = (server.rss() - before) / len(socks)
        self.assertLess(each, 2048)
        for s in socks:
            s.close()
        server.stop()

    @unittest.skipIf(SANITIZED, 'memory under a sanitizer says nothing')
    def test_back_pressure(self):
        server = Server('client_timeout=60', 'quiet=1')
        server.talk(put(b'/slow?0', b'x' * 300000, close=True))
        before = server.rss()
        readers = [server.connect(small_buffer=True) for _ in range(20)]
        for s in readers:
            s.sendall(get(b'/stream/1000000000') * 3)
        writers = [server.connect() for _ in range(20)]
        for s in writers:
            s.sendall(put(b'/slow?60000', b'', b'Content-Length: 1000000000'))
            s.setblocking(False)
        taken = 0
        while select.select([], writers, [], 1)[1]:  # until no socket takes any more
            for s in writers:
                try:
                    taken += s.send(b'x' * 262144)
                except BlockingIOError:
                    pass
            self.assertLess(taken, 500000000)
        self.assertEqual(server.stats()['conns'], 41)
        self.assertLess(server.rss() - before, 40 * 100 * 1024)
        for s in readers + writers:
            s.close()
        server.stop()


class Stopping(unittest.TestCase):
    def test_graceful(self):
        server = Server('client_timeout=60')
        idle, busy, begun = server.connect(), server.connect(), server.connect()
        idle.sendall(get(b'/hello'))
        reply(idle)
        busy.sendall(get(b'/hang') + get(b'/hello'))
        begun.sendall(b'GET /hello HT')
        self.assertTrue(wait_for(lambda: server.stats()['conns'] == 4))
        server.signal(signal.SIGTERM)
        self.assertEqual(until_eof(idle), b'')
        with self.assertRaises(ConnectionRefusedError):
            server.connect()
        server.signal(signal.SIGUSR2)
        begun.sendall(b'TP/1.1\r\nHost: x\r\n\r\n')
        status, head, body = reply(begun)
        self.assertEqual((status, b'Connection: close' in head, body), (200, True, b'hello'))
        self.assertEqual(until_eof(begun), b'')
        out = until_eof(busy)
        self.assertTrue(out.endswith(b'released') and b'Connection: close' in out)
        for s in (idle, busy, begun):
            s.close()
        server.process.wait(PATIENCE)
        server.stop()

    def test_graceful_has_an_end(self):
        server = Server('client_timeout=60', 'stop_timeout=0.5')
        busy = server.connect()
        busy.sendall(get(b'/hang'))
        self.assertTrue(wait_for(lambda: server.stats()['conns'] == 2))
        server.signal(signal.SIGTERM)
        self.assertEqual(until_eof(busy), b'')
        busy.close()
        server.process.wait(PATIENCE)
        self.assertIn(b'stop_timeout passed', server.log_text())
        server.stop()

    def test_hard(self):
        server = Server('client_timeout=60')
        socks = [server.connect() for _ in range(6)]
        for s, raw in zip(socks, (b'', get(b'/hang'), put(b'/slow?60000', b'x' * 10, b'Content-Length: 20'),
                                  get(b'/stream/1000000000'), b'GET /', put(b'/echo', b'', b'Content-Length: 3'))):
            s.sendall(raw)
        self.assertTrue(wait_for(lambda: server.stats()['conns'] == 7))
        server.stop()  # SIGINT, and the exit status is 0
        for s in socks:
            s.close()

    def test_dump(self):
        server = Server('client_timeout=60')
        with server.connect() as s:
            s.sendall(get(b'/hang'))
            self.assertTrue(wait_for(lambda: server.stats()['conns'] == 2))
            server.signal(signal.SIGUSR1)
            self.assertTrue(wait_for(lambda: b'disk=' in server.log_text()))
            self.assertRegex(server.log_text(), rb'in flight: loop=0 peer=127\.0\.0\.1 "GET /hang" age_ms=\d+ stub/working')
        server.stop()


if __name__ == '__main__':
    unittest.main()
