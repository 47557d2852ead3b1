#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a shared monitor is held while the guardian watches VMs that write, as its proxy measures it.

A hold is one whole visit, connect to close, the proxy's own time included. Shared monitors are asked every
2 s here, as often as the settings allow; four VMs then give a hundred visits in under a minute.

usage: holds.py     (with GUARDIAN_BUILD set, GUEST_DIR as in tests/qemu/fixture.py)
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "qemu"))
from fixture import Guardian, Nbd, Scratch, Vm, check, wait_for  # noqa: E402

VMS = 4
# Continues the section [guardian].
SETTINGS = """[monitor]
period_shared = 2s
"""
# The 99th percentile of fewer is the worst one.
HOLDS_MIN = 101
MEDIAN_MAX_MS = 5
P99_MAX_MS = 50


def holds_ms(vms):
    """Of every visit that has ended, in order of length."""
    held = []
    for vm in vms:
        with open(vm.record) as file:
            held += [json.loads(line).get("held_us") for line in file if line.endswith("}\n")]
    return sorted(us / 1000 for us in held if us is not None)


def main():
    scratch = Scratch()
    try:
        vms = [Vm(scratch, f"bench-{i}", [Nbd(scratch, f"disk-{i}-{n}").drive() for n in range(2)],
                  is_ours=False) for i in range(VMS)]
        guardian = Guardian(scratch, vms, settings=SETTINGS)
        for vm in vms:
            guardian.wait_writing(vm, "virtio0")
            check(guardian.vm(vm)["monitor"]["use"] == "shared", f"{vm.name} is not shared")
        begin = time.monotonic()
        wait_for(lambda: len(holds_ms(vms)) >= HOLDS_MIN, 120, "too few visits", 1)
        print(f"{VMS} shared monitors of writing VMs, {len(holds_ms(vms))} visits "
              f"({time.monotonic() - begin:.0f} s after the first ones)")
        for vm in vms:
            vm.check_asked()
        held = holds_ms(vms)
    finally:
        scratch.close()
    median, p99 = held[len(held) // 2], held[len(held) * 99 // 100]
    print(f"held: median {median:.1f} ms, p99 {p99:.1f} ms, longest {held[-1]:.1f} ms")
    print(f"median < {MEDIAN_MAX_MS} ms: {'yes' if median < MEDIAN_MAX_MS else 'no'}")
    print(f"p99 < {P99_MAX_MS} ms: {'yes' if p99 < P99_MAX_MS else 'no'}")


if __name__ == "__main__":
    main()
