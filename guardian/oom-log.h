/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A log's bytes for the reader of OOM reports; what logrotate made of it with gzip is unpacked. */

#include "oomreader.h"

/* path: "-" and NULL are standard input. Any length: the reader keeps what it needs. FALSE with
 * error: it cannot be read, or is packed in a way that only another tool unpacks, which it names.
 */
bool oom_log_read(const char *path, OomReader *reader, GError **error) G_GNUC_WARN_UNUSED_RESULT;
