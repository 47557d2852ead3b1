/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a libvirtd tells by itself, and what follows: a look for a VM that has started, a sample of
 * one that has changed, a foreign write where limits were set. Who may write to that libvirtd can
 * cause any of it, also a storm; it costs no more than a look and a sample every half a second. */

#include "drift-look.h"
#include "libvirt-entry.h"
#include "units.h"

/* As often as a VM is looked at because of what is told of it. */
#define APART_US (G_USEC_PER_SEC / 2)

/* The VM which is that domain of that libvirtd; NULL: none yet. */
static Vm *
find_vm(const LibvirtEntry *entry, const char *uuid)
{
    for (guint i = 0; i < entry->libvirt->vms->len; i++) {
        Vm *vm = entry->libvirt->vms->pdata[i];

        if (vm->domain && libvirt_domain_daemon(vm->domain) == entry->daemon &&
            g_ascii_strcasecmp(uuid, vm->uuid) == 0)
            return vm;
    }
    return NULL;
}

static void
sample_soon(Vm *vm, gint64 now_us)
{
    gint64 soon_us = MAX(now_us, vm->has_sample ? vm->sample.now_us + APART_US : 0);

    vm->is_due_again = vm->sampling != NULL;
    if (vm->sampling || vm->next_us <= soon_us)
        return;
    vm->next_us = soon_us;
    if (vm->tick)
        g_source_set_ready_time(vm->tick, soon_us);
}

/* "set limits of vda: write_bytes_sec 62914560, ..." */
static char *
describe(const LibvirtEvent *event)
{
    GString *text = g_string_new("set limits of ");
    g_autofree char *raw = NULL;

    g_string_append(text, event->target);
    for (guint i = 0; event->limits[i]; i += 2)
        g_string_append_printf(text, "%s %s %s", i == 0 ? ":" : ",", event->limits[i],
                               event->limits[i + 1]);
    raw = g_string_free(text, FALSE);
    return units_printable(raw, -1);
}

/* What came of it the next look tells. */
static void
hear_tuned(const Host *host, const LibvirtEvent *event, Vm *vm)
{
    g_autofree char *what = describe(event);
    Write write = {.at_us = host_realtime_us(host), .what = what, .is_live = true};

    writers_add(drift_look_writers(vm->drift), &write);
    tunes_note(libvirt_domain_tunes(vm->domain), libvirt_domain_xml(vm->domain, NULL),
               event->target, &write, host_monotonic_us(host));
    libvirt_domain_want_xml(vm->domain);
}

void
libvirt_entry_hear(const LibvirtEvent *event, gpointer data)
{
    const LibvirtEntry *entry = data;
    Vm *vm = find_vm(entry, event->uuid);

    if (event->kind == LIBVIRT_STARTED && !vm && entry->libvirt->started)
        entry->libvirt->started(entry->libvirt->started_data);
    if (!vm)
        return;
    if (event->kind == LIBVIRT_TUNED)
        hear_tuned(entry->libvirt->host, event, vm);
    sample_soon(vm, host_monotonic_us(entry->libvirt->host));
}
