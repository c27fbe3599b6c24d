# SPDX-License-Identifier: Apache-2.0
"""A tree of a real server, the auditor to run over it, and what then has changed.

Each test has a tree of its own below its scratch directory; the server has stopped before
anything is damaged. Links point only to places inside of that directory.
"""
import collections
import os
import re
import shutil
import subprocess
import time

from harness import servers, suite, tree

Run = collections.namedtuple('Run', 'code out err')

UNLIMITED = {'files_per_second': 0, 'bytes_per_second': 0, 'zero_byte_files_per_second': 0}
AGES = ('sweep_empty_hashes', 'sweep_empty_suffixes', 'sweep_empty_partitions', 'sweep_tmp',
        'sweep_partition_tmp', 'sweep_tombstones', 'sweep_obsolete', 'sweep_metas',
        'sweep_fragments', 'rsync_tempfile_timeout')
NO_AGE = {name: 0 for name in AGES}
LONG_AGE = {name: 1000000 for name in AGES}
SWIFT_AUDITOR = '/usr/bin/swift-object-auditor'


def auditor():
    path = os.environ.get('OBJSRV_AUDIT', '')
    if not os.access(path, os.X_OK):
        raise RuntimeError(f'no objsrv-audit to test: OBJSRV_AUDIT={path!r}')
    return path


def body_of(i):
    return b'' if i == 0 else (b'object %d;' % i) * (1 + 3000 * i)


class AuditCase(suite.Case):
    own_server = False
    oracle_too = False

    def tree_of(self, count=6, alone=False, name='tree', devices=('sda1',), **defaults):
        """self.made, stopped, with objects o0 (empty) to o<count - 1>; `defaults`: options of the
        server's [DEFAULT]."""
        root = os.path.join(self.root, self._testMethodName, name)
        recon = os.path.join(root, 'recon')
        os.makedirs(recon, exist_ok=True)
        conf = {'object-auditor': dict(UNLIMITED, recon_cache_path=recon), 'DEFAULT': defaults}
        s = servers.make(self.kind, root, alone=alone, conf=conf, devices=devices)
        self.addCleanup(s.stop)
        s.start()
        for i in range(count):
            self.put(s, f'o{i}', body_of(i))
        self.assertEqual(s.stop(), 0, s.log())
        self.made, self.recon = s, os.path.join(recon, 'object.recon')
        return s

    def put(self, server, key, body):
        headers = {'Content-Type': 'text/plain'}
        if not server.alone:
            headers['X-Timestamp'] = f'{time.time():.5f}'
        r = server.request('PUT', self.target(server, key), headers, body)
        self.assertEqual(r.status, 201, r)

    @staticmethod
    def target(server, key):
        return f'/c/{key}' if server.alone else f'/sda1/0/a/c/{key}'

    # ---- running it ----

    def command(self, *options, once=True, **settings):
        s = self.made
        command = [auditor(), '-v', *options]
        command += [f'--set={name}={value}' for name, value in settings.items()]
        command += [] if s.alone else ['--swift-conf', s.swift_conf]
        return command + [s.conf] + (['once'] if once else [])

    def audit(self, *options, expect=None, once=True, wrapper=(), **settings):
        command = [*wrapper, *self.command(*options, once=once, **settings)]
        done = subprocess.run(command, capture_output=True, encoding='utf-8', errors='replace',
                              timeout=60, stdin=subprocess.DEVNULL)
        run = Run(done.returncode, done.stdout, done.stderr)
        found = re.search(r'(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:)', run.err)
        self.assertIsNone(found, run.err[-6000:])
        if expect is not None:
            self.assertEqual(run.code, expect, run)
        return run

    def zbf(self, *options, **kw):
        return self.audit('-z', '0', *options, **kw)

    def swift_audit(self, server, *options):
        """Debian's, over a tree without links: it would follow them."""
        for directory, names, files in os.walk(server.devices):
            for name in names + files:
                self.assertFalse(os.path.islink(os.path.join(directory, name)))
        done = subprocess.run(['/usr/bin/python3', SWIFT_AUDITOR, server.conf, 'once', *options],
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done)

    # ---- the disk ----

    def file_of(self, key, server=None):
        """The .data file of this object."""
        device = (server or self.made).device
        for path in tree.object_files(device):
            full = os.path.join(device, path)
            items = tree.metadata(full)
            if isinstance(items, dict) and items.get(b'name', b'').endswith(b'/' + key.encode()):
                return full
        self.fail(f'{key} is not there')

    def flip(self, key, at=100):
        with open(self.file_of(key), 'r+b') as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 4]))

    def shorten(self, key):
        path = self.file_of(key)
        os.truncate(path, os.path.getsize(path) - 1)

    def quarantined(self, server=None):
        """Hashes, without what Swift may append to them."""
        directory = os.path.join((server or self.made).device, 'quarantined', 'objects')
        return {n[:32] for n in os.listdir(directory)} if os.path.isdir(directory) else set()

    def digest(self, key):
        return os.path.basename(os.path.dirname(self.file_of(key)))

    def objects(self):
        """All of objects[-N]/ and tmp, decoded; the auditor's own files left out."""
        return {path: entry for path, entry in tree.snapshot(self.made.device).items()
                if not path.startswith('objsrv-audit') and 'auditor_status_' not in path
                and not path.endswith('.lock')}

    def assert_served(self, keys):
        """The server still has these."""
        s = self.made
        s.start()
        for key in keys:
            r = s.request('GET', self.target(s, key))
            self.assertEqual((r.status, r.body), (200, body_of(int(key[1:]))), key)
        self.assertEqual(s.stop(), 0)

    def at(self, *parts):
        return os.path.join(self.made.device, *parts)

    def make_directory(self, *parts):
        path = self.at(*parts)
        os.makedirs(path)
        return path

    def make_file(self, *parts, content=b'x'):
        path = self.at(*parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(content)
        return path

    def copy_for_swift(self):
        """A copy of the tree with a configuration that names it."""
        root = os.path.join(self.root, self._testMethodName, 'copy')
        recon = os.path.join(root, 'recon')
        conf = {'object-auditor': dict(UNLIMITED, recon_cache_path=recon)}
        twin = servers.make('swift', root, conf=conf)
        os.makedirs(recon, exist_ok=True)
        shutil.rmtree(twin.devices)
        subprocess.run(['cp', '-a', self.made.devices, twin.devices], check=True)
        return twin
