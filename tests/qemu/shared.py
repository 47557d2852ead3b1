#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A monitor that others need: the long promises. ring.py has the short ones.

usage: shared.py [CASE...]
"""

import json
import socket
import time

from fixture import PATIENCE, Guardian, Nbd, Vm, check, run, wait_for

# Issue: a foreign client that holds the socket this long is no alert.
FOREIGN_SECONDS = 600
# Issue: so many tries of a second client, and our own hold is never longer than this.
TRIES = 10000
HOLD_MAX_US = 500000
# So that the guardian visits some hundred times meanwhile.
PAUSE = 0.03
SETTINGS = "[monitor]\nperiod_shared = 2s\n"


def pending(path):
    """Connections to the monitor that nobody has accepted."""
    with open("/proc/net/unix") as file:
        return sum(line.split()[5] == "02" for line in file if path in line)


def connect(path):
    """As qm does: EAGAIN, when the backlog is full, is an error at once."""
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    client.connect(path)
    client.settimeout(5)
    return client


def case_foreign_client(scratch):
    """a foreign client for ten minutes is unknown, no alert, and one pending connect of ours at most."""
    vm = Vm(scratch, "shared-foreign", [Nbd(scratch, "a").drive()], is_ours=False)
    guardian = Guardian(scratch, [vm], settings=SETTINGS)
    guardian.wait_writing(vm, "virtio0")
    with connect(vm.monitor) as client:
        client.recv(4096)
        wait_for(lambda: guardian.vm(vm)["layer"] == "socket-busy", PATIENCE, "not seen as busy")
        until = time.monotonic() + FOREIGN_SECONDS
        while time.monotonic() < until:
            entry = guardian.vm(vm)
            check((entry["state"], entry["layer"]) == ("unknown", "socket-busy"), str(entry))
            check(pending(vm.monitor) <= 1, f"{pending(vm.monitor)} connections wait")
            time.sleep(2)
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "not ok after the client left")
    check("alert" not in guardian.log() and "PAGE" not in guardian.log(), guardian.log())


def visit(path):
    """One visit of a client like qm; returns how long it waited for the greeting."""
    begin = time.monotonic()
    with connect(path) as client, client.makefile("rw") as stream:
        stream.readline()
        waited = time.monotonic() - begin
        for command in ("qmp_capabilities", "query-name"):
            stream.write(json.dumps({"execute": command}) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
            check("return" in answer, str(answer))
    return waited


def own_holds(vm):
    """How long each of our visits held the monitor; only we ask for the counters of the disks."""
    holds, is_own = [], False
    with open(vm.record) as file:
        for entry in map(json.loads, file):
            if entry["dir"] == "connect":
                is_own = False
            elif entry["dir"] == "close":
                holds += [entry["held_us"]] if is_own else []
            else:
                is_own = is_own or entry["command"] == "query-blockstats"
    return holds


def case_second_client(scratch):
    """ten thousand visits of a second client: it is never refused, and we never hold the monitor for long."""
    vm = Vm(scratch, "shared-second", [Nbd(scratch, "a").drive()], is_ours=False)
    guardian = Guardian(scratch, [vm], settings=SETTINGS)
    guardian.wait_writing(vm, "virtio0")
    waits = []
    for number in range(TRIES):
        try:
            waits.append(visit(vm.monitor))
        except BlockingIOError:
            check(False, f"try {number}: EAGAIN")
        time.sleep(PAUSE)
    holds = own_holds(vm)
    print(f"# {len(holds)} visits of ours, the longest {max(holds)} us; "
          f"{TRIES} of the other, which waited {max(waits) * 1000:.1f} ms at most", flush=True)
    check(len(holds) >= 50, f"only {len(holds)} visits of ours")
    check(max(holds) <= HOLD_MAX_US, f"held for {max(holds)} us")
    check(guardian.vm(vm)["state"] == "ok", str(guardian.vm(vm)))


CASES = {name[len("case_"):]: function for name, function in list(globals().items())
         if name.startswith("case_")}

if __name__ == "__main__":
    run(CASES)
