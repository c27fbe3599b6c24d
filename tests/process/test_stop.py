# SPDX-License-Identifier: Apache-2.0
"""The end while a disk hangs: it is said what is waited for, and the waiting has an end.

A frozen file system is such a disk: writers sleep in the kernel, where no signal reaches them. A
process that ends while one of its threads sleeps there is a zombie until the disk wakes up."""
import re
import signal
import time

from base import LONG_S, ProcessCase, servers, status_of, wait_until, wire
from harness import mounts


class Stop(ProcessCase):
    def hanging(self, alone=False, **conf):
        """A server with a PUT that hangs in its disk, and the connection of that."""
        reason = mounts.why_not('ext4')
        if reason:
            self.skipTest(reason)
        self.image = mounts.Image(self.root, 'ext4')
        self.addCleanup(self.image.discard)
        server = servers.make(self.kind, self.root + '/' + self._testMethodName, alone=alone,
                              conf={'DEFAULT': conf})
        self.image.mount(server.device)
        self.addCleanup(server.stop)
        server.start()
        self.assertEqual(self.put(server, 'before').status, 201)
        self.image.freeze()
        self.frozen = True
        self.addCleanup(self.thaw)
        connection = wire.Wire(server.port, timeout=LONG_S)
        self.addCleanup(connection.close)
        head = f'PUT {self.put_url(server)} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Type: a/b\r\n'
        connection.send(f'{head}X-Timestamp: {time.time():.5f}\r\n\r\nxy'.encode())
        self.assertTrue(wait_until(lambda: self.dumped(server)))
        return server, connection

    def dumped(self, server):
        server.process.send_signal(signal.SIGUSR2)
        return re.search(r'in flight: .* disk=', server.log())

    def thaw(self):
        if self.frozen:
            self.frozen = False
            self.image.thaw()

    def ended(self, server):
        return status_of(server.process.pid)['State'][0] in 'ZX'

    def test_given_up(self):
        server, _ = self.hanging(stop_disk_timeout=12)
        before = len(server.log())
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)      # Swift's way: waits for no client
        self.assertTrue(wait_until(lambda: self.ended(server)), server.log())
        self.assertGreater(time.monotonic() - started, 11)
        log = server.log()[before:]
        self.assertRegex(log, r'stopping for 10 s: 1 of \d+ workers wait for what is in flight, at most [12] s more')
        self.assertRegex(log[log.index('stopping for 10 s'):], r'in flight: .*"PUT /sda1/7/a/c/o".*\n'
                                                              r'(.*\n)*.*in flight: .*disk=.* step=\w')
        self.assertRegex(log, r'stop_disk_timeout passed: ending while 1 of \d+ workers wait for a disk')
        self.thaw()
        self.assertEqual(server.process.wait(LONG_S), 1)

    def test_a_second_signal(self):
        server, _ = self.hanging()
        server.process.send_signal(signal.SIGHUP)
        self.assertTrue(wait_until(lambda: 'SIGHUP received: stopping' in server.log()))
        server.process.send_signal(signal.SIGTERM)
        self.assertTrue(wait_until(lambda: self.ended(server)), server.log())
        self.thaw()
        self.assertEqual(server.process.wait(LONG_S), -signal.SIGTERM)

    def test_the_disk_wakes_up(self):
        """Alone, TERM is graceful: what was begun is answered."""
        server, connection = self.hanging(alone=True)
        server.process.send_signal(signal.SIGTERM)
        self.assertTrue(wait_until(lambda: 'SIGTERM received: stopping' in server.log()))
        self.thaw()
        self.assertEqual(connection.read_response('PUT').status, 201)
        self.assertEqual(server.process.wait(LONG_S), 0)
