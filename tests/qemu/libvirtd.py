# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real libvirtd without systemd, dbus or privileges of the host: in a mount and a network namespace of its
own, with fresh directories below /run and /var. Its QEMUs see the same socket, as in a container, and a
guardian outside reaches it through /proc/<pid>/root.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time

from fixture import PATIENCE, Skipped, check, guest_dir, wait_for

# What the guardian's calls may make libvirtd ask a QEMU: nothing that looks at its images.
ALLOWED_QMP = {"query-blockstats", "query-balloon", "query-cpus-fast", "query-iothreads", "query-status",
               "query-stats", "query-stats-schemas", "qom-get", "qom-list"}
# What is passed on to a suspect's QEMU besides, where that is allowed.
PASSED_QMP = {"x-query-virtio", "x-query-virtio-status", "x-query-virtio-queue-status"}

# Every VM of libvirt is asked every 2 s, for cases that wait for it.
FAST = "[monitor]\nperiod_shared = 2s\n"

SET_UP = r"""
set -e
for directory in /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /etc/libvirt; do
    mkdir -p $directory
    mount -t tmpfs none $directory
done
mkdir -p /etc/libvirt/qemu/networks/autostart
for file in passwd group; do cp /etc/$file "$1/$file"; done
grep -q '^libvirt-qemu:' "$1/passwd" || {
    echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>"$1/passwd"
    echo 'libvirt-qemu:x:64055:' >>"$1/group"
}
for file in passwd group; do mount --bind "$1/$file" /etc/$file; done
cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
namespaces = [ ]
stdio_handler = "file"
cgroup_controllers = [ ]
END
cat >/etc/libvirt/libvirtd.conf <<END
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
log_outputs = "1:file:$1/libvirtd.log"
log_filters = "1:qemu.qemu_monitor"
END
ip link set lo up
echo ready >"$1/ready"
exec sleep infinity
"""


class Libvirtd:
    """start(), kill(), stop(), resume(); domains by create()."""

    def __init__(self, scratch):
        if os.geteuid() != 0:
            raise Skipped("needs root, to give libvirtd a mount namespace of its own")
        for program in ("libvirtd", "virsh", "unshare", "nsenter"):
            if not shutil.which(program):
                raise Skipped(f"needs {program}")
        self.scratch = scratch
        self.directory = scratch.path("libvirt")
        os.makedirs(self.directory)
        self.holder = scratch.spawn("unshare", "-m", "-n", "--propagation", "private", "sh", "-c", SET_UP,
                                    "set-up", self.directory)
        wait_for(lambda: os.path.exists(self.path("ready")), PATIENCE, "the namespace was not set up", 0.05)
        scratch.cleanups.append(self.kill_domains)
        self.process = None
        self.pids = set()
        self.start()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def inside(self, *argv):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", *argv]

    def start(self):
        self.process = self.scratch.spawn(*self.inside("libvirtd", "-f", "/etc/libvirt/libvirtd.conf",
                                                      "--pid-file", "/run/libvirt/libvirtd.pid"))
        wait_for(lambda: self.virsh("uri", check_it=False).returncode == 0, PATIENCE, "libvirtd did not come up", 0.3)

    def virsh(self, *argv, check_it=True, seconds=60):
        result = subprocess.run(self.inside("virsh", "-c", "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
                                            *argv), capture_output=True, text=True, timeout=seconds)
        check(not check_it or result.returncode == 0, f"virsh {argv}: {result.stderr}")
        return result

    def kill(self):
        """Its QEMUs live on."""
        self.process.kill()
        self.process.wait()

    def install_hook(self, text):
        """As qemu.d/vm-guardian; libvirtd looks for hooks when it starts. Returns its path, for os.chmod():
        before each call it looks whether it may be run."""
        directory = f"/proc/{self.holder.pid}/root/etc/libvirt/hooks/qemu.d"
        path = os.path.join(directory, "vm-guardian")
        os.makedirs(directory)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
        self.kill()
        self.start()
        return path

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill_domains(self):
        for pid in self.pids:
            for number in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass

    def create(self, name, disks="", does=None, memory=96, is_persistent=False, machine="pc", top=""):
        """Without `does` a domain that never runs. disks: <disk> elements."""
        boot, flags = "", ["--paused"]
        if does is not None:
            guest = guest_dir()
            with open(os.path.join(guest, "append")) as file:
                append = file.read().strip()
            boot = (f"<kernel>{guest}/kernel</kernel><initrd>{guest}/initrd</initrd>"
                    f"<cmdline>{append} {does}</cmdline>")
            flags = []
        balloon = "" if "<memballoon" in disks else "<memballoon model='none'/>"
        xml = f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>
            {top}
            <os><type arch='x86_64' machine='{machine}'>hvm</type>{boot}</os>
            <cpu mode='custom'><model>qemu64</model><feature policy='require' name='rdrand'/></cpu>
            <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}
            <controller type='usb' model='none'/>{balloon}
            <serial type='file'><source path='{self.path(name + ".console")}'/></serial></devices></domain>"""
        with open(self.path(name + ".xml"), "w") as file:
            file.write(xml)
        if is_persistent:
            self.virsh("define", self.path(name + ".xml"))
            self.virsh("start", name, *flags, seconds=120)
        else:
            self.virsh("create", self.path(name + ".xml"), *flags, seconds=120)
        domain = self.domain(name)
        if does is not None:
            wait_for(domain.is_ready, PATIENCE, f"{name}: the guest did not get ready")
        return domain

    def domain(self, name):
        """One that runs."""
        domain = Domain(self, name)
        self.pids.add(domain.pid)
        return domain

    def is_tainted(self, name):
        """By questions that were passed on; to run as root is another taint."""
        return "custom monitor" in self.virsh("dominfo", name).stdout

    def asked(self):
        """Names of the QMP commands that libvirtd has sent so far, in order."""
        with open(self.path("libvirtd.log"), errors="replace") as file:
            return [json.loads(f'"{name}"') for name in
                    re.findall(r'SEND_MSG.*?"execute":"([a-z0-9_-]+)"', file.read())]


class Domain:
    """A running domain."""

    def __init__(self, libvirtd, name):
        self.libvirtd, self.name = libvirtd, name
        with open(f"/proc/{libvirtd.holder.pid}/root/run/libvirt/qemu/{name}.pid") as file:
            self.pid = int(file.read())

    def is_ready(self):
        try:
            with open(self.libvirtd.path(self.name + ".console"), errors="replace") as file:
                return "guest ready" in file.read()
        except FileNotFoundError:
            return False


def file_disk(scratch, target, name, extra="", megabytes=64, path=None):
    path = path or scratch.path(name + ".raw")
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.truncate(megabytes << 20)
    return ("<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='threads'/>"
            f"<source file='{path}'/><target dev='{target}' bus='virtio'/>{extra}</disk>")


def network_disk(target, nbd):
    return ("<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>"
            f"<source protocol='nbd'><host transport='unix' socket='{nbd.socket}'/></source>"
            f"<target dev='{target}' bus='virtio'/></disk>")


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def source_of(guardian):
    return next(source for source in guardian.state()["sources"] if source["name"] == "libvirt")


def daemon_of(guardian):
    daemons = source_of(guardian)["daemons"]
    return daemons[0] if daemons else {}


def answered(guardian, domain):
    entry = guardian.vm(domain) or {}
    return entry if (entry.get("monitor") or {}).get("stage") == "answered" else None


def fresh(guardian, domain, since):
    """A sample that was begun and answered after that moment of time.monotonic()."""
    entry = answered(guardian, domain)
    return entry if entry and entry["sample_age_ms"] / 1000 < time.monotonic() - since else None
