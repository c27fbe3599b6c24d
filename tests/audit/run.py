#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""objsrv-audit as an operator calls it, on trees that the real server has made and that are then
damaged by plain file operations. Where no link lies in it, Debian's auditor judges a copy.

    run.py --objsrv build/server/objsrv --audit build/tools/audit/objsrv-audit
    run.py ... -k fuse                          some
    run.py ... -k race --seconds 180            each race for so long (3 s)
"""
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..')]

from harness import suite       # noqa: E402


def take(arguments, option, variable, value_of=str):
    """This option out of the arguments; the others are those of every suite."""
    if option in arguments:
        at = arguments.index(option)
        os.environ[variable] = value_of(arguments[at + 1])
        del arguments[at:at + 2]


if __name__ == '__main__':
    take(sys.argv, '--audit', 'OBJSRV_AUDIT', os.path.abspath)
    take(sys.argv, '--seconds', 'OBJSRV_TEST_RACE_S')
    suite.main(sorted(os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, 'test_*.py'))),
               __doc__)
