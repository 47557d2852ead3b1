/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One watched VM: who it is (pid + start time, kept descriptors), how it may be asked, what was
 * last seen and judged. A name that a VM chose is two strings: raw bytes to match on, printable
 * text to show. */

#include "argv.h"
#include "cgroup.h"
#include "client.h"
#include "freeze.h"
#include "owner.h"
#include "proc.h"
#include "recorder.h"
#include "role.h"
#include "settings.h"

typedef struct {
    char *path;      /* QOM path of the virtio device's backend */
    char *name;      /* "virtio-blk", "virtio-scsi" */
    bool has_queues; /* n_queues is known */
    guint n_queues;
} VirtioDevice;

typedef struct Network Network;

typedef struct Vm {
    char *raw_name;     /* as the VM says it */
    char *name;         /* printable, never empty */
    char *id;           /* printable, NULL without: Proxmox' vmid, KubeVirt's uid, -id */
    char *uuid;         /* printable, NULL without */
    char *space;        /* KubeVirt's namespace, raw; NULL without: name is then namespace/name */
    const char *source; /* "proxmox", "kubevirt", ..., "bare": discover-source.c */
    Proc *proc;
    uid_t uid;
    bool is_nameless; /* its command line could not be read (yet): argv is empty */
    Argv *argv;
    Cgroup *cgroup;   /* NULL: none that can be read */
    char *group_path; /* printable; NULL without cgroup */

    char *monitor_path; /* as written; NULL: none */
    HostRoot
        monitor_root; /* where to start from: HOST_RUN for Proxmox, else the process's own root */
    bool monitor_is_ours;
    struct LibvirtDomain *domain; /* as libvirt knows it; NULL: not, or not yet; see libvirt.h */

    Limits limits;
    char *tags;        /* Proxmox' tags, raw, one blank between two; NULL unknown */
    GPtrArray *owner;  /* of OwnerWord, with what the configuration says of each; NULL unknown */
    gint64 owner_us;   /* of libvirt's XML they were read in */
    bool owner_is_new; /* these two have changed since limits were set */

    QmpClient *client;         /* NULL while not connected */
    char *client_error;        /* why there is none, printable; NULL */
    char *passthrough_problem; /* why libvirt did not pass questions on, printable; NULL */
    bool has_fresh_status;     /* the run state is known from events since it was last asked */
    RunState run;
    char *qemu_version;   /* NULL unknown */
    gint64 slow_round_us; /* last time of the questions whose answers hardly ever change */
    bool has_guest_ram;
    guint64 guest_ram_bytes;
    bool guest_ram_is_shared;
    GArray *virtio;                       /* of VirtioDevice; NULL not asked yet */
    bool has_no_virtio_query;             /* QEMU before 7.2 */
    bool has_jobs;                        /* block jobs, when it was asked for them last */
    gint64 jobs_us;                       /* asked for; 0 never */
    GHashTable *throttles;                /* throttle-group id -> QmpThrottle */
    GHashTable *storages;                 /* argv's storage -> StorageFacts */
    bool has_storages;                    /* looked up, or being looked up */
    gint64 storages_us;                   /* looked at again; 0 never */
    struct StorageLookup *storage_lookup; /* in flight, owned by its child; NULL */

    Network *network;                     /* its tap devices; NULL none known */
    struct NetworkLookup *network_lookup; /* in flight, owned by its child; NULL */
    gint64 network_us;                    /* when it was looked for; 0 never */
    guint32 n_stops, n_resets;            /* events on a monitor of our own */
    bool is_incoming;                     /* a hook announced its migration, see incoming.h */
    GHashTable *motions;                  /* of its disks, see neighbour.h */
    GHashTable *canaries;                 /* disk id -> state of canary.c */

    MemorySample memory;              /* newest, copied into every sample */
    struct MemoryWatch *memory_watch; /* what is remembered of it, see memory-watch.h; owned */
    char *limit_path;                 /* printable; NULL without a limit */
    GArray *group_limits;             /* of CgroupLimit, raw: see CgroupReading; NULL unknown */
    char *kill_path;                  /* printable; see CgroupReading */
    gint64 memory_us;                 /* when it was read */
    RoleTable roles;                  /* who else runs in its groups */
    gint64 roles_us;                  /* when that was read; 0 never */
    GArray *kill_order;               /* of OrderDrift, see kill-order.h; NULL nothing is asked */

    struct Capture *capture; /* under way or waiting; NULL */
    gint64 auto_capture_us;  /* newest one for an alert; 0 none */
    char *bundle;            /* name of its newest complete capture; NULL none */
    bool monitor_is_lent;    /* to a capture: no sample begins meanwhile */

    GSource
        *tick; /* of the loop that samples it, borrowed: woken when next_us is brought forward */
    gint64 next_us;            /* next sample is due */
    bool is_due_again;         /* it changed while a sample was in the making: one more, soon */
    struct Sampling *sampling; /* a sample in the making; NULL between */
    bool has_sample;
    gint64 late_us, took_us; /* of that sample: begun after it was due; until complete */
    Sample sample;           /* the newest complete one */
    gint64 sample_realtime_us;
    Recorder *recorder;
    Track track;
    struct PveLook *pve;                  /* what is known of its Proxmox configuration */
    struct DriftLook *drift;              /* what is known of its disks' limits */
    struct UnitLook *units;               /* what systemd holds of its memory limits */
    struct UnitPolicy *unit_policy;       /* what it does after a kill in its unit */
    struct LimitsRequest *limits_request; /* about them, under way; NULL */
    gint64 limits_asked_us;  /* QEMU itself was asked about them, by the clock of samples */
    gint64 calm_since_us;    /* running, and nothing suspect, without a break; 0 it is not */
    bool limits_unmatched;   /* a write of limits did not read back as asked: no further one */
    bool limits_in_vain;     /* it was refused too often: no further one until a reload */
    gint64 limits_retry_us;  /* none before this, by the clock of samples; 0 none was refused */
    gint64 limits_stale_us;  /* when the configuration was read that a write of ours has changed */
    char *reconcile_problem; /* why the last act on them was not done, printable; NULL */
} Vm;

/* Takes proc and argv. */
Vm *vm_new(Proc *proc, Argv *argv, const char *source);
void vm_free(Vm *vm);
/* Its host calls it otherwise than its command line. Only before its first sample. */
void vm_rename(Vm *vm, const char *raw_name);
/* Where the process is now, and its group_path; again after it was moved. false: it cannot be
 * found, and what was known stays. */
bool vm_open_cgroup(Vm *vm, const Host *host);
/* Is it called that? By name, id, uuid or pid. */
bool vm_matches(const Vm *vm, const char *word);
/* The disk of the command line with that device id, drive id or node name; borrowed, NULL for none.
 */
const ArgvDisk *vm_argv_disk(const Vm *vm, const char *word);
/* The disk that drift calls so: its device id, or its drive's with or without "drive-". */
const ArgvDisk *vm_limited_disk(const Vm *vm, const char *name);
/* Of VirtioDevice, with its clear function. */
GArray *vm_virtio_array_new(void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vm, vm_free)
