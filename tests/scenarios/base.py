# SPDX-License-Identifier: Apache-2.0
"""What the scenarios of Swift mode have in common: short names for long requests.

Each test has a partition and an object of its own, so tests share a server without meeting.
Times are self.t(n): n seconds after the class's base, which lies in the recent past. Headers
are keywords with '_' for '-': X_Object_Meta_A='1'.
"""
import os
import select
import time
import urllib.parse

from harness import suite, tree, wire

_last_partition = 0


def headers_of(keywords):
    return [(k.replace('_', '-'), str(v)) for k, v in keywords.items()]


def wait_until(condition, seconds=15):
    """Polls what cannot be waited for otherwise; whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.02)
    return True


def open_files(server):
    """Files below the device that the server has open, named or not."""
    directory, found = f'/proc/{server.process.pid}/fd', []
    for fd in os.listdir(directory):
        try:
            target = os.readlink(os.path.join(directory, fd))
        except FileNotFoundError:
            continue
        if target.startswith(server.device):
            found.append(target)
    return found


class SwiftCase(suite.Case):
    base = int(time.time()) - 1000

    def setUp(self):
        global _last_partition
        _last_partition += 1
        self.partition = str(_last_partition)
        self.prefix = f'/sda1/{self.partition}'
        self.name = f'/a/c/o{self.partition}'
        self.path = self.prefix + self.name

    def t(self, n, offset=0):
        return tree.timestamp(self.base + n, offset)

    # ---- requests: each on a connection of its own ----

    def ask(self, method, path=None, body=None, **headers):
        return self.server.request(method, path or self.path, headers_of(headers), body)

    def expect(self, status, method, path=None, body=None, text=None, **headers):
        response = self.ask(method, path, body, **headers)
        self.check(response, status, text)
        return response

    def check(self, response, status, text=None):
        self.assertEqual(response.status, status, response)
        if text is not None:
            self.assertEqual(response.body.decode('latin-1'), text)

    def get(self, status=200, path=None, **headers):
        return self.expect(status, 'GET', path, **headers)

    def head(self, status=200, path=None, **headers):
        return self.expect(status, 'HEAD', path, **headers)

    def put(self, n=10, body=b'0123456789', status=201, path=None, text=None, **headers):
        headers.setdefault('X_Timestamp', self.t(n))
        headers.setdefault('Content_Type', 'text/plain')
        return self.expect(status, 'PUT', path, body, text, **headers)

    def post(self, n=20, status=202, path=None, **headers):
        headers.setdefault('X_Timestamp', self.t(n))
        return self.expect(status, 'POST', path, **headers)

    def delete(self, n=30, status=204, path=None, **headers):
        headers.setdefault('X_Timestamp', self.t(n))
        return self.expect(status, 'DELETE', path, **headers)

    def raw(self, data, method='GET'):
        with self.server.connect() as c:
            c.send(data)
            return c.read_response(method)

    def put_head(self, n=10, path=None, **headers):
        """Bytes of a PUT's head, for tests that send the body by hand."""
        told = {'X_Timestamp': self.t(n), 'Content_Type': 'text/plain'}
        told.update(headers)
        return wire.head_bytes('PUT', path or self.path, headers_of(told))

    # ---- the disk ----

    def hash_dir(self, path=None, policy=0, server=None):
        device, partition, name = (path or self.path)[1:].split('/', 2)
        root = (server or self.server).devices
        return tree.hash_dir(os.path.join(root, device), policy, partition,
                             b'/' + urllib.parse.unquote_to_bytes(name))

    def files(self, path=None, policy=0):
        """Names in the object's hash directory; [] if there is none."""
        directory = self.hash_dir(path, policy)
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

    def data_file(self, path=None):
        name = [f for f in self.files(path) if f.endswith('.data')]
        self.assertEqual(len(name), 1, name)
        return os.path.join(self.hash_dir(path), name[0])

    def stored(self, path=None):
        """Metadata of the .data file, as text."""
        return {k.decode('latin-1'): v.decode('latin-1') if isinstance(v, bytes) else v
                for k, v in tree.metadata(self.data_file(path)).items()}

    def quarantined(self, path=None):
        digest = os.path.basename(self.hash_dir(path))
        directory = os.path.join(self.server.device, 'quarantined', 'objects')
        return os.path.isdir(directory) and any(n.startswith(digest) for n in os.listdir(directory))

    def assert_nothing_stored(self, path=None):
        self.assertEqual(self.files(path), [])

    def assert_no_trace(self):
        """Not even a directory of this test's partition; Swift leaves some, by its design."""
        if not self.is_oracle:
            self.assertFalse(os.path.exists(os.path.join(self.server.device, 'objects',
                                                         self.partition)))
