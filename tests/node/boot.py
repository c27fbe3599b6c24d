# SPDX-License-Identifier: Apache-2.0
"""The real program: how it starts, what it says when it cannot, and how it stops.

usage: boot.py OBJSRV ETC_DIRECTORY
"""
import os
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

OBJSRV, ETC = (os.path.realpath(path) for path in sys.argv[1:3])
SWIFT = ('[pipeline:main]\npipeline = object-server\n[app:object-server]\nuse = egg:swift#object\n')
LONG_S = 30     # never waited for, unless something is broken


class Boot(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(dir='/tmp')
        self.root = self.tmp.name
        os.chmod(self.root, 0o755)
        self.processes = []
        self.write('swift.conf', '[swift-hash]\nswift_hash_path_suffix = x\n')
        os.mkdir(self.root + '/data', 0o777)
        self.syslog, self.notify = self.datagrams('log'), self.datagrams('notify')

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.syslog.close()
        self.notify.close()
        self.tmp.cleanup()

    def datagrams(self, name):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(self.root + '/' + name)
        os.chmod(self.root + '/' + name, 0o777)
        s.settimeout(LONG_S)
        return s

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, 'w') as f:
            f.write(text)
        return path

    def conf(self, **options):
        options = dict(dict(mode='standalone', data_dirs='data', bind_port=0, workers=3), **options)
        return self.write('server.conf', '[DEFAULT]\n' +
                          ''.join('%s = %s\n' % item for item in options.items()))

    def command(self, *args):
        return [OBJSRV, '--swift-conf', self.root + '/swift.conf', *args]

    def refused(self, *args):
        run = subprocess.run(self.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=LONG_S)
        self.assertEqual((run.returncode, run.stdout), (1, ''), run.stderr)
        self.assertRegex(run.stderr, r'\Aobjsrv: [^\n]+\n\Z')
        return run.stderr

    def start(self, *args, **options):
        """Started and ready, its log on our socket: the process and its start-up line."""
        path = self.conf(**dict(options, log_address=self.root + '/log'))
        env = dict(os.environ, NOTIFY_SOCKET=self.root + '/notify')
        self.processes.append(subprocess.Popen(
            self.command(path, *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=env))
        self.assertEqual(self.notify.recv(100), b'READY=1')
        return self.processes[-1], self.log_line()

    def log_line(self):
        """The next one; each of these stores is new, which is said before all else."""
        while True:
            line = self.syslog.recv(65536).decode()
            if ' new store, without any key, ' not in line:
                return line

    def port_of(self, line):
        return int(re.search(r' on 127\.0\.0\.1:(\d+),', line).group(1))

    # ---- it cannot start ----

    def test_wrong_file(self):
        self.assertIn('/nowhere.conf: No such file', self.refused('/nowhere.conf'))
        self.assertIn('server.conf:4: [DEFAULT] bind_port = x: expected a whole number',
                      self.refused(self.conf(bind_port='x')))
        self.assertIn('server.conf: [DEFAULT] bind_port: not set',
                      self.refused(self.write('server.conf', '[DEFAULT]\n' + SWIFT)))

    def test_wrong_address(self):
        self.assertIn('[DEFAULT] bind_ip = 1.2.3.4.5: ', self.refused(self.conf(bind_ip='1.2.3.4.5')))
        self.assertRegex(self.refused(self.conf(bind_ip='192.0.2.1')),
                         r'bind_ip, bind_port: cannot listen on 192\.0\.2\.1:0: Cannot assign')

    def test_address_in_use(self):
        """Also if the other one, of the same user, would share it."""
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(('127.0.0.1', 0))
            other.listen()
            told = self.refused(self.conf(bind_port=other.getsockname()[1], bind_timeout=0))
            self.assertIn('127.0.0.1:%d: Address already in use' % other.getsockname()[1], told)

    def test_wrong_user(self):
        if os.geteuid() != 0:
            self.skipTest('only root can become somebody else')
        self.assertIn('user = nobody-at-all: expected a user of this machine',
                      self.refused(self.conf(user='nobody-at-all')))

    def test_no_md5(self):
        """A libcrypto for FIPS has none; this one is only given its base provider."""
        path = self.write('openssl.cnf', 'openssl_conf = all\n[all]\nproviders = p\n[p]\nbase = b\n[b]\nactivate = 1\n')
        os.environ['OPENSSL_CONF'] = path
        try:
            self.assertIn('libcrypto gives no MD5 here', self.refused(self.conf()))
        finally:
            del os.environ['OPENSSL_CONF']

    def test_directory_with_a_broken_file(self):
        """File, line and what is wrong; the good files beside it do not help."""
        os.mkdir(self.root + '/conf.d')
        self.write('conf.d/10.conf', '[DEFAULT]\nbind_port = 6200\n' + SWIFT)
        self.assertEqual(self.say('--test-config', '--swift-conf', self.root + '/swift.conf', self.root + '/conf.d'),
                         self.root + '/conf.d: ok\n')
        for text, told in (('[DEFAULT\nx = 1\n', '20.conf:1: '), ('[DEFAULT]\n\nnonsense\n', '20.conf:3: expected'),
                           ('[DEFAULT]\nworkers = many\n', '20.conf:2: [DEFAULT] workers = many: expected'),
                           ('[DEFAULT]\nx = \0\n', '20.conf:0: a NUL byte')):
            self.write('conf.d/20.conf', text)
            self.assertIn('/conf.d/' + told, self.refused(self.root + '/conf.d'))
        os.remove(self.root + '/conf.d/20.conf')
        os.symlink('/nowhere', self.root + '/conf.d/30.conf')
        self.assertIn('/conf.d/30.conf: No such file', self.refused(self.root + '/conf.d'))

    def test_wrong_priorities(self):
        for option, value in (('nice_priority', '21'), ('nice_priority', 'high'), ('ionice_class', 'best'),
                              ('ionice_priority', '8'), ('servers_per_port', '2')):
            self.assertIn('%s = %s: expected' % (option, value), self.refused(self.conf(**{option: value})))

    def test_fallocate_reserve(self):
        for value in ('0', '1%', '0.5%', '100%', '1048576', '-1', '-1%', '+7'):
            self.say('--test-config', self.conf(fallocate_reserve=value))
        for value in ('', '%', '101%', '1x', '1 %x', '1.5', '1K'):
            self.assertIn('fallocate_reserve = %s: expected' % value, self.refused(self.conf(fallocate_reserve=value)))

    def test_options_of_swift_without_meaning_here(self):
        path = self.conf(log_custom_handlers='a.b', eventlet_debug='true')
        self.assertEqual(self.say('--test-config', path, 'verbose', 'once').count('it has no effect'), 2)

    def test_usage(self):
        for args in ([], ['--no-such'], ['a', 'b']):
            run = subprocess.run([OBJSRV, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual((run.returncode, run.stdout), (2, b''))
            self.assertNotEqual(run.stderr, b'')

    # ---- questions ----

    def say(self, *args):
        run = subprocess.run([OBJSRV, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)
        return run.stdout

    def test_help_and_version(self):
        self.assertRegex(self.say('--version'), r'\Aobjsrv \d+\.\d+\.\d+\n\Z')
        for word in ('usage: objsrv', 'bind_port = ', 'on_existing = rename', 'power cut', 'disable_path'):
            self.assertIn(word, self.say('--help'))

    def test_samples(self):
        sample = ETC + '/object-server.conf-sample'
        with open(sample) as f:
            self.assertEqual(f.read(), self.say('--sample-config'), 'make it anew')
        self.assertEqual(self.say('--test-config', '--swift-conf', self.root + '/swift.conf', sample),
                         sample + ': ok\n')
        self.assertEqual(self.say(ETC + '/standalone.conf', '--test-config'), ETC + '/standalone.conf: ok\n')

    def test_every_option_of_the_sample(self):
        """Without the comment signs it is a file that is taken, and nothing in it is unknown."""
        with open(ETC + '/object-server.conf-sample') as f:
            lines = [re.sub(r'^# (\w+ = )', r'\1', line) for line in f]
        text = ''.join(line for line in lines if not line.startswith('bind_port = 0'))
        path = self.write('all.conf', text.split('# [swift-constraints]')[0])
        self.assertEqual(self.say('--test-config', '--swift-conf', self.root + '/swift.conf', path),
                         path + ': ok\n')

    def test_sample_of_swift(self):
        """Debian's file, as it is and with every option in it set: what has no effect is known."""
        sample = '/usr/share/doc/swift/examples/object-server.conf'
        if not os.path.exists(sample):
            self.skipTest("no sample of Swift's here (package swift)")
        with open(sample) as f:
            text = f.read()
        told = self.say('--test-config', '--swift-conf', self.root + '/swift.conf', self.write('as-is.conf', text))
        self.assertNotIn('no such option', told)
        path = self.write('all.conf', re.sub(r'(?m)^# *([a-z_]+ = .*)', r'\1', text))
        told = self.say('--test-config', '--swift-conf', self.root + '/swift.conf', path)
        without_effect = set(re.findall(r'/(\w+): no such option; it has no effect', told))
        self.assertEqual({o for o in without_effect if not o.startswith('replication_')},
                         {'recon_lock_path', 'eventlet_tpool_num_threads', 'splice', 'eventlet_debug'})

    def test_unknown_options(self):
        path = self.conf(backlgo=1)
        self.assertEqual(self.say('--test-config', path),
                         path + ': DEFAULT/backlgo: no such option; it has no effect\n' + path + ': ok\n')

    # ---- it runs ----

    def test_start_line(self):
        process, line = self.start()
        self.assertRegex(line, r'^<134>object-server: objsrv \S+ on 127\.0\.0\.1:\d+, stand-alone, 3 workers; '
                         r'engine (uring|threads): \S.*; devices: \S+ \(%s/data: .*\); policies: 0 Policy-0$'
                         % re.escape(self.root))

    def test_unknown_options_are_logged(self):
        self.start(tpyo=1)
        self.assertIn('server.conf: options without effect: DEFAULT/tpyo', self.log_line())

    def test_workers_share_the_port(self):
        process, line = self.start()
        port = '%04X' % self.port_of(line)
        with open('/proc/net/tcp') as f:
            listening = [row for row in f if row.split()[1].endswith(':' + port) and row.split()[3] == '0A']
        self.assertEqual(len(listening), 3)

    def test_stdio_is_closed_when_ready(self):
        """Who starts it reads its output to the end; that comes although it runs."""
        process, line = self.start()
        self.assertEqual(select.select([process.stdout], [], [], LONG_S)[0], [process.stdout])
        self.assertEqual(process.stdout.read(1), b'')
        self.assertIsNone(process.poll())

    def test_limits_and_directory(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        try:
            process, line = self.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        with open('/proc/%d/limits' % process.pid) as f:
            soft, hard = re.search(r'Max open files\s+(\S+)\s+(\S+)', f.read()).groups()
        self.assertEqual(soft, hard)
        self.assertNotEqual(soft, '256')
        self.assertEqual(os.readlink('/proc/%d/cwd' % process.pid), '/')

    def test_user(self):
        if os.geteuid() != 0:
            self.skipTest('only root can become somebody else')
        os.chown(self.root + '/data', pwd.getpwnam('nobody').pw_uid, -1)
        process, line = self.start(user='nobody')
        with open('/proc/%d/status' % process.pid) as f:
            uids = re.search(r'Uid:\s+(.*)', f.read()).group(1).split()
        self.assertEqual(set(uids), {str(pwd.getpwnam('nobody').pw_uid)})

    def test_user_without_workers(self):
        """As with Swift 2.30.1: workers = 0 changes no user, whatever is configured."""
        if os.geteuid() != 0:
            self.skipTest('only root can become somebody else')
        for workers, want in (('0', 'root'), ('1', 'nobody')):
            path = self.write('swift-mode.conf', '[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = 0\nuser = nobody\n'
                              'workers = %s\ndevices = %s/data\nlog_address = %s/log\n' % (workers, self.root, self.root)
                              + SWIFT)
            env = dict(os.environ, NOTIFY_SOCKET=self.root + '/notify')
            self.processes.append(subprocess.Popen(self.command(path), env=env))
            self.assertEqual(self.notify.recv(100), b'READY=1')
            with open('/proc/%d/status' % self.processes[-1].pid) as f:
                uids = re.search(r'Uid:\s+(.*)', f.read()).group(1).split()
            self.assertEqual(set(uids), {str(pwd.getpwnam(want).pw_uid)})

    def test_priorities(self):
        process, line = self.start(nice_priority=7, ionice_class='IOPRIO_CLASS_IDLE', ionice_priority=0)
        with open('/proc/%d/stat' % process.pid) as f:
            self.assertEqual(f.read().rsplit(')', 1)[1].split()[16], '7')
        if shutil.which('ionice'):
            said = subprocess.run(['ionice', '-p', str(process.pid)], stdout=subprocess.PIPE, text=True)
            self.assertEqual(said.stdout.split(':')[0].strip(), 'idle')

    def test_relative_configuration_file(self):
        """Its directory is where data_dirs start, though the server runs in "/"."""
        self.conf(log_address=self.root + '/log')
        env = dict(os.environ, NOTIFY_SOCKET=self.root + '/notify')
        self.processes.append(subprocess.Popen([OBJSRV, 'server.conf'], cwd=self.root, env=env))
        self.assertEqual(self.notify.recv(100), b'READY=1')
        self.assertIn('(%s/data: ' % self.root, self.log_line())

    # ---- it stops ----

    def stops(self, number):
        process, line = self.start()
        process.send_signal(number)
        self.assertIn('SIG%s received: stopping' % signal.Signals(number).name[3:], self.log_line())
        self.assertEqual(process.wait(LONG_S), 0)

    def test_term(self):
        self.stops(signal.SIGTERM)

    def test_int(self):
        self.stops(signal.SIGINT)

    def test_hup(self):
        self.stops(signal.SIGHUP)

    def test_signals_it_survives(self):
        process, line = self.start()
        process.send_signal(signal.SIGUSR2)
        self.assertIn('requests in flight', self.log_line())
        self.assertIsNone(process.poll())


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
