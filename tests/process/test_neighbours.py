# SPDX-License-Identifier: Apache-2.0
"""Who starts, stops and watches the server: swift-init, swift-reload, systemd, pid files.

Debian's 2.30.1 ships the code of swift-init (swift.common.manager) without the command, and no
swift-reload yet: what that one demands of a process is checked here step by step.
"""
import os
import re
import signal
import socket
import subprocess
import unittest.mock

from base import LONG_S, ProcessCase, children, descriptors, refuses, servers, wait_until, wire

ETC = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'etc')


class SwiftInit(ProcessCase):
    """The binary as swift-object-server, first in PATH; /etc/swift and the pid files of Swift."""

    def setUp(self):
        if not servers.have_oracle():
            self.skipTest('no Debian Swift here, or no /etc/swift')
        if servers.is_sanitized():
            self.skipTest('swift-init limits the address space below what a sanitizer needs')
        self.server = None
        self.sample = self.make()
        self.pids = '/var/run/swift'
        subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', '/run'], check=True)   # of our name space
        self.addCleanup(subprocess.run, ['umount', '/run'], check=True)
        self.bin = os.path.join(self.sample.root, 'bin')
        os.makedirs(self.pids)
        os.makedirs(self.bin)
        os.symlink(servers.binary(), os.path.join(self.bin, 'swift-object-server'))
        self.conf = '/etc/swift/object-server.conf'
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.syslog.close)
        self.syslog.bind(os.path.join(self.sample.root, 'log'))
        with open(self.sample.conf, encoding='ascii') as f, open(self.conf, 'w', encoding='ascii') as to:
            to.write(f.read().replace('log_address = ', f'log_address = {self.sample.root}/log'))
        self.addCleanup(os.unlink, self.conf)
        self.addCleanup(self.init, 'stop')

    def init(self, command, **options):
        """(exit status, output) of swift-init object-server COMMAND."""
        program = ('import sys; from swift.common.manager import Manager; '
                   f'sys.exit(Manager(["object-server"]).run_command('
                   f'{command!r}, **{options!r}))')
        env = dict(os.environ, PATH=f'{self.bin}:{os.environ["PATH"]}')
        r = subprocess.run(['/usr/bin/python3', '-c', program], env=env, timeout=4 * LONG_S, text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd='/')
        return r.returncode, r.stdout

    def pid_now(self):
        with open(os.path.join(self.pids, 'object-server.pid'), encoding='ascii') as f:
            return int(f.read())

    def start_by_init(self):
        code, output = self.init('start')
        self.assertEqual(code, 0, output)
        self.assertEqual(self.sample.request('GET', '/healthcheck').status, 200)    # ready when it returned
        return self.pid_now()

    def test_start_status_stop(self):
        pid = self.start_by_init()
        code, output = self.init('status')
        self.assertEqual((code, f'running ({pid} - {self.conf})' in output), (0, True), output)
        code, output = self.init('start')
        self.assertIn('already started', output)
        code, output = self.init('stop')
        self.assertEqual((code, 'appears to have stopped' in output), (0, True), output)
        self.assertEqual(self.init('status')[0], 1)
        self.assertTrue(refuses(self.sample.port))

    def test_start_without_syslog(self):
        """swift-init reads what a server says until it closes that: it must, though its log is lost."""
        self.syslog.close()
        os.unlink(os.path.join(self.sample.root, 'log'))
        self.start_by_init()

    def test_reload_and_shutdown(self):
        """swift-init reload is a graceful stop and a start: another process."""
        pid = self.start_by_init()
        code, output = self.init('reload')
        self.assertEqual(code, 0, output)
        self.assertNotEqual(self.pid_now(), pid)
        self.assertEqual(self.sample.request('GET', '/healthcheck').status, 200)
        code, output = self.init('shutdown')
        self.assertEqual(code, 0, output)

    def test_reload_seamless(self):
        """The pid file stays right."""
        pid = self.start_by_init()
        code, output = self.init('reload-seamless')
        self.assertEqual(code, 0, output)
        self.assertTrue(wait_until(lambda: len(children(pid)) == 1))
        self.assertEqual(self.init('status')[0], 0)
        self.assertEqual(self.pid_now(), pid)
        self.assertEqual(self.sample.request('GET', '/healthcheck').status, 200)
        self.assertEqual(self.init('stop')[0], 0)

    def test_what_swift_reload_demands(self):
        """One argument with /bin/ in it, called swift-object-server; the leader of its session; a command
        that takes --test-config; READY=1 on the notification socket after SIGUSR1."""
        pid = self.start_by_init()
        with open(f'/proc/{pid}/cmdline', encoding='ascii') as f:
            command = f.read().rstrip('\0').split('\0')
        scripts = [os.path.basename(word) for word in command if '/bin/' in word and '/bin/python' not in word]
        self.assertEqual(scripts, ['swift-object-server'])
        self.assertEqual(os.getsid(pid), pid)
        check = subprocess.run(command + ['--test-config'], check=False, capture_output=True, timeout=LONG_S)
        self.assertEqual(check.returncode, 0, check.stderr)
        process, self.sample.process = self.sample.process, unittest.mock.Mock(pid=pid)
        self.sample.process.send_signal = lambda number: os.kill(pid, number)
        self.reload(self.sample)
        self.sample.process = process
        self.assertTrue(wait_until(lambda: len(children(pid)) == 1))
        self.assertEqual(os.getsid(children(pid)[0]), pid)


class Systemd(ProcessCase):
    def notified(self, server):
        """Started with a NOTIFY_SOCKET of ours, which is returned."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.bind('\0objsrv-test-' + str(server.port))
        s.settimeout(LONG_S)
        environment = server.environment()
        server.environment = lambda: dict(environment, NOTIFY_SOCKET='@objsrv-test-' + str(server.port))
        server.launch()
        return s

    def test_notify(self):
        server = self.make()
        s = self.notified(server)
        self.assertEqual(s.recv(1024), b'READY=1')
        server.process.send_signal(signal.SIGUSR1)
        self.assertRegex(s.recv(1024), rb'\ARELOADING=1\nMONOTONIC_USEC=\d+\Z')
        self.assertEqual(s.recv(1024), b'READY=1')
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(s.recv(1024), b'STOPPING=1')
        self.assertEqual(server.process.wait(LONG_S), 0)
        s.setblocking(False)
        self.assertRaises(BlockingIOError, s.recv, 1)       # nothing from the successor
        server.process = None

    def activated(self, server, listeners, names='objsrv.socket'):
        """The server started as systemd does: sockets from number 3 on."""
        script = 'LISTEN_PID=$$ exec "$@"'
        fds = [s.fileno() for s in listeners]

        def place():
            copies = [os.dup(fd) for fd in fds]
            for i, fd in enumerate(copies):
                os.dup2(fd, 3 + i, inheritable=True)
        command = server.command()
        with open(server.log_file, 'ab') as log:
            server.process = subprocess.Popen(
                ['sh', '-c', script, 'sh'] + command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=dict(server.environment(), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names),
                close_fds=False, preexec_fn=place)
        return server

    def listener(self):
        s = socket.socket()
        self.addCleanup(s.close)
        s.bind(('127.0.0.1', 0))
        s.listen(100)
        return s

    def test_socket_activation(self):
        """Its sockets are the listeners; a client that came before the server is served."""
        one, two = self.listener(), self.listener()
        server = self.make()
        configured = server.port
        early = wire.Wire(one.getsockname()[1])
        early.send(wire.head_bytes('GET', '/healthcheck'))
        self.activated(server, [one, two], 'a:b')
        self.assertEqual(early.read_response().status, 200)
        early.close()
        for s in (one, two):
            server.port = s.getsockname()[1]
            self.assertEqual(self.put(server).status, 201)
        self.assertTrue(refuses(configured))
        self.reload(server)
        self.assertTrue(wait_until(lambda: self.drained(server)))
        for s in (one, two):
            server.port = s.getsockname()[1]
            self.assertEqual(self.put(server).status, 201)
        self.assertTrue(refuses(configured))

    def test_what_is_no_listener_is_refused(self):
        server = self.make()
        with socket.socket() as s:
            self.activated(server, [s])
            self.assertEqual(server.process.wait(LONG_S), 1)
        self.assertIn('descriptor 3 is no listening socket', server.log())
        server.process = None

    def test_sockets_for_somebody_else_are_left_alone(self):
        server = self.make()
        environment = dict(server.environment(), LISTEN_FDS='1', LISTEN_PID='1')
        server.environment = lambda: environment
        server.start()
        self.assertEqual(self.put(server).status, 201)

    def test_units_are_tight(self):
        if not os.path.exists('/usr/bin/systemd-analyze'):
            self.skipTest('no systemd-analyze here')
        for unit in ('objsrv.service', 'objsrv-swift.service', 'objsrv-audit.service',
                     'objsrv-audit-once.service'):
            r = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--threshold=15',
                                os.path.join(ETC, unit)], check=False, capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stdout[-600:] + r.stderr)
            self.assertRegex(r.stdout, r'exposure level for \S+: 1\.\d OK')

    def test_units_need_no_directory_that_may_be_missing(self):
        """Without the '-' systemd does not start the service: a stand-alone store has no /srv/node."""
        for unit in ('objsrv-swift.service', 'objsrv-audit.service', 'objsrv-audit-once.service'):
            with open(os.path.join(ETC, unit), encoding='ascii') as f:
                paths = re.findall(r'^ReadWritePaths=(.*)$', f.read(), re.M)
            self.assertTrue(paths, unit)
            self.assertEqual([p for p in ' '.join(paths).split() if p[0] != '-'], [], unit)

    def test_units_are_understood(self):
        """No line that systemd would ignore."""
        if not os.path.exists('/usr/bin/systemd-analyze'):
            self.skipTest('no systemd-analyze here')
        for unit in ('objsrv.service', 'objsrv-swift.service', 'objsrv.socket',
                     'objsrv-audit.service', 'objsrv-audit-once.service', 'objsrv-audit.timer'):
            r = subprocess.run(['systemd-analyze', 'verify', '--man=no', '--generators=no', os.path.join(ETC, unit)],
                               check=False, capture_output=True, text=True)
            wrong = [line for line in (r.stdout + r.stderr).splitlines()
                     if re.search(r'objsrv[^:]*:\d+:|Unknown|Failed to parse', line)]
            self.assertEqual(wrong, [])


class PidFile(ProcessCase):
    def test_pid_file(self):
        path = os.path.join(self.root, 'objsrv.pid')
        server = self.start(conf={'DEFAULT': {'pid_file': path}})
        for _ in range(2):
            with open(path, encoding='ascii') as f:
                self.assertEqual(f.read(), f'{self.pid(server)}\n')
            self.reload(server)
        self.assertEqual(server.stop(), 0)
        self.assertFalse(os.path.exists(path))

    def test_pid_file_that_cannot_be(self):
        code, log = self.make(conf={'DEFAULT': {'pid_file': '/nowhere/pid'}}).run_to_end()
        self.assertEqual(code, 1)
        self.assertIn('pid_file = /nowhere/pid: No such file', log)


class Alone(ProcessCase):
    def test_no_descriptor_of_the_starter_matters(self):
        """A descriptor that leaked to us is not given on."""
        read, write = os.pipe()
        os.set_inheritable(write, True)
        server = self.make()
        launch = servers.subprocess.Popen
        self.addCleanup(os.close, read)
        with open(server.log_file, 'ab') as log:
            server.process = launch(server.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                    env=server.environment(), pass_fds=[write])
        os.close(write)
        server.wait_ready()
        leaked = os.readlink(f'/proc/self/fd/{read}')
        self.reload(server)
        self.assertTrue(wait_until(lambda: self.drained(server)))
        self.assertNotIn(leaked, descriptors(self.serving(server)).values())


