# SPDX-License-Identifier: Apache-2.0
"""Conversations by SSYNC, sent by hand; the expectations of the tests that use this hold for Debian's
server too (--engine swift) unless a test says why not."""
from base import SwiftCase, headers_of
from harness import tree, wire

START, END = b':MISSING_CHECK: START\r\n', b':MISSING_CHECK: END\r\n'
UP, UP_END = b':UPDATES: START\r\n', b':UPDATES: END\r\n'


class Talk:
    """A conversation. `send` makes one chunk of each argument."""

    def __init__(self, case, partition, server=None, chunked=True, **headers):
        self.case = case
        self.wire = (server or case.server).connect()
        case.addCleanup(self.wire.close)
        if chunked:
            headers['Transfer_Encoding'] = 'chunked'
        self.wire.send(wire.head_bytes('SSYNC', f'/sda1/{partition}', headers_of(headers)))

    def begin(self):
        """Status line, headers and the first chunk."""
        self.head = self.wire.read_head()
        self.case.assertEqual(self.head.status, 200, self.head)
        self.case.assertEqual(self.chunk(), b'\r\n')
        return self

    def send(self, *chunks):
        for data in chunks:
            self.wire.send(wire.chunk(data))
        return self

    def end(self):
        self.wire.send(b'0\r\n\r\n')
        return self

    def chunk(self):
        size = int(self.wire.read_until(b'\r\n'), 16)
        data = self.wire.read_exactly(size + 2)
        return data[:-2]

    def rest(self):
        """De-chunked, up to the last chunk or the close; and whether it was whole."""
        text = b''
        try:
            while True:
                piece = self.chunk()
                if not piece:
                    return text, True
                text += piece
        except wire.Closed:
            return text, False

    def wanted(self):
        """The answer to the missing check, {hash: flags} in order."""
        text = b''
        while not text.endswith(END):
            text += self.chunk()
        head, _, tail = text.partition(START)
        self.case.assertEqual(head, b'')
        lines = tail[:-len(END)].split(b'\r\n')
        return dict(line.decode().split(' ') for line in lines if line)

    def check(self, *offers):
        """A whole missing check."""
        self.send(START, *[o if isinstance(o, bytes) else o.encode() for o in offers], END)
        return self.wanted()

    def error(self):
        text, whole = self.rest()
        self.case.assertFalse(whole, text)
        return text.decode('latin-1')


def update(method, path, headers=(), body=b'', length=True):
    lines = [f'{method} {path}']
    if length and (method == 'PUT' or body):
        lines.append(f'Content-Length: {len(body)}')
    lines += [f'{k}: {v}' for k, v in headers]
    return '\r\n'.join(lines + ['', '']).encode('latin-1') + body


class SsyncCase(SwiftCase):
    def talk(self, server=None, partition=None, **headers):
        return Talk(self, partition or self.partition, server, **headers).begin()

    def offer(self, n, name=None, more=''):
        return f'{tree.hash_of(name or self.name)} {self.t(n)}{more and " " + more}\r\n'

    def wants(self, n, more='', **headers):
        """What is wanted of an offer of this test's object."""
        talk = self.talk(**headers)
        found = talk.check(self.offer(n, more=more))
        self.assertEqual(talk.send(UP, UP_END).rest(), (UP + UP_END, True))
        return found.get(tree.hash_of(self.name), '')

    def updates(self, *parts, server=None, **headers):
        talk = self.talk(server, **headers)
        self.assertEqual(talk.check(), {})
        talk.send(UP, *parts, UP_END)
        return talk

    def done(self, *parts, **headers):
        talk = self.updates(*parts, **headers)
        self.assertEqual(talk.rest(), (UP + UP_END, True))

    def put_part(self, n, body=b'hello', name=None, **headers):
        pairs = [('X-Timestamp', self.t(n)), ('Content-Type', 'text/plain')] + headers_of(headers)
        return update('PUT', name or self.name, pairs, body)
