# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The test host is what it is said to be.
check 'process 1 is systemd' equal systemd "$(cat /proc/1/comm)"
check 'the memory controller is cgroup v2' grep -qw memory /sys/fs/cgroup/cgroup.controllers
check 'the kernel tells of memory pressure' grep -q '^full ' /proc/pressure/memory
check 'nothing failed at boot' equal '' "$(systemctl list-units --failed --plain --no-legend)"
check 'the daemon and the tool are installed' equal "$(vm-guardiand --version | cut -d ' ' -f 2)" \
    "$(guardianctl --version | cut -d ' ' -f 2)"
check 'a host without VMs is well' guardianctl status
