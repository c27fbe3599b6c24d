# SPDX-License-Identifier: Apache-2.0
"""unittest cases, each run once per server, and the closing line of totals.

    class Paths(suite.Case):
        def test_002_path_empty_object(self): ...
        def test_150_own_server(self):
            server = self.start(conf={...})     stopped and checked when the test ends

A Case gets one server of its own (cls.server), started once, with `conf`; its kind is in
cls.kind: 'threads', 'uring', or 'swift' when the expectations themselves are checked against
Debian's server. Classes with `alone = True` run in stand-alone mode.
"""
import argparse
import importlib
import os
import re
import sys
import time
import unittest

from . import isolate, servers


class Case(unittest.TestCase):
    kind = None             # set per variant
    alone = False
    conf = {}
    devices = ('sda1',)
    own_server = True       # False: tests start what they need
    oracle_too = True       # False: says nothing about Debian's server
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.root = isolate.scratch(f'{cls.__name__}')
        cls.server = None
        if cls.own_server:
            cls.server = servers.start(cls.kind, os.path.join(cls.root, 'main'), conf=cls.conf,
                                       devices=cls.devices, alone=cls.alone)

    @classmethod
    def tearDownClass(cls):
        try:
            if cls.server:
                _end(cls.server)
        finally:
            isolate.discard(cls.root)

    def tearDown(self):
        if self.server and not self.server.running():
            log = self.server.log()
            type(self).server = servers.start(self.kind, os.path.join(self.root, 'again'),
                                              conf=self.conf, devices=self.devices,
                                              alone=self.alone)
            self.fail(f'the server died:\n{log[-4000:]}')

    @property
    def is_oracle(self):
        return self.kind == 'swift'

    def make(self, name=None, **kw):
        """Another server of this kind, configured; stopped when the test ends."""
        kw.setdefault('alone', self.alone)
        root = os.path.join(self.root, name or self._testMethodName)
        server = servers.make(self.kind, root, **kw)
        self.addCleanup(_end, server)
        return server

    def start(self, name=None, **kw):
        return self.make(name, **kw).start()


def _end(server):
    """Stops it; a crash or what a sanitizer found is a failure even after all tests passed."""
    if server.process is None:
        return
    alive = server.running()
    code = server.stop()
    log = server.log()
    found = re.search(r'(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*', log)
    if found:
        raise AssertionError('sanitizer: ' + log[found.start():found.start() + 6000])
    if alive and code != 0 and not server.is_oracle:
        raise AssertionError(f'{server.kind} ended with {code} on SIGTERM:\n{log[-3000:]}')


class _Result(unittest.TextTestResult):
    passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.started_s = time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        print(f'skipped: {test.id()}: {reason}', flush=True)

    def getDescription(self, test):
        return test.id()

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.started_s
        if took > 5:
            print(f'slow: {test.id()} {took:.1f} s', flush=True)


def totals(passed, failed, skipped):
    """The closing line that every runner of this project prints; returns the exit status."""
    print(f'{passed} passed, {failed} failed, {skipped} skipped', flush=True)
    return 1 if failed else 0


def _variants(case, kinds):
    for kind in kinds:
        if kind == 'swift' and (case.alone or not case.oracle_too):
            continue
        yield type(f'{case.__name__}_{kind}', (case,),
                   {'kind': kind, '__module__': case.__module__})


def collect(module_names, kinds, pattern=''):
    tests = unittest.TestSuite()
    loader = unittest.TestLoader()
    for name in module_names:
        module = importlib.import_module(name)
        for case in vars(module).values():
            if not (isinstance(case, type) and issubclass(case, Case)):
                continue
            if case.__module__ != name or not loader.getTestCaseNames(case):
                continue
            for variant in _variants(case, kinds):
                for test in loader.loadTestsFromTestCase(variant):
                    if re.search(pattern, test.id()):
                        tests.addTest(test)
    return tests


def main(module_names, description):
    """A test program's main: isolates itself, runs, prints the totals, exits."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('modules', nargs='*', default=module_names, help='only these modules')
    parser.add_argument('--objsrv', help='the binary to test (default: $OBJSRV)')
    parser.add_argument('--engine', action='append', choices=('threads', 'uring', 'swift'),
                        help="which server; 'swift' checks the tests against Debian's")
    parser.add_argument('-k', default='', metavar='REGEX', help='only tests whose id matches')
    parser.add_argument('--cycles', type=int, help='rounds of the crash tests')
    parser.add_argument('--failfast', action='store_true')
    args = parser.parse_args()
    isolate.enter()
    if args.objsrv:
        os.environ['OBJSRV'] = os.path.abspath(args.objsrv)
    if args.cycles:
        os.environ['OBJSRV_TEST_CYCLES'] = str(args.cycles)
    scratch = isolate.scratch('etc')
    isolate.cover_etc_swift(servers.SWIFT_CONF, scratch)
    kinds = args.engine or list(servers.ENGINES)
    unknown = [m for m in args.modules if m not in module_names]
    if unknown:
        sys.exit(f'no such module: {unknown}; there are: {" ".join(module_names)}')
    tests = collect(args.modules, kinds, args.k)
    runner = unittest.TextTestRunner(sys.stdout, verbosity=1, resultclass=_Result,
                                     failfast=args.failfast)
    result = runner.run(tests)
    isolate.discard(scratch)
    failed = len(result.failures) + len(result.errors)
    status = totals(result.passed, failed, len(result.skipped))
    sys.exit(1 if not result.testsRun else status)
