#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What looks like a freeze and is none: storage that is busy for all, beside an innocent.

usage: suspects.py [CASE...]
"""

import os
import time

from fixture import Fuse, Guardian, Nbd, Skipped, Vm, check, loop_device, run, wait_for

# A busy machine boots slowly.
READY_WITHIN = 300
# Eight requests wait at once, each served in 3 s: one of them takes 24 s, more than the patience.
HOG_DISKS = 7
SLOW_BYTES_PER_S = 22 << 10
SATURATED_WITHIN = 180


def seen(guardian, vms):
    """{(VM's name, disk's label): disk}, now."""
    return {(entry["name"], disk["label"]): disk for entry in guardian.state()["vms"]
            for disk in entry["disks"] or [] if entry["name"] in [vm.name for vm in vms]}


def expect_never(disks, states, *keys):
    for key in keys:
        if key in disks:
            check(disks[key]["state"] not in states, f"{key} is {disks[key]}")


def case_storage_saturated(scratch):
    """a device that is busy for all is named as such, with who writes most, and nobody on it is frozen."""
    if os.geteuid() != 0:
        raise Skipped("needs root: a loop device")
    slow = Fuse(scratch, "slow", "native", bytes_per_s=SLOW_BYTES_PER_S)
    drive = f"file={loop_device(scratch, slow.path)},format=raw,cache=none,aio=native,file.locking=off"
    victim = Vm(scratch, "suspects-victim", [drive, Nbd(scratch, "a").drive()], waits=False)
    hog = Vm(scratch, "suspects-hog", [drive] * HOG_DISKS, does="guardian.write=all guardian.period=0", waits=False)
    innocent = Vm(scratch, "suspects-innocent", [Nbd(scratch, "b").drive()], waits=False)
    vms = (victim, hog, innocent)
    for vm in vms:
        vm.wait_ready(READY_WITHIN)
    guardian = Guardian(scratch, vms)
    guardian.wait_writing(innocent, "virtio0", READY_WITHIN)
    said = set()

    def is_named():
        disks = seen(guardian, vms)
        expect_never(disks, ("frozen",), *disks)
        expect_never(disks, ("suspect",), (victim.name, "virtio1"), (innocent.name, "virtio0"))
        disk = disks.get((victim.name, "virtio0"), {})
        said.add((disk.get("state"), disk.get("layer"), disk.get("cause")))
        return disk if disk.get("cause") == "storage-saturated" and hog.name in disk.get("reason", "") else None
    disk, seconds = wait_for(is_named, SATURATED_WITHIN, f"the victim's storage was not named: {said}", 1)
    print(f"# named after {seconds:.0f} s: {disk['reason']}", flush=True)
    check((disk["state"], disk["layer"]) == ("suspect", "storage"), str(disk))
    until = time.monotonic() + 90
    while time.monotonic() < until:
        is_named()
        time.sleep(1)
    check("alert" not in guardian.log() and "PAGE" not in guardian.log(), guardian.log())
    hog.process.kill()
    wait_for(lambda: guardian.disk(victim, "virtio0").get("state") == "ok", 60, "not ok without the hog")
    guardian.wait_writing(victim, "virtio0", READY_WITHIN)
    for vm in (victim, innocent):
        vm.check_asked()


CASES = {name[len("case_"):]: function for name, function in list(globals().items())
         if name.startswith("case_")}

if __name__ == "__main__":
    run(CASES)
