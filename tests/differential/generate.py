# SPDX-License-Identifier: Apache-2.0
"""Request sequences from a seed: who is asked what, in which state.

A Case is a starting state and some Steps on one connection each followed to its end. Nothing
here knows what the answer should be: that is what the oracle is for.
"""
import collections
import random
from email.utils import formatdate

import states
from states import BODY, ETAG
from told import container_headers, queue_headers

Step = collections.namedtuple('Step', 'method target headers body')
Case = collections.namedtuple('Case', 'id policy state name partition steps answers')

NEXT_POWER = 10
VERBS = ('GET', 'HEAD', 'PUT', 'POST', 'DELETE')
OTHER_ETAG = '0' * 32


class Generator:
    def __init__(self, seed, base):
        self.rnd = random.Random(seed)
        self.base = base
        self.count = 0
        self.alone = True   # a single request: what differs on purpose may be asked

    # ---- pieces ----

    def time(self, *choices):
        return self.rnd.choice([f'{self.base + n:.5f}' if not isinstance(n, str) else n
                                for n in choices])

    def any_time(self):
        """Mostly around the times of the states: 5 old, 10 equal, 15 between, 20 of a meta."""
        form = self.rnd.random()
        if form < 0.85:
            return self.time(5, 9, 10, 10, 12, 15, 18, 19, 20, 20, 30, 30, 30, 40)
        if form < 0.95:
            return self.time(10.123456789, 20.25, 30.999999, 30.5) + self.rnd.choice(['', '_1', '_ff'])
        base = self.base
        return self.rnd.choice([f'{base + 10}_1', f'{base + 30}', f'{base + 20}_0', '1e9', '0', '1',
                                '9999999999', '10000000000', '-1', 'bad', 'nan', '', '1_2_3', '1_zz',
                                '0x10', f' {base + 30} ', '+' + str(base + 30), '.5'])

    def maybe(self, headers, chance, name, *values):
        if self.rnd.random() < chance:
            headers.append((name, str(self.rnd.choice(values))))

    def date(self, n):
        return formatdate(self.base + n, usegmt=True)

    def read_headers(self, method):
        h = []
        if self.rnd.random() < 0.4:
            h.append(('X-Timestamp', self.any_time()))
        self.maybe(h, .15, 'If-None-Match', '*', ETAG, f'"{ETAG}"', OTHER_ETAG, f'x, "{ETAG}"',
                   f'W/"{ETAG}"', '')
        self.maybe(h, .15, 'If-Match', '*', ETAG, f'"{ETAG}"', OTHER_ETAG, f'"{OTHER_ETAG}", {ETAG}')
        self.maybe(h, .1, 'If-Modified-Since', self.date(0), self.date(10), self.date(11), self.date(20),
                   self.date(40), 'yesterday', 'Thu, 01 Jan 1970 00:00:00 GMT')
        self.maybe(h, .1, 'If-Unmodified-Since', self.date(0), self.date(10), self.date(11),
                   self.date(20), self.date(40), 'never', '')
        self.maybe(h, .4 if method == 'GET' else .1, 'Range', *RANGES)
        self.maybe(h, .05, 'X-Backend-Etag-Is-At', 'X-Object-Meta-A', 'X-None,X-Object-Sysmeta-S', '')
        self.maybe(h, .05, 'X-Backend-Ignore-Range-If-Metadata-Present', 'x-static-large-object',
                   'X-None, x-object-meta-a')
        self.maybe(h, .1, 'X-Backend-Replication', 'true', 'True', 'no', '1')
        self.maybe(h, .03, 'X-Backend-Fragment-Preferences', '[]', 'garbage', '{"a": 1}')
        return h, None

    def metadata_headers(self, h):
        self.maybe(h, .5, 'X-Object-Meta-A', 'new', '', 'x' * 256, 'Z\u00c3\u00bc', 'sp  ace')
        self.maybe(h, .02, 'X-Object-Meta-Long', 'x' * 257)
        self.maybe(h, .2, 'X-Object-Meta-foo_bar', 'v')
        self.maybe(h, .2, 'x-object-META-2nd-x', 'v')
        self.maybe(h, .08, 'X-Object-Meta-' + 'n' * self.rnd.choice([127, 128, 128, 129]), 'v')
        self.maybe(h, .03, 'X-Object-Meta-', 'v')
        self.maybe(h, .2, 'X-Object-Sysmeta-S', 'newsys')
        self.maybe(h, .2, 'X-Object-Transient-Sysmeta-T', 'newtr')
        self.maybe(h, .2, 'Content-Disposition', 'inline')
        self.maybe(h, .1, 'Cache-Control', 'no-cache', '')
        self.maybe(h, .1, 'X-Static-Large-Object', 'True', 'False')
        self.maybe(h, .1, 'X-Robots-Tag', 'all')
        self.maybe(h, .1, 'X-Unlisted', 'dropped')
        if self.rnd.random() < .1:
            h += [('X-Backend-Replication-Headers', 'x-foo X-Bar'), ('X-Foo', '1'), ('X-Bar', '2')]
        if self.rnd.random() < .1:
            h += [('X-Object-Meta-R', '1'), ('x-object-meta-r', '2')]
        if self.rnd.random() < .03:
            h += [(f'X-Object-Meta-N{i}', 'v') for i in range(self.rnd.choice([89, 90, 91]))]

    def put_headers(self):
        body = self.rnd.choice([BODY, BODY, b'', b'x', b'y' * 70000])
        h = [('X-Timestamp', self.any_time())] if self.rnd.random() < .98 else []
        if self.rnd.random() < .98:
            h.append(('Content-Type', self.rnd.choice(['text/plain', 'image/png', 'a/b;swift_bytes=7',
                                                       'text/\u00c3\u00bc', 'no', 'no'])))
        else:
            self.maybe(h, .5, 'Content-Type', '', 'text/\xff')
        self.metadata_headers(h)
        self.maybe(h, .1, 'If-None-Match', '*', ETAG, f'"{ETAG}", x', OTHER_ETAG)
        self.maybe(h, .05, 'If-Match', OTHER_ETAG)
        self.maybe(h, .15, 'Etag', ETAG, f'"{ETAG}"', ETAG.upper(), OTHER_ETAG, '')
        self.maybe(h, .1, 'X-Delete-At', self.base + 41, self.base + 100000, '99999999999')
        self.maybe(h, .03, 'X-Delete-At', self.base + 5, self.base + 10, self.base + 30, 'soon', '')
        self.maybe(h, .05, 'X-Delete-After', 1, 60, 1000000)
        self.maybe(h, .02, 'X-Delete-After', 0, -1, 'x', '')
        self.maybe(h, .1, 'X-Backend-Replication', 'true', 'f')
        self.maybe(h, .03, 'X-Backend-No-Commit', 'true')
        form = self.rnd.random()
        if form < .15:
            return h + [('Transfer-Encoding', 'chunked')], 'chunked', body
        if form < .18:
            h.append(('X-Backend-Obj-Content-Length', self.rnd.choice([str(len(body)), '5', 'abc', ''])))
            return h + [('Transfer-Encoding', 'chunked')], 'chunked', body
        return h, 'plain', body

    def post_headers(self):
        h = [('X-Timestamp', self.any_time())] if self.rnd.random() < .98 else []
        self.metadata_headers(h)
        self.maybe(h, .4, 'Content-Type', 'image/gif', 'text/html', '', 'a/b;swift_bytes=9')
        odd = self.alone
        self.maybe(h, .1, 'Content-Type-Timestamp', self.time(5), self.time(15), self.time(16),
                   self.time(30), *['bad'] * odd)
        self.maybe(h, .15, 'X-Delete-At', self.base + 5, self.base + 30, self.base + 100000,
                   *['soon', ''] * odd)
        self.maybe(h, .05, 'X-Delete-After', '60')
        self.maybe(h, .1, 'X-Backend-Replication', 'true')
        return h, None

    def delete_headers(self):
        h = [('X-Timestamp', self.any_time())] if self.rnd.random() < .98 else []
        self.maybe(h, .25, 'X-If-Delete-At', self.base + 15, self.base + 25, self.base + 100000,
                   f'{self.base + 15}.5', 'bad', '')
        self.maybe(h, .05, 'If-Match', OTHER_ETAG)
        return h, None

    def step(self, method, target, policy):
        framing = None
        if method in ('GET', 'HEAD'):
            h, body = self.read_headers(method)
        elif method == 'PUT':
            h, framing, body = self.put_headers()
        elif method == 'POST':
            h, body = self.post_headers()
        else:
            h, body = self.delete_headers()
        if policy or self.rnd.random() < .1:
            h.append(('X-Backend-Storage-Policy-Index', str(policy)))
        if method in ('PUT', 'POST', 'DELETE') and self.rnd.random() < .4:
            h += container_headers(self.rnd)
        if method in ('PUT', 'POST', 'DELETE') and self.rnd.random() < .3:
            h += queue_headers(self.rnd)
        if method in ('PUT', 'POST', 'DELETE'):
            self.maybe(h, .1, 'X-Backend-Next-Part-Power', NEXT_POWER)
        else:
            self.maybe(h, .1, 'X-Backend-Open-Expired', 'true')
        if method == 'PUT' and self.rnd.random() < .1:
            h.append(('Expect', '100-continue'))
        if method == 'PUT':
            h.append(('Connection', 'close') if self.rnd.random() < .2 else ('X-Trans-Id', 'tx1'))
        self.rnd.shuffle(h)
        return Step(method, target, h, (framing, body) if framing else body)

    # ---- cases ----

    def place(self, what, policy):
        self.count += 1
        name = self.rnd.choice(['o', 'dir/o', 'o o', 'sn\u00f6w', '.hidden', 'a//b', 'x/', 'per%cent'])
        name = f'/a/c/{name}{self.count}'
        quoted = ''.join(c if c.isalnum() and c.isascii() or c in '/._-' else
                         ''.join(f'%{b:02X}' for b in c.encode()) for c in name)
        return f'{what}-{self.count}', name, self.count, f'/sda1/{self.count}{quoted}'

    def single(self, state, method, policy):
        ident, name, partition, target = self.place(f'{method}/{state.__name__}/p{policy}', policy)
        return Case(ident, policy, state, name, partition, [self.step(method, target, policy)], None)

    def sequence(self, policy):
        ident, name, partition, target = self.place(f'sequence/p{policy}', policy)
        state = self.rnd.choice([s for s in states.ALL if s is not states.altered])
        self.alone = False
        steps = [self.step(self.rnd.choice(VERBS), target, policy)
                 for _ in range(self.rnd.randint(2, 6))]
        self.alone = True
        return Case(ident, policy, state, name, partition, steps, None)

    def room(self, size):
        """Metadata around what ext4 takes."""
        ident, name, partition, target = self.place(f'room/{size}', 0)
        h = [('X-Timestamp', self.time(30)), ('Content-Type', 'a/b'), ('X-Object-Sysmeta-R', 'r' * size)]
        return Case(ident, 0, states.absent, name, partition, [Step('PUT', target, h, ('plain', BODY))], None)

    def cases(self, count):
        """Every state with every verb, again and again with other headers, and sequences."""
        for size in range(3500, 4000, 20):
            yield self.room(size)
        made = 0
        while True:
            for state in states.ALL:
                for method in VERBS:
                    yield self.single(state, method, 1 if self.rnd.random() < .3 else 0)
                    made += 1
                    if made % 8 == 0:
                        yield self.sequence(self.rnd.choice([0, 1]))
                        made += 1
                    if made >= count:
                        return


RANGES = ['bytes=0-', 'bytes=0-4', 'bytes=5-9', 'bytes=99-', 'bytes=100-', 'bytes=-5', 'bytes=-0',
          'bytes=-1000', 'bytes=0-99', 'bytes=0-100', 'bytes=5-3', 'bytes=a-b', 'bytes=-', 'bytes=1',
          'bites=0-4', 'bytes=--5', 'bytes=0-4,a', 'Bytes = 0-4', 'bytes=0-4,200-300', 'bytes=0-4,10-14',
          'bytes=10-14,0-4', 'bytes=0-0,-1', 'bytes=', '', 'bytes=0-4,', 'bytes=,0-4',
          'bytes=' + ','.join(['0-4'] * 5), 'bytes=' + ','.join(['0-4'] * 50),
          'bytes=' + ','.join(['0-4'] * 51), 'bytes=0-10,5-15', 'bytes=0-10,5-15,8-20',
          'bytes=' + ','.join(f'{i}-{i}' for i in range(16, 0, -2)),
          'bytes=' + ','.join(f'{i}-{i}' for i in range(14, 0, -2)),
          'bytes=99999999999999999999-', 'bytes=0-99999999999999999999', 'bytes=-99999999999999999999']
