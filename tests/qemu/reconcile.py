#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of real QEMUs that drift: one write where they really do, none where only the words do.

usage: reconcile.py [CASE...]
"""

import json
import os

from fixture import SOURCE, Guardian, Nbd, Vm, check, run, wait_for

WANTED, DRIFTED = 60 << 20, 30 << 20
SETTINGS = "mode = enforce\n[monitor]\nperiod_shared = 2s\n[enforce]\nthrottle = enforce\n"
WRITES = ("qom-set", "block_set_io_throttle")
# A stall must be over for a minute; TCG on a loaded machine takes its time on top.
SETTLED_WITHIN = 240
SHOWN_WITHIN = 60
# The same limit in words that differ: of the configuration, and of the policy.
DRIVES = ("local:vm-1-disk-0,iothread=1,mbps_wr=60,size=64M", "mbps_wr=60.0,size=64M,volume=local:vm-1-disk-0",
          "local:vm-1-disk-0,size=64M,mbps_wr=60.00,iothread=on",
          "file=local:vm-1-disk-0,iops=0,mbps_wr=060,mbps_wr_max=0")
POLICIES = ("mbps_wr = 60", "bps_wr = 62914560", "bps_wr = 60M", "mbps_wr = 60.0")


class Host:
    """A look-alike of a Proxmox host: its run and etc, and a policy for each VM."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.run, self.etc = scratch.path("run"), scratch.path("root-etc")
        self.policies = scratch.path("etc/vm.d")
        for directory in (self.run + "/qemu-server", self.etc + "/pve/qemu-server", self.policies):
            os.makedirs(directory)

    def vm(self, number, storage, extra):
        """A VM with one disk, virtio0, whose -blockdev or -drive is in extra."""
        device = ["-device", "virtio-blk-pci,drive=drive-virtio0,id=virtio0"]
        vm = Vm(self.scratch, f"pve-{number}", extra=[*extra, *device], is_ours=False,
                path=f"{self.run}/qemu-server/{number}.qmp")
        vm.number, vm.storage, vm.is_old = number, storage, extra[0] == "-drive"
        with open(f"{self.run}/qemu-server/{number}.pid", "w") as file:
            file.write(f"{vm.pid}\n")
        self.say(vm, 0)
        return vm

    def old(self, number, limit):
        """As Proxmox starts machines before version 10."""
        storage = Nbd(self.scratch, f"disk-{number}")
        return self.vm(number, storage,
                       ["-drive", f"{storage.drive()},if=none,id=drive-virtio0,throttling.bps-write={limit}"])

    def new(self, number, limit):
        """As it starts later ones: a throttle-group object named after the drive."""
        storage = Nbd(self.scratch, f"disk-{number}")
        return self.vm(number, storage, [
            "-object", f"throttle-group,id=throttle-drive-virtio0,x-bps-write={limit}",
            "-blockdev", "driver=throttle,node-name=drive-virtio0,throttle-group=throttle-drive-virtio0,"
            f"file.driver=raw,file.file.driver=nbd,file.file.server.type=unix,file.file.server.path={storage.socket}"])

    def say(self, vm, words):
        """Writes the same configuration and the same policy in other words."""
        lines = [f"name: {vm.name}", f"virtio0: {DRIVES[words % len(DRIVES)]}", "memory: 96", "cores: 1"]
        if words % 2:
            lines.reverse()
        with open(f"{self.etc}/pve/qemu-server/{vm.number}.conf", "w") as file:
            file.write("\n".join(lines) + "\n")
        with open(f"{self.policies}/{vm.number}.conf", "w") as file:
            file.write(f"[Match]\nname = {vm.name}\n[disk virtio0]\n{POLICIES[(words // 2) % len(POLICIES)]}\n")

    def drift_configuration(self, vm):
        """As somebody who edits the file by hand."""
        with open(f"{self.etc}/pve/qemu-server/{vm.number}.conf", "w") as file:
            file.write("cores: 1\nvirtio0: local:vm-1-disk-0,mbps_wr=30,size=64M\n")

    def qm_calls(self):
        """What `qm` was called with."""
        try:
            with open(os.environ["FAKE_QM_LOG"]) as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []

    def guardian(self, *vms, more=""):
        """more: settings of [enforce]."""
        os.environ.update({"PATH": f"{SOURCE}/tests/fake-qm:{os.environ['PATH']}", "FAKE_QM_ETC": self.etc,
                           "FAKE_QM_RUN": self.run, "FAKE_QM_LOG": self.scratch.path("qm.log")})
        return Guardian(self.scratch, vms, run_root=self.run, settings=SETTINGS + more, etc_root=self.etc)


def writes(vm):
    return [entry["command"] for entry in vm.asked() if entry["command"] in WRITES]


def live(vm):
    """QEMU's own word, past the guardian."""
    if vm.is_old:
        return vm.qmp({"execute": "query-block"})[0]["return"][0]["inserted"]["bps_wr"]
    return vm.qmp({"execute": "qom-get", "arguments": {"path": "/objects/throttle-drive-virtio0",
                                                       "property": "limits"}})[0]["return"]["bps-write"]


def set_live(vm, limit):
    answer = vm.qmp({"execute": "qom-set", "arguments": {
        "path": "/objects/throttle-drive-virtio0", "property": "limits", "value": {"bps-write": limit}}})[0]
    check("return" in answer, f"{answer}")


def drift(guardian, vm):
    """What `drift` says of the VM, and of its one disk."""
    result = guardian.ctl("drift", vm.name, "--json")
    check(result.returncode in (0, 1), f"drift: {result.stderr}")
    entry = json.loads(result.stdout)["vms"][0]
    disk = entry["disks"][0]
    check(len(entry["disks"]) == 1 and disk["name"] == "virtio0", f"{entry}")
    check(result.returncode == (0 if disk["is_equal"] else 1), f"exit {result.returncode}: {disk}")
    return entry, disk


def drifted(guardian, vm):
    """Its disk, as soon as something differs."""
    _, disk = drift(guardian, vm)
    return None if disk["is_equal"] else disk


def line_of(vm, before="30"):
    return f"{vm.name}: limits of virtio0 set: mbps_wr={before} -> mbps_wr=60, as "


def permute(host, guardian, *vms):
    """All words that mean the same: nothing differs, whatever the order, unit and alias."""
    for words in range(2 * len(DRIVES)):
        for vm in vms:
            host.say(vm, words)
        result = guardian.ctl("config", "reload")
        check(result.returncode == 0, f"reload: {result.stderr}")
        for vm in vms:
            wait_for(lambda vm=vm: drift(guardian, vm)[1]["live_source"], SHOWN_WITHIN, f"{vm.name}: live is not known")
            entry, disk = drift(guardian, vm)
            check(disk["is_equal"] and disk["outcome"] is None, f"in words {words}: {disk}")
            check(entry["configuration"]["problems"] == [], f"{entry['configuration']}")
            check(all(disk[side]["bps_write"] == WANTED for side in ("policy", "configuration", "live")), f"{disk}")


def expect_written(guardian, vm):
    """One write, by the right command, read back, told once."""
    wait_for(lambda: line_of(vm) in guardian.log(), SETTLED_WITHIN, f"{vm.name}: the limit was not set")
    check(live(vm) == WANTED, f"{vm.name}: QEMU says {live(vm)}")
    check(writes(vm) == ["block_set_io_throttle" if vm.is_old else "qom-set"], f"{vm.name}: {writes(vm)}")
    check(guardian.log().count(line_of(vm)) == 1, guardian.log())
    seen, disk = drift(guardian, vm)
    check(disk["is_equal"], f"{disk}")
    check(seen["generation"] == ("legacy" if vm.is_old else "throttle-group"), f"{seen['generation']}")


def expect_configured(host, guardian, vm):
    """One `qm set`, which brought QEMU along; none of the guardian's own commands."""
    line = f"{vm.name}: limits of virtio0 set in the configuration: mbps_wr=30 -> mbps_wr=60, as "
    wait_for(lambda: line in guardian.log(), SETTLED_WITHIN, f"{vm.name}: the configuration was not set")
    check(guardian.log().count(line) == 1, guardian.log())
    calls = host.qm_calls()
    check(len(calls) == 1 and calls[0][:3] == ["set", str(vm.number), "--digest"], f"{calls}")
    check(calls[0][4:] == ["--virtio0", "local:vm-1-disk-0,mbps_wr=60,size=64M"], f"{calls}")
    check(live(vm) == WANTED, f"{vm.name}: QEMU says {live(vm)}")
    wait_for(lambda: drift(guardian, vm)[1]["is_equal"], SHOWN_WITHIN, "it still differs")
    check(writes(vm) == [], f"{vm.name}: {writes(vm)}")


def case_drift(scratch):
    """a real drift is one write on either generation, other words for the same are none."""
    host = Host(scratch)
    old, edited = host.old(901, DRIFTED), host.new(904, DRIFTED)
    new, same = host.new(902, WANTED), host.new(903, WANTED)
    host.drift_configuration(edited)
    vms = [old, new, same, edited]
    guardian = host.guardian(*vms)
    for vm in vms:
        guardian.wait_writing(vm, "virtio0", 60)
    set_live(new, DRIFTED)
    disk, _ = wait_for(lambda: drifted(guardian, new), SHOWN_WITHIN, "the drift is not shown")
    check([entry["field"] for entry in disk["differences"]] == ["bps_write"], f"{disk}")
    check(disk["differences"][0]["live"] == DRIFTED and disk["differences"][0]["policy"] == WANTED, f"{disk}")
    check(disk["outcome"] != "observe: nothing is written", f"{disk}")
    expect_written(guardian, old)
    expect_written(guardian, new)
    expect_configured(host, guardian, edited)
    permute(host, guardian, *vms)
    for vm in vms:
        check(len(writes(vm)) == (1 if vm in (old, new) else 0), f"{vm.name}: {writes(vm)}")
        vm.check_asked(*WRITES, "query-block")
        guardian.wait_writing(vm, "virtio0", 60)
    check(guardian.log().count("limits of virtio0") == 3, guardian.log())
    check(len(host.qm_calls()) == 1, f"{host.qm_calls()}")


def case_freeze(scratch):
    """in a freeze a drift is left alone, `explain` says why, and it is mended when all has settled."""
    host = Host(scratch)
    vm, other = host.new(911, WANTED), host.new(912, WANTED)
    guardian = host.guardian(vm, other)
    for each in (vm, other):
        guardian.wait_writing(each, "virtio0", 60)
    vm.storage.stop()
    wait_for(lambda: guardian.disk(vm, "virtio0").get("state") == "frozen", 60, "not named frozen")
    set_live(vm, DRIFTED)
    why = "a stall is suspected on the VM or its storage"
    wait_for(lambda: drift(guardian, vm)[1]["outcome"] == why, SHOWN_WITHIN, "`drift` does not say why it waits")
    explained = guardian.ctl("explain", vm.name).stdout
    check(f"limits of virtio0 are not what the policy wants (guardianctl drift): {why}" in explained, explained)
    check(writes(vm) == [], f"a write in a freeze: {writes(vm)}")
    vm.check_asked()
    vm.storage.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", 60, "not ok after healing")
    check(writes(vm) == [], f"a write before it settled: {writes(vm)}")
    expect_written(guardian, vm)
    check(writes(other) == [], f"the innocent was written to: {writes(other)}")
    guardian.wait_writing(vm, "virtio0", 60)
    vm.check_asked(*WRITES, "query-block")
    other.check_asked()


def case_fight(scratch):
    """a tool that writes the old limit again each time trips the breaker, the alert names the field."""
    host = Host(scratch)
    vm, other = host.new(921, WANTED), host.new(922, WANTED)
    guardian = host.guardian(vm, other, more="cool_down = 0s\nwrites_vm = 2\n")
    for each in (vm, other):
        guardian.wait_writing(each, "virtio0", 60)
    set_live(vm, DRIFTED)
    alert = f"{vm.name}: limits of virtio0 (bps_write) are written again and again by somebody else"

    rewrites = []

    def rewritten():
        # once it was told: before that it may not have been read back
        if guardian.log().count(line_of(vm)) > len(rewrites):
            check(live(vm) == WANTED, f"{vm.name}: QEMU says {live(vm)}")
            rewrites.append(set_live(vm, DRIFTED))
        return alert in guardian.log()
    wait_for(rewritten, SETTLED_WITHIN, "the breaker does not trip", 1)
    print("# " + next(line for line in guardian.log().splitlines() if alert in line), flush=True)
    check(writes(vm) == ["qom-set"] * 2, f"{writes(vm)}")
    check(guardian.log().count(line_of(vm)) == 2, guardian.log())
    # the tool goes on for more periods of the guardian, which does not
    for _ in range(6):
        guardian.wait_writing(vm, "virtio0", 60)
        check(live(vm) == DRIFTED, "it goes on")
    check(writes(vm) == ["qom-set"] * 2 and guardian.log().count(alert) == 1, f"{writes(vm)}\n{guardian.log()}")
    check(writes(other) == [] and f"{other.name}: limits" not in guardian.log(), f"the innocent: {writes(other)}")
    vm.check_asked(*WRITES, "query-block")
    other.check_asked()


CASES = {name[len("case_"):]: function for name, function in list(globals().items())
         if name.startswith("case_")}

if __name__ == "__main__":
    run(CASES)
