# SPDX-License-Identifier: Apache-2.0
"""Erasure-coded objects, and PUTs whose body is a MIME document, from a seed.

Fragments are real ones, since Swift looks into them when it reads. A PUT's body is a script of
bytes to send and, as None, answers to wait for; its connection is closed afterwards, because
what a server makes of a broken conversation's rest is not compared here.
"""
import json
import random

from harness import mime, tree

from generate import NEXT_POWER, Case, Step
from told import container_headers

ARCHIVES = mime.fragments(bytes(range(256)) * 600)
TIMES = (10, 15, 20)


class State:
    """Some fragments at some times, maybe a .meta, a tombstone, a legacy .durable."""

    def __init__(self, rnd):
        self.fragments = {(rnd.choice(TIMES), rnd.randrange(3), rnd.random() < .5)
                          for _ in range(rnd.choice([0, 1, 1, 2, 3, 5]))}
        self.meta = rnd.choice([None, None, None, 12, 15, 25])
        self.tombstone = rnd.choice([None, None, None, None, 12, 18])
        # one without fragments makes older ones obsolete; Swift offers them all the same
        times = sorted({n for n, _, _ in self.fragments})
        self.legacy = rnd.choice(times) if times and rnd.random() < .3 else None
        self.__name__ = ' '.join(f'{n}#{i}{"#d" if d else ""}' for n, i, d in sorted(self.fragments))

    def __call__(self, place):
        for n, index, durable in self.fragments:
            if (n, index, True) in self.fragments and not durable:
                continue        # two files of one index: which is read depends on the listing
            items = tree.data_items(place.name, place.t(n), ARCHIVES[index],
                                    X_Object_Sysmeta_Ec_Frag_Index=str(index), X_Object_Meta_N=str(n))
            name = f'{place.t(n)}#{index}{"#d" if durable else ""}.data'
            tree.write_file(place.directory, name, ARCHIVES[index], items)
        if self.meta:
            place.meta(self.meta, X_Object_Meta_P=str(self.meta))
        if self.tombstone:
            place.tombstone(self.tombstone)
        if self.legacy:
            tree.write_file(place.directory, place.t(self.legacy) + '.durable', b'', {}, False)


def nothing(place):
    pass


class Generator:
    def __init__(self, seed, base):
        self.rnd = random.Random(seed)
        self.base = base
        self.count = 0

    def t(self, n):
        return f'{self.base + n}.00000'

    def chance(self, p):
        return self.rnd.random() < p

    # ---- reading ----

    def preferences(self, also_wrong):
        choose = self.rnd.choice
        if also_wrong and self.chance(.15):
            return choose(['garbage', '{"a": 1}', '5', 'null', '', '[{}]', '[[]]', '"x"', '{}', 'true',
                           '[{"timestamp": "x", "exclude": []}]', '[{"timestamp": "1", "exclude": 1}]',
                           '[{"timestamp": "1", "exclude": ["0", 2]}]',
                           '[{"timestamp": "1", "exclude": [-1]}]'])
        return json.dumps([{'timestamp': self.t(n), 'exclude': self.rnd.sample(range(4), choose([0, 1, 2, 3]))}
                           for n in self.rnd.sample(TIMES, choose([0, 1, 1, 2, 3]))])

    def read(self, target, policy):
        h, method = [], self.rnd.choice(['GET', 'GET', 'HEAD'])
        if self.chance(.7):
            # Swift writes a body when it answers 500 to a HEAD: nothing more could be compared
            h.append(('X-Backend-Fragment-Preferences', self.preferences(method == 'GET')))
        if self.chance(.2):
            h.append(('Range', self.rnd.choice(['bytes=0-79', 'bytes=80-', 'bytes=-5'])))
        return Step(method, target, self.policy(h, policy), None)

    def policy(self, h, policy):
        return h + [('X-Backend-Storage-Policy-Index', str(policy))]

    # ---- writing ----

    def change(self, target, policy):
        h = [('X-Timestamp', self.t(self.rnd.choice([12, 15, 16, 20, 30])))]
        method = self.rnd.choice(['POST', 'DELETE', 'PUT'])
        if method == 'POST':
            h.append(('X-Object-Meta-A', 'new'))
        if self.chance(.4):
            h += container_headers(self.rnd)
        if self.chance(.2):
            h.append(('X-Backend-Next-Part-Power', str(NEXT_POWER)))
        if method != 'PUT':
            return Step(method, target, self.policy(h, policy), None)
        h += self.fragment_headers() + [('Content-Type', 'a/b')]
        if self.chance(.7):
            h.append(('X-Object-Sysmeta-Ec-Frag-Index', self.rnd.choice(['0', '1', '2', '3'])))
        return Step('PUT', target, self.policy(h, policy), ('plain', self.rnd.choice(ARCHIVES)))

    def fragment_headers(self):
        h = []
        if self.chance(.25):
            h.append(('X-Backend-Ssync-Frag-Index', self.rnd.choice(['0', '1', '2', '3', 'x', ''])))
        if self.chance(.2):
            h.append(('X-Backend-No-Commit', self.rnd.choice(['true', 'no'])))
        return h

    def footers(self, archive, index):
        items = mime.footers(archive, index)
        change = self.rnd.random()
        if change < .1:
            items['Etag'] = self.rnd.choice(['0' * 32, '', '"' + items['Etag'] + '"', items['Etag'].upper()])
        elif change < .2:
            items['X-Object-Sysmeta-Ec-Frag-Index'] = self.rnd.choice(['3', 'x', '-1', '0', ' 1', None, 2])
        elif change < .5:
            items.update({'x-object-META-foo_bar': 'v', 'Content-Type': 'x/y', 'X-Delete-At': '1',
                          'X-Object-Meta-Null': None, 'X-Object-Transient-Sysmeta-T': '\u00e9\u00df',
                          'X-Backend-Container-Update-Override-Etag': 'footer',
                          'X-Object-Sysmeta-Container-Update-Override-Some-Thing': 'else'})
        elif change < .56:
            return self.rnd.choice([b'{bad', b'', b'[]', b'{}', b'"x', b'{"a": "b"} x'])
        return items

    def mime_put(self, target, policy):
        rnd = self.rnd
        index = rnd.randrange(3)
        body = rnd.choice([ARCHIVES[index], ARCHIVES[index][:rnd.choice([0, 1, 79, 5000])],
                           b'\r\n--' + mime.BOUNDARY[:-1] + b'\r\n--\r' * 3])
        self.damaged |= body not in ARCHIVES and body != b''
        footer, commit = self.chance(.9), self.chance(.8)
        h = [('X-Timestamp', self.t(rnd.choice([12, 15, 20, 30, 30]))), ('Content-Type', 'a/b'),
             ('X-Object-Meta-Foo-Bar', 'header'), ('Connection', 'close')]
        h += self.fragment_headers()
        if self.chance(.6):
            h.append(('X-Backend-Obj-Content-Length', str(len(body) + (self.chance(.1)))))
        if self.chance(.1):
            h.append(('Etag', rnd.choice(['0' * 32, 'x'])))
        if self.chance(.1):
            h.append(('If-None-Match', '*'))
        if self.chance(.4):
            h += container_headers(rnd)
        if self.chance(.2):
            h.append(('X-Backend-Next-Part-Power', str(NEXT_POWER)))
        script = Script(rnd.choice([None, None, 7, 100, 4096]))
        talk = mime.Talk(script, target, self.policy(h, policy), footer, commit,
                         None if self.chance(.03) else mime.BOUNDARY, chunk=script.step)
        talk.boundary = mime.BOUNDARY
        self.first_phase(talk, script, body, index, footer)
        if commit:
            script.wait()
            talk.commit(rnd.choice([b'put commit'] * 8 + [b'put', b'Put Commit']),
                        rnd.choice([b'--', b'--', b'\r\n', b'--junk']), end=False)
            if self.chance(.1):
                talk.send(b'X-Document: more\r\n\r\nand more')
            script.send(b'0\r\n\r\n')
        return Step('PUT', target, talk.head, ('talk', script.done))

    def first_phase(self, talk, script, body, index, footer):
        script.wait()
        talk.body(body, opening=b'wrong' if self.chance(.03) else None)
        if footer and not self.chance(.05):
            md5 = '0' * 32 if self.chance(.04) else '' if self.chance(.04) else None
            talk.footer(self.footers(body, index), md5)
        last = self.chance(.06) or not talk.has_commit
        talk.end_first(last)

    # ---- cases ----

    def cases(self, count):
        for _ in range(count):
            policy = 2 if self.chance(.85) else 0
            self.count += 1
            partition = 500000 + self.count
            name = f'/a/c/coded{self.count}'
            self.damaged = False    # something is stored that is no row of fragments
            state = State(self.rnd) if policy == 2 and self.chance(.6) else nothing
            steps = [self.rnd.choice([self.mime_put, self.mime_put, self.change, self.read])
                     (f'/sda1/{partition}{name}', policy) for _ in range(self.rnd.choice([1, 1, 2, 3]))]
            steps.append(self.read(f'/sda1/{partition}{name}', policy))
            kind = '/damaged' if self.damaged else ''
            yield Case(f'coded/{self.count}/p{policy}{kind}', policy, state, name, partition, steps, None)


class Script:
    """Takes the place of a connection: notes what would be sent."""

    def __init__(self, step):
        self.step, self.done = step, []

    def send(self, data):
        self.done.append(data)

    def wait(self):
        self.done.append(None)
