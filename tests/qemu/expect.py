# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the guardian must say in each cell of the matrix, by when, and whether it said so.

A freeze with in-flight evidence is frozen: within 30 s on virtio and on files, 60 s on others. One without
(a parked request or NBD on controllers that show nothing) is suspect within 60 s, and never ok after that;
where the guest's error handling then wedges QEMU that is frozen / main-loop-blocked. With a canary NBD is
frozen / block-path before that; a parked write lets the canary pass. A backup that stands still with its disk
shows on every controller. A limit is named at once, and frozen at the cap of patience. Innocents get no alert,
whatever they do.
"""

from collections import namedtuple
from datetime import datetime

from pictures import SWITCHED_OFF_AFTER

# state: what it must become within `seconds` of the picture's begin; layers: what may be named as it;
# heals: the verdict closes when the storage is back. at_cap: frozen by then, too; None: not.
Expect = namedtuple("Expect", "state layers seconds heals at_cap", defaults=(True, None))

# Which of the two a stopped file system is depends on the second signals at hand.
BELOW = ("block-path", "storage")
# Nothing is known but that it is not as it was.
VAGUE = ("block-path", "device-model", "storage", "unknown")
FREEZES = {  # picture: on virtio, on any other controller
    "nbd": (Expect("frozen", BELOW, 30), Expect("suspect", VAGUE, 60)),
    "parked": (Expect("frozen", BELOW, 30), Expect("suspect", VAGUE, 60)),
    "fuse-threads": (Expect("frozen", BELOW, 30), Expect("frozen", BELOW, 30)),
    "fuse-uring": (Expect("frozen", BELOW, 30), Expect("frozen", BELOW, 30)),
    "loop-native": (Expect("frozen", BELOW, 30), Expect("frozen", BELOW, 60)),
    "backup-target": (Expect("frozen", ("backup-target",), 30), Expect("frozen", ("backup-target",), 60)),
    # two samples and the first look at a queue; frozen at 120 s of patience, seen within a few samples
    "throttle": (Expect("suspect", ("throttle",), 20, at_cap=135),
                 Expect("suspect", ("throttle",), 20, at_cap=135)),
}
# What a canary adds: the guests' error handling begins 30 s after their request.
WITH_CANARY = {"nbd": Expect("frozen", BELOW, 30)}
# A disk that completed something this recently gets no canary: at half of its patience it is sent.
QUIET_BEFORE_CANARY = 8
# An idle guest's disk is no writer, and the others' wait has its reason.
GETS_NO_CANARY = ("beside", "idle", "burning", "paused", "limited", "throttle")
# The main loop is wedged for good: it waits for a request that only a command could release. Below an iothread
# blkdebug resumes the request in the main thread, and QEMU 7.2 aborts (io/channel.c, the context's assertion).
# The guest's driver for am53c974 stays in its error handling for more than a minute, with both its disks.
NEVER_HEALS = {
    "parked": ("ahci", "ide", "lsi", "am53c974", "pvscsi", "nvme", "usb", "virtio-blk-iothread",
               "virtio-scsi-iothread"),
    "throttle": ("ahci", "pvscsi", "nvme", "usb", "am53c974"),
}
INNOCENT = Expect("ok", (), 0)
# What the VM's verdict must say; the others are ok in whatever words.
NOT_RUNNING = {"paused": ("paused",), "error-stops": ("io-error",), "shutdown": ("shutdown",),
               "migration": ("migrating", "paused")}
# A disk that is slow beyond belief may be suspected, shown and explained; it is no alert.
MAY_BE_SUSPECT = ("limited", "slow")

# max(3 periods, 12 s), two samples, and the witness's own 3 s of doubt
WEDGE_NAMED_WITHIN = 22
# A disk that completed something this recently is alive, whatever its neighbour does.
ALIVE = 6
# From the alert that pages to the bundle.
CAPTURED_WITHIN = 30
WHOLE_VM = ("main-loop-blocked", "process-stopped")

Result = namedtuple("Result", "state layer seconds before after alerts problems")


def expected(cell):
    if cell.picture not in FREEZES:
        return INNOCENT
    row = FREEZES[cell.picture][0 if cell.controller.startswith("virtio") else 1]
    if cell.has_canary and not cell.controller.startswith("virtio"):
        row = WITH_CANARY.get(cell.picture, row)
    if cell.controller in NEVER_HEALS.get(cell.picture, ()):
        row = row._replace(heals=False)
    return row


def watch_seconds(cell):
    """How long it takes to see all that must, or must not, be said."""
    if cell.picture == "throttle":
        return 150
    if cell.picture == "shutdown":
        return SWITCHED_OFF_AFTER + WEDGE_NAMED_WITHIN
    return 80 if cell.picture in FREEZES else 60


def during(cell, begin, end):
    """The timeline's entries in force at some moment between begin and end."""
    for entry, following in zip(cell.timeline, [*cell.timeline[1:], None]):
        if entry[0] <= end and (following is None or following[0] > begin):
            yield entry


def first(cell, states):
    """Seconds after the begin, and what was said of the guilty disk, when it first was in one of states."""
    for when, _, guilty, _ in during(cell, cell.began, cell.ended):
        if guilty[0] in states:
            return max(0, when - cell.began), guilty
    return None, ("ok", "none", "")


def judge_wedge(cell):
    """A main loop that blocks is named as such, and nothing else is called frozen without evidence."""
    for begin, end in cell.witness.silences:
        named = [when for when, vm, _, _ in cell.timeline if vm[:2] == ("frozen", "main-loop-blocked")]
        late = begin + WEDGE_NAMED_WITHIN
        if begin < cell.ended - WEDGE_NAMED_WITHIN and (end is None or end > late):
            if not any(begin <= when <= late for when in named):
                yield (f"the main loop blocked at {begin - cell.began:.0f} s: "
                       f"not named within {WEDGE_NAMED_WITHIN} s")


def judge_freeze(cell, expect):
    seconds, guilty = first(cell, ("frozen",) if expect.state == "frozen" else ("suspect", "frozen"))
    if seconds is None:
        yield f"never {expect.state}"
        return
    if seconds > expect.seconds:
        yield f"{guilty[0]} only after {seconds:.0f} s, not {expect.seconds}"
    if guilty[1] not in expect.layers:
        yield f"{guilty[0]} with the layer {guilty[1]}, not {' or '.join(expect.layers)}"
    if any(entry[2][0] == "ok" for entry in during(cell, cell.began + seconds, cell.ended)):
        yield f"ok again before the storage was"
    frozen, why = first(cell, ("frozen",))
    if expect.state == "suspect" and frozen is not None and why[1] not in (*WHOLE_VM, "throttle"):
        yield f"frozen / {why[1]} without evidence"
    if expect.at_cap and (frozen is None or frozen > expect.at_cap):
        yield f"not frozen at the cap of patience, {expect.at_cap} s"
    yield from judge_wedge(cell)
    yield from judge_end(cell, expect)


def judge_end(cell, expect):
    if not expect.heals:
        return
    if not cell.could_end or cell.timeline[-1][1][0] != "ok":
        yield f"did not heal: {' / '.join(cell.timeline[-1][1])}"
    for subject in (f"{cell.name}: ", f"{cell.name} disk disk0: "):
        opened = sum(f" {subject}alert: " in line for line in cell.log)
        closed = sum(f" {subject}alert closed" in line for line in cell.log)
        if opened != closed or opened > 1:
            yield f"{subject}{opened} alerts, {closed} closings"


def was_silent(cell, when):
    """Did QEMU itself not answer the witness either, in the seconds before? Twelve that reboot at once on two
    cores take four seconds over it, and are asked again for the verdict."""
    return any(begin <= when and (end is None or end > when - WEDGE_NAMED_WITHIN / 2)
               for begin, end in cell.witness.silences)


def judge_innocent(cell):
    wrong = ("frozen",) if cell.picture in MAY_BE_SUSPECT else ("suspect", "frozen")
    for when, *seen in cell.timeline:
        for verdict in seen:
            if verdict[:2] == ("suspect", "main-loop-blocked") and was_silent(cell, when):
                continue
            if verdict[0] in wrong:
                yield f"{' / '.join(verdict)} at {when - cell.began:.0f} s"
    words = NOT_RUNNING.get(cell.picture)
    if words and not any(vm[1] == "not-running" and vm[2] in words for _, vm, _, _ in cell.timeline):
        yield f"never not-running / {' or '.join(words)}"


def count_alerts(cell):
    """Alerts on what is innocent in the cell."""
    subject = f"{cell.name} disk disk1: " if cell.picture in FREEZES else cell.name
    return sum(subject in line and ("alert: " in line or "PAGE: " in line) for line in cell.log)


def judge_neighbour(cell):
    """The innocent disk beside the guilty one, as long as it moves."""
    for when, _, _, innocent in during(cell, cell.began, cell.ended):
        if innocent[0] in ("suspect", "frozen") and innocent[1] not in WHOLE_VM:
            if cell.witness.moved("drive-1", when - ALIVE, when):
                yield f"the disk beside it: {' / '.join(innocent)} at {when - cell.began:.0f} s"


def logged(cell, word):
    """Seconds by the wall clock of the lines about the cell that have the word."""
    return [datetime.fromisoformat(line.split()[0].rstrip("Z") + "+00:00").timestamp()
            for line in cell.log if word in line]


def judge_capture(cell):
    """What is paged is captured, in time, whatever hangs; that QEMU and guest are none the worse for it is
    in judge_end()."""
    for paged in logged(cell, "PAGE: frozen")[:1]:
        captured = [when for when in logged(cell, "captured ") if when <= paged + CAPTURED_WITHIN]
        if not captured and cell.log_read_at > paged + CAPTURED_WITHIN:
            yield f"paged, and not captured within {CAPTURED_WITHIN} s"


def judge_canaries(cell):
    """One for each silent disk at most, and none for a disk that moves. The record does not say which disk."""
    sent = [entry["t_us"] / 1e6 for entry in cell.vm.asked() if entry["class"] == "canary"]
    if len(sent) > 2 or (cell.picture in GETS_NO_CANARY and sent):
        yield f"{len(sent)} canaries"
    for when in sent:
        if all(cell.witness.moved(drive, when - QUIET_BEFORE_CANARY, when) for drive in ("drive-0", "drive-1")):
            yield f"a canary {when - cell.began:.0f} s after the begin, when both disks moved"


def judge(cell):
    expect = expected(cell)
    problems = []
    if "guardian.idle" not in cell.events.does and not (
            cell.witness.moved("drive-0", cell.began - ALIVE, cell.began)):
        problems.append("ERROR: the guest was not writing before it began")
    if cell.picture in FREEZES:
        problems += [*judge_freeze(cell, expect), *judge_neighbour(cell), *judge_capture(cell)]
    else:
        problems += judge_innocent(cell)
    problems += judge_canaries(cell)
    alerts = count_alerts(cell)
    if alerts:
        problems.append(f"{alerts} alerts on the innocent")
    wanted = ("frozen",) if expect.state == "frozen" else ("suspect", "frozen")
    seconds, guilty = first(cell, wanted)
    begin, end = cell.witness.completed("drive-0", cell.began), cell.witness.completed("drive-0", cell.ended)
    return Result(guilty[0], guilty[1], seconds, begin, (end or 0) - (begin or 0), alerts, problems)
