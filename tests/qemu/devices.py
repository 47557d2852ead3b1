#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a VM may be built of, on real QEMUs: disks of every kind, and guest RAM in huge pages.

usage: devices.py [CASE...]
"""

import os

from fixture import PATIENCE, Guardian, Vm, check, reserve_huge_pages, run, wait_for

# Between the guardian's look and ours a QEMU may grow.
SLACK = 4 << 20


def blank(scratch, name):
    path = scratch.path(name)
    with open(path, "wb") as file:
        file.truncate(8 << 20)
    return path


def vhost_user_disk(scratch, name):
    """Its backend's socket."""
    path = scratch.path(name + ".sock")
    scratch.spawn("qemu-storage-daemon", "--blockdev", f"driver=file,node-name=file,filename={blank(scratch, name)}",
                  "--export", f"type=vhost-user-blk,id=export,node-name=file,addr.type=unix,addr.path={path},writable=on")
    wait_for(lambda: os.path.exists(path), PATIENCE, "no vhost-user backend", 0.05)
    return path


def check_memory(guardian, vm):
    """Guest RAM is as given, and what QEMU has beside it as its own maps tell; returns the bounds."""
    def agrees():
        memory, truth = guardian.vm(vm)["memory"], vm.own_memory()
        check(memory["guest_ram_bytes"] == vm.memory << 20, f"{vm.name}: {memory}")
        low, high = memory["overhead_low_bytes"], memory["overhead_high_bytes"]
        return (low, truth, high) if low - SLACK <= truth <= high + SLACK else None
    found, _ = wait_for(agrees, PATIENCE, f"{vm.name}: own {vm.own_memory()}, {guardian.vm(vm)['memory']}")
    print(f"# {vm.name}: " + " <= ".join(f"{value >> 10} KiB" for value in found), flush=True)
    return found[0], found[2]


def check_shared(guardian, vm):
    """What is the guest's need not be counted, where it is shared memory: the bounds are close at once."""
    low, high = check_memory(guardian, vm)
    check(high - low < SLACK, f"{vm.name}: guest RAM is taken for overhead: {low} to {high}")


def case_disks(scratch):
    """disks with several queues, on several iothreads, twelve on one controller, empty drives, and a disk on
    vhost-user are told as they are."""
    luns = range(2, 14)
    drives = [f"file={blank(scratch, f'disk{i}')},format=raw" for i in (0, 1, *luns)]
    devices = ["virtio-blk-pci,drive=drive-0,id=wide,num-queues=4,iothread=io0",
               "virtio-blk-pci,drive=drive-1,id=narrow,num-queues=1,iothread=io1"]
    devices += [f"scsi-hd,drive=drive-{i},id=many{i},bus=scsi0.0,lun={i}" for i in luns]
    vm = Vm(scratch, "devices-many", drives, devices=devices, extra=[
        "-smp", "2", "-object", "memory-backend-memfd,id=ram,size=96M,share=on",
        "-machine", "pc,memory-backend=ram", *(word for i in range(3) for word in ("-object", f"iothread,id=io{i}")),
        "-device", "virtio-scsi-pci,id=scsi0,num_queues=3,iothread=io2",
        "-device", "scsi-cd,id=cd0,bus=scsi0.0", "-device", "ide-cd,id=cd1",
        "-chardev", f"socket,id=passed,path={vhost_user_disk(scratch, 'passed')}",
        "-device", "vhost-user-blk-pci,id=passed,chardev=passed,num-queues=1"])
    other = Vm(scratch, "devices-plain", [f"file={blank(scratch, 'plain')},format=raw"])
    guardian = Guardian(scratch, [vm, other])
    labels = {"wide": "virtio-blk-pci", "narrow": "virtio-blk-pci", **{f"many{i}": "virtio-scsi-pci" for i in luns}}
    wait_for(lambda: {disk["label"] for disk in guardian.vm(vm)["disks"]} == set(labels), PATIENCE, "not every disk")
    first = {disk["label"]: disk["write_operations"] for disk in guardian.vm(vm)["disks"]}
    wait_for(lambda: all(disk["write_operations"] > (first[disk["label"]] or 0) for disk in guardian.vm(vm)["disks"]),
             PATIENCE, "not every disk is written to")
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "it is not fine")
    entry = guardian.vm(vm)
    print("".join(f"# {line}\n" for line in guardian.ctl("explain", vm.name).stdout.splitlines()), end="", flush=True)
    check(len(entry["disks"]) == len(labels), f"each is told once: {entry['disks']}")
    for label, driver in labels.items():
        disk = guardian.disk(vm, label)
        check(disk["driver"] == driver, f"{disk}")
        check(disk["storage"].startswith("dev:"), f"{disk}")
        check(disk["state"] == "ok", f"{disk}")
    check(entry["unwatched_devices"] == ["vhost-user-blk-pci passed"], f"{entry['unwatched_devices']}")
    check("passed: what it carries does not pass QEMU" in guardian.ctl("explain", vm.name).stdout, "not explained")
    check_shared(guardian, vm)
    plain = guardian.vm(other)
    check(plain["unwatched_devices"] == [] and [disk["label"] for disk in plain["disks"]] == ["virtio0"], f"{plain}")
    vm.check_asked()
    other.check_asked()


def case_hugepages(scratch):
    """guest RAM in huge pages is the guest's, and no overhead, though no memory group is charged for it."""
    reserve_huge_pages(scratch, 112)  # some more, for whoever else takes one
    vm = Vm(scratch, "devices-huge", [f"file={blank(scratch, 'huge')},format=raw"], extra=[
        "-object", "memory-backend-memfd,id=ram,size=96M,hugetlb=on,hugetlbsize=2M,prealloc=on",
        "-machine", "pc,memory-backend=ram"])
    other = Vm(scratch, "devices-plain", [f"file={blank(scratch, 'plain')},format=raw"])
    guardian = Guardian(scratch, [vm, other])
    for each in (vm, other):
        guardian.wait_writing(each, "virtio0")
    check_shared(guardian, vm)
    check_memory(guardian, other)
    for each in (vm, other):
        each.check_asked()


run({name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")})
