# SPDX-License-Identifier: Apache-2.0
"""The command line, configuration, start and stop; and what is not there yet says so."""
import os
import signal
import subprocess
import time

from base import SwiftCase, wait_until
from harness import servers, wire


class Start(SwiftCase):
    own_server = False
    oracle_too = False

    def run_objsrv(self, *arguments):
        return subprocess.run([servers.binary(), *arguments], capture_output=True, text=True, check=False,
                              timeout=60)

    def test_help_and_version(self):
        r = self.run_objsrv('--help')
        self.assertEqual(r.returncode, 0)
        for word in ('--swift-conf', '--test-config', 'io_engine', 'on_existing', 'data_dirs'):
            self.assertIn(word, r.stdout)
        self.assertRegex(self.run_objsrv('--version').stdout, r'\d+\.\d+')

    def test_no_arguments(self):
        r = self.run_objsrv()
        self.assertNotEqual(r.returncode, 0)
        self.assertIn('conf', r.stderr)

    def test_test_config(self):
        server = self.make()
        r = self.run_objsrv('--test-config', '--swift-conf', server.swift_conf, server.conf)
        self.assertEqual(r.returncode, 0, r.stderr)

    def refused(self, conf, *words, swift_conf=servers.SWIFT_CONF):
        server = self.make(name=f'{self._testMethodName}{len(os.listdir(self.root))}', conf=conf,
                           swift_conf=swift_conf)
        r = self.run_objsrv('--test-config', '--swift-conf', server.swift_conf, server.conf)
        self.assertNotEqual(r.returncode, 0)
        for word in words:
            self.assertIn(word, r.stderr)
        code, log = server.run_to_end()
        self.assertNotIn(code, (0, None), log)

    def test_bad_values_are_named(self):
        for option, value in (('io_engine', 'magic'), ('client_timeout', 'soon'), ('max_clients', '-5'),
                              ('workers', 'many'), ('bind_port', '99999'), ('on_existing', 'maybe'),
                              ('fallocate_reserve', '1x')):
            with self.subTest(option):
                self.refused({'DEFAULT': {option: value}}, option, value)

    def test_unknown_options_are_tolerated(self):
        server = self.start(conf={'DEFAULT': {'eventlet_debug': 'true', 'no_such_option': '1'}})
        self.assertEqual(server.request('GET', '/healthcheck').status, 200)

    def test_unknown_filter_is_refused(self):
        self.refused({'pipeline:main': {'pipeline': 'healthcheck mystery object-server'},
                      'filter:mystery': {'use': 'egg:somebody#mystery'}}, 'mystery')

    def test_no_hash_prefix_nor_suffix(self):
        self.refused({}, 'swift_hash_path', swift_conf='[swift-hash]\nswift_hash_path_suffix =\n')

    def test_swift_conf_missing(self):
        server = self.make()
        r = self.run_objsrv('--test-config', '--swift-conf', '/nowhere/swift.conf', server.conf)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn('/nowhere/swift.conf', r.stderr)

    def test_default_wins_over_app_section(self):
        """Swift's precedence: [DEFAULT] beats a plain option, `set` beats [DEFAULT]."""
        server = self.start(conf={'DEFAULT': {'replication_server': 'false'},
                                  'app:object-server': {'replication_server': 'true'}})
        self.assertNotIn('REPLICATE', server.request('OPTIONS', '/').get('Allow'))
        server = self.start(name='set', conf={'DEFAULT': {'replication_server': 'false'},
                                              'app:object-server': {'set replication_server': 'true'}})
        self.assertIn('REPLICATE', server.request('OPTIONS', '/').get('Allow'))

    def test_etc_swift_is_the_fixed_place(self):
        """Without --swift-conf it is /etc/swift/swift.conf, and swift_dir does not move it."""
        if not os.path.exists('/etc/swift/swift.conf'):
            self.skipTest('no /etc/swift to cover with the run\'s own')
        server = self.make(conf={'DEFAULT': {'swift_dir': '/nowhere'}})
        server.command = lambda: [servers.binary(), '-v', server.conf]
        self.server = server.start()
        self.put()
        self.assertEqual(self.files(), [self.t(10) + '.data'])

    def start_line(self, **options):
        """It is written when the first requests may be served already."""
        server = self.start(**options)
        self.assertTrue(wait_until(lambda: 'engine' in server.log()), server.log())
        return server.log()

    def test_start_line(self):
        log = self.start_line(devices=('sda1', 'sdb1'))
        for word in (self.kind, 'sda1', 'sdb1', 'gold', 'silver'):
            self.assertIn(word, log)

    def test_auto_engine_says_which_and_why(self):
        log = self.start_line(conf={'DEFAULT': {'io_engine': 'auto'}})
        self.assertRegex(log, r'(?i)engine\W+(uring|threads)\b.{5,}')

    def test_port_taken(self):
        first = self.start(name='first')
        second = self.make(name='second', conf={'DEFAULT': {'bind_timeout': '0'}})
        with open(second.conf, encoding='ascii') as f:
            text = f.read().replace(f'bind_port = {second.port}', f'bind_port = {first.port}')
        with open(second.conf, 'w', encoding='ascii') as f:
            f.write(text)
        code, log = second.run_to_end(30)
        if code is None:
            self.fail('two servers share one port')
        self.assertNotEqual(code, 0)
        self.assertIn(str(first.port), log)


class Stop(SwiftCase):
    own_server = False
    oracle_too = False

    def test_term(self):
        server = self.start()
        idle = server.connect()
        idle.request('GET', '/healthcheck')
        self.assertEqual(server.stop(timeout=10), 0)

    def test_term_in_the_middle_of_everything(self):
        """Requests just answered, bodies half sent, readers that do not read: it ends with 0."""
        server = self.server = self.start()
        for _ in range(15):
            self.put(body=b'x' * 3000000, path=self.path + 'large', X_Timestamp=f'{time.time():.5f}')
            reader = server.connect(rcvbuf=4096)
            reader.send(wire.head_bytes('GET', self.path + 'large'))
            writer = server.connect()
            writer.send(self.put_head(Content_Length='100000') + b'x' * 50000)
            with server.connect() as c:
                for i in range(20):
                    c.send(wire.head_bytes('GET', self.path + 'large', {'Range': f'bytes={i}-99999'}))
                    self.check(c.read_response(), 206)
                code = server.stop(timeout=20)
            self.assertEqual(code, 0, server.log()[-1500:])
            reader.close()
            writer.close()
            server.start()
        self.assert_nothing_stored()

    def test_hup_finishes_what_is_in_flight(self):
        self.server = server = self.start()
        with server.connect() as c:
            c.send(self.put_head(Content_Length='10') + b'01234')
            self.assertTrue(wait_until(lambda: 'PUT' in self.dump(server)))
            server.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: self.refuses(server)))
            c.send(b'56789')
            self.check(c.read_response('PUT'), 201)
        self.assertEqual(server.process.wait(15), 0)
        server.process = None
        self.assertEqual(len(self.files()), 1)
        self.server = None              # it ended as it should

    def refuses(self, server):
        try:
            server.connect().close()
            return False
        except OSError:
            return True

    def dump(self, server):
        """What the server logs on SIGUSR2."""
        before = len(server.log())
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(server.log()) > before, 5)
        return server.log()[before:]

    def test_usr2_prints_requests_in_flight(self):
        """Every request with its step and its age."""
        self.server = server = self.start()
        with server.connect() as c:
            c.send(self.put_head(Content_Length='10') + b'01234')
            lines = []      # a dump may come while the loops still write the one before
            self.assertTrue(wait_until(lambda: lines.extend(
                l for l in self.dump(server).splitlines() if self.path in l) or lines))
            self.assertRegex(lines[-1], r'age_ms=\d+ .*PUT')
        self.assertTrue(wait_until(lambda: self.path not in self.dump(server)))

    def test_kill_and_start_again_at_once(self):
        server = self.start()
        for _ in range(3):
            server.kill()
            server.start()
            self.assertEqual(server.request('GET', '/healthcheck').status, 200)


class NotYet(SwiftCase):
    """What other pieces of work bring answers 501 or leaves a line in the log, nothing else."""
    oracle_too = False

    def test_container_update_is_logged(self):
        self.put(X_Container_Host='127.0.0.1:9', X_Container_Device='sda1', X_Container_Partition='3')
        self.get(200)
        self.assertTrue(wait_until(lambda: 'ontainer' in self.server.log()))


class AccessLog(SwiftCase):
    """Swift's own goes to syslog, which a test machine need not have."""
    oracle_too = False

    def test_219_access_line(self):
        self.put(X_Trans_Id='tx-one', User_Agent='ua', Referer='from')
        lines = [l for l in self.server.log().splitlines() if 'tx-one' in l]
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "PUT ' + self.path +
                         r'" 201 - "from" "tx-one" "ua" \d+\.\d{4} ".*" \d+ -')

    def test_a_disk_error_says_what_it_was(self):
        """Swift's words, which operators look for, and the reason."""
        os.makedirs(os.path.join(self.server.device, 'objects'), exist_ok=True)
        with open(os.path.join(self.server.device, 'objects', self.partition), 'wb'):
            pass
        for method, body in (('PUT', b'x'), ('GET', None), ('POST', None), ('DELETE', None)):
            self.expect(500, method, body=body, X_Timestamp=self.t(10), Content_Type='a/b', X_Trans_Id='tx-bad')
            self.assertRegex(self.server.log(), f'ERROR __call__ error with {method} {self.path} : '
                             r'Not a directory \(txn: tx-bad\)')

    def test_quarantine_is_logged(self):
        self.put()
        os.truncate(self.data_file(), 1)
        self.get(404)
        self.assertTrue(wait_until(lambda: 'uarantined object ' in self.server.log()))
