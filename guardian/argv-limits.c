/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "argv-limits.h"

static const struct {
    const char *name;       /* of a throttle-group's limits */
    const char *short_name; /* of a -drive */
} rates[] = {
    {"bps-total", "bps"},   {"bps-read", "bps_rd"},   {"bps-write", "bps_wr"},
    {"iops-total", "iops"}, {"iops-read", "iops_rd"}, {"iops-write", "iops_wr"},
};

static void
add(GPtrArray *pairs, const char *name, guint64 value)
{
    g_ptr_array_add(pairs, g_strdup(name));
    g_ptr_array_add(pairs, g_strdup_printf("%" G_GUINT64_FORMAT, value));
}

/* The long name counts; 0 is none everywhere. */
static void
add_given(GPtrArray *pairs, Options *options, const char *prefix, const char *name,
          const char *short_name, bool is_always)
{
    guint64 value = options_get_u64(options, "%s%s", prefix, name);

    if (value == 0 && short_name != NULL)
        value = options_get_u64(options, "%s", short_name);
    if (value > 0 || is_always)
        add(pairs, name, value);
}

static char **
limits_read(Options *options, const char *prefix, bool has_short_names)
{
    GPtrArray *pairs = g_ptr_array_new();

    for (guint i = 0; i < G_N_ELEMENTS(rates); i++) {
        g_autofree char *max = g_strconcat(rates[i].name, "-max", NULL);
        g_autofree char *length = g_strconcat(rates[i].name, "-max-length", NULL);
        g_autofree char *short_max = g_strconcat(rates[i].short_name, "_max", NULL);

        add_given(pairs, options, prefix, rates[i].name,
                  has_short_names ? rates[i].short_name : NULL, true);
        add_given(pairs, options, prefix, max, has_short_names ? short_max : NULL, false);
        add_given(pairs, options, prefix, length, NULL, false);
    }
    add_given(pairs, options, prefix, "iops-size", has_short_names ? "iops_size" : NULL, false);
    g_ptr_array_add(pairs, NULL);
    return (char **)g_ptr_array_free(pairs, FALSE);
}

char **
argv_limits_of_drive(Options *drive)
{
    return limits_read(drive, "throttling.", true);
}

char **
argv_limits_of_group(Options *object)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, object);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        if (g_str_has_prefix(key, "limits."))
            return limits_read(object, "limits.", false);
    return limits_read(object, "x-", false);
}
