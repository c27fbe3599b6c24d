# SPDX-License-Identifier: Apache-2.0
"""The guest: Debian's kernel 6.1 in QEMU, whose disks write down every write and flush.

    guest = Guest(directory, kernel_dir, programs)
    for report in guest.go(runs): ...       one per run, as soon as its log is complete

Each run has a disk of its own: a small file system and, behind it, room for acknowledgements.
What happened to the disk lies in guest.log_file(run) (writelog.py reads it). QEMU writes it down;
with exact=True the guest's dm-log-writes does, on a second disk: then a write that ends while a
flush is under way does not count as durable.
"""
import collections
import lzma
import os
import shutil
import subprocess

ACK_BYTES = 4 << 20
EXACT_LOG_BYTES = 1 << 30       # sparse
FS_BYTES = {'ext4': 128 << 20, 'xfs': 320 << 20}
QEMU = 'qemu-system-x86_64'
DMSETUP = '/usr/sbin/dmsetup'
TIMEOUT_S = 300

Run = collections.namedtuple('Run', 'name fs engine on_existing control load threads operations')
Report = collections.namedtuple('Report', 'run good text seconds')

SWIFT_CONF = b'''[swift-hash]
swift_hash_path_prefix = testprefix
swift_hash_path_suffix = testsuffix
'''
PASSWD = b'root:x:0:0::/:/bin/sh\nswift:x:1000:1000::/:/bin/sh\n'
GROUP = b'root:x:0:\nswift:x:1000:\n'


def why_not():
    """None if guests can be run here, else the reason."""
    for program in (QEMU, 'busybox'):
        if not shutil.which(program):
            return f'needs {program}'
    with open(shutil.which('busybox'), 'rb') as f:
        if b'ld-linux' in f.read(4096):
            return 'needs the static busybox of busybox-static'
    return None


# ---- what the guest boots from ----

def vmlinux(vmlinuz):
    """The kernel itself, out of its self-extracting wrapper: it boots in half the time."""
    with open(vmlinuz, 'rb') as f:
        data = f.read()
    at = data.find(b'\xfd7zXZ\0')
    while at >= 0:
        try:
            kernel = lzma.LZMADecompressor().decompress(data[at:])
            if kernel.startswith(b'\x7fELF'):
                return kernel
        except lzma.LZMAError:
            pass
        at = data.find(b'\xfd7zXZ\0', at + 1)
    raise RuntimeError(f'{vmlinuz}: no XZ-compressed ELF kernel in it')


class Cpio:
    """An archive of the format that kernels unpack at boot ("newc")."""
    def __init__(self):
        self.parts, self.directories = [], set()

    def _add(self, name, mode, data):
        fields = [len(self.parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b'070701' + b''.join(b'%08x' % f for f in fields) + name.encode() + b'\0'
        self.parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def directory(self, name):
        if name and name not in self.directories:
            self.directory(os.path.dirname(name))
            self.directories.add(name)
            self._add(name, 0o040755, b'')

    def file(self, name, data, mode=0o644):
        self.directory(os.path.dirname(name))
        self._add(name, 0o100000 | mode, data)

    def copy(self, name, path):
        with open(path, 'rb') as f:
            self.file(name, f.read(), 0o755)

    def bytes(self):
        self._add('TRAILER!!!', 0, b'')
        return b''.join(self.parts)


def libraries(program):
    """Absolute paths of the shared libraries that a program loads, its loader included."""
    out = subprocess.run(['ldd', program], check=False, capture_output=True, text=True).stdout
    return {word for line in out.splitlines() for word in line.split() if word.startswith('/')}


def empty_disk(fs, path):
    """A file system of this kind and the room behind it; blocks of zeros are holes."""
    with open(path, 'wb') as f:
        f.truncate(FS_BYTES[fs] + ACK_BYTES)
    size = FS_BYTES[fs]
    command = {'ext4': ['mkfs.ext4', '-F', '-q', '-b', '4096', '-E',
                        'nodiscard,lazy_itable_init=0,lazy_journal_init=0', path, str(size // 4096)],
               'xfs': ['mkfs.xfs', '-f', '-q', '-K', '-d', f'size={size}', path]}[fs]
    environment = dict(os.environ, PATH=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
    subprocess.run(command, check=True, capture_output=True, env=environment)
    subprocess.run(['fallocate', '--dig-holes', path], check=True)


class Guest:
    def __init__(self, directory, kernel_dir, programs, options, exact=False):
        """programs: {name in the guest: path here}; options: of QEMU (accelerator, ...)."""
        self.exact = exact
        self.directory, self.kernel_dir, self.options = directory, kernel_dir, options
        self.kernel = os.path.join(directory, 'vmlinux')
        with open(self.kernel, 'wb') as f:
            f.write(vmlinux(os.path.join(kernel_dir, 'vmlinuz')))
        self.programs = dict(programs)
        if exact:
            self.programs['bin/dmsetup'] = DMSETUP
        for fs in FS_BYTES:
            empty_disk(fs, self.base_image(fs))

    def base_image(self, fs):
        return os.path.join(self.directory, f'{fs}.base')

    def log_file(self, run):
        return os.path.join(self.directory, f'{run.name}.log')

    def _initramfs(self, runs, path):
        here = os.path.dirname(os.path.abspath(__file__))
        cpio = Cpio()
        for name in ('dev', 'proc', 'sys', 'bin', 'srv/node/sda1', 'tmp', 'var/cache/swift'):
            cpio.directory(name)
        cpio.copy('init', os.path.join(here, 'init'))
        cpio.copy('bin/busybox', shutil.which('busybox'))
        for name, program in self.programs.items():
            cpio.copy(name, program)
        for library in sorted(set().union(*map(libraries, self.programs.values()))):
            cpio.copy(library[1:], library)
        order = self._modules(cpio)
        cpio.file('modules/order', '\n'.join(order).encode() + b'\n')
        cpio.file('swift.conf', SWIFT_CONF)
        cpio.file('etc/passwd', PASSWD)
        cpio.file('etc/group', GROUP)
        lines = [' '.join(map(str, (r.name, *self._disks(i), r.fs, r.engine, r.on_existing,
                                    r.control or '-', r.load, r.threads, r.operations,
                                    FS_BYTES[r.fs]))) for i, r in enumerate(runs)]
        cpio.file('runs', '\n'.join(lines).encode() + b'\n')
        with open(path, 'wb') as f:
            f.write(cpio.bytes())

    def _disks(self, i):
        """Of run i: its disk, and the one for the log or '-'."""
        letters = 'abcdefghijklmnopqrstuvwxyz'
        if self.exact:
            return f'/dev/vd{letters[2 * i]}', f'/dev/vd{letters[2 * i + 1]}'
        return f'/dev/vd{letters[i]}', '-'

    def _modules(self, cpio):
        """Packs the modules; names in an order in which each finds what it needs."""
        needs = {}
        for file in os.listdir(self.kernel_dir):
            if file.endswith('.ko'):
                with open(os.path.join(self.kernel_dir, file), 'rb') as f:
                    data = f.read()
                cpio.file(f'modules/{file}', data)
                at = data.index(b'depends=') + len(b'depends=')
                text = data[at:data.index(b'\0', at)].decode()
                needs[file[:-3]] = [n for n in text.split(',') if n]
        order = []

        def load(name):
            if name in needs and name not in order:
                for n in needs[name]:
                    load(n)
                order.append(name)
        for name in ['crc32c_generic', *sorted(needs)]:
            load(name)
        return order

    def _command(self, runs, initramfs):
        command = [QEMU, *self.options, '-nodefaults', '-no-user-config', '-display', 'none',
                   '-serial', 'stdio', '-no-reboot', '-kernel', self.kernel, '-initrd', initramfs,
                   '-append', 'console=ttyS0 quiet panic=-1 no_timer_check']
        for i, run in enumerate(runs):
            image = os.path.join(self.directory, f'{run.name}.img')
            subprocess.run(['cp', '--sparse=always', self.base_image(run.fs), image], check=True)
            command += self._drives(i, image, self.log_file(run))
        return command

    def _drives(self, i, image, log):
        """QEMU's options for the disk or disks of run i."""
        with open(log, 'wb') as f:
            f.truncate(EXACT_LOG_BYTES if self.exact else 0)

        def file(node, path):
            return ['-blockdev', f'driver=file,filename={path},node-name={node}{i}']

        def disk(node):
            return ['-device', f'virtio-blk-pci,drive={node}{i},write-cache=on']
        if self.exact:
            return [*file('f', image), *file('l', log), *disk('f'), *disk('l')]
        return [*file('f', image), *file('l', log), '-blockdev',
                f'driver=blklogwrites,file=f{i},log=l{i},node-name=d{i}', *disk('d')]

    def go(self, name, runs):
        """Boots, runs them all, yields a Report for each; `name` tells several guests apart."""
        initramfs = os.path.join(self.directory, f'{name}.cpio')
        self._initramfs(runs, initramfs)
        left = {r.name: r for r in runs}
        text = []
        command = ['timeout', '-k', '5', str(TIMEOUT_S), *self._command(runs, initramfs)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            for line in process.stdout:
                line = line.decode('latin-1').rstrip()
                words = line.split()
                if words[:1] != ['DONE']:
                    text.append(line)
                    continue
                yield Report(left.pop(words[1]), words[2] == '0', text,
                             float(words[4]) - float(words[3]))
                text = []
        for run in left.values():
            yield Report(run, False, text, 0)
