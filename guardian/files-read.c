/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "files-read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    FileWanted wanted[FILES_READ_MAX];
    int root_fds[FILES_READ_MAX];
    guint n_wanted;
    char *buffer; /* room for the longest of them: the child may not allocate */
    FilesReadFunc func;
    gpointer data;
} Reading;

/* What the child writes before each text. */
typedef struct {
    gint64 written_us;
    gsize length;
    gint32 error_number;
} Head;

static void
reading_free(Reading *reading)
{
    for (guint i = 0; i < reading->n_wanted; i++)
        g_free(reading->wanted[i].path);
    g_free(reading->buffer);
    g_free(reading);
}

/* What stands there, up to size bytes; -1 with errno set. */
static gssize
read_text(int fd, char *text, gsize size)
{
    gsize length = 0;

    while (length < size) {
        gssize got = read(fd, text + length, size - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (gsize)got;
    }
    return (gssize)length;
}

/* Its text goes into the buffer. */
static Head
read_file(int root_fd, const FileWanted *wanted, char *buffer)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    auto_fd fd = wanted->follows_links ? openat(root_fd, wanted->path, flags)
                                       : host_open_beneath(root_fd, wanted->path, flags);
    gssize length;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return (Head){.error_number = errno};
    if (!S_ISREG(st.st_mode))
        return (Head){.error_number = EINVAL};
    length = read_text(fd, buffer, wanted->bytes_max);
    if (length < 0)
        return (Head){.error_number = errno};
    return (Head){.length = (gsize)length,
                  .written_us =
                      st.st_mtim.tv_sec * (gint64)G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000};
}

static bool
write_whole(int fd, const void *bytes, gsize length)
{
    for (gsize at = 0; at < length;) {
        gssize put = write(fd, (const char *)bytes + at, length - at);

        if (put < 0)
            return false;
        at += (gsize)put;
    }
    return true;
}

/* In the child. */
static void
read_in_child(int answer_fd, gconstpointer data)
{
    const Reading *reading = data;
    gsize room = CHILD_ANSWER_MAX - 1 - reading->n_wanted * sizeof(Head);

    for (guint i = 0; i < reading->n_wanted; i++) {
        Head head = read_file(reading->root_fds[i], &reading->wanted[i], reading->buffer);

        if (head.length > room)
            head = (Head){.error_number = EFBIG};
        room -= head.length;
        if (!write_whole(answer_fd, &head, sizeof head) ||
            !write_whole(answer_fd, reading->buffer, head.length))
            _exit(1);
    }
}

/* false: it is not what the child writes. */
static bool
reads_take(FileRead *reads, guint n_reads, const char *answer, gsize length)
{
    for (guint i = 0; i < n_reads; i++) {
        Head head;

        if (length < sizeof head)
            return false;
        memcpy(&head, answer, sizeof head);
        answer += sizeof head;
        length -= sizeof head;
        if (head.length > length)
            return false;
        reads[i].error_number = head.error_number;
        reads[i].text = head.error_number == 0 ? answer : NULL;
        reads[i].length = head.length;
        reads[i].written_us = head.written_us;
        answer += head.length;
        length -= head.length;
    }
    return length == 0;
}

static void
reading_done(const char *answer, gsize length, gpointer user_data)
{
    Reading *reading = user_data;
    FilesReadFunc func = reading->func;
    gpointer data = reading->data;
    FileRead reads[FILES_READ_MAX] = {0};
    bool is_whole = answer && reads_take(reads, reading->n_wanted, answer, length);

    reading_free(reading);
    func(is_whole ? reads : NULL, data);
}

static void
keep_root(ChildCall *call, int fd)
{
    for (guint i = 0; i < CHILD_KEEP_MAX; i++) {
        if (call->keep_fds[i] == fd)
            return;
        if (call->keep_fds[i] == 0) {
            call->keep_fds[i] = fd;
            return;
        }
    }
}

G_STATIC_ASSERT(HOST_N_ROOTS - 1 <= CHILD_KEEP_MAX); /* all but HOST_CONFIG */

bool
files_read(const Host *host, Children *children, const FileWanted *wanted, guint n_wanted,
           gint64 deadline_us, FilesReadFunc func, gpointer data)
{
    Reading *reading = g_new0(Reading, 1);
    ChildCall call = {
        .run = read_in_child, .done = reading_done, .data = reading, .deadline_us = deadline_us};
    gsize bytes_max = 0;

    g_assert(n_wanted <= FILES_READ_MAX);
    for (guint i = 0; i < n_wanted; i++) {
        g_assert(wanted[i].root != HOST_CONFIG);
        reading->wanted[i] = wanted[i];
        reading->wanted[i].path = g_strdup(wanted[i].path);
        reading->root_fds[i] = host_root_fd(host, wanted[i].root);
        keep_root(&call, reading->root_fds[i]);
        bytes_max = MAX(bytes_max, wanted[i].bytes_max);
    }
    reading->n_wanted = n_wanted;
    reading->buffer = g_malloc(bytes_max);
    reading->func = func;
    reading->data = data;
    if (children_run(children, &call))
        return true;
    reading_free(reading);
    return false;
}
