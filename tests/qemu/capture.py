#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Captures of real VMs: complete up to what cannot be done, in time, and QEMU none the worse for it.

usage: capture.py [CASE...]
"""

import json
import os
import signal
import stat
import threading
import time
import xml.etree.ElementTree

from fixture import PATIENCE, SAFE_CAPTURES, Fuse, Guardian, Nbd, Vm, check, run, wait_for
from pictures import Throttle

# reliability: whatever hangs.
CAPTURE_SECONDS = 30
# A shared monitor is never held for longer: Proxmox's qm retries for 3 s.
HOLD_MAX_US = 500000
MONITOR_STEPS = ("status", "blockstats", "block-jobs", "jobs", "iothreads", "cpus", "memdev", "virtqueues")
PROC_STEPS = ("state", "samples-before", "process", "descriptors", "threads", "command-line", "host", "kernel-log",
              "versions")


def capture(guardian, vm, *options, status=0):
    """Captures; returns the manifest and how long the tool took."""
    begin = time.monotonic()
    result = guardian.ctl("capture", vm.name, "--json", *options)
    seconds = time.monotonic() - begin
    check(result.returncode == status, f"capture ended with {result.returncode}: {result.stderr}{result.stdout}")
    summary = json.loads(result.stdout)
    check(summary["complete"], str(summary))
    with open(os.path.join(summary["directory"], "manifest.json")) as file:
        manifest = json.load(file)
    check(manifest["complete"] and manifest["directory"] == summary["directory"], str(manifest))
    for step in manifest["steps"]:
        print(f"# {step['name']:15} {step['duration_us'] / 1000:8.1f} ms {step['bytes']:7} {step['end']:8} "
              f"{step['error'] or ''}", flush=True)
    return manifest, seconds


def step(manifest, name):
    found = [entry for entry in manifest["steps"] if entry["name"] == name]
    check(len(found) == 1, f"no step {name}: {manifest}")
    return found[0]


def expect_ends(manifest, end, *names):
    for name in names:
        check(step(manifest, name)["end"] == end, f"{name} should be {end}: {step(manifest, name)}")


def read(manifest, name):
    with open(os.path.join(manifest["directory"], step(manifest, name)["file"])) as file:
        return file.read()


def check_modes(guardian, manifest):
    """Nobody else may read it: 0700 and 0600."""
    directory = manifest["directory"]
    for path, wanted in [(os.path.dirname(directory), 0o700), (directory, 0o700)] + [
            (os.path.join(directory, name), 0o600) for name in os.listdir(directory)]:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        check(mode == wanted, f"{path} has mode {mode:o}")
    check(not os.listdir(os.path.join(guardian.run, "vm-guardian/captures")), "the bundle is still in memory")


def case_nbd_stopped(scratch):
    """a capture in the middle of a freeze is complete, in time, and QEMU and guest recover as without it."""
    guilty, innocent = Nbd(scratch, "guilty"), Nbd(scratch, "innocent")
    vm = Vm(scratch, "capture-nbd", [guilty.drive(), innocent.drive()],
            extra=["-object", "secret,id=sec0,data=hunter2hunter2"])
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, "virtio0")
    guilty.stop()
    wait_for(lambda: guardian.disk(vm, "virtio0").get("state") == "frozen", 35, "not named frozen")
    manifest, seconds = capture(guardian, vm)
    check(seconds <= CAPTURE_SECONDS, f"took {seconds:.1f} s")
    expect_ends(manifest, "done", *PROC_STEPS, *MONITOR_STEPS, "samples-after", "timeline")
    expect_ends(manifest, "not-done", "stacks")
    if step(manifest, "block")["end"] != "not-done":
        raise AssertionError("query-block was sent in a freeze")
    check_modes(guardian, manifest)
    check("hunter2" not in "".join(read(manifest, name) for name in ("command-line", "process")), "a secret was kept")
    check("secret,id=sec0,data=***" in read(manifest, "command-line"), read(manifest, "command-line"))
    queues = [entry["return"] for entry in json.loads(read(manifest, "virtqueues"))
              if entry["command"] == "x-query-virtio-queue-status" and "return" in entry]
    check(any(queue["inuse"] > 0 for queue in queues), str(queues))
    check(json.loads(read(manifest, "state"))["name"] == vm.name, "whose state is it?")
    replayed = guardian.ctl("replay", os.path.join(manifest["directory"], "samples-after.txt"))
    check(replayed.returncode == 0, replayed.stderr)
    xml.etree.ElementTree.fromstring(read(manifest, "timeline"))
    vm.check_asked()
    check(SAFE_CAPTURES <= {entry["command"] for entry in vm.asked()}, "the capture asked nothing")
    shown = guardian.ctl("capture", "--show", manifest["name"])
    check(shown.returncode == 0 and "not done: not asked for" in shown.stdout, shown.stdout + shown.stderr)
    listed = guardian.ctl("capture", "--list")
    check(listed.stdout.strip() == manifest["directory"], listed.stdout + listed.stderr)
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not ok after healing")
    guardian.wait_writing(vm, "virtio0")


def case_paged(scratch):
    """an alert that pages captures by itself, once, with the minute before it."""
    guilty = Nbd(scratch, "guilty")
    vm = Vm(scratch, "capture-paged", [guilty.drive()])
    guardian = Guardian(scratch, [vm], settings="[freeze]\npage_after = 5s\n")
    guardian.wait_writing(vm, "virtio0")
    guilty.stop()
    wait_for(lambda: "captured capture-paged" in guardian.log(), 35 + CAPTURE_SECONDS, "nothing was captured")
    names = os.listdir(os.path.join(guardian.var, "vm-guardian/captures"))
    check(len(names) == 1 and names[0].startswith("capture-paged-"), str(names))
    with open(os.path.join(guardian.var, "vm-guardian/captures", names[0], "manifest.json")) as file:
        manifest = json.load(file)
    check(manifest["trigger"] == "alert" and manifest["complete"], str(manifest))
    check(" wr=" in read(manifest, "samples-before"), read(manifest, "samples-before"))
    vm.check_asked()
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not ok after healing")


def case_main_loop_blocked(scratch):
    """of a VM whose main loop is blocked everything but the monitor is captured, and nothing is sent."""
    fifo = scratch.path("blkdebug.fifo")
    os.mkfifo(fifo)
    vm = Vm(scratch, "capture-wedged", [Nbd(scratch, "a").drive()])
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, "virtio0")
    wedge = threading.Thread(target=vm.qmp, args=({"execute": "blockdev-add", "arguments": {
        "driver": "blkdebug", "node-name": "wedge", "config": fifo, "image": {"driver": "null-co"}}},))
    wedge.start()
    wait_for(lambda: guardian.vm(vm)["layer"] == "main-loop-blocked", 30, "not named")
    before = len(vm.asked())
    manifest, seconds = capture(guardian, vm, "--stacks")
    check(seconds <= CAPTURE_SECONDS, f"took {seconds:.1f} s")
    expect_ends(manifest, "done", *PROC_STEPS)
    expect_ends(manifest, "not-done", *MONITOR_STEPS, "block", "nodes")
    check("monitor is silent" in step(manifest, "status")["error"], str(step(manifest, "status")))
    check(len(vm.asked()) == before, "something was sent into a wedged QEMU")
    os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    wedge.join()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not cleared")


def case_thread_in_d(scratch):
    """with a thread in D no stack is read, no medium is asked for, and the VM heals as without a capture."""
    guilty = Fuse(scratch, "guilty", "threads")
    vm = Vm(scratch, "capture-fuse", [guilty.drive(), Nbd(scratch, "innocent").drive()])
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, "virtio0")
    guilty.stop()
    wait_for(lambda: guardian.disk(vm, "virtio0").get("state") == "frozen", 35, "not named frozen")
    manifest, seconds = capture(guardian, vm, "--stacks")
    check(seconds <= CAPTURE_SECONDS, f"took {seconds:.1f} s")
    expect_ends(manifest, "done", *PROC_STEPS, *MONITOR_STEPS, "samples-after", "timeline")
    check("in state D" in step(manifest, "stacks")["error"], str(step(manifest, "stacks")))
    expect_ends(manifest, "not-done", "block", "nodes")
    check(") D " in read(manifest, "threads"), read(manifest, "threads"))
    vm.check_asked()
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not ok after healing")
    guardian.wait_writing(vm, "virtio0")


def case_throttled(scratch):
    """a capture of a disk that its own limit holds is complete and in time, and the disk goes on as its limit does."""
    guilty = Throttle(scratch, "guilty")
    vm = Vm(scratch, "capture-throttled", [guilty.drive(), Nbd(scratch, "innocent").drive()])
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, "virtio0")
    guilty.begin(vm)
    wait_for(lambda: guardian.disk(vm, "virtio0").get("layer") == "throttle", PATIENCE, "not named throttle")
    manifest, seconds = capture(guardian, vm)
    check(seconds <= CAPTURE_SECONDS, f"took {seconds:.1f} s")
    expect_ends(manifest, "done", *PROC_STEPS, *MONITOR_STEPS, "samples-after", "timeline")
    expect_ends(manifest, "not-done", "stacks", "block", "nodes")
    vm.check_asked()
    check(guardian.disk(vm, "virtio0")["layer"] == "throttle", "the capture set it free")
    guardian.wait_writing(vm, "virtio1")
    guilty.end(vm)
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not ok with the limit gone")
    guardian.wait_writing(vm, "virtio0")


def case_stacks(scratch):
    """stacks are read of a healthy VM, which runs on; without a daemon, too."""
    vm = Vm(scratch, "capture-stacks", [Nbd(scratch, "a").drive()])
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, "virtio0")
    manifest, _ = capture(guardian, vm, "--stacks")
    stacks = step(manifest, "stacks")
    check(stacks["end"] == "done" or "installed" in stacks["error"], str(stacks))
    if stacks["end"] == "done":
        check("ppoll" in read(manifest, "stacks"), read(manifest, "stacks"))
    # every disk completes something every second, so nothing is left out
    with open(f"/proc/{vm.pid}/stat") as file:
        check(file.read().rsplit(")", 1)[1].split()[0] not in "tT", "the process was left stopped")
    guardian.wait_writing(vm, "virtio0")
    guardian.process.terminate()
    guardian.process.wait()
    manifest, _ = capture(guardian, vm)
    expect_ends(manifest, "done", *PROC_STEPS, *MONITOR_STEPS, "timeline")
    check("no daemon" in step(manifest, "samples-after")["error"], str(manifest))


def case_shared_monitor(scratch):
    """on a shared monitor others get in, and a stopped process is not asked at all."""
    vm = Vm(scratch, "capture-shared", [Nbd(scratch, "a").drive()], is_ours=False)
    guardian = Guardian(scratch, [vm], settings="[monitor]\nperiod_shared = 2s\n")
    guardian.wait_writing(vm, "virtio0")
    manifest, _ = capture(guardian, vm)
    expect_ends(manifest, "done", *PROC_STEPS, *MONITOR_STEPS, "samples-after")
    with open(vm.record) as file:
        held = [entry["held_us"] for entry in map(json.loads, filter(str.strip, file)) if entry["dir"] == "close"]
    print(f"# held {max(held) / 1000:.1f} ms at most", flush=True)
    check(max(held) <= HOLD_MAX_US, f"held for {max(held)} us")
    os.kill(vm.pid, signal.SIGSTOP)
    wait_for(lambda: guardian.vm(vm)["layer"] == "process-stopped", 15, "not named")
    manifest, seconds = capture(guardian, vm, "--stacks")
    check(seconds <= CAPTURE_SECONDS, f"took {seconds:.1f} s")
    expect_ends(manifest, "not-done", *MONITOR_STEPS, "stacks", "block")
    with open(f"/proc/{vm.pid}/stat") as file:
        check(file.read().rsplit(")", 1)[1].split()[0] == "T", "somebody else's stop was undone")
    os.kill(vm.pid, signal.SIGCONT)
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not cleared")
    guardian.wait_writing(vm, "virtio0")


CASES = {name[len("case_"):]: function for name, function in list(globals().items())
         if name.startswith("case_")}

if __name__ == "__main__":
    run(CASES)
