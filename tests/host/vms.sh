# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# VMs as each host software starts them, for cases that read this after lib.sh. Each has one disk,
# on a server of its own, to which its guest writes twice a second:
#
#   start_proxmox ID NAME             in qemu.slice/ID.scope, 512 MiB, with a helper for a TPM
#   start_libvirt NAME                a domain of the host's own libvirtd, hard limit 256 MiB
#   start_pod ROLE NAME UUID COMMAND...    a pod of KubeVirt: virt-launcher, others of its kind, and a
#                                     libvirtd of its own. COMMAND runs the words after it in the
#                                     container's group; ROLE is root (libvirt's URI is system) or
#                                     user (session, of uid 107)
#   start_bare NAME                   in NAME.scope, 300 MiB, with one monitor
#
# The server's process is in /run/server-NAME.pid. SIGSTOP freezes the disk, SIGCONT heals it. Disks of
# libvirt are files on FUSE: all that is seen of a request there is the thread that waits for it.

programs=/srv/programs

# Helpers are copies of a shell that keeps some MiB and waits; what comes after is for the reader of
# its command line. A pod's libvirtd goes by the name that KubeVirt's has.
make_programs() {
    local name
    [ ! -e $programs ] || return 0
    mkdir -p $programs
    mkfifo $programs/never
    cat >$programs/hold <<'HOLD'
data=$(head -c "$1"M /dev/zero | tr '\0' x)
exec 9<>/srv/programs/never
read -r -u 9
HOLD
    for name in virt-launcher-monitor virt-launcher virtlogd swtpm; do
        cp /bin/bash $programs/$name
    done
    cp /usr/sbin/libvirtd $programs/virtqemud
}

# serve_nbd NAME: prints the disk for QEMU's -drive.
serve_nbd() {
    make_disk "/srv/$1.raw"
    qemu-nbd --fork --persistent --format=raw --pid-file="/run/server-$1.pid" \
        --socket="/run/nbd-$1.sock" "/srv/$1.raw" >/dev/null
    echo "file=nbd+unix:///?socket=/run/nbd-$1.sock,if=none,id=drive-$1,format=raw"
}

is_served() {
    [ "$(stat -c %s "/srv/$1.disk")" = 8388608 ]
}

# serve_file NAME: a disk that is the file /srv/NAME.disk, on FUSE.
serve_file() {
    make_disk "/srv/$1.raw"
    : >"/srv/$1.disk"
    qemu-storage-daemon --daemonize --pidfile "/run/server-$1.pid" \
        --blockdev "driver=file,node-name=file,filename=/srv/$1.raw,cache.no-flush=on" \
        --export "type=fuse,id=export,node-name=file,mountpoint=/srv/$1.disk,writable=on"
    wait_for 20 is_served "$1"
}

# stop_storage NAME..., heal_storage NAME...
stop_storage() {
    for name; do
        kill -STOP "$(cat "/run/server-$name.pid")"
    done
}

heal_storage() {
    for name; do
        kill -CONT "$(cat "/run/server-$name.pid")"
    done
}

start_proxmox() {
    local drive
    make_programs
    mkdir -p /run/qemu-server /etc/pve/qemu-server
    cat >"/etc/pve/qemu-server/$1.conf" <<END
boot: order=virtio0
cores: 1
memory: 32
name: $2
virtio0: shared:vm-$1-disk-0,size=8M

[before-upgrade]
memory: 64
name: $2
END
    drive=$(serve_nbd "$2")
    # shellcheck disable=SC2046,SC2016
    systemd-run --quiet --scope --slice=qemu.slice --unit="$1" --property=MemoryMax=512M \
        bash -c "$programs/swtpm $programs/hold 5 </dev/null >/dev/null 2>&1 & exec \"\$@\"" sh \
        qemu-system-x86_64 $(vm_arguments "$2,debug-threads=on") -no-shutdown \
        -chardev "socket,id=qmp,path=/var/run/qemu-server/$1.qmp,server=on,wait=off" \
        -mon chardev=qmp,mode=control -pidfile "/var/run/qemu-server/$1.pid" -daemonize \
        -drive "$drive" -device "virtio-blk-pci,drive=drive-$2,id=virtio0,bootindex=100"
}

# domain NAME UUID FILE [ELEMENTS]: a domain's XML.
domain() {
    cat <<END
<domain type='qemu'><name>$1</name><uuid>$2</uuid><memory unit='MiB'>32</memory>${4-}
  <vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='threads'/>
      <source file='$3'/><target dev='vda' bus='virtio'/></disk>
    <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>
END
}

start_libvirt() {
    serve_file "$1"
    domain "$1" "$(cat /proc/sys/kernel/random/uuid)" "/srv/$1.disk" \
        "<memtune><hard_limit unit='MiB'>256</hard_limit></memtune>" >"/run/$1.xml"
    virsh --quiet create "/run/$1.xml" >/dev/null
}

# in_group GROUP COMMAND...: in a cgroup that systemd does not know.
in_group() {
    echo $BASHPID >"/sys/fs/cgroup$1/cgroup.procs"
    exec "${@:2}"
}

# pod_virsh NAME ARGUMENT...: asks the pod's own libvirtd.
pod_virsh() {
    nsenter --target "$(cat "/run/pod-$1.pid")" --mount --pid \
        virsh --quiet -c "$(cat "/run/pod-$1.uri")" "${@:2}"
}

# What runs in a compute container, but QEMU. Its shell is process 1 there, and reaps what others leave.
run_pod() { # ROLE WORDS...
    local become=''
    mount -t tmpfs none /run
    mkdir /run/libvirt
    mount -t tmpfs none /var/lib/libvirt
    mount -t tmpfs none /etc/libvirt
    printf '%s\n' 'security_driver = "none"' 'cgroup_controllers = [ ]' 'namespaces = [ ]' \
        'stdio_handler = "file"' 'user = "root"' 'group = "root"' 'dynamic_ownership = 0' \
        >/etc/libvirt/qemu.conf
    printf '%s\n' 'auth_unix_rw = "none"' 'unix_sock_group = "root"' >/etc/libvirt/libvirtd.conf
    if [ "$1" = user ]; then
        { cat /etc/passwd && echo 'qemu:x:107:107::/:/bin/false'; } >/run/libvirt/passwd
        mount --bind /run/libvirt/passwd /etc/passwd
        mkdir -p /var/lib/libvirt/home/.cache/libvirt/qemu
        # what the host's libvirtd has learned of QEMU need not be learned again
        cp -r /var/cache/libvirt/qemu/capabilities /var/lib/libvirt/home/.cache/libvirt/qemu/
        chown -R 107:107 /run /var/lib/libvirt/home
        become='setpriv --reuid=107 --regid=107 --clear-groups env XDG_RUNTIME_DIR=/run
            HOME=/var/lib/libvirt/home'
    fi
    shift
    $programs/virt-launcher $programs/hold 20 "$@" &
    $programs/virtlogd $programs/hold 2 &
    # shellcheck disable=SC2086
    $become $programs/virtqemud &
    wait
}

start_pod() {
    local role=$1 name=$2 uuid=$3 uri=system
    shift 3
    make_programs
    serve_file "prod_$name"
    [ "$role" = root ] || uri=session
    [ "$role" = root ] || chown 107:107 "/srv/prod_$name.disk"
    echo "qemu+unix:///$uri?socket=/run/libvirt/libvirt-sock" >"/run/pod-$name.uri"
    export -f run_pod
    export programs
    # shellcheck disable=SC2016
    "$@" unshare --mount --pid --fork --mount-proc --kill-child \
        $programs/virt-launcher-monitor -c 'run_pod "$@"; exit' virt-launcher-monitor "$role" \
        --qemu-timeout 338s --name "$name" --uid "$uuid" --namespace prod --run-as-nonroot \
        </dev/null >"/run/pod-$name.log" 2>&1 &
    wait_for 30 pgrep -P $!
    pgrep -P $! >"/run/pod-$name.pid"
    # as a container's shim it is not in the container
    echo $! >/sys/fs/cgroup/cgroup.procs
    wait_for 90 pod_virsh "$name" uri
    domain "prod_$name" "$uuid" "/srv/prod_$name.disk" >"/srv/pod-$name.xml"
    pod_virsh "$name" create "/srv/pod-$name.xml" >/dev/null
}

start_bare() {
    local drive
    drive=$(serve_nbd "$1")
    # shellcheck disable=SC2046
    systemd-run --quiet --scope --unit="$1" --property=MemoryMax=300M \
        qemu-system-x86_64 $(vm_arguments "$1") -daemonize -drive "$drive" \
        -device "virtio-blk-pci,drive=drive-$1,id=vda" -qmp "unix:/run/$1.qmp,server=on,wait=off"
}
