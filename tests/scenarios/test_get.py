# SPDX-License-Identifier: Apache-2.0
"""GET and HEAD: headers, conditions, ranges, and objects that are not what they should be."""
import email.utils
import hashlib
import os

from base import SwiftCase
from harness import tree, wire

BODY = bytes(range(97, 123)) * 4        # 104 bytes
ETAG = hashlib.md5(BODY).hexdigest()
OBJECT_HEADERS = {'Content-Type', 'Etag', 'Last-Modified', 'Content-Length', 'X-Timestamp',
                  'X-Backend-Timestamp', 'X-Backend-Data-Timestamp', 'X-Backend-Durable-Timestamp',
                  'Date'}


class Get(SwiftCase):
    def date(self, n):
        return email.utils.formatdate(self.base + n, usegmt=True)

    def put_body(self, n=10, **headers):
        self.put(n, body=BODY, **headers)

    def test_117_get_headers_complete(self):
        self.put_body(X_Object_Meta_A='1')
        self.post(20, X_Object_Meta_B='2')
        for r in (self.get(), self.head()):
            self.assertEqual({n for n, _ in r.headers}, OBJECT_HEADERS | {'X-Object-Meta-B'})
            self.assertEqual(r.get('X-Timestamp'), self.t(20))
            self.assertEqual(r.get('X-Backend-Timestamp'), self.t(20))
            self.assertEqual(r.get('X-Backend-Data-Timestamp'), self.t(10))
            self.assertEqual(r.get('X-Backend-Durable-Timestamp'), self.t(10))
            self.assertEqual((r.get('Etag'), r.get('Content-Length')), (f'"{ETAG}"', '104'))

    def test_118_get_absent(self):
        self.assertIsNone(self.get(404).get('X-Backend-Timestamp'))
        self.assert_no_trace()

    def test_119_get_tombstone(self):
        self.put_body()
        self.delete(20)
        self.assertEqual(self.get(404).get('X-Backend-Timestamp'), self.t(20))

    def test_120_get_expired(self):
        self.put_body(X_Delete_At=self.base + 30)
        self.post(20, X_Delete_At=self.base + 40)
        self.assertEqual(self.get(404).get('X-Backend-Timestamp'), self.t(20))

    def test_121_get_expired_at_equal_ts(self):
        self.put_body(X_Delete_At=self.base + 30)
        self.get(404, X_Timestamp=self.t(30))
        self.get(200, X_Timestamp=self.t(29))

    def test_122_get_expired_replication(self):
        self.put_body(X_Delete_At=self.base + 30)
        self.get(200, X_Backend_Replication='true')

    def test_123_get_expired_open_expired_header(self):
        """A header of newer releases; 2.30.1 does not know it."""
        self.put_body(X_Delete_At=self.base + 30)
        for method in ('GET', 'HEAD'):
            r = self.expect(404, method, X_Backend_Open_Expired='true')
            self.assertEqual(r.get('X-Backend-Timestamp'), self.t(10))
        self.post(40, 404, X_Backend_Open_Expired='true')
        self.assertEqual(self.files(), [self.t(10) + '.data'])

    def test_124_head_range_ignored(self):
        self.put_body()
        r = self.head(Range='bytes=0-4')
        self.assertEqual(r.get('Content-Length'), '104')

    def test_125_head_404(self):
        with self.server.connect() as c:
            r = c.request('HEAD', self.path)
            self.check(r, 404)
            self.assertEqual(r.get('Content-Length'), '0')
            self.check(c.request('GET', '/healthcheck'), 200, 'OK')     # no stray body

    def test_126_inm_star_on_live(self):
        self.put_body()
        r = self.get(304, If_None_Match='*')
        self.assertEqual({n for n, _ in r.headers}, OBJECT_HEADERS)
        self.assertEqual((r.body, r.get('Content-Length')), (b'', '0'))

    def test_127_inm_hit_beats_if_match_miss(self):
        self.put_body()
        self.get(304, If_None_Match=ETAG, If_Match='other')

    def test_128_inm_miss_then_ims_equal(self):
        self.put_body()
        self.get(304, If_None_Match='other', If_Modified_Since=self.date(10))

    def test_129_if_match_miss(self):
        self.put_body()
        r = self.get(412, If_Match='other')
        self.assertEqual((r.body, r.get('Content-Length'), r.get('Etag')), (b'', '0', f'"{ETAG}"'))

    def test_130_if_match_miss_beats_bad_range(self):
        self.put_body()
        self.check(self.get(412, If_Match='other', Range='bytes=500-'), 412, '')

    def test_131_if_match_star_absent(self):
        r = self.get(412, If_Match='*')
        self.assertEqual((r.body, r.get('X-Backend-Timestamp')), (b'', None))
        self.delete(20, 404)
        r = self.get(412, If_Match='*')
        self.assertEqual((r.body, r.get('X-Backend-Timestamp')), (b'', self.t(20)))

    def test_132_if_match_etag_absent(self):
        self.get(404, If_Match=ETAG)

    def test_133_ims_equal(self):
        self.put_body()
        self.get(304, If_Modified_Since=self.date(10))
        self.get(200, If_Modified_Since=self.date(9))

    def test_134_ius(self):
        self.put_body()
        self.get(200, If_Unmodified_Since=self.date(10))
        self.get(412, If_Unmodified_Since=self.date(9))

    def test_135_bad_dates_ignored(self):
        self.put_body()
        self.get(200, If_Modified_Since='yesterday', If_Unmodified_Since='Thu')

    def test_136_etag_is_at_second_name_used(self):
        self.put_body(X_Object_Sysmeta_E='shown')
        is_at = 'X-None,x-object-sysmeta-e'
        r = self.get(200, If_Match='shown', X_Backend_Etag_Is_At=is_at)
        self.assertEqual(r.get('Etag'), f'"{ETAG}"')
        self.get(412, If_Match=ETAG, X_Backend_Etag_Is_At=is_at)

    # ---- ranges ----

    def range(self, value, status=206, **more):
        return self.get(status, Range=value, **more)

    def test_137_range_single(self):
        self.put_body()
        r = self.range('bytes=1-4')
        self.assertEqual((r.body, r.get('Content-Range'), r.get('Content-Length')),
                         (BODY[1:5], 'bytes 1-4/104', '4'))

    def test_138_range_past_end_clipped(self):
        self.put_body()
        r = self.range('bytes=100-200')
        self.assertEqual((r.body, r.get('Content-Range')), (BODY[100:], 'bytes 100-103/104'))

    def test_139_range_suffix(self):
        self.put_body()
        self.assertEqual(self.range('bytes=-1000').body, BODY)
        self.assertEqual(self.range('bytes=-4').body, BODY[-4:])

    def test_140_range_start_at_end(self):
        self.put_body()
        r = self.range('bytes=104-', 416)
        self.assertEqual((r.get('Content-Range'), r.get('Content-Type')), ('bytes */104', 'text/plain'))
        self.assertEqual(r.body, b'<html><h1>Requested Range Not Satisfiable</h1><p>The Range requested '
                         b'is not available.</p></html>')
        self.assertEqual((r.get('Content-Length'), r.get('Etag')), ('97', f'"{ETAG}"'))

    def test_141_range_suffix_zero(self):
        self.put_body()
        self.range('bytes=-0', 416)

    def test_142_range_malformed(self):
        self.put_body()
        for value in ('bytes=5-3', 'bytes=a-b', 'bytes=-', 'bytes=1', 'bites=0-4', 'bytes=--5',
                      'bytes=0-4,a', ''):
            self.assertEqual(self.range(value, 200).body, BODY)

    def test_143_range_spaces_and_case(self):
        self.put_body()
        self.assertEqual(self.range('Bytes = 0-4').body, BODY[:5])

    def test_144_range_one_of_two_satisfiable(self):
        self.put_body()
        r = self.range('bytes=0-4,200-300')
        self.assertEqual((r.body, r.get('Content-Range')), (BODY[:5], 'bytes 0-4/104'))

    def test_145_range_count(self):
        self.put_body()
        self.range('bytes=' + ','.join(['0-4'] * 51), 416)
        self.range('bytes=' + ','.join(['0-4'] * 50), 206)

    def test_146_range_overlapping_pairs(self):
        self.put_body()
        self.range('bytes=0-10,5-15,8-20', 416)     # three pairs
        self.range('bytes=0-10,5-15,12-20', 206)    # two

    def test_147_range_5_identical(self):
        self.put_body()
        self.range('bytes=' + ','.join(['0-4'] * 5), 206)

    def test_148_range_descending(self):
        self.put_body()
        self.range('bytes=' + ','.join(f'{i}-{i}' for i in range(16, 0, -2)), 416)
        self.range('bytes=' + ','.join(f'{i}-{i}' for i in range(14, 0, -2)), 206)

    def test_149_multirange_framing(self):
        self.put_body()
        r = self.range('bytes=0-4,10-12')
        kind = r.get('Content-Type')
        self.assertRegex(kind, '^multipart/byteranges;boundary=[0-9a-f]{32}$')
        boundary = kind.split('=')[1]
        part = '--{}\r\nContent-Type: text/plain\r\nContent-Range: bytes {}/104\r\n\r\n{}\r\n'
        self.assertEqual(r.body.decode(), part.format(boundary, '0-4', 'abcde') +
                         part.format(boundary, '10-12', 'klm') + f'--{boundary}--')
        self.assertIsNone(r.get('Content-Range'))

    def test_150_zero_byte_ranges(self):
        self.put(body=b'')
        self.check(self.range('bytes=-5', 200), 200, '')
        self.range('bytes=0-', 416)

    def test_151_ignore_range_if_metadata_present(self):
        self.put_body(X_Static_Large_Object='True')
        ignore = {'X_Backend_Ignore_Range_If_Metadata_Present': 'x-static-LARGE-object'}
        self.assertEqual(self.range('bytes=0-4', 200, **ignore).body, BODY)
        self.assertEqual(self.range('bytes=500-', 200, **ignore).body, BODY)

    def test_range_large_object(self):
        """Ranges that start and end in the middle of what is read at once."""
        body = os.urandom(1 << 20)
        self.put(body=body)
        for start, end in ((0, 0), (65535, 65536), (65536, 131071), (1, 1048575), (1048575, 1048575)):
            self.assertEqual(self.range(f'bytes={start}-{end}').body, body[start:end + 1])
        r = self.range('bytes=10-70000,80000-80000,-3')
        for piece in (body[10:70001], body[80000:80001], body[-3:]):
            self.assertIn(b'\r\n\r\n' + piece + b'\r\n--', r.body)


class Damaged(SwiftCase):
    """An object that is not what was stored is put away, and never served as good.

    Deviation, meant: Swift sends a whole altered object with status 200 and checks afterwards."""

    def damage(self, body, at):
        self.put(body=body)
        with open(self.data_file(), 'r+b') as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 1]))

    def test_154_get_corrupt_small(self):
        self.damage(BODY, 50)
        r = self.ask('GET')
        self.assertEqual(r.status, 200 if self.is_oracle else 404)
        self.get(404)
        self.assertTrue(self.quarantined())
        self.assertIsNone(self.get(404).get('X-Backend-Timestamp'))

    def test_154_get_corrupt_large(self):
        """Found out at the end: the connection is cut before the last bytes."""
        for at in (0, 3 << 20, (4 << 20) - 1):
            with self.subTest(at):
                self.path = f'{self.path}x{at}'
                self.damage(os.urandom(4 << 20), at)
                with self.server.connect() as c:
                    c.send(wire.head_bytes('GET', self.path))
                    try:
                        r = c.read_response()
                        cut = False
                    except wire.Closed as e:
                        cut = True
                        self.assertLess(len(e.args[0]), 4 << 20)
                if not self.is_oracle:
                    self.assertTrue(cut or r.status == 404, 'an altered object was served whole')
                self.get(404)
                self.assertTrue(self.quarantined())

    def test_155_get_corrupt_partial_range(self):
        self.damage(os.urandom(300000), 200000)
        self.get(206, Range='bytes=10-20')
        self.assertFalse(self.quarantined())

    def test_156_get_corrupt_range_0_to_end(self):
        self.damage(os.urandom(300000), 200000)
        with self.server.connect() as c:
            c.send(wire.head_bytes('GET', self.path, {'Range': 'bytes=0-'}))
            try:
                r = c.read_response()
                self.assertTrue(self.is_oracle or r.status == 404, r)
            except wire.Closed:
                pass
        self.get(404)
        self.assertTrue(self.quarantined())

    def test_157_truncated_file(self):
        for method in ('HEAD', 'GET'):
            self.path = f'{self.path}{method}'
            self.put(body=BODY)
            os.truncate(self.data_file(), 50)
            self.expect(404, method)
            self.assertTrue(self.quarantined())
            self.assert_nothing_stored()

    def test_157_file_too_long(self):
        self.put(body=BODY)
        with open(self.data_file(), 'ab') as f:
            f.write(b'more')
        self.head(404)
        self.assertTrue(self.quarantined())

    def test_158_metadata_checksum(self):
        self.put()
        os.setxattr(self.data_file(), tree.XATTR_CHECKSUM, b'0' * 32)
        self.head(404)
        self.assertTrue(self.quarantined())

    def test_158_metadata_checksum_missing(self):
        self.put()
        os.removexattr(self.data_file(), tree.XATTR_CHECKSUM)
        self.head(200)
        self.assertFalse(self.quarantined())

    def test_metadata_every_byte_altered(self):
        """Any changed byte of the pickle is noticed."""
        self.put()
        raw = tree.raw_metadata(self.data_file())
        for at in range(0, len(raw), 7):
            path = f'{self.path}b{at}'
            self.put(path=path)
            file = self.data_file(path)
            one = tree.raw_metadata(file)
            os.setxattr(file, tree.XATTR, one[:at] + bytes([one[at] ^ 0x20]) + one[at + 1:])
            self.head(404, path=path)

    def test_metadata_hostile_pickle(self):
        """A pickle that would run a program is only garbage."""
        self.put()
        file = self.data_file()
        marker = os.path.join(self.root, 'pwned')
        pickle = b"cposix\nsystem\n(S'touch %s'\ntR." % marker.encode()
        if self.is_oracle:
            self.skipTest('2.30.1 runs it')
        tree.set_metadata(file, pickle)
        self.get(404)
        self.assertFalse(os.path.exists(marker))

    def test_file_in_place_of_hash_dir(self):
        directory = self.hash_dir()
        os.makedirs(os.path.dirname(directory))
        with open(directory, 'wb') as f:
            f.write(b'in the way')
        self.get(404)
        self.assertTrue(self.quarantined())
        self.put()
        self.get(200)

    def test_quarantine_twice(self):
        for _ in range(2):
            self.put()
            os.truncate(self.data_file(), 1)
            self.get(404)
        digest = os.path.basename(self.hash_dir())
        names = os.listdir(os.path.join(self.server.device, 'quarantined', 'objects'))
        self.assertEqual(len([n for n in names if n.startswith(digest)]), 2)

    def test_python2_metadata(self):
        self.put(body=BODY)
        items = tree.data_items(self.name, self.t(10), BODY, X_Object_Meta_A='one')
        raw = b''.join(b'U' + bytes([len(x)]) + x.encode() for kv in items.items() for x in kv)
        tree.set_metadata(self.data_file(), b'\x80\x02}(' + raw + b'u.')
        r = self.get()
        self.assertEqual((r.body, r.get('X-Object-Meta-A')), (BODY, 'one'))
