/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the judge of a domain (oomblame.c) and that of a whole host (oomblame-host.c) share; for
 * nobody else. */

#include "oomblame.h"

#include "units.h"

/* An excess up to this blames nobody: a shell beside a VM is some MiB. */
#define OOMBLAME_NOISE_BYTES (16 * UNITS_MIB)

typedef struct {
    OomRole role;
    const OomTask *task; /* NULL = no single one */
    guint64 excess_bytes, share_bytes, held_bytes;
} OomSuspect;

typedef struct {
    const OomReport *report;
    OomSize guest; /* RAM as configured, or as far as it was touched; known only if told apart */
    bool has_qemu;
    const OomTask *largest_qemu;
    guint n_strangers;
    guint64 fair_bytes;   /* everybody but the guest, none past its share */
    guint64 excess_bytes; /* everybody's, summed */
    OomSuspect worst;
} OomCase;

static inline guint64
oomblame_less(guint64 from, guint64 subtrahend)
{
    return from - MIN(from, subtrahend);
}

/* "qemu-system-x86[70]"; printable, new string. */
char *oomblame_label(const OomTask *task);
/* Why the worst suspect is to blame; new string. */
char *oomblame_why(const OomCase *judged);
/* Takes why. task: the one to blame; NULL: no single one. */
void oomblame_set(OomBlame *blame, OomRole role, const OomTask *task, char *why);
/* Fills in blame where the whole host ran out. */
void oomblame_judge_host(OomReport *report, const OomCase *judged);
