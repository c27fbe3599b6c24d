# SPDX-License-Identifier: Apache-2.0
"""Raw requests on one fresh object each: paths, methods, policies, framing.

Rows of (name, bytes). %T is a good timestamp, %O the path of an existing object of 100 bytes,
%N one that does not exist; %P is '/sda1/<partition>'.
"""

_PATHS = ['%P/a/c', '%P/a/c/', '%P/a//o', '%P//c/o', '%P', '%P/', '/', '/sda1', '//0/a/c/o', '/../0/a/c/o',
          '/./0/a/c/o', '/sda1/../a/c/o', '/sda1/./a/c/o', '/nodev/0/a/c/o', '/sda1%2f0/a/c/o',
          '%P/a/c/%ff', '%P/a/c/%ed%a0%80', '%P/a/c/%c0%af', '%P/a/c/%f4%90%80%80', '%P/a/c/%00o',
          '%P/a/%00c/o', '%P/a/%00c/%00o', '%P/%00a/c/o', '%P/a/c/o%00', '%P/a/c%00/o', '%P/.a/c/%00o',
          '%P/.misplaced_objects/c/%00o', '%P/a/c/..', '%P/a/c/../x', '%P/a/../c/o', '%P/a/c/.', '%P/a/c/%2e%2e',
          '%P/a/c/x?y=z', '%P/a/c/x%3Fy', '%P/a/c/%', '%P/a/c/%4', '%P/a/c/%zz', '%P/a/c/a+b', '%P/a/c/%0a',
          '%P/a/c/' + 'x' * 1024, '%P/a/c/' + 'x' * 1025, '%P/a/c/' + '%C3%A9' * 1024,
          '%P/a/c/' + '%C3%A9' * 1025, '/sd%20a1/0/a/c/o', '/sda1+/0/a/c/o', '%P/a/c//x', '%P/a/c/x//',
          '%P/a/c/x%2Fy', '/sda1/%2e%2e/a/c/o', '/%2e%2e/0/a/c/o', '/sda1/not%20num/a/c/o', '/healthcheck',
          '/healthcheck/', '/healthcheck?x=1']
_METHODS = ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'COPY', 'PATCH', 'FOO', 'get', 'TRACE', 'M-SEARCH']
_POLICIES = ['', '0', '1', ' 1 ', '99', 'abc', '-1', '01', '1.0', '+1']


def _row(name, method, target, headers='', body=''):
    return name, (f'{method} {target} HTTP/1.1\r\nHost: t\r\n{headers}\r\n{body}').encode('latin-1')


def _path_rows():
    for path in _PATHS:
        short = path if len(path) < 40 else path[:30] + f'..{len(path)}'
        yield _row(f'path/GET {short}', 'GET', path)
        yield _row(f'path/HEAD {short}', 'HEAD', path)
        yield _row(f'path/FOO {short}', 'FOO', path)
        yield _row(f'path/DELETE {short}', 'DELETE', path, 'X-Timestamp: %T\r\n')
        yield _row(f'path/PUT {short}', 'PUT', path,
                   'X-Timestamp: %T\r\nContent-Type: a/b\r\nContent-Length: 2\r\n', 'hi')


def _dispatch_rows():
    for method in _METHODS:
        yield _row(f'method/{method}', method, '%O', 'X-Timestamp: %T\r\n')
    for policy in _POLICIES:
        for target in ('%O', '/bad', '/'):
            yield _row(f'policy/{policy!r} {target}', 'GET', target,
                       f'X-Backend-Storage-Policy-Index: {policy}\r\n')


_PUT = 'X-Timestamp: %T\r\nContent-Type: a/b\r\n'


def _framing_rows():
    put = lambda name, headers, body='': _row('framing/' + name, 'PUT', '%N', _PUT + headers, body)
    chunked = 'Transfer-Encoding: chunked\r\n'
    yield put('no length', '')
    yield put('length abc', 'Content-Length: abc\r\n')
    yield put('length -1', 'Content-Length: -1\r\n')
    yield put('length empty', 'Content-Length:\r\n')
    yield put('length too large', 'Content-Length: 5368709123\r\n')
    yield put('length huge', 'Content-Length: 99999999999999999999999\r\n')
    yield put('te gzip', 'Transfer-Encoding: gzip\r\n', 'x')
    yield put('te list', 'Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')
    yield put('te Chunked', 'Transfer-Encoding: Chunked\r\n', '0\r\n\r\n')
    yield put('te identity', 'Transfer-Encoding: identity\r\nContent-Length: 1\r\n', 'x')
    yield put('chunked', chunked, '2\r\nhi\r\n0\r\n\r\n')
    yield put('chunked ext', chunked, '2;a=b\r\nhi\r\n0\r\n\r\n')
    yield put('chunked empty', chunked, '0\r\n\r\n')
    yield put('chunked beats length', chunked + 'Content-Length: 7\r\n', '2\r\nhi\r\n0\r\n\r\n')
    yield put('chunk size upper', chunked, 'A\r\n0123456789\r\n0\r\n\r\n')
    yield put('expect', 'Content-Length: 2\r\nExpect: 100-continue\r\n', 'hi')
    yield put('expect zero', 'Content-Length: 0\r\nExpect: 100-continue\r\n')
    yield put('expect odd', 'Content-Length: 2\r\nExpect: 200-ok\r\n', 'hi')
    yield _row('framing/expect stale', 'PUT', '%O', 'X-Timestamp: 1\r\nContent-Type: a/b\r\n'
               'Content-Length: 2\r\nExpect: 100-continue\r\n')
    yield _row('framing/drained after 409', 'PUT', '%O', 'X-Timestamp: 1\r\nContent-Type: a/b\r\n'
               'Content-Length: 2\r\n', 'hi')
    yield _row('framing/delete with body', 'DELETE', '%O', 'X-Timestamp: %T\r\nContent-Length: 2\r\n', 'hi')
    yield _row('framing/get with body', 'GET', '%O', 'Content-Length: 2\r\n', 'hi')
    yield _row('framing/post with body', 'POST', '%O', 'X-Timestamp: %T\r\nContent-Length: 2\r\n', 'hi')
    yield 'framing/http10', b'GET %O HTTP/1.0\r\n\r\n'
    yield 'framing/http10 keep-alive', b'GET %O HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
    yield 'framing/close', b'GET %O HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n'
    yield 'framing/no host', b'GET %O HTTP/1.1\r\n\r\n'
    yield 'framing/blank line first', b'\r\nGET %O HTTP/1.1\r\nHost: t\r\n\r\n'
    yield 'framing/one word', b'GARBAGE\r\n\r\n'
    yield 'framing/four words', b'GET %O x HTTP/1.1\r\n\r\n'
    yield 'framing/version 2', b'GET %O HTTP/2.0\r\nHost: t\r\n\r\n'
    yield 'framing/version x', b'GET %O HTTX/1.1\r\nHost: t\r\n\r\n'
    yield 'framing/long line', b'GET /' + b'x' * 8190 + b' HTTP/1.1\r\nHost: t\r\n\r\n'
    yield 'framing/long header', b'GET %O HTTP/1.1\r\nX: ' + b'x' * 8190 + b'\r\n\r\n'
    yield 'framing/8000 header', b'GET %O HTTP/1.1\r\nHost: t\r\nX: ' + b'x' * 8000 + b'\r\n\r\n'
    yield 'framing/headers too large', (b'GET %O HTTP/1.1\r\nHost: t\r\n' + b''.join(
        b'X%d: ' % i + b'x' * 8000 + b'\r\n' for i in range(9)) + b'\r\n')
    for n in (200, 201):
        yield f'framing/{n} headers', (b'GET %O HTTP/1.1\r\n' + b''.join(
            b'X-%d: y\r\n' % i for i in range(n)) + b'\r\n')
    yield 'framing/header nonascii', b'GET %O HTTP/1.1\r\nHost: t\r\nX-\xc3\xbc: y\r\n\r\n'
    yield 'framing/put nonascii name', (b'PUT %N HTTP/1.1\r\nHost: t\r\n' + _PUT.encode() +
                                        b'Content-Length: 0\r\nX-Object-Meta-\xc3\xbc: \xff\xfe\r\n\r\n')
    yield 'framing/absolute', b'GET http://t%O HTTP/1.1\r\nHost: t\r\n\r\n'
    yield 'framing/pipelined', b'GET %O HTTP/1.1\r\nHost: t\r\n\r\n' * 3
    yield 'framing/tab in value', b'GET %O HTTP/1.1\r\nHost: t\r\nRange: \t bytes=0-4 \t\r\n\r\n'


def rows():
    yield from _path_rows()
    yield from _dispatch_rows()
    yield from _framing_rows()
