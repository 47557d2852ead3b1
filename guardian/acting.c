/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acting.h"

#include "act-errand.h"
#include "act-limit.h"
#include "act-order.h"
#include "meminfo.h"
#include "memory-watch.h"
#include "units.h"

/* A plan that had no leave, or did not work out, is looked at again after this: each try reads the
 * whole journal. */
#define RETRY_US (30 * G_USEC_PER_SEC)
/* Longer than it takes until the next look at who runs beside a VM, which tells what is as it was
 * asked for by then. */
#define ORDER_RETRY_US (2 * RETRY_US)

/* What others wrote is told a minute later: a child reads the whole journal. */
#define LOAD_US (60 * G_USEC_PER_SEC)

struct Acting {
    const Host *host;
    Acts *acts;
    Errands *errands;
    gint64 loaded_us;
    bool is_loading;
};

static const ErrandWords limits_words = {ACT_KIND_LIMITS, "memory limits raised",
                                         "memory limits not raised",
                                         "memory limits are too small, and not raised", true};
/* Of each kind of act-order.h. */
static const ErrandWords order_words[] = {
    {ACT_KIND_GROUP, "memory.oom.group written", "memory.oom.group not written",
     "memory.oom.group is not as [memory] asks, and not written", false},
    {ACT_KIND_SCORE, "scores written", "scores not written",
     "scores are not as [memory] asks, and not written", false},
};

static void
on_loaded(const ActOutcome *outcome, gpointer data)
{
    Acting *acting = data;
    g_autofree char *line =
        outcome->problem ? g_strdup_printf("the journal of acts: %s", outcome->problem) : NULL;

    acting->is_loading = false;
    if (line && !acts_is_ending(acting->acts))
        errands_tell(acting->errands, NULL, "journal", line, true);
}

static void
journal_load(Acting *acting)
{
    acting->is_loading = true;
    acting->loaded_us = host_monotonic_us(acting->host);
    acts_load(acting->acts, on_loaded, acting);
}

Acting *
acting_new(const Host *host, GMainContext *context, ActingSpeakFunc speak, gpointer data)
{
    Acting *acting = g_new0(Acting, 1);

    acting->host = host;
    acting->acts = acts_new(host, context);
    acting->errands = errands_new(host, acting->acts, speak, data);
    journal_load(acting);
    return acting;
}

void
acting_set_alert_func(Acting *acting, ActingAlertFunc alert, gpointer data)
{
    errands_set_alert_func(acting->errands, alert, data);
}

void
acting_free(Acting *acting)
{
    if (!acting)
        return;
    acts_free(acting->acts);
    errands_free(acting->errands);
    g_free(acting);
}

Acts *
acting_acts(Acting *acting)
{
    return acting->acts;
}

void
acting_reset(Acting *acting)
{
    acts_reset(acting->acts);
    errands_reset(acting->errands);
}

/* The VM is doomed. */
static void
consider_limits(Acting *acting, const Vm *vm, const GPtrArray *vms, const Limits *host_limits)
{
    ActTerms terms = act_limit_terms(vm, host_limits, vms);
    HostMemory host;
    bool has_host = meminfo_read(acting->host, &host);
    LimitsInput input;
    LimitsPlan plan;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) steps = NULL;
    g_autofree char *refusal = NULL, *line = NULL;

    act_limit_input(vm, acts_journal(acting->acts), has_host ? &host : NULL, &input);
    plan = limits_plan(&input);
    if (plan.refusal)
        refusal = act_limit_refusal(vm, &plan);
    else
        steps = act_limit_steps(vm, &input, &plan, ACT_BY_DAEMON, &error);
    if (!plan.refusal && !steps)
        refusal = units_printable(error->message, -1);
    if (refusal) {
        line = g_strdup_printf("%s: memory limits cannot be raised: %s", vm->name, refusal);
        errands_tell(acting->errands, vm, ACT_KIND_LIMITS, line, true);
    } else if (steps->len > 0 && !terms.is_enforced) {
        errands_observe(acting->errands, vm, ACT_KIND_LIMITS, steps);
    } else if (steps->len > 0) {
        errands_begin(acting->errands, vm, vms, &limits_words, &terms, g_steal_pointer(&steps));
    }
}

/* Something of the VM's may not be as [memory] asks for. */
static void
consider_order(Acting *acting, const Vm *vm, const GPtrArray *vms, const Limits *host_limits,
               const ErrandWords *words)
{
    ActTerms terms = act_order_terms(vm, host_limits, vms, words->kind);
    g_autofree char *fight = NULL, *line = NULL;
    g_autoptr(GPtrArray) steps = act_order_steps(vm, acts_journal(acting->acts), host_limits,
                                                 words->kind, ACT_BY_DAEMON, &fight);

    if (!terms.is_enforced) {
        if (steps->len > 0)
            errands_observe(acting->errands, vm, words->kind, steps);
    } else if (steps->len > 0) {
        errands_begin(acting->errands, vm, vms, words, &terms, g_steal_pointer(&steps));
    } else if (fight) {
        line = g_strdup_printf("%s: %s: %s", vm->name, words->held, fight);
        errands_tell(acting->errands, vm, words->kind, line, true);
        errands_settle(acting->errands, vm, words->kind, fight);
    }
}

static void
follow_order(Acting *acting, const Vm *vm, const GPtrArray *vms, const Limits *host_limits)
{
    for (guint i = 0; i < G_N_ELEMENTS(order_words); i++) {
        const ErrandWords *words = &order_words[i];

        if (!act_order_differs(vm, words->kind))
            errands_settle(acting->errands, vm, words->kind, NULL);
        else if (errands_is_due(acting->errands, vm, words->kind, ORDER_RETRY_US))
            consider_order(acting, vm, vms, host_limits, words);
    }
}

void
acting_follow(Acting *acting, const Vm *vm, const GPtrArray *vms, const Limits *host_limits)
{
    if (!acting->is_loading && host_monotonic_us(acting->host) - acting->loaded_us >= LOAD_US)
        journal_load(acting);
    if (vm->sample.process_is_gone)
        return;
    if (vm->cgroup && vm->memory_watch->pressure.verdict.level < PRESSURE_DOOMED)
        errands_settle(acting->errands, vm, ACT_KIND_LIMITS, NULL);
    else if (vm->cgroup && errands_is_due(acting->errands, vm, ACT_KIND_LIMITS, RETRY_US))
        consider_limits(acting, vm, vms, host_limits);
    follow_order(acting, vm, vms, host_limits); /* what saves its life has gone before */
}
