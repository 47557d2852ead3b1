# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 600
# A VM in a scope of systemd whose room somebody else takes: it is foretold, the limit is raised
# through systemd and taken back; another one really dies of it. The VM beside has the same guest, and
# the same somebody, and room for both.

programs=/run/case-programs
journal=/var/lib/vm-guardian/acts
rm -rf $programs
mkdir -p $programs
mkfifo $programs/never
cp /bin/bash $programs/memhold
# hold MIB: so much memory, for ever
cat >$programs/hold <<'HOLD'
data=$(head -c "$1"M /dev/zero | tr '\0' x)
exec 9<>/run/case-programs/never
echo "$$" >"/run/case-programs/$2"
read -r -u 9
HOLD

# scoped NAME LIMIT [ARGUMENT...]: a VM with a guest of 160 MiB in a scope of its own.
scoped() {
    systemd-run --quiet --scope --slice=machine.slice --unit="vm-$1" --property="MemoryMax=$2" \
        qemu-system-x86_64 -name "$1" -machine "pc,memory-backend=ram" -accel tcg -m 160 \
        -nodefaults -display none -no-user-config -S -daemonize -pidfile "/run/$1.pid" \
        -qmp "unix:/run/$1.qmp,server=on,wait=off" "${@:3}"
}

group() {
    echo "/sys/fs/cgroup/machine.slice/vm-$1.scope"
}

# hold NAME MIB: a stranger in the VM's scope.
hold() {
    (
        echo $BASHPID >"$(group "$1")/cgroup.procs"
        echo -900 >/proc/$BASHPID/oom_score_adj
        exec $programs/memhold $programs/hold "$2" "$1"
    ) </dev/null >/dev/null 2>&1 &
}

limit_of() {
    cat "$(group "$1")/memory.max"
}
level_is() {
    is "$1" .memory.forecast.level "$2"
}
# limit_stays NAME BYTES: by the kernel and by systemd
limit_stays() {
    equal "$2" "$(limit_of "$1")" && equal "$2" "$(systemctl show --value -p MemoryMax "vm-$1.scope")"
}
is_raised() {
    [ "$(limit_of web)" -gt 251658240 ]
}
explains() { # NAME WORDS
    { guardianctl explain "$1" || :; } | tr -s ' \n' ' ' | grep -F -e "$2"
}
mode() {
    printf '[guardian]\nmode = %s\n[memory]\nperiod = 1s\n[enforce]\nlimits = %s\n' "$1" "$1" \
        >/etc/vm-guardian/guardian.conf
}
records() {
    find "$journal" -name '*.json' 2>/dev/null | wc -l
}

lazy="-object memory-backend-ram,id=ram,size=160M"
full="-object memory-backend-ram,id=ram,size=160M,prealloc=on"
mkdir -p /etc/vm-guardian
mode observe
# shellcheck disable=SC2086
for name in web db; do
    [ $name = web ] && limit=240M || limit=400M
    scoped $name $limit $lazy
    hold $name 70
done
systemctl start vm-guardian.service
wait_for 120 test -s $programs/web
wait_for 120 test -s $programs/db

check 'a VM whose room was taken is doomed before its guest is full' wait_for 120 level_is web doomed
check 'and explained' wait_for 120 explains web 'DOOMED, alive'
check 'with who took it' wait_for 120 explains web "memhold[$(cat $programs/web)]"
check 'the VM beside it is not' wait_for 120 level_is db ok
check 'nothing was written' equal 251658240 "$(limit_of web)"
check 'not even the intent' equal 0 "$(records)"

mode enforce
systemctl reload vm-guardian.service
check 'where it is allowed its limit is raised' wait_for 120 is_raised
raised=$(limit_of web)
check 'by one write' equal 1 "$(records)"
check 'of whole pages' equal 0 "$((raised % 4096))"
check 'that systemd knows of' limit_stays web "$raised"
check 'then it is doomed no more' wait_for 120 level_is web ok
systemctl daemon-reload
check 'a daemon-reload leaves it' limit_stays web "$raised"
check 'the VM beside it keeps its limit' limit_stays db 419430400
check 'both live' kill -0 "$(cat /run/web.pid)" "$(cat /run/db.pid)"
kill "$(cat $programs/web)"
check 'it is taken back' wait_for 120 guardianctl limits undo web --yes
check 'to what it was' limit_stays web 251658240
systemctl daemon-reload
check 'for good' limit_stays web 251658240
check 'and is not raised again' level_is web ok

# shellcheck disable=SC2086
scoped mail 240M $full
check 'a VM with a full guest and room is well' wait_for 120 level_is mail ok
mode observe
systemctl reload vm-guardian.service
# The kernel's log runs over while nobody reads it: what comes after that is read all the same.
echo on >/proc/sys/kernel/printk_devkmsg
pid=$(systemctl show --value -p MainPID vm-guardian.service)
kill -STOP "$pid"
for ((i = 0; i < 6000; i++)); do
    echo 'something that nobody reads, again and again, until the log of the kernel runs over'
done >/dev/kmsg
kill -CONT "$pid"
dead=$(cat /run/mail.pid)
hold mail 90
check 'another VM is OOM-killed' wait_for 120 bash -c "! kill -0 $dead 2>/dev/null"
kill_of() { # FILTER
    { guardianctl oom --json </dev/null || :; } |
        jq -r ".reports[] | select(.watched_vm == \"mail\") | $1"
}
killed() {
    equal "$dead true true" "$(kill_of '"\(.victim.pid) \(.death) \(.complete)"')"
}
check 'the guardian has seen it' wait_for 120 killed
check 'its limit' equal 251658240 "$(kill_of .limit_bytes)"
check 'its group' equal /machine.slice/vm-mail.scope "$(kill_of .domain)"
check 'who was to blame' equal stranger "$(kill_of .blame.role)"
check 'and what limit had been enough' equal true "$(kill_of '.blame.suggested_limit_bytes > .limit_bytes')"
check 'it is explained when the VM is gone' wait_for 120 explains mail 'the VM died of it; blame: stranger'
check 'an alert is in the journal' wait_for 120 \
    journalctl --quiet --grep=OOM-killed --unit=vm-guardian.service EVENT=alert VM=mail
check 'none of the others' equal '' "$(journalctl --quiet --output=cat --grep=OOM-killed \
    --unit=vm-guardian.service EVENT=alert VM=web VM=db)"
check 'no other kill is told' equal mail "$({ guardianctl oom --json </dev/null || :; } | jq -r '.reports[].watched_vm | values')"
