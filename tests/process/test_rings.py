# SPDX-License-Identifier: Apache-2.0
"""servers_per_port: the ports of the object rings, read as Debian's Swift writes them."""
import gzip
import os
import struct
import subprocess

from base import ProcessCase, refuses, servers, wait_until

MAKE_RING = '''
import array, sys
from swift.common.ring.ring import RingData
devs = [dict(id=i, region=1, zone=1, ip=ip, port=int(port), replication_ip=ip, replication_port=int(port),
             device="sd%d" % i, weight=1.0, meta='"\\\\\\u00e9') if ip else None
        for i, (ip, port) in enumerate(word.rsplit(":", 1) for word in sys.argv[2:])]
RingData([array.array("H", [0] * 4)], devs, 30).save(sys.argv[1])
'''


class Rings(ProcessCase):
    def setUp(self):
        if not servers.have_oracle():
            self.skipTest('no Debian Swift here to make rings')
        self.server = None
        self.ports = [servers.free_port() for _ in range(4)]

    def ring(self, server, name, *places):
        """Swift's own code writes it, then renames it into place."""
        subprocess.run(['/usr/bin/python3', '-c', MAKE_RING, name + '.ring.gz', *places], check=True,
                       cwd=server.root)

    def configured(self, **more):
        server = self.make()
        options = dict(servers_per_port=3, swift_dir=server.root, ring_check_interval=0.1, **more)
        self.rewrite(server, f'bind_port = {server.port}\n', ''.join(f'{k} = {v}\n' for k, v in options.items()))
        return server

    def started(self, server):
        server.port = self.ports[0]
        return server.start()

    def serves(self, server, port):
        server.port = port
        try:
            return self.put(server).status == 201
        except ConnectionRefusedError:
            return False

    def test_all_local_ports(self):
        """Of all rings; not those of other machines, nor of a device that was removed (null)."""
        a, b, c, d = self.ports
        server = self.configured()
        self.ring(server, 'object', f'127.0.0.1:{a}', ':0', f'10.0.0.1:{d}', f'127.0.0.1:{b}', f'127.0.0.1:{a}')
        self.ring(server, 'object-1', f'127.0.0.1:{c}')
        self.started(server)
        for port in (a, b, c):
            self.assertTrue(self.serves(server, port), port)
        self.assertTrue(refuses(d))
        self.assertIn(f'127.0.0.1 ports {a} {b} {c}', server.log())

    def test_ring_ip(self):
        a, b = self.ports[:2]
        server = self.configured(ring_ip='10.0.0.1')
        self.ring(server, 'object', f'127.0.0.1:{a}', f'10.0.0.1:{b}')
        self.ports[0] = b
        self.started(server)
        self.assertTrue(self.serves(server, b))
        self.assertTrue(refuses(a))

    def test_every_address_of_the_machine(self):
        a, b = self.ports[:2]
        server = self.configured(ring_ip='0.0.0.0')
        self.ring(server, 'object', f'127.0.0.1:{a}', f'10.0.0.1:{b}')
        self.started(server)
        self.assertTrue(refuses(b))

    def test_a_ring_changes(self):
        """A new port is served, one no longer named is not; what is in flight there is finished."""
        a, b = self.ports[:2]
        server = self.configured()
        self.ring(server, 'object', f'127.0.0.1:{a}')
        self.started(server)
        with server.connect() as kept:
            self.assertEqual(self.put(server, connection=kept).status, 201)
            self.ring(server, 'object', f'127.0.0.1:{b}')
            self.assertTrue(wait_until(lambda: self.serves(server, b)))
            self.assertTrue(wait_until(lambda: refuses(a)))
            self.assertEqual(self.put(server, connection=kept).status, 201)
        self.ring(server, 'object', f'127.0.0.1:{a}', f'127.0.0.1:{b}')
        self.assertTrue(wait_until(lambda: self.serves(server, a)))

    def test_reload_takes_all_ports_over(self):
        a, b, c = self.ports[:3]
        server = self.configured()
        self.ring(server, 'object', f'127.0.0.1:{a}', f'127.0.0.1:{b}')
        self.started(server)
        self.reload(server)
        self.ring(server, 'object', f'127.0.0.1:{b}', f'127.0.0.1:{c}')
        self.assertTrue(wait_until(lambda: self.serves(server, c)))
        self.assertTrue(wait_until(lambda: refuses(a)))
        self.reload(server)
        self.assertTrue(wait_until(lambda: self.drained(server)))
        self.assertTrue(self.serves(server, b) and self.serves(server, c))
        self.assertTrue(refuses(a))

    def test_broken_ring_while_running(self):
        a, b = self.ports[:2]
        server = self.configured()
        self.ring(server, 'object', f'127.0.0.1:{a}')
        self.started(server)
        self.write(server, b'no ring')
        self.assertTrue(wait_until(lambda: 'object.ring.gz: expected a ring file' in server.log()))
        self.assertTrue(self.serves(server, a))
        self.ring(server, 'object', f'127.0.0.1:{b}')
        self.assertTrue(wait_until(lambda: self.serves(server, b)))

    def write(self, server, data):
        path = os.path.join(server.root, 'object.ring.gz')
        with open(path + '.new', 'wb') as f:
            f.write(data)
        os.rename(path + '.new', path)

    def test_broken_ring_at_start(self):
        def packed(text, version=1, length=None):
            return gzip.compress(struct.pack('!4sHI', b'R1NG', version, len(text) if length is None else length) + text)
        for data, told in ((b'', 'a ring file'), (b'\x80\x02}q\x00.', 'a ring file'), (packed(b'{}', 2), 'version 1'),
                           (packed(b'{}', length=99), 'the rest of the file'), (packed(b'{}'), 'a list of devices'),
                           (packed(b'{}', length=2**31), 'the rest of the file'), (packed(b'[]'), 'a list of devices'),
                           (packed(b'{"devs": [{"ip": 1}]}'), 'devices with'), (packed(b'{"devs": [7]}'), 'devices with'),
                           (packed(b'{"devs": [{"port": "x"}]}'), 'devices with'),
                           (packed(b'{"devs": [null null]}'), 'JSON'), (packed(b'{"devs": ' + b'[' * 5000), 'JSON')):
            with self.subTest(told=told):
                server = self.configured()
                self.write(server, data)
                code, log = server.run_to_end()
                self.assertEqual(code, 1)
                self.assertIn(f'object.ring.gz: expected {told}', log)

    def test_no_ring_yet(self):
        """The node may get its ring later."""
        a = self.ports[0]
        server = self.configured()
        server.launch()
        self.assertTrue(wait_until(lambda: 'names a port of this machine (ring_ip): waiting' in server.log()))
        self.ring(server, 'object', f'127.0.0.1:{a}')
        self.assertTrue(wait_until(lambda: self.serves(server, a)))
