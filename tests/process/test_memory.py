# SPDX-License-Identifier: Apache-2.0
"""After a burst of uploads the process is not as large as it was in it."""
import time

from base import LONG_S, ProcessCase, servers, status_of, wire

UPLOADS, BYTES = 400, 512 << 10


def anonymous_kib(pid):
    return int(status_of(pid)['RssAnon'].split()[0])


class Memory(ProcessCase):
    def burst(self, server):
        """None ends before all have begun: each upload's last byte comes late."""
        connections = [wire.Wire(server.port, timeout=LONG_S) for _ in range(UPLOADS)]
        body = bytes(BYTES)
        for i, c in enumerate(connections):
            c.send(f'PUT {self.put_url(server, f"o{i}")} HTTP/1.1\r\nHost: x\r\nContent-Length: {BYTES}\r\n'
                   f'Content-Type: a/b\r\nX-Timestamp: {time.time():.5f}\r\n\r\n'.encode())
        for c in connections:
            c.send(body[1:])
        for c in connections:
            c.send(b'x')
        for c in connections:
            self.assertEqual(c.read_response('PUT').status, 201)
            c.close()

    def test_after_a_burst(self):
        if servers.is_sanitized():
            self.skipTest('a sanitizer keeps what is freed')
        server = servers.start(self.kind, self.root, conf={'DEFAULT': {'workers': 2}})
        self.addCleanup(server.stop)
        before = anonymous_kib(server.process.pid)
        self.burst(server)
        self.put(server)
        kept = anonymous_kib(server.process.pid) - before
        self.assertLess(kept, 40 << 10, 'KiB')
