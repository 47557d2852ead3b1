# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Two VMs as Proxmox starts them, but for -id, which is Proxmox' own patch. The server of one disk
# stops: that VM is frozen, the other is not. And someone is told: the service's alerts arrive as mail
# in root's mailbox, as a POST at a web server with TLS, and at an executable of the administrator's.
# limit: 400
# shellcheck disable=SC1091
. /source/tests/host/vms.sh

hooks=/etc/vm-guardian/alert.d
mailbox=/var/mail/root
got=/run/alert-got # what the executable and the web server were given
mkdir -p $hooks $got
rm -f $mailbox

# A web server with a certificate of its own, that keeps each request and says 204.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout $got/key.pem -out $got/cert.pem 2>/dev/null
cat >$got/serve <<'END'
#!/bin/bash
file=$(mktemp /run/alert-got/request.XXXXXX)
length=0
while IFS= read -r line && line=${line%$'\r'} && [ -n "$line" ]; do
    echo "$line"
    case ${line,,} in content-length:*) length=${line#*: } ;; esac
done >"$file"
head -c "$length" >>"$file"
printf 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'
mv "$file" "${file/request/whole}"
END
chmod 755 $got/serve
socat "OPENSSL-LISTEN:8443,reuseaddr,fork,verify=0,cert=$got/cert.pem,key=$got/key.pem" \
    EXEC:$got/serve 2>$got/socat &
server=$!
trap '{ kill $server; heal_storage web; } 2>/dev/null || :' EXIT

install -m 755 /source/contrib/alert.d/mail /source/contrib/alert.d/webhook $hooks
(
    umask 077
    printf '%s\n' 'url = "https://localhost:8443/alerts"' 'header = "Authorization: Bearer secret"' \
        "cacert = \"$got/cert.pem\"" >/etc/vm-guardian/webhook.conf
)
cat >$hooks/keep <<END
#!/bin/sh
{ cat; echo; id -un; env; } >"$got/kept.\$ALERT_STEP.\$ALERT_VM.\$\$"
END
printf '#!/bin/sh\ntouch %s/hang-begins\nsleep 300 & sleep 300\n' $got >$hooks/hang
printf '#!/bin/sh\ntouch %s/foreign\n' $got >$hooks/foreign
chmod 755 $hooks/keep $hooks/hang $hooks/foreign
chown owner $hooks/foreign
printf '[freeze]\npage_after = 1s\n' >/etc/vm-guardian/guardian.conf

told() { # STEP
    compgen -G "$got/kept.$1.web.*"
}
kept() { # STEP JQ-FILTER: of what the executable read
    head -n 1 "$(compgen -G "$got/kept.$1.web.*" | head -n 1)" | jq -r "$2"
}
mails() { # STEP
    grep -c "^Subject: vm-guardian $(hostname): $1 web virtio0 " $mailbox
}
posts() { # STEP
    grep -l "^{.*\"step\":\"$1\".*\"vm\":\"web\"" $got/whole.*
}
posted() { # PATTERN
    grep -lE "$1" $got/whole.* >/dev/null
}

systemctl start vm-guardian.service
start_proxmox 100 web
start_proxmox 101 db
both_are_fine() {
    is web .state ok && is db .state ok && writes web && writes db
}
check 'a VM of Proxmox is found' wait_for 60 is web .source proxmox
check 'by its id' is web .id 100
check 'its monitor is shared with Proxmox' wait_for 60 is web .monitor.use shared
check 'its limit is the one of its scope' wait_for 60 is web .memory.limit_bytes 536870912
check 'and the scope is named' wait_for 60 is web .memory.limit_group /qemu.slice/100.scope
check 'its guest has the memory it was given' wait_for 60 is web .memory.guest_ram_bytes 33554432
check 'both guests write and are fine' wait_for 120 both_are_fine

stop_storage web
check 'without its storage its disk is frozen' wait_for 120 is web '.disks[0].state' frozen
check 'the VM is' is web .state frozen
check 'in the block path' is web '.disks[0].layer' block-path
check 'the VM beside it is fine' is db .state ok
check 'an alert is in the journal' wait_for 30 \
    journalctl --quiet --grep=frozen --unit=vm-guardian.service EVENT=alert VM=web
before=$(vm db '.disks[0].write_operations')
check 'the VM beside it is asked, and writes on' wait_for 60 is db \
    ".disks[0].write_operations > $before" true
check 'the executable is told when it is paged' wait_for 200 told paged
check 'which VM, which disk, where' equal 'web virtio0 frozen block-path' \
    "$(kept paged '"\(.vm) \(.disk) \(.state) \(.layer)"')"
check 'it runs as root, not in the sandbox of the service' grep -qx root \
    "$(compgen -G "$got/kept.paged.web.*" | head -n 1)"
check 'with a fixed environment' equal "$(hostname) paged web" \
    "$(sed -n 's/^ALERT_\(HOST\|STEP\|VM\)=\(.*\)/\1 \2/p' "$(told paged)" | sort | cut -d ' ' -f 2 | xargs)"
check 'root has a mail' wait_for 60 mails paged
check 'the web server has a request' wait_for 60 posts paged
check 'with the token, as JSON' posted '^Authorization: Bearer secret$'
check 'to where the file says' posted '^POST /alerts HTTP'
check 'what belongs to somebody else was not run' test ! -e $got/foreign
check 'and the journal says why' wait_for 30 journalctl --quiet --unit=vm-guardian.service \
    --grep='alert.d/foreign: .*root'
check 'one that hangs was started' test -e $got/hang-begins
check 'and is killed at its deadline' wait_for 120 journalctl --quiet --unit=vm-guardian.service \
    --grep='alert.d/hang: not done in time'
check 'with what it had started' wait_for 30 bash -c '! pgrep -f "^sleep 300"'

heal_storage web
check 'with its storage back the VM is fine' wait_for 90 is web .state ok
check 'the executable is told when it is over' wait_for 150 told closed
check 'root has a mail' wait_for 120 mails closed
check 'the web server has a request' wait_for 60 posts closed
check 'of the VM beside it nobody was told anything' equal '' \
    "$(compgen -G "$got/kept.*.db.*"; grep -l '"vm":"db"' $got/whole.*; grep '^Subject:.* db ' $mailbox;
        journalctl --quiet --output=cat --unit=vm-guardian.service EVENT=alert VM=db)"
# a machine without a moment's time may end one at its deadline: it is tried again
check 'no other failed' equal '' \
    "$(journalctl --quiet --output=cat --unit=vm-guardian.service \
        --grep='alert.d/(mail|webhook|keep): ' | grep -v ': not done in time: \|: works again$')"

rm $hooks/hang $hooks/foreign
check 'alert test runs each, and says so' matches 'keep .*ok.*mail .*ok.*webhook .*ok' \
    "$(guardianctl alert test 2>&1 | tr '\n' ' ' || :)"
check 'which arrives, too' wait_for 60 grep -q "^Subject: vm-guardian $(hostname): test" $mailbox
kill $server
wait $server || :
check 'a web server that is down is told of' matches 'webhook .*exit status' \
    "$(guardianctl alert test 2>&1 | tr '\n' ' ' || :)"
