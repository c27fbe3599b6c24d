#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stores real files of this machine's /usr/share and compares them, before and after kill -9.

Stand-alone and Swift mode, each engine: some thousand files under their own path as key, then
(stand-alone) one sparse file of more than 4 GiB by curl -T; then the server is killed under
load and started again, and everything is compared once more.
"""
import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from harness import history, isolate, servers, suite, wire      # noqa: E402

WORKERS = 8
LARGEST = 4 << 20
HUGE = (4 << 30) + 12345
GIB = 1 << 30

# Keys that files of a machine rarely have.
ODD = ['with space', 'per%cent', 'pl+us', 'qu?stion', 'ha#sh', 'sn\u00f6w', '\u65e5\u672c\u8a9e.txt', 'a&b=c;d',
       "quote'\"", 'back\\slash', 'new\nline', 'tab\t', '~tilde', '[x]{y}', '\U0001f600', 'x' * 900]


def files_of(root, count):
    """(path, key) of up to `count` regular readable files, the same ones in each run."""
    found = []
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted(files):
            path = os.path.join(directory, name)
            try:
                small = os.path.isfile(path) and not os.path.islink(path) and \
                    os.path.getsize(path) <= LARGEST
                path.encode('utf8')
            except (OSError, UnicodeEncodeError):
                continue
            if small and os.access(path, os.R_OK):
                found.append((path, os.path.relpath(path, root)))
    step = max(1, len(found) // count)
    chosen = found[::step][:count]
    return chosen + [(chosen[i % len(chosen)][0], 'odd/' + key) for i, key in enumerate(ODD)]


def quoted(key):
    return urllib.parse.quote(key.encode('utf8'), safe='/')


class Check:
    """One mode and engine: stores, compares, counts."""

    def __init__(self, kind, alone, files, root):
        self.kind, self.files = kind, files
        self.name = f'{kind} {"stand-alone" if alone else "Swift mode"}'
        dirs = [os.path.join(root, 'd1'), os.path.join(root, 'd2')] if alone else None
        for d in dirs or ():
            os.makedirs(d)
        self.server = servers.start(kind, root, alone=alone, data_dirs=dirs)
        self.form = history.Alone('share') if alone else history.Swift('5')
        self.passed = self.failed = 0

    def report(self, good, what):
        self.passed += good
        self.failed += not good
        if not good:
            print(f'{self.name}: {what}', flush=True)

    def _spread(self, work):
        """work(connection, path, key) -> problem or None, for all files, by some threads."""
        problems = []

        def some(number):
            with self.server.connect() as c:
                for path, key in self.files[number::WORKERS]:
                    try:
                        problem = work(c, path, key)
                    except (OSError, wire.Closed) as e:
                        problem = f'{type(e).__name__} {e}'
                        c.close()
                        c.__init__(self.server.port)
                    problems.append((key, problem))
        threads = [threading.Thread(target=some, args=(i,)) for i in range(WORKERS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for key, problem in problems:
            self.report(problem is None, f'{key!r}: {problem}')

    def store(self):
        def put(c, path, key):
            with open(path, 'rb') as f:
                body = f.read()
            head = self.form.headers() + [('X-Object-Meta-Size', str(len(body)))]
            r = c.request('PUT', self.form.target(quoted(key)), head, body)
            good = r.status == 201 and r.get('Etag') == f'"{hashlib.md5(body).hexdigest()}"'
            return None if good else f'stored with {r}'
        self._spread(put)

    def compare(self):
        def get(c, path, key):
            with open(path, 'rb') as f:
                body = f.read()
            r = c.request('GET', self.form.target(quoted(key)))
            good = r.status == 200 and r.body == body and \
                r.get('X-Object-Meta-Size') == str(len(body))
            return None if good else f'read as {r}'
        self._spread(get)

    def kill_under_load(self):
        past = history.History(history.Alone('load') if self.server.alone else history.Swift('6'))
        load = history.Load(past, self.server).start()
        load.wait_acks(300)
        self.server.kill()
        load.join()
        self.server.start()
        problems = past.check(self.server)
        self.report(not problems, f'after kill -9: {problems[:5]}')

    # ---- one huge file ----

    def url(self, key):
        return f'http://127.0.0.1:{self.server.port}/share/{key}'

    def store_huge(self, path):
        r = subprocess.run(['curl', '-sS', '-f', '-T', path, self.url('huge')], capture_output=True,
                           text=True, check=False)
        self.report(r.returncode == 0, f'curl -T of the huge file: {r.stderr}')

    def compare_huge(self, digest):
        digest_read, size = hashlib.md5(), 0
        with subprocess.Popen(['curl', '-sS', '-f', self.url('huge')], stdout=subprocess.PIPE) as curl:
            while block := curl.stdout.read(1 << 20):
                digest_read.update(block)
                size += len(block)
        self.report(curl.returncode == 0 and (size, digest_read.hexdigest()) == (HUGE, digest),
                    f'the huge file came back with {size} bytes, curl {curl.returncode}')
        r = self.server.request('GET', '/share/huge', {'Range': f'bytes={HUGE - 10}-'})
        self.report(r.status == 206 and r.body == b'the end.\n\n', f'its end: {r}')


def make_huge(directory):
    """A sparse file with something at the start, beyond 4 GiB, and at the end; and its MD5."""
    path = os.path.join(directory, 'huge')
    with open(path, 'wb') as f:
        f.write(b'the start.\n')
        f.seek(4 << 30)
        f.write(os.urandom(4096))
        f.seek(HUGE - 10)
        f.write(b'the end.\n\n')
    digest = hashlib.md5()
    with open(path, 'rb') as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return path, digest.hexdigest()


def why_no_huge(root):
    if not shutil.which('curl'):
        return 'needs curl'
    free = shutil.disk_usage(root).free
    if free < 8 * GIB:
        return f'needs 8 GiB of free space, there are {free / GIB:.1f}'
    return None


def run(kind, alone, files, root, huge):
    check = Check(kind, alone, files, root)
    check.store()
    check.compare()
    if huge and alone:
        check.store_huge(huge[0])
        check.compare_huge(huge[1])
    check.kill_under_load()
    check.compare()
    if huge and alone:
        check.compare_huge(huge[1])
    check.report(check.server.stop() == 0, f'end of the server:\n{check.server.log()[-2000:]}')
    print(f'{check.name}: {len(files)} files, {check.passed} comparisons good, {check.failed} not')
    return check.passed, check.failed


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--objsrv', help='the binary to test (default: $OBJSRV)')
    parser.add_argument('--engine', action='append', choices=servers.ENGINES)
    parser.add_argument('--count', type=int, default=3000)
    parser.add_argument('--no-huge', action='store_true', help='leave the 4 GiB file out')
    args = parser.parse_args()
    isolate.enter()
    if args.objsrv:
        os.environ['OBJSRV'] = os.path.abspath(args.objsrv)
    root = isolate.scratch('real')
    files = files_of('/usr/share', args.count)
    reason = 'left out by --no-huge' if args.no_huge else why_no_huge(root)
    skipped = 0
    if reason:
        print(f'skipped: the file of over 4 GiB: {reason}')
        skipped = 1
    huge = None if reason else make_huge(root)
    passed = failed = 0
    for kind in args.engine or servers.ENGINES:
        for alone in (True, False):
            directory = os.path.join(root, f'{kind}-{alone}')
            p, f = run(kind, alone, files if alone else files[::4], directory, huge)
            passed, failed = passed + p, failed + f
            isolate.discard(directory)
    isolate.discard(root)
    sys.exit(suite.totals(passed, failed, skipped))


if __name__ == '__main__':
    main()
