/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-entry.h"

#include <string.h>

/* Asked for its domains, a healthy libvirtd answers in a millisecond; an activated one has to start
 * first. */
#define LIST_DEADLINE_US (5 * G_USEC_PER_SEC)
Libvirt *
libvirt_new(const Host *host, GMainContext *context, const GPtrArray *vms, LibvirtLibrary *library)
{
    Libvirt *libvirt = g_new0(Libvirt, 1);

    libvirt->host = host;
    libvirt->context = context;
    libvirt->vms = vms;
    libvirt->library = library;
    libvirt->sockets = g_ptr_array_new_with_free_func((GDestroyNotify)libvirt_socket_free);
    libvirt->entries = g_ptr_array_new_with_free_func(libvirt_entry_free);
    libvirt->words = g_new0(char *, 1);
    return libvirt;
}

void
libvirt_free(Libvirt *libvirt)
{
    if (!libvirt)
        return;
    g_ptr_array_unref(libvirt->entries);
    g_ptr_array_unref(libvirt->sockets);
    if (libvirt->library)
        libvirt_library_free(libvirt->library);
    g_strfreev(libvirt->words);
    g_free(libvirt->problem);
    g_free(libvirt);
}

void
libvirt_set_news_func(Libvirt *libvirt, LibvirtNewsFunc news, gpointer data)
{
    libvirt->news = news;
    libvirt->news_data = data;
}

void
libvirt_set_started_func(Libvirt *libvirt, LibvirtStartedFunc started, gpointer data)
{
    libvirt->started = started;
    libvirt->started_data = data;
}

void
libvirt_configure(Libvirt *libvirt, const Limits *limits)
{
    g_auto(GStrv) words = g_strsplit_set(
        limits->libvirt_connections ? limits->libvirt_connections : "auto", SETTING_SEPARATORS, -1);
    GPtrArray *kept = g_ptr_array_new();

    libvirt->is_auto = false;
    for (guint i = 0; words[i]; i++) {
        if (g_str_equal(words[i], "auto"))
            libvirt->is_auto = true;
        else if (*words[i] && !g_str_equal(words[i], "none"))
            g_ptr_array_add(kept, g_strdup(words[i]));
    }
    g_ptr_array_add(kept, NULL);
    g_strfreev(libvirt->words);
    libvirt->words = (char **)g_ptr_array_free(kept, FALSE);
}

static const LibvirtListed *
find_listed(const LibvirtEntry *entry, const Vm *vm)
{
    for (guint i = 0; entry->listed && vm->uuid && i < entry->listed->len; i++) {
        const LibvirtListed *listed = entry->listed->pdata[i];

        if (g_ascii_strcasecmp(listed->uuid, vm->uuid) == 0 &&
            (!vm->argv->has_libvirt_id || vm->argv->libvirt_id == listed->id))
            return listed;
    }
    return NULL;
}

static void
attach(const LibvirtEntry *entry, Vm *vm)
{
    const LibvirtListed *listed = find_listed(entry, vm);

    /* a sample in the making uses the old one */
    if (!listed || !libvirt_is_needed_by(vm) || vm->sampling ||
        (entry->socket && !libvirt_socket_serves(entry->socket, vm)))
        return;
    libvirt_domain_free(vm->domain);
    vm->domain = libvirt_domain_new(entry->daemon, listed->uuid);
    vm->next_us = 0; /* it waits for this */
    if (vm->tick)
        g_source_set_ready_time(vm->tick, 0);
}

static void ask_list(LibvirtEntry *entry);

static void
take_list(LibvirtReply *reply, bool is_late, const char *problem, gpointer data)
{
    LibvirtEntry *entry = data;

    if (!is_late)
        entry->is_listing = false;
    if (!reply || !reply->listed)
        return;
    g_clear_pointer(&entry->listed, g_ptr_array_unref);
    entry->listed = g_steal_pointer(&reply->listed);
    entry->listed_us = entry->libvirt->looked_us;
    for (guint i = 0; i < entry->libvirt->vms->len; i++)
        attach(entry, entry->libvirt->vms->pdata[i]);
    if (entry->is_list_wanted)
        ask_list(entry);
}

static void
list_came_back(const char *problem, gpointer data)
{
    ((LibvirtEntry *)data)->is_listing = false;
}

static void
give_figures(const Libvirt *libvirt, const LibvirtEntry *entry, const LibvirtFigures *figures)
{
    for (guint i = 0; i < libvirt->vms->len; i++) {
        const Vm *vm = libvirt->vms->pdata[i];

        if (vm->domain && libvirt_domain_daemon(vm->domain) == entry->daemon &&
            g_ascii_strcasecmp(figures->uuid, vm->uuid) == 0)
            libvirt_domain_set_figures(vm->domain, figures, libvirt->looked_us);
    }
}

static void
take_figures(LibvirtReply *reply, bool is_late, const char *problem, gpointer data)
{
    LibvirtEntry *entry = data;

    if (!is_late)
        entry->has_figures_in_flight = false;
    for (guint i = 0; reply && reply->figures && i < reply->figures->len; i++)
        give_figures(entry->libvirt, entry, reply->figures->pdata[i]);
}

static void
figures_came_back(const char *problem, gpointer data)
{
    ((LibvirtEntry *)data)->has_figures_in_flight = false;
}

static void
ask_list(LibvirtEntry *entry)
{
    LibvirtErrand *errand;

    entry->is_list_wanted = entry->is_listing;
    if (entry->is_listing)
        return;
    errand = g_new0(LibvirtErrand, 1);
    errand->kind = ERRAND_LIST;
    entry->is_listing = true;
    libvirt_daemon_ask(entry->daemon, errand, LIST_DEADLINE_US, take_list, list_came_back, entry);
}

static void
ask_figures(LibvirtEntry *entry)
{
    LibvirtErrand *errand;

    if (entry->has_figures_in_flight || !libvirt_entry_is_used(entry->libvirt, entry))
        return;
    errand = g_new0(LibvirtErrand, 1);
    errand->kind = ERRAND_FIGURES;
    entry->has_figures_in_flight = true;
    libvirt_daemon_ask(entry->daemon, errand, LIST_DEADLINE_US, take_figures, figures_came_back,
                       entry);
}

void
libvirt_look_for(Libvirt *libvirt, const Vm *vm, gint64 now_us)
{
    if (!vm->argv->is_libvirt)
        return;
    libvirt->looked_us = now_us;
    libvirt_find_entries_of(libvirt, vm);
    for (guint i = 0; i < libvirt->entries->len; i++)
        ask_list(libvirt->entries->pdata[i]);
}

void
libvirt_look(Libvirt *libvirt, gint64 now_us)
{
    libvirt->looked_us = now_us;
    libvirt_drop_entries(libvirt);
    libvirt_find_entries(libvirt);
    for (guint i = 0; i < libvirt->entries->len; i++) {
        ask_list(libvirt->entries->pdata[i]);
        ask_figures(libvirt->entries->pdata[i]);
    }
}

guint
libvirt_pending(const Libvirt *libvirt)
{
    guint n = 0;

    for (guint i = 0; i < libvirt->entries->len; i++)
        n += libvirt_daemon_open(((const LibvirtEntry *)libvirt->entries->pdata[i])->daemon);
    return n;
}

static void
build_entry(const LibvirtEntry *entry, JsonBuilder *builder, const ReportClocks *clocks)
{
    const LibvirtDaemon *daemon = entry->daemon;
    gint64 since_us = libvirt_daemon_since_us(daemon);
    gint64 answered_us = libvirt_daemon_answered_us(daemon);

    json_builder_begin_object(builder);
    build_text(builder, "name", libvirt_daemon_label(daemon));
    build_text(builder, "state", libvirt_daemon_state_name(libvirt_daemon_state(daemon)));
    build_time(builder, "since_utc", since_us, clocks);
    build_s64(builder, "since_s", true, (clocks->monotonic_us - since_us) / G_USEC_PER_SEC);
    build_s64(builder, "answer_age_ms", answered_us > 0,
              (clocks->monotonic_us - answered_us) / 1000);
    build_text(builder, "problem", libvirt_daemon_problem(daemon));
    build_u64(builder, "domains", entry->listed != NULL, entry->listed ? entry->listed->len : 0);
    build_bool(builder, "tells_events", libvirt_daemon_tells_events(daemon));
    build_u64(builder, "connections", true, libvirt_daemon_lanes(daemon));
    build_u64(builder, "set_aside", true, libvirt_daemon_set_aside(daemon));
    json_builder_end_object(builder);
}

void
libvirt_report(const Libvirt *libvirt, JsonBuilder *builder, const ReportClocks *clocks)
{
    const char *missing = libvirt->library ? libvirt->library->problem : libvirt_library_missing();
    g_auto(GStrv) calls = libvirt->library ? libvirt_library_calls(libvirt->library) : NULL;

    build_text(builder, "problem", missing ? missing : libvirt->problem);
    json_builder_set_member_name(builder, "daemons");
    json_builder_begin_array(builder);
    for (guint i = 0; i < libvirt->entries->len; i++)
        build_entry(libvirt->entries->pdata[i], builder, clocks);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "calls");
    json_builder_begin_object(builder);
    for (guint i = 0; calls && calls[i]; i += 2)
        build_u64(builder, calls[i], true, g_ascii_strtoull(calls[i + 1], NULL, 10));
    json_builder_end_object(builder);
}
