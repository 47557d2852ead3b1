/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A source that does something at the time it is told by g_source_set_ready_time(), which any
 * thread may call; told nothing it never does. */

#include <glib.h>

/* Not attached yet; the caller's. */
GSource *ready_source_new(GSourceFunc func, gpointer data);
