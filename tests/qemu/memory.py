#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The OOM forecast on a real kernel: groups with a limit, QEMUs whose guests touch memory, and
somebody else in the group.

usage: memory.py [CASE...]
"""

import json
import os
import signal
import subprocess
import sys
import time

from fixture import PATIENCE, Failed, Group, Guardian, Skipped, Vm, check, join_group, reserve_huge_pages, run, wait_for

MIB = 1 << 20
GUEST = 512
# QEMU's own with TCG is some 100 MiB; so much is left when nobody else is in the group.
ROOM = 300
HELD = 400
# Of a guest's memory, what a program in it can have.
FILLED = 400
HOLD = f"""
import mmap, time
held = mmap.mmap(-1, {HELD} << 20, mmap.MAP_PRIVATE)
for at in range(0, {HELD} << 20, 4096):
    held[at] = 1
print("held", flush=True)
time.sleep(3600)
"""

# So many MiB in every second, for ever.
GROW = """
import mmap, sys, time
begin, held = time.monotonic(), []
while True:
    while len(held) < (time.monotonic() - begin) * float(sys.argv[1]):
        held.append(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE))
        for at in range(0, 1 << 20, 4096):
            held[-1][at] = 1
    time.sleep(0.2)
"""

# So many MiB, and when it is told to go on the rest of HELD.
HOLD_IN_STEPS = f"""
import mmap, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
held = mmap.mmap(-1, {HELD} << 20, mmap.MAP_PRIVATE)
for at in range(0, {HELD} << 20, 4096):
    if at == int(sys.argv[1]) << 20:
        signal.sigwait([signal.SIGUSR1])
    held[at] = 1
time.sleep(3600)
"""


def group_of(scratch, name, limit_mib):
    if not Group.is_possible():
        raise Skipped("needs root and a memory controller that may be used")
    return Group(scratch, f"vm-guardian-ring-{name}", limit_mib * MIB)


def vm_in(scratch, name, group, does="", **options):
    return Vm(scratch, name, does=does, memory=str(GUEST), group=group.directory, **options)


def hold(scratch, group):
    """A stranger in the group, with memory that cannot be reclaimed."""
    holder = scratch.spawn(sys.executable, "-c", HOLD, preexec_fn=lambda: join_group(group.directory))

    def holds():
        check(holder.poll() is None, "the holder ended")
        with open(holder.log) as file:
            return "held" in file.read()
    wait_for(holds, PATIENCE, "the holder does not hold")
    return holder


def forecast(guardian, vm):
    entry = guardian.vm(vm) or {}
    return (entry.get("memory") or {}).get("forecast") or {}


def wait_level(guardian, vm, *levels, seconds=60):
    wait_for(lambda: forecast(guardian, vm).get("level") in levels, seconds,
             f"{vm.name} is not {levels}: {forecast(guardian, vm)}", 0.5)


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
    """From smaps, in tests only: what is resident of the guest's RAM, in smaps' word, and anonymous memory beside it."""
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


def case_killed(scratch):
    """a real OOM kill is told with its story while and after the VM dies, and the VM beside is not in it"""
    if not os.access("/dev/kmsg", os.R_OK):
        raise Skipped("needs the kernel's log")
    groups = [group_of(scratch, name, GUEST + ROOM) for name in ("killed", "spared")]
    # all RAM is touched, and no guest has to boot for it
    full = ("-object", f"memory-backend-ram,id=full,size={GUEST}M,prealloc=on", "-machine", "memory-backend=full")
    killed, spared = (vm_in(scratch, f"memory-{i}", group, paused=True, extra=full)
                      for i, group in enumerate(groups))
    guardian = Guardian(scratch, [killed, spared], settings="[memory]\nperiod = 1s\n")
    for vm in (killed, spared):
        wait_for(lambda: (guardian.vm(vm) or {}).get("memory", {}).get("limit_bytes"), PATIENCE, "no limit is seen")
    # of the two it is QEMU that has to die, as in the field
    holder = scratch.spawn(sys.executable, "-c", HOLD_IN_STEPS, "100", preexec_fn=lambda: (
        join_group(groups[0].directory), open("/proc/self/oom_score_adj", "w").write("-500")))

    def is_seen():
        stranger = guardian.vm(killed)["largest_stranger"]
        return stranger["pid"] == holder.pid and stranger["private_bytes"] >= 100 * MIB
    wait_for(is_seen, 2 * PATIENCE, "the holder is not seen")
    holder.send_signal(signal.SIGUSR1)
    wait_for(lambda: killed.process.poll() is not None, PATIENCE, "nothing was killed")
    wait_for(lambda: f"{killed.name}: PAGE: memory: " in guardian.log(), PATIENCE, "nobody was paged")
    wait_for(lambda: guardian.vm(killed) is None, PATIENCE, "the dead VM is still listed")
    explained = guardian.ctl("explain", killed.name)
    told = " ".join(explained.stdout.split())
    check(explained.returncode == 1, str(explained))
    # its own name as the kernel cuts it; where QEMU goes slowly the holder may follow it, and a loop that is not
    for words in (f"qemu-system-x86[{killed.pid}] was OOM-killed", groups[0].name, "the VM died of it",
                  f"limit {GUEST + ROOM}M", "blame: stranger, "):
        check(words in told, f"{words!r} is not told: {told}")
    check("a loop" not in told, told)
    reports = json.loads(guardian.ctl("oom", "--json").stdout)["reports"]
    (report,) = [report for report in reports if report["watched_vm"] == killed.name]
    check(report["victim"]["pid"] == killed.pid and report["death"] and report["complete"], str(report))
    check([victim["pid"] for victim in report["chain"]] in ([killed.pid], [killed.pid, holder.pid]), str(report["chain"]))
    check(report["kills"] == 1, str(report))
    check(report["limit_bytes"] == (GUEST + ROOM) * MIB, str(report))
    check(report["blame"]["pid"] == holder.pid, str(report["blame"]))
    check(report["blame"]["suggested_limit_bytes"] > report["limit_bytes"], str(report["blame"]))
    check(report["parts"]["strangers_bytes"] > 100 * MIB, str(report["parts"]))
    first, last = report["before"][0], report["before"][-1]
    check(first["limit_bytes"] == last["limit_bytes"] == report["limit_bytes"], str(last))
    check(first["strangers_bytes"] < 50 * MIB and first["before_s"] > last["before_s"], str(report["before"]))
    check(last["largest_stranger"]["pid"] == holder.pid and last["strangers_bytes"] >= 100 * MIB, str(last))
    check(last["unreclaimable_bytes"] - first["unreclaimable_bytes"] >= 50 * MIB, str(report["before"]))
    check(last["guest_high_bytes"] >= GUEST * MIB * 9 // 10, str(last))
    check("qemu's own helpers strangers" in told, f"the minutes before are not explained: {told}")
    check(all(report["watched_vm"] != spared.name for report in reports), "the innocent is in it")
    check(spared.process.poll() is None and guardian.vm(spared) is not None, "the innocent died")
    check(not any(f"{spared.name}: {word}" in guardian.log() for word in ("alert", "PAGE")), guardian.log())
    shown = guardian.ctl("status")
    check(shown.returncode == 1 and f"oom      {killed.name}" in shown.stdout, shown.stdout)
    spared.check_asked()


def case_own(scratch):
    """what QEMU takes for disks, threads and code is blamed on QEMU, and the VM with room for it lives"""
    if not os.access("/dev/kmsg", os.R_OK):
        raise Skipped("needs the kernel's log")
    # the guest is full from the start; its boot is what makes QEMU grow
    guest, room = 128, 80
    extra = ["-object", f"memory-backend-memfd,id=shared,size={guest}M,share=on,prealloc=on", "-machine",
             "memory-backend=shared"]
    for i in range(24):
        extra += ["-object", f"iothread,id=thread-{i}", "-blockdev", f"driver=null-co,node-name=null-{i}",
                  "-device", f"virtio-blk-pci,drive=null-{i},iothread=thread-{i}"]
    groups = [group_of(scratch, name, guest + limit) for name, limit in (("small", room), ("large", 5 * room))]
    small, large = (Vm(scratch, f"memory-{i}", memory=str(guest), group=group.directory, does="", extra=extra,
                       waits=False) for i, group in enumerate(groups))
    guardian = Guardian(scratch, [small, large], settings="[memory]\nperiod = 1s\n")
    wait_for(lambda: small.process.poll() is not None, 3 * PATIENCE, "nothing was killed")

    def told():
        reports = json.loads(guardian.ctl("oom", "--json").stdout)["reports"]
        return [report for report in reports if (report["victim"] or {}).get("pid") == small.pid]
    ((report,), _) = wait_for(told, PATIENCE, "the kill is not told")
    check(report["blame"]["role"] == "qemu" and report["blame"]["pid"] == small.pid, str(report["blame"]))
    check(report["guest_bytes"] >= guest * MIB * 9 // 10, f"the guest was full: {report['guest_bytes']}")
    check(sum(report["parts"].values()) == report["usage_bytes"], f"does not close: {report['parts']}")
    # the proxy that records what is asked is in the group, too
    check(report["parts"]["strangers_bytes"] + report["parts"]["helpers_bytes"] < 4 * MIB, str(report["parts"]))
    check(report["blame"]["suggested_limit_bytes"] > report["limit_bytes"], str(report["blame"]))
    large.wait_ready(3 * PATIENCE)
    check(large.process.poll() is None, "the innocent died")


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


def case_growing(scratch):
    """fast growth beside a full guest is shown a minute before the kernel kills and paged before it, not the VM beside"""
    guest, room, growth = 128, 500, 5
    groups = [group_of(scratch, name, 2 * (guest + room)) for name in ("lost", "fine")]
    full = ("-object", f"memory-backend-memfd,id=full,size={guest}M,share=on,prealloc=on", "-machine",
            "memory-backend=full")
    lost, fine = (Vm(scratch, f"memory-{i}", memory=str(guest), group=group.directory, paused=True, extra=full)
                  for i, group in enumerate(groups))
    guardian = Guardian(scratch, [lost, fine])
    for vm, group in zip((lost, fine), groups):
        wait_for(lambda: forecast(guardian, vm)["guest_left_high_bytes"] == 0, PATIENCE, "the guest is not full")
        group.limit((2 * (guest + room) + room) * MIB - forecast(guardian, vm)["room_bytes"])
        wait_for(lambda: abs(forecast(guardian, vm)["room_bytes"] - room * MIB) < 16 * MIB, PATIENCE, "another limit")
    grower = scratch.spawn(sys.executable, "-c", GROW, str(growth), preexec_fn=lambda: join_group(groups[0].directory))
    levels = {}

    def is_killed():
        level = forecast(guardian, lost).get("level")
        if level == "watch" and level not in levels:  # here it is read, and no alert
            status = guardian.ctl("status")
            check(status.returncode == 0 and " watch " in status.stdout, status.stdout)
        levels.setdefault(level, time.monotonic())
        check(forecast(guardian, fine)["level"] == "ok", f"the innocent: {forecast(guardian, fine)}")
        return lost.process.poll() is not None or grower.poll() is not None
    wait_for(is_killed, 3 * PATIENCE, "nothing was killed", 0.5)
    before = {level: time.monotonic() - at for level, at in levels.items()}
    check(before.get("watch", 0) >= 60, f"shown too late: {before}")
    check(before.get("oom-imminent", 0) >= 20, f"paged too late: {before}")
    for word in ("memory: watch: ", "PAGE: memory: "):
        check(f"{lost.name}: {word}" in guardian.log(), f"{word} was not told: {guardian.log()}")
    check(not any(f"{fine.name}: {word}" in guardian.log() for word in ("memory", "alert", "PAGE")), guardian.log())
    fine.check_asked()


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
    """a VM with a DIMM that is moved to a group with a limit is followed, and so is the limit; the one that stays is fine"""
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
     "growing": case_growing, "hugepages": case_hugepages, "killed": case_killed, "memfd": case_memfd,
     "moved": case_moved, "own": case_own, "page_cache": case_page_cache, "trees": case_trees})
