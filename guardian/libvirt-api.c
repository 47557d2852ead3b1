/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-api.h"

#include <dlfcn.h>

#define LIBRARY_NAME "libvirt.so.0"

static const char *const call_names[] = {
#define ROW(name, class, safe, why) #name,
    LIBVIRT_CALLS(ROW)
#undef ROW
};

static void
ignore_error(void *data, virErrorPtr error)
{
}

Api *
libvirt_api_new(void)
{
    Api *api = g_new0(Api, 1);

    g_mutex_init(&api->loading);
    api->passthrough = passthrough_new();
    api->watch = libvirt_watch_new();
    api->references = 1;
    return api;
}

gpointer
libvirt_api_hold(gpointer data)
{
    g_atomic_int_inc(&((Api *)data)->references);
    return data;
}

void
libvirt_api_release(gpointer data)
{
    Api *api = data;

    if (!g_atomic_int_dec_and_test(&api->references))
        return;
    passthrough_free(api->passthrough);
    libvirt_watch_free(api->watch);
    g_mutex_clear(&api->loading);
    g_free(api);
}

/* NULL when loaded, else why not; valid until this thread's next try. */
static const char *
api_resolve(Api *api)
{
    void *handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return dlerror();
#define ROW(name, class, safe, why)                                                                \
    *(void **)&api->name = dlsym(handle, #name);                                                   \
    if (!api->name)                                                                                \
        return LIBRARY_NAME " has no " #name;
    LIBVIRT_CALLS(ROW)
#undef ROW
    CALL(api, virSetErrorFunc)(NULL, ignore_error);
    return NULL;
}

const char *
libvirt_api_load(Api *api)
{
    const char *problem = NULL;

    g_mutex_lock(&api->loading);
    if (!api->is_loaded)
        problem = api_resolve(api);
    api->is_loaded = !problem;
    g_mutex_unlock(&api->loading);
    return problem;
}

char **
libvirt_library_calls(const LibvirtLibrary *library)
{
    Api *api = library->data;
    GPtrArray *calls = g_ptr_array_new();

    for (guint i = 0; api && i < N_CALLS; i++) {
        gint count = g_atomic_int_get(&api->counts[i]);

        if (count == 0)
            continue;
        g_ptr_array_add(calls, g_strdup(call_names[i]));
        g_ptr_array_add(calls, g_strdup_printf("%d", count));
    }
    if (api) {
        passthrough_add_calls(api->passthrough, calls);
        libvirt_watch_add_calls(api->watch, calls);
    }
    g_ptr_array_add(calls, NULL);
    return (char **)g_ptr_array_free(calls, FALSE);
}
