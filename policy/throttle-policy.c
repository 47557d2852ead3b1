/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"
#include "units.h"

#include <string.h>

/* The lines of [disk NAME]: Proxmox' words and the few it lacks, each once, in one of its units.
 *
 *   mbps, mbps_rd, ..., mbps_wr_max    MiB/s, a decimal
 *   bps, bps_rd, ..., bps_wr_max       bytes/s, an integer with optional K, M, G or T
 *   iops, ..., *_max_length, iops_size integers; iops_size like bytes/s
 *   group                              a name
 *
 * 0 is "none" everywhere. The name of the disk comes as the pair "disk". */

#define DISK "disk"
#define GROUP "group"

/* Takes a SIZE. */
static bool
field_has_size(guint field)
{
    return field == THROTTLE_IOPS_SIZE || throttle_field_is_bytes(field);
}

/* The field of a key, with or without the "m" of mebibytes; THROTTLE_N_FIELDS for none. */
static guint
key_field(const char *key, bool *ret_is_mebi)
{
    *ret_is_mebi = g_str_has_prefix(key, "mbps");
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        if (strcmp(key + *ret_is_mebi, throttle_names[i].legacy) == 0)
            return *ret_is_mebi && !throttle_field_is_bytes(i) ? THROTTLE_N_FIELDS : i;
    return THROTTLE_N_FIELDS;
}

static char *
line_read(Throttle *throttle, bool *is_given, const char *key, const char *value)
{
    bool is_mebi;
    guint field = key_field(key, &is_mebi);
    guint64 number = 0;
    const char *wrong;

    if (field == THROTTLE_N_FIELDS)
        return throttle_wrong("key", key, "is no key of [disk]");
    if (is_given[field])
        wrong = "is given twice";
    else if (is_mebi)
        wrong = number_parse_scaled(value, MEBI_SHIFT, &number);
    else if (field_has_size(field))
        wrong = units_parse_size(value, &number);
    else
        wrong = number_parse(value, &number);
    if (wrong == NULL && number > G_MAXINT64)
        wrong = "is too large";
    if (wrong != NULL)
        return throttle_wrong(key, value, wrong);
    is_given[field] = true;
    throttle->fields[field] = number > 0 ? number : throttle_field_default(field);
    return NULL;
}

char *
throttle_policy_read(Throttle *throttle, const char *const *pairs)
{
    bool is_given[THROTTLE_N_FIELDS] = {false}, has_group = false;
    GPtrArray *others = pairs_new();
    char *wrong = NULL;

    for (; *pairs != NULL && wrong == NULL; pairs += 2) {
        if (strcmp(pairs[0], DISK) == 0) {
            pairs_add(others, DISK, pairs[1]);
        } else if (strcmp(pairs[0], GROUP) != 0) {
            wrong = line_read(throttle, is_given, pairs[0], pairs[1]);
        } else if (has_group || *pairs[1] == '\0') {
            wrong = throttle_wrong(GROUP, pairs[1], has_group ? "is given twice" : "is empty");
        } else {
            throttle_set_group(throttle, pairs[1]);
            has_group = true;
        }
    }
    g_strfreev(throttle->others);
    throttle->others = pairs_end(others);
    return wrong;
}

char **
throttle_policy_print(const Throttle *throttle, GPtrArray *notes)
{
    GPtrArray *pairs = pairs_new();

    if (throttle->form == THROTTLE_POLICY)
        pairs_add_all(pairs, throttle->others);
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++) {
        guint64 value = throttle->fields[i];

        if (value == throttle_field_default(i))
            continue;
        if (throttle_field_is_bytes(i) && value % UNITS_MIB == 0) {
            g_autofree char *key = throttle_mebi_key(i);

            pairs_add_number(pairs, key, value / UNITS_MIB);
        } else {
            pairs_add_number(pairs, throttle_names[i].legacy, value);
        }
    }
    if (throttle->group != NULL)
        pairs_add(pairs, GROUP, throttle->group);
    return pairs_end(pairs);
}
