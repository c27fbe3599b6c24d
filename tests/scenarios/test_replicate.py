# SPDX-License-Identifier: Apache-2.0
"""REPLICATE. Numbers 028 and 2xx are those of http-api's list of edge cases, `repl` those of
replication-and-audit's, `disk` those of on-disk-format's."""
import fcntl
import hashlib
import os
import pickle
import select
import threading

from base import SwiftCase, wait_until
from harness import tree

NONE = b'\x80\x02N.'
EMPTY = b'\x80\x02}q\x00.'
CODED = 2


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Case(SwiftCase):
    def directory(self, *names, policy=0):
        return os.path.join(self.server.device, tree.objects_dir(policy), self.partition, *names)

    def suffix(self, path=None, policy=0):
        return os.path.basename(os.path.dirname(self.hash_dir(path, policy)))

    def ask_hashes(self, suffixes=None, policy=None, status=200, server=None):
        headers = {} if policy is None else {'X-Backend-Storage-Policy-Index': str(policy)}
        path = self.prefix + ('' if suffixes is None else '/' + suffixes)
        r = (server or self.server).request('REPLICATE', path, headers)
        self.check(r, status)
        return r

    def hashes(self, policy=None):
        return pickle.loads(self.ask_hashes(policy=policy).body)

    def read(self, name, policy=0):
        with open(self.directory(name, policy=policy), 'rb') as f:
            return f.read()

    def cache(self):
        return pickle.loads(self.read('hashes.pkl'))

    def fragment(self, n, index, durable=True):
        """A file only: nobody looks into it here."""
        os.makedirs(self.hash_dir(policy=CODED), exist_ok=True)
        name = f'{self.t(n)}#{index}{"#d" if durable else ""}.data'
        open(os.path.join(self.hash_dir(policy=CODED), name), 'w').close()


class Replicate(Case):
    def test_209_replicate_no_suffix_dict_pickle2(self):
        self.put(10)
        r = self.ask_hashes()
        suffix, value = self.suffix(), md5(self.t(10) + '.data')
        self.assertEqual(r.body, pickle.dumps({suffix: value}, protocol=2))
        self.assertEqual(len(r.body), 56)
        self.assertEqual(r.get('Content-Type'), 'text/html; charset=UTF-8')
        self.assertEqual(r.get('Content-Length'), '56')
        self.post(20)
        self.assertEqual(self.hashes(), {suffix: md5(self.t(20) + '.meta' + self.t(10) + '.data')})
        self.delete(30)
        self.assertEqual(self.hashes(), {suffix: md5(self.t(30) + '.ts')})

    def test_210_replicate_suffixes(self):
        r = self.ask_hashes('abc-def')
        self.assertEqual((r.body, r.get('Content-Type')), (NONE, 'text/html; charset=UTF-8'))

    def test_211_replicate_absent_partition(self):
        """And repl 1: nothing is created."""
        self.assertEqual(self.ask_hashes().body, EMPTY)
        self.assertFalse(os.path.exists(self.directory()))
        r = self.ask('REPLICATE', '/sda1/no-number')
        self.assertEqual((r.status, r.body), (200, EMPTY))

    def test_repl_02_suffixes_only_append(self):
        self.put(10)
        self.hashes()
        before = self.read('hashes.pkl')
        self.assertEqual(self.read('hashes.invalid'), b'')
        self.assertEqual(self.ask_hashes('abc-012-abc').body, NONE)
        self.assertEqual(self.read('hashes.invalid'), b'abc\n012\nabc\n')
        self.assertEqual(self.read('hashes.pkl'), before)
        self.assertEqual(set(self.hashes()), {self.suffix()})
        self.assertEqual(self.read('hashes.invalid'), b'')

    def test_repl_02_suffixes_make_the_partition(self):
        self.ask_hashes('abc')
        self.assertEqual(sorted(os.listdir(self.directory())), ['.lock', 'hashes.invalid'])

    def test_repl_03_malformed_suffixes(self):
        for names in ('ABC', 'ab', 'abcd', 'xyz', '-', '--', 'abc/def', 'a%20c', '%C3%A9', '0'):
            self.assertEqual(self.ask_hashes(names).body, NONE, names)
        self.assertFalse(os.path.exists(self.directory()))
        self.ask_hashes('xyz-abc-/-dEf')
        self.assertEqual(self.read('hashes.invalid'), b'abc\n')

    def test_repl_04_trailing_slash(self):
        self.put(10)
        self.assertEqual(self.ask_hashes('').body, self.ask_hashes().body)
        self.assertEqual(len(self.ask_hashes('').body), 56)

    def test_repl_05_no_state_in_the_body(self):
        self.put(10)
        for _ in range(2):
            self.assertEqual(list(self.hashes()), [self.suffix()])
        cache = self.cache()
        self.assertIs(cache.pop('valid'), True)
        self.assertIsInstance(cache.pop('updated'), float)
        self.assertEqual(cache, self.hashes())
        self.assertEqual(os.stat(self.directory('hashes.pkl')).st_mode & 0o777, 0o600)

    def test_repl_06_coded(self):
        self.fragment(10, 0)
        self.fragment(10, 2, durable=False)
        self.fragment(20, 1, durable=False)
        self.assertEqual(self.hashes(CODED), {self.suffix(): {
            0: md5(self.t(10)), 2: md5(self.t(10)), 1: md5(self.t(20)),
            None: md5(self.t(10) + '.durable')}})

    def test_repl_07_refusals(self):
        r = self.expect(507, 'REPLICATE', '/nodev/0')
        self.assertIn('Drive: nodev', r.body.decode())
        self.expect(507, 'REPLICATE', '/nodev/0/abc')
        for path, text in (('/sda1', 'Invalid path: /sda1'), ('/', 'Invalid path: /'),
                           ('/sda1/', 'Invalid path: /sda1/'), ('//1', 'Invalid path: //1'),
                           ('/sda1//abc', 'Invalid path: /sda1//abc'),
                           ('/../1', 'Invalid device: ..'), ('/sda1/..', 'Invalid partition: ..'),
                           ('/sda1/.', 'Invalid partition: .'), ('/sda1/../abc', 'Invalid partition: ..')):
            self.expect(400, 'REPLICATE', path, text=text)
        self.expect(503, 'REPLICATE', '/bad', text='No policy with index 7',
                    X_Backend_Storage_Policy_Index='7')
        self.expect(400, 'REPLICATE', '/nodev', text='Invalid path: /nodev')
        self.expect(412, 'REPLICATE', '/sda1/%ff')

    def test_repl_07_not_mounted(self):
        server = self.start(conf={'DEFAULT': {'mount_check': 'true'}})
        self.ask_hashes(status=507, server=server)

    def test_repl_43_noticed_only_when_told(self):
        """A file that came by rsync."""
        self.put(10)
        before = self.hashes()
        open(os.path.join(self.hash_dir(), self.t(20) + '.ts'), 'w').close()
        self.assertEqual(self.hashes(), before)
        self.ask_hashes(self.suffix())
        self.assertEqual(self.hashes(), {self.suffix(): md5(self.t(20) + '.ts')})
        self.assertEqual(self.files(), [self.t(20) + '.ts'])

    def test_body_is_ignored(self):
        with self.server.connect() as c:
            for body in (None, b'', b'x' * 100000):
                self.assertEqual(c.request('REPLICATE', self.prefix, (), body).body, EMPTY)

    def test_disk_41_aborted_upload_is_removed(self):
        os.makedirs(self.hash_dir())
        self.assertEqual(self.hashes(), {})
        self.assertEqual(sorted(os.listdir(self.directory())), ['.lock', 'hashes.pkl'])

    def test_disk_44_bad_caches_are_replaced(self):
        self.put(10)
        expected = self.hashes()
        for content in (b'', b'garbage', pickle.dumps({b'abc': 'x', 'valid': True}, 2),
                        pickle.dumps({'ABC': None, 'valid': True}, 2), pickle.dumps({'valid': False}, 2)):
            with open(self.directory('hashes.pkl'), 'wb') as f:
                f.write(content)
            self.assertEqual(self.hashes(), expected, content)
            self.assertIs(self.cache()['valid'], True)

    def test_disk_45_legacy_cache_is_believed(self):
        self.put(10)
        self.hashes()
        with open(self.directory('hashes.pkl'), 'wb') as f:
            f.write(pickle.dumps({'abc': '0' * 32}, 2))
        self.assertEqual(self.hashes(), {'abc': '0' * 32})

    def test_disk_46_blank_line(self):
        self.put(10)
        expected = self.hashes()
        with open(self.directory('hashes.invalid'), 'wb') as f:
            f.write(b'\n')
        self.assertEqual(self.hashes(), expected)
        if not self.is_oracle:                  # there the line is a key now
            self.assertEqual(sorted(self.cache()), sorted(['valid', 'updated', self.suffix()]))

    def test_disk_48_unexpected_file_only(self):
        for policy, value in ((0, md5('')), (CODED, {})):
            os.makedirs(self.hash_dir(policy=policy))
            open(os.path.join(self.hash_dir(policy=policy), 'junk'), 'w').close()
            for _ in range(2):
                self.assertEqual(self.hashes(policy), {self.suffix(): value})

    def test_disk_50_three_characters_that_are_no_suffix(self):
        self.put(10)
        os.makedirs(self.directory('xyz', 'h' * 32))
        for _ in range(2):
            if self.is_oracle:
                self.hashes()                   # removes it, or answers its name and distrusts itself
            else:
                self.assertEqual(list(self.hashes()), [self.suffix()])

    def test_disk_52_file_for_hash_dir(self):
        os.makedirs(self.directory('abc'))
        with open(self.directory('abc', '0' * 29 + 'abc'), 'wb') as f:
            f.write(b'x')
        self.assertEqual(self.hashes(), {})
        self.assertEqual(self.read('hashes.invalid'), b'abc\n')
        self.assertTrue(os.path.exists(os.path.join(self.server.device, 'quarantined', 'objects',
                                                    '0' * 29 + 'abc')))


class Ours(Case):
    """Where Swift's server does otherwise, or would make the test long."""
    oracle_too = False

    def test_repl_68_coded_never_none(self):
        """A suffix that cannot be hashed: a reconstructor expects a dict."""
        self.fragment(10, 0)
        os.makedirs(self.directory('abc', policy=CODED))
        os.symlink('0' * 29 + 'abc', self.directory('abc', '0' * 29 + 'abc', policy=CODED))
        self.assertEqual(list(self.hashes(CODED)), [self.suffix()])
        self.assertIsNone(pickle.loads(self.read('hashes.pkl', policy=CODED))['abc'])

    def test_lock_busy(self):
        """It is waited for, and objects elsewhere are served meanwhile."""
        self.put(10)
        with open(self.directory('.lock'), 'ab') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            answers = []
            asking = threading.Thread(target=lambda: answers.append(self.ask('REPLICATE', self.prefix)))
            asking.start()
            self.get()
            self.put(10, path=f'/sda1/other{self.partition}/a/c/o')
            self.assertEqual(answers, [])
            fcntl.flock(lock, fcntl.LOCK_UN)
            asking.join(20)
        self.assertEqual([r.status for r in answers], [200])

    def test_lock_busy_for_too_long(self):
        self.put(10)
        with open(self.directory('.lock'), 'ab') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.ask_hashes(status=500)
            self.ask_hashes('abc', status=500)

    def test_client_that_leaves(self):
        """The work is finished for the next one."""
        self.put(10)
        with open(self.directory('.lock'), 'ab') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self.server.connect() as c:
                c.send(b'REPLICATE %s HTTP/1.1\r\nHost: t\r\n\r\n' % self.prefix.encode())
                self.get()
        self.assertTrue(wait_until(lambda: os.path.exists(self.directory('hashes.pkl'))))

    def test_access_line(self):
        self.ask('REPLICATE', self.prefix, X_Trans_Id='tx-hashes', User_Agent='object-replicator 7')
        lines = [l for l in self.server.log().splitlines() if 'tx-hashes' in l]
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], f'"REPLICATE {self.prefix}" 200 6 "-" "tx-hashes" "object-replicator 7"')

    def fill(self, server):
        """Every suffix there can be, with one object each."""
        for i in range(4096):
            at = os.path.join(server.device, 'objects', self.partition, f'{i:03x}', f'{i:029x}{i:03x}')
            os.makedirs(at)
            open(os.path.join(at, self.t(i) + '.data'), 'w').close()

    def test_many_suffixes(self):
        """More than a batch of a pickle holds."""
        self.fill(self.server)
        self.assertEqual(self.hashes(), {f'{i:03x}': md5(self.t(i) + '.data') for i in range(4096)})

    def test_objects_do_not_wait(self):
        """The only thread of a device hashes in pieces: who comes later is served in between."""
        server = self.start(conf={'app:object-server': {'threads_per_device': 1, 'hot_cache_size': 0}})
        path = f'/sda1/other{self.partition}/a/c/o'
        server.request('PUT', path, {'X-Timestamp': self.t(10), 'Content-Type': 'a/b'}, b'x')
        self.fill(server)
        with server.connect() as c:
            c.send(b'REPLICATE %s HTTP/1.1\r\nHost: t\r\n\r\n' % self.prefix.encode())
            self.assertEqual(server.request('GET', path).body, b'x')
            self.assertEqual(select.select([c.socket], [], [], 0)[0], [], 'it was answered first')
            self.assertEqual(len(pickle.loads(c.read_response('REPLICATE').body)), 4096)

    def test_not_alone(self):
        server = self.start(alone=True)
        self.assertEqual(server.request('REPLICATE', '/sda1/1').status, 405)


class Race(Case):
    """Writers, rehashes and the two files between them: at rest nothing is stale."""
    oracle_too = False

    def test_disk_47_rehash_while_objects_come(self):
        paths = [f'{self.prefix}/a/c/race{i}' for i in range(40)]
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                self.hashes()
        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        try:
            for n in (10, 20):
                for path in paths:
                    self.put(n, path=path)
        finally:
            stop.set()
            for thread in asking:
                thread.join()
        found = self.hashes()
        self.ask_hashes('-'.join(found))
        self.assertEqual(self.hashes(), found)
