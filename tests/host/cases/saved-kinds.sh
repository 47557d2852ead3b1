# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 600
# What a guest's RAM is made of, each in a scope whose limit systemd keeps: a memfd; private pages that a
# balloon took and gives back; huge pages, which are no charge, so that only growth beside them kills. The
# first two are watched and then saved; of the third a file in vm.d allows it from the start. All three
# then hold more than their old limit. Beside them the same with room, and huge pages without growth.
# shellcheck disable=SC1091
. /source/tests/host/vms.sh
# shellcheck disable=SC1091
. /source/tests/host/limits.sh

huge='memory-backend-memfd,share=on,hugetlb=on,hugetlbsize=2M,prealloc=on'
release() {
    systemctl kill --signal=KILL 303.scope 304.scope
    sleep 1
    echo 0 >/proc/sys/vm/nr_hugepages
}
trap 'release >/dev/null 2>&1 || :' EXIT
# held: what its group holds, in MiB
held() {
    echo $(($(cat "$root${group[$1]}/memory.current") >> 20))
}

make_holder
echo 3 >/proc/sys/vm/drop_caches
echo 64 >/proc/sys/vm/nr_hugepages
scope 301 memfd 220M 160 memory-backend-memfd,share=on
scope 302 balloon 220M 160 memory-backend-ram -device "$balloon"
scope 303 huge infinity 64 "$huge"
scope 304 huge-calm infinity 64 "$huge"
scope 305 roomy 400M 160 memory-backend-ram -device "$balloon"
for name in balloon roomy; do
    check "$name: its guest touches all" fill $name 160
    check "$name: and gives most of it back" inflate $name
    check "$name: which is free" test "$(held $name)" -lt 110
done
limit=$((($(held huge) + 100) << 20))
for id in 303 304; do
    systemctl set-property --runtime $id.scope MemoryMax=$limit
done

lost=(balloon memfd)
calm=(huge-calm roomy)
alive() {
    equal 5 "$(pgrep -c '^qemu-system')"
}
mode observe 'cool_down = 2m'
mkdir -p /etc/vm-guardian/vm.d
printf '%s\n' '[Match]' 'name = huge' '[guardian]' 'mode = enforce' '[enforce]' 'limits = enforce' \
    >/etc/vm-guardian/vm.d/huge.conf
systemctl start vm-guardian.service
check 'all five are well' wait_for 200 levels_match '(balloon watch|[^ ]+ ok): ' "${lost[@]}" "${calm[@]}" huge
before=$(limits "${lost[@]}")
others=$(limits "${calm[@]}")
grow huge 130
for name in "${lost[@]}" "${calm[@]}"; do
    hold "$name" 70
done
check 'with a stranger and a memfd the sum is lost' wait_for 200 levels_match '[^ ]+ (doomed|oom-imminent): ' memfd
check 'with a full balloon it is not, yet' wait_for 60 levels_match \
    'balloon watch: when the balloon is given back the limit is too small' balloon
check 'a balloon is given back' deflate balloon
check 'so is one where there is room' deflate roomy
check 'and its guest touches all' fill roomy 160
check 'then it is lost, too' wait_for 200 levels_match '[^ ]+ (doomed|oom-imminent): ' balloon
for name in "${lost[@]}"; do
    check "$name: alive, and by whom" wait_for 120 explains $name "memhold[$(holder $name)]"
done
check 'those with room are not' levels_match '[^ ]+ (ok|watch): ' "${calm[@]}"
check 'nothing was written to them' equal "$before $others" "$(limits "${lost[@]}" "${calm[@]}")"
check 'not even an intent' equal '' \
    "$(grep -rlF "$(groups_of "${lost[@]}" "${calm[@]}")" $journal 2>/dev/null || :)"

check 'growth beside huge pages is foretold, and the limit raised' wait_for 200 raised huge
check 'it had not died by then' alive
mode enforce 'cool_down = 2m'
systemctl reload vm-guardian.service
check 'where it is allowed the others are raised' wait_for 200 raised "${lost[@]}"
after=$(limits "${lost[@]}" huge)
for name in "${lost[@]}"; do
    check "$name: its guest touches all" fill $name 160
    check "$name: it lives past its old limit" holds_more_than $name $((220 << 20))
done
check 'huge: it grows past its old limit' wait_for 200 holds_more_than huge $limit
check 'all live' alive
check 'each group by one write' equal "$(groups_of "${lost[@]}" huge | sort)" "$(writes | sort)"
check 'that systemd knows of' systemd_knows "${lost[@]}" huge
systemctl daemon-reload
check 'a daemon-reload leaves them' equal "$after" "$(limits "${lost[@]}" huge)"
check 'those beside them keep their limits' equal "$others" "$(limits "${calm[@]}")"

# A guest that has touched all of it and a stranger still do not fit.
refused() { # NAME
    local said
    ! said=$(guardianctl limits undo "$1" --yes 2>&1) && grep -F 'would kill' <<<"$said"
}
check 'what would kill is not taken back' refused memfd
holders_end "${lost[@]}" huge
check 'balloon: its guest gives most of it back' inflate balloon
for name in balloon huge; do
    check "$name is taken back" wait_for 60 guardianctl limits undo $name --yes
done
check 'to what it was' equal "$((220 << 20)) $limit" "$(limits balloon huge)"
systemctl daemon-reload
check 'for good' equal "$((220 << 20)) $limit" "$(limits balloon huge)"
check 'and is not raised again' equal 3 "$(writes | wc -l)"
check 'all live to the end' alive
