/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a QEMU command line says: name, id, uuid, memory, monitors, disks, throttles. Nothing here
 * is trusted or resolved: paths are as written, values that do not parse are absent. Understands
 * key=value lists with ",," escapes and JSON objects (-blockdev, -device, -object), both "-opt
 * value" and "--opt value". Pure: argv in, struct out. */

#include <glib.h>
#include <stdbool.h>

/* A VM with 256 disks has about 2,000. What comes after is not read. */
#define ARGV_ARGUMENTS_MAX 4096u

typedef struct {
    char *path;      /* of a listening unix socket in QMP (control) mode */
    char *chardev;   /* NULL for -qmp unix: */
    bool is_awaited; /* without wait=off: QEMU does not begin before somebody has connected */
} ArgvMonitor;

typedef struct {
    /* Of -device, or of a -drive that is its own device: there QEMU's name where it has none
     * ("virtio0", "ide0-hd1"). NULL none. */
    char *id;
    char *driver; /* device model: "virtio-blk-pci", "scsi-hd", "ide-hd", ... */
    char *bus;    /* bus= as written: "scsi0.0"; NULL */
    char *drive;  /* drive id or node name it uses */
    /* Of the lowest node that could be followed: "file:<path>", "dev:<path>" (under /dev),
     * "nbd:<host:port or socket>", "rbd:<pool/image>", "iscsi:<portal/target/lun>", "<driver>:"
     * else; NULL unknown. Printable only after units_printable(). */
    char *storage;
    char *aio;      /* of that node as written: "io_uring", "native", "threads"; NULL not said */
    bool is_direct; /* O_DIRECT: past the host's page cache */
    bool ignores_flush;    /* cache=unsafe */
    char *werror, *rerror; /* as written; NULL not said */
    char *controller; /* driver of the device whose bus it is on; NULL of a built-in one, or none */
    guint n_iothreads;    /* that serve it, or its controller */
    bool has_burst;       /* some limit has a burst above it */
    char *throttle_group; /* the first throttle node's, or throttling.group; NULL none */
    /* What argv says: -drive throttling.*, bps*, iops*; the throttle-group object. A monitor may
     * have changed it since. */
    bool has_limit;
    guint64 limit_bps, limit_iops; /* tightest of total, read, write; 0 = none */
    /* All of them, see argv-limits.h; NULL: a node of a disk without a throttle-group. */
    char **limits;
    bool is_group_object; /* throttle_group is an object that can be asked, not a -drive's group */
} ArgvDisk;

/* A file below hugetlbfs looks like any other file here: perhaps. */
typedef enum { HUGE_PAGES_NO, HUGE_PAGES_PERHAPS, HUGE_PAGES_YES } HugePages;

typedef struct {
    /* -name (guest= or first value), -id (Proxmox), -uuid; NULL when absent */
    char *name, *id, *uuid;
    bool has_memory;
    guint64 memory_bytes;  /* -m, without hotplugged */
    bool memory_is_shared; /* all of guest RAM is in memfd or share=on backends: it is RssShmem */
    HugePages memory_huge_pages; /* all of guest RAM is in hugetlbfs */
    bool is_incoming, is_daemonized, is_paused_at_start;
    /* libvirt started it: its monitor is libvirt's alone, and is not in monitors. The number is the
     * domain's id, which is unique in one libvirtd; where it has one on the command line. */
    bool is_libvirt, has_libvirt_id;
    guint libvirt_id;
    GPtrArray *monitors;   /* of ArgvMonitor */
    GPtrArray *disks;      /* of ArgvDisk */
    GPtrArray *scsi_hosts; /* of char *: ids of -device virtio-scsi-*; "" when it has none */
    GPtrArray *taps;       /* of char *: names of tap interfaces that were given by name */
    guint n_iothreads;     /* -object iothread: disks may live outside of the main loop */
    char *machine;         /* type as written: "pc-i440fx-9.2+pve1"; NULL not said */
    guint n_backends, n_huge_backends; /* of guest RAM; how many of them are of huge pages */
    bool has_balloon, balloon_reports; /* free-page-reporting */
    bool has_watchdog, has_serial, has_panic_device;
    guint n_vcpus;     /* at the start, without hotplugged ones; 0 not said, then QEMU takes 1 */
    bool has_graphics; /* a display device, which QEMU adds by itself where nothing forbids it */
    bool has_tpm, has_host_device;
    bool has_sev; /* SEV, SEV-ES, SNP, or TDX */
    bool is_arm64;
    /* Of char *, "driver id": disks that another process or the host's kernel serves (vhost-user,
     * vhost-scsi), and passed-through devices (vfio): what they do QEMU does not count. */
    GPtrArray *unwatched;
} Argv;

/* Does this look like QEMU's system emulator at all? By the base name of argv[0] or exe:
 * qemu-system-*, qemu-kvm, kvm. */
bool argv_is_qemu(const char *program);
Argv *argv_parse(const char *const *argv);
void argv_free(Argv *argv);
/* What its requests go through: of a hard disk on a controller's bus that controller's driver
 * ("lsi", "ich9-ahci"), else its own. Borrowed; NULL unknown. */
const char *argv_disk_model(const ArgvDisk *disk);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Argv, argv_free)
