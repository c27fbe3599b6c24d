# SPDX-License-Identifier: Apache-2.0
"""SIGUSR1: the successor takes over sockets and locks, and nobody notices."""
import os
import pwd
import signal
import subprocess
import threading
import time

from base import (LONG_S, Notifications, ProcessCase, children, closed_by_exec, descriptors, lives,
                  refuses, servers, status_of, wait_until, wire)

RELOADS = 20


class Client(threading.Thread):
    """PUTs and GETs until told to stop; every reply but the right one is a failure."""

    def __init__(self, port, url, fresh):
        super().__init__(daemon=True)
        self.port, self.url, self.fresh = port, url, fresh
        self.stopping = threading.Event()
        self.requests, self.announced, self.failures = 0, 0, []

    def run(self):
        connection = None
        while not self.stopping.is_set() and not self.failures:
            try:
                connection = connection or wire.Wire(self.port, timeout=LONG_S)
                if self.ask(connection) or self.fresh:
                    connection.close()
                    connection = None
            except (OSError, wire.Closed, ValueError, AssertionError) as e:
                self.failures.append(f'{"fresh" if self.fresh else "kept"}, request {self.requests}: {e!r}')
        if connection:
            connection.close()

    def ask(self, connection):
        """Whether the server said that it will close."""
        put = self.requests % 2 == 0
        self.requests += 1
        headers = {'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b'} if put else {}
        r = connection.request('PUT' if put else 'GET', self.url, headers, b'0123456789' * 200 if put else None)
        assert r.status == (201 if put else 200), r
        self.announced += r.closes
        return r.closes


class Reload(ProcessCase):
    def under_load(self, server):
        clients = [Client(server.port, self.put_url(server, f'o{i}'), fresh=i % 2 == 0) for i in range(6)]
        for c in clients:
            c.start()
        counts = []
        for _ in range(RELOADS):
            before = [c.requests for c in clients]
            self.reload(server)
            self.assertTrue(wait_until(lambda: all(c.requests > n + 1 or c.failures
                                                   for c, n in zip(clients, before))))
            self.assertTrue(wait_until(lambda: self.drained(server)), 'the old server stays')
            counts.append((len(descriptors(self.pid(server))), status_of(self.serving(server))['Threads']))
        for c in clients:
            c.stopping.set()
        for c in clients:
            c.join(LONG_S)
        self.assertEqual([f for c in clients for f in c.failures], [])
        self.assertEqual(len({fds for fds, _ in counts}), 1, f'descriptors of the parent: {counts}')
        self.assertGreater(sum(c.announced for c in clients if not c.fresh), RELOADS)
        self.assertTrue(server.running())
        self.assertEqual(server.log().count('NOTICE reloaded: process'), RELOADS)

    def test_twenty_reloads_under_load(self):
        """No request fails, on kept connections or on fresh ones."""
        self.under_load(self.start())

    def test_twenty_reloads_under_load_alone(self):
        """With the locks of the data directories handed over each time."""
        self.under_load(self.start(alone=True))

    def test_upload_across_two_reloads(self):
        """It is finished by the server that began it, which says that it closes, and ends then."""
        server = self.start()
        with server.connect() as c:
            c.send(wire.head_bytes('PUT', self.put_url(server), {
                'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b', 'Content-Length': 10}) + b'01234')
            self.assertTrue(wait_until(lambda: 'PUT' in self.dump(server)))
            self.reload(server)
            self.reload(server)
            self.assertFalse(self.drained(server))
            c.send(b'56789')
            r = c.read_response('PUT')
            self.assertEqual((r.status, r.get('Connection')), (201, 'close'))
            self.assertTrue(c.is_closed())
        self.assertTrue(wait_until(lambda: self.drained(server)))
        self.assertEqual(server.request('GET', self.put_url(server)).body, b'0123456789')

    def dump(self, server):
        before = len(server.log())
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(server.log()) > before, 5)
        return server.log()[before:]

    def test_idle_connection_may_ask_once_more(self):
        server = self.start()
        with server.connect() as kept, server.connect() as untouched:
            self.assertEqual(self.put(server, connection=kept).status, 201)
            self.reload(server)
            for c in (kept, untouched):
                r = c.request('GET', self.put_url(server))
                self.assertEqual((r.status, r.get('Connection')), (200, 'close'))
        self.assertTrue(wait_until(lambda: self.drained(server)))

    def test_stale_worker_timeout(self):
        server = self.start(conf={'DEFAULT': {'stale_worker_timeout': '0.2'}})
        with server.connect() as c:
            c.send(wire.head_bytes('PUT', self.put_url(server), {
                'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b', 'Content-Length': 10}) + b'01234')
            self.assertTrue(wait_until(lambda: 'PUT' in self.dump(server)))
            self.reload(server)
            self.assertTrue(c.is_closed())
        self.assertTrue(wait_until(lambda: self.drained(server)))
        self.assertIn('stale_worker_timeout passed', server.log())

    def test_failed_reload_changes_nothing(self):
        """A configuration that is not taken: the server before goes on, also the second time."""
        server = self.start()
        self.reload(server)
        for serving in (self.serving(server), self.serving(server)):
            self.rewrite(server, 'log_level = DEBUG', 'log_level = LOUD')
            self.reload(server)
            self.assertEqual(self.serving(server), serving)
            self.assertEqual(self.put(server).status, 201)
            self.assertIn('log_level = LOUD: expected', server.log())
            self.rewrite(server, 'log_level = LOUD', 'log_level = DEBUG')
        self.reload(server)
        self.assertNotEqual(self.serving(server), serving)
        self.assertEqual(self.put(server).status, 201)

    def test_other_port_and_more_workers(self):
        server = self.start()
        old, new = server.port, servers.free_port()
        self.rewrite(server, f'bind_port = {old}', f'bind_port = {new}')
        self.rewrite(server, 'workers = 2', 'workers = 5')
        self.reload(server)
        server.port = new
        self.assertEqual(self.put(server).status, 201)
        self.assertTrue(wait_until(lambda: refuses(old)))
        self.assertEqual(self.listening(new), 5)
        self.rewrite(server, 'workers = 5', 'workers = 1')
        self.reload(server)
        self.assertTrue(wait_until(lambda: self.drained(server)))
        self.assertEqual(self.listening(new), 5)        # one loop with all of them: none is dropped
        for _ in range(40):
            self.assertEqual(self.put(server).status, 201)

    def listening(self, port):
        with open('/proc/net/tcp', encoding='ascii') as f:
            rows = [row.split() for row in f]
        return sum(row[1].endswith(f':{port:04X}') and row[3] == '0A' for row in rows)

    def test_more_workers_without_root(self):
        """Whoever root's server became may bind more sockets to its port."""
        if not self.may_become_nobody():
            self.skipTest('needs real root to become nobody')
        server = self.make()
        self.rewrite(server, 'user = root', 'user = nobody')
        for directory in [server.device] + [os.path.join(server.root, d) for d in ('', 'devices')]:
            os.chmod(directory, 0o777)
        server.start()
        self.rewrite(server, 'workers = 2', 'workers = 3')
        self.reload(server)
        self.assertEqual(status_of(self.serving(server))['Uid'].split()[0], str(pwd.getpwnam('nobody').pw_uid))
        self.assertEqual(self.listening(server.port), 3)
        self.assertEqual(self.put(server).status, 201)

    def may_become_nobody(self):
        return subprocess.run(['/usr/bin/python3', '-c', 'import os; os.setuid(65534)'], check=False,
                              stderr=subprocess.DEVNULL).returncode == 0 and self.binary_is_open()

    def binary_is_open(self):
        """nobody must be able to start the program anew."""
        return subprocess.run(['/usr/bin/python3', '-c', 'import os, sys; os.setuid(65534); '
                               'sys.exit(not os.access(sys.argv[1], os.X_OK))', servers.binary()],
                              check=False).returncode == 0

    def test_descriptors_are_closed_by_exec(self):
        server = self.start(alone=True)
        for _ in range(2):
            self.reload(server)
        self.assertTrue(wait_until(lambda: self.drained(server)))
        for pid in (self.pid(server), self.serving(server)):
            own = {n: what for n, what in descriptors(pid).items() if n not in descriptors(os.getpid())}
            self.assertEqual([(n, what) for n, what in own.items() if not closed_by_exec(pid, n)], [])
        locks = [what for what in descriptors(self.pid(server)).values() if what == server.device]
        self.assertEqual(locks, [], 'the parent holds the data directory')

    def test_lock_is_held_all_the_time(self):
        server = self.start(alone=True)
        other = self.make(name='other', alone=True, data_dirs=server.data_dirs)
        for _ in range(3):
            code, log = other.run_to_end()
            self.assertEqual(code, 1)
            self.assertIn('in use by another process', log)
            self.reload(server)

    def test_stop_ends_all(self):
        """TERM to the first process, with an upload still at the oldest server."""
        server = self.start()
        with server.connect() as c:
            c.send(wire.head_bytes('PUT', self.put_url(server), {
                'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b', 'Content-Length': 10}) + b'01234')
            self.assertTrue(wait_until(lambda: 'PUT' in self.dump(server)))
            self.reload(server)
            self.reload(server)
            below = children(self.pid(server))
            self.assertEqual(server.stop(), 0)
            self.assertTrue(c.is_closed())
        self.assertEqual([pid for pid in below if lives(pid)], [])
        self.assertTrue(refuses(server.port))

    def test_hup_finishes_requests_of_the_successor(self):
        server = self.start()
        self.reload(server)
        self.assertTrue(wait_until(lambda: self.drained(server)))
        with server.connect() as c:
            c.send(wire.head_bytes('PUT', self.put_url(server), {
                'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b', 'Content-Length': 10}) + b'01234')
            self.assertTrue(wait_until(lambda: 'PUT' in self.dump(server)))
            server.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: refuses(server.port)))
            c.send(b'56789')
            self.assertEqual(c.read_response('PUT').status, 201)
        self.assertEqual(server.process.wait(LONG_S), 0)
        server.process = None

    def test_kill_of_the_parent_takes_the_successor_along(self):
        server = self.start()
        self.reload(server)
        below = self.serving(server)
        server.kill()
        self.assertTrue(wait_until(lambda: not lives(below)))
        server.process = None

    def test_death_of_the_successor_ends_the_parent(self):
        """As it would end if it had died itself: who started it sees that."""
        server = self.start()
        self.reload(server)
        os.kill(self.serving(server), signal.SIGKILL)
        self.assertEqual(server.process.wait(LONG_S), 1)
        self.assertIn('ended by SIGKILL', server.log())
        server.process = None

    def test_two_signals_at_once(self):
        server = self.start()
        with Notifications(self.pid(server)) as told:
            for _ in range(5):
                server.process.send_signal(signal.SIGUSR1)
            self.assertEqual([told.receive(), told.receive()], [b'RELOADING=1', b'READY=1'])
        self.assertTrue(wait_until(lambda: self.drained(server)))
        self.assertEqual(self.put(server).status, 201)

    def test_signal_to_the_successor_says_where_to(self):
        server = self.start()
        self.reload(server)
        os.kill(self.serving(server), signal.SIGUSR1)
        self.assertTrue(wait_until(lambda: f'send it to process {self.pid(server)}' in server.log()))
