/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What one kernel OOM report tells: data only, filled in by oomreader.h (the log's facts),
 * oomparts.h (whose memory it was) and oomblame.h. What the log does not tell is unknown, never
 * zero. Names and paths are raw bytes of the log. */

#include <glib.h>
#include <stdbool.h>

/* The kernel's names have 15 bytes; twice that leaves room for a log's escapes. */
#define OOM_NAME_SIZE 32

typedef struct {
    bool is_known;
    guint64 bytes;
} OomSize;

typedef enum { OOM_CONSTRAINT_UNKNOWN, OOM_CONSTRAINT_MEMCG, OOM_CONSTRAINT_GLOBAL } OomConstraint;

/* What the report ended with. */
typedef enum {
    OOM_OUTCOME_UNKNOWN,
    OOM_OUTCOME_KILLED,
    OOM_OUTCOME_NOBODY, /* no process could be killed */
    OOM_OUTCOME_PANIC,  /* panic_on_oom, or nobody could be killed */
} OomOutcome;

/* A task is one of the first three. */
typedef enum {
    OOM_ROLE_QEMU,
    OOM_ROLE_HELPER,
    OOM_ROLE_STRANGER,
    OOM_ROLE_GUEST,
    OOM_ROLE_KERNEL,
    OOM_ROLE_LIMIT,
    OOM_ROLE_UNKNOWN,
} OomRole;

typedef struct {
    gint64 pid;
    char name[OOM_NAME_SIZE];
    OomRole role;
    OomSize rss; /* counts shared pages in every process that maps them */
    OomSize anon, file, shmem, pgtables, swap;
    OomSize total_vm;
    bool has_oom_score_adj;
    gint32 oom_score_adj;
    guint64 charged_anon_bytes, charged_shmem_bytes; /* by oomparts_account() */
} OomTask;

/* What the domain was charged with, by the names of memory.stat; see oomline-stats.c. */
typedef struct {
    OomSize anon, file, shmem; /* file: shmem and page cache together */
    OomSize kernel;            /* with sockets where they are charged too */
} OomCharge;

/* Each byte stands in one part only; all known parts and unexplained sum up to the usage. */
typedef struct {
    OomSize guest;     /* of one QEMU: its shared memory; else at most, by the guest's size */
    OomSize qemu;      /* without guest, so at least; guest's RAM is in it where guest is unknown */
    OomSize helpers;   /* virt-launcher, virtqemud, swtpm, ... */
    OomSize strangers; /* whatever else runs in the domain */
    OomSize kernel;
    OomSize unexplained; /* page cache, shmem that nobody maps, tasks that were not listed */
} OomParts;

typedef struct {
    OomRole role;
    bool has_pid;
    gint64 pid;
    char name[OOM_NAME_SIZE]; /* "" = no single process */
    char *why;                /* a sentence; names in it are printable */
    OomSize suggested_limit;  /* would have been enough then; unknown for the whole host */
} OomBlame;

typedef enum { OOM_CLOCK_NONE, OOM_CLOCK_BOOT, OOM_CLOCK_YEARLESS, OOM_CLOCK_WALL } OomClock;

typedef struct {
    OomClock clock; /* two times of one clock can be subtracted */
    gint64 us;
} OomTime;

typedef struct {
    OomConstraint constraint;
    char *source; /* host and printing thread, as far as the prefix names them; "" */
    char *when;   /* the log's own words; NULL when its lines carry no time */
    OomTime time;
    char *invoker; /* a thread's name; NULL unknown */
    bool is_sysrq; /* somebody asked for it: memory need not have run out */
    OomOutcome outcome;
    bool has_victim;
    OomTask victim;
    char *victim_why;             /* why this task and no other; NULL when it cannot be told */
    char *domain;                 /* whose limit was hit: a cgroup's path, "/" = the host */
    char *task_group;             /* the victim's own cgroup; NULL unknown */
    char *nodes;                  /* "0": only their memory was allowed (cpuset, policy); or NULL */
    char *vm;                     /* as the path names it: "vm4", "104", "pod<uid>"; NULL unknown */
    OomSize usage, limit, kernel; /* of the domain */
    OomSize with_swap, with_swap_limit; /* memory and swap together: v1 */
    OomSize cache;                      /* file pages but shmem; in unexplained */
    OomSize hugetlb, hugetlb_free;      /* the host's huge pages, in use or not; in unexplained */
    guint64 failures;                   /* the domain's failcnt */
    OomCharge charge;
    GArray *tasks;   /* of OomTask, as listed */
    GArray *victims; /* of OomTask: all of one event in order; its reports share it */
    OomParts parts;
    OomBlame blame;
    bool is_complete; /* from the invoker to the kill, with nothing seen missing */
} OomReport;

/* Words of the output, static, never NULL. */
const char *oomrole_name(OomRole role);
const char *oomconstraint_name(OomConstraint constraint);
const char *oomoutcome_name(OomOutcome outcome);
/* The limit that was hit is that of memory and swap together. */
bool oomreport_is_swap_limited(const OomReport *report);
