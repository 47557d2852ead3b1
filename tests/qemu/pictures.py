# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can befall the guilty disk of a VM: the freezes and the innocent states of matrix.py.

A picture makes the storage below the disk when it is made. prepare() is called when the guest writes,
begin() some seconds later, when the watch starts, and end() after it: a freeze heals then.
"""

import os
import threading

from fixture import Fuse, Nbd, check, loop_device

# One write takes as long as the time between two openings; both stand still in between.
SLOW_CLOSED, SLOW_OPEN = 14.5, 0.5
# Enough for a boot and the minutes before begin(); the guest writes 64 KiB a second.
BURST = 100 << 20
# From "guest ready": so far apart twelve guests may get ready, and the watch still begins before it.
SWITCHED_OFF_AFTER = 180
# So long a backup of 1 MiB/s takes: more than the minutes before begin(), on a machine that is busy.
BACKUP_SECONDS = 300
# Seconds to wait for a QEMU that may be wedged; a healthy one answers in milliseconds.
WEDGED = 1


def ask(vm, command, arguments=None, seconds=20):
    """One command on the test's monitor."""
    answer = vm.qmp({"execute": command, "arguments": arguments or {}}, seconds=seconds)[0]
    check("return" in answer, f"{vm.name}: {command}: {answer}")
    return answer["return"]


class Picture:
    """Nothing happens to a disk. It has a storage of its own, an NBD server: what befalls others is not its."""

    does = "guardian.stubborn"  # what the guest does, beside writing
    extra = ()                  # for the QEMU
    options = ""                # for the drive
    is_nice = False             # leaves the processor to the others

    def __init__(self, scratch, name):
        self.server = Nbd(scratch, name)

    def drive(self):
        return self.server.drive() + self.options

    def prepare(self, vm):
        pass

    def begin(self, vm):
        pass

    def end(self, vm):
        pass


class NbdStopped(Picture):
    """The NBD server is stopped."""

    def begin(self, vm):
        self.server.stop()

    def end(self, vm):
        self.server.heal()


class FuseThreads(NbdStopped):
    """The file system is stopped; QEMU's worker threads wait in it."""

    aio = "threads"

    def __init__(self, scratch, name):
        self.server = Fuse(scratch, name, self.aio)


class FuseUring(FuseThreads):
    """The file system is stopped; requests wait in an io_uring."""

    aio = "io_uring"


class LoopNative(FuseThreads):
    """The host's block device completes nothing; requests wait in it by aio=native."""

    aio = "native"

    def __init__(self, scratch, name):
        super().__init__(scratch, name)
        self.device = loop_device(scratch, self.server.path)

    def drive(self):
        return f"file={self.device},format=raw,cache=none,aio={self.aio}"


class Parked(Picture):
    """blkdebug keeps one write for itself."""

    def drive(self):
        return ("driver=raw,cache=none,file.driver=blkdebug,file.image.driver=nbd,"
                f"file.image.server.type=unix,file.image.server.path={self.server.socket}")

    def qemu_io(self, vm, command, seconds=20):
        ask(vm, "human-monitor-command", {"command-line": f'qemu-io drive-0 "{command}"'}, seconds)

    def begin(self, vm):
        self.qemu_io(vm, "break write_aio parked")

    def end(self, vm):
        self.qemu_io(vm, "resume parked", WEDGED)


class Throttle(Picture):
    """The disk's own limit is 1 byte/s: one more write goes through, the next one takes 18 hours."""

    options = f",throttling.bps-total=1,throttling.bps-total-max={BURST}"

    def limit(self, vm, bps, seconds):
        ask(vm, "block_set_io_throttle", {"device": "drive-0", "bps": bps, "bps_rd": 0, "bps_wr": 0, "iops": 0,
                                          "iops_rd": 0, "iops_wr": 0}, seconds)

    def begin(self, vm):
        self.limit(vm, 1, 20)

    def end(self, vm):
        self.limit(vm, 1 << 30, WEDGED)


class Backup(Picture):
    """A backup with a speed limit runs, on a disk that is written to."""

    def __init__(self, scratch, name):
        super().__init__(scratch, name)
        self.target = Nbd(scratch, name + "-target")

    def back_up(self, vm, **options):
        ask(vm, "drive-backup", {"device": "drive-0", "sync": "full", "mode": "existing", "format": "raw",
                                 "target": f"nbd:unix:{self.target.socket}", **options})

    def prepare(self, vm):
        self.back_up(vm, speed=1 << 20)


class BackupStopped(Backup):
    """The target of a backup, which is as fast as that, is stopped: a write must first copy what it
    overwrites. The guest writes where the backup has not been."""

    does = "guardian.stubborn guardian.last"

    def __init__(self, scratch, name):  # pylint: disable=super-init-not-called
        self.server = Nbd(scratch, name, BACKUP_SECONDS)
        self.target = Nbd(scratch, name + "-target", BACKUP_SECONDS, bytes_per_s=1 << 20)

    def prepare(self, vm):
        # one worker: with the usual 64 a write of the guest's waits behind 64 MiB
        self.back_up(vm, **{"x-perf": {"max-workers": 1}})

    def begin(self, vm):
        self.target.stop()

    def end(self, vm):
        self.target.heal()


class Idle(Picture):
    """The guest asks for nothing."""

    does = "guardian.idle"


class Burning(Picture):
    """The guest asks for nothing and keeps a processor busy."""

    does = "guardian.idle guardian.burn"
    is_nice = True


class Paused(Picture):
    """An administrator pauses the VM."""

    def begin(self, vm):
        ask(vm, "stop")

    def end(self, vm):
        ask(vm, "cont")


class ErrorStops(Picture):
    """An I/O error stops the VM."""

    options = ",werror=stop"

    def begin(self, vm):
        self.server.process.kill()


class ErrorReported(ErrorStops):
    """An I/O error reaches the guest, again and again."""

    options = ",werror=report"


class Limited(Picture):
    """The disk's own limit is 20 kB/s, and the guest wants more."""

    options = f",throttling.bps-total=20000,throttling.bps-total-max={1 << 20}"


class Slow(NbdStopped):
    """The storage takes 15 s for a write."""

    def __init__(self, scratch, name):
        super().__init__(scratch, name)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.breathe, daemon=True)

    def breathe(self):
        while not self.is_over.is_set():
            self.server.stop()
            self.is_over.wait(SLOW_CLOSED)
            self.server.heal()
            self.is_over.wait(SLOW_OPEN)

    def begin(self, vm):
        self.thread.start()

    def end(self, vm):
        self.is_over.set()
        self.thread.join()


class Migration(Picture):
    """The VM migrates away, and stays where it was as postmigrate."""

    def begin(self, vm):
        ask(vm, "migrate-set-parameters", {"max-bandwidth": 2 << 20})
        ask(vm, "migrate", {"uri": "exec:cat >/dev/null"})


class Shutdown(Picture):
    """The guest switches itself off, its QEMU stays."""

    does = f"guardian.poweroff={SWITCHED_OFF_AFTER}"
    extra = ("-no-shutdown",)


class Reboot(Picture):
    """The guest boots again."""

    extra = ("-action", "reboot=reset")

    def begin(self, vm):
        ask(vm, "system_reset")


def be_nice(vm):
    """Every thread of it: what a vCPU burns is nobody else's."""
    for task in os.listdir(f"/proc/{vm.pid}/task"):
        try:
            os.setpriority(os.PRIO_PROCESS, int(task), 19)
        except ProcessLookupError:
            pass
