# SPDX-License-Identifier: Apache-2.0
"""The same odd configuration files to this reader and to Debian's Swift.

usage: /usr/bin/python3 against_swift.py CONF_TOOL [COUNT]

The files are generated from a fixed seed, so a failure comes back.
"""
import os
import random
import subprocess
import sys
import tempfile

try:
    from paste.deploy import loadwsgi
    from swift.common import constraints, storage_policy, utils, wsgi
except ImportError as e:
    print('SKIP: Debian\'s python3-swift is not here (%s)' % e)
    sys.exit(77)

ANCHORS = 'a = one\nb = two\n'  # most files have them, so that %(a)s names something
NAMES = ['bind_port', 'workers', 'devices', 'log_name', 'Devices', 'c d', 'fallocate_reserve',
         'mount_check', 'x:y', 'set', 'é']
WRONG = ['%(nothing)s', '%(a)', '%(a)s 1%', '%(DEVICES)s', '%(c d)s', '%()s']
VALUES = ['1', '1%', '50%%', '', 'a b', '"quoted"', "'q'", 'x ; y', 'x # y', '%(a)s', '%(b)s/%(a)s',
          '%(here)s/x', '%(a)s%%', 'a = b', 'é ü', ' padded ', '[x]',
          '%', '%%(a)s', 'egg:swift#object', 'a,\n  b', 'a\n\tb\n\n  c',
          'x\n# comment\n  y', 'v\n  ; comment', 'x\n\n\n  y\n', '\n  below', 'a\rb = c', 'a\r\n  b']


class Source:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, *choices):
        return self.random.choice(choices)

    def often(self, chance):
        return self.random.random() < chance

    def option(self, name):
        if self.often(.25):
            name = self.one('set ', 'set  ', 'set ') + name
        elif self.often(.03):
            name = 'get ' + name
        return '%s%s%s%s%s\n' % (self.one('', '', '', '', '', '', '', ' ', '\t'), name,
                                 self.one(' = ', '=', ' : ', ':', '= '),
                                 self.random.choice(WRONG if self.often(.02) else VALUES),
                                 self.one('', '', ' ', '\t'))

    def odd_line(self):
        if self.often(.1):
            return self.one('[]\n', 'no delimiter\n', '= nothing before\n', ' [deep]\n')
        return self.one('# comment\n', '; comment\n', '  # deep comment\n', '\n', '   \n', '  more\n',
                        '\t; x\n', '\x0c\n', '    [no section]\n', '\t deeper = still\n',
                        '[other%d] tail\n' % self.random.randrange(1000000), ' \x1c more\n')

    def body(self, most, odd):
        text = ''
        for name in self.random.sample(NAMES, self.random.randrange(most)):
            text += self.odd_line() if self.often(odd) else self.option(name)
        if self.often(.02):
            text += self.option('workers')
        if self.often(.1):  # all of it deeper: still options, not continuations
            text = ''.join('  ' + line for line in text.splitlines(True))
        return text

    def file(self):
        odd = self.one(0, 0, .1, .3)
        parts = ['[DEFAULT]\n' + self.one(ANCHORS, ANCHORS, ANCHORS, '') + self.body(6, odd),
                 '[pipeline:main]\n' + self.one('', '', '', 'set a = from the pipeline\n') +
                 'pipeline = object-server\n',
                 self.one('[app:object-server]\n', '[app:object-server]\n', '[app: object-server ]\n',
                          '[app:object-server] tail\n',
                          '[app:object-server] tail ]\n' if self.often(.1) else '[app:object-server]\n') +
                 'use = egg:swift#object\n' + self.body(7, odd)]
        if self.often(.3):
            self.random.shuffle(parts)
        if self.often(.05):
            parts.append(self.one('[DEFAULT]\na = later\n', '[app:object-server]\nz = 1\n', '[filter:x]\n'))
        if self.often(.05):
            parts.insert(0, self.one('\n# head\n', 'a = 1\n', '\ufeff', ' \n'))
        return ''.join(parts)

    def policy(self, index, place):
        text = '[storage-policy:%s]\n' % (self.one('-1', 'x', '01', '') if self.often(.03) else index)
        if self.often(.97):
            text += 'name = %s\n' % (self.one('gold', 'GOLD', 'Policy-0', 'a b') if self.often(.2)
                                     else self.one('n', 'N-') + index)
        if place == 0 and self.often(.9) or self.often(.1):
            text += 'default = %s\n' % self.one('yes', 'TRUE', 'on')
        if self.often(.1):
            text += 'deprecated = %s\n' % self.one('yes', 'no')
        if self.often(.2):
            text += 'aliases = %s\n' % self.one('gold', 'x%s, y%s' % (index, index), 'y,y', '', 'n' + index)
        if self.often(.03):
            text += 'unknown = 1\n'
        if self.often(.4):
            text += 'policy_type = erasure_coding\n' if self.often(.9) else 'policy_type = other\n'
            text += ('ec_type = liberasurecode_rs_vand\nec_num_data_fragments = %s\n'
                     'ec_num_parity_fragments = 2\n' %
                     (self.one('0', 'x') if self.often(.1) else self.one('4', '2', '10')))
        elif self.often(.05):
            text += 'ec_type = liberasurecode_rs_vand\n'
        return text

    def swift_conf(self):
        value = lambda: self.one('abc', 'abc', 'def', '', 'a%%b', 'a%b' if self.often(.3) else 'z', '"x"', 'a ; b', 'a # b', '\xe9', 'x\xa0', '%(swift_hash_path_salt)s')
        text = '[DEFAULT]\nk = v\n' if self.often(.05) else ''
        text += '[Swift-Hash]\n' if self.often(.03) else '[swift-hash]\nswift_hash_path_SALT = q%%q\n'
        if self.often(.9):
            text += self.one('swift_hash_path_prefix', 'SWIFT_hash_path_Prefix') + ' = %s\n' % value()
        if self.often(.7):
            text += 'swift_hash_path_suffix = %s\n' % value()
        for place, index in enumerate(self.random.sample(['0', '1', '2', '10'], self.one(0, 1, 2, 2, 3))):
            text += self.policy('0' if place == 0 else index, place)
        if self.often(.5):
            text += '[swift-constraints]\n'
            for name in ('max_file_size', 'max_meta_count', 'Max_Header_Size', 'max_object_name_length'):
                if self.often(.4):
                    wrong = self.one('x', '', '2000 ; c', '%d')
                    text += '%s = %s\n' % (name, wrong if self.often(.05) else self.one('1000', '8192'))
        return text


def swift_app(path):
    return dict(wsgi.appconfig(path, name='object-server'))


def swift_pipeline(path):
    uri = ('config_dir:' if os.path.isdir(path) else 'config:') + path
    return dict(loadwsgi.loadcontext(loadwsgi.APP, uri).app_context.config())


def swift_conf(path):
    utils.SWIFT_CONF_FILE = path
    utils.HASH_PATH_PREFIX = utils.HASH_PATH_SUFFIX = b''
    utils.validate_hash_conf()
    found = {'hash_prefix': utils.HASH_PATH_PREFIX, 'hash_suffix': utils.HASH_PATH_SUFFIX}
    try:
        constraints.reload_constraints()
        storage_policy.reload_storage_policies()
    except UnicodeDecodeError:  # the hash is bytes, but all else is read as UTF-8
        return found
    for name in ('max_file_size', 'max_meta_count', 'max_header_size', 'max_object_name_length',
                 'max_meta_name_length', 'max_meta_value_length', 'max_meta_overall_size'):
        found[name] = '%d' % constraints.EFFECTIVE_CONSTRAINTS[name]
    for p in storage_policy._POLICIES:
        ec = p.policy_type == 'erasure_coding'
        found['policy %d' % int(p)] = '%s %d %d %d' % (p.name, ec, p.ec_ndata if ec else 0,
                                                       p.ec_nparity if ec else 0)
    return found


def as_bytes(found):
    text = lambda v: v if isinstance(v, bytes) else str(v).encode()
    return {text(k): text(v) for k, v in found.items() if k != '__name__'}


def ask_swift(reader, path):
    try:
        return as_bytes(reader(path)), ''
    except (Exception, SystemExit) as e:
        return None, '%s: %s' % (type(e).__name__, e)


def ask_tool(*args):
    run = subprocess.run(args, stdout=subprocess.PIPE)
    if run.returncode == 1 and run.stdout.startswith(b'error '):
        return None, run.stdout.decode(errors='replace').strip()
    if run.returncode != 0:
        sys.exit('%s: status %d' % (' '.join(args), run.returncode))
    pairs = [line.split(b' ') for line in run.stdout.splitlines()]
    unhex = lambda h: bytes.fromhex(h.decode())
    return {unhex(k): unhex(v) for k, v in pairs}, ''


def compare(what, text, ours, swifts, keys=None):
    (mine, my_error), (theirs, their_error) = ours, swifts
    if mine is not None and keys is not None:
        mine = {k: v for k, v in mine.items() if k in keys or k.startswith(b'policy ') and len(keys) > 2}
    if mine is not None and theirs is not None:
        theirs.pop(b'use', None)
        mine.pop(b'use', None)
    if mine == theirs:
        return 0
    print('%s differs\n--- file\n%s\n--- objsrv: %s\n--- Swift:  %s\n' %
          (what, text, mine if mine is not None else my_error,
           theirs if theirs is not None else their_error))
    return 1


def write(path, text, encoding='utf-8'):
    with open(path, 'w', encoding=encoding, newline='') as f:
        f.write(text)


def main():
    tool, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 250
    bad = read = 0
    with tempfile.TemporaryDirectory() as tmp:
        server_conf, cluster_conf = tmp + '/object-server.conf', tmp + '/swift.conf'
        for seed in range(count):
            text = Source(seed).file()
            if seed % 10 == 9:
                server_conf = tmp + '/%d.conf.d' % seed
                os.mkdir(server_conf)
                text2 = Source(seed + 100000).file()
                write(server_conf + '/10.conf', text)
                write(server_conf + '/9.conf', text2)
                write(server_conf + '/.hidden.conf', 'no sections here')
                write(server_conf + '/10.conf.bak', 'nor here')
                text += '--- second file\n' + text2
            else:
                server_conf = tmp + '/object-server.conf'
                write(server_conf, text)
            theirs = ask_swift(swift_app, server_conf)
            read += theirs[0] is not None
            bad += compare('app, seed %d' % seed, text, ask_tool(tool, 'app', server_conf), theirs)
            bad += compare('pipeline, seed %d' % seed, text, ask_tool(tool, 'pipeline', server_conf),
                           ask_swift(swift_pipeline, server_conf))
        plain = tmp + '/plain.conf'
        write(plain, '[DEFAULT]\nbind_port = 6200\n[pipeline:main]\npipeline = object-server\n'
              '[app:object-server]\nuse = egg:swift#object\n')
        for seed in range(count):
            text = Source(seed).swift_conf()
            write(cluster_conf, text, 'latin-1')
            theirs = ask_swift(swift_conf, cluster_conf)
            ours = ask_tool(tool, 'config', plain, cluster_conf)
            if theirs[0] is not None and len(theirs[0]) == 2 and ours[0] is None:
                continue  # bytes that Swift cannot read, and something else wrong as well
            read += theirs[0] is not None
            bad += compare('swift.conf, seed %d' % seed, text, ours, theirs,
                           theirs[0].keys() if theirs[0] is not None else None)
    print('%d files, of which Swift accepts %d; %d differences' % (2 * count, read, bad))
    if read < count / 4:
        sys.exit('too few files that Swift accepts: this compares nothing')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
