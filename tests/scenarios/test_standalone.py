# SPDX-License-Identifier: Apache-2.0
"""Stand-alone mode: plain URLs, no Swift headers, the server's own clock."""
import base64
import email.utils
import hashlib
import os
import socket
import time
import urllib.parse

from base import headers_of, wait_until
from harness import suite, tree, wire
from test_uploads import in_threads


class AloneCase(suite.Case):
    alone = True

    def setUp(self):
        self.path = f'/c/{self._testMethodName}'

    def ask(self, method, path=None, body=None, server=None, **headers):
        return (server or self.server).request(method, path or self.path, headers_of(headers), body)

    def expect(self, status, method, path=None, body=None, **kw):
        r = self.ask(method, path, body, **kw)
        self.assertEqual(r.status, status, r)
        return r

    def put(self, body=b'hello', status=201, path=None, **kw):
        return self.expect(status, 'PUT', path, body, **kw)

    def get(self, status=200, path=None, **kw):
        return self.expect(status, 'GET', path, **kw)

    def refused(self, r, *statuses):
        """A refusal says why in one line of plain text."""
        self.assertIn(r.status, statuses or range(400, 500), r)
        self.assertIn('text/plain', r.get('Content-Type') or '')
        text = r.body.decode()
        self.assertRegex(text, r'\A[^\n]{5,200}\n\Z')
        return text


class Basics(AloneCase):
    def test_put_get_head_delete(self):
        r = self.put(b'hello', Content_Type='text/x', X_Object_Meta_Colour='blue')
        etag = f'"{hashlib.md5(b"hello").hexdigest()}"'
        self.assertEqual(r.get('Etag'), etag)
        r = self.get()
        self.assertEqual((r.body, r.get('Content-Type'), r.get('X-Object-Meta-Colour'), r.get('Etag'),
                          r.get('Content-Length')), (b'hello', 'text/x', 'blue', etag, '5'))
        self.assertIsNotNone(r.get('Last-Modified'))
        self.assertFalse([n for n, _ in r.headers if n.lower().startswith('x-backend')], r)
        r = self.expect(200, 'HEAD')
        self.assertEqual((r.get('Content-Length'), r.get('Etag')), ('5', etag))
        r = self.expect(204, 'DELETE')
        self.assertEqual({n for n, _ in r.headers} & {'Content-Length', 'Transfer-Encoding'}, set())
        self.refused(self.ask('GET'), 404)
        self.expect(404, 'HEAD')
        self.refused(self.ask('DELETE'), 404)

    def test_overwrite(self):
        for body in (b'one', b'', b'three' * 100000):
            self.put(body)
            self.assertEqual(self.get().body, body)

    def test_delete_then_put(self):
        for i in range(5):
            self.put(b'%d' % i)
            self.assertEqual(self.get().body, b'%d' % i)
            self.expect(204, 'DELETE')
            self.get(404)

    def test_default_content_type(self):
        self.put()
        self.assertEqual(self.get().get('Content-Type'), 'application/octet-stream')

    def test_chunked(self):
        with self.server.connect() as c:
            c.send(wire.head_bytes('PUT', self.path, {'Transfer-Encoding': 'chunked'}) +
                   wire.chunks(b'x' * 300000, 7777))
            self.assertEqual(c.read_response('PUT').status, 201)
            self.assertEqual(c.request('GET', self.path).body, b'x' * 300000)

    def test_expect_continue(self):
        with self.server.connect() as c:
            c.send(wire.head_bytes('PUT', self.path, {'Content-Length': '5', 'Expect': '100-continue'}))
            self.assertEqual(c.read_response('PUT', interim=True).status, 100)
            c.send(b'hello')
            self.assertEqual(c.read_response('PUT').status, 201)
        self.assertEqual(self.get().body, b'hello')

    def test_expect_refused_first(self):
        self.put()
        with self.server.connect() as c:
            c.send(wire.head_bytes('PUT', self.path, {'Content-Length': '5', 'Expect': '100-continue',
                                                      'If-None-Match': '*'}))
            self.assertEqual(c.read_response('PUT', interim=True).status, 412)

    def test_ranges(self):
        self.put(b'0123456789')
        r = self.get(206, Range='bytes=2-4')
        self.assertEqual((r.body, r.get('Content-Range')), (b'234', 'bytes 2-4/10'))
        self.assertEqual(self.get(206, Range='bytes=-3').body, b'789')
        self.assertEqual(self.get(206, Range='bytes=8-').body, b'89')
        self.assertEqual(self.get(416, Range='bytes=10-').get('Content-Range'), 'bytes */10')
        self.assertEqual(self.get(200, Range='lines=1-2').body, b'0123456789')
        r = self.get(206, Range='bytes=0-1,4-5')
        self.assertIn('multipart/byteranges', r.get('Content-Type'))
        for absurd in ('bytes=99999999999999999999999-', 'bytes=5-1', 'bytes=' + '0-0,' * 2000 + '1-1'):
            self.assertIn(self.ask('GET', Range=absurd).status, (200, 416, 400))

    def test_conditional_reads(self):
        etag = self.put().get('Etag')
        modified = self.get().get('Last-Modified')
        self.assertEqual(self.get(304, If_None_Match=etag).body, b'')
        self.get(304, If_None_Match=f'"x", W/{etag}')
        self.get(200, If_None_Match='"other"')
        self.get(304, If_Modified_Since=modified)
        self.get(200, If_Match=etag)
        self.get(412, If_Match='"other"')
        old = email.utils.formatdate(time.time() - 100000, usegmt=True)
        self.get(412, If_Unmodified_Since=old)
        self.get(200, If_Modified_Since=old)

    def test_conditional_writes(self):
        etag = self.put(If_None_Match='*').get('Etag')
        self.refused(self.ask('PUT', body=b'x', If_None_Match='*'), 412)
        self.refused(self.ask('PUT', body=b'x', If_Match='"other"'), 412)
        self.assertEqual(self.get().body, b'hello')
        self.put(b'next', If_Match=etag)
        self.assertEqual(self.get().body, b'next')
        self.refused(self.ask('DELETE', If_Match=etag), 412)
        self.refused(self.ask('PUT', path=self.path + 'absent', body=b'x', If_Match='*'), 412)

    def test_conditional_post(self):
        """Metadata are not lost to a writer who has not seen them either."""
        etag = self.put(X_Object_Meta_A='1').get('Etag')
        old = email.utils.formatdate(0, usegmt=True)
        for headers in ({'If_Match': '"other"'}, {'If_None_Match': etag}, {'If_None_Match': '*'},
                        {'If_Unmodified_Since': old}):
            with self.subTest(headers):
                self.refused(self.ask('POST', X_Object_Meta_A='2', **headers), 412)
                self.assertEqual(self.get().get('X-Object-Meta-A'), '1')
        self.refused(self.ask('POST', self.path + '-absent', If_Match='*'), 412)
        self.refused(self.ask('POST', self.path + '-absent', If_None_Match='*'), 404)
        self.expect(202, 'POST', X_Object_Meta_A='2', If_Match=etag)
        self.assertEqual(self.get().get('X-Object-Meta-A'), '2')

    def test_creates_once(self):
        """Of 32 that create at the same time exactly one does."""
        for round_ in range(5):
            path = f'{self.path}-{round_}'
            answers = in_threads(32, lambda i, p=path: self.ask('PUT', p, b'%d' % i * 1000,
                                                                If_None_Match='*').status)
            self.assertEqual(sorted(map(str, answers)), ['201'] + ['412'] * 31)
            body = self.get(path=path).body
            self.assertEqual(body, body[:len(body) // 1000] * 1000)
            self.assertEqual(answers[int(body[:len(body) // 1000])], 201)

    def test_creates_once_after_delete(self):
        self.put()
        self.expect(204, 'DELETE')
        answers = in_threads(16, lambda i: self.ask('PUT', body=b'x', If_None_Match='*').status)
        self.assertEqual(sorted(map(str, answers)), ['201'] + ['412'] * 15)

    def test_lost_update(self):
        """Counting up with If-Match: no increment is lost."""
        self.put(b'0')

        def count(_):
            done = 0
            while done < 5:
                r = self.ask('GET')
                s = self.ask('PUT', body=b'%d' % (int(r.body) + 1), If_Match=r.get('Etag')).status
                assert s in (201, 412), s
                done += s == 201
        self.assertEqual(in_threads(8, count), [None] * 8)
        self.assertEqual(self.get().body, b'40')

    def test_concurrent_puts(self):
        answers = in_threads(32, lambda i: self.ask('PUT', body=b'%02d' % i * 40000).status)
        self.assertEqual(answers, [201] * 32)
        body = self.get().body
        self.assertEqual(body, body[:2] * 40000)
        self.put(b'later')
        self.assertEqual(self.get().body, b'later')

    def test_checksums(self):
        good = base64.b64encode(hashlib.md5(b'hello').digest()).decode()
        bad = base64.b64encode(hashlib.md5(b'other').digest()).decode()
        self.put(Content_MD5=good)
        self.put(Etag=hashlib.md5(b'hello').hexdigest())
        self.put(Etag=f'"{hashlib.md5(b"hello").hexdigest()}"')
        for more in ({'Content_MD5': bad}, {'Etag': '0' * 32}):
            self.refused(self.ask('PUT', self.path + 'x', b'hello', **more), 400, 422)
            self.get(404, self.path + 'x')
        self.refused(self.ask('PUT', self.path + 'x', b'hello', Content_MD5='nonsense'), 400)

    def test_metadata(self):
        self.put(X_Object_Meta_A='1', x_object_meta_b='\xc3\xbc', X_Object_Meta_E='')
        r = self.get()
        self.assertEqual([r.get(n) for n in ('X-Object-Meta-A', 'X-Object-Meta-B', 'X-Object-Meta-E')],
                         ['1', '\xc3\xbc', ''])
        self.refused(self.ask('PUT', body=b'', **{f'X_Object_Meta_{i}': 'v' for i in range(91)}), 400)
        self.refused(self.ask('PUT', body=b'', X_Object_Meta_A='v' * 257), 400)
        self.assertEqual(self.get().body, b'hello')

    def test_metadata_beyond_the_file_system(self):
        """ext4 keeps less than the limits of HTTP allow: the disk is not full, and the text says so."""
        self.put()
        probe = os.path.join(self.root, 'probe')
        with open(probe, 'wb') as f:
            try:
                os.setxattr(f.fileno(), 'user.probe', bytes(7000))
                fits = True
            except OSError:
                fits = False
        long = {f'X_Object_Meta_{i}': 'v' * 250 for i in range(15)}
        long['Content_Type'] = 'a/' + 'b' * 3000
        for method, body in (('PUT', b'new'), ('POST', None)):
            r = self.ask(method, body=body, **long)
            if fits:
                self.assertLess(r.status, 300, r)
            else:
                text = self.refused(r, 400)
                self.assertIn('file system', text)
                self.assertIn('header', text)
                self.assertEqual(self.get().body, b'hello')

    def test_cluster_headers_ignored(self):
        """None of them connects anywhere, chooses a policy, sets a time or hides an object."""
        self.put(X_Timestamp='1', X_Backend_Storage_Policy_Index='99', X_Container_Host='127.0.0.1:1',
                 X_Container_Partition='1', X_Container_Device='sda1', X_Delete_At_Host='127.0.0.1:1',
                 X_Delete_At='1', X_Delete_After='1', X_Backend_Replication='true',
                 X_Backend_Obj_Metadata_Footer='yes', X_Backend_Next_Part_Power='10')
        r = self.get(X_Timestamp='bad', X_Backend_Storage_Policy_Index='99')
        self.assertEqual(r.body, b'hello')
        self.assertIsNone(r.get('X-Delete-At'))
        self.expect(204, 'DELETE', X_Timestamp='1', X_If_Delete_At='5')
        self.assertFalse([p for p in tree.everything(self.server.device) if 'async' in p])

    def test_healthcheck(self):
        self.assertEqual(self.get(path='/healthcheck').body, b'OK')
        self.expect(200, 'HEAD', '/healthcheck')
        for method in ('PUT', 'POST', 'DELETE'):    # 200 would mean that something was stored
            self.refused(self.ask(method, '/healthcheck', b'x'), 400)

    def test_methods(self):
        for method in ('COPY', 'PATCH', 'FOO', 'REPLICATE', 'SSYNC', 'get'):
            self.refused(self.ask(method), 405, 501)

    def test_one_access_line_per_request(self):
        self.put(path='/c/logged-once')
        self.get(path='/c/logged-once')
        lines = [l for l in self.server.log().splitlines() if '/c/logged-once' in l]
        self.assertEqual(len(lines), 2, lines)
        self.assertRegex(lines[0], r'"PUT /c/logged-once" 201')
        self.assertRegex(lines[0], r'\w+=\d+(\.\d+)?')      # the time of a step


class Names(AloneCase):
    def test_keys(self):
        keys = ['a', 'a/b', 'a/b/c.txt', 'with space', 'pl+us', 'per%cent', 'qu?stion', 'ha#sh', 'sn\u00f6w',
                '\u65e5\u672c\u8a9e', '\U0001f600', 'a\nb', 'a\tb', 'a"b', "a'b", 'a\\b', '...', '..a', '.hidden',
                'x' * 1024, ';&=@:!$,~*()[]{}|<>^`', '-', '%00'.replace('%', 'percent'), 'a//b', 'trailing/']
        for i, key in enumerate(keys):
            self.put(b'%d' % i, path='/names/' + urllib.parse.quote(key, safe='/'))
        for i, key in enumerate(keys):
            self.assertEqual(self.get(path='/names/' + urllib.parse.quote(key, safe='/')).body, b'%d' % i,
                             key)
            self.assertEqual(self.get(path='/names/' + ''.join(f'%{b:02x}' for b in key.encode())).body,
                             b'%d' % i, key)

    def test_refused_names(self):
        before = tree.everything(self.server.device)
        for path in ('/', '/c', '/c/', '//k', '/c/%ff', '/c/%c0%af', '/c/a%00b', '/c/../x', '/c/./x', '/../c/x',
                     '/c/a/../b', '/c/a/..', '/c/%2e%2e/x', '/c/a%2F..%2Fb', '/c/..', '/c/%', '/c/%zz', '/c/%4',
                     '/c/' + 'x' * 1025, '/' + 'c' * 257 + '/x', '/c/%ed%a0%80'):
            for method in ('PUT', 'GET', 'DELETE'):
                with self.subTest(path=path[:40], method=method):
                    self.refused(self.ask(method, path, b'x' if method == 'PUT' else None), 400, 404, 412, 414)
        self.assertEqual(tree.everything(self.server.device), before)

    def test_containers_are_apart(self):
        self.put(b'one', path='/c1/k')
        self.put(b'two', path='/c2/k')
        self.assertEqual((self.get(path='/c1/k').body, self.get(path='/c2/k').body), (b'one', b'two'))


class Refusals(AloneCase):
    def test_an_empty_line_before_a_request(self):
        """RFC 9112 2.2: one is passed over, wherever its bytes are cut; a second one is refused."""
        get = wire.head_bytes('GET', '/healthcheck')
        with self.server.connect() as c:
            c.send(b'\r\n' + get + b'\r\n' + get)
            for _ in range(2):
                self.assertEqual(c.read_response().status, 200)
            c.send(b'\r')
            with self.server.connect() as other:
                self.assertEqual(other.request('GET', '/healthcheck').status, 200)
            c.send(b'\n' + get[:5])
            c.send(get[5:])
            self.assertEqual(c.read_response().status, 200)
            c.send(b'\r\n\r\n' + get)
            self.refused(c.read_response(), 400)
            self.assertTrue(c.is_closed())
        for data in (b'\n' + get, b'\r\r\n' + get, b' \r\n' + get):
            with self.server.connect() as c:
                c.send(data)
                self.refused(c.read_response(), 400)

    def test_a_deleted_answer_keeps_the_connection(self):
        """204 says nothing of a length, and what follows it is the next answer."""
        self.put()
        delete = wire.head_bytes('DELETE', self.path)
        with self.server.connect() as c:
            c.send(delete + wire.head_bytes('GET', '/healthcheck'))
            self.assertEqual(c.read_response('DELETE').status, 204)
            self.assertEqual(c.read_response().body, b'OK')

    def test_bad_requests(self):
        for data in (b'GARBAGE\r\n\r\n', b'GET / HTTP/9.9\r\nHost: t\r\n\r\n',
                     b'GET /c/k HTTP/1.1\r\nHost : t\r\n\r\n',
                     b'GET /c/k HTTP/1.1\r\nHost: t\r\nX: ' + b'x' * 9000 + b'\r\n\r\n',
                     b'GET /' + b'x' * 9000 + b' HTTP/1.1\r\nHost: t\r\n\r\n',
                     b'PUT /c/k HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n',
                     b'PUT /c/k HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
                     b'PUT /c/k HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\nxx',
                     b'PUT /c/k HTTP/1.1\r\nHost: t\r\n\r\n',
                     b'PUT /c/k HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999\r\n\r\n'):
            with self.subTest(data[:60]), self.server.connect() as c:
                c.send(data)
                r = c.read_response()
                self.assertIn(r.status, (400, 411, 413, 414, 431, 501, 505), r)
                self.assertRegex(r.body.decode('latin-1'), r'\A[^\n]{5,300}\n?\Z')
        self.get(404, '/c/k')

    def test_corrupt_is_404_and_put_away(self):
        for size in (100, 4 << 20):
            path = f'{self.path}{size}'
            self.put(os.urandom(size), path=path)
            file = newest_data_file(self.server.device)
            with open(file, 'r+b') as f:
                f.seek(size // 2)
                byte = f.read(1)
                f.seek(size // 2)
                f.write(bytes([byte[0] ^ 0xff]))
            with self.server.connect() as c:
                c.send(wire.head_bytes('GET', path))
                try:
                    self.assertEqual(c.read_response().status, 404)
                except wire.Closed as e:
                    self.assertLess(len(e.args[0]), size)
            self.get(404, path)
            self.assertFalse(os.path.exists(file))
            self.put(b'again', path=path)
            self.assertEqual(self.get(path=path).body, b'again')


def newest_data_file(device):
    files = [os.path.join(device, p) for p in tree.object_files(device) if p.endswith('.data')]
    return max(files, key=lambda p: os.stat(p).st_mtime_ns)


class Clock(AloneCase):
    """Versions never go backwards, whatever the clock does."""
    own_server = False

    def age(self, server, path, seconds):
        """Moves the stored version `seconds` into the future, as a clock set back would."""
        file = newest_data_file(server.device)
        items = {k.decode(): v.decode() for k, v in tree.metadata(file).items()}
        ts = tree.timestamp(float(items['X-Timestamp'].split('_')[0]) + seconds)
        items['X-Timestamp'] = ts
        os.rename(file, os.path.join(os.path.dirname(file), ts + '.data'))
        tree.set_metadata(os.path.join(os.path.dirname(file), ts + '.data'), items)

    def test_clock_was_ahead(self):
        """The stored version is of an hour from now: overwriting and deleting still work."""
        server = self.start()
        for step in ('PUT', 'DELETE'):
            path = f'{self.path}-{step}'
            self.put(b'old', path=path, server=server)
            self.age(server, path, 3600)
            self.assertEqual(self.get(path=path, server=server).body, b'old')
            server.stop()
            server.start()
            if step == 'PUT':
                self.put(b'new', path=path, server=server)
                self.assertEqual(self.get(path=path, server=server).body, b'new')
            else:
                self.expect(204, 'DELETE', path, server=server)
                self.get(404, path, server=server)
                self.put(b'after', path=path, server=server)
                self.assertEqual(self.get(path=path, server=server).body, b'after')

    def test_restart_keeps_everything(self):
        server = self.start()
        for i in range(50):
            self.put(b'%d' % i, path=f'/c/{i}', server=server)
        server.stop()
        server.start()
        for i in range(50):
            self.assertEqual(self.get(path=f'/c/{i}', server=server).body, b'%d' % i)


class DataDirectories(AloneCase):
    own_server = False

    def dirs(self, *names):
        paths = [os.path.join(self.root, self._testMethodName, n) for n in names]
        for p in paths:
            os.makedirs(p, exist_ok=True)
        return paths

    def test_keys_are_spread_and_stay(self):
        dirs = self.dirs('d1', 'd2', 'd3')
        server = self.start(data_dirs=dirs)
        for i in range(90):
            self.put(b'%d' % i, path=f'/c/{i}', server=server)
        counts = [len(tree.object_files(d)) for d in dirs]
        self.assertEqual(sum(counts), 90)
        self.assertTrue(all(c > 10 for c in counts), counts)
        where = [tree.object_files(d) for d in dirs]
        server.stop()
        server.start()
        for i in range(90):
            self.assertEqual(self.get(path=f'/c/{i}', server=server).body, b'%d' % i)
            self.put(b'%d' % -i, path=f'/c/{i}', server=server)
        self.assertEqual([[os.path.dirname(f) for f in fs] for fs in where],
                         [[os.path.dirname(f) for f in tree.object_files(d)] for d in dirs])

    def test_another_set_is_refused(self):
        """A directory less, more, or exchanged would hide keys: no start, and it says which."""
        dirs = self.dirs('d1', 'd2', 'd3')
        server = self.start(name='first', data_dirs=dirs)
        server.stop()
        for name, other in (('less', dirs[:2]), ('more', dirs + self.dirs('d4')),
                            ('exchanged', dirs[:2] + self.dirs('d5'))):
            with self.subTest(name):
                server = self.make(name=name, data_dirs=other)
                code, log = server.run_to_end()
                self.assertNotIn(code, (0, None), log)
                self.assertIn(self.root, log)

    def test_order_does_not_matter_or_is_refused(self):
        dirs = self.dirs('d1', 'd2')
        server = self.start(name='first', data_dirs=dirs)
        for i in range(20):
            self.put(b'%d' % i, path=f'/c/{i}', server=server)
        server.stop()
        server = self.make(name='second', data_dirs=dirs[::-1])
        server.launch()
        try:
            server.wait_ready()
        except Exception:               # refused with a message: fine, keys are not hidden
            return
        for i in range(20):
            self.assertEqual(self.get(path=f'/c/{i}', server=server).body, b'%d' % i)

    def test_two_servers_on_one_directory(self):
        """They would not know of each other's times and locks: the second one says so."""
        dirs = self.dirs('d1')
        self.start(name='first', data_dirs=dirs)
        second = self.make(name='second', data_dirs=dirs)
        code, log = second.run_to_end(20)
        if code is None:
            self.skipTest('two servers share a directory; not forbidden by the specification')
        self.assertNotEqual(code, 0)
        self.assertIn(dirs[0], log)

    def test_new_store_is_said(self):
        """Once: over the bare mount point of the only disk all keys would seem to be lost."""
        dirs = self.dirs('d1')
        server = self.start(data_dirs=dirs)
        new = f'new store, without any key, in {dirs[0]}'
        self.assertIn(new, server.log())
        server.stop()
        server.start()
        self.assertEqual(server.log().count(new), 1)

    def test_missing_directory_is_named(self):
        missing = os.path.join(self.root, 'a-file')
        with open(missing, 'w', encoding='ascii'):
            pass
        code, log = self.make(data_dirs=[missing]).run_to_end()
        self.assertNotIn(code, (0, None))
        self.assertIn(missing, log)


class Loopback(AloneCase):
    own_server = False

    def test_bound_to_loopback_unless_told(self):
        server = self.make()
        with open(server.conf, encoding='ascii') as f:
            text = f.read().replace('bind_ip = 127.0.0.1\n', '')
        with open(server.conf, 'w', encoding='ascii') as f:
            f.write(text)
        server.start()
        with open('/proc/net/tcp', encoding='ascii') as f:
            listeners = [line.split()[1] for line in f.readlines()[1:] if line.split()[3] == '0A']
        mine = [a for a in listeners if int(a.split(':')[1], 16) == server.port]
        self.assertTrue(mine)
        self.assertEqual({a.split(':')[0] for a in mine}, {'0100007F'})


    def test_port_in_use(self):
        """It is said at once, not after bind_timeout; and when it is free the server goes on."""
        server = self.make(conf={'DEFAULT': {'bind_timeout': 60}})
        with socket.create_server(('127.0.0.1', server.port)):
            server.launch()
            self.assertTrue(wait_until(lambda: f'127.0.0.1:{server.port} is in use' in server.log()),
                            server.log())
        server.wait_ready()


class Hangups(AloneCase):
    def test_leaves_nothing(self):
        self.put(path='/c/warm')
        before = tree.everything(self.server.device)
        for sent in (0, 1, 70000, 199999):
            c = self.server.connect()
            c.send(wire.head_bytes('PUT', self.path, {'Content-Length': '200000'}) + b'x' * sent)
            c.reset()
        self.get(404)
        self.assertTrue(wait_until(lambda: tree.everything(self.server.device) == before),
                        set(tree.everything(self.server.device)) - set(before))
