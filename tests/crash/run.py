#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Power cuts by enumeration: every state that the disk may be in is tried, and none has a loss.

    tests/crash/run.py --objsrv BUILD/server/objsrv --control BUILD/tests/crash/objsrv-control \\
                       --load BUILD/tests/crash/load [--states N] [--seed N] [--only TEXT]

A guest with Debian's kernel 6.1 runs the server under load while its disks write down all that
is written to them. Then each chosen cut becomes an image, is mounted, and is compared with what
had been acknowledged by then. README.md has more.
"""
import argparse
import collections
import multiprocessing
import os
import queue
import random
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

# pylint: disable=wrong-import-position
import check                                                     # noqa: E402
import guest                                                     # noqa: E402
import writelog                                                  # noqa: E402
from guest import Run                                            # noqa: E402
from harness import isolate, mounts, servers                     # noqa: E402

KERNEL_DIR = os.path.join(os.environ.get('XDG_CACHE_HOME') or
                          os.path.join(os.environ.get('HOME') or '/root', '.cache'),
                          'objsrv-crash-kernel')
QEMU_OPTIONS = '-accel tcg,thread=multi -cpu max -smp 2 -m 512'
FILE_SYSTEMS = ('ext4', 'xfs')
STATES = 150
STATES_PER_TASK = 500
# Who looks for a free loop device opens ours too, for a moment.
LOOP_TIMEOUT_S = 20

# What may be found, and in how many states at most: a test that does not see it is blind.
CONTROLS = {'no-sync': ('lost', 1), 'no-confirm': ('lost', 10), 'dir-only': ('torn', 1),
            'link-first': ('torn', 60), 'unlink-first': ('lost', 500)}

Verdict = collections.namedtuple('Verdict', 'states bad kinds examples temporary messiest')


def runs_on(fs):
    """name, fs, engine, on_existing, control, load, threads, operations of each thread"""
    def run(name, engine='uring', on_existing='rename', control=None, load='mixed', threads=1,
            operations=0):
        operations = operations or {1: 120, 4: 50, 8: 36}[threads]
        return Run(f'{fs}-{name}', fs, engine, on_existing, control, load, threads, operations)
    yield run('uring-1')
    yield run('auto-4', 'auto', threads=4)
    yield run('uring-8', threads=8)
    yield run('threads-1', 'threads')
    yield run('threads-8', 'threads', threads=8)
    yield run('race', load='race', threads=8)
    yield run('full-form', control='full', threads=4)
    yield run('unlink', on_existing='unlink', load='race', threads=8)
    yield run('control-no-sync', control='no-sync', threads=4)
    yield run('control-no-confirm', control='no-confirm')
    yield run('control-dir-only', control='dir-only')
    yield run('control-link-first', control='link-first', threads=4)
    yield run('control-unlink-first', on_existing='unlink', control='unlink-first', load='race',
              threads=8, operations=60)


# ---- one state after the other (in processes of their own) ----

class Mounted:
    """An image, mounted as after a restart: its journal is replayed."""
    def __init__(self, image, fs, where):
        self.image, self.where = image, where
        os.makedirs(where, exist_ok=True)
        options = 'loop,nouuid' if fs == 'xfs' else 'loop'
        subprocess.run(['mount', '-t', fs, '-o', options, image, where], check=True,
                       capture_output=True, text=True)

    def __enter__(self):
        return self.where

    def __exit__(self, *_):
        subprocess.run(['umount', self.where], check=True)
        end = time.monotonic() + LOOP_TIMEOUT_S
        while subprocess.run(['losetup', '-j', self.image], check=True, capture_output=True).stdout:
            if time.monotonic() > end:
                raise RuntimeError(f'{self.image} is still held: its states cannot be trusted')


def judge(run, base, log_file, cuts, stop_at_first):
    """Tries the cuts, which rise, on copies of the disk."""
    directory = os.path.dirname(log_file)
    where = os.path.join(directory, f'mnt-{os.getpid()}')
    log = writelog.WriteLog(log_file, guest.FS_BYTES[run.fs])
    builder = writelog.Builder(base, log, directory)
    states = bad = temporary = 0
    kinds, examples, messiest = collections.Counter(), [], (-1, None)
    for cut in cuts:
        problems, left = judge_one(run, builder.state(cut), where, log.acked(cut))
        states += 1
        temporary += left
        messiest = max(messiest, (left, cut), key=lambda m: m[0])
        if problems:
            bad += 1
            kinds.update({kind for kind, _ in problems})
            examples += [f'{cut}: {kind}: {text}' for kind, text in problems[:3]]
            if stop_at_first:
                break
    builder.close()
    return Verdict(states, bad, kinds, examples[:6], temporary, messiest)


def judge_one(run, image, where, acked):
    try:
        with Mounted(image, run.fs, where):
            device = check.check(where, acked)
            return device.problems, device.temporary
    except subprocess.CalledProcessError as e:
        return [('unmountable', f'{e.cmd}: {e.stderr}')], 0
    finally:
        os.unlink(image)


def merged(verdicts):
    all_kinds = sum((v.kinds for v in verdicts), collections.Counter())
    return Verdict(sum(v.states for v in verdicts), sum(v.bad for v in verdicts), all_kinds,
                   sum((v.examples for v in verdicts), [])[:6],
                   sum(v.temporary for v in verdicts),
                   max((v.messiest for v in verdicts), key=lambda m: m[0]))


# ---- the real server on what a cut has left ----

def serve(run, base, log_file, cut):
    """[] if a server started on this state serves all of it, else what is wrong."""
    directory = os.path.dirname(log_file)
    log = writelog.WriteLog(log_file, guest.FS_BYTES[run.fs])
    builder = writelog.Builder(base, log, directory)
    image = builder.state(cut)
    builder.close()
    root = os.path.join(directory, f'serve-{run.name}')
    server = servers.make(run.engine, root)
    with Mounted(image, run.fs, server.device):
        before = check.check(server.device, log.acked(cut))
        server.start()
        wrong = [text for key in sorted({a.key for _, a in log.acks})
                 for text in wrong_answers(server, before, key)]
        after = check.check(server.device, log.acked(cut))
        if server.stop() != 0:
            wrong.append('the server did not stop well')
    if after.temporary:
        wrong.append(f'{after.temporary} temporary names of {before.temporary} left')
    return wrong + [text for _, text in before.problems + after.problems], before.temporary


def wrong_answers(server, device, key):
    (ticks, extension), posted = device.newest(key)
    answer = server.request('GET', f'/sda1/{check.partition(key)}/a/c/k{key}')
    if extension != '.data':
        if answer.status != 404:
            yield f'GET k{key}: {answer.status} for one that is not there'
        return
    writer = int(answer.get('X-Object-Meta-Writer') or 0) if posted <= ticks else None
    if answer.status != 200 or \
            answer.get('X-Timestamp') != check.stamp(max(ticks, posted)) or \
            answer.body not in [check.content(key, ticks, w, len(answer.body))
                                for w in ((0, 1) if writer is None else (writer,))]:
        yield f'GET k{key}: {answer}'
    elif posted > ticks and answer.get('X-Object-Meta-Posted') != str(posted):
        yield f'GET k{key}: without its POST: {answer}'


# ---- the whole of it ----

class Session:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.counts = collections.Counter()
        self.pool = multiprocessing.get_context('fork').Pool(max(2, os.cpu_count() or 1))
        self.reports = queue.Queue()
        programs = {'objsrv': options.objsrv, 'objsrv-control': options.control,
                    'load': options.load}
        self.guest = guest.Guest(directory, options.kernel, programs, options.qemu.split(),
                                 options.exact)

    def say(self, good, name, text):
        self.counts['passed' if good else 'failed'] += 1
        print(f'{"ok  " if good else "FAIL"} {name}: {text}', flush=True)

    def wanted(self, fs):
        return [r for r in runs_on(fs) if self.options.only in r.name]

    def _boot(self, fs, runs):
        try:
            for report in self.guest.go(fs, runs):
                self.reports.put(report)
        except Exception as e:          # seen by the main thread as runs without a log
            self.reports.put(e)

    def work(self):
        """Judges a run as soon as its guest has done it, while the guest goes on."""
        left = {fs: self.wanted(fs) for fs in FILE_SYSTEMS}
        for fs, runs in left.items():
            if runs:
                threading.Thread(target=self._boot, args=(fs, runs), daemon=True).start()
        pending = []
        for _ in range(sum(map(len, left.values()))):
            report = self.reports.get()
            if isinstance(report, Exception):
                raise report
            if report.good and self._engine_is_right(report):
                pending.append(self._start(report))
            else:
                self.say(False, report.run.name, 'guest:\n  ' + '\n  '.join(report.text[-30:]))
            while pending and pending[0][1][0].ready():
                self._finish(*pending.pop(0))
        for item in pending:
            self._finish(*item)

    @staticmethod
    def _engine_is_right(report):
        """The guest's kernel has a working io_uring: `auto` must have found that out."""
        engine = 'uring' if report.run.engine == 'auto' else report.run.engine
        return any(f'engine {engine}' in line for line in report.text)

    def _start(self, report):
        run = report.run
        text = [line for line in report.text if line.startswith('GUEST') or ' engine ' in line or
                line.startswith(('load:', 'KERNEL'))]
        if self.options.verbose:
            print('\n'.join(f'     {run.name}: {line}' for line in text))
        budget = CONTROLS[run.control][1] if run.control in CONTROLS else self.options.states
        log = writelog.WriteLog(self.guest.log_file(run), guest.FS_BYTES[run.fs])
        cuts = log.cuts(budget, random.Random(f'{run.name} {self.options.seed}'))
        tasks = [self.pool.apply_async(judge, (run, self.guest.base_image(run.fs),
                                               self.guest.log_file(run),
                                               cuts[i:i + STATES_PER_TASK],
                                               run.control in CONTROLS))
                 for i in range(0, len(cuts), STATES_PER_TASK)]
        return report, tasks, f'{len(log.acks)} acknowledged, {len(log.entries)} writes and flushes'

    def _finish(self, report, tasks, size):
        run, verdict = report.run, merged([t.get() for t in tasks])
        kinds = ', '.join(f'{kind} in {n}' for kind, n in verdict.kinds.items()) or 'nothing wrong'
        text = f'{verdict.states} states ({size}): {kinds}'
        if run.control in CONTROLS:
            kind, budget = CONTROLS[run.control]
            good = verdict.kinds[kind] > 0
            self.say(good, run.name, f'{text}; {"found" if good else f"no {kind} was seen"}, '
                                     f'{verdict.states} of at most {budget} states')
        elif run.on_existing == 'unlink':
            good = set(verdict.kinds) <= {'lost'}
            self.say(good, run.name, text + ' (a loss here is by design)')
        else:
            good = verdict.bad == 0
            self.say(good, run.name, f'{text}; {verdict.temporary} temporary names to sweep')
        if not good or self.options.verbose:
            print(''.join(f'     {e}\n' for e in verdict.examples), end='')
        if good and run.name.endswith('-race'):
            self._serve(run, verdict.messiest[1])

    def _serve(self, run, cut):
        for engine in servers.ENGINES:
            wrong, swept = serve(run._replace(name=f'{run.name}-{engine}', engine=engine),
                                 self.guest.base_image(run.fs), self.guest.log_file(run), cut)
            self.say(not wrong, f'{run.fs}-served-{engine}',
                     '; '.join(wrong[:5]) or f'every object; {swept} temporary names swept')

    def close(self):
        self.pool.terminate()
        self.pool.join()


def why_not(options):
    for fs in FILE_SYSTEMS:
        if mounts.why_not(fs):
            return mounts.why_not(fs)
    if guest.why_not():
        return guest.why_not()
    if options.exact and not os.path.exists(guest.DMSETUP):
        return f'--exact needs {guest.DMSETUP}'
    fetched = subprocess.run([os.path.join(HERE, 'get-kernel'), options.kernel], check=False,
                             capture_output=True, text=True)
    return f'no kernel: {fetched.stderr.strip()}' if fetched.returncode else None


def scratch():
    """In memory if there is room: thousands of images are written and thrown away."""
    vfs = os.statvfs('/dev/shm') if os.path.isdir('/dev/shm') else None
    if vfs and vfs.f_bavail * vfs.f_frsize > 2 << 30:
        os.environ.setdefault('OBJSRV_TEST_DIR', '/dev/shm')
    return isolate.scratch('crash')


def main():
    parser = argparse.ArgumentParser(description='Power cuts by enumeration.')
    parser.add_argument('--objsrv', required=True)
    parser.add_argument('--control', required=True, help='objsrv-control, the wrong server')
    parser.add_argument('--load', required=True, help='the load program, linked statically')
    parser.add_argument('--states', type=int, default=STATES, help='crash states of each run')
    parser.add_argument('--seed', default='1')
    parser.add_argument('--only', default='', help='runs with this in their names')
    parser.add_argument('--kernel', default=KERNEL_DIR, help='where get-kernel puts it')
    parser.add_argument('--qemu', default=QEMU_OPTIONS, help='options of the machine')
    parser.add_argument('--exact', action='store_true',
                        help='the guest logs the writes, with dm-log-writes; needs dmsetup')
    parser.add_argument('--verbose', action='store_true')
    options = parser.parse_args()
    if os.environ.get('OBJSRV_CRASH_READY') != options.kernel:
        reason = why_not(options)       # outside: the network is there
        if reason:
            print(f'skipped: {reason}\n0 passed, 0 failed, 1 skipped')
            return 0
        os.environ['OBJSRV_CRASH_READY'] = options.kernel
    isolate.enter()
    os.environ['OBJSRV'] = options.objsrv
    directory = scratch()
    session = Session(options, directory)
    try:
        session.work()
    finally:
        session.close()
        isolate.discard(directory)
    print('{passed} passed, {failed} failed, 0 skipped'.format(
        passed=session.counts['passed'], failed=session.counts['failed']))
    return 1 if session.counts['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
