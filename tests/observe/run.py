#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What operators see: recon, access lines, statsd, /metrics, filters. Where Debian's Swift has the
same thing, it is asked beside objsrv and the answers are compared.

    run.py --objsrv build/server/objsrv            all, both engines
    run.py --engine threads -k recon               some
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
