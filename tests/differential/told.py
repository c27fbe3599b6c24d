# SPDX-License-Identifier: Apache-2.0
"""What container servers are told, and what is left for them on the disk, made comparable.

    told = Told()                       HOSTS recording container servers
    told.expect(answers)                per host, the answers to the next requests; then 201
    told.own(headers)                   HOST0, HOST1 become addresses
    told.lines(device)                  what was sent and what lies in async_pending, which is
                                        removed: the next case starts from nothing
"""
import os
import re
import shutil

from harness import containers

HOSTS = 2
POLICIES = (0, 1, 2)


class Told:
    def __init__(self):
        self.fakes = [containers.Fake() for _ in range(HOSTS)]

    def close(self):
        for fake in self.fakes:
            fake.stop()

    def expect(self, answers):
        for fake, row in zip(self.fakes, answers or [[]] * HOSTS):
            fake.requests.clear()
            fake.answers = [a if isinstance(a, int) else containers.redirect(**a) for a in row]

    def own(self, headers):
        return [(n, self._replace(v)) for n, v in headers]

    def own_bytes(self, head):
        return self._replace(head.decode('latin-1')).encode('latin-1')

    def _replace(self, text):
        for i, fake in enumerate(self.fakes):
            text = text.replace(f'HOST{i}', fake.host)
        return text

    def _common(self, text):
        for i, fake in enumerate(self.fakes):
            text = text.replace(fake.host, f'HOST{i}')
        return re.sub(r'^object-server \d+$', 'object-server PID', text)

    def _headers(self, pairs):
        return sorted((n, self._common(v)) for n, v in pairs)

    def lines(self, device):
        found = []
        for i, fake in enumerate(self.fakes):
            found += sorted(f'sent to {i}: {u.op} {u.path} {self._headers(u.headers)}'
                            for u in fake.requests)
        for policy in POLICIES:
            found += self._pendings(device, policy)
        return found

    def _pendings(self, device, policy):
        directory = os.path.join(device, 'async_pending' + (f'-{policy}' if policy else ''))
        if not os.path.isdir(directory):
            return
        for name, pending in sorted(containers.pendings(device, policy).items()):
            headers = self._headers(pending.pop('headers').items())
            yield f'left in {policy}: {name} {sorted(pending.items())} {headers}'
        shutil.rmtree(directory)


def differences(a, b):
    """Lines, as run.py prints them."""
    for line in a:
        if line not in b:
            yield f'told swift={line!r} objsrv=None'
    for line in b:
        if line not in a:
            yield f'told swift=None objsrv={line!r}'
    if a != b and sorted(set(a)) == sorted(set(b)):
        yield f'told swift={len(a)} objsrv={len(b)} times'


# ---- headers that make a server tell somebody ----

def some(rnd, chance, name, *values):
    return [(name, rnd.choice(values))] if rnd.random() < chance else []


def container_headers(rnd):
    """Of a well-behaved proxy, mostly. (updates.py has the others.)"""
    found = [('X-Container-Partition', '77')] + some(rnd, .95, 'X-Container-Host', 'HOST0', 'HOST0',
                                                     'HOST0,HOST1', '')
    hosts = dict(found).get('X-Container-Host', '')
    found.append(('X-Container-Device', 'cd,ce' if ',' in hosts else 'cd'))
    found += some(rnd, .2, 'X-Backend-Container-Update-Override-Etag', 'low')
    found += some(rnd, .2, 'X-Object-Sysmeta-Container-Update-Override-Size', '77')
    found += some(rnd, .1, 'X-Backend-Container-Path', '.shards_a/c-1')
    return found


def queue_headers(rnd):
    return (some(rnd, .8, 'X-Delete-At-Host', 'HOST0', 'HOST1', '') +
            [('X-Delete-At-Device', 'qd'), ('X-Delete-At-Partition', '9'),
             ('X-Delete-At-Container', '1234500000')] +
            some(rnd, .1, 'X-Backend-Clean-Expiring-Object-Queue', 'false'))
