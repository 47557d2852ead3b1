/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-entry.h"

#include "units.h"

#include <string.h>

/* Each has up to four threads and connections: more pods than this on one host, and the last ones
 * are not asked. */
#define ENTRIES_MAX 256u

void
libvirt_entry_free(gpointer data)
{
    LibvirtEntry *entry = data;

    libvirt_daemon_free(entry->daemon);
    if (entry->events)
        libvirt_events_end(entry->events);
    if (entry->socket)
        g_ptr_array_remove(entry->libvirt->sockets, entry->socket);
    g_clear_pointer(&entry->listed, g_ptr_array_unref);
    g_free(entry->word);
    g_free(entry);
}

static void
tell_news(const char *line, gpointer data)
{
    const Libvirt *libvirt = data;

    if (libvirt->news)
        libvirt->news(line, libvirt->news_data);
}

/* Takes socket, which may be NULL. */
static void
add_entry(Libvirt *libvirt, const char *word, LibvirtSocket *socket)
{
    LibvirtEntry *entry = g_new0(LibvirtEntry, 1);
    g_autofree char *uri = socket ? libvirt_socket_uri(socket) : g_strdup(word);
    g_autofree char *write_uri = socket ? libvirt_socket_write_uri(socket) : g_strdup(word);
    g_autofree char *label = units_printable(socket ? socket->label : word, -1);
    LibvirtDaemonContext context = {
        .context = libvirt->context, .news = tell_news, .news_data = libvirt};

    if (!libvirt->library)
        libvirt->library = libvirt_library_open();
    context.library = libvirt->library;
    entry->libvirt = libvirt;
    entry->word = g_strdup(word);
    entry->socket = socket;
    if (libvirt->started)
        entry->events = libvirt_events_new(libvirt->context, libvirt_entry_hear, entry);
    context.events = entry->events;
    entry->daemon = libvirt_daemon_new(&context, label, uri);
    libvirt_daemon_set_write_uri(entry->daemon, write_uri);
    g_ptr_array_add(libvirt->entries, entry);
}

/* The newest one for that word. */
static const LibvirtEntry *
find_entry(const Libvirt *libvirt, const char *word)
{
    for (guint i = libvirt->entries->len; i-- > 0;) {
        const LibvirtEntry *entry = libvirt->entries->pdata[i];

        if (g_strcmp0(entry->word, word) == 0)
            return entry;
    }
    return NULL;
}

static void
set_problem(Libvirt *libvirt, const char *problem)
{
    g_autofree char *line = problem ? g_strdup_printf("libvirt: %s", problem) : NULL;

    if (g_strcmp0(libvirt->problem, problem) == 0)
        return;
    g_free(libvirt->problem);
    libvirt->problem = g_strdup(problem);
    if (line)
        tell_news(line, libvirt);
}

static bool
is_socket_known(const Libvirt *libvirt, const LibvirtSocket *socket)
{
    for (guint i = 0; i < libvirt->sockets->len; i++) {
        const LibvirtSocket *known = libvirt->sockets->pdata[i];

        if (known->device == socket->device && known->inode == socket->inode)
            return true;
    }
    return false;
}

static bool
daemon_answers(const LibvirtDaemon *daemon)
{
    LibvirtDaemonState state = libvirt_daemon_state(daemon);

    return state == DAEMON_CONNECTED || state == DAEMON_UNTRIED;
}

/* One that is down may have made its socket anew. */
static void
look_for_word(Libvirt *libvirt, const char *word, char **problem)
{
    const LibvirtEntry *entry = find_entry(libvirt, word);
    g_autoptr(GError) error = NULL;
    LibvirtSocket *socket;

    if (entry && (*word != '/' || daemon_answers(entry->daemon)))
        return;
    if (g_str_has_prefix(word, "test:")) {
        add_entry(libvirt, word, NULL);
        return;
    }
    socket = libvirt_socket_at(libvirt->host, word, &error);
    if (socket && !is_socket_known(libvirt, socket)) {
        g_ptr_array_add(libvirt->sockets, socket);
        add_entry(libvirt, word, socket);
        return;
    }
    libvirt_socket_free(socket);
    if (error && !*problem)
        *problem = units_printable(error->message, -1);
}

bool
libvirt_is_needed_by(const Vm *vm)
{
    return vm->argv->is_libvirt &&
           (!vm->domain || !daemon_answers(libvirt_domain_daemon(vm->domain)));
}

void
libvirt_find_entries_of(Libvirt *libvirt, const Vm *vm)
{
    guint known = libvirt->sockets->len;

    if (libvirt->is_auto && libvirt_is_needed_by(vm) && libvirt->entries->len < ENTRIES_MAX)
        libvirt_sockets_of_vm(libvirt->host, vm, libvirt->sockets);
    for (; known < libvirt->sockets->len; known++)
        add_entry(libvirt, NULL, libvirt->sockets->pdata[known]);
}

void
libvirt_find_entries(Libvirt *libvirt)
{
    g_autofree char *problem = NULL;

    for (guint i = 0; libvirt->words[i] && libvirt->entries->len < ENTRIES_MAX; i++)
        look_for_word(libvirt, libvirt->words[i], &problem);
    set_problem(libvirt, problem);
    for (guint i = 0; i < libvirt->vms->len; i++)
        libvirt_find_entries_of(libvirt, libvirt->vms->pdata[i]);
}

bool
libvirt_entry_is_used(const Libvirt *libvirt, const LibvirtEntry *entry)
{
    for (guint i = 0; i < libvirt->vms->len; i++) {
        const Vm *vm = libvirt->vms->pdata[i];

        if (vm->domain && libvirt_domain_daemon(vm->domain) == entry->daemon)
            return true;
    }
    return false;
}

static bool
is_needed_by_anyone(const Libvirt *libvirt)
{
    for (guint i = 0; i < libvirt->vms->len; i++)
        if (libvirt_is_needed_by(libvirt->vms->pdata[i]))
            return true;
    return false;
}

/* Is there a newer one at the same place, whose socket was made anew? */
static bool
entry_is_replaced(const Libvirt *libvirt, guint index)
{
    const LibvirtEntry *entry = libvirt->entries->pdata[index];

    for (guint i = index + 1; i < libvirt->entries->len; i++)
        if (g_str_equal(
                libvirt_daemon_label(((const LibvirtEntry *)libvirt->entries->pdata[i])->daemon),
                libvirt_daemon_label(entry->daemon)))
            return true;
    return false;
}

static bool
entry_is_wanted(const Libvirt *libvirt, guint index)
{
    const LibvirtEntry *entry = libvirt->entries->pdata[index];

    if (daemon_answers(entry->daemon))
        return entry->word ? g_strv_contains((const char *const *)libvirt->words, entry->word)
                           : libvirt->is_auto;
    if (entry_is_replaced(libvirt, index))
        return false;
    return entry->word ? g_strv_contains((const char *const *)libvirt->words, entry->word)
                       : libvirt->is_auto && is_needed_by_anyone(libvirt);
}

void
libvirt_drop_entries(Libvirt *libvirt)
{
    for (guint i = libvirt->entries->len; i-- > 0;)
        if (!entry_is_wanted(libvirt, i) &&
            !libvirt_entry_is_used(libvirt, libvirt->entries->pdata[i]))
            g_ptr_array_remove_index(libvirt->entries, i);
}
