# SPDX-License-Identifier: Apache-2.0
"""SSYNC, the receiver's side (replication-and-audit 2): how it begins, waits and ends.

Numbers with an r are those of the edge cases in replication-and-audit 11.
"""
import contextlib
import fcntl
import os
import re
import signal
import time

from base import open_files, wait_until
from harness import servers, tree, wire
from ssync_talk import END, START, UP, UP_END, SsyncCase, Talk


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

    def test_r08_status_and_chunk_before_any_lock(self):
        fd = self.held(self.partition_lock(self.server))
        talk = self.talk()                  # both came though the lock is held
        fcntl.flock(fd, fcntl.LOCK_UN)
        self.assertEqual(talk.check(), {})

    def test_r09_semaphore_full(self):
        server = self.busy(replication_concurrency=1)
        first = self.talk(server)
        self.assertEqual(first.check(), {})
        self.assertEqual(self.talk(server, partition='77').error(),
                         ":ERROR: 503 b'<html><h1>Service Unavailable</h1><p>The server is currently "
                         "unavailable. Please try again at a later time.</p></html>'\n")
        first.send(UP, UP_END)
        self.assertEqual(first.rest(), (UP + UP_END, True))
        self.assertEqual(self.talk(server, partition='77').check(), {})

    def test_r10_partition_lock_held(self):
        server = self.busy()
        path = self.partition_lock(server)
        self.held(path)
        began = time.monotonic()
        self.assertEqual(self.talk(server).error(), f":ERROR: 0 '1 second: {path}'\n")
        self.assertGreaterEqual(time.monotonic() - began, 0.9)

    def test_r11_device_slots(self):
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

    def test_partition_lock_at_the_last_moment(self):
        """The last attempt comes up to 0.1 s late. What was left by then is not below 0."""
        if self.is_oracle:
            self.skipTest('says nothing about Swift')
        server = self.busy(replication_concurrency_per_device=1)
        self.held(os.path.join(server.device, '.lock'))
        fd = self.held(self.partition_lock(server))
        talk = self.talk(server)
        time.sleep(1)       # the clock is what is tested
        fcntl.flock(fd, fcntl.LOCK_UN)
        self.assertRegex(talk.error(), r"^:ERROR: 0 '[01](\.\d+)?(e-\d+)? seconds?: ")

    def test_r12_one_conversation_per_partition(self):
        server = self.busy(replication_concurrency_per_device=0)
        one = self.talk(server)
        self.assertEqual(one.check(), {})
        self.assertIn(f"'1 second: {self.partition_lock(server)}'", self.talk(server).error())
        one.send(UP, UP_END)
        self.assertEqual(one.rest(), (UP + UP_END, True))
        self.assertEqual(self.talk(server).check(), {})

    def test_waiting_client_leaves(self):
        """Whoever hangs up while waiting for a lock gives its place back at once."""
        if self.is_oracle:
            self.skipTest('Swift notices only when it has the lock')
        server = self.busy(replication_concurrency=1, replication_lock_timeout=3600)
        self.held(self.partition_lock(server))
        self.talk(server).wire.reset()
        self.assertTrue(wait_until(
            lambda: self.talk(server, partition='75').send(START, END).chunk() == START))

    def test_a_held_lock_holds_up_nobody_else(self):
        """Neither other conversations nor requests, though there is one thread for the disk."""
        if self.is_oracle:
            self.skipTest('says nothing about Swift')
        server = self.busy(replication_lock_timeout=3600, threads_per_device=1,
                           replication_concurrency_per_device=0)
        self.held(self.partition_lock(server))
        self.talk(server)
        self.assertEqual(self.talk(server, partition='76').check(), {})
        self.assertEqual(server.request('GET', self.path, []).status, 404)


class Ends(SsyncCase):
    @contextlib.contextmanager
    def busy_disk(self, server):
        """The one thread of the device waits for the lock of a partition."""
        directory = os.path.join(server.device, 'objects', 'busy')
        os.makedirs(directory)
        with open(os.path.join(directory, '.lock'), 'ab') as lock, server.connect() as c:
            fcntl.flock(lock, fcntl.LOCK_EX)
            c.send(wire.head_bytes('DELETE', '/sda1/busy/a/c/o', [('X-Timestamp', self.t(10))]))
            for _ in range(2):
                server.request('OPTIONS', '/', [])
            yield
            fcntl.flock(lock, fcntl.LOCK_UN)

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

    def test_r34_end_after_missing_check(self):
        talk = self.talk()
        talk.check()
        text, whole = talk.end().rest()
        self.assertEqual(text, b'')
        if not self.is_oracle:
            self.assertFalse(whole)
        self.assertTrue(self.log_has('ssync client disconnected'))

    def test_locks_that_cannot_be_had(self):
        """Not because somebody has them: an operator must know."""
        path = os.path.join(self.server.device, 'objects', self.partition)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='ascii'):
            pass
        self.assertRegex(self.talk().error(), r'^:ERROR: 0 .*(Not a directory|File exists)')
        who = rf'127.0.0.1/sda1/{self.partition} '
        wanted = who + 'EXCEPTION in ssync' if self.is_oracle else f'ERROR {who}ssync receiver: Not a directory'
        self.assertTrue(self.log_has(wanted))

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

    def test_r35_end_in_body(self):
        talk = self.talk()
        talk.check()
        talk.send(UP, self.put_part(10, b'x' * 100000)[:-50]).end()
        self.assertIn('1 failures to 0 successes', talk.error())
        self.assert_nothing_stored()

    def test_r35_hang_up_in_body(self):
        talk = self.talk()
        talk.check()
        talk.send(UP, self.put_part(10, b'x' * 100000)[:-50])
        talk.wire.close()
        self.assertTrue(wait_until(lambda: self.talk().check() == {}))      # the lock is free again
        self.assert_nothing_stored()

    def test_gone_while_the_disk_is_busy(self):
        """The sender is lost when the verb has not asked for the body yet, and never will be served."""
        if self.is_oracle:
            self.skipTest('says nothing about Swift')
        for how in ('stop', 'reset'):
            with self.subTest(how=how):
                server = self.start(how, conf={'app:object-server': {'threads_per_device': 1},
                                               'DEFAULT': {'workers': 1, 'stop_disk_timeout': 12}})
                self.lose_sender(server, how)

    def test_offers_are_looked_up_together(self):
        """Though senders put each into a chunk of its own."""
        if self.is_oracle:
            self.skipTest('says nothing about Swift')
        server = self.start(conf={'app:object-server': {'threads_per_device': 1}, 'DEFAULT': {'workers': 1}})
        talk = self.talk(server)
        offers = [self.offer(10, f'/a/c/{i}').encode() for i in range(40)]

        def does(step):
            server.process.send_signal(signal.SIGUSR2)
            return f'SSYNC/{step}' in server.log()
        with self.busy_disk(server):
            talk.send(START, *offers[:31])
            for _ in range(2):      # the loop has seen them
                server.request('OPTIONS', '/', [])
            self.assertTrue(wait_until(lambda: does('offers') or does('looking')))
            self.assertNotIn('SSYNC/looking', server.log())
            talk.send(*offers[31:], END)
            self.assertTrue(wait_until(lambda: does('looking')))
        self.assertEqual(len(talk.wanted()), 40)

    def lose_sender(self, server, how):
        talk = self.talk(server)
        talk.check()
        before = self.fds_of(server)
        with self.busy_disk(server):
            talk.send(UP, self.put_part(10, b'x' * 200000)[:-50000])
            for _ in range(2):      # the loop has seen what was sent before
                server.request('OPTIONS', '/', [])
            if how == 'reset':
                talk.wire.reset()
                self.assertTrue(wait_until(lambda: 'ssync' in server.log()))
            else:
                server.process.send_signal(signal.SIGTERM)
                self.assertTrue(wait_until(lambda: 'stopping' in server.log()))
        if how == 'reset':
            self.assertTrue(wait_until(lambda: self.fds_of(server) < before and not open_files(server)))
        else:
            self.assertEqual(server.process.wait(10), 0)

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

    def test_r36_timeout(self):
        server = self.start(conf={'app:object-server': {'client_timeout': 1}})
        for number, (before, context) in enumerate((
                ([], 'missing_check start'), ([START], 'missing_check line'),
                ([START, END], 'updates start'), ([START, END, UP], 'updates line'),
                ([START, END, UP, b'PUT /a/c/o\r\n'], 'updates line'))):
            text = self.talk(server, partition=str(900 + number)).send(*before).error()
            self.assertEqual(text[text.index(':ERROR'):], f":ERROR: 408 '1.0 second: {context}'\n")

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

    def test_no_100_in_the_stream(self):
        talk = Talk(self, self.partition, Expect='100-continue').begin()
        self.assertEqual(talk.check(), {})

    def test_body_of_known_length(self):
        whole = START + END + UP + self.put_part(10) + UP_END
        talk = Talk(self, self.partition, chunked=False, Content_Length=len(whole)).begin()
        talk.wire.send(whole)
        talk.wanted()
        self.assertEqual(talk.rest(), (UP + UP_END, True))
        self.assertEqual(self.get().body, b'hello')

    def memory_kib(self, what='VmRSS'):
        with open(f'/proc/{self.server.process.pid}/status', encoding='ascii') as f:
            return int(re.search(rf'{what}:\s+(\d+)', f.read()).group(1))

    def test_memory_is_bounded(self):
        """A long body and a long list of offers leave nothing behind and pile up nowhere."""
        if self.is_oracle:
            self.skipTest('the workers are other processes')
        if servers.is_sanitized():
            self.skipTest('a sanitizer keeps what was freed')
        self.updates(self.put_part(10, bytes(1 << 20))).rest()
        before, most = self.memory_kib(), 0
        talk = self.talk()
        talk.send(START)
        line = self.offer(10).encode()
        for _ in range(20):
            talk.send(line * 2000)
            most = max(most, self.memory_kib())
        talk.send(END)
        self.assertEqual(talk.wanted(), {})
        part = self.put_part(20, bytes(64 << 20))
        talk.send(UP)
        for i in range(0, len(part), 1 << 20):
            talk.send(part[i:i + (1 << 20)])
            most = max(most, self.memory_kib())
        talk.send(UP_END)
        self.assertEqual(talk.rest(), (UP + UP_END, True))
        self.assertLess(most - before, 4096, 'KiB')

    @staticmethod
    def fds_of(server):
        return len(os.listdir(f'/proc/{server.process.pid}/fd'))

    def fds(self):
        return self.fds_of(self.server)

    def test_nothing_leaks(self):
        if self.is_oracle:
            self.skipTest('the workers are other processes')
        whole = START + self.offer(10).encode() + END + UP + self.put_part(10, b'x' * 5000) + UP_END
        self.talk().send(whole).rest()
        before = self.fds()
        for i in range(0, len(whole), 97):
            talk = self.talk()
            talk.send(whole[:i])
            (talk.wire.reset if i % 2 else talk.wire.close)()
        self.assertTrue(wait_until(lambda: self.fds() <= before), (before, self.fds()))
        self.assertEqual(self.talk().check(), {})
