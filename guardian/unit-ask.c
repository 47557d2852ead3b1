/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit-ask.h"

#include "cgroup.h"

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

static bool
is_unit_name(const char *part)
{
    return g_str_has_suffix(part, ".service") || g_str_has_suffix(part, ".scope");
}

char *
unit_around(const Host *host, const char *group, bool *ret_is_unit)
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

bool
unit_words_parse(const char *text, UnitWords *ret_words)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    const char *policy = "";
    UnitWords words = {0};
    bool has_id = false;

    for (guint i = 0; lines[i]; i++) {
        has_id = has_id || g_str_has_prefix(lines[i], "Id=");
        if (g_str_has_prefix(lines[i], "MainPID="))
            words.main_pid = g_ascii_strtoll(lines[i] + strlen("MainPID="), NULL, 10);
        if (!*policy && g_str_has_prefix(lines[i], "OOMPolicy="))
            policy = lines[i] + strlen("OOMPolicy=");
    }
    if (!has_id)
        return false;
    words.oom_policy = g_strdup(policy);
    *ret_words = words;
    return true;
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
    bool is_told = answer && unit_words_parse(answer, &words);

    ask->func(is_told ? &words : NULL, ask->data);
    g_free(words.oom_policy);
    for (guint i = 0; ask->argv[i]; i++)
        g_free(ask->argv[i]);
    g_free(ask);
}

bool
unit_ask(Children *children, const char *unit, UnitWordsFunc func, gpointer data)
{
    Ask *ask = g_new0(Ask, 1);

    ask->argv[0] = g_strdup("systemctl");
    ask->argv[1] = g_strdup("show");
    ask->argv[2] = g_strdup("--property=Id,OOMPolicy,MainPID");
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
