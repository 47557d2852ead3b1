/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One way of writing to a VM: its cgroup's files, systemd, libvirt, its monitor, its configuration.
 * The engine (act.h) keeps the journal around it; a means only looks, writes and looks again. */

#include "act-record.h"
#include "child.h"

/* One question to a means. */
typedef struct ActCall {
    const Host *host;
    GMainContext *context;
    Children *children; /* for whatever may hang */
    const struct ActMeans *means;
    const ActRecord *record; /* stays until the call has ended */
    bool is_read_only;       /* only tell the value in force */
    void (*end)(struct ActCall *call, bool was_written, const char *value, const char *problem);
    gpointer data; /* of the engine */
} ActCall;

typedef struct ActMeans {
    const char *name; /* as in ActRecord.means */
    gpointer data;    /* of its owner */
    /* A write of this means is still there after its VM and the host's boot have gone. */
    bool outlives_vm;
    /* Checks that the subject still lives and record->old_value is still in force, writes
     * record->new_value, and reads back; with is_read_only reads only. Ends with act_call_end(),
     * exactly once, at once or later, at the latest after a deadline of its own. */
    void (*run)(ActCall *call);
    /* Has what a record is about gone, although its VM lives? NULL: never. */
    bool (*is_gone)(const Host *host, const ActRecord *record);
    /* Are two values of this field equal in effect? NULL: the same text. */
    bool (*is_same)(const char *field, const char *a, const char *b);
} ActMeans;

/* was_written: the write was tried, so that the value may have changed. value: what is in force
 * after it; NULL when that could not be read. problem: NULL, or one sentence. Both borrowed. */
void act_call_end(ActCall *call, bool was_written, const char *value, const char *problem);

/* Files of a cgroup: where is its path below the mount, field the file's name. Reached through the
 * process: its start time, its membership and the group's inode must all be those of the record. */
extern const ActMeans act_means_cgroup;
/* The same group as a unit of systemd, which would revert a foreign write: `systemctl set-property
 * --runtime UNIT MemoryMax=`, checked and read back by the group's file. */
extern const ActMeans act_means_systemd;
/* The same group where libvirt keeps the limit: `virsh memtune UUID --live --hard-limit`. */
extern const ActMeans act_means_libvirt;
/* The score of one process, ACT_FIELD_SCORE in its /proc/PID: see act-score.h. */
extern const ActMeans act_means_process;
