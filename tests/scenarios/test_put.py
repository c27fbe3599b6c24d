# SPDX-License-Identifier: Apache-2.0
"""PUT: timestamps, checks and their order, conditions, expiry, metadata."""
import hashlib
import os

from base import SwiftCase
from harness import tree, wire

BODY = b'0123456789'
ETAG = hashlib.md5(BODY).hexdigest()


class Timestamps(SwiftCase):
    def plain(self, *arguments, **headers):
        r = self.expect(400, *arguments, **headers)
        self.assertEqual(r.get('Content-Type'), 'text/plain')

    def test_039_ts_missing(self):
        for method in ('PUT', 'POST', 'DELETE'):
            self.plain(method, body=b'', text='Missing X-Timestamp header', Content_Type='a/b')

    def test_040_ts_bad(self):
        for value in ('bad', 'nan', '-1', '10000000000', '1_2_3', '1_zz', '0x10', ''):
            for method in ('PUT', 'POST', 'DELETE'):
                with self.subTest(value=value, method=method):
                    body = b'' if method == 'PUT' else None
                    self.plain(method, body=body, text='Invalid X-Timestamp header',
                               Content_Type='a/b', X_Timestamp=value)
        self.assert_no_trace()

    def test_040_ts_inf_and_its_kind(self):
        """Swift answers 500 or takes them; a clear 400 is meant here."""
        if self.is_oracle:
            self.skipTest('known errors of 2.30.1')
        for value in ('inf', '9999999999.999999', '1_-1', 'infinity', '1e400'):
            with self.subTest(value):
                self.put(status=400, X_Timestamp=value)

    def test_041_ts_exponent(self):
        self.put(X_Timestamp='1e9')
        self.assertEqual(self.files(), ['1000000000.00000.data'])

    def test_042_ts_short_offset(self):
        self.put(X_Timestamp=self.t(10) + '_1')
        self.assertEqual(self.files(), [self.t(10) + '_0000000000000001.data'])
        r = self.get()
        self.assertEqual(r.get('X-Timestamp'), self.t(10))
        self.assertEqual(r.get('X-Backend-Timestamp'), self.t(10) + '_0000000000000001')

    def test_043_ts_zero_put(self):
        self.assertEqual(self.put(status=409, X_Timestamp='0').get('X-Backend-Timestamp'),
                         '0000000000.00000')

    def test_044_get_bad_ts(self):
        self.plain('GET', X_Timestamp='bad', text='Invalid X-Timestamp header')
        self.plain('HEAD', X_Timestamp='bad')

    def test_045_last_modified_ceil(self):
        self.put(X_Timestamp='1700000000.25')
        for r in (self.get(), self.head()):
            self.assertEqual(r.get('Last-Modified'), 'Tue, 14 Nov 2023 22:13:21 GMT')
        self.put(X_Timestamp='1700000002')
        self.assertEqual(self.get().get('Last-Modified'), 'Tue, 14 Nov 2023 22:13:22 GMT')


class Put(SwiftCase):
    def test_046_put_created(self):
        r = self.put(body=BODY)
        self.assertEqual({n: v for n, v in r.headers if n != 'Date'},
                         {'Etag': f'"{ETAG}"', 'Content-Length': '0',
                          'Content-Type': 'text/html; charset=UTF-8'})
        self.assertEqual(self.files(), [self.t(10) + '.data'])
        self.assertEqual(self.stored(), {
            'X-Timestamp': self.t(10), 'Content-Type': 'text/plain', 'Content-Length': '10',
            'ETag': ETAG, 'name': self.name})
        self.assertEqual(tree.checksum_state(self.data_file()), 'good')

    def test_046_put_marks_suffix(self):
        """hashes.invalid names the suffix, so that replication looks again."""
        self.put()
        directory = self.hash_dir()
        with open(os.path.join(directory, '../../hashes.invalid'), encoding='ascii') as f:
            self.assertIn(directory[-3:] + '\n', f.read())

    def test_047_put_same_ts(self):
        self.put()
        r = self.put(status=409)
        self.assertEqual(r.get('X-Backend-Timestamp'), self.t(10))

    def test_048_put_inm_star_live_even_stale(self):
        self.put()
        for n in (5, 10, 20):
            r = self.put(n, status=412, If_None_Match='*')
            self.assertIsNone(r.get('X-Backend-Timestamp'))
        self.assertEqual(self.files(), [self.t(10) + '.data'])

    def test_049_put_inm_etag_quoted_listed(self):
        self.put(body=BODY)
        self.put(20, status=412, If_None_Match=f'"x", "{ETAG}"')

    def test_050_put_inm_other(self):
        self.put()
        self.put(20, If_None_Match='"other"')

    def test_051_put_inm_star_over_tombstone(self):
        self.put()
        self.delete(20)
        self.put(30, If_None_Match='*')

    def test_052_put_inm_star_over_expired(self):
        self.put(X_Delete_At=self.base + 15)
        self.put(30, If_None_Match='*')

    def test_053_put_if_match_ignored(self):
        self.put(If_Match='"other"')
        self.put(20, If_Match='"other"')

    def test_054_put_no_length(self):
        self.check(self.raw(self.put_head(), 'PUT'), 411, 'Missing Content-Length header.')

    def test_055_put_te_gzip(self):
        self.check(self.raw(self.put_head(Transfer_Encoding='gzip'), 'PUT'), 400,
                   'Invalid Transfer-Encoding header value')

    def test_056_put_te_list(self):
        self.check(self.raw(self.put_head(Transfer_Encoding='gzip, chunked'), 'PUT'), 501,
                   'Unsupported Transfer-Coding header value specified in Transfer-Encoding header')

    def test_057_put_te_chunked_caps(self):
        self.check(self.raw(self.put_head(Transfer_Encoding='Chunked'), 'PUT'), 411,
                   'Missing Content-Length header.')

    def test_058_put_too_large(self):
        self.check(self.raw(self.put_head(Content_Length='5368709123'), 'PUT'), 413,
                   'Your request is too large.')

    def test_059_put_content_type_bad(self):
        for value in ('', '\xff'):
            self.put(status=400, text='Invalid Content-Type', Content_Type=value)
        self.expect(400, 'PUT', body=b'', text='Invalid Content-Type', X_Timestamp=self.t(10))

    def test_060_put_name_length_in_code_points(self):
        self.put(status=400, path=f'{self.prefix}/a/c/' + '%C3%A9' * 1025,
                 text='Object name length of 1025 longer than 1024')
        # 2 KiB of name are over 4 KiB of metadata, which ext4 does not take: then 507.
        path = f'{self.prefix}/a/c/' + '%C3%A9' * 1024
        r = self.ask('PUT', path, b'', X_Timestamp=self.t(10), Content_Type='a/b')
        self.assertIn(r.status, (201, 507), r)
        self.get(200 if r.status == 201 else 404, path)

    def test_061_put_delete_at_past(self):
        self.put(status=400, text='X-Delete-At in past', X_Delete_At=self.base + 5)
        self.put(status=400, text='X-Delete-At in past', X_Delete_At=self.base + 10)

    def test_062_put_delete_at_not_integer(self):
        for value in ('', 'soon', '1.5'):
            self.put(status=400, text='Non-integer X-Delete-At', X_Delete_At=value)

    def test_063_put_delete_at_past_replication(self):
        self.put(X_Delete_At=self.base + 5, X_Backend_Replication='true')
        self.assertEqual(self.stored()['X-Delete-At'], str(self.base + 5))
        self.put(20, status=400, text='X-Delete-At in past', X_Delete_At=self.base + 5,
                 X_Backend_Replication='false')

    def test_064_put_delete_after_stored_as_at(self):
        self.put(X_Delete_After='60')
        stored = self.stored()
        self.assertEqual(stored['X-Delete-At'], str(self.base + 70))
        self.assertNotIn('X-Delete-After', stored)

    def test_065_put_delete_after_negative(self):
        self.put(status=400, text='X-Delete-After in past', X_Delete_After='-1')
        self.put(status=400, text='Non-integer X-Delete-After', X_Delete_After='x')

    def test_066_put_meta_count(self):
        items = {f'X_Object_Meta_{i}': 'v' for i in range(90)}
        self.put(**items)
        self.put(20, status=400, text='Too many metadata items; max 90', X_Object_Meta_More='v', **items)

    def test_067_put_meta_name_length(self):
        self.put(**{'X_Object_Meta_' + 'n' * 128: 'v'})
        self.put(20, status=400, text='Metadata name too long: x-object-meta-N' + 'n' * 128,
                 **{'X_Object_Meta_' + 'n' * 129: 'v'})

    def test_068_put_meta_value_length(self):
        self.put(X_Object_Meta_A='v' * 256)
        self.put(20, status=400, text='Metadata value longer than 256: x-object-meta-A',
                 X_Object_Meta_A='v' * 257)

    def test_069_put_meta_empty_name(self):
        self.put(status=400, text='Metadata name cannot be empty', X_Object_Meta_='v')

    def test_070_put_meta_total_over_4096(self):
        items = {f'X_Object_Meta_{i:02}': 'v' * 254 for i in range(16)}     # 16 x 256
        self.put(status=201 if self.xattr_room() else 507, **items)
        self.put(20, status=400, text='Total metadata too large; max 4096', X_Object_Meta_A='', **items)

    def xattr_room(self):
        """Whether the file system holds an xattr over 4 KiB (ext4 does not)."""
        path = os.path.join(self.server.device, 'room')
        with open(path, 'wb'):
            pass
        try:
            os.setxattr(path, 'user.room', b'x' * 6000)
            return True
        except OSError:
            return False
        finally:
            os.unlink(path)

    def test_071_put_bad_ts_beats_507(self):
        self.put(status=400, path='/nodev/0/a/c/o', X_Timestamp='bad')
        self.put(status=507, path='/nodev/0/a/c/o')

    def test_072_put_etag_mismatch(self):
        self.put(status=422, Etag='0' * 32, text='<html><h1>Unprocessable Entity</h1><p>Unable to '
                 'process the contained instructions</p></html>')
        self.assert_nothing_stored()
        self.get(404)
        self.assert_no_trace()

    def test_073_put_etag_uppercase(self):
        self.put(status=422, body=BODY, Etag=ETAG.upper())
        self.assert_nothing_stored()

    def test_074_put_etag_quoted(self):
        self.put(body=BODY, Etag=f'"{ETAG}"')

    def test_075_put_obj_content_length_mismatch(self):
        r = self.raw(self.put_head(Transfer_Encoding='chunked', X_Backend_Obj_Content_Length='5') +
                     wire.chunks(b'hi'), 'PUT')
        self.check(r, 499)
        self.assert_nothing_stored()

    def test_076_put_obj_content_length_abc(self):
        r = self.raw(self.put_head(Transfer_Encoding='chunked', X_Backend_Obj_Content_Length='abc') +
                     wire.chunks(b'hi'), 'PUT')
        self.check(r, 400)
        self.assertEqual(r.get('Content-Type'), 'text/plain')
        self.assert_nothing_stored()

    def test_077_put_short_body(self):
        with self.server.connect() as c:
            c.send(self.put_head(Content_Length='100') + b'some')
            c.shut_write()
            rest = c.read_rest()
        # The answer is for the log; a client that is still there may see it.
        self.assertIn(rest.split(b'\r\n')[0], (b'', b'HTTP/1.1 499 Client Disconnect'))
        self.assert_nothing_stored()
        self.assert_no_trace()

    def test_078_put_chunk_garbage(self):
        with self.server.connect() as c:
            c.send(self.put_head(Transfer_Encoding='chunked') + b'5\r\nhello\r\nZZ\r\n')
            try:
                self.assertEqual(c.read_response('PUT').status, 499)
            except wire.Closed as e:
                self.assertEqual(e.args[0], b'')
        self.assert_nothing_stored()
        self.assert_no_trace()

    def test_082_put_reserve_hit(self):
        server = self.start(conf={'DEFAULT': {'fallocate_reserve': str(1 << 50)}})
        ask = {'X-Timestamp': self.t(10), 'Content-Type': 'a/b'}
        self.check(server.request('PUT', self.path, ask, b'x'), 507,
                   '<html><h1>Insufficient Storage</h1><p>There was not enough space to save the '
                   'resource. Drive: sda1</p></html>')
        self.assertEqual(server.request('GET', self.path).status, 404)

    def test_083_put_reserve_zero_byte_and_unknown(self):
        """2.30.1 does not check these; newer releases do. Either will do."""
        server = self.start(conf={'DEFAULT': {'fallocate_reserve': str(1 << 50)}})
        ask = {'X-Timestamp': self.t(10), 'Content-Type': 'a/b'}
        self.check(server.request('PUT', self.path, ask, b''), 201)
        with server.connect() as c:
            c.send(self.put_head(11, Transfer_Encoding='chunked') + wire.chunks(b'hi'))
            self.check(c.read_response('PUT'), 201)

    def test_084_put_meta_key_title_case(self):
        data = self.put_head(Content_Length='0')[:-2] + b'x-object-meta-foo_bar-2nd: 1\r\n\r\n'
        self.check(self.raw(data, 'PUT'), 201)
        self.assertEqual(self.stored()['X-Object-Meta-Foo-Bar-2Nd'], '1')

    def test_085_put_meta_empty_value_kept(self):
        self.put(X_Object_Meta_E='')
        self.assertEqual(self.stored()['X-Object-Meta-E'], '')
        self.assertEqual(self.head().get('X-Object-Meta-E'), '')

    def test_086_put_unlisted_header_dropped(self):
        self.put(X_Foo='1', X_Object_Foo='2')
        self.assertEqual(set(self.stored()), {'X-Timestamp', 'Content-Type', 'Content-Length', 'ETag',
                                              'name'})

    def test_086_put_allowed_headers_stored(self):
        given = {'Content-Disposition': 'inline', 'Content-Encoding': 'gzip', 'Cache-Control': 'no-store',
                 'X-Object-Manifest': 'c/x', 'X-Static-Large-Object': 'True', 'Content-Language': 'de',
                 'Expires': 'never', 'X-Robots-Tag': 'none', 'X-Object-Sysmeta-S': '1',
                 'X-Object-Transient-Sysmeta-T': '2'}
        self.put(**{k.replace('-', '_'): v for k, v in given.items()})
        stored, response = self.stored(), self.head()
        for name, value in given.items():
            self.assertEqual((stored[name], response.get(name)), (value, value))

    def test_087_put_meta_nonascii_double_encoded(self):
        self.put(X_Object_Meta_A='Z\xc3\xbc')       # the wire bytes C3 BC
        metadata = tree.metadata(self.data_file())
        self.assertEqual(metadata[b'X-Object-Meta-A'], b'Z\xc3\x83\xc2\xbc')
        self.assertEqual(self.head().get('X-Object-Meta-A'), 'Z\xc3\xbc')

    def test_087_put_meta_invalid_utf8_round_trips(self):
        self.put(X_Object_Meta_A='\xff\xfe')
        self.assertEqual(self.head().get('X-Object-Meta-A'), '\xff\xfe')

    def test_088_put_replication_headers(self):
        self.put(X_Backend_Replication_Headers='x-foo X-Bar', X_Foo='1', X_Bar='2')
        stored = self.stored()
        self.assertEqual((stored['X-Foo'], stored['X-Bar']), ('1', '2'))
        r = self.get()
        self.assertEqual((r.get('X-Foo'), r.get('X-Bar')), (None, None))

    def test_089_put_older_than_post(self):
        self.put(10)
        self.post(20, X_Object_Meta_M='post')
        self.put(15, body=b'newer')
        r = self.get()
        self.assertEqual((r.body, r.get('X-Object-Meta-M')), (b'newer', 'post'))
        self.assertEqual(self.files(), [self.t(15) + '.data', self.t(20) + '.meta'])

    def test_090_put_over_expired_by_post_same_ts(self):
        self.put(10)
        self.post(20, X_Delete_At=self.base + 20)
        r = self.put(20, status=409)
        self.assertEqual(r.get('X-Backend-Timestamp'), self.t(20))

    def test_091_put_over_corrupt_object(self):
        self.put(10)
        os.truncate(self.data_file(), 3)
        self.put(status=201, X_Timestamp='7')
        self.assertTrue(self.quarantined())
        self.get()

    def test_092_put_next_part_power(self):
        self.put(X_Backend_Next_Part_Power='10')
        file = self.data_file()
        digest = os.path.basename(os.path.dirname(file))
        partition = str(int(digest[:8], 16) >> 22)
        other = os.path.join(self.server.device, 'objects', partition, digest[-3:], digest,
                             os.path.basename(file))
        self.assertEqual(os.stat(other).st_ino, os.stat(file).st_ino)

    def _at_power(self, power):
        """The hash directory that this test's object has at a partition power."""
        digest = os.path.basename(self.hash_dir())
        partition = str(int(digest[:8], 16) >> (32 - power))
        return os.path.join(self.server.device, 'objects', partition, digest[-3:], digest)

    def test_092_post_and_delete_next_part_power(self):
        self.put(10, X_Backend_Next_Part_Power='10')
        self.post(20, X_Backend_Next_Part_Power='10')
        self.assertEqual(sorted(os.listdir(self._at_power(10))), self.files())
        self.assertEqual(len(self.files()), 2)
        self.delete(30, X_Backend_Next_Part_Power='10')
        self.assertEqual(os.listdir(self._at_power(10)), [self.t(30) + '.ts'])
        self.assertEqual(self.files(), [self.t(30) + '.ts'])

    def test_092_next_part_power_older_file_there(self):
        """A newer one was put there by the relinker's side: the older link goes again."""
        newer = self.t(50) + '.ts'
        tree.write_file(self._at_power(11), newer, b'', {'name': self.name, 'X-Timestamp': self.t(50)})
        self.put(10, X_Backend_Next_Part_Power='11')
        self.assertEqual(os.listdir(self._at_power(11)), [newer])
        self.assertEqual(self.files(), [self.t(10) + '.data'])

    def test_092_next_part_power_is_here_already(self):
        """The request names the new partition: the old one is cleaned."""
        old = self._at_power(9)
        tree.write_file(old, self.t(5) + '.data', b'x', tree.data_items(self.name, self.t(5), b'x'))
        tree.write_file(old, self.t(6) + '.data', b'x', tree.data_items(self.name, self.t(6), b'x'))
        partition = self._at_power(10).split('/')[-3]
        self.put(10, path=f'/sda1/{partition}{self.name}', X_Backend_Next_Part_Power='10')
        self.assertEqual(os.listdir(old), [self.t(6) + '.data'])

    def test_092_next_part_power_no_number(self):
        """2.30.1 answers 500 when the object is in place already."""
        if self.is_oracle:
            self.skipTest('known error of 2.30.1')
        for n, text in enumerate(('x', '', '0', '33', '-1')):
            self.put(10 + n, X_Backend_Next_Part_Power=text)

    def test_093_put_collision(self):
        self.put(10)
        items = tree.data_items('/a/c/another', self.t(10), BODY)
        tree.set_metadata(self.data_file(), items)
        self.put(20, status=403, text='<html><h1>Forbidden</h1><p>Access was denied to this '
                 'resource.</p></html>')
        for method in ('GET', 'HEAD', 'POST', 'DELETE'):
            self.expect(403, method, X_Timestamp=self.t(30))
        self.assertEqual(self.files(), [self.t(10) + '.data'])

    def test_policies_are_apart(self):
        self.put(body=b'zero')
        self.put(body=b'one', X_Backend_Storage_Policy_Index='1')
        self.assertEqual(self.get().body, b'zero')
        self.assertEqual(self.get(X_Backend_Storage_Policy_Index='1').body, b'one')
        self.assertEqual(len(self.files(policy=1)), 1)

    def test_put_replaces_and_cleans(self):
        self.put(10, body=b'old', X_Object_Meta_A='1')
        self.put(20, body=b'new')
        self.assertEqual(self.files(), [self.t(20) + '.data'])
        r = self.get()
        self.assertEqual((r.body, r.get('X-Object-Meta-A')), (b'new', None))

    def test_metadata_larger_than_the_file_system_takes(self):
        """507 and nothing there, or stored whole: never metadata in part."""
        items = {f'X_Object_Sysmeta_{i}': 'v' * 4000 for i in range(15)}
        r = self.ask('PUT', body=b'x', X_Timestamp=self.t(10), Content_Type='a/b', **items)
        self.assertIn(r.status, (201, 507))
        if r.status == 201:
            self.assertEqual(self.head().get('X-Object-Sysmeta-3'), 'v' * 4000)
        else:
            self.get(404)
            self.assert_nothing_stored()
