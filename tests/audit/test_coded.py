# SPDX-License-Identifier: Apache-2.0
"""Erasure-coded policies: archives of real fragments, made by the library that Swift's proxy
uses, then damaged in all the ways that leave the size, or even the checksum, right."""
import hashlib
import os
import subprocess
import time

from base import NO_AGE, AuditCase, auditor
from harness import mime, tree

STAMP = '1700000000.00000'
SEGMENT = 1 << 20                                # of the policy: Debian's auditor counts on it
OBJECT = bytes(range(256)) * 4096 * 4              # four segments
LARGE = b'large' * 3000000                       # more than are read at once


def knows_fragments():
    """Whether this build can judge fragment headers; it says so itself."""
    told = subprocess.run([auditor(), '--version'], capture_output=True, check=True).stdout
    return b'liberasurecode' in told


def archive_of(data):
    return mime.fragments(data, SEGMENT)[1]


def flipped(archive, at):
    return archive[:at] + bytes([archive[at] ^ 0x10]) + archive[at + 1:]


class Coded(AuditCase):
    def coded(self, name, archive, index=1, tail='#d', stamp=STAMP, etag_of=None):
        """One fragment archive on the disk; `etag_of`: what its ETag was made of."""
        path = tree.hash_dir(self.made.device, 2, 7, f'/a/c/{name}')
        items = tree.data_items(f'/a/c/{name}', stamp, archive,
                                X_Object_Sysmeta_Ec_Frag_Index=str(index))
        if etag_of is not None:
            items['ETag'] = hashlib.md5(etag_of).hexdigest()
        tree.write_file(path, f'{stamp}#{index}{tail}.data', archive, items)
        return os.path.basename(path)

    def put_aside(self, server=None):
        directory = os.path.join((server or self.made).device, 'quarantined', 'objects-2')
        return {n[:32] for n in os.listdir(directory)} if os.path.isdir(directory) else set()

    def litter(self):
        """Returns the hashes of what is damaged, by what must be found."""
        try:
            good, large = archive_of(OBJECT), archive_of(LARGE)
        except ImportError:
            self.skipTest('no pyeclib in this Python')
        fragment = len(archive_of(OBJECT[:SEGMENT]))
        for name, archive in (('good', good), ('large', large)):
            self.coded(name, archive)
        self.coded('pending', flipped(good, 3), tail='')      # no read would choose it
        header = flipped(good, 2 * fragment + 12)             # of the third one
        return {
            'body': [self.coded('body', flipped(good, 300), etag_of=good),
                     self.coded('large-body', flipped(large, len(large) - 5), etag_of=large)],
            'size': [self.coded('cut', good[:-1], etag_of=good)],
            'header': [self.coded('header', header),
                       self.coded('large-header', flipped(large, 10 * fragment + 59)),
                       self.coded('rubbish', b'this was never a fragment' * 10),
                       self.coded('half-header', good + good[:40])],
        }

    def test_as_debian(self):
        self.tree_of(1)
        damaged = self.litter()
        twin = self.copy_for_swift()
        expected = set(damaged['body'] + damaged['size'])
        if knows_fragments():
            expected |= set(damaged['header'])
        else:
            print(f'{self.id()}: built without liberasurecode: headers are not judged')
        run = self.audit(expect=1)
        self.assertEqual(self.put_aside(), expected, run.err)
        self.swift_audit(twin)
        self.assertEqual(self.put_aside(twin), expected)
        self.assertEqual('Invalid EC metadata at offset 0x' in run.err, knows_fragments())
        self.audit(expect=0)

    def test_zbf(self):
        """Metadata and sizes: what lies in the bytes is not seen."""
        self.tree_of(1)
        damaged = self.litter()
        self.zbf(expect=0)
        self.assertEqual(self.put_aside(), set())
        with open(os.path.join(tree.hash_dir(self.made.device, 2, 7, '/a/c/cut'),
                               f'{STAMP}#1#d.data'), 'ab') as f:
            f.write(b'too much')
        self.zbf(expect=1)
        self.assertEqual(self.put_aside(), set(damaged['size']))

    def test_sweep(self):
        """A fragment that was never made durable goes when it is past reclaim_age, its upload has
        had its time (commit_window), and it is old enough; a durable one never."""
        self.tree_of(1)
        pending = self.coded('pending', b'', tail='')
        durable = self.coded('durable', b'')
        young = self.coded('young', b'', tail='', stamp=f'{time.time():.5f}')
        no_age = dict(NO_AGE, **{'files_per_second': 0})
        self.audit('--sweep', expect=0, **dict(no_age, sweep_fragments=1000))
        self.audit('--sweep', expect=0, **dict(no_age, sweep_fragments='no'))
        self.audit('--sweep', expect=0, commit_window=1000, **no_age)
        self.audit('--sweep', expect=0, reclaim_age=10 ** 9, **no_age)
        self.audit('--sweep', expect=1, commit_window=0, **no_age)
        left = {d for _, dirs, _ in os.walk(self.at('objects-2')) for d in dirs if len(d) == 32}
        self.assertEqual(left, {durable, young})
        self.assertNotIn(pending, left)

    def test_restore(self):
        """What is no fragment stays in quarantine, however right its checksum."""
        self.tree_of(1)
        if not knows_fragments():
            self.skipTest('built without liberasurecode')
        self.litter()
        digest = self.coded('again', b'this was never a fragment')
        self.audit(expect=1)
        self.assertIn(digest, self.put_aside())
        run = self.audit('--restore', digest, once=False, expect=2)
        self.assertIn('Invalid EC metadata at offset 0x0', run.err)
        self.assertIn(digest, self.put_aside())

    def test_check(self):
        self.tree_of(1)
        self.litter()
        for name, code, words in (('good', 0, 'The body is good'), ('body', 1, 'DAMAGED'),
                                  ('header', int(knows_fragments()), 'fragment')):
            path = tree.hash_dir(self.made.device, 2, 7, f'/a/c/{name}')
            run = self.audit('--check', path, once=False, expect=code)
            self.assertIn(words, run.out)
