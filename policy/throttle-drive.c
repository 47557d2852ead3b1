/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"

#include <string.h>

/* The text of a drive string and its pairs; its meaning is throttle-proxmox.c's. The name that
 * `qm config` prints before it ("scsi0: ") may be left in front. */

/* Past "scsi0: ". A volume may hold a colon ("local:vm-1-disk-0"), but no blank behind it. */
static const char *
skip_name(const char *text)
{
    gsize letters = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    gsize digits = strspn(text + letters, "0123456789");
    const char *colon = text + letters + digits;

    if (letters == 0 || digits == 0 || colon[0] != ':' || colon[1] != ' ')
        return text;
    return colon + 1 + strspn(colon + 1, " ");
}

static bool
has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if (g_ascii_iscntrl(*text))
            return true;
    return false;
}

/* One part of length bytes. NULL, or what is wrong with it. */
static char *
add_part(GPtrArray *pairs, const char *part, gsize length)
{
    g_autofree char *text = g_strndup(part, length);
    char *equals = strchr(text, '=');

    if (text[strspn(text, " ")] == '\0')
        return NULL;
    if (equals == NULL) {
        pairs_add(pairs, THROTTLE_VOLUME, text);
        return NULL;
    }
    if (equals == text || equals[1] == '\0')
        return throttle_wrong("part", text, equals == text ? "has no key" : "has no value");
    *equals = '\0';
    pairs_add(pairs, text, equals + 1);
    return NULL;
}

char **
throttle_split_drive(const char *text, char **ret_wrong)
{
    GPtrArray *pairs = pairs_new();
    char *wrong = has_control(text) ? g_strdup("holds a control character") : NULL;
    char **result;

    for (const char *part = skip_name(text); wrong == NULL; part++) {
        gsize length = strcspn(part, ",");

        wrong = add_part(pairs, part, length);
        part += length;
        if (*part == '\0')
            break;
    }
    result = pairs_end(pairs);
    if (wrong == NULL)
        return result;
    g_strfreev(result);
    *ret_wrong = wrong;
    return NULL;
}

/* May it stand without its key? Not one that would read as a key, as the name in front or as
 * nothing. */
static bool
volume_is_plain(const char *volume)
{
    return strchr(volume, '=') == NULL && skip_name(volume) == volume &&
           volume[strspn(volume, " ")] != '\0';
}

char *
throttle_join_drive(const char *const *pairs)
{
    GString *text = g_string_new(NULL);

    for (; *pairs != NULL; pairs += 2) {
        bool is_bare = strcmp(pairs[0], THROTTLE_VOLUME) == 0 && volume_is_plain(pairs[1]);

        if (text->len > 0)
            g_string_append_c(text, ',');
        if (!is_bare)
            g_string_append_printf(text, "%s=", pairs[0]);
        g_string_append(text, pairs[1]);
    }
    return g_string_free(text, FALSE);
}

/* The volume first, then by key. */
static int
compare_pairs(gconstpointer a, gconstpointer b, gpointer data)
{
    const char *const *left = a, *const *right = b;
    bool is_left = strcmp(left[0], THROTTLE_VOLUME) == 0;
    bool is_right = strcmp(right[0], THROTTLE_VOLUME) == 0;

    return is_left != is_right ? is_right - is_left : strcmp(left[0], right[0]);
}

/* Does Proxmox want to see this field because of what stands behind it? It does not ask for a rate
 * of operations. */
static bool
is_required(const Throttle *throttle, guint field)
{
    bool is_rate_of_operations =
        !throttle_field_is_bytes(field) && field % THROTTLE_N_PARTS == THROTTLE_RATE;

    for (guint i = field + 1; i % THROTTLE_N_PARTS != 0 && !is_rate_of_operations; i++)
        if (throttle->fields[i] != throttle_field_default(i))
            return true;
    return false;
}

/* As its key wants it. A zero is shown only where it is required, and then so that Proxmox takes it
 * for true. A new string. */
static char *
format_field(const Throttle *throttle, guint field)
{
    guint64 value = throttle->fields[field];
    bool is_bytes = throttle_field_is_bytes(field);

    if (value == 0)
        return g_strdup(is_bytes ? "0.000" : "00");
    return is_bytes ? number_format_mebi(value) : g_strdup_printf("%" G_GUINT64_FORMAT, value);
}

char **
throttle_proxmox_print(const Throttle *throttle, GPtrArray *notes)
{
    GPtrArray *pairs = pairs_new();

    if (throttle->form == THROTTLE_PROXMOX)
        pairs_add_all(pairs, throttle->others);
    for (guint i = 0; i < THROTTLE_IOPS_SIZE; i++) {
        g_autofree char *key = throttle_mebi_key(i);
        g_autofree char *text = format_field(throttle, i);

        if (throttle->fields[i] != throttle_field_default(i) || is_required(throttle, i))
            pairs_add(pairs, key, text);
    }
    if (throttle->fields[THROTTLE_IOPS_SIZE] > 0)
        throttle_note(notes, "a drive string of Proxmox has no word for iops_size_bytes");
    if (throttle->group != NULL)
        throttle_note(notes, "a drive string of Proxmox has no word for group");
    g_qsort_with_data(pairs->pdata, (gint)pairs->len / 2, 2 * sizeof(gpointer), compare_pairs,
                      NULL);
    return pairs_end(pairs);
}
