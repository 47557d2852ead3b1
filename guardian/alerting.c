/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alerting-private.h"

#include "ready-source.h"
#include "report.h"
#include "storage-name.h"
#include "units.h"

#include <string.h>

/* A line names this many VMs of a storage; the rest is a number. */
#define NAMES_MAX 8

char *
alerting_key(const Vm *vm, const char *disk_id)
{
    return g_strdup_printf("%d:%" G_GUINT64_FORMAT "%s%s", (int)proc_pid(vm->proc),
                           proc_start_ticks(vm->proc), disk_id ? "/" : "", disk_id ? disk_id : "");
}

static const char *
kind_head(AlertKind kind)
{
    static const char *const heads[] = {
        [ALERT_RAISED] = "alert",
        [ALERT_PAGED] = "PAGE",
        [ALERT_REMINDED] = "reminder",
        [ALERT_CLOSED] = "alert closed",
    };

    return heads[kind];
}

static State
state_of(const Alert *alert)
{
    if (alert->layer == LAYER_MEMORY)
        return STATE_SUSPECT;
    return alert->layer == LAYER_NOT_RUNNING ? STATE_OK : STATE_FROZEN;
}

/* Each VM once, in the order of its first alert; borrowed names, NULL at the end. */
static GPtrArray *
vms_of(const AlertNews *news)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *vms = g_ptr_array_new();

    for (guint i = 0; i < news->alerts->len; i++) {
        const Alert *alert = news->alerts->pdata[i];

        if (g_hash_table_add(seen, alert->vm))
            g_ptr_array_add(vms, alert->vm);
    }
    g_ptr_array_add(vms, NULL);
    return vms;
}

/* "vm1, vm2 and 62 more" */
static char *
names_of(const AlertNews *news)
{
    GString *names = g_string_new(NULL);
    g_autoptr(GPtrArray) vms = vms_of(news);
    guint n = vms->len - 1;

    for (guint i = 0; i < MIN(n, NAMES_MAX); i++)
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", (const char *)vms->pdata[i]);
    if (n > NAMES_MAX)
        g_string_append_printf(names, " and %u more", n - NAMES_MAX);
    return g_string_free(names, FALSE);
}

static char *
line_of_storage(const Host *host, const AlertNews *news, const char *since)
{
    g_autofree char *names = names_of(news);
    g_autofree char *storage = storage_name(host, news->storage);

    if (news->kind == ALERT_CLOSED)
        return g_strdup_printf("storage %s: alert closed for %s", storage, names);
    return g_strdup_printf("storage %s: %s: disks of %s are frozen since %s; first look at the "
                           "storage; never stop, reset, snapshot or migrate them meanwhile",
                           storage, kind_head(news->kind), names, since);
}

static char *
line_of_one(const AlertNews *news, const Alert *alert, const char *since)
{
    g_autofree char *where =
        alert->disk ? g_strdup_printf("%s disk %s", alert->vm, alert->disk) : g_strdup(alert->vm);
    /* the key begins with the process id */
    g_autofree char *call = report_call(alert->vm, (pid_t)g_ascii_strtoll(alert->key, NULL, 10));
    g_autofree char *lasted = units_format_age(alert->ended_us - alert->since_us);

    if (news->kind == ALERT_CLOSED)
        return g_strdup_printf("%s: alert closed after %s, was %s", where, lasted,
                               layer_name(alert->layer));
    if (alert->layer == LAYER_MEMORY && !g_ascii_isdigit(*alert->key)) /* of no VM */
        return g_strdup_printf("%s: %s: memory: %s; since %s", where, kind_head(news->kind),
                               alert->text ? alert->text : alert->cause, since);
    if (alert->layer == LAYER_MEMORY)
        return g_strdup_printf("%s: %s: memory: %s; since %s; do: guardianctl explain %s", where,
                               kind_head(news->kind), alert->text ? alert->text : alert->cause,
                               since, call);
    return g_strdup_printf("%s: %s: %s, %s%s%s since %s; do: guardianctl explain %s; never: stop, "
                           "reset, snapshot, migrate",
                           where, kind_head(news->kind), state_name(state_of(alert)),
                           layer_name(alert->layer), *alert->cause ? "/" : "", alert->cause, since,
                           call);
}

static void
speak_news(const Alerting *alerting, const AlertNews *news)
{
    const Alert *first = news->alerts->pdata[0];
    gint64 offset = host_realtime_us(alerting->host) - host_monotonic_us(alerting->host);
    g_autofree char *since = report_utc(first->since_us + offset);
    g_autofree char *line = news->storage ? line_of_storage(alerting->host, news, since)
                                          : line_of_one(news, first, since);
    g_autoptr(GPtrArray) vms = vms_of(news);
    AlertingNews told = {.step = alert_kind_name(news->kind),
                         .line = line,
                         .vm = news->storage ? NULL : first->vm,
                         .disk = news->storage ? NULL : first->disk,
                         .state = news->kind == ALERT_CLOSED ? STATE_OK : state_of(first),
                         .layer = first->layer,
                         .cause = first->cause,
                         .storage = news->storage ? news->storage : first->storage,
                         .since_utc = since,
                         .vms = (const char *const *)vms->pdata,
                         .is_paged = first->is_paged};

    alerting->funcs.speak(&told, alerting->funcs.data);
    alert_hooks_run(alerting->hooks, &told);
}

static AlertingMemory
memory_of(const Alerting *alerting, const GPtrArray *open)
{
    return (AlertingMemory){.open = open,
                            .alerts = alerting->alerts,
                            .silences = alerting->silences,
                            .past = alerting->past};
}

static void
remember_closed(Alerting *alerting, const AlertNews *news)
{
    gint64 offset = host_realtime_us(alerting->host) - host_monotonic_us(alerting->host);

    for (guint i = 0; i < news->alerts->len; i++) {
        const Alert *alert = news->alerts->pdata[i];
        const PastAlert past = {.vm = alert->vm,
                                .disk = alert->disk,
                                .storage = alert->storage,
                                .cause = (char *)(alert->cause ? alert->cause : ""),
                                .layer = alert->layer,
                                .since_us = alert->since_us + offset,
                                .ended_us = alert->ended_us + offset};

        past_alerts_add(alerting->past, &past);
    }
}

/* false: no silence has ended. */
static bool
apply_silences(Alerting *alerting)
{
    bool has_ended = silences_expire(alerting->silences, host_realtime_us(alerting->host));
    g_autoptr(GPtrArray) open = alerts_open(alerting->alerts);

    for (guint i = 0; i < open->len; i++) {
        Alert *alert = open->pdata[i];

        alert->is_quiet = silences_of(alerting->silences, alert) != NULL;
    }
    return has_ended;
}

static void
plan_next(Alerting *alerting)
{
    gint64 next = alerts_next_us(alerting->alerts);
    gint64 silence = silences_next_us(alerting->silences);

    if (silence != G_MAXINT64)
        next = MIN(next,
                   silence - host_realtime_us(alerting->host) + host_monotonic_us(alerting->host));
    g_source_set_ready_time(alerting->timer, next == G_MAXINT64 ? -1 : MAX(next, 0));
}

void
alerting_speak_due(Alerting *alerting, bool must_save)
{
    bool has_ended = apply_silences(alerting);
    g_autoptr(GPtrArray) news =
        alerts_take_news(alerting->alerts, host_monotonic_us(alerting->host));

    for (guint i = 0; i < news->len; i++) {
        const AlertNews *one = news->pdata[i];

        speak_news(alerting, one);
        if (one->kind == ALERT_CLOSED)
            remember_closed(alerting, one);
    }
    if (news->len > 0 || has_ended || must_save) {
        g_autoptr(GPtrArray) open = alerts_open(alerting->alerts);
        AlertingMemory memory = memory_of(alerting, open);

        alerting_store_save(alerting->host, &memory);
    }
    plan_next(alerting);
}

static gboolean
on_timer(gpointer data)
{
    alerting_speak_due(data, false);
    return G_SOURCE_CONTINUE;
}

Alerting *
alerting_new(const Host *host, GMainContext *context, const AlertingFuncs *funcs)
{
    Alerting *alerting = g_new0(Alerting, 1);
    AlertingMemory memory;

    alerting->host = host;
    alerting->funcs = *funcs;
    alerting->hooks = alert_hooks_new(host, context, funcs->warn, funcs->data);
    alerting->alerts = alerts_new();
    alerting->silences = silences_new();
    alerting->past = past_alerts_new();
    memory = memory_of(alerting, NULL);
    alerting_store_load(host, &memory);
    alerting->timer = ready_source_new(on_timer, alerting);
    g_source_attach(alerting->timer, context);
    plan_next(alerting);
    return alerting;
}

void
alerting_free(Alerting *alerting)
{
    if (!alerting)
        return;
    g_source_destroy(alerting->timer);
    g_source_unref(alerting->timer);
    alert_hooks_free(alerting->hooks);
    alerts_free(alerting->alerts);
    g_ptr_array_unref(alerting->silences);
    g_ptr_array_unref(alerting->past);
    g_free(alerting);
}

static bool
is_known(const Alerting *alerting, const char *key)
{
    g_autoptr(GPtrArray) open = alerts_open(alerting->alerts);

    for (guint i = 0; i < open->len; i++)
        if (strcmp(((const Alert *)open->pdata[i])->key, key) == 0)
            return true;
    return false;
}

/* Is an alert open for a disk of this VM? Then what the whole VM suffers now is the same trouble.
 */
static bool
has_disk_alert(const Alerting *alerting, const Vm *vm)
{
    g_autofree char *prefix = alerting_key(vm, "");
    g_autoptr(GPtrArray) open = alerts_open(alerting->alerts);

    for (guint i = 0; i < open->len; i++)
        if (g_str_has_prefix(((const Alert *)open->pdata[i])->key, prefix))
            return true;
    return false;
}

/* Had it been paged: that alert, or with `is_prefix` any whose key begins so? */
static bool
was_paged(const Alerting *alerting, const char *key, bool is_prefix)
{
    g_autoptr(GPtrArray) open = alerts_open(alerting->alerts);

    for (guint i = 0; i < open->len; i++) {
        const Alert *alert = open->pdata[i];

        if (alert->is_page_told &&
            (is_prefix ? g_str_has_prefix(alert->key, key) : strcmp(alert->key, key) == 0))
            return true;
    }
    return false;
}

bool
alerting_is_page(const Alerting *alerting, const GuardianChange *change)
{
    bool is_vm_wide = report_is_vm_wide(&change->after);
    g_autofree char *key = alerting_key(change->vm, change->disk ? change->disk->id : NULL);
    g_autofree char *prefix = alerting_key(change->vm, "");

    if (!change->after.is_paged || change->before.is_paged || is_vm_wide == (change->disk != NULL))
        return false;
    return !was_paged(alerting, key, false) && !(is_vm_wide && was_paged(alerting, prefix, true));
}

void
alerting_follow(Alerting *alerting, const GuardianChange *change)
{
    const Vm *vm = change->vm;
    const DiskSample *disk = change->disk ? sample_find_disk(&vm->sample, change->disk->id) : NULL;
    g_autofree char *key = alerting_key(vm, change->disk ? change->disk->id : NULL);
    gint64 now = host_monotonic_us(alerting->host);
    bool is_vm_wide = report_is_vm_wide(&change->after);
    Alert identity = {.key = key,
                      .vm = vm->name,
                      .disk = change->disk ? change->disk->label : NULL,
                      .storage = disk ? disk->storage : NULL};

    /* a disk does not begin what its VM suffers, and a VM not what its disk suffers */
    if (change->after.has_alert && !is_known(alerting, key) &&
        (change->disk ? is_vm_wide : !is_vm_wide || has_disk_alert(alerting, vm)))
        return;
    if (!change->disk && !is_vm_wide) {
        Verdict over = change->after;

        over.has_alert = false;
        alerts_update(alerting->alerts, &identity, &over, now);
    } else {
        alerts_update(alerting->alerts, &identity, &change->after, now);
    }
    alerting_speak_due(alerting, false);
}

void
alerting_set_limits(Alerting *alerting, const Limits *limits)
{
    alert_hooks_set_deadline(alerting->hooks, limits->hook_deadline_us);
}

AlertHooks *
alerting_hooks(const Alerting *alerting)
{
    return alerting->hooks;
}
