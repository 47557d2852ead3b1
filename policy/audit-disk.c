/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit-rules.h"

#define GUEST_DRIVERS                                                                              \
    "the guest's initramfs has virtio_scsi or virtio_blk (Windows: vioscsi), and its fstab and "   \
    "boot "                                                                                        \
    "loader name disks by UUID"

static char *
find_lsi(const AuditDisk *disk)
{
    return disk->controller == CONTROLLER_LSI
               ? g_strdup(
                     "an emulated LSI 53C895A: slow, no iothread, and what it loses nobody sees")
               : NULL;
}

static char *
find_ide(const AuditDisk *disk)
{
    return disk->controller == CONTROLLER_IDE
               ? g_strdup(
                     "an emulated IDE or AHCI controller: one stalled request blocks QEMU's main "
                     "loop after 30 s")
               : NULL;
}

static char *
find_no_iothread(const AuditDisk *disk)
{
    return disk->controller == CONTROLLER_VIRTIO && disk->has_iothread == AUDIT_NO
               ? g_strdup(
                     "its requests run in QEMU's main loop, beside the monitor and everything else")
               : NULL;
}

static char *
find_throttled_iothreads(const AuditDisk *disk)
{
    return disk->has_several_iothreads == AUDIT_YES && disk->has_limit == AUDIT_YES
               ? g_strdup("a limit on a disk that several iothreads serve")
               : NULL;
}

static char *
find_ring(const AuditDisk *disk)
{
    const char *place = NULL;

    if (disk->aio != AIO_URING)
        return NULL;
    if (disk->place == PLACE_THICK_LVM)
        place = "thick LVM";
    else if (disk->place == PLACE_CIFS)
        place = "CIFS";
    else if (disk->place == PLACE_KRBD && disk->is_direct == AUDIT_NO)
        place = "a mapped rbd without O_DIRECT";
    return place ? g_strdup_printf("io_uring on %s", place) : NULL;
}

static char *
find_unsafe_cache(const AuditDisk *disk)
{
    return disk->ignores_flush == AUDIT_YES
               ? g_strdup(
                     "cache=unsafe: the guest's flushes are dropped, a crash of the host loses "
                     "what it believed to be written")
               : NULL;
}

static char *
find_ignored_errors(const AuditDisk *disk)
{
    const char *which = g_strcmp0(disk->werror, "ignore") == 0   ? "werror"
                        : g_strcmp0(disk->rerror, "ignore") == 0 ? "rerror"
                                                                 : NULL;

    return which ? g_strdup_printf("%s=ignore: the guest is told that failed requests went well",
                                   which)
                 : NULL;
}

static char *
find_reported_errors(const AuditDisk *disk)
{
    return g_strcmp0(disk->werror, "report") == 0
               ? g_strdup("werror=report: a full or lost storage makes the guest's file system "
                          "read-only instead of pausing it")
               : NULL;
}

static char *
find_mute_bps(const AuditDisk *disk)
{
    return disk->has_mute_bps ? g_strdup("bps= in the configuration sets no limit at all: Proxmox "
                                         "turns it into 0 MB/s")
                              : NULL;
}

static char *
find_no_burst(const AuditDisk *disk)
{
    return disk->has_limit == AUDIT_YES && disk->has_burst == AUDIT_NO
               ? g_strdup("its limit has no burst: every peak waits for the timer")
               : NULL;
}

static char *
find_refused_limit(const AuditDisk *disk)
{
    return disk->limit_fault ? g_strdup_printf("QEMU refuses its limits: %s", disk->limit_fault)
                             : NULL;
}

static char *
find_stale(const AuditDisk *disk)
{
    return disk->is_stale == AUDIT_YES
               ? g_strdup("QEMU holds a device node whose path is another device today")
               : NULL;
}

const AuditRule audit_disk_rules[] = {
    {"lsi-controller",
     AUDIT_DANGER,
     find_lsi,
     NULL,
     "recorded freezes of 2026 (LSI path, QMP alive); Proxmox recommends VirtIO SCSI single",
     GUEST_DRIVERS,
     {[AUDIT_BARE] = "put {disk} on -device virtio-scsi-pci,iothread=ID" RESTART_BARE,
      [AUDIT_PROXMOX] =
          "qm set {vm} --scsihw virtio-scsi-single, and iothread=1 on {disk}" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: <controller type='scsi' model='virtio-scsi'> with <driver "
          "iothread='1'/>" RESTART_LIBVIRT,
      [AUDIT_KUBEVIRT] =
          "bus: virtio (or scsi) for {disk} in the VirtualMachine" RESTART_KUBEVIRT}},
    {"ide-controller",
     AUDIT_WARNING,
     find_ide,
     NULL,
     "measured: main loop blocked 31 to 33 s after its storage stalls",
     GUEST_DRIVERS,
     {[AUDIT_BARE] =
          "put {disk} on virtio-blk-pci or virtio-scsi-pci with an iothread" RESTART_BARE,
      [AUDIT_PROXMOX] = "detach {disk} and attach it as scsi0 with --scsihw virtio-scsi-single, "
                        "iothread=1" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] = "virsh edit {vm}: <target bus='virtio'/> for {disk}, without its "
                        "<address>" RESTART_LIBVIRT,
      [AUDIT_KUBEVIRT] = "bus: virtio for {disk} in the VirtualMachine" RESTART_KUBEVIRT}},
    {"no-iothread",
     AUDIT_NOTE,
     find_no_iothread,
     NULL,
     "QEMU, docs/devel/multiple-iothreads: without one, device emulation runs in the main loop",
     NULL,
     {[AUDIT_BARE] = "-object iothread,id=ID and iothread=ID on its device" RESTART_BARE,
      [AUDIT_PROXMOX] =
          "qm set {vm} --scsihw virtio-scsi-single, and iothread=1 on {disk}" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: <iothreads>1</iothreads>, <driver iothread='1'/> on {disk} or "
          "its controller" RESTART_LIBVIRT,
      [AUDIT_KUBEVIRT] =
          "dedicatedIOThread: true for {disk}, or ioThreadsPolicy: auto" RESTART_KUBEVIRT}},
    {"throttle-several-iothreads",
     AUDIT_DANGER,
     find_throttled_iothreads,
     NULL,
     "QEMU issue 3144",
     NULL,
     {[AUDIT_BARE] = "one iothread for {disk}, or no limit on it" RESTART_BARE,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: one <iothread> in its <iothreads> mapping" RESTART_LIBVIRT}},
    {"risky-io-uring",
     AUDIT_DANGER,
     find_ring,
     NULL,
     "Proxmox' qemu-server avoids io_uring there",
     NULL,
     {[AUDIT_BARE] = "aio=threads (or native with O_DIRECT) for {disk}" RESTART_BARE,
      [AUDIT_PROXMOX] =
          "aio=threads in the string of {disk} (qm set {vm} --{disk} ...)" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] = "virsh edit {vm}: <driver io='threads'/> for {disk}" RESTART_LIBVIRT}},
    {"unsafe-cache",
     AUDIT_DANGER,
     find_unsafe_cache,
     NULL,
     "QEMU's manual, -drive cache=",
     NULL,
     {[AUDIT_BARE] = "cache=none for {disk}" RESTART_BARE,
      [AUDIT_PROXMOX] =
          "cache=none in the string of {disk} (qm set {vm} --{disk} ...)" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] = "virsh edit {vm}: <driver cache='none'/> for {disk}" RESTART_LIBVIRT,
      [AUDIT_KUBEVIRT] = "cache: none for {disk} in the VirtualMachine" RESTART_KUBEVIRT}},
    {"ignored-errors",
     AUDIT_DANGER,
     find_ignored_errors,
     NULL,
     "QEMU's manual, -drive werror=",
     NULL,
     {[AUDIT_BARE] = "werror=stop,rerror=stop for {disk}" RESTART_BARE,
      [AUDIT_PROXMOX] =
          "werror=enospc in the string of {disk} (qm set {vm} --{disk} ...)" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: <driver error_policy='stop'/> for {disk}" RESTART_LIBVIRT}},
    {"reported-errors",
     AUDIT_NOTE,
     find_reported_errors,
     NULL,
     "QEMU's manual, -drive werror=",
     NULL,
     {[AUDIT_BARE] = "werror=stop for {disk}, where a pause is better than an error" RESTART_BARE,
      [AUDIT_PROXMOX] =
          "werror=enospc in the string of {disk} (qm set {vm} --{disk} ...)" RESTART_PROXMOX,
      [AUDIT_LIBVIRT] =
          "virsh edit {vm}: <driver error_policy='stop'/> for {disk}" RESTART_LIBVIRT}},
    {"bps-without-effect",
     AUDIT_WARNING,
     find_mute_bps,
     NULL,
     "Proxmox' qemu-server: bps= is parsed to mbps 0.000 since 2016",
     NULL,
     {[AUDIT_PROXMOX] =
          "mbps= instead of bps= in the string of {disk} (qm set {vm} --{disk} ...)"}},
    {"limit-without-burst",
     AUDIT_NOTE,
     find_no_burst,
     NULL,
     "QEMU, docs/throttle.txt",
     NULL,
     {[AUDIT_BARE] = "a burst (bps-total-max and the like) above the limit of {disk}",
      [AUDIT_PROXMOX] =
          "mbps_rd_max, mbps_wr_max above the limits of {disk} (qm set {vm} --{disk} ...)",
      [AUDIT_LIBVIRT] = "virsh blkdeviotune {vm} {disk} {burst} --live --config"}},
    {"refused-limit",
     AUDIT_WARNING,
     find_refused_limit,
     NULL,
     "QEMU, throttle_is_valid()",
     NULL,
     {[AUDIT_BARE] =
          "limits of {disk} that QEMU takes: total or read and write, a burst only with its base"}},
    {"stale-device",
     AUDIT_DANGER,
     find_stale,
     NULL,
     "Longhorn and others make a device anew while QEMU keeps the dead one",
     NULL,
     {[AUDIT_BARE] = "stop and start the VM, or migrate it: {disk} is opened anew"}},
};
const guint audit_n_disk_rules = G_N_ELEMENTS(audit_disk_rules);
