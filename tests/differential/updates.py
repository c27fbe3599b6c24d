# SPDX-License-Identifier: Apache-2.0
"""Changes that others must be told of, from a seed: container servers that answer this and that,
headers as proxies send them and as nobody should.

What differs on purpose and has no row in intended.txt is in tests/scenarios/test_updates.py.
"""
import random

from generate import Case, Step
from told import some

FIRST_PARTITION = 600000


def nothing(place):
    pass


class Update:
    def __init__(self, number, rnd, base):
        self.rnd, self.base, self.number = rnd, base, number
        self.policy = rnd.choice(['0', '0', '1', None])
        names = (rnd.choice(['a', 'AUTH_t', '\u00e9']), rnd.choice(['c', 'c c', 'c%', '\u00fc\u20ac']),
                 rnd.choice(['o', 'o/p', 'o ~?"', '\U0001f600\\', 'nl\nx']) + str(number))
        self.name, self.partition = '/' + '/'.join(names), FIRST_PARTITION + number
        self.target = f'/sda1/{self.partition}/' + '/'.join(self._quoted(n) for n in names)
        self.answers = self._answers()
        self.steps = [self._put(), *(rnd.choice([self._put, self._post, self._post, self._delete])()
                                     for _ in range(rnd.randint(0, 3)))]

    @staticmethod
    def _quoted(name):
        return ''.join(chr(b) if chr(b).isalnum() and b < 128 or b == 0x2f else f'%{b:02X}'
                       for b in name.encode())

    def _one_answer(self):
        return self.rnd.choice([
            201, 201, 201, 202, 204, 404, 500, 503, 507,
            {'Location': '/.shards_a/c-1/o', 'X_Backend_Redirect_Timestamp': '1700000000.00000'},
            {'Location': '/.shards_a/c%2D%31/o?q#f', 'X_Backend_Redirect_Timestamp': '1700000000.1',
             'X_Backend_Location_Is_Quoted': self.rnd.choice(['true', 'false', 'yes'])},
            {'Location': 'http://h:1/.s/c', 'X_Backend_Redirect_Timestamp': '1'},
            {'Location': '/.shards_a/c-1/o'}, {'Location': 'c'}, {'X_Other': 'v'}])

    def _answers(self):
        """Per host. Two that fail in different ways would race for the name of one file."""
        one = [self._one_answer() for _ in range(20)]
        other = one if self.rnd.random() < 0.3 else [201] * 20
        return [one, other]

    def _some(self, *arguments):
        return some(self.rnd, *arguments)

    def _time(self, spread=100):
        return f'{self.base + self.rnd.randint(0, spread)}.{self.rnd.choice(["00000", "12345"])}' + \
            self.rnd.choice(['', '', '', '_0000000000000001'])

    def _common(self):
        rnd, found = self.rnd, [('X-Timestamp', self._time())]
        if self.policy:
            found.append(('X-Backend-Storage-Policy-Index', self.policy))
        found += self._some(0.7, 'X-Trans-Id', 'tx1', 'tx-2', '')
        found += self._some(0.5, 'Host', 'node:6200', 'node:80', '1.2.3.4')
        found += self._some(0.85, 'X-Container-Partition', '77', '77', '77', '')
        found += self._some(0.9, 'X-Container-Host', 'HOST0', 'HOST0', 'HOST0,HOST1', 'HOST0, HOST1 ',
                            '', 'HOST0,')
        found += self._some(0.9, 'X-Container-Device', 'cd', 'cd', 'cd,ce', ' cd,ce', '', 'cd,')
        found += self._some(0.15, 'X-Backend-Quoted-Container-Path', '.s/c%20d', '.s/c%C3%A9', 'x', '',
                            'a/b/c', 'a/b/')
        found += self._some(0.15, 'X-Backend-Container-Path', '.s/plain', 'none', 'a%20/b', '')
        found += self._some(0.2, 'X-Backend-Replication', 'true', 'false')
        found += self._some(0.2, 'X-Backend-Clean-Expiring-Object-Queue', 'false', 'true', 'no', '')
        found += self._some(0.1, 'X-Unrelated', 'v')
        rnd.shuffle(found)
        return found

    def _expiry(self, after):
        # The queue asks one host after the other: with two of them the order of answers holds.
        found = self._some(0.6, 'X-Delete-At', str(self.base + 50), str(self.base + 5000),
                           str(self.base + 6000), '+' + str(self.base + 5000), '99999999999')
        if after:
            found += self._some(0.1, 'X-Delete-After', '5000', '200')
        found += self._some(0.7, 'X-Delete-At-Host', 'HOST0', 'HOST0, HOST1', '', ',HOST1')
        found += self._some(0.9, 'X-Delete-At-Device', 'qd', 'qd,qe', '', 'qd,')
        found += self._some(0.9, 'X-Delete-At-Partition', '9', '')
        found += self._some(0.9, 'X-Delete-At-Container', '1234500000', '5', '99999999999', '')
        return found

    def _overrides(self):
        found = []
        for prefix in ('X-Backend-Container-Update-Override-',
                       'X-Object-Sysmeta-Container-Update-Override-'):
            for name in ('Etag', 'size', 'Content-Type', 'Some_Thing', 'Timestamp'):
                found += self._some(0.1, prefix + name, '1700000005.00000')
        found += self._some(0.15, 'X-Object-Sysmeta-Ec-Etag', 'whole')
        found += self._some(0.15, 'X-Object-Sysmeta-Ec-Content-Length', '999')
        return found

    def _put(self):
        body = b'x' * self.rnd.choice([0, 1, 1000])
        headers = self._common() + self._expiry(True) + self._overrides()
        headers.append(('Content-Type', self.rnd.choice(
            ['text/plain', 'text/plain;swift_bytes=77', 'a/b; x=\u00c3\u00a9;swift_bytes=5;y=z'])))
        return Step('PUT', self.target, headers, ('plain', body))

    def _post(self):
        headers = self._common() + self._expiry(False)
        headers += self._some(0.5, 'Content-Type', 'image/png', 'x/y;swift_bytes=9')
        headers += self._some(0.5, 'X-Object-Meta-A', '1')
        if any(n == 'Content-Type' for n, _ in headers):
            headers += self._some(0.4, 'Content-Type-Timestamp', self._time())
        return Step('POST', self.target, headers, None)

    def _delete(self):
        headers = self._common()
        headers += self._some(0.3, 'X-If-Delete-At', str(self.base + 5000), str(self.base + 50))
        return Step('DELETE', self.target, headers, None)


class Generator:
    def __init__(self, seed, base):
        self.seed, self.base = seed, base

    def cases(self, count):
        for number in range(count):
            made = Update(number, random.Random(self.seed * 100003 + number), self.base)
            yield Case(f'updates/{number}', int(made.policy or 0), nothing, made.name, made.partition,
                       made.steps, made.answers)
