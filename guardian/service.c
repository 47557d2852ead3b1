/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service.h"

#include <systemd/sd-daemon.h>

/* How old the status line may be. */
#define STATUS_PERIOD_US (5 * G_USEC_PER_SEC)
/* A tick that is due this long and has not come does not come: a loop that only works slowly
 * through the answers of many VMs is seconds late at most. */
#define TICK_LATE_US (10 * G_USEC_PER_SEC)

struct Service {
    const Guardian *guardian;
    GSource *timer;
    bool has_watchdog, reload_has_failed;
    char *told; /* the status line that is known */
};

/* "mode observe; 12 VMs: 1 frozen, 2 suspect, 9 ok" */
static char *
status_line(const Service *service)
{
    static const State worst_first[] = {STATE_FROZEN, STATE_SUSPECT, STATE_UNKNOWN, STATE_OK};
    const GPtrArray *vms = guardian_vms(service->guardian);
    g_autofree char *mode =
        setting_format(setting_find("guardian", "mode"), guardian_limits(service->guardian));
    GString *line = g_string_new(NULL);
    const char *separator = ": ";

    g_string_printf(line, "mode %s; %u VM%s", mode, vms->len, vms->len == 1 ? "" : "s");
    for (guint i = 0; i < G_N_ELEMENTS(worst_first); i++) {
        guint n = 0;

        for (guint v = 0; v < vms->len; v++)
            n += ((const Vm *)vms->pdata[v])->track.verdict.state == worst_first[i];
        if (n == 0)
            continue;
        g_string_append_printf(line, "%s%u %s", separator, n, state_name(worst_first[i]));
        separator = ", ";
    }
    if (service->reload_has_failed)
        g_string_append(line, "; the last reload failed, the old configuration stays");
    return g_string_free(line, FALSE);
}

static void
tell_status(Service *service)
{
    g_autofree char *line = status_line(service);

    if (g_strcmp0(line, service->told) == 0)
        return;
    sd_notifyf(0, "STATUS=%s", line);
    g_free(service->told);
    service->told = g_steal_pointer(&line);
}

static gboolean
on_timer(gpointer data)
{
    Service *service = data;
    gint64 due = guardian_due_us(service->guardian);
    gint64 now = host_monotonic_us(guardian_host(service->guardian));

    tell_status(service);
    if (service->has_watchdog && due >= 0 && now < due + TICK_LATE_US)
        sd_notify(0, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

Service *
service_new(const Guardian *guardian, GMainContext *context)
{
    Service *service = g_new0(Service, 1);
    guint64 watchdog_us = 0;
    gint64 period_us = STATUS_PERIOD_US;

    service->guardian = guardian;
    service->has_watchdog = sd_watchdog_enabled(0, &watchdog_us) > 0;
    if (service->has_watchdog) /* twice is asked for; once more for a tick that is late */
        period_us = MIN(period_us, (gint64)(watchdog_us / 4));
    service->timer = g_timeout_source_new((guint)MAX(period_us / 1000, 1));
    g_source_set_callback(service->timer, on_timer, service, NULL);
    g_source_attach(service->timer, context);
    return service;
}

void
service_free(Service *service)
{
    if (!service)
        return;
    g_source_destroy(service->timer);
    g_source_unref(service->timer);
    g_free(service->told);
    g_free(service);
}

void
service_ready(Service *service)
{
    tell_status(service);
    sd_notify(0, "READY=1");
}

void
service_reloading(Service *service)
{
    sd_notify(0, "RELOADING=1");
}

void
service_reloaded(Service *service, bool has_failed)
{
    service->reload_has_failed = has_failed;
    service_ready(service);
}

void
service_stopping(Service *service)
{
    sd_notify(0, "STOPPING=1");
}
