/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drift-look.h"

#include "block.h"
#include "config-disk.h"
#include "freeze.h"
#include "libvirt-domain.h"
#include "lookup.h"
#include "media.h"
#include "message.h"
#include "pairs.h"
#include "pve-look.h"
#include "units.h"

#include <string.h>

/* Every open file of a healthy VM answers at once; what takes longer is no storage to bet on. */
#define MEDIA_DEADLINE_US (2 * G_USEC_PER_SEC)
/* What the media said is believed for so long: the next sample has been woken for it. */
#define MEDIA_FRESH_US (2 * G_USEC_PER_SEC)
/* A VM whose samples do not come is not waited for. */
#define WANT_US (15 * G_USEC_PER_SEC)

struct DriftLook {
    GPtrArray *policies; /* of ConfigDisk */
    Writers *writers;
    Lookup *stat; /* of the media */

    GHashTable *groups; /* id -> char **, names and values of its limits */
    gint64 groups_us;   /* wall clock of the newest answer */
    GPtrArray *probes;
    bool is_probed; /* every probe was answered since that configuration was written */
    gint64 probed_of_us;

    GArray *blocks; /* of QmpBlock; NULL */
    gint64 blocks_us;
    gint64 wanted_us;     /* monotonic; 0 nobody wants it */
    gint64 media_good_us; /* monotonic; 0 not looked at, or with a doubt */
    char *why_not;
};

DriftLook *
drift_look_new(void)
{
    DriftLook *look = g_new0(DriftLook, 1);

    look->groups =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev);
    look->probes = g_ptr_array_new_with_free_func(g_free);
    look->writers = writers_new();
    return look;
}

void
drift_look_free(DriftLook *look)
{
    if (!look)
        return;
    g_clear_pointer(&look->policies, g_ptr_array_unref);
    writers_free(look->writers);
    g_hash_table_unref(look->groups);
    g_ptr_array_unref(look->probes);
    g_clear_pointer(&look->blocks, g_array_unref);
    g_free(look->why_not);
    g_free(look);
}

void
drift_look_set_policies(DriftLook *look, GPtrArray *policies)
{
    g_clear_pointer(&look->policies, g_ptr_array_unref);
    look->policies = policies;
}

static void
want_end(DriftLook *look, char *why_not)
{
    look->wanted_us = 0;
    look->media_good_us = 0;
    g_free(look->why_not);
    look->why_not = why_not;
}

/* Why query-block would be a risk, from what is known in memory; a static sentence, NULL: none. */
static const char *
doubt(const Vm *vm)
{
    if (!vm->has_sample || vm->sample.monitor != MONITOR_ANSWERED || !vm->sample.has_disks)
        return "its disks are not known";
    if (vm->sample.run != RUN_RUNNING && vm->sample.run != RUN_PAUSED)
        return "it is neither running nor paused";
    if (freeze_is_suspect(&vm->track))
        return "a stall is suspected, and query-block could hang it";
    return NULL;
}

static void
media_looked_at(const char *wrong, gpointer data)
{
    const Host *host = ((const Lookup *)data)->host;
    Vm *vm = lookup_end(data);

    if (!vm || vm->drift->wanted_us <= 0)
        return;
    if (wrong) {
        want_end(vm->drift, g_strdup_printf("not every file it has open let itself be looked at "
                                            "(%s), and query-block could hang it",
                                            wrong));
        return;
    }
    vm->drift->media_good_us = host_monotonic_us(host);
    vm->next_us = 0;
    if (vm->tick)
        g_source_set_ready_time(vm->tick, 0);
}

/* Begins with the media of a VM about which there is no doubt. */
static void
want_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us)
{
    DriftLook *look = vm->drift;
    const char *why = doubt(vm);
    Lookup *lookup;

    if (look->stat || look->media_good_us > 0)
        return;
    if (why || now_us - look->wanted_us > WANT_US) {
        want_end(look, g_strdup(why ? why : "no sample came in time"));
        return;
    }
    lookup = lookup_begin(&look->stat, vm, host);
    if (media_look(vm->proc, children, MEDIA_DEADLINE_US, media_looked_at, lookup))
        return;
    (void)lookup_end(lookup);
    want_end(look, g_strdup("its open files cannot be looked at"));
}

void
drift_look_take_domain(Vm *vm)
{
    DriftLook *look = vm->drift;
    gint64 read_us;

    if (look->wanted_us > 0 && libvirt_domain_xml(vm->domain, &read_us) &&
        read_us >= look->wanted_us)
        want_end(look, NULL);
}

void
drift_look_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us)
{
    DriftLook *look = vm->drift;

    if (look->wanted_us < 0)
        look->wanted_us = now_us;
    if (look->wanted_us > 0 && !vm->domain)
        want_go_on(vm, host, children, now_us);
    else if (look->wanted_us > 0 && now_us - look->wanted_us > WANT_US)
        want_end(look, g_strdup("libvirt did not answer in time"));
}

void
drift_look_forget(Vm *vm)
{
    lookup_forget(&vm->drift->stat);
}

void
drift_look_want(Vm *vm)
{
    want_end(vm->drift, NULL);
    vm->drift->wanted_us = -1; /* from the next sample on, whose clock counts */
    vm->drift->is_probed = false;
    pve_look_want(vm->pve);
    if (vm->domain)
        libvirt_domain_want_xml(vm->domain);
    vm->slow_round_us = 0;
    vm->next_us = 0;
    if (vm->tick)
        g_source_set_ready_time(vm->tick, 0);
}

bool
drift_look_is_open(const DriftLook *look)
{
    return look->wanted_us != 0;
}

const char *
drift_look_why_not(const DriftLook *look)
{
    return look->why_not;
}

/* Proxmox names a throttle-group after its drive. */
static char *
group_of_drive(const char *key)
{
    return g_strconcat("throttle-drive-", key, NULL);
}

const GPtrArray *
drift_look_probes(Vm *vm)
{
    DriftLook *look = vm->drift;
    const PveConf *conf = pve_look_conf(vm->pve);
    const PveSection *live = conf ? pveconf_live(conf) : NULL;

    if (look->probed_of_us != pve_look_written_us(vm->pve))
        look->is_probed = false;
    look->probed_of_us = pve_look_written_us(vm->pve);
    g_ptr_array_set_size(look->probes, 0);
    for (guint i = 0; live && !look->is_probed && i < live->entries->len; i++) {
        const PveEntry *entry = live->entries->pdata[i];

        if (pve_is_limited_drive(entry->key))
            g_ptr_array_add(look->probes, group_of_drive(entry->key));
    }
    look->is_probed = live != NULL;
    return look->probes;
}

const GPtrArray *
drift_look_probed(const DriftLook *look)
{
    return look->probes;
}

/* Where no configuration tells of it, a change in QEMU itself is a write. */
static void
groups_compare(const Vm *vm, const char *group, JsonNode *result, gint64 realtime_us)
{
    const char *const *known = g_hash_table_lookup(vm->drift->groups, group);
    g_auto(GStrv) now = pairs_from_object(json_node_get_object(result));
    Write write = {.at_us = realtime_us, .effect = WRITE_CHANGED, .is_live = true};

    if (known && !g_str_equal(vm->source, "proxmox") &&
        !g_strv_equal(known, (const char *const *)now))
        writers_add(vm->drift->writers, &write);
}

void
drift_look_take_group(Vm *vm, const char *group, JsonNode *result, gint64 realtime_us)
{
    DriftLook *look = vm->drift;

    look->groups_us = realtime_us;
    if (result && JSON_NODE_HOLDS_OBJECT(result)) {
        groups_compare(vm, group, result, realtime_us);
        g_hash_table_replace(look->groups, g_strdup(group),
                             pairs_from_object(json_node_get_object(result)));
        look->is_probed = false; /* they live: asked again on the next slow round */
    } else {
        g_hash_table_remove(look->groups, group);
    }
}

bool
drift_look_wants_block(Vm *vm, gint64 now_us)
{
    DriftLook *look = vm->drift;
    const char *why;

    if (look->media_good_us == 0)
        return false;
    why = doubt(vm);
    if (!why && now_us - look->media_good_us <= MEDIA_FRESH_US)
        return true;
    want_end(look, g_strdup(why ? why : "no sample came in time"));
    return false;
}

void
drift_look_take_block(Vm *vm, JsonNode *result, gint64 realtime_us)
{
    GArray *blocks = result ? qmp_parse_block(result) : NULL;

    want_end(vm->drift, blocks ? NULL : g_strdup("QEMU refused query-block"));
    if (!blocks)
        return;
    g_clear_pointer(&vm->drift->blocks, g_array_unref);
    vm->drift->blocks = blocks;
    vm->drift->blocks_us = realtime_us;
}

Writers *
drift_look_writers(const DriftLook *look)
{
    return look->writers;
}

bool
drift_look_generation(const Vm *vm, bool *ret_has_objects)
{
    if (g_hash_table_size(vm->drift->groups) == 0 && vm->slow_round_us == 0)
        return false;
    *ret_has_objects = g_hash_table_size(vm->drift->groups) > 0;
    return true;
}

const GPtrArray *
drift_look_policies(const DriftLook *look)
{
    return look->policies;
}

char **
drift_look_group(const DriftLook *look, const char *group)
{
    return group ? g_hash_table_lookup(look->groups, group) : NULL;
}

gint64
drift_look_groups_us(const DriftLook *look)
{
    return look->groups_us;
}

const GArray *
drift_look_blocks(const DriftLook *look, gint64 *ret_realtime_us)
{
    *ret_realtime_us = look->blocks_us;
    return look->blocks;
}
