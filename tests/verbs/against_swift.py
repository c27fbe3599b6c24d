#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ranges and conditions: the same questions to verbs_tool and to Debian's swob.

Usage: against_swift.py VERBS_TOOL [SEED]     exits 77 where Swift is not installed."""
import random
import subprocess
import sys
import time

try:
    from swift.common import swob
except ImportError as e:
    print('skipped: python3-swift is not installed: %s' % e)
    sys.exit(77)

SIZES = [0, 1, 2, 7, 10, 100, 1000, 10 ** 12]
RANGES = 6000
CONDITIONS = 4000
TAGS = ['e', '"e"', 'x', '"x"', '*', '"*"', 'W/"e"', '', '"', '""', ' "e" ', 'E']
BASE = 784111777


def some_number(rnd, size):
    return rnd.choice([0, 1, size - 1, size, size + 1, rnd.randrange(size + 2),
                       rnd.randrange(12), 10 ** 25]) if size else rnd.randrange(3)


def some_item(rnd, size):
    a, b = max(0, some_number(rnd, size)), max(0, some_number(rnd, size))
    kind = rnd.randrange(40)
    if kind == 0:
        return rnd.choice(['', '-', 'a-b', '1', '--5', '5-a', '-a', '1-2-3'])
    if kind == 1:
        return '%d-%d' % (a, b)
    if kind < 10:
        return '%d-' % a
    if kind < 18:
        return '-%d' % b
    return '%d-%d' % (min(a, b), max(a, b))


def some_range(rnd, size):
    count = rnd.choice([1, 1, 1, 2, 2, 3, 4, 7, 8, 9, 49, 50, 51, 52])
    if count > 4:   # few of the above survive in such numbers
        step = rnd.choice([2, 3])
        order = list(range(count))
        if rnd.random() < 0.4:
            rnd.shuffle(order)
        items = ['%d-%d' % (i * step, i * step + rnd.choice([0, 0, 0, 0, 0, 0, 1, 4]))
                 for i in order]
    else:
        items = [some_item(rnd, size) for _ in range(count)]
    text = rnd.choice(['bytes=', 'bytes=', 'bytes=', 'Bytes=', 'bytes = ', 'BYTES=', 'bites='])
    return text + rnd.choice([',', ',', ', ']).join(items)


def swift_range(size, header):
    try:
        ranges = swob.Range(header).ranges_for_length(size)
    except ValueError:
        return 'ignored'
    if not ranges:
        return 'unsatisfiable'
    if size == 0:
        return 'ignored'
    return ' '.join('%d-%d' % r for r in ranges)


def some_list(rnd):
    return ','.join(rnd.choice(TAGS) for _ in range(rnd.randrange(5)))


def http_date(seconds, form):
    t = time.gmtime(seconds)
    return time.strftime(['%a, %d %b %Y %H:%M:%S GMT', '%A, %d-%b-%y %H:%M:%S GMT',
                          '%a %b %d %H:%M:%S %Y'][form], t)


def some_date(rnd):
    if rnd.random() < 0.5:
        return ''
    if rnd.random() < 0.1:
        return rnd.choice(['yesterday', '0', 'Sun, 99 Nov 1994 08:49:37 GMT'])
    return http_date(BASE + rnd.choice([-1, 0, 1, -86400, 86400]), rnd.randrange(3))


def swift_conditions(found, modified, etag, im, inm, ims, ius):
    headers = {}
    for name, value in (('If-Match', im), ('If-None-Match', inm),
                        ('If-Modified-Since', ims), ('If-Unmodified-Since', ius)):
        if value:
            headers[name] = value
    req = swob.Request.blank('/', headers=headers)
    resp = swob.Response(request=req, conditional_response=True,
                         status=200 if found else 404)
    if found:
        resp.etag = etag
        resp.last_modified = modified
    return str(resp._get_conditional_response_status() or 0)


def questions(rnd):
    for _ in range(RANGES):
        size = rnd.choice(SIZES)
        header = some_range(rnd, size)
        yield 'range %d %s' % (size, header), swift_range(size, header)
    for _ in range(CONDITIONS):
        etag, tags = rnd.choice(['e', '"e"', 'x', 'y']), some_list(rnd)
        yield ('match %s %s' % (etag, tags),
               'yes' if etag in swob.Match(tags) else 'no')
        found = rnd.random() < 0.8
        im, inm = ('' if rnd.random() < 0.5 else some_list(rnd) for _ in range(2))
        ims, ius = some_date(rnd), some_date(rnd)
        yield ('conditions %d %d|%s|%s|%s|%s|%s' % (found, BASE, 'e', im, inm, ims, ius),
               swift_conditions(found, BASE, 'e', im, inm, ims, ius))
    for _ in range(1000):
        seconds = rnd.randrange(-10 ** 9, 4 * 10 ** 9)
        form = rnd.choice([0, 2]) if not -31536000 < seconds < 3 * 10 ** 9 else rnd.randrange(3)
        yield 'date %s' % http_date(seconds, form), str(seconds)


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20301
    asked = list(questions(random.Random(seed)))
    done = subprocess.run([sys.argv[1]], input='\n'.join(q for q, _ in asked) + '\n',
                          stdout=subprocess.PIPE, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(asked), (len(answers), len(asked))
    kinds = {}
    bad = 0
    for (question, expected), answer in zip(asked, answers):
        key = question.split()[0] + ' ' + (expected if not expected[0].isdigit() or
                                           len(expected) < 4 else '(number)')
        kinds[key] = kinds.get(key, 0) + 1
        if answer != expected:
            bad += 1
            if bad <= 20:
                print('%s\n   swift %s\n   here  %s' % (question, expected, answer))
    print('seed %d: %d questions, %d differ' % (seed, len(asked), bad))
    for kind in sorted(k for k in kinds if kinds[k] > 20):
        print('  %6d %s' % (kinds[kind], kind))
    sys.exit(1 if bad else 0)


main()
