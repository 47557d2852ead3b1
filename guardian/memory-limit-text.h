/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A memory limit from and to the text of its form: one value, for libvirt an XML element. */

#include "memory-limit.h"

/* NULL with GUARDIAN_ERROR_MALFORMED and why the form's owner would refuse the text, printable.
 * total_bytes as in memory-limit.h. libvirt's is a <memtune> or a <hard_limit>; without one in it
 * there is no limit. */
MemoryLimit *memory_limit_text_parse(MemoryLimitForm form, const char *text, gsize length,
                                     guint64 total_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The canonical text in the form it was read from, without a newline; a new string. */
char *memory_limit_text_print(const MemoryLimit *limit);
