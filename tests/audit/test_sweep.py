# SPDX-License-Identifier: Apache-2.0
"""What aborted writes leave behind goes at its age and no sooner; what is not understood stays."""
import json
import os
import time

from base import LONG_AGE, NO_AGE, AuditCase
from harness import tree

HASH = 'd41d8cd98f00b204e9800998ecf8427e'       # of nothing stored here
RSYNC = '.1700000000.00000.data.AbCdEf'


class Sweep:
    alone_tree = False

    def litter(self):
        """Paths of what a sweep takes, outermost where one goes with another."""
        self.tree_of(4, alone=self.alone_tree)
        home = os.path.dirname(self.file_of('o1'))
        obsolete = os.path.join(home, '1000000000.00000.data')
        with open(obsolete, 'wb') as f:
            f.write(b'old')
        stone = tree.write_file(self.at('objects', '7005', HASH[-3:], HASH), '1000000000.00000.ts',
                                b'', {'X-Timestamp': '1000000000.00000', 'name': '/a/c/gone'})
        return [self.make_directory('objects', '7000', HASH[-3:], HASH),
                self.make_directory('objects', '7001', '0aa'),
                self.make_directory('objects', '7002'),
                self.make_file('tmp', 'tmpAbandoned'),
                self.make_file('objects', '7003', 'tmpabcdefgh.tmp'),
                self.make_file('objects', '7004', HASH[-3:], HASH, RSYNC),
                stone,
                self.make_file('objects', '7006', HASH[-3:], HASH, '1000000000.00000.meta'),
                obsolete]

    def make_fifo(self, *parts):
        """Who opens it waits for ever."""
        path = self.at(*parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkfifo(path)
        return path

    def there(self, paths):
        return [os.path.relpath(p, self.made.device) for p in paths if os.path.lexists(p)]

    def test_ages(self):
        paths = self.litter()
        for options in (['--sweep'], []):
            self.audit(*options, **LONG_AGE)
            self.assertEqual(len(self.there(paths)), len(paths), self.there(paths))
        before = self.objects()
        run = self.audit('--sweep', '--dry-run', expect=1, **NO_AGE)
        self.assertEqual(tree.differences(before, self.objects()), [])
        for path in paths:
            if path.endswith(('.ts', '.meta', '.data', '.tmp', RSYNC)):
                self.assertIn(path, run.err)
        self.audit('--sweep', expect=1, **NO_AGE)
        self.audit('--sweep', **NO_AGE)     # what the first has emptied
        self.assertEqual(self.there(paths), [])
        self.assertEqual(self.quarantined(), set())
        self.audit(expect=0, **NO_AGE)
        self.assert_served(['o0', 'o1', 'o2', 'o3'])

    def test_check(self):
        """Says beforehand, and in words, what the sweep then does; changes nothing."""
        paths = [p for p in self.litter() if '/objects/' in p and HASH in p]
        self.assertEqual(len(paths), 4)
        before = self.objects()
        for path in paths:
            run = self.audit('--check', path, once=False, expect=1, **NO_AGE)
            self.assertIn('A sweep would remove it now.', run.out)
            run = self.audit('--check', path, once=False, expect=1, **LONG_AGE)
            self.assertIn('would remove it once it has lain here for another 11.6 days.', run.out)
            if path.endswith(RSYNC):
                continue                    # that class is never off
            run = self.audit('--check', path, once=False, **{
                name: 'no' for name in NO_AGE if name.startswith('sweep')})
            self.assertIn('A sweep leaves it: this class', run.out)
        foreign = self.make_file('objects', '7007', HASH[-3:], HASH, 'what.is.this')
        run = self.audit('--check', foreign, once=False, expect=1)
        self.assertIn('not understood: left alone', run.out)
        os.unlink(foreign)
        os.rmdir(os.path.dirname(foreign))
        os.rmdir(os.path.dirname(os.path.dirname(foreign)))
        os.rmdir(os.path.dirname(os.path.dirname(os.path.dirname(foreign))))
        self.assertEqual(tree.differences(before, self.objects()), [])

    def test_classes_off(self):
        paths = self.litter()
        self.audit('--sweep', **{name: 'no' for name in NO_AGE if name.startswith('sweep')},
                   rsync_tempfile_timeout=1000000)
        self.assertEqual(len(self.there(paths)), len(paths))

    def test_foreign(self):
        self.tree_of(2, alone=self.alone_tree)
        home = os.path.dirname(self.file_of('o1'))
        foreign = [self.make_file('objects', 'README'),
                   self.make_directory('objects', 'lost+found'),
                   self.make_file('objects', '7000', 'notes'),
                   self.make_directory('objects', '7000', 'zzz'),
                   self.make_file('objects', '7000', HASH[-3:], 'nohash', 'file'),
                   self.make_directory('objects', '7000', HASH[-3:], 'empty'),
                   self.make_file('objects', '7000', HASH[-3:], 'saved.bak', '1700000000.00000.data'),
                   self.make_file('objects', '7000', HASH[-3:], 'saved.bak', '1700000001.00000.data'),
                   self.make_file('objects', '7000', HASH[-3:], HASH, 'what.is.this'),
                   self.make_directory(home, 'directory'),
                   self.make_directory(home, '1700000000.00000.data'),
                   self.make_directory('tmp', 'directory'),
                   self.make_file('private', 'file'),
                   self.make_fifo('objects', '7007'),
                   self.make_fifo('objects', '7000', 'aaa'),
                   self.make_fifo('objects', '7000', HASH[-3:], HASH[:-4] + '1' + HASH[-3:]),
                   self.make_fifo(home, '1800000000.00000.data'),
                   self.make_fifo('tmp', 'fifo')]
        run = self.audit(**NO_AGE)
        self.audit('--sweep', **NO_AGE)
        self.assertEqual(len(self.there(foreign)), len(foreign), self.there(foreign))
        self.assertEqual(self.quarantined(), set())
        self.assertIn('Unexpected', run.err)
        self.assertIn('what.is.this', run.err)
        for path in foreign:                # each is named, or what it lies in
            if not path.startswith(self.at('private')):
                self.assertTrue(path in run.err or os.path.dirname(path) + ': ' in run.err, path)

    def test_links(self):
        """Links at every level, to places beside the device that look just like ours."""
        self.tree_of(2, alone=self.alone_tree)
        beside = os.path.join(self.made.root, 'beside')
        part = os.path.join(beside, '9')
        empty = os.path.join(part, HASH[-3:], HASH)
        os.makedirs(empty)
        broken = tree.write_file(os.path.join(part, HASH[-3:], HASH[:-4] + '0' + HASH[-3:]),
                                 '1700000000.00000.data', b'body', b'damaged')
        before = tree.snapshot(beside)
        home = os.path.dirname(self.file_of('o1'))
        for target, link in ((part, self.at('objects', '7009')),
                             (os.path.join(part, HASH[-3:]), self.at('objects', '7008', HASH[-3:])),
                             (empty, self.at('objects', '7007', HASH[-3:], HASH)),
                             (broken, os.path.join(home, '1800000000.00000.data')),
                             (broken, self.at('tmp', 'linked'))):
            self.assertTrue(target.startswith(self.made.root))
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(target, link)
        run = self.audit(**NO_AGE)
        self.audit('--sweep', **NO_AGE)
        self.zbf(**NO_AGE)
        self.assertEqual(tree.differences(before, tree.snapshot(beside)), [])
        self.assertTrue(os.path.islink(self.at('objects', '7009')))
        self.assertEqual(self.quarantined(), set())
        self.assertIn('Unexpected', run.err)
        self.assertTrue(os.path.exists(self.file_of('o1')))


class Swift(Sweep, AuditCase):
    def test_tombstones(self):
        """One that the server has made: kept for reclaim_age, then gone."""
        self.tree_of(2)
        s = self.made.start()
        stamp = f'{time.time():.5f}'
        self.assertEqual(s.request('DELETE', self.target(s, 'o1'), {'X-Timestamp': stamp}).status, 204)
        self.assertEqual(s.stop(), 0)
        stone, = [p for p in tree.object_files(s.device) if p.endswith('.ts')]
        self.audit('--sweep', **NO_AGE)
        self.assertTrue(os.path.exists(self.at(stone)))
        directory_age = dict(NO_AGE, sweep_empty_hashes=3600)
        self.audit('--sweep', expect=1, reclaim_age=0, **directory_age)
        self.assertFalse(os.path.exists(self.at(stone)))
        self.assertTrue(os.path.exists(os.path.dirname(self.at(stone))))    # fresh: emptied now
        self.audit('--sweep', expect=0, **directory_age)
        self.audit('--sweep', expect=1, **NO_AGE)
        self.assertFalse(os.path.exists(os.path.dirname(self.at(stone))))
        self.assert_served(['o0'])

    def test_async_pending(self):
        """Reported when old, never removed."""
        self.tree_of(1)
        update = self.make_file('async_pending', HASH[-3:], HASH + '-1000000000.00000')
        os.utime(update, (1, 1))
        run = self.audit('--json', report_async_pending=0, **NO_AGE)
        self.audit('--sweep', report_async_pending=0, **NO_AGE)
        self.assertTrue(os.path.exists(update))
        end = [json.loads(line) for line in run.out.splitlines()][-1]
        self.assertEqual((end['async_pending'], end['async_stale']), (1, 1), run)


class Alone(Sweep, AuditCase):
    alone_tree = True
