#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same SSYNC streams to Debian's swift-object-server and to objsrv.

Each case has a partition of its own on both devices: a few objects in some state, then one stream
of offers and updates made by the seed, cut into chunks anywhere. Compared: all bytes of the
reply with chunk framing taken off, whether it was whole, and what lies in the hash directories.

What may differ, and why, is in normal(). --engine swift compares the oracle with itself.
"""
import argparse
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from harness import isolate, mime, servers, suite, tree, wire        # noqa: E402

START, END = b':MISSING_CHECK: START\r\n', b':MISSING_CHECK: END\r\n'
UP, UP_END = b':UPDATES: START\r\n', b':UPDATES: END\r\n'
NAMES = [f'/a/c/o{i}' for i in range(5)]
DATA = b'0123456789' * 1000
ARCHIVES = []
CONF = {'app:object-server': {'replication_failure_threshold': 3, 'client_timeout': 20}}


class Case:
    def __init__(self, seed, base):
        self.seed, self.base = seed, base
        self.dice = random.Random(seed)
        self.partition = str(seed % 100000)
        self.policy = self.dice.choice((0, 0, 2))
        self.index = self.dice.choice((0, 1, 2, None)) if self.policy == 2 else None
        self.state = [(name, self.a_state()) for name in NAMES if self.dice.random() < 0.7]
        self.stream = self.a_stream()
        self.cuts = self.a_cutting(len(self.stream))

    def t(self, n):
        return tree.timestamp(self.base + n)

    def time(self):
        return self.dice.choice((10, 10, 20, 20, 30, 40, self.dice.randrange(50)))

    # ---- what is there ----

    def a_state(self):
        d = self.dice
        files = []
        if self.policy == 2:
            for _ in range(d.choice((1, 1, 2, 3))):
                files.append(('fragment', self.time(), d.randrange(3), d.random() < 0.6))
        elif d.random() < 0.8:
            files.append(('data', self.time(), b'x' * d.choice((0, 5, 5000)), None))
        if d.random() < 0.25:
            files.append(('tombstone', self.time(), None, None))
        if d.random() < 0.35:
            files.append(('meta', self.time(), None, None))
        return files

    def place(self, device):
        for name, files in self.state:
            directory = tree.hash_dir(device, self.policy, self.partition, name)
            for kind, n, what, durable in files:
                ts = self.t(n)
                if kind == 'data':
                    tree.write_file(directory, f'{ts}.data', what, tree.data_items(name, ts, what))
                elif kind == 'fragment':
                    archive = ARCHIVES[what]
                    items = tree.data_items(name, ts, archive)
                    items['X-Object-Sysmeta-Ec-Frag-Index'] = str(what)
                    tree.write_file(directory, f'{ts}#{what}{"#d" if durable else ""}.data', archive, items)
                elif kind == 'tombstone':
                    tree.write_file(directory, f'{ts}.ts', b'', {'X-Timestamp': ts, 'name': name})
                else:
                    tree.write_file(directory, f'{ts}.meta', b'', {
                        'X-Timestamp': ts, 'name': name, 'X-Object-Meta-Old': str(n)})

    # ---- what is said ----

    def an_offer(self):
        d = self.dice
        word = tree.hash_of(d.choice(NAMES)) if d.random() < 0.97 else d.choice(
            ('no hash', 'zz', '..', 'A' * 32, 'a%62c'))
        items = []
        if d.random() < 0.4:
            items.append(f'm:{d.choice((0, 1, 1000000, 2000000, -500000)):x}')
            if d.random() < 0.5:
                items.append(f't:{d.choice((0, 1, 500000, 1000000)):x}')
        if d.random() < 0.2:
            items.append('durable:' + d.choice(('False', 'no', 'True', 'yes', 'maybe')))
        if d.random() < 0.1:
            items.append(d.choice(('x:y', 'zzz', ':', ',')))
        line = f'{word} {self.t(self.time())} {",".join(items)}'.rstrip(' ')
        if d.random() < 0.05:
            line += ' further words'
        return (line + d.choice(('\r\n', '\r\n', '\r\n', '\n', ' \r\n'))).encode()

    def an_update(self):
        d = self.dice
        method, name, body = d.choice(('PUT', 'PUT', 'POST', 'DELETE')), d.choice(NAMES), b''
        n = self.time()
        pairs = [('X-Timestamp', self.t(n))]
        if method == 'PUT':
            index = d.randrange(3)
            body = ARCHIVES[index] if self.policy == 2 else bytes(d.choice((0, 1, 700, 70000)))
            pairs += [('Content-Length', len(body)), ('Content-Type', 'text/plain')]
            if self.policy == 2 and d.random() < 0.8:
                pairs.append(('X-Object-Sysmeta-Ec-Frag-Index', self.index if self.index is not None else index))
            if self.policy == 2 and d.random() < 0.3:
                pairs.append(('X-Backend-No-Commit', 'True'))
            if d.random() < 0.3:
                digest = tree.hashlib.md5(body).hexdigest()
                pairs.append(('ETag', d.choice((digest, f'"{digest}"', '0' * 32))))
        if method == 'POST' and d.random() < 0.4:
            # Never later than the metadata: Swift 2.30.1 fails at that (500) if there was no .meta.
            pairs += [('Content-Type', 'x/y'), ('Content-Type-Timestamp', self.t(min(n, self.time())))]
        for header in ('X-Object-Meta-A', 'x-object-meta-b', 'Foo', 'X-Delete-At', 'X-Object-Sysmeta-S',
                       'Content-Encoding', 'x-object-transient-sysmeta-T'):
            if d.random() < 0.15:
                value = str(self.base + 100000) if header == 'X-Delete-At' else d.choice(('1', 'z\xfc', ' a b '))
                pairs.append((header, value))
        if d.random() < 0.03:
            pairs = [p for p in pairs if p[0] != d.choice(('X-Timestamp', 'Content-Type', 'Content-Length'))]
        if d.random() < 0.02:
            pairs.append(('Content-Length', d.choice((1, 'x'))))
        if d.random() < 0.02:
            method = d.choice(('GET', 'put', 'REPLICATE', ''))
        if d.random() < 0.03:
            name = d.choice(('/a/c', '/a', '/a/c/o/p?q=1', '/a/c/%zz', '/a/c/%FF', 'a/c/o', '//c/o', '/a/c/..'))
        lines = [f'{method} {name}'] + [f'{k}:{d.choice((" ", "", "  "))}{v}' for k, v in pairs]
        if d.random() < 0.01:
            lines.append('no colon')
        return '\r\n'.join(lines + ['', '']).encode('latin-1') + body

    def a_stream(self):
        d = self.dice
        whole = START + b''.join(self.an_offer() for _ in range(d.randrange(8))) + END + UP
        whole += b''.join(self.an_update() for _ in range(d.randrange(8))) + UP_END
        if d.random() < 0.05:
            whole = d.choice((b'garbage\r\n', b'\r\n')) + whole
        if d.random() < 0.05:
            whole = whole.replace(UP, d.choice((b'\r\n', b':UPDATES:\r\n')))
        if d.random() < 0.1:        # an end in the middle of a line is another thing: normal()
            lines = [m.end() for m in re.finditer(b'\n', whole)]
            whole = whole[:d.choice(lines)]
        return whole

    def a_cutting(self, length):
        d = self.dice
        count = d.choice((0, 1, 5, 50))
        return sorted({d.randrange(1, length) for _ in range(count)} if length > 1 else ())

    def head(self):
        pairs = [('Transfer-Encoding', 'chunked'), ('X-Backend-Storage-Policy-Index', self.policy)]
        if self.index is not None:
            pairs.append(('X-Backend-Ssync-Frag-Index', self.index))
        return wire.head_bytes('SSYNC', f'/sda1/{self.partition}', pairs)


def converse(server, case):
    """(all that was said, whether it ended as it should)"""
    said = b''
    with server.connect(timeout=40) as c:
        c.send(case.head())
        status = c.read_head().status
        try:
            edges = [0, *case.cuts, len(case.stream)]
            for a, b in zip(edges, edges[1:]):
                c.send(wire.chunk(case.stream[a:b]))
            c.send(b'0\r\n\r\n')
        except OSError:
            pass                    # ended by the other side: what it said counts
        try:
            while True:
                size = int(c.read_until(b'\r\n'), 16)
                said += c.read_exactly(size + 2)[:-2]
                if size == 0:
                    return status, said, True
        except (wire.Closed, OSError):
            return status, said, False


def objects(device, case):
    """Files of objects. Directories alone mean nothing: Swift leaves those of failed uploads. The
    server adds the index of a fragment as text, Swift as a number; both are read. Modes: ours are
    the same whatever the umask (tests/differential/intended.txt)."""
    root = os.path.join(device, tree.objects_dir(case.policy), case.partition)
    found = {}
    for path, e in tree.snapshot(root).items():
        if e.kind == 'file' and path.count(os.sep) == 2:
            if isinstance(e.metadata, dict):
                e = e._replace(metadata={k: str(v).encode() if isinstance(v, int) else v
                                         for k, v in e.metadata.items()})
            found[path] = e._replace(mode=None)
    return found


# Words of Python that no sender looks at: one text of ours may stand for several of them, and a
# part of a body that is taken for a line is not shown whole.
LOOSE = re.compile(rb"(:ERROR: 0 )(?!['\"](Looking|Too many|Invalid subrequest method \w+'|No content|Got no|list index)"
                   rb"|['\"]\w+ subrequest with|[\"']invalid literal).*")


def normal(answer):
    status, said, whole = answer
    return status, LOOSE.sub(rb'\1(some text)', said), whole


def compare(case, oracle, ours):
    for server in (oracle, ours):
        case.place(server.device)
    answers = [converse(server, case) for server in (oracle, ours)]
    found = []
    if normal(answers[0]) != normal(answers[1]):
        found.append(('said', *answers))
    if END not in answers[0][1]:    # ended among the offers: how many were looked at (and what
        return found                # lay there cleaned up) before that is nobody's concern
    return found + tree.differences(*(objects(s.device, case) for s in (oracle, ours)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--objsrv', help='the binary to test (default: $OBJSRV)')
    parser.add_argument('--engine', action='append', choices=servers.ENGINES + ('swift',))
    parser.add_argument('--seed', type=int, default=1, help='of the first stream')
    parser.add_argument('--count', type=int, default=400, help='streams')
    args = parser.parse_args()
    isolate.enter()
    if args.objsrv:
        os.environ['OBJSRV'] = os.path.abspath(args.objsrv)
    if not servers.have_oracle():
        print("skipped: there is no Debian swift-object-server")
        sys.exit(suite.totals(0, 0, 1))
    ARCHIVES.extend(mime.fragments(DATA))
    passed = failed = 0
    base = int(time.time()) - 1000
    for engine in args.engine or servers.ENGINES:
        root = isolate.scratch('ssync-against')
        isolate.cover_etc_swift(servers.SWIFT_CONF, os.path.join(root, 'etc'))
        both = [servers.start(kind, os.path.join(root, name), conf=CONF)
                for kind, name in (('swift', 'oracle'), (engine, 'ours'))]
        try:
            for seed in range(args.seed, args.seed + args.count):
                case = Case(seed, base)
                found = compare(case, *both)
                passed, failed = passed + (not found), failed + bool(found)
                if found and args.count == 1:
                    print(case.state, case.stream.decode('latin-1'), sep='\n')
                    for server in both:
                        print('\n'.join(l for l in server.log().splitlines() if 'ssync' in l.lower() or
                                        f'/sda1/{case.partition}' in l)[-6000:])
                for difference in found:
                    print(f'{engine}: seed {seed}: {difference}', flush=True)
        finally:
            for server in both:
                server.stop()
        isolate.discard(root)
    sys.exit(suite.totals(passed, failed, 0))


if __name__ == '__main__':
    main()
