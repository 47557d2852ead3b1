# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# limit: 300
# The unit: what systemd is told, what it does when the daemon hangs, what a reload may break.
unit() {
    systemctl show --property="$1" --value vm-guardian.service
}

is_exposed_little() {
    local level
    level=$(systemd-analyze security --no-pager vm-guardian.service |
        sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
    echo "exposure: $level"
    awk -v level="$level" 'BEGIN { exit !(level != "" && level <= 3.0) }'
}

status_is() {
    matches "$1" "$(unit StatusText)"
}

is_up_again() {
    [ "$(unit NRestarts)" = "$1" ] && [ "$(unit ActiveState)" = active ] &&
        guardianctl status
}

# event NAME: the newest line of that kind, by its field.
event() {
    journalctl --unit=vm-guardian.service --output=cat --lines=1 "EVENT=$1"
}

message_id_of() {
    journalctl --unit=vm-guardian.service --output=json --lines=1 "EVENT=$1" | jq -r .MESSAGE_ID
}

second_daemon_is_refused() {
    local status=0 said
    said=$(vm-guardiand 2>&1) || status=$?
    equal 2 "$status" && matches "process $(unit MainPID)," "$said" && equal active "$(unit ActiveState)"
}

bad_reload_fails() {
    if systemctl reload vm-guardian.service; then
        return 1
    fi
    matches 'guardian.conf:2:.*mode' "$(event reload-failed)" && status_is 'mode enforce;.*old configuration stays'
}

check 'the unit has no mistake' equal '' "$(systemd-analyze verify --man=no vm-guardian.service 2>&1)"
check 'little of the host is open to it' is_exposed_little

systemctl start vm-guardian.service
check 'it is active once it says that it is ready' equal active "$(unit ActiveState)"
check 'systemd shows what it watches' status_is '^mode observe; 0 VMs$'
check 'its start is in the journal' matches 'watching, mode observe' "$(event started)"
check 'each kind of line has a message id' matches '^[0-9a-f]{32}$' "$(message_id_of started)"
check 'others cannot write where its socket is' equal '755 root' "$(stat -c '%a %U' /run/vm-guardian)"
check 'its state is its own' equal '700 root' "$(stat -c '%a %U' /var/lib/vm-guardian)"
check 'its memory is locked' matches 'VmLck:[[:space:]]+[1-9][0-9]{3,} kB' \
    "$(grep VmLck "/proc/$(unit MainPID)/status")"
check 'it is among the last to be killed' equal -900 "$(cat "/proc/$(unit MainPID)/oom_score_adj")"
check 'a second one is refused' second_daemon_is_refused

make_disk /root/disk
# shellcheck disable=SC2046
systemd-run --quiet --scope --unit=a-vm qemu-system-x86_64 $(vm_arguments a-vm) -daemonize \
    -drive file=/root/disk,format=raw,if=virtio -qmp unix:/root/qmp,server=on,wait=off
check 'a VM that comes is in the status' wait_for 60 status_is '; 1 VM: 1 '

printf '[guardian]\nmode = enforce\n' >/etc/vm-guardian/guardian.conf
check 'a good configuration is taken over' systemctl reload vm-guardian.service
check 'the status says so' wait_for 30 status_is 'mode enforce;'
printf '[guardian]\nmode = perhaps\n' >/etc/vm-guardian/guardian.conf
check 'a bad one fails the reload, and the old one stays' bad_reload_fails
check 'a reload that fails does not stop it' equal 'active 0' "$(unit ActiveState) $(unit NRestarts)"
printf '[guardian]\nmode = observe\n' >/etc/vm-guardian/guardian.conf
systemctl kill --kill-whom=main --signal=HUP vm-guardian.service
check 'SIGHUP reloads, too' wait_for 20 status_is '^mode observe; [^;]*$'

systemctl kill --kill-whom=main --signal=KILL vm-guardian.service
check 'killed, it comes back' wait_for 30 is_up_again 1

check 'a minute of SIGSTOP is not the end of it' equal 2min "$(unit WatchdogUSec)"
mkdir -p /run/systemd/system/vm-guardian.service.d
printf '[Service]\nWatchdogSec=12s\n' >/run/systemd/system/vm-guardian.service.d/short.conf
systemctl daemon-reload
systemctl restart vm-guardian.service
kill -STOP "$(unit MainPID)"
sleep 5
kill -CONT "$(unit MainPID)"
sleep 15
check 'stopped for less than the watchdog, and running for more, it is left alone' is_up_again 0
kill -STOP "$(unit MainPID)"
check 'when it hangs the watchdog ends it, and it comes back' wait_for 60 is_up_again 1
check 'that it hung is in the journal' matches 'Watchdog timeout' \
    "$(journalctl --unit=vm-guardian.service --output=cat)"

guardianctl silence storage --for 2h --why 'new disks'
systemctl stop vm-guardian.service
check 'stopped, it has ended well' equal 'inactive success' "$(unit ActiveState) $(unit Result)"
check 'and says so' equal stopped "$(event stopped)"
check 'nobody can ask it any more' test ! -e /run/vm-guardian/control.sock
systemctl start vm-guardian.service
check 'started again, it knows what it knew' matches 'storage until .*: new disks' "$(guardianctl alerts)"
systemctl stop vm-guardian.service
