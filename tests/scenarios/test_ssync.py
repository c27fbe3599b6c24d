# SPDX-License-Identifier: Apache-2.0
"""SSYNC, the receiver's side (replication-and-audit 2): conversations sent by hand, byte by byte.

The expectations hold for Debian's server too (--engine swift) unless a test says why not.
"""
import contextlib
import fcntl
import os
import re
import socket
import threading
import time

from base import SwiftCase, headers_of, wait_until
from harness import mime, tree, wire

START, END = b':MISSING_CHECK: START\r\n', b':MISSING_CHECK: END\r\n'
UP, UP_END = b':UPDATES: START\r\n', b':UPDATES: END\r\n'
DATA = os.urandom(3000)
ARCHIVES = mime.fragments(DATA)


class Talk:
    """A conversation. `send` makes one chunk of each argument."""

    def __init__(self, case, partition, server=None, chunked=True, **headers):
        self.case = case
        self.wire = (server or case.server).connect()
        case.addCleanup(self.wire.close)
        if chunked:
            headers['Transfer_Encoding'] = 'chunked'
        self.wire.send(wire.head_bytes('SSYNC', f'/sda1/{partition}', headers_of(headers)))

    def begin(self):
        """Status line, headers and the first chunk."""
        self.head = self.wire.read_head()
        self.case.assertEqual(self.head.status, 200, self.head)
        self.case.assertEqual(self.chunk(), b'\r\n')
        return self

    def send(self, *chunks):
        for data in chunks:
            self.wire.send(wire.chunk(data))
        return self

    def end(self):
        self.wire.send(b'0\r\n\r\n')
        return self

    def chunk(self):
        size = int(self.wire.read_until(b'\r\n'), 16)
        data = self.wire.read_exactly(size + 2)
        return data[:-2]

    def rest(self):
        """De-chunked, up to the last chunk or the close; and whether it was whole."""
        text = b''
        try:
            while True:
                piece = self.chunk()
                if not piece:
                    return text, True
                text += piece
        except wire.Closed:
            return text, False

    def wanted(self):
        """The answer to the missing check, {hash: flags} in order."""
        text = b''
        while not text.endswith(END):
            text += self.chunk()
        head, _, tail = text.partition(START)
        self.case.assertEqual(head, b'')
        lines = tail[:-len(END)].split(b'\r\n')
        return dict(line.decode().split(' ') for line in lines if line)

    def check(self, *offers):
        """A whole missing check."""
        self.send(START, *[o if isinstance(o, bytes) else o.encode() for o in offers], END)
        return self.wanted()

    def error(self):
        text, whole = self.rest()
        self.case.assertFalse(whole, text)
        return text.decode('latin-1')


def update(method, path, headers=(), body=b'', length=True):
    lines = [f'{method} {path}']
    if length and (method == 'PUT' or body):
        lines.append(f'Content-Length: {len(body)}')
    lines += [f'{k}: {v}' for k, v in headers]
    return '\r\n'.join(lines + ['', '']).encode('latin-1') + body


class SsyncCase(SwiftCase):
    def talk(self, server=None, partition=None, **headers):
        return Talk(self, partition or self.partition, server, **headers).begin()

    def offer(self, n, name=None, more=''):
        return f'{tree.hash_of(name or self.name)} {self.t(n)}{more and " " + more}\r\n'

    def wants(self, n, more='', **headers):
        """What is wanted of an offer of this test's object."""
        talk = self.talk(**headers)
        found = talk.check(self.offer(n, more=more))
        self.assertEqual(talk.send(UP, UP_END).rest(), (UP + UP_END, True))
        return found.get(tree.hash_of(self.name), '')

    def updates(self, *parts, server=None, **headers):
        talk = self.talk(server, **headers)
        self.assertEqual(talk.check(), {})
        talk.send(UP, *parts, UP_END)
        return talk

    def done(self, *parts, **headers):
        talk = self.updates(*parts, **headers)
        self.assertEqual(talk.rest(), (UP + UP_END, True))

    def put_part(self, n, body=b'hello', name=None, **headers):
        pairs = [('X-Timestamp', self.t(n)), ('Content-Type', 'text/plain')] + headers_of(headers)
        return update('PUT', name or self.name, pairs, body)


class Opening(SsyncCase):
    def test_212_ssync_first_chunk_crlf(self):
        head = self.talk().head
        self.assertEqual(head.get('X-Backend-Accept-No-Commit'), 'True')
        self.assertEqual(head.get('Transfer-Encoding'), 'chunked')
        self.assertEqual(head.get('Content-Type'), 'text/html; charset=UTF-8')
        self.assertIsNone(head.get('Content-Length'))

    def test_213_ssync_bad_frag_index(self):
        talk = Talk(self, self.partition, X_Backend_Ssync_Frag_Index="x'y")
        talk.end()
        self.check(talk.wire.read_response(), 400, 'Invalid X-Backend-Ssync-Frag-Index "x\'y"')

    def test_ssync_refusals(self):
        for path, status, text in (
                ('/sda1', 400, 'Invalid path: /sda1'), ('/sda1/0/x', 400, 'Invalid path: /sda1/0/x'),
                ('/sda1/..', 400, 'Invalid partition: ..'), ('/../0', 400, 'Invalid device: ..'),
                ('/nodev/0', 507, None)):
            with self.subTest(path=path):
                r = self.ask('SSYNC', path, b'')
                self.check(r, status, text)
        r = self.ask('SSYNC', f'/sda1/{self.partition}', b'', X_Backend_Storage_Policy_Index=9)
        self.check(r, 503, 'No policy with index 9')

    def test_ssync_trailing_slash(self):
        Talk(self, f'{self.partition}/').begin()

    def test_028_replication_server_false(self):
        server = self.start(conf={'app:object-server': {'replication_server': 'false'}})
        r = server.request('SSYNC', f'/sda1/{self.partition}', [], b'')
        self.assertEqual(r.status, 405)

    def test_connection_goes_on(self):
        talk = self.updates(self.put_part(10))
        self.assertEqual(talk.rest(), (UP + UP_END, True))
        talk.end()
        r = talk.wire.request('GET', self.path)
        self.check(r, 200, 'hello')


class Locks(SsyncCase):
    def held(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    def partition_lock(self, server):
        return os.path.join(server.device, 'objects', self.partition, '.lock-replication')

    def busy(self, **options):
        return self.start(conf={'app:object-server': dict({'replication_lock_timeout': 1}, **options)})

    def test_008_status_and_chunk_before_any_lock(self):
        fd = self.held(self.partition_lock(self.server))
        talk = self.talk()                  # both came though the lock is held
        fcntl.flock(fd, fcntl.LOCK_UN)
        self.assertEqual(talk.check(), {})

    def test_009_semaphore_full(self):
        server = self.busy(replication_concurrency=1)
        first = self.talk(server)
        self.assertEqual(first.check(), {})
        self.assertEqual(self.talk(server, partition='77').error(),
                         ":ERROR: 503 b'<html><h1>Service Unavailable</h1><p>The server is currently "
                         "unavailable. Please try again at a later time.</p></html>'\n")
        first.send(UP, UP_END)
        self.assertEqual(first.rest(), (UP + UP_END, True))
        self.assertEqual(self.talk(server, partition='77').check(), {})

    def test_010_partition_lock_held(self):
        server = self.busy()
        path = self.partition_lock(server)
        self.held(path)
        began = time.monotonic()
        self.assertEqual(self.talk(server).error(), f":ERROR: 0 '1 second: {path}'\n")
        self.assertGreaterEqual(time.monotonic() - began, 0.9)

    def test_011_device_slots(self):
        server = self.busy(replication_concurrency_per_device=2)
        one, two = self.talk(server, partition='71'), self.talk(server, partition='72')
        self.assertEqual((one.check(), two.check()), ({}, {}))
        error = self.talk(server, partition='73').error()
        # Swift says how long was left of the time when it came to this lock.
        self.assertRegex(error, rf"^:ERROR: 0 '(1|0\.9\d+|1\.0) seconds?: {server.device}/\.lock'\n$")
        for talk in (one, two):
            talk.send(UP, UP_END)
            self.assertEqual(talk.rest(), (UP + UP_END, True))
        self.assertEqual(self.talk(server, partition='73').check(), {})
        for name in ('.lock', '.lock-1', 'objects/71/.lock-replication'):
            self.assertTrue(os.path.exists(os.path.join(server.device, name)), name)

    def test_012_one_conversation_per_partition(self):
        server = self.busy(replication_concurrency_per_device=0)
        one = self.talk(server)
        self.assertEqual(one.check(), {})
        self.assertIn(f"'1 second: {self.partition_lock(server)}'", self.talk(server).error())
        one.send(UP, UP_END)
        self.assertEqual(one.rest(), (UP + UP_END, True))
        self.assertEqual(self.talk(server).check(), {})

    def test_waiting_client_leaves(self):
        """Whoever hangs up while waiting for a lock gives its place back at once."""
        server = self.busy(replication_concurrency=1, replication_lock_timeout=3600)
        fd = self.held(self.partition_lock(server))
        self.talk(server).wire.reset()
        fcntl.flock(fd, fcntl.LOCK_UN)

        def free():
            talk = self.talk(server, partition='75')
            talk.send(START, END)
            return START in talk.rest_of_check()
        Talk.rest_of_check = lambda t: t.chunk()
        if not self.is_oracle:      # Swift notices only when it writes
            self.assertTrue(wait_until(free))


class Offers(SsyncCase):
    def test_013_nothing_wanted(self):
        talk = self.talk().send(START, END)
        self.assertEqual([talk.chunk() for _ in range(3)], [START, b'\r\n', END])

    def test_wanted_is_one_chunk(self):
        names = [f'/a/c/w{i}' for i in range(3)]
        talk = self.talk().send(START, *[self.offer(10, n).encode() for n in names], END)
        lines = b'\r\n'.join(f'{tree.hash_of(n)} dm'.encode() for n in names)
        self.assertEqual([talk.chunk() for _ in range(4)], [START, lines, b'\r\n', END])

    def test_absent(self):
        self.assertEqual(self.wants(10), 'dm')

    def test_014_extra_words_and_items(self):
        self.assertEqual(self.wants(10, 'x:y,nothing,m:0 more words'), 'dm')

    def test_chunks_are_no_lines(self):
        for n, size in enumerate((1, 7, 64, 4096)):
            name = f'{self.name}-{n}'
            whole = (START + self.offer(10, name).encode() + END + UP + self.put_part(10, name=name) + UP_END)
            talk = self.talk()
            talk.send(*[whole[i:i + size] for i in range(0, len(whole), size)])
            talk.wanted()
            self.assertEqual(talk.rest(), (UP + UP_END, True), size)
            self.assertEqual(len(self.files(f'{self.prefix}{name}')), 1)

    def test_015_negative_delta(self):
        self.put(10)
        self.post(15)
        self.assertEqual(self.wants(20, 'm:-7a120'), 'd')       # 20 s - 5 s is not newer
        self.assertEqual(self.wants(20, 'm:-7a11f'), 'dm')

    def test_016_durable_words(self):
        for word in ('no', 'False', 'x'):
            self.assertEqual(self.wants(10, f'durable:{word}'), 'dm')

    def test_017_older_and_equal(self):
        self.put(10)
        self.assertEqual(self.wants(9), '')
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.wants(11), 'dm')

    def test_018_meta(self):
        self.put(10)
        self.post(20)
        self.assertEqual(self.wants(10, 'm:f4240'), '')         # 10 s: the same
        self.assertEqual(self.wants(10, 'm:f423f'), '')
        self.assertEqual(self.wants(10, 'm:f4241'), 'm')
        self.assertEqual(self.wants(11, 'm:f4240'), 'dm')

    def test_content_type(self):
        self.put(10)
        self.assertEqual(self.wants(10, 'm:0,t:1'), 'm')
        self.post(20, Content_Type='x/y')
        self.assertEqual(self.wants(10, 'm:f4240,t:f4240'), '')
        self.assertEqual(self.wants(10, 'm:f4240,t:f4241'), 'm')

    def test_019_older_content_type(self):
        self.put(10)
        self.assertEqual(self.wants(5, 'm:0,t:7a121'), 'm')     # 10 s and a bit: newer than both
        self.assertEqual(self.wants(20, 'm:-f4240,t:-7a120'), 'd')

    def test_020_tombstone(self):
        self.put(10)
        self.delete(20)
        self.assertEqual(self.wants(15, 'm:f4240'), '')
        self.assertEqual(self.wants(25, 'm:f4240'), 'd')

    def test_025_hash_that_is_none(self):
        words = ['../../../etc', 'x' * 32, '%2e%2e%2f' + 'a' * 23, tree.hash_of(self.name).upper()[:31]]
        talk = self.talk()
        found = talk.check(*[f'{w} {self.t(10)}\r\n' for w in words])
        self.assertEqual([v for v in found.values()], ['dm'] * len(words))

    def test_026_rsync_temp(self):
        self.put(10)
        with open(os.path.join(self.hash_dir(), '.x.data.ab12cd'), 'wb') as f:
            f.write(b'half')
        if self.is_oracle:
            self.skipTest('Swift takes the object for missing')
        self.assertEqual(self.wants(10), '')

    def test_038_expired(self):
        soon = int(time.time()) + 2
        self.put(10, X_Delete_At=soon)
        self.assertTrue(wait_until(lambda: self.ask('HEAD').status == 404))
        self.assertEqual(self.wants(10), '')
        self.done(update('POST', self.name, [('X-Timestamp', self.t(30)), ('X-Object-Meta-A', 'b'),
                                             ('X-Delete-At', str(soon))]))
        self.assertIn(f'{self.t(30)}.meta', self.files())

    def test_not_a_directory(self):
        self.put(10)
        path = self.hash_dir()
        for name in os.listdir(path):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)
        with open(path, 'wb'):
            pass
        self.assertEqual(self.wants(10), 'dm')
        self.assertTrue(self.quarantined())

    def test_obsolete_files_go(self):
        self.put(10)
        self.put(20)
        tree.write_file(self.hash_dir(), f'{self.t(5)}.data', b'x',
                        tree.data_items(self.name, self.t(5), b'x'))
        self.assertEqual(self.wants(20), '')
        self.assertEqual(self.files(), [f'{self.t(20)}.data'])

    def test_percent_encoded(self):
        word = ''.join(f'%{ord(c):02x}' for c in tree.hash_of(self.name))
        self.put(10)
        items = ''.join(f'%{ord(c):02X}' for c in 'm:1,t:0')
        found = self.talk().check(f'{word} {self.t(10)} {items}\r\n')
        self.assertEqual([v for v in found.values()], ['m'])

    def test_many(self):
        """More than are looked at together, and more than fits one chunk of the answer."""
        names = [f'/a/c/many{i}' for i in range(4000)]
        prefix = tree.hash_of(self.name)
        talk = self.talk()
        self.put(10)
        talk.send(START)
        lines = [self.offer(10, n) for n in names]
        lines.insert(2000, self.offer(10))
        for i in range(0, len(lines), 100):
            talk.send(''.join(lines[i:i + 100]).encode())
        talk.send(END)
        found = talk.wanted()
        self.assertEqual(list(found), [tree.hash_of(n) for n in names])
        self.assertNotIn(prefix, found)


class Updates(SsyncCase):
    def test_027_unlisted_headers(self):
        self.done(self.put_part(10, Foo='bar', X_Object_Meta_A='b'))
        self.assertEqual(self.stored()['Foo'], 'bar')
        self.assertEqual(self.stored()['X-Object-Meta-A'], 'b')
        self.assertEqual(self.get().body, b'hello')

    def test_028_etag_mismatch(self):
        talk = self.updates(self.put_part(10, ETag='0' * 32))
        self.assertEqual(talk.error(), ":ERROR: 500 b'ERROR: With :UPDATES: 1 failures to 0 successes'\n")
        self.assert_nothing_stored()

    def test_etag_right(self):
        self.done(self.put_part(10, ETag='5d41402abc4b2a76b9719d911017c592'))

    def test_030_delete_unknown(self):
        self.done(update('DELETE', self.name, [('X-Timestamp', self.t(10))]))
        self.assertEqual(self.files(), [f'{self.t(10)}.ts'])

    def test_031_conflict(self):
        self.put(20)
        talk = self.updates(self.put_part(10), self.put_part(20))
        self.assertEqual(talk.error(), ":ERROR: 500 b'ERROR: With :UPDATES: 2 failures to 0 successes'\n")
        self.assertEqual(self.files(), [f'{self.t(20)}.data'])

    def failing(self, count):
        return [update('PUT', f'/a/c/f{i}', [('X-Timestamp', self.t(10)), ('Content-Type', 't/t'),
                                              ('ETag', '0' * 32)], b'x') for i in range(count)]

    def working(self, count):
        return [update('DELETE', f'/a/c/w{i}', [('X-Timestamp', self.t(10))]) for i in range(count)]

    def test_032_threshold_and_ratio(self):
        server = self.start(conf={'app:object-server': {'replication_failure_threshold': 4,
                                                        'replication_failure_ratio': 1.5}})
        talk = self.updates(*self.working(3), *self.failing(4), server=server)
        self.assertEqual(talk.error(), ":ERROR: 500 b'ERROR: With :UPDATES: 4 failures to 3 successes'\n")
        talk = self.updates(*self.working(2), *self.failing(4), server=server)
        self.assertEqual(talk.error(), ":ERROR: 0 'Too many 4 failures to 2 successes'\n")

    def test_033_rest_of_failing_body(self):
        self.put(20)
        big = os.urandom(300000)
        other = f'{self.name}x'
        talk = self.updates(self.put_part(10, big), self.put_part(10, name=other))
        self.assertIn('1 failures to 1 successes', talk.error())
        self.assertEqual(self.get(path=f'{self.path}x').body, b'hello')

    def test_040_no_async_pending(self):
        self.done(self.put_part(10, X_Delete_At=str(int(time.time()) + 1000)))
        self.assertFalse(os.path.exists(os.path.join(self.server.device, 'async_pending')))
        self.assertIn('X-Delete-At', self.stored())

    def test_post(self):
        self.put(10)
        self.done(update('POST', self.name, [('X-Timestamp', self.t(20)), ('X-Object-Meta-A', 'b'),
                                             ('Content-Type', 'x/y'), ('Content-Type-Timestamp', self.t(15))]))
        self.assertEqual(self.files(), [f'{self.t(10)}.data', f'{self.t(20)}-7a120.meta'])
        got = self.get()
        self.assertEqual((got.get('X-Object-Meta-A'), got.get('Content-Type')), ('b', 'x/y'))

    def test_post_unknown_is_success(self):
        self.done(update('POST', self.name, [('X-Timestamp', self.t(20))]))

    def test_large_and_empty_bodies(self):
        big = os.urandom(5 << 20)
        parts = [self.put_part(10, b''), self.put_part(11, big), self.put_part(12, big[:65536])]
        whole = b''.join(parts)
        talk = self.talk()
        talk.check()
        talk.send(UP, *[whole[i:i + 100000] for i in range(0, len(whole), 100000)], UP_END)
        self.assertEqual(talk.rest(), (UP + UP_END, True))
        self.assertEqual(self.get().body, big[:65536])

    def test_names_that_need_quotes(self):
        name = '/a/c/%C3%BC%20%3F%25x'
        self.done(update('PUT', name, [('X-Timestamp', self.t(10)), ('Content-Type', 't/t')], b'1'))
        path = f'{self.prefix}{name}'
        self.assertEqual(self.get(path=path).body, b'1')

    def test_039_bytes_of_headers(self):
        self.done(self.put_part(10, X_Object_Meta_City='Z\xc3\xbcrich'))
        self.assertEqual(self.head().get('X-Object-Meta-City'), 'Z\xc3\xbcrich')

    def test_lines_of_bare_lf(self):
        text = f'DELETE {self.name}\nX-Timestamp: {self.t(10)}\n\n'.encode()
        self.done(text)
        self.assertEqual(self.files(), [f'{self.t(10)}.ts'])

    def test_037_bad_subrequests(self):
        ts = ('X-Timestamp', self.t(10))
        for part, text in (
                (update('GET', self.name, [ts]), "'Invalid subrequest method GET'"),
                (update('PUT', self.name, [ts], length=False),
                 f"'No content-length sent for PUT {self.name}'"),
                (update('DELETE', self.name, [ts], b'x'),
                 f"'DELETE subrequest with content-length {self.name}'"),
                (update('POST', self.name, [ts], b'x'),
                 f"'POST subrequest with content-length {self.name}'"),
                (b'DELETE\r\n\r\n', "'not enough values to unpack (expected 2, got 1)'"),
                (b'DELETE /a/c/o\r\nX-Timestamp\r\n\r\n',
                 "'not enough values to unpack (expected 2, got 1)'")):
            with self.subTest(part=part):
                self.assertEqual(self.updates(part).error(), f':ERROR: 0 {text}\n')
        self.assert_nothing_stored()

    def test_bad_length(self):
        part = update('PUT', self.name, [('Content-Length', 'x')], length=False)
        self.assertEqual(self.updates(part).error(),
                         ':ERROR: 0 "invalid literal for int() with base 10: \'x\'"\n')


class Ends(SsyncCase):
    def test_wrong_first_line(self):
        self.assertEqual(self.talk().send(b'garbage\r\n').error(),
                         ':ERROR: 0 "Looking for :MISSING_CHECK: START got b\'garbage\\\\r\\\\n\'"\n')
        talk = self.talk()
        talk.check()
        self.assertEqual(talk.send(b'it\'s "x"\t\xff\r\n').error(),
                         ':ERROR: 0 \'Looking for :UPDATES: START got '
                         'b\\\'it\\\\\\\'s "x"\\\\t\\\\xff\\\\r\\\\n\\\'\'\n')

    def test_bad_offers(self):
        for line in (b'\r\n', b'onlyhash\r\n'):
            talk = self.talk().send(START, line)
            self.assertEqual(talk.error(), ":ERROR: 0 'list index out of range'\n", line)
        for line in (b'hash x\r\n', b'\xff\xff 1\r\n', b'hash 1 m:x\r\n', b'hash 1 m:1:2\r\n',
                     b'hash 1 m:-186a1\r\n'):
            self.assertRegex(self.talk().send(START, line).error(), r'^:ERROR: 0 .*\n$', line)

    def log_has(self, text, server=None):
        return wait_until(lambda: text in (server or self.server).log())

    def test_034_end_after_missing_check(self):
        talk = self.talk()
        talk.check()
        text, whole = talk.end().rest()
        self.assertEqual(text, b'')
        if not self.is_oracle:
            self.assertFalse(whole)
        self.assertTrue(self.log_has('ssync client disconnected'))

    def test_end_at_once(self):
        self.assertEqual(self.talk().end().rest()[0], b'')

    def test_end_instead_of_end_line(self):
        talk = self.talk().send(START, self.offer(10).encode()).end()
        self.assertEqual(talk.wanted(), {tree.hash_of(self.name): 'dm'})
        talk = self.talk()
        talk.check()
        talk.send(UP, self.put_part(10)).end()
        self.assertEqual(talk.rest(), (UP + UP_END, True))
        self.assertEqual(self.files(), [f'{self.t(10)}.data'])

    def test_end_in_headers(self):
        talk = self.talk()
        talk.check()
        talk.send(UP, f'PUT {self.name}\r\nX-Timestamp: 1\r\n'.encode()).end()
        self.assertEqual(talk.error(), f":ERROR: 0 'Got no headers for PUT {self.name}'\n")

    def test_035_end_in_body(self):
        talk = self.talk()
        talk.check()
        talk.send(UP, self.put_part(10, b'x' * 100000)[:-50]).end()
        self.assertIn('1 failures to 0 successes', talk.error())
        self.assert_nothing_stored()

    def test_035_hang_up_in_body(self):
        talk = self.talk()
        talk.check()
        talk.send(UP, self.put_part(10, b'x' * 100000)[:-50])
        talk.wire.close()
        self.assertTrue(wait_until(lambda: self.talk().check() == {}))      # the lock is free again
        self.assert_nothing_stored()

    def test_broken_chunks(self):
        starts = [[], [START], [START, END, UP, self.put_part(10)[:-2]]]
        if self.is_oracle:
            starts.pop()    # 2.30.1 waits for the next subrequest; 2.36 does not
        for before in starts:
            talk = self.talk().send(*before)
            talk.wire.send(b'zz\r\n')
            text, whole = talk.rest()
            self.assertNotIn(b':ERROR:', text)
            self.assertFalse(whole)
        self.assert_nothing_stored()

    def test_036_timeout(self):
        server = self.start(conf={'app:object-server': {'client_timeout': 1}})
        missing, line, start, update_line, content = ':ERROR: 408 ', [], [], [], []
        told = []
        for before in ([], [START], [START, END], [START, END, UP], [START, END, UP, b'PUT /a/c/o\r\n']):
            talk = self.talk(server, partition=str(900 + len(told)))
            told.append((talk, talk.send(*before)))
            text = talk.error()
            told[-1] = re.sub(r'(?s)^.*:ERROR', ':ERROR', text)
        self.assertEqual(told, [f":ERROR: 408 '1.0 second: {c}'\n" for c in (
            'missing_check start', 'missing_check line', 'updates start', 'updates line',
            'updates line')])

    def test_timeout_in_body(self):
        server = self.start(conf={'app:object-server': {'client_timeout': 1}})
        talk = self.talk(server)
        talk.check()
        talk.send(UP, self.put_part(10, b'x' * 10)[:-5])
        # Swift (2.30.1) reads on for the next subrequest and times out again there.
        self.assertRegex(talk.error(), r"^:ERROR: 408 '1.0 second: updates (content|line)'\n$")
        directory = self.hash_dir(server=server)
        self.assertEqual(os.listdir(directory) if os.path.isdir(directory) else [], [])

    def test_slow_enumeration_is_not_late(self):
        """Each line has client_timeout, not all of them together."""
        server = self.start(conf={'app:object-server': {'client_timeout': 1}})
        talk = self.talk(server)
        talk.send(START)
        for i in range(4):
            time.sleep(0.5)     # the clock is what is tested
            talk.send(self.offer(10, f'/a/c/{i}').encode())
        talk.send(END)
        self.assertEqual(len(talk.wanted()), 4)

    def test_line_too_long(self):
        text = self.talk().send(START, b'x' * 70000 + b'\r\n').error()
        self.assertTrue(text.startswith(':ERROR: 0 '), text)

    def test_line_without_end(self):
        talk = self.talk().send(START, self.offer(10).encode()[:-3]).end()
        if self.is_oracle:
            self.skipTest('2.30.1 takes half a line for a line; 2.36 does not')
        self.assertEqual(talk.error(), ":ERROR: 0 'missing_check line: missing newline at end of line'\n")

    def test_offset_of_metadata(self):
        """Swift since 2.32 sends the offsets of times; 2.30.1 cannot read them."""
        if self.is_oracle:
            self.skipTest('2.30.1 ends the session')
        self.put(10)
        self.post(20)
        self.assertEqual(self.wants(10, 'm:f4240__0'), '')
        self.assertEqual(self.wants(10, 'm:f4240__1'), 'm')

    def test_too_much_wanted(self):
        if self.is_oracle:
            self.skipTest('Swift has no limit')
        server = self.start(conf={'app:object-server': {'ssync_wanted_size': 4096}})
        talk = self.talk(server)
        talk.send(START, ''.join(self.offer(10, f'/a/c/{i}') for i in range(200)).encode(), END)
        self.assertEqual(talk.error(), ":ERROR: 0 'Too much is wanted: more than ssync_wanted_size'\n")

    def fds(self):
        return len(os.listdir(f'/proc/{self.server.process.pid}/fd'))

    def test_nothing_leaks(self):
        if self.is_oracle:
            self.skipTest('the workers are other processes')
        whole = START + self.offer(10).encode() + END + UP + self.put_part(10, b'x' * 5000) + UP_END
        self.talk().send(whole).rest()
        self.assertTrue(wait_until(lambda: self.fds() <= getattr(self, 'few', 10 ** 9)))
        before = self.fds()
        for i in range(0, len(whole), 97):
            talk = self.talk()
            talk.send(whole[:i])
            (talk.wire.reset if i % 2 else talk.wire.close)()
        self.assertTrue(wait_until(lambda: self.fds() <= before), (before, self.fds()))
        self.assertEqual(self.talk().check(), {})


EC = {'X_Backend_Storage_Policy_Index': 2}


class Coded(SsyncCase):
    """Fragments: the policy of 2 + 1."""

    def place(self, n, index, durable=True, body=None):
        body = ARCHIVES[index] if body is None else body
        items = tree.data_items(self.name, self.t(n), body)
        items['X-Object-Sysmeta-Ec-Frag-Index'] = str(index)
        tree.write_file(self.hash_dir(policy=2), f'{self.t(n)}#{index}{"#d" if durable else ""}.data',
                        body, items)

    def here(self):
        return self.files(policy=2)

    def file(self, n, index, durable=True):
        return f'{self.t(n)}#{index}{"#d" if durable else ""}.data'

    def wants(self, n, more='', index=2, **headers):
        headers.update(EC)
        if index is not None:
            headers['X_Backend_Ssync_Frag_Index'] = index
        return super().wants(n, more, **headers)

    def coded_part(self, n, index, **headers):
        return self.put_part(n, ARCHIVES[index], X_Object_Sysmeta_Ec_Frag_Index=index, **headers)

    def test_absent(self):
        self.assertEqual(self.wants(10), 'dm')
        self.assertEqual(self.wants(10, index=None), 'dm')

    def test_durable_here(self):
        self.place(10, 2)
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.wants(10, 'durable:False'), '')
        self.assertEqual(self.wants(9), '')
        self.assertEqual(self.wants(11), 'dm')

    def test_another_index_here(self):
        self.place(10, 1)
        self.assertEqual(self.wants(10), 'dm')

    def test_021_made_durable(self):
        self.place(10, 2, False)
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.here(), [self.file(10, 2)])
        invalid = os.path.join(self.server.device, 'objects-2', self.partition, 'hashes.invalid')
        if not self.is_oracle:
            with open(invalid, encoding='ascii') as f:
                self.assertIn(tree.hash_of(self.name)[-3:], f.read())

    def test_made_durable_clears_what_is_older(self):
        self.place(5, 2)
        self.place(10, 2, False)
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.here(), [self.file(10, 2)])

    def test_022_cannot_be_made_durable(self):
        self.place(10, 2, False)
        os.makedirs(os.path.join(self.hash_dir(policy=2), self.file(10, 2), 'x'))
        self.assertEqual(self.wants(10), 'dm')
        self.assertIn(self.file(10, 2, False), self.here())

    def test_023_pending_on_both_sides(self):
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, 'durable:False'), '')
        self.assertEqual(self.wants(11, 'durable:False'), 'dm')
        self.assertEqual(self.here(), [self.file(10, 2, False)])

    def test_024_older_durable_and_pending(self):
        self.place(5, 1)
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, 'durable:False'), '')
        self.assertEqual(self.here(), [self.file(5, 1), self.file(10, 2, False)])

    def test_older_durable_of_same_index_and_pending(self):
        self.place(5, 2)
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, 'durable:False'), 'm')

    def test_pending_without_index_in_session(self):
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, index=None), 'dm')
        self.assertEqual(self.here(), [self.file(10, 2, False)])

    def test_029_no_commit(self):
        self.done(self.coded_part(10, 2, X_Backend_No_Commit='True'), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 2, False)])
        items = tree.metadata(os.path.join(self.hash_dir(policy=2), self.file(10, 2, False)))
        self.assertNotIn(b'X-Backend-No-Commit', items)
        self.assertEqual(items[b'X-Object-Sysmeta-Ec-Frag-Index'], b'2')

    def test_fragment_arrives_durable(self):
        self.done(self.coded_part(10, 2), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 2)])
        got = self.expect(200, 'GET', **EC)
        self.assertEqual(got.body, ARCHIVES[2])

    def test_fragments_beside_each_other(self):
        self.place(10, 1)
        self.done(self.coded_part(10, 2), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 1), self.file(10, 2)])
        talk = self.updates(self.coded_part(10, 2), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertIn('1 failures to 0 successes', talk.error())

    def test_index_of_session_fills_in(self):
        """A rebuilt fragment whose metadata does not name its index."""
        self.done(self.put_part(10, ARCHIVES[2]), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 2)])

    def test_tombstone(self):
        self.place(10, 2)
        self.done(update('DELETE', self.name, [('X-Timestamp', self.t(20))]),
                  X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [f'{self.t(20)}.ts'])
        self.assertEqual(self.wants(15), '')
        self.assertEqual(self.wants(25), 'd')
