/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way out of the unit's sandbox. It has no network, no setgid programs and hardly anything
 * writable, on purpose, and every program that we start inherits it: what needs more runs as a
 * service of its own, which systemd ends with all that it started. */

#include <glib.h>
#include <stdbool.h>

/* Were we started by a service manager? Then systemd can be asked. */
bool sandbox_is_around_us(void);
/* Appends the words that run what follows them in argv outside of it, for this long at most: new
 * strings; properties of systemd-run may be appended before the program. Its streams and its exit
 * status are passed on. */
void sandbox_leave(GPtrArray *argv, const char *description, gint64 deadline_us);
