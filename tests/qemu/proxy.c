/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proxy.h"

#include "requests.h"

#include <errno.h>
#include <gio/gio.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* QEMU's own: a second and a third client wait, the next gets EAGAIN. */
#define BACKLOG 1
/* QEMU's backlog is full only of dead entries of a stopped QEMU: no hurry. */
#define RETRY_MS 10

struct Proxy {
    char *listen_path, *target_path;
    bool is_moved;
    int listen_fd, stop_fd;
    GThread *thread;
    FILE *file;

    GMutex lock; /* of all below */
    GString *record;
    GArray *held_us;
    ProxySummary counts;
};

/* One way of the connection in progress. */
typedef struct {
    int from, to;
    GByteArray *pending;
    Requests *requests; /* NULL: the way back, not looked at */
} Way;

pid_t
proxy_pid(void)
{
    return getpid();
}

G_GNUC_PRINTF(2, 3)
static void
proxy_record(Proxy *proxy, const char *format, ...)
{
    va_list arguments;
    gsize before = proxy->record->len;

    va_start(arguments, format);
    g_string_append_vprintf(proxy->record, format, arguments);
    va_end(arguments);
    if (!proxy->file)
        return;
    fputs(proxy->record->str + before, proxy->file);
    fflush(proxy->file);
}

static const char *
class_name(QmpClass class)
{
    static const char *const names[] = {"tick", "suspect", "canary", "capture", "enforce"};

    return names[class];
}

static void
proxy_take_request(const char *name, gpointer data)
{
    Proxy *proxy = data;
    QmpCommand command;
    bool is_known = qmp_command_find(name, &command);
    g_autofree char *escaped = g_strescape(name, NULL);

    g_mutex_lock(&proxy->lock);
    proxy->counts.n_commands++;
    if (is_known)
        proxy->counts.n_by_class[qmp_command_info(command)->class]++;
    else
        proxy->counts.n_foreign++;
    proxy_record(proxy,
                 "{\"t_us\":%" G_GINT64_FORMAT
                 ",\"dir\":\"request\",\"command\":\"%s\",\"class\":\"%s\"}\n",
                 g_get_monotonic_time(), is_known ? name : escaped,
                 is_known ? class_name(qmp_command_info(command)->class) : "foreign");
    g_mutex_unlock(&proxy->lock);
}

/* Reads what came and writes what goes; false when the connection is over. */
static bool
way_move(Way *way, short from_events)
{
    guint8 bytes[65536];

    if (from_events && way->pending->len == 0) {
        gssize length = recv(way->from, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        g_byte_array_append(way->pending, bytes, MAX(length, 0));
        if (way->requests && length > 0)
            requests_push(way->requests, (const char *)bytes, length);
    } else if (from_events & (POLLHUP | POLLERR)) {
        return false;
    }
    if (way->pending->len == 0)
        return true;
    gssize length =
        send(way->to, way->pending->data, way->pending->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (length > 0)
        g_byte_array_remove_range(way->pending, 0, length);
    return length > 0 || errno == EAGAIN || errno == EINTR;
}

/* Passes bytes until one side leaves or the proxy ends. */
static void
proxy_relay(Proxy *proxy, Way *there, Way *back)
{
    short client_ready = 0, target_ready = 0;

    while (way_move(there, client_ready) && way_move(back, target_ready)) {
        struct pollfd fds[] = {
            {.fd = proxy->stop_fd, .events = POLLIN},
            {.fd = there->from,
             .events = (there->pending->len ? 0 : POLLIN) | (back->pending->len ? POLLOUT : 0)},
            {.fd = back->from,
             .events = (back->pending->len ? 0 : POLLIN) | (there->pending->len ? POLLOUT : 0)},
        };
        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            return;
        client_ready = fds[1].revents & ~POLLOUT;
        target_ready = fds[2].revents & ~POLLOUT;
    }
}

/* -1 when it cannot be, or when the client or the proxy ended meanwhile. */
static int
proxy_connect(Proxy *proxy, int client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int target = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_strlcpy(address.sun_path, proxy->target_path, sizeof(address.sun_path));
    while (target >= 0 && connect(target, (struct sockaddr *)&address, sizeof(address)) < 0) {
        struct pollfd fds[] = {{.fd = proxy->stop_fd, .events = POLLIN}, {.fd = client}};
        if (errno != EAGAIN || poll(fds, G_N_ELEMENTS(fds), RETRY_MS) != 0) {
            close(target);
            return -1;
        }
    }
    return target;
}

static void
proxy_note_connect(Proxy *proxy, gint64 now_us, bool has_waited)
{
    g_mutex_lock(&proxy->lock);
    proxy->counts.n_connects++;
    proxy->counts.n_waited += has_waited;
    proxy_record(proxy, "{\"t_us\":%" G_GINT64_FORMAT ",\"dir\":\"connect\"}\n", now_us);
    g_mutex_unlock(&proxy->lock);
}

static void
proxy_note_close(Proxy *proxy, gint64 since_us, bool is_dead)
{
    gint64 now_us = g_get_monotonic_time(), held_us = now_us - since_us;

    g_mutex_lock(&proxy->lock);
    proxy->counts.n_dead += is_dead;
    g_array_append_val(proxy->held_us, held_us);
    proxy_record(proxy,
                 "{\"t_us\":%" G_GINT64_FORMAT ",\"dir\":\"close\",\"held_us\":%" G_GINT64_FORMAT
                 "}\n",
                 now_us, held_us);
    g_mutex_unlock(&proxy->lock);
}

static void
proxy_serve(Proxy *proxy, int client, bool has_waited)
{
    gint64 since_us = g_get_monotonic_time();
    g_autoptr(GByteArray) there_bytes = g_byte_array_new();
    g_autoptr(GByteArray) back_bytes = g_byte_array_new();
    g_autoptr(Requests) requests = requests_new(proxy_take_request, proxy);

    proxy_note_connect(proxy, since_us, has_waited);
    int target = proxy_connect(proxy, client);
    if (target >= 0) {
        Way there = {client, target, there_bytes, requests};
        Way back = {target, client, back_bytes, NULL};
        proxy_relay(proxy, &there, &back);
        close(target);
    }
    close(client);
    proxy_note_close(proxy, since_us, requests_is_silent(requests));
}

static gpointer
proxy_run(gpointer data)
{
    Proxy *proxy = data;
    bool was_serving = false;

    for (;;) {
        struct pollfd fds[] = {{.fd = proxy->stop_fd, .events = POLLIN},
                               {.fd = proxy->listen_fd, .events = POLLIN}};
        /* Whoever is there right after a client left came while that one was served. */
        int n_ready = poll(fds, G_N_ELEMENTS(fds), was_serving ? 0 : -1);
        if (fds[0].revents)
            return NULL;
        bool has_waited = was_serving && n_ready > 0;
        was_serving = false;
        int client = n_ready > 0 ? accept4(proxy->listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (client < 0)
            continue;
        proxy_serve(proxy, client, has_waited);
        was_serving = true;
    }
}

static bool
fail_errno(GError **error, const char *what, const char *path)
{
    int code = errno;

    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s %s: %s", what, path,
                g_strerror(code));
    return false;
}

/* Bound at path and listening; -1 with error set. */
static int
listen_at(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail_errno(error, "use", path);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    fail_errno(error, "listen at", path);
    close(fd);
    return -1;
}

int
proxy_listen_beside(const char *path, GError **error)
{
    g_autofree char *beside = g_strconcat(path, ".proxy", NULL);

    return listen_at(beside, error);
}

static bool
proxy_listen(Proxy *proxy, int listen_fd, GError **error)
{
    g_autofree char *beside = g_strconcat(proxy->listen_path, ".proxy", NULL);

    if (!g_file_test(proxy->target_path, G_FILE_TEST_EXISTS)) {
        if (rename(proxy->listen_path, proxy->target_path) < 0)
            return fail_errno(error, "move", proxy->listen_path);
        proxy->is_moved = true;
    }
    proxy->listen_fd = listen_fd;
    if (listen_fd < 0)
        proxy->listen_fd = listen_at(proxy->listen_path, error);
    else if (rename(beside, proxy->listen_path) < 0)
        return fail_errno(error, "move", beside);
    return proxy->listen_fd >= 0;
}

Proxy *
proxy_new(int listen_fd, const char *listen_path, const char *target_path, const char *record_path,
          GError **error)
{
    g_autoptr(Proxy) proxy = g_new0(Proxy, 1);

    g_mutex_init(&proxy->lock);
    proxy->record = g_string_new(NULL);
    proxy->held_us = g_array_new(FALSE, FALSE, sizeof(gint64));
    proxy->listen_path = g_strdup(listen_path);
    proxy->target_path =
        target_path ? g_strdup(target_path) : g_strconcat(listen_path, ".real", NULL);
    proxy->listen_fd = -1;
    proxy->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (record_path && !(proxy->file = fopen(record_path, "we"))) {
        fail_errno(error, "write", record_path);
        return NULL;
    }
    if (!proxy_listen(proxy, listen_fd, error))
        return NULL;
    proxy->thread = g_thread_new("proxy", proxy_run, proxy);
    return g_steal_pointer(&proxy);
}

void
proxy_free(Proxy *proxy)
{
    if (!proxy)
        return;
    if (proxy->thread) {
        eventfd_write(proxy->stop_fd, 1);
        g_thread_join(proxy->thread);
        unlink(proxy->listen_path);
    }
    if (proxy->is_moved)
        rename(proxy->target_path, proxy->listen_path);
    if (proxy->listen_fd >= 0)
        close(proxy->listen_fd);
    close(proxy->stop_fd);
    g_clear_pointer(&proxy->file, fclose);
    g_string_free(proxy->record, TRUE);
    g_array_unref(proxy->held_us);
    g_mutex_clear(&proxy->lock);
    g_free(proxy->listen_path);
    g_free(proxy->target_path);
    g_free(proxy);
}

static int
compare_times(gconstpointer a, gconstpointer b)
{
    gint64 left = *(const gint64 *)a, right = *(const gint64 *)b;

    return (left > right) - (left < right);
}

void
proxy_get_summary(Proxy *proxy, ProxySummary *ret_summary)
{
    g_mutex_lock(&proxy->lock);
    g_autoptr(GArray) sorted = g_array_copy(proxy->held_us);
    *ret_summary = proxy->counts;
    g_mutex_unlock(&proxy->lock);
    if (sorted->len == 0)
        return;
    g_array_sort(sorted, compare_times);
    ret_summary->held_median_us = g_array_index(sorted, gint64, sorted->len / 2);
    ret_summary->held_p99_us = g_array_index(sorted, gint64, sorted->len * 99 / 100);
    ret_summary->held_max_us = g_array_index(sorted, gint64, sorted->len - 1);
}

char *
proxy_dup_record(Proxy *proxy)
{
    g_mutex_lock(&proxy->lock);
    char *record = g_strdup(proxy->record->str);
    g_mutex_unlock(&proxy->lock);
    return record;
}
