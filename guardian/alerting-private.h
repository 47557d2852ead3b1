/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What alerting.c (what is told, when), alerting-memory.c (what follows from memory) and
 * alerting-people.c (what people agree upon) share. */

#include "alerting.h"

#include "alert-hooks.h"
#include "alerting-store.h"
#include "silence.h"

struct Alerting {
    const Host *host;
    AlertingFuncs funcs;
    AlertHooks *hooks;
    Alerts *alerts;
    GPtrArray *silences; /* of Silence */
    GPtrArray *past;     /* of PastAlert */
    GSource *timer;
};

/* Of a disk of the VM, or of the VM itself (NULL); a new string. */
char *alerting_key(const Vm *vm, const char *disk_id);
/* Tells what is due, plans when to look again, and saves what has changed, or when told to. */
void alerting_speak_due(Alerting *alerting, bool must_save);
