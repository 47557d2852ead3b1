/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The cluster's log of Proxmox: who updated which VM. Text in, writes out. */

#include "writers.h"

/* Adds the writes to VM id that the text tells of. A line that is cut or malformed tells nothing.
 */
void pve_log_take(const char *text, gsize length, const char *id, Writers *writers);
