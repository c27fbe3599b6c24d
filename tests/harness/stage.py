# SPDX-License-Identifier: Apache-2.0
"""Test functions that share a stage: a cluster or a node with its daemons, slow to set up.

    @contextlib.contextmanager
    def stage(engine, root): ...    yields what each function gets; `.log()` goes with a failure
    TESTS = (test_this, test_that)  in this order; an AssertionError fails, Skip skips
    if __name__ == '__main__':
        stage.main(__doc__, stage, TESTS, NEEDED)

Each engine gets a stage and a directory of its own, below namespaces of this run.
"""
import argparse
import os
import sys

from . import isolate, servers, suite


class Skip(Exception):
    """Says why."""


def check(truth, text=''):
    if not truth:
        raise AssertionError(text)


def _run(subject, engine, tests):
    """[passed, failed, skipped]"""
    counts = [0, 0, 0]
    for test in tests:
        try:
            test(subject)
            counts[0] += 1
        except AssertionError as e:
            counts[1] += 1
            print(f'{engine}: {test.__name__}: {e}\n{subject.log()[-3000:]}', flush=True)
        except Skip as e:
            counts[2] += 1
            print(f'skipped: {engine}: {test.__name__}: {e}', flush=True)
    return counts


def main(doc, stage, tests, needed):
    """`needed`: programs below /usr/bin. Ends the program."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--objsrv', help='the binary to test (default: $OBJSRV)')
    parser.add_argument('--engine', action='append', choices=(*servers.ENGINES, 'swift'))
    parser.add_argument('-k', default='', help='only tests whose name holds this')
    args = parser.parse_args()
    isolate.enter()
    if args.objsrv:
        os.environ['OBJSRV'] = os.path.abspath(args.objsrv)
    missing = [p for p in needed if not os.path.exists('/usr/bin/' + p)]
    if missing or not os.path.isdir('/etc/swift'):
        print(f"skipped: there is not: {' '.join(missing) or '/etc/swift'}")
        sys.exit(suite.totals(0, 0, 1))
    totals = [0, 0, 0]
    for engine in args.engine or servers.ENGINES:
        root = isolate.scratch('stage')
        isolate.cover_etc_swift(servers.SWIFT_CONF, os.path.join(root, 'etc'))
        with stage(engine, root) as subject:
            counts = _run(subject, engine, [t for t in tests if args.k in t.__name__])
        totals = [a + b for a, b in zip(totals, counts)]
        isolate.discard(root)
    sys.exit(suite.totals(*totals))
