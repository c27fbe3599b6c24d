# SPDX-License-Identifier: Apache-2.0
"""A container server that does what a test tells it to, and the updates left on a disk.

    fake = Fake()                       answers 201 to everything, records what it is sent
    fake.answers = [slow(2), 500]       the next requests, in order; then 201 again
    fake.host                           '127.0.0.1:port', for X-Container-Host
    fake.requests                       [Update(op, path, headers)], headers as a list of pairs
    fake.stop()

An answer is a status, or one of: hang, reset, garbage, close, slow(seconds), redirect(...),
raw(bytes).
"""
import collections
import copyreg
import io
import os
import pickle
import select
import socket
import threading

from . import servers, tree

Update = collections.namedtuple('Update', 'op path headers connection')


def _send(connection, data):
    try:
        connection.sendall(data)
        return True
    except OSError:
        return False


def _reply(status, headers=(), body=b''):
    lines = [f'HTTP/1.1 {status} Reason', f'Content-Length: {len(body)}']
    lines += [f'{n}: {v}' for n, v in headers]
    return '\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + body


def status(code):
    return lambda c, stop: _send(c, _reply(code))


def raw(data):
    return lambda c, stop: _send(c, data)


def redirect(**headers):
    return raw(_reply(301, [(k.replace('_', '-'), v) for k, v in headers.items()]))


def slow(seconds):
    def answer(c, stop):
        stop.wait(seconds)
        return _send(c, _reply(201))
    return answer


def hang(c, stop):
    """Until the other side gives up."""
    while not stop.is_set():
        if select.select([c], [], [], 0.05)[0] and not c.recv(4096):
            return False
    return False


def reset(c, stop):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    return False


def close(c, stop):
    return False


def answer_and_close(c, stop):
    """Says nothing of the close: a kept connection that is gone when it is wanted."""
    _send(c, _reply(201))
    return False


garbage = raw(b'\x00\x01 this is no HTTP \xff\r\n\r\n')


class Fake:
    def __init__(self):
        self.requests, self.answers = [], []
        self.connections = 0        # accepted so far
        self.open = 0
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._listener = socket.create_server(('127.0.0.1', servers.free_port()), backlog=200)
        self.host = '127.0.0.1:%d' % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._stop.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        buffer = b''
        with connection:
            while not self._stop.is_set():
                while b'\r\n\r\n' not in buffer:
                    try:
                        data = connection.recv(65536)
                    except OSError:
                        data = b''
                    if not data:
                        break
                    buffer += data
                if b'\r\n\r\n' not in buffer:
                    break
                head, buffer = buffer.split(b'\r\n\r\n', 1)
                lines = head.decode('latin-1').split('\r\n')
                op, path, _version = lines[0].split(' ')
                headers = [tuple(line.split(': ', 1)) for line in lines[1:]]
                with self._lock:
                    self.requests.append(Update(op, path, headers, number))
                    answer = self.answers.pop(0) if self.answers else 201
                if not (status(answer) if isinstance(answer, int) else answer)(connection, self._stop):
                    break
        with self._lock:
            self.open -= 1


# ---- what was left for later ----

class Headers(dict):
    pass


class _Unpickler(pickle.Unpickler):
    """Without Swift's own classes: any global but these is an error."""

    def find_class(self, module, name):
        known = {('copy_reg', '_reconstructor'): copyreg._reconstructor,
                 ('swift.common.header_key_dict', 'HeaderKeyDict'): Headers,
                 ('__builtin__', 'dict'): dict}
        return known[module, name]


def pendings(device, policy=0):
    """{path below async_pending: dict}"""
    root = os.path.join(device, f'async_pending-{policy}' if policy else 'async_pending')
    found = {}
    for path in tree.everything(root) if os.path.isdir(root) else ():
        full = os.path.join(root, path)
        if os.path.isfile(full):
            with open(full, 'rb') as f:
                found[path] = _Unpickler(io.BytesIO(f.read())).load()
    return found


def pending_name(path, timestamp):
    """The file of an update of /account/container/object."""
    h = tree.hash_of(path)
    return f'{h[-3:]}/{h}-{timestamp}'
