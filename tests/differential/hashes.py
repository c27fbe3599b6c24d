# SPDX-License-Identifier: Apache-2.0
"""REPLICATE from a seed: what a partition's hashes are, in any state, and after changes.

A partition has a few objects in states of states.py or coded.py, maybe a hashes.pkl and a
hashes.invalid that tell the truth, lie, or make no sense, and is asked before and after
requests that change it. What 2.30.1 does wrong with such files (a line that is no suffix spoils
the cache) is left to the scenarios.
"""
import os
import pickle
import random

from harness import tree

import coded
import states
from generate import Case, Step

SIMPLE = [s for s in states.ALL if s is not states.hash_dir_is_file]


class State:
    """What lies in the partition, decided when the case is made."""

    def __init__(self, rnd, policy):
        self.seed = rnd.random()
        self.policy = policy
        one = lambda: coded.State(rnd) if policy == 2 else rnd.choice(SIMPLE)
        self.main = states.hash_dir_is_file if rnd.random() < .1 else one()
        self.others = [one() for _ in range(rnd.choice([0, 0, 1, 2, 4]))]
        self.__name__ = self.main.__name__

    def __call__(self, place):
        rnd = random.Random(self.seed)      # called once for each side
        self.main(place)
        partition = os.path.dirname(os.path.dirname(place.directory))
        for i, state in enumerate(self.others):
            other = f'{place.name}-{i}'
            directory = os.path.join(partition, tree.hash_of(other)[-3:], tree.hash_of(other))
            there = states.Place.__new__(states.Place)
            there.directory, there.name, there.base = directory, other, place.base
            state(there)
        self.leftovers(rnd, partition)

    def leftovers(self, rnd, partition):
        if rnd.random() < .15:
            os.makedirs(os.path.join(partition, 'abc', '0' * 32))      # of an aborted upload
        if rnd.random() < .1:
            os.makedirs(os.path.join(partition, 'def'))
        if rnd.random() < .1 and os.path.isdir(partition):
            open(os.path.join(partition, 'fff'), 'w').close()
        there = sorted(os.listdir(partition)) if os.path.isdir(partition) else []
        if there and rnd.random() < .4:
            self.write(partition, 'hashes.pkl', self.cache(rnd, there))
        if there and rnd.random() < .4:
            lines = rnd.choices(there + ['0a0'], k=rnd.choice([0, 1, 2]))
            self.write(partition, 'hashes.invalid', ''.join(l + '\n' for l in lines).encode())

    def cache(self, rnd, there):
        lie = lambda: '%032x' % rnd.getrandbits(128)    # each its own: a pickle refers to equal objects
        known = lambda: rnd.choice([None, None, {None: lie(), 1: lie()} if self.policy == 2 else lie()])
        found = {suffix: known() for suffix in there if rnd.random() < .7}
        if rnd.random() < .2:
            found['0a1'] = known()
        found['valid'] = rnd.random() < .8
        found['updated'] = 1700000000.5
        return rnd.choice([pickle.dumps(found, 2)] * 6 + [b'', b'garbage', pickle.dumps({b'abc': lie()}, 2)])

    @staticmethod
    def write(partition, name, content):
        with open(os.path.join(partition, name), 'wb') as f:
            f.write(content)
        os.chmod(os.path.join(partition, name), 0o600 if name == 'hashes.pkl' else 0o644)


class Generator:
    def __init__(self, seed, base):
        self.rnd = random.Random(seed)
        self.base = base
        self.count = 0
        self.changes = coded.Generator(seed, base)

    def chance(self, p):
        return self.rnd.random() < p

    def ask(self, partition, suffix, policy):
        tail = self.rnd.choice(['', '', '', '', '/'])
        if self.chance(.35):
            names = self.rnd.choices([suffix, 'abc', '0a0', 'xyz', 'ABC', '', 'abcd', 'ab', 'a/b', '%C3%A9'],
                                     k=self.rnd.choice([1, 1, 2, 3]))
            tail = '/' + '-'.join(names)
        target = f'/sda1/{partition}{tail}'
        h = [('X-Backend-Storage-Policy-Index', str(policy))] if policy or self.chance(.2) else []
        if self.chance(.1):
            h.append(self.rnd.choice([('Range', 'bytes=0-4'), ('If-None-Match', '*'), ('If-Match', '"x"'),
                                      ('X-Backend-Replication', 'true'), ('Content-Length', '0'),
                                      ('Connection', 'close')]))
        if self.chance(.06):
            target = self.rnd.choice(['/sda1', '/sda1/', '/nodev/1', '/nodev/1/abc', '/sda1/..', '/sda1/./abc',
                                      '//1', '/', '/sda1//abc', f'/sda1/no{partition}', '/sda1/%ff',
                                      '/sda1/' + 'x' * 300, f'/sda1/x%20y{partition}'])
        if self.chance(.03):
            h = [('X-Backend-Storage-Policy-Index', self.rnd.choice(['9', 'x', '-1', '']))]
        return Step('REPLICATE', target, h, None)

    @staticmethod
    def succeeds(put):
        """Of one that fails Swift keeps the directories, and then asks them."""
        told = dict(put.headers)
        return (told.get('X-Object-Sysmeta-Ec-Frag-Index') in ('0', '1', '2') and
                'X-Backend-Ssync-Frag-Index' not in told)

    def change(self, target, policy):
        if policy == 2 and self.chance(.5):
            step = self.changes.change(target, policy)
            if step.method != 'PUT' or self.succeeds(step):
                return step
        h = [('X-Timestamp', f'{self.base + self.rnd.choice([5, 10, 15, 20, 30, 40])}.00000'),
             ('X-Backend-Storage-Policy-Index', str(policy))]
        method = self.rnd.choice(['PUT', 'POST', 'DELETE'] if policy == 0 else ['POST', 'DELETE'])
        if method == 'PUT':
            return Step(method, target, h + [('Content-Type', 'a/b')], ('plain', b'new'))
        return Step(method, target, h, None)

    def cases(self, count):
        for _ in range(count):
            policy = self.rnd.choice([0, 2])
            self.count += 1
            partition = 700000 + self.count
            name = f'/a/c/hashes{self.count}'
            suffix = tree.hash_of(name)[-3:]
            state = State(self.rnd, policy) if self.chance(.9) else coded.nothing
            steps = [self.ask(partition, suffix, policy)]
            for _ in range(self.rnd.choice([0, 0, 1, 2, 4])):
                steps.append(self.change(f'/sda1/{partition}{name}', policy) if self.chance(.5) else
                             self.ask(partition, suffix, policy))
            steps.append(Step('REPLICATE', f'/sda1/{partition}', [('X-Backend-Storage-Policy-Index', str(policy))],
                              None))
            yield Case(f'hashes/{self.count}/p{policy}/{state.__name__}', policy, state, name, partition, steps, None)
