# SPDX-License-Identifier: Apache-2.0
"""What lies on a device: reading it, comparing it, and writing it by hand.

A snapshot maps relative paths to Entry tuples whose metadata is decoded, so that two pickles
that say the same are the same. The writers put files there as Swift's on-disk format has them,
independently of both servers, so that a test can start from any state, damaged ones included.
"""
import collections
import hashlib
import os
import pickle
import re
import stat

PREFIX, SUFFIX = 'testprefix', 'testsuffix'
XATTR = 'user.swift.metadata'
XATTR_CHECKSUM = 'user.swift.metadata_checksum'

Entry = collections.namedtuple('Entry', 'kind mode content metadata checksum')


def hash_of(path, prefix=PREFIX, suffix=SUFFIX):
    """Of /account/container/object, raw UTF-8 bytes or str."""
    raw = path if isinstance(path, bytes) else path.encode()
    return hashlib.md5(prefix.encode('latin-1') + raw + suffix.encode('latin-1')).hexdigest()


def objects_dir(policy):
    return f'objects-{policy}' if policy else 'objects'


def hash_dir(device, policy, partition, path):
    h = hash_of(path)
    return os.path.join(device, objects_dir(policy), str(partition), h[-3:], h)


def timestamp(seconds, offset=0):
    return f'{seconds:016.5f}' + (f'_{offset:016x}' if offset else '')


# ---- reading ----

def raw_metadata(file):
    """The pickle as stored, all chunks, or None if there is none."""
    parts = []
    while True:
        try:
            parts.append(os.getxattr(file, XATTR + (str(len(parts)) if parts else '')))
        except OSError:
            return b''.join(parts) if parts else None


def metadata(file):
    """The decoded dict, or a text that says why it cannot be had."""
    raw = raw_metadata(file)
    if raw is None:
        return None
    try:
        return pickle.loads(raw, encoding='bytes')
    except Exception as e:              # any damage is a result here, not an error
        return f'unreadable: {type(e).__name__}'


def checksum_state(file):
    try:
        stored = os.getxattr(file, XATTR_CHECKSUM)
    except OSError:
        return 'absent'
    return 'good' if stored.decode('latin-1') == hashlib.md5(
        raw_metadata(file) or b'').hexdigest() else 'bad'


def entry(path):
    info = os.lstat(path)
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        return Entry('dir', mode, None, None, None)
    if not stat.S_ISREG(info.st_mode):
        return Entry('other', mode, None, None, None)
    with open(path, 'rb') as f:
        content = f.read()
    return Entry('file', mode, content, metadata(path), checksum_state(path))


def snapshot(root):
    """{relative path: Entry} of all below root; {} if root does not exist."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = entry(path)
    return found


def everything(root):
    """Relative paths of all below root, sorted: for 'nothing was left behind'."""
    return sorted(os.path.relpath(os.path.join(d, n), root)
                  for d, names, files in os.walk(root) for n in names + files)


def object_files(root):
    """Paths of all .data, .meta and .ts files below root, quarantine left out."""
    return sorted(p for p in everything(root)
                  if p.endswith(('.data', '.meta', '.ts')) and not p.startswith('quarantined'))


def suffix_hashes(content):
    """What a hashes.pkl says, without its time."""
    try:
        found = pickle.loads(content)
        return {**found, 'updated': type(found['updated']).__name__}
    except Exception as e:              # any damage is a result here, not an error
        return f'unreadable: {type(e).__name__}'


# ---- comparing ----

_UUID_TAIL = re.compile(r'([0-9a-f]{32})-[0-9a-f]{32}(?=/|$)')


def normal(path, e):
    """Path and entry with what may differ between two runs of one server made equal."""
    path = _UUID_TAIL.sub(r'\1-UUID', path)
    if os.path.basename(path) == 'hashes.invalid' and e.content is not None:
        e = e._replace(content=b''.join(sorted(set(e.content.splitlines(True)))))
    if os.path.basename(path) == 'hashes.pkl' and e.content is not None:
        e = e._replace(content=suffix_hashes(e.content))
    return path, e


def differences(a, b):
    """[(path, aspect, in a, in b)] between two snapshots."""
    left = dict(normal(*i) for i in a.items())
    right = dict(normal(*i) for i in b.items())
    found = []
    for path in sorted(set(left) | set(right)):
        x, y = left.get(path), right.get(path)
        if x is None or y is None:
            found.append((path, 'exists', x and x.kind, y and y.kind))
            continue
        found += [(path, aspect, u, v) for aspect, u, v in zip(Entry._fields, x, y) if u != v]
    return found


# ---- writing ----

def pickled(items):
    """As Python 3 Swift does: bytes keys and values, protocol 2."""
    def raw(x):
        return x if isinstance(x, (bytes, int)) else x.encode('utf8', 'surrogateescape')
    return pickle.dumps({raw(k): raw(v) for k, v in items.items()}, protocol=2)


def write_file(directory, name, body, items, checksum=True):
    """One object file with its metadata; returns its path."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, name)
    with open(path, 'wb') as f:
        f.write(body)
    set_metadata(path, items, checksum)
    return path


def set_metadata(path, items, checksum=True):
    raw = items if isinstance(items, bytes) else pickled(items)
    os.setxattr(path, XATTR, raw)
    if checksum:
        os.setxattr(path, XATTR_CHECKSUM, hashlib.md5(raw).hexdigest().encode())


def data_items(name, ts, body, **more):
    """Metadata of a .data file; more: X_Object_Meta_A='1' for a header of that name."""
    items = {'X-Timestamp': ts, 'Content-Type': 'text/plain', 'Content-Length': str(len(body)),
             'ETag': hashlib.md5(body).hexdigest()}
    items.update({k.replace('_', '-'): v for k, v in more.items()})
    items['name'] = name
    return items
