/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handler.h"

#include "cgroup.h"
#include "units.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

static const char handler_name[] = "virt-handler";

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

void
handler_look(const Host *host, Handler *handler)
{
    pid_t pid = is_handler(host, handler->pid) ? handler->pid : find(host);
    g_autoptr(Proc) proc = pid > 0 ? proc_open(host, pid, NULL) : NULL;
    g_autoptr(Cgroup) cgroup = proc ? cgroup_open(host, proc, NULL) : NULL;
    CgroupReading reading;

    handler_clear(handler);
    handler->pid = pid;
    if (!cgroup || !cgroup_read(cgroup, &reading, NULL))
        return;
    handler->group = units_printable_path(cgroup_path(cgroup)->path);
    handler->usage_bytes = reading.charge.usage_bytes;
    handler->held_bytes = reading.charge.unreclaimable_bytes;
    handler->has_limit = reading.has_limit;
    handler->limit_bytes = reading.limit_bytes;
    cgroup_reading_clear(&reading);
}
