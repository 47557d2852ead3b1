#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What looks like a freeze and is none: the guest died, or its storage is busy for all. Each beside an innocent.

usage: suspects.py [CASE...]
"""

import json
import os
import subprocess
import time

from fixture import Fuse, Guardian, Nbd, Skipped, Vm, check, loop_device, run, wait_for

# A busy machine boots slowly.
READY_WITHIN = 300
# Two minutes of flat CPU after the last write, on a machine that may be busy.
SILENT_WITHIN = 420
# Of the guests, after "guest ready": the others boot meanwhile, and the load of all of them is learned.
LIVES_SECONDS = 120
# Longer than a dead guest is flat before it is suspected: so long the one that rests must be left alone.
RESTS_SECONDS = 150
DAY = 86400
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


def learned(scratch, vms):
    """What a guardian has put down about VMs that it watched writing for a day, by a clock that shows two."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot_id = file.read().strip()
    habits = [{"vm": vm.name, "disk": "/machine/peripheral/virtio0/virtio-backend", "progress_samples": DAY // 2,
               "learned_since_us": 1000000, "last_progress_us": DAY * 1000000, "longest_gap_us": 4000000,
               "operations": 1, "seen_us": DAY * 1000000} for vm in vms]
    directory = scratch.path("run/vm-guardian")
    os.makedirs(directory)
    with open(os.path.join(directory, "habits.json"), "w") as file:
        json.dump({"schema": 1, "boot_id": boot_id, "habits": habits}, file)


def case_guest_silent(scratch):
    """a guest whose kernel halted is suspected to be dead, one that only rests is not, nor one that writes."""
    clock = ["unshare", "--time", "--fork", "--kill-child", "--monotonic", str(2 * DAY), "--boottime", str(2 * DAY)]
    if subprocess.run([*clock, "true"], check=False).returncode != 0:
        raise Skipped("needs root and time namespaces")
    dead = Vm(scratch, "suspects-dead", [Nbd(scratch, "a").drive()],
              does=f"guardian.write=all guardian.halt={LIVES_SECONDS}", waits=False)
    resting = Vm(scratch, "suspects-resting", [Nbd(scratch, "b").drive()],
                 does=f"guardian.write=all guardian.rest={LIVES_SECONDS}", waits=False)
    busy = Vm(scratch, "suspects-busy", [Nbd(scratch, "c").drive()], waits=False)
    vms = (dead, resting, busy)
    learned(scratch, vms)
    for vm in vms:
        vm.wait_ready(READY_WITHIN)
    # not before: a boot is a quiet gap, and four times the longest one is what a guest may be quiet for
    guardian = Guardian(scratch, vms, wrapper=clock)

    def look():
        disks = seen(guardian, vms)
        expect_never(disks, ("suspect", "frozen"), (resting.name, "virtio0"), (busy.name, "virtio0"))
        expect_never(disks, ("frozen",), (dead.name, "virtio0"))
        return disks

    def is_suspect():
        disk = look().get((dead.name, "virtio0"), {})
        return disk if disk.get("state") == "suspect" else None

    def has_rested():
        return (look().get((resting.name, "virtio0"), {}).get("quiet_s") or 0) >= RESTS_SECONDS
    disk, seconds = wait_for(is_suspect, SILENT_WITHIN, "the dead guest was not suspected", 1)
    print(f"# suspected {seconds:.0f} s after the guests were ready", flush=True)
    check((disk["layer"], disk["cause"]) == ("guest", "guest-silent"), str(disk))
    with open(dead.console, errors="replace") as file:
        check("System halted" in file.read(), "it was suspected before it died")
    explained = guardian.ctl("explain", dead.name).stdout
    check("guest" in explained, explained)
    wait_for(has_rested, SILENT_WITHIN, "the other guest did not rest", 1)
    guardian.wait_writing(busy, "virtio0", READY_WITHIN)
    check("alert" not in guardian.log() and "PAGE" not in guardian.log(), guardian.log())
    for vm in vms:
        vm.check_asked()


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
