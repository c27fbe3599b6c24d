#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SSYNC from Debian's own senders: swift-object-replicator, swift-object-reconstructor and, for
single conversations, the class they use (send.py). objsrv receives.

As on a node in a cluster, daemons and server share the devices; one device sends to another.
All in namespaces of their own.
"""
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..'))

from harness import mime, servers, stage, tree              # noqa: E402
from harness.stage import Skip, check                       # noqa: E402

ETC = '/etc/swift'
NEEDED = ('swift-object-replicator', 'swift-object-reconstructor', 'swift-ring-builder')
DEVICES = ('sda1', 'sda2', 'sda3', 'sda4')
REPLICAS = {'object': 1, 'object-1': 2, 'object-2': 3}
PART_SHIFT = 32 - 3     # part power 3


def equal(found, expected):
    check(found == expected, f'{found!r} is not {expected!r}')


class Node:
    def __init__(self, engine, root):
        self.root, self.devices = root, os.path.join(root, 'devices')
        self.server = servers.make(engine, root, devices=DEVICES)
        self.conf = os.path.join(root, 'daemons.conf')
        daemon = {'sync_method': 'ssync', 'recon_cache_path': root, 'handoffs_only': 'false',
                  'concurrency': 1, 'node_timeout': 20, 'http_timeout': 60, 'conn_timeout': 5}
        with open(self.conf, 'w', encoding='latin-1') as f:
            f.write(servers.conf_text({
                'DEFAULT': {'user': 'root', 'devices': self.devices, 'mount_check': 'false',
                            'bind_ip': '127.0.0.1', 'bind_port': self.server.port, 'swift_dir': ETC,
                            'log_level': 'DEBUG'},
                'object-replicator': daemon, 'object-reconstructor': daemon}))
        for ring, replicas in REPLICAS.items():
            self.build_ring(ring, replicas)
        self.base = int(time.time()) - 1000
        self.serial = 0

    def build_ring(self, name, replicas):
        add = [['add', '--region', '1', '--zone', '1', '--ip', '127.0.0.1', '--port',
                str(self.server.port), '--device', d, '--weight', '1'] for d in DEVICES]
        for words in (['create', '3', str(replicas), '0'], *add, ['rebalance', '--seed', '1']):
            subprocess.run(['swift-ring-builder', f'{ETC}/{name}.builder', *words], check=False,
                           capture_output=True)
        check(os.path.exists(f'{ETC}/{name}.ring.gz'), f'no ring {name}')

    def primaries(self, policy, partition):
        from swift.common.ring import Ring
        ring = Ring(ETC, ring_name='object' + (f'-{policy}' if policy else ''))
        return [n['device'] for n in ring.get_part_nodes(int(partition))]

    # ---- objects ----

    def t(self, n, offset=0):
        return tree.timestamp(self.base + n, offset)

    def fresh(self, fits=lambda partition: True):
        """A name nobody had, in a partition that fits; and the partition."""
        while True:
            self.serial += 1
            name = f'/a/c/o{self.serial}'
            partition = str(int(tree.hash_of(name)[:8], 16) >> PART_SHIFT)
            if fits(partition):
                return name, partition

    def do(self, method, device, partition, name, n, body=None, policy=0, status=None, **headers):
        told = [('X-Timestamp', self.t(n)), ('X-Backend-Storage-Policy-Index', policy)]
        if method == 'PUT':
            told.append(('Content-Type', 'text/plain'))
        told += [(k.replace('_', '-'), v) for k, v in headers.items()]
        r = self.server.request(method, f'/{device}/{partition}{name}', told, body)
        equal(r.status, status or {'PUT': 201, 'POST': 202, 'DELETE': 204}[method])

    def hash_dir(self, device, partition, name, policy=0):
        return tree.hash_dir(os.path.join(self.devices, device), policy, partition, name)

    def files(self, device, partition, name, policy=0):
        path = self.hash_dir(device, partition, name, policy)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def partition_dir(self, device, partition, policy=0):
        return os.path.join(self.devices, device, tree.objects_dir(policy), partition)

    def log(self):
        return self.server.log()

    def clear(self):
        for device in DEVICES:
            for name in os.listdir(os.path.join(self.devices, device)):
                if name.startswith('objects'):
                    shutil.rmtree(os.path.join(self.devices, device, name))

    def same(self, partition, name, policy=0, one='sda1', two='sda2'):
        a, b = (tree.snapshot(self.hash_dir(d, partition, name, policy)) for d in (one, two))
        check(a, f'{name} is not there')
        equal(tree.differences(a, b), [])

    # ---- senders ----

    def send(self, partition, policy=0, one='sda1', two='sda2', **job):
        node = {'replication_ip': '127.0.0.1', 'replication_port': self.server.port, 'device': two,
                'ip': '127.0.0.1', 'port': self.server.port, 'id': DEVICES.index(two)}
        node.update(job.pop('node', {}))
        job.update(policy=policy, partition=partition, device=one, node=node)
        done = subprocess.run(['/usr/bin/python3', os.path.join(HERE, 'send.py'), self.conf,
                               json.dumps(job)], capture_output=True, text=True, timeout=120, check=False)
        check(done.returncode == 0 and done.stdout.strip(), done.stdout + done.stderr)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        check(found['success'], done.stdout + done.stderr)
        return found

    def once(self, daemon):
        done = subprocess.run(['/usr/bin/python3', f'/usr/bin/swift-object-{daemon}', self.conf, 'once',
                               'verbose'], capture_output=True, text=True, timeout=200, check=False)
        return done.stdout + done.stderr

    def needs_replicate(self):
        if self.server.request('REPLICATE', '/sda1/0', [], None).status == 501:
            raise Skip('this server does not know REPLICATE')


# ---- single conversations ----

def test_object(node):
    name, partition = node.fresh()
    node.do('PUT', 'sda1', partition, name, 10, b'hello', X_Object_Meta_City='Z\xc3\xbcrich',
            X_Object_Sysmeta_A='b', Content_Encoding='x', X_Delete_At=str(node.base + 100000))
    found = node.send(partition)
    equal((found['in_sync'], found['asked']), (1, 1))
    # The 2.30.1 sender encodes what is not ASCII once more; everything else is the same.
    path = node.hash_dir('sda2', partition, name)
    items = tree.metadata(os.path.join(path, f'{node.t(10)}.data'))
    equal(items.pop(b'X-Object-Meta-City').decode().encode('latin-1').decode().encode('latin-1').decode(),
          'Z\u00fcrich')
    mine = tree.metadata(os.path.join(node.hash_dir('sda1', partition, name), f'{node.t(10)}.data'))
    mine.pop(b'X-Object-Meta-City')
    equal(items, mine)
    equal(node.send(partition)['asked'], 0)


def test_meta_and_tombstone(node):
    name, partition = node.fresh()
    node.do('PUT', 'sda1', partition, name, 10, b'hello')
    equal(node.send(partition)['asked'], 1)
    node.same(partition, name)
    node.do('POST', 'sda1', partition, name, 20, X_Object_Meta_A='b')
    equal(node.send(partition)['asked'], 1)
    node.same(partition, name)
    node.do('POST', 'sda1', partition, name, 30, Content_Type='x/y')
    equal(node.send(partition)['asked'], 1)
    node.same(partition, name)
    node.do('DELETE', 'sda1', partition, name, 40)
    equal(node.send(partition)['asked'], 1)
    equal(node.files('sda2', partition, name), [f'{node.t(40)}.ts'])
    node.same(partition, name)
    equal(node.send(partition)['asked'], 0)


def test_many(node):
    """More than one read of the stream, bodies of all sizes; what is newer there stays."""
    dice = random.Random(1)
    node.clear()
    name, partition = node.fresh()
    names = [name] + [node.fresh(lambda p: p == partition)[0] for _ in range(150)]
    for n in names:
        node.do('PUT', 'sda1', partition, n, 10, dice.randbytes(dice.choice((0, 5, 70000, 300000))))
        what = dice.randrange(4)
        if what == 1:
            node.do('POST', 'sda1', partition, n, 20, X_Object_Meta_A='b' * dice.randrange(200))
        elif what == 2:
            node.do('DELETE', 'sda1', partition, n, 20)
    newer = names[7]
    node.do('PUT', 'sda2', partition, newer, 99, b'newer')
    found = node.send(partition)
    equal((found['in_sync'], found['asked']), (len(names), len(names) - 1))
    for n in names:
        if n != newer:
            node.same(partition, n)
    equal(node.files('sda2', partition, newer), [f'{node.t(99)}.data'])
    equal(node.send(partition)['asked'], 0)


def new_archives():
    data = os.urandom(200000)
    return data, mime.fragments(data, 1 << 20)        # one segment, of the policy's size


def place_fragment(node, device, partition, name, n, index, data, archive, durable=True):
    items = tree.data_items(name, node.t(n), archive)
    items.update({k: v for k, v in mime.footers(archive, index, data).items() if 'Sysmeta' in k})
    tree.write_file(node.hash_dir(device, partition, name, 2),
                    f'{node.t(n)}#{index}{"#d" if durable else ""}.data', archive, items)


def test_coded_revert(node):
    """Worked conversation 2.5b of the specification."""
    data, archives = new_archives()
    node.clear()
    first, partition = node.fresh()
    e = [first] + [node.fresh(lambda p: p == partition)[0] for _ in range(4)]
    place_fragment(node, 'sda1', partition, e[0], 10, 2, data, archives[2])
    place_fragment(node, 'sda1', partition, e[1], 10, 2, data, archives[2], False)
    place_fragment(node, 'sda1', partition, e[2], 10, 2, data, archives[2])
    place_fragment(node, 'sda2', partition, e[2], 10, 2, data, archives[2], False)
    place_fragment(node, 'sda1', partition, e[3], 10, 2, data, archives[2], False)
    place_fragment(node, 'sda2', partition, e[3], 10, 2, data, archives[2], False)
    node.do('DELETE', 'sda1', partition, e[4], 10, policy=2, status=404)
    how = {'node': {'backend_index': 2, 'index': 2}, 'frag_index': 2, 'include_non_durable': True}
    found = node.send(partition, 2, **how)
    equal((found['in_sync'], found['asked']), (5, 3))
    equal([node.files('sda2', partition, n, 2) for n in e],
          [[f'{node.t(10)}#2#d.data'], [f'{node.t(10)}#2.data'], [f'{node.t(10)}#2#d.data'],
           [f'{node.t(10)}#2.data'], [f'{node.t(10)}.ts']])
    for n in (e[0], e[1], e[4]):
        node.same(partition, n, 2)
    equal(node.send(partition, 2, **how)['asked'], 0)


def test_coded_rebuild(node):
    """The missing fragment is made of the two others, which objsrv is asked for."""
    data, archives = new_archives()
    node.clear()
    name, partition = node.fresh()
    nodes = node.primaries(2, partition)
    for index in (0, 1):
        place_fragment(node, nodes[index], partition, name, 10, index, data, archives[index])
    node.do('POST', nodes[0], partition, name, 20, policy=2, X_Object_Meta_A='b')
    found = node.send(partition, 2, nodes[0], nodes[2], rebuild=True, frag_index=0,
                      node={'backend_index': 2, 'index': 2})
    equal(found['asked'], 1)
    equal(node.files(nodes[2], partition, name, 2), [f'{node.t(10)}#2#d.data', f'{node.t(20)}.meta'])
    path = os.path.join(node.hash_dir(nodes[2], partition, name, 2), f'{node.t(10)}#2#d.data')
    with open(path, 'rb') as f:
        check(f.read() == archives[2], 'another fragment')
    equal(tree.metadata(path)[b'X-Object-Sysmeta-Ec-Frag-Index'], b'2')


# ---- the daemons ----

def test_replicator_handoff(node):
    node.clear()
    name, partition = node.fresh()
    primary = node.primaries(0, partition)[0]
    handoff = next(d for d in DEVICES if d != primary)
    node.do('PUT', handoff, partition, name, 10, b'on its way', X_Object_Meta_A='b')
    node.do('POST', handoff, partition, name, 20, X_Object_Meta_A='c')
    said = node.once('replicator')
    equal(node.files(primary, partition, name), [f'{node.t(10)}.data', f'{node.t(20)}.meta'])
    check(not node.files(handoff, partition, name), said)
    r = node.server.request('GET', f'/{primary}/{partition}{name}', [], None)
    equal((r.status, r.body, r.get('X-Object-Meta-A')), (200, b'on its way', 'c'))


def test_reconstructor_revert(node):
    data, archives = new_archives()
    node.clear()
    name, partition = node.fresh()
    nodes = node.primaries(2, partition)
    handoff = next(d for d in DEVICES if d not in nodes)
    place_fragment(node, nodes[0], partition, name, 10, 0, data, archives[0])
    place_fragment(node, handoff, partition, name, 10, 1, data, archives[1])
    said = node.once('reconstructor')
    equal(node.files(nodes[1], partition, name, 2), [f'{node.t(10)}#1#d.data'])
    check(not node.files(handoff, partition, name, 2), said)


def test_replicator_primaries(node):
    node.needs_replicate()
    node.clear()
    name, partition = node.fresh()
    one, two = node.primaries(1, partition)
    node.do('PUT', one, partition, name, 10, b'twice', policy=1)
    said = node.once('replicator')
    check(node.files(two, partition, name, 1) == [f'{node.t(10)}.data'], said)
    node.do('DELETE', two, partition, name, 20, policy=1)
    said = node.once('replicator')
    check(node.files(one, partition, name, 1) == [f'{node.t(20)}.ts'], said)


def test_reconstructor_rebuild(node):
    node.needs_replicate()
    data, archives = new_archives()
    node.clear()
    name, partition = node.fresh()
    nodes = node.primaries(2, partition)
    for index in (0, 1):
        place_fragment(node, nodes[index], partition, name, 10, index, data, archives[index])
    said = node.once('reconstructor')
    check(node.files(nodes[2], partition, name, 2) == [f'{node.t(10)}#2#d.data'], said)


TESTS = (test_object, test_meta_and_tombstone, test_many, test_coded_revert, test_coded_rebuild,
         test_replicator_handoff, test_reconstructor_revert, test_replicator_primaries,
         test_reconstructor_rebuild)


@contextlib.contextmanager
def node_of(engine, root):
    node = Node(engine, root)
    try:
        node.server.start()
        yield node
    finally:
        node.server.stop()


if __name__ == '__main__':
    stage.main(__doc__, node_of, TESTS, NEEDED)
