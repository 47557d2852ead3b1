/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A picture of an incident: writes and requests in flight by disk, CPU and memory of the VM, over
 * UTC. Plain SVG: no script, no link, every name escaped. Pure: recorded samples in, text out. */

#include <glib.h>

typedef struct {
    const char *vm_name;              /* printable */
    gint64 monotonic_us, realtime_us; /* both clocks at the capture, which is marked */
} TimelineTitle;

/* samples is a scenario's text. New string; NULL when it has fewer than two samples. */
char *capture_svg(const char *samples, const TimelineTitle *title);
