/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What alerting.c (what is told, when) and alerting-people.c (what people agree upon) share. */

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

/* Tells what is due, plans when to look again, and saves what has changed, or when told to. */
void alerting_speak_due(Alerting *alerting, bool must_save);
