#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The OOM forecast on a real kernel: groups with a limit, QEMUs whose guests touch memory, and
somebody else in the group.

usage: memory.py [CASE...]
"""

import json
import os
import subprocess
import sys
import time

from fixture import PATIENCE, Failed, Guardian, Vm, check, join_group, reserve_huge_pages, run, wait_for
from groups import GROW, GUEST, HELD, MIB, ROOM, forecast, group_of, hold, vm_in, wait_level

# Of a guest's memory, what a program in it can have.
FILLED = 400


def case_doomed(scratch):
    """a stranger in the group dooms the VM before its guest is full, and the VM beside is fine"""
    groups = [group_of(scratch, name, GUEST + ROOM) for name in ("lost", "fine")]
    lost, fine = (vm_in(scratch, f"memory-{i}", group) for i, group in enumerate(groups))
    guardian = Guardian(scratch, [lost, fine])
    for vm in (lost, fine):
        wait_level(guardian, vm, "ok")
    holder = hold(scratch, groups[0])
    wait_level(guardian, lost, "doomed", seconds=30)
    told = forecast(guardian, lost)
    memory = guardian.vm(lost)["memory"]
    check(told["missing_low_bytes"] > 0, str(told))
    check(memory["guest_touched_high_bytes"] < GUEST * MIB * 9 // 10, f"the guest is full: {memory}")
    check(lost.process.poll() is None, "the VM died of it")
    # it is certain: what is missing is what the sum says
    check(told["guest_left_low_bytes"] - told["room_bytes"] == told["missing_low_bytes"], str(told))
    wait_for(lambda: f"[{holder.pid}]" in guardian.ctl("explain", lost.name).stdout, PATIENCE, "no holder is named")
    explained = guardian.ctl("explain", lost.name).stdout
    for words in ("DOOMED, alive", f"[{holder.pid}]", groups[0].name, "is not counted"):
        check(words in explained, f"{words!r} is not explained: {explained}")
    status = guardian.ctl("status")
    check(status.returncode == 1 and "DOOMED" in status.stdout, status.stdout)
    wait_for(lambda: "alert: memory: DOOMED" in guardian.log(), PATIENCE, "nobody was told")
    # the lowest that suffices: the tool, too, has counted what the guest may still touch
    wait_for(lambda: forecast(guardian, lost)["missing_high_bytes"] < forecast(guardian, lost)["missing_low_bytes"]
             + 32 * MIB, PATIENCE, f"the pages are not counted: {forecast(guardian, lost)}")
    (step,) = json.loads(guardian.ctl("limits", "plan", "--json", lost.name).stdout)["steps"]
    raised, told = int(step["new"]) - int(step["old"]), forecast(guardian, lost)
    check(told["missing_low_bytes"] < raised < told["missing_high_bytes"] + (64 + 32) * MIB, f"{step}: {told}")
    check(forecast(guardian, fine)["level"] == "ok", f"the innocent: {forecast(guardian, fine)}")
    holder.kill()
    holder.wait()
    wait_level(guardian, lost, "ok", seconds=120)
    wait_for(lambda: "alert closed" in guardian.log(), PATIENCE, "nobody was told that it is over")
    check(fine.name not in guardian.log().replace("watching", ""), f"the innocent: {guardian.log()}")
    for vm in (lost, fine):
        vm.check_asked()


def case_page_cache(scratch):
    """page cache up to the limit raises nothing"""
    group = group_of(scratch, "cache", GUEST + ROOM)
    vm = vm_in(scratch, "memory-cache", group)
    guardian = Guardian(scratch, [vm])
    wait_level(guardian, vm, "ok")
    path = scratch.path("cached")
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={GUEST + ROOM}"], check=True,
                   stderr=subprocess.DEVNULL, preexec_fn=lambda: join_group(group.directory))
    cached = guardian.vm(vm)["memory"]["kinds"]["reclaimable_bytes"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        check(forecast(guardian, vm)["level"] == "ok", str(forecast(guardian, vm)))
        cached = max(cached, guardian.vm(vm)["memory"]["kinds"]["reclaimable_bytes"])
        time.sleep(1)
    check(cached > ROOM * MIB // 2, f"only {cached} bytes were cached: it proves nothing")


def huge_bytes(vm):
    """Of the guest's RAM, in transparent huge pages; from smaps, in tests only."""
    size = 0
    with open(f"/proc/{vm.pid}/smaps") as file:
        for line in file:
            words = line.split()
            if words[0] == "Size:":
                size = int(words[1]) << 10
            elif words[0] == "AnonHugePages:" and size == vm.memory << 20:
                return int(words[1]) << 10
    return 0


def case_full(scratch):
    """a guest that fills its RAM in transparent huge pages raises nothing where there is room for it"""
    group = group_of(scratch, "full", GUEST + ROOM)
    vm = vm_in(scratch, "memory-full", group, does=f"guardian.touch={FILLED}")
    guardian = Guardian(scratch, [vm], settings="[memory]\nperiod = 1s\n")
    wait_for(lambda: forecast(guardian, vm).get("level", "unknown") != "unknown", PATIENCE, "no forecast")
    begin, full = time.monotonic(), None
    while full is None or time.monotonic() < full + 15:
        told = forecast(guardian, vm)
        check(told["level"] == "ok", str(told))
        check(vm.process.poll() is None, "the VM died")
        if full is None and guardian.vm(vm)["memory"]["guest_touched_low_bytes"] >= FILLED * MIB:
            full = time.monotonic()
        check(full or time.monotonic() < begin + 3 * PATIENCE, f"it does not fill: {guardian.vm(vm)['memory']}")
        time.sleep(0.5)
    check(huge_bytes(vm) > FILLED * MIB // 2, f"only {huge_bytes(vm)} bytes are huge pages: it proves nothing")
    check("alert" not in guardian.log(), guardian.log())


SAID = ("guest_touched_low_bytes", "guest_touched_high_bytes", "qemu_own_low_bytes", "qemu_own_high_bytes")


def truth(vm, guest="Anonymous:"):
    """From smaps, in tests only: resident of the guest's RAM, in smaps' word, and anonymous memory beside it."""
    ram, own, size = 0, 0, 0
    with open(f"/proc/{vm.pid}/smaps") as file:
        for line in file:
            words = line.split()
            if words[0] == "Size:":
                size = int(words[1]) << 10
            elif words[0] == guest and size == vm.memory << 20:
                ram += int(words[1]) << 10
            elif words[0] == "Anonymous:" and size != vm.memory << 20:
                own += int(words[1]) << 10
    return ram, own


def check_truth(guardian, vm, guest):
    """What is said of the guest's touched RAM and of QEMU's own holds the truth, and is not wide."""
    said = {}

    def agrees():
        """A reading may be older than the last page that QEMU took; between two looks nothing must have changed."""
        before = truth(vm, guest)
        memory = guardian.vm(vm)["memory"]
        said.update(truth=before, **{key: memory[key] for key in SAID})
        return (before == truth(vm, guest) and said[SAID[0]] <= before[0] <= said[SAID[1]]
                and said[SAID[2]] <= before[1] <= said[SAID[3]])
    try:
        wait_for(agrees, PATIENCE, "what is said is not what smaps shows")
    except Failed as failure:
        raise Failed(f"{failure}: {said}") from failure
    check(said[SAID[3]] - said[SAID[2]] < 32 * MIB, f"the error says nothing: {said}")
    return said["truth"][0]


def case_counted(scratch):
    """the guest's part is counted within the stated error, and QEMU's own with it"""
    group = group_of(scratch, "counted", GUEST + ROOM)
    vm = vm_in(scratch, "memory-counted", group, does="guardian.touch=128")
    guardian = Guardian(scratch, [vm], settings="[memory]\nperiod = 1s\n")
    wait_for(lambda: (guardian.vm(vm) or {}).get("memory", {}).get("guest_counted"), PATIENCE, "not counted")
    wait_for(lambda: guardian.vm(vm)["memory"]["process_anon_bytes"] is not None, PATIENCE, "no reading")
    ram = check_truth(guardian, vm, "Anonymous:")
    check(ram >= 128 * MIB, f"the guest touched only {ram} bytes")


def case_hugepages(scratch):
    """huge pages are no charge: growth beside them is foretold a minute before the end, the VM beside is fine"""
    guest, growth = 128, 1.25
    groups = [group_of(scratch, name, limit) for name, limit in (("lost", 300), ("fine", 100))]
    reserve_huge_pages(scratch, 2 * guest)
    backed = ("-object", f"memory-backend-memfd,id=huge,size={guest}M,hugetlb=on,prealloc=on", "-machine",
              "memory-backend=huge")
    lost, fine = (Vm(scratch, f"memory-{i}", memory=str(guest), group=group.directory, paused=True, extra=backed)
                  for i, group in enumerate(groups))
    guardian = Guardian(scratch, [lost, fine], settings="[memory]\nperiod = 1s\n")
    for vm in (lost, fine):
        wait_level(guardian, vm, "ok", seconds=PATIENCE)
        check(forecast(guardian, vm)["guest_left_high_bytes"] == 0, f"is charged: {guardian.vm(vm)['memory']}")
    grower = scratch.spawn(sys.executable, "-c", GROW, str(growth), preexec_fn=lambda: join_group(groups[0].directory))
    wait_level(guardian, lost, "oom-imminent", seconds=300)
    told = forecast(guardian, lost)
    # by what is left, and by how fast we take it
    check(told["room_bytes"] >= 60 * growth * MIB, f"told too late: {told}")
    check(lost.process.poll() is None and grower.poll() is None, "something died of it")
    check(forecast(guardian, fine)["level"] == "ok", f"the innocent: {forecast(guardian, fine)}")
    for vm in (lost, fine):
        vm.check_asked()


def case_memfd(scratch):
    """shared guest RAM is told exactly, and a stranger dooms the VM at once, not the VM beside"""
    groups = [group_of(scratch, name, GUEST + ROOM) for name in ("lost", "fine")]
    shared = ("-object", f"memory-backend-memfd,id=shared,size={GUEST}M,share=on", "-machine", "memory-backend=shared")
    full = (*shared[:1], shared[1] + ",prealloc=on", *shared[2:])
    lost = vm_in(scratch, "memory-0", groups[0], paused=True, extra=shared)
    fine = vm_in(scratch, "memory-1", groups[1], paused=True, extra=full)
    guardian = Guardian(scratch, [lost, fine])
    for vm in (lost, fine):
        wait_level(guardian, vm, "ok", seconds=PATIENCE)
        memory = guardian.vm(vm)["memory"]
        check(memory["guest_touched_low_bytes"] == memory["guest_touched_high_bytes"], f"not exact: {memory}")
        check(check_truth(guardian, vm, "Rss:") == (GUEST * MIB if vm is fine else 0), "that is not the guest's RAM")
    hold(scratch, groups[0])
    wait_level(guardian, lost, "doomed", seconds=PATIENCE)
    told = forecast(guardian, lost)
    check(told["missing_low_bytes"] == told["missing_high_bytes"] > 0, str(told))
    check(lost.process.poll() is None, "the VM died of it")
    check(forecast(guardian, fine)["level"] == "ok", f"the innocent: {forecast(guardian, fine)}")
    for vm in (lost, fine):
        vm.check_asked()


def case_balloon(scratch):
    """what a balloon took is watched, not doomed; when it is given back the VM is"""
    group = group_of(scratch, "balloon", GUEST + ROOM)
    vm = vm_in(scratch, "memory-balloon", group, extra=("-device", "virtio-balloon-pci"))
    vm.qmp({"execute": "balloon", "arguments": {"value": GUEST // 4 * MIB}})

    def balloon():
        return vm.qmp({"execute": "query-balloon"})[0]["return"]["actual"]
    wait_for(lambda: balloon() == GUEST // 4 * MIB, PATIENCE, "the balloon is not filled")
    guardian = Guardian(scratch, [vm])
    wait_for(lambda: guardian.vm(vm)["memory"]["balloon_bytes"] == GUEST // 4 * MIB, PATIENCE, "no balloon is seen")
    hold(scratch, group)
    wait_level(guardian, vm, "watch", seconds=PATIENCE)
    # a holder that takes 10 s is growth at first
    wait_for(lambda: "balloon" in forecast(guardian, vm)["reason"], PATIENCE, "the balloon is not named")
    check(forecast(guardian, vm)["level"] == "watch", str(forecast(guardian, vm)))
    vm.qmp({"execute": "balloon", "arguments": {"value": GUEST * MIB}})
    wait_level(guardian, vm, "doomed", "oom-imminent", seconds=PATIENCE)
    check(vm.process.poll() is None, "the VM died of it")
    vm.check_asked()


def case_trees(scratch):
    """a group at the top of the hierarchy is told with what it holds and its limit, a VM's part apart"""
    names = ("free", "capped", "vm")
    free, capped, own = (group_of(scratch, name, limit) for name, limit in zip(names, (0, 2 * HELD, GUEST + ROOM)))
    hold(scratch, free)
    hold(scratch, capped)
    vm = vm_in(scratch, "memory-trees", own, paused=True)
    guardian = Guardian(scratch, [vm])

    def told():
        trees = {tree["group"]: tree for tree in guardian.state()["host"]["trees"]}
        return all(group.name in trees for group in (free, capped, own)) and trees
    trees, _ = wait_for(told, PATIENCE, "the groups are not told")
    for group, limit in ((free, None), (capped, 2 * HELD * MIB)):
        tree = trees[group.name]
        check(tree["held_bytes"] >= HELD * MIB and tree["vms_bytes"] == 0, str(tree))
        check(tree["limit_bytes"] == limit, str(tree))

    def apart():
        tree = {tree["group"]: tree for tree in guardian.state()["host"]["trees"]}[own.name]
        return tree["vms_bytes"] > 0 and tree
    tree, _ = wait_for(apart, 2 * PATIENCE, "the VM's part is not told")
    check(abs(tree["held_bytes"] - tree["vms_bytes"]) < 16 * MIB, str(tree))
    vm.check_asked()


def case_moved(scratch):
    """a VM with a DIMM that is moved to a group with a limit is followed; the one that stays is fine"""
    limit, dimm = 450, 64
    group = group_of(scratch, "moved", limit)
    # all of the first backend is touched, nothing of what was plugged in
    backends = ("-object", "memory-backend-ram,id=base,size=128M,prealloc=on", "-machine", "memory-backend=base",
                "-object", f"memory-backend-ram,id=dimm,size={dimm}M", "-device", "pc-dimm,memdev=dimm")
    moved, stays = (Vm(scratch, f"memory-{i}", memory="128,slots=2,maxmem=1G", paused=True, extra=backends)
                    for i in range(2))
    guardian = Guardian(scratch, [moved, stays])
    for vm in (moved, stays):
        wait_for(lambda: guardian.vm(vm)["memory"]["guest_ram_bytes"] == (128 + dimm) * MIB, PATIENCE,
                 f"not all of its RAM is known: {(guardian.vm(vm) or {}).get('memory')}")
    check(guardian.vm(moved)["memory"]["limit_group"] != group.name, "it is there already")
    with open(os.path.join(group.directory, "cgroup.procs"), "w") as file:
        file.write(str(moved.pid))
    wait_for(lambda: guardian.vm(moved)["memory"]["limit_bytes"] == limit * MIB, PATIENCE, "it is not followed")
    check(guardian.vm(moved)["memory"]["limit_group"] == group.name, str(guardian.vm(moved)["memory"]))
    # what it had touched is charged where it was
    wait_level(guardian, moved, "ok", seconds=PATIENCE)
    holder = hold(scratch, group)
    wait_level(guardian, moved, "doomed", seconds=PATIENCE)
    told = forecast(guardian, moved)
    # what QEMU itself took since the count is taken for the guest's
    check(dimm * MIB * 3 // 4 < told["guest_left_low_bytes"] <= dimm * MIB, f"nothing of the DIMM is touched: {told}")
    check(moved.process.poll() is None and holder.poll() is None, "something died of it")
    group.limit(2 * limit * MIB)
    wait_level(guardian, moved, "ok", seconds=PATIENCE)
    check(guardian.vm(moved)["memory"]["limit_bytes"] == 2 * limit * MIB, str(guardian.vm(moved)["memory"]))
    check(guardian.vm(stays)["memory"]["limit_group"] != group.name, str(guardian.vm(stays)["memory"]))
    check(forecast(guardian, stays)["level"] == "ok", f"the innocent: {forecast(guardian, stays)}")
    for vm in (moved, stays):
        vm.check_asked()


run({"balloon": case_balloon, "counted": case_counted, "doomed": case_doomed, "full": case_full,
     "hugepages": case_hugepages, "memfd": case_memfd, "moved": case_moved, "page_cache": case_page_cache,
     "trees": case_trees})
