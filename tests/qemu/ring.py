#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real-QEMU ring: each case freezes, stops or spares a real VM, with an innocent beside the guilty.

usage: ring.py [CASE...]
"""

import json
import os
import signal
import socket
import subprocess
import time

from fixture import BUILD, PATIENCE, Freezer, Group, Guardian, Nbd, Skipped, Vm, check, run, wait_for

# Issue: virtio on a monitor of our own is named within 30 s of the freeze.
NAMED_WITHIN = 30
# -m of a VM that more can be plugged into.
RAM = "96,slots=2,maxmem=512M"


def frozen(guardian, vm, label):
    disk = guardian.disk(vm, label)
    return disk if disk.get("state") == "frozen" else None


def expect_ok(guardian, vm, *labels):
    for label in labels:
        disk = guardian.disk(vm, label)
        check(disk.get("state") == "ok", f"{vm.name} {label} should be ok: {disk}")


def nbd_stopped(scratch, device, labels, extra=()):
    guilty, innocent = Nbd(scratch, "guilty"), Nbd(scratch, "innocent")
    vm = Vm(scratch, "ring-nbd", [guilty.drive(), innocent.drive()], devices=device, extra=extra)
    other = Vm(scratch, "ring-other", [Nbd(scratch, "other").drive()])
    guardian = Guardian(scratch, [vm, other])
    guardian.wait_writing(vm, labels[0])
    guardian.wait_writing(vm, labels[1])
    guilty.stop()
    disk, seconds = wait_for(lambda: frozen(guardian, vm, labels[0]), NAMED_WITHIN + 5,
                             f"{labels[0]} was not named frozen")
    check(seconds <= NAMED_WITHIN, f"named only after {seconds:.1f} s")
    check(disk["layer"] == "block-path", f"wrong layer: {disk}")
    check(disk["inflight"] >= 1, f"without evidence: {disk}")
    expect_ok(guardian, vm, labels[1])
    expect_ok(guardian, other, "virtio0")
    check(guardian.ctl("status").returncode == 1, "status must end with 1 while a disk is frozen")
    explained = guardian.ctl("explain", vm.name)
    check(explained.returncode == 1 and "block-path" in explained.stdout, explained.stdout)
    wait_for(lambda: "alert: frozen" in guardian.log(), PATIENCE, "the alert was not told")
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "the verdict did not close after healing")
    wait_for(lambda: "alert closed" in guardian.log(), PATIENCE, "the end of the alert was not told")
    check(guardian.ctl("status").returncode == 0, "status must end with 0 when all is well again")
    log = guardian.log()
    check(log.count("alert: frozen") == 1, f"one alert, not more:\n{log}")
    check(log.count("alert closed") == 1, f"closed once:\n{log}")
    check("virtio1: alert" not in log and f"{other.name}: alert" not in log, log)
    vm.check_asked()
    other.check_asked()


def case_nbd_virtio_blk(scratch):
    """a stopped NBD server under virtio-blk is named, its neighbours are not."""
    nbd_stopped(scratch, None, ("virtio0", "virtio1"))


def case_nbd_virtio_scsi(scratch):
    """two disks on one virtio-scsi: the frozen one is named, the other is not."""
    devices = ["scsi-hd,drive=drive-0,id=scsi0,bus=hba.0", "scsi-hd,drive=drive-1,id=scsi1,bus=hba.0"]
    nbd_stopped(scratch, devices, ("scsi0", "scsi1"),
                extra=["-device", "virtio-scsi-pci,id=hba"])


def case_page(scratch):
    """a freeze is paged after a minute, once."""
    guilty = Nbd(scratch, "guilty")
    vm = Vm(scratch, "ring-page", [guilty.drive()])
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, "virtio0")
    guilty.stop()
    wait_for(lambda: guardian.disk(vm, "virtio0").get("paged"), 75, "not paged")
    time.sleep(5)
    check(guardian.log().count("PAGE: frozen") == 1, guardian.log())
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "did not close")


def case_throttle(scratch):
    """a limit of 1 byte/s is named as the cause, and is not called frozen."""
    slow, free = Nbd(scratch, "slow"), Nbd(scratch, "free")
    # the burst lets the guest come up; then the bucket is full for ever
    vm = Vm(scratch, "ring-throttle",
            [slow.drive() + ",throttling.bps-total=1,throttling.bps-total-max=400000", free.drive()])
    guardian = Guardian(scratch, [vm])
    disk, _ = wait_for(lambda: guardian.disk(vm, "virtio0").get("layer") == "throttle" and
                       guardian.disk(vm, "virtio0"), 60, "the throttle was not named")
    check(disk["state"] == "suspect" and disk["cause"] == "throttle-bound", f"{disk}")
    check(disk["limit_bytes_per_s"] == 1, f"{disk}")
    guardian.wait_writing(vm, "virtio1")
    expect_ok(guardian, vm, "virtio1")


def quiet_ide(scratch, name, settings):
    """Two ide disks of which one stalls: the controller shows nothing in flight over NBD."""
    guilty, innocent = Nbd(scratch, "guilty"), Nbd(scratch, "innocent")
    vm = Vm(scratch, name, [guilty.drive(), innocent.drive()], devices=[
        "ide-hd,drive=drive-0,id=ide0,bus=ide.0", "ide-hd,drive=drive-1,id=ide1,bus=ide.1"])
    guardian = Guardian(scratch, [vm], settings=settings)
    guardian.wait_writing(vm, "ide0")
    guardian.wait_writing(vm, "ide1")
    time.sleep(12)
    guilty.stop()
    return guilty, vm, guardian


def case_habit(scratch):
    """without evidence a stalled writer is suspect, never ok, and its neighbour is fine."""
    guilty, vm, guardian = quiet_ide(scratch, "ring-habit", "")
    disk, _ = wait_for(lambda: guardian.disk(vm, "ide0").get("state") == "suspect" and
                       guardian.disk(vm, "ide0"), 40, "ide0 was not suspected")
    check(disk["cause"] == "habit-broken", f"{disk}")
    expect_ok(guardian, vm, "ide1")
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "did not close")
    check("alert" not in guardian.log(), guardian.log())
    vm.check_asked()


def case_canary(scratch):
    """a canary that does not come back names the block path before the guest's error handling does."""
    guilty, vm, guardian = quiet_ide(scratch, "ring-canary", "[freeze]\ncanary = suspect\n")
    disk, _ = wait_for(lambda: frozen(guardian, vm, "ide0"), 50, "ide0 was not named")
    check(disk["cause"] in ("canary-late", "no-answer"), f"{disk}")
    canaries = [entry for entry in vm.asked() if entry["class"] == "canary"]
    check(len(canaries) == 1, f"{len(canaries)} canaries")
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "did not close")
    expect_ok(guardian, vm, "ide0", "ide1")


def case_innocents(scratch):
    """idle, busy, paused and powered-off VMs are never suspected."""
    idle = Vm(scratch, "ring-idle", [Nbd(scratch, "a").drive()], does="guardian.idle")
    busy = Vm(scratch, "ring-busy", [Nbd(scratch, "b").drive()],
              does="guardian.idle guardian.burn")
    paused = Vm(scratch, "ring-paused", [Nbd(scratch, "c").drive()])
    guardian = Guardian(scratch, [idle, busy, paused])
    guardian.wait_writing(paused, "virtio0")
    paused.qmp({"execute": "stop"})
    until = time.monotonic() + 45
    while time.monotonic() < until:
        for vm in (idle, busy, paused):
            state = (guardian.vm(vm) or {}).get("state")
            check(state in ("ok", "unknown", None), f"{vm.name} is {state}")
        time.sleep(1)
    check(guardian.vm(paused)["layer"] == "not-running", str(guardian.vm(paused)))
    check(guardian.vm(paused)["cause"] == "paused", str(guardian.vm(paused)))
    expect_ok(guardian, idle, "virtio0")
    expect_ok(guardian, busy, "virtio0")
    check("alert" not in guardian.log(), guardian.log())
    for vm in (idle, busy, paused):
        vm.check_asked()


def case_process_stopped(scratch):
    """a process in T is named within three periods and cleared within two, and delays nobody."""
    stopped = Vm(scratch, "ring-stopped", [Nbd(scratch, "a").drive()])
    other = Vm(scratch, "ring-beside", [Nbd(scratch, "b").drive()])
    guardian = Guardian(scratch, [stopped, other])
    guardian.wait_writing(stopped, "virtio0")
    os.kill(stopped.pid, signal.SIGSTOP)
    entry, seconds = wait_for(lambda: (guardian.vm(stopped) or {}).get("state") == "frozen" and
                              guardian.vm(stopped), 12, "not named")
    check(entry["layer"] == "process-stopped", f"{entry}")
    check(seconds <= 3 * 2 + 1, f"named after {seconds:.1f} s")
    for _ in range(10):
        age = guardian.vm(other)["sample_age_ms"]
        check(age < 2000 + 200 + 500, f"the other VM's sample is {age} ms old")
        time.sleep(0.5)
    os.kill(stopped.pid, signal.SIGCONT)
    wait_for(lambda: guardian.vm(stopped)["state"] == "ok", PATIENCE, "not cleared")


def case_process_frozen(scratch):
    """what the cgroup freezer holds is named so, and is no blocked main loop; the VM beside it is fine."""
    held = Vm(scratch, "ring-held", [Nbd(scratch, "a").drive()])
    other = Vm(scratch, "ring-beside", [Nbd(scratch, "b").drive()])
    guardian = Guardian(scratch, [held, other])
    guardian.wait_writing(held, "virtio0")
    freezer = Freezer(scratch, [held.pid])
    freezer.set(True)
    try:
        entry, _ = wait_for(lambda: guardian.vm(held)["state"] == "frozen" and guardian.vm(held), PATIENCE,
                            "not named")
        check((entry["layer"], entry["cause"]) == ("process-stopped", "cgroup-frozen"), f"{entry}")
        expect_ok(guardian, other, "virtio0")
        check("thaw its cgroup" in guardian.ctl("explain", held.name).stdout, "no word of what to do")
    finally:
        freezer.set(False)
    wait_for(lambda: guardian.vm(held)["state"] == "ok", PATIENCE, "not cleared")
    check("main-loop-blocked" not in guardian.log(), guardian.log())


def case_main_loop_blocked(scratch):
    """a blocked main loop is named as such, and cleared when it runs again."""
    fifo = scratch.path("blkdebug.fifo")
    os.mkfifo(fifo)
    disk = Nbd(scratch, "a")
    vm = Vm(scratch, "ring-blocked", [disk.drive()])
    other = Vm(scratch, "ring-beside", [Nbd(scratch, "b").drive()])
    guardian = Guardian(scratch, [vm, other])
    guardian.wait_writing(vm, "virtio0")
    # open(FIFO) in the main thread waits for a writer: on another monitor, or ours would be the one
    client = socket.socket(socket.AF_UNIX)
    client.connect(vm.test_monitor)
    client.recv(4096)
    client.sendall(b'{"execute":"qmp_capabilities"}\n')
    client.recv(4096)
    client.sendall(json.dumps({"execute": "blockdev-add", "arguments": {
        "driver": "blkdebug", "node-name": "wedge", "config": fifo,
        "image": {"driver": "null-co"}}}).encode() + b"\n")
    entry, seconds = wait_for(lambda: guardian.vm(vm)["state"] == "frozen" and guardian.vm(vm), 30,
                              "not named")
    check(entry["layer"] == "main-loop-blocked", f"{entry}")
    check(seconds < 22, f"named after {seconds:.1f} s")
    expect_ok(guardian, other, "virtio0")
    before = len(vm.asked())
    time.sleep(5)
    check(len(vm.asked()) == before, "something was sent into a wedged QEMU")
    os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    client.close()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not cleared")


def case_foreign_client(scratch):
    """a foreign client on a shared monitor is unknown, never an alert, with one pending connect of ours."""
    vm = Vm(scratch, "ring-shared", [Nbd(scratch, "a").drive()], is_ours=False)
    guardian = Guardian(scratch, [vm], settings="[monitor]\nperiod_shared = 2s\n")
    guardian.wait_writing(vm, "virtio0")
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(vm.monitor)
    client.recv(4096)
    wait_for(lambda: guardian.vm(vm)["layer"] == "socket-busy", PATIENCE, "not seen as busy")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        entry = guardian.vm(vm)
        check(entry["state"] == "unknown", f"{entry}")
        with open("/proc/net/unix") as file:
            pending = sum(vm.monitor in line and line.split()[5] == "02" for line in file)
        check(pending <= 1, f"{pending} connections of ours wait")
        time.sleep(1)
    client.close()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not ok after the client left")
    check("alert" not in guardian.log(), guardian.log())


def case_without_daemon(scratch):
    """without a daemon status says so and answers; check names a freeze in the middle of it."""
    guilty, innocent = Nbd(scratch, "guilty"), Nbd(scratch, "innocent")
    vm = Vm(scratch, "ring-check", [guilty.drive(), innocent.drive()])
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, "virtio0")
    guardian.process.terminate()
    guardian.process.wait()
    status = guardian.ctl("status")
    check(status.returncode == 0 and "No daemon" in status.stdout, status.stdout + status.stderr)
    guilty.stop()
    time.sleep(3)
    checked = guardian.ctl("check", vm.name, "--for", "32s", "--json")
    check(checked.returncode == 1, checked.stderr)
    entry = json.loads(checked.stdout)["vms"][0]
    states = {disk["label"]: disk["state"] for disk in entry["disks"]}
    check(states == {"virtio0": "frozen", "virtio1": "ok"}, str(states))
    vm.check_asked()


def case_bare_details(scratch):
    """a bare VM with two monitors, several RAM backends, more plugged in while it runs, empty drives and
    a plugged disk is told as it is."""
    uuid = "0a1b2c3d-0000-1111-2222-333344445555"
    with open(scratch.path("a"), "wb") as file:
        file.truncate(8 << 20)
    vm = Vm(scratch, "ring-details", [f"file={scratch.path('a')},format=raw"], paused=True, memory=RAM,
            devices=["virtio-blk-pci,drive=drive-0,id=first"], extra=[
                "-uuid", uuid, "-smp", "2", "-machine", "pc",
                "-object", "memory-backend-memfd,id=ram0,size=64M", "-numa", "node,memdev=ram0",
                "-object", "memory-backend-memfd,id=ram1,size=32M", "-numa", "node,memdev=ram1",
                "-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-cd,id=cd0,bus=scsi0.0",
                "-device", "ide-cd,id=cd1"])
    other = Vm(scratch, "ring-plain", paused=True)
    guardian = Guardian(scratch, [vm, other])
    wait_for(lambda: guardian.vm(vm)["memory"]["guest_ram_bytes"] is not None, PATIENCE, "no guest RAM")
    entry = guardian.vm(vm)
    check((entry["source"], entry["uuid"], entry["run"]) == ("bare", uuid, "prelaunch"), f"{entry}")
    check(entry["monitor"]["path"] == vm.monitor and entry["monitor"]["use"] == "own", f"{entry['monitor']}")
    check(entry["memory"]["guest_ram_bytes"] == 96 << 20, f"{entry['memory']}")
    check([disk["label"] for disk in entry["disks"]] == ["first"], f"empty drives are no disks: {entry['disks']}")
    check(entry["pod"] is None and entry["namespace"] is None, f"{entry['pod']}")
    replies = vm.qmp(
        {"execute": "object-add", "arguments": {"qom-type": "memory-backend-memfd", "id": "more", "size": 32 << 20}},
        {"execute": "device_add", "arguments": {"driver": "pc-dimm", "id": "dimm0", "memdev": "more"}},
        {"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "plugged-node"}},
        {"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "plugged", "bus": "scsi0.0",
                                                "drive": "plugged-node"}})
    check(all("return" in reply for reply in replies), f"{replies}")
    wait_for(lambda: {disk["label"] for disk in guardian.vm(vm)["disks"]} == {"first", "plugged"}, PATIENCE,
             "the plugged disk is not seen")
    wait_for(lambda: guardian.vm(vm)["memory"]["guest_ram_bytes"] == 128 << 20, PATIENCE,
             "the plugged memory is not seen")
    plain = guardian.vm(other)
    check((plain["uuid"], plain["disks"], plain["memory"]["guest_ram_bytes"]) == (None, [], 96 << 20), f"{plain}")
    check(guardian.ctl("explain", uuid).returncode == 0, "not found by its uuid")
    vm.check_asked()
    other.check_asked()


def case_three_hosts(scratch):
    """a bare VM, a Proxmox look-alike and one in a limited cgroup are listed with the right figures."""
    run = scratch.path("run")
    servers = os.path.join(run, "qemu-server")
    os.makedirs(servers)
    if not Group.is_possible():
        raise Skipped("needs root and a memory cgroup of its own")
    group = Group(scratch, "vm-guardian-ring", 512 << 20)
    bare = Vm(scratch, "ring-bare", [Nbd(scratch, "a").drive()])
    proxmox = Vm(scratch, "proxmox", [Nbd(scratch, "b").drive()], is_ours=False,
                 path=os.path.join(servers, "900.qmp"), memory="128")
    with open(os.path.join(servers, "900.pid"), "w") as file:
        file.write(f"{proxmox.pid}\n")
    limited = Vm(scratch, "ring-limited", [Nbd(scratch, "c").drive()], does="guardian.write=all "
                 "guardian.touch=16", group=group.directory)
    guardian = Guardian(scratch, [bare, proxmox, limited], run_root=run)
    guardian.process.terminate()
    guardian.process.wait()
    once = subprocess.run([os.path.join(BUILD, "vm-guardiand"), "--once", "--json", *guardian.roots],
                          capture_output=True, text=True, timeout=60)
    vms = {vm["name"]: vm for vm in json.loads(once.stdout)["vms"]}
    check(set(vms) == {bare.name, proxmox.name, limited.name}, str(list(vms)))
    check([vms[vm.name]["source"] for vm in (bare, proxmox, limited)] ==
          ["bare", "proxmox", "bare"], "wrong sources")
    check(vms[proxmox.name]["id"] == "900" and vms[proxmox.name]["monitor"]["use"] == "shared",
          str(vms[proxmox.name]))
    for vm in (bare, proxmox, limited):
        memory = vms[vm.name]["memory"]
        check(vms[vm.name]["state"] == "ok", f"{vms[vm.name]}")
        check(memory["guest_ram_bytes"] == vm.memory << 20, f"{vm.name} guest RAM: {memory}")
        truth = vm.own_memory()
        check(memory["overhead_low_bytes"] <= truth + (4 << 20), f"{vm.name} own {truth}: {memory}")
        check(memory["overhead_high_bytes"] >= truth - (4 << 20), f"{vm.name} own {truth}: {memory}")
    memory = vms[limited.name]["memory"]
    check(memory["limit_bytes"] == 512 << 20 and memory["limit_group"] == group.name, str(memory))
    check(memory["headroom_bytes"] == (512 << 20) - memory["group_unreclaimable_bytes"], str(memory))
    check(vms[bare.name]["memory"]["limit_bytes"] is None, str(vms[bare.name]["memory"]))
    text = subprocess.run([os.path.join(BUILD, "vm-guardiand"), "--once", *guardian.roots],
                          capture_output=True, text=True, timeout=60).stdout
    check(all(len(line) <= 80 for line in text.splitlines()), text)
    print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)


def case_second_daemon(scratch):
    """a second daemon refuses to start, and the first one goes on."""
    vm = Vm(scratch, "ring-second", paused=True)
    guardian = Guardian(scratch, [vm])
    second = subprocess.run([os.path.join(BUILD, "vm-guardiand"), *guardian.roots], capture_output=True, text=True, timeout=10)
    check(second.returncode == 2 and "already" in second.stderr, second.stderr)
    check(guardian.ctl("status").returncode == 0, "the first one does not answer")


CASES = {name[len("case_"):]: function for name, function in list(globals().items())
         if name.startswith("case_")}

if __name__ == "__main__":
    run(CASES)
