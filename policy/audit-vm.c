/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit-rules.h"

#include "units.h"

/* Below this the kernel's OOM killer takes nearly everything else of the host first. */
#define SCORE_LOW (-900)
/* A guest of this size on a monitor that others hold is asked too seldom to be worth the risk. */
#define HUGE_GUEST_BYTES ((guint64)64 << 30)
/* Machine types are kept for about six years, five majors. */
#define MACHINE_MAJOR_OLD 5

#define LIBVIRT_MONITOR                                                                            \
    "[monitor] own = yes for it, and virsh edit {vm}: <qemu:commandline "                          \
    "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-qmp'/><qemu:arg "   \
    "value='unix:/run/vm-guardian/qmp/{vm}.sock,server=on,wait=off'/></qemu:commandline>"

#define OWN_MONITOR                                                                                \
    {                                                                                              \
        [AUDIT_BARE] =                                                                             \
            "a second -qmp unix:/run/vm-guardian/qmp/{vm}.sock,server=on,wait=off" RESTART_BARE,   \
        [AUDIT_PROXMOX] =                                                                          \
            "qm set {vm} --args '-qmp "                                                            \
            "unix:/run/vm-guardian/qmp/{vm}.sock,server=on,wait=off'" RESTART_PROXMOX,             \
        [AUDIT_LIBVIRT] = LIBVIRT_MONITOR RESTART_LIBVIRT                                          \
    }

static char *
find_low_limit(const AuditVm *vm)
{
    g_autofree char *limit = NULL, *guest = NULL, *floor = NULL;

    if (vm->limit_bytes == 0 || vm->guest_ram_bytes == 0 || vm->floor_bytes == 0 ||
        vm->limit_bytes >= vm->guest_ram_bytes + vm->floor_bytes)
        return NULL;
    limit = units_format_size_short(vm->limit_bytes);
    guest = units_format_size_short(vm->guest_ram_bytes);
    floor = units_format_size_short(vm->floor_bytes);
    return g_strdup_printf(
        "limit %s is less than guest %s and the %s beside it: it will be killed when "
        "the guest fills its RAM",
        limit, guest, floor);
}

static char *
find_high(const AuditVm *vm)
{
    return vm->has_high == AUDIT_YES
               ? g_strdup(
                     "memory.high is set on its group: without swap it throttles the VM for ever "
                     "instead of killing it")
               : NULL;
}

static char *
find_group_kill(const AuditVm *vm)
{
    return vm->kills_whole_group == AUDIT_YES
               ? g_strdup("memory.oom.group=1: one OOM takes QEMU and every helper at once")
               : NULL;
}

static char *
find_throttled_swap(const AuditVm *vm)
{
    return vm->swaps_at_a_limit == AUDIT_YES
               ? g_strdup("the host's swap lies on a disk whose use is limited for its group "
                          "(io.max), and its swap has no cap: swapped pages come back at that "
                          "limit while the guest stands")
               : NULL;
}

static char *
find_score(const AuditVm *vm)
{
    if (!vm->has_oom_score_adj)
        return NULL;
    if (vm->oom_score_adj <= SCORE_LOW)
        return g_strdup_printf(
            "oom_score_adj %d: when the host runs out of memory its own daemons die "
            "before this VM",
            vm->oom_score_adj);
    return vm->oom_score_adj == 1000 ? g_strdup("oom_score_adj 1000: it dies for what others took")
                                     : NULL;
}

static char *
find_mute_balloon(const AuditVm *vm)
{
    return vm->has_balloon == AUDIT_YES && vm->balloon_reports == AUDIT_NO
               ? g_strdup("a balloon without free-page-reporting: what the guest frees stays taken")
               : NULL;
}

static char *
find_shared_monitor(const AuditVm *vm)
{
    return vm->has_own_monitor == AUDIT_NO && vm->guest_ram_bytes >= HUGE_GUEST_BYTES
               ? g_strdup(
                     "a huge guest whose only monitor belongs to its manager: it is asked every "
                     "10 s only, and not at all while somebody holds it")
               : NULL;
}

static char *
find_no_monitor(const AuditVm *vm)
{
    return vm->has_own_monitor == AUDIT_NO && vm->guest_ram_bytes < HUGE_GUEST_BYTES
               ? g_strdup("no monitor of our own: it is asked every 10 s, not every 2")
               : NULL;
}

static char *
find_mixed_pages(const AuditVm *vm)
{
    return vm->mixes_hugepages == AUDIT_YES
               ? g_strdup(
                     "some of its RAM is in huge pages and some is not: limits count only a part")
               : NULL;
}

static char *
find_no_watchdog(const AuditVm *vm)
{
    return vm->has_watchdog == AUDIT_NO
               ? g_strdup("no watchdog device: a guest that hangs stays so until a human looks")
               : NULL;
}

static char *
find_no_serial(const AuditVm *vm)
{
    return vm->has_serial == AUDIT_NO
               ? g_strdup("no serial line: what the guest's kernel said before it froze is lost")
               : NULL;
}

static char *
find_no_panic_device(const AuditVm *vm)
{
    return vm->has_panic_device == AUDIT_NO
               ? g_strdup("no pvpanic device: a panic looks like an idle guest")
               : NULL;
}

static char *
find_old_machine(const AuditVm *vm)
{
    return vm->machine_major > 0 && vm->machine_major < MACHINE_MAJOR_OLD
               ? g_strdup_printf(
                     "machine type of QEMU %u: newer QEMUs drop it, and it keeps old faults",
                     vm->machine_major)
               : NULL;
}

const AuditRule audit_vm_rules[] = {
    {"memory-limit-too-low",
     AUDIT_DANGER,
     NULL,
     find_low_limit,
     "guardianctl overhead",
     NULL,
     {[AUDIT_BARE] = "raise the limit: guardianctl limits plan {vm}",
      [AUDIT_KUBEVIRT] = "annotation harvesterhci.io/reservedMemory, or a larger additional "
                         "ratio" RESTART_KUBEVIRT}},
    {"memory-high",
     AUDIT_DANGER,
     NULL,
     find_high,
     "measured: a group in the band never ends",
     NULL,
     {[AUDIT_BARE] = "MemoryHigh=infinity for its unit, or echo max > memory.high of its group"}},
    {"oom-group",
     AUDIT_NOTE,
     NULL,
     find_group_kill,
     "kubelet sets it since 1.28",
     NULL,
     {[AUDIT_BARE] = "OOMPolicy=continue for its unit, where helpers should survive",
      [AUDIT_KUBEVIRT] = "kubelet: singleProcessOOMKill: true, where the launcher should survive"}},
    {"swap-on-throttled-disk",
     AUDIT_WARNING,
     NULL,
     find_throttled_swap,
     "kernel, cgroup-v2: io.max counts the reads of swapped pages, too",
     NULL,
     {[AUDIT_BARE] = "MemorySwapMax=0 for its unit, or echo 0 > memory.swap.max of its group"}},
    {"oom-score",
     AUDIT_WARNING,
     NULL,
     find_score,
     "kernel: badness counts rss and oom_score_adj",
     NULL,
     {[AUDIT_BARE] = "OOMScoreAdjust= of whatever starts it, near 0",
      [AUDIT_KUBEVIRT] =
          "a memory request near its limit: the adjustment follows from it" RESTART_KUBEVIRT}},
    {"balloon-without-reporting",
     AUDIT_NOTE,
     NULL,
     find_mute_balloon,
     "QEMU, virtio-balloon",
     NULL,
     {[AUDIT_BARE] = "free-page-reporting=on for the balloon device" RESTART_BARE,
      [AUDIT_LIBVIRT] = "virsh edit {vm}: <memballoon freePageReporting='on'/>" RESTART_LIBVIRT}},
    {"shared-monitor-of-a-huge-guest", AUDIT_WARNING, NULL, find_shared_monitor,
     "one client at a time: QEMU's monitor", NULL, OWN_MONITOR},
    {"no-own-monitor", AUDIT_NOTE, NULL, find_no_monitor, "one client at a time: QEMU's monitor",
     NULL, OWN_MONITOR},
    {"mixed-hugepages",
     AUDIT_NOTE,
     NULL,
     find_mixed_pages,
     "kernel: hugetlb is charged apart",
     NULL,
     {[AUDIT_BARE] = "all of its RAM backends in huge pages, or none" RESTART_BARE}},
    {"no-watchdog",
     AUDIT_NOTE,
     NULL,
     find_no_watchdog,
     "a freeze needs an autopsy",
     NULL,
     {[AUDIT_BARE] = "-device i6300esb and a watchdog daemon in the guest" RESTART_BARE,
      [AUDIT_PROXMOX] = "qm set {vm} --watchdog model=i6300esb,action=reset" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: <watchdog model='i6300esb' action='reset'/>" RESTART_LIBVIRT,
      [AUDIT_KUBEVIRT] = "a watchdog (i6300esb) in the VirtualMachine" RESTART_KUBEVIRT}},
    {"no-serial",
     AUDIT_NOTE,
     NULL,
     find_no_serial,
     "a freeze needs an autopsy",
     NULL,
     {[AUDIT_BARE] = "-serial to a log file, console=ttyS0 in the guest" RESTART_BARE,
      [AUDIT_PROXMOX] = "qm set {vm} --serial0 socket, console=ttyS0 in the guest" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: <serial type='pty'> with <log file=...>" RESTART_LIBVIRT}},
    {"no-panic-device",
     AUDIT_NOTE,
     NULL,
     find_no_panic_device,
     "a panic is told from a freeze by it",
     NULL,
     {[AUDIT_BARE] = "-device pvpanic" RESTART_BARE,
      [AUDIT_PROXMOX] = "qm set {vm} --args '-device pvpanic'" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] = "virsh edit {vm}: <panic model='isa'/>" RESTART_LIBVIRT}},
    {"old-machine-type",
     AUDIT_NOTE,
     NULL,
     find_old_machine,
     "QEMU, deprecated machine types",
     "Windows may see new hardware after the change: have its licence key at hand",
     {[AUDIT_BARE] = "a machine type of today" RESTART_BARE,
      [AUDIT_PROXMOX] = "qm set {vm} --machine <newest of its family>" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: <type machine='q35'> or 'pc', without a version" RESTART_LIBVIRT}},
};
const guint audit_n_vm_rules = G_N_ELEMENTS(audit_vm_rules);
