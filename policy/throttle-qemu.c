/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"

#include <string.h>

/* QEMU shows limits in two objects:
 *
 *   inserted of query-block    bps, bps_rd, ..., iops_wr always; *_max, *_max_length, iops_size and
 *                              group only when set; among members that are no limits
 *   limits of a throttle-group bps-total, ..., nothing else; an object that creates one may leave
 *                              out what is default
 *
 * A disk of a throttle-group shows zeros in query-block: its driver is then "throttle". Lengths in
 * a throttle-group are 32 bits wide. */

#define GROUP "group"
#define DRIVER "drv"

typedef struct {
    const char *values[THROTTLE_N_FIELDS];
    const char *group;
    bool is_filter; /* a throttle node */
    guint n_legacy, n_group;
} Members;

/* The field that a member is; THROTTLE_N_FIELDS for none. */
static guint
member_field(const char *name, bool *ret_is_group_object)
{
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++) {
        *ret_is_group_object = strcmp(name, throttle_names[i].group) == 0;
        if (*ret_is_group_object || strcmp(name, throttle_names[i].legacy) == 0)
            return i;
    }
    return THROTTLE_N_FIELDS;
}

static char *
members_sort(Members *members, const char *const *pairs, const char **ret_unknown)
{
    for (; *pairs != NULL; pairs += 2) {
        bool is_group_object;
        guint field = member_field(pairs[0], &is_group_object);

        if (strcmp(pairs[0], GROUP) == 0) {
            members->group = pairs[1];
        } else if (strcmp(pairs[0], DRIVER) == 0) {
            members->is_filter = strcmp(pairs[1], "throttle") == 0;
        } else if (field == THROTTLE_N_FIELDS) {
            *ret_unknown = pairs[0];
            continue;
        } else {
            if (members->values[field] != NULL)
                return throttle_wrong(pairs[0], NULL, "is given twice");
            members->values[field] = pairs[1];
            members->n_group += is_group_object;
            members->n_legacy += !is_group_object;
        }
    }
    return NULL;
}

/* query-block always gives all six rates. Missing is not zero. */
static char *
legacy_check(const Members *members)
{
    for (guint i = 0; i < THROTTLE_N_LIMITS; i++) {
        guint field = THROTTLE_FIELD(i, THROTTLE_RATE);

        if (members->values[field] == NULL)
            return throttle_wrong(throttle_names[field].legacy, NULL, "is missing");
    }
    return NULL;
}

static char *
members_check(const Members *members, const char *unknown)
{
    if (members->n_legacy > 0 && members->n_group > 0)
        return g_strdup("holds members of query-block and of a throttle-group");
    if (members->n_legacy > 0)
        return legacy_check(members);
    if (members->n_group == 0)
        return g_strdup("holds no limit: neither inserted of query-block nor limits of a "
                        "throttle-group");
    if (members->group != NULL)
        unknown = GROUP;
    return unknown != NULL ? throttle_wrong(unknown, NULL, "is no limit of a throttle-group")
                           : NULL;
}

char *
throttle_qemu_read(Throttle *throttle, const char *const *pairs)
{
    Members members = {.values = {NULL}};
    const char *unknown = NULL;
    char *wrong = members_sort(&members, pairs, &unknown);

    if (wrong == NULL)
        wrong = members_check(&members, unknown);
    if (wrong != NULL)
        return wrong;
    throttle->is_group_object = members.n_group > 0;
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++) {
        const char *name =
            throttle->is_group_object ? throttle_names[i].group : throttle_names[i].legacy;
        const char *phrase = members.values[i] != NULL
                                 ? number_parse(members.values[i], &throttle->fields[i])
                                 : NULL;

        if (phrase == NULL && throttle->fields[i] == 0 && throttle_field_is_length(i))
            phrase = "is less than one second";
        if (phrase != NULL)
            return throttle_wrong(name, members.values[i], phrase);
    }
    if (members.group != NULL)
        throttle_set_group(throttle, members.group);
    if (members.is_filter)
        throttle_note(throttle->notes, "this node is a throttle filter: its limits stand in its "
                                       "throttle-group, the zeros here are not they");
    return NULL;
}

static char **
group_print(const Throttle *throttle, GPtrArray *notes)
{
    GPtrArray *pairs = pairs_new();

    if (throttle->group != NULL)
        throttle_note(notes, "the limits of a throttle-group have no word for group");
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++) {
        if (throttle_field_is_length(i) && throttle->fields[i] > G_MAXUINT32)
            throttle_note(notes, "%s is past the 32 bits of a throttle-group",
                          throttle_names[i].name);
        pairs_add_number(pairs, throttle_names[i].group, throttle->fields[i]);
    }
    return pairs_end(pairs);
}

char **
throttle_qemu_print(const Throttle *throttle, GPtrArray *notes)
{
    GPtrArray *pairs;

    if (throttle->is_group_object)
        return group_print(throttle, notes);
    pairs = pairs_new();
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++) {
        bool is_rate = i < THROTTLE_IOPS_SIZE && i % THROTTLE_N_PARTS == THROTTLE_RATE;
        /* As query-block does: a length goes with its burst. */
        guint64 shown = throttle->fields[throttle_field_is_length(i) ? i - 1 : i];

        if (is_rate || shown > 0 || throttle->fields[i] != throttle_field_default(i))
            pairs_add_number(pairs, throttle_names[i].legacy, throttle->fields[i]);
    }
    if (throttle->group != NULL)
        pairs_add(pairs, GROUP, throttle->group);
    return pairs_end(pairs);
}
