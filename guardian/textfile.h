/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Metrics for node_exporter's textfile collector, in Prometheus' text format, written whole every
 * TEXTFILE_PERIOD_US by a child: its disk may be the dead one.
 * vm_guardian_heartbeat_timestamp_seconds is the time of the loop's newest tick, so that a guardian
 * that is gone, stuck or cannot write is seen by whoever reads it (contrib/prometheus). A name of a
 * VM stands only in a label's value. */

#include "alerting.h"
#include "guardian.h"

/* As often as node_exporter is usually scraped. */
#define TEXTFILE_PERIOD_US (15 * (gint64)G_USEC_PER_SEC)

typedef struct Textfile Textfile;

/* tell: why it could not be written, once until it changes; printable. All borrowed. */
Textfile *textfile_new(const Guardian *guardian, const Alerting *alerting, GMainContext *context,
                       void (*tell)(const char *line, gpointer data), gpointer data);
void textfile_free(Textfile *textfile);
/* Now, where one is configured and none is being written. */
void textfile_write(Textfile *textfile);

/* The metrics of what report_state() and alerting_report() say; a new string. */
char *textfile_text(JsonObject *state, JsonObject *alerts, gint64 heartbeat_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Textfile, textfile_free)
