/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "var-file.h"

#include "state-directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A disk that is busy with a backup needs seconds. */
#define SAVE_DEADLINE_US (30 * (gint64)G_USEC_PER_SEC)
/* Who stops the daemon waits for it. A living disk takes two syncs. */
#define LAST_SAVE_DEADLINE_US (3 * (gint64)G_USEC_PER_SEC)

typedef struct {
    int root_fd;
    char *directory, *name, *fresh, *text;
} Save;

/* In the child. */
static void
save_run(int answer_fd, gconstpointer data)
{
    const Save *save = data;
    gsize length = strlen(save->text);
    auto_fd dir_fd = state_directory_open(save->root_fd, save->directory, 0700);
    auto_fd fd =
        dir_fd < 0 ? -1 : host_open_beneath(dir_fd, save->fresh, O_WRONLY | O_CREAT | O_TRUNC);
    bool is_whole = fd >= 0 && write(fd, save->text, length) == (ssize_t)length && fsync(fd) == 0;

    if (is_whole && renameat(dir_fd, save->fresh, dir_fd, save->name) == 0)
        (void)fsync(dir_fd);
}

static void
save_free(Save *save)
{
    g_free(save->directory);
    g_free(save->name);
    g_free(save->fresh);
    g_free(save->text);
    g_free(save);
}

static void
save_done(const char *answer, gsize length, gpointer data)
{
    save_free(data);
}

static void
save_begin(const Host *host, Children *children, const char *directory, const char *name,
           const char *text, gint64 deadline_us)
{
    Save *save = g_new0(Save, 1);

    save->root_fd = host_root_fd(host, HOST_VAR);
    save->directory = g_strdup(directory);
    save->name = g_strdup(name);
    save->fresh = g_strconcat(".", name, NULL);
    save->text = g_strdup(text);
    if (!children_run(children, &(ChildCall){.run = save_run,
                                             .done = save_done,
                                             .data = save,
                                             .keep_fds = {save->root_fd},
                                             .deadline_us = deadline_us}))
        save_free(save);
}

void
var_file_save(const Host *host, Children *children, const char *directory, const char *name,
              const char *text)
{
    save_begin(host, children, directory, name, text, SAVE_DEADLINE_US);
}

void
var_file_save_last(const Host *host, const char *directory, const char *name, const char *text)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Children) children = children_new(context);

    save_begin(host, children, directory, name, text, LAST_SAVE_DEADLINE_US);
    while (children_open(children) > 0)
        g_main_context_iteration(context, TRUE);
}

char *
var_file_load(const Host *host, const char *directory, const char *name, gsize bytes_max)
{
    auto_fd dir_fd = state_directory_find(host_root_fd(host, HOST_VAR), directory);
    auto_fd fd =
        dir_fd < 0 ? -1 : host_open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    return fd < 0 ? NULL : host_read_fd(fd, name, bytes_max, NULL, NULL);
}
