/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-passthrough.h"

#include "units.h"

#include <dlfcn.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>

/* It brings libvirt.so.0 along, and dlsym finds that one's calls through it. */
#define LIBRARY_NAME "libvirt-qemu.so.0"

enum {
#define ROW(name, why) CALL_##name,
    LIBVIRT_PASSTHROUGH_CALLS(ROW)
#undef ROW
        N_CALLS
};

struct Passthrough {
#define ROW(name, why) __typeof__(name) *name;
    LIBVIRT_PASSTHROUGH_CALLS(ROW)
#undef ROW
    gint counts[N_CALLS];
    GMutex loading;
    bool is_loaded;
};

struct PassthroughLink {
    virConnectPtr connection;
};

static const char *const call_names[] = {
#define ROW(name, why) #name,
    LIBVIRT_PASSTHROUGH_CALLS(ROW)
#undef ROW
};

/* Counts the call and makes it. */
#define CALL(passthrough, name)                                                                    \
    (g_atomic_int_inc(&(passthrough)->counts[CALL_##name]), (passthrough)->name)

Passthrough *
passthrough_new(void)
{
    Passthrough *passthrough = g_new0(Passthrough, 1);

    g_mutex_init(&passthrough->loading);
    return passthrough;
}

void
passthrough_free(Passthrough *passthrough)
{
    g_mutex_clear(&passthrough->loading);
    g_free(passthrough);
}

/* NULL when resolved, else why not. */
static const char *
resolve(Passthrough *passthrough)
{
    void *handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return dlerror();
#define ROW(name, why)                                                                             \
    *(void **)&passthrough->name = dlsym(handle, #name);                                           \
    if (!passthrough->name)                                                                        \
        return LIBRARY_NAME " has no " #name;
    LIBVIRT_PASSTHROUGH_CALLS(ROW)
#undef ROW
    return NULL;
}

static const char *
load(Passthrough *passthrough)
{
    const char *problem = NULL;

    g_mutex_lock(&passthrough->loading);
    if (!passthrough->is_loaded)
        problem = resolve(passthrough);
    passthrough->is_loaded = !problem;
    g_mutex_unlock(&passthrough->loading);
    return problem;
}

static bool
fail(char **ret_problem, const char *problem)
{
    *ret_problem = units_printable(problem ? problem : "libvirt does not say why", -1);
    return false;
}

static bool
connect_link(Passthrough *passthrough, PassthroughLink **link, const char *uri)
{
    virConnectPtr connection;

    if (*link && CALL(passthrough, virConnectIsAlive)((*link)->connection) == 1)
        return true;
    passthrough_close(passthrough, g_steal_pointer(link));
    connection = CALL(passthrough, virConnectOpen)(uri);
    if (!connection)
        return false;
    *link = g_new0(PassthroughLink, 1);
    (*link)->connection = connection;
    return true;
}

static bool
ask_domain(Passthrough *passthrough, virDomainPtr domain, char **commands, GPtrArray *answers)
{
    for (guint i = 0; commands[i]; i++) {
        char *answer = NULL;

        if (CALL(passthrough, virDomainQemuMonitorCommand)(domain, commands[i], &answer, 0) < 0)
            return false;
        g_ptr_array_add(answers, g_strdup(answer ? answer : ""));
        free(answer);
    }
    return true;
}

bool
passthrough_ask(Passthrough *passthrough, PassthroughLink **link, const LibvirtErrand *errand,
                LibvirtReply *reply, char **ret_problem)
{
    const char *problem = load(passthrough);
    virDomainPtr domain;
    bool is_good;

    if (problem)
        return fail(ret_problem, problem);
    if (!errand->write_uri)
        return fail(ret_problem, "its libvirtd has no socket that may be written to");
    if (!connect_link(passthrough, link, errand->write_uri))
        return fail(ret_problem, CALL(passthrough, virGetLastErrorMessage)());
    domain = CALL(passthrough, virDomainLookupByUUIDString)((*link)->connection, errand->uuid);
    if (!domain)
        return fail(ret_problem, CALL(passthrough, virGetLastErrorMessage)());
    reply->answers = g_ptr_array_new_with_free_func(g_free);
    is_good = ask_domain(passthrough, domain, errand->commands, reply->answers);
    if (!is_good)
        (void)fail(ret_problem, CALL(passthrough, virGetLastErrorMessage)());
    CALL(passthrough, virDomainFree)(domain);
    return is_good;
}

void
passthrough_close(Passthrough *passthrough, PassthroughLink *link)
{
    if (!link)
        return;
    CALL(passthrough, virConnectClose)(link->connection);
    g_free(link);
}

void
passthrough_add_calls(const Passthrough *passthrough, GPtrArray *calls)
{
    for (guint i = 0; i < N_CALLS; i++) {
        gint count = g_atomic_int_get(&passthrough->counts[i]);

        if (count == 0)
            continue;
        g_ptr_array_add(calls, g_strdup_printf("passthrough: %s", call_names[i]));
        g_ptr_array_add(calls, g_strdup_printf("%d", count));
    }
}
