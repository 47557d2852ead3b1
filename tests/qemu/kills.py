#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel kills in groups with a limit: what is told before, and after.

usage: kills.py [CASE...]
"""

import json
import os
import signal
import sys
import time

from fixture import PATIENCE, Guardian, Skipped, Vm, check, join_group, run, wait_for
from groups import GROW, GUEST, HOLD_IN_STEPS, MIB, ROOM, forecast, group_of, vm_in


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
    chain = [victim["pid"] for victim in report["chain"]]
    check(chain in ([killed.pid], [killed.pid, holder.pid]), str(chain))
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


def case_growing(scratch):
    """fast growth beside a full guest is shown a minute before the kernel kills, and paged; the VM beside is fine"""
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


run({"growing": case_growing, "killed": case_killed, "own": case_own})
