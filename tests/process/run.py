#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The process and its neighbours: reloads under load, swift-init, systemd, rings, priorities.

    run.py --objsrv build/server/objsrv                  all, both engines
    run.py --engine uring -k reload                      some
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
