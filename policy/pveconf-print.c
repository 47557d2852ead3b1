/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pveconf.h"

#include <string.h>

static void
append_encoded(GString *text, const char *line, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        if (line[i] >= ' ' && line[i] <= '~' && line[i] != '%')
            g_string_append_c(text, line[i]);
        else
            g_string_append_printf(text, "%%%02X", (guint)(guchar)line[i]);
    }
}

/* The canonical string of a drive, the text itself of anything else; a new string. */
static char *
value_print(const PveEntry *entry)
{
    g_autofree char *wrong = NULL;
    g_autoptr(Throttle) drive = pve_is_drive(entry->key) ? pve_drive_parse(entry, &wrong) : NULL;
    char **pairs;
    char *text;

    if (drive == NULL)
        return g_strdup(entry->value);
    pairs = throttle_print(THROTTLE_PROXMOX, drive, NULL);
    text = throttle_join_drive((const char *const *)pairs);
    g_strfreev(pairs);
    return text;
}

static int
entry_compare(gconstpointer a, gconstpointer b, gpointer data)
{
    return strcmp((*(const PveEntry *const *)a)->key, (*(const PveEntry *const *)b)->key);
}

static void
section_print_head(const PveSection *section, GString *text)
{
    if (section->kind == PVE_LIVE)
        return;
    if (section->kind == PVE_PENDING)
        g_string_append(text, "\n[PENDING]\n");
    else
        g_string_append_printf(text, "\n[%s%s]\n", section->kind == PVE_SPECIAL ? "special:" : "",
                               section->name);
}

static void
section_print(const PveSection *section, GString *text)
{
    GPtrArray *sorted = g_ptr_array_new();
    const char *line = section->description;

    section_print_head(section, text);
    for (; line != NULL && *line != '\0'; line += line[0] == '\n') {
        gsize length = strcspn(line, "\n");

        g_string_append_c(text, '#');
        append_encoded(text, line, length);
        g_string_append_c(text, '\n');
        line += length;
    }
    for (guint i = 0; i < section->entries->len; i++)
        g_ptr_array_add(sorted, section->entries->pdata[i]);
    g_qsort_with_data(sorted->pdata, (gint)sorted->len, sizeof(gpointer), entry_compare, NULL);
    for (guint i = 0; i < sorted->len; i++) {
        const PveEntry *entry = sorted->pdata[i];
        g_autofree char *value = value_print(entry);

        g_string_append_printf(text, "%s: %s\n", entry->key, value);
    }
    g_ptr_array_unref(sorted);
}

static int
section_compare(gconstpointer a, gconstpointer b, gpointer data)
{
    const PveSection *left = *(const PveSection *const *)a;
    const PveSection *right = *(const PveSection *const *)b;

    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return strcmp(left->name, right->name);
}

char *
pveconf_print(const PveConf *conf)
{
    GString *text = g_string_new(NULL);
    GPtrArray *sorted = g_ptr_array_new();

    for (guint i = 0; i < conf->sections->len; i++)
        g_ptr_array_add(sorted, conf->sections->pdata[i]);
    g_qsort_with_data(sorted->pdata, (gint)sorted->len, sizeof(gpointer), section_compare, NULL);
    for (guint i = 0; i < sorted->len; i++)
        section_print(sorted->pdata[i], text);
    g_ptr_array_unref(sorted);
    return g_string_free(text, FALSE);
}
