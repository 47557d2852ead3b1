# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 600
# Real livelocks: two services whose anonymous memory settles between memory.high and memory.max, without
# swap, so that what works beside the hog suffers. The hog of one may be ended by the kernel
# (OOMPolicy=continue): it is freed by lifting memory.high. Of the other the whole service would end
# (OOMPolicy=stop): a person ends its hog. Beside them, with the same limits, a service that stays below
# its band, and one that fills it with page cache, which is given back.
programs=/run/case-programs
rm -rf $programs
mkdir -p $programs
cp /usr/bin/tail $programs/memhold # of /dev/zero: more and more, for ever
# works on next to nothing, and says that it does
cat >$programs/work <<'WORK'
while :; do
    text=$(head -c 262144 /dev/zero | tr '\0' x)
    echo "${#text} $SECONDS" >"/run/case-programs/worked-$1"
    sleep 1
done
WORK
cat >$programs/cache <<'CACHE'
while :; do
    dd if=/dev/zero of=/root/cached bs=1M count=100 status=none
    cat /root/cached >/dev/null
    echo "$SECONDS" >/run/case-programs/worked-cached
    sleep 1
done
CACHE

service() { # NAME POLICY COMMAND: in a band of 60 to 200 MiB
    systemd-run --quiet --unit="$1" --property=MemoryHigh=60M --property=MemoryMax=200M \
        --property=MemorySwapMax=0 --property="OOMPolicy=$2" bash -c "$3" "$1"
}
group() {
    echo "/sys/fs/cgroup/system.slice/$1.service"
}
high_of() { # NAME...
    for name; do
        cat "$(group "$name")/memory.high"
    done | xargs
}
# held_back NAME TIMES: was it, at least so often?
held_back() {
    [ "$(sed -n 's/^high //p' "$(group "$1")/memory.events")" -ge "$2" ]
}
livelocks() { # FILTER
    { guardianctl status --json || :; } | jq -r "[.livelocks[] | $1] | sort | .[]" | xargs
}
named() { # NAME...
    equal "$(for name; do echo "/system.slice/$name.service"; done | sort | xargs)" "$(livelocks .group)"
}
told_of() { # NAME WORDS
    livelocks "select(.group == \"/system.slice/$1.service\") | .text" | grep -F -e "$2"
}
mode() {
    printf '[guardian]\nmode = %s\n[memory]\nperiod = 1s\n[enforce]\nmemory_high = %s\n' "$1" "$1" \
        >/etc/vm-guardian/guardian.conf
}
hog_of() {
    pgrep -f "^$programs/memhold /dev/zero $1\$"
}
# goes_on NAME SECONDS: it says so, later than then
goes_on() {
    [ "$(sed 's/.* //' "$programs/worked-$1")" -gt "$2" ]
}
worked() {
    sed 's/.* //' "$programs/worked-$1" | grep . || echo 0
}
alerts_of() {
    journalctl --quiet --output=cat --unit=vm-guardian.service EVENT=alert | grep -F "/$1.service: " || :
}

mkdir -p /etc/vm-guardian
mode observe
systemctl start vm-guardian.service
service calm continue "exec bash $programs/work calm"
service cached continue "exec bash $programs/cache"
for name in stuck freed; do
    [ $name = stuck ] && policy='stop' || policy='continue'
    service $name "$policy" \
        "$programs/memhold /dev/zero $name & exec bash $programs/work $name"
done
wait_for 120 held_back stuck 20
wait_for 120 held_back freed 20
begin=$SECONDS
check 'both are named, with their groups, and no other is' wait_for 150 named stuck freed
echo "named $((SECONDS - begin)) s after they were held back for the 20th time"
for name in stuck freed; do
    check "$name: with the process that holds the memory" wait_for 120 told_of $name \
        "memhold[$(hog_of $name)] holds"
    check "$name: what to do first" wait_for 120 told_of $name "do: kill -KILL $(hog_of $name)"
    check "$name: the kernel has not killed" grep -qx 'oom_kill 0' "$(group $name)/memory.events"
done
check 'where the service would end, lifting the limit is no way out' \
    wait_for 120 told_of stuck 'OOMPolicy=stop: systemd would end the whole service'
check 'where it lives on, that is the plan' wait_for 120 told_of freed 'observe, not written: memory.high'
check 'nothing was written' equal '62914560 62914560 62914560 62914560' \
    "$(high_of calm cached stuck freed)"

mode enforce
systemctl reload vm-guardian.service
is_lifted() {
    equal max "$(high_of freed)"
}
at=$(worked freed)
check 'where it is allowed memory.high is lifted' wait_for 120 is_lifted
check 'that systemd knows of' equal infinity "$(systemctl show --value -p MemoryHigh freed.service)"
hog_has_gone() {
    ! hog_of freed
}
check 'the hog meets memory.max' wait_for 120 hog_has_gone
check 'what suffered beside it works again' wait_for 120 goes_on freed "$at"
check 'the service is active' systemctl is-active --quiet freed.service
check 'the other one is as it was' equal '62914560 62914560 62914560' "$(high_of calm cached stuck)"
check 'it alone is named now' wait_for 120 named stuck
systemctl daemon-reload
check 'a daemon-reload leaves it' is_lifted
check 'it is taken back' guardianctl limits undo /system.slice/freed.service --yes
check 'to what it was' equal 62914560 "$(high_of freed)"

at=$(worked stuck)
is_printed() {
    remedy=$(told_of stuck 'kill -KILL' | sed 's/.*do: \(kill -KILL [0-9]*\).*/\1/')
}
wait_for 120 is_printed
check 'the remedy is typed as it is printed' bash -c "$remedy"
check 'and what suffered beside the hog works again' wait_for 120 goes_on stuck "$at"
check 'that service is active, too' systemctl is-active --quiet stuck.service
check 'no livelock is left' wait_for 120 named
check 'the one with page cache was held back, too' held_back cached 1
for name in calm cached; do
    at=$(worked $name)
    check "$name goes on" wait_for 120 goes_on $name "$at"
    check "$name was never told of" equal '' "$(alerts_of $name)"
done
for name in stuck freed; do
    check "$name was a page" grep -q 'PAGE: ' <<<"$(alerts_of $name)"
done
systemctl stop stuck.service calm.service cached.service freed.service
