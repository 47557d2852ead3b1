/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sizes, durations, versions and their text, one truth for configuration, command line and output.
 *
 * A size is an integer with optional K M G T, Ki Mi Gi Ti or KiB MiB GiB TiB, all 1024-based.
 * "10GB" is refused: nobody can know which of two meanings was meant. A duration is an integer with
 * ms, s, m, h or d; without a unit it is seconds. A version is 1.2, v1.2.3 or main. */

#include <glib.h>
#include <stdbool.h>

#define UNITS_KIB G_GUINT64_CONSTANT(1024)
#define UNITS_MIB (1024 * UNITS_KIB)
#define UNITS_GIB (1024 * UNITS_MIB)

/* A KubeVirt "main" is newer than every number. */
#define UNITS_VERSION_MAIN G_MAXINT32

/* Each returns NULL and sets *ret_, or returns a static sentence that says what is wrong with the
 * text ("has an unknown unit: use K, M, G or T", "is negative", ...) and leaves *ret_ untouched. */
const char *units_parse_size(const char *text, guint64 *ret_bytes) G_GNUC_WARN_UNUSED_RESULT;
const char *units_parse_duration(const char *text, gint64 *ret_us) G_GNUC_WARN_UNUSED_RESULT;
/* 1.5.2 -> 1005 (major * 1000 + minor; the patch level is accepted and dropped). */
const char *units_parse_version(const char *text, gint32 *ret_version) G_GNUC_WARN_UNUSED_RESULT;
/* A non-negative decimal such as 1.5 in thousandths: 1500. At most three decimals. */
const char *units_parse_ratio(const char *text, gint64 *ret_thousandths) G_GNUC_WARN_UNUSED_RESULT;

/* All return a new string. */
char *units_format_size(guint64 bytes);       /* exact, parses back: "2Gi", "1948Mi", "12345" */
char *units_format_size_short(guint64 bytes); /* for a column, <= 5 wide: "1.9G", "35M", "812K" */
char *units_format_duration(gint64 us);       /* whole ms parse back: "2s", "1500ms", "1d" */
char *units_format_age(gint64 us);            /* for a reader: "19m", "2h05m", "3d04h" */
char *units_format_version(gint32 version);   /* "1.5", "main" */
/* Bytes a VM, a guest or a user chose -> text safe in any output line: control characters, invalid
 * UTF-8, bidi overrides and other format characters become \xNN, byte by byte, and so does the
 * backslash, so that no two names look alike. At most 255 bytes come back; what does not fit whole
 * is left out. length < 0: up to the NUL; raw may be NULL. */
char *units_printable(const char *raw, gssize length);
/* The same for a cgroup's path, where a backslash stays one: systemd's escapes are part of it, and
 * who copies a path into a command must get the path. */
char *units_printable_path(const char *path);
