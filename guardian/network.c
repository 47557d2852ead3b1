/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network.h"

#include "descriptor.h"
#include "sysfs.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* More interfaces than any VM has; each costs two reads a sample. */
#define TAPS_MAX 32
/* IFNAMSIZ with its NUL. */
#define NAME_BYTES 16
/* Interfaces are added to a VM by a person; until one is found, a minute is soon enough. */
#define LOOK_UP_US (60 * G_USEC_PER_SEC)
/* The network lock is held for milliseconds. */
#define TUN_DEADLINE_US (2 * G_USEC_PER_SEC)
/* One number of at most 20 digits. */
#define COUNTER_BYTES 32
/* 200 bytes an interface: a pod has a few. */
#define NET_DEV_BYTES (32 * 1024)
/* fdinfo of a tun descriptor: five short lines. */
#define INFO_BYTES 512

typedef struct {
    char name[NAME_BYTES];
    int rx_fd, tx_fd; /* -1 in a foreign namespace */
} Tap;

struct Network {
    GArray *taps; /* of Tap */
    bool is_foreign;
    int net_dev_fd; /* of a foreign namespace */
};

struct NetworkLookup {
    Vm *vm; /* NULL: the VM has ended */
    const Host *host;
    int proc_fd;
    GPtrArray *paths; /* "fdinfo/30" */
};

char *
network_parse_tun(const char *text)
{
    static const char key[] = "\niff:\t";
    const char *name = strstr(text, key);
    gsize length;

    if (!name)
        return NULL;
    name += strlen(key);
    length = strcspn(name, "\n");
    return length > 0 && length < NAME_BYTES ? g_strndup(name, length) : NULL;
}

bool
network_parse_dev(const char *text, const char *name, guint64 *ret_bytes)
{
    /* Counted from 0: bytes received, and after seven more, bytes sent. */
    enum { RECEIVED = 0, SENT = 8, N_FIELDS = 16 };
    gsize length = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        guint64 fields[N_FIELDS];
        const char *at;
        guint n = 0;

        line += strspn(line, "\n ");
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        for (at = line + length + 1; n < N_FIELDS && *at != '\n'; n++) {
            char *end;

            fields[n] = g_ascii_strtoull(at, &end, 10);
            if (end == at)
                return false;
            at = end;
        }
        if (n < N_FIELDS)
            return false;
        *ret_bytes = fields[RECEIVED] + fields[SENT];
        return true;
    }
    return false;
}

static void
tap_clear(gpointer data)
{
    Tap *tap = data;

    fd_clear(&tap->rx_fd);
    fd_clear(&tap->tx_fd);
}

void
network_free(Network *network)
{
    if (!network)
        return;
    g_array_unref(network->taps);
    fd_clear(&network->net_dev_fd);
    g_free(network);
}

/* Does the process live in another network namespace than we do? */
static bool
is_foreign(const Vm *vm)
{
    char theirs[64] = "", ours[64] = "";

    /* whoever may not look is in ours: that is what unprivileged QEMUs of one host are */
    return readlinkat(proc_dir_fd(vm->proc), "ns/net", theirs, sizeof theirs - 1) > 0 &&
           readlink("/proc/self/ns/net", ours, sizeof ours - 1) > 0 && strcmp(theirs, ours) != 0;
}

static Network *
network_new(const Vm *vm)
{
    Network *network = g_new0(Network, 1);

    network->taps = g_array_new(FALSE, FALSE, sizeof(Tap));
    g_array_set_clear_func(network->taps, tap_clear);
    network->is_foreign = is_foreign(vm);
    network->net_dev_fd = -1;
    if (network->is_foreign)
        network->net_dev_fd =
            host_open_beneath(proc_dir_fd(vm->proc), "net/dev", O_RDONLY | O_NONBLOCK);
    return network;
}

static int
counter_open(const Host *host, const char *name, const char *counter)
{
    g_autofree char *link = g_strconcat("class/net/", name, NULL);
    g_autofree char *attribute = g_strconcat("statistics/", counter, NULL);

    return sysfs_open(host, link, attribute, NULL);
}

/* A name is a VM owner's word: anything that is not a file's name is none. */
static void
network_add(Network *network, const Host *host, const char *name)
{
    Tap tap = {.rx_fd = -1, .tx_fd = -1};

    if (network->taps->len == TAPS_MAX || strchr(name, '/') ||
        g_strlcpy(tap.name, name, NAME_BYTES) >= NAME_BYTES)
        return;
    if (!network->is_foreign) {
        tap.rx_fd = counter_open(host, name, "rx_bytes");
        tap.tx_fd = counter_open(host, name, "tx_bytes");
        if (tap.rx_fd < 0 || tap.tx_fd < 0) {
            tap_clear(&tap);
            return;
        }
    }
    g_array_append_val(network->taps, tap);
}

/* Takes network. */
static void
network_set(Vm *vm, Network *network)
{
    if (network->taps->len == 0)
        g_clear_pointer(&network, network_free);
    vm->network = network;
}

static void
lookup_free(struct NetworkLookup *lookup)
{
    fd_clear(&lookup->proc_fd);
    g_ptr_array_unref(lookup->paths);
    g_free(lookup);
}

/* In the child: the texts, each with a NUL at its end. */
static void
lookup_read(int answer_fd, gconstpointer data)
{
    const struct NetworkLookup *lookup = data;

    for (guint i = 0; i < lookup->paths->len; i++) {
        char text[INFO_BYTES];
        int fd = openat(lookup->proc_fd, lookup->paths->pdata[i], O_RDONLY | O_CLOEXEC);
        gssize length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

        if (length < 0)
            continue;
        text[length] = '\0';
        if (write(answer_fd, text, (gsize)length + 1) < 0)
            return;
        close(fd);
    }
}

static void
lookup_done(const char *answer, gsize length, gpointer user_data)
{
    struct NetworkLookup *lookup = user_data;
    Vm *vm = lookup->vm;
    Network *network = vm && answer ? network_new(vm) : NULL;

    while (network && length > 0) {
        gsize step = strnlen(answer, length - 1) + 1;
        g_autofree char *text = g_strndup(answer, step);
        g_autofree char *name = network_parse_tun(text);

        if (name)
            network_add(network, lookup->host, name);
        answer += step;
        length -= step;
    }
    if (network)
        network_set(vm, network);
    if (vm)
        vm->network_lookup = NULL;
    lookup_free(lookup);
}

static void
lookup_start(Vm *vm, const Host *host, Children *children)
{
    g_autoptr(GArray) numbers = descriptors_find(vm->proc, "/dev/net/tun");
    struct NetworkLookup *lookup;
    ChildCall call = {.run = lookup_read, .done = lookup_done, .deadline_us = TUN_DEADLINE_US};

    if (!numbers || numbers->len == 0)
        return;
    lookup = g_new0(struct NetworkLookup, 1);
    lookup->vm = vm;
    lookup->host = host;
    lookup->proc_fd = fcntl(proc_dir_fd(vm->proc), F_DUPFD_CLOEXEC, 0);
    lookup->paths = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < numbers->len; i++)
        g_ptr_array_add(lookup->paths,
                        g_strdup_printf("fdinfo/%u", g_array_index(numbers, guint32, i)));
    call.data = lookup;
    call.keep_fds[0] = lookup->proc_fd;
    if (children_run(children, &call))
        vm->network_lookup = lookup;
    else
        lookup_free(lookup);
}

void
network_look_up(Vm *vm, const Host *host, Children *children, gint64 now_us)
{
    Network *network;

    if (vm->network || vm->network_lookup ||
        (vm->network_us > 0 && now_us - vm->network_us < LOOK_UP_US))
        return;
    vm->network_us = now_us;
    if (vm->argv->taps->len == 0) {
        lookup_start(vm, host, children);
        return;
    }
    network = network_new(vm);
    for (guint i = 0; i < vm->argv->taps->len; i++)
        network_add(network, host, vm->argv->taps->pdata[i]);
    network_set(vm, network);
}

void
network_forget(Vm *vm)
{
    if (vm->network_lookup)
        vm->network_lookup->vm = NULL;
    vm->network_lookup = NULL;
}

static bool
counter_read(int fd, guint64 *sum)
{
    char text[COUNTER_BYTES];

    if (host_reread(fd, text, sizeof text, NULL) <= 0 || !g_ascii_isdigit(*text))
        return false;
    *sum += g_ascii_strtoull(text, NULL, 10);
    return true;
}

static bool
taps_read(const Network *network, guint64 *ret_bytes)
{
    char text[NET_DEV_BYTES];
    guint64 sum = 0;

    if (network->is_foreign && host_reread(network->net_dev_fd, text, sizeof text, NULL) < 0)
        return false;
    for (guint i = 0; i < network->taps->len; i++) {
        const Tap *tap = &g_array_index(network->taps, Tap, i);
        guint64 bytes = 0;

        bool is_read = network->is_foreign
                           ? network_parse_dev(text, tap->name, &bytes)
                           : counter_read(tap->rx_fd, &bytes) && counter_read(tap->tx_fd, &bytes);

        if (!is_read)
            return false;
        sum += bytes;
    }
    *ret_bytes = sum;
    return true;
}

bool
network_read(Vm *vm, guint64 *ret_bytes)
{
    if (!vm->network)
        return false;
    if (taps_read(vm->network, ret_bytes))
        return true;
    g_clear_pointer(&vm->network, network_free);
    return false;
}
