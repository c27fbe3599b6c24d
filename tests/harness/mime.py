# SPDX-License-Identifier: Apache-2.0
"""PUTs with a multipart body, as Swift's proxy sends them (http-api 8), and real fragments.

    talk = mime.Talk(connection, path, headers, footer=True, commit=True)
    talk.begin()                -> the first 100, or what came instead
    talk.body(b'...'); talk.footer({...}); talk.end_first()
    talk.answer()               -> the second 100, or the final reply
    talk.commit()
    talk.answer()
"""
import hashlib
import json

from . import wire

BOUNDARY = b'0123456789abcdef' * 4
CONTINUE_BOTH = (b'HTTP/1.1 100 Continue\r\nX-Obj-Multiphase-Commit: yes\r\n'
                 b'X-Obj-Metadata-Footer: yes\r\n\r\n')
SEGMENT = 65536


def fragments(data, segment=SEGMENT):
    """The three fragment archives of `data` under policy 2, made by the library Swift uses."""
    from pyeclib.ec_iface import ECDriver
    driver = ECDriver(ec_type='liberasurecode_rs_vand', k=2, m=1)
    pieces = [driver.encode(data[i:i + segment]) for i in range(0, len(data), segment)]
    return [b''.join(p[f] for p in pieces) for f in range(3)]


def footers(archive, index, data=None, **more):
    """What an EC proxy puts into the footer of one fragment archive."""
    data = archive if data is None else data
    items = {'X-Object-Sysmeta-Ec-Etag': hashlib.md5(data).hexdigest(),
             'X-Object-Sysmeta-Ec-Content-Length': str(len(data)),
             'X-Object-Sysmeta-Ec-Frag-Index': str(index),
             'X-Object-Sysmeta-Ec-Scheme': 'liberasurecode_rs_vand 2+1',
             'X-Object-Sysmeta-Ec-Segment-Size': str(SEGMENT),
             'X-Backend-Container-Update-Override-Etag': hashlib.md5(data).hexdigest(),
             'X-Backend-Container-Update-Override-Size': str(len(data)),
             'Etag': hashlib.md5(archive).hexdigest()}
    items.update({k.replace('_', '-'): v for k, v in more.items()})
    return {k: v for k, v in items.items() if v is not None}


def footer_document(items, md5=None):
    raw = items if isinstance(items, bytes) else json.dumps(items).encode()
    head = b'X-Document: object metadata\r\n'
    if md5 != '':
        head += b'Content-MD5: %s\r\n' % (md5 or hashlib.md5(raw).hexdigest()).encode()
    return head + b'\r\n' + raw


class Talk:
    def __init__(self, connection, path, headers, footer=True, commit=True, boundary=BOUNDARY,
                 expect=True, chunk=None):
        self.wire, self.boundary, self.chunk = connection, boundary, chunk
        self.has_commit = commit
        told = [('X-Backend-Obj-Multipart-Mime-Boundary', boundary.decode())] if boundary else []
        told += [('X-Backend-Obj-Metadata-Footer', 'yes')] if footer else []
        told += [('X-Backend-Obj-Multiphase-Commit', 'yes')] if commit else []
        told += [('Expect', '100-continue')] if expect else []
        if not any(k.lower() == 'content-length' for k, _ in headers):
            told.append(('Transfer-Encoding', 'chunked'))
        self.head = wire.head_bytes('PUT', path, list(headers) + told)
        self.heard = []     # interim replies, byte by byte

    def send(self, data):
        """As one chunk, or as many small ones."""
        step = self.chunk or len(data) or 1
        self.wire.send(b''.join(wire.chunk(data[i:i + step]) for i in range(0, len(data), step)))

    def begin(self):
        self.wire.send(self.head)
        return self.answer()

    def answer(self):
        """The next reply of any kind; a 100 is kept in `heard` as it came."""
        response = self.wire.read_response('PUT', interim=True)
        if response.status < 200:
            self.heard.append(b'%s %d %s\r\n' % (response.version.encode(), response.status,
                                                 response.reason.encode()) +
                              b''.join(b'%s: %s\r\n' % (k.encode(), v.encode())
                                       for k, v in response.headers) + b'\r\n')
        return response

    def body(self, data, opening=None):
        self.send(b'--%s\r\nX-Document: object body\r\n\r\n' % (opening or self.boundary) + data)

    def document(self, text):
        self.send(b'\r\n--%s\r\n%s' % (self.boundary, text))

    def footer(self, items, md5=None):
        self.document(footer_document(items, md5))

    def end_first(self, last=None):
        last = (not self.has_commit) if last is None else last
        self.send(b'\r\n--%s%s' % (self.boundary, b'--' if last else b'\r\n'))
        self.wire.send(b'0\r\n\r\n')

    def commit(self, name=b'put commit', after=b'--', end=True):
        self.send(b'X-Document: %s\r\n\r\nput_commit_confirmation\r\n--%s%s'
                  % (name, self.boundary, after))
        if end:
            self.wire.send(b'0\r\n\r\n')

    def first_phase(self, data, items):
        """All of it; the reply that follows."""
        response = self.begin()
        if response.status != 100:
            return response
        self.body(data)
        self.footer(items)
        self.end_first()
        return self.answer()

    def whole(self, data, items):
        response = self.first_phase(data, items)
        if response.status != 100:
            return response
        self.commit()
        return self.answer()
