/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the forms of throttle.h share. A reader fills a Throttle of defaults and returns NULL or
 * what is wrong, a new string that names the key. */

#include "throttle.h"

typedef struct {
    const char *name;    /* ours, in every output */
    const char *legacy;  /* block_set_io_throttle, query-block; Proxmox and the policy follow it */
    const char *group;   /* a throttle-group's limits */
    const char *libvirt; /* <iotune> */
} ThrottleNames;

extern const ThrottleNames throttle_names[THROTTLE_N_FIELDS];

/* The pair of a drive string's volume. */
#define THROTTLE_VOLUME "file"

typedef char *(*ThrottleReadFunc)(Throttle *throttle, const char *const *pairs);
typedef char **(*ThrottlePrintFunc)(const Throttle *throttle, GPtrArray *notes);

char *throttle_proxmox_read(Throttle *throttle, const char *const *pairs);
char **throttle_proxmox_print(const Throttle *throttle, GPtrArray *notes);
char *throttle_qemu_read(Throttle *throttle, const char *const *pairs);
char **throttle_qemu_print(const Throttle *throttle, GPtrArray *notes);
char *throttle_libvirt_read(Throttle *throttle, const char *const *pairs);
char **throttle_libvirt_print(const Throttle *throttle, GPtrArray *notes);
char *throttle_policy_read(Throttle *throttle, const char *const *pairs);
char **throttle_policy_print(const Throttle *throttle, GPtrArray *notes);

/* Building and searching pairs. pairs_end() adds the NULL and frees the array. */
GPtrArray *pairs_new(void);
void pairs_add(GPtrArray *pairs, const char *name, const char *value);
void pairs_add_number(GPtrArray *pairs, const char *name, guint64 value);
void pairs_add_all(GPtrArray *pairs, char **others);
char **pairs_end(GPtrArray *pairs);

/* "<key> "<value>" <wrong>" with both made printable; a new string. value may be NULL. */
char *throttle_wrong(const char *key, const char *value, const char *wrong);
void throttle_note(GPtrArray *notes, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The group unless it is one that QEMU or libvirt made up for the disk itself. */
void throttle_set_group(Throttle *throttle, const char *group);
/* Do total and read or write stand at once in this part? *ret_limit: THROTTLE_BPS_TOTAL or
 * THROTTLE_IOPS_TOTAL. */
bool throttle_mixes(const Throttle *throttle, ThrottlePart part, ThrottleLimit *ret_limit);
bool throttle_field_is_length(guint field);
/* A rate or a burst of bytes: Proxmox and the policy have a key in MiB/s for it, */
bool throttle_field_is_bytes(guint field);
/* this one, "mbps_wr_max"; for another field the plain key. A new string. */
char *throttle_mebi_key(guint field);
/* QEMU's default, the same as absent. */
guint64 throttle_field_default(guint field);

/* 1 MiB is 2^20 bytes. */
#define MEBI_SHIFT 20

/* Decimal digits, a "+" may stand before them; leading zeros count for nothing. NULL and
 * *ret_value, at most G_MAXINT64 as QEMU's and JSON's integers are, or a static phrase ("is too
 * large"). */
const char *number_parse(const char *text, guint64 *ret_value) G_GNUC_WARN_UNUSED_RESULT;
/* A decimal such as 60, 0.5 or 6e1 times 2^shift, cut to a whole number. */
const char *number_parse_scaled(const char *text, guint shift,
                                guint64 *ret_value) G_GNUC_WARN_UNUSED_RESULT;
/* The same, cut up to a whole number. */
const char *number_parse_up(const char *text, guint shift,
                            guint64 *ret_value) G_GNUC_WARN_UNUSED_RESULT;
/* A short decimal that number_parse_scaled(.., MEBI_SHIFT, ..) reads as bytes; a new string. */
char *number_format_mebi(guint64 bytes);
