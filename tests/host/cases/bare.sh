# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A VM that a user without privileges started by hand, in a scope of his own service manager.
loginctl enable-linger owner
wait_for 60 test -S /run/user/1000/systemd/private

make_disk /home/owner/disk
chown owner: /home/owner/disk
# shellcheck disable=SC2046
runuser -u owner -- env XDG_RUNTIME_DIR=/run/user/1000 \
    systemd-run --user --quiet --scope --unit=mine --property=MemoryMax=300M \
    qemu-system-x86_64 $(vm_arguments my-vm,process=mine) -daemonize \
    -uuid 12345678-9abc-def0-1234-56789abcdef0 \
    -drive file=/home/owner/disk,format=raw,if=virtio \
    -qmp unix:/home/owner/qmp,server=on,wait=off
systemctl start vm-guardian.service

disk_is_counted() {
    matches '^[1-9]' "$(vm my-vm '.disks[0].write_operations')"
}

check 'it is found' wait_for 60 is my-vm .source bare
check 'by its uuid' is my-vm .uuid 12345678-9abc-def0-1234-56789abcdef0
check 'its only monitor is shared with its owner' wait_for 60 is my-vm .monitor.use shared
check 'its limit is the one of its scope' wait_for 60 is my-vm .memory.limit_bytes 314572800
check 'the group is named as it stands in the hierarchy' matches \
    '^/user.slice/user-1000.slice/user@1000.service/.*/mine.scope$' "$(vm my-vm .memory.limit_group)"
check 'it is fine once it is known' wait_for 90 is my-vm .state ok
check 'its disk is in sight, although homes are not' wait_for 60 disk_is_counted

# What people do who pause a container.
group=/sys/fs/cgroup$(vm my-vm .memory.limit_group)
echo 1 >"$group/cgroup.freeze"
check 'held by the cgroup freezer it is named so' wait_for 60 is my-vm .cause cgroup-frozen
check 'which is its layer' is my-vm .layer process-stopped
check 'and explained' matches 'thaw its cgroup' "$(guardianctl explain my-vm)"
echo 0 >"$group/cgroup.freeze"
check 'thawed it is fine again' wait_for 60 is my-vm .state ok
check 'no main loop was blocked' \
    equal 0 "$(journalctl --boot --unit=vm-guardian.service | grep -c ': my-vm: .*main-loop-blocked')"
loginctl disable-linger owner
