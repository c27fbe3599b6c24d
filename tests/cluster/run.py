#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""objsrv in a small real cluster of Debian's Swift: proxy, account and container server, rings.

    updater   the container server is down, an object is stored; it comes back, and Swift's
              object-updater delivers what objsrv left
    listing   what is stored, changed and deleted through the proxy is listed so
    coded     an object of an erasure-coded policy goes to three devices and comes back from two
    expirer   Swift's object-expirer finds the queue's row and deletes the object

All daemons are Debian's, in namespaces of their own.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from harness import containers, servers, stage, tree, wire      # noqa: E402
from harness.stage import check                                 # noqa: E402

ETC = '/etc/swift'
PORTS = {'proxy': 22010, 'account': 22011, 'container': 22012}
NEEDED = ('swift-proxy-server', 'swift-account-server', 'swift-container-server',
          'swift-object-updater', 'swift-container-updater', 'swift-ring-builder')
# One ring per storage policy of servers.SWIFT_CONF: the proxy loads them all at its start, and wants
# as many replicas for an erasure-coded policy as it has fragments.
OBJECT_RINGS = {'object': 1, 'object-1': 1, 'object-2': 3}
DEFAULTS = {'user': 'root', 'mount_check': 'false', 'workers': 0, 'bind_ip': '127.0.0.1',
            'log_level': 'DEBUG'}
PROXY = {'pipeline:main': {'pipeline': 'catch_errors proxy-server'},
         'app:proxy-server': {'use': 'egg:swift#proxy', 'account_autocreate': 'true',
                              'allow_account_management': 'true'},
         'filter:catch_errors': {'use': 'egg:swift#catch_errors'}}


class Cluster:
    def __init__(self, engine, root):
        self.root, self.devices = root, os.path.join(root, 'devices')
        self.objects = servers.make(engine, root, devices=('sda1', 'sda2', 'sda3'))
        self.daemons = {}
        for kind in ('account', 'container'):
            self.configure(kind, {
                'DEFAULT': dict(DEFAULTS, devices=self.devices, bind_port=PORTS[kind]),
                'pipeline:main': {'pipeline': f'{kind}-server'},
                f'app:{kind}-server': {'use': f'egg:swift#{kind}'},
                f'{kind}-updater': {'recon_cache_path': root}})
        self.configure('proxy', dict(PROXY, DEFAULT=dict(DEFAULTS, bind_port=PORTS['proxy'])))
        self.configure('updater', {
            'DEFAULT': dict(DEFAULTS, devices=self.devices),
            'object-updater': {'recon_cache_path': root, 'conn_timeout': 5, 'node_timeout': 20}})
        self.configure('expirer', dict(PROXY, **{       # it has a proxy of its own inside
            'DEFAULT': DEFAULTS,
            'object-expirer': {'recon_cache_path': root, 'dequeue_from_legacy': 'true'}}))
        for ring, port in (('account', PORTS['account']), ('container', PORTS['container']),
                           *((ring, self.objects.port) for ring in OBJECT_RINGS)):
            self.build_ring(ring, port)

    def configure(self, name, sections):
        with open(self.conf(name), 'w', encoding='latin-1') as f:
            f.write(servers.conf_text(sections))

    def conf(self, name):
        return os.path.join(self.root, f'{name}.conf')

    @staticmethod
    def build_ring(name, port):
        replicas = OBJECT_RINGS.get(name, 1)
        devices = [['add', '--region', '1', '--zone', '1', '--ip', '127.0.0.1', '--port', str(port),
                    '--device', f'sda{i + 1}', '--weight', '1'] for i in range(replicas)]
        for words in (['create', '3', str(replicas), '0'], *devices, ['rebalance']):
            subprocess.run(['swift-ring-builder', f'{ETC}/{name}.builder', *words], check=False,
                           capture_output=True)
        if not os.path.exists(f'{ETC}/{name}.ring.gz'):
            raise RuntimeError(f'no ring {name}')

    def start(self, kind):
        with open(os.path.join(self.root, f'{kind}.log'), 'ab') as log:
            self.daemons[kind] = subprocess.Popen(
                ['/usr/bin/python3', f'/usr/bin/swift-{kind}-server', self.conf(kind), 'verbose'],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                with wire.Wire(PORTS[kind]) as c:
                    c.request('OPTIONS', '/')
                return
            except (OSError, wire.Closed):
                if self.daemons[kind].poll() is not None:
                    break
        raise RuntimeError(f'{kind} server does not answer: {self.log(kind)}')

    def stop(self, kind):
        self.daemons[kind].kill()
        self.daemons.pop(kind).wait()

    def log(self, name=None):
        """Of a daemon, or of the object server."""
        if name is None:
            return self.objects.log()
        with open(os.path.join(self.root, f'{name}.log'), encoding='latin-1') as f:
            return f.read()[-3000:]

    def once(self, daemon, conf):
        """Runs a daemon's single sweep; what it said."""
        done = subprocess.run(['/usr/bin/python3', f'/usr/bin/swift-{daemon}', self.conf(conf), 'once',
                               'verbose'], capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr

    def expire_once(self):
        """The expirer's program is a package of its own; the daemon is in python3-swift."""
        code = ('import sys; from swift.common.daemon import run_daemon; '
                'from swift.obj.expirer import ObjectExpirer; '
                'run_daemon(ObjectExpirer, sys.argv[1], once=True, verbose=True)')
        done = subprocess.run(['/usr/bin/python3', '-c', code, self.conf('expirer')],
                              capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr

    def request(self, method, path, headers=(), body=None, port=None):
        with wire.Wire(port or PORTS['proxy']) as c:
            return c.request(method, path, dict(headers), body)

    def listing(self, container, account='AUTH_t'):
        r = self.request('GET', f'/v1/{account}/{container}?format=json')
        return {e['name']: e for e in json.loads(r.body)} if r.status == 200 else {}

    def close(self):
        for kind in list(self.daemons):
            self.stop(kind)
        self.objects.stop()


def partition(path):
    return int(tree.hash_of(path)[:8], 16) >> 29        # part power 3


def test_updater(cluster):
    name, now = '/AUTH_t/c/down \u00e9', time.time()
    check(cluster.request('PUT', '/v1/AUTH_t/c').status in (201, 202), 'no container')
    cluster.stop('container')
    r = cluster.objects.request('PUT', f'/sda1/{partition(name)}/AUTH_t/c/down%20%C3%A9', [
        ('X-Timestamp', tree.timestamp(now)), ('Content-Type', 'text/x'),
        ('X-Container-Host', f'127.0.0.1:{PORTS["container"]}'), ('X-Container-Device', 'sda1'),
        ('X-Container-Partition', partition('/AUTH_t/c'))], b'hello')
    check(r.status == 201, r)
    left = containers.pendings(cluster.objects.device)
    check(list(left) == [containers.pending_name(name, tree.timestamp(now))], left)
    said = cluster.once('object-updater', 'updater')
    check(len(containers.pendings(cluster.objects.device)) == 1, 'delivered to nobody')
    cluster.start('container')
    said += cluster.once('object-updater', 'updater')
    check(containers.pendings(cluster.objects.device) == {}, said)
    found = cluster.listing('c').get('down \u00e9', {})
    check((found.get('bytes'), found.get('hash'), found.get('content_type')) ==
          (5, '5d41402abc4b2a76b9719d911017c592', 'text/x'), found)


def test_listing(cluster):
    path = '/v1/AUTH_t/l/o'
    cluster.request('PUT', '/v1/AUTH_t/l')
    check(cluster.request('PUT', path, {'Content-Type': 'a/b'}, b'abc').status == 201, 'PUT')
    check(cluster.listing('l')['o']['bytes'] == 3, cluster.listing('l'))
    check(cluster.request('POST', path, {'Content-Type': 'c/d'}).status == 202, 'POST')
    check(cluster.listing('l')['o']['content_type'] == 'c/d', cluster.listing('l'))
    check(cluster.request('DELETE', path).status == 204, 'DELETE')
    check(cluster.listing('l') == {}, cluster.listing('l'))
    check(containers.pendings(cluster.objects.device) == {}, 'something was left')


def test_expirer(cluster):
    path = '/v1/AUTH_t/x/o'
    cluster.request('PUT', '/v1/AUTH_t/x')
    r = cluster.request('PUT', path, {'X-Delete-After': '2'}, b'abc')
    check(r.status == 201, r)
    delete_at = cluster.request('HEAD', path).get('X-Delete-At')
    said = cluster.once('container-updater', 'container')      # the account learns of the queue
    end = time.monotonic() + 30
    while time.time() <= int(delete_at) + 1 and time.monotonic() < end:
        time.sleep(0.1)         # the clock itself is what is waited for
    check(cluster.request('GET', path).status == 404, 'has not expired')
    files = tree.object_files(os.path.join(cluster.objects.device, 'objects'))
    check([f for f in files if f.endswith('.data')], files)
    said += cluster.expire_once()
    files = tree.object_files(os.path.join(cluster.objects.device, 'objects'))
    here = os.path.join(str(partition('/AUTH_t/x/o')), tree.hash_of('/AUTH_t/x/o')[-3:],
                        tree.hash_of('/AUTH_t/x/o'))
    check([os.path.basename(f) for f in files if f.startswith(here)] == [f'{delete_at}.00000.ts'],
          f'{files}\n{said}\n{cluster.log("container")}')
    # The expirer takes its row out of the queue itself, which is a DELETE to the container.
    queue = '/v1/.expiring_objects?format=json'
    rows = [cluster.listing(c['name'], '.expiring_objects')
            for c in json.loads(cluster.request('GET', queue).body or b'[]')]
    check(not any(rows), rows)
    check(cluster.listing('x') == {}, cluster.listing('x'))


def fragments(cluster):
    return [(device, name) for device in sorted(os.listdir(cluster.devices))
            for name in tree.object_files(os.path.join(cluster.devices, device, 'objects-2'))]


def test_coded(cluster):
    path, body = '/v1/AUTH_t/coded/o', os.urandom(3 << 20)
    cluster.request('PUT', '/v1/AUTH_t/coded', {'X-Storage-Policy': 'coded'})
    r = cluster.request('PUT', path, {'X-Object-Meta-A': 'b'}, body)
    check(r.status == 201, r)
    kept = fragments(cluster)
    check([d for d, _ in kept] == ['sda1', 'sda2', 'sda3'], kept)
    check(sorted(name.rsplit('#', 2)[1:] for _, name in kept) == [[str(i), 'd.data'] for i in range(3)], kept)
    r = cluster.request('GET', path)
    check((r.status, r.body == body, r.get('X-Object-Meta-A')) == (200, True, 'b'), r.status)
    device, name = kept[0]
    shutil.rmtree(os.path.dirname(os.path.join(cluster.devices, device, 'objects-2', name)))
    r = cluster.request('GET', path)
    check((r.status, r.body == body) == (200, True), r.status)
    r = cluster.request('GET', path, {'Range': 'bytes=1048570-1048585,-7'})
    check(r.status == 206 and body[1048570:1048586] in r.body and body[-7:] in r.body, r.status)
    check(cluster.request('DELETE', path).status == 204, 'DELETE')
    check(cluster.request('GET', path).status == 404, 'still there')
    check(all(name.endswith('.ts') for _, name in fragments(cluster)), fragments(cluster))


TESTS = (test_updater, test_listing, test_coded, test_expirer)


@contextlib.contextmanager
def cluster_of(engine, root):
    cluster = Cluster(engine, root)
    try:
        cluster.objects.start()
        for kind in PORTS:
            cluster.start(kind)
        yield cluster
    finally:
        cluster.close()


if __name__ == '__main__':
    stage.main(__doc__, cluster_of, TESTS, NEEDED)
