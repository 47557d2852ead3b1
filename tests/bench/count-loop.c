/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* count-loop PID BYTES: counts the pages of that process's mapping of this size, over and over, at
 * the pace of the guardian's own count but without its minutes in between. Runs until it is killed;
 * what it could not count ends it. */

#include "pagecount.h"

#include <fcntl.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
    guint64 pid = 0, bytes = 0;
    g_autofree char *path = NULL;

    if (argc != 3 || !g_ascii_string_to_unsigned(argv[1], 10, 1, G_MAXINT32, &pid, NULL) ||
        !g_ascii_string_to_unsigned(argv[2], 10, 1, G_MAXINT64, &bytes, NULL)) {
        fprintf(stderr, "usage: count-loop PID BYTES\n");
        return 2;
    }
    path = g_strdup_printf("/proc/%s", argv[1]);
    for (;;) {
        PageCountCall *call = g_new0(PageCountCall, 1);
        g_autofree PageCount *count = NULL;

        call->pid = (pid_t)pid;
        call->proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        call->sizes_bytes[call->n_sizes++] = bytes;
        count = pagecount_run(call);
        pagecount_call_free(call);
        if (!count->is_known)
            return 1;
        printf("%" G_GUINT64_FORMAT "\n", count->low_bytes);
        fflush(stdout);
    }
}
