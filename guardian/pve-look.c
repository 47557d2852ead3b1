/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pve-look.h"

#include "drift-look.h"
#include "lookup.h"
#include "owner-look.h"
#include "pve-log.h"
#include "pve-read.h"

#include <string.h>

/* A person's change is seen a minute later; a write of it is counted with the same delay. */
#define CONFIGURATION_US (60 * G_USEC_PER_SEC)
/* /etc/pve answers within milliseconds while the cluster has a quorum. */
#define READ_DEADLINE_US (5 * G_USEC_PER_SEC)

struct PveLook {
    PveConf *conf;
    char *problem;
    gint64 due_us; /* next read, monotonic */
    gint64 read_us, written_us;
    char *canonical; /* as it was read last; NULL before the first time */
    Lookup *reading;
};

PveLook *
pve_look_new(void)
{
    return g_new0(PveLook, 1);
}

void
pve_look_free(PveLook *look)
{
    if (!look)
        return;
    pveconf_free(look->conf);
    g_free(look->problem);
    g_free(look->canonical);
    g_free(look);
}

static void
look_set_problem(PveLook *look, char *problem)
{
    g_free(look->problem);
    look->problem = problem;
    g_clear_pointer(&look->conf, pveconf_free);
}

/* A file that was written and reads the same is a writer who does not know its own value. */
static void
configuration_compare(PveLook *look, const PveRead *read, Writers *writers)
{
    g_autofree char *canonical = pveconf_print(look->conf);
    Write write = {.at_us = read->written_us, .effect = WRITE_CHANGED};

    if (look->canonical && look->written_us != read->written_us) {
        if (strcmp(look->canonical, canonical) == 0)
            write.effect = WRITE_EQUAL;
        writers_add(writers, &write);
    }
    g_free(look->canonical);
    look->canonical = g_steal_pointer(&canonical);
}

static void
configuration_take(Vm *vm, const PveRead *read, const Host *host)
{
    PveLook *look = vm->pve;
    Writers *writers = drift_look_writers(vm->drift);

    look_set_problem(look, NULL);
    look->conf = pveconf_parse(read->text, read->length);
    look->read_us = host_realtime_us(host);
    configuration_compare(look, read, writers);
    look->written_us = read->written_us;
    if (read->log)
        pve_log_take(read->log, read->log_length, vm->id, writers);
}

static void
on_read(const PveRead *read, gpointer data)
{
    const Host *host = ((const Lookup *)data)->host;
    Vm *vm = lookup_end(data);

    if (!vm)
        return;
    if (!read) {
        look_set_problem(vm->pve, g_strdup("reading it hangs: is the cluster without a quorum?"));
    } else if (read->error_number != 0) {
        look_set_problem(vm->pve, g_strdup(g_strerror(read->error_number)));
    } else {
        configuration_take(vm, read, host);
        owner_look_proxmox(vm, vm->pve->conf);
    }
}

void
pve_look_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us)
{
    PveLook *look = vm->pve;
    Lookup *lookup;

    if (!g_str_equal(vm->source, "proxmox") || look->reading || now_us < look->due_us)
        return;
    lookup = lookup_begin(&look->reading, vm, host);
    if (pve_read(host, children, vm->id, READ_DEADLINE_US, on_read, lookup)) {
        look->due_us = now_us + CONFIGURATION_US;
        return;
    }
    (void)lookup_end(lookup);
    look->due_us = 0; /* too many children: at the next sample */
}

void
pve_look_forget(Vm *vm)
{
    lookup_forget(&vm->pve->reading);
}

void
pve_look_want(PveLook *look)
{
    look->due_us = 0;
}

const PveConf *
pve_look_conf(const PveLook *look)
{
    return look->conf;
}

const char *
pve_look_problem(const PveLook *look)
{
    return look->problem;
}

gint64
pve_look_read_us(const PveLook *look)
{
    return look->read_us;
}

gint64
pve_look_written_us(const PveLook *look)
{
    return look->written_us;
}
