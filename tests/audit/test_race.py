# SPDX-License-Identifier: Apache-2.0
"""Writers and the sweeper at full speed on the same few hash directories, all ages 0, and
reclaim_age too, so that directories come and go: what was acknowledged is there afterwards, whole,
and nothing was quarantined."""
import os
import subprocess
import threading
import time

from base import NO_AGE, AuditCase, auditor
from harness import history

SECONDS = float(os.environ.get('OBJSRV_TEST_RACE_S', '3'))


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

    def race(self, form, alone=False):
        s = self.tree_of(1, alone=alone)
        s.start()
        told = history.History(form)
        load = Reader(told, s, writers=6, keys=3, go_on=True, deletes=0.5).start()
        stop, runs = threading.Event(), []
        sweepers = [threading.Thread(target=self.sweep, args=(stop, runs))]
        daemon = self.daemon()
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
        # Refusals lose nothing and may happen at these ages; they must stay rare.
        refused = [load.refusals.get() for _ in range(load.refusals.qsize())]
        self.assertLess(len(refused), max(5, told.acknowledged / 50), refused[:20])
        self.assertEqual([r for r in refused if r[1] not in (409, 500, 503)], [])
        self.assertEqual(self.quarantined(), set())
        self.assertLessEqual({r.code for r in runs}, {0, 1, 2})     # 2: the other had the device
        self.assertEqual(s.stop(), 0, s.log())
        print(f'{self.id()}: {told.acknowledged} acknowledged, {len(refused)} refused, '
              f'{len(runs)} sweeps', flush=True)

    def test_swift(self):
        self.race(history.Swift())

    def test_alone(self):
        self.race(history.Alone(), alone=True)
