/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config-disk.h"

#include <string.h>

typedef struct {
    char *key, *value;
    guint line;
} ConfigDiskLine;

static void
line_free(gpointer data)
{
    ConfigDiskLine *line = data;

    g_free(line->key);
    g_free(line->value);
    g_free(line);
}

const char *
config_disk_section(const char *section)
{
    const char *name;

    if (!g_str_has_prefix(section, CONFIG_DISK_SECTION))
        return NULL;
    name = section + strlen(CONFIG_DISK_SECTION);
    if (*name != '\0' && !g_ascii_isspace(*name))
        return NULL;
    return name + strspn(name, " \t");
}

ConfigDisk *
config_disk_new(const char *name, const char *path, guint line)
{
    ConfigDisk *disk = g_new0(ConfigDisk, 1);

    disk->name = g_strdup(name);
    disk->origin = g_strdup_printf("%s:%u", path, line);
    disk->line = line;
    disk->lines = g_ptr_array_new_with_free_func(line_free);
    return disk;
}

void
config_disk_free(ConfigDisk *disk)
{
    if (disk == NULL)
        return;
    g_free(disk->name);
    g_free(disk->origin);
    g_ptr_array_unref(disk->lines);
    throttle_free(disk->limits);
    g_free(disk);
}

void
config_disk_take(ConfigDisk *disk, const char *key, const char *value, guint line)
{
    ConfigDiskLine *taken = g_new0(ConfigDiskLine, 1);

    taken->key = g_strdup(key);
    taken->value = g_strdup(value);
    taken->line = line;
    g_ptr_array_add(disk->lines, taken);
}

/* The line whose key a sentence begins with. */
static guint
find_line(const ConfigDisk *disk, const char *wrong)
{
    guint found = 0;

    for (guint i = 0; i < disk->lines->len; i++) {
        const ConfigDiskLine *line = disk->lines->pdata[i];
        g_autofree char *unknown = g_strdup_printf("key \"%s\" ", line->key);
        g_autofree char *known = g_strdup_printf("%s \"", line->key);

        /* The last one: of a key given twice that one is wrong. */
        if (g_str_has_prefix(wrong, unknown) || g_str_has_prefix(wrong, known))
            found = line->line;
    }
    return found;
}

char *
config_disk_finish(ConfigDisk *disk, guint *ret_line)
{
    g_autoptr(GPtrArray) pairs = g_ptr_array_new();
    char *wrong = NULL;

    for (guint i = 0; i < disk->lines->len; i++) {
        const ConfigDiskLine *line = disk->lines->pdata[i];

        g_ptr_array_add(pairs, line->key);
        g_ptr_array_add(pairs, line->value);
    }
    g_ptr_array_add(pairs, NULL);
    disk->limits = throttle_parse(THROTTLE_POLICY, (const char *const *)pairs->pdata, &wrong);
    if (wrong != NULL)
        *ret_line = find_line(disk, wrong);
    return wrong;
}

ConfigDisk *
config_disk_copy(const ConfigDisk *disk)
{
    g_autoptr(ConfigDisk) copy = config_disk_new(disk->name, "", disk->line);
    g_autofree char *wrong = NULL;
    guint line;

    g_free(copy->origin);
    copy->origin = g_strdup(disk->origin);
    for (guint i = 0; i < disk->lines->len; i++) {
        const ConfigDiskLine *from = disk->lines->pdata[i];

        config_disk_take(copy, from->key, from->value, from->line);
    }
    wrong = config_disk_finish(copy, &line);
    return wrong == NULL ? g_steal_pointer(&copy) : NULL;
}
