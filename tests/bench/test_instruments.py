# SPDX-License-Identifier: Apache-2.0
"""Do the benchmark's instruments tell the truth? Usage: test_instruments.py LOAD FLOOR LOGSINK BARE

load is pointed at a small server in this process that remembers every request; floor's tree is
read back from disk. Nothing here judges speed.
"""
import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

LOAD, FLOOR, LOGSINK, BARE = '', '', '', ''


class Memory(http.server.ThreadingHTTPServer):
    """Objects in memory, and the list of requests as they came: (connection, method, path,
    timestamp). `spoil(handler)` may answer a request instead."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.objects, self.seen, self.lock = {}, [], threading.Lock()
        self.spoil = lambda handler: False

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:         # the generator hangs up on a bad answer
            self.close_connection = True

    def answer(self, status, body=b'', length=None, **headers):
        self.send_response(status)
        self.send_header('content-LENGTH', str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def handle_any(self):
        with self.server.lock:
            self.server.seen.append((self.client_address, self.command, self.path,
                                     self.headers.get('X-Timestamp')))
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.server.spoil(self):
            return
        if self.command == 'PUT':
            self.server.objects[self.path] = body
            self.answer(201, Etag='"%s"' % hashlib.md5(body).hexdigest())
        elif self.path in self.server.objects:
            self.answer(200, self.server.objects[self.path])
        else:
            self.answer(404)

    do_PUT = do_GET = do_HEAD = handle_any


def load(server, mode, *options, size=5000, path='/d/{p}/o{i}', status=0):
    command = [LOAD, '--port', str(server.server_port), '--mode', mode, '--path', path,
               '--size', str(size), *options]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                         check=False)
    assert run.returncode == status, (run.returncode, run.stderr)
    return json.loads(run.stdout)


def filled(server, count=20, **options):
    load(server, 'put', '--requests', str(count), '--connections', '4', **options)
    server.seen.clear()


class Load(unittest.TestCase):
    def test_put_sends_each_object_once(self):
        with Memory() as server:
            report = load(server, 'put', '--requests', '300', '--connections', '9', '--threads', '2',
                          '--swift', '--spread', '7', '--first', '1000')
            self.assertEqual((report['requests'], report['errors'], report['concurrency']),
                             (300, 0, 9))
            self.assertEqual({s[2] for s in server.seen},
                             {f'/d/{i % 7}/o{i}' for i in range(1000, 1300)})
            self.assertEqual(len(server.seen), 300)
            self.assertEqual(len({s[0] for s in server.seen}), 9)
            self.assertEqual({len(b) for b in server.objects.values()}, {5000})
            self.assertEqual(len(set(server.objects.values())), 300)
            self.check_timestamps(server.seen)

    def check_timestamps(self, seen):
        last = {}
        for connection, _, _, timestamp in seen:
            self.assertRegex(timestamp, r'^\d{10}\.\d{5}$')
            self.assertGreater(timestamp, last.get(connection, ''))
            last[connection] = timestamp

    def test_sizes(self):
        for size in (0, 1, 7, 8, 9, 262144, 262145, 3000000):
            with self.subTest(size=size), Memory() as server:
                filled(server, 3, size=size)
                self.assertEqual({len(b) for b in server.objects.values()}, {size})
                for mode in ('get', 'head'):
                    report = load(server, mode, '--requests', '12', '--objects', '3', size=size)
                    self.assertEqual((report['requests'], report['errors']), (12, 0))

    def test_get_reads_all_objects(self):
        with Memory() as server:
            filled(server)
            report = load(server, 'get', '--requests', '400', '--objects', '20',
                          '--connections', '5')
            self.assertEqual(report['requests'], 400)
            self.assertEqual({s[2] for s in server.seen}, set(server.objects))
            self.assertAlmostEqual(report['mb_per_s'] / report['requests_per_s'], 0.005, 4)

    def test_close_takes_a_connection_each(self):
        with Memory() as server:
            report = load(server, 'put', '--requests', '25', '--connections', '3', '--close')
            self.assertEqual((report['requests'], report['errors']), (25, 0))
            self.assertEqual(len({s[0] for s in server.seen}), 25)

    def test_time_limit(self):
        with Memory() as server:
            report = load(server, 'put', '--seconds', '0.3', '--connections', '2')
            self.assertEqual(report['requests'], len(server.seen))
            self.assertGreater(report['seconds'], 0.2)

    def test_missing_objects_are_errors(self):
        with Memory() as server:
            filled(server)
            report = load(server, 'get', '--requests', '100', '--objects', '40', status=1)
            missing = sum(s[2] not in server.objects for s in server.seen)
            self.assertEqual((report['requests'], report['errors']), (100 - missing, missing))

    def wrong_answers(self, mode, spoil, status=1):
        with Memory() as server:
            filled(server, 1, size=100)
            server.spoil = spoil
            return load(server, mode, '--requests', '1', '--objects', '1', '--swift', size=100,
                        status=status)

    def test_wrong_answers_are_errors(self):
        rows = (
            ('get', 'other bytes', lambda h: h.answer(200, b'x' * 100)),
            ('get', 'shorter', lambda h: h.answer(200, h.server.objects[h.path][:99])),
            ('get', 'other status', lambda h: h.answer(206, h.server.objects[h.path])),
            ('head', 'other length', lambda h: h.answer(200, length=99)),
            ('put', 'other status', lambda h: h.answer(202)),
            ('put', 'other ETag', lambda h: h.answer(201, Etag='"%s"' % ('0' * 32))),
            ('put', 'no ETag', lambda h: h.answer(201)),
        )
        for mode, what, answer in rows:
            with self.subTest(mode=mode, what=what):
                report = self.wrong_answers(mode, lambda h, a=answer: a(h) or True)
                self.assertEqual((report['requests'], report['errors']), (0, 1))

    def test_hang_up_within_the_body_is_an_error(self):
        def half(handler):
            handler.answer(200, b'x' * 0, length=100)
            handler.close_connection = True
            return True
        report = self.wrong_answers('get', half)
        self.assertEqual((report['requests'], report['errors']), (0, 1))

    def test_slow_answer_is_in_the_histogram(self):
        with Memory() as server:
            filled(server)
            held = {'/d/3/o3': 0.0}

            def hold(handler):
                if handler.path in held and not held[handler.path]:
                    begin = time.monotonic()
                    threading.Event().wait(0.15)
                    held[handler.path] = time.monotonic() - begin
                return False
            server.spoil = hold
            report = load(server, 'get', '--requests', '300', '--objects', '20')
            self.assertGreater(held['/d/3/o3'], 0)
            self.assertGreaterEqual(report['max_us'], held['/d/3/o3'] * 1e6)
            self.assertLessEqual(report['max_us'], report['seconds'] * 1e6)
            self.assertLessEqual(report['p50_us'], report['p90_us'])
            self.assertLessEqual(report['p99_us'], report['max_us'])
            self.assertLess(report['p50_us'], 150000)


class Floor(unittest.TestCase):
    def check_tree(self, root, count, size):
        names, invalid = [], 0
        for path, _, files in os.walk(root):
            if 'hashes.invalid' in files:
                with open(os.path.join(path, 'hashes.invalid'), 'rb') as f:
                    invalid += len(f.readlines())
            names += [os.path.join(path, f) for f in files if f.endswith('.data')]
        self.assertEqual((len(names), invalid), (count, count))
        found = {os.path.relpath(os.path.dirname(n), root) for n in names}
        self.assertEqual(found, {self.place(i) for i in range(count)})
        for name in names:
            self.assertEqual(os.path.getsize(name), size)
            pickle = os.getxattr(name, 'user.swift.metadata')
            self.assertEqual(os.getxattr(name, 'user.swift.metadata_checksum').decode(),
                             hashlib.md5(pickle).hexdigest())
            with open(name, 'rb') as f:
                self.assertEqual(pickle[:32].decode(), hashlib.md5(f.read()).hexdigest())

    @staticmethod
    def place(i):
        name = hashlib.md5(b'changeme/a/c/%d' % i).hexdigest()
        return f'objects/{i % 5}/{name[-3:]}/{name}'

    def test_leaves_what_a_put_leaves(self):
        for form in ('short', 'full'):
            with self.subTest(form=form), tempfile.TemporaryDirectory(dir='.') as root:
                run = subprocess.run(
                    [FLOOR, '--dir', root, '--requests', '60', '--threads', '6', '--size',
                     '2000000' if form == 'full' else '4096', '--spread', '5', '--form', form],
                    stdout=subprocess.PIPE, check=True, timeout=300)
                report = json.loads(run.stdout)
                self.assertEqual((report['requests'], report['concurrency'], report['what']),
                                 (60, 6, f'floor {form}'))
                self.check_tree(root, 60, 2000000 if form == 'full' else 4096)


class Bare(unittest.TestCase):
    server_port = 0

    def setUp(self):
        with socket.create_server(('127.0.0.1', 0)) as s:
            self.server_port = s.getsockname()[1]
        self.process = subprocess.Popen([BARE, str(self.server_port), '2'])
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                return socket.create_connection(('127.0.0.1', self.server_port)).close()
            except ConnectionRefusedError:
                pass
        self.fail('does not listen')

    def tearDown(self):
        self.process.kill()
        self.process.wait()

    def test_gives_back_what_it_was_given(self):
        for mode, options in (('put', ()), ('get', ('--objects', '50')), ('head', ('--objects', '50'))):
            report = load(self, mode, '--requests', '500' if options else '50', '--connections', '8',
                          *options, size=4096)
            self.assertEqual(report['errors'], 0, mode)

    def test_what_it_was_not_given_is_missing(self):
        self.assertEqual(load(self, 'get', '--requests', '5', '--objects', '5', size=4096,
                              status=1)['errors'], 5)


class Logsink(unittest.TestCase):
    def test_takes_lines(self):
        with tempfile.TemporaryDirectory() as root:
            name = os.path.join(root, 's')
            with subprocess.Popen([LOGSINK, name], stdout=subprocess.PIPE) as sink:
                self.assertEqual(sink.stdout.readline(), b'ready\n')
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                    s.settimeout(30)    # a sink that reads nothing fills the queue
                    for _ in range(2000):
                        s.sendto(b'line', name)
                sink.kill()


if __name__ == '__main__':
    LOAD, FLOOR, LOGSINK, BARE = (os.path.abspath(p) for p in sys.argv[1:5])
    unittest.main(argv=sys.argv[:1] + sys.argv[5:])
