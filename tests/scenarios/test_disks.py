# SPDX-License-Identifier: Apache-2.0
"""Bad days of a disk: full, read-only, gone, failing, or of a kind that lacks something.

One device suffers, another stands beside it. Whatever happens, the other one works, the sick
one answers 507 (or 503), and works again without a restart when the cause has gone."""
import os
import shutil
import subprocess

from base import SwiftCase, wait_until
from harness import mounts, tree, wire

SICK = (507, 503)
BIG = os.urandom(1 << 20) * 3


class Disks(SwiftCase):
    own_server = False
    oracle_too = False
    file_system = 'ext4'

    def setUp(self):
        super().setUp()
        reason = mounts.why_not(self.file_system)
        if reason:
            self.skipTest(reason)
        self.server = self.make(devices=('sda1', 'sdb1'), conf={'DEFAULT': {'mount_check': 'true'}})
        self.sick, self.well = mounts.Image(self.root, self.file_system), None
        self.addCleanup(self.sick.discard)
        self.sick.mount(self.server.device)
        other = os.path.join(self.server.devices, 'sdb1')
        with open(os.path.join(other, '.ismount'), 'w', encoding='ascii'):
            pass                        # counts as mounted
        self.server.start()
        self.other = self.path.replace('/sda1/', '/sdb1/')

    def tearDown(self):
        # The server in self.server is this test's own: stopped by its clean-up.
        if not self.server.running():
            self.fail(f'the server died:\n{self.server.log()[-4000:]}')

    def status(self, method, path=None, body=None, **headers):
        return self.ask(method, path, body, **headers).status

    def upload(self, n, body=BIG, path=None, chunked=False):
        head = dict(X_Timestamp=self.t(n), Content_Type='a/b')
        if not chunked:
            return self.status('PUT', path, body, **head)
        with self.server.connect() as c:
            try:
                c.send(self.put_head(n, path, Transfer_Encoding='chunked') + wire.chunks(body, 65536))
            except OSError:
                pass                    # answered before it had read all
            return c.read_response('PUT').status

    def assert_other_well(self, n):
        self.assertEqual(self.upload(n, path=self.other), 201)
        self.assertEqual(self.get(path=self.other).body, BIG)

    def test_full_disk(self):
        self.assertEqual(self.upload(10, b'before'), 201)
        filler = self.sick.fill(leave=600000)
        for n, chunked in ((20, False), (21, True)):
            self.assertEqual(self.upload(n, chunked=chunked), 507)
            self.assertEqual(self.get().body, b'before')
            self.assertEqual(self.files(), [self.t(10) + '.data'])
            self.assert_other_well(n)
        self.assertEqual(self.upload(22, path=self.path + 'new', chunked=True), 507)
        self.get(404, path=self.path + 'new')
        os.unlink(filler)
        self.assertEqual(self.upload(30), 201)
        self.assertEqual(self.get().body, BIG)
        self.assertIn('sda1', self.server.log())

    def test_reserve(self):
        """Alone fallocate_reserve stays free, whether or not an upload says how long it is: there is
        always room for a deletion."""
        server = self.make(name='reserve', alone=True,
                           conf={'DEFAULT': {'fallocate_reserve': 8 << 20}})
        image = mounts.Image(self.root, self.file_system)
        self.addCleanup(image.discard)
        image.mount(server.device)
        server.start()
        image.fill(leave=26 << 20)
        self.server = server
        space = os.statvfs(server.device)
        usable = space.f_bavail * space.f_frsize - (8 << 20)
        large, small = bytes(usable + (4 << 20)), bytes(usable * 2 // 3)
        for n, chunked in ((10, False), (11, True)):
            self.assertEqual(self.upload(n, large, chunked=chunked), 507)
            self.get(404)
        self.assertEqual(self.upload(12, small, chunked=True), 201)
        self.assertEqual(self.get().body, small)
        self.assertEqual(self.upload(13, small, self.path + 'more', chunked=True), 507)
        self.delete()
        self.assertTrue(wait_until(     # XFS frees in the background
            lambda: self.upload(14, small, self.path + 'more', chunked=True) == 201))

    def test_full_to_the_last_block(self):
        self.assertEqual(self.upload(10, b'before'), 201)
        filler = self.sick.fill()
        for i in range(30):
            s = self.upload(20, b'x' * 4096, path=f'{self.path}-{i}')
            self.assertIn(s, (201, 507))
            if s == 201:
                self.assertEqual(self.get(path=f'{self.path}-{i}').body, b'x' * 4096)
        self.assertEqual(self.get().body, b'before')
        os.unlink(filler)
        self.assertEqual(self.upload(40, path=f'{self.path}-29'), 201)

    def test_read_only(self):
        self.assertEqual(self.upload(10), 201)
        self.sick.remount('ro')
        self.assertIn(self.upload(20), SICK)
        self.assertIn(self.upload(21, chunked=True), SICK)
        self.assertIn(self.status('DELETE', X_Timestamp=self.t(22)), SICK)
        self.assertIn(self.status('POST', X_Timestamp=self.t(22)), SICK)
        self.assertEqual(self.get().body, BIG)
        self.assert_other_well(20)
        self.sick.remount('rw')
        self.assertEqual(self.upload(30, b'after'), 201)
        self.assertEqual(self.get().body, b'after')

    def test_unmounted(self):
        self.assertEqual(self.upload(10), 201)
        with self.server.connect() as idle:     # a connection that has used the disk holds nothing
            self.check(idle.request('GET', self.path), 200)
            self.assertTrue(wait_until(self._unmounted))
        for method, more in (('GET', {}), ('HEAD', {}), ('PUT', {'body': b'x'}), ('POST', {}),
                             ('DELETE', {})):
            self.assertEqual(self.status(method, X_Timestamp=self.t(20), Content_Type='a/b', **more), 507)
        self.assertEqual(os.listdir(self.server.device), [])    # nothing under the mount point
        self.assert_other_well(20)
        self.sick.mount(self.server.device)
        self.assertEqual(self.get().body, BIG)
        self.assertEqual(self.upload(30), 201)

    def _unmounted(self):
        try:
            self.sick.unmount()
            return True
        except subprocess.CalledProcessError:
            return False

    def test_failing_disk(self):
        """Every call answers EIO (the file system was shut down)."""
        self.assertEqual(self.upload(10), 201)
        self.sick.shutdown()
        self.assertIn(self.upload(20), SICK)
        self.assertIn(self.upload(21, chunked=True), SICK)
        self.assertIn(self.upload(20, path=self.path + 'new'), SICK)
        self.assertIn(self.status('DELETE', X_Timestamp=self.t(22)), SICK)
        # What the kernel still has in memory it may still show: then it is right, or it is EIO.
        r = self.ask('GET')
        self.assertIn(r.status, SICK + (200,))
        if r.status == 200:
            self.assertEqual(r.body, BIG)
        # ext4 goes on to say "no such file" of what it never had; XFS says EIO.
        absent = SICK if self.file_system == 'xfs' else SICK + (404,)
        for path in (self.path + 'absent', self.path + 'new'):
            self.assertIn(self.status('GET', path), absent)
        self.assert_other_well(20)
        self.assertTrue(wait_until(self._unmounted))
        self.sick.mount(self.server.device)
        self.assertEqual(self.get().body, BIG)
        self.assertEqual(self.upload(30, b'after'), 201)
        self.assertIn('sda1', self.server.log())

    def test_fails_in_the_middle_of_an_upload(self):
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length=str(len(BIG))) + BIG[:len(BIG) // 2])
            self.assert_other_well(5)
            self.sick.shutdown()
            try:
                c.send(BIG[len(BIG) // 2:])
            except OSError:
                pass
            self.assertIn(c.read_response('PUT').status, SICK)
        self.assertTrue(wait_until(self._unmounted))
        self.sick.mount(self.server.device)
        self.get(404)
        self.assertEqual(self.upload(20), 201)

    def test_device_appears_later(self):
        """A disk that was not there at start works once it is mounted."""
        self.assertEqual(self.upload(10), 201)
        self.assertTrue(wait_until(self._unmounted))
        self.server.stop()
        self.server.start()
        self.assertEqual(self.upload(20), 507)
        self.sick.mount(self.server.device)
        self.assertEqual(self.get().body, BIG)
        self.assertEqual(self.upload(20), 201)


class DisksXfs(Disks):
    file_system = 'xfs'


class Kinds(SwiftCase):
    """File systems that lack something."""
    own_server = False
    oracle_too = False

    def mount_ramfs(self, where):
        r = subprocess.run(['mount', '-t', 'ramfs', 'none', where], capture_output=True, check=False)
        if r.returncode:
            self.skipTest(f'cannot mount ramfs: {r.stderr.decode()}')
        self.addCleanup(subprocess.run, ['umount', '-l', where], check=False)

    def test_no_user_xattrs_refuses_to_start(self):
        server = self.make()
        self.mount_ramfs(server.device)
        code, log = server.run_to_end()
        self.assertNotIn(code, (0, None), log)
        self.assertIn(server.device, log)
        self.assertRegex(log, '(?i)xattr|extended attribute')
        self.assertRegex(log, '(?i)ext4|xfs|mount')     # the remedy

    def test_no_user_xattrs_refuses_to_start_alone(self):
        server = self.make(alone=True)
        self.mount_ramfs(server.device)
        code, log = server.run_to_end()
        self.assertNotIn(code, (0, None), log)
        self.assertIn(server.device, log)
        self.assertRegex(log, '(?i)xattr|extended attribute')

    def test_no_user_xattrs_appears_later(self):
        server = self.server = self.start()
        path = os.path.join(server.devices, 'sdb1')
        os.makedirs(path)
        self.mount_ramfs(path)
        self.put(status=507, path=self.path.replace('sda1', 'sdb1'))
        self.put()

    def without_tmpfile(self):
        """A server for which no file system has O_TMPFILE, by a preloaded open()."""
        compiler = shutil.which(os.environ.get('CC', 'cc').split()[0]) or shutil.which('gcc')
        if not compiler:
            self.skipTest('needs a C compiler for the library to preload')
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'no_tmpfile.c')
        library = os.path.join(self.root, 'no_tmpfile.so')
        subprocess.run([compiler, '-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], check=True)
        server = self.make(wrapper=['env', f'LD_PRELOAD={library}'])
        self.server = server.start()
        return server

    def test_no_tmpfile(self):
        server = self.without_tmpfile()
        if self.kind == 'threads':
            self.assertNotIn('O_TMPFILE,', server.log().replace('no O_TMPFILE', ''))
        for n, body in ((10, b'one'), (20, BIG), (30, b'')):
            self.put(n, body=body, X_Object_Meta_N=str(n))
            r = self.get()
            self.assertEqual((r.body, r.get('X-Object-Meta-N')), (body, str(n)))
        self.put(30, status=409)
        self.post(40, X_Object_Meta_A='1')
        self.assertEqual(self.head().get('X-Object-Meta-A'), '1')
        self.put(45, status=422, Etag='0' * 32)
        self.delete(50)
        self.assertEqual(self.files(), [self.t(50) + '.ts'])
        self.assertEqual(self.temporaries(), [])

    def test_no_tmpfile_aborted_and_killed(self):
        server = self.without_tmpfile()
        c = server.connect()
        c.send(self.put_head(Content_Length='200000') + b'x' * 100000)
        self.assertTrue(wait_until(self.temporaries), 'the upload has no temporary file')
        c.reset()
        self.assertTrue(wait_until(lambda: not self.temporaries()), self.temporaries())
        self.assert_no_trace()
        c = server.connect()
        c.send(self.put_head(Content_Length='200000') + b'x' * 100000)
        self.assertTrue(wait_until(self.temporaries))
        server.kill()
        c.close()
        self.assertEqual(len(self.temporaries()), 1)
        server.start()
        self.get(404)
        self.assertEqual(self.temporaries(), [])        # swept at start

    def temporaries(self):
        return [p for p in tree.everything(self.server.device) if p.startswith('tmp/')]
