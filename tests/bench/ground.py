# SPDX-License-Identifier: Apache-2.0
"""What every benchmark of tools/ stands on: packages, programs, a file system, where it ran."""
import os
import platform
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE_BYTES = 64 << 30          # sparse


def install_missing(packages):
    def present(package):
        run = subprocess.run(['dpkg-query', '-W', '-f', '${Status}', package], check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return run.stdout == b'install ok installed'
    missing = [p for p in packages if not present(p)]
    if not missing:
        return
    command = ['apt-get', 'install', '-y', '--no-install-recommends', *missing]
    if os.geteuid() != 0:
        sys.exit('needs packages: sudo ' + ' '.join(command))
    print('+ ' + ' '.join(command), flush=True)
    subprocess.run(command, check=True, env=dict(os.environ, DEBIAN_FRONTEND='noninteractive'))


def build(build_dir, targets):
    if not os.path.exists(os.path.join(build_dir, 'build.ninja')):
        subprocess.run(['meson', 'setup', '--buildtype=release', build_dir, TOP], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(['ninja', '-C', build_dir, *targets], check=True, stdout=subprocess.DEVNULL)


def mount_image(kind, scratch, *options):
    """In this run's own mount namespace: gone with it. The directory to use."""
    image, mounted = os.path.join(scratch, 'image'), os.path.join(scratch, 'mounted')
    with open(image, 'wb') as f:
        f.truncate(IMAGE_BYTES)
    os.mkdir(mounted)
    subprocess.run([f'mkfs.{kind}', '-q', *options, image], check=True)
    subprocess.run(['mount', '-o', 'loop', image, mounted], check=True)
    return mounted


def unmount_image(scratch):
    subprocess.run(['umount', os.path.join(scratch, 'mounted')], check=False)


def environment(directory, image):
    """What a reader of the numbers must know of the machine."""
    def output(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False, cwd=TOP).stdout.decode().strip()
    return {'kernel': platform.release(), 'cpus': os.cpu_count(),
            'file_system': image or output('stat', '-f', '-c', '%T', directory),
            'commit': output('git', 'rev-parse', '--short', 'HEAD'),
            'swift': output('dpkg-query', '-W', '-f', '${Version}', 'python3-swift'),
            'load_average': os.getloadavg()[0]}
