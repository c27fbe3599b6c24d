# SPDX-License-Identifier: Apache-2.0
"""What only data directories of a stand-alone server have: relative names, sets, an owner, no recon."""
import os
import re
import shutil

from base import AuditCase

NOBODY = 65534


class AloneOnly(AuditCase):
    def edit(self, pattern, text):
        """The configuration file, with each line of this pattern replaced."""
        with open(self.made.conf, encoding='latin-1') as f:
            old = f.read()
        new, count = re.subn(pattern, text, old, flags=re.M)
        self.assertGreater(count, 0, old)
        with open(self.made.conf, 'w', encoding='latin-1') as f:
            f.write(new)

    def test_relative_directories(self):
        """They start from the file's directory, as for the server, wherever the auditor is called."""
        s = self.tree_of(4, alone=True)
        self.edit(r'^data_dirs = .*$', 'data_dirs = data')
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        for place in ('/', os.path.dirname(s.conf)):
            with self.subTest(place):
                os.chdir(place)
                run = self.audit('--json', '-v', expect=0)
                self.assertIn(f'"path": "{s.device}/objects/', run.out)
                self.audit('--check', os.path.dirname(self.file_of('o3')), once=False, expect=0)

    def test_check_knows_a_directory_by_other_names(self):
        """As the file writes it, as a shell completes it, through a link: it is the same place."""
        s = self.tree_of(2, alone=True)
        os.mkdir(os.path.join(s.root, 'conf.d'))
        self.edit(r'^data_dirs = .*$', 'data_dirs = conf.d/../data')
        os.symlink(s.device, os.path.join(s.root, 'link'))
        directory = os.path.dirname(self.file_of('o1'))
        rest = os.path.relpath(directory, s.device)
        for name in (directory, f'{s.root}/./data//{rest}', f'{s.root}/conf.d/../data/{rest}',
                     f'{s.root}/link/{rest}'):
            with self.subTest(name):
                self.audit('--check', name, once=False, expect=0)
        self.audit('--check', f'{s.root}/conf.d/{rest}', once=False, expect=64)

    def test_no_recon_unless_told(self):
        """There is no swift-recon to read it, and the place may be that of a Swift on this machine."""
        self.tree_of(2, alone=True)
        self.edit(r'^recon_cache_path = .*$', '')
        run = self.audit(expect=0)
        self.assertNotIn('recon', run.err)

    def test_root_becomes_the_owner(self):
        """Else the server, which runs as that user, could quarantine nothing more."""
        if os.geteuid() != 0:
            self.skipTest('only root can become somebody else')
        s = self.tree_of(4, alone=True)
        self.edit(r'^user = .*$', '')
        self.flip('o3')
        for directory, names, files in os.walk(s.device):
            for name in ['', *names, *files]:
                os.chown(os.path.join(directory, name), NOBODY, NOBODY, follow_symlinks=False)
        self.audit(expect=1)
        for name in ('quarantined', 'quarantined/objects', 'objsrv-audit', 'objsrv-audit/lock'):
            self.assertEqual(os.stat(self.at(name)).st_uid, NOBODY, name)

    def test_directory_of_another_store(self):
        """Its objects would all look damaged: nothing is touched."""
        other = self.tree_of(3, alone=True, name='other').device
        self.tree_of(3, alone=True)
        self.edit(r'^data_dirs = (.*)$', rf'data_dirs = \1, {other}')
        run = self.audit(expect=2)
        self.assertIn(f'{self.made.device} and {other} are of different stores', run.err)
        self.assertFalse(os.path.exists(self.at('objsrv-audit')))

    def test_directory_that_is_missing(self):
        """A disk that is not mounted is no clean disk, and nothing is written where it would be."""
        s = self.tree_of(3, alone=True)
        gone = os.path.join(s.root, 'gone')
        os.mkdir(gone)
        self.edit(r'^data_dirs = (.*)$', rf'data_dirs = \1, {gone}')
        run = self.audit(expect=2)
        self.assertIn(f'no objsrv-identity in {gone}', run.err)
        self.assertEqual(os.listdir(gone), [])
        with open(os.path.join(gone, 'objsrv-identity'), 'w', encoding='ascii') as f:
            f.write('garbage\n')
        run = self.audit(expect=2)
        self.assertIn('Device d1: objsrv-identity: damaged', run.err)
        self.edit(r'^data_dirs = .*$', f'data_dirs = {gone}')
        run = self.audit(expect=2)
        self.assertIn(f'{gone}/objsrv-identity: damaged', run.err)
        self.edit(r'^data_dirs = .*$', f'data_dirs = {s.device}')
        shutil.rmtree(s.device)
        os.mkdir(s.device)
        run = self.audit(expect=2)
        self.assertIn(f'no objsrv-identity in {s.device}', run.err)
