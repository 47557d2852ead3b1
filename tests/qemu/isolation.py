#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the faults of one VM, or of a libvirtd, do to everybody else: nothing, on a real libvirtd.

usage: isolation.py [CASE...]
"""

import os
import signal
import statistics
import subprocess
import threading
import time
from types import SimpleNamespace

from fixture import BUILD, PATIENCE, Fuse, Guardian, Nbd, Vm, check, run, wait_for
from libvirtd import FAST, Libvirtd, answered, daemon_of, file_disk, fresh, threads_of

# The guardian asks a VM of libvirt every 10 s: a shared monitor's period.
PERIOD = 10
# What one VM may cost another.
DELAY_MAX = 0.2
# How many samples of a VM are looked at for each fault.
SAMPLES = 6
# Libvirtd is stopped for minutes, as by a debugger or a dead disk of its own.
STOPPED_SECONDS = 130


def hold_job(scratch, libvirtd, name):
    """A client of libvirtd has the domain's job and does not give it back, because QEMU's main loop hangs."""
    fifo = scratch.path("fifo")
    os.mkfifo(fifo)
    hang = ('{"execute":"blockdev-add","arguments":{"driver":"blkdebug","node-name":"hang","config":"%s",'
            '"image":{"driver":"null-co"}}}' % fifo)
    client = subprocess.Popen(libvirtd.inside("virsh", "-c", "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
                                              "qemu-monitor-command", name, hang),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    scratch.processes.append(client)
    client.log = os.devnull


def case_faults(scratch):
    """a libvirtd that is killed, restarted, stopped and continued is told of once each, and costs no thread."""
    libvirtd = Libvirtd(scratch)
    vm = libvirtd.create("web", file_disk(scratch, "vda", "web"))
    guardian = Guardian(scratch, [vm], settings=FAST)
    wait_for(lambda: answered(guardian, vm), PATIENCE, "libvirt does not tell")
    threads = threads_of(guardian.process.pid)
    libvirtd.kill()
    wait_for(lambda: daemon_of(guardian).get("state") == "down", 40, "not told that it is down")
    check(guardian.vm(vm)["state"] == "unknown", f"nobody is accused: {guardian.vm(vm)}")
    text = guardian.ctl("status").stdout
    check(": down since " in text, text)
    time.sleep(8)
    libvirtd.start()
    back = time.monotonic()
    _, seconds = wait_for(lambda: fresh(guardian, vm, back), 3 * PERIOD, "no data after the restart")
    check(seconds <= 2 * PERIOD, f"full data only after {seconds:.1f} s")
    libvirtd.stop()
    wait_for(lambda: daemon_of(guardian).get("state") == "silent", 40, "not told that it is silent")
    check(guardian.vm(vm)["state"] == "unknown", f"nobody is accused: {guardian.vm(vm)}")
    time.sleep(STOPPED_SECONDS)
    check(daemon_of(guardian)["set_aside"] <= 4, f"{daemon_of(guardian)}")
    libvirtd.resume()
    back = time.monotonic()
    _, seconds = wait_for(lambda: fresh(guardian, vm, back), 3 * PERIOD, "no data after it went on")
    check(seconds <= 2 * PERIOD, f"full data only after {seconds:.1f} s")
    wait_for(lambda: threads_of(guardian.process.pid) <= threads + 1, 20, "threads grow")
    lines = [line for line in guardian.log().splitlines() if "libvirt /" in line]
    check(len(lines) <= 6, "one line a change:\n" + "\n".join(lines))
    check("alert" not in guardian.log(), guardian.log())


def case_silent_vm(scratch):
    """a VM whose main loop does not answer libvirt is unknown, not accused, and may vanish in mid-call."""
    libvirtd = Libvirtd(scratch)
    vm = libvirtd.create("guilty", file_disk(scratch, "vda", "guilty"))
    other = libvirtd.create("innocent", file_disk(scratch, "vda", "innocent"))
    guardian = Guardian(scratch, [vm, other], settings=FAST)
    wait_for(lambda: answered(guardian, vm) and answered(guardian, other), PATIENCE, "libvirt does not tell")
    hold_job(scratch, libvirtd, "guilty")
    entry, _ = wait_for(lambda: (guardian.vm(vm) or {}).get("layer") == "socket-busy" and guardian.vm(vm), 40,
                        "the silence was not told")
    check(entry["state"] == "unknown" and "another job" in entry["monitor"]["problem"], f"{entry}")
    begin = time.monotonic()
    wait_for(lambda: fresh(guardian, other, begin), 10, "the other waits for it")
    check(daemon_of(guardian)["state"] == "connected", f"{daemon_of(guardian)}")
    time.sleep(15)
    begin = time.monotonic()
    wait_for(lambda: fresh(guardian, other, begin), 10, "the other waits for it")
    check(daemon_of(guardian)["set_aside"] <= 4, f"{daemon_of(guardian)}")
    os.kill(vm.pid, signal.SIGKILL)
    wait_for(lambda: guardian.vm(vm) is None, PATIENCE, "it does not go")
    begin = time.monotonic()
    wait_for(lambda: fresh(guardian, other, begin), 10, "the other waits for it")
    check("alert" not in guardian.log(), guardian.log())


class Watch:
    """From entering to leaving: how much later than it was due each sample was complete, by the loop's own
    clock, as delays[name] in seconds; and noise, the longest time that this machine let somebody wait who
    wanted to run."""

    def __init__(self, guardian, names):
        self.guardian, self.names = guardian, names
        self.found, self.noise, self.is_over = {name: {} for name in names}, 0, threading.Event()
        self.threads = [threading.Thread(target=target) for target in (self.look, self.rest)]

    def __enter__(self):
        self.earlier = {entry["name"]: entry["sampled_utc"] for entry in self.guardian.state()["vms"]}
        for thread in self.threads:
            thread.start()
        return self

    def look(self):
        while not self.is_over.wait(0.3):
            for entry in self.guardian.state()["vms"]:
                if entry["name"] in self.found and entry["sampled_utc"] != self.earlier[entry["name"]]:
                    self.found[entry["name"]][entry["sampled_utc"]] = \
                        (entry["sample_late_ms"] + entry["sample_took_ms"]) / 1000

    def rest(self):
        while not self.is_over.is_set():
            begin = time.monotonic()
            time.sleep(0.01)
            self.noise = max(self.noise, time.monotonic() - begin - 0.01)

    def wait_for(self, n_samples):
        """That many more of each."""
        before = {name: len(samples) for name, samples in self.found.items()}
        wait_for(lambda: all(len(self.found[name]) >= before[name] + n_samples for name in self.names), PATIENCE,
                 f"no {n_samples} samples of each")

    @property
    def delays(self):
        return {name: list(samples.values()) for name, samples in self.found.items()}

    def in_all(self):
        """As if all were one VM, for many."""
        return SimpleNamespace(delays={"any": [delay for samples in self.delays.values() for delay in samples]},
                               noise=self.noise)

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def worst_of(delays):
    """The latest; of many the latest but a tenth, which met other processes of this machine."""
    return sorted(delays)[-1 - len(delays) // 10]


def expect_no_delay(what, watch, calm):
    """calm: the same VMs without the fault."""
    for name, now in watch.delays.items():
        usual, worst = statistics.median(calm.delays[name]), worst_of(calm.delays[name])
        print(f"# {what}: {name} complete {statistics.median(now) * 1000:.0f} ms after it was due, at most "
              f"{worst_of(now) * 1000:.0f} of {len(now)}; without {usual * 1000:.0f}, at most {worst * 1000:.0f}; the "
              f"machine lets wait {watch.noise * 1000:.0f}", flush=True)
        check(statistics.median(now) - usual < DELAY_MAX, f"{what}: {name}: {now}, without {calm.delays[name]}")
        # one sample alone may have met another process of this machine
        check(worst_of(now) - worst < DELAY_MAX + 3 * watch.noise, f"{what}: {name}: {now}, without {calm.delays[name]}")


def look_around(guardian):
    """At all processes and libvirtds, now, as after a hook."""
    subprocess.run([os.path.join(BUILD, "guardianctl"), "hook", f"--run-root={guardian.run}", "libvirt",
                    "somebody", "started", "begin"], stdin=subprocess.DEVNULL, check=True)


def hang_command_line(scratch, guardian, hung):
    """A new VM whose command line cannot be read by the guardian, from the first look at it: it is on `hung`."""
    nameless = Vm(scratch, "isolation-nameless", paused=True)
    hung.stop()
    subprocess.run(["nsenter", "-t", str(guardian.process.pid), "-m", "mount", "--bind", hung.path,
                    f"/proc/{nameless.pid}/cmdline"], check=True)
    look_around(guardian)
    wait_for(lambda: guardian.state()["stuck_workers"] > 0, PATIENCE, "no command line hangs")


def case_isolation(scratch):
    """a stopped QEMU, a held job, a command line that cannot be read and a libvirtd that is stopped delay no
    other VM's sample by more than 200 ms, from their first moment."""
    hung = Fuse(scratch, "hung", "threads", megabytes=1)
    libvirtd = Libvirtd(scratch)
    stopped, held, beside = (libvirtd.create(name, file_disk(scratch, "vda", name), memory=16)
                             for name in ("stopped", "held", "beside"))
    bare = Vm(scratch, "isolation-bare", [Nbd(scratch, "bare").drive()])
    guardian = Guardian(scratch, [stopped, held, beside, bare, SimpleNamespace(name="isolation-*")],
                        settings="discovery_period = 1h\n" + FAST,
                        wrapper=("unshare", "--mount", "--propagation", "private"))
    wait_for(lambda: all(answered(guardian, vm) for vm in (stopped, held, beside, bare)), PATIENCE, "not all are known")
    both = [beside.name, bare.name]
    threads = threads_of(guardian.process.pid)
    with Watch(guardian, both) as calm:
        calm.wait_for(SAMPLES)
    with Watch(guardian, both) as watch:
        os.kill(stopped.pid, signal.SIGSTOP)
        wait_for(lambda: guardian.vm(stopped)["layer"] == "process-stopped", PATIENCE, "it was not named")
        watch.wait_for(SAMPLES)
    expect_no_delay("stopped QEMU", watch, calm)
    with Watch(guardian, both) as watch:
        hold_job(scratch, libvirtd, "held")
        wait_for(lambda: guardian.vm(held)["layer"] == "socket-busy", PATIENCE, "the silence was not told")
        watch.wait_for(SAMPLES)
    expect_no_delay("and a held job", watch, calm)
    with Watch(guardian, both) as watch:
        hang_command_line(scratch, guardian, hung)
        watch.wait_for(SAMPLES)
    expect_no_delay("and a command line that hangs", watch, calm)
    check(guardian.vm(stopped)["layer"] == "process-stopped" and guardian.vm(held)["layer"] == "socket-busy",
          "a fault healed by itself")
    with Watch(guardian, [bare.name]) as watch:
        libvirtd.stop()
        wait_for(lambda: guardian.vm(beside)["monitor"]["stage"] != "answered", PATIENCE, "libvirtd answers")
        watch.wait_for(SAMPLES)
    expect_no_delay("and libvirtd stopped", watch, calm)
    with Watch(guardian, [bare.name]) as watch:
        libvirtd.kill()
        wait_for(lambda: daemon_of(guardian)["state"] == "down", PATIENCE, "libvirtd is not known to be dead")
        watch.wait_for(SAMPLES)
    expect_no_delay("libvirtd dead", watch, calm)
    check(threads_of(guardian.process.pid) <= threads + 8, "threads grow")
    check(guardian.vm(beside)["state"] == "unknown" and "down since" in guardian.ctl("status").stdout,
          "`status` does not tell what is stale, and since when")
    hung.heal()
    libvirtd.start()
    os.kill(stopped.pid, signal.SIGCONT)
    look_around(guardian)
    wait_for(lambda: answered(guardian, beside) and answered(guardian, stopped), PATIENCE, "no data after they went on")
    bare.check_asked()


def lines_of(guardian, domains):
    """What the log says of each."""
    lines = {domain.name: [] for domain in domains}
    for line in guardian.log().splitlines():
        name, _, text = line.partition(" ")[2].partition(": ")
        if name in lines:
            lines[name].append(text)
    return lines


def case_many(scratch):
    """of 50 domains one QEMU is stopped: it is named, the others are sampled on time, and nothing grows."""
    libvirtd = Libvirtd(scratch)
    domains = [libvirtd.create(f"vm-{i}", memory=16) for i in range(int(os.environ.get("DOMAINS", "50")))]
    guardian = Guardian(scratch, domains)
    wait_for(lambda: all(answered(guardian, domain) for domain in domains), PATIENCE, "libvirt does not tell of all")
    guilty, others = domains[7], domains[:7] + domains[8:]
    threads, before = threads_of(guardian.process.pid), lines_of(guardian, domains)
    with Watch(guardian, [domain.name for domain in others]) as calm:
        calm.wait_for(2)
    with Watch(guardian, [domain.name for domain in others]) as watch:
        os.kill(guilty.pid, signal.SIGSTOP)
        wait_for(lambda: guardian.vm(guilty)["layer"] == "process-stopped", PATIENCE, "it was not named")
        watch.wait_for(2)
    expect_no_delay("one of 50 stopped", watch.in_all(), calm.in_all())
    check(all(entry["layer"] == "not-running" for entry in guardian.state()["vms"] if entry["name"] != guilty.name),
          "the others")
    os.kill(guilty.pid, signal.SIGCONT)
    back = time.monotonic()
    _, seconds = wait_for(lambda: fresh(guardian, guilty, back), 3 * PERIOD, "no data after it went on")
    print(f"# full data {seconds:.1f} s after its return", flush=True)
    check(seconds <= 2 * PERIOD, f"full data only after {seconds:.1f} s")
    # its call that hung has come back, and one lane more may have been opened meanwhile
    wait_for(lambda: threads_of(guardian.process.pid) <= threads + 1, PATIENCE, "threads grow")
    lines = [line for line in guardian.log().splitlines() if "libvirt /" in line]
    check(len(lines) == 1, "libvirt was connected, and nothing else:\n" + "\n".join(lines))
    after = lines_of(guardian, domains)
    said = after.pop(guilty.name)[len(before.pop(guilty.name)):]
    check(0 < len(said) == len(set(said)), "one line a change:\n" + "\n".join(said))
    check(after == before, f"lines about others: {after}, before {before}")


run({name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")})
