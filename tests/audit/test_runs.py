# SPDX-License-Identifier: Apache-2.0
"""How a run goes: killed and taken up again, held back, unreadable places, what it says of itself."""
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import time

from base import NO_AGE, AuditCase
from harness import tree


class Runs(AuditCase):
    def partitions(self, count):
        """One object in each partition 1 to count, and one of tree_of()'s own."""
        self.tree_of(1)
        s = self.made.start()
        for partition in range(1, count + 1):
            r = s.request('PUT', f'/sda1/{partition}/a/c/p{partition}',
                          {'X-Timestamp': '1700000000.00000', 'Content-Type': 'a/b'}, b'x')
            self.assertEqual(r.status, 201)
        self.assertEqual(s.stop(), 0)

    def start(self, *options, **settings):
        process = subprocess.Popen(self.command(*options, **settings), encoding='utf-8',
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def end_of(self, run):
        return [json.loads(line) for line in run.out.splitlines()][-1]

    def test_killed_and_resumed(self):
        """kill -9 in the middle: the next run does what is left, and but one partition twice."""
        self.partitions(12)
        status = self.at('objects', 'auditor_status_ALL.json')
        self.make_file('objects', 'auditor_status_ALL.json', content=json.dumps(
            {'partitions': [str(n) for n in range(1, 13)]}).encode())
        process = self.start('--json', '-v', files_per_second=20, workers_per_device=1,
                             zero_byte_files_per_second=0)
        done = []
        while len(done) < 6:
            os.utime(status, (1, 1))        # as if the minute had passed after which it is written
            event = json.loads(process.stdout.readline())
            if event['event'] == 'object':
                done.append(int(event['path'].split('/objects/')[1].split('/')[0]))
        process.send_signal(signal.SIGKILL)
        process.wait()
        with open(status, encoding='utf-8') as f:
            left = {int(p) for p in json.load(f)['partitions']}
        self.assertLessEqual(len(left & set(done)), 2, (left, done))
        self.assertEqual(left | set(done), set(range(1, 13)))
        self.assertEqual(self.end_of(self.audit('--json', expect=0))['examined'], len(left))
        self.assertFalse(os.path.exists(status))
        self.assertEqual(self.end_of(self.audit('--json', expect=0))['examined'], 13)

    def test_stopped(self):
        """SIGTERM: ends soon, says so, and the next run goes on."""
        self.partitions(12)
        process = self.start('--json', '-v', files_per_second=5, workers_per_device=1,
                             zero_byte_files_per_second=0)
        while json.loads(process.stdout.readline())['event'] != 'object':
            pass
        began = time.monotonic()
        process.terminate()
        out, err = process.communicate(timeout=30)
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(process.returncode, 2, err)
        self.assertIn('stopped', err)
        before = json.loads(out.splitlines()[-1])['examined']
        after = self.end_of(self.audit('--json', expect=0))['examined']
        self.assertLess(before, 13)
        self.assertIn(before + after, (13, 14))

    def test_rate_is_shared(self):
        """By all workers of all devices."""
        self.partitions(20)
        shutil.copytree(self.made.device, os.path.join(self.made.devices, 'sdb1'))
        for path in tree.object_files(self.made.device):    # copytree has copied them, xattrs too
            self.assertIsNotNone(tree.raw_metadata(os.path.join(self.made.devices, 'sdb1', path)))
        run = self.audit('--json', files_per_second=40, zero_byte_files_per_second=0,
                         concurrency=2, workers_per_device=8, expect=0)
        ends = [e for e in map(json.loads, run.out.splitlines()) if e['event'] == 'end']
        self.assertEqual(sum(e['examined'] for e in ends), 42)
        self.assertGreater(max(e['elapsed_s'] for e in ends), 40 / 40)

    def test_gives_way(self):
        """When its reads take longer than it may wait, it rests, and says for how long."""
        self.tree_of(6)
        for path in tree.object_files(self.made.device):    # out of the page cache
            with open(self.at(path), 'rb') as f:
                os.fsync(f.fileno())
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        run = self.audit('--json', latency_limit=0, expect=0)
        self.assertEqual(self.end_of(run)['rested_s'], 0)
        run = self.audit('--json', latency_limit=0.000002, expect=0)
        self.assertGreater(self.end_of(run)['rested_s'], 0)

    def test_unreadable(self):
        """Without the right to look: each place is named, nothing is moved, the rest is done."""
        self.partitions(8)
        places = sorted(os.path.dirname(p) for p in tree.object_files(self.made.device))
        hidden = [os.path.dirname(os.path.dirname(places[0])), os.path.dirname(places[1]), places[2],
                  tree.object_files(os.path.join(self.made.device))[3]]
        hidden[3] = next(p for p in tree.object_files(self.made.device)
                         if os.path.dirname(p) == places[3])
        modes = [os.stat(self.at(p)).st_mode for p in hidden]
        before = self.objects()
        for path in hidden:
            os.chmod(self.at(path), 0)
        run = self.audit('--json', expect=2, wrapper=[
            'setpriv', '--bounding-set=-dac_override,-dac_read_search'])
        for path, mode in zip(hidden, modes):
            os.chmod(self.at(path), mode)
            self.assertTrue(re.search(re.escape(path) + '.*Permission denied', run.err) or
                            re.search(re.escape(os.path.dirname(path)) + '.*Permission denied',
                                      run.err), (path, run.err))
        self.assertEqual(tree.differences(before, self.objects()), [])
        self.assertEqual(self.end_of(run)['examined'], 7)   # two of them without an answer
        self.assertEqual(self.end_of(self.audit('--json', expect=0))['examined'], 9)

    def test_status_by_age(self):
        """What was verified when, from the state that a run has left."""
        self.partitions(9)
        run = self.audit('--status', once=False, expect=0)
        self.assertIn('verified within', run.out)
        self.audit(expect=0)
        state = self.at('objsrv-audit', 'state')
        with open(state, encoding='ascii') as f:
            lines = f.read().splitlines()
        old = [line.split() for line in lines[2:]]
        self.assertEqual(len(old), 10)
        for fields, days in zip(old, (100, 60, 60, 20, 20, 20, 3, 3, 3, 0)):
            fields[2] = str(int(time.time()) - days * 86400)
        with open(state, 'w', encoding='ascii') as f:
            f.write('\n'.join(lines[:2] + [' '.join(fields) for fields in old]) + '\n')
        run = self.audit('--status', once=False, expect=0)
        self.assertRegex(run.out, r'sda1 +10 +10\.0 % +40\.0 % +70\.0 % +90\.0 % +ok')

    def test_events(self):
        """One JSON object a line, with what a program needs, for everything that is said."""
        self.partitions(3)
        empty = self.make_directory('objects', '7000', 'abc', 'd' * 29 + 'abc')
        tmp = self.make_file('tmp', 'left')
        foreign = self.make_file('objects', '7000', 'notes')
        run = self.audit('--json', expect=1, **NO_AGE)
        events = [json.loads(line) for line in run.out.splitlines()]
        found = {(e['event'], e.get('path')) for e in events}
        self.assertLessEqual({('swept', empty), ('swept', tmp), ('foreign', foreign)}, found)
        for event in events:
            self.assertGreater(event['time'], 1e9)
            if event['event'] not in ('end', 'start'):
                self.assertLessEqual({'device', 'detail'}, set(event))
        self.assertEqual([e['event'] for e in events].count('object'), 4)

    def on_a_terminal(self, **settings):
        """(exit status, lines) of a run on one of 60 columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 60, 0, 0))
        command = [c for c in self.command(zero_byte_files_per_second=0, workers_per_device=1,
                                           **settings) if c != '-v']
        process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        os.close(theirs)
        shown = b''
        try:
            while True:
                shown += os.read(ours, 65536)
        except OSError:
            pass                            # nobody writes there any more
        os.close(ours)
        code = process.wait()
        return code, shown.decode().replace('\x1b[K', '').replace('\r', '\n').split('\n')

    def test_terminal(self):
        """A bar that fits, findings in few words, no log lines; then tables, by device too."""
        self.partitions(8)
        os.makedirs(os.path.join(self.made.devices, 'sdb1'))
        self.shorten('p3')
        code, lines = self.on_a_terminal(files_per_second=8)
        self.assertEqual(code, 1)
        bars = [line for line in lines if line.startswith('[')]
        self.assertGreater(len(bars), 1)
        self.assertLessEqual(max(map(len, bars)), 59)
        self.assertRegex(bars[-1], r'^\[#+\.*\] \d+ %(, \d+ s left)?, \d objects \d')
        self.assertTrue([line for line in lines if line.startswith('QUARANTINED /')], lines)
        self.assertFalse([line for line in lines if ' INFO ' in line or ' ERROR ' in line], lines)
        text = '\n'.join(lines)
        self.assertRegex(text, r'\nALL +9 +\S+ +.* 1 +0 +0 +0 +\d\.\d s\n')
        self.assertRegex(text, r'\nsda1 +9 +\S+ +.* 1 +0 +0 +0 +\d\.\d s\n')
        self.assertRegex(text, r'\nsdb1 +0 .*\n')
        self.assertRegex(text, r'\nsda1 +9 +100\.0 %.* ok\n')
        self.assertRegex(text, r'\nsdb1 +nothing to verify yet\n')
        self.assertRegex(text, r'\nsomething was found.*\(exit status 1\)\n')

    def test_fuse_on_a_terminal(self):
        """A line for each of many would push away the one that matters."""
        self.tree_of(70)
        with open(self.made.swift_conf, encoding='latin-1') as f:
            text = f.read()
        with open(self.made.swift_conf, 'w', encoding='latin-1') as f:
            f.write(text.replace(tree.SUFFIX, 'another'))
        code, lines = self.on_a_terminal(quarantine_fuse_min=2)
        self.assertEqual(code, 3)
        self.assertEqual(len([line for line in lines if line.startswith('DAMAGED ')]), 50)
        self.assertEqual(len([line for line in lines if line.startswith('QUARANTINE FUSE BLOWN on')]), 1)
        self.assertTrue([line for line in lines if line.startswith('QUARANTINE FUSE BLOWN: damage')])

    def test_daemon(self):
        """Pass after pass, until it is told to end: then 0."""
        self.tree_of(2)
        process = self.start('--json', once=False, interval=0)
        passes = 0
        while passes < 3:
            passes += json.loads(process.stdout.readline())['event'] == 'end'
        process.terminate()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
