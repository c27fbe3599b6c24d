# SPDX-License-Identifier: Apache-2.0
"""Is what lies on a disk what it must be, given what was acknowledged?

    device = check(directory, acked)
    device.problems                     [] if all is well, else [(kind, text)]
    device.temporary                    how many temporary names a start has to sweep

lost         an acknowledged version, or a newer one, is not there
torn         a file that a reader can see is not whole: content, metadata or their checksum
stray        a name that no reader should meet

A version newer than the acknowledged one is fine: it was under way.
"""
import hashlib
import os
import re

from harness import tree

NAME = '/a/c/k%d'
KIND_OF = {'P': '.data', 'D': '.ts', 'M': '.meta'}
# A POST that sets the content type has that time too in its name, as a difference.
FILE_NAME = re.compile(r'(\d{10})\.(\d{5})(\.data|\.ts|(?:[-+][0-9a-f]+)?(\.meta))$')


def stamp(ticks):
    return f'{ticks // 100000:010d}.{ticks % 100000:05d}'


def content(key, ticks, writer, length):
    line = b'key=%d ticks=%d writer=%d\n' % (key, ticks, writer)
    return (line * (length // len(line) + 1))[:length]


def partition(key):
    return (key * 2654435761 & 0xffffffff) >> 26


def expected(acked):
    """{key: {'D' or 'P': newest of both, 'M': newest POST}} as (ticks, kind)."""
    newest = {}
    for a in acked:
        of_key = newest.setdefault(a.key, {})
        kind = 'M' if a.kind == 'M' else 'P'
        of_key[kind] = max(of_key.get(kind, (0, '')), (a.ticks, a.kind))
    return newest


class Device:
    """The object files on a device, each judged once."""
    def __init__(self, root):
        self.root = root
        self.problems = []
        self.temporary = 0
        self.files = {}                 # hash: {(ticks, extension): decoded metadata}
        self._walk()

    def problem(self, kind, text):
        self.problems.append((kind, text))

    def _walk(self):
        for directory, _, names in os.walk(self.root):
            parts = os.path.relpath(directory, self.root).split(os.sep)
            for name in names:
                path = os.path.join(directory, name)
                if parts[0] == 'tmp' and name.startswith('objsrv-'):
                    self.temporary += 1
                elif parts[0] == 'objects' and len(parts) == 4:
                    self._object_file(parts, name, path)
                elif not (parts[0] == 'objects' and len(parts) == 2 and
                          name in ('hashes.invalid', '.lock', 'hashes.pkl')):
                    self.problem('stray', path)

    def _object_file(self, parts, name, path):
        form = FILE_NAME.match(name)
        if not form:
            self.problem('stray', path)
            return
        ticks, extension = int(form[1] + form[2]), form[4] or form[3]
        found = tree.entry(path)
        wrong = self._what_is_wrong(parts, ticks, extension, found)
        if wrong:
            self.problem('torn', f'{path}: {wrong} ({len(found.content)} bytes)')
        self.files.setdefault(parts[3], {})[ticks, extension] = found.metadata

    @staticmethod
    def _what_is_wrong(parts, ticks, extension, found):
        meta = found.metadata
        if found.checksum != 'good' or not isinstance(meta, dict):
            return f'metadata {meta!r:.60}, checksum {found.checksum}'
        meta = {k.decode(): v.decode() for k, v in meta.items()}
        name = meta.get('name', '')
        if not name.startswith('/a/c/k') or tree.hash_of(name) != parts[3] or \
                parts[2] != parts[3][-3:] or int(parts[1]) != partition(int(name[6:])):
            return f'it belongs to {name!r}'
        if meta.get('X-Timestamp') != stamp(ticks):
            return f'metadata of {meta.get("X-Timestamp")}'
        if extension == '.meta':
            return None if meta.get('X-Object-Meta-Posted') == str(ticks) else f'metadata {meta}'
        if extension == '.ts':
            return None
        writer, length = int(meta['X-Object-Meta-Writer']), int(meta['Content-Length'])
        if found.content != content(int(name[6:]), ticks, writer, length):
            return f'content is not that of writer {writer}, {length} bytes'
        if meta['ETag'] != hashlib.md5(found.content).hexdigest():
            return 'ETag'
        return None

    def newest(self, key):
        """((ticks, extension) of the newest .data or .ts, ticks of the newest .meta)."""
        files = self.files.get(tree.hash_of(NAME % key), {})
        return (max((f for f in files if f[1] != '.meta'), default=(0, '')),
                max((t for t, extension in files if extension == '.meta'), default=0))


def check(root, acked):
    """The device below `root`, with what is wrong with it."""
    device = Device(root)
    for key, wanted in expected(acked).items():
        (ticks, extension), posted = device.newest(key)
        want_ticks, want_kind = wanted.get('P', (0, ''))
        if ticks < want_ticks or (ticks == want_ticks and extension != KIND_OF[want_kind]):
            device.problem('lost', f'k{key}: acknowledged {KIND_OF[want_kind]} of '
                                   f'{stamp(want_ticks)}, found {extension or "nothing"} of '
                                   f'{stamp(ticks)}')
        want_posted = wanted.get('M', (0, ''))[0]
        if want_posted > max(posted, ticks):
            device.problem('lost', f'k{key}: acknowledged POST of {stamp(want_posted)}, found one '
                                   f'of {stamp(posted)}')
    return device
