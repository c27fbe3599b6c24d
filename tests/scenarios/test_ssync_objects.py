# SPDX-License-Identifier: Apache-2.0
"""SSYNC, the receiver's side: what is wanted of what is offered, and the updates that bring it."""
import os
import time

from base import wait_until
from harness import mime, tree
from ssync_talk import END, START, UP, UP_END, SsyncCase, update

DATA = os.urandom(3000)
ARCHIVES = mime.fragments(DATA)


class Offers(SsyncCase):
    def test_r13_nothing_wanted(self):
        talk = self.talk().send(START, END)
        self.assertEqual([talk.chunk() for _ in range(3)], [START, b'\r\n', END])

    def test_wanted_is_one_chunk(self):
        names = [f'/a/c/w{i}' for i in range(3)]
        talk = self.talk().send(START, *[self.offer(10, n).encode() for n in names], END)
        lines = b'\r\n'.join(f'{tree.hash_of(n)} dm'.encode() for n in names)
        self.assertEqual([talk.chunk() for _ in range(4)], [START, lines, b'\r\n', END])

    def test_absent(self):
        self.assertEqual(self.wants(10), 'dm')

    def test_r14_extra_words_and_items(self):
        self.assertEqual(self.wants(10, 'x:y,nothing,m:0 more words'), 'dm')

    def test_chunks_are_no_lines(self):
        for n, size in enumerate((1, 7, 64, 4096)):
            name = f'{self.name}-{n}'
            whole = (START + self.offer(10, name).encode() + END + UP + self.put_part(10, name=name) + UP_END)
            talk = self.talk()
            talk.send(*[whole[i:i + size] for i in range(0, len(whole), size)])
            talk.wanted()
            self.assertEqual(talk.rest(), (UP + UP_END, True), size)
            self.assertEqual(len(self.files(f'{self.prefix}{name}')), 1)

    def test_r15_negative_delta(self):
        self.put(10)
        self.post(15)
        self.assertEqual(self.wants(20, 'm:-7a120'), 'd')       # 20 s - 5 s is not newer
        self.assertEqual(self.wants(20, 'm:-7a11f'), 'dm')

    def test_r16_durable_words(self):
        for word in ('no', 'False', 'x'):
            self.assertEqual(self.wants(10, f'durable:{word}'), 'dm')

    def test_r17_older_and_equal(self):
        self.put(10)
        self.assertEqual(self.wants(9), '')
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.wants(11), 'dm')

    def test_r18_meta(self):
        self.put(10)
        self.post(20)
        self.assertEqual(self.wants(10, 'm:f4240'), '')         # 10 s: the same
        self.assertEqual(self.wants(10, 'm:f423f'), '')
        self.assertEqual(self.wants(10, 'm:f4241'), 'm')
        self.assertEqual(self.wants(11, 'm:f4240'), 'dm')

    def test_content_type(self):
        self.put(10)
        self.assertEqual(self.wants(10, 'm:0,t:1'), 'm')
        self.post(20, Content_Type='x/y')
        self.assertEqual(self.wants(10, 'm:f4240,t:f4240'), '')
        self.assertEqual(self.wants(10, 'm:f4240,t:f4241'), 'm')

    def test_r19_older_content_type(self):
        self.put(10)
        self.assertEqual(self.wants(5, 'm:0,t:7a121'), 'm')     # 10 s and a bit: newer than both
        self.assertEqual(self.wants(20, 'm:-f4240,t:-7a120'), 'd')

    def test_r20_tombstone(self):
        self.put(10)
        self.delete(20)
        self.assertEqual(self.wants(15, 'm:f4240'), '')
        self.assertEqual(self.wants(25, 'm:f4240'), 'd')

    def test_r25_hash_that_is_none(self):
        words = ['../../../etc', 'x' * 32, '%2e%2e%2f' + 'a' * 23, tree.hash_of(self.name).upper()[:31]]
        talk = self.talk()
        found = talk.check(*[f'{w} {self.t(10)}\r\n' for w in words])
        self.assertEqual([v for v in found.values()], ['dm'] * len(words))

    def test_r26_rsync_temp(self):
        self.put(10)
        with open(os.path.join(self.hash_dir(), '.x.data.ab12cd'), 'wb') as f:
            f.write(b'half')
        if self.is_oracle:
            self.skipTest('Swift takes the object for missing')
        self.assertEqual(self.wants(10), '')

    def test_r38_expired(self):
        soon = int(time.time()) + 2
        self.put(10, X_Delete_At=soon)
        self.assertTrue(wait_until(lambda: self.ask('HEAD').status == 404))
        self.assertEqual(self.wants(10), '')
        self.done(update('POST', self.name, [('X-Timestamp', self.t(30)), ('X-Object-Meta-A', 'b'),
                                             ('X-Delete-At', str(soon))]))
        self.assertIn(f'{self.t(30)}.meta', self.files())

    def test_not_a_directory(self):
        self.put(10)
        path = self.hash_dir()
        for name in os.listdir(path):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)
        with open(path, 'wb'):
            pass
        self.assertEqual(self.wants(10), 'dm')
        self.assertTrue(self.quarantined())

    def test_what_says_no_name_or_another(self):
        """Wanted, so that a good one comes; whoever quarantines it, it is not this."""
        for items in ({}, {'name': '/a/c/other'}):
            told = tree.data_items(self.name, self.t(10), b'x')
            told.pop('name')
            told.update(items)
            tree.write_file(self.hash_dir(), f'{self.t(10)}.data', b'x', told)
            self.assertEqual(self.wants(10), 'dm')
            self.assertEqual(self.files(), [f'{self.t(10)}.data'])
            self.assertFalse(self.quarantined())

    def test_damage_is_put_away(self):
        self.put(10)
        os.truncate(self.data_file(), 3)
        self.assertEqual(self.wants(10), 'dm')
        self.assertTrue(self.quarantined())
        self.done(self.put_part(10))
        self.assertEqual(self.get().body, b'hello')

    def test_obsolete_files_go(self):
        self.put(10)
        self.put(20)
        tree.write_file(self.hash_dir(), f'{self.t(5)}.data', b'x',
                        tree.data_items(self.name, self.t(5), b'x'))
        self.assertEqual(self.wants(20), '')
        self.assertEqual(self.files(), [f'{self.t(20)}.data'])

    def test_percent_encoded(self):
        word = ''.join(f'%{ord(c):02x}' for c in tree.hash_of(self.name))
        self.put(10)
        items = ''.join(f'%{ord(c):02X}' for c in 'm:1,t:0')
        found = self.talk().check(f'{word} {self.t(10)} {items}\r\n')
        self.assertEqual([v for v in found.values()], ['m'])

    def test_many(self):
        """More than are looked at together, and more than fits one chunk of the answer."""
        names = [f'/a/c/many{i}' for i in range(4000)]
        prefix = tree.hash_of(self.name)
        talk = self.talk()
        self.put(10)
        talk.send(START)
        lines = [self.offer(10, n) for n in names]
        lines.insert(2000, self.offer(10))
        for i in range(0, len(lines), 100):
            talk.send(''.join(lines[i:i + 100]).encode())
        talk.send(END)
        found = talk.wanted()
        self.assertEqual(list(found), [tree.hash_of(n) for n in names])
        self.assertNotIn(prefix, found)


class Updates(SsyncCase):
    def test_r27_unlisted_headers(self):
        self.done(self.put_part(10, Foo='bar', X_Object_Meta_A='b'))
        self.assertEqual(self.stored()['Foo'], 'bar')
        self.assertEqual(self.stored()['X-Object-Meta-A'], 'b')
        self.assertEqual(self.get().body, b'hello')

    def test_r28_etag_mismatch(self):
        talk = self.updates(self.put_part(10, ETag='0' * 32))
        self.assertEqual(talk.error(), ":ERROR: 500 b'ERROR: With :UPDATES: 1 failures to 0 successes'\n")
        self.assert_nothing_stored()

    def test_etag_right(self):
        self.done(self.put_part(10, ETag='5d41402abc4b2a76b9719d911017c592'))

    def test_r30_delete_unknown(self):
        self.done(update('DELETE', self.name, [('X-Timestamp', self.t(10))]))
        self.assertEqual(self.files(), [f'{self.t(10)}.ts'])

    def test_r31_conflict(self):
        self.put(20)
        talk = self.updates(self.put_part(10), self.put_part(20))
        self.assertEqual(talk.error(), ":ERROR: 500 b'ERROR: With :UPDATES: 2 failures to 0 successes'\n")
        self.assertEqual(self.files(), [f'{self.t(20)}.data'])

    def failing(self, count):
        return [update('PUT', f'/a/c/f{i}', [('X-Timestamp', self.t(10)), ('Content-Type', 't/t'),
                                              ('ETag', '0' * 32)], b'x') for i in range(count)]

    def working(self, count):
        return [update('DELETE', f'/a/c/w{i}', [('X-Timestamp', self.t(10))]) for i in range(count)]

    def test_r32_threshold_and_ratio(self):
        server = self.start(conf={'app:object-server': {'replication_failure_threshold': 4,
                                                        'replication_failure_ratio': 1.5}})
        talk = self.updates(*self.working(3), *self.failing(4), server=server)
        self.assertEqual(talk.error(), ":ERROR: 500 b'ERROR: With :UPDATES: 4 failures to 3 successes'\n")
        talk = self.updates(*self.working(2), *self.failing(4), server=server)
        self.assertEqual(talk.error(), ":ERROR: 0 'Too many 4 failures to 2 successes'\n")

    def test_r33_rest_of_failing_body(self):
        self.put(20)
        big = os.urandom(300000)
        other = f'{self.name}x'
        talk = self.updates(self.put_part(10, big), self.put_part(10, name=other))
        self.assertIn('1 failures to 1 successes', talk.error())
        self.assertEqual(self.get(path=f'{self.path}x').body, b'hello')

    def test_r40_no_async_pending(self):
        self.done(self.put_part(10, X_Delete_At=str(int(time.time()) + 1000)))
        self.assertFalse(os.path.exists(os.path.join(self.server.device, 'async_pending')))
        self.assertIn('X-Delete-At', self.stored())

    def test_post(self):
        self.put(10)
        self.done(update('POST', self.name, [('X-Timestamp', self.t(20)), ('X-Object-Meta-A', 'b'),
                                             ('Content-Type', 'x/y'), ('Content-Type-Timestamp', self.t(15))]))
        self.assertEqual(self.files(), [f'{self.t(10)}.data', f'{self.t(20)}-7a120.meta'])
        got = self.get()
        self.assertEqual((got.get('X-Object-Meta-A'), got.get('Content-Type')), ('b', 'x/y'))

    def test_post_unknown_is_success(self):
        self.done(update('POST', self.name, [('X-Timestamp', self.t(20))]))

    def test_large_and_empty_bodies(self):
        big = os.urandom(5 << 20)
        parts = [self.put_part(10, b''), self.put_part(11, big), self.put_part(12, big[:65536])]
        whole = b''.join(parts)
        talk = self.talk()
        talk.check()
        talk.send(UP, *[whole[i:i + 100000] for i in range(0, len(whole), 100000)], UP_END)
        self.assertEqual(talk.rest(), (UP + UP_END, True))
        self.assertEqual(self.get().body, big[:65536])

    def test_names_that_need_quotes(self):
        name = '/a/c/%C3%BC%20%3F%25x'
        self.done(update('PUT', name, [('X-Timestamp', self.t(10)), ('Content-Type', 't/t')], b'1'))
        path = f'{self.prefix}{name}'
        self.assertEqual(self.get(path=path).body, b'1')

    def test_r39_bytes_of_headers(self):
        self.done(self.put_part(10, X_Object_Meta_City='Z\xc3\xbcrich'))
        self.assertEqual(self.head().get('X-Object-Meta-City'), 'Z\xc3\xbcrich')

    def test_lines_of_bare_lf(self):
        text = f'DELETE {self.name}\nX-Timestamp: {self.t(10)}\n\n'.encode()
        self.done(text)
        self.assertEqual(self.files(), [f'{self.t(10)}.ts'])

    def test_r37_bad_subrequests(self):
        ts = ('X-Timestamp', self.t(10))
        for part, text in (
                (update('GET', self.name, [ts]), "'Invalid subrequest method GET'"),
                (update('PUT', self.name, [ts], length=False),
                 f"'No content-length sent for PUT {self.name}'"),
                (update('DELETE', self.name, [ts], b'x'),
                 f"'DELETE subrequest with content-length {self.name}'"),
                (update('POST', self.name, [ts], b'x'),
                 f"'POST subrequest with content-length {self.name}'"),
                (b'DELETE\r\n\r\n', "'not enough values to unpack (expected 2, got 1)'"),
                (b'DELETE /a/c/o\r\nX-Timestamp\r\n\r\n',
                 "'not enough values to unpack (expected 2, got 1)'")):
            with self.subTest(part=part):
                self.assertEqual(self.updates(part).error(), f':ERROR: 0 {text}\n')
        self.assert_nothing_stored()

    def test_bad_length(self):
        part = update('PUT', self.name, [('Content-Length', 'x')], length=False)
        self.assertEqual(self.updates(part).error(),
                         ':ERROR: 0 "invalid literal for int() with base 10: \'x\'"\n')


EC = {'X_Backend_Storage_Policy_Index': 2}


class Coded(SsyncCase):
    """Fragments: the policy of 2 + 1."""

    def place(self, n, index, durable=True, body=None):
        body = ARCHIVES[index] if body is None else body
        items = tree.data_items(self.name, self.t(n), body)
        items['X-Object-Sysmeta-Ec-Frag-Index'] = str(index)
        tree.write_file(self.hash_dir(policy=2), f'{self.t(n)}#{index}{"#d" if durable else ""}.data',
                        body, items)

    def here(self):
        return self.files(policy=2)

    def file(self, n, index, durable=True):
        return f'{self.t(n)}#{index}{"#d" if durable else ""}.data'

    def wants(self, n, more='', index=2, **headers):
        headers.update(EC)
        if index is not None:
            headers['X_Backend_Ssync_Frag_Index'] = index
        return super().wants(n, more, **headers)

    def coded_part(self, n, index, **headers):
        return self.put_part(n, ARCHIVES[index], X_Object_Sysmeta_Ec_Frag_Index=index, **headers)

    def test_absent(self):
        self.assertEqual(self.wants(10), 'dm')
        self.assertEqual(self.wants(10, index=None), 'dm')

    def test_durable_here(self):
        self.place(10, 2)
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.wants(10, 'durable:False'), '')
        self.assertEqual(self.wants(9), '')
        self.assertEqual(self.wants(11), 'dm')

    def test_another_index_here(self):
        self.place(10, 1)
        self.assertEqual(self.wants(10), 'dm')

    def test_r21_made_durable(self):
        self.place(10, 2, False)
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.here(), [self.file(10, 2)])
        invalid = os.path.join(self.server.device, 'objects-2', self.partition, 'hashes.invalid')
        if not self.is_oracle:
            with open(invalid, encoding='ascii') as f:
                self.assertIn(tree.hash_of(self.name)[-3:], f.read())

    def test_made_durable_clears_what_is_older(self):
        self.place(5, 2)
        self.place(10, 2, False)
        self.assertEqual(self.wants(10), '')
        self.assertEqual(self.here(), [self.file(10, 2)])

    def test_r22_cannot_be_made_durable(self):
        self.place(10, 2, False)
        os.makedirs(os.path.join(self.hash_dir(policy=2), self.file(10, 2), 'x'))
        self.assertEqual(self.wants(10), 'dm')
        self.assertIn(self.file(10, 2, False), self.here())

    def test_r23_pending_on_both_sides(self):
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, 'durable:False'), '')
        self.assertEqual(self.wants(11, 'durable:False'), 'dm')
        self.assertEqual(self.here(), [self.file(10, 2, False)])

    def test_r24_older_durable_and_pending(self):
        self.place(5, 1)
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, 'durable:False'), '')
        self.assertEqual(self.here(), [self.file(5, 1), self.file(10, 2, False)])

    def test_older_durable_of_same_index_and_pending(self):
        self.place(5, 2)
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, 'durable:False'), 'm')

    def test_pending_without_index_in_session(self):
        self.place(10, 2, False)
        self.assertEqual(self.wants(10, index=None), 'dm')
        self.assertEqual(self.here(), [self.file(10, 2, False)])

    def test_r29_no_commit(self):
        self.done(self.coded_part(10, 2, X_Backend_No_Commit='True'), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 2, False)])
        items = tree.metadata(os.path.join(self.hash_dir(policy=2), self.file(10, 2, False)))
        self.assertNotIn(b'X-Backend-No-Commit', items)
        self.assertEqual(items[b'X-Object-Sysmeta-Ec-Frag-Index'], b'2')

    def test_fragment_arrives_durable(self):
        self.done(self.coded_part(10, 2), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 2)])
        got = self.expect(200, 'GET', **EC)
        self.assertEqual(got.body, ARCHIVES[2])

    def test_fragments_beside_each_other(self):
        self.place(10, 1)
        self.done(self.coded_part(10, 2), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 1), self.file(10, 2)])
        talk = self.updates(self.coded_part(10, 2), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertIn('1 failures to 0 successes', talk.error())

    def test_index_of_session_fills_in(self):
        """A rebuilt fragment whose metadata does not name its index."""
        self.done(self.put_part(10, ARCHIVES[2]), X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [self.file(10, 2)])

    def test_tombstone(self):
        self.place(10, 2)
        self.done(update('DELETE', self.name, [('X-Timestamp', self.t(20))]),
                  X_Backend_Ssync_Frag_Index=2, **EC)
        self.assertEqual(self.here(), [f'{self.t(20)}.ts'])
        self.assertEqual(self.wants(15), '')
        self.assertEqual(self.wants(25), 'd')
