# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# libvirt's hook and the words of a VM's owner, with the very lines that README.md says are to be typed. Nothing
# is looked for before an hour is over: what is known sooner was told by the hook.
# limit: 400
# shellcheck disable=SC1091
. /source/tests/host/vms.sh

# typed BEGINNING: does what README.md says from there on, to the end of the command, from a clone.
typed() {
    local text
    text=$(sed -n "/^$1/,/[^\\\\]\$/p" /source/README.md | sed '/[^\\]$/q')
    echo "$text"
    [ -n "$text" ] && (cd /source && eval "$text")
}

clean() {
    virsh --quiet destroy web
    virsh --quiet undefine web
    virsh --quiet destroy beside
    rm -r /etc/libvirt/hooks/qemu.d
    systemctl stop libvirtd.service
}
trap 'clean >/dev/null 2>&1 || :' EXIT

is_gone() {
    equal '' "$(vm "$1" .name)"
}

mkdir -p /etc/vm-guardian
printf '[guardian]\ndiscovery_period = 1h\n[monitor]\nperiod_shared = 2s\n' >/etc/vm-guardian/guardian.conf
for name in web beside; do
    truncate -s 8M /srv/$name.raw
    domain $name "$(cat /proc/sys/kernel/random/uuid)" /srv/$name.raw >/run/$name.xml
done
check 'the hook of libvirt is installed by what is typed' typed 'install -D -m 755 contrib.hooks.libvirt'
check 'and libvirtd sees it' typed 'systemctl restart libvirtd'
virsh --quiet define /run/web.xml
systemctl start vm-guardian.service
check 'with it a domain starts' virsh --quiet start web --paused
check 'and is known, because the hook said so' wait_for 90 is web .source libvirt
check 'and asked' wait_for 90 is web .monitor.stage answered

patience_is() { # VM PATTERN
    matches "^freeze.patience = $2" "$(guardianctl config show "$1" | grep '^freeze.patience ' | tr -s ' ')"
}
virsh --quiet create /run/beside.xml --paused
check 'what its owner says of it is typed' typed 'virsh metadata web'
check 'and taken' wait_for 60 patience_is web "1m libvirt's metadata \\(the owner's\\)"
check 'the other domain is not meant' wait_for 60 patience_is beside '20s default'

virsh --quiet destroy web
check 'that it ended is known, too' wait_for 60 is_gone web
check 'and nothing of the other' is beside .source libvirt
