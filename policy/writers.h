/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who writes the configuration and the limits of one VM beside us, how often, and whether anything
 * differs afterwards. A tool that never recognizes its own value shows as a writer of equal values
 * with a rhythm. Times are wall clock, because logs are. */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    WRITE_UNKNOWN, /* nobody could compare */
    WRITE_EQUAL,   /* the configuration reads the same afterwards */
    WRITE_CHANGED,
} WriteEffect;

typedef struct {
    gint64 at_us;
    const char *who;  /* "root@pam", printable; NULL unknown */
    const char *what; /* "update VM 102: -scsi0 ...", printable; NULL unknown */
    WriteEffect effect;
    bool is_live; /* of the limits in QEMU, not of the configuration */
} Write;

typedef struct Writers Writers;

/* A day: within it writes are counted. */
#define WRITERS_DAY_US (24 * 3600 * (gint64)G_USEC_PER_SEC)
/* Equal writes in a day from which a habit is told: two may be a person who tries again. */
#define WRITERS_HABIT_MIN 3

Writers *writers_new(void);
void writers_free(Writers *writers);
/* Copies it. A log and a file that tell of the same write are one; what was told already, as by a
 * log that is read again, is not counted again. */
void writers_add(Writers *writers, const Write *write);
/* We wrote between these two moments: what falls into it is nobody else's, also when it was added
 * before. */
void writers_add_own(Writers *writers, gint64 from_us, gint64 to_us);

typedef struct {
    guint n_writes, n_equal; /* in the day before now */
    gint64 since_us;         /* the oldest equal one that is remembered; 0 none */
    gint64 rhythm_us;        /* the middle one of the times between equal writes; 0 unknown */
    const Write *last;       /* the newest one, borrowed until the next call; NULL none */
} WritersCount;
WritersCount writers_count(const Writers *writers, gint64 now_us);
/* Is there a habit of writing what is there already? A sentence that names the writer, its rhythm
 * and since when; a new string, NULL: there is none. */
char *writers_habit(const Writers *writers, gint64 now_us);
/* The last write before onset_us: "15:01 UTC `update VM 102: -scsi0 ..` by root@pam: equal value,
 * 24 times in 24 h, 20 min before onset"; a new string, NULL: there is none in the day before. */
char *writers_describe(const Writers *writers, gint64 onset_us);

/* "update VM 102: -scsi0 x" of Proxmox' logs, with or without "<user>" in front. false: the text
 * tells of no write to a VM. *ret_user is a new string, NULL where the text names none; *ret_what
 * points into text. */
bool writers_parse(const char *text, char **ret_vm, char **ret_user, const char **ret_what);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Writers, writers_free)
