# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real QEMU VMs, storage that can be frozen, and a private guardian, for the cases in this folder.

Every monitor lies behind the recording proxy: a command outside the guardian's table, or outside the class
it may use at that moment, fails the case whatever the verdict was. Environment, set by meson:

  GUARDIAN_BUILD  where vm-guardiand, guardianctl and qmp-proxy are
  GUEST_DIR       kernel, initrd, append made by contrib/demo/guest; made on the spot when unset
  GUEST_FULL_DIR  the same with the drivers of every controller (linux-image-amd64)
"""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ["GUARDIAN_BUILD"]
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What an idle VM may be asked, and what a suspect may be asked besides: qmp/query.c's classes.
ALLOWED_CLASSES = {"tick", "suspect"}
# What the capture of a paged alert may ask besides: of class capture, but safe in every freeze.
SAFE_CAPTURES = {"query-jobs", "query-iothreads", "query-cpus-fast"}
# Seconds for what only has to come, on a machine of any speed. What has a deadline of its own says it.
PATIENCE = 90


class Skipped(Exception):
    """The case cannot run here; the text says why. With MUST_WORK=1 that is a failure."""


class Failed(Exception):
    """The case failed; the text says how."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def wait_for(what, seconds, text, every=0.25):
    """Calls what() until it is true; returns its value and the seconds it took.

    What asks a VM that is not listed yet, or has no sample yet, stumbles over a None: not true yet."""
    begin = time.monotonic()
    while True:
        try:
            value, stumbled = what(), ""
        except (TypeError, KeyError) as error:
            value, stumbled = None, f" ({type(error).__name__}: {error})"
        if value:
            return value, time.monotonic() - begin
        if time.monotonic() - begin > seconds:
            raise Failed(f"after {seconds} s: {text}{stumbled}")
        time.sleep(every)


def guest_dir(variable="GUEST_DIR", *kernel):
    """The directory the variable names; without one a guest made on the spot, of this kernel package."""
    directory = os.environ.get(variable)
    if not directory:
        directory = os.path.join(BUILD, variable.lower().replace("_dir", ""))
        subprocess.run([os.path.join(SOURCE, "contrib/demo/guest"), "build", directory, *kernel], check=True,
                       stdout=sys.stderr)
    return directory


class Scratch:
    """One case's directory and processes; everything is gone at the end."""

    def __init__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # close() still runs
        self.directory = tempfile.mkdtemp(prefix="vm-guardian-ring-")
        self.processes = []
        self.cleanups = []

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def spawn(self, *argv, **options):
        log = open(self.path(f"log-{len(self.processes)}"), "wb")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        process.log = log.name
        self.processes.append(process)
        return process

    def close(self):
        # all before the first wait: a QEMU in D ends only when its stopped storage does
        for process in reversed(self.processes):
            for number in (signal.SIGCONT, signal.SIGKILL):
                try:
                    process.send_signal(number)
                except ProcessLookupError:
                    pass
        for process in self.processes:
            process.wait()
        for cleanup in reversed(self.cleanups):
            cleanup()
        shutil.rmtree(self.directory, ignore_errors=True)


def join_group(group):
    with open(os.path.join(group, "cgroup.procs"), "w") as file:
        file.write("0")


def remove_group(directory):
    """A kernel lets go of a task some time after it was waited for."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return os.rmdir(directory)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Group:
    """A real memory cgroup, with a limit, of the hierarchy this machine has; below another one or at the top."""

    V1 = "/sys/fs/cgroup/memory"
    V2 = "/sys/fs/cgroup"

    def __init__(self, scratch, name, limit=None, parent=None):
        root, knob = self.V1, "memory.limit_in_bytes"
        if not os.path.exists(f"{root}/{knob}"):
            root, knob = self.V2, "memory.max"
        self.name = f"{parent.name}/{name}" if parent else f"/{name}-{os.getpid()}"
        self.directory = root + self.name
        if parent and root == self.V2:
            with open(os.path.join(parent.directory, "cgroup.subtree_control"), "w") as file:
                file.write("+memory")
        os.mkdir(self.directory)
        self.knob = os.path.join(self.directory, knob)
        scratch.cleanups.append(self.remove)
        if limit:
            self.limit(limit)

    def limit(self, limit):
        with open(self.knob, "w") as file:
            file.write(str(limit))

    def remove(self):
        remove_group(self.directory)

    @classmethod
    def is_possible(cls):
        if os.geteuid() != 0:
            return False
        if os.path.exists(cls.V1 + "/memory.limit_in_bytes"):
            return True
        try:
            with open(cls.V2 + "/cgroup.subtree_control") as file:
                return "memory" in file.read().split()
        except FileNotFoundError:
            return False


class Freezer:
    """A group of the cgroup freezer with these processes in it."""

    V1 = "/sys/fs/cgroup/freezer"
    V2 = "/sys/fs/cgroup"

    def __init__(self, scratch, pids):
        is_v1 = os.path.exists(f"{self.V1}/cgroup.procs")
        if os.geteuid() != 0 or not (is_v1 or os.path.exists(f"{self.V2}/cgroup.procs")):
            raise Skipped("no cgroup freezer")
        root = self.V1 if is_v1 else self.V2
        self.directory = f"{root}/guardian-freezer-{os.getpid()}"
        self.knob, self.words = ("freezer.state", ("THAWED", "FROZEN")) if is_v1 else ("cgroup.freeze", "01")
        os.mkdir(self.directory)
        scratch.cleanups.append(self.remove)
        for pid in pids:
            self.write("cgroup.procs", str(pid))

    def set(self, is_frozen):
        self.write(self.knob, self.words[is_frozen])

    def write(self, knob, value):
        with open(os.path.join(self.directory, knob), "w") as file:
            file.write(value)

    def remove(self):
        remove_group(self.directory)


class Nbd:
    """A disk on an NBD server of its own: stop() freezes it, heal() gives it back. bytes_per_s: it serves no
    faster; 0 as fast as it can."""

    def __init__(self, scratch, name, megabytes=64, bytes_per_s=0):
        image = scratch.path(name + ".img")
        self.socket = scratch.path(name + ".nbd")
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        served = ("-f", "raw", image) if not bytes_per_s else (
            "--object", f"throttle-group,id=limit,x-bps-total={bytes_per_s}", "--image-opts",
            f"driver=throttle,throttle-group=limit,file.driver=file,file.filename={image}")
        self.process = scratch.spawn("qemu-nbd", "-k", self.socket, "-t", "-e", "8", "--cache=unsafe", *served)
        wait_for(lambda: os.path.exists(self.socket), PATIENCE, "qemu-nbd did not listen", 0.02)

    def drive(self):
        return f"file=nbd:unix:{self.socket},format=raw,cache=none"

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def heal(self):
        self.process.send_signal(signal.SIGCONT)


class Fuse:
    """A disk on a FUSE export of its own: stop() freezes it, heal() gives it back. bytes_per_s: it serves
    one request after the other, no faster; 0 as fast as it can."""

    def __init__(self, scratch, name, aio, megabytes=64, bytes_per_s=0):
        image = scratch.path(name + ".img")
        self.path = scratch.path(name + ".fuse")
        self.aio = aio
        for path, size in ((image, megabytes << 20), (self.path, 0)):
            with open(path, "wb") as file:
                file.truncate(size)
        limit = ("--object", f"throttle-group,id=limit,x-bps-total={bytes_per_s}", "--blockdev",
                 "driver=throttle,node-name=limited,throttle-group=limit,file=file") if bytes_per_s else ()
        self.process = scratch.spawn(
            "qemu-storage-daemon",
            "--blockdev", f"driver=file,node-name=file,filename={image},cache.no-flush=on", *limit,
            "--export", f"type=fuse,id=export,node-name={'limited' if limit else 'file'},"
                        f"mountpoint={self.path},writable=on")
        # of a dead server the mount stays
        scratch.cleanups.append(lambda: subprocess.run(["umount", "-l", self.path], check=False))
        wait_for(self.is_mounted, PATIENCE, "qemu-storage-daemon did not export", 0.05)

    def is_mounted(self):
        if self.process.poll() is not None:
            raise Skipped("qemu-storage-daemon cannot export by FUSE here")
        return os.path.getsize(self.path) > 0

    def drive(self):
        return f"file={self.path},format=raw,cache=none,aio={self.aio}"

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def heal(self):
        self.process.send_signal(signal.SIGCONT)


def loop_device(scratch, path):
    """The host's block device on a file, as long as the scratch."""
    made = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
    check(made.returncode == 0, f"losetup: {made.stderr}")
    device = made.stdout.strip()
    scratch.cleanups.append(lambda: subprocess.run(["losetup", "--detach", device], check=False))
    return device


def reserve_huge_pages(scratch, megabytes):
    """2 MiB pages of the host, until the scratch is closed; others' are left alone."""
    knob, missing = "/proc/sys/vm/nr_hugepages", megabytes // 2

    def read():
        with open(knob) as file:
            return int(file.read())

    def add(pages):
        before = read()
        with open(knob, "w") as file:
            file.write(str(max(before + pages, 0)))
        return read() - before
    if not os.access(knob, os.W_OK):
        raise Skipped("needs root, to reserve huge pages")
    scratch.cleanups.append(lambda: add(missing - megabytes // 2))
    for _ in range(10):
        missing -= add(missing)
        if missing <= 0:
            return
        with open("/proc/sys/vm/compact_memory", "w") as file:
            file.write("1")  # memory that is in pieces
        time.sleep(1)
    raise Skipped("the host has no huge pages to give")


class Vm:
    """A QEMU whose guest does what the kernel arguments say (contrib/demo/guest-init); paused=True starts
    none. disks: -drive values without if= and id=; each gets the label virtio<N>, or what devices says.
    is_ours=False: the one monitor is shared, and asked by connect, ask, leave. path: of its monitor;
    group: the directory of a cgroup that it runs in. guest: another one than guest_dir(). waits=False:
    wait_ready() is the caller's."""

    def __init__(self, scratch, name, disks=(), does="guardian.write=all", memory="96", extra=(),
                 paused=False, devices=None, is_ours=True, path=None, group=None, guest=None, waits=True):
        self.scratch = scratch
        self.name = name = f"{name}-{os.getpid()}"  # cases run side by side, each sees its own VMs
        self.memory = int(memory.split(",")[0])
        self.monitor = path or scratch.path(name + ".qmp")
        self.test_monitor = scratch.path(name + ".test") if is_ours else None
        self.record = scratch.path(name + ".record")
        self.console = scratch.path(name + ".console")
        argv = [os.path.join(BUILD, "tests/qmp-proxy"), self.monitor, self.record, "--",
                "qemu-system-x86_64", "-name", name, "-accel", "tcg", "-cpu", "qemu64,+rdrand", "-m", memory,
                "-nodefaults", "-display", "none", "-no-reboot",
                *extra]
        if is_ours:  # with two monitors the guardian takes the last one for its own
            argv += ["-qmp", f"unix:{self.test_monitor},server=on,wait=off"]
        argv += ["-qmp", f"unix:{self.monitor},server=on,wait=off"]
        for i, drive in enumerate(disks):
            argv += ["-drive", f"{drive},if=none,id=drive-{i}"]
            argv += ["-device", devices[i] if devices else f"virtio-blk-pci,drive=drive-{i},id=virtio{i}"]
        if paused:
            argv += ["-S"]
        else:
            guest = guest or guest_dir()
            with open(os.path.join(guest, "append")) as file:
                append = file.read().strip()
            argv += ["-kernel", os.path.join(guest, "kernel"), "-initrd", os.path.join(guest, "initrd"),
                     "-append", f"{append} {does}", "-serial", f"file:{self.console}"]
        self.process = scratch.spawn(*argv, preexec_fn=(lambda: join_group(group)) if group else None)
        wait_for(lambda: os.path.exists(self.monitor) or self.is_dead(), PATIENCE, "no monitor", 0.02)
        if waits and not paused:
            self.wait_ready()

    def wait_ready(self, seconds=90):
        wait_for(self.is_ready, seconds, f"{self.name}: the guest did not get ready")

    def is_dead(self):
        if self.process.poll() is not None:
            said = ""
            for path in (self.process.log, self.console):
                if os.path.exists(path):
                    with open(path, errors="replace") as file:
                        said += file.read()[-300:]
            raise Failed(f"{self.name} ended: {said}")
        return False

    def is_ready(self):
        self.is_dead()
        try:
            with open(self.console, errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            return False
        check("guest failed" not in text, f"{self.name}: {text[-200:]}")
        return "guest ready" in text

    @property
    def pid(self):
        return self.process.pid

    def own_memory(self):
        """Ground truth from smaps (in tests only): resident bytes beside guest RAM, page tables included."""
        own = 0
        with open(f"/proc/{self.pid}/smaps") as file:
            size = 0
            for line in file:
                words = line.split()
                if words[0] == "Size:":
                    size = int(words[1]) << 10
                elif words[0] == "Anonymous:" and size != self.memory << 20:
                    own += int(words[1]) << 10
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith("VmPTE:"):
                    own += int(line.split()[1]) << 10
        return own

    def asked(self):
        """What the guardian sent, as recorded by the proxy: a list of {"command", "class", ...}."""
        try:
            with open(self.record) as file:
                lines = [json.loads(line) for line in file if line.strip()]
        except FileNotFoundError:
            return []
        return [line for line in lines if line.get("command")]

    def check_asked(self, *allowed):
        """The proxy's verdict on us: nothing outside the table, nothing of a forbidden class, nothing that
        could hang QEMU. allowed: commands that this case is about."""
        for entry in self.asked():
            if entry["command"] in ("qmp_capabilities", *allowed):
                continue
            check(entry["class"] in ALLOWED_CLASSES or entry["command"] in SAFE_CAPTURES,
                  f"{self.name} was sent {entry}")

    def qmp(self, *commands, seconds=20):
        """Asks on the test's own monitor; a shared one behind the proxy's back, in turn with the guardian."""
        answers = []
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(seconds)
            client.connect(self.test_monitor or self.monitor + ".real")
            with client.makefile("rw") as stream:
                stream.readline()
                for command in ({"execute": "qmp_capabilities"},) + commands:
                    stream.write(json.dumps(command) + "\n")
                    stream.flush()
                    while True:
                        answer = json.loads(stream.readline())
                        if "event" not in answer:
                            break
                    answers.append(answer)
        return answers[1:]


class Guardian:
    """A private daemon that sees only the VMs named. wrapper: a command that starts it."""

    def __init__(self, scratch, vms, run_root=None, settings="", etc_root=None, wrapper=()):
        self.scratch = scratch
        self.vms = vms
        self.config = scratch.path("etc")
        self.run = run_root or scratch.path("run")
        self.var = scratch.path("var")
        for directory in (self.config, self.run, self.var):
            os.makedirs(directory, exist_ok=True)
        with open(os.path.join(self.config, "guardian.conf"), "w") as file:
            file.write("[guardian]\ninclude = %s\n%s" % (" ".join(vm.name for vm in vms), settings))
        self.roots = ["--config-root", self.config, "--run-root", self.run, "--var-root", self.var]
        if etc_root:
            self.roots += ["--etc-root", etc_root]
        self.process = scratch.spawn(*wrapper, os.path.join(BUILD, "vm-guardiand"), *self.roots)
        wait_for(self.is_up, PATIENCE, "the daemon did not come up", 0.05)

    def is_up(self):
        if self.process.poll() is not None:
            with open(self.process.log) as file:
                raise Failed(f"vm-guardiand ended: {file.read()}")
        return os.path.exists(os.path.join(self.run, "vm-guardian/control.sock"))

    def log(self):
        with open(self.process.log) as file:
            return file.read()

    def ctl(self, *argv):
        return subprocess.run([os.path.join(BUILD, "guardianctl"), *self.roots, *argv],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def state(self):
        result = self.ctl("status", "--json")
        check(result.returncode in (0, 1), f"status: {result.stderr}")
        return json.loads(result.stdout)

    def vm(self, vm):
        for entry in self.state()["vms"]:
            if entry["name"] == vm.name:
                return entry
        return None

    def disk(self, vm, label):
        entry = self.vm(vm) or {}
        for disk in entry.get("disks") or []:
            if disk["label"] == label:
                return disk
        return {}

    def wait_writing(self, vm, label, seconds=PATIENCE):
        """A case whose guest was not really writing proves nothing."""
        first = {}

        def moves():
            now = self.disk(vm, label).get("write_operations")
            if now is None:
                return False
            return now > first.setdefault("count", now)
        wait_for(moves, seconds, f"{vm.name} {label} does not write")

    def wait_known(self, vm, label):
        """Of a disk that was seen to write too seldom silence means nothing: nobody asks what is in flight."""
        wait_for(lambda: self.disk(vm, label)["longest_gap_s"] is not None and self.vm(vm)["state"] == "ok", PATIENCE,
                 f"{vm.name} {label} is no writer")


def run(cases):
    """Runs the cases named in argv (all without), as TAP; the process ends with the right status."""
    names = sys.argv[1:] or list(cases)
    failures = 0
    print(f"1..{len(names)}", flush=True)
    for number, name in enumerate(names, 1):
        scratch = Scratch()
        try:
            title = cases[name].__doc__.strip().splitlines()[0].rstrip(".")
            cases[name](scratch)
            print(f"ok {number} - {title}", flush=True)
        except Skipped as reason:
            if os.environ.get("MUST_WORK") == "1":
                failures += 1
                print(f"not ok {number} - {title}\n# must work here, but: {reason}", flush=True)
            else:
                print(f"ok {number} - {title} # SKIP {reason}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failures += 1
            print(f"not ok {number} - {title}\n# {type(error).__name__}: {error}", flush=True)
            for process in scratch.processes:
                with open(process.log, errors="replace") as file:
                    tail = file.read()[-2000:]
                if tail:
                    print("".join(f"# {process.args[0]}: {line}\n" for line in tail.splitlines()), end="")
        finally:
            scratch.close()
    sys.exit(1 if failures else 0)
