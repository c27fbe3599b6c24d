# SPDX-License-Identifier: Apache-2.0
"""One run of an auditor over a device, and what it took: Debian's or objsrv's, all rates off.

    d = Device(root, programs)       an empty one below root, with its configuration
    d.populate(count=100000, size=4096)
    run(d, 'objsrv', 'ZBF')          {'objects': ..., 'elapsed_s': ..., 'cpu_s': ..., ...}

Both log the same lines at the end of a pass; elapsed_s is what the pass says of itself, so that
the start of an interpreter is not held against Swift's. A run that found damage or errors, or
not as many objects as there are, is an error here. Swift's needs its swift.conf at /etc/swift:
harness.isolate covers that directory. No link is ever made below a device: Swift's would follow.
"""
import hashlib
import json
import os
import re
import subprocess
import time

SWIFT_CONF = '''[swift-hash]
swift_hash_path_prefix = changeme
swift_hash_path_suffix = changeme
[storage-policy:0]
name = gold
default = yes
'''

CONF = '''[DEFAULT]
devices = {root}/devices
mount_check = false
user = root
[pipeline:main]
pipeline = object-server
[app:object-server]
use = egg:swift#object
[object-auditor]
files_per_second = 0
bytes_per_second = 0
zero_byte_files_per_second = 0
object_size_stats = 1
recon_cache_path = {root}/recon
'''

SWEEP_AT_ONCE = ('sweep_empty_hashes=0', 'sweep_empty_suffixes=0', 'sweep_empty_partitions=0')
UNLIMITED_ZBF = {'swift': '1000000000', 'objsrv': '0'}
END = re.compile(r'completed: ([\d.]+)s\. Total quarantined: (\d+), Total errors: (\d+)')
SIZES = re.compile(r'Object audit stats: (\{.*\})')


class Device:
    def __init__(self, root, programs):
        self.root, self.programs, self.objects = root, programs, 0
        self.path = os.path.join(root, 'devices', 'sda1')
        os.makedirs(self.path)
        os.mkdir(os.path.join(root, 'recon'))
        self.conf, self.swift_conf = (os.path.join(root, n) for n in ('auditor.conf', 'swift.conf'))
        for name, text in ((self.conf, CONF.format(root=root)), (self.swift_conf, SWIFT_CONF)):
            with open(name, 'w', encoding='ascii') as f:
                f.write(text)

    def populate(self, count, size=0, part_power=10, empty=False):
        """Adds `count` objects, or the empty directories of them. Seconds, and what was made."""
        begin = time.monotonic()
        kind = ['--empty'] if empty else ['--size', str(size)]
        done = subprocess.run(
            [self.programs['populate'], '--dir', self.path, '--first', str(self.objects), '--count',
             str(count), '--part-power', str(part_power), *kind], stdout=subprocess.PIPE, check=True)
        self.objects += count
        os.sync()
        return time.monotonic() - begin, json.loads(done.stdout)

    def is_empty(self):
        return not os.listdir(os.path.join(self.path, 'objects'))


def command_of(device, contestant, kind, settings):
    options = ['-z', UNLIMITED_ZBF[contestant]] if kind == 'ZBF' else []
    if contestant == 'swift':
        return ['/usr/bin/python3', '/usr/bin/swift-object-auditor', device.conf, 'once', '-v',
                *options]
    sweep = ['--sweep'] if kind == 'SWEEP' else []
    return [device.programs['objsrv-audit'], '--swift-conf', device.swift_conf, *options, *sweep,
            *[f'--set={s}' for s in settings], device.conf, 'once']


def peak_of(pid):
    """KiB, of the largest of it and its children."""
    peak = 0
    try:
        with open(f'/proc/{pid}/status', encoding='latin-1') as f:
            peak = int(re.search(r'VmHWM:\s+(\d+) kB', f.read())[1])
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
            return max([peak] + [peak_of(int(child)) for child in f.read().split()])
    except (OSError, TypeError):        # it has ended: a zombie has no memory
        return peak


def watch(pid):
    """Until it has ended. ru_maxrss would count what this process here was at the fork."""
    peak = 0
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        peak = max(peak, peak_of(pid))
        time.sleep(0.02)
    return peak


def run(device, contestant, kind, settings=()):
    """kind: 'ZBF', 'ALL' or 'SWEEP'. CPU and peak are those of the process and its children."""
    log_path = os.path.join(device.root, f'{contestant}.log')
    with open(log_path, 'wb') as log:
        begin = time.monotonic()
        process = subprocess.Popen(command_of(device, contestant, kind, settings),
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        peak_kib = watch(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        whole_s = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    with open(log_path, encoding='latin-1') as log:
        text = log.read()
    result = {'whole_s': whole_s, 'cpu_s': usage.ru_utime + usage.ru_stime,
              'user_s': usage.ru_utime, 'peak_kib': peak_kib}
    if kind == 'SWEEP':
        check(process.returncode in (0, 1), contestant, text)
        return dict(result, elapsed_s=whole_s)
    end, sizes = END.search(text), SIZES.search(text)
    check(process.returncode == 0 and end and sizes, contestant, text)
    check(end[2] == end[3] == '0', contestant, text)
    objects = sum(json.loads(sizes[1]).values())
    check(objects == device.objects, f'{contestant}: {objects} objects of {device.objects}', text)
    return dict(result, elapsed_s=float(end[1]), objects=objects)


def check(good, what, text):
    if not good:
        raise RuntimeError(f'{what}:\n{text[-3000:]}')


def md5_bytes_per_s():
    """One core's, by the libcrypto that Python's hashlib stands on. Wall time, as a pass has."""
    block, count = os.urandom(1 << 20), 1024
    begin = time.monotonic()
    digest = hashlib.md5(usedforsecurity=False)
    for _ in range(count):
        digest.update(block)
    return count * len(block) / (time.monotonic() - begin)
