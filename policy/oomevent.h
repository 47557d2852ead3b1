/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Kills that follow each other are one event when the first one did not help in time: its victim
 * was still going, and its memory still charged, or whoever grows ate at once what came free. Two
 * lives of one VM are two events, however soon the second one ends. The rules stand in oomevent.c.
 */

#include "oomreport.h"

/* Both ran into the same limit, of one host. */
bool oomevent_is_beside(const OomReport *report, const OomReport *other);
/* before: the last report beside it (oomevent_is_beside) that is older. */
bool oomevent_continues(const OomReport *report, const OomReport *before);
/* From here on they share all victims, each of them once, before's first. */
void oomevent_join(OomReport *report, OomReport *before);
/* A VM died in it: among all victims is a QEMU. */
bool oomevent_has_qemu(const OomReport *report);
