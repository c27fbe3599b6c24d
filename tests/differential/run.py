#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the same requests to Debian's swift-object-server and to objsrv, compares all there is.

Compared: interim and final status lines, headers (as a set), body, whether the connection goes
on, and the tree on disk with decoded metadata. One line per difference. Differences that are
meant are listed in intended.txt, each with its reason; an entry that matches nothing is reported.

--engine swift compares the oracle with itself: what differs then is noise of this program.
"""
import argparse
import os
import pickle
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from harness import isolate, servers, suite, tree, wire        # noqa: E402
import coded                                                   # noqa: E402
import fixed                                                   # noqa: E402
import generate                                                # noqa: E402
import hashes                                                  # noqa: E402
import states                                                  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SILENT_S = 2        # a connection that says nothing for so long is waiting for us


# ---- one side ----

class Side:
    """One server and its device; answers are made comparable here."""

    def __init__(self, kind, root):
        self.server = servers.start(kind, root, conf={'DEFAULT': {'client_timeout': 20}})
        self.device = self.server.device

    def prepare(self, case, base):
        case.state(states.Place(self.device, case.policy, case.partition, case.name, base))

    def run(self, case):
        """[(label, comparable answer)] of all steps, then how the connection is left."""
        found = []
        connection = self.server.connect()
        for number, step in enumerate(case.steps):
            if connection is None:
                connection = self.server.connect()
            answer, goes_on = _exchange(connection, step)
            found.append((f'{number}:{step.method}', answer))
            if goes_on:
                _more, goes_on = _exchange(connection, generate.Step('GET', '/healthcheck', [], None))
                found.append((f'{number}:next', _more))
            if not goes_on:
                connection.close()
                connection = None
        if connection:
            connection.close()
        return found

    def run_raw(self, data):
        found = []
        with self.server.connect(timeout=SILENT_S) as c:
            try:
                c.send(data)
            except OSError:
                pass                    # closed before it had read all: the answer counts
            found.append(('answer', _read(c, data.split(b' ', 1)[0].decode('latin-1'))[0]))
            try:
                c.send(b'GET /healthcheck HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n')
                rest = c.read_rest()
            except socket.timeout:
                rest = b'SILENT'
            except OSError:
                rest = b''
            found.append(('rest', _comparable_rest(rest)))
        return found

    def tree(self, policy, partition, name):
        """Snapshot of what belongs to one case: its partition and its quarantine."""
        found = tree.snapshot(os.path.join(self.device, tree.objects_dir(policy), str(partition)))
        quarantine = os.path.join(self.device, 'quarantined', tree.objects_dir(policy))
        digest = tree.hash_of(name) if name else ''
        for entry in os.listdir(quarantine) if os.path.isdir(quarantine) else ():
            if digest and entry.startswith(digest):
                path = os.path.join(quarantine, entry)
                found['QUARANTINE/' + entry] = tree.entry(path)
                for inner, e in tree.snapshot(path).items():
                    found[f'QUARANTINE/{entry}/{inner}'] = e
        return found


def _body_bytes(step):
    """The bytes of the body as framed, and the headers that announce them."""
    if isinstance(step.body, tuple):
        framing, body = step.body
        if framing == 'chunked':
            return wire.chunks(body), step.headers
        return body, step.headers + [('Content-Length', str(len(body)))]
    return b'', step.headers


def _talk(connection, step):
    """A body in several goes, each after an answer (coded.py). Ends at the first final one."""
    interim = []
    try:
        connection.send(step.headers)
        for item in step.body[1] + [None]:
            if item is not None:
                connection.send(item)
                continue
            response = connection.read_response(step.method, interim=True)
            if response.status >= 200:
                return _comparable(response, interim), False
            interim.append(f'{response.status} {response.reason} {response.headers}')
        return {'interim': interim, 'no final answer': True}, False
    except wire.Closed as e:
        return {'interim': interim, 'closed after': e.args[0]}, False
    except (OSError, ValueError) as e:
        return {'interim': interim, 'broken': type(e).__name__}, False


def _exchange(connection, step):
    """(comparable answer, whether the connection can be used on)."""
    if isinstance(step.body, tuple) and step.body[0] == 'talk':
        return _talk(connection, step)
    body, headers = _body_bytes(step)
    head = wire.head_bytes(step.method, step.target, headers)
    expects = any(n == 'Expect' for n, _ in headers)
    try:
        connection.send(head if expects else head + body)
    except OSError:
        pass
    return _read(connection, step.method, body if expects else b'')


def _read(connection, method, held_body=b''):
    interim = []
    try:
        while True:
            response = connection.read_response(method, interim=True)
            if response.status >= 200:
                return _comparable(response, interim), not response.closes
            interim.append(f'{response.status} {response.reason} {sorted(response.headers)}')
            if held_body:
                connection.send(held_body)
                held_body = b''
    except wire.Closed as e:
        return {'closed after': e.args[0]}, False
    except socket.timeout:
        return {'silent': True}, False
    except (OSError, ValueError) as e:
        return {'broken': type(e).__name__}, False


_DATE = re.compile(r'(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w\w\w \d{4} \d\d:\d\d:\d\d GMT')
_BOUNDARY = re.compile(r'boundary=([0-9a-f]{32})')


def _comparable(response, interim):
    body, headers = response.body, []
    boundary = _BOUNDARY.search(response.get('Content-Type') or '')
    if boundary:
        body = body.replace(boundary.group(1).encode(), b'BOUNDARY')
    if response.status == 500:
        body = b'(not compared)'        # Swift shows its traceback
    if body.startswith(b'\x80\x02'):
        body = sorted((pickle.loads(body) or {'None': 0}).items())    # the order is the disk's
    for name, value in response.headers:
        if name == 'Date' and _DATE.fullmatch(value):
            value = 'DATE'
        if name == 'Content-Length' and response.status == 500:
            continue
        headers.append(f'{name}: {_BOUNDARY.sub("boundary=BOUNDARY", value)}')
    return {'interim': interim, 'status': f'{response.version} {response.status} {response.reason}',
            'headers': sorted(headers), 'body': body}


def _comparable_rest(rest):
    """The order of headers is not significant here either."""
    def sort_head(match):
        lines = match.group(2).split('\r\n')
        return match.group(1) + '\r\n'.join(sorted(lines)) + '\r\n\r\n'
    text = _DATE.sub('DATE', rest.decode('latin-1'))
    return {'bytes': re.sub(r'(HTTP/1\.[01] [^\r]*\r\n)(.*?)\r\n\r\n', sort_head, text, flags=re.S)}


# ---- comparing ----

def _short(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + f'... ({len(text)})'


def compare_answers(label, a, b):
    """Lines; when the status differs, the rest of that answer is not worth a line."""
    for key in sorted(set(a) | set(b), key=lambda k: (k != 'status', k)):
        if a.get(key) == b.get(key):
            continue
        if key == 'headers' and a.get(key) and b.get(key):
            only_a = sorted(set(a[key]) - set(b[key]))
            only_b = sorted(set(b[key]) - set(a[key]))
            yield f'{label} headers swift={only_a} objsrv={only_b}'
        else:
            yield f'{label} {key} swift={_short(a.get(key))} objsrv={_short(b.get(key))}'
        if key == 'status' or 'status' not in a or 'status' not in b:
            return


def compare_trees(a, b):
    for path, aspect, left, right in tree.differences(a, b):
        if isinstance(left, dict) and isinstance(right, dict):
            keys = [k for k in sorted(set(left) | set(right), key=repr) if left.get(k) != right.get(k)]
            left, right = ({k: d.get(k) for k in keys} for d in (left, right))
        if aspect == 'mode':
            left, right = oct(left), oct(right)
        yield f'disk {path} {aspect} swift={_short(left)} objsrv={_short(right)}'


def describe(case):
    for step in case.steps:
        body = step.body
        told = f' {body[0]} {len(body[1])} bytes' if isinstance(body, tuple) else ''
        yield f'    {step.method} {step.target} {step.headers}{told}'


# ---- intended differences ----

class Intended:
    """Lines of `regular expression ::: reason`. With `:::+` whatever else differs later in the
    same case is taken to follow from it."""

    def __init__(self, path):
        self.rows, self.used = [], {}
        with open(path, encoding='utf8') as f:
            for line in f:
                if line.strip() and not line.startswith('#'):
                    match = re.fullmatch(r'(.*?) :::(\+?) (.+)', line.strip())
                    if not match:
                        sys.exit(f'{path}: no reason given: {line}')
                    self.rows.append((re.compile(match.group(1)), bool(match.group(2))))

    def left(self, ident, lines):
        """Those of a case's differences that are not meant."""
        found = []
        for line in lines:
            row = next((r for r in self.rows if r[0].search(f'{ident} {line}')), None)
            if row is None:
                found.append(line)
                continue
            self.used[row[0].pattern] = self.used.get(row[0].pattern, 0) + 1
            if row[1]:
                break
        return found

    def unused(self):
        return [p.pattern for p, _ in self.rows if p.pattern not in self.used]


# ---- the run ----

class Run:
    def __init__(self, kind, args, root, intended):
        self.args, self.intended, self.kind = args, intended, kind
        self.base = int(time.time()) - 1000
        self.oracle = Side('swift', os.path.join(root, f'oracle-{kind}'))
        self.subject = Side(kind, os.path.join(root, kind))
        self.passed = self.failed = self.meant = 0

    def close(self):
        for side in (self.oracle, self.subject):
            side.server.stop()

    def settle(self, ident, lines, detail=()):
        lines = list(lines)
        left = self.intended.left(ident, lines)
        if left:
            self.failed += 1
            for line in left:
                print(f'{self.kind}: {ident} {line}')
            if self.args.verbose:
                print('\n'.join(detail))
        else:
            self.passed += 1
            self.meant += bool(lines)

    def case(self, case):
        if not re.search(self.args.k, case.id):
            return
        answers, trees = [], []
        for side in (self.oracle, self.subject):
            side.prepare(case, self.base)
            answers.append(side.run(case))
            trees.append(side.tree(case.policy, case.partition, case.name))
        lines = []
        for (label, a), (_, b) in zip(*answers):
            lines += compare_answers(label, a, b)
        if len(answers[0]) != len(answers[1]):
            lines.append(f'connection swift={len(answers[0])} objsrv={len(answers[1])} answers')
        lines += compare_trees(*trees)
        self.settle(case.id, lines, describe(case))

    def row(self, number, name, data):
        if not re.search(self.args.k, name):
            return
        partition = 1000000 + number
        target = f'/sda1/{partition}/a/c/o'.encode()
        data = data.replace(b'%T', b'%d.00000' % (self.base + 30)).replace(b'%P', target[:-6])
        data = data.replace(b'%O', target).replace(b'%N', target[:-1] + b'new')
        answers, trees = [], []
        for side in (self.oracle, self.subject):
            states.data(states.Place(side.device, 0, partition, '/a/c/o', self.base))
            answers.append(side.run_raw(data))
            trees.append(side.tree(0, partition, None))
        lines = []
        for (label, a), (_, b) in zip(*answers):
            lines += compare_answers(label, a, b)
        lines += compare_trees(*trees)
        self.settle(name, lines, [f'    {data[:300]!r}'])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--objsrv', help='the binary to test (default: $OBJSRV)')
    parser.add_argument('--engine', action='append', choices=('threads', 'uring', 'swift'))
    parser.add_argument('--seed', type=int, default=20261120)
    parser.add_argument('--count', type=int, default=2500, help='generated cases')
    parser.add_argument('-k', default='', metavar='REGEX', help='only cases whose name matches')
    parser.add_argument('-v', '--verbose', action='store_true', help='show the requests of a difference')
    args = parser.parse_args()
    isolate.enter()
    if args.objsrv:
        os.environ['OBJSRV'] = os.path.abspath(args.objsrv)
    root = isolate.scratch('differential')
    if not servers.have_oracle():
        print("skipped: Debian's swift-object-server is not installed (package swift-object)")
        sys.exit(suite.totals(0, 0, 1))
    isolate.cover_etc_swift(servers.SWIFT_CONF, os.path.join(root, 'etc'))
    intended = Intended(os.path.join(HERE, 'intended.txt'))
    passed = failed = 0
    for kind in args.engine or servers.ENGINES:
        started = time.monotonic()
        run = Run(kind, args, root, intended)
        for number, (name, data) in enumerate(fixed.rows()):
            run.row(number, name, data)
        for case in generate.Generator(args.seed, run.base).cases(args.count):
            run.case(case)
        for case in coded.Generator(args.seed, run.base).cases(args.count // 5):
            run.case(case)
        for case in hashes.Generator(args.seed, run.base).cases(args.count // 5):
            run.case(case)
        if not run.subject.server.running():
            run.failed += 1
            print(f'{kind}: the server died:\n{run.subject.server.log()[-4000:]}')
        run.close()
        took = time.monotonic() - started
        print(f'{kind}: seed {args.seed}, {run.passed + run.failed} cases in {took:.0f} s, '
              f'{run.meant} with intended differences only')
        passed, failed = passed + run.passed, failed + run.failed
    if not args.k and args.engine != ['swift']:
        for pattern in intended.unused():
            print(f'intended.txt: matched nothing: {pattern}')
    isolate.discard(root)
    sys.exit(suite.totals(passed, failed, 0))


if __name__ == '__main__':
    main()
