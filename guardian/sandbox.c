/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox.h"

bool
sandbox_is_around_us(void)
{
    return g_getenv("NOTIFY_SOCKET") != NULL;
}

void
sandbox_leave(GPtrArray *argv, const char *description, gint64 deadline_us)
{
    static const char *const words[] = {
        "/usr/bin/systemd-run", "--quiet", "--collect", "--pipe", "--wait", "--service-type=exec"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        g_ptr_array_add(argv, g_strdup(words[i]));
    g_ptr_array_add(argv, g_strdup_printf("--description=%s", description));
    g_ptr_array_add(argv, g_strdup_printf("--property=RuntimeMaxSec=%" G_GINT64_FORMAT "ms",
                                          deadline_us / 1000));
}
