/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-journal-file.h"

#include "act-journal.h"
#include "capture-child.h"
#include "state-directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NEW_PREFIX "."
/* As many as one pass over the directory looks for. */
#define PAGE_MAX 32

bool
act_file_name_is_valid(const char *name)
{
    gsize length = strlen(name), suffix = strlen(ACT_FILE_SUFFIX);

    if (length <= suffix || length >= ACT_NAME_BYTES_MAX - 1 ||
        strcmp(name + length - suffix, ACT_FILE_SUFFIX) != 0)
        return false;
    for (gsize i = 0; i < length - suffix; i++)
        if (!g_ascii_isdigit(name[i]) && name[i] != '-')
            return false;
    return true;
}

static bool
write_all(int fd, const char *bytes, gsize length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        length -= (gsize)n;
    }
    return true;
}

static void
answer_errno(int answer_fd, const char *what)
{
    const char *why = strerrordesc_np(errno);

    (void)!write_all(answer_fd, what, strlen(what));
    (void)!write_all(answer_fd, ": ", 2);
    (void)!write_all(answer_fd, why ? why : "unknown error", strlen(why ? why : "unknown error"));
}

static bool
file_replace(int dir_fd, const char *fresh, const ActFileJob *job)
{
    auto_fd fd = host_open_beneath(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC);

    return fd >= 0 && write_all(fd, job->text, strlen(job->text)) && fsync(fd) == 0 &&
           renameat(dir_fd, fresh, dir_fd, job->file) == 0 && fsync(dir_fd) == 0;
}

void
act_file_put(int answer_fd, gconstpointer data)
{
    const ActFileJob *job = data;
    char fresh[ACT_NAME_BYTES_MAX + sizeof NEW_PREFIX];
    auto_fd dir_fd = state_directory_open(job->root_fd, "acts", 0700);

    if (dir_fd < 0) {
        answer_errno(answer_fd, "cannot open " ACT_JOURNAL_DIRECTORY);
        return;
    }
    snprintf(fresh, sizeof fresh, NEW_PREFIX "%s", job->file);
    if (!file_replace(dir_fd, fresh, job)) {
        answer_errno(answer_fd, "cannot write into " ACT_JOURNAL_DIRECTORY);
        (void)unlinkat(dir_fd, fresh, 0);
    } else if (job->drop) {
        (void)unlinkat(dir_fd, job->drop, 0);
    }
}

typedef struct {
    const ActFileJob *job;
    int dir_fd;
    char names[PAGE_MAX][ACT_NAME_BYTES_MAX]; /* the smallest after the cursor, sorted */
    guint n;
} Page;

static void
remove_stale(const Page *page, const char *name)
{
    struct stat st;

    if (act_file_name_is_valid(name + strlen(NEW_PREFIX)) &&
        fstatat(page->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_mtime < page->job->stale_s)
        (void)unlinkat(page->dir_fd, name, 0);
}

static void
page_take(const char *name, gpointer data)
{
    Page *page = data;
    guint at = page->n;

    if (g_str_has_prefix(name, NEW_PREFIX)) {
        remove_stale(page, name);
        return;
    }
    if (!act_file_name_is_valid(name) || strcmp(name, page->job->cursor) <= 0)
        return;
    while (at > 0 && strcmp(name, page->names[at - 1]) < 0)
        at--;
    if (at == PAGE_MAX)
        return;
    page->n = MIN(page->n + 1, PAGE_MAX);
    memmove(page->names[at + 1], page->names[at], (page->n - at - 1) * sizeof page->names[0]);
    memcpy(page->names[at], name, strlen(name) + 1);
}

/* 0 when it cannot be read, or is too long to be a record. */
static gsize
file_read(int dir_fd, const char *name, char text[ACT_RECORD_BYTES_MAX])
{
    auto_fd fd = host_open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    gsize length = 0;
    ssize_t n = 1;

    while (fd >= 0 && n > 0 && length < ACT_RECORD_BYTES_MAX) {
        n = read(fd, text + length, ACT_RECORD_BYTES_MAX - length);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            return 0;
        else
            length += (gsize)n;
    }
    return length < ACT_RECORD_BYTES_MAX ? length : 0;
}

void
act_file_read(int answer_fd, gconstpointer data)
{
    Page page = {.job = data};
    char text[ACT_RECORD_BYTES_MAX], head[ACT_NAME_BYTES_MAX + 32];
    gsize answered = 0;
    auto_fd dir_fd = state_directory_find(page.job->root_fd, "acts");

    page.dir_fd = dir_fd;
    if (dir_fd < 0 && errno == ENOENT)
        return;
    if (dir_fd < 0 || !each_entry(dir_fd, G_MAXUINT, page_take, &page))
        _exit(1);
    for (guint i = 0; i < page.n; i++) {
        gsize length = file_read(dir_fd, page.names[i], text);
        int n = snprintf(head, sizeof head, "%s %zu\n", page.names[i], length);

        answered += (gsize)n + length + 1;
        if (answered >= CHILD_ANSWER_MAX)
            return;
        if (!write_all(answer_fd, head, (gsize)n) || !write_all(answer_fd, text, length) ||
            !write_all(answer_fd, "\n", 1))
            _exit(1);
    }
}
