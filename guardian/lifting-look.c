/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lifting-look.h"

#include "cgroup-place.h"
#include "cgroup.h"
#include "group.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* systemd answers within milliseconds, unless it reloads hundreds of units. */
#define ASK_DEADLINE_US (10 * (gint64)G_USEC_PER_SEC)

typedef struct {
    char *argv[6];
    UnitWordsFunc func;
    gpointer data;
} Ask;

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

static bool
is_unit_name(const char *part)
{
    return g_str_has_suffix(part, ".service") || g_str_has_suffix(part, ".scope");
}

char *
lifting_look_unit(const Host *host, const char *group, bool *ret_is_unit)
{
    g_auto(GStrv) parts = g_strsplit(group + 1, "/", -1);
    const char *unit = NULL;
    bool is_foreign = false;

    for (guint i = 0; parts[i]; i++) {
        bool is_unit = is_unit_name(parts[i]), is_slice = g_str_has_suffix(parts[i], ".slice");

        /* inside of a unit, or of a group without a name of that kind, another manager names them
         */
        is_foreign =
            is_foreign || (unit ? is_unit || is_slice : !is_unit && !is_slice && parts[i + 1]);
        if (!unit && is_unit)
            unit = parts[i];
    }
    *ret_is_unit = unit != NULL && systemd_runs(host);
    if (!*ret_is_unit || is_foreign)
        return NULL;
    return g_strdup(*unit == '_' ? unit + 1 : unit); /* so that it is no file of the cgroup */
}

void
unit_words_parse(const char *text, UnitWords *ret_words)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    *ret_words = (UnitWords){0};
    for (guint i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "MainPID="))
            ret_words->main_pid = g_ascii_strtoll(lines[i] + strlen("MainPID="), NULL, 10);
        if (!ret_words->oom_policy && g_str_has_prefix(lines[i], "OOMPolicy="))
            ret_words->oom_policy = g_strdup(lines[i] + strlen("OOMPolicy="));
    }
    if (!ret_words->oom_policy)
        ret_words->oom_policy = g_strdup("");
}

/* In the child: the answer is its output. */
static void
ask_run(int answer_fd, gconstpointer data)
{
    const Ask *ask = data;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)dup2(null_fd, STDIN_FILENO);
    (void)dup2(null_fd, STDERR_FILENO);
    (void)dup2(answer_fd, STDOUT_FILENO);
    execvp(ask->argv[0], ask->argv);
    _exit(127);
}

static void
ask_done(const char *answer, gsize length, gpointer data)
{
    Ask *ask = data;
    UnitWords words = {0};

    if (answer)
        unit_words_parse(answer, &words);
    ask->func(answer ? &words : NULL, ask->data);
    g_free(words.oom_policy);
    for (guint i = 0; ask->argv[i]; i++)
        g_free(ask->argv[i]);
    g_free(ask);
}

bool
lifting_look_ask(Children *children, const char *unit, UnitWordsFunc func, gpointer data)
{
    Ask *ask = g_new0(Ask, 1);

    ask->argv[0] = g_strdup("systemctl");
    ask->argv[1] = g_strdup("show");
    ask->argv[2] = g_strdup("--property=OOMPolicy,MainPID");
    ask->argv[3] = g_strdup("--");
    ask->argv[4] = g_strdup(unit);
    ask->func = func;
    ask->data = data;
    if (children_run(children, &(ChildCall){.run = ask_run,
                                            .done = ask_done,
                                            .data = ask,
                                            .deadline_us = ASK_DEADLINE_US}))
        return true;
    for (guint i = 0; ask->argv[i]; i++)
        g_free(ask->argv[i]);
    g_free(ask);
    return false;
}
