#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The libvirt source on a real libvirtd: what it tells, and what its faults do to everybody else.

usage: libvirt.py [CASE...]
"""

import json
import os
import signal
import subprocess
import time

from fixture import PATIENCE, Fuse, Guardian, check, run, wait_for
from libvirtd import ALLOWED_QMP, Libvirtd, file_disk, threads_of

# The guardian asks a VM of libvirt every 10 s (a shared monitor's period), every 2 s while it is suspect.
PERIOD = 10
FAST = "[monitor]\nperiod_shared = 2s\n"


def source_of(guardian):
    return next(source for source in guardian.state()["sources"] if source["name"] == "libvirt")


def daemon_of(guardian):
    daemons = source_of(guardian)["daemons"]
    return daemons[0] if daemons else {}


def answered(guardian, domain):
    entry = guardian.vm(domain) or {}
    return entry if (entry.get("monitor") or {}).get("stage") == "answered" else None


def fresh(guardian, domain, since):
    """A sample that was begun and answered after that moment of time.monotonic()."""
    entry = answered(guardian, domain)
    return entry if entry and entry["sample_age_ms"] / 1000 < time.monotonic() - since else None


def case_tells(scratch):
    """a domain is one VM, with its disks' counters and limits, and QEMU is asked nothing that hurts."""
    libvirtd = Libvirtd(scratch)
    limit = "<iotune><write_bytes_sec>20000000</write_bytes_sec></iotune>"
    busy = libvirtd.create("busy", file_disk(scratch, "vda", "busy", limit) +
                           "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>",
                           does="guardian.write=all")
    idle = libvirtd.create("idle", file_disk(scratch, "vda", "idle"))
    before = len(libvirtd.asked())
    guardian = Guardian(scratch, [busy, idle], settings=FAST)
    wait_for(lambda: answered(guardian, busy) and answered(guardian, idle), PATIENCE, "libvirt does not tell")
    guardian.wait_writing(busy, "vda")
    vms = guardian.state()["vms"]
    check(sorted(vm["name"] for vm in vms) == ["busy", "idle"], f"one VM a domain: {vms}")
    entry = guardian.vm(busy)
    check(entry["source"] == "libvirt" and entry["pid"] == busy.pid, f"{entry}")
    check(entry["run"] == "running" and guardian.vm(idle)["run"] == "paused", "run states")
    check(entry["monitor"]["use"] == "libvirt" and entry["monitor"]["path"] is None, f"{entry['monitor']}")
    check([disk["label"] for disk in entry["disks"]] == ["vda"], f"an empty drive is no disk: {entry['disks']}")
    check(entry["disks"][0]["limit_bytes_per_s"] == 20000000, f"{entry['disks']}")
    check(entry["disks"][0]["storage"].startswith("dev:"), f"{entry['disks']}")
    check(guardian.vm(idle)["disks"][0]["limit_bytes_per_s"] is None, "a limit from nowhere")
    wait_for(lambda: guardian.vm(busy)["state"] == "ok", PATIENCE, "the busy one is ok")
    wait_for(lambda: guardian.vm(busy)["libvirt"]["vcpus"] == 1, PATIENCE, "no figures")
    daemon = daemon_of(guardian)
    check(daemon["state"] == "connected" and daemon["domains"] == 2, f"{daemon}")
    check("connected since" in guardian.ctl("list").stdout, guardian.ctl("list").stdout)
    asked = set(libvirtd.asked()[before:])
    check("query-blockstats" in asked, f"{asked}")
    check(asked <= ALLOWED_QMP, f"libvirtd was made to ask {asked - ALLOWED_QMP}")


def case_freeze(scratch):
    """a freeze below a VM of libvirt is named by what is seen from outside, its neighbours are not."""
    guilty = Fuse(scratch, "guilty", "threads")
    libvirtd = Libvirtd(scratch)  # after the mount, which its namespace would not see
    path = guilty.drive().split("file=")[1].split(",")[0]
    vm = libvirtd.create("guilty", file_disk(scratch, "vda", "guilty", path=path) +
                         file_disk(scratch, "vdb", "beside"), does="guardian.write=all")
    other = libvirtd.create("innocent", file_disk(scratch, "vda", "innocent"), does="guardian.write=all")
    guardian = Guardian(scratch, [vm, other], settings=FAST)
    guardian.wait_writing(vm, "vda")
    guardian.wait_writing(vm, "vdb")
    guardian.wait_writing(other, "vda")
    time.sleep(12)
    guilty.stop()
    disk, _ = wait_for(lambda: guardian.disk(vm, "vda").get("state") == "frozen" and guardian.disk(vm, "vda"),
                       60, "vda was not named frozen")
    check(disk["blocked_thread"], f"without evidence: {disk}")
    check(guardian.disk(vm, "vdb")["state"] != "frozen", f"{guardian.disk(vm, 'vdb')}")
    check(guardian.disk(other, "vda")["state"] == "ok", f"{guardian.disk(other, 'vda')}")
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "did not close")
    check(set(libvirtd.asked()[-40:]) <= ALLOWED_QMP, f"{set(libvirtd.asked()[-40:])}")


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
    time.sleep(30)
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
    fifo = scratch.path("fifo")
    os.mkfifo(fifo)
    hang = ('{"execute":"blockdev-add","arguments":{"driver":"blkdebug","node-name":"hang","config":"%s",'
            '"image":{"driver":"null-co"}}}' % fifo)
    client = subprocess.Popen(libvirtd.inside("virsh", "-c", "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
                                              "qemu-monitor-command", "guilty", hang),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    scratch.processes.append(client)
    client.log = os.devnull
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


def case_many(scratch):
    """of 50 domains one QEMU is stopped: it is named, and the others are sampled on time."""
    libvirtd = Libvirtd(scratch)
    domains = [libvirtd.create(f"vm-{i}", memory=16) for i in range(int(os.environ.get("DOMAINS", "50")))]
    guardian = Guardian(scratch, domains)
    wait_for(lambda: all(answered(guardian, domain) for domain in domains), PATIENCE, "libvirt does not tell of all")
    os.kill(domains[7].pid, signal.SIGSTOP)
    wait_for(lambda: guardian.vm(domains[7])["layer"] == "process-stopped", 40, "it was not named")
    late = []
    for _ in range(2 * PERIOD):
        time.sleep(1)
        for entry in guardian.state()["vms"]:
            if entry["name"] != domains[7].name and entry["sample_age_ms"] > PERIOD * 1000 + 1200:
                late.append((entry["name"], entry["sample_age_ms"]))
    check(not late, f"late: {late}")
    check(all(entry["layer"] == "not-running" for entry in guardian.state()["vms"]
              if entry["name"] != domains[7].name), "the others")
    os.kill(domains[7].pid, signal.SIGCONT)
    wait_for(lambda: answered(guardian, domains[7]), 2 * PERIOD + 5, "no data after it went on")


def drift(guardian, domain):
    """What `drift` says of the domain's disk vda."""
    result = guardian.ctl("drift", domain.name, "--json")
    check(result.returncode in (0, 1), f"drift: {result.stderr}")
    entry = json.loads(result.stdout)["vms"][0]
    check([disk["name"] for disk in entry["disks"]] == ["vda"], f"{entry}")
    disk = entry["disks"][0]
    check(result.returncode == (0 if disk["is_equal"] else 1), f"exit {result.returncode}: {disk}")
    return disk


def expect_limits(guardian, domain, policy, configuration, live):
    wanted = {"policy": policy, "configuration": configuration, "live": live}

    def has_them():
        disk = drift(guardian, domain)
        now = {side: disk[side] and disk[side]["bps_write"] for side in wanted}
        return disk if now == wanted else None
    disk, _ = wait_for(has_them, 60, f"{domain.name} is not {wanted}")
    values = {value for value in wanted.values() if value is not None}
    check(disk["is_equal"] == (len(values) < 2), f"{disk}")
    check([entry["field"] for entry in disk["differences"]] == ([] if disk["is_equal"] else ["bps_write"]), f"{disk}")
    check(disk["live_source"] == "libvirt", f"{disk}")
    return disk


def case_drift(scratch):
    """what libvirt does now and brings at the next start is compared, and QEMU is asked nothing for it."""
    libvirtd = Libvirtd(scratch)
    limit = "<iotune><write_bytes_sec>62914560</write_bytes_sec></iotune>"
    web = libvirtd.create("web", file_disk(scratch, "vda", "web", limit) +
                          "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>", is_persistent=True)
    beside = libvirtd.create("beside", file_disk(scratch, "vda", "beside", limit))
    os.makedirs(scratch.path("etc/vm.d"))
    with open(scratch.path("etc/vm.d/web.conf"), "w") as file:
        file.write("[Match]\nname = web\n[disk vda]\nmbps_wr = 60.0\n")
    guardian = Guardian(scratch, [web, beside], settings=FAST + "[enforce]\nthrottle = enforce\n")
    wait_for(lambda: answered(guardian, web) and answered(guardian, beside), 60, "libvirt does not tell")
    before = len(libvirtd.asked())
    expect_limits(guardian, web, 62914560, 62914560, 62914560)
    check(set(libvirtd.asked()[before:]) <= ALLOWED_QMP, f"{set(libvirtd.asked()[before:])}")
    tune = ("blkdeviotune", "web", "vda", "--write-bytes-sec")
    libvirtd.virsh(*tune, "31457280", "--live")
    disk = expect_limits(guardian, web, 62914560, 62914560, 31457280)
    check("virsh blkdeviotune" in disk["outcome"], f"{disk}")
    # what libvirt fills in when it is told is no difference: a group's name, lengths
    libvirtd.virsh(*tune, "62914560", "--live")
    expect_limits(guardian, web, 62914560, 62914560, 62914560)
    libvirtd.virsh(*tune, "1048576", "--config")
    expect_limits(guardian, web, 62914560, 1048576, 62914560)
    expect_limits(guardian, beside, None, None, 62914560)
    shown = guardian.ctl("drift", "beside")
    check(shown.returncode == 0 and "the domain is transient" in shown.stdout, shown.stdout)


run({name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")})
