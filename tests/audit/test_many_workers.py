# SPDX-License-Identifier: Apache-2.0
"""Many workers on one device compute checksums together: the verdicts are the same."""
from base import AuditCase, body_of

BLOCK_BYTES = 256 << 10         # larger bodies are those that are combined
COUNT = 40                      # most of them are


class ManyWorkers(AuditCase):
    @staticmethod
    def target(server, key):
        """A partition each, since workers take whole ones."""
        return f'/c/{key}' if server.alone else f'/sda1/{int(key[1:])}/a/c/{key}'

    def test_finds_what_is_damaged_and_nothing_else(self):
        for alone in (False, True):
            with self.subTest(alone=alone):
                self.tree_of(COUNT, alone=alone, name=f'tree-{alone}')
                self.audit(workers_per_device=16, expect=0)
                damaged = {self.digest(k) for k in ('o20', 'o31', 'o39')}
                self.flip('o20', at=10)
                self.flip('o31', at=BLOCK_BYTES + 1)
                self.flip('o39', at=len(body_of(39)) - 1)
                self.audit(workers_per_device=16, quarantine_fuse=100, expect=1)
                self.assertEqual(self.quarantined(), damaged)
                self.audit(workers_per_device=16, expect=0)
                self.audit(workers_per_device=1, expect=0)
