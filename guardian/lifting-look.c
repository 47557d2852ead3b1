/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lifting-look.h"

#include "cgroup-place.h"
#include "cgroup.h"
#include "group.h"

#include <string.h>

/* true where the file says 1; *ret_is_known false where it cannot be read. */
static bool
kills_group(int mount_fd, const char *path, bool *ret_is_known)
{
    char text[8] = "";

    *ret_is_known = *ret_is_known &&
                    group_file_read(mount_fd, path + 1, "memory.oom.group", text, sizeof text) &&
                    *text;
    return *ret_is_known && *text == '1';
}

void
lifting_look_groups(const Host *host, pid_t pid, const char *path, LiftFacts *facts,
                    char **ret_group)
{
    g_autoptr(Proc) proc = proc_open(host, pid, NULL);
    CgroupPlace place = {.mount_fd = -1};
    bool is_known = true;

    *ret_group = NULL;
    if (!proc || !cgroup_place_find(host, proc, &place, NULL))
        return;
    if (place.is_v2 && group_holds(path, place.path)) {
        g_autofree char *at = g_strdup(place.path);

        for (;;) {
            facts->kills_group = kills_group(place.mount_fd, at, &is_known) || facts->kills_group;
            if (strlen(at) <= strlen(path))
                break;
            *strrchr(at, '/') = '\0';
        }
        facts->has_group_kill = is_known;
        *ret_group = g_strdup(place.path);
    }
    fd_clear(&place.mount_fd);
    g_free(place.path);
}
