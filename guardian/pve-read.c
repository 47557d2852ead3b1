/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pve-read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    int etc_fd;
    char *path;
    PveReadFunc func;
    gpointer data;
} Reading;

#define PVE_LOG "pve/.clusterlog"

/* What the child writes first; both texts follow. */
typedef struct {
    gint64 written_us;
    gsize length, log_length;
    gint32 error_number;
} Head;

char *
pve_conf_path(const char *id)
{
    return g_strdup_printf("pve/qemu-server/%s.conf", id);
}

static void
reading_free(Reading *reading)
{
    g_free(reading->path);
    g_free(reading);
}

/* What stands there at most size long; its length, 0 with *ret_error. */
static gsize
read_file(int etc_fd, const char *path, char *text, gsize size, gint32 *ret_error,
          gint64 *ret_written_us)
{
    int fd = openat(etc_fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    gsize length = 0;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        *ret_error = errno;
        return 0;
    }
    if (!S_ISREG(st.st_mode)) {
        *ret_error = EINVAL;
        return 0;
    }
    *ret_written_us = st.st_mtim.tv_sec * (gint64)G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
    while (length < size) {
        gssize got = read(fd, text + length, size - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            *ret_error = errno;
        if (got <= 0)
            break;
        length += (gsize)got;
    }
    close(fd);
    return *ret_error == 0 ? length : 0;
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

/* In the child. pve/qemu-server is a link that Proxmox makes, where only root writes. */
static void
read_in_child(int answer_fd, gconstpointer data)
{
    const Reading *reading = data;
    char text[PVE_CONF_BYTES_MAX], log[PVE_LOG_BYTES_MAX];
    gint32 log_error = 0;
    gint64 log_written_us;
    Head head = {0};

    head.length = read_file(reading->etc_fd, reading->path, text, sizeof text, &head.error_number,
                            &head.written_us);
    head.log_length =
        read_file(reading->etc_fd, PVE_LOG, log, sizeof log, &log_error, &log_written_us);
    (void)(write_whole(answer_fd, &head, sizeof head) &&
           write_whole(answer_fd, text, head.length) &&
           write_whole(answer_fd, log, head.log_length));
}

static void
reading_done(const char *answer, gsize length, gpointer user_data)
{
    Reading *reading = user_data;
    PveReadFunc func = reading->func;
    gpointer data = reading->data;
    PveRead read = {0};
    Head head;

    reading_free(reading);
    if (answer && length >= sizeof head)
        memcpy(&head, answer, sizeof head);
    if (!answer || length < sizeof head || length != sizeof head + head.length + head.log_length) {
        func(NULL, data);
        return;
    }
    read.error_number = head.error_number;
    read.written_us = head.written_us;
    read.is_cut = head.length == PVE_CONF_BYTES_MAX;
    read.text = head.error_number == 0 ? answer + sizeof head : NULL;
    read.length = head.length;
    read.log = head.log_length > 0 ? answer + sizeof head + head.length : NULL;
    read.log_length = head.log_length;
    func(&read, data);
}

bool
pve_read(const Host *host, Children *children, const char *id, gint64 deadline_us, PveReadFunc func,
         gpointer data)
{
    Reading *reading = g_new0(Reading, 1);
    ChildCall call = {
        .run = read_in_child, .done = reading_done, .data = reading, .deadline_us = deadline_us};

    reading->etc_fd = host_root_fd(host, HOST_ETC);
    reading->path = pve_conf_path(id);
    reading->func = func;
    reading->data = data;
    call.keep_fds[0] = reading->etc_fd;
    if (children_run(children, &call))
        return true;
    reading_free(reading);
    return false;
}
