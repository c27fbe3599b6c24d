# SPDX-License-Identifier: Apache-2.0
"""Paths and dispatch. Numbers are those of the specification's list of edge cases."""
from base import SwiftCase

HTML = '<html><h1>{}</h1><p>{}</p></html>'
NOT_FOUND = HTML.format('Not Found', 'The resource could not be found.')
NOT_ALLOWED = HTML.format('Method Not Allowed', 'The method is not allowed for this resource.')
NO_DEVICE = HTML.format('Insufficient Storage',
                        'There was not enough space to save the resource. Drive: {}')
UTF8 = 'Invalid UTF8 or contains NULL'


class Paths(SwiftCase):
    def plain(self, status, target, text, method='GET', **headers):
        r = self.expect(status, method, target, text=text, **headers)
        self.assertEqual(r.get('Content-Type'), 'text/plain')

    def page(self, status, target, text, method='GET', **headers):
        r = self.expect(status, method, target, text=text, **headers)
        self.assertEqual(r.get('Content-Type'), 'text/html; charset=UTF-8')
        return r

    def test_001_path_missing_object(self):
        self.plain(400, f'{self.prefix}/a/c', f'Invalid path: {self.prefix}/a/c')

    def test_002_path_empty_object(self):
        self.plain(400, f'{self.prefix}/a/c/', f'Invalid path: {self.prefix}/a/c/')

    def test_003_path_empty_container(self):
        self.plain(400, f'{self.prefix}/a//o', f'Invalid path: {self.prefix}/a//o')

    def test_004_path_object_leading_trailing_slash(self):
        path = f'{self.prefix}/a/c//x/'
        self.put(path=path)
        self.assertEqual(self.stored(path)['name'], '/a/c//x/')
        self.get(path=path)

    def test_005_path_device_dotdot(self):
        self.plain(400, '/../0/a/c/o', 'Invalid device: ..')

    def test_006_path_partition_dotdot(self):
        self.plain(400, '/sda1/../a/c/o', 'Invalid partition: ..')

    def test_007_path_partition_not_numeric(self):
        path = f'/sda1/notnum{self.partition}/a/c/o'
        self.put(path=path)
        self.assertEqual(self.files(path), [self.t(10) + '.data'])

    def test_008_path_percent_2f_is_separator(self):
        self.put(path=f'{self.prefix}/a/c/pp%2Fqq')
        self.assertEqual(self.get(path=f'{self.prefix}/a/c/pp/qq').body, b'0123456789')
        self.assertEqual(self.stored(f'{self.prefix}/a/c/pp/qq')['name'], '/a/c/pp/qq')

    def test_009_path_plus_is_literal(self):
        self.put(path=f'{self.prefix}/a/c/pl+us')
        self.get(path=f'{self.prefix}/a/c/pl%2Bus')
        self.get(404, path=f'{self.prefix}/a/c/pl%20us')

    def test_010_path_invalid_utf8(self):
        for method in ('GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'REPLICATE', 'SSYNC'):
            self.page(412, f'{self.prefix}/a/c/%ff', UTF8, method)
        r = self.head(412, f'{self.prefix}/a/c/%ff')
        self.assertEqual(r.get('Content-Length'), str(len(UTF8)))

    def test_011_path_utf8_surrogate(self):
        self.page(412, f'{self.prefix}/a/c/%ed%a0%80', UTF8)

    def test_012_path_utf8_overlong(self):
        self.page(412, f'{self.prefix}/a/c/%c0%af', UTF8)

    def test_013_utf8_check_beats_method(self):
        self.page(412, f'{self.prefix}/a/c/%ff', UTF8, 'FOO')

    def test_014_method_unknown(self):
        r = self.page(405, '/x', NOT_ALLOWED, 'FOO')
        self.assertIsNone(r.get('Allow'))

    def test_015_method_case_sensitive(self):
        self.put()
        self.page(405, self.path, NOT_ALLOWED, 'get')

    def test_016_policy_unknown_beats_path(self):
        self.plain(503, '/bad', 'No policy with index 99', X_Backend_Storage_Policy_Index='99')

    def test_017_policy_not_integer(self):
        self.plain(503, self.path, 'No policy with index abc', X_Backend_Storage_Policy_Index='abc')

    def test_018_policy_empty_is_zero(self):
        self.put(X_Backend_Storage_Policy_Index='')
        self.assertEqual(len(self.files()), 1)

    def test_019_reserved_object_in_user_container(self):
        text = 'Invalid reserved-namespace object in user-namespace container'
        self.page(400, f'{self.prefix}/a/c/%00o', text)

    def test_020_user_object_in_reserved_container(self):
        text = 'Invalid user-namespace object in reserved-namespace container'
        self.page(400, f'{self.prefix}/a/%00c/o', text)

    def test_021_reserved_both(self):
        self.page(404, f'{self.prefix}/a/%00c/%00o', NOT_FOUND)
        self.put(path=f'{self.prefix}/a/%00c/%00o')
        self.get(200, f'{self.prefix}/a/%00c/%00o')

    def test_022_reserved_nul_not_first(self):
        for where, target in (('object', 'a/c/o%00'), ('container', 'a/c%00/o'), ('account', 'a%00/c/o')):
            self.page(400, f'{self.prefix}/{target}', f'Invalid reserved-namespace {where}')

    def test_023_reserved_rules_skip_dot_account(self):
        self.page(404, f'{self.prefix}/.a/c/%00o', NOT_FOUND)
        self.page(404, f'{self.prefix}/.misplaced_objects/c/%00o', NOT_FOUND)

    def test_024_query_ignored(self):
        self.put()
        plain, asked = self.get(), self.get(path=self.path + '?multipart-manifest=get')
        self.assertEqual((plain.body, dict(plain.headers, Date='')),
                         (asked.body, dict(asked.headers, Date='')))

    def test_025_device_missing(self):
        self.page(507, f'/nodev/{self.partition}/a/c/o', NO_DEVICE.format('nodev'))

    def test_026_device_not_mounted(self):
        server = self.start(conf={'DEFAULT': {'mount_check': 'true'}})
        self.check(server.request('GET', self.path), 507, NO_DEVICE.format('sda1'))

    def test_027_options_root(self):
        r = self.expect(200, 'OPTIONS', '/')
        self.assertEqual(r.get('Allow'), 'DELETE, GET, HEAD, OPTIONS, POST, PUT, REPLICATE, SSYNC')
        self.assertRegex(r.get('Server'), '^object-server/')
        self.assertEqual((r.body, r.get('Content-Length')), (b'', '0'))

    def test_028_replication_server_false(self):
        server = self.start(conf={'app:object-server': {'replication_server': 'false'}})
        for method in ('REPLICATE', 'SSYNC'):
            self.check(server.request(method, '/sda1/0'), 405, NOT_ALLOWED)
        self.assertEqual(server.request('OPTIONS', '/').get('Allow'),
                         'DELETE, GET, HEAD, OPTIONS, POST, PUT')

    def test_names_of_dots_stay_inside(self):
        """Dots in an object's name are data: nothing appears outside its hash directory."""
        for name in ('..', '.', '../../../x', '%2e%2e/x', '...'):
            path = f'{self.prefix}/a/c/{name}'
            self.put(path=path, body=name.encode())
            self.assertEqual(self.get(path=path).body, name.encode())
            self.assertEqual(self.files(path), [self.t(10) + '.data'])

    def test_name_of_every_byte(self):
        """All of Latin-1 and the odd ones of ASCII, percent-encoded."""
        for code in list(range(1, 0x80)) + [0xe9, 0x20ac, 0x1f600]:
            quoted = ''.join(f'%{b:02X}' for b in chr(code).encode())
            path = f'{self.prefix}/a/c/x{quoted}y'
            self.put(path=path, body=str(code).encode())
            self.assertEqual(self.get(path=path).body, str(code).encode())
