# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 300
# The whole host runs out of memory. None of its VMs is near its own limit: the kernel looks at all of the
# host, and a VM with the oom_score_adj of a best-effort pod dies for what somebody else takes, who is the
# next. The VM beside it has the same guest, and lives. Before that another one died of its own limit,
# which is told apart. Such a host may be hurt: this is the last case.
# shellcheck disable=SC1091
. /source/tests/host/vms.sh
# shellcheck disable=SC1091
. /source/tests/host/limits.sh

trap 'echo 0 >/proc/sys/vm/nr_hugepages' EXIT
pid_of() {
    cat "/run/qemu-server/$1.pid"
}
is_gone() {
    ! kill -0 "$1"
}
of_kill() { # NAME FILTER: in what the daemon has seen of that VM; null: of none
    { guardianctl oom --json </dev/null || :; } |
        jq -r --arg vm "$1" ".reports[] | select(\"\(.watched_vm)\" == \$vm) | $2"
}
tells() { # NAME FILTER WANTED
    equal "$3" "$(of_kill "$1" "$2")"
}

# no_vm PID: its kill is told, of no VM; the log has those of earlier cases, too
no_vm() {
    of_kill null .victim.pid | grep -qxF -e "$1"
}

make_holder
cp /usr/bin/tail $programs/hog # of /dev/zero: more and more, until it is killed
# Most of the memory is put aside, so that the rest is soon used up.
echo 3 >/proc/sys/vm/drop_caches
spare=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) >> 10))
echo $(((spare - 900) / 2)) >/proc/sys/vm/nr_hugepages

scope 401 small 240M 160 memory-backend-memfd,share=on
scope 402 best-effort 600M 160 memory-backend-memfd,share=on
scope 403 beside 600M 160 memory-backend-memfd,share=on
for name in small best-effort beside; do
    check "$name: its guest touches all" fill $name 160
done
small=$(pid_of 401) best=$(pid_of 402) beside=$(pid_of 403)
echo 1000 >"/proc/$best/oom_score_adj"
mode observe
systemctl start vm-guardian.service
check 'all three are well' wait_for 200 levels_match '[^ ]+ ok: ' small best-effort beside

hold small 90
check 'one dies of its own limit' wait_for 120 is_gone "$small"
check 'the guardian has seen it' wait_for 60 tells small .constraint memcg

systemd-run --quiet --unit=hog --property=OOMPolicy=continue $programs/hog /dev/zero
hog=$(systemctl show --value -p MainPID hog.service)
check 'another dies of the whole host' wait_for 200 is_gone "$best"
check 'and then who took its memory' wait_for 200 is_gone "$hog"
echo 0 >/proc/sys/vm/nr_hugepages
check 'the guardian has seen it' wait_for 120 tells best-effort .constraint global
check 'which process' tells best-effort '"\(.victim.pid) \(.death) \(.complete)"' "$best true true"
check 'it was the whole host' tells best-effort .domain /
check 'why this one' matches "^its oom_score_adj 1000 outweighed its 1[0-9]{2}[^ ]*: hog\[$hog\] had " \
    "$(of_kill best-effort .victim.why)"
check 'who was to blame' tells best-effort '.blame | "\(.role) \(.name) \(.pid)"' "stranger hog $hog"
check 'no limit had been enough' tells best-effort .blame.suggested_limit_bytes null
check 'who was next is told, too, and is no VM' wait_for 60 no_vm "$hog"
check 'it is explained' wait_for 60 explains best-effort 'the whole host had no memory left; the VM died of it'
check 'the other one still by its own' tells small '"\(.victim.pid) \(.domain)"' "$small /qemu.slice/401.scope"
check 'the VM beside them lives' kill -0 "$beside"
check 'it is well' wait_for 120 levels_match 'beside ok: ' beside
check 'no kill is its' tells beside .constraint ''
check 'two alerts, none of it' equal 'best-effort small' "$(journalctl --quiet --output=json \
    --unit=vm-guardian.service EVENT=alert --grep=OOM-killed |
    jq -r '.VM | select(IN("best-effort", "small", "beside"))' | sort -u | xargs)"
check 'the tool reads the same in the log of the kernel' equal "memcg $small global $best" \
    "$(dmesg | { guardianctl oom --json - || :; } | jq -r --argjson pids "[$small, $best]" \
        '.reports[] | select(.victim.pid | IN($pids[])) | "\(.constraint) \(.victim.pid)"' | xargs)"
guardianctl oom </dev/null || : # for the record
