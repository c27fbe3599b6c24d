# SPDX-License-Identifier: Apache-2.0
"""Paths and dispatch. Numbers are those of the specification's list of edge cases."""
from base import SwiftCase

HTML = '<html><h1>{}</h1><p>{}</p></html>'


class Paths(SwiftCase):
    def test_001_path_missing_object(self):
        r = self.get(400, f'{self.prefix}/a/c')
        self.assertIn('text/plain', r.get('Content-Type'))
        self.assertEqual(r.body.decode(), f'Invalid path: {self.prefix}/a/c')

    def test_002_path_empty_object(self):
        self.get(400, f'{self.prefix}/a/c/')

    def test_003_path_empty_container(self):
        self.get(400, f'{self.prefix}/a//o')

    def test_004_path_object_leading_trailing_slash(self):
        path = f'{self.prefix}/a/c//x/'
        self.put(path=path)
        self.assertEqual(self.stored(path)['name'], '/a/c//x/')
        self.get(path=path)

    def test_005_path_device_dotdot(self):
        self.expect(400, 'GET', '/../0/a/c/o', text='Invalid device: ..')

    def test_006_path_partition_dotdot(self):
        self.expect(400, 'GET', '/sda1/../a/c/o', text='Invalid partition: ..')

    def test_007_path_partition_not_numeric(self):
        self.put(path=f'/sda1/notnum{self.partition}/a/c/o')

    def test_008_path_percent_2f_is_separator(self):
        self.put(path=f'{self.prefix}/a/c/pp%2Fqq')
        self.get(path=f'{self.prefix}/a/c/pp/qq')

    def test_009_path_plus_is_literal(self):
        self.put(path=f'{self.prefix}/a/c/pl+us')
        self.get(path=f'{self.prefix}/a/c/pl%2Bus')
        self.get(404, path=f'{self.prefix}/a/c/pl%20us')

    def test_010_path_invalid_utf8(self):
        for method in ('GET', 'PUT', 'POST', 'DELETE'):
            self.expect(412, method, f'{self.prefix}/a/c/%ff', text='Invalid UTF8 or contains NULL')

    def test_011_path_utf8_surrogate(self):
        self.get(412, f'{self.prefix}/a/c/%ed%a0%80')

    def test_012_path_utf8_overlong(self):
        self.get(412, f'{self.prefix}/a/c/%c0%af')

    def test_013_utf8_check_beats_method(self):
        self.expect(412, 'FOO', f'{self.prefix}/a/c/%ff')

    def test_014_method_unknown(self):
        r = self.expect(405, 'FOO', '/x')
        self.assertIsNone(r.get('Allow'))

    def test_015_method_case_sensitive(self):
        self.expect(405, 'get', self.path)

    def test_016_policy_unknown_beats_path(self):
        self.expect(503, 'GET', '/bad', text='No policy with index 99',
                    X_Backend_Storage_Policy_Index='99')

    def test_017_policy_not_integer(self):
        self.get(503, X_Backend_Storage_Policy_Index='abc')

    def test_018_policy_empty_is_zero(self):
        self.put(X_Backend_Storage_Policy_Index='')
        self.assertEqual(len(self.files()), 1)

    def test_019_reserved_object_in_user_container(self):
        text = 'Invalid reserved-namespace object in user-namespace container'
        self.expect(400, 'GET', f'{self.prefix}/a/c/%00o', text=text)

    def test_020_user_object_in_reserved_container(self):
        text = 'Invalid user-namespace object in reserved-namespace container'
        self.expect(400, 'GET', f'{self.prefix}/a/%00c/o', text=text)

    def test_021_reserved_both(self):
        self.get(404, f'{self.prefix}/a/%00c/%00o')

    def test_022_reserved_nul_not_first(self):
        self.expect(400, 'GET', f'{self.prefix}/a/c/o%00', text='Invalid reserved-namespace object')

    def test_023_reserved_rules_skip_dot_account(self):
        self.get(404, f'{self.prefix}/.a/c/%00o')

    def test_024_query_ignored(self):
        self.put()
        self.assertEqual(self.get(path=self.path + '?multipart-manifest=get').body, b'0123456789')

    def test_025_device_missing(self):
        r = self.get(507, f'/nodev/{self.partition}/a/c/o')
        self.assertIn('Drive: nodev', r.body.decode())

    def test_026_device_not_mounted(self):
        server = self.start(conf={'DEFAULT': {'mount_check': 'true'}})
        self.assertEqual(server.request('GET', self.path).status, 507)

    def test_027_options_root(self):
        r = self.expect(200, 'OPTIONS', '/')
        self.assertEqual(r.get('Allow'), 'DELETE, GET, HEAD, OPTIONS, POST, PUT, REPLICATE, SSYNC')
        self.assertRegex(r.get('Server'), '^object-server/')
        self.assertEqual(r.body, b'')

    def test_028_replication_server_false(self):
        server = self.start(conf={'app:object-server': {'replication_server': 'false'}})
        for method in ('REPLICATE', 'SSYNC'):
            self.assertEqual(server.request(method, '/sda1/0').status, 405)
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
