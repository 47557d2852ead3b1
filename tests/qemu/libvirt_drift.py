#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of disks on a real libvirtd: what differs is told, and what differs is written.

usage: libvirt_drift.py [CASE...]
"""

import json
import os
import re

from fixture import PATIENCE, Guardian, Nbd, check, run, wait_for
from libvirtd import ALLOWED_QMP, FAST, PASSED_QMP, Libvirtd, answered, file_disk, network_disk

# Of this run, because others may have domains, too.
WEB, BESIDE = f"web-{os.getpid()}", f"beside-{os.getpid()}"
# What the policy wants of both.
WANTED, WANTED_MB = 62914560, 60


def drift(guardian, domain):
    """What `drift` says of the domain's disk vda."""
    result = guardian.ctl("drift", domain.name, "--json")
    check(result.returncode in (0, 1), f"drift: {result.stderr}")
    entry = json.loads(result.stdout)["vms"][0]
    check([disk["name"] for disk in entry["disks"]] == ["vda"], f"{entry}")
    disk = entry["disks"][0]
    check(result.returncode == (0 if disk["is_equal"] else 1), f"exit {result.returncode}: {disk}")
    return disk


def expect_limits(guardian, domain, policy, configuration, live):
    wanted = {"policy": policy, "configuration": configuration, "live": live}

    def has_them():
        disk = drift(guardian, domain)
        now = {side: disk[side] and disk[side]["bps_write"] for side in wanted}
        return disk if now == wanted else None
    disk, _ = wait_for(has_them, 60, f"{domain.name} is not {wanted}")
    values = {value for value in wanted.values() if value is not None}
    check(disk["is_equal"] == (len(values) < 2), f"{disk}")
    check([entry["field"] for entry in disk["differences"]] == ([] if disk["is_equal"] else ["bps_write"]), f"{disk}")
    check(disk["live_source"] == "libvirt", f"{disk}")
    return disk


def case_drift(scratch):
    """what libvirt does now and brings at the next start is compared, and QEMU is asked nothing for it."""
    libvirtd = Libvirtd(scratch)
    limit = "<iotune><write_bytes_sec>62914560</write_bytes_sec></iotune>"
    web = libvirtd.create(WEB, file_disk(scratch, "vda", WEB, limit) +
                          "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>", is_persistent=True)
    beside = libvirtd.create(BESIDE, file_disk(scratch, "vda", BESIDE, limit))
    os.makedirs(scratch.path("etc/vm.d"))
    with open(scratch.path("etc/vm.d/web.conf"), "w") as file:
        file.write(f"[Match]\nname = {WEB}\n[disk vda]\nmbps_wr = 60.0\n")
    guardian = Guardian(scratch, [web, beside], settings=FAST + "[enforce]\nthrottle = enforce\n")
    wait_for(lambda: answered(guardian, web) and answered(guardian, beside), 60, "libvirt does not tell")
    before = len(libvirtd.asked())
    expect_limits(guardian, web, 62914560, 62914560, 62914560)
    check(set(libvirtd.asked()[before:]) <= ALLOWED_QMP, f"{set(libvirtd.asked()[before:])}")
    tune = ("blkdeviotune", WEB, "vda", "--write-bytes-sec")
    libvirtd.virsh(*tune, "31457280", "--live")
    disk = expect_limits(guardian, web, 62914560, 62914560, 31457280)
    check(disk["outcome"] == "the VM is not running", f"{disk}")
    # what libvirt fills in when it is told is no difference: a group's name, lengths
    libvirtd.virsh(*tune, "62914560", "--live")
    expect_limits(guardian, web, 62914560, 62914560, 62914560)
    libvirtd.virsh(*tune, "1048576", "--config")
    expect_limits(guardian, web, 62914560, 1048576, 62914560)
    expect_limits(guardian, beside, None, None, 62914560)
    shown = guardian.ctl("drift", BESIDE)
    check(shown.returncode == 0 and "the domain is transient" in shown.stdout, shown.stdout)


def tune(libvirtd, name, *words):
    libvirtd.virsh("blkdeviotune", name, "vda", *words)


def iotunes(libvirtd, name):
    """Its <iotune> elements now and at the next start, as libvirt prints them."""
    return ["".join(re.findall("<iotune>.*?</iotune>", libvirtd.virsh("dumpxml", name, *flag).stdout, re.S)).split()
            for flag in ((), ("--inactive",))]


def definition(libvirtd, name):
    """When libvirtd wrote the domain's next start down."""
    return os.stat(f"/proc/{libvirtd.holder.pid}/root/etc/libvirt/qemu/{name}.xml").st_mtime_ns


def case_reconcile(scratch):
    """limits that drifted are written once, now and for the next start alike, and not in a freeze."""
    libvirtd = Libvirtd(scratch)
    storage, other_storage = Nbd(scratch, WEB), Nbd(scratch, BESIDE)
    limit = f"<iotune><write_bytes_sec>{WANTED}</write_bytes_sec></iotune></disk>"
    web, beside = (libvirtd.create(name, network_disk("vda", nbd).replace("</disk>", limit), does="guardian.write=all",
                                   is_persistent=True) for name, nbd in ((WEB, storage), (BESIDE, other_storage)))
    os.makedirs(scratch.path("etc/vm.d"))
    with open(scratch.path("etc/vm.d/both.conf"), "w") as file:
        file.write(f"[Match]\nname = {WEB}, {BESIDE}\n[disk vda]\nmbps_wr = {WANTED_MB}\n")
    innocent = definition(libvirtd, BESIDE)
    before = len(libvirtd.asked())
    guardian = Guardian(scratch, [web, beside], settings="mode = enforce\n" + FAST +
                        "[enforce]\nthrottle = enforce\ncool_down = 0s\n[libvirt]\npassthrough = suspect\n")

    def writes():
        return libvirtd.asked()[before:].count("block_set_io_throttle")

    def lines():
        return [line.split("as /")[0] for line in guardian.log().splitlines() if "limits of vda" in line]
    for each in (web, beside):
        guardian.wait_known(each, "vda")
        wait_for(lambda each=each: drift(guardian, each)["is_equal"], PATIENCE, f"{each.name} is not as wanted")
    storage.stop()
    wait_for(lambda: guardian.disk(web, "vda").get("state") == "frozen", 3 * PATIENCE, "not named frozen")

    tune(libvirtd, WEB, "--write-bytes-sec", "31457280", "--live", "--config")
    why = "a stall is suspected on the VM or its storage"
    wait_for(lambda: drift(guardian, web)["outcome"] == why, PATIENCE, "`drift` does not say why it waits")
    check(f"limits of vda are not what the policy wants (guardianctl drift): {why}" in
          guardian.ctl("explain", WEB).stdout, "`explain` does not say why it waits")
    check(writes() == 1 and not lines(), f"a write in a freeze: {lines()}")
    storage.heal()
    line = f"{WEB}: limits of vda set in libvirt: "
    wait_for(lambda: lines(), 3 * PATIENCE, "the limit was not set")
    check(lines()[0].endswith(line + f"mbps_wr=30 -> mbps_wr={WANTED_MB}, "), f"{lines()}")
    rate = ["<iotune>", f"<write_bytes_sec>{WANTED}</write_bytes_sec>", "</iotune>"]
    check(iotunes(libvirtd, WEB) == [rate, rate], f"{iotunes(libvirtd, WEB)}")
    check(writes() == 2, f"{writes()} writes, one of them by hand")

    # the next start alone: QEMU is told nothing
    tune(libvirtd, WEB, "--write-bytes-sec", "1048576", "--config")
    wait_for(lambda: len(lines()) == 2, 3 * PATIENCE, "the next start was not told")
    check(lines()[1].endswith(line + f"mbps_wr={WANTED_MB}|mbps_wr=1 -> mbps_wr={WANTED_MB}, "), f"{lines()}")
    check(iotunes(libvirtd, WEB) == [rate, rate] and writes() == 2, f"{iotunes(libvirtd, WEB)}, {writes()}")

    # QEMU alone, in numbers beside the rate: the rate is not told again
    tune(libvirtd, WEB, "--write-bytes-sec-max", "125829120", "--write-bytes-sec-max-length", "3", "--live")
    wait_for(lambda: len(lines()) == 3, 3 * PATIENCE, "the burst was not taken away")
    check([words for words in iotunes(libvirtd, WEB)[0] if "max>" in words] == [], f"{iotunes(libvirtd, WEB)}")
    wait_for(lambda: drift(guardian, web)["is_equal"], PATIENCE, "it still differs")
    check(writes() == 4, f"{writes()} writes, two of them by hand")

    check(iotunes(libvirtd, BESIDE) == [rate, rate], f"{iotunes(libvirtd, BESIDE)}")
    check(definition(libvirtd, BESIDE) == innocent, "the innocent's definition was written")
    check(all(f"{WEB}: " in each for each in lines()), f"the innocent was written to: {lines()}")
    for each in (web, beside):
        guardian.wait_writing(each, "vda")
    asked = set(libvirtd.asked()[before:])
    check(asked <= ALLOWED_QMP | PASSED_QMP | {"block_set_io_throttle", "query-block"}, f"{asked}")


run({name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")})
