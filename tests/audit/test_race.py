# SPDX-License-Identifier: Apache-2.0
"""Writers and the sweeper at full speed on the same few hash directories: what was acknowledged is
there afterwards, whole, and nothing was refused or quarantined. For minutes: --seconds 180."""
import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
import time

from base import NO_AGE, AuditCase, auditor
from harness import history, servers, suite, tree

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = float(os.environ.get('OBJSRV_TEST_RACE_S', '3'))


class Crowded(history.Swift):
    """Two objects of two writers in each suffix directory, so that it comes and goes under them."""

    def __init__(self):
        super().__init__()
        self.names = {}

    def target(self, key):
        if key not in self.names:
            suffix = f'{int(key[1]) // 2:03x}'
            tries = (f'{key}.{n}' for n in itertools.count())
            self.names[key] = next(t for t in tries
                                   if tree.hash_of(f'/a/c/{t}').endswith(suffix))
        return self.prefix + self.names[key]


class Reader(history.Load):
    """Reads each key right after its answer: the next operation would hide a loss."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.problems = []

    def _one(self, connection, rnd, key):
        good = super()._one(connection, rnd, key)
        problem = self.history.check_key(connection, key)
        if problem:
            self.problems.append(f'{key}: {problem}')
        return good


class Racing(AuditCase):
    def sweep(self, stop, runs, ages):
        while not stop.is_set():
            runs.append(self.audit(*([], ['--sweep'])[len(runs) % 2], **ages))

    def daemon(self, ages):
        """Pass after pass, without the pause that starting a program is (--sweep would be one)."""
        s = self.made
        options = [f'--set={name}={value}' for name, value in ages.items()]
        daemon = subprocess.Popen([auditor(), '--set=interval=0', *options,
                                   *([] if s.alone else ['--swift-conf', s.swift_conf]), s.conf],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        return daemon

    def remover(self):
        remover = subprocess.Popen([sys.executable, os.path.join(HERE, 'remover.py'),
                                    self.at('objects')], stdin=subprocess.DEVNULL)
        self.addCleanup(remover.wait)
        self.addCleanup(remover.kill)

    def race(self, load, ages):
        """Writers and sweepers until the time is up; what the sweepers may have done to them."""
        s, told = self.made, load.history
        load.start()
        stop, runs = threading.Event(), []
        sweeper = threading.Thread(target=self.sweep, args=(stop, runs, ages))
        daemon = self.daemon(ages)
        sweeper.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and load.alive():
            load.wait_acks(100, timeout=1)
        load.stop()
        stop.set()
        sweeper.join()
        daemon.terminate()
        self.assertIn(daemon.wait(30), (0, 1, 2))
        self.assertGreater(told.acknowledged, 50)
        self.assertGreater(len(runs), 0)
        self.assertEqual(load.problems, [])
        self.assertEqual(told.check(s), [])
        # Nothing is refused either: who finds a directory gone makes it again, and what looks
        # like a retry that forgot something (upload.h, I10) is an error answer first of all.
        # Swift's server gives up if the directory goes between its makedirs() and its open().
        refused = [load.refusals.get() for _ in range(load.refusals.qsize())]
        self.assertLessEqual(len(refused), told.acknowledged / 500 if s.is_oracle else 0, [line for line in s.log().splitlines()
                                       if re.search('ERROR|WARN|" 50', line)][:20])
        self.assertEqual(self.quarantined(), set())
        self.assertLessEqual({r.code for r in runs}, {0, 1, 2})     # 2: the other had the device
        self.assertEqual(s.stop(), 0, s.log())
        print(f'{self.id()}: {told.acknowledged} acknowledged, {len(refused)} refused, '
              f'{len(runs)} sweeps', flush=True)


class Impatient(Racing):
    """No age at all, and a second remover that does not even look what it is that is empty."""
    ages = dict(NO_AGE, reclaim_age=0)

    def test_swift(self):
        s = self.tree_of(1).start()
        self.remover()
        self.race(Reader(history.History(history.Swift()), s, keys=3, go_on=True, deletes=0.5),
                  self.ages)

    def test_alone(self):
        s = self.tree_of(1, alone=True).start()
        self.remover()
        self.race(Reader(history.History(history.Alone()), s, keys=3, go_on=True, deletes=0.5),
                  self.ages)

    def test_crowded(self):
        """The server removes its tombstones at once, so directories live for a moment only: the
        open of an upload finds the one it has just seen gone."""
        s = self.tree_of(1, reclaim_age=0)
        if shutil.which('strace'):
            s.wrapper = ['strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null',
                         '-e', 'trace=access,faccessat,faccessat2',
                         '-e', 'inject=access,faccessat,faccessat2:delay_exit=300',
                         '-E', 'LSAN_OPTIONS=detect_leaks=0']   # it cannot look while strace does
        else:
            print(f'{self.id()}: no strace to widen the moment between look and open')
        s.start()
        self.remover()
        self.race(Reader(history.History(Crowded()), s, keys=1, go_on=True, deletes=0.6),
                  self.ages)


class Patient(Racing):
    """Swift's server loses what it has acknowledged if its directory vanishes twice within one PUT
    (below), so ages protect it. Ages as they are by default, and those of the directories made
    so short that most of them are met; tombstones go as fast as they come."""
    oracle_too = True

    def load(self, server):
        return Reader(history.History(history.Swift()), server, keys=3, go_on=True, deletes=0.5)

    def test_default_ages(self):
        s = self.tree_of(1).start()
        self.race(self.load(s), {})

    def test_short_ages(self):
        s = self.tree_of(1).start()
        ages = {name: 1 for name in NO_AGE if 'empty' in name}
        self.race(self.load(s), dict(NO_AGE, reclaim_age=0, **ages))


class Replication(Racing):
    """rsync as Swift's replicator calls it: directories first, then files under other names. Each
    suffix directory is removed and sent again, while it is swept."""

    def send(self, source, target):
        shutil.rmtree(target, ignore_errors=True)
        done = subprocess.run(['rsync', '--recursive', '--whole-file', '--xattrs', '--ignore-existing',
                               '--bwlimit=4000', source, os.path.dirname(target)],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done)

    def test_rsync(self):
        if self.kind != 'threads':
            return                      # no server is at work
        if not shutil.which('rsync'):
            self.skipTest('no rsync here')
        self.tree_of(12)
        copy = os.path.join(self.made.root, 'copy')
        shutil.copytree(self.at('objects'), copy)
        suffixes = sorted({os.path.dirname(os.path.dirname(p))[len('objects/'):]
                           for p in tree.object_files(self.made.device)})
        before = tree.snapshot(copy)
        daemon = self.daemon(dict(NO_AGE, reclaim_age=0, sweep_empty_hashes=1,
                                  sweep_empty_suffixes=1, rsync_tempfile_timeout=5))
        end, sent = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            suffix = suffixes[sent % len(suffixes)]
            self.send(os.path.join(copy, suffix), self.at('objects', suffix))
            sent += 1
        daemon.terminate()
        self.assertIn(daemon.wait(30), (0, 1, 2))
        after = tree.snapshot(self.at('objects'))
        self.assertEqual([d for d in tree.differences(before, after)
                          if not re.search(r'\.lock|hashes\.|auditor_status_', d[0])], [])
        print(f'{self.id()}: {sent} suffix directories sent', flush=True)


class SwiftItself(suite.Case):
    """Why ages must not be 0 where Debian's server writes: no sweeper of ours is near here."""
    own_server = False

    def test_link_that_was_not_made(self):
        """linkat(2) fails twice with ENOENT, as when a directory is removed twice (here: because
        the file has no name to link), and the function says that all is well."""
        if self.kind != 'threads':
            return                      # once is enough, whatever the servers
        if not servers.have_oracle():
            self.skipTest('no Swift here')
        target = os.path.join(self.root, 'new', 'target')
        code = ("import os, sys; from swift.common.utils import link_fd_to_path\n"
                "path = sys.argv[1] + '.gone'; fd = os.open(path, os.O_RDWR | os.O_CREAT)\n"
                "os.unlink(path); link_fd_to_path(fd, sys.argv[2])")
        done = subprocess.run(['/usr/bin/python3', '-c', code, self.root, target],
                              capture_output=True, check=False, cwd='/')
        self.assertEqual(done.returncode, 0, done)
        self.assertTrue(os.path.isdir(os.path.dirname(target)))
        self.assertFalse(os.path.exists(target), 'mended: the README need not warn any longer')
