#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Risks planted in real QEMUs: each is found by its name and nothing else is, a clean VM beside them has none,
and what the remedy says makes it disappear. No guest is booted.

usage: audit.py [CASE...]
"""

import json
import os
import shutil
import stat
import subprocess

from fixture import BUILD, Group, Skipped, Vm, check, reserve_huge_pages, run

CLEAN = {
    "controller": (),
    "drive": "cache=none,aio=threads,werror=stop,rerror=stop",
    "device": "virtio-blk-pci,drive=d0,id=disk0,iothread=t0",
    "devices": ("i6300esb", "pvpanic"),
    "serial": True,
    "machine": "pc",
    "memory": "64",
    "extra": (),
    "is_ours": True,
}
HUGE = ("-object", "memory-backend-ram,id=m0,size=64G,reserve=off")
# Risk, what it is planted by, and the words of the remedy that CLEAN follows.
RISKS = (
    ("lsi-controller disk0", {"controller": ("lsi53c895a,id=hba",), "device": "scsi-hd,drive=d0,id=disk0,bus=hba.0"},
     "virtio-scsi-pci,iothread=ID"),
    ("ide-controller disk0", {"device": "ide-hd,drive=d0,id=disk0,bus=ide.0"}, "virtio-blk-pci"),
    ("no-iothread disk0", {"device": "virtio-blk-pci,drive=d0,id=disk0"}, "iothread=ID on its device"),
    ("unsafe-cache disk0", {"drive": "cache=unsafe,werror=stop,rerror=stop"}, "cache=none"),
    ("ignored-errors disk0", {"drive": "cache=none,werror=ignore,rerror=stop"}, "werror=stop"),
    ("ignored-errors disk0", {"drive": "cache=none,werror=stop,rerror=ignore"}, "rerror=stop"),
    ("reported-errors disk0", {"drive": "cache=none,werror=report,rerror=stop"}, "werror=stop"),
    ("balloon-without-reporting -", {"devices": ("i6300esb", "pvpanic", "virtio-balloon-pci")},
     "free-page-reporting=on"),
    ("no-own-monitor -", {"is_ours": False}, "a second -qmp"),
    ("no-watchdog -", {"devices": ("pvpanic",)}, "-device i6300esb"),
    ("no-serial -", {"serial": False}, "-serial"),
    ("no-panic-device -", {"devices": ("i6300esb",)}, "-device pvpanic"),
    ("old-machine-type -", {"machine": "pc-i440fx-4.2"}, "a machine type of today"),
)
# The other side of what CLEAN alone cannot show: harmless beside the risk.
REMEDIED = (
    {"controller": ("virtio-scsi-pci,id=hba,iothread=t0",), "device": "scsi-hd,drive=d0,id=disk0,bus=hba.0"},
    {"devices": ("i6300esb", "pvpanic", "virtio-balloon-pci,free-page-reporting=on")},
    {"drive": "cache=none,werror=stop,rerror=stop,throttling.bps-write=1000000,throttling.bps-write-max=2000000"},
)


def start(scratch, name, **planted):
    """A paused VM that is clean but for what is planted."""
    how = {**CLEAN, **planted}
    image = scratch.path("disk.img")
    if not os.path.exists(image):
        with open(image, "wb") as file:
            file.truncate(16 << 20)
    extra = ["-machine", how["machine"], "-object", "iothread,id=t0", *how["extra"]]
    if how["serial"]:
        extra += ["-serial", "null"]
    for device in (*how["controller"], *how["devices"]):
        extra += ["-device", device]
    extra += ["-drive", f"file={how.get('file', image)},format=raw,if=none,id=d0,file.locking=off,{how['drive']}",
              "-device", how["device"]]
    return Vm(scratch, name, memory=how["memory"], extra=extra, paused=True, is_ours=how["is_ours"],
              path=how.get("path"), group=how.get("group"))


def end(vm):
    vm.process.kill()
    vm.process.wait()


class Auditor:
    """`guardianctl audit` over these VMs, without a daemon."""

    def __init__(self, scratch):
        self.config, self.etc, self.run = scratch.path("etc"), scratch.path("root-etc"), scratch.path("run")
        for directory in (self.config, self.etc + "/pve/qemu-server", self.run + "/qemu-server"):
            os.makedirs(directory)

    def audit(self, *vms):
        """Of each VM's name its findings; the host's under ""."""
        with open(os.path.join(self.config, "guardian.conf"), "w") as file:
            file.write("[guardian]\ninclude = " + " ".join(vm.name for vm in vms) + "\n")
        result = subprocess.run([os.path.join(BUILD, "guardianctl"), "audit", "--json", "--config-root", self.config,
                                 "--etc-root", self.etc, "--run-root", self.run], capture_output=True, text=True,
                                timeout=120)
        check(result.returncode in (0, 1), f"audit: {result.stderr}")
        report = json.loads(result.stdout)
        found = {entry["name"]: entry["findings"] for entry in report["vms"]}
        check(set(found) == {vm.name for vm in vms}, f"audited {set(found)}")
        return {**found, "": report["host"]["findings"]}


def names(findings):
    return [f"{finding['name']} {finding['disk'] or '-'}" for finding in findings]


def of_guests(found):
    """The host's findings, without the one that is about what else runs on this machine."""
    return [name for name in names(found[""]) if name != "uncapped-trees -"]


def expect(found, vm, *wanted):
    check(names(found[vm.name]) == list(wanted), f"{vm.name}: {names(found[vm.name])}, not {list(wanted)}")


def case_running(scratch):
    """each risk of a command line is found by its name, a clean VM has none, and the remedy ends it."""
    auditor = Auditor(scratch)
    clean = start(scratch, "clean")
    remedied = [start(scratch, f"remedied-{i}", **planted) for i, planted in enumerate(REMEDIED)]
    risky = [start(scratch, f"risk-{i}", **planted) for i, (_, planted, _) in enumerate(RISKS)]
    slow = start(scratch, "slow", drive="cache=none,werror=stop,rerror=stop,throttling.bps-write=1000000")
    huge = start(scratch, "huge", is_ours=False, machine="pc,memory-backend=m0", memory="65536", extra=HUGE)
    found = auditor.audit(clean, slow, huge, *remedied, *risky)
    for vm in (clean, *remedied):
        expect(found, vm)
    for vm, (wanted, _, remedy) in zip(risky, RISKS):
        expect(found, vm, wanted)
        finding = found[vm.name][0]
        check(remedy in finding["remedy"], f"{finding}")
        check(finding["running"] and finding["configured"] is None, f"{finding}")
    expect(found, slow, "limit-without-burst disk0")
    check("shared-monitor-of-a-huge-guest -" in names(found[huge.name]), f"{names(found[huge.name])}")
    check(of_guests(found) == ["host-overcommit -"], f"a guest of 64 GiB here: {names(found[''])}")
    end(huge)
    huge = start(scratch, "huge-with-monitor", machine="pc,memory-backend=m0", memory="65536", extra=HUGE)
    found = auditor.audit(clean, huge)
    expect(found, huge)  # with a monitor of our own
    check(of_guests(found) == ["host-overcommit -"], f"still 64 GiB here: {names(found[''])}")
    end(huge)
    found = auditor.audit(clean, start(scratch, "smaller"))
    check(of_guests(found) == [], f"a smaller guest instead: {names(found[''])}")
    # a site's own row of versions
    with open(os.path.join(auditor.config, "qemu-bugs.conf"), "w") as file:
        file.write("4.0.0 - throttle | seen here | ticket 7\n")
    found = auditor.audit(clean, slow)
    expect(found, clean)
    expect(found, slow, "qemu-bug -", "limit-without-burst disk0")
    check("avoid what it needs" in found[slow.name][0]["remedy"], f"{found[slow.name]}")
    end(slow)
    quick = start(scratch, "unlimited", drive="cache=none,werror=stop,rerror=stop")
    expect(auditor.audit(quick), quick)


def case_group(scratch):
    """a limit below what its guest may take is found, and mended without a restart."""
    if not Group.is_possible():
        raise Skipped("needs root and a memory cgroup of its own")
    auditor = Auditor(scratch)
    group = Group(scratch, "vm-guardian-audit", 100 << 20)
    clean, limited = start(scratch, "clean"), start(scratch, "limited", group=group.directory)
    found = auditor.audit(clean, limited)
    expect(found, clean)
    expect(found, limited, "memory-limit-too-low -")
    check("guardianctl limits plan" in found[limited.name][0]["remedy"], f"{found[limited.name]}")
    knob = next(name for name in ("memory.limit_in_bytes", "memory.max")
                if os.path.exists(os.path.join(group.directory, name)))
    with open(os.path.join(group.directory, knob), "w") as file:
        file.write(str(512 << 20))
    found = auditor.audit(clean, limited)
    expect(found, clean)
    expect(found, limited)


def case_huge_pages(scratch):
    """guest RAM of which only a part is in huge pages is found; all of it, or none, is well."""
    auditor = Auditor(scratch)
    reserve_huge_pages(scratch, 112)

    def nodes(*kinds):
        return tuple(word for i, kind in enumerate(kinds) for word in
                     ("-object", f"memory-backend-memfd,id=m{i},size=32M{kind}", "-numa", f"node,memdev=m{i}"))
    huge = ",hugetlb=on,hugetlbsize=2M"
    mixed, whole, plain = (start(scratch, name, extra=nodes(*kinds)) for name, kinds in
                           (("mixed", (huge, "")), ("whole", (huge, huge)), ("plain", ("", ""))))
    found = auditor.audit(mixed, whole, plain)
    expect(found, mixed, "mixed-hugepages -")
    expect(found, whole)  # as the remedy says
    expect(found, plain)
    check("all of its RAM backends" in found[mixed.name][0]["remedy"], f"{found[mixed.name]}")


def losetup(scratch, image):
    for _ in range(10):  # another test may take the one that was free
        result = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            break
    else:
        raise Skipped(f"no loop device: {result.stderr.strip()}")
    device = result.stdout.strip()
    scratch.cleanups.append(lambda: subprocess.run(["losetup", "-d", device], check=False))
    return device


def make_node(path, device):
    if os.path.exists(path):
        os.unlink(path)
    os.mknod(path, stat.S_IFBLK | 0o600, os.stat(device).st_rdev)


def case_stale_device(scratch):
    """a device node that became another device is found on the VM that holds the old one."""
    if os.geteuid() != 0 or not shutil.which("losetup"):
        raise Skipped("needs root and losetup")
    auditor = Auditor(scratch)
    devices = []
    for name in ("old", "new"):
        with open(scratch.path(name), "wb") as file:
            file.truncate(16 << 20)
        devices.append(losetup(scratch, scratch.path(name)))
    made_anew, kept = scratch.path("volume"), scratch.path("kept")
    make_node(made_anew, devices[0])
    make_node(kept, devices[0])
    holder, other = start(scratch, "holder", file=made_anew), start(scratch, "other", file=kept)
    found = auditor.audit(holder, other)
    expect(found, holder)
    expect(found, other)
    make_node(made_anew, devices[1])
    found = auditor.audit(holder, other)
    expect(found, holder, "stale-device disk0")
    expect(found, other)
    restarted = start(scratch, "restarted", file=made_anew)  # as the remedy says: opened anew
    expect(auditor.audit(restarted), restarted)


PVE_CLEAN = ("memory: 64", "balloon: 0", "scsihw: virtio-scsi-single", "serial0: socket", "watchdog: model=i6300esb",
             "args: -qmp unix:/x,server=on -device pvpanic", "scsi0: local:vm-1-disk-0,iothread=1")
PVE_RISKS = (
    ("bps-without-effect scsi0", "scsi0: local:vm-1-disk-0,iothread=1,bps_wr=62914560", "mbps= instead of bps="),
    ("refused-limit scsi0", "scsi0: local:vm-1-disk-0,iothread=1,iops_rd_max=100", "limits of scsi0 that QEMU takes"),
    ("lsi-controller scsi0", "scsihw: lsi", "--scsihw virtio-scsi-single"),
    ("no-watchdog -", "watchdog", "--watchdog model=i6300esb"),
    ("unsafe-cache scsi0", "scsi0: local:vm-1-disk-0,iothread=1,cache=unsafe", "cache=none"),
)


def case_configured(scratch):
    """what Proxmox' configuration brings is told apart from what runs, and what it mended is not in effect yet."""
    auditor = Auditor(scratch)
    vm = start(scratch, "pve", path=f"{auditor.run}/qemu-server/931.qmp")
    lsi = start(scratch, "lsi", path=f"{auditor.run}/qemu-server/932.qmp", **RISKS[0][1])
    for number, each in ((931, vm), (932, lsi)):
        with open(f"{auditor.run}/qemu-server/{number}.pid", "w") as file:
            file.write(f"{each.pid}\n")

    def configure(number, line=None):
        key = line.split(":")[0] if line else None
        lines = [each for each in PVE_CLEAN if each.split(":")[0] != key] + ([line] if line and ":" in line else [])
        with open(f"{auditor.etc}/pve/qemu-server/{number}.conf", "w") as file:
            file.write("\n".join(lines) + "\n")
    configure(932)
    for wanted, line, remedy in PVE_RISKS:
        configure(931, line)
        found = auditor.audit(vm)[vm.name]
        check(wanted in names(found), f"{line}: {names(found)}")
        check(all(name == wanted or name.startswith("no-iothread") for name in names(found)), f"{line}: {names(found)}")
        finding = found[names(found).index(wanted)]
        check(finding["configured"] and not finding["running"] and remedy in finding["remedy"], f"{finding}")
    configure(931)
    found = auditor.audit(vm, lsi)
    expect(found, vm)
    expect(found, lsi, RISKS[0][0])
    check(found[lsi.name][0]["running"] and found[lsi.name][0]["configured"] is False, f"{found[lsi.name]}")


CASES = {name[len("case_"):]: function for name, function in list(globals().items())
         if name.startswith("case_")}

if __name__ == "__main__":
    run(CASES)
