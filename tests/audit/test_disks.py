# SPDX-License-Identifier: Apache-2.0
"""Disks in image files: XFS too, one that vanishes under the auditor, one with a bad spot, one that
cannot be written to. A second device stands beside the sick one and must be audited whatever
happens."""
import fcntl
import json
import os
import re
import struct
import subprocess
import time

from base import NO_AGE, AuditCase, body_of
from harness import mounts, tree

FIBMAP = 1


def first_block(path):
    """Where the first block of this file lies on its disk, in bytes, and the last one."""
    with open(path, 'rb') as f:
        size, block = os.fstat(f.fileno()).st_size, os.statvfs(path).f_bsize
        return [struct.unpack('i', fcntl.ioctl(f, FIBMAP, struct.pack('i', n)))[0] * block
                for n in (0, (size - 1) // block)]


class Disks(AuditCase):
    """Two devices: sda1 is a mounted image, sdb1 a directory that counts as mounted."""
    file_system = 'ext4'

    def disks(self, count=6):
        reason = mounts.why_not(self.file_system)
        if reason:
            self.skipTest(reason)
        s = self.tree_of(0, devices=('sda1', 'sdb1'), mount_check='true')
        self.image = mounts.Image(self.root, self.file_system)
        self.addCleanup(self.image.discard)
        self.image.mount(s.device)
        self.beside = os.path.join(s.devices, 'sdb1')
        with open(os.path.join(self.beside, '.ismount'), 'w', encoding='ascii'):
            pass
        s.start()
        for i in range(count):
            self.put(s, f'o{i}', body_of(i))
            self.put_beside(s, f'b{i}')
        self.assertEqual(s.stop(), 0, s.log())
        return s

    def put_beside(self, server, key):
        r = server.request('PUT', f'/sdb1/{key[1:]}/a/c/{key}', {
            'X-Timestamp': '1700000000.00000', 'Content-Type': 'text/plain'}, key.encode())
        self.assertEqual(r.status, 201, r)

    def damage_beside(self):
        path, = [p for p in tree.object_files(self.beside) if '/1/' in p]
        with open(os.path.join(self.beside, path), 'r+b') as f:
            f.write(b'X')

    def quarantined_beside(self):
        directory = os.path.join(self.beside, 'quarantined', 'objects')
        return os.listdir(directory) if os.path.isdir(directory) else []

    def test_whole(self):
        """Damage, dirt and a second run on a real file system of this kind."""
        self.disks()
        damaged = {self.digest('o3'), self.digest('o2')}
        self.flip('o3')
        self.shorten('o2')
        litter = [self.make_directory('objects', '7000', 'abc', 'd' * 29 + 'abc'),
                  self.make_file('tmp', 'left')]
        run = self.audit(expect=1, **NO_AGE)
        self.assertEqual(self.quarantined(), damaged, run.err)
        self.assertEqual([p for p in litter if os.path.exists(p)], [])
        self.audit('--restore', 'all', once=False, expect=2)
        self.audit(expect=0, **NO_AGE)
        self.assert_served(['o0', 'o1', 'o4', 'o5'])
        self.image.unmount()                # nothing is held

    def test_vanishes(self):
        """umount -l while it is being read: that device is left, the next is done."""
        s = self.disks(20)
        self.damage_beside()
        command = self.command('--json', '-v', files_per_second=10,
                               zero_byte_files_per_second=0, workers_per_device=1)
        auditor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   encoding='utf-8', stdin=subprocess.DEVNULL)
        self.addCleanup(auditor.wait)
        self.addCleanup(auditor.kill)
        events = []
        while sum(e['event'] == 'object' for e in events) < 3:
            events.append(json.loads(auditor.stdout.readline()))
        before = os.listdir(os.path.dirname(s.device))
        subprocess.run(['umount', '-l', s.device], check=True)
        out, err = auditor.communicate(timeout=60)
        self.assertEqual(auditor.returncode, 2, err)
        self.assertIn('no longer mounted at', err)
        end = [json.loads(line) for line in out.splitlines()][-1]
        self.assertLess(end['examined'], 40)
        self.assertEqual(end['quarantined'], 1)
        self.assertEqual(len(self.quarantined_beside()), 1)
        self.assertEqual(os.listdir(s.device), [])      # nothing written where it was
        self.assertEqual(before, os.listdir(os.path.dirname(s.device)))
        self.audit('-d', 'sda1', expect=0)              # not mounted: passed over, as by Swift

    def bad_spot(self, size):
        """EIO in the middle of this file: the disk ends there. Seen once, good at its begin."""
        s = self.disks(2)
        s.start()
        self.put(s, 'big', os.urandom(size))
        self.assertEqual(s.stop(), 0, s.log())
        big = self.file_of('big')
        digest = self.digest('big')
        self.audit(expect=0)                # whatever it makes for itself is there
        os.sync()                           # a write behind the new end would move that
        first, last = first_block(big)
        self.assertGreater(last, first)
        with open(big, 'rb') as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.truncate(self.image.file, (first + last) // 2)
        with open(big, 'rb') as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            self.assertEqual(len(f.read(4096)), 4096)
            with self.assertRaises(OSError):
                while f.read(4096):
                    pass
        return digest

    def check_bad_spot(self, size):
        digest = self.bad_spot(size)
        self.damage_beside()
        run = self.audit(expect=1)
        self.assertEqual(self.quarantined(), {digest}, run.err)
        self.assertIn(f'{digest} failed audit and was quarantined: [Errno 5] Input/output error',
                      run.err)
        self.assertEqual(len(self.quarantined_beside()), 1)

    def test_bad_spot_in_a_large_file(self):
        self.check_bad_spot(5 << 20)

    def test_bad_spot_in_a_small_file(self):
        self.check_bad_spot(100000)

    def test_shut_down(self):
        """EIO from everything: nothing is put anywhere, the other device is done."""
        self.disks()
        self.damage_beside()
        self.image.shutdown()
        run = self.audit(expect=2)
        self.assertTrue(re.search('sda1.*Input/output error', run.err), run.err)
        self.assertEqual(len(self.quarantined_beside()), 1)

    def test_read_only(self):
        """Damage is named; that it could not be put away, and where the pass is, too."""
        s = self.disks()
        self.flip('o3')
        self.image.remount('ro')
        before = tree.snapshot(s.device)
        run = self.audit(expect=2)
        self.assertTrue(re.search('o3|' + self.digest('o3'), run.err), run.err)
        self.assertIn('could not be quarantined', run.err)
        self.assertEqual(tree.differences(before, tree.snapshot(s.device)), [])
        self.image.remount('rw')
        self.audit(expect=1)
        self.audit(expect=0)


class DisksXfs(Disks):
    file_system = 'xfs'
