/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bare-loop PERIOD_MS SOCKET...: what the guardian's CPU is compared with. It keeps a connection to
 * each monitor, and every period asks each one for its block counters, with the guardian's own
 * short request and its own frame and parsers. It judges nothing, remembers nothing, has no
 * deadlines and believes in its peers: less cannot be done with this parser. Runs until it is
 * killed; a monitor that fails ends it. */

#include "frame.h"
#include "message.h"
#include "query.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES (32 * 1024)
#define EVENTS_MAX 64

static const char capabilities[] = "{\"execute\":\"qmp_capabilities\"}\n";
static const char blockstats[] = "{\"execute\":\"query-blockstats\",\"id\":1}\n";

typedef struct {
    int fd;
    Frame *frame;
} Monitor;

static void G_GNUC_NORETURN
fail(const char *what)
{
    fprintf(stderr, "bare-loop: %s: %s\n", what, g_strerror(errno));
    exit(1);
}

static void
monitor_write(const Monitor *monitor, const char *request)
{
    if (send(monitor->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        fail("send");
}

static void
monitor_connect(Monitor *monitor, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    monitor->frame = frame_new(FRAME_CAP_REPLY);
    monitor->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (monitor->fd < 0 ||
        connect(monitor->fd, (const struct sockaddr *)&address, sizeof address) < 0)
        fail(path);
    monitor_write(monitor, capabilities);
}

static void
monitor_read(Monitor *monitor)
{
    char bytes[READ_BYTES];
    ssize_t n = recv(monitor->fd, bytes, sizeof bytes, 0);
    const char *line;
    gsize length;

    if (n <= 0 || !frame_push(monitor->frame, bytes, (gsize)n))
        fail("recv");
    while ((line = frame_next(monitor->frame, &length))) {
        g_autoptr(Message) message = message_parse(line, length, NULL);

        if (!message)
            fail("malformed line");
        if (message->kind == MESSAGE_REPLY && message->has_id)
            g_array_unref(qmp_parse_blockstats(message->body));
    }
}

static int
timer_new(gint64 period_ms)
{
    struct timespec period = {.tv_sec = period_ms / 1000,
                              .tv_nsec = period_ms % 1000 * 1000 * 1000};
    struct itimerspec timer = {.it_interval = period, .it_value = period};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

    if (fd < 0 || timerfd_settime(fd, 0, &timer, NULL) < 0)
        fail("timerfd");
    return fd;
}

static void
watch(int epoll_fd, int fd, Monitor *monitor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = monitor};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

/* The timer is the one without a monitor. */
static void
run(int epoll_fd, int timer_fd, const Monitor *monitors, guint n_monitors)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        guint64 expirations;

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                monitor_read(events[i].data.ptr);
                continue;
            }
            if (read(timer_fd, &expirations, sizeof expirations) < 0)
                fail("timer");
            for (guint m = 0; m < n_monitors; m++)
                monitor_write(&monitors[m], blockstats);
        }
    }
}

int
main(int argc, char **argv)
{
    guint64 period_ms;

    if (argc < 3 || !g_ascii_string_to_unsigned(argv[1], 10, 1, 60000, &period_ms, NULL)) {
        fprintf(stderr, "usage: bare-loop PERIOD_MS SOCKET...\n");
        return 2;
    }
    guint n_monitors = (guint)argc - 2;
    g_autofree Monitor *monitors = g_new0(Monitor, n_monitors);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int timer_fd = timer_new((gint64)period_ms);

    for (guint i = 0; i < n_monitors; i++) {
        monitor_connect(&monitors[i], argv[i + 2]);
        watch(epoll_fd, monitors[i].fd, &monitors[i]);
    }
    watch(epoll_fd, timer_fd, NULL);
    run(epoll_fd, timer_fd, monitors, n_monitors);
}
