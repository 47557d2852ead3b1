# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Pods as kubelet, containerd and CRI-O make them: the VM's name, its pod, its limits, its helpers.
# Two VMs of KubeVirt (systemd's driver with containerd, cgroupfs' driver with CRI-O), a VM of
# Proxmox with a helper, and a bare one, at the same time.
# limit: 300

uid1=4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01
uid2=5f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f02
vmi1=ac1e83d8-f2ad-4047-8ba9-3f557c687b91
vmi2=ac1e83d8-f2ad-4047-8ba9-3f557c687b92
compute1=$(printf '%064d' 11)
tail1=$(printf '%064d' 12)
compute2=$(printf '%064d' 21)
pod1=kubepods-burstable-pod${uid1//-/_}.slice
group1=/kubepods.slice/kubepods-burstable.slice/$pod1
group2=/kubepods/pod$uid2
programs=/run/case-programs

# hold MIB ...: keeps so much memory and waits; what comes after it is for the reader of its command
# line. Programs are copies of this shell, so that each has its name.
mkdir -p $programs
mkfifo $programs/never
cat >$programs/hold <<'HOLD'
data=$(head -c "$1"M /dev/zero | tr '\0' x)
exec 9<>/run/case-programs/never
read -r -u 9
HOLD
for name in virt-launcher-monitor virt-launcher virtqemud virtlogd virt-tail swtpm memhold; do
    cp /bin/bash $programs/$name
done
ln "$(command -v qemu-system-x86_64)" /usr/bin/qemu-kvm 2>/dev/null ||
    cp "$(command -v qemu-system-x86_64)" /usr/bin/qemu-kvm

# launcher NAME VMI: what runs in a compute container, in the group of the caller.
launcher() {
    local words="--qemu-timeout 338s --name $1 --uid $2 --namespace prod --run-as-nonroot"
    # shellcheck disable=SC2086
    $programs/virt-launcher-monitor $programs/hold 1 $words &
    # shellcheck disable=SC2086
    $programs/virt-launcher $programs/hold 20 $words &
    $programs/virtqemud $programs/hold 12 &
    $programs/virtlogd $programs/hold 2 &
    # shellcheck disable=SC2046
    qemu-kvm $(vm_arguments "prod_$1") -S -uuid "$2" &
}

# in_group PATH COMMAND...: in a group that nobody but us made.
in_group() {
    local group=/sys/fs/cgroup$1
    shift
    (
        echo $BASHPID >"$group/cgroup.procs"
        "$@"
        wait
    ) </dev/null >/dev/null 2>&1 &
}

export -f launcher vm_arguments
export programs
systemd-run --quiet --scope --slice="$pod1" --unit="cri-containerd-$compute1" -p MemoryMax=400M \
    bash -c "launcher db $vmi1; wait" </dev/null >/dev/null 2>&1 &
systemd-run --quiet --scope --slice="$pod1" --unit="cri-containerd-$tail1" -p MemoryMax=60M \
    $programs/virt-tail $programs/hold 3 </dev/null >/dev/null 2>&1 &

for group in /kubepods "$group2"; do
    mkdir "/sys/fs/cgroup$group"
    echo +memory >"/sys/fs/cgroup$group/cgroup.subtree_control"
done
mkdir "/sys/fs/cgroup$group2/crio-$compute2"
trap 'echo 1 >/sys/fs/cgroup/kubepods/cgroup.kill; sleep 1; find /sys/fs/cgroup/kubepods -depth -type d -delete; rm -rf $programs' EXIT
echo 600M >"/sys/fs/cgroup$group2/memory.max"
echo 500M >"/sys/fs/cgroup$group2/crio-$compute2/memory.max"
echo 1 >"/sys/fs/cgroup$group2/crio-$compute2/memory.oom.group"
in_group "$group2/crio-$compute2" launcher web $vmi2

mkdir -p /run/qemu-server
systemd-run --quiet --scope --slice=qemu.slice --unit=104 bash -c "
    $programs/swtpm $programs/hold 5 </dev/null >/dev/null 2>&1 &
    exec qemu-kvm $(vm_arguments mail) -S -daemonize -pidfile /run/qemu-server/104.pid \
        -qmp unix:/run/qemu-server/104.qmp,server=on,wait=off"
systemd-run --quiet --unit=bare.scope --scope bash -c "
    exec qemu-kvm $(vm_arguments plain) -S -daemonize -qmp unix:/run/plain.qmp,server=on,wait=off"

private_of() { # PID: what statm says is its own, in bytes
    awk '{print ($2 - $3) * 4096}' "/proc/$1/statm"
}
near() { # WANTED GOT: within 1 MiB
    local off=$(($2 - $1))
    echo "wanted $1, got $2"
    [ ${off#-} -le 1048576 ]
}
all_hold() { # until every string is made, sizes change
    [ "$(pgrep -fc "case-programs/hold")" -ge 10 ] &&
        ! pgrep -x head >/dev/null && ! pgrep -x tr >/dev/null
}
wait_for 60 all_hold
wait_for 30 test -s /run/qemu-server/104.pid
systemctl set-property --runtime "$pod1" MemoryMax=4G
sleep 1

guardianctl status --json >/tmp/state
known() { # NAME FILTER
    jq -r --arg name "$1" ".vms[] | select(.name == \$name) | $2" /tmp/state
}
role() { # NAME ROLE FILTER
    known "$1" ".beside[] | select(.role == \"$2\") | $3"
}

check 'four VMs are seen, each once' equal 'mail plain prod/db prod/web' \
    "$(jq -r '[.vms[].name] | sort | join(" ")' /tmp/state)"
check 'each is of its source' equal 'proxmox bare kubevirt kubevirt' \
    "$(for name in mail plain prod/db prod/web; do known $name .source; done | xargs)"
check 'virt-launcher says which VM it is' equal "prod $vmi1 $vmi1" \
    "$(known prod/db '"\(.namespace) \(.id) \(.uuid)"')"
check 'its pod and container are known (containerd)' \
    equal "$uid1 burstable $compute1 containerd" \
    "$(known prod/db '.pod | "\(.uid) \(.qos) \(.container) \(.runtime)"')"
check 'its pod and container are known (CRI-O)' equal "$uid2 guaranteed $compute2 cri-o" \
    "$(known prod/web '.pod | "\(.uid) \(.qos) \(.container) \(.runtime)"')"
check 'other VMs have no pod' equal 'null null' "$(known mail .pod) $(known plain .pod)"

check 'the tightest limit is the container, systemd owns it' \
    equal "$group1/cri-containerd-$compute1.scope 419430400 container systemd true" \
    "$(known prod/db '.domain.limits[0] | "\(.group) \(.limit_bytes) \(.kind) \(.owner) \(.own)"')"
check 'the pod has a limit, too' equal '4294967296 pod systemd' \
    "$(known prod/db '.domain.limits[1] | "\(.limit_bytes) \(.kind) \(.owner)"')"
check 'what cgroupfs made systemd does not own' equal 'container runtime, pod kubelet' \
    "$(known prod/web '[.domain.limits[] | "\(.kind) \(.owner)"] | join(", ")')"
check 'one OOM kills the whole container where kubelet said so' \
    equal "$group2/crio-$compute2" "$(known prod/web .domain.killed_group)"
check 'headroom is what the kernel leaves' near \
    $((419430400 - $(awk '$1 ~ /^(anon|shmem|slab_unreclaimable|kernel_stack|pagetables|sec_pagetables|percpu|sock)$/ {n += $2} END {print n}' \
        "/sys/fs/cgroup$group1/cri-containerd-$compute1.scope/memory.stat"))) \
    "$(known prod/db .memory.headroom_bytes)"

for name in db web; do
    check "the helpers of $name are told by role" equal \
        'virt-launcher-monitor 1, virt-launcher 1, virtqemud 1, virtlogd 1' \
        "$(known prod/$name '[.beside[] | select(.role | test("virt-l|virtq|virtlog")) | "\(.role) \(.processes)"] | join(", ")')"
done
check 'virt-launcher has the memory that it holds' near \
    "$(private_of "$(pgrep -f "virt-launcher .*--name db ")")" \
    "$(role prod/db virt-launcher .private_bytes)"
check 'virt-tail is in the pod, not under the tightest limit' equal '1 0' \
    "$(role prod/db virt-tail '"\(.processes) \(.domain_private_bytes)"')"
check 'the other pod has none' equal '' "$(role prod/web virt-tail .processes)"
check 'swtpm is beside the VM of Proxmox' equal 1 "$(role mail swtpm .processes)"

# The pod becomes the tightest: 40 MiB above what it holds, the container has far more.
held=$(cat "/sys/fs/cgroup$group1/memory.current")
systemctl set-property --runtime "$pod1" MemoryMax=$((held + 41943040))
wait_for 10 grep -qx $(((held + 41943040) / 4096 * 4096)) "/sys/fs/cgroup$group1/memory.max"
systemd-run --quiet --scope --slice="$pod1" --unit="cri-containerd-$(printf '%064d' 13)" \
    $programs/memhold $programs/hold 10 </dev/null >/dev/null 2>&1 &
wait_for 30 pgrep -x memhold
wait_for 30 all_hold
guardianctl status --json >/tmp/state
check 'the pod is the tightest when it is' equal "$group1 pod" \
    "$(known prod/db '.domain.limits[0] | "\(.group) \(.kind)"')"
check 'and virt-tail counts against it' \
    equal true "$(role prod/db virt-tail '.domain_private_bytes > 0')"
check 'a stranger in the pod is named' equal memhold \
    "$(known prod/db .largest_stranger.name)"
check 'explain tells all of it' matches "pod +$uid1.*limits +pod .*beside .*virtqemud" \
    "$(guardianctl explain prod/db | tr '\n' ' ')"

# Settings of single VMs: by namespace, by tag, and by what the owner wrote into the notes.
mkdir -p /etc/vm-guardian/vm.d /etc/pve/qemu-server
printf '[Match]\nnamespace = prod\n[freeze]\npatience = 41s\n' >/etc/vm-guardian/vm.d/prod.conf
printf '[Match]\ntag = post\n[freeze]\nsettle = 42s\n' >/etc/vm-guardian/vm.d/tag.conf
printf '#vm-guardian%%3A freeze.page_after=43s guardian.watch=no\ntags: post;x\nmemory: 32\n' \
    >/etc/pve/qemu-server/104.conf
vm-guardiand >/tmp/daemon.log 2>&1 &
heard() {
    guardianctl status --json | jq -e '.vms[] | select(.name == "mail") | .owner | length == 2'
}
wait_for 60 heard
shows() { # VM SETTING
    guardianctl config show "$1" | grep "^$2 " | tr -s ' '
}
check 'a namespace is matched' equal \
    'freeze.patience = 41s /etc/vm-guardian/vm.d/prod.conf:4' "$(shows prod/web freeze.patience)"
check 'and not outside of it' equal 'freeze.patience = 20s default' "$(shows mail freeze.patience)"
check 'a tag is matched' equal \
    'freeze.settle = 42s /etc/vm-guardian/vm.d/tag.conf:4' "$(shows 104 freeze.settle)"
check 'the owner is heard' equal "freeze.page_after = 43s Proxmox' notes (the owner's)" \
    "$(shows mail freeze.page_after)"
check 'the owner does not switch the watcher off' matches 'refused: guardian.watch = no' \
    "$(guardianctl config show mail)"
kill $!
guardianctl explain prod/db || true
