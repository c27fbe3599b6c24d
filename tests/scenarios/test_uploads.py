# SPDX-License-Identifier: Apache-2.0
"""Uploads that do not end well, and many at once."""
import os
import threading

from base import SwiftCase, open_files, wait_until
from harness import tree, wire


def in_threads(count, work):
    """Results of work(0) .. work(count - 1), started together."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(i):
        barrier.wait()
        try:
            results[i] = work(i)
        except Exception as e:      # the caller judges it, in its own thread
            results[i] = e
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


class Aborts(SwiftCase):
    """A client that hangs up leaves nothing: no file, no directory, no descriptor.

    Deviation, meant: Swift leaves the object's empty directories."""
    oracle_too = False

    def assert_clean(self):
        self.assertTrue(wait_until(lambda: not open_files(self.server)), open_files(self.server))
        self.assert_no_trace()
        left = [p for p in tree.everything(self.server.device)
                if p.startswith('tmp') and not p.endswith('tmp') or '/.' in p and '.lock' not in p]
        self.assertEqual(left, [])

    def test_hang_up_at_every_stage(self):
        head = self.put_head(Content_Length='200000')
        for sent in (0, 1, 4096, 65536, 65537, 131072, 199999):
            for reset in (False, True):
                with self.subTest(sent=sent, reset=reset):
                    c = self.server.connect()
                    c.send(head + b'x' * sent)
                    c.reset() if reset else c.close()
                    self.get(404)
                    self.assert_clean()

    def test_hang_up_while_chunked(self):
        for tail in (b'', b'5', b'5\r\n', b'5\r\nhe', b'5\r\nhello\r\n', b'5\r\nhello\r\n0\r\n'):
            with self.subTest(tail), self.server.connect() as c:
                c.send(self.put_head(Transfer_Encoding='chunked') + tail)
            self.get(404)
            self.assert_clean()

    def test_hang_up_after_continue(self):
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length='5', Expect='100-continue'))
            self.check(c.read_response('PUT', interim=True), 100)
        self.assert_clean()

    def test_hang_up_of_many(self):
        connections = [self.server.connect() for _ in range(100)]
        for i, c in enumerate(connections):
            c.send(self.put_head(path=f'{self.path}{i}', Content_Length='300000') + b'x' * 150000)
        for c in connections:
            c.reset()
        self.assert_clean()
        self.put()

    def test_hang_up_during_get(self):
        self.put(body=b'x' * (8 << 20))
        for _ in range(20):
            c = self.server.connect(rcvbuf=4096)
            c.send(wire.head_bytes('GET', self.path))
            c.read_head()
            c.reset()
        self.assertTrue(wait_until(lambda: not open_files(self.server)), open_files(self.server))
        self.get(200)

    def test_refused_upload_keeps_the_old_one(self):
        self.put(10, body=b'old')
        for more in ({'Etag': '0' * 32}, {'Content_Length': '9'}):
            with self.server.connect() as c:
                c.send(self.put_head(20, **dict({'Content_Length': '3'}, **more)) + b'new')
                c.shut_write()
                c.read_rest()
            self.assertEqual(self.get().body, b'old')
            self.assertEqual(self.files(), [self.t(10) + '.data'])

    def test_idle_server_holds_no_device(self):
        """No descriptor stays open on a device: it could not be unmounted."""
        self.put()
        self.get()
        self.assertTrue(wait_until(lambda: not open_files(self.server)), open_files(self.server))


class Together(SwiftCase):
    def test_same_timestamp(self):
        """The last one wins, whoever that is; what is there is one whole upload."""
        bodies = [bytes([65 + i]) * 70000 for i in range(16)]
        head = dict(X_Timestamp=self.t(10), Content_Type='a/b')
        for on_existing in ('rename', 'unlink') if not self.is_oracle else ('',):
            with self.subTest(on_existing):
                conf = {'app:object-server': {'on_existing': on_existing}} if on_existing else {}
                server = self.start(name=f'same-{on_existing}', conf=conf)
                for round_ in range(4):
                    path = f'{self.path}-{round_}'
                    answers = in_threads(16, lambda i, p=path: server.request(
                        'PUT', p, {k.replace('_', '-'): v for k, v in head.items()}, bodies[i]).status)
                    self.assertEqual(set(answers) - {201, 409}, set(), answers)
                    self.assertIn(201, answers)
                    r = server.request('GET', path)
                    self.assertEqual(r.status, 200)
                    self.assertIn(r.body, bodies)
                    self.assertEqual(os.listdir(self.hash_dir(path, server=server)),
                                     [self.t(10) + '.data'])

    def test_different_timestamps(self):
        """The newest wins whatever the order of arrival."""
        for round_ in range(4):
            path = f'{self.path}-{round_}'
            answers = in_threads(16, lambda i, p=path: self.ask(
                'PUT', p, b'%d' % i * 5000, X_Timestamp=self.t(10 + i), Content_Type='a/b').status)
            self.assertEqual(set(answers) - {201, 409}, set(), answers)
            self.assertEqual(answers[15], 201)
            self.assertEqual(self.get(path=path).body, b'15' * 5000)

    def test_put_and_delete(self):
        """After all have ended the newest one decides."""
        def one(i):
            if i % 2:
                return self.ask('DELETE', X_Timestamp=self.t(10 + i)).status
            return self.ask('PUT', body=b'x', X_Timestamp=self.t(10 + i), Content_Type='a/b').status
        answers = in_threads(16, one)
        self.assertEqual(set(answers) - {201, 204, 404, 409}, set(), answers)
        self.get(404)
        self.put(40)
        self.get(200)

    def test_readers_see_whole_versions(self):
        bodies = {b'%03d' % i * 40000 for i in range(30)}
        self.put(1, body=b'000' * 40000)
        done = threading.Event()

        def write(_):
            for i in range(1, 30):
                self.ask('PUT', body=b'%03d' % i * 40000, X_Timestamp=self.t(i + 1), Content_Type='a/b')
            done.set()

        def read(_):
            seen = 0
            while not done.is_set():
                r = self.ask('GET')
                if r.status != 200 or r.body not in bodies:
                    return r
                seen += 1
            return seen
        results = in_threads(5, lambda i: write(i) if i == 0 else read(i))
        self.assertEqual([r for r in results[1:] if not isinstance(r, int)], [])

    def test_same_object_many_posts(self):
        self.put(1)
        answers = in_threads(16, lambda i: self.ask('POST', X_Timestamp=self.t(10 + i),
                                                    X_Object_Meta_N=str(i)).status)
        self.assertEqual(set(answers) - {202, 409}, set(), answers)
        self.assertEqual(self.get().get('X-Object-Meta-N'), '15')
