# SPDX-License-Identifier: Apache-2.0
"""Real servers under test: Debian's swift-object-server (the oracle) and objsrv.

    server = start('threads', root)             Swift mode, io_engine = threads
    server = start('swift', root)               the oracle, same configuration
    server = start('uring', root, alone=True)   stand-alone mode
    server.request('GET', '/sda1/0/a/c/o') -> wire.Response
    server.stop()

`root` is a scratch directory; devices lie in root/devices, data directories in root/data*.
start() returns when the port answers; what the server wrote is in server.log().
"""
import os
import signal
import socket
import subprocess
import time

from . import tree, wire

PORTS = range(21300, 21500)
START_TIMEOUT_S = 60
SWIFT_SERVER = '/usr/bin/swift-object-server'
ENGINES = ('threads', 'uring')

SWIFT_CONF = f'''# SPDX-License-Identifier: Apache-2.0
[swift-hash]
swift_hash_path_prefix = {tree.PREFIX}
swift_hash_path_suffix = {tree.SUFFIX}
[storage-policy:0]
name = gold
default = yes
[storage-policy:1]
name = silver
[storage-policy:2]
name = coded
policy_type = erasure_coding
ec_type = liberasurecode_rs_vand
ec_num_data_fragments = 2
ec_num_parity_fragments = 1
'''

_next_port = 0


def free_port():
    global _next_port
    for _ in PORTS:
        port = PORTS[_next_port % len(PORTS)]
        _next_port += 1
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue
    raise RuntimeError('no free port')


def conf_text(sections):
    return ''.join(f'[{name}]\n' + ''.join(f'{k} = {v}\n' for k, v in options.items())
                   for name, options in sections.items())


class NotReady(Exception):
    pass


class Server:
    """A server process. Subclasses know the command and the configuration."""
    kind = ''
    is_oracle = False

    def __init__(self, root, conf=None, devices=('sda1',), alone=False, data_dirs=None,
                 swift_conf=SWIFT_CONF, wrapper=(), quiet=False):
        self.root, self.alone, self.wrapper = root, alone, list(wrapper)
        self.quiet = quiet      # nothing to stderr: the log goes where log_address says
        self.devices = os.path.join(root, 'devices')
        self.port = free_port()
        self.process = None
        os.makedirs(root, exist_ok=True)
        for name in devices:
            os.makedirs(os.path.join(self.devices, name), exist_ok=True)
        self.data_dirs = data_dirs or [os.path.join(root, 'data')]
        if alone and data_dirs is None:
            os.makedirs(self.data_dirs[0], exist_ok=True)
        self.swift_conf = os.path.join(root, 'swift.conf')
        with open(self.swift_conf, 'w', encoding='latin-1') as f:
            f.write(swift_conf)
        self.conf = os.path.join(root, f'server-{self.port}.conf')
        self._write_conf(conf or {})
        self.log_file = os.path.join(root, f'server-{self.port}.log')

    def _write_conf(self, extra):
        default = {'bind_ip': '127.0.0.1', 'bind_port': self.port, 'user': 'root',
                   'log_level': 'DEBUG'}
        default.update(self.default_options())
        sections = {'DEFAULT': default,
                    'pipeline:main': {'pipeline': 'healthcheck recon object-server'},
                    'app:object-server': {'use': 'egg:swift#object'},
                    'filter:healthcheck': {'use': 'egg:swift#healthcheck'},
                    'filter:recon': {'use': 'egg:swift#recon',
                                     'recon_cache_path': os.path.join(self.root, 'recon')}}
        for name, options in extra.items():
            sections.setdefault(name, {}).update(options)
        with open(self.conf, 'w', encoding='latin-1') as f:
            f.write(conf_text(sections))

    def default_options(self):
        return {'devices': self.devices, 'mount_check': 'false', 'fallocate_reserve': 0}

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    @property
    def device(self):
        """The first device's directory."""
        return self.data_dirs[0] if self.alone else os.path.join(self.devices, 'sda1')

    def start(self):
        self.launch()
        self.wait_ready()
        return self

    def launch(self):
        with open(self.log_file, 'ab') as log:
            self.process = subprocess.Popen(self.wrapper + self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=self.environment())

    def wait_ready(self):
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if self._answers():
                return
            try:
                code = self.process.wait(0.02)      # the pause between two tries
            except subprocess.TimeoutExpired:
                continue
            raise NotReady(f'{self.kind} ended with {code} at start:\n{self.log()}')
        self.kill()
        raise NotReady(f'{self.kind} answers on no port after {START_TIMEOUT_S} s:\n{self.log()}')

    def _answers(self):
        """The port may listen before anybody accepts: only an answer counts."""
        try:
            with self.connect(timeout=START_TIMEOUT_S) as c:
                return c.request('GET', '/healthcheck').status in (200, 503)
        except (OSError, wire.Closed):
            return False

    def run_to_end(self, timeout=START_TIMEOUT_S):
        """For a start that must fail: (exit status, all it printed)."""
        self.launch()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None, self.log()
        return code, self.log()

    def stop(self, timeout=30):
        """SIGTERM and wait; the exit status. One that does not end is killed: None."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            code = None
        self.process = None
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        try:
            with open(self.log_file, encoding='latin-1') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def connect(self, **kw):
        return wire.Wire(self.port, **kw)

    def request(self, method, target, headers=(), body=None):
        with self.connect() as c:
            return c.request(method, target, headers, body)


class Oracle(Server):
    """Debian's server. Reads only /etc/swift/swift.conf: suite.main() covers that."""
    kind = 'swift'
    is_oracle = True

    def default_options(self):
        return dict(super().default_options(), workers=0)

    def command(self):
        return ['/usr/bin/python3', SWIFT_SERVER, self.conf] + ([] if self.quiet else ['verbose'])

    def stop(self, timeout=30):
        code = super().stop(timeout)
        return 0 if code in (0, -signal.SIGTERM) else code      # it ends by the signal itself


class ObjSrv(Server):
    def __init__(self, root, engine, **kw):
        self.kind = self.engine = engine
        super().__init__(root, **kw)

    def default_options(self):
        if self.alone:
            options = {'mode': 'standalone', 'data_dirs': ', '.join(self.data_dirs),
                       'fallocate_reserve': 0}
        else:
            options = super().default_options()
        return dict(options, workers=2, io_engine=self.engine, log_address='')

    def command(self):
        command = [binary(), *([] if self.quiet else ['-v']), self.conf]
        return command if self.alone else command + ['--swift-conf', self.swift_conf]

    def environment(self):
        env = dict(os.environ)
        env.setdefault('ASAN_OPTIONS', 'verify_asan_link_order=0')
        return env


def binary():
    path = os.environ.get('OBJSRV', '')
    if not os.access(path, os.X_OK):
        raise RuntimeError(f'no objsrv to test: OBJSRV={path!r}')
    return path


def make(kind, root, **kw):
    """Configured, not started. kind: 'swift', 'threads' or 'uring'."""
    return Oracle(root, **kw) if kind == 'swift' else ObjSrv(root, kind, **kw)


def start(kind, root, **kw):
    return make(kind, root, **kw).start()


def is_sanitized():
    """Whether the binary was built with a sanitizer: its memory is then another matter."""
    with open(binary(), 'rb') as f:
        program = f.read()
    return b'__asan_init' in program or b'__tsan_init' in program


def have_oracle():
    return os.path.exists(SWIFT_SERVER) and os.path.isdir('/etc/swift')


__all__ = ['ENGINES', 'SWIFT_CONF', 'NotReady', 'binary', 'conf_text', 'free_port', 'have_oracle',
           'is_sanitized', 'make', 'start']
