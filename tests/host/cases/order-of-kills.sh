# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 400
# Three VMs alike, in scopes as Proxmox makes them, each with a full guest and a stranger beside it, and
# memory.oom.group=1, as kubelet sets it. Of web the policy asks for another kill order: when its
# stranger grows, that one dies alone. db, of which nothing is asked, dies with all of its scope. Nobody
# writes to calm, whose stranger does not grow, and of whose scope systemd would end the rest.

programs=/run/case-programs
journal=/var/lib/vm-guardian/acts
rm -rf $programs
mkdir -p $programs
mkfifo $programs/never
cp /bin/bash $programs/memhold
# hold NAME: 20 MiB; 100 MiB more when told to
cat >$programs/hold <<'HOLD'
data=$(head -c 20M /dev/zero | tr '\0' x)
exec 9<>/run/case-programs/never
echo "$$" >"/run/case-programs/$1"
until [ -e "/run/case-programs/grow-$1" ]; do
    read -r -t 1 -u 9
done
more=$(head -c 100M /dev/zero | tr '\0' x)
read -r -u 9
HOLD
scoped() { # ID NAME OOMPOLICY
    systemd-run --quiet --scope --slice=qemu.slice --unit="$1" --property=MemoryMax=256M \
        --property=MemorySwapMax=0 --property="OOMPolicy=$3" bash -c "$programs/memhold $programs/hold $2 </dev/null >/dev/null 2>&1 &
        exec qemu-system-x86_64 -name $2 -machine pc,memory-backend=ram -accel tcg -m 160 \
            -object memory-backend-ram,id=ram,size=160M,prealloc=on -nodefaults -display none \
            -no-user-config -S -daemonize -pidfile /run/$2.pid -qmp unix:/run/$2.qmp,server=on,wait=off"
    echo 1 >"$(group "$1")/memory.oom.group"
}
group() {
    echo "/sys/fs/cgroup/qemu.slice/$1.scope"
}
# values ID NAME: memory.oom.group, the score of QEMU, that of the stranger
values() {
    cat "$(group "$1")/memory.oom.group" "/proc/$(cat "/run/$2.pid")/oom_score_adj" \
        "/proc/$(cat "$programs/$2")/oom_score_adj" | xargs
}
values_are() { # ID NAME VALUES
    equal "$3" "$(values "$1" "$2")"
}
differs() { # NAME COUNT
    is "$1" '.kill_order | length' "$2"
}
records() {
    find "$journal" -name '*.json' 2>/dev/null | wc -l
}
records_are() {
    equal "$1" "$(records)"
}
ended() { # PID
    ! kill -0 "$1" 2>/dev/null
}
explains() { # NAME WORDS
    { guardianctl explain "$1" || :; } | tr -s ' \n' ' ' | grep -F -e "$2"
}
mode() {
    printf '[guardian]\nmode = %s\n[memory]\nperiod = 1s\n[enforce]\noom_group = %s\noom_score = %s\n' \
        "$1" "$1" "$1" >/etc/vm-guardian/guardian.conf
}

mkdir -p /etc/vm-guardian/vm.d
printf '[Match]\nname = web\n[memory]\noom_group = 0\noom_score_strangers = 1000\n' \
    >/etc/vm-guardian/vm.d/web.conf
mode observe
scoped 101 web continue
scoped 102 db continue
scoped 103 calm stop
systemctl start vm-guardian.service
for name in web db calm; do
    wait_for 60 test -s $programs/$name
done
old="$(values 102 db)"
check 'the scopes are as they should be' equal "1 ${old#* }" "$old"
check 'what differs is seen' wait_for 120 differs web 2
check 'and explained' explains web \
    "oom_score_adj of stranger memhold[$(cat $programs/web)] is ${old##* }, [memory] asks for 1000: others die before it"
check 'of the others nothing is asked' is calm .kill_order null
check 'nothing was written' values_are 101 web "$old"
check 'not even the intent' records_are 0

mode enforce
systemctl reload vm-guardian.service
new="0 $(cut -d' ' -f2 <<<"$old") 1000"
check 'where it is allowed it is written' wait_for 180 values_are 101 web "$new"
check 'by two writes' wait_for 30 records_are 2
check 'those beside it are as they were' equal "$old $old" "$(values 102 db) $(values 103 calm)"
check 'then nothing differs' wait_for 90 differs web 0

stranger=$(cat $programs/web)
touch $programs/grow-web $programs/grow-db
check 'the stranger that grows is killed' wait_for 90 ended "$stranger"
check 'where nothing was asked for QEMU goes with it' wait_for 90 ended "$(cat /run/db.pid)"
check 'the VM lives' kill -0 "$(cat /run/web.pid)"
check 'one process was killed' grep -qx 'oom_kill 1' "$(group 101)/memory.events"
check 'and no group' grep -qx 'oom_group_kill 0' "$(group 101)/memory.events"
check 'the VM beside is as it was' values_are 103 calm "$old"
check 'it is taken back' guardianctl limits undo web --yes
check 'to what it was' equal 1 "$(cat "$(group 101)/memory.oom.group")"

printf '[Match]\nname = calm\n[memory]\noom_score_helpers = 0\n' >/etc/vm-guardian/vm.d/calm.conf
systemctl reload vm-guardian.service
check 'once something is asked for, systemd tells its policy' wait_for 120 is calm .oom_unit.policy stop
check 'which would defeat it' explains calm 'OOMPolicy=stop of 103.scope: after any OOM kill in it systemd'
check 'of the VM that lived it is another one' is web .oom_unit.policy continue
check 'of which nothing is said' equal '' "$(explains web 'the order helps only' || :)"
systemctl stop vm-guardian.service
check 'without a daemon the tool asks itself' explains calm 'OOMPolicy=stop of 103.scope: after any OOM kill in it systemd'
