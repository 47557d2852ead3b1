# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 360
# A configuration of Proxmox that drifted, enforced from inside the unit, where nothing below /etc may be
# written: qm runs as a service of its own. The VM beside it, whose configuration has not drifted, is
# left alone.

# Checks the digest, and writes the line of the drive, as Proxmox' own does.
make_qm() {
    cat >/usr/sbin/qm <<'END'
#!/bin/bash
conf=/etc/pve/qemu-server/$2.conf
echo "$* in $(sed 's/.*\///' /proc/self/cgroup)" >>/run/qm.log
[ "$1 $3 $4" = "set --digest $(sha1sum <"$conf" | cut -d' ' -f1)" ] || { echo 'detected modified configuration' >&2; exit 255; }
sed -i "s|^${5#--}: .*|${5#--}: $6|" "$conf"
END
    chmod 755 /usr/sbin/qm
}

# pve_start ID NAME MBPS: in the configuration; QEMU itself has 60 MiB/s.
pve_start() {
    mkdir -p /run/qemu-server /etc/pve/qemu-server
    printf 'cores: 1\nmemory: 32\nname: %s\nvirtio0: local:vm-%s-disk-0,mbps_wr=%s,size=8M\n' "$2" "$1" "$3" \
        >"/etc/pve/qemu-server/$1.conf"
    make_disk "/root/$1.raw"
    systemd-run --quiet --scope --slice=qemu.slice --unit="$1" \
        qemu-system-x86_64 -name "$2" -no-shutdown \
        -chardev "socket,id=qmp,path=/var/run/qemu-server/$1.qmp,server=on,wait=off" \
        -mon chardev=qmp,mode=control -pidfile "/var/run/qemu-server/$1.pid" -daemonize \
        -machine pc -accel tcg -m 32 -nodefaults -display none -no-user-config \
        -object throttle-group,id=throttle-drive-virtio0,x-bps-write=$((60 << 20)) \
        -blockdev "driver=throttle,node-name=drive-virtio0,throttle-group=throttle-drive-virtio0,file.driver=raw,file.file.driver=file,file.file.filename=/root/$1.raw" \
        -device virtio-blk-pci,drive=drive-virtio0,id=virtio0,bootindex=100
}

drive_of() {
    sed -n 's/^virtio0: //p' "/etc/pve/qemu-server/$1.conf"
}

is_written() {
    equal 'local:vm-100-disk-0,mbps_wr=60,size=8M' "$(drive_of 100)"
}

make_qm
pve_start 100 web 30
pve_start 101 db 60.0
mkdir -p /etc/vm-guardian/vm.d
printf '[guardian]\nmode = enforce\n[enforce]\nthrottle = enforce\n' >/etc/vm-guardian/guardian.conf
printf '[Match]\nname = web, db\n[disk virtio0]\nmbps_wr = 60\n' >/etc/vm-guardian/vm.d/both.conf
systemctl start vm-guardian.service

check 'the first guest writes' wait_for 90 writes web
check 'a configuration that drifted is written' wait_for 180 is_written
check 'once, outside of the sandbox' \
    matches '^set 100 --digest [0-9a-f]{40} --virtio0 local:vm-100-disk-0,mbps_wr=60,size=8M in run-[^ ]*\.service$' \
    "$(cat /run/qm.log)"
check 'with one line of before and after' equal 1 "$(journalctl --unit=vm-guardian.service --output=cat |
    grep -c 'web: limits of virtio0 set in the configuration: mbps_wr=30 -> mbps_wr=60')"
check 'the VM beside it, equal in other words, is left alone' \
    equal 'local:vm-101-disk-0,mbps_wr=60.0,size=8M' "$(drive_of 101)"
check 'and both are fine' wait_for 60 is db .state ok
rm /usr/sbin/qm /run/qm.log
