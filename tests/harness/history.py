# SPDX-License-Identifier: Apache-2.0
"""Load whose every acknowledgement is remembered, and the judge of what must still be there.

    history = History(seed)
    load = Load(history, server, writers=6); load.start()
    load.wait_acks(200)
    server.kill(); load.join()
    ... start the server again ...
    history.check(server) -> list of what is wrong, [] if all is well

Each key belongs to one writer, so the operations on it are in order. After a crash a key may
show its last acknowledged operation or one invoked after it (its answer never came), whole.
"""
import hashlib
import queue
import random
import threading
import time

from . import wire

SIZES = (0, 1, 100, 4096, 4096, 65536, 70000, 200000, 600000)


def body_of(key, version):
    """The bytes of a version: any mix of two versions is seen."""
    size = SIZES[int(hashlib.md5(f'{key} {version}'.encode()).hexdigest(), 16) % len(SIZES)]
    line = f'{key} {version};'.encode()
    return (line * (size // len(line) + 1))[:size]


class Swift:
    """How an object is addressed and stamped in a cluster."""
    def __init__(self, partition='77', device='sda1'):
        self.prefix = f'/{device}/{partition}/a/c/'

    def target(self, key):
        return self.prefix + key

    def headers(self):
        return [('X-Timestamp', f'{time.time():.5f}'), ('Content-Type', 'text/plain')]


class Alone:
    def __init__(self, container='c'):
        self.prefix = f'/{container}/'

    def target(self, key):
        return self.prefix + key

    def headers(self):
        return [('Content-Type', 'text/plain')]


class History:
    """Operations per key, in order: [version or None for DELETE, acknowledged]."""

    def __init__(self, form, seed=1):
        self.form, self.seed = form, seed
        self.operations = {}
        self.acknowledged = 0
        self.more = threading.Condition()

    def invoke(self, key, version):
        entry = [version, False]
        self.operations.setdefault(key, []).append(entry)
        return entry

    def acknowledge(self, entry):
        entry[1] = True
        with self.more:
            self.acknowledged += 1
            self.more.notify_all()

    def frozen(self):
        """For each key how many operations have to be believed now: up to the last acked."""
        return {key: self._last_acked(ops) + 1 for key, ops in list(self.operations.items())}

    @staticmethod
    def _last_acked(operations):
        return max((i for i, (_, acked) in enumerate(list(operations)) if acked), default=-1)

    def check(self, server, frozen=None):
        """What is wrong with what the server shows. `frozen`: judge by this moment's acks."""
        problems = []
        with server.connect() as c:
            for key, operations in sorted(self.operations.items()):
                problem = self._check_key(c, key, operations, frozen)
                if problem:
                    problems.append(f'{key}: {problem}')
        return problems

    def check_key(self, connection, key):
        """What is wrong with this key now, or None; asked by its writer."""
        return self._check_key(connection, key, self.operations[key], None)

    def _check_key(self, connection, key, operations, frozen):
        first = (frozen.get(key, 0) if frozen is not None else self._last_acked(operations) + 1) - 1
        allowed = {version for version, _ in operations[max(first, 0):]}
        if first < 0:
            allowed.add(None)           # never acknowledged: may not be there at all
        try:
            r = connection.request('GET', self.form.target(key))
        except wire.Closed:
            return 'the connection was cut while reading it'
        if r.status == 404:
            return None if None in allowed else f'lost; expected one of versions {sorted(allowed)}'
        if r.status != 200:
            return f'answered {r.status}'
        version = int(r.get('X-Object-Meta-Version', '-1'))
        if version not in allowed:
            return f'shows version {version}, not one of {allowed}'
        if r.body != body_of(key, version):
            return f'wrong bytes for version {version} ({len(r.body)})'
        if r.get('Etag') != f'"{hashlib.md5(r.body).hexdigest()}"':
            return 'wrong Etag'
        return None


class Load:
    """Writers, each with its own keys, until the server fails them or stop() is called."""

    def __init__(self, history, server, writers=6, keys=8, go_on=False, deletes=0.15):
        self.history, self.server, self.keys = history, server, keys
        self.deletes = deletes          # their share of the operations
        self.go_on = go_on              # an error answer is not the end
        self.stopping = threading.Event()
        self.refusals = queue.Queue()
        self.threads = [threading.Thread(target=self._write, args=(i,)) for i in range(writers)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def wait_acks(self, count, timeout=60):
        """Until `count` more operations are acknowledged; whether they were."""
        h = self.history
        with h.more:
            goal = h.acknowledged + count
            return h.more.wait_for(lambda: h.acknowledged >= goal or not self.alive(), timeout)

    def alive(self):
        return any(t.is_alive() for t in self.threads)

    def stop(self):
        self.stopping.set()
        self.join()

    def join(self):
        for t in self.threads:
            t.join()

    def _write(self, number):
        rnd = random.Random(f'{self.history.seed} {number} {self.history.acknowledged}')
        try:
            with self.server.connect() as c:
                while not self.stopping.is_set():
                    key = f'w{number}-{rnd.randrange(self.keys)}'
                    if not self._one(c, rnd, key):
                        return
        except (OSError, wire.Closed):
            return                      # killed: what was not answered stays open
        finally:
            with self.history.more:
                self.history.more.notify_all()

    def _one(self, connection, rnd, key):
        operations = self.history.operations.get(key, [])
        version = len(operations)
        delete = rnd.random() < self.deletes
        entry = self.history.invoke(key, None if delete else version)
        headers = self.history.form.headers()
        if delete:
            r = connection.request('DELETE', self.history.form.target(key), headers[:-1])
            good = r.status in (204, 404)
        else:
            r = self._put(connection, rnd, key, version, headers)
            good = r.status == 201
        if good:
            self.history.acknowledge(entry)
        else:
            self.refusals.put((key, r.status))
        return good or self.go_on

    def _put(self, connection, rnd, key, version, headers):
        body = body_of(key, version)
        headers.append(('X-Object-Meta-Version', str(version)))
        if rnd.random() < 0.3:
            headers.append(('Transfer-Encoding', 'chunked'))
            connection.send(wire.head_bytes('PUT', self.history.form.target(key), headers) +
                            wire.chunks(body, 30000))
            return connection.read_response('PUT')
        return connection.request('PUT', self.history.form.target(key), headers, body)
