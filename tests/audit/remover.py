#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Removes every empty directory below DIRECTORY (but no partition) as fast as it can, until it is
killed: the worst sweeper there can be, with no age and no pause, for races with writers.

    remover.py DIRECTORY        DIRECTORY is <device>/objects
"""
import os
import sys
import time


def hash_directories(objects):
    for partition, suffixes, _ in os.walk(objects):
        if os.path.dirname(partition) != objects:
            continue
        for suffix in suffixes:
            path = os.path.join(partition, suffix)
            try:
                yield from (os.path.join(path, name) for name in os.listdir(path))
            except OSError:
                pass                    # gone


def remove(path):
    try:
        os.rmdir(path)
    except OSError:
        pass                            # not there, or not empty


def main(objects):
    known, look_again = set(), 0
    while True:
        if time.monotonic() >= look_again:
            known |= set(hash_directories(objects))
            look_again = time.monotonic() + 0.2
        for path in known:
            remove(path)
            remove(os.path.dirname(path))


if __name__ == '__main__':
    main(sys.argv[1])
