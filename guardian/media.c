/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "media.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A VM with 256 disks and as many queues has about 2,000. */
#define FILES_MAX 8192
/* "fd/" and a number. */
#define NAME_BYTES 32

typedef struct {
    int proc_fd;
    char (*names)[NAME_BYTES];
    guint n_names;
    MediaFunc func;
    gpointer data;
} Media;

static void
media_free(Media *media)
{
    fd_clear(&media->proc_fd);
    g_free(media->names);
    g_free(media);
}

/* In the child. A file that was closed meanwhile is none of QEMU's any more. */
static void
look_in_child(int answer_fd, gconstpointer data)
{
    const Media *media = data;

    for (guint i = 0; i < media->n_names; i++) {
        struct statx st;
        const char *wrong;

        if (statx(media->proc_fd, media->names[i], AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) ==
                0 ||
            errno == ENOENT)
            continue;
        wrong = strerrordesc_np(errno);
        if (!wrong)
            wrong = "an error";
        if (write(answer_fd, wrong, strlen(wrong)) < 0)
            _exit(1);
        return;
    }
}

static void
look_done(const char *answer, gsize length, gpointer user_data)
{
    Media *media = user_data;
    MediaFunc func = media->func;
    gpointer data = media->data;

    media_free(media);
    if (!answer)
        func("one of them hangs", data);
    else
        func(length > 0 ? answer : NULL, data);
}

/* Reads the directory only: its links are not followed here. */
static bool
media_list(Media *media)
{
    int fd = openat(media->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        fd_clear(&fd);
        return false;
    }
    media->names = g_malloc_n(FILES_MAX, NAME_BYTES);
    while (media->n_names < FILES_MAX && (entry = readdir(dir)))
        if (g_ascii_isdigit(entry->d_name[0]) && strlen(entry->d_name) < NAME_BYTES - 3)
            g_snprintf(media->names[media->n_names++], NAME_BYTES, "fd/%.*s", NAME_BYTES - 4,
                       entry->d_name);
    closedir(dir);
    return media->n_names > 0 && media->n_names < FILES_MAX;
}

bool
media_look(const Proc *proc, Children *children, gint64 deadline_us, MediaFunc func, gpointer data)
{
    Media *media = g_new0(Media, 1);
    ChildCall call = {
        .run = look_in_child, .done = look_done, .data = media, .deadline_us = deadline_us};

    media->proc_fd = fcntl(proc_dir_fd(proc), F_DUPFD_CLOEXEC, 0);
    media->func = func;
    media->data = data;
    call.keep_fds[0] = media->proc_fd;
    if (media->proc_fd >= 0 && media_list(media) && children_run(children, &call))
        return true;
    media_free(media);
    return false;
}
