# SPDX-License-Identifier: Apache-2.0
"""Two servers side by side, objsrv and Debian's: each with devices of its own, or both over the same."""
import os
import socket

from harness import servers, suite


def datagrams(kind=socket.AF_INET):
    """A socket that somebody may send datagrams to, and its port."""
    s = socket.socket(kind, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', 0))
    s.settimeout(20)
    return s, s.getsockname()[1]


def drain(s):
    """All that has come."""
    found = []
    s.setblocking(False)
    try:
        while True:
            found.append(s.recv(65536).decode('utf-8'))
    except BlockingIOError:
        return found


class BothCase(suite.Case):
    own_server = False
    oracle_too = False

    def pair(self, conf=None, ours=None, theirs=None, shared=False, **kw):
        """(objsrv, Swift) with the same configuration but for `ours` and `theirs`."""
        if not servers.have_oracle():
            self.skipTest('no python3-swift here')
        root = os.path.join(self.root, self._testMethodName)
        if os.path.exists(root):
            root += f'.{len(os.listdir(self.root))}'
        found = []
        for kind, extra in ((self.kind, ours), ('swift', theirs)):
            merged = {}
            for part in (conf or {}, extra or {}):
                for section, options in part.items():
                    merged.setdefault(section, {}).update(options)
            server = servers.make(kind, root if shared else os.path.join(root, kind), conf=merged, **kw)
            if kind != 'swift':
                server.swift_conf = '/etc/swift/swift.conf'
            self.addCleanup(server.stop)
            found.append(server.start())
        return found
