#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of disks on a real libvirtd: what differs is told, and what differs is written.

usage: libvirt_drift.py [CASE...]
"""

import json
import os
import random
import re
import subprocess

from fixture import BUILD, PATIENCE, Guardian, Nbd, check, run, wait_for
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


def memory(guardian, domain):
    """What `drift` says of the domain's memory."""
    return json.loads(guardian.ctl("drift", domain.name, "--json").stdout)["vms"][0]["memory"]


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
    check(memory(guardian, web) == [], f"a memory limit from nowhere: {memory(guardian, web)}")
    libvirtd.virsh("memtune", WEB, "--hard-limit", "1048577", "--config")
    wait_for(lambda: memory(guardian, web), 90, "the next start's memory limit is not shown")
    limit = memory(guardian, web)[0]
    check(limit["owner"] == "libvirt" and limit["why"] == "the next start brings another limit", f"{limit}")
    check(limit["configuration"] == {"memory_bytes": 1 << 30} and limit["told"] == {"memory_bytes": None}, f"{limit}")
    check(limit["live"] == {"memory_bytes": None}, f"{limit}")
    check("memory_bytes" in guardian.ctl("drift", WEB).stdout, guardian.ctl("drift", WEB).stdout)
    check(memory(guardian, beside) == [], f"{memory(guardian, beside)}")
    shown = guardian.ctl("drift", BESIDE)
    check(shown.returncode == 0 and "the domain is transient" in shown.stdout, shown.stdout)


def throttle(*words):
    return subprocess.run([os.path.join(BUILD, "guardianctl"), "throttle", *words], capture_output=True, text=True,
                          timeout=60)


def iotune_of(pairs):
    return "<iotune>" + "".join(f"<{name}>{value}</{name}>" for name, value in pairs) + "</iotune>"


def random_iotune(chance):
    """Elements of <iotune> with numbers: bytes and operations, with bursts and lengths, now and then wrong."""
    pairs = []
    for unit, scale in (("bytes", 1 << 20), ("iops", 50)):
        kinds = chance.choice(((), ("total",), ("read",), ("write",), ("read", "write"), ("total", "write")))
        for kind in kinds:
            rate = chance.randrange(1, 5000) * scale + chance.randrange(2)
            pairs.append((f"{kind}_{unit}_sec", rate))
            if chance.random() < 0.6:
                pairs.append((f"{kind}_{unit}_sec_max", rate * 2))
                if chance.random() < 0.6:
                    pairs.append((f"{kind}_{unit}_sec_max_length", chance.randrange(1, 9)))
        if kinds and unit == "iops" and chance.random() < 0.4:
            pairs.append(("size_iops_sec", 4096))
    if chance.random() < 0.1:
        pairs.append(("read_bytes_sec", chance.choice(("-1", "much", "1000000000000001", "6e1"))))
    chance.shuffle(pairs)
    return pairs


def case_forms(scratch):
    """what libvirt refuses `throttle` refuses, and what it takes, prints and reads back from QEMU is equal."""
    libvirtd, chance = Libvirtd(scratch), random.Random(20240614)
    path = libvirtd.path("defined.xml")
    disk = file_disk(scratch, "vda", WEB, "ROOM")
    libvirtd.create(WEB, disk.replace("ROOM", ""), is_persistent=True)
    plain = libvirtd.virsh("dumpxml", WEB, "--inactive").stdout
    taken, refused = [], 0
    for _ in range(60):
        text = iotune_of(random_iotune(chance))
        ours = throttle("normalize", "libvirt", text)
        with open(path, "w") as file:
            file.write(plain.replace("</disk>", text + "</disk>"))
        theirs = libvirtd.virsh("define", path, check_it=False)
        check((ours.returncode == 0) == (theirs.returncode == 0),
              f"{text}: {ours.returncode} {ours.stderr}, {theirs.returncode} {theirs.stderr}")
        refused += theirs.returncode != 0
        if theirs.returncode == 0:
            check("QEMU refuses" not in ours.stderr, f"{text}: {ours.stderr}")
            printed = (iotunes(libvirtd, WEB)[1] or ["<iotune/>"])
            again = throttle("diff", "libvirt", text, "libvirt", "".join(printed))
            check(again.returncode == 0, f"{text} printed as {printed}: {again.stdout}")
            taken.append(text)
    check(refused >= 5 and len(taken) >= 20, f"{refused} refused, {len(taken)} taken")

    targets = [f"vd{letter}" for letter in "abcdefghijklmnopqrst"]
    libvirtd.create(BESIDE, "".join(file_disk(scratch, target, f"{BESIDE}-{target}", text, megabytes=1)
                                    for target, text in zip(targets, taken)))
    for target, text in zip(targets, taken):
        read = libvirtd.virsh("blkdeviotune", BESIDE, target).stdout
        pairs = re.findall(r"^(\w+)\s*: *(\S*)$", read, re.M)
        check(len(pairs) >= 19, f"{read}")
        again = throttle("diff", "libvirt", text, "libvirt", iotune_of(pairs))
        check(again.returncode == 0, f"{target}: {text}, read back {pairs}: {again.stdout}{again.stderr}")


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
