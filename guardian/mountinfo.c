/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mountinfo.h"

#include <fcntl.h>
#include <string.h>

/* A host with a thousand mounts has about 200 KiB. */
#define MOUNTINFO_BYTES_MAX (4 * 1024 * 1024)

/* Blank, tab, newline and backslash are written as three octal digits. */
static char *
octal_unescape(const char *text)
{
    GString *out = g_string_new(NULL);

    for (; *text != '\0'; text++) {
        bool is_escape = text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
                         text[2] <= '7' && text[3] >= '0' && text[3] <= '7';

        g_string_append_c(
            out, is_escape ? (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'))
                           : *text);
        text += is_escape ? 3 : 0;
    }
    return g_string_free(out, FALSE);
}

Mount *
mount_parse(const char *line)
{
    enum { DEVICE = 2, ROOT = 3, POINT = 4, OPTIONAL = 6 };
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    guint n_words = g_strv_length(words), dash = OPTIONAL;
    Mount *mount;

    while (dash < n_words && strcmp(words[dash], "-") != 0)
        dash++;
    if (dash + 3 >= n_words || *words[POINT] != '/')
        return NULL;
    mount = g_new0(Mount, 1);
    mount->device = g_strdup(words[DEVICE]);
    mount->root = octal_unescape(words[ROOT]);
    mount->point = octal_unescape(words[POINT]);
    mount->type = octal_unescape(words[dash + 1]);
    mount->source = octal_unescape(words[dash + 2]);
    mount->own_options = octal_unescape(words[dash + 3]);
    return mount;
}

void
mount_free(Mount *mount)
{
    if (!mount)
        return;
    g_free(mount->device);
    g_free(mount->root);
    g_free(mount->point);
    g_free(mount->type);
    g_free(mount->source);
    g_free(mount->own_options);
    g_free(mount);
}

/* "self" is a link in the real one, which is read and not followed. */
char *
mountinfo_read(const Host *host, GError **error)
{
    char self[32] = "self";
    gssize length = readlinkat(host_root_fd(host, HOST_PROC), "self", self, sizeof self - 1);
    g_autofree char *path = NULL;

    if (length > 0)
        self[length] = '\0';
    path = g_strconcat(self, "/mountinfo", NULL);
    return host_read(host, HOST_PROC, path, MOUNTINFO_BYTES_MAX, NULL, error);
}

static bool
lies_below(const char *path, const char *point)
{
    gsize length = strlen(point);

    return g_str_has_prefix(path, point) &&
           (length == 1 || path[length] == '/' || path[length] == '\0');
}

Mount *
mountinfo_of_path(const Host *host, const char *path)
{
    g_autofree char *text = mountinfo_read(host, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    g_autoptr(Mount) nearest = NULL;

    for (guint i = 0; lines[i]; i++) {
        g_autoptr(Mount) mount = mount_parse(lines[i]);

        if (!mount || !lies_below(path, mount->point) ||
            (nearest && strlen(mount->point) < strlen(nearest->point)))
            continue;
        mount_free(nearest);
        nearest = g_steal_pointer(&mount);
    }
    return g_steal_pointer(&nearest);
}
