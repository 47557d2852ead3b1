#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest feels of its pages being counted: how long its touches of fresh memory take, in turns while
nobody looks, while they are counted without an end, and while smaps is read without an end.

usage: pauses.py PAUSES COUNT-LOOP      (environment as in tests/qemu/fixture.py)
"""

import ctypes
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "qemu"))
from added import SLOW, boot_arguments, read  # noqa: E402
from fixture import Scratch, check, guest_dir, wait_for  # noqa: E402

TOUCHED_MIB = 1024
MEMORY_MIB = TOUCHED_MIB + 256
WINDOW_S = 1
# Lines of the guest that began in another turn, or come late.
EDGE_S = 0.15
SMAPS = "while True:\n    open('/proc/%d/smaps').read()"
PR_SET_THP_DISABLE = 41


def disable_huge_pages():
    """As smaps is slow only of small pages, and faults are more."""
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


class Console:
    """The guest's lines since the last look."""

    def __init__(self, path):
        self.path, self.offset = path, 0

    def lines(self):
        text = read(self.path)[self.offset:]
        end = text.rfind(b"\n") + 1
        self.offset += end
        return text[:end].decode(errors="replace").splitlines()


def turn(scratch, qemu, console, looker):
    """(touches, longest p99, longest) in us while the looker looks; None at the end."""
    process = scratch.spawn(*looker) if looker else None
    begin, seen = time.monotonic(), []
    while time.monotonic() - begin < WINDOW_S:
        time.sleep(0.02)
        at = time.monotonic() - begin
        for line in console.lines():
            words = line.split()
            if words[:1] == ["paused"]:
                return None
            if words[:1] == ["pause"] and len(words) == 5 and at > EDGE_S:
                seen.append([int(word) for word in words[1:]])
    if process:
        if qemu.poll() is not None:
            return None
        check(process.poll() is None, f"who looks has ended: {looker}")
        process.kill()
        process.wait()
    return seen and (sum(line[0] for line in seen), statistics.median(line[2] for line in seen),
                     max(line[3] for line in seen))


def main():
    pauses, count_loop = sys.argv[1:]
    scratch = Scratch()
    try:
        process = scratch.spawn(
            "qemu-system-x86_64", "-accel", "tcg", "-m", str(MEMORY_MIB),
            *boot_arguments(guest_dir(), scratch, pauses, f"/pauses {TOUCHED_MIB}", "unstable"),
            preexec_fn=disable_huge_pages)
        wait_for(lambda: os.path.exists(scratch.path("console")) and b"pause " in read(scratch.path("console")),
                 SLOW, "the guest does not begin")
        console = Console(scratch.path("console"))
        lookers = {"nobody": None, "counted": (count_loop, str(process.pid), str(MEMORY_MIB << 20)),
                   "smaps": (sys.executable, "-c", SMAPS % process.pid)}
        turns = {name: [] for name in lookers}
        is_over = False
        while not is_over:
            for name, looker in lookers.items():
                seen = turn(scratch, process, console, looker)
                is_over = is_over or seen is None
                if seen:
                    turns[name].append(seen)
        said = read(scratch.path("console"))[-300:].decode(errors="replace")
    finally:
        scratch.close()
    rounds = min(len(seen) for seen in turns.values())
    check(rounds >= 3, f"only {rounds} turns: {said}")
    print(f"touches of fresh 4 KiB pages in a guest of {MEMORY_MIB} MiB, in us: medians of {rounds} turns of "
          f"{WINDOW_S} s")
    for name, seen in turns.items():
        touches, p99, longest = (statistics.median(entry[i] for entry in seen[:rounds]) for i in range(3))
        print(f"{name:>8}: p99 {p99:.0f}, longest {longest:.0f}, {touches:.0f} touches", flush=True)


if __name__ == "__main__":
    main()
