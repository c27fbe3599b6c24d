# SPDX-License-Identifier: Apache-2.0
"""The states an object can be found in, written to disk by hand, the same for both servers.

Each function gets a Place and puts files there. Times are Place.t(n): n seconds after the
run's base; the newest data is at 10 unless the name says otherwise.
"""
import hashlib
import os
import struct

from harness import tree

BODY = b'0123456789' * 10
ETAG = hashlib.md5(BODY).hexdigest()


class Place:
    def __init__(self, device, policy, partition, name, base):
        self.directory = tree.hash_dir(device, policy, partition, name)
        self.name, self.base = name, base

    def t(self, n, offset=0):
        return tree.timestamp(self.base + n, offset)

    def data(self, n, body=BODY, offset=0, checksum=True, **more):
        ts = self.t(n, offset)
        items = tree.data_items(self.name, ts, body, **more)
        return tree.write_file(self.directory, ts + '.data', body, items, checksum)

    def meta(self, n, file=None, checksum=True, **more):
        items = {'X-Timestamp': self.t(n)}
        items.update({k.replace('_', '-'): v for k, v in more.items()})
        items['name'] = self.name
        return tree.write_file(self.directory, (file or self.t(n)) + '.meta', b'', items, checksum)

    def tombstone(self, n, **more):
        items = {'X-Timestamp': self.t(n), 'name': self.name}
        return tree.write_file(self.directory, self.t(n) + '.ts', b'', items, **more)

    def ctype_meta(self, n, ctype_n, **more):
        """A .meta at n whose content type is of ctype_n."""
        delta = round((ctype_n - n) * 100000)
        self.meta(n, file=f'{self.t(n)}{delta:+x}', Content_Type='image/png',
                  Content_Type_Timestamp=self.t(ctype_n), **more)


def absent(p):
    pass


def data(p):
    p.data(10, X_Object_Meta_A='one', X_Object_Meta_B='two')


def data_rich(p):
    p.data(10, X_Object_Meta_A='one', X_Object_Sysmeta_S='sys', X_Static_Large_Object='True',
           X_Object_Transient_Sysmeta_T='tr', Cache_Control='no-store', Content_Encoding='gzip',
           Content_Disposition='attachment', X_Robots_Tag='none', Content_Language='de',
           Expires='Fri, 20 Nov 2026 10:00:00 GMT', X_Object_Manifest='c/x')


def data_swift_bytes(p):
    path = p.data(10, X_Object_Sysmeta_S='sys')
    items = tree.data_items(p.name, p.t(10), BODY, X_Object_Sysmeta_S='sys')
    items['Content-Type'] = 'text/plain;swift_bytes=77'
    tree.set_metadata(path, items)


def data_nonascii(p):
    p.data(10, X_Object_Meta_A='Z\u00c3\u00bc', X_Object_Meta_E='')


def data_empty(p):
    p.data(10, body=b'')


def data_offset(p):
    p.data(10, offset=1)


def data_meta(p):
    p.data(10, X_Object_Meta_A='one', X_Object_Sysmeta_S='sys', Cache_Control='no-store')
    p.meta(20, X_Object_Meta_C='three', X_Object_Transient_Sysmeta_T='tr')


def data_ctype(p):
    p.data(10, X_Object_Meta_A='one')
    p.ctype_meta(20, 15, X_Object_Meta_C='three')


def data_ctype_plus_zero(p):
    p.data(10)
    p.ctype_meta(20, 20, X_Object_Meta_C='three')


def data_meta_and_ctype(p):
    p.data(10)
    p.ctype_meta(15, 15, X_Object_Meta_Old='x')
    p.meta(20, X_Object_Meta_C='three')


def data_between_meta(p):
    """Data newer than the content type of a newer .meta."""
    p.data(18)
    p.ctype_meta(20, 15)


def tombstone(p):
    p.tombstone(10)


def tombstone_meta(p):
    p.tombstone(10)
    p.meta(20, X_Object_Meta_C='three')


def meta_alone(p):
    p.meta(10, X_Object_Meta_C='three')


def expired(p):
    p.data(10, X_Delete_At=str(p.base + 15), X_Object_Meta_A='one')


def expiring(p):
    p.data(10, X_Delete_At=str(p.base + 100000))


def expired_by_meta(p):
    p.data(10)
    p.meta(20, X_Delete_At=str(p.base + 25))


def unexpired_by_meta(p):
    p.data(10, X_Delete_At=str(p.base + 15))
    p.meta(20, X_Object_Meta_C='three')


def leftovers(p):
    """Older files that a cleanup would have removed."""
    p.data(5, body=b'old')
    p.tombstone(7)
    p.meta(8, X_Object_Meta_Old='x')
    p.data(10)


def newer_junk(p):
    """Files that no rule knows, some older and some newer."""
    p.data(10)
    for name in ('junk', p.t(5) + '.foo', p.t(40) + '.foo', p.t(10) + '#1#d.data',
                 '.' + p.t(10) + '.data.aB3xYz'):
        tree.write_file(p.directory, name, b'', {'name': p.name})


def checksum_absent(p):
    p.data(10, checksum=False)


def checksum_wrong(p):
    path = p.data(10)
    os.setxattr(path, tree.XATTR_CHECKSUM, b'0' * 32)


def checksum_empty(p):
    path = p.data(10)
    os.setxattr(path, tree.XATTR_CHECKSUM, b'')


def meta_checksum_wrong(p):
    p.data(10)
    os.setxattr(p.meta(20), tree.XATTR_CHECKSUM, b'0' * 32)


def tombstone_checksum_wrong(p):
    os.setxattr(p.tombstone(10), tree.XATTR_CHECKSUM, b'0' * 32)


def no_metadata(p):
    path = p.data(10)
    os.removexattr(path, tree.XATTR)
    os.removexattr(path, tree.XATTR_CHECKSUM)


def pickle_garbage(p):
    tree.set_metadata(p.data(10), b'not a pickle')


def pickle_python2(p):
    items = tree.data_items(p.name, p.t(10), BODY, X_Object_Meta_A='one')
    raw = b''.join(b'U' + struct.pack('B', len(x)) + x.encode() for kv in items.items() for x in kv)
    tree.set_metadata(p.data(10), b'\x80\x02}(' + raw + b'u.')


def name_missing(p):
    items = tree.data_items(p.name, p.t(10), BODY)
    del items['name']
    tree.set_metadata(p.data(10), items)


def collision(p):
    items = tree.data_items('/a/c/another', p.t(10), BODY)
    tree.set_metadata(p.data(10), items)


def length_missing(p):
    items = tree.data_items(p.name, p.t(10), BODY)
    del items['Content-Length']
    tree.set_metadata(p.data(10), items)


def delete_at_garbage(p):
    p.data(10, X_Delete_At='soon')


def truncated(p):
    os.truncate(p.data(10), 50)


def too_long(p):
    with open(p.data(10), 'ab') as f:
        f.write(b'more')


def altered(p):
    with open(p.data(10), 'r+b') as f:
        f.write(b'X')


def split_metadata(p):
    """The pickle in two xattrs."""
    path = p.data(10, X_Object_Meta_A='one')
    raw = tree.raw_metadata(path)
    os.setxattr(path, tree.XATTR, raw[:100])
    os.setxattr(path, tree.XATTR + '1', raw[100:])


def hash_dir_is_file(p):
    os.makedirs(os.path.dirname(p.directory), exist_ok=True)
    with open(p.directory, 'wb') as f:
        f.write(b'in the way')


ALL = [f for f in list(globals().values())
       if callable(f) and getattr(f, '__module__', None) == __name__ and f is not Place]
