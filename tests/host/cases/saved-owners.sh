# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 600
# Every owner of a limit, at the same time: a pod of systemd's driver and one of cgroupfs' driver (pod
# before container), a domain of libvirt, and Proxmox' scope, with a guest in a memfd. In each somebody
# takes the room. First they are only watched, then saved, then all is taken back, which stays so. Somebody
# writes the old limits of one again, and again. Beside them a pod and a scope with the same stranger,
# and room. One more scope is full of page cache, and lives well.
# shellcheck disable=SC1091
. /source/tests/host/vms.sh
# shellcheck disable=SC1091
. /source/tests/host/limits.sh

uid1=4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01
uid2=5f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f02
pod1=kubepods-burstable-pod${uid1//-/_}.slice
outer[prod/db]=/kubepods.slice/kubepods-burstable.slice/$pod1
group[prod/db]=${outer[prod/db]}/cri-containerd-$(printf '%064d' 51).scope
for name in web calm; do
    outer[prod/$name]=/kubepods/pod${uid2%?}${#name}
    group[prod/$name]=${outer[prod/$name]}/crio-$(printf '%064d' ${#name})
done

clean() {
    virsh --quiet destroy shop
    echo 1 >$root/kubepods/cgroup.kill
    sleep 1
    find $root/kubepods -depth -type d -delete
}
trap 'clean >/dev/null 2>&1 || :' EXIT

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
    rewrite "$1" "$2"
    (
        echo $BASHPID >"$root${group[prod/$1]}/cgroup.procs"
        launch "$1"
    ) </dev/null >/dev/null 2>&1 &
}
rewrite() { # NAME LIMIT: as the kubelet would
    echo "$2" >"$root${group[prod/$1]}/memory.max"
    echo "$(($2 + 8388608))" >"$root${outer[prod/$1]}/memory.max"
}

make_holder
mkdir -p $root/kubepods
echo +memory >$root/kubepods/cgroup.subtree_control
pod web $((230 << 20))
pod calm $((400 << 20))
export -f launch
export programs
systemd-run --quiet --scope --slice="$pod1" --unit="$(basename "${group[prod/db]}" .scope)" \
    --property=MemoryMax=230M bash -c 'launch db' </dev/null >/dev/null 2>&1 &
scope 201 store 220M 160 memory-backend-memfd,share=on
scope 202 files 300M 160 memory-backend-ram
scope 203 spare 400M 160 memory-backend-memfd,share=on
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

lost=(prod/db prod/web shop store)
all=("${lost[@]}" files prod/calm spare)
alive() {
    equal 7 "$(pgrep -c '^qemu-system')"
}

mode observe
systemctl start vm-guardian.service
check 'all seven are well' wait_for 200 levels_match '[^ ]+ ok: ' "${all[@]}"
before=$(limits "${all[@]}")
calm=$(limits prod/calm spare files)
for name in "${lost[@]}" prod/calm spare; do
    hold "$name" 70
done
(
    echo $BASHPID >"$root${group[files]}/cgroup.procs"
    exec dd if=/dev/zero of=/root/cached bs=1M count=230 status=none
)
check 'the sum is lost: they are doomed' wait_for 200 levels_match '[^ ]+ (doomed|oom-imminent): ' "${lost[@]}"
for name in "${lost[@]}"; do
    check "$name: alive, and by whom" wait_for 120 explains "$name" "memhold[$(holder "$name")]"
done
check 'those with room are not, nor the one with page cache' \
    levels_match '[^ ]+ (ok|watch): ' prod/calm spare files
check 'that holds it' holds_more_than files $((200 << 20))
check 'nothing was written' equal "$before" "$(limits "${all[@]}")"
check 'not even an intent' equal '' "$(find $journal -name '*.json' 2>/dev/null)"
guardianctl explain prod/db || : # for the record

# two plans for a pod, and no third
mode enforce 'cool_down = 20s' 'writes_vm = 4'
systemctl reload vm-guardian.service
check 'where it is allowed all are raised' wait_for 200 raised "${lost[@]}"
check 'each group by one write, the pod before its container' equal \
    "$(printf '%s\n' "${outer[prod/db]}" "${group[prod/db]}" "${outer[prod/web]}" "${group[prod/web]}" \
        "${group[shop]}" "${group[store]}" | sort)" "$(writes | sort)"
for name in prod/db prod/web; do
    check "$name: the pod was first" equal "${outer[$name]} ${group[$name]}" "$(writes $name | xargs)"
done
after=$(limits "${all[@]}")
check 'those beside them keep their limits' equal "$calm" "$(limits prod/calm spare files)"
check 'then none is doomed' wait_for 120 levels_match '[^ ]+ (ok|watch): ' "${lost[@]}"
check 'systemd knows of its units' systemd_knows prod/db store
check 'libvirt knows of it' equal "$(($(limits shop) / 1024))" \
    "$(virsh memtune shop | sed -n 's/^hard_limit *: *//p')"
systemctl daemon-reload
check 'a daemon-reload leaves them' equal "$after" "$(limits "${all[@]}")"
check 'all live' alive

# Somebody else's limit that suffices is no drift; the old ones are; and a third time is a fight.
roomy=$((400 << 20))
rewrite web $roomy
check 'another limit is seen' wait_for 60 is prod/web .memory.limit_bytes $roomy
check 'and left alone where it suffices' equal "2 $roomy $((roomy + 8388608))" \
    "$(writes prod/web | wc -l) $(limits prod/web)"
web_has() { # BYTES WRITES: more than so much, after so many writes
    [ "$(cat "$root${group[prod/web]}/memory.max")" -gt "$1" ] && equal "$2" "$(writes prod/web | wc -l)"
}
old=$((230 << 20))
rewrite web $old
check 'the old limits are raised again' wait_for 200 web_has $old 4
rewrite web $old
check 'but for the third time' wait_for 200 told "prod/web: memory limits are too small, and not raised: \
the VM's writes of this hour are spent (somebody writes the old value back?)"
check 'then they are left to him' equal "4 $old $((old + 8388608))" "$(writes prod/web | wc -l) $(limits prod/web)"

holders_end "${lost[@]}" prod/calm spare
for name in prod/db shop store; do
    check "$name is taken back" wait_for 60 guardianctl limits undo "$name" --yes
done
check 'all is as it was' equal "$before" "$(limits "${all[@]}")"
systemctl daemon-reload
check 'for good' equal "$before" "$(limits "${all[@]}")"
hold store 70
check 'doomed again, it is not written to again' wait_for 200 told \
    'store: memory limits are too small, and not raised: an administrator took the last one back'
check 'which keeps its limit' equal "$((220 << 20)) 1" "$(limits store) $(writes store | wc -l)"
check 'all live to the end' alive
