/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bundles that stayed in memory, because the disk below the state directory was dead or the daemon
 * ended too early: tried again until they lie on the disk. */

#include "capture-private.h"
#include "capture-store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A dead disk comes back after minutes or hours; a child that hangs on it costs one process. */
#define RETRY_S 300
/* A storage that is back writes some bundles of some MiB. */
#define RETRY_DEADLINE_US (20 * (gint64)G_USEC_PER_SEC)

typedef struct {
    const Captures *captures;
    int run_fd, var_fd;
    int error_number; /* of the first that failed */
} Rescue;

static bool
is_under_way(const Captures *captures, const char *name)
{
    for (guint i = 0; i < captures->all->len; i++) {
        const Capture *capture = captures->all->pdata[i];

        if (strcmp(capture->name, name) == 0)
            return !capture->problem;
    }
    return false;
}

/* guardianctl makes bundles, too: one that has changed within two captures' time may be growing. */
static bool
is_young(int dir_fd)
{
    struct stat st;

    return fstat(dir_fd, &st) != 0 ||
           time(NULL) - st.st_mtim.tv_sec < 2 * (CAPTURE_TOTAL_US / G_USEC_PER_SEC);
}

static void
bundle_rescue(const char *name, gpointer data)
{
    Rescue *rescue = data;
    auto_fd dir_fd = -1;

    if (rescue->error_number != 0 || !capture_name_is_valid(name) ||
        is_under_way(rescue->captures, name))
        return;
    dir_fd = host_open_beneath(rescue->run_fd, name, O_RDONLY | O_DIRECTORY);
    if (dir_fd < 0 || is_young(dir_fd))
        return;
    rescue->error_number = capture_bundle_copy(dir_fd, name, rescue->var_fd);
    if (rescue->error_number == 0 || rescue->error_number == EEXIST)
        capture_bundle_remove(rescue->run_fd, name);
}

/* In the child: nothing to say is success. */
static void
rescue_run(int answer_fd, gconstpointer data)
{
    const Captures *captures = data;
    auto_fd run_fd = capture_directory_open(captures->host, HOST_RUN);
    auto_fd var_fd = capture_directory_open(captures->host, HOST_VAR);
    Rescue rescue = {.captures = captures, .run_fd = run_fd, .var_fd = var_fd};

    if (run_fd < 0 || var_fd < 0)
        rescue.error_number = errno;
    else
        (void)each_entry(run_fd, G_MAXUINT, bundle_rescue, &rescue);
    if (rescue.error_number == 0)
        return;
    if (write(answer_fd, "x", 1) < 0)
        _exit(1);
}

static void
rescue_done(const char *answer, gsize length, gpointer user_data)
{
    Captures *captures = user_data;

    captures->is_rescuing = false;
    if (!answer || length > 0) {
        capture_rescue_later(captures);
        return;
    }
    for (guint i = 0; i < captures->all->len; i++) {
        Capture *capture = captures->all->pdata[i];

        capture->is_stored = capture->is_stored || capture->problem;
        g_clear_pointer(&capture->problem, g_free);
    }
}

void
captures_rescue(Captures *captures)
{
    const ChildCall call = {.run = rescue_run,
                            .done = rescue_done,
                            .data = captures,
                            .keep_fds = {host_root_fd(captures->host, HOST_RUN),
                                         host_root_fd(captures->host, HOST_VAR)},
                            .deadline_us = RETRY_DEADLINE_US};

    if (captures->is_rescuing)
        return;
    captures->is_rescuing = children_run(captures->children, &call);
    if (!captures->is_rescuing)
        capture_rescue_later(captures);
}

static gboolean
retry(gpointer data)
{
    Captures *captures = data;

    g_clear_pointer(&captures->retry, g_source_unref);
    captures_rescue(captures);
    return G_SOURCE_REMOVE;
}

void
capture_rescue_later(Captures *captures)
{
    if (captures->retry || captures->is_ending)
        return;
    captures->retry = g_timeout_source_new_seconds(RETRY_S);
    g_source_set_callback(captures->retry, retry, captures, NULL);
    g_source_attach(captures->retry, captures->context);
}
