#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What watching costs: the guardian beside a bare persistent loop, on the same real, idle QEMUs.

Each QEMU has two monitors: the loop (bare-loop.c) takes the first, the guardian the last. The two run one
after the other, in turns, so that the machine's noise hits both. Every period is a quarter of its default,
so that four times as many ticks fit into the same time and the rare work keeps its share of a tick.

CPU is each process's own clock (clock_getcpuclockid(3)): nanoseconds, with the threads that have ended.

usage: poll.py BARE-LOOP [N...]     (with GUARDIAN_BUILD set; N defaults to 1 10 100)
"""

import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "qemu"))
from fixture import Guardian, Scratch, wait_for  # noqa: E402

PERIOD_S = 0.5
# Continues the section [guardian].
SETTINGS = """discovery_period = 2500ms
[monitor]
period_own = 500ms
[memory]
period = 1250ms
"""
# 20 ticks a window and three of them: the medians of two runs then differ by a few percent.
WINDOW_S = 10
ROUNDS = 3
# The first samples ask for what later ones know already.
WARM_UP_S = 3

RATIO_MAX = 3
RSS_MAX_MB = 12


class IdleVm:
    """A stopped QEMU with two null disks; it starts in a tenth of a second."""

    def __init__(self, scratch, name):
        self.name = name
        self.monitors = [scratch.path(f"{name}.{kind}") for kind in ("bare", "guardian")]
        argv = ["qemu-system-x86_64", "-name", name, "-S", "-nodefaults", "-display", "none", "-machine", "q35",
                "-accel", "tcg", "-m", "16"]
        for monitor in self.monitors:
            argv += ["-qmp", f"unix:{monitor},server=on,wait=off"]
        for i in range(2):
            argv += ["-blockdev", f"driver=null-co,node-name=null-{i},read-zeroes=on",
                     "-device", f"virtio-blk-pci,drive=null-{i},id=virtio{i}"]
        self.process = scratch.spawn(*argv)

    def is_up(self):
        return all(os.path.exists(monitor) for monitor in self.monitors)


def cpu_ns(process):
    """CPU time of all threads of a process; the clock's number is the ABI of clock_getcpuclockid(3)."""
    cpuclock_sched = 2
    return time.clock_gettime_ns((~process.pid << 3) | cpuclock_sched)


def us_per_vm_and_tick(process, vms):
    """(own, QEMU's) over one window."""
    def read():
        return time.monotonic(), cpu_ns(process), sum(cpu_ns(vm.process) for vm in vms)
    begin = read()
    time.sleep(WINDOW_S)
    seconds, own, qemu = (after - before for after, before in zip(read(), begin))
    questions = len(vms) * seconds / PERIOD_S
    return own / questions / 1000, qemu / questions / 1000


def footprint(process):
    """(RSS in MB, descriptors)."""
    with open(f"/proc/{process.pid}/status") as file:
        rss_kb = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return rss_kb / 1024, len(os.listdir(f"/proc/{process.pid}/fd"))


def end(process):
    process.terminate()
    process.wait()


def measure_guardian(scratch, vms):
    guardian = Guardian(scratch, vms, settings=SETTINGS)

    def all_sampled():
        seen = guardian.state()["vms"]
        return len(seen) == len(vms) and all(vm["monitor"]["stage"] == "answered" for vm in seen)
    wait_for(all_sampled, 120, "not every VM was found and answered")
    time.sleep(WARM_UP_S)
    own, qemu = us_per_vm_and_tick(guardian.process, vms)
    rss_mb, descriptors = footprint(guardian.process)
    end(guardian.process)
    return {"own": own, "qemu": qemu, "rss": rss_mb, "fds": descriptors / len(vms)}


def measure_bare(scratch, vms, bare_loop):
    process = scratch.spawn(bare_loop, str(int(PERIOD_S * 1000)), *(vm.monitors[0] for vm in vms))
    time.sleep(WARM_UP_S)
    own, qemu = us_per_vm_and_tick(process, vms)
    end(process)
    return {"own": own, "qemu": qemu}


def measure(n_vms, bare_loop):
    """Medians of the rounds, and how far they lay apart."""
    scratch = Scratch()
    try:
        vms = [IdleVm(scratch, f"bench-{i}") for i in range(n_vms)]
        wait_for(lambda: all(vm.is_up() for vm in vms), 60, "QEMU did not start")
        guardian, bare = [], []
        for _ in range(ROUNDS):
            bare.append(measure_bare(scratch, vms, bare_loop))
            guardian.append(measure_guardian(scratch, vms))
    finally:
        scratch.close()
    return guardian, bare


def median(rounds, key):
    return statistics.median(entry[key] for entry in rounds)


def spread(rounds, key):
    values = [entry[key] for entry in rounds]
    return (max(values) - min(values)) / statistics.median(values) * 100


def main():
    bare_loop, *counts = sys.argv[1:]
    ratios, rss_at = {}, {}
    print("CPU in us per VM and tick, medians of %d rounds (+- how far they lay apart)" % ROUNDS)
    print(f"{'N':>4} {'own':>14} {'bare':>14} {'ratio':>6} {'QEMU':>6} {'QEMU bare':>10} {'RSS MB':>7} {'fds/VM':>7}")
    for n_vms in [int(count) for count in counts] or [1, 10, 100]:
        guardian, bare = measure(n_vms, bare_loop)
        ratios[n_vms] = median(guardian, "own") / median(bare, "own")
        rss_at[n_vms] = max(entry["rss"] for entry in guardian)
        own, base = (f"{median(rounds, 'own'):.1f} +-{spread(rounds, 'own'):.0f}%" for rounds in (guardian, bare))
        print(f"{n_vms:>4} {own:>14} {base:>14} {ratios[n_vms]:>6.2f} {median(guardian, 'qemu'):>6.0f} "
              f"{median(bare, 'qemu'):>10.0f} {rss_at[n_vms]:>7.1f} {median(guardian, 'fds'):>7.1f}", flush=True)
    print(f"ratio <= {RATIO_MAX}: {'yes' if max(ratios.values()) <= RATIO_MAX else 'no'}")
    if 100 in rss_at:
        print(f"RSS at 100 <= {RSS_MAX_MB} MB: {'yes' if rss_at[100] <= RSS_MAX_MB else 'no'}")


if __name__ == "__main__":
    main()
