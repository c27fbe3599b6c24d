# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, and a power cut of the file system: nothing acknowledged is lost."""
import os
import random

from base import wait_until
from harness import history, mounts, suite, tree

CYCLES = int(os.environ.get('OBJSRV_TEST_CYCLES') or 0)


def temporary_names(device):
    """Files that an interrupted upload may leave and a start has to sweep."""
    return [p for p in tree.everything(device)
            if os.path.isfile(os.path.join(device, p)) and not p.startswith('quarantined') and
            not p.endswith(('.data', '.meta', '.ts', '.lock', 'hashes.invalid', 'hashes.pkl')) and
            (p.startswith('tmp') or '/objects' in '/' + p)]


class Kill(suite.Case):
    own_server = False
    oracle_too = False

    def test_kill_9_under_load(self):
        server = self.make(alone=self.alone).start()
        form = history.Alone() if self.alone else history.Swift()
        past = history.History(form)
        rnd = random.Random(f'{self.id()}')
        for cycle in range(CYCLES or 5):
            load = history.Load(past, server).start()
            self.assertTrue(load.wait_acks(rnd.randint(30, 300)))
            server.kill()
            load.join()
            self.assertTrue(load.refusals.empty(), list(load.refusals.queue)[:5])
            server.start()
            self.assertEqual(past.check(server), [], f'cycle {cycle}')
            self.assertEqual(temporary_names(server.device), [])
        self.assertGreater(past.acknowledged, 100)

    def test_control_the_judge_sees_a_loss(self):
        """Take away, alter, or bring back: each must be noticed, or the test above says nothing."""
        server = self.make(alone=self.alone).start()
        form = history.Alone() if self.alone else history.Swift()
        past = history.History(form)
        load = history.Load(past, server).start()
        load.wait_acks(200)
        load.stop()
        self.assertEqual(past.check(server), [])
        files = [f for f in tree.object_files(server.device) if f.endswith('.data')]
        os.unlink(os.path.join(server.device, files[0]))
        self.assertEqual(len(past.check(server)), 1)
        key = next(k for k, ops in past.operations.items() if ops[-1][0] is not None and
                   not past._check_key(server.connect(), k, ops, None))
        past.operations[key].append([past.operations[key][-1][0] + 1, True])
        self.assertEqual(len(past.check(server)), 2)


class KillAlone(Kill):
    alone = True


class PowerCut(suite.Case):
    """FS_IOC_SHUTDOWN under load: what the journal had not on disk is gone, as after a cut.

    Judged twice: by what was acknowledged before the cut, and by every acknowledgement,
    those after the cut included: none may have been false."""
    own_server = False
    oracle_too = False

    def _cycles(self, kind):
        reason = mounts.why_not(kind)
        if reason:
            self.skipTest(reason)
        image = mounts.Image(self.root, kind, 320 if kind == 'xfs' else 200)
        self.addCleanup(image.discard)
        server = self.make(conf={'DEFAULT': {'mount_check': 'true'}})
        image.mount(server.device)
        server.start()
        rnd = random.Random(kind)
        for cycle in range(CYCLES or 4):
            # The past before this cycle is settled; a device that is nearly full is no test.
            past = history.History(history.Swift(str(cycle)), seed=cycle)
            load = history.Load(past, server).start()
            self.assertTrue(load.wait_acks(rnd.randint(20, 250)))
            frozen = past.frozen()
            image.shutdown()
            load.join()
            self.assertTrue(set(s for _, s in load.refusals.queue) <= {507, 503, 500},
                            list(load.refusals.queue)[:5])
            self._replug(image, server.device)
            self.assertEqual(past.check(server, frozen), [], f'cycle {cycle}: durable, yet lost')
            self.assertEqual(past.check(server), [], f'cycle {cycle}: acknowledged falsely')
        self.assertTrue(server.running())

    def _replug(self, image, device):
        """Unmounted and mounted again, under the running server."""
        def unmounted():
            try:
                image.unmount()
                return True
            except Exception:           # a request in flight still holds it
                return False
        self.assertTrue(wait_until(unmounted), 'the server holds the dead file system')
        image.mount(device)

    def test_power_cut_ext4(self):
        self._cycles('ext4')

    def test_power_cut_xfs(self):
        self._cycles('xfs')
