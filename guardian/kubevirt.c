/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kubevirt.h"

#include <string.h>

/* Names in Kubernetes are DNS names. */
#define NAME_BYTES_MAX 253

/* The value of the option at words[0], "--name x" or "--name=x"; NULL: it is another one. */
static const char *
option_value(const char *const *words, const char *option)
{
    gsize length = strlen(option);

    if (strncmp(words[0], option, length) != 0)
        return NULL;
    if (words[0][length] == '=')
        return words[0] + length + 1;
    return words[0][length] == '\0' ? words[1] : NULL;
}

static bool
is_name(const char *text)
{
    gsize length = text ? strlen(text) : 0;

    return length > 0 && length <= NAME_BYTES_MAX && !strchr(text, '/');
}

bool
kubevirt_parse_launcher(const char *const *words, KubevirtName *ret_name)
{
    static const char *const options[] = {"--namespace", "--name", "--uid"};
    const char *values[G_N_ELEMENTS(options)] = {NULL};

    for (guint i = 0; words && words[i]; i++)
        for (guint j = 0; j < G_N_ELEMENTS(options); j++) {
            const char *value = option_value(words + i, options[j]);

            values[j] = value ? value : values[j];
        }
    if (!is_name(values[0]) || !is_name(values[1]))
        return false;
    ret_name->space = g_strdup(values[0]);
    ret_name->name = g_strdup(values[1]);
    ret_name->uid = is_name(values[2]) ? g_strdup(values[2]) : NULL;
    return true;
}

bool
kubevirt_parse_domain(const char *domain, KubevirtName *ret_name)
{
    const char *bar = domain ? strchr(domain, '_') : NULL;
    g_autofree char *space = bar ? g_strndup(domain, (gsize)(bar - domain)) : NULL;

    if (!is_name(space) || !is_name(bar + 1))
        return false;
    ret_name->space = g_steal_pointer(&space);
    ret_name->name = g_strdup(bar + 1);
    ret_name->uid = NULL;
    return true;
}

void
kubevirt_name_clear(KubevirtName *name)
{
    g_clear_pointer(&name->space, g_free);
    g_clear_pointer(&name->name, g_free);
    g_clear_pointer(&name->uid, g_free);
}
