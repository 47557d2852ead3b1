/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits of a domain's disks that somebody has just set, of which libvirt tells what was asked for,
 * but not what came of it: to set one limit resets others. Whether anything has changed is known
 * when the domain's XML was read again. */

#include "domain-xml.h"
#include "writers.h"

typedef struct Tunes Tunes;

Tunes *tunes_new(void);
void tunes_free(Tunes *tunes);
/* Somebody said so at now_us, and write (copied) tells of it. xml: the newest before it; NULL:
 * none, then the effect stays unknown. */
void tunes_note(Tunes *tunes, const DomainXml *xml, const char *target, const Write *write,
                gint64 now_us);
/* xml was asked for at asked_us: adds what was noted before that once more, with its effect. */
void tunes_settle(Tunes *tunes, const DomainXml *xml, gint64 asked_us, Writers *writers);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tunes, tunes_free)
