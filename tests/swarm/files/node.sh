#!/bin/sh
# The first process of a node, in namespaces of its own: becomes its dockerd.
# Arguments: hostname, dockerd, configuration file of dockerd
set -eu

echo "$1" >/proc/sys/kernel/hostname

# A copy of this machine's mounts would keep the network namespaces of other nodes alive.
umount --recursive --lazy /run/netns || true

# No path in it leads to this machine's own Docker Engine, and no file of it survives a power cut.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/cgroup /run/lock

# /sys shows the network devices of the namespace it was mounted in. The control groups are this machine's.
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount --recursive --lazy /run/cgroup
rmdir /run/cgroup

exec "$2" --config-file "$3"
