#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many instructions the memory part of a tick takes beside a bare loop, the kernel's included.

memory-tick runs in a VM whose clock is QEMU's count of instructions (-icount shift=0: each is one
nanosecond), on both versions of cgroups: what it measures there is the same on every machine, whatever
else runs. The guest is the one of the other tests, with the program and its libraries added.

usage: instructions.py [v1|v2]...   (MEMORY_TICK names the program; the rest as in tests/qemu/fixture.py)
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "qemu"))
from fixture import check, guest_dir, run, wait_for  # noqa: E402

RATIO_MAX = 2
# Each round costs some 50,000,000 instructions, half a second.
ROUNDS, TICKS = 5, 100
# Ten seconds of a CPU that others may use.
SLOW = 400
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /run /etc /var/lib
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
%s
/memory-tick %d %d
poweroff -f
"""
MOUNT = {
    "v1": "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/memory && "
          "mount -t cgroup -o memory none /sys/fs/cgroup/memory",
    "v2": "mount -t cgroup2 none /sys/fs/cgroup",
}


class Archive:
    """An initrd to be put behind another one: cpio in the kernel's format, "newc"."""

    def __init__(self):
        self.bytes = b""
        self.directories = set()

    def entry(self, name, mode, data=b""):
        name = name.encode() + b"\0"
        numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % number for number in numbers) + name
        for part in (head, data):
            self.bytes += part + b"\0" * (-len(part) % 4)

    def add(self, path, data):
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            if directory not in self.directories:
                self.directories.add(directory)
                self.entry(directory, 0o40755)
        self.entry("/".join(parts), 0o100755, data)

    def end(self):
        self.entry("TRAILER!!!", 0)
        return self.bytes


def read(path):
    with open(path, "rb") as file:
        return file.read()


def initrd(guest, program, version):
    archive = Archive()
    archive.add("memory-tick", read(program))
    libraries = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for path in sorted(set(re.findall(r"(/\S+) \(0x", libraries))):
        archive.add(path, read(path))
    archive.add("start", (INIT % (MOUNT[version], ROUNDS, TICKS)).encode())
    return read(os.path.join(guest, "initrd")) + archive.end()


def instructions(scratch, version):
    """(ours, the bare loop's, the line that said so) of one tick."""
    guest, path = guest_dir(), scratch.path("initrd")
    with open(path, "wb") as file:
        file.write(initrd(guest, os.environ["MEMORY_TICK"], version))
    # the counter of instructions is all the clock there is: it is to be believed
    append = read(os.path.join(guest, "append")).decode().strip().replace("tsc=unstable", "tsc=reliable")
    console = scratch.path("console")
    process = scratch.spawn(
        "qemu-system-x86_64", "-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "qemu64,+rdrand", "-m", "256",
        "-nodefaults", "-display", "none", "-no-reboot", "-kernel", os.path.join(guest, "kernel"), "-initrd", path,
        "-append", f"{append} rdinit=/start", "-serial", f"file:{console}")
    wait_for(lambda: process.poll() is not None, SLOW, "the guest does not end")
    text = read(console).decode(errors="replace")
    found = re.search(r"(v[12]), (\d+) files: ours ([\d.]+) us, bare ([\d.]+) us", text)
    check(found, f"nothing was measured: {text[-500:]}")
    check(found[1] == version and int(found[2]) > 10, f"not what was to be measured: {found[0]}")
    ours, bare = (round(float(us) * 1000) for us in found.groups()[2:])
    print(f"# {version}, {found[2]} files: ours {ours} instructions, bare {bare}; ratio {ours / bare:.2f}", flush=True)
    return ours, bare


def judge(scratch, version):
    ours, bare = instructions(scratch, version)
    check(ours <= RATIO_MAX * bare, f"{ours} instructions, more than {RATIO_MAX} times {bare}")
    # what is not measured is not cheap
    check(ours > bare > 10000, f"{ours} and {bare} are no ticks")


def case_v1(scratch):
    """on cgroup v1 the memory part of a tick costs at most twice a bare loop"""
    judge(scratch, "v1")


def case_v2(scratch):
    """on cgroup v2 the memory part of a tick costs at most twice a bare loop"""
    judge(scratch, "v2")


run({"v1": case_v1, "v2": case_v2})
