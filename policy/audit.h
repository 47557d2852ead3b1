/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Configuration risks of a VM, each by a stable name. The same rules run over the running process
 * (its command line, what the kernel says of it) and over the configuration (what its next start
 * brings): what is found in the first only is mended already, but not in effect until the VM was
 * stopped and started. What is unknown is no finding; what the configuration does not tell of, such
 * as a limit of the group, is not taken for mended by it. */

#include "hostmemory.h"

typedef enum { AUDIT_NOTE, AUDIT_WARNING, AUDIT_DANGER } AuditSeverity;

/* Whose words a remedy is told in. */
typedef enum { AUDIT_BARE, AUDIT_PROXMOX, AUDIT_LIBVIRT, AUDIT_KUBEVIRT, AUDIT_N_HOSTS } AuditHost;

typedef enum { AUDIT_UNKNOWN, AUDIT_NO, AUDIT_YES } AuditAnswer;

typedef enum { AIO_UNKNOWN, AIO_THREADS, AIO_NATIVE, AIO_URING } AuditAio;

typedef enum {
    CONTROLLER_UNKNOWN,
    CONTROLLER_VIRTIO, /* blk, scsi */
    CONTROLLER_LSI,
    CONTROLLER_IDE,
    CONTROLLER_OTHER
} AuditController;

/* What the image lies on, where it matters. */
typedef enum { PLACE_OTHER, PLACE_THICK_LVM, PLACE_KRBD, PLACE_CIFS } AuditPlace;

typedef struct {
    char *label; /* printable */
    char *word;  /* what this host's tools call it, printable; NULL: by its label */
    AuditController controller;
    AuditAnswer has_iothread, has_several_iothreads;
    AuditAio aio;
    AuditAnswer is_direct; /* O_DIRECT */
    AuditAnswer ignores_flush;
    char *werror, *rerror; /* "report", "ignore", ...; NULL unknown */
    AuditPlace place;
    AuditAnswer has_limit, has_burst; /* of any kind */
    char *burst;          /* options that give each limit a burst, for this host's tool; NULL */
    char *limit_fault;    /* why QEMU refuses its limits; NULL: it does not */
    bool has_mute_bps;    /* Proxmox: bps= in the configuration */
    AuditAnswer is_stale; /* it holds a device node that is another device today */
} AuditDisk;

typedef struct {
    AuditHost host;
    GPtrArray *disks;    /* of AuditDisk, owned */
    guint qemu_version;  /* audit_version(); 0 unknown */
    guint machine_major; /* of a versioned machine type; 0 unknown */
    AuditAnswer has_own_monitor;
    guint64 guest_ram_bytes;       /* 0 unknown */
    guint64 limit_bytes;           /* of its memory; 0 none, or unknown */
    guint64 floor_bytes;           /* beside its guest's RAM, by the static model; 0 unknown */
    AuditAnswer has_high;          /* memory.high on its group */
    AuditAnswer kills_whole_group; /* memory.oom.group */
    /* The host's swap lies on a disk that a group of its own may use so fast only, and no group of
     * its caps what is swapped. */
    AuditAnswer swaps_at_a_limit;
    bool has_oom_score_adj;
    gint32 oom_score_adj; /* of QEMU */
    AuditAnswer has_balloon, balloon_reports, mixes_hugepages;
    AuditAnswer has_watchdog, has_serial, has_panic_device;
} AuditVm;

/* A QEMU that is known to freeze. */
typedef struct {
    guint from, below;   /* [from, below), as audit_version() counts; below 0: not mended yet */
    char *needs;         /* what a VM must have: "any", "lsi", "iothread", "several-iothreads",
                            "throttle", "io_uring", joined by "+" */
    char *what, *source; /* printable */
} AuditBug;

typedef struct {
    const char *name; /* "lsi-controller"; static */
    AuditSeverity severity;
    char *disk;                     /* NULL: of the VM, or the host */
    bool is_running, is_configured; /* where it was found */
    bool has_configuration;         /* and whether a configuration was looked at that tells of it */
    char *why;                      /* with the VM's own figures */
    char *source;                   /* of the claim */
    const char *preflight;          /* what to look at before; static, NULL nothing */
    char *remedy;                   /* exact, for this host */
} AuditFinding;

AuditVm *audit_vm_new(AuditHost host);
void audit_vm_free(AuditVm *vm);
/* A copy in which what is unknown is as in the other one. */
AuditVm *audit_vm_fill(const AuditVm *vm, const AuditVm *other);
/* A copy whose disks have the words of the other's. */
AuditVm *audit_vm_name(const AuditVm *vm, const AuditVm *other);
/* A new disk of it, all unknown; takes label. Borrowed. */
AuditDisk *audit_vm_add_disk(AuditVm *vm, char *label);

/* "7.2.22" -> 70222; 0 for what is none. */
guint audit_version(const char *text);
/* "7.1.0 7.1.1 iothread+io_uring | what | source", "-" for an open end: a line of the table and of
 * a drop-in. NULL with a new string in *ret_wrong; NULL with NULL there for a blank line or a
 * comment. */
AuditBug *audit_bug_parse(const char *line, char **ret_wrong) G_GNUC_WARN_UNUSED_RESULT;
void audit_bug_free(AuditBug *bug);
/* The lines that are known here, NULL at the end. */
const char *const *audit_bug_lines(void);

/* Of AuditFinding (audit_finding_free), the gravest first. Either may be NULL: not known. bugs: of
 * AuditBug. word: how a person names the VM in a command of this host. */
GPtrArray *audit_run(const AuditVm *running, const AuditVm *configured, const GPtrArray *bugs,
                     const char *word);
/* Guests of these sizes and what they need beside, on so much memory; NULL: it fits. */
AuditFinding *audit_overcommit(guint64 guests_bytes, guint64 beside_bytes, guint64 total_bytes);
/* Trees that nothing keeps from taking the host; NULL: there is none. It is a warning when what is
 * no VM holds, and what the VMs need (their guests' RAM and what is beside it), do not fit. */
AuditFinding *audit_uncapped(const HostTree *trees, guint n_trees, guint64 vms_bytes,
                             guint64 total_bytes);
/* KubeVirt's virt-handler with that pid holds so much that cannot be reclaimed, in a group of that
 * name; NULL: it is as it should be. */
AuditFinding *audit_virt_handler(gint64 pid, const char *group, guint64 held_bytes);
/* Limits that are more than the host can give; vms_bytes: the sum of the VMs' own, 0 none has one.
 * NULL: they fit. */
AuditFinding *audit_limits_sum(guint64 vms_bytes, const HostTree *trees, guint n_trees,
                               guint64 reserve_bytes, guint64 total_bytes);
void audit_finding_free(AuditFinding *finding);
const char *audit_severity_name(AuditSeverity severity);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AuditVm, audit_vm_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AuditBug, audit_bug_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AuditFinding, audit_finding_free)
