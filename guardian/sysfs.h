/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Attributes of devices that sysfs lists as links: dev/block/254:0, class/net/tap0. */

#include "host.h"

/* Opens an attribute of the device that the link leads to, for reading. A link that leads out of
 * sysfs's devices is refused. -1 with error set (GONE: there is no such device). */
int sysfs_open(const Host *host, const char *link, const char *attribute,
               GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same attribute, without blanks around it, a new string; NULL: there is none. */
char *sysfs_read(const Host *host, const char *link, const char *attribute);
