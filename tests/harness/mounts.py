# SPDX-License-Identifier: Apache-2.0
"""Small file systems in image files, and the things that happen to disks.

    image = Image(directory, 'xfs', megabytes=320)
    image.mount(where); image.shutdown(); image.unmount()

Needs root on the machine and loop devices; why_not() says what is missing. XFS will not be
made smaller than 300 MB, ext4 will.
"""
import fcntl
import os
import shutil
import struct
import subprocess

from . import isolate

_FS_IOC_SHUTDOWN = 0x8004587D
_FIFREEZE, _FITHAW = 0xC0045877, 0xC0045878
_NOLOGFLUSH = 2     # as a power cut: what the journal has not on disk is lost


def why_not(kind='ext4'):
    """None if images of this kind can be mounted here, else the reason."""
    if not isolate.is_real_root():
        return 'needs root to mount images'
    if not shutil.which(f'mkfs.{kind}', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin'):
        return f'needs mkfs.{kind}'
    with open('/proc/filesystems', encoding='ascii') as f:
        known = f.read().split()
    if kind not in known and subprocess.run(['modprobe', kind], check=False,
                                            capture_output=True).returncode != 0:
        return f'the kernel knows no {kind}'
    if subprocess.run(['losetup', '-f'], check=False, capture_output=True).returncode != 0:
        return 'no loop device'
    return None


def _run(*command):
    env = dict(os.environ, PATH=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
    subprocess.run(command, check=True, env=env, capture_output=True)


class Image:
    def __init__(self, directory, kind, megabytes=None):
        self.kind = kind
        self.where = None
        megabytes = megabytes or (320 if kind == 'xfs' else 48)
        self.file = os.path.join(directory, f'{kind}-{os.urandom(4).hex()}.img')
        with open(self.file, 'wb') as f:
            f.truncate(megabytes << 20)
        force = ['-f'] if kind == 'xfs' else ['-F', '-q', '-E', 'nodiscard,lazy_itable_init=1']
        _run(f'mkfs.{kind}', *force, self.file)

    def mount(self, where, options=''):
        os.makedirs(where, exist_ok=True)
        more = ',nouuid' if self.kind == 'xfs' else ''
        _run('mount', '-t', self.kind, '-o', 'loop' + more + options, self.file, where)
        self.where = where

    def remount(self, options):
        _run('mount', '-o', 'remount,' + options, self.where)

    def unmount(self):
        """Fails if anybody still holds the mount, which is a finding of its own."""
        _run('umount', self.where)
        self.where = None

    def shutdown(self):
        """The file system stops as if the power went: every operation from now on is EIO."""
        fd = os.open(self.where, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _FS_IOC_SHUTDOWN, struct.pack('I', _NOLOGFLUSH))
        finally:
            os.close(fd)

    def freeze(self):
        """Whoever writes hangs from now on, and not even SIGKILL helps, until thaw()."""
        self._ioctl(_FIFREEZE)

    def thaw(self):
        self._ioctl(_FITHAW)

    def _ioctl(self, number):
        fd = os.open(self.where, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, number, 0)
        finally:
            os.close(fd)

    def fill(self, leave=0):
        """Takes all free space except about `leave` bytes; returns the file that holds it."""
        path = os.path.join(self.where, 'filler')
        block = 1 << 20
        with open(path, 'ab', buffering=0) as f:
            while block >= 4096:
                try:
                    f.write(b'\0' * block)
                except OSError:
                    block //= 2
            os.fsync(f.fileno())
        if leave:
            os.truncate(path, max(0, os.path.getsize(path) - leave))
        return path

    def discard(self):
        if self.where:
            subprocess.run(['umount', '-l', self.where], check=False, capture_output=True)
        if os.path.exists(self.file):
            os.unlink(self.file)
