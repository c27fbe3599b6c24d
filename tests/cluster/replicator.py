#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two objsrv with a device each, kept alike by Debian's swift-object-replicator and rsync.

    pushed    an object that one node lacks arrives; the other node is told, and hashes it
    told      what changed on one node - POST, DELETE, an older copy - becomes so on the other
    settled   then nothing is sent any more: both sides have the same hashes
    handoff   a partition that belongs elsewhere is moved there and removed here

Daemons and servers share devices, hashes.pkl and the partition's lock. Everything is in
namespaces of its own; the rsync daemon listens on loopback there.
"""
import contextlib
import json
import os
import pickle
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from harness import servers, stage, tree               # noqa: E402
from harness.stage import check                        # noqa: E402

ETC = '/etc/swift'
RSYNC_PORT = 24050
NEEDED = ('swift-object-replicator', 'swift-ring-builder', 'rsync')
POLICIES = {0: 'object', 1: 'object-1'}     # replicated ones; the replicator wants all their rings
PART_POWER = 3


def partition(path):
    return int(tree.hash_of(path)[:8], 16) >> (32 - PART_POWER)


class Node:
    """A server, its device, its replicator's configuration."""

    def __init__(self, engine, root, device):
        self.root, self.name = root, device
        self.server = servers.make(engine, root, devices=(device,))
        self.device = os.path.join(self.server.devices, device)
        self.conf = os.path.join(root, 'replicator.conf')
        self.recon = os.path.join(root, 'recon')
        os.makedirs(self.recon)
        with open(self.conf, 'w', encoding='latin-1') as f:
            f.write(servers.conf_text({
                'DEFAULT': {'user': 'root', 'devices': self.server.devices, 'mount_check': 'false',
                            'bind_ip': '127.0.0.1', 'bind_port': self.server.port, 'log_level': 'DEBUG'},
                'object-replicator': {
                    'recon_cache_path': self.recon, 'replication_concurrency': 1, 'concurrency': 1,
                    'rsync_module': f'rsync://127.0.0.1:{RSYNC_PORT}/{{device}}'}}))

    def replicate(self):
        """One pass: (its statistics, what it said)."""
        done = subprocess.run(
            ['/usr/bin/python3', '/usr/bin/swift-object-replicator', self.conf, 'once', 'verbose'],
            capture_output=True, text=True, timeout=120, check=False)
        said = done.stdout + done.stderr
        check(done.returncode == 0, said)
        with open(os.path.join(self.recon, 'object.recon'), encoding='utf8') as f:
            return json.load(f)['replication_stats'], said

    def request(self, method, path, n, now, body=None, **headers):
        told = {'X-Timestamp': tree.timestamp(now + n), 'Content-Type': 'text/x'}
        told.update({k.replace('_', '-'): v for k, v in headers.items()})
        return self.server.request(method, f'/{self.name}/{partition(path)}{path}', told, body)

    def files(self, path):
        directory = tree.hash_dir(self.device, 0, partition(path), path)
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

    def hashes(self, path):
        r = self.server.request('REPLICATE', f'/{self.name}/{partition(path)}')
        check(r.status == 200, r)
        return pickle.loads(r.body)


class Pair:
    def __init__(self, engine, root):
        self.root = root
        self.nodes = [Node(engine, os.path.join(root, f'node{i}'), f'sd{letter}1')
                      for i, letter in enumerate('ab')]
        self.rsync = None
        self.moment = int(time.time()) - 1000

    def later(self):
        """A time of which there is nothing yet."""
        self.moment += 100
        return self.moment

    def log(self):
        return ''.join(n.server.log() for n in self.nodes)

    def start(self):
        for node in self.nodes:
            node.server.start()
        modules = ''.join(f'[{n.name}]\npath = {n.server.devices}\nread only = false\n' for n in self.nodes)
        conf = os.path.join(self.root, 'rsyncd.conf')
        with open(conf, 'w', encoding='latin-1') as f:
            f.write('uid = root\ngid = root\nuse chroot = no\naddress = 127.0.0.1\n' + modules)
        with open(os.path.join(self.root, 'rsyncd.log'), 'ab') as log:
            self.rsync = subprocess.Popen(
                ['rsync', '--daemon', '--no-detach', f'--port={RSYNC_PORT}', f'--config={conf}',
                 '--log-file=/dev/stdout'], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(('127.0.0.1', RSYNC_PORT), 5).close()
                return
            except OSError:
                if self.rsync.poll() is not None:
                    break
        raise RuntimeError('the rsync daemon does not answer')

    def ring(self):
        """Every partition on both."""
        for name in POLICIES.values():
            added = [['add', '--region', '1', '--zone', str(i), '--ip', '127.0.0.1', '--port',
                      str(n.server.port), '--device', n.name, '--weight', '1']
                     for i, n in enumerate(self.nodes)]
            for words in (['create', str(PART_POWER), '2', '0'], *added, ['rebalance']):
                subprocess.run(['swift-ring-builder', f'{ETC}/{name}.builder', *words], check=False,
                               capture_output=True)
            check(os.path.exists(f'{ETC}/{name}.ring.gz'), f'no ring {name}')

    def close(self):
        for node in self.nodes:
            node.server.stop()
        if self.rsync:
            self.rsync.kill()
            self.rsync.wait()


def test_pushed(pair):
    a, b = pair.nodes
    now = pair.later()
    path, suffix = '/a/c/pushed', tree.hash_of('/a/c/pushed')[-3:]
    b.replicate()                               # makes b's objects directories
    check(a.request('PUT', path, 0, now, b'hello', X_Object_Meta_K='v').status == 201, 'PUT')
    check(b.hashes(path) == {}, 'not empty')
    stats, said = a.replicate()
    check(stats['rsync'] >= 1, said)
    check(b.files(path) == a.files(path) == [tree.timestamp(now) + '.data'], f'{b.files(path)}\n{said}')
    r = b.request('GET', path, 1, now)
    check((r.status, r.body, r.get('X-Object-Meta-K')) == (200, b'hello', 'v'), r)
    log = b.server.log()
    for asked in (f'"REPLICATE /{b.name}/{partition(path)}"', f'"REPLICATE /{b.name}/{partition(path)}/{suffix}"'):
        check(any(asked in line and 'object-replicator' in line and '" 200 ' in line
                  for line in log.splitlines()), f'{asked}\n{log[-3000:]}')
    with open(os.path.join(b.device, 'objects', str(partition(path)), 'hashes.invalid'), encoding='ascii') as f:
        check(f.read() == suffix + '\n', 'not told')
    check(b.hashes(path) == a.hashes(path) != {}, (b.hashes(path), a.hashes(path)))


def test_told(pair):
    """Newest wins, whoever has it, and losers are cleaned away by hashing."""
    a, b = pair.nodes
    now = pair.later()
    changed, deleted, older = '/a/c/changed', '/a/c/deleted', '/a/c/older'
    for path in (changed, deleted):
        check(a.request('PUT', path, 0, now, b'one').status == 201, 'PUT')
    a.replicate()
    check(b.request('POST', changed, 10, now, X_Object_Meta_K='new').status == 202, 'POST')
    check(b.request('DELETE', deleted, 10, now).status == 204, 'DELETE')
    check(b.request('PUT', older, 0, now, b'old').status == 201, 'PUT')
    check(a.request('PUT', older, 10, now, b'new').status == 201, 'PUT')
    said = b.replicate()[1] + a.replicate()[1] + b.replicate()[1]
    check(a.request('HEAD', changed, 20, now).get('X-Object-Meta-K') == 'new', said)
    check(a.request('GET', deleted, 20, now).status == 404, said)
    check(b.request('GET', older, 20, now).body == b'new', said)
    for path, left in ((changed, ['.data', '.meta']), (deleted, ['.ts']), (older, ['.data'])):
        check(a.hashes(path) == b.hashes(path), path)
        check(a.files(path) == b.files(path), (a.files(path), b.files(path)))
        check([os.path.splitext(f)[1] for f in a.files(path)] == left, a.files(path))


def test_settled(pair):
    a, b = pair.nodes
    for node in (a, b, a, b):
        stats, said = node.replicate()
    for node in (a, b):
        stats, said = node.replicate()
        check((stats['rsync'], stats['failure'], stats['suffix_hash']) == (0, 0, 0), f'{stats}\n{said}')
        check(stats['hashmatch'] == stats['attempted'] > 0, f'{stats}\n{said}')
    for at in os.listdir(os.path.join(a.device, 'objects')):
        check([n for n in os.listdir(os.path.join(a.device, 'objects', at)) if n.endswith('.tmp')] == [], at)


def test_handoff(pair):
    """The ring has one replica now, and none of it on a: all that a has goes to b."""
    a, b = pair.nodes
    now = pair.later()
    path = '/a/c/handoff'
    check(a.request('PUT', path, 0, now, b'moved').status == 201, 'PUT')
    for name in POLICIES.values():
        for words in (['set_replicas', '1'], ['set_weight', f'--port={a.server.port}', '0', '--yes'],
                      ['rebalance', '--force']):
            subprocess.run(['swift-ring-builder', f'{ETC}/{name}.builder', *words], check=False,
                           capture_output=True)
    said = a.replicate()[1] + a.replicate()[1]
    check(b.request('GET', path, 1, now).body == b'moved', said)
    check(not os.path.exists(os.path.join(a.device, 'objects', str(partition(path)))), said)
    check(a.hashes(path) == {}, 'still there')


TESTS = (test_pushed, test_told, test_settled, test_handoff)


@contextlib.contextmanager
def pair_of(engine, root):
    pair = Pair(engine, root)
    try:
        pair.start()
        pair.ring()
        yield pair
    finally:
        pair.close()


if __name__ == '__main__':
    stage.main(__doc__, pair_of, TESTS, NEEDED)
