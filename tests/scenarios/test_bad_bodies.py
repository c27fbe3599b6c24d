# SPDX-License-Identifier: Apache-2.0
"""Bodies that are not the documents they should be: a clear refusal, and nothing is left of them.

After each conversation no file below the device is open, the connection is closed or goes on, the
number of descriptors is what it was, and on the disk there is nothing, or a whole pending fragment.
"""
import hashlib
import json
import os

from base import open_files, wait_until
from harness import mime, wire
from test_coded import ARCHIVES, DATA, CodedCase

B = mime.BOUNDARY
PART = b'--%s\r\nX-Document: object body\r\n\r\n' % B
PENDING, DURABLE, NOTHING = 'pending', 'durable', 'nothing'


def footer(text, boundary=B, md5=None):
    """The second document as bytes, its boundary before and after it included."""
    return (b'\r\n--%s\r\nX-Document: object metadata\r\nContent-MD5: %s\r\n\r\n%s\r\n--%s\r\n' % (
        B, (md5 or hashlib.md5(text).hexdigest()).encode(), text, boundary))


GOOD = json.dumps(mime.footers(ARCHIVES[0], 0, DATA)).encode()
WHOLE = PART + ARCHIVES[0] + footer(GOOD)

# First phase only: what is sent as the first stream, what is answered.
FIRST = [
    ('no boundary anywhere', b'a line\r\n' * 20000, 500),
    ('a first line without end', b'x' * 200000, 500),
    ('another boundary', PART.replace(B, B[::-1]) + ARCHIVES[0], 500),
    ('a boundary too long', PART.replace(B, B + b'x') + ARCHIVES[0], 500),
    ('nothing', b'', 500),
    ('empty lines only', b'\r\n' * 1000, 500),
    ('ends in the body', PART + ARCHIVES[0], 400),
    ('ends in the middle of the body', PART + ARCHIVES[0][:5000], 499),
    ('a body too long', PART + ARCHIVES[0] + b'more' + footer(GOOD), 499),
    ('a body much too long', PART + ARCHIVES[0] * 20 + footer(GOOD), 499),
    ('a body too short', PART + ARCHIVES[0][:-1] + footer(GOOD), 499),
    ('another boundary behind the body', PART + ARCHIVES[0] + footer(GOOD).replace(B, B[::-1]), 499),
    ('no footers', PART + ARCHIVES[0] + b'\r\n--%s--' % B, 400),
    ('ends behind the body', PART + ARCHIVES[0] + b'\r\n--%s\r\n' % B, 400),
    ('footers: no JSON', PART + ARCHIVES[0] + footer(b'{bad'), 400),
    ('footers: half of it', PART + ARCHIVES[0] + footer(GOOD[:len(GOOD) // 2]), 400),
    ('footers: no UTF-8', PART + ARCHIVES[0] + footer(b'{"a": "\xff"}'), 400),
    ('footers: another MD5', PART + ARCHIVES[0] + footer(GOOD, md5='0' * 32), 422),
    ('footers: MD5 that is none', PART + ARCHIVES[0] + footer(GOOD, md5='x'), 422),
]

# The same where 2.30.1 reads all there is, fails with a traceback or runs out of stack.
OURS = [
    ('part headers without end', b'--%s\r\nX-A: %s' % (B, b'x' * 200000), 500),
    ('too many part headers', b'--%s\r\n%s' % (B, b'X-A: b\r\n' * 20000), 500),
    ('footers: too long', PART + ARCHIVES[0] + footer(b' ' * (1 << 20) + GOOD), 400),
    ('footers: too deep', PART + ARCHIVES[0] + footer(b'[' * 100000), 400),
    ('footers: a list', PART + ARCHIVES[0] + footer(b'[1, 2]'), 400),
    ('footers: a value that is none', PART + ARCHIVES[0] + footer(b'{"X-Object-Meta-A": {"b": 1}}'), 400),
]


class BadBodies(CodedCase):
    conf = {'DEFAULT': {'client_timeout': 2}}

    def descriptors(self):
        if self.is_oracle:
            return 0        # Python's threads come and go
        return len(os.listdir(f'/proc/{self.server.process.pid}/fd'))

    def descriptors_at_rest(self):
        """Once each worker has opened what it keeps."""
        for number in range(8):
            self.path = f'{self.prefix}{self.name}w{number}'
            self.store().wire.close()
        self.assertTrue(wait_until(lambda: not open_files(self.server)))
        return self.descriptors()

    def assert_nothing_is_held(self, before, left):
        self.assertTrue(wait_until(lambda: not open_files(self.server)), open_files(self.server))
        self.assertTrue(wait_until(lambda: self.descriptors() <= before),
                        f'{before} descriptors became {self.descriptors()}')
        expected = {NOTHING: [], PENDING: [self.file(10, 0, False)], DURABLE: [self.file(10, 0)]}[left]
        self.assertEqual(self.here(), expected)
        if left == NOTHING and not self.is_oracle:
            self.assertFalse(os.path.exists(self.hash_dir(policy=2)))

    def conversation(self, number, data, second=None):
        """Each with an object and a connection of its own; the last answer, or None."""
        self.path = f'{self.prefix}{self.name}x{number}'
        with self.server.connect() as c:
            talk = self.talk(10, connection=c, body=ARCHIVES[0])
            self.assertEqual(talk.begin().status, 100)
            try:
                if data:
                    c.send(wire.chunks(data, 50000)[:-5])
                c.send(b'0\r\n\r\n')
                response = talk.answer()
                if response.status == 100 and second is not None:
                    c.send(second)
                    response = talk.answer()
                return response
            except (OSError, wire.Closed):
                return None             # the answer was lost to the reset that unread input causes

    def refused(self, rows):
        before = self.descriptors_at_rest()
        for number, (name, data, status) in enumerate(rows):
            with self.subTest(name):
                response = self.conversation(number, data)
                if response is not None:
                    self.assertEqual(response.status, status, response)
                    self.assertNotIn(b'Traceback', b'' if self.is_oracle else response.body)
                self.assertTrue(self.log_has(status))
                self.assert_nothing_is_held(before, NOTHING)

    def log_has(self, status):
        # Debian's goes to syslog; its answer is enough
        return self.is_oracle or super().log_has(status)

    def test_first_phase(self):
        self.refused(FIRST)

    def test_first_phase_that_the_original_takes_amiss(self):
        if self.is_oracle:
            self.skipTest('2.30.1 reads without limits or fails with a traceback')
        self.refused(OURS)

    def second(self, name=b'put commit', body=b'put_commit_confirmation', end=b'\r\n--%s--' % B):
        return wire.chunk(b'X-Document: %s\r\n\r\n%s%s' % (name, body, end))

    def test_second_phase(self):
        end = b'0\r\n\r\n'
        before = self.descriptors_at_rest()
        for number, (name, data, status, left) in enumerate((
                ('good', self.second() + end, 201, DURABLE),
                ('a long document', self.second(body=b'y' * 300000) + end, 201, DURABLE),
                ('another boundary behind it', self.second(end=b'\r\n--other--') + end, 201, DURABLE),
                ('another name', self.second(b'put commits') + end, 500, PENDING),
                ('no name', wire.chunk(b'X-Other: a\r\n\r\nb\r\n--%s--' % B) + end, 500, PENDING),
                ('nothing at all', end, 500, PENDING),
                ('never', b'', 408, PENDING))):
            with self.subTest(name):
                response = self.conversation(100 + number, WHOLE, data)
                self.assertEqual(response.status, status, response)
                self.assert_nothing_is_held(before, left)

    def test_hang_up_at_every_stage(self):
        """Wherever the client goes: 499 or 408 in the log, and nothing, or a whole fragment."""
        if self.is_oracle:
            self.skipTest('Swift leaves empty directories')
        before = self.descriptors_at_rest()
        stages = [(at, NOTHING) for at in (0, 3, len(PART) - 1, len(PART) + 70000,
                                           len(PART + ARCHIVES[0]) - 1, len(PART + ARCHIVES[0]) + 20,
                                           len(WHOLE) - 3)] + [(len(WHOLE), PENDING)]
        for number, (at, left) in enumerate(stages * 2):
            with self.subTest(at=at, reset=number >= len(stages)):
                self.path = f'{self.prefix}{self.name}s{number}'
                c = self.server.connect()
                talk = self.talk(10, connection=c, body=ARCHIVES[0])
                self.assertEqual(talk.begin().status, 100)
                c.send(wire.chunks(WHOLE[:at], 50000)[:-5])
                if left == PENDING:
                    c.send(b'0\r\n\r\n')
                    self.assertEqual(talk.answer().status, 100)
                c.reset() if number >= len(stages) else c.close()
                self.assertTrue(self.log_has(499))
                self.assert_nothing_is_held(before, left)

    def test_silence_at_every_stage(self):
        """A client that says nothing more is answered 408 after client_timeout."""
        before, held = self.descriptors_at_rest(), []
        for number, at in enumerate((0, 3, len(PART) + 1000, len(PART + ARCHIVES[0]) + 20)):
            self.path = f'{self.prefix}{self.name}q{number}'
            c = self.server.connect()
            talk = self.talk(10, connection=c, body=ARCHIVES[0])
            self.assertEqual(talk.begin().status, 100)
            if at:
                c.send(wire.chunks(WHOLE[:at], 50000)[:-5])
            held.append((self.path, c, talk))
        for self.path, c, talk in held:
            self.assertEqual(talk.answer().status, 408)
            c.close()
            self.assertEqual(self.here(), [])
        self.assertTrue(wait_until(lambda: self.descriptors() <= before))
