/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handler.h"

#include "cgroup.h"
#include "units.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

static const char handler_name[] = "virt-handler";

/* Reading the names of a node's thousands of processes takes some 10 ms: not each time the trees
 * are looked at, where its VMs have no virt-handler beside them for hours. */
#define PAUSE_FIRST_US (30 * (gint64)G_USEC_PER_SEC)
/* One that comes late is told of so much later. */
#define PAUSE_MAX_US (600 * (gint64)G_USEC_PER_SEC)

static bool
is_handler(const Host *host, pid_t pid)
{
    g_autofree char *comm = pid > 0 ? proc_peek_comm(host, pid) : NULL;

    return comm && strcmp(comm, handler_name) == 0;
}

static pid_t
find(const Host *host)
{
    int fd = host_open_beneath(host_root_fd(host, HOST_PROC), ".", O_RDONLY | O_DIRECTORY);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    pid_t found = 0;

    while (directory && found == 0 && (entry = readdir(directory))) {
        gint64 number = g_ascii_strtoll(entry->d_name, NULL, 10);

        if (number > 0 && number <= G_MAXINT32 && is_handler(host, (pid_t)number))
            found = (pid_t)number;
    }
    if (directory)
        closedir(directory);
    else
        fd_clear(&fd);
    return found;
}

void
handler_clear(Handler *handler)
{
    g_free(handler->group);
    *handler = (Handler){0};
}

/* The known one, or one that is found now; 0. */
static pid_t
pid_now(const Host *host, Handler *handler, gint64 now_us)
{
    pid_t pid = handler->pid;

    if (is_handler(host, pid))
        return pid;
    if (now_us < handler->due_us)
        return 0;
    pid = find(host);
    handler->pause_us = pid > 0 ? 0 : CLAMP(2 * handler->pause_us, PAUSE_FIRST_US, PAUSE_MAX_US);
    handler->due_us = pid > 0 ? 0 : now_us + handler->pause_us;
    return pid;
}

void
handler_look(const Host *host, Handler *handler, gint64 now_us)
{
    pid_t pid = pid_now(host, handler, now_us);
    g_autoptr(Proc) proc = pid > 0 ? proc_open(host, pid, NULL) : NULL;
    g_autoptr(Cgroup) cgroup = proc ? cgroup_open(host, proc, NULL) : NULL;
    CgroupReading reading;

    g_free(handler->group);
    *handler = (Handler){.pid = pid, .due_us = handler->due_us, .pause_us = handler->pause_us};
    if (!cgroup || !cgroup_read(cgroup, &reading, NULL))
        return;
    handler->group = units_printable_path(cgroup_path(cgroup)->path);
    handler->usage_bytes = reading.charge.usage_bytes;
    handler->held_bytes = reading.charge.unreclaimable_bytes;
    handler->has_limit = reading.has_limit;
    handler->limit_bytes = reading.limit_bytes;
    cgroup_reading_clear(&reading);
}
