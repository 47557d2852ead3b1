/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory of the whole host: /proc/meminfo, and the ZFS ARC, which meminfo counts as used though
 * most of it is given back under pressure. */

#include "host.h"
#include "hostmemory.h"

/* false: no MemTotal in it. */
bool meminfo_parse(const char *text, HostMemory *ret_memory);
/* "size" and "c_min" of arcstats; false: not of that shape. */
bool meminfo_parse_arc(const char *text, HostMemory *memory);
/* Never blocks. false: meminfo cannot be read. */
bool meminfo_read(const Host *host, HostMemory *ret_memory);
