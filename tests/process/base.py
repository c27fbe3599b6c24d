# SPDX-License-Identifier: Apache-2.0
"""What these tests share: processes looked at from outside, and listening where others are told."""
import os
import select
import signal
import socket
import time

from harness import servers, suite, wire

LONG_S = 30     # never waited for, unless something is broken


def wait_until(condition, seconds=LONG_S):
    """Polls what cannot be waited for otherwise; whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.02)
    return True


def status_of(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def lives(pid):
    """Not even as a zombie: orphans here are reaped late."""
    try:
        return status_of(pid)['State'][0] not in 'ZX'
    except FileNotFoundError:
        return False


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
        return [int(word) for word in f.read().split()]


def descriptors(pid):
    """{number: what}, standard ones left out."""
    found = {}
    for name in os.listdir(f'/proc/{pid}/fd'):
        try:
            found[int(name)] = os.readlink(f'/proc/{pid}/fd/{name}')
        except FileNotFoundError:
            pass
    return {n: what for n, what in found.items() if n > 2}


def closed_by_exec(pid, fd):
    with open(f'/proc/{pid}/fdinfo/{fd}', encoding='ascii') as f:
        flags = next(line.split()[1] for line in f if line.startswith('flags:'))
    return int(flags, 8) & os.O_CLOEXEC != 0


def refuses(port):
    try:
        wire.Wire(port, timeout=LONG_S).close()
        return False
    except ConnectionRefusedError:
        return True


class Notifications:
    """The socket on which swift-reload listens: abstract, named after the process it reloads."""

    def __init__(self, pid):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f'\0swift-notifications\0{pid}')
        self.socket.settimeout(LONG_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        return self.socket.recv(1024)


class ProcessCase(suite.Case):
    own_server = False
    oracle_too = False

    def pid(self, server):
        return server.process.pid

    def serving(self, server):
        """The process that serves: the youngest, or the first itself."""
        return max(children(self.pid(server)), default=self.pid(server))

    def reload(self, server):
        with Notifications(self.pid(server)) as told:
            server.process.send_signal(signal.SIGUSR1)
            self.assertEqual(told.receive(), b'RELOADING=1')
            self.assertEqual(told.receive(), b'READY=1')

    def rewrite(self, server, old, new):
        with open(server.conf, encoding='ascii') as f:
            text = f.read()
        self.assertIn(old, text)
        with open(server.conf, 'w', encoding='ascii') as f:
            f.write(text.replace(old, new))

    def drained(self, server):
        """Nobody but who serves and the first is left, and that one has no loop of its own."""
        return len(children(self.pid(server))) == 1 and status_of(self.pid(server))['Threads'] == '1'

    def put_url(self, server, name='o'):
        return f'/c/{name}' if server.alone else f'/sda1/7/a/c/{name}'

    def put(self, server, name='o', body=b'0123456789', connection=None):
        headers = {'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b'}
        ask = (connection or server).request
        return ask('PUT', self.put_url(server, name), headers, body)


__all__ = ['LONG_S', 'Notifications', 'ProcessCase', 'children', 'closed_by_exec', 'descriptors',
           'lives', 'refuses', 'servers', 'status_of', 'wait_until', 'wire']
