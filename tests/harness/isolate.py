# SPDX-License-Identifier: Apache-2.0
"""Private namespaces for a test run.

Mounts, loopback ports and stray processes of a run are its own: /etc/swift is covered by the
run's own directory, ports cannot clash with anybody's, and when the run ends or is killed, so
do its servers. A program calls enter() first thing in main; it starts itself again inside.
"""
import array
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

_MARK = 'OBJSRV_TEST_ISOLATED'
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def enter():
    """Returns inside the namespaces; outside it replaces this process and never returns."""
    if os.environ.get(_MARK) == 'inside':
        _loopback_up()
        return
    if not shutil.which('unshare'):
        sys.exit('needs unshare(1) of util-linux')
    command = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc',
               '--propagation', 'private']
    if os.geteuid() != 0:
        command[1:1] = ['--user', '--map-root-user']
    os.environ[_MARK] = 'inside'
    os.execvp(command[0], command + [sys.executable] + sys.orig_argv[1:])


def is_real_root():
    """Root on the machine, not only in a user namespace: may mount images."""
    with open('/proc/self/uid_map', encoding='ascii') as f:
        return os.geteuid() == 0 and f.read().split()[1] == '0'


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = array.array('b', struct.pack('16sh22x', b'lo', 0))
        fcntl.ioctl(s, _SIOCGIFFLAGS, request)
        flags = struct.unpack('16sh22x', request.tobytes())[1] | _IFF_UP
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack('16sh22x', b'lo', flags))


def scratch(name):
    """A fresh directory that the run owns; with $OBJSRV_TEST_KEEP it stays for a look."""
    root = os.environ.get('OBJSRV_TEST_DIR', tempfile.gettempdir())
    path = tempfile.mkdtemp(prefix=f'objsrv-{name}.', dir=root)
    os.chmod(path, 0o755)
    return path


def discard(path):
    if not os.environ.get('OBJSRV_TEST_KEEP'):
        shutil.rmtree(path, ignore_errors=True)


def cover_etc_swift(swift_conf_text, directory):
    """Binds `directory`, holding just this swift.conf, over /etc/swift of this namespace."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, 'swift.conf'), 'w', encoding='latin-1') as f:
        f.write(swift_conf_text)
    if not os.path.isdir('/etc/swift'):
        return False
    # Covered before, perhaps by what is gone since: nothing can be mounted over that.
    subprocess.run(['umount', '/etc/swift'], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(['mount', '--bind', directory, '/etc/swift'], check=True)
    return True
