/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One line of a log, for the reader of OOM reports: what stands before the kernel's message, and
 * which of a report's lines the message is. Pointers are into the line. */

#include "oomreport.h"

/* 256 TiB: no host has more. A larger figure is unknown, so that no sum of a report overflows; the
 * kernel's "no limit" is one of them. */
#define OOM_BYTES_MAX (G_GUINT64_CONSTANT(1) << 48)

typedef struct {
    const char *start; /* NULL = absent */
    gsize length;
} OomText;

typedef struct {
    const char *message; /* behind what was understood */
    OomText when;        /* the best time, as written */
    OomTime time;
    OomText host, thread; /* thread: printk's caller id, "T123" or "C1" */
} OomPrefix;

OomPrefix oomprefix_parse(const char *line);

typedef enum {
    OOM_LINE_OTHER,
    OOM_LINE_CUT,        /* <SNIP>, ..., [...] */
    OOM_LINE_INVOKED,    /* name, is_sysrq */
    OOM_LINE_TASK_IN,    /* group, domain: 4.x */
    OOM_LINE_USAGE,      /* usage, limit, failures */
    OOM_LINE_KMEM,       /* usage */
    OOM_LINE_WITH_SWAP,  /* usage, limit */
    OOM_LINE_STATS,      /* domain; rest = figures on the same line, 4.x */
    OOM_LINE_MEM_INFO,   /* of the whole host */
    OOM_LINE_HEADER,     /* rest = the names of the columns */
    OOM_LINE_CONSTRAINT, /* constraint, domain, group, nodes, name, pid */
    OOM_LINE_CHOSEN,     /* constraint, pid: 4.x "Kill process ..." before the kill */
    OOM_LINE_KILLED,     /* constraint, task */
    OOM_LINE_GROUP_KILL, /* the whole group goes: memory.oom.group */
    OOM_LINE_NOBODY,     /* no process can be killed */
    OOM_LINE_PANIC,
} OomLineKind;

typedef struct {
    OomLineKind kind;
    OomConstraint constraint;
    OomText name, domain, group, nodes;
    bool is_sysrq;
    const char *rest;
    OomSize usage, limit;
    guint64 failures;
    gint64 pid;
    OomTask task;
} OomLine;

OomLine oomline_parse(const char *line);

/* Read at *text and advance it; false and nothing moved when it does not stand there. */
bool oomscan_word(const char **text, const char *word);
bool oomscan_number(const char **text, guint64 *ret_number);
bool oomscan_signed(const char **text, gint64 *ret_number);
/* Dates as logs write them; oomline-date.c has their forms. */
bool oomscan_iso_date(const char **text, OomTime *ret_time);
bool oomscan_month_date(const char **text, OomTime *ret_time);
bool oomscan_unix_date(const char **text, OomTime *ret_time);
bool oomscan_boot_time(const char **text, OomTime *ret_time);
/* Past a word of any language and the blanks behind it, if there is one. */
void oomscan_foreign_word(const char **text);
/* number * unit_bytes, if it is at most OOM_BYTES_MAX. */
OomSize oomsize_of(guint64 number, guint64 unit_bytes);
/* The number behind "key" with its unit kB, anywhere in text. */
OomSize oomscan_kilobytes(const char *text, const char *key);

/* The task table's columns, by the names of its header. */
#define OOM_COLUMNS_MAX 16
typedef enum {
    OOM_COLUMN_IGNORED,
    OOM_COLUMN_TGID,
    OOM_COLUMN_TOTAL_VM,
    OOM_COLUMN_RSS,
    OOM_COLUMN_RSS_ANON,
    OOM_COLUMN_RSS_FILE,
    OOM_COLUMN_RSS_SHMEM,
    OOM_COLUMN_PGTABLES,      /* bytes */
    OOM_COLUMN_PGTABLE_PAGES, /* nr_ptes, nr_pmds, nr_puds: to be added up */
    OOM_COLUMN_SWAP,
    OOM_COLUMN_SCORE_ADJ,
} OomColumn;
typedef struct {
    guint n;
    OomColumn columns[OOM_COLUMNS_MAX];
} OomColumns;

/* false when it is no such header. */
bool oomtable_parse_header(const char *rest, OomColumns *ret_columns) G_GNUC_WARN_UNUSED_RESULT;
/* columns->n == 0: the header is cut off, the number of columns decides. */
bool oomtable_parse_row(const char *line, const OomColumns *columns,
                        OomTask *ret_task) G_GNUC_WARN_UNUSED_RESULT;
/* By its name: QEMU, helper or stranger. *ret_share, where not NULL: what a helper may take. */
OomRole oomrole_of(const char *name, guint64 *ret_share_bytes);

/* memory.stat as a report prints it. */
typedef struct {
    OomSize anon, file, shmem, kernel, kernel_stack, pagetables, sec_pagetables, percpu, sock;
    OomSize slab, slab_reclaimable, slab_unreclaimable;
    OomSize cache, rss, v1_shmem;                /* v1: of the group alone */
    OomSize total_cache, total_rss, total_shmem; /* v1: with all below it */
    OomSize kmem;                                /* v1's own line */
    OomSize ram, reserved, free, active_anon, inactive_anon, isolated_anon; /* the host's */
    OomSize hugetlb, hugetlb_free; /* of all nodes and sizes */
} OomStats;

/* Takes a line of the list, one per line, into stats; false when it is none. */
bool oomstats_take_line(OomStats *stats, const char *line);
/* "cache:0KB rss:8KB ...", one group of the domain's tree: added up. */
void oomstats_add_inline(OomStats *stats, const char *text);
/* A line of Mem-Info; pages and kB become bytes. */
void oomstats_take_mem_info(OomStats *stats, const char *line);
OomCharge oomstats_charge(const OomStats *stats, OomConstraint constraint);
