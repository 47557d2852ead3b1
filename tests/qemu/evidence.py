#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The facts that need no monitor, on real VMs whose storage is stopped: each beside an innocent disk.

usage: evidence.py [CASE...]
"""

from fixture import PATIENCE, Fuse, Guardian, Nbd, Vm, check, run, wait_for

# A suspect is looked at every 2 s, and is one after half of its patience.
SEEN_WITHIN = 30


class File(Nbd):
    """A disk on a file that nobody stops."""

    def __init__(self, scratch, name, aio, megabytes=64):  # pylint: disable=super-init-not-called
        self.path = scratch.path(name + ".img")
        self.aio = aio
        with open(self.path, "wb") as file:
            file.truncate(megabytes << 20)

    drive = Fuse.drive


def settled(guardian, vm, label, fact, wanted):
    """Waits until the fact is as wanted in three samples in a row; returns the disk's newest picture."""
    seen = {}

    def is_settled():
        entry = guardian.vm(vm)
        disk = guardian.disk(vm, label)
        if entry["sampled_utc"] != seen.get("at"):
            seen["at"] = entry["sampled_utc"]
            value = disk.get(fact)
            seen["times"] = seen.get("times", 0) + 1 if wanted(value, seen.get("value")) else 0
            seen["value"] = value
        return disk if seen.get("times", 0) >= 3 else None
    return wait_for(is_settled, SEEN_WITHIN, f"{label}: {fact} was {guardian.disk(vm, label)}")[0]


def is_same_thread(value, before):
    return bool(value) and value == before


def blocked_thread(scratch, devices, labels):
    guilty, innocent = Fuse(scratch, "guilty", "threads"), File(scratch, "innocent", "threads")
    vm = Vm(scratch, "evidence-thread", [guilty.drive(), innocent.drive()], devices=devices)
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, labels[0])
    guardian.wait_writing(vm, labels[1])
    guilty.stop()
    disk = settled(guardian, vm, labels[0], "blocked_thread", is_same_thread)
    with open(f"/proc/{vm.pid}/task/{disk['blocked_thread']}/stat") as file:
        check(file.read().rpartition(")")[2].split()[0] == "D", f"no thread in D: {disk}")
    check(disk["ring_inflight"] is None, f"it has no ring: {disk}")
    check(not guardian.disk(vm, labels[1])["blocked_thread"], f"{guardian.disk(vm, labels[1])}")
    guardian.wait_writing(vm, labels[1])
    guilty.heal()
    guardian.wait_writing(vm, labels[0])
    wait_for(lambda: not guardian.disk(vm, labels[0])["blocked_thread"], PATIENCE, "the thread did not go")
    vm.check_asked()


def case_thread_virtio(scratch):
    """the thread in D below a virtio disk is that disk's, and not its neighbour's."""
    blocked_thread(scratch, None, ("virtio0", "virtio1"))


def case_thread_ide(scratch):
    """the thread in D below an IDE disk is that disk's, and not its neighbour's."""
    blocked_thread(scratch, ["ide-hd,drive=drive-0,id=ide0,bus=ide.0",
                             "ide-hd,drive=drive-1,id=ide1,bus=ide.1"], ("ide0", "ide1"))


def stuck_ring(scratch, devices, labels, extra=()):
    guilty, innocent = Fuse(scratch, "guilty", "io_uring"), File(scratch, "innocent", "threads")
    vm = Vm(scratch, "evidence-ring", [guilty.drive(), innocent.drive()], devices=devices, extra=extra)
    guardian = Guardian(scratch, [vm])
    guardian.wait_writing(vm, labels[0])
    guardian.wait_writing(vm, labels[1])
    guilty.stop()
    disk = settled(guardian, vm, labels[0], "ring_inflight", lambda value, before: value and value == before)
    check(disk["blocked_thread"] == 0, f"a ring needs no thread: {disk}")
    check(guardian.disk(vm, labels[1])["ring_inflight"] is None, f"{guardian.disk(vm, labels[1])}")
    guardian.wait_writing(vm, labels[1])
    guilty.heal()
    guardian.wait_writing(vm, labels[0])
    wait_for(lambda: not guardian.disk(vm, labels[0])["ring_inflight"], PATIENCE, "the ring did not empty")
    vm.check_asked()


def case_ring_virtio(scratch):
    """what hangs in the main loop's io_uring is seen below a virtio disk."""
    stuck_ring(scratch, None, ("virtio0", "virtio1"))


def case_ring_iothread(scratch):
    """what hangs in an iothread's io_uring is seen below a virtio disk."""
    stuck_ring(scratch, ["virtio-blk-pci,drive=drive-0,id=virtio0,iothread=thread",
                         "virtio-blk-pci,drive=drive-1,id=virtio1"], ("virtio0", "virtio1"),
               extra=["-object", "iothread,id=thread"])


def case_ring_ide(scratch):
    """what hangs in an io_uring is seen below an IDE disk."""
    stuck_ring(scratch, ["ide-hd,drive=drive-0,id=ide0,bus=ide.0",
                         "ide-hd,drive=drive-1,id=ide1,bus=ide.1"], ("ide0", "ide1"))


def case_neighbours(scratch):
    """VMs on the same storage are each other's neighbours, moving and still; another storage's are not."""
    shared, other = Nbd(scratch, "shared"), Nbd(scratch, "other")
    first = Vm(scratch, "evidence-first", [shared.drive()])
    second = Vm(scratch, "evidence-second", [shared.drive()])
    third = Vm(scratch, "evidence-third", [other.drive()])
    guardian = Guardian(scratch, [first, second, third])
    for vm in (first, second, third):
        guardian.wait_writing(vm, "virtio0")
    shared.stop()
    for vm in (first, second):
        disk = settled(guardian, vm, "virtio0", "neighbours_still", lambda value, _: value == 1)
        check(disk["neighbours_moving"] == 0, f"{disk}")
    check(not guardian.disk(third, "virtio0")["neighbours_still"], f"{guardian.disk(third, 'virtio0')}")


CASES = {name[len("case_"):]: function for name, function in list(globals().items())
         if name.startswith("case_")}

if __name__ == "__main__":
    run(CASES)
