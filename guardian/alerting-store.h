/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Open alerts on /run: memory, so that a dead disk holds nobody up. */

#include "alert.h"
#include "host.h"

/* of Alert. Replaces the file whole; a failure costs a repeated line after a restart, and nothing
 * else. */
void alerting_store_save(const Host *host, const GPtrArray *open);
/* Of this boot only; an unreadable file is no file. */
void alerting_store_load(const Host *host, Alerts *alerts);
