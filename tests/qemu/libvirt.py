#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The libvirt source on a real libvirtd: what it tells, what it may be told, and its hook.

usage: libvirt.py [CASE...]
"""

import os
import shutil
import signal
import statistics
import time
from types import SimpleNamespace

from fixture import (BUILD, PATIENCE, SOURCE, Fuse, Group, Guardian, Nbd, Skipped, Vm, check, join_group, run,
                     wait_for)
from libvirtd import (ALLOWED_QMP, FAST, PASSED_QMP, Libvirtd, answered, daemon_of, file_disk, network_disk,
                      threads_of)

# What libvirtd asks a QEMU because of virsh start, resume, suspend, destroy and blkdeviotune.
START_QMP = {"qmp_capabilities", "qom-list-properties", "query-chardev", "query-block", "query-cpu-model-expansion",
             "query-named-block-nodes", "query-hotpluggable-cpus", "query-current-machine", "query-version",
             "query-migrate-capabilities", "migrate-set-capabilities", "cont", "stop", "block_set_io_throttle",
             "system_reset", "balloon", "qom-set", "query-rx-filter", "query-jobs", "set_link", "quit"}
# Nothing is looked for before an hour is over, where this is wanted; it takes half a second on a calm machine.
TOLD_MAX = 20
# A start calls the hook three times (prepare, start, started): shells, and one guardianctl. They take 8 ms on
# a calm machine.
HOOKS_MAX = 0.03
# Starts of each kind, in turn: a machine that gets slower meanwhile is slower for all.
STARTS = 15


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


def case_passthrough(scratch):
    """where that is allowed QEMU is asked through libvirt for a suspect's virtqueues, and for nobody else's."""
    libvirtd = Libvirtd(scratch)
    guilty, innocent = Nbd(scratch, "guilty"), Nbd(scratch, "innocent")
    vm = libvirtd.create("guilty", network_disk("vda", guilty), does="guardian.write=all")
    other = libvirtd.create("innocent", network_disk("vda", innocent), does="guardian.write=all")
    guardian = Guardian(scratch, [vm, other], settings=FAST + "[libvirt]\npassthrough = suspect\n")
    for each in (vm, other):
        guardian.wait_known(each, "vda")
        check(not libvirtd.is_tainted(each.name), f"{each.name} was asked without need")
    guilty.stop()
    disk, seconds = wait_for(lambda: guardian.disk(vm, "vda").get("state") == "frozen" and guardian.disk(vm, "vda"),
                             3 * PATIENCE, "it was not named frozen")
    print(f"# named after {seconds:.0f} s, {disk['layer']}: {disk['inflight']} in flight", flush=True)
    check(disk["inflight"] > 0, f"without evidence: {disk}")
    check(guardian.disk(other, "vda")["state"] == "ok", f"{guardian.disk(other, 'vda')}")
    check(libvirtd.is_tainted("guilty"), "libvirt does not mark what was asked")
    check(not libvirtd.is_tainted("innocent"), "the innocent was asked, too")
    check(set(libvirtd.asked()[-40:]) <= ALLOWED_QMP | PASSED_QMP, f"{set(libvirtd.asked()[-40:])}")
    guilty.heal()
    wait_for(lambda: guardian.vm(vm)["state"] == "ok", PATIENCE, "did not close")


def spread(seconds):
    """Between the quarters: what starts of one kind differ by."""
    quarters = statistics.quantiles(seconds, n=4)
    return quarters[2] - quarters[0]


def case_hook(scratch):
    """with the hook installed a VM starts as fast as without, also beside a stopped guardian, and is
    known at once."""
    libvirtd = Libvirtd(scratch)
    libvirtd.create("web", is_persistent=True)
    libvirtd.virsh("destroy", "web")
    beside = Vm(scratch, "hook-beside", paused=True)
    guardian = Guardian(scratch, [beside, SimpleNamespace(name="web")], settings="discovery_period = 1h\n")
    with open(os.path.join(SOURCE, "contrib/hooks/libvirt/vm-guardian")) as file:
        text = file.read().replace("guardianctl hook", f"{BUILD}/guardianctl hook --run-root={guardian.run}")
    check(BUILD in text, text)
    hook = libvirtd.install_hook(text)

    def start(is_hooked):
        os.chmod(hook, 0o755 if is_hooked else 0o644)
        begin = time.monotonic()
        libvirtd.virsh("start", "web", "--paused")
        took = time.monotonic() - begin
        return took, libvirtd.domain("web")

    def end():
        libvirtd.virsh("destroy", "web")

    def known():
        return [entry["name"] for entry in guardian.state()["vms"]]

    wait_for(lambda: known() == [beside.name], PATIENCE, "it does not look")
    start(False)
    time.sleep(5)
    check(known() == [beside.name], "known although nobody said so")
    end()
    _, vm = start(True)
    wait_for(lambda: guardian.vm(vm)["pid"] == vm.pid, PATIENCE, "the hook was not heard")
    end()
    took = {"without": [], "with": [], "stopped": []}
    for i in range(STARTS):
        # each kind comes first, second and last as often as the others
        for kind in (list(took) * 2)[i % 3:i % 3 + 3]:
            guardian.process.send_signal(signal.SIGSTOP if kind == "stopped" else signal.SIGCONT)
            if kind != "stopped":
                known()  # it has heard what waited for it
            took[kind].append(start(kind != "without")[0])
            end()
    guardian.process.send_signal(signal.SIGCONT)
    for kind, seconds in took.items():
        print(f"# start {kind}: median {statistics.median(seconds) * 1000:.0f} ms, "
              f"{min(seconds) * 1000:.0f} to {max(seconds) * 1000:.0f}, spread {spread(seconds) * 1000:.0f}", flush=True)
    allowed = HOOKS_MAX + spread(took["without"])
    for kind in ("with", "stopped"):
        late = statistics.median(hooked - alone for hooked, alone in zip(took[kind], took["without"]))
        print(f"# start {kind}: {late * 1000:+.0f} ms, paired; {allowed * 1000:.0f} are noise", flush=True)
        check(late < allowed, f"{kind} the hook a start takes {late:.3f} s longer")
    wait_for(lambda: known() == [beside.name], PATIENCE, "it does not go on")


def foreign_writes(guardian, vm):
    entry = guardian.vm(vm)
    return entry["foreign_writes_day"], entry["foreign_equal_writes_day"]


def case_events(scratch):
    """what libvirtd tells by itself is known at once, without a hook: a start, a stop, a pause, and a foreign
    write of limits that are what they were."""
    libvirtd = Libvirtd(scratch)
    limit = "<iotune><write_bytes_sec>62914560</write_bytes_sec></iotune>"
    beside = libvirtd.create("beside", file_disk(scratch, "vda", "beside", limit))
    libvirtd.create("web", file_disk(scratch, "vda", "web", limit), is_persistent=True)
    libvirtd.virsh("destroy", "web")
    # nothing is looked for or asked before an hour is over: what is known sooner was told
    guardian = Guardian(scratch, [beside, SimpleNamespace(name="web")],
                        settings="discovery_period = 1h\n[monitor]\nperiod_shared = 1h\n")
    wait_for(lambda: answered(guardian, beside), PATIENCE, "libvirt does not tell")
    wait_for(lambda: daemon_of(guardian)["tells_events"], PATIENCE, "it is not heard")
    threads = threads_of(guardian.process.pid)
    before = len(libvirtd.asked())

    libvirtd.virsh("start", "web", "--paused")
    web = libvirtd.domain("web")
    _, seconds = wait_for(lambda: guardian.vm(web)["pid"] == web.pid and answered(guardian, web), PATIENCE,
                          "its start is not known")
    print(f"# its start was known {seconds:.1f} s after virsh returned", flush=True)
    check(seconds < TOLD_MAX, "it was found, not told")
    libvirtd.virsh("resume", "web")
    _, seconds = wait_for(lambda: guardian.vm(web)["run"] == "running", PATIENCE, "that it runs is not known")
    print(f"# that it runs: {seconds:.1f} s", flush=True)
    check(seconds < TOLD_MAX, "it was found, not told")
    libvirtd.virsh("suspend", "web")
    wait_for(lambda: guardian.vm(web)["run"] == "paused", PATIENCE, "that it pauses is not known")
    check(foreign_writes(guardian, web) == (0, 0), f"{guardian.vm(web)}")

    tune = ("blkdeviotune", "web", "vda", "--live", "--write-bytes-sec")
    libvirtd.virsh(*tune, "62914560")
    wait_for(lambda: foreign_writes(guardian, web) == (1, 1), PATIENCE, "an equal write is not counted")
    libvirtd.virsh(*tune, "31457280")
    wait_for(lambda: foreign_writes(guardian, web) == (2, 1), PATIENCE, "a write that changes is not counted")
    wait_for(lambda: guardian.disk(web, "vda")["limit_bytes_per_s"] == 31457280, PATIENCE, "the new limit")
    check(foreign_writes(guardian, beside) == (0, 0), f"{guardian.vm(beside)}")
    check(guardian.disk(beside, "vda")["limit_bytes_per_s"] == 62914560, "the limit of the other")

    libvirtd.virsh("destroy", "web")
    _, seconds = wait_for(lambda: guardian.vm(web) is None, PATIENCE, "its end is not known")
    print(f"# its end: {seconds:.1f} s", flush=True)
    check(seconds < TOLD_MAX, "it was found, not told")
    check(guardian.vm(beside) is not None, "the other is gone, too")
    asked = set(libvirtd.asked()[before:])
    # what virsh itself made libvirtd ask
    check(asked <= ALLOWED_QMP | START_QMP, f"{asked - ALLOWED_QMP - START_QMP}")
    check(threads_of(guardian.process.pid) <= threads + 1, "threads grow")
    check(len([line for line in guardian.log().splitlines() if "libvirt /" in line]) == 1, guardian.log())


class Pod:
    """A compute container as kubelet and its runtime name it, with the processes beside QEMU."""

    def __init__(self, scratch, name, container, vmi):
        self.container = container
        self.name = f"prod/{name}-{os.getpid()}"
        fifo = scratch.path(name + ".fifo")
        os.mkfifo(fifo)
        words = ["--qemu-timeout", "338s", "--name", self.name.split("/")[1], "--uid", vmi, "--namespace", "prod"]
        for program in ("virt-launcher-monitor", "virt-launcher", "virtqemud", "virtlogd"):
            path = scratch.path(program)
            if not os.path.exists(path):
                shutil.copy("/bin/bash", path)
            scratch.spawn(path, "-c", 'exec 9<>"$0"; read -r -u 9', fifo, *words,
                          preexec_fn=lambda: join_group(container.directory))

    def roles(self, state):
        entry = next(vm for vm in state["vms"] if vm["name"] == self.name)
        # the proxy of the test is in the container, too, as a stranger
        return {beside["role"]: beside["processes"] for beside in entry["beside"] if beside["role"] != "stranger"}


def case_together(scratch):
    """VMs of Proxmox, libvirt, KubeVirt (containerd and CRI-O) and a bare one are listed at once, each with
    its own name, helpers, tightest limit and disks."""
    if not Group.is_possible():
        raise Skipped("needs root and a memory cgroup of its own")
    top = Group(scratch, "vm-guardian-together")
    uids = ["4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01", "5f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f02"]
    ids = ["1" * 64, "2" * 64]
    burstable = Group(scratch, "kubepods-burstable.slice", parent=Group(scratch, "kubepods.slice", parent=top))
    wide = Group(scratch, f"kubepods-burstable-pod{uids[0].replace('-', '_')}.slice", 4 << 30, burstable)
    containerd = Pod(scratch, "db", Group(scratch, f"cri-containerd-{ids[0]}.scope", 400 << 20, wide), uids[0])
    tight = Group(scratch, f"pod{uids[1]}", 450 << 20, Group(scratch, "kubepods", parent=top))
    crio = Pod(scratch, "web", Group(scratch, f"crio-{ids[1]}", 600 << 20, tight), uids[1])
    machine = Group(scratch, "qemu-1-store.libvirt-qemu", 350 << 20, Group(scratch, "machine", parent=top))
    scope = Group(scratch, "100.scope", 512 << 20, Group(scratch, "qemu.slice", parent=top))
    libvirtd = Libvirtd(scratch)
    run_root = scratch.path("run")
    os.makedirs(os.path.join(run_root, "qemu-server"))

    domain = libvirtd.create("store", file_disk(scratch, "vda", "store"), does="guardian.write=all")
    with open(os.path.join(machine.directory, "cgroup.procs"), "w") as file:
        file.write(str(domain.pid))
    pods = [Vm(scratch, f"pod-{i}", [Nbd(scratch, f"nbd-{i}").drive()], group=pod.container.directory)
            for i, pod in enumerate((containerd, crio))]
    proxmox = Vm(scratch, "proxmox", [Nbd(scratch, "nbd-proxmox").drive()], is_ours=False,
                 path=os.path.join(run_root, "qemu-server/100.qmp"), group=scope.directory)
    with open(os.path.join(run_root, "qemu-server/100.pid"), "w") as file:
        file.write(f"{proxmox.pid}\n")
    bare = Vm(scratch, "bare", [Nbd(scratch, "nbd-bare").drive()])
    names = {"kubevirt": [containerd.name, crio.name], "libvirt": ["store"], "proxmox": [proxmox.name],
             "bare": [bare.name]}
    guardian = Guardian(scratch, [SimpleNamespace(name=name) for kind in names.values() for name in kind],
                        run_root=run_root, settings=FAST)
    # the pods' helpers are read on a slower round than their disks
    wait_for(lambda: all(vm["disks"][0]["write_operations"] > 3 and vm["state"] == "ok" and vm["beside"] is not None
                         for vm in guardian.state()["vms"]) and len(guardian.state()["vms"]) == 5, PATIENCE,
             "not all write and are fine")
    state = guardian.state()
    vms = {vm["name"]: vm for vm in state["vms"]}
    check({kind: sorted(vm["name"] for vm in state["vms"] if vm["source"] == kind) for kind in names} ==
          {kind: sorted(listed) for kind, listed in names.items()}, f"{[(vm['name'], vm['source']) for vm in state['vms']]}")
    check([vms[pod.name]["pod"]["uid"] for pod in (containerd, crio)] == uids, "pods")
    check([vms[pod.name]["pod"]["container"] for pod in (containerd, crio)] == ids, "containers")
    check([(vms[pod.name]["pod"]["runtime"], vms[pod.name]["pod"]["qos"]) for pod in (containerd, crio)] ==
          [("containerd", "burstable"), ("cri-o", "guaranteed")], f"{vms[crio.name]['pod']}")
    check([vms[pod.name]["id"] for pod in (containerd, crio)] == uids, "what virt-launcher says")
    for name, group, limit, kind in (
            (containerd.name, containerd.container, 400, "container"), (crio.name, tight, 450, "pod"),
            ("store", machine, 350, None), (proxmox.name, scope, 512, "scope")):
        tightest = vms[name]["domain"]["limits"][0]
        check((tightest["group"], tightest["limit_bytes"]) == (group.name, limit << 20), f"{name}: {tightest}")
        check(kind in (None, tightest["kind"]), f"{name}: {tightest}")
        check(tightest["headroom_bytes"] == (limit << 20) - tightest["unreclaimable_bytes"], f"{name}: {tightest}")
    check(vms[bare.name]["memory"]["limit_bytes"] is None, f"{vms[bare.name]['memory']}")
    for pod in (containerd, crio):
        check(pod.roles(state) == {"virt-launcher-monitor": 1, "virt-launcher": 1, "virtqemud": 1, "virtlogd": 1},
              f"{pod.name}: {pod.roles(state)}")
    check({vm["name"]: [disk["label"] for disk in vm["disks"]] for vm in state["vms"]} ==
          {name: ["vda" if name == "store" else "virtio0"] for name in vms}, f"{state['vms']}")
    text = guardian.ctl("status").stdout
    check("5 VMs: 5 ok" in text and "proxmox 1, kubevirt 2, libvirt 1, bare 1" in text, text)
    print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)
    for vm in (*pods, proxmox, bare):
        vm.check_asked()


run({name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")})
