/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The VMs a kernel's OOM report may be about: those that are watched, and those that were until a
 * while ago, because the log of a VM's death may be read after its end. */

#include "memory-trail.h"
#include "oomparts.h"
#include "oomstory.h"
#include "pressure.h"
#include "vm.h"

/* What is known of one; strings are its own. */
typedef struct {
    OomSubject subject; /* borrows own and pod_uid */
    char *own, *name, *uuid, *id;
    char pod_uid[sizeof((GroupPlace *)NULL)->pod_uid];
    OomSize guest; /* its RAM */
    PressureLevel level;
    gint64 level_age_us; /* when seen */
    MemoryTrail trail;   /* of this daemon's own readings */
    gint64 seen_us;      /* CLOCK_MONOTONIC */
} OomKnown;

typedef struct OomSubjects OomSubjects;

OomSubjects *oom_subjects_new(void);
void oom_subjects_free(OomSubjects *subjects);
/* With every sample: costs no memory where nothing has changed. */
void oom_subjects_note(OomSubjects *subjects, const Vm *vm, gint64 now_us);
/* Whose report it is, borrowed; NULL: nobody's. at_us: when it happened, CLOCK_BOOTTIME; a process
 * that began after it has the number, or the group, of the one it is about. */
const OomKnown *oom_subjects_find(const OomSubjects *subjects, const OomReport *report,
                                  gint64 at_us);
void oom_subjects_forget(OomSubjects *subjects, gint64 now_us);
/* Over an end of the daemon, in vm-guardian/oom-vms.json of HOST_RUN: a VM may die of an OOM kill
 * meanwhile. Saves only what has changed; what is loaded is of this boot, and seen now. */
void oom_subjects_save(OomSubjects *subjects, const Host *host);
void oom_subjects_load(OomSubjects *subjects, const Host *host);
