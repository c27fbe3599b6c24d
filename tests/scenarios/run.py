#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Black-box HTTP scenarios against a real server, once per engine.

    run.py --objsrv build/server/objsrv                  all, both engines
    run.py --engine uring -k test_put                    some
    run.py --engine swift                                checks the expectations themselves
                                                         against Debian's swift-object-server
"""
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..')]

from harness import suite       # noqa: E402

if __name__ == '__main__':
    suite.main(sorted(os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, 'test_*.py'))),
               __doc__)
