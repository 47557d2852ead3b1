# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 900
# Every owner of a limit, at the same time: a pod of systemd's driver and one of cgroupfs' driver (pod
# before container), a domain of libvirt, and Proxmox' scope, with a guest in a memfd. In each somebody
# takes the room. First they are only watched, then saved, then all is taken back. Beside them a pod and a
# scope with the same somebody, and room. One more scope is full of page cache, and lives well.
# shellcheck disable=SC1091
. /source/tests/host/vms.sh

journal=/var/lib/vm-guardian/acts
uid1=4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01
uid2=5f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f02
pod1=kubepods-burstable-pod${uid1//-/_}.slice
root=/sys/fs/cgroup
declare -A group outer
outer[prod/db]=/kubepods.slice/kubepods-burstable.slice/$pod1
group[prod/db]=${outer[prod/db]}/cri-containerd-$(printf '%064d' 51).scope
for name in web calm; do
    outer[prod/$name]=/kubepods/pod${uid2%?}${#name}
    group[prod/$name]=${outer[prod/$name]}/crio-$(printf '%064d' ${#name})
done
group[store]=/qemu.slice/201.scope
group[files]=/qemu.slice/202.scope
group[spare]=/qemu.slice/203.scope

clean() {
    virsh --quiet destroy shop
    echo 1 >$root/kubepods/cgroup.kill
    sleep 1
    find $root/kubepods -depth -type d -delete
}
trap 'clean >/dev/null 2>&1 || :' EXIT

make_programs
cp /bin/dd $programs/memhold
mkdir -p /run/qemu-server

# hold NAME MIB: a stranger in the VM's group.
hold() {
    (
        echo $BASHPID >"$root${group[$1]}/cgroup.procs"
        # read, and never written: nobody reads from there
        exec $programs/memhold if=/dev/zero bs="$2M" count=1 1<>$programs/never
    ) </dev/null 2>/dev/null &
    echo $! >"/run/hold-${1#*/}.pid"
}
# launch NAME: what runs in a compute container, in the group of the caller; nothing of its guest of
# 160 MiB is touched.
launch() {
    $programs/virt-launcher-monitor $programs/hold 10 --name "$1" --namespace prod </dev/null &
    exec qemu-system-x86_64 -name "prod_$1" -machine pc,memory-backend=ram -accel tcg -m 160 \
        -nodefaults -display none -no-user-config -S -object memory-backend-ram,id=ram,size=160M
}
pod() { # NAME LIMIT
    mkdir -p "$root${outer[prod/$1]}"
    echo +memory >"$root${outer[prod/$1]}/cgroup.subtree_control"
    mkdir "$root${group[prod/$1]}"
    echo "$2" >"$root${group[prod/$1]}/memory.max"
    echo "$(($2 + 8388608))" >"$root${outer[prod/$1]}/memory.max"
    (
        echo $BASHPID >"$root${group[prod/$1]}/cgroup.procs"
        launch "$1"
    ) </dev/null >/dev/null 2>&1 &
}
proxmox() { # ID NAME LIMIT BACKEND MIB
    systemd-run --quiet --scope --slice=qemu.slice --unit="$1" --property="MemoryMax=$3" \
        qemu-system-x86_64 -name "$2" -machine pc,memory-backend=ram -accel tcg -m "$5" \
        -nodefaults -display none -no-user-config -S -daemonize -pidfile "/run/qemu-server/$1.pid" \
        -qmp "unix:/run/qemu-server/$1.qmp,server=on,wait=off" -object "$4,id=ram,size=$5M"
}

mkdir $root/kubepods
echo +memory >$root/kubepods/cgroup.subtree_control
pod web $((230 << 20))
pod calm $((400 << 20))
export -f launch
export programs
systemd-run --quiet --scope --slice="$pod1" --unit="$(basename "${group[prod/db]}" .scope)" \
    --property=MemoryMax=230M bash -c 'launch db' </dev/null >/dev/null 2>&1 &
proxmox 201 store 220M memory-backend-memfd,share=on 160
proxmox 202 files 300M memory-backend-ram 160
proxmox 203 spare 400M memory-backend-memfd,share=on 160
cat >/run/shop.xml <<'END'
<domain type='qemu'><name>shop</name><memory unit='MiB'>160</memory><vcpu>1</vcpu>
  <memtune><hard_limit unit='MiB'>230</hard_limit></memtune>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>
END
virsh --quiet create --paused /run/shop.xml
wait_for 60 pgrep -f 'name prod_db'
systemctl set-property --runtime "$pod1" MemoryMax=238M
group[shop]=$(sed -n 's/^0:://p' "/proc/$(cat /run/libvirt/qemu/shop.pid)/cgroup" | sed 's|/emulator$||')

lost='prod/db prod/web shop store'
limits() { # NAME...: of each group and of the one above, in bytes
    local name
    for name; do
        cat "$root${group[$name]}/memory.max"
        [ -z "${outer[$name]-}" ] || cat "$root${outer[$name]}/memory.max"
    done | xargs
}
# levels_match PATTERN NAME...: the level of each
levels_match() {
    local name level
    guardianctl status --json >/tmp/state || :
    for name in "${@:2}"; do
        level=$(jq -r --arg name "$name" \
            '.vms[] | select(.name == $name) | .memory.forecast | "\(.level): \(.reason)"' /tmp/state)
        matches "^($1): " "$level" || return
    done
}
mode() {
    printf '[guardian]\nmode = %s\n[memory]\nperiod = 1s\n[enforce]\nlimits = %s\ncool_down = 1m\n' \
        "$1" "$1" >/etc/vm-guardian/guardian.conf
}
# writes: the groups in the order in which they were written to
writes() {
    find $journal -name '*.json' 2>/dev/null | sort | while read -r file; do
        jq -r 'select(.state == "applied" and .undoes == null) | .where' "$file"
    done
}
raised() { # NAME...: all of them
    local name
    for name; do
        grep -qxF -e "${group[$name]}" <<<"$(writes)" || return
    done
}
alive() {
    kill -0 $(pgrep '^qemu-system') && equal 7 "$(pgrep -c '^qemu-system')"
}

mkdir -p /etc/vm-guardian
mode observe
systemctl start vm-guardian.service
all='files prod/calm prod/db prod/web shop spare store'
# shellcheck disable=SC2086
check 'all seven are well' wait_for 200 levels_match ok $all
before=$(limits $all)
calm=$(limits prod/calm spare files)
for name in prod/db prod/web prod/calm shop store spare; do
    hold "$name" 70
done
(
    echo $BASHPID >"$root${group[files]}/cgroup.procs"
    exec dd if=/dev/zero of=/root/cached bs=1M count=230 status=none
)
# shellcheck disable=SC2086
check 'the sum is lost: they are doomed' wait_for 200 levels_match 'doomed|oom-imminent' $lost
explains() { # NAME WORDS
    { guardianctl explain "$1" || :; } | tr -s ' \n' ' ' | grep -F -e "$2"
}
for name in $lost; do
    check "$name: alive, and by whom" wait_for 120 explains "$name" \
        "memhold[$(cat "/run/hold-${name#*/}.pid")]"
done
check 'those with room are not, nor the one with page cache' levels_match 'ok|watch' prod/calm spare files
check 'that holds it' test "$(cat "$root${group[files]}/memory.current")" -gt $((200 << 20))
check 'nothing was written' equal "$before" "$(limits $all)"
check 'not even an intent' equal '' "$(find $journal -name '*.json' 2>/dev/null)"

mode enforce
systemctl reload vm-guardian.service
# shellcheck disable=SC2086
check 'where it is allowed all are raised' wait_for 200 raised $lost
check 'each group by one write, the pod before its container' equal \
    "$(printf '%s\n' "${outer[prod/db]}" "${group[prod/db]}" "${outer[prod/web]}" "${group[prod/web]}" \
        "${group[shop]}" "${group[store]}" | sort)" "$(writes | sort)"
for name in prod/db prod/web; do
    check "$name: the pod was first" equal "${outer[$name]} ${group[$name]}" \
        "$(writes | grep -F -e "${outer[$name]}" | xargs)"
done
after=$(limits $all)
check 'those beside them keep their limits' equal "$calm" "$(limits prod/calm spare files)"
# shellcheck disable=SC2086
check 'then none is doomed' wait_for 120 levels_match 'ok|watch' $lost
check 'systemd knows of its units' equal "$(limits prod/db store)" "$(for unit in \
    "$(basename "${group[prod/db]}")" "$pod1" 201.scope; do
    systemctl show --value -p MemoryMax "$unit"
done | xargs)"
check 'libvirt knows of it' equal "$(($(limits shop) / 1024))" \
    "$(virsh memtune shop | sed -n 's/^hard_limit *: *//p')"
systemctl daemon-reload
check 'a daemon-reload leaves them' equal "$after" "$(limits $all)"
check 'all live' alive
# shellcheck disable=SC2046
kill $(cat /run/hold-*.pid) 2>/dev/null || :
for name in $lost; do
    check "$name is taken back" wait_for 60 guardianctl limits undo $name --yes
done
check 'all is as it was' equal "$before" "$(limits $all)"
systemctl daemon-reload
check 'for good' equal "$before" "$(limits $all)"
