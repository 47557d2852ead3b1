# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# VMs under memory limits and somebody beside them who takes the room, for cases that read this after
# vms.sh. The group of a VM is group[NAME], the one above it that is its own and has a limit, too, is
# outer[NAME]: scope fills them in, other VMs are the case's. On cgroup v1 as well as on v2.
#
#   scope ID NAME LIMIT MIB BACKEND [ARGUMENT...]     a VM in qemu.slice/ID.scope that never runs; of
#                              systemd's property, which is MemoryMax, or says $limit_property
#   hold NAME MIB              memhold takes so much, and keeps it, in the VM's group
#   grow NAME MIB              takes a MiB a second, up to so much, and keeps it
#   fill NAME MIB              the guest of a scope touches all of its so many MiB
#   inflate NAME, deflate NAME the balloon of a guest of 160 MiB: down to 32, and given back

# shellcheck disable=SC2154 # programs is in vms.sh
root=/sys/fs/cgroup limit_file=memory.max usage_file=memory.current
if [ -e $root/memory ]; then
    root=$root/memory limit_file=memory.limit_in_bytes usage_file=memory.usage_in_bytes
fi
journal=/var/lib/vm-guardian/acts
declare -A group outer

make_holder() {
    make_programs
    cp /bin/dd $programs/memhold
    rm -f $programs/unread
    mkfifo $programs/unread
}
# as_holder NAME ARGUMENT...: what it reads it keeps; it writes where nobody reads
as_holder() {
    echo $BASHPID >"$root${group[$1]}/cgroup.procs"
    exec $programs/memhold "${@:2}" count=1 1<>$programs/unread 2>/dev/null
}
hold() {
    as_holder "$1" if=/dev/zero bs="$2M" </dev/null &
    echo $! >"/run/hold-${1#*/}.pid"
}
feed() { # MIB
    for ((i = 0; i < $1; i++)); do
        head -c 1M /dev/zero
        sleep 1
    done
    exec sleep infinity
}
grow() {
    as_holder "$1" bs=1G iflag=fullblock < <(feed "$2") &
    echo $! >"/run/hold-${1#*/}.pid"
}
holder() { # NAME: its process
    cat "/run/hold-${1#*/}.pid"
}
holders_end() { # NAME...
    local name
    for name; do
        kill "$(holder "$name")"
    done
}

# Nobody runs the guest: what it would do is done through QEMU's own interface for tests.
scope() {
    group[$2]=/qemu.slice/$1.scope
    mkdir -p /run/qemu-server
    systemd-run --quiet --scope --slice=qemu.slice --unit="$1" --property="${limit_property:-MemoryMax}=$3" \
        qemu-system-x86_64 -name "$2" -machine pc,memory-backend=ram -accel tcg -m "$4" \
        -nodefaults -display none -no-user-config -S -daemonize -pidfile "/run/qemu-server/$1.pid" \
        -qmp "unix:/run/qemu-server/$1.qmp,server=on,wait=off" -object "$5,id=ram,size=$4M" \
        -qtest "unix:/run/qtest-$2,server=on,wait=off" -qtest-log none "${@:6}"
}
as_guest() { # NAME COMMAND...
    local said
    said=$(printf '%s\n' "${@:2}" | timeout 90 socat -t 60 - "unix:/run/qtest-$1")
    equal $(($# - 1)) "$(grep -c '^OK' <<<"$said")"
}
fill() {
    local commands=() i
    # QEMU copies each from a buffer of its own
    for ((i = 1; i < $2; i++)); do
        commands+=("memset $((i << 20)) 0x100000 1")
    done
    as_guest "$1" "${commands[@]}"
}
# virtio's old interface, at the ports from 0xc000 on, of the balloon that is device 5 on the bus
# shellcheck disable=SC2034 # of the cases
balloon='virtio-balloon-pci,addr=5,disable-modern=on'
inflate() {
    local pages # numbers of pages, little endian: those from 32 to 160 MiB
    pages=$(awk 'BEGIN {
        for (i = 8192; i < 40960; i++)
            printf "%02x%02x%02x00", i % 256, int(i / 256) % 256, int(i / 65536)
    }')
    # its ports, I/O and bus mastering on; reset; the inflate queue is at 0x10000; a driver is there
    as_guest "$1" 'outl 0xcf8 0x80002810' 'outl 0xcfc 0xc000' 'outl 0xcf8 0x80002804' 'outw 0xcfc 5' \
        'outb 0xc012 0' 'outb 0xc012 3' 'outw 0xc00e 0' 'outl 0xc008 0x10' 'outb 0xc012 7' || return
    # one descriptor: all of the pages; it is offered, and told; so many are in the balloon now
    as_guest "$1" "write 0x200000 0x20000 0x$pages" 'writeq 0x10000 0x200000' 'writel 0x10008 0x20000' \
        'writew 0x10802 1' 'outw 0xc010 0' 'outl 0xc018 32768'
}
deflate() {
    as_guest "$1" 'outl 0xc018 0'
}

mode() { # MODE [LINE...]: of all VMs; the lines belong to [enforce]
    mkdir -p /etc/vm-guardian
    printf '%s\n' '[guardian]' "mode = $1" '[memory]' 'period = 1s' '[enforce]' "limits = $1" "${@:2}" \
        >/etc/vm-guardian/guardian.conf
}
groups_of() { # NAME...: of each, and the one above
    local name
    for name; do
        printf '%s\n' "${group[$name]}" ${outer[$name]+"${outer[$name]}"}
    done
}
limits() { # NAME...: of each group and of the one above, in bytes
    groups_of "$@" | while read -r path; do
        cat "$root$path/$limit_file"
    done | xargs
}
holds_more_than() { # NAME BYTES
    [ "$(cat "$root${group[$1]}/$usage_file")" -gt "$2" ]
}
# levels_match PATTERN NAME...: of each, "level: reason"
levels_match() {
    local name text
    local -A known
    while read -r name text; do
        known[$name]=$text
    done < <({ guardianctl status --json || :; } |
        jq -r '.vms[] | "\(.name) \(.memory.forecast | "\(.level): \(.reason)")"')
    for name in "${@:2}"; do
        matches "^($1)" "$name ${known[$name]-}" || return
    done
}
explains() { # NAME WORDS
    { guardianctl explain "$1" || :; } | tr -s ' \n' ' ' | grep -F -e "$2"
}
# writes [NAME...]: the groups, or of them those of the VMs, in the order in which they were written to
writes() {
    find $journal -name '*.json' 2>/dev/null | sort |
        xargs -r jq -r 'select(.state == "applied" and .undoes == null) | .where' |
        if [ $# = 0 ]; then cat; else grep -xF "$(groups_of "$@")" || :; fi
}
raised() { # NAME...: all of them
    local name groups
    groups=$(writes "$@")
    for name; do
        grep -qxF -e "${group[$name]}" <<<"$groups" || return
    done
}
told() { # WORDS: by the daemon
    journalctl --quiet --output=cat --unit=vm-guardian.service | grep -F -e "$1"
}
systemd_knows() { # NAME...: whose groups are units
    equal "$(limits "$@")" "$(groups_of "$@" | while read -r path; do
        systemctl show --value -p MemoryMax "$(basename "$path")"
    done | xargs)"
}
