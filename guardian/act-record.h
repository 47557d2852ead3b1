/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One write to one VM, as the journal keeps it: what was intended, on whom, what came of it, and
 * how to undo it. A record is text (one JSON object) of a known version; what is not is an error
 * that says what is wrong. */

#include "vm.h"

#define ACT_RECORD_VERSION 1
/* A cgroup's path may have 4 KiB, twice as many when escaped; all else is short. */
#define ACT_RECORD_BYTES_MAX (16 * 1024)

typedef enum {
    ACT_INTENDED, /* durable before anything is written */
    ACT_APPLIED,  /* written, and read back as asked */
    ACT_FAILED,   /* written, and something else was read back: see problem */
    ACT_NOT_DONE, /* nothing was written, or it did not stay */
    ACT_UNDONE,   /* was applied; another applied record put the old value back. Not on disk. */
    ACT_OVER,     /* the VM, or the boot, it was for is gone, and the write with it */
    ACT_N_STATES,
} ActState;

/* Who a write is for: a pid, a path and a name can be recycled, all of these together cannot. */
typedef struct {
    char *vm, *id, *uuid; /* printable; id and uuid NULL without */
    pid_t pid;
    guint64 start_ticks;
} ActSubject;

typedef struct {
    char *name; /* of its file, without ".json"; NULL until it is in the journal */
    ActState state;
    char *boot_id;
    gint64 realtime_us, boottime_us; /* of the intent */
    ActSubject subject;
    char *kind;       /* "limits", "throttle", ...: the key of [enforce] */
    char *means;      /* how it is written: the name of an ActMeans */
    char *where;      /* the means' own address: a cgroup below its mount, a unit, a disk */
    char *field;      /* "memory.max", "MemoryMax", "bps_wr" */
    guint64 group_id; /* of the cgroup `where` names (inode); 0: it names none */
    char *old_value, *new_value;
    char *undo_value; /* what puts it back */
    char *why;        /* a sentence, printable */
    char *by;         /* "daemon", "administrator" */
    char *undoes;     /* name of the record that this one takes back; NULL */
    char *read_back;  /* NULL: not read back */
    char *problem;    /* NULL: none */
} ActRecord;

/* Values of ActRecord.by. */
#define ACT_BY_DAEMON "daemon"
#define ACT_BY_ADMINISTRATOR "administrator"

/* Of the VM, in state ACT_INTENDED; the caller fills in the rest with new strings. */
ActRecord *act_record_new(const Vm *vm, const char *kind, const char *means);
/* The record that would take it back: same subject and address, old and new exchanged. */
ActRecord *act_record_undo(const ActRecord *record);
void act_record_free(ActRecord *record);
/* An empty plan: an array that owns its records; one that was taken out is left as NULL. */
GPtrArray *act_steps_new(void);
/* As a person reads it, new strings: a limit as a size, a score as it is; a group's path, "process
 * 12". NULL stays NULL. */
char *act_value_words(const char *field, const char *value);
char *act_where_words(const char *means, const char *where);
bool act_record_is_of(const ActRecord *record, pid_t pid, guint64 start_ticks);

/* New string; NULL with error set when it cannot be written down (too long, not UTF-8): then it
 * must not be done. */
char *act_record_print(const ActRecord *record, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* name is its file's. NULL with error set. */
ActRecord *act_record_parse(const char *name, const char *text, gsize length,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Word of the journal and of outputs, static. */
const char *act_state_name(ActState state);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ActRecord, act_record_free)
