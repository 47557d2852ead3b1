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

/* What the child writes first; the text follows. */
typedef struct {
    gint64 written_us;
    gint32 error_number;
    gint32 is_cut;
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

static int
read_whole(int fd, char *text, gsize *ret_length)
{
    gsize length = 0;

    while (length < PVE_CONF_BYTES_MAX) {
        gssize got = read(fd, text + length, PVE_CONF_BYTES_MAX - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            break;
        length += (gsize)got;
    }
    *ret_length = length;
    return 0;
}

/* In the child. pve/qemu-server is a link that Proxmox makes, where only root writes. */
static void
read_in_child(int answer_fd, gconstpointer data)
{
    const Reading *reading = data;
    char text[PVE_CONF_BYTES_MAX];
    gsize length = 0;
    Head head = {0};
    struct stat st;
    int fd = openat(reading->etc_fd, reading->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0) {
        head.error_number = errno;
    } else if (!S_ISREG(st.st_mode)) {
        head.error_number = EINVAL;
    } else {
        head.error_number = read_whole(fd, text, &length);
        head.written_us = st.st_mtim.tv_sec * (gint64)G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
        head.is_cut = length == PVE_CONF_BYTES_MAX;
    }
    if (write(answer_fd, &head, sizeof head) != sizeof head)
        return;
    for (gsize at = 0; at < length;) {
        gssize put = write(answer_fd, text + at, length - at);

        if (put < 0)
            return;
        at += (gsize)put;
    }
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
    if (!answer || length < sizeof head) {
        func(NULL, data);
        return;
    }
    memcpy(&head, answer, sizeof head);
    read.error_number = head.error_number;
    read.written_us = head.written_us;
    read.is_cut = head.is_cut != 0;
    if (head.error_number == 0) {
        read.text = answer + sizeof head;
        read.length = length - sizeof head;
    }
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
