#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The matrix: every controller QEMU has, in every picture: is what freezes named, and nothing else?

usage: matrix.py [-v] [--canary] short | all | list | blind | CONTROLLER:PICTURE...   ("*" stands for all)

Cells run together in batches under one guardian. Each has a guilty disk, in the picture, and an innocent
one beside it on the same controller; a second VM of the batch is innocent throughout. A cell whose guest
was not writing before its picture began proves nothing and fails. -v also prints what changed, and when.
--canary runs them with canary = suspect; "blind" are the cells for which that was made: controllers that
show nothing in flight over a network disk, and innocents on them.
"""

import fnmatch
import os
import sys
import time
from collections import namedtuple

import pictures
from expect import FREEZES, expected, judge, watch_seconds
from fixture import Failed, Guardian, Scratch, Skipped, Vm, check, guest_dir, wait_for
from witness import Witness

# A batch boots on two cores, without KVM.
READY_WITHIN = 240
# The guest with every driver needs more than the demo's 96 MiB.
MEMORY = "128"
# More than the guardian's settle, so that every disk has a verdict, and some habit, before it freezes.
WRITING_BEFORE = 30
# From the return of the storage to the closed verdict; guests wait up to 30 s before they try again.
HEAL_WITHIN = 60
# A closing waits a moment for its like: the guardian tells the VMs of one storage together.
CLOSING_WITHIN = 8

Controller = namedtuple("Controller", "extra device disks")


def hba(model, device="scsi-hd,bus=hba.0,scsi-id={i}", extra=()):
    return Controller((*extra, "-device", f"{model},id=hba"), device, ("sda", "sdb"))


IOTHREAD = ("-object", "iothread,id=iothread0")
CONTROLLERS = {
    "virtio-blk": Controller((), "virtio-blk-pci", ("vda", "vdb")),
    "virtio-blk-iothread": Controller(IOTHREAD, "virtio-blk-pci,iothread=iothread0", ("vda", "vdb")),
    "virtio-scsi": hba("virtio-scsi-pci"),
    "virtio-scsi-iothread": hba("virtio-scsi-pci,iothread=iothread0", extra=IOTHREAD),
    "lsi": hba("lsi53c895a"),
    "megasas": hba("megasas"),
    "pvscsi": hba("pvscsi"),
    "am53c974": hba("am53c974"),
    "ahci": hba("ich9-ahci", "ide-hd,bus=hba.{i}"),
    "ide": Controller((), "ide-hd,bus=ide.{i}", ("sda", "sdb")),
    "nvme": Controller((), "nvme,serial=disk{i}", ("nvme0n1", "nvme1n1")),
    "usb": hba("qemu-xhci", "usb-storage,bus=hba.0"),
}
PICTURES = {
    "nbd": pictures.NbdStopped, "fuse-threads": pictures.FuseThreads, "fuse-uring": pictures.FuseUring,
    "loop-native": pictures.LoopNative, "parked": pictures.Parked, "throttle": pictures.Throttle,
    "backup-target": pictures.BackupStopped,
    "idle": pictures.Idle, "burning": pictures.Burning, "paused": pictures.Paused,
    "error-stops": pictures.ErrorStops, "error-reported": pictures.ErrorReported, "limited": pictures.Limited,
    "slow": pictures.Slow, "backup": pictures.Backup, "migration": pictures.Migration,
    "shutdown": pictures.Shutdown, "reboot": pictures.Reboot,
    "beside": pictures.Picture,  # nothing happens: the second VM of each batch
}
# Batches of cells: what fits on two cores, and is over within about four minutes. Three pictures at once
# took longer than seven on a busy machine.
BATCHES = (("nbd", "parked"), ("fuse-threads", "fuse-uring"), ("backup-target", "loop-native"),
           ("throttle", "reboot"), ("limited", "slow"), ("error-stops", "error-reported"),
           ("migration", "shutdown"), ("idle", "paused"), ("backup", "burning"))
# QEMU 7.2 has no live migration of nvme, and no werror= for it.
IMPOSSIBLE = {("nvme", "migration"), ("nvme", "error-stops")}
SHORT = ("virtio-blk:nbd", "virtio-scsi-iothread:fuse-uring", "lsi:nbd", "ahci:fuse-threads", "megasas:nbd",
         "virtio-blk:slow", "lsi:idle", "nvme:burning")
BLIND = tuple(f"{controller}:nbd" for controller in CONTROLLERS if not controller.startswith("virtio")) + (
    "lsi:parked", "megasas:idle", "ahci:slow", "ide:paused", "usb:limited", "nvme:reboot", "virtio-blk:nbd")


class Cell:
    """One VM in one picture, and what was seen of it."""

    def __init__(self, controller, picture, has_canary=False):
        self.controller, self.picture, self.has_canary = controller, picture, has_canary
        self.began = self.ended = None
        self.broken = None  # why it could not be run
        self.is_skipped = False
        self.could_end = True
        self.timeline = []  # (time, state, layer, cause of the VM, of the guilty disk, of the innocent one)

    def start(self, scratch):
        parts = CONTROLLERS[self.controller]
        name = f"matrix-{self.controller}-{self.picture}"
        self.events = PICTURES[self.picture](scratch, name)
        innocent = pictures.Picture(scratch, name + "-innocent")
        witness = scratch.path(name + ".witness")
        self.vm = Vm(scratch, name, [self.events.drive(), innocent.drive()],
                     does=f"guardian.write={','.join(parts.disks)} {self.events.does}",
                     devices=[parts.device.format(i=i) + f",drive=drive-{i},id=disk{i}" for i in range(2)],
                     memory=MEMORY,
                     extra=(*parts.extra, "-qmp", f"unix:{witness},server=on,wait=off", *self.events.extra),
                     guest=guest_dir("GUEST_FULL_DIR", "linux-image-amd64"), waits=False)
        self.name = self.vm.name
        if self.events.is_nice:
            pictures.be_nice(self.vm)
        self.witness = Witness(witness)

    def wait_writing(self):
        if "guardian.idle" in self.events.does:
            return
        for drive in ("drive-0", "drive-1"):
            now = time.monotonic()
            wait_for(lambda: self.witness.moved(drive, now, time.monotonic()), 30,
                     f"{self.name} {drive} does not write")

    def begin(self):
        self.began = time.monotonic()
        self.events.begin(self.vm)

    def end(self):
        try:
            self.events.end(self.vm)
        except (Failed, OSError, ValueError):
            self.could_end = False  # a wedged QEMU takes no command: only the storage could have helped
        self.ended = time.monotonic()

    def note(self, entry):
        if not entry:
            return
        disks = sorted(entry.get("disks") or [], key=lambda disk: disk["label"])
        seen = tuple((part["state"], part["layer"], part["cause"] or "")
                     for part in [entry] + disks[:2])
        seen += (("unknown", "unknown", ""),) * (3 - len(seen))
        if not self.timeline or self.timeline[-1][1:] != seen:
            self.timeline.append((time.monotonic(), *seen))


def watch(guardian, cells, seconds, is_enough=lambda: False):
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_enough():
        entries = {entry["name"]: entry for entry in guardian.state()["vms"]}
        for cell in cells:
            cell.note(entries.get(cell.name))
        time.sleep(1)


def attempt(cells, step):
    """Does it to each cell; one that fails is out, and the others go on."""
    for cell in cells:
        try:
            step(cell)
        except (Failed, Skipped, OSError, ValueError) as error:
            cell.is_skipped = isinstance(error, Skipped) and os.environ.get("MUST_WORK") != "1"
            cell.broken = " ".join(str(error).split())[:300]
    return [cell for cell in cells if not cell.broken]


def run_batch(cells, scratch, has_canary):
    """Starts, freezes, watches and heals; what was seen is left in the cells. Returns them all."""
    everyone = [*cells, Cell("virtio-blk", "beside", has_canary)]
    cells = attempt(everyone, lambda cell: cell.start(scratch))
    cells = attempt(cells, lambda cell: cell.vm.wait_ready(READY_WITHIN))
    guardian = Guardian(scratch, [cell.vm for cell in cells],
                        settings="[freeze]\ncanary = suspect\n" if has_canary else "")
    cells = attempt(cells, Cell.wait_writing)
    cells = attempt(cells, lambda cell: cell.events.prepare(cell.vm))
    watch(guardian, cells, WRITING_BEFORE)
    cells = attempt(cells, Cell.begin)
    if not cells:
        return everyone
    watch(guardian, cells, max(map(watch_seconds, cells)))
    cells = attempt(cells, Cell.end)
    watch(guardian, cells, HEAL_WITHIN,
          lambda: all(cell.timeline[-1][1][0] == "ok" or not expected(cell).heals for cell in cells))
    watch(guardian, cells, CLOSING_WITHIN)
    check(guardian.process.poll() is None, "vm-guardiand ended")
    log, now = guardian.log().splitlines(), time.time()
    for cell in cells:
        cell.log, cell.log_read_at = [line for line in log if cell.name in line], now
        cell.witness.is_over.set()
    # the one command that sends a canary
    attempt(cells, lambda cell: cell.vm.check_asked(*(["human-monitor-command"] if has_canary else [])))
    return everyone


def describe_steps(cell, drive):
    """When the drive completed something: spells of movement, with the greatest mean age in one second."""
    spells = []
    for when, _, age in cell.witness.steps(drive, cell.began, time.monotonic()):
        if spells and when - spells[-1][1] < 3:
            spells[-1][1:] = when, max(spells[-1][2], age)
        else:
            spells.append([when, when, age])
    return " ".join(f"{begin - cell.began:.0f}..{end - cell.began:.0f}({age:.1f}s)" for begin, end, age in spells)


def describe_timeline(cell):
    """What changed and when."""
    for when, *seen in cell.timeline:
        words = ["/".join(word or "-" for word in verdict) for verdict in seen]
        yield f"{when - cell.began:+7.1f} VM {words[0]}, guilty {words[1]}, beside {words[2]}"
    for begin, end in cell.witness.silences:
        yield f"{begin - cell.began:+7.1f} QEMU silent until {f'{end - cell.began:+.1f}' if end else 'the end'}"
    for drive in ("drive-0", "drive-1"):
        yield f"        {drive} completed in {describe_steps(cell, drive)}"
    yield f"        ended at {cell.ended - cell.began:+.1f}, {'could' if cell.could_end else 'could not'} be ended"
    statuses = []
    for when, status, _ in cell.witness.reports:
        if not statuses or statuses[-1][1] != status:
            statuses.append((when, status))
    if cell.vm.process.poll() is not None:
        with open(cell.vm.process.log, errors="replace") as file:
            yield f"        QEMU ended with {cell.vm.process.returncode}: {' / '.join(file.read().splitlines())}"
    yield "        status " + " ".join(f"{when - cell.began:+.0f}:{status}" for when, status in statuses)
    yield from (f"        log {line[:130]}" for line in cell.log)


LINE = "{:21} {:15} {:8} {:18} {:>6} {:>7} {:>6} {:>7}"
HEAD = LINE.format("controller", "picture", "state", "layer", "named", "before", "after", "alerts")


def cell_line(cell, result):
    named = "-" if result.seconds is None else f"{result.seconds:.0f} s"
    return LINE.format(cell.controller, cell.picture, result.state, result.layer, named, str(result.before),
                       f"+{result.after}", result.alerts)


def print_cell(number, cell, is_verbose):
    """Prints what became of the cell; returns its lines of the table, and whether it passed."""
    if cell.broken:
        problems = [] if cell.is_skipped else [cell.broken]
        outcome = f"# SKIP {cell.broken}" if cell.is_skipped else "ERROR"
        line = f"{cell.controller:21} {cell.picture:15} {outcome}"
    else:
        result = judge(cell)
        line, problems = cell_line(cell, result), result.problems
    print(f"{'not ok' if problems else 'ok'} {number} - {line}", flush=True)
    details = [*problems, *(describe_timeline(cell) if is_verbose and not cell.broken else ())]
    print("".join(f"#   {text}\n" for text in details), end="", flush=True)
    return [line, *(f"{'':22}{problem}" for problem in problems)], not problems


def run_matrix(batches, is_verbose, has_canary):
    """Prints TAP and the table; returns how many cells failed."""
    batches = [[Cell(*cell, has_canary) for cell in batch] for batch in batches]
    print(f"1..{sum(len(batch) + 1 for batch in batches)}\n# {HEAD}", flush=True)
    number, failures, table = 0, 0, [HEAD]
    for batch in batches:
        scratch = Scratch()
        try:
            for cell in run_batch(batch, scratch, has_canary):
                number += 1
                lines, has_passed = print_cell(number, cell, is_verbose)
                table += lines
                failures += not has_passed
        finally:
            scratch.close()
    print("#\n" + "\n".join(f"# {line}" for line in table), flush=True)
    return failures


def select(patterns):
    """The cells that match, as batches."""
    for batch in BATCHES:
        cells = [(controller, picture) for picture in batch for controller in CONTROLLERS
                 if (controller, picture) not in IMPOSSIBLE
                 and any(fnmatch.fnmatch(f"{controller}:{picture}", pattern) for pattern in patterns)]
        if cells:
            yield cells


def print_list(has_canary):
    """The table: what is expected of which cell, and when."""
    line = "{:21} {:15} {:8} {:34} {:>7} {:>7} {}"
    print(line.format("controller", "picture", "state", "layer", "within", "frozen", "heals"))
    for batch in select(["*"]):
        for controller, picture in batch:
            row = expected(Cell(controller, picture, has_canary))
            print(line.format(controller, picture, row.state, "|".join(row.layers) or "-",
                              f"{row.seconds} s" if picture in FREEZES else "-",
                              f"{row.at_cap} s" if row.at_cap else "-", "yes" if row.heals else "no"))


def main(arguments):
    is_verbose, has_canary = "-v" in arguments, "--canary" in arguments
    arguments = [argument for argument in arguments if argument not in ("-v", "--canary")]
    if not arguments:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if arguments == ["list"]:
        print_list(has_canary)
        return 0
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: FUSE exports and loop devices")
        return 1 if os.environ.get("MUST_WORK") == "1" else 0
    if arguments in (["short"], ["blind"]):
        wanted = [[tuple(cell.split(":")) for cell in (SHORT if arguments == ["short"] else BLIND)]]
    else:
        wanted = list(select(["*"] if arguments == ["all"] else arguments))
    return 1 if run_matrix(wanted, is_verbose, has_canary) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
