# SPDX-License-Identifier: Apache-2.0
"""The log of a disk's writes, and the states that a power cut could have left the disk in.

    log = WriteLog(path, fs_bytes)
    log.acks                        [(index in log.entries, Ack)]
    for cut in log.cuts(count, random): ...
    builder = Builder(base image, log, work directory)
    path = builder.state(cut)       cuts in rising order of cut.at; a new file each time

The format is that of dm-log-writes, version 1, which QEMU's blklogwrites writes.

What a disk with a volatile cache may keep: all that was written before the last completed flush,
and of the rest any subset, in which each write of several 4 KiB blocks may be torn between them.
A write with FUA is kept.
"""
import bisect
import collections
import itertools
import mmap
import os
import struct
from random import Random

MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
BLOCK = 4096
ACK_MAGIC = b'OBJACK1\0'

_serial = itertools.count()

Entry = collections.namedtuple('Entry', 'offset length flags data')      # data: place in the log
Ack = collections.namedtuple('Ack', 'key ticks kind writer')
# keep: None for all before `at`, else the probability for a write after the last flush.
Cut = collections.namedtuple('Cut', 'at keep seed')


class WriteLog:
    def __init__(self, path, fs_bytes):
        with open(path, 'rb') as f:
            self.data = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        self.fs_bytes = fs_bytes
        self.entries = list(self._parse())
        self.acks = [a for i, e in enumerate(self.entries) for a in self._acks_in(i, e)]
        self.flushes = [i for i, e in enumerate(self.entries) if e.flags & FLUSH]

    def _parse(self):
        magic, version, count, sector = struct.unpack_from('<QQQI', self.data, 0)
        if magic != MAGIC or version != 1:
            raise RuntimeError('not a log of writes')
        at = sector
        for _ in range(count):
            start, sectors, flags, _ = struct.unpack_from('<QQQQ', self.data, at)
            at += sector
            yield Entry(start * sector, sectors * sector, flags, at)
            if not flags & DISCARD:
                at += sectors * sector

    def _acks_in(self, index, e):
        """Neighbouring records may have become one write."""
        if e.flags & DISCARD or e.offset < self.fs_bytes:
            return
        for at in range(e.data, e.data + e.length, 512):
            magic, ticks, _, key, kind, writer = struct.unpack_from('<8sQIIII', self.data, at)
            if magic != ACK_MAGIC:
                raise RuntimeError(f'no acknowledgement in entry {index}')
            yield index, Ack(key, ticks, chr(kind), writer)

    def cuts(self, count, random):
        """Rising; half anywhere under load, half around the flushes; half of each lossless.
        The first tenth of the load is left out: it takes an object to lose one."""
        first, last = self.acks[len(self.acks) // 10][0], self.acks[-1][0] + 2
        near = [i for i in self.flushes if first <= i <= last] or [last]
        chosen = []
        for n in range(count):
            at = (random.randint(first, last) if n % 2 else
                  min(max(random.choice(near) + random.randint(-3, 3), first), last))
            keep = None if n // 2 % 2 else random.choice((0, .1, .5, .9))
            chosen.append(Cut(min(at, len(self.entries)), keep, random.getrandbits(32)))
        return sorted(chosen, key=lambda c: c.at)

    def acked(self, cut):
        """The acknowledgements that were given before the cut."""
        return [a for i, a in self.acks if i < cut.at]


class Builder:
    def __init__(self, base, log, directory):
        self.log, self.directory = log, directory
        self.rolling = os.path.join(directory, f'rolling-{os.getpid()}-{next(_serial)}')
        copy_sparse(base, self.rolling)
        self.fd = os.open(self.rolling, os.O_RDWR)
        self.applied = 0

    def close(self):
        os.close(self.fd)
        os.unlink(self.rolling)

    def state(self, cut):
        base = self._last_flush(cut.at)
        while self.applied < base:
            self._apply(self.fd, self.log.entries[self.applied])
            self.applied += 1
        path = os.path.join(self.directory, f'state-{os.getpid()}-{next(_serial)}')
        copy_sparse(self.rolling, path)
        fd = os.open(path, os.O_RDWR)
        try:
            for e in self._kept(base, cut):
                self._apply(fd, e)
        finally:
            os.close(fd)
        return path

    def _last_flush(self, at):
        """How many entries a flush has made durable before entry `at`: the data that comes with
        the flush itself is durable only if it has FUA."""
        n = bisect.bisect_left(self.log.flushes, at)
        if n == 0:
            return 0
        flush = self.log.flushes[n - 1]
        e = self.log.entries[flush]
        return flush if e.length and not e.flags & FUA else flush + 1

    def _kept(self, base, cut):
        rest = self.log.entries[base:cut.at]
        if cut.keep is None:
            return rest
        random = Random(cut.seed)
        return [piece for e in rest for piece in self._chance(e, cut.keep, random)]

    @staticmethod
    def _chance(e, keep, random):
        if e.flags & FUA:
            return [e]
        if random.random() >= keep:
            return []
        if e.length <= BLOCK or e.flags & DISCARD or random.random() > .25:
            return [e]
        return [e._replace(offset=e.offset + at, data=e.data + at,
                           length=min(BLOCK, e.length - at))
                for at in range(0, e.length, BLOCK) if random.random() < .5]

    def _apply(self, fd, e):
        if e.offset >= self.log.fs_bytes or not e.length:
            return
        if e.flags & DISCARD:
            os.pwrite(fd, bytes(e.length), e.offset)
        else:
            os.pwrite(fd, self.log.data[e.data:e.data + e.length], e.offset)


def copy_sparse(source, target):
    """Data only: images are a tenth of their size. A new inode, as mounts demand."""
    with open(source, 'rb') as f, open(target, 'xb') as t:
        size = os.fstat(f.fileno()).st_size
        t.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:             # no data behind
                break
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            os.lseek(t.fileno(), at, os.SEEK_SET)
            while at < end:
                at += os.sendfile(t.fileno(), f.fileno(), at, end - at)
