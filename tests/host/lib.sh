# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the cases of the test host. A case is one script in tests/host/cases, read by bash -euo
# pipefail after this file, as root, on a host that is fresh but for the boot it shares. It says
#
#   check "a sentence that is true" COMMAND...     one result; the output of a failure is shown
#   wait_for SECONDS COMMAND...                    fails when COMMAND did not succeed in that time
#
# and needs no cleaning up: VMs, units below qemu.slice, machine.slice and kubepods.slice, and
# whatever is in /etc/vm-guardian are gone before the next case. A case that fails in a line outside
# of a check ends there, as a failure. "# limit: SECONDS" in it is its time; 180 without. "# cgroup:
# v1" is for a host with that hierarchy, in a boot of its own; it is v2 without.

check() {
    local title=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok - $title"
    else
        echo "not ok - $title"
        echo "failed: $*"
        echo "$output"
    fi
}

wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            "$@"
            return
        fi
        sleep 0.3
    done
}

# equal WANTED GOT
equal() {
    [ "$1" = "$2" ] || {
        echo "wanted: $1"
        echo "got:    $2"
        return 1
    }
}

# matches PATTERN TEXT: an extended regular expression.
matches() {
    [[ $2 =~ $1 ]] || {
        echo "wanted: $1"
        echo "got:    $2"
        return 1
    }
}

# vm NAME FILTER: what guardianctl knows of one VM, by jq; "vm 100 .state".
vm() {
    # its exit status says whether anything is open
    { guardianctl status --json || :; } | jq -r --arg name "$1" ".vms[] | select(.name == \$name) | $2"
}

# make_disk FILE: a disk whose boot sector writes to it twice a second.
make_disk() {
    truncate -s 8M "$1"
    dd if=/results/writer of="$1" conv=notrunc status=none
}

# serve_disk NAME: such a disk behind an NBD server of its own, as remote storage is: `storage NAME`
# is its address for QEMU, and the server's process is in /run/nbd-NAME.pid, to be stopped.
serve_disk() {
    make_disk "/root/$1.raw"
    qemu-nbd --fork --persistent --format=raw --pid-file="/run/nbd-$1.pid" \
        --socket="/run/nbd-$1.sock" "/root/$1.raw"
}

storage() {
    echo "nbd+unix:///?socket=/run/nbd-$1.sock"
}

# is VM FILTER WANTED
is() {
    equal "$3" "$(vm "$1" "$2")"
}

# writes VM: does its guest write, so that a freeze is one?
writes() {
    [ "$(vm "$1" '.disks[0].write_operations')" -gt 3 ]
}

# vm_arguments NAME: prints the arguments that most VMs here share, for $(...).
vm_arguments() {
    echo "-name $1 -machine pc -accel tcg -m 32 -nodefaults -display none -no-user-config"
}
