#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Suffix hashes by the engine and by Debian's Swift: the same partitions, made by hand from a seed.

    hashes_by_swift.py HASHES_TOOL [SEED [COUNT]]

Each partition is hashed by both in a copy of its own; compared are the hashes, how many were
computed, and what is left on disk. Then each reads what the other left: it must believe it.
Must run under Debian's Python, which has python3-swift.
"""
import binascii
import logging
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from swift.common import utils
from swift.common.storage_policy import (ECStoragePolicy, POLICIES, StoragePolicy,
                                         StoragePolicyCollection)
from swift.obj import diskfile

utils.HASH_PATH_PREFIX, utils.HASH_PATH_SUFFIX = b'pfx', b'sfx'
RECLAIM_S, WINDOW_S = 604800, 60
NOW = int(time.time())
AGES = [0, 100, 3600, 7200, 86400, 700000, 800000, 900000]      # the last three: reclaimable
MD5 = '0123456789abcdef' * 2


def policies():
    found = StoragePolicyCollection([
        StoragePolicy(0, 'gold', is_default=True),
        ECStoragePolicy(2, 'coded', ec_type='liberasurecode_rs_vand', ec_ndata=2, ec_nparity=1)])
    POLICIES.__dict__.update(found.__dict__)
    return found


# ---- partitions ----

class Maker:
    """Fills partition 7 of a policy. What Swift 2.30.1 does wrong is left out: see main()."""

    def __init__(self, seed, device):
        self.rnd = random.Random(seed)
        self.policy = self.rnd.choice([0, 2])
        self.partition = os.path.join(device, 'objects' if self.policy == 0 else 'objects-2', '7')
        self.reclaims_fragment = self.quarantines = False

    def time(self):
        offset = self.rnd.choice(['', '', '', '_%016x' % self.rnd.choice([1, 255])])
        return '%d.%05d%s' % (NOW - self.rnd.choice(AGES), self.rnd.choice([0, 0, 12345]), offset)

    def meta(self):
        stamp = self.time()
        if self.rnd.random() < .5:
            return stamp + '.meta'
        short = re.sub('_0*', '_', stamp)
        return '%s%s%x.meta' % (short, self.rnd.choice('+-'), self.rnd.choice([0, 1, 100000, 8640000000]))

    def names(self):
        kinds = [lambda: self.time() + '.data', lambda: self.time() + '.data', self.meta, self.meta,
                 lambda: self.time() + '.ts', lambda: self.time() + self.rnd.choice(['.foo', '']),
                 lambda: self.rnd.choice(['junk', '.%s.data.aB3xYz' % self.time()])]
        if self.policy:
            kinds[:2] = [self.fragment] * 5
        found = {self.rnd.choice(kinds)() for _ in range(self.rnd.choice([0, 1, 1, 2, 3, 4, 6]))}
        if self.policy and self.rnd.random() < .2:
            stamps = [n.split('#')[0] for n in found if re.search(r'#[0-2](#d)?\.data$', n)]
            newest = max(stamps, default=None)
            if newest:
                found.add(newest + '.durable')
        return found

    def fragment(self):
        stamp = self.time()
        if NOW - float(stamp.split('_')[0]) > RECLAIM_S:
            self.reclaims_fragment = True
        return '%s#%d%s.data' % (stamp, self.rnd.choice([0, 0, 1, 2, 2, 3]),
                                 self.rnd.choice(['', '#d', '#d']))

    def hash_dir(self, suffix):
        path = os.path.join(self.partition, suffix, '%029x' % self.rnd.getrandbits(116) + suffix)
        if self.rnd.random() < .04:
            self.quarantines = True
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, 'w').close()
            return
        os.makedirs(path)
        for name in self.names():
            file = os.path.join(path, name)
            open(file, 'w').close()
            when = NOW - self.rnd.choice([0, 30, 600])
            os.utime(file, (when, when))

    def known(self):
        """What hashes.pkl may say: of suffixes that are there, of others, the truth or not."""
        sums = lambda: ({} if self.reclaims_fragment else MD5 if self.policy == 0 else
                        {None: MD5, 0: MD5})
        found = {s: self.rnd.choice([sums(), None, '', {}]) for s in self.suffixes
                 if self.rnd.random() < .6}
        if self.rnd.random() < .3:
            found['abc'] = sums()
        if self.rnd.random() < .8:
            found['valid'] = self.rnd.choice([True, True, True, False, 1, 0])
        if self.rnd.random() < .8:
            found['updated'] = self.rnd.choice([1700000000.25, 1700000000, -1])
        return found

    def pickled(self):
        good = self.known()
        bad_key = self.rnd.choice([b'abc', 'ABC', 'abcd', '', 7, None])
        python2 = b'\x80\x02}q\x01(' + b''.join(
            b'U\x03%sU %s' % (s.encode(), MD5.encode())
            for s in self.suffixes if self.policy == 0) + b'u.'
        return self.rnd.choice([pickle.dumps(good, 2)] * 5 + [
            pickle.dumps({**good, bad_key: MD5}, 2), b'', b'garbage', pickle.dumps(good, 2)[:-1],
            pickle.dumps(good, 2) + b'more', python2, pickle.dumps({}, 2)])

    def make(self):
        os.makedirs(self.partition)
        self.suffixes = ['%03x' % self.rnd.randrange(4096) for _ in range(self.rnd.choice([0, 1, 2, 3, 8]))]
        for suffix in self.suffixes:
            os.makedirs(os.path.join(self.partition, suffix), exist_ok=True)
            for _ in range(self.rnd.choice([0, 1, 1, 2, 3])):
                self.hash_dir(suffix)
        if self.rnd.random() < .1:
            open(os.path.join(self.partition, 'fff'), 'w').close()      # a file is no suffix
        if self.rnd.random() < .6:
            self.write('hashes.pkl', self.pickled())
        if self.rnd.random() < .5:
            lines = self.rnd.choices(self.suffixes + ['0a0', ' 0a1 '], k=self.rnd.choice([0, 1, 3]))
            self.write('hashes.invalid', ''.join(l + '\n' for l in lines).encode())
        return self

    def write(self, name, content):
        with open(os.path.join(self.partition, name), 'wb') as f:
            f.write(content)


# ---- both sides ----

class Side:
    def __init__(self, root, policy):
        self.root, self.policy = root, policy
        self.device = os.path.join(root, 'sda1')
        self.directory = os.path.join(self.device, 'objects-2' if policy else 'objects', '7')
        logger = logging.getLogger('swift')
        self.router = diskfile.DiskFileRouter(
            {'devices': root, 'mount_check': 'false', 'reclaim_age': str(RECLAIM_S),
             'commit_window': str(WINDOW_S)}, utils.LogAdapter(logger, 'test'))

    def by_swift(self, suffixes=()):
        manager = self.router[POLICIES.get_by_index(self.policy)]
        return manager._get_hashes('sda1', '7', POLICIES.get_by_index(self.policy),
                                   recalculate=list(suffixes))

    def by_engine(self, suffixes=None):
        words = [TOOL, self.root, str(self.policy), '7', str(RECLAIM_S), str(WINDOW_S)]
        out = subprocess.run(words + ([suffixes] if suffixes else []), check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        error, hashed, pickled = out.rstrip('\n').split(' ')
        if error != '0':
            return int(hashed), 'error ' + error
        return int(hashed), pickle.loads(binascii.unhexlify(pickled)) if pickled else None

    def cache(self):
        """hashes.pkl without its time."""
        path = os.path.join(self.directory, 'hashes.pkl')
        try:
            with open(path, 'rb') as f:
                found = pickle.load(f)
        except FileNotFoundError:
            return None
        found.pop('updated', None)
        return found

    def tree(self):
        found = set()
        for directory, names, files in os.walk(self.device):
            for name in names + files:
                path = os.path.relpath(os.path.join(directory, name), self.device)
                if not os.path.basename(path).startswith('.lock'):
                    found.add(re.sub(r'([0-9a-f]{32})-[0-9a-f]{32}', r'\1-UUID', path))
        return found

    def invalid(self):
        """Once each: how often a suffix is marked says nothing."""
        path = os.path.join(self.directory, 'hashes.invalid')
        return set(open(path).read().split()) if os.path.exists(path) else None


class Differs(Exception):
    pass


def same(what, swift, engine):
    if swift != engine:
        raise Differs('%s\n    swift  %r\n    engine %r' % (what, swift, engine))


def compare(seed, root):
    """One partition. Swift hashes fragments that it has just reclaimed: then it is asked again."""
    left = os.path.join(root, 'swift')
    made = Maker(seed, os.path.join(left, 'sda1')).make()
    shutil.copytree(left, os.path.join(root, 'engine'))
    swift, engine = Side(left, made.policy), Side(os.path.join(root, 'engine'), made.policy)
    theirs, ours = swift.by_swift(), engine.by_engine()
    if made.reclaims_fragment:
        theirs = (theirs[0], swift.by_swift(list(theirs[1]))[1])
    same('hashes', theirs[1], ours[1])
    same('computed', theirs[0], ours[0])
    same('tree', swift.tree(), engine.tree())
    if not made.reclaims_fragment:
        same('hashes.invalid', swift.invalid(), engine.invalid())
        same('hashes.pkl', swift.cache(), engine.cache())
    if made.quarantines:
        return made         # their suffixes were marked while they were hashed: not known
    empty = sum(1 for v in ours[1].values() if v == {})
    same('read by the other', (empty, theirs[1]), swift.by_engine())
    same('read by the other', engine.by_swift(), (empty, ours[1]))
    some = '-'.join(list(ours[1])[:3] + ['xyz', 'ABC', 'abcd', ''])
    same('forgotten', (0, None), engine.by_engine(some))
    for suffix in list(ours[1])[:3]:
        diskfile.invalidate_hash(os.path.join(swift.directory, suffix))
    same('again', swift.by_swift(), engine.by_engine())
    return made


def lock_is_shared(root):
    """What Swift locks is locked for the engine: it gives up when its time has passed."""
    side = Side(root, 0)
    os.makedirs(side.directory)
    with utils.lock_path(side.directory):
        started = time.monotonic()
        same('locked', 'error 110', side.by_engine()[1])
        if time.monotonic() - started < 5:
            raise Differs('did not wait')


def absent_partition(root):
    side = Side(root, 0)
    os.makedirs(side.device)
    same('absent', (0, {}), side.by_engine())
    same('absent', [], os.listdir(side.device))


def main():
    seed, count = int((sys.argv[2:] or ['1'])[0]), int((sys.argv[3:] or ['0', '120'])[-1])
    logging.getLogger().addHandler(logging.NullHandler())
    failed = policies() is None
    kinds = {0: 0, 2: 0, 'quarantine': 0, 'reclaim': 0}
    checks = [(name.__name__, name) for name in (absent_partition, lock_is_shared)]
    checks += [('seed %d' % n, lambda root, n=n: compare(n, root)) for n in range(seed, seed + count)]
    passed = 0
    for name, check in checks:
        with tempfile.TemporaryDirectory(dir=os.environ.get('OBJSRV_TEST_DIR')) as root:
            try:
                made = check(root)
                passed += 1
            except Differs as e:
                print('%s: %s' % (name, e))
                failed += 1
                continue
        if made:
            kinds[made.policy] += 1
            kinds['quarantine'] += made.quarantines
            kinds['reclaim'] += made.reclaims_fragment
    print('%d passed, %d failed, 0 skipped   %r' % (passed, failed, kinds))
    sys.exit(failed > 0)


TOOL = sys.argv[1]
main()
