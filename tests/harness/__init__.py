# SPDX-License-Identifier: Apache-2.0
"""What the tests that talk to a real server share. Python standard library only.

isolate   private mount, network and process namespaces: nothing outside is changed
wire      a raw HTTP/1.1 client: exact bytes out, exact bytes in
servers   objsrv and Debian's swift-object-server: configured, started, awaited, killed
tree      what lies on a device, with metadata decoded; and writing it by hand
history   load whose acknowledgements are remembered, and what must still be there
mounts    small ext4 and XFS images, and what can go wrong with them
suite     unittest cases run once per engine, and the closing line of totals

Read them in this order. Nothing here sleeps to wait for something to have happened.
"""
