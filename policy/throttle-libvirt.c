/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"

#include <string.h>

/* The elements of <iotune>. A live read fills group_name with the name of the disk's own group and
 * lengths with 0; libvirt itself leaves zeros out when it prints. It refuses total beside read or
 * write and what is past QEMU's cap; a burst without its rate it takes, and QEMU refuses. An
 * element it does not know it skips. */

#define GROUP "group_name"

static char *
element_read(Throttle *throttle, bool *is_given, const char *name, const char *value)
{
    const char *wrong;
    guint64 number;

    for (guint i = 0; i < THROTTLE_N_FIELDS; i++) {
        if (strcmp(name, throttle_names[i].libvirt) != 0)
            continue;
        wrong = is_given[i] ? "is given twice" : number_parse(value, &number);
        if (wrong != NULL)
            return throttle_wrong(name, value, wrong);
        is_given[i] = true;
        throttle->fields[i] = number > 0 ? number : throttle_field_default(i);
        return NULL;
    }
    g_autofree char *note =
        throttle_wrong(name, NULL, "is no element libvirt knows: it is skipped");

    throttle_note(throttle->notes, "%s", note);
    return NULL;
}

/* What libvirt itself refuses, before QEMU could. */
static char *
limits_check(const Throttle *throttle)
{
    static const ThrottlePart mixable[] = {THROTTLE_RATE, THROTTLE_MAX};
    ThrottleLimit total;

    for (guint i = 0; i < G_N_ELEMENTS(mixable); i++)
        if (throttle_mixes(throttle, mixable[i], &total))
            return throttle_wrong(throttle_names[THROTTLE_FIELD(total, mixable[i])].libvirt, NULL,
                                  "stands beside its read or write");
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        if (throttle->fields[i] > THROTTLE_VALUE_MAX)
            return throttle_wrong(throttle_names[i].libvirt, NULL, "is past 1000000000000000");
    return NULL;
}

char *
throttle_libvirt_read(Throttle *throttle, const char *const *pairs)
{
    bool is_given[THROTTLE_N_FIELDS] = {false}, has_group = false;

    for (; *pairs != NULL; pairs += 2) {
        char *wrong = NULL;

        if (strcmp(pairs[0], GROUP) != 0) {
            wrong = element_read(throttle, is_given, pairs[0], pairs[1]);
        } else {
            if (has_group)
                wrong = throttle_wrong(GROUP, pairs[1], "is given twice");
            else
                throttle_set_group(throttle, pairs[1]);
            has_group = true;
        }
        if (wrong != NULL)
            return wrong;
    }
    return limits_check(throttle);
}

/* In libvirt's own order: lengths behind all else. */
char **
throttle_libvirt_print(const Throttle *throttle, GPtrArray *notes)
{
    static const ThrottlePart parts[] = {THROTTLE_RATE, THROTTLE_MAX};
    GPtrArray *pairs = pairs_new();

    for (guint i = 0; i < G_N_ELEMENTS(parts) * THROTTLE_N_LIMITS; i++) {
        guint field = THROTTLE_FIELD(i % THROTTLE_N_LIMITS, parts[i / THROTTLE_N_LIMITS]);

        if (throttle->fields[field] > 0)
            pairs_add_number(pairs, throttle_names[field].libvirt, throttle->fields[field]);
    }
    if (throttle->fields[THROTTLE_IOPS_SIZE] > 0)
        pairs_add_number(pairs, throttle_names[THROTTLE_IOPS_SIZE].libvirt,
                         throttle->fields[THROTTLE_IOPS_SIZE]);
    if (throttle->group != NULL)
        pairs_add(pairs, GROUP, throttle->group);
    for (guint i = 0; i < THROTTLE_N_LIMITS; i++) {
        guint field = THROTTLE_FIELD(i, THROTTLE_LENGTH);

        if (throttle->fields[field] > 1)
            pairs_add_number(pairs, throttle_names[field].libvirt, throttle->fields[field]);
    }
    return pairs_end(pairs);
}

static bool
differs(const Throttle *wanted, const Throttle *const *known, guint n, guint field)
{
    for (guint i = 0; i < n; i++)
        if (throttle_field_differs(wanted, known[i], field))
            return true;
    return false;
}

/* THROTTLE_BPS_TOTAL or THROTTLE_IOPS_TOTAL with the two behind it. */
static void
add_kind(GPtrArray *pairs, const Throttle *wanted, const Throttle *const *known, guint n,
         ThrottleLimit first, ThrottlePart part)
{
    bool is_told = false;

    for (guint limit = first; limit < first + 3u; limit++)
        is_told = is_told || differs(wanted, known, n, THROTTLE_FIELD(limit, part));
    for (guint limit = first; is_told && limit < first + 3u; limit++)
        pairs_add_number(pairs, throttle_names[THROTTLE_FIELD(limit, part)].libvirt,
                         wanted->fields[THROTTLE_FIELD(limit, part)]);
}

char **
throttle_libvirt_change(const Throttle *wanted, const Throttle *const *known, guint n)
{
    static const ThrottlePart parts[] = {THROTTLE_RATE, THROTTLE_MAX};
    GPtrArray *pairs = pairs_new();

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        add_kind(pairs, wanted, known, n, THROTTLE_BPS_TOTAL, parts[i]);
        add_kind(pairs, wanted, known, n, THROTTLE_IOPS_TOTAL, parts[i]);
    }
    for (guint field = 0; field < THROTTLE_N_FIELDS; field++)
        if ((throttle_field_is_length(field) || field == THROTTLE_IOPS_SIZE) &&
            differs(wanted, known, n, field))
            pairs_add_number(pairs, throttle_names[field].libvirt, wanted->fields[field]);
    return pairs_end(pairs);
}
