# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Risks that lie in a unit around QEMU, planted one a VM: each is found by its name, a clean VM beside
# them has none, and the remedy as it is printed makes it disappear.

# start NAME PROPERTY...: a paused VM without a risk of its own, in a unit with these properties.
start() {
    local name=$1 properties=("${@:2}")
    truncate -s 8M "/root/$name.raw"
    # shellcheck disable=SC2046
    systemd-run --quiet --unit="$name" --slice=qemu.slice "${properties[@]/#/--property=}" \
        qemu-system-x86_64 $(vm_arguments "$name") -S -object iothread,id=t0 \
        -drive "file=/root/$name.raw,format=raw,if=none,id=d0,cache=none,aio=threads,werror=stop,rerror=stop" \
        -device virtio-blk-pci,drive=d0,id=disk0,iothread=t0 -device i6300esb -device pvpanic -serial null \
        -qmp "unix:/run/$name-other.sock,server=on,wait=off" -qmp "unix:/run/$name.sock,server=on,wait=off"
    wait_for 60 test -S "/run/$name.sock"
}

restart() {
    systemctl stop "$1"
    start "$@"
}

# Its exit status says whether anything was found.
audit() {
    guardianctl audit --json >/tmp/audit.json || [ $? = 1 ]
}

# finds NAME WANTED: all that was found of it, in order.
finds() {
    equal "$2" "$(jq -r --arg name "$1" '.vms[] | select(.name == $name) | [.findings[].name] | join(" ")' \
        /tmp/audit.json)"
}

# remedy NAME WORDS
remedy() {
    matches "$2" "$(jq -r --arg name "$1" '.vms[] | select(.name == $name) | .findings[0].remedy' /tmp/audit.json)"
}

start clean
start scored OOMScoreAdjust=-999
start high MemoryHigh=500M
start grouped OOMPolicy=kill
start limited MemoryMax=120M
dd if=/dev/zero of=/root/swap bs=1M count=16 status=none
chmod 600 /root/swap
mkswap --quiet /root/swap
swapon /root/swap
start swapped 'IOReadBandwidthMax=/root 50M'
audit
check 'a VM without a risk has no finding' finds clean ''
check 'a score that makes the host die first is found' finds scored oom-score
check 'memory.high is found' finds high memory-high
check 'a group that dies as one is found' finds grouped oom-group
check 'a limit below guest and floor is found' finds limited memory-limit-too-low

check 'swap on a disk that its group is limited on is found' finds swapped swap-on-throttled-disk

check 'the score: what is to be done' remedy scored '^OOMScoreAdjust= of whatever starts it, near 0'
check 'memory.high: what is to be done' remedy high '^MemoryHigh=infinity for its unit'
check 'the group: what is to be done' remedy grouped '^OOMPolicy=continue for its unit'
check 'the limit: what is to be done' remedy limited '^raise the limit: guardianctl limits plan limited'
check 'the swap: what is to be done' remedy swapped '^MemorySwapMax=0 for its unit'
restart scored OOMScoreAdjust=0
systemctl set-property --runtime swapped.service MemorySwapMax=0
systemctl set-property --runtime high.service MemoryHigh=infinity
restart grouped OOMPolicy=continue
systemctl set-property --runtime limited.service MemoryMax=1G
audit
for name in clean scored high grouped limited swapped; do
    check "and nothing is found of it afterwards: $name" finds "$name" ''
done
swapoff /root/swap
