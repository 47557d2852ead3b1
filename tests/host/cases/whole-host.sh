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
# shellcheck disable=SC1091
. /source/tests/host/kills.sh

make_holder
put_aside 900 # soon used up

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
check 'the guardian has seen it' wait_for 120 tells small .constraint memcg

hog_kills best-effort "$best"
check 'the other one still by its own' tells small '"\(.victim.pid) \(.domain)"' "$small /qemu.slice/401.scope"
check 'the VM beside them lives' kill -0 "$beside"
check 'it is well' wait_for 120 levels_match 'beside ok: ' beside
check 'no kill is its' equal '' "$(of_kill beside .constraint)"
check 'two alerts, none of it' equal 'best-effort small' "$(alerted best-effort small beside)"
check 'the tool reads the same in the log of the kernel' equal "memcg $small global $best" \
    "$(in_log "$small" "$best")"
guardianctl oom </dev/null || : # for the record
