#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Risks in domains of a real libvirtd: each remedy is typed as it is printed, and makes it disappear.

usage: libvirt_audit.py [CASE...]
"""

import json
import os
import re
import shlex
import subprocess

from fixture import BUILD, check, run
from libvirtd import Libvirtd, file_disk

RISKY, CLEAN = f"risky-{os.getpid()}", f"clean-{os.getpid()}"
LIMIT = "<iotune><read_iops_sec>500</read_iops_sec><write_bytes_sec>1000000</write_bytes_sec></iotune>"
MONITOR = ("<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-qmp'/>"
           "<qemu:arg value='unix:SOCKET,server=on,wait=off'/></qemu:commandline>")
# Risk, where in the definition the remedy's elements go (a pattern), and what stands there then.
EDITS = (
    ("unsafe-cache", r"cache='unsafe'", "cache='none'"),
    ("reported-errors", r"error_policy='report'", "error_policy='stop'"),
    ("balloon-without-reporting", r"<memballoon model='virtio'>", "<memballoon model='virtio' freePageReporting='on'>"),
    ("no-iothread", r"(<driver name='qemu' type='raw')(?! iothread)", r"\1 iothread='1'"),
    ("no-own-monitor", r"</domain>", MONITOR + "</domain>"),
    ("no-watchdog", r"</devices>", "<watchdog model='i6300esb' action='reset'/></devices>"),
    ("no-panic-device", r"</devices>", "<panic model='isa'/></devices>"),
    ("old-machine-type", r"machine='[^']*'", "machine='pc'"),
)


class Auditor:
    """`guardianctl audit` of this libvirtd's domains, without a daemon."""

    def __init__(self, scratch, libvirtd):
        self.config = scratch.path("etc")
        self.libvirtd = libvirtd
        os.makedirs(self.config)
        with open(os.path.join(self.config, "guardian.conf"), "w") as file:
            file.write(f"[guardian]\ninclude = {RISKY} {CLEAN}\n[monitor]\nown = yes\n")

    def audit(self, name):
        """Of the domain, by risk and in order: the findings."""
        etc = f"/proc/{self.libvirtd.holder.pid}/root/etc"
        result = subprocess.run([os.path.join(BUILD, "guardianctl"), "audit", name, "--json", "--config-root",
                                 self.config, "--etc-root", etc], capture_output=True, text=True, timeout=120)
        check(result.returncode in (0, 1), f"audit: {result.stderr}")
        return {finding["name"]: finding for finding in json.loads(result.stdout)["vms"][0]["findings"]}

    def expect(self, name, wanted):
        found = self.audit(name)
        check(set(found) == set(wanted), f"{name}: {sorted(found)}, not {sorted(wanted)}")
        return found


def edit(libvirtd, name, pattern, by):
    """As somebody does in the editor of virsh edit."""
    path = libvirtd.path("edited.xml")
    text = libvirtd.virsh("dumpxml", name, "--inactive").stdout
    changed, count = re.subn(pattern, by, text)
    check(count > 0, f"{pattern} is not in {text}")
    with open(path, "w") as file:
        file.write(changed)
    libvirtd.virsh("define", path, "--validate")


def is_mended(finding):
    """In the definition, and not in effect yet. Of words for QEMU itself nobody knows what they mean."""
    untold = None if finding["name"] == "no-own-monitor" else False
    return finding["running"] and finding["configured"] is untold


def case_audit(scratch):
    """what libvirt's definition brings is told apart from what runs; each remedy ends its risk, a clean domain has
    none."""
    libvirtd = Libvirtd(scratch)
    auditor = Auditor(scratch, libvirtd)
    machine = "pc-i440fx-4.2"
    devices = "<memballoon model='virtio'/>"
    drive = file_disk(scratch, "vdb", RISKY, LIMIT)
    libvirtd.create(RISKY, drive.replace("cache='none'", "cache='unsafe' error_policy='report'") + devices,
                            is_persistent=True, machine=machine)
    libvirtd.create(CLEAN, file_disk(scratch, "vda", CLEAN).replace("io='threads'", "io='threads' iothread='1' "
                    "error_policy='stop'") + "<watchdog model='i6300esb' action='reset'/><panic model='isa'/>",
                    is_persistent=True,
                    top="<iothreads>1</iothreads>" + MONITOR.replace("SOCKET", libvirtd.path(CLEAN)))
    auditor.expect(CLEAN, [])
    found = auditor.expect(RISKY, [risk for risk, _, _ in EDITS] + ["limit-without-burst"])
    check(all(finding["disk"] in (None, "virtio-disk1") for finding in found.values()), f"{found}")

    burst = found["limit-without-burst"]["remedy"]
    check(burst.startswith(f"virsh blkdeviotune {RISKY} vdb --"), burst)
    libvirtd.virsh(*shlex.split(burst)[1:])
    auditor.expect(RISKY, [risk for risk, _, _ in EDITS])
    for flags in ((), ("--inactive",)):
        text = libvirtd.virsh("dumpxml", RISKY, *flags).stdout
        check("<read_iops_sec>500<" in text and "<write_bytes_sec>1000000<" in text, f"the rates are gone: {text}")

    for risk, pattern, by in EDITS:
        remedy = found[risk]["remedy"]
        check(f"virsh edit {RISKY}: <" in remedy, remedy)
        by = by.replace("SOCKET", f"/run/vm-guardian/qmp/{RISKY}.sock")
        said = set(re.findall(r"[\w:]+='[^']*'", remedy)) - {"iothread='1'"}
        check(said <= set(re.findall(r"[\w:]+='[^']*'", by)) | {"machine='q35'"}, f"{risk}: {remedy}, done: {by}")
        check("vdb" in remedy or found[risk]["disk"] is None, remedy)
        if risk == "no-iothread":
            edit(libvirtd, RISKY, r"(</vcpu>)", r"\1<iothreads>1</iothreads>")
        edit(libvirtd, RISKY, pattern, by.replace(f"/run/vm-guardian/qmp/{RISKY}.sock", libvirtd.path(RISKY)))
        mended = auditor.audit(RISKY)[risk]
        check(is_mended(mended), f"{risk} is not told apart: {mended}")
    check(all(is_mended(finding) for finding in auditor.audit(RISKY).values()), "not all are mended")
    libvirtd.virsh("destroy", RISKY)
    libvirtd.virsh("start", RISKY, "--paused")
    libvirtd.domain(RISKY)
    auditor.expect(RISKY, [])
    auditor.expect(CLEAN, [])


run({name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")})
