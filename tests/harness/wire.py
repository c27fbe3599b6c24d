# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP client: sends exactly the bytes it is told, returns exactly the bytes it got.

It corrects nothing and follows nothing, so that malformed requests can be sent and replies
compared to the byte. Header values are str, one character per wire byte (latin-1).
"""
import socket

TIMEOUT_S = 30


class Closed(Exception):
    """The server closed the connection; args[0] holds what came before that."""


class Response:
    def __init__(self, version, status, reason, headers, body=b''):
        self.version, self.status, self.reason = version, status, reason
        self.headers = headers      # [(name, value)], in order, as received
        self.body = body

    def get(self, name, default=None):
        """The value of the first header of this name, case ignored."""
        for n, v in self.headers:
            if n.lower() == name.lower():
                return v
        return default

    @property
    def closes(self):
        return (self.get('Connection') or '').lower() == 'close' or self.version == 'HTTP/1.0'

    def __repr__(self):
        head = ', '.join(f'{n}: {v}' for n, v in self.headers)
        return f'<{self.version} {self.status} {self.reason} [{head}] {self.body[:200]!r}>'


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode('latin-1')


def head_bytes(method, target, headers=()):
    """Request line and header block; `headers` is a dict or a list of pairs."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if not any(_bytes(n).lower() == b'host' for n, _ in pairs):
        pairs.insert(0, ('Host', 'test'))
    lines = [b'%s %s HTTP/1.1' % (_bytes(method), _bytes(target))]
    lines += [b'%s: %s' % (_bytes(n), _bytes(str(v) if not isinstance(v, bytes) else v))
              for n, v in pairs]
    return b'\r\n'.join(lines) + b'\r\n\r\n'


def chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data)


def chunks(data, size=4096):
    return b''.join(chunk(data[i:i + size]) for i in range(0, len(data), size)) + b'0\r\n\r\n'


def request_bytes(method, target, headers=(), body=None):
    """A whole request; Content-Length is added for a body unless a length is already told."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    told = {_bytes(n).lower() for n, _ in pairs} & {b'content-length', b'transfer-encoding'}
    if body is not None and not told:
        pairs.append(('Content-Length', str(len(body))))
    return head_bytes(method, target, pairs) + (body or b'')


class Wire:
    """One connection. Also a context manager."""

    def __init__(self, port, timeout=TIMEOUT_S, host='127.0.0.1', rcvbuf=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect((host, port))
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Close with a TCP reset, as a client that crashes does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def shut_write(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _fill(self):
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            data = b''
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def read_until(self, mark):
        while mark not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def read_exactly(self, count):
        parts, have = [self.buffer], len(self.buffer)
        while have < count:             # long bodies: no quadratic joining
            self.buffer = b''
            try:
                self._fill()
            except Closed:
                raise Closed(b''.join(parts)) from None
            parts.append(self.buffer)
            have += len(self.buffer)
        data = b''.join(parts)
        self.buffer = data[count:]
        return data[:count]

    def read_head(self):
        lines = self.read_until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        version, status, reason = (lines[0].split(' ', 2) + ['', ''])[:3]
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(':')
            headers.append((name, value.strip(' \t')))
        return Response(version, int(status), reason, headers)

    def read_response(self, method='GET', interim=False):
        """The next final response (or, with `interim`, the next of any kind)."""
        while True:
            response = self.read_head()
            if response.status >= 200 or interim:
                break
        if method == 'HEAD' or response.status < 200 or response.status in (204, 304):
            return response     # whatever Content-Length says, no body follows
        if (response.get('Transfer-Encoding') or '').lower() == 'chunked':
            response.body = self._read_chunked()
        else:
            length = response.get('Content-Length')
            response.body = self.read_exactly(int(length)) if length else b''
        return response

    def _read_chunked(self):
        body = b''
        while True:
            size = int(self.read_until(b'\r\n').split(b';')[0], 16)
            data = self.read_exactly(size + 2)
            if size == 0:
                return body
            body += data[:-2]

    def request(self, method, target, headers=(), body=None):
        self.send(request_bytes(method, target, headers, body))
        return self.read_response(method)

    def read_rest(self):
        """All bytes up to the close of the connection."""
        try:
            while True:
                self._fill()
        except Closed:
            rest, self.buffer = self.buffer, b''
            return rest

    def is_closed(self):
        """Waits for the server to close; False if bytes come instead."""
        try:
            self._fill()
        except Closed as e:
            return e.args[0] == b''
        return False
