#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""diskfile/format/ against Debian's Swift: the same seeded random questions to both.

usage: against_swift.py FORMAT_TOOL [SEED]

Must run under Debian's Python, which has python3-swift. Where this project differs on
purpose (negative offsets, times that round up out of range, ...) the difference is spelled
out in swift_time() and swift_parse(), and nowhere else.
"""
import io
import logging
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from unittest import mock

from swift.common.header_key_dict import HeaderKeyDict
from swift.common.utils import Timestamp
from swift.obj import diskfile

END = 10 ** 10
NOW = 1700600000
RECLAIM_AGE = 599998  # of the times in TIMES, the first two are older
TIMES = ['%010d.00000' % t for t in range(1700000000, 1700000005)]
KINDS = {'.data': '.data', '.meta': '.meta', '.ts': '.ts', '.durable': '.durable'}
MARKER = b'_codecs\nencode'


class Fragments:
    """What parsing asks of an erasure-coding policy."""
    ec_ndata, ec_nparity = 4, 2


class Policy:
    def __init__(self, word, manager, swift_policy):
        self.word, self.manager, self.swift_policy = word, manager, swift_policy


def make_policies():
    logger = logging.getLogger('swift')
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    conf = {'devices': '/nonexistent', 'mount_check': 'false',
            'reclaim_age': str(RECLAIM_AGE), 'commit_window': str(10 ** 12)}
    replicated = diskfile.DiskFileManager(conf, logger)
    coded = diskfile.ECDiskFileManager(conf, logger)
    return [Policy('r', replicated, None), Policy('e0', coded, None),
            Policy('e6', coded, Fragments)]


class Questions:
    """Collects questions with what Swift says; asks the tool all of them in one run."""

    def __init__(self, tool):
        self.tool, self.lines, self.wants = tool, [], []

    def add(self, question, want):
        self.lines.append(question)
        self.wants.append(want)

    def ask(self):
        run = subprocess.run([self.tool], input='\n'.join(self.lines) + '\n', text=True,
                             stdout=subprocess.PIPE, check=True)
        answers = run.stdout.split('\n')[:-1]
        assert len(answers) == len(self.lines), 'the tool lost an answer'
        wrong = 0
        for line, want, got in zip(self.lines, self.wants, answers):
            if want is not None and want != got:
                wrong += 1
                if wrong <= 10:
                    print('question  %s\n  swift   %s\n  we      %s' %
                          (readable(line), readable(want), readable(got)))
        return wrong


def hexed(data):
    return data.hex() or '-'


def readable(line):
    """Hex words that are plain text, as text."""
    def word(w):
        try:
            text = bytes.fromhex(w).decode('ascii')
        except ValueError:
            return w
        return text if len(w) > 2 and text.isprintable() else w
    return ' '.join(word(w) for w in line.split(' '))[:400]


# ---- timestamps and names ----

def swift_time(make):
    """The internal form, None where refused."""
    try:
        t = make()
    except (ValueError, OverflowError):  # inf: Swift's own accident
        return None
    if t.offset < 0 or float(t.normal) >= END:
        return None  # accepted by 2.30.1, refused by us
    if t.timestamp == 0:
        t = Timestamp(0, offset=t.offset)  # -0 prints a sign there
    return t


def random_time(rng):
    whole = rng.choice([0, 1, 1700000000, 9999999999, rng.randrange(END), rng.randrange(2 * END)])
    forms = [
        lambda: '%.5f' % (whole + rng.random()),
        lambda: '%016.5f' % (whole + rng.random()),
        lambda: '%d.%0*d' % (whole, rng.randint(1, 12), rng.randrange(100)),
        lambda: '%d.%05d5' % (whole, rng.randrange(100000)),
        lambda: repr(rng.uniform(0, END)),
        lambda: '%.*e' % (rng.randint(0, 17), rng.uniform(0, 10 ** rng.randint(-7, 11))),
        lambda: str(whole),
        lambda: '.%d' % rng.randrange(10 ** rng.randint(1, 9)),
        lambda: '%d.' % whole,
        lambda: rng.choice(['', '-', '+', '.', 'e', '1e', 'inf', '-inf', 'nan', '0x10', '-0', '-0.0',
                            '-1e-9', '1e400', '1e-400', '1 2', '9999999999.999994',
                            '9999999999.999996', 'Infinity']),
    ]
    text = rng.choice(forms)()
    if rng.random() < 0.1:
        text = rng.choice('+- \t\n') + text
    if rng.random() < 0.1:
        text += rng.choice(' \r\x0b\x1c\0x')
    return text


def random_offset(rng):
    return rng.choice(['', '', '', '', '_', '_0', '_%x' % rng.randrange(300),
                       '_%016x' % rng.randrange(1 << 64), '_%x' % rng.randrange(1 << 66), '_-1',
                       '_+f', '_0x1f', '_ 1 ', '_1_1', '__1', '_g', '_00000000000000000001'])


def ask_timestamps(q, rng, count):
    for _ in range(count):
        text = random_time(rng) + random_offset(rng)
        t = swift_time(lambda: Timestamp(text))
        want = 'bad' if t is None else '%s %s' % (t.internal, t.short)
        q.add('timestamp ' + hexed(text.encode()), want)


def swift_parse(name, policy):
    try:
        info = policy.manager.parse_on_disk_filename(name, policy.swift_policy)
    except (diskfile.DiskFileError, OverflowError):
        return 'bad'
    index = info.get('frag_index')
    if index is not None and index >= 1 << 31:
        return 'bad'
    t = swift_time(lambda: info['timestamp'])
    ctype = info['ctype_timestamp']
    ctype = swift_time(lambda: ctype) if ctype is not None else 'none'
    if t is None or ctype is None:
        return 'bad'
    return '%s %s %s %d %d' % (KINDS.get(info['ext'], 'other'), t.internal,
                               getattr(ctype, 'internal', ctype), -1 if index is None else index,
                               bool(info.get('durable')))


def random_name(rng):
    time = rng.choice(['%016.5f' % rng.uniform(0, END - 1), '1700000001.00000', '0000000000.00000',
                       '9999999999.99999', '1', '1.5', '', 'x'])
    offset = rng.choice(['', '', '_0000000000000001', '_1', '_-1'])
    deltas = ''.join(rng.choice('+-') + rng.choice(
        ['0', '0', '186a0', '%x' % rng.randrange(1 << rng.randint(1, 60)), '', 'x', '0x1', '1_0',
         ' 1', '000']) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4])))
    parts = ''.join('#' + rng.choice(['0', '1', '5', '6', '01', '+1', '-1', 'd', 'D', '', 'x', ' 2',
                                      '1_1', '2147483647', '99999999999'])
                    for _ in range(rng.choice([0, 1, 2, 2, 3])))
    if rng.random() < 0.5:
        parts = ''
    if rng.random() < 0.5:
        deltas = ''
    ext = rng.choice(['.data', '.data', '.meta', '.meta', '.ts', '.durable', '.foo', '', '.', '.DATA'])
    name = rng.choice(['', '', '', '', '', '.', '..']) + time + offset + deltas + parts + ext
    if rng.random() < 0.1 and name:
        at = rng.randrange(len(name))
        name = name[:at] + rng.choice('.#+-_d0 ') + name[at + 1:]
    return name


def ask_names(q, rng, policies, count):
    for _ in range(count):
        name, policy = random_name(rng), rng.choice(policies)
        q.add('parse %s %s' % (policy.word, hexed(name.encode())), swift_parse(name, policy))


# ---- metadata ----

def random_bytes(rng, most):
    alphabet = rng.choice([b'0', b'ab', bytes(range(32, 127)), bytes(range(256)),
                           'äöüß日本語'.encode()])
    return bytes(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 1, 2, rng.randint(0, most)])))


def random_items(rng):
    items = {}
    for _ in range(rng.choice([0, 1, 2, 5, 10, 20, rng.randint(0, 60)])):
        key = rng.choice([b'name', b'X-Timestamp', b'Content-Length', b'X-Object-Meta-' +
                          random_bytes(rng, 20), random_bytes(rng, 20)])
        items[key] = random_bytes(rng, 300)
    return items


def as_swift_holds_it(items):
    """Wire bytes as the strings of a running Swift: WSGI text, but for the name."""
    return {k.decode('latin1'): v.decode('utf8', 'surrogateescape') if k == b'name'
            else v.decode('latin1') for k, v in items.items()}


def swift_pickle(metadata):
    return pickle.dumps(diskfile._encode_metadata(metadata), diskfile.PICKLE_PROTOCOL)


def items_text(items):
    return ' '.join('%s=%s' % (hexed(k), hexed(v)) for k, v in items.items())


def wire_of_swift(metadata):
    """The reverse of as_swift_holds_it()."""
    def wire(text, codec):
        return (text if isinstance(text, str) else str(text)).encode(*codec)
    return {k.encode('latin1'): wire(v, ('utf8', 'surrogateescape') if k == 'name' else ('latin1',))
            for k, v in metadata.items()}


def ask_metadata(q, rng, count):
    sizes = [999, 1000, 1001, 2000]
    for i in range(count):
        items = random_items(rng)
        if i < len(sizes):
            items = {b'Key-%d' % n: b'0' * (n % 3) for n in range(sizes[i])}
        pickled = swift_pickle(as_swift_holds_it(items))
        q.add('encode ' + items_text(items), hexed(pickled))
        if not items or MARKER in pickled[:32]:
            q.add('decode ' + hexed(pickled), items_text(items))
        with_numbers = as_swift_holds_it(items)
        with_numbers['X-Object-Sysmeta-Ec-Frag-Index'] = rng.choice(
            [0, 255, 256, 65535, 65536, -1, -(1 << 31), 1 << 31, 1 << 62, True, None, 0.1, 1.5])
        pickled = swift_pickle(with_numbers)
        back = diskfile._decode_metadata(pickle.loads(pickled, encoding='bytes'))
        if MARKER in pickled[:32]:
            q.add('decode ' + hexed(pickled), items_text(wire_of_swift(back)))


def python2_pickle(items):
    """As Python 2's cPickle writes a dict of str."""
    out, memo = b'\x80\x02}q\x01', 2
    if items:
        out += b'('
    for text in (t for item in items.items() for t in item):
        short = len(text) < 256
        out += b'U' + bytes([len(text)]) if short else b'T' + struct.pack('<i', len(text))
        out += text + (b'q' + bytes([memo]) if memo < 256 else b'r' + struct.pack('<I', memo))
        memo += 1
    return out + (b'u.' if items else b'.')


def ask_python2_metadata(q, rng, count):
    for _ in range(count):
        items = random_items(rng)
        pickled = python2_pickle(items)
        assert pickle.loads(pickled, encoding='bytes') == items
        q.add('decode ' + hexed(pickled), items_text(items))


class Careful(pickle.Unpickler):
    """Python's reader, without the power to call what a damaged pickle names."""

    def find_class(self, module, name):
        if (module, name) in (('_codecs', 'encode'), ('__builtin__', 'bytes'), ('builtins', 'bytes')):
            return super().find_class(module, name)
        raise pickle.UnpicklingError('forbidden')


def python_reads(pickled):
    """(readable, wire items) as section 7.2 of the format asks; independent of Swift."""
    by_python3 = MARKER in pickled[:32]

    def wire(item, is_name):
        if not isinstance(item, (str, bytes)):
            return str(item).encode()
        raw = item if isinstance(item, bytes) else item.encode('utf8')
        if is_name or not by_python3:
            return raw
        points = [ord(c) for c in raw.decode('utf8', 'surrogateescape')]
        points = [p - 0xdc00 if 0xdc80 <= p <= 0xdcff else p for p in points]
        return bytes(points) if all(p < 256 for p in points) else raw

    try:
        metadata = Careful(io.BytesIO(pickled), encoding='bytes').load()
        items = {}
        for key, value in metadata.items():
            key = wire(key, False)
            items[key] = wire(value, key == b'name')
        return items
    except Exception:  # whatever a damaged pickle makes Python raise
        return None


def damaged_pickles(rng, count):
    for _ in range(count):
        items = random_items(rng)
        make = python2_pickle if rng.random() < 0.3 else lambda i: swift_pickle(as_swift_holds_it(i))
        pickled = bytearray(make(items))
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            pickled[rng.randrange(len(pickled))] = rng.choice([rng.randrange(256), ord('h'), ord('q')])
        yield bytes(pickled)


def check_damaged(tool, rng, count):
    """We may refuse what Python reads; what we accept must read the same in Python."""
    pickles = list(damaged_pickles(rng, count))
    run = subprocess.run([tool], input=''.join('decode %s\n' % hexed(p) for p in pickles), text=True,
                         stdout=subprocess.PIPE, check=True)
    wrong = accepted = 0
    for pickled, got in zip(pickles, run.stdout.split('\n')):
        if got == 'bad':
            continue
        accepted += 1
        want = python_reads(pickled)
        if want is None or sorted(items_text(want).split(' ')) != sorted(got.split(' ')):
            wrong += 1
            print('damaged pickle %r\n  python %r\n  we     %s' % (pickled, want, got))
    print('damaged pickles: %d of %d still read' % (accepted, len(pickles)))
    assert accepted > count // 20, 'too few to mean anything'
    return wrong


def ask_titles(q, rng, count):
    for _ in range(count):
        name = ''.join(rng.choice('aAbzZ-_29\xfc{@') for _ in range(rng.randint(0, 12)))
        name = rng.choice([name, name, 'etag', 'ETAG', 'x-etag'])
        title = HeaderKeyDict._title(name.replace('_', '-'))
        title = 'ETag' if title == 'Etag' else title
        q.add('title ' + hexed(name.encode('latin1')), hexed(title.encode('latin1')))


# ---- the choice of files ----

def random_directory(rng, coded):
    names = set()
    for _ in range(rng.choice([0, 1, 2, 3, 4, 5, 6, 8, 12])):
        time = rng.choice(TIMES)
        offset = rng.choice(['', '', '', '', '_0000000000000001'])
        kind = rng.choice(['data'] * 6 + ['meta'] * 5 + ['ts', 'ts', 'durable', 'foo', 'junk'])
        if kind == 'meta':
            delta = rng.choice(['', '', '+0', '-186a0', '+186a0', '-30d40', '+30d40'])
            offset = offset and (offset if not delta else '_1')
            names.add(time + offset + delta + '.meta')
        elif kind == 'data' and (coded if rng.random() < 0.95 else not coded):
            names.add('%s%s#%d%s.data' % (time, offset, rng.randrange(8),
                                          rng.choice(['', '', '#d'])))
        elif kind == 'junk':
            names.add(rng.choice(['junk', '.%s.data.AbCdEf' % time, 'x.data', time]))
        else:
            names.add('%s%s.%s' % (time, offset, kind))
    return sorted(names, reverse=True)


def positions(infos, names):
    return {names.index(i['filename']) for i in infos}


def random_wish(rng, names, coded):
    """(frag_index, frag_prefs, the tool's word); indexes below 8, where Swift's sets are sorted."""
    if not coded or rng.random() < 0.3:
        return None, None, '-'
    index = rng.randrange(8) if rng.random() < 0.3 else None
    prefs = None
    if index is None or rng.random() < 0.5:
        times = sorted({n.split('#')[0] for n in names if '#' in n} | set(rng.sample(TIMES, 1)))
        rng.shuffle(times)
        prefs = [{'timestamp': Timestamp(t), 'exclude': rng.sample(range(8), rng.choice([0, 1, 3, 7]))}
                 for t in times[:rng.randint(0, 3)] if t[0].isdigit()]
    word = '' if index is None else 'i%d' % index
    if prefs is not None:
        word += 'p' + ';'.join('%s:%s' % (p['timestamp'].internal, ','.join(map(str, p['exclude'])))
                               for p in prefs)
    return index, prefs, word


def swift_select(names, policy, wish):
    """The question's answer without order, and the names left after cleanup (or None)."""
    index, prefs, _ = wish
    told = {'frag_index': index, 'frag_prefs': prefs} if policy.word != 'r' else {}
    r = policy.manager.get_ondisk_files(names, '/d', verify=False, policy=policy.swift_policy, **told)
    chosen = {key: names.index(os.path.basename(r[key + '_file'])) if r[key + '_file'] else -1
              for key in ('data', 'meta', 'ctype', 'ts')}
    obsolete = positions(r.get('obsolete', []), names)
    chosen['obsolete'] = obsolete
    chosen['reclaim'] = positions(r.get('possible_reclaim', []), names) - obsolete
    sets = r.get('frag_sets', {})
    chosen['listed'] = positions([f for one in sets.values() for f in one], names) - obsolete
    durable = r.get('durable_frag_set')
    chosen['durable'] = durable[0]['timestamp'].internal if durable else '-'
    return chosen


def same_fragment(names, a, b):
    """T#1.data and T#1#d.data: Swift takes what comes first in the list, we the durable one."""
    return a >= 0 and b >= 0 and (names[a].replace('#d.', '.') == names[b].replace('#d.', '.'))


def swift_cleanup(names, policy, scratch):
    """Positions of what a real cleanup unlinks; None where Swift trips over itself."""
    hash_dir = tempfile.mkdtemp(dir=scratch)
    for name in names:
        open(os.path.join(hash_dir, name), 'w').close()
    try:
        with mock.patch('swift.obj.diskfile.time.time', return_value=NOW):
            policy.manager.cleanup_ondisk_files(hash_dir, policy=policy.swift_policy)
    except ValueError:
        return None  # isolated .durable and reclaimable fragments: listed twice
    left = os.listdir(hash_dir) if os.path.isdir(hash_dir) else []
    return {names.index(n) for n in names if n not in left}


def parse_selection(answer):
    fields = dict(f.split('=') for f in answer.split(' '))
    got = {key: int(fields[key]) for key in ('data', 'meta', 'ctype', 'ts')}
    got['durable'] = fields['durable']
    for key in ('obsolete', 'reclaim', 'unlinked', 'listed'):
        got[key] = {int(n) for n in fields[key].split(',') if n}
    return got


def check_selections(tool, rng, policies, count, scratch):
    cases, lines = [], []
    for _ in range(count):
        policy = rng.choice(policies)
        names = random_directory(rng, policy.word != 'r')
        shuffled = list(range(len(names)))
        rng.shuffle(shuffled)
        wish = random_wish(rng, names, policy.word != 'r')
        cases.append((policy, names, shuffled, wish))
        lines.append('select %s %d %d %s %s\n' % (policy.word, NOW, RECLAIM_AGE, wish[2], ' '.join(
            hexed(names[i].encode()) for i in shuffled)))
    run = subprocess.run([tool], input=''.join(lines), text=True, stdout=subprocess.PIPE, check=True)
    wrong = tripped = 0
    for (policy, names, shuffled, wish), answer in zip(cases, run.stdout.split('\n')):
        got = parse_selection(answer)
        for key, value in got.items():
            if isinstance(value, set):
                got[key] = {shuffled[i] for i in value}
            elif key != 'durable':
                got[key] = shuffled[value] if value >= 0 else -1
        want = swift_select(names, policy, wish)
        if policy.word == 'r':
            got['listed'] = want['listed']
        if same_fragment(names, got['data'], want['data']):
            got['data'] = want['data']
        # What a wish changes is never cleaned up by.
        want['unlinked'] = swift_cleanup(names, policy, scratch) if wish[2] == '-' else got['unlinked']
        if want['unlinked'] is None:
            tripped += 1
            want['unlinked'] = got['unlinked']
        if got != want:
            wrong += 1
            if wrong <= 10:
                print('select %s %s %s\n  swift %s\n  we    %s' % (policy.word, wish[2], names, want, got))
    print('selections: %d, of which Swift raised in %d' % (len(cases), tripped))
    return wrong


def main():
    tool = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20240229
    rng = random.Random(seed)
    policies = make_policies()
    scratch = tempfile.mkdtemp(prefix='objsrv-format-')
    q = Questions(tool)
    ask_timestamps(q, rng, 6000)
    ask_names(q, rng, policies, 10000)
    ask_metadata(q, rng, 1000)
    ask_python2_metadata(q, rng, 500)
    ask_titles(q, rng, 500)
    try:
        wrong = q.ask()
        wrong += check_damaged(tool, rng, 4000)
        wrong += check_selections(tool, rng, policies, 4000, scratch)
    finally:
        shutil.rmtree(scratch)
    print('%d questions, %d answers differ (seed %d)' % (len(q.lines), wrong, seed))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
