# SPDX-License-Identifier: Apache-2.0
"""Writers and the sweeper at full speed on the same few hash directories, all ages 0, and
reclaim_age too, so that directories come and go: what was acknowledged is there afterwards, whole,
and nothing was quarantined."""
import collections
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time

from base import NO_AGE, AuditCase, auditor
from harness import history, tree

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


class Race(AuditCase):
    def sweep(self, stop, runs):
        while not stop.is_set():
            runs.append(self.audit(*([], ['--sweep'])[len(runs) % 2], reclaim_age=0, **NO_AGE))

    def daemon(self):
        """Pass after pass, without the pause that starting a program is."""
        s = self.made
        options = [f'--set={name}={value}' for name, value in NO_AGE.items()]
        daemon = subprocess.Popen([auditor(), '--sweep', '--set=reclaim_age=0', '--set=interval=0',
                                   *options, *([] if s.alone else ['--swift-conf', s.swift_conf]),
                                   s.conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        return daemon

    def remover(self):
        remover = subprocess.Popen([sys.executable, os.path.join(HERE, 'remover.py'),
                                    self.at('objects')], stdin=subprocess.DEVNULL)
        self.addCleanup(remover.wait)
        self.addCleanup(remover.kill)

    def race(self, form, alone=False, wrapper=(), keys=3, deletes=0.5, **conf):
        s = self.tree_of(1, alone=alone, **conf)
        s.wrapper = wrapper
        s.start()
        told = history.History(form)
        load = Reader(told, s, writers=6, keys=keys, go_on=True, deletes=deletes).start()
        stop, runs = threading.Event(), []
        sweepers = [threading.Thread(target=self.sweep, args=(stop, runs))]
        daemon = self.daemon()
        self.remover()
        for thread in sweepers:
            thread.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and load.alive():
            load.wait_acks(100, timeout=1)
        load.stop()
        stop.set()
        for thread in sweepers:
            thread.join()
        daemon.terminate()
        self.assertIn(daemon.wait(30), (0, 1, 2))
        self.assertGreater(told.acknowledged, 50)
        self.assertGreater(len(runs), 0)
        self.assertEqual(load.problems, [])
        self.assertEqual(told.check(s), [])
        # Nothing is refused either: who finds a directory gone makes it again, and what looks
        # like a retry that forgot something (upload.h, I10) is an error answer first of all.
        refused = [load.refusals.get() for _ in range(load.refusals.qsize())]
        self.assertEqual(refused, [], [line for line in s.log().splitlines()
                                       if 'ERROR' in line or 'WARN' in line or '" 50' in line][:20])
        self.assertEqual(self.quarantined(), set())
        self.assertLessEqual({r.code for r in runs}, {0, 1, 2})     # 2: the other had the device
        self.assertEqual(s.stop(), 0, s.log())
        print(f'{self.id()}: {told.acknowledged} acknowledged, '
              f'{len(runs)} sweeps', flush=True)

    def test_swift(self):
        self.race(history.Swift())

    def test_crowded(self):
        """The server removes its tombstones at once, so directories live for a moment only: the
        open of an upload finds the one it has just seen gone."""
        slow_look = [] if not shutil.which('strace') else [
            'strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null',
            '-e', 'trace=access,faccessat,faccessat2',
            '-e', 'inject=access,faccessat,faccessat2:delay_exit=300']
        self.race(Crowded(), wrapper=slow_look, keys=1, deletes=0.6, reclaim_age=0)

    def test_alone(self):
        self.race(history.Alone(), alone=True)
