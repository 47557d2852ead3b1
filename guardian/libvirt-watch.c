/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-watch.h"

#include <dlfcn.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY_NAME "libvirt.so.0"
/* As a worker's: libvirt decodes a message there, and we copy some strings. */
#define WATCH_STACK_BYTES (256 * 1024)
#define TUNE_PREFIX "blkdeviotune."
/* Events we hear: of lifecycles, of limits. */
#define N_HEARD 2

enum {
#define ROW(name, why) CALL_##name,
    LIBVIRT_WATCH_CALLS(ROW)
#undef ROW
        N_CALLS
};

struct LibvirtWatch {
#define ROW(name, why) __typeof__(name) *name;
    LIBVIRT_WATCH_CALLS(ROW)
#undef ROW
    gint counts[N_CALLS];
    GMutex starting;
    bool is_tried, is_running;
};

struct LibvirtHearing {
    int ids[N_HEARD];
    guint n_ids;
};

/* What one registration holds, freed by libvirt when it is over. */
typedef struct {
    LibvirtEvents *events;
    __typeof__(virDomainGetUUIDString) *get_uuid;
} Ear;

static const char *const call_names[] = {
#define ROW(name, why) #name,
    LIBVIRT_WATCH_CALLS(ROW)
#undef ROW
};

/* Counts the call and makes it. */
#define CALL(watch, name) (g_atomic_int_inc(&(watch)->counts[CALL_##name]), (watch)->name)

LibvirtWatch *
libvirt_watch_new(void)
{
    LibvirtWatch *watch = g_new0(LibvirtWatch, 1);

    g_mutex_init(&watch->starting);
    return watch;
}

void
libvirt_watch_free(LibvirtWatch *watch)
{
    g_mutex_clear(&watch->starting);
    g_free(watch);
}

/* The thread has nothing of ours but this address: it lives longer than whoever started it. */
static void *
run_thread(void *data)
{
    __typeof__(virEventRunDefaultImpl) *run_once = data;

    while (run_once() == 0)
        ;
    return NULL;
}

static bool
start_thread(LibvirtWatch *watch)
{
    pthread_attr_t attributes;
    pthread_t thread;
    bool is_started;

    if (pthread_attr_init(&attributes) != 0)
        return false;
    g_atomic_int_inc(&watch->counts[CALL_virEventRunDefaultImpl]);
    is_started = pthread_attr_setstacksize(&attributes, WATCH_STACK_BYTES) == 0 &&
                 pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
                 pthread_create(&thread, &attributes, run_thread,
                                (void *)watch->virEventRunDefaultImpl) == 0;
    pthread_attr_destroy(&attributes);
    return is_started;
}

static bool
resolve(LibvirtWatch *watch)
{
    void *handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return false;
#define ROW(name, why)                                                                             \
    *(void **)&watch->name = dlsym(handle, #name);                                                 \
    if (!watch->name)                                                                              \
        return false;
    LIBVIRT_WATCH_CALLS(ROW)
#undef ROW
    return CALL(watch, virEventRegisterDefaultImpl)() == 0;
}

bool
libvirt_watch_start(LibvirtWatch *watch)
{
    bool is_running;

    g_mutex_lock(&watch->starting);
    if (!watch->is_tried)
        watch->is_running = resolve(watch) && start_thread(watch);
    watch->is_tried = true;
    is_running = watch->is_running;
    g_mutex_unlock(&watch->starting);
    return is_running;
}

static void
ear_free(void *data)
{
    Ear *ear = data;

    libvirt_events_unref(ear->events);
    g_free(ear);
}

static LibvirtEvent *
event_new(const Ear *ear, LibvirtEventKind kind, virDomainPtr domain)
{
    LibvirtEvent *event = g_new0(LibvirtEvent, 1);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";

    (void)ear->get_uuid(domain, uuid);
    event->kind = kind;
    event->uuid = g_strdup(uuid);
    return event;
}

static int
on_lifecycle(virConnectPtr connection, virDomainPtr domain, int what, int detail, void *data)
{
    const Ear *ear = data;

    switch (what) {
    case VIR_DOMAIN_EVENT_DEFINED:
    case VIR_DOMAIN_EVENT_UNDEFINED:
        break; /* nothing runs because of it */
    case VIR_DOMAIN_EVENT_STARTED:
        libvirt_events_add(ear->events, event_new(ear, LIBVIRT_STARTED, domain));
        break;
    case VIR_DOMAIN_EVENT_STOPPED:
        libvirt_events_add(ear->events, event_new(ear, LIBVIRT_STOPPED, domain));
        break;
    default:
        libvirt_events_add(ear->events, event_new(ear, LIBVIRT_CHANGED, domain));
    }
    return 0;
}

static char *
param_text(const virTypedParameter *param)
{
    switch (param->type) {
    case VIR_TYPED_PARAM_ULLONG:
        return g_strdup_printf("%llu", param->value.ul);
    case VIR_TYPED_PARAM_STRING:
        return g_strdup(param->value.s);
    default:
        return NULL; /* no limit of a disk has another type */
    }
}

/* Somebody set limits; also such of processors, which are not ours. */
static void
on_tuned(virConnectPtr connection, virDomainPtr domain, virTypedParameterPtr params, int n_params,
         void *data)
{
    const Ear *ear = data;
    LibvirtEvent *event = event_new(ear, LIBVIRT_TUNED, domain);
    GPtrArray *limits = g_ptr_array_new();

    for (int i = 0; i < n_params; i++) {
        const char *name = params[i].field;
        char *text = g_str_has_prefix(name, TUNE_PREFIX) ? param_text(&params[i]) : NULL;

        if (!text)
            continue;
        if (strcmp(name, VIR_DOMAIN_TUNABLE_BLKDEV_DISK) == 0) {
            g_free(event->target);
            event->target = text;
            continue;
        }
        g_ptr_array_add(limits, g_strdup(name + strlen(TUNE_PREFIX)));
        g_ptr_array_add(limits, text);
    }
    g_ptr_array_add(limits, NULL);
    event->limits = (char **)g_ptr_array_free(limits, FALSE);
    if (event->target)
        libvirt_events_add(ear->events, event);
    else
        libvirt_event_free(event);
}

static void
hear_one(LibvirtWatch *watch, gpointer connection, LibvirtEvents *events, int id,
         virConnectDomainEventGenericCallback callback, LibvirtHearing *hearing)
{
    Ear *ear = g_new0(Ear, 1);
    int number;

    ear->events = libvirt_events_ref(events);
    ear->get_uuid = CALL(watch, virDomainGetUUIDString);
    number = CALL(watch, virConnectDomainEventRegisterAny)(connection, NULL, id, callback, ear,
                                                           ear_free);
    if (number >= 0)
        hearing->ids[hearing->n_ids++] = number;
    else
        ear_free(ear);
}

LibvirtHearing *
libvirt_watch_hear(LibvirtWatch *watch, gpointer connection, LibvirtEvents *events)
{
    LibvirtHearing *hearing = g_new0(LibvirtHearing, 1);

    hear_one(watch, connection, events, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
             VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), hearing);
    hear_one(watch, connection, events, VIR_DOMAIN_EVENT_ID_TUNABLE,
             VIR_DOMAIN_EVENT_CALLBACK(on_tuned), hearing);
    if (hearing->n_ids == 0)
        g_clear_pointer(&hearing, g_free);
    return hearing;
}

void
libvirt_watch_end(LibvirtWatch *watch, gpointer connection, LibvirtHearing *hearing)
{
    for (guint i = 0; hearing && i < hearing->n_ids; i++)
        (void)CALL(watch, virConnectDomainEventDeregisterAny)(connection, hearing->ids[i]);
    g_free(hearing);
}

void
libvirt_watch_add_calls(const LibvirtWatch *watch, GPtrArray *calls)
{
    for (guint i = 0; i < N_CALLS; i++) {
        gint count = g_atomic_int_get(&watch->counts[i]);

        if (count == 0)
            continue;
        g_ptr_array_add(calls, g_strdup_printf("events: %s", call_names[i]));
        g_ptr_array_add(calls, g_strdup_printf("%d", count));
    }
}
