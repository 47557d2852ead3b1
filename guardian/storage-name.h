/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What people call a storage that the host knows by its number. */

#include "host.h"

/* "dev:254:14" -> "pve-vm--102--disk--0 (dev:254:14)", "dev:0:52" -> "/mnt/pve/nas, nas:/export
 * (dev:0:52)"; what has no such name comes back as it is. Printable, new string. Reads mountinfo
 * and sysfs, never a file system: one that is dead hangs nobody. */
char *storage_name(const Host *host, const char *identity);
