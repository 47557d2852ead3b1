# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# cgroup: v1
# limit: 600
# A host that has cgroup v1 still. Somebody takes the room in a scope of systemd that is limited by
# MemoryMax=, in one by MemoryLimit= and memory and swap together, as runc does it, in a pod of cgroupfs'
# driver, and in a domain of libvirt. First they are only watched, then saved, then all is taken back. A
# scope with the same stranger, and room, is left alone. Then one dies of its own limit, and one of the
# whole host; those beside them live. Such a host may be hurt: this is the last case.
# shellcheck disable=SC1091
. /source/tests/host/vms.sh
# shellcheck disable=SC1091
. /source/tests/host/limits.sh
# shellcheck disable=SC1091
. /source/tests/host/kills.sh

# every limit there is: of memory, and of memory and swap, in bytes
all_limits() {
    limits "${all[@]}"
    limit_file=$with_swap limits "${all[@]}"
}
closes() { # NAME: what its group was charged with is accounted for
    tells "$1" '.usage_bytes == (.parts | add) and .parts.unexplained_bytes < 8388608' true
}
property() { # NAME PROPERTY: systemd's
    systemctl show --value -p "$2" "$(basename "${group[$1]}")"
}

check 'the memory controller is cgroup v1' grep -q '^cgroup .*\bmemory\b' /proc/mounts
make_holder
with_swap=memory.memsw.limit_in_bytes
scope 501 max 230M 160 memory-backend-ram
limit_property=MemoryLimit scope 502 old 230M 160 memory-backend-memfd,share=on
echo 230M >"$root${group[old]}/$with_swap" # systemd has no word for it
scope 503 beside 600M 160 memory-backend-memfd,share=on

# a pod of cgroupfs' driver: kubelet and runc limit memory, and the sum of memory and swap, to the same
outer[prod/web]=/kubepods/burstable/pod4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01
group[prod/web]=${outer[prod/web]}/$(printf '%064d' 51)
pod_limit() { # GROUP BYTES
    echo "$2" >"$root$1/$limit_file"
    echo "$2" >"$root$1/$with_swap"
}
mkdir -p "$root${group[prod/web]}"
pod_limit "${group[prod/web]}" $((230 << 20))
pod_limit "${outer[prod/web]}" $((238 << 20))
(
    echo $BASHPID >"$root${group[prod/web]}/cgroup.procs"
    $programs/virt-launcher-monitor $programs/hold 10 --name web --namespace prod </dev/null &
    exec qemu-system-x86_64 -name prod_web -machine pc,memory-backend=ram -accel tcg -m 160 \
        -nodefaults -display none -no-user-config -S -object memory-backend-ram,id=ram,size=160M
) </dev/null >/dev/null 2>&1 &

cat >/run/shop.xml <<'END'
<domain type='qemu'><name>shop</name><memory unit='MiB'>160</memory><vcpu>1</vcpu>
  <memtune><hard_limit unit='MiB'>230</hard_limit><swap_hard_limit unit='MiB'>230</swap_hard_limit></memtune>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>
END
virsh --quiet create --paused /run/shop.xml
group[shop]=$(sed -n 's/^[0-9]*:memory://p' "/proc/$(cat /run/libvirt/qemu/shop.pid)/cgroup")

lost=(max old prod/web shop)
all=("${lost[@]}" beside)
mode observe
systemctl start vm-guardian.service
check 'all five are well' wait_for 120 levels_match '[^ ]+ ok: ' "${all[@]}"
before=$(all_limits)
for name in "${all[@]}"; do
    hold "$name" 70
done
check 'the sum is lost: they are doomed' wait_for 120 levels_match '[^ ]+ (doomed|oom-imminent): ' "${lost[@]}"
for name in "${lost[@]}"; do
    check "$name: alive, and by whom" wait_for 60 explains "$name" "memhold[$(holder "$name")]"
done
check 'the one with room is not' levels_match '[^ ]+ ok: ' beside
check 'nothing was written' equal "$before" "$(all_limits)"
check 'not even an intent' equal '' "$(find $journal -name '*.json' 2>/dev/null)"

mode enforce
systemctl reload vm-guardian.service
check 'where it is allowed all are raised' wait_for 120 raised "${lost[@]}"
check 'then none is doomed' wait_for 120 levels_match '[^ ]+ (ok|watch): ' "${lost[@]}"
after=$(all_limits)
check 'each group by one write' equal "${group[max]}" "$(writes max)"
check 'and by one more where memory and swap have a limit' equal \
    "${group[old]} ${group[old]} ${group[shop]} ${group[shop]}" "$({ writes old && writes shop; } | paste -sd ' ')"
check 'the pod before its container' equal "${outer[prod/web]} ${outer[prod/web]} \
${group[prod/web]} ${group[prod/web]}" "$(writes prod/web | xargs)"
check 'the one beside keeps its limit' equal $((600 << 20)) "$(limits beside)"
check 'systemd knows of the one' equal "$(limits max)" "$(property max MemoryMax)"
check 'and of the other by its own word' equal "$(limits old) infinity" \
    "$(property old MemoryLimit) $(property old MemoryMax)"
check 'libvirt knows of its domain' equal "$(($(limits shop) / 1024))" \
    "$(virsh memtune shop | sed -n 's/^hard_limit *: *//p')"
systemctl daemon-reload
check 'a daemon-reload leaves them' equal "$after" "$(all_limits)"
holders_end "${lost[@]}"
for name in "${lost[@]}"; do
    check "$name is taken back" wait_for 60 guardianctl limits undo "$name" --yes
done
check 'all is as it was' equal "$before" "$(all_limits)"
systemctl daemon-reload
check 'for good' equal "$before" "$(all_limits)"
echo -1 >"$root${group[old]}/$with_swap"
check 'its owner goes on' systemctl set-property --runtime 502.scope MemoryLimit=600M
check 'and his word counts' equal $((600 << 20)) "$(limits old)"

mode observe
systemctl reload vm-guardian.service
for name in max old beside; do
    check "$name: its guest touches all" fill $name 160
done
max=$(pid_of 501) old=$(pid_of 502) beside=$(pid_of 503) web=$(pgrep -f 'name prod_web')
shop=$(cat /run/libvirt/qemu/shop.pid)
echo 1000 >"/proc/$old/oom_score_adj"
hold max 90
check 'one dies of its own limit' wait_for 120 is_gone "$max"
check 'the guardian has seen it' wait_for 120 tells max .constraint memcg
check 'which process' tells max '"\(.victim.pid) \(.death) \(.complete)"' "$max true true"
check 'its group and its limit' tells max '"\(.domain) \(.limit_bytes)"' "${group[max]} $((230 << 20))"
check 'the parts add up' closes max
check 'who was to blame' tells max '.blame | "\(.role) \(.pid)"' "stranger $(holder max)"
check 'and a higher limit had been enough' tells max '.blame.suggested_limit_bytes > .limit_bytes' true
check 'it is explained' wait_for 60 explains max 'the VM died of it; blame: stranger'

put_aside 450 # soon used up
hog_kills old "$old"
check 'the other one still by its own' tells max '"\(.victim.pid) \(.domain)"' "$max ${group[max]}"
check 'the VMs beside them live' kill -0 "$beside" "$web" "$shop"
check 'they are well' wait_for 120 levels_match '[^ ]+ ok: ' beside prod/web shop
check 'no kill is theirs' equal '' "$(for name in beside prod/web shop; do of_kill $name .constraint; done)"
check 'two alerts, none of them' equal 'max old' "$(alerted max old beside prod/web shop)"
check 'the tool reads the same in the log of the kernel' equal "memcg $max global $old" \
    "$(in_log "$max" "$old")"
guardianctl oom </dev/null || : # for the record
