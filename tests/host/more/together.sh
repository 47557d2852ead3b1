# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# All four sources on one host, seen by the service: Proxmox, libvirt's own libvirtd, two pods of
# KubeVirt each with a libvirtd of its own (containerd and systemd's driver, CRI-O and cgroupfs'
# driver), a bare VM. Then the storage of one VM of each source stops, and that of the one beside it
# does not.
# limit: 500
# shellcheck disable=SC1091
. /source/tests/host/vms.sh

uid1=6f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01
uid2=7f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f02
vmi1=ac1e83d8-f2ad-4047-8ba9-3f557c687b91
vmi2=ac1e83d8-f2ad-4047-8ba9-3f557c687b92
pod1=kubepods-burstable-pod${uid1//-/_}.slice
compute1=$(printf '%064d' 31)
group1=/kubepods.slice/kubepods-burstable.slice/$pod1/cri-containerd-$compute1.scope
pod2=/kubepods/pod$uid2
group2=$pod2/crio-$(printf '%064d' 41)

clean() {
    heal_storage web store prod_db plain
    echo 1 >/sys/fs/cgroup/kubepods/cgroup.kill
    virsh --quiet destroy store
    virsh --quiet destroy store-b
    sleep 1
    find /sys/fs/cgroup/kubepods -depth -type d -delete
    umount /srv/*.disk
}
trap 'clean >/dev/null 2>&1 || :' EXIT

for group in /kubepods $pod2; do
    mkdir "/sys/fs/cgroup$group"
    echo +memory >"/sys/fs/cgroup$group/cgroup.subtree_control"
done
mkdir "/sys/fs/cgroup$group2"
echo 450M >"/sys/fs/cgroup$pod2/memory.max"
echo 600M >"/sys/fs/cgroup$group2/memory.max"

# all in the same, shorter time: each is asked as often as one that has a monitor of its own
mkdir -p /etc/vm-guardian
printf '[monitor]\nperiod_shared = 2s\n' >/etc/vm-guardian/guardian.conf
systemctl start vm-guardian.service
start_proxmox 100 web
start_proxmox 101 web-b
start_libvirt store
start_libvirt store-b
start_pod root db $vmi1 systemd-run --quiet --scope --slice="$pod1" \
    --unit="cri-containerd-$compute1" --property=MemoryMax=400M
start_pod user cache $vmi2 in_group "$group2"
start_bare plain
start_bare plain-b
echo "eight VMs were started in $SECONDS s"

names='plain plain-b prod/cache prod/db store store-b web web-b'
look() {
    guardianctl status --json >/tmp/state || :
}
known() { # NAME FILTER
    jq -r --arg name "$1" ".vms[] | select(.name == \$name) | $2" /tmp/state
}
each() { # FILTER: of every VM, in the order of names
    local name
    for name in $names; do
        known "$name" "$1"
    done | xargs
}
all_are_fine() {
    look
    equal 'ok ok ok ok ok ok ok ok' "$(each .state)"
}
all_write() {
    look
    equal 'true true true true true true true true' "$(each '.disks[0].write_operations > 3')"
}
near() { # WANTED GOT: within 1 MiB
    local off=$(($2 - $1))
    echo "wanted $1, got $2"
    [ ${off#-} -le 1048576 ]
}
role() { # NAME ROLE FILTER
    known "$1" ".beside[] | select(.role == \"$2\") | $3"
}

check 'the guests of all eight write' wait_for 120 all_write
check 'all are fine' wait_for 90 all_are_fine
text=$(guardianctl status || :)
echo "$text"
check 'each VM is listed once' equal "$names" \
    "$(jq -r '[.vms[].name] | sort | join(" ")' /tmp/state)"
check 'each is of its source' equal 'bare bare kubevirt kubevirt libvirt libvirt proxmox proxmox' \
    "$(each .source)"
check 'the text names them, and the sources' matches \
    'plain .*plain-b .*prod/cache .*prod/db .*store .*store-b .*web .*web-b .*8 VMs: 8 ok.*Sources: proxmox 2, kubevirt 2, libvirt 2, bare 2' \
    "$(tr '\n' ' ' <<<"$text")"
check 'by whom each is asked' equal 'shared shared libvirt libvirt libvirt libvirt shared shared' \
    "$(each .monitor.use)"
check 'the host and each pod have a libvirtd that answers' equal \
    '/proc/N/root/run/libvirt connected, /proc/N/root/run/libvirt connected, /run/libvirt connected' \
    "$(jq -r '[.sources[] | select(.name == "libvirt") | .daemons[] |
        (.name | sub("/[a-z]*-sock(-ro)?$"; "") | sub("/[0-9]+/"; "/N/")) + " " + .state] | sort | join(", ")' /tmp/state)"
check 'each has the memory it was given' equal \
    "$(printf '33554432 %.0s' 1 2 3 4 5 6 7 8 | xargs)" "$(each .memory.guest_ram_bytes)"
check 'the disks by their names' equal 'vda vda vda vda vda vda virtio0 virtio0' \
    "$(each '[.disks[].label] | join(",")')"

scope=$(sed -n 's/^0:://p' "/proc/$(known store .pid)/cgroup")
check 'the tightest limit: the scope of Proxmox' equal '/qemu.slice/100.scope 536870912 systemd' \
    "$(known web '.domain.limits[0] | "\(.group) \(.limit_bytes) \(.owner)"')"
check 'the hard limit of libvirt, in a group that systemd does not own' \
    equal "$(sed 's|/emulator$||' <<<"$scope") 268435456 libvirt" \
    "$(known store '.domain.limits[0] | "\(.group) \(.limit_bytes) \(.owner)"')"
check 'the container of containerd' equal "$group1 419430400 container systemd" \
    "$(known prod/db '.domain.limits[0] | "\(.group) \(.limit_bytes) \(.kind) \(.owner)"')"
check 'the pod, where it is tighter than the container of CRI-O' equal "$pod2 471859200 pod kubelet" \
    "$(known prod/cache '.domain.limits[0] | "\(.group) \(.limit_bytes) \(.kind) \(.owner)"')"
check 'the scope of the bare one' equal '/system.slice/plain.scope 314572800 systemd' \
    "$(known plain '.domain.limits[0] | "\(.group) \(.limit_bytes) \(.owner)"')"
for name in $names; do
    check "headroom of $name is what the kernel leaves" near \
        $(($(known "$name" .memory.limit_bytes) - $(awk '$1 ~ /^(anon|shmem|slab_unreclaimable|kernel_stack|pagetables|sec_pagetables|percpu|sock)$/ {n += $2} END {print n}' \
            "/sys/fs/cgroup$(known "$name" '.domain.limits[0].group')/memory.stat"))) \
        "$(known "$name" .memory.headroom_bytes)"
done
check 'the pods are known' equal \
    "$uid2 guaranteed cri-o, $uid1 burstable containerd" \
    "$(for name in cache db; do known prod/$name '.pod | "\(.uid) \(.qos) \(.runtime)"'; done |
        paste -sd, | sed 's/,/, /')"
# the libvirtd of a session starts a virtlogd of its own
for name in db cache; do
    check "the helpers of $name by role" matches \
        '^virt-launcher 1, virt-launcher-monitor 1, virtlogd [12], virtqemud 1$' \
        "$(known prod/$name '[.beside[] | select(.role | test("virt-l|virtq|virtlogd")) | "\(.role) \(.processes)"] | sort | join(", ")')"
done
check 'the helper of Proxmox by role' equal 1 "$(role web swtpm .processes)"
check 'no VM has the helpers of another' equal ' ' \
    "$(role store swtpm .processes) $(role plain virtqemud .processes)"

# Everything that was read from the disk goes out of memory, but what is locked: does the loop need any
# of it again while all eight are asked once more? What a child reads, such as /etc/pve, is the child's.
read_from_disk() { # major faults, and bytes
    local pid
    pid=$(systemctl show --property=MainPID --value vm-guardian.service)
    echo "$(cut -d ' ' -f 12 "/proc/$pid/stat") $(sed -n 's/^read_bytes: //p' "/proc/$pid/task/$pid/io")"
}
moved() { # since the file before: the disk of each VM
    look
    jq -e --slurpfile before "$1" '[.vms[] | .name as $name | .disks[0].write_operations >
        ($before[0].vms[] | select(.name == $name) | .disks[0].write_operations)] | all' /tmp/state
}
sync
echo 3 >/proc/sys/vm/drop_caches
before=$(read_from_disk)
for round in 1 2 3; do
    cp /tmp/state "/run/state-$round"
    wait_for 60 moved "/run/state-$round"
done
check 'the loop reads nothing from the disk to ask them all' equal "$before" "$(read_from_disk)"

guilty='plain prod/db store web'
innocent='plain-b prod/cache store-b web-b'
stop_storage plain prod_db store web
begin=$SECONDS
all_guilty_are_frozen() {
    look
    for name in $guilty; do
        equal frozen "$(known "$name" .state)" || return 1
    done
}
check 'without its storage one VM of each source is frozen' wait_for 200 all_guilty_are_frozen
echo "named after $((SECONDS - begin)) s"
for name in $guilty; do
    check "$name: the disk is, with evidence" matches \
        '^frozen (block-path|storage) ' "$(known "$name" '.disks[0] | "\(.state) \(.layer) \(.cause)"')"
    guardianctl explain "$name" || :
done
for name in $innocent; do
    check "$name, beside it, is fine" equal ok "$(known "$name" .state)"
done
cp /tmp/state /run/state-frozen
innocents_moved() {
    look
    for name in $innocent; do
        [ "$(known "$name" '.disks[0].write_operations')" -gt \
            "$(jq --arg name "$name" '.vms[] | select(.name == $name) | .disks[0].write_operations' \
                /run/state-frozen)" ] || return 1
    done
}
check 'and all of them are asked meanwhile' wait_for 60 innocents_moved
check 'four alerts, none of an innocent' equal 'plain prod/db store web' \
    "$(journalctl --quiet --output=json --unit=vm-guardian.service EVENT=alert |
        jq -r .VM | sort -u | xargs)"
check 'libvirt marks no domain as tainted' equal '' "$(grep -h custom-monitor /var/log/libvirt/qemu/*.log)"
heal_storage plain prod_db store web
check 'with their storage back all are fine' wait_for 120 all_are_fine
