# SPDX-License-Identifier: Apache-2.0
"""The programs that tools/bench sets side by side, each with a fresh directory.

    c = make('uring', programs, root)     configured, not running
    c.start()                             answers on c.port
    c.path('g')                           path template for tests/bench/load, objects "g0", "g1" ...
    c.cpu_us(), c.memory()                of its whole process tree
    c.stop()

Same conditions for all that can have them: two workers, root, the same file system, no reserve
of free space, an access log at its usual level into the same datagram socket (logsink.c).
"""
import os
import re
import signal
import socket
import subprocess
import time

ALL = ('uring', 'threads', 'alone', 'swift', 'nginx', 'bare')
WORKERS = 2
FIRST_PORT = 21500
START_TIMEOUT_S = 60

SWIFT_CONF = '''[swift-hash]
swift_hash_path_prefix = changeme
swift_hash_path_suffix = changeme
[storage-policy:0]
name = gold
default = yes
'''

OBJECT_SERVER_CONF = '''[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = {workers}
user = root
mount_check = false
fallocate_reserve = 0
log_address = {sink}
{extra}
[pipeline:main]
pipeline = healthcheck object-server
[app:object-server]
use = egg:swift#object
[filter:healthcheck]
use = egg:swift#healthcheck
'''

NGINX_CONF = '''user root;
worker_processes {workers};
pid {root}/nginx.pid;
error_log stderr;
daemon off;
worker_rlimit_nofile 20000;
events {{ worker_connections 4096; }}
http {{
    access_log syslog:server=unix:{sink};
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_max_body_size 0;
    client_body_temp_path {root}/tmp;
    proxy_temp_path {root}/tmp;
    fastcgi_temp_path {root}/tmp;
    uwsgi_temp_path {root}/tmp;
    scgi_temp_path {root}/tmp;
    server {{
        listen 127.0.0.1:{port};
        root {root}/data;
        location / {{
            dav_methods PUT;
            create_full_put_path on;
        }}
    }}
}}
'''


class Contestant:
    swift_headers = True

    def __init__(self, name, programs, root, extra=''):
        self.name, self.programs, self.root, self.extra = name, programs, root, extra
        self.port = FIRST_PORT + ALL.index(name)
        self.process = None
        os.makedirs(os.path.join(root, 'devices', 'sda1'))

    def path(self, tag):
        return '/sda1/{p}/a/c/' + tag + '{i}'

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        return path

    def object_server_conf(self, extra):
        return self.write('object-server.conf', OBJECT_SERVER_CONF.format(
            port=self.port, workers=WORKERS, sink=self.programs['sink'],
            extra=extra + '\n' + self.extra))

    def command(self):
        raise NotImplementedError

    def start(self):
        command = self.command()
        with open(os.path.join(self.root, 'log'), 'wb') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return
            except OSError:
                pass
            try:
                code = self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f'{self.name} ended with {code}:\n{self.log()}')
        raise RuntimeError(f'{self.name} answers on no port:\n{self.log()}')

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            print(f'{self.name} does not end by SIGTERM: killed', flush=True)
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def log(self):
        with open(os.path.join(self.root, 'log'), encoding='latin-1') as f:
            return f.read()[-3000:]

    # ---- what the kernel says of the process tree ----

    def pids(self):
        parents = {}
        for entry in os.listdir('/proc'):
            if entry.isdigit():
                try:
                    parents[int(entry)] = int(_stat_fields(int(entry))[1])
                except OSError:
                    continue            # ended meanwhile
        tree = [self.process.pid]
        for pid in tree:
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree

    def cpu_us(self):
        ticks = sum(int(f[11]) + int(f[12]) for f in map(_stat_fields, self.pids()))
        return ticks * 1e6 / os.sysconf('SC_CLK_TCK')

    def memory(self):
        """(resident now, highest since reset_peak), KiB. Pages that processes share count in
        each: what `ps` would show."""
        texts = [_read(f'/proc/{pid}/status') for pid in self.pids()]
        return tuple(sum(int(re.search(key + r':\s+(\d+) kB', t)[1]) for t in texts)
                     for key in ('VmRSS', 'VmHWM'))

    def reset_peak(self):
        for pid in self.pids():
            with open(f'/proc/{pid}/clear_refs', 'w', encoding='ascii') as f:
                f.write('5')


def _read(path):
    with open(path, encoding='latin-1') as f:
        return f.read()


def _stat_fields(pid):
    """/proc/PID/stat from the state on."""
    return _read(f'/proc/{pid}/stat').rpartition(')')[2].split()


class Swift(Contestant):
    """Needs its swift.conf at /etc/swift: harness.isolate covers that directory."""

    def command(self):
        conf = self.object_server_conf(f'devices = {self.root}/devices')
        return ['/usr/bin/python3', '/usr/bin/swift-object-server', conf]


class ObjSrv(Contestant):
    def command(self):
        conf = self.object_server_conf(
            f'devices = {self.root}/devices\nio_engine = {self.name}')
        return [self.programs['objsrv'], conf, '--swift-conf',
                self.write('swift.conf', SWIFT_CONF)]


class Alone(Contestant):
    """objsrv in stand-alone mode, engine as it chooses."""
    swift_headers = False

    def path(self, tag):
        return '/c{p}/' + tag + '{i}'

    def command(self):
        data = os.path.join(self.root, 'data')
        os.makedirs(data, exist_ok=True)
        return [self.programs['objsrv'], self.object_server_conf(
            f'mode = standalone\ndata_dirs = {data}')]


class Nginx(Contestant):
    """WebDAV PUT: a temporary file and a rename, nothing is synced. Not durable."""
    swift_headers = False

    def path(self, tag):
        return '/{p}/' + tag + '{i}'

    def command(self):
        for name in ('tmp', 'data'):
            os.makedirs(os.path.join(self.root, name), exist_ok=True)
        conf = self.write('nginx.conf', NGINX_CONF.format(
            root=self.root, workers=WORKERS, port=self.port, sink=self.programs['sink']))
        return ['nginx', '-e', 'stderr', '-c', conf]


class Bare(Contestant):
    """Answers from memory: the floor of small GETs. Stores nothing."""
    swift_headers = False

    def command(self):
        return [self.programs['bare'], str(self.port), str(WORKERS)]


def make(name, programs, root, extra=''):
    kinds = {'swift': Swift, 'nginx': Nginx, 'alone': Alone, 'bare': Bare}
    return kinds.get(name, ObjSrv)(name, programs, root, extra)
