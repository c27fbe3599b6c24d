# SPDX-License-Identifier: Apache-2.0
"""Writers and the sweeper at full speed on the same few hash directories, all ages 0: what was
acknowledged is there afterwards, whole, and nothing was quarantined."""
import os
import threading
import time

from base import NO_AGE, AuditCase
from harness import history

SECONDS = float(os.environ.get('OBJSRV_TEST_RACE_S', '3'))


class Race(AuditCase):
    def sweep(self, stop, runs):
        while not stop.is_set():
            runs.append(self.audit(*([], ['--sweep'])[len(runs) % 2], **NO_AGE))

    def race(self, form, alone=False):
        s = self.tree_of(1, alone=alone)
        s.start()
        told = history.History(form)
        load = history.Load(told, s, writers=4, keys=3, go_on=True).start()
        stop, runs = threading.Event(), []
        sweepers = [threading.Thread(target=self.sweep, args=(stop, runs)) for _ in range(2)]
        for thread in sweepers:
            thread.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and load.alive():
            load.wait_acks(100, timeout=1)
        load.stop()
        stop.set()
        for thread in sweepers:
            thread.join()
        self.assertGreater(told.acknowledged, 50)
        self.assertGreater(len(runs), 3)
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
