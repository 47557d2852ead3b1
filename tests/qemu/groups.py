# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMUs in groups with a limit, somebody else beside them, and what is foretold of them."""

import sys

from fixture import PATIENCE, Group, Skipped, Vm, check, join_group, wait_for

MIB = 1 << 20
GUEST = 512
# QEMU's own with TCG is some 100 MiB; so much is left when nobody else is in the group.
ROOM = 300
HELD = 400
HOLD = f"""
import mmap, time
held = mmap.mmap(-1, {HELD} << 20, mmap.MAP_PRIVATE)
for at in range(0, {HELD} << 20, 4096):
    held[at] = 1
print("held", flush=True)
time.sleep(3600)
"""

# So many MiB in every second, for ever.
GROW = """
import mmap, sys, time
begin, held = time.monotonic(), []
while True:
    while len(held) < (time.monotonic() - begin) * float(sys.argv[1]):
        held.append(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE))
        for at in range(0, 1 << 20, 4096):
            held[-1][at] = 1
    time.sleep(0.2)
"""

# So many MiB, and when it is told to go on the rest of HELD.
HOLD_IN_STEPS = f"""
import mmap, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
held = mmap.mmap(-1, {HELD} << 20, mmap.MAP_PRIVATE)
for at in range(0, {HELD} << 20, 4096):
    if at == int(sys.argv[1]) << 20:
        signal.sigwait([signal.SIGUSR1])
    held[at] = 1
time.sleep(3600)
"""


def group_of(scratch, name, limit_mib):
    if not Group.is_possible():
        raise Skipped("needs root and a memory controller that may be used")
    return Group(scratch, f"vm-guardian-ring-{name}", limit_mib * MIB)


def vm_in(scratch, name, group, does="", **options):
    return Vm(scratch, name, does=does, memory=str(GUEST), group=group.directory, **options)


def hold(scratch, group):
    """A stranger in the group, with memory that cannot be reclaimed."""
    holder = scratch.spawn(sys.executable, "-c", HOLD, preexec_fn=lambda: join_group(group.directory))

    def holds():
        check(holder.poll() is None, "the holder ended")
        with open(holder.log) as file:
            return "held" in file.read()
    wait_for(holds, PATIENCE, "the holder does not hold")
    return holder


def forecast(guardian, vm):
    entry = guardian.vm(vm) or {}
    return (entry.get("memory") or {}).get("forecast") or {}


def wait_level(guardian, vm, *levels, seconds=60):
    wait_for(lambda: forecast(guardian, vm).get("level") in levels, seconds,
             f"{vm.name} is not {levels}: {forecast(guardian, vm)}", 0.5)
