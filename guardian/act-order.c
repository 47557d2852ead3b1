/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-order.h"

#include "decide.h"
#include "killorder.h"

#include <string.h>

/* The daemon's writes of the last hour. */
typedef struct {
    guint vm, host;
} Written;

static bool
is_recent(const ActJournal *journal, const ActRecord *record, gint64 now_us)
{
    return strcmp(record->boot_id, act_journal_boot_id(journal)) == 0 &&
           record->state != ACT_NOT_DONE && g_strcmp0(record->by, ACT_BY_DAEMON) == 0 &&
           now_us - record->boottime_us < DECIDE_BUDGET_WINDOW_US;
}

static Written
count_written(const ActJournal *journal, const Vm *vm, gint64 now_us)
{
    const GPtrArray *records = act_journal_records(journal);
    Written written = {0};

    for (guint i = 0; i < records->len; i++) {
        const ActRecord *record = records->pdata[i];

        if (!is_recent(journal, record, now_us))
            continue;
        written.host++;
        written.vm += act_record_is_of(record, proc_pid(vm->proc), proc_start_ticks(vm->proc));
    }
    return written;
}

/* Was it written so often within the hour, and is otherwise again? */
static bool
is_fought_for(const ActJournal *journal, const OrderDrift *drift, gint64 now_us)
{
    const GPtrArray *records = act_journal_records(journal);
    guint n = 0;

    for (guint i = 0; i < records->len; i++) {
        const ActRecord *record = records->pdata[i];

        n += is_recent(journal, record, now_us) && !record->undoes &&
             record->group_id == drift->group_id && strcmp(record->where, drift->where) == 0 &&
             strcmp(record->field, order_drift_field(drift)) == 0;
    }
    return n >= KILL_ORDER_TIMES_MAX;
}

/* Of that kind, and ours to write. */
static bool
is_of(const OrderDrift *drift, const char *kind)
{
    return !drift->is_shared && drift->is_group == (strcmp(kind, ACT_KIND_GROUP) == 0);
}

bool
act_order_differs(const Vm *vm, const char *kind)
{
    for (guint i = 0; vm->kill_order && i < vm->kill_order->len; i++)
        if (is_of(&g_array_index(vm->kill_order, OrderDrift, i), kind))
            return true;
    return false;
}

static ActRecord *
step_new(const Vm *vm, const OrderDrift *drift, const char *kind, const char *by)
{
    const ActMeans *means = drift->is_group ? &act_means_cgroup : &act_means_process;
    ActRecord *record = act_record_new(vm, kind, means->name);

    record->where = g_strdup(drift->where);
    record->field = g_strdup(order_drift_field(drift));
    record->group_id = drift->group_id;
    record->old_value = g_strdup_printf("%d", drift->value);
    record->new_value = g_strdup_printf("%d", drift->wanted);
    record->undo_value = g_strdup(record->old_value);
    record->why =
        g_strdup_printf("%s%s[memory] %s asks for it%s", drift->is_group ? "" : drift->label,
                        drift->is_group ? "" : ": ", kind,
                        drift->is_group && g_strcmp0(drift->keeper, "systemd") == 0
                            ? "; a daemon-reload puts the unit's own back, OOMPolicy= is for good"
                            : "");
    record->by = g_strdup(by);
    return record;
}

GPtrArray *
act_order_steps(const Vm *vm, const ActJournal *journal, const Limits *host, const char *kind,
                const char *by, char **ret_fight)
{
    GPtrArray *steps = act_steps_new();
    gint64 now_us = act_journal_now_us(journal);
    Written written = count_written(journal, vm, now_us);
    Limits limits = vm->limits; /* borrows its texts */
    bool is_daemon = strcmp(by, ACT_BY_DAEMON) == 0;
    guint room;

    limits.act_writes_host = host->act_writes_host;
    room = is_daemon ? kill_order_room(&limits, written.vm, written.host) : G_MAXUINT;
    *ret_fight = NULL;
    for (guint i = 0; vm->kill_order && i < vm->kill_order->len; i++) {
        const OrderDrift *drift = &g_array_index(vm->kill_order, OrderDrift, i);

        if (!is_of(drift, kind))
            continue;
        if (is_daemon && is_fought_for(journal, drift, now_us)) {
            if (!*ret_fight)
                *ret_fight = g_strdup_printf("%s of %s: somebody writes %d again each time",
                                             order_drift_field(drift), drift->label, drift->value);
        } else if (steps->len < room) {
            g_ptr_array_add(steps, step_new(vm, drift, kind, by));
        }
    }
    return steps;
}

ActTerms
act_order_terms(const Vm *vm, const Limits *host, const GPtrArray *vms, const char *kind)
{
    gint64 mode = strcmp(kind, ACT_KIND_GROUP) == 0 ? vm->limits.enforce_oom_group
                                                    : vm->limits.enforce_oom_score;

    return (ActTerms){.is_enforced = vm->limits.mode == MODE_ENFORCE && mode == MODE_ENFORCE,
                      .is_suspect = act_is_suspect(vm, vms),
                      .cool_down_us = vm->limits.act_cool_down_us,
                      .budget_vm = (guint)vm->limits.act_writes_vm,
                      .budget_host = (guint)host->act_writes_host};
}
