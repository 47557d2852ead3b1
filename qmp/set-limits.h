/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The two commands that change the limits of a disk, and the only arguments they may ever be sent
 * with: whole limits, at least one rate of them above zero. All zeros take the limiter away, which
 * drains the disk and hangs QEMU when its storage has stalled. */

#include <glib.h>
#include <stdbool.h>

/* qom-set of a throttle-group's limits; pairs are names and decimals, of all 19 numbers
 * ("bps-total",
 * ...). A new string; NULL for other names, no rate above zero, or an id that is no plain one. */
char *qmp_arguments_set_group(const char *group, const char *const *pairs);
/* block_set_io_throttle of a -drive: pairs as query-block names them ("bps", ...), all six rates
 * among them; "group" is left out, so that the disk stays in its own. */
char *qmp_arguments_set_drive(const char *drive, const char *const *pairs);
/* Is this what one of the two makes? */
bool qmp_arguments_are_limits(const char *arguments);
