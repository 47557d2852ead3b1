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
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "qemu"))
from added import SLOW, boot_arguments, read  # noqa: E402
from fixture import check, guest_dir, run, wait_for  # noqa: E402

RATIO_MAX = 2
# Each round costs some 50,000,000 instructions, half a second.
ROUNDS, TICKS = 5, 100
MOUNT = {
    "v1": "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/memory && "
          "mount -t cgroup -o memory none /sys/fs/cgroup/memory",
    "v2": "mount -t cgroup2 none /sys/fs/cgroup",
}


def instructions(scratch, version):
    """(ours, the bare loop's, the line that said so) of one tick."""
    # the counter of instructions is all the clock there is: it is to be believed
    arguments = boot_arguments(guest_dir(), scratch, os.environ["MEMORY_TICK"],
                               f"{MOUNT[version]}\n/memory-tick {ROUNDS} {TICKS}", "reliable")
    process = scratch.spawn("qemu-system-x86_64", "-accel", "tcg", "-icount", "shift=0,sleep=off", "-m", "256",
                            *arguments)
    wait_for(lambda: process.poll() is not None, SLOW, "the guest does not end")
    text = read(scratch.path("console")).decode(errors="replace")
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
