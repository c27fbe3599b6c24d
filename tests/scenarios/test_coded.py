# SPDX-License-Identifier: Apache-2.0
"""Erasure-coded policies and PUTs in MIME documents (http-api 8, 9.3), with real fragments."""
import hashlib
import json
import os

from base import SwiftCase, headers_of, wait_until
from harness import containers, mime, tree, wire

EC = '2'
DATA = os.urandom(100000)
ARCHIVES = mime.fragments(DATA)


class CodedCase(SwiftCase):
    policy = 2

    def talk(self, n=10, path=None, connection=None, footer=True, commit=True, length=True, body=b'',
             boundary=mime.BOUNDARY, expect=True, chunk=None, **headers):
        told = {'X_Timestamp': self.t(n), 'Content_Type': 'text/plain',
                'X_Backend_Storage_Policy_Index': self.policy}
        if length is not False:
            told['X_Backend_Obj_Content_Length'] = len(body) if length is True else length
        told.update(headers)
        if connection is None:
            connection = self.server.connect()
            self.addCleanup(connection.close)
        return mime.Talk(connection, path or self.path, headers_of(told), footer, commit, boundary,
                         expect, chunk)

    def store(self, n=10, index=0, archive=None, status=201, more=None, **kw):
        archive = ARCHIVES[index] if archive is None else archive
        talk = self.talk(n, body=archive, **kw)
        response = talk.whole(archive, mime.footers(archive, index, DATA, **(more or {})))
        self.check(response, status)
        return talk

    def store_pending(self, n=10, index=0, **headers):
        """Hangs up instead of the commit."""
        archive = ARCHIVES[index]
        talk = self.talk(n, body=archive, **headers)
        self.assertEqual(talk.first_phase(archive, mime.footers(archive, index, DATA)).status, 100)
        talk.wire.close()

    def container_server(self):
        """And the headers that name it."""
        fake = containers.Fake()
        self.addCleanup(fake.stop)
        return fake, {'X_Container_Host': fake.host, 'X_Container_Device': 'cd', 'X_Container_Partition': '7'}

    def assert_nobody_was_told(self, fake, told):
        """Another object is stored to see that somebody would have been."""
        self.store(20, 1, path=self.path + 'told', **told)
        self.assertEqual([u.path for u in fake.requests], [f'/cd/7{self.name}told'])
        self.assertFalse(any(tree.hash_of(self.name) in name
                             for name in containers.pendings(self.server.device, self.policy)))

    def here(self):
        return [f for f in self.files(policy=self.policy) if not f.endswith('.meta')]

    def file(self, n, index, durable=True):
        return f'{self.t(n)}#{index}{"#d" if durable else ""}.data'

    def ask(self, method, path=None, body=None, **headers):
        headers.setdefault('X_Backend_Storage_Policy_Index', self.policy)
        return super().ask(method, path, body, **headers)

    def stored(self, name):
        items = tree.metadata(os.path.join(self.hash_dir(policy=self.policy), name))
        return {k.decode('latin-1'): v.decode('latin-1') if isinstance(v, bytes) else v
                for k, v in items.items()}

    def log_has(self, status):
        return wait_until(lambda: any(f'"PUT {self.path}"' in line and f'" {status} ' in line
                                      for line in self.server.log().splitlines()))


class Coded(CodedCase):
    def test_094_ec_ok(self):
        talk = self.talk(body=ARCHIVES[1])
        items = mime.footers(ARCHIVES[1], 1, DATA)
        self.assertEqual(talk.first_phase(ARCHIVES[1], items).status, 100)
        self.assertEqual(talk.heard, [mime.CONTINUE_BOTH] * 2)
        self.assertEqual(self.here(), [self.file(10, 1, False)])
        talk.commit()
        response = talk.answer()
        self.check(response, 201, '')
        self.assertEqual(response.get('Etag'), f'"{hashlib.md5(ARCHIVES[1]).hexdigest()}"')
        self.assertEqual(response.get('Content-Length'), '0')
        self.assertEqual(self.here(), [self.file(10, 1)])
        got = self.get()
        self.assertEqual(got.body, ARCHIVES[1])
        self.assertEqual(got.get('X-Backend-Fragments'), f'{{"{self.t(10)}": [1]}}')
        self.assertEqual(got.get('X-Backend-Durable-Timestamp'), self.t(10))
        self.assertEqual(got.get('X-Object-Sysmeta-Ec-Frag-Index'), '1')
        # the connection goes on
        self.assertEqual(talk.wire.request('GET', '/healthcheck').status, 200)

    def test_095_ec_no_commit_close(self):
        fake, told = self.container_server()
        self.store_pending(10, 0, **told)
        self.assertTrue(self.log_has(499))
        self.assertEqual(self.here(), [self.file(10, 0, False)])
        self.assert_nobody_was_told(fake, told)
        self.get(404)
        got = self.get(200, X_Backend_Fragment_Preferences='[]')
        self.assertEqual(got.body, ARCHIVES[0])
        self.assertIsNone(got.get('X-Backend-Durable-Timestamp'))

    def test_096_ec_bad_commit_document(self):
        talk = self.talk(body=ARCHIVES[0])
        talk.first_phase(ARCHIVES[0], mime.footers(ARCHIVES[0], 0, DATA))
        talk.commit(b'put comit')
        self.check(talk.answer(), 500)
        self.assertEqual(self.here(), [self.file(10, 0, False)])

    def test_097_ec_missing_commit_document(self):
        talk = self.talk(body=ARCHIVES[0])
        talk.begin()
        talk.body(ARCHIVES[0])
        talk.footer(mime.footers(ARCHIVES[0], 0, DATA))
        talk.end_first(last=True)
        self.assertEqual(talk.answer().status, 100)
        self.check(talk.answer(), 400, "couldn't find PUT commit MIME doc")
        self.assertEqual(talk.heard, [mime.CONTINUE_BOTH] * 2)
        self.assertEqual(self.here(), [self.file(10, 0, False)])

    def failing_footer(self, status, text, send):
        talk = self.talk(body=ARCHIVES[0])
        talk.begin()
        talk.body(ARCHIVES[0])
        send(talk)
        talk.end_first()
        response = talk.answer()
        self.check(response, status, text)
        self.assertEqual(response.get('Content-Type'), 'text/html; charset=UTF-8')
        self.assertEqual(self.here(), [])
        self.assertEqual(talk.heard, [mime.CONTINUE_BOTH])

    def test_098_ec_footer_md5_mismatch(self):
        self.failing_footer(422, 'footer MD5 mismatch', lambda t: t.footer({}, '0' * 32))

    def test_099_ec_footer_without_md5(self):
        self.failing_footer(400, 'no Content-MD5 in footer', lambda t: t.footer({}, ''))

    def test_100_ec_footer_bad_json(self):
        for i, bad in enumerate((b'{bad', b'', b'{"a": }', b'\xff')):
            with self.subTest(bad=bad):
                self.failing_footer(400, 'invalid JSON for footer doc', lambda t: t.footer(bad))

    def test_101_ec_footer_missing(self):
        talk = self.talk(body=ARCHIVES[0])
        talk.begin()
        talk.body(ARCHIVES[0])
        talk.end_first(last=True)
        self.check(talk.answer(), 400, "couldn't find footer MIME doc")
        self.assertEqual(self.here(), [])

    def test_102_ec_footer_etag_mismatch(self):
        self.store(status=422, more={'Etag': '0' * 32})
        self.assertEqual(self.here(), [])

    def test_103_footer_etag_uppercase_ok(self):
        etag = hashlib.md5(ARCHIVES[0]).hexdigest().upper()
        self.store(more={'Etag': etag}, Etag='0' * 32)      # the header's does not count then
        self.store(11, more={'Etag': f'"{etag}"'})
        self.store(12, more={'Etag': None}, Etag='0' * 32, status=422)
        self.store(12, more={'Etag': None}, Etag=hashlib.md5(ARCHIVES[0]).hexdigest())

    def test_104_footer_content_type_ignored(self):
        self.store(more={'Content-Type': 'x/y', 'Cache-Control': 'no-store', 'X-Delete-At': '9999999999',
                         'x-object-META-foo_bar': 'v', 'X-Object-Transient-Sysmeta-T': 'ü',
                         'X-Object-Meta-Null': None, 'X-Object-Meta-': 'none', 'X-Object-Meta-N': 5,
                         'X-Object-Meta-B': True},
                   X_Object_Meta_Foo_Bar='from the header')
        items = self.stored(self.file(10, 0))
        self.assertEqual(items['Content-Type'], 'text/plain')
        for key in ('Cache-Control', 'X-Delete-At', 'X-Object-Meta-Null', 'X-Object-Meta-'):
            self.assertNotIn(key, items)
        self.assertEqual((items['X-Object-Meta-N'], items['X-Object-Meta-B']), ('5', 'True'))
        self.assertEqual(self.get().get('X-Object-Transient-Sysmeta-T'), '\xfc')

    def test_105_ec_frag_index_missing_or_wrong(self):
        for index in (None, '3', '-1', 'x', '1.0', ''):
            with self.subTest(index=index):
                self.store(status=500, more={'X-Object-Sysmeta-Ec-Frag-Index': index})
                self.assertEqual(self.here(), [])

    def test_106_ec_no_boundary(self):
        talk = self.talk(boundary=None)
        self.check(talk.begin(), 400, 'no MIME boundary')
        self.assertEqual(talk.heard, [])
        self.assertEqual(self.here(), [])

    def test_107_ec_wrong_opening_boundary(self):
        talk = self.talk(body=ARCHIVES[0])
        self.assertEqual(talk.begin().status, 100)
        talk.body(ARCHIVES[0], opening=b'other')
        talk.wire.send(b'0\r\n\r\n')
        self.check(talk.answer(), 500)
        self.assertEqual(self.here(), [])

    def test_108_ec_zero_byte_object(self):
        self.store(archive=b'', length=False)
        self.assertEqual(self.here(), [self.file(10, 0)])
        got = self.get()
        self.assertEqual((got.body, got.get('Content-Length')), (b'', '0'))

    def test_109_mime_boundary_split_across_chunks(self):
        for n, chunk in enumerate((1, 7, 64, 4099)):
            archive = ARCHIVES[0][:20000 if chunk < 64 else None]
            self.store(10 + n, archive=archive, chunk=chunk)
            self.assertEqual(self.get().body, archive)

    def test_110_mime_lookalike_boundary_in_data(self):
        b = mime.BOUNDARY
        archive = (b'\r\n--' + b[:-1] + b'\r\n\r\n--\r\n--' + b[:10] + b'--' + b + b'\r\n-' + b'\r') * 50
        for n, chunk in enumerate((None, 3)):
            self.store(10 + n, archive=archive, chunk=chunk)
            # no fragment: a whole GET would find it damaged
            self.assertEqual(self.get(206, Range='bytes=1-').body, archive[1:])

    def test_111_mime_with_content_length_body(self):
        talk = self.talk(length=False, Content_Length=500)
        self.assertEqual(talk.begin().status, 100)
        text = b'--%s\r\nX-Document: object body\r\n\r\nabc\r\n--%s--' % (mime.BOUNDARY, mime.BOUNDARY)
        talk.wire.send(text.ljust(500))
        self.check(talk.answer(), 499)
        self.assertEqual(self.here(), [])

    def test_113_ec_extra_documents_drained(self):
        talk = self.talk(body=ARCHIVES[0])
        talk.first_phase(ARCHIVES[0], mime.footers(ARCHIVES[0], 0, DATA))
        talk.commit(after=b'\r\n', end=False)
        talk.send(b'X-Document: more\r\n\r\n' + b'x' * 200000)
        talk.send(b'\r\n--%s--' % mime.BOUNDARY)
        talk.wire.send(b'0\r\n\r\n')
        self.check(talk.answer(), 201)
        self.assertEqual(self.here(), [self.file(10, 0)])
        self.assertEqual(talk.wire.request('GET', '/healthcheck').status, 200)

    def test_114_ec_no_commit_header(self):
        self.store(X_Backend_No_Commit='true')
        self.assertEqual(self.here(), [self.file(10, 0, False)])
        self.put(11, X_Backend_No_Commit='1', X_Object_Sysmeta_Ec_Frag_Index='2',
                 X_Backend_Storage_Policy_Index=EC)
        self.assertEqual(self.here(), [self.file(10, 0, False), self.file(11, 2, False)])

    def test_114_plain_put(self):
        self.put(10, X_Object_Sysmeta_Ec_Frag_Index='2', X_Backend_Storage_Policy_Index=EC)
        self.assertEqual(self.here(), [self.file(10, 2)])
        self.put(11, status=500, X_Backend_Storage_Policy_Index=EC)
        self.put(11, status=500, X_Backend_Storage_Policy_Index=EC, X_Backend_Ssync_Frag_Index='3')
        self.put(11, X_Backend_Storage_Policy_Index=EC, X_Backend_Ssync_Frag_Index='1')
        self.assertEqual(self.here(), [self.file(11, 1)])
        self.assertEqual(str(self.stored(self.file(11, 1))['X-Object-Sysmeta-Ec-Frag-Index']), '1')

    def test_115_ec_second_frag_same_ts(self):
        self.store(10, 0)
        talk = self.talk(10, body=ARCHIVES[1])
        response = talk.begin()
        self.check(response, 409)
        self.assertEqual(response.get('X-Backend-Timestamp'), self.t(10))
        self.store(10, 1, X_Backend_Ssync_Frag_Index='1')
        self.assertEqual(self.here(), [self.file(10, 0), self.file(10, 1)])
        self.assertEqual(self.get().get('X-Backend-Fragments'), f'{{"{self.t(10)}": [0, 1]}}')

    def test_116_ec_disconnect_while_draining(self):
        fake, told = self.container_server()
        talk = self.talk(body=ARCHIVES[0], **told)
        talk.first_phase(ARCHIVES[0], mime.footers(ARCHIVES[0], 0, DATA))
        talk.commit(after=b'\r\n', end=False)
        talk.send(b'X-Document: more\r\n\r\n' + b'x' * 300000)
        self.assertTrue(wait_until(lambda: self.here() == [self.file(10, 0)]))
        talk.wire.close()
        self.assertTrue(self.log_has(499))
        self.assertEqual(self.here(), [self.file(10, 0)])
        self.assert_nobody_was_told(fake, told)

    def test_116_broken_while_draining(self):
        """The commit and a chunk that is none in one go: durable, and yet 499."""
        if self.is_oracle:
            self.skipTest('Swift reads ahead, and meets the broken chunk before it looks at the commit')
        talk = self.talk(body=ARCHIVES[0])
        talk.first_phase(ARCHIVES[0], mime.footers(ARCHIVES[0], 0, DATA))
        document = b'X-Document: put commit\r\n\r\nx\r\n--%s\r\n' % mime.BOUNDARY
        talk.wire.send(wire.chunk(document) + b'zz\r\n')
        self.check(talk.answer(), 499)
        self.assertEqual(self.here(), [self.file(10, 0)])

    def test_152_frag_prefs_exclude(self):
        self.store(10, 0)
        self.store(10, 1, X_Backend_Ssync_Frag_Index='1')
        def ask(prefs, status=200):
            text = prefs if isinstance(prefs, str) else json.dumps(prefs)
            return [self.expect(status, m, X_Backend_Fragment_Preferences=text) for m in ('GET', 'HEAD')]
        for response in ask([{'timestamp': self.t(10), 'exclude': [1]}]):
            self.assertEqual(response.get('X-Object-Sysmeta-Ec-Frag-Index'), '0')
        for response in ask([{'timestamp': self.t(10), 'exclude': [0, 1]}], 404):
            self.assertIsNone(response.get('X-Backend-Timestamp'))
        for text in ('garbage', 'null', ''):
            for response in ask(text):
                self.assertEqual(response.get('X-Object-Sysmeta-Ec-Frag-Index'), '1')
        for wrong in ('{"a":1}', '5', '[5]', '[{}]', '[{"timestamp": "x", "exclude": []}]',
                      '[{"timestamp": "1"}]', '[{"timestamp": "1", "exclude": ["a"]}]',
                      '[{"timestamp": "1", "exclude": [-1]}]'):
            ask(wrong, 500)
        self.put(10, path=self.path + 'r', X_Backend_Storage_Policy_Index='0')
        self.expect(200, 'GET', self.path + 'r', X_Backend_Fragment_Preferences='{"a":1}',
                    X_Backend_Storage_Policy_Index='0')

    def test_153_frag_prefs_empty_list_prefers_newest_nondurable(self):
        self.store(10, 0)
        self.store_pending(20, 1)
        self.assertTrue(wait_until(lambda: len(self.here()) == 2))
        self.assertEqual(self.get().body, ARCHIVES[0])
        got = self.get(X_Backend_Fragment_Preferences='[]')
        self.assertEqual(got.body, ARCHIVES[1])
        self.assertEqual(got.get('X-Backend-Durable-Timestamp'), self.t(10))
        self.assertEqual(got.get('X-Backend-Data-Timestamp'), self.t(20))
        self.assertEqual(got.get('X-Backend-Fragments'),
                         f'{{"{self.t(20)}": [1], "{self.t(10)}": [0]}}')

    def test_commit_without_expect(self):
        talk = self.talk(body=ARCHIVES[0], expect=False)
        talk.wire.send(talk.head)
        talk.body(ARCHIVES[0])
        talk.footer(mime.footers(ARCHIVES[0], 0, DATA))
        talk.end_first()
        self.check(talk.answer(), 500)
        self.assertEqual(self.here(), [self.file(10, 0, False)])

    def test_wrong_object_length(self):
        talk = self.talk(length=len(ARCHIVES[0]) + 1)
        response = talk.first_phase(ARCHIVES[0], mime.footers(ARCHIVES[0], 0, DATA))
        self.check(response, 499)
        self.assertEqual(self.here(), [])

    def test_post_and_delete(self):
        self.store(10, 0)
        self.post(20, X_Object_Meta_A='1', X_Backend_Storage_Policy_Index=EC)
        self.assertEqual(self.get().get('X-Object-Meta-A'), '1')
        self.store_pending(30, 1)
        self.assertTrue(wait_until(lambda: len(self.here()) == 2))
        self.assertIsNone(self.get(X_Backend_Fragment_Preferences='[]').get('X-Object-Meta-A'))
        self.delete(25, X_Backend_Storage_Policy_Index=EC)
        self.assertEqual(self.here(), [f'{self.t(25)}.ts', self.file(30, 1, False)])
        self.assertEqual(self.get(404).get('X-Backend-Timestamp'), self.t(25))
        self.get(200, X_Backend_Fragment_Preferences='[]')
        self.delete(40, 404, X_Backend_Storage_Policy_Index=EC)
        self.assertEqual(self.here(), [f'{self.t(40)}.ts'])

    def at_power(self, power):
        """What lies in this object's hash directory at a partition power."""
        h = tree.hash_of(self.name)
        directory = os.path.join(self.server.device, 'objects-2', str(int(h[:8], 16) >> (32 - power)),
                                 h[-3:], h)
        return {n: os.stat(os.path.join(directory, n)).st_ino for n in
                sorted(os.listdir(directory))} if os.path.isdir(directory) else {}

    def inodes(self):
        directory = self.hash_dir(policy=2)
        return {n: os.stat(os.path.join(directory, n)).st_ino for n in sorted(os.listdir(directory))}

    def test_092_next_part_power_pending_and_commit(self):
        """The link is there before the commit, and gets the durable name with it."""
        power = {'X_Backend_Next_Part_Power': '10'}
        self.store(5, 0, **power)
        talk = self.talk(10, body=ARCHIVES[1], **power)
        self.assertEqual(talk.first_phase(ARCHIVES[1], mime.footers(ARCHIVES[1], 1, DATA)).status, 100)
        self.assertEqual(list(self.at_power(10)), [self.file(5, 0), self.file(10, 1, False)])
        self.assertEqual(self.at_power(10), self.inodes())
        talk.commit()
        self.check(talk.answer(), 201)
        self.assertEqual(list(self.at_power(10)), [self.file(10, 1)])
        self.assertEqual(self.at_power(10), self.inodes())

    def test_092_next_part_power_stays_pending(self):
        power = {'X_Backend_Next_Part_Power': '10'}
        self.store(10, 0, X_Backend_No_Commit='true', **power)
        self.assertEqual(list(self.at_power(10)), [self.file(10, 0, False)])
        self.assertEqual(self.at_power(10), self.inodes())

    def test_092_next_part_power_of_a_fragment_is_here_already(self):
        """The request names the new partition: nothing is linked, the old one is cleaned."""
        h = tree.hash_of(self.name)
        for n in (5, 6):
            directory = os.path.join(self.server.device, 'objects-2', str(int(h[:8], 16) >> 23), h[-3:], h)
            tree.write_file(directory, self.file(n, 0), ARCHIVES[0],
                            tree.data_items(self.name, self.t(n), ARCHIVES[0]))
        self.path = f'/sda1/{int(h[:8], 16) >> 22}{self.name}'
        self.store(10, 1, X_Backend_Next_Part_Power='10')
        self.assertEqual(list(self.at_power(9)), [self.file(6, 0)])
        self.assertEqual(self.here(), [self.file(10, 1)])

    def test_newer_commit_removes_older(self):
        self.store(10, 0)
        self.store_pending(15, 2)
        self.store(20, 1)
        self.assertEqual(self.here(), [self.file(20, 1)])


class Replicated(CodedCase):
    policy = 0

    def test_112_mime_footer_only_replicated(self):
        talk = self.talk(commit=False, body=b'abc')
        response = talk.whole(b'abc', {'X-Object-Meta-M': 'm', 'X-Object-Sysmeta-S': 's'})
        self.check(response, 201)
        self.assertEqual(talk.heard, [b'HTTP/1.1 100 Continue\r\nX-Obj-Metadata-Footer: yes\r\n\r\n'])
        got = self.get()
        self.assertEqual((got.body, got.get('X-Object-Meta-M'), got.get('X-Object-Sysmeta-S')),
                         (b'abc', 'm', 's'))
        self.assertIsNone(got.get('X-Backend-Fragments'))

    def test_112_without_expect(self):
        talk = self.talk(commit=False, body=b'abc', expect=False)
        talk.wire.send(talk.head)
        talk.body(b'abc')
        talk.footer({})
        talk.end_first()
        self.check(talk.answer(), 201)

    def test_commit_only(self):
        talk = self.talk(footer=False, body=b'abc')
        talk.begin()
        talk.body(b'abc')
        talk.end_first()
        self.assertEqual(talk.answer().status, 100)
        self.assertEqual(talk.heard, [b'HTTP/1.1 100 Continue\r\nX-Obj-Multiphase-Commit: yes\r\n\r\n'] * 2)
        self.assertEqual(self.files(), [f'{self.t(10)}.data'])
        talk.commit()
        self.check(talk.answer(), 201)

    def test_commit_refused_leaves_whole_object(self):
        self.put(5)
        talk = self.talk(footer=False, body=b'abc')
        talk.begin()
        talk.body(b'abc')
        talk.end_first()
        talk.answer()
        talk.commit(b'no')
        self.check(talk.answer(), 500)
        self.assertEqual(self.files(), [f'{self.t(10)}.data'])

    def test_refused_before_the_100(self):
        self.put(10)
        talk = self.talk(10, body=b'abc')
        self.check(talk.begin(), 409)
        self.assertEqual(talk.heard, [])


class Slow(CodedCase):
    conf = {'DEFAULT': {'client_timeout': 1}, 'app:object-server': {'client_timeout': 1}}

    def test_no_commit_in_time(self):
        talk = self.talk(body=ARCHIVES[0])
        talk.first_phase(ARCHIVES[0], mime.footers(ARCHIVES[0], 0, DATA))
        self.check(talk.answer(), 408)
        self.assertEqual(self.here(), [self.file(10, 0, False)])
