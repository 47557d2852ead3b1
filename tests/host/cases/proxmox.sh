# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 300
# Two VMs as Proxmox starts them, but for -id, which is Proxmox' own patch. The server of one disk stops: that VM is frozen, the other is not.

# proxmox_start ID NAME: its disk is served by an NBD server of its own, as remote storage is.
proxmox_start() {
    mkdir -p /run/qemu-server /etc/pve/qemu-server
    cat >"/etc/pve/qemu-server/$1.conf" <<END
boot: order=virtio0
cores: 1
memory: 32
name: $2
virtio0: shared:vm-$1-disk-0,size=8M

[before-upgrade]
memory: 64
name: $2
END
    serve_disk "$1"
    # the helper that a TPM needs is in the VM's scope, too
    systemd-run --quiet --scope --slice=qemu.slice --unit="$1" --property=MemoryMax=512M \
        bash -c 'exec -a swtpm sleep infinity </dev/null >/dev/null 2>&1 & exec "$@"' sh \
        qemu-system-x86_64 -name "$2,debug-threads=on" -no-shutdown \
        -chardev "socket,id=qmp,path=/var/run/qemu-server/$1.qmp,server=on,wait=off" \
        -mon chardev=qmp,mode=control -pidfile "/var/run/qemu-server/$1.pid" -daemonize \
        -machine pc -accel tcg -m 32 -nodefaults -display none -no-user-config \
        -drive "file=$(storage "$1"),if=none,id=drive-virtio0,format=raw" \
        -device virtio-blk-pci,drive=drive-virtio0,id=virtio0,bootindex=100
}

both_are_fine() {
    is web .state ok && is db .state ok
}

proxmox_start 100 web
proxmox_start 101 db
systemctl start vm-guardian.service

check 'a VM of Proxmox is found' wait_for 60 is web .source proxmox
check 'by its id' is web .id 100
check 'its monitor is shared with Proxmox' wait_for 60 is web .monitor.use shared
check 'its limit is the one of its scope' wait_for 60 is web .memory.limit_bytes 536870912
check 'and the scope is named' wait_for 60 is web .memory.limit_group /qemu.slice/100.scope
check 'its guest has the memory it was given' wait_for 60 is web .memory.guest_ram_bytes 33554432
check 'the first guest writes' wait_for 90 writes web
check 'the second guest writes' wait_for 90 writes db
check 'both are fine' wait_for 60 both_are_fine

kill -STOP "$(cat /run/nbd-100.pid)"
check 'without its storage the VM is frozen' wait_for 120 is web .state frozen
check 'its disk is' is web '.disks[0].state' frozen
check 'in the block path' is web '.disks[0].layer' block-path
check 'the VM beside it is fine' is db .state ok
check 'and is asked on time' equal true "$(vm db '.sample_age_ms < 15000')"
check 'an alert is in the journal' wait_for 30 \
    journalctl --quiet --grep=frozen --unit=vm-guardian.service EVENT=alert VM=web
check 'none of the VM beside it' equal '' \
    "$(journalctl --quiet --output=cat --unit=vm-guardian.service EVENT=alert VM=db)"
before=$(vm db '.disks[0].write_operations')
check 'and writes on' wait_for 60 is db ".disks[0].write_operations > $before" true

kill -CONT "$(cat /run/nbd-100.pid)"
check 'with its storage back the VM is fine' wait_for 90 is web .state ok
