#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Objects between the engine and Debian's Swift DiskFile, in both directions, on one device.

usage: read_by_swift.py ENGINE_TOOL

Must run under Debian's Python, which has python3-swift.
"""
import binascii
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import unittest
import warnings

import xattr

from swift.common import utils
from swift.common.exceptions import DiskFileDeleted
from swift.common.storage_policy import POLICIES, StoragePolicy, StoragePolicyCollection
from swift.obj import diskfile

utils.HASH_PATH_PREFIX, utils.HASH_PATH_SUFFIX = b'pfx', b'sfx'
TOOL = None
T = ['%d.00000' % (1700000000 + n) for n in range(10)]
POLICY = StoragePolicyCollection(
    [StoragePolicy(0, 'zero', is_default=True), StoragePolicy(1, 'one')])

# Header values as Python 3 holds them: one character per byte of the wire.
VALUES = {
    'X-Object-Meta-Plain': 'text',
    'X-Object-Meta-Empty': '',
    'X-Object-Meta-Zue': 'Z\xc3\xbc',
    'X-Object-Meta-Lone': '\xff\x80',
    'X-Object-Meta-\xc3\xa9': 'name of its own',
    'X-Object-Meta-Long': 'v' * 1500,
    'X-Object-Sysmeta-S': 'kept',
    'Content-Encoding': 'gzip',
}


def wire(text):
    return text.encode('latin-1')


def hexed(data):
    return binascii.hexlify(data).decode()


class Case(unittest.TestCase):
    def setUp(self):
        base = os.environ.get('OBJSRV_TEST_DIR')
        self.scratch = tempfile.TemporaryDirectory(dir=base)
        self.addCleanup(self.scratch.cleanup)
        self.devices = self.scratch.name
        os.mkdir(os.path.join(self.devices, 'sda1'))
        logger = logging.getLogger('swift')
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        self.manager = diskfile.DiskFileManager(
            {'devices': self.devices, 'mount_check': 'false',
             'reclaim_age': str(10 ** 12)}, logger)

    def swift(self, obj, policy=0):
        return self.manager.get_diskfile('sda1', '7', 'a', 'c', obj, POLICY[policy])

    def tool(self, command, obj, now, *more, policy=0):
        out = subprocess.run(
            [TOOL, command, self.devices, 'sda1', str(policy), '7', 'a', 'c', obj, now, *more],
            stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        facts, meta = {}, {}
        for line in out:
            if line.startswith('meta '):
                key, value = line.split(' ')[1:]
                meta[binascii.unhexlify(key)] = binascii.unhexlify(value)
            elif line.startswith('body '):
                facts['body'] = binascii.unhexlify(line.split(' ')[1])
            else:
                facts.update([line.split('=', 1)])
        return facts, meta

    def files(self, obj, policy=0):
        return sorted(os.listdir(self.swift(obj, policy)._datadir))


class SwiftWrites(Case):
    def put(self, obj, body, metadata, when, policy=0):
        with self.swift(obj, policy).create() as writer:
            writer.write(body)
            full = dict(metadata, **{
                'X-Timestamp': when, 'Content-Length': str(len(body)),
                'ETag': hashlib.md5(body).hexdigest()})
            writer.put(full)
        return full

    def same(self, meta, expected, obj):
        want = {wire(k): wire(v) for k, v in expected.items()}
        want[b'name'] = ('/a/c/' + obj).encode()
        self.assertEqual(meta, want)

    def test_data(self):
        for policy in 0, 1:
            for obj in 'o', 'snöw', 'a/b//c':
                for body in b'', b'body', b'x' * 100000:
                    full = self.put(obj, body, VALUES, T[1], policy)
                    facts, meta = self.tool('get', obj, T[9], policy=policy)
                    self.assertEqual(facts['state'], 'live')
                    self.assertEqual(facts['body'], body)
                    self.assertEqual(facts['timestamp'], T[1])
                    self.same(meta, full, obj)

    def test_offset(self):
        when = utils.Timestamp(1700000001, offset=255).internal
        self.put('o', b'body', {}, when)
        self.assertEqual(self.tool('get', 'o', T[9])[0]['timestamp'], when)

    def test_meta_and_content_type(self):
        self.put('o', b'body', dict(VALUES, **{'Content-Type': 'old'}), T[1])
        self.swift('o').write_metadata({
            'X-Timestamp': T[3], 'X-Object-Meta-New': 'n\xc3\xa9', 'Content-Type': 'new',
            'Content-Type-Timestamp': T[2]})
        self.swift('o').write_metadata({'X-Timestamp': T[4], 'X-Object-Meta-Newer': '2'})
        self.assertEqual(len(self.files('o')), 3)
        with self.swift('o').open(current_time=1700000009) as theirs:
            theirs = theirs.get_metadata()
        facts, meta = self.tool('get', 'o', T[9])
        expected = {k: v for k, v in theirs.items() if k != 'name'}
        self.same(meta, expected, 'o')
        self.assertEqual(meta[b'Content-Type'], b'new')
        self.assertEqual(facts['timestamp'], T[4])
        self.assertEqual(facts['data_timestamp'], T[1])
        self.assertEqual(facts['ctype_timestamp'], T[2])

    def test_delete(self):
        self.put('o', b'body', {}, T[1])
        self.swift('o').delete(T[2])
        facts, _ = self.tool('get', 'o', T[9])
        self.assertEqual((facts['state'], facts['timestamp']), ('deleted', T[2]))

    def test_expired(self):
        self.put('o', b'body', {'X-Delete-At': '1700000005'}, T[1])
        self.assertEqual(self.tool('get', 'o', T[4])[0]['state'], 'live')
        self.assertEqual(self.tool('get', 'o', T[5])[0]['state'], 'expired')

    def test_python2_pickle(self):
        """Byte-string opcodes: header bytes as they came over the wire."""
        items = [(b'X-Timestamp', T[1].encode()), (b'Content-Length', b'4'),
                 (b'ETag', hashlib.md5(b'body').hexdigest().encode()),
                 (b'X-Object-Meta-Zue', b'Z\xc3\xbc'), (b'name', '/a/c/snöw'.encode())]
        pickled = b'\x80\x02}q\x01('
        for key, value in items:
            for text in key, value:
                pickled += b'U' + bytes([len(text)]) + text
        pickled += b'u.'
        self.put('snöw', b'body', {}, T[1])
        path = os.path.join(self.swift('snöw')._datadir, T[1] + '.data')
        for with_checksum in True, False:
            xattr.setxattr(path, 'user.swift.metadata', pickled)
            if with_checksum:
                xattr.setxattr(path, 'user.swift.metadata_checksum',
                               hashlib.md5(pickled).hexdigest().encode())
            else:
                xattr.removexattr(path, 'user.swift.metadata_checksum')
            facts, meta = self.tool('get', 'snöw', T[9])
            self.assertEqual(facts['state'], 'live')
            self.assertEqual(meta, dict(items))

    def test_chunks(self):
        """As small as Swift's writers once made them."""
        full = self.put('o', b'body', VALUES, T[1])
        with self.swift('o').open(current_time=1700000009) as found:
            path = found._data_file
        with open(path, 'rb') as data:
            xattr.removexattr(path, 'user.swift.metadata')
            diskfile.write_metadata(data, dict(full, name='/a/c/o'), xattr_size=254)
        self.assertIn(b'user.swift.metadata4', [n if isinstance(n, bytes) else n.encode()
                                               for n in xattr.listxattr(path)])
        self.same(self.tool('get', 'o', T[9])[1], full, 'o')


class EngineWrites(Case):
    def put(self, kind, obj, body, metadata, when, policy=0):
        full = dict(metadata, **{'X-Timestamp': when})
        if kind == 'data':
            full.update({'Content-Length': str(len(body)),
                         'ETag': hashlib.md5(body).hexdigest()})
        items = [(wire(k), wire(v)) for k, v in full.items()]
        items.append((b'name', ('/a/c/' + obj).encode()))
        facts, _ = self.tool(kind, obj, when, hexed(body),
                             *[hexed(x) for item in items for x in item], policy=policy)
        self.assertEqual(facts['error'], '0')
        return dict(full, name='/a/c/' + obj)

    def test_data(self):
        for policy in 0, 1:
            for obj in 'o', 'snöw', 'a/b//c':
                for n, body in enumerate([b'', b'body', b'x' * 50000]):
                    full = self.put('data', obj, body, VALUES, T[n], policy)
                    with self.swift(obj, policy).open() as found:
                        self.assertEqual(found.get_metadata(), full)
                        self.assertEqual(b''.join(found.reader()), body)
                    self.assertEqual(self.files(obj, policy), [T[n] + '.data'])
        self.assertFalse(os.path.exists(os.path.join(self.devices, 'sda1', 'quarantined')))

    def test_meta(self):
        full = self.put('data', 'o', b'body', {'Content-Type': 'old', 'X-Object-Meta-Old': '1'},
                        T[1])
        self.put('meta', 'o', b'', {'X-Object-Meta-New': 'n\xc3\xa9'}, T[2])
        with self.swift('o').open() as found:
            metadata = found.get_metadata()
        self.assertEqual(metadata['X-Object-Meta-New'], 'n\xc3\xa9')
        self.assertEqual(metadata['Content-Type'], 'old')
        self.assertEqual(metadata['ETag'], full['ETag'])
        self.assertNotIn('X-Object-Meta-Old', metadata)

    def test_tombstone(self):
        self.put('data', 'o', b'body', {}, T[1])
        self.put('ts', 'o', b'', {}, T[2])
        self.assertEqual(self.files('o'), [T[2] + '.ts'])
        with self.assertRaises(DiskFileDeleted) as deleted:
            self.swift('o').open()
        self.assertEqual(deleted.exception.timestamp.internal, T[2])

    def test_suffix_is_hashed(self):
        """What our invalidation tells Swift's replicator."""
        suffix = os.path.basename(os.path.dirname(self.swift('o')._datadir))
        self.assertEqual(self.manager.get_hashes('sda1', '7', [], POLICY[0]), {})
        self.put('data', 'o', b'body', {}, T[1])
        first = self.manager.get_hashes('sda1', '7', [], POLICY[0])
        self.assertEqual(list(first), [suffix])
        self.put('ts', 'o', b'', {}, T[2])
        self.assertNotEqual(self.manager.get_hashes('sda1', '7', [], POLICY[0]), first)


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    TOOL = sys.argv.pop(1)
    unittest.main()
