#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Swift's own sender, for one partition: send.py CONF JOB, both given by run.py.

JOB is JSON: policy, partition, device (whose objects are sent), node (ring fields of the receiver),
rebuild (a fragment is made anew for the receiver's index). Prints JSON: what the sender returned,
and how many objects it was asked for.
"""
import json
import os
import re
import sys

from swift.common import utils
from swift.common.storage_policy import POLICIES
from swift.obj.reconstructor import ObjectReconstructor
from swift.obj.replicator import ObjectReplicator
from swift.obj.ssync_sender import Sender


def main():
    conf, job = sys.argv[1], json.loads(sys.argv[2])
    policy = POLICIES[job['policy']]
    section, daemon = (('object-reconstructor', ObjectReconstructor) if job['policy'] == 2 else
                       ('object-replicator', ObjectReplicator))
    told = utils.readconf(conf, section)
    daemon = daemon(told, utils.get_logger(told, log_to_console=True))
    daemon.load_object_ring(policy)
    index = job['node'].get('backend_index')
    directory = os.path.join(told['devices'], job['device'],
                             'objects' + (f'-{job["policy"]}' if job['policy'] else ''), job['partition'])
    suffixes = [s for s in os.listdir(directory) if re.fullmatch('[0-9a-f]{3}', s)]
    task = {'policy': policy, 'partition': int(job['partition']), 'device': job['device'],
            'frag_index': job.get('frag_index', index)}
    if job.get('rebuild'):
        task['sync_diskfile_builder'] = daemon.reconstruct_fa
    sender = Sender(daemon, job['node'], task, suffixes,
                    include_non_durable=job.get('include_non_durable', False))
    asked = []
    updates = sender.updates

    def counting(connection, response, send_map):
        asked.extend(send_map)
        return updates(connection, response, send_map)
    sender.updates = counting
    success, in_sync = sender()
    print(json.dumps({'success': success, 'in_sync': len(in_sync), 'asked': len(asked)}))


if __name__ == '__main__':
    main()
