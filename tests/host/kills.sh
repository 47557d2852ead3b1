# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# OOM kills, and what the daemon has seen of them, for cases that read this after limits.sh.
#
#   pid_of ID                  of a scope's VM
#   is_gone PID
#   of_kill NAME FILTER        in what the daemon has seen of that VM; null: of no VM
#   tells NAME FILTER WANTED   in what it has seen of the kill of that VM's QEMU. Guest RAM in a memfd
#                              is not given back at once: another one may be killed beside it
#   put_aside MIB              the host has so much left; the rest is in huge pages until the case ends
#   hog_kills NAME PID         the whole host runs out of memory: this VM's QEMU is killed, with the
#                              oom_score_adj 1000, and then who took it all. $hog is that one

# shellcheck disable=SC2154 # programs is in vms.sh
pid_of() {
    cat "/run/qemu-server/$1.pid"
}
is_gone() {
    ! kill -0 "$1"
}
of_kill() {
    { guardianctl oom --json </dev/null || :; } |
        jq -r --arg vm "$1" ".reports[] | select(\"\(.watched_vm)\" == \$vm) | $2"
}
tells() {
    equal "$3" "$(of_kill "$1" "select(.victim.name | startswith(\"qemu\")) | $2")"
}
# no_vm PID: its kill is told, of no VM; the log has those of earlier cases, too
no_vm() {
    of_kill null .victim.pid | grep -qxF -e "$1"
}
put_aside() {
    local spare
    trap 'echo 0 >/proc/sys/vm/nr_hugepages' EXIT
    echo 3 >/proc/sys/vm/drop_caches
    spare=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) >> 10))
    echo $(((spare - $1) / 2)) >/proc/sys/vm/nr_hugepages
}
hog_kills() {
    cp /usr/bin/tail "$programs/hog" # of /dev/zero: more and more, until it is killed
    systemd-run --quiet --unit=hog --property=OOMPolicy=continue "$programs/hog" /dev/zero
    hog=$(systemctl show --value -p MainPID hog.service)
    check 'another dies of the whole host' wait_for 200 is_gone "$2"
    check 'and then who took its memory' wait_for 200 is_gone "$hog"
    echo 0 >/proc/sys/vm/nr_hugepages
    check 'the guardian has seen it' wait_for 120 tells "$1" .constraint global
    check 'which process' tells "$1" '"\(.victim.pid) \(.death) \(.complete)"' "$2 true true"
    check 'it was the whole host' tells "$1" .domain /
    check 'why this one' matches "^its oom_score_adj 1000 outweighed its 1[0-9]{2}[^ ]*: hog\[$hog\] had " \
        "$(of_kill "$1" .victim.why)"
    check 'who was to blame' tells "$1" '.blame | "\(.role) \(.name) \(.pid)"' "stranger hog $hog"
    check 'no limit had been enough' tells "$1" .blame.suggested_limit_bytes null
    check 'who was next is told, too, and is no VM' wait_for 60 no_vm "$hog"
    check 'it is explained' wait_for 60 explains "$1" 'the whole host had no memory left; the VM died of it'
}
# alerted NAME...: of these VMs, those of which an alert says that they were OOM-killed
alerted() {
    journalctl --quiet --output=json --unit=vm-guardian.service EVENT=alert --grep=OOM-killed |
        jq -r '.VM | select(IN($ARGS.positional[]))' --args "$@" | sort -u | xargs
}
# in_log PID...: how the tool reads the kills of these in the kernel's log, "memcg 12 global 34"
in_log() {
    dmesg | { guardianctl oom --json - || :; } |
        jq -r '.reports[] | select(.victim.pid | IN($ARGS.positional[] | tonumber)) |
            "\(.constraint) \(.victim.pid)"' --args "$@" | xargs
}
