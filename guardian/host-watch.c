/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-watch.h"

#include "meminfo.h"
#include "memory-watch.h"

HostWatch *
host_watch_new(const Host *host)
{
    HostWatch *watch = g_new0(HostWatch, 1);

    watch->host = host;
    watch->bands = bands_new(host);
    watch->trees = trees_new(host);
    watch->oom = oom_watch_new(host);
    watch->reservations = reservations_new(host);
    return watch;
}

void
host_watch_free(HostWatch *watch)
{
    if (!watch)
        return;
    bands_free(watch->bands);
    trees_free(watch->trees);
    oom_watch_free(watch->oom);
    if (watch->is_daemon)
        reservations_save_last(watch->reservations);
    reservations_free(watch->reservations);
    g_free(watch);
}

static HostVms
vms_of(const GPtrArray *list)
{
    HostVms vms = {0};

    for (guint i = 0; i < list->len; i++) {
        const Vm *vm = list->pdata[i];

        host_vms_add(&vms, &vm->memory, memory_watch_reservation(vm).bytes);
    }
    return vms;
}

void
host_watch_look(HostWatch *watch, const GPtrArray *vms, const Limits *limits, gint64 now_us)
{
    PressureLevel before = watch->verdict.level;

    (void)!meminfo_read(watch->host, &watch->memory);
    watch->vms = vms_of(vms);
    trees_follow(watch->trees, vms, now_us);
    watch->verdict =
        host_memory_judge(&watch->memory, &watch->vms, (guint64)limits->host_reserve_bytes,
                          trees_others_bytes(watch->trees));
    if (watch->verdict.level != before || watch->since_us == 0)
        watch->since_us = now_us;
    if (watch->changed && watch->verdict.level != before)
        watch->changed(watch, watch->data);
    bands_follow(watch->bands, limits, &watch->memory, now_us);
}

void
host_watch_follow(HostWatch *watch, const GPtrArray *vms, const Limits *limits, gint64 now_us)
{
    oom_watch_follow(watch->oom);
    if (watch->read_us > 0 && now_us - watch->read_us < limits->memory_period_us)
        return;
    watch->read_us = now_us;
    for (guint i = 0; i < vms->len; i++)
        if (((const Vm *)vms->pdata[i])->has_sample)
            reservations_follow(watch->reservations, vms->pdata[i]);
    if (watch->is_daemon)
        reservations_save_due(watch->reservations);
    host_watch_look(watch, vms, limits, now_us);
}
