# SPDX-License-Identifier: Apache-2.0
"""What is damaged is found, put aside, and nothing else is; in both modes of the server."""
import fcntl
import glob
import json
import os
import subprocess

from base import NO_AGE, SWIFT_AUDITOR, AuditCase
from harness import tree


class Damage:
    alone_tree = False

    def grow(self, count=6):
        return self.tree_of(count, alone=self.alone_tree)

    def test_clean(self):
        self.grow()
        before = self.objects()
        run = self.audit(expect=0)
        self.assertIn('completed', run.err)
        self.zbf(expect=0)
        self.assertEqual(tree.differences(before, self.objects()), [])

    def test_bit_flip(self):
        self.grow()
        digest = self.digest('o3')
        self.flip('o3')
        self.zbf(expect=0)
        self.assertEqual(self.quarantined(), set())
        self.audit(expect=1)
        self.assertEqual(self.quarantined(), {digest})
        self.audit(expect=0)
        self.assert_served(['o0', 'o1', 'o2', 'o4', 'o5'])

    def test_truncated(self):
        self.grow()
        digest = self.digest('o2')
        self.shorten('o2')
        self.zbf(expect=1)
        self.assertEqual(self.quarantined(), {digest})
        self.assert_served(['o0', 'o1', 'o3', 'o4', 'o5'])

    def test_metadata(self):
        self.grow()
        digests = {self.digest(k) for k in ('o1', 'o2', 'o4')}
        tree.set_metadata(self.file_of('o1'), b'this is no pickle')
        bad = self.file_of('o2')
        os.setxattr(bad, tree.XATTR_CHECKSUM, b'0' * 32)
        os.removexattr(self.file_of('o4'), tree.XATTR)
        self.zbf(expect=1)
        self.assertEqual(self.quarantined(), digests)
        self.assert_served(['o0', 'o3', 'o5'])

    def test_dry_run(self):
        """Nothing at all is written, not even the auditor's own lock."""
        self.grow()
        self.flip('o3')
        self.shorten('o2')
        os.removexattr(self.file_of('o1'), tree.XATTR_CHECKSUM)     # which an audit would add
        self.make_directory('objects', '7000', 'abc')
        before = tree.snapshot(self.made.root)
        run = self.audit('--dry-run', '--json', expect=1, **NO_AGE)
        self.audit('--dry-run', '--sweep', expect=1, **NO_AGE)
        self.zbf('--dry-run', expect=1)
        self.audit('--status', once=False)
        self.audit('--list-quarantined', once=False)
        self.audit('--check', self.file_of('o3'), once=False, expect=1)
        self.assertEqual(tree.differences(before, tree.snapshot(self.made.root)), [])
        events = [json.loads(line) for line in run.out.splitlines()]
        self.assertEqual(sum(e['event'] == 'damaged' for e in events), 2, events)

    def test_second_leaves(self):
        self.grow()
        self.audit(expect=0)
        self.flip('o3')
        before = self.objects()
        with open(self.at('objsrv-audit', 'lock'), 'r+b') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for options in ([], ['--sweep'], ['--dry-run']):
                run = self.audit(*options, expect=2)
                self.assertIn('another auditor is at work there', run.err)
            self.audit('--status', once=False, expect=0)
        self.assertEqual(tree.differences(before, self.objects()), [])

    def test_json(self):
        self.grow()
        digest = self.digest('o3')
        self.flip('o3')
        run = self.audit('--json', expect=1)
        events = [json.loads(line) for line in run.out.splitlines()]
        found = [e for e in events if e['event'] == 'quarantined']
        self.assertEqual(len(found), 1, events)
        self.assertIn(digest, found[0]['path'])
        end = [e for e in events if e['event'] == 'end']
        self.assertEqual([(e['pass'], e['examined'], e['quarantined'], e['result']) for e in end],
                         [('ALL', 6, 1, 1)], events)

    def test_quarantine_and_back(self):
        self.grow()
        digest, path = self.digest('o3'), self.file_of('o3')
        self.flip('o3')
        self.audit(expect=1)
        listed = self.audit('--list-quarantined', once=False, expect=1)
        self.assertIn(digest, listed.out)
        self.assertIn('1 in quarantine', listed.out)
        run = self.audit('--restore', 'all', once=False, expect=2)
        self.assertIn('stays in quarantine', run.err)
        self.assertFalse(os.path.exists(path))
        where, = glob.glob(self.at('quarantined', 'objects', digest + '*', '*.data'))
        with open(where, 'r+b') as f:       # whole again
            f.seek(100)
            byte = f.read(1)
            f.seek(100)
            f.write(bytes([byte[0] ^ 4]))
        self.audit('--restore', digest, '--dry-run', once=False, expect=1)
        self.assertFalse(os.path.exists(path))
        self.audit('--restore', os.path.basename(os.path.dirname(where)), once=False, expect=1)
        self.assertTrue(os.path.exists(path))
        self.assertEqual(self.quarantined(), set())
        self.audit(expect=0)
        self.assert_served([f'o{i}' for i in range(6)])

    def test_names_of_devices(self):
        self.grow(2)
        name = 'd0' if self.alone_tree else 'sda1'
        run = self.audit('-d', f'{name},sdz9', expect=0)
        self.assertIn('sdz9: no such device here', run.err)
        self.audit('-d', 'sdz9', expect=2)

    def test_purge(self):
        self.grow()
        self.flip('o3')
        self.audit(expect=1)
        self.audit('--purge', '--older-than=1d', once=False, expect=0)
        self.assertEqual(len(self.quarantined()), 1)
        self.audit('--purge', '--older-than=0s', '--dry-run', once=False, expect=1)
        self.assertEqual(len(self.quarantined()), 1)
        self.audit('--purge', '--older-than=0s', once=False, expect=1)
        self.assertEqual(self.quarantined(), set())

    def test_check(self):
        self.grow()
        winner = self.file_of('o3')
        run = self.audit('--check', os.path.dirname(winner), once=False, expect=0)
        lines = run.out.splitlines()
        at = next(i for i, line in enumerate(lines) if 'WINS' in line)
        self.assertIn(os.path.basename(winner), ' '.join(lines[at - 2:at + 1]))
        self.flip('o3')
        before = self.objects()
        self.audit('--check', winner, once=False, expect=1)
        self.assertEqual(tree.differences(before, self.objects()), [])

    def test_check_of_no_hash_directory(self):
        """What a sweep does not understand it leaves, and --check says the same."""
        self.grow(2)
        odd = os.path.join(os.path.dirname(os.path.dirname(self.file_of('o1'))), 'short')
        os.mkdir(odd)
        run = self.audit('--check', odd, once=False, expect=1)
        self.assertIn('no hash directory', run.out)
        self.assertIn('left alone', run.out)
        self.assertNotIn('would remove', run.out)

    def test_restore_all_of_nothing(self):
        self.grow(1)
        run = self.audit('--restore', 'all', once=False, expect=0)
        self.assertNotIn('of that name', run.err)
        self.audit('--restore', 'f' * 32, once=False, expect=2)

    def test_status_as_json(self):
        self.grow(3)
        self.audit(expect=0)
        run = self.audit('--status', '--json', once=False, expect=0)
        status, = [json.loads(line) for line in run.out.splitlines()]
        self.assertEqual((status['event'], status['fuse_blown'], status['verified_1d']),
                         ('status', False, 1.0))
        self.assertGreater(status['partitions'], 0)

    def test_wrong_use(self):
        self.grow(1)
        for options, named in ((['--no-such-option'], '--no-such-option'),
                               (['--set=interval=soon'], '--set interval=soon'),
                               (['-z', 'fast'], '--zero-byte-fps=fast'),
                               (['--purge'], '--older-than'), (['-z', '0', '--sweep'], '-z'),
                               (['--older-than=30d'], '--purge'),
                               (['--purge', '--older-than=30'], '--older-than=30'),
                               (['--status', '--list-quarantined'], '--list-quarantined')):
            with self.subTest(options):
                self.assertIn(named, self.audit(*options, expect=64).err)


class Swift(Damage, AuditCase):
    def test_as_debian(self):
        if not os.path.exists(SWIFT_AUDITOR):
            self.skipTest('no swift-object-auditor here')
        self.grow(10)
        for key in ('o2', 'o3', 'o9'):
            self.flip(key)
        self.shorten('o4')
        with open(self.file_of('o0'), 'ab') as f:
            f.write(b'longer')
        tree.set_metadata(self.file_of('o5'), b'no pickle')
        os.removexattr(self.file_of('o6'), tree.XATTR)
        os.setxattr(self.file_of('o7'), tree.XATTR_CHECKSUM, b'0' * 32)
        twin = self.copy_for_swift()
        self.audit(expect=1)
        self.swift_audit(twin)
        self.assertEqual(len(self.quarantined()), 8)
        self.assertEqual(self.quarantined(), self.quarantined(twin))
        with open(self.recon, encoding='utf-8') as f:
            ours = json.load(f)['object_auditor_stats_ALL']
        with open(os.path.join(twin.root, 'recon', 'object.recon'), encoding='utf-8') as f:
            theirs = json.load(f)['object_auditor_stats_ALL']
        self.assertLessEqual(set(theirs), set(ours))

    def test_wrong_suffix(self):
        """Examined where it lies, as by Swift; nothing is swept from it; reported."""
        self.grow(4)
        moved = []
        for key in ('o1', 'o2'):
            if key == 'o2':
                self.flip(key)
            home = os.path.dirname(self.file_of(key))
            digest = os.path.basename(home)
            suffix = '000' if not digest.endswith('000') else '111'
            there = os.path.join(os.path.dirname(os.path.dirname(home)), suffix, digest)
            os.makedirs(os.path.dirname(there), exist_ok=True)
            os.rename(home, there)
            moved.append(there)
        tree.write_file(moved[0], '1000000000.00000.data', b'old', {})
        twin = self.copy_for_swift()
        run = self.audit(expect=1, **NO_AGE)
        for path in moved:
            self.assertIn(path + ': no server looks for it here', run.err)
        self.assertEqual(len(os.listdir(moved[0])), 2)
        self.assertEqual(self.quarantined(), {os.path.basename(moved[1])})
        self.swift_audit(twin)
        self.assertEqual(self.quarantined(twin), self.quarantined())
        self.audit('--sweep', **NO_AGE)
        self.assertEqual(len(os.listdir(moved[0])), 2)
        self.assert_served(['o0', 'o3'])

    def test_recon(self):
        self.grow()
        self.flip('o3')
        self.audit(expect=1)
        with open(self.recon, encoding='utf-8') as f:
            recon = json.load(f)
        stats = recon['object_auditor_stats_ALL']
        self.assertEqual(set(stats), {'audit_time', 'bytes_processed', 'errors', 'passes',
                                      'quarantined', 'start_time'})
        self.assertEqual((stats['quarantined'], stats['errors']), (1, 0))
        self.assertFalse(recon['objsrv_audit']['sda1']['fuse_blown'])
        self.audit('--dry-run', expect=0)
        with open(self.recon, encoding='utf-8') as f:
            self.assertEqual(json.load(f), recon)

    def test_swift_recon(self):
        """What `swift-recon --auditor` prints of it, asked through the server."""
        if not os.path.exists('/usr/bin/swift-recon'):
            self.skipTest('no swift-recon here')
        self.grow()
        self.flip('o3')
        self.audit(expect=1, zero_byte_files_per_second=1000)
        server = self.made.start()
        for args in (['create', '4', '1', '1'],
                     ['add', f'r1z1-127.0.0.1:{server.port}/sda1', '100'], ['rebalance']):
            subprocess.run(['/usr/bin/swift-ring-builder', '/etc/swift/object.builder', *args],
                           check=True, stdout=subprocess.DEVNULL)
        for name in ('object.builder', 'object.ring.gz'):
            self.addCleanup(os.remove, os.path.join('/etc/swift', name))
        told = subprocess.run(['/usr/bin/swift-recon', 'object', '--auditor', '-p', '0'], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              check=False).stdout
        self.assertEqual(server.stop(), 0)
        for line in ('[ALL_audit_time_last_path]', '[ALL_quarantined_last_path]'):
            self.assertIn(line, told, told)
        self.assertRegex(told, r'ALL_quarantined_last_path\] low: 1, high: 1')

    def test_resume(self):
        """What another run, or Swift's auditor, has left to do, and nothing but that."""
        self.tree_of(1)
        s = self.made.start()
        for partition in (1, 2, 3):
            r = s.request('PUT', f'/sda1/{partition}/a/c/p{partition}',
                          {'X-Timestamp': '1700000000.00000', 'Content-Type': 'a/b'}, b'x')
            self.assertEqual(r.status, 201)
        self.assertEqual(s.stop(), 0)
        for content, examined in ((b'{"partitions": ["2", "3"]}', 2), (b'{"parti', 4)):
            status = self.make_file('objects', 'auditor_status_ALL.json', content=content)
            run = self.audit('--json')
            end = [json.loads(line) for line in run.out.splitlines()][-1]
            self.assertEqual((end['event'], end['examined']), ('end', examined), run)
            if os.path.exists(status):      # nothing left to do
                with open(status, encoding='utf-8') as f:
                    self.assertEqual(json.load(f)['partitions'], [])

    def test_fuse(self):
        self.tree_of(40)
        good = self.made.swift_conf
        with open(good, encoding='latin-1') as f:
            text = f.read()
        wrong = os.path.join(self.made.root, 'wrong.conf')
        with open(wrong, 'w', encoding='latin-1') as f:
            f.write(text.replace(tree.SUFFIX, 'another'))
        before = self.objects()
        self.made.swift_conf = wrong
        run = self.audit(quarantine_fuse_min=0, expect=3)
        self.assertIn('QUARANTINE FUSE BLOWN', run.err)
        with open(self.recon, encoding='utf-8') as f:
            self.assertTrue(json.load(f)['objsrv_audit']['sda1']['fuse_blown'])
        self.audit(expect=3)                # it holds in later runs
        self.assertEqual(self.quarantined(), set())
        self.assertEqual(tree.differences(before, self.objects()), [])
        self.audit('--reset-fuse', once=False)
        self.audit(expect=3)                # the default lets a few through
        self.assertLessEqual(len(self.quarantined()), 20)
        self.made.swift_conf = good
        self.audit('--restore', 'all', once=False)
        self.assertEqual(self.quarantined(), set())
        self.audit(expect=0)
        self.assert_served([f'o{i}' for i in range(40)])


class Alone(Damage, AuditCase):
    alone_tree = True


