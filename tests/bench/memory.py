# SPDX-License-Identifier: Apache-2.0
"""What a running contestant's memory grows by: uploads in flight, idle connections."""
import os
import resource
import shutil
import socket

UPLOAD_BYTES = 1 << 30
SENT_BYTES = 8 << 20        # of each, then it stays open
BLOCK = bytes(1 << 20)
FILES_NEEDED = 10000 + 500


def uploads_in_flight(contestant, count):
    """Holds `count` uploads open mid-way. How many they were, and KiB of peak memory per
    upload: of all, with what a server needs but once (threads), and of the last three quarters."""
    room = shutil.disk_usage(contestant.root).free // 2 // UPLOAD_BYTES
    count = max(4, min(count, room))
    contestant.reset_peak()
    before, _ = contestant.memory()
    first = count // 4
    uploads = [_begin_upload(contestant, i) for i in range(first)]
    _send_to_all(uploads)
    _, peak_of_first = contestant.memory()
    uploads += [_begin_upload(contestant, i) for i in range(first, count)]
    _send_to_all(uploads)
    _, peak = contestant.memory()
    for s in uploads:
        s.close()
    return {'uploads': count, 'upload_kib': (peak - before) / count,
            'further_upload_kib': (peak - peak_of_first) / (count - first)}


def _begin_upload(contestant, i):
    s = socket.create_connection(('127.0.0.1', contestant.port), 60)
    path = contestant.path('flight').replace('{p}', '0').replace('{i}', str(i))
    s.sendall((f'PUT {path} HTTP/1.1\r\nHost: x\r\nX-Timestamp: 1700000000.{i:05}\r\n'
               f'Content-Type: application/octet-stream\r\n'
               f'Content-Length: {UPLOAD_BYTES}\r\n\r\n').encode('ascii'))
    return s


def _send_to_all(uploads):
    """By turns, so that all have a full socket at the same time."""
    for _ in range(SENT_BYTES // len(BLOCK)):
        for s in uploads:
            s.sendall(BLOCK)


def raise_file_limit():
    """For this process and the servers it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= FILES_NEEDED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_NEEDED, hard))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_NEEDED, FILES_NEEDED))


def idle_connections(contestant, count):
    """Opens `count` keep-alive connections, each with one request behind it, then asks all of
    them once more. (answered the second time, KiB of growth)"""
    before, _ = contestant.memory()
    held = []
    try:
        for _ in range(count):
            s = socket.create_connection(('127.0.0.1', contestant.port), 60)
            held.append(s)
            _healthy(s)
        after, _ = contestant.memory()
        return sum(_healthy(s) for s in held), after - before
    finally:
        for s in held:
            s.close()


def _healthy(s):
    s.sendall(b'GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n')
    try:
        return s.recv(4096).startswith(b'HTTP/1.1 200')
    except OSError:
        return False


def file_limit_problem():
    try:
        raise_file_limit()
    except (ValueError, OSError) as e:
        return f'the limit of open files cannot be raised to {FILES_NEEDED}: {e}'
    return None


def prime_page_cache(root):
    """Reads every file below `root` once, so that GET measures the page cache for all."""
    for path, _, files in os.walk(root):
        for name in files:
            with open(os.path.join(path, name), 'rb', buffering=0) as f:
                while f.read(1 << 20):
                    pass


def empty_page_cache():
    """Of the whole machine: files, and the directories and inodes on the way to them."""
    os.sync()
    with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
        f.write('3')
