/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "textfile.h"

#include "message.h"
#include "pressure.h"

#include <string.h>

/* One VM or one disk of the state, with the labels that name it. */
typedef struct {
    JsonObject *object;
    char *labels;
} Series;

typedef struct {
    const char *name, *help;
    bool is_of_disk;
    const char *inside; /* object of the VM or disk it is in, "" itself; a blank: one more inside */
    const char *member; /* absent or null: not known, and then not written */
    /* What a member that is a word counts as; NULL: it is a number. */
    bool (*rank)(const char *word, gint64 *ret_value);
    bool is_in_ms;
} Metric;

static void
series_free(gpointer data)
{
    Series *series = data;

    g_free(series->labels);
    g_free(series);
}

static void
append_label(GString *text, const char *name, const char *value)
{
    g_string_append_printf(text, "%s%s=\"", text->len > 0 ? "," : "", name);
    for (const char *c = value ? value : ""; *c; c++) {
        if (*c == '\\' || *c == '"')
            g_string_append_c(text, '\\');
        if (*c == '\n')
            g_string_append(text, "\\n");
        else
            g_string_append_c(text, *c);
    }
    g_string_append_c(text, '"');
}

/* Names repeat, process ids do not. */
static GString *
vm_labels(JsonObject *vm)
{
    GString *labels = g_string_new(NULL);
    guint64 pid = 0;
    g_autofree char *pid_text = NULL;

    (void)message_get_u64(vm, "pid", &pid);
    pid_text = g_strdup_printf("%" G_GUINT64_FORMAT, pid);
    append_label(labels, "vm", message_get_string(vm, "name"));
    append_label(labels, "id", message_get_string(vm, "id"));
    append_label(labels, "pid", pid_text);
    return labels;
}

static void
add_series(GPtrArray *all, GHashTable *seen, JsonObject *object, char *labels)
{
    Series *series;

    if (!g_hash_table_add(seen, g_strdup(labels))) { /* a second one would make the file invalid */
        g_free(labels);
        return;
    }
    series = g_new0(Series, 1);
    series->object = object;
    series->labels = labels;
    g_ptr_array_add(all, series);
}

static void
collect(JsonObject *state, GPtrArray *vms, GPtrArray *disks)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    JsonArray *list = message_get_array(state, "vms");

    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonObject *vm = message_object_at(list, i);
        JsonArray *of_vm = message_get_array(vm, "disks");

        add_series(vms, seen, vm, g_string_free(vm_labels(vm), FALSE));
        for (guint j = 0; of_vm && j < json_array_get_length(of_vm); j++) {
            JsonObject *disk = message_object_at(of_vm, j);
            GString *labels = vm_labels(vm);

            append_label(labels, "disk", message_get_string(disk, "label"));
            add_series(disks, seen, disk, g_string_free(labels, FALSE));
        }
    }
}

static bool
number_of(JsonObject *object, const char *member, gint64 *ret_value)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    if (!node || json_node_get_value_type(node) != G_TYPE_INT64)
        return false;
    *ret_value = json_node_get_int(node);
    return true;
}

static bool
rank_of_state(const char *word, gint64 *ret_value)
{
    State state;

    if (!state_from_name(word, &state))
        return false;
    *ret_value = (gint64)state;
    return true;
}

static bool
rank_of_level(const char *word, gint64 *ret_value)
{
    for (int i = PRESSURE_OK; i <= PRESSURE_IMMINENT; i++)
        if (g_strcmp0(word, pressure_level_name((PressureLevel)i)) == 0) {
            *ret_value = i - PRESSURE_OK;
            return true;
        }
    return false;
}

static bool
metric_value(const Metric *metric, JsonObject *object, gint64 *ret_value)
{
    g_auto(GStrv) inside = g_strsplit(metric->inside, " ", -1);

    for (guint i = 0; object && inside[i]; i++)
        object = message_get_object(object, inside[i]);
    if (metric->rank)
        return metric->rank(message_get_string(object, metric->member), ret_value);
    return number_of(object, metric->member, ret_value);
}

static const Metric metrics[] = {
    {"vm_guardian_vm_state", "Verdict of the VM: 0 ok, 1 unknown, 2 suspect, 3 frozen.", false, "",
     "state", rank_of_state, false},
    {"vm_guardian_vm_state_age_seconds", "How long that has lasted.", false, "", "since_s", NULL,
     false},
    {"vm_guardian_vm_sample_age_seconds", "Age of the newest sample of the VM.", false, "",
     "sample_age_ms", NULL, true},
    {"vm_guardian_vm_memory_forecast",
     "Forecast of its memory: 0 ok, 1 watch, 2 doomed, 3 oom-imminent.", false, "memory forecast",
     "level", rank_of_level, false},
    {"vm_guardian_vm_memory_missing_bytes",
     "What is short when the guest takes all its RAM; upper bound.", false, "memory forecast",
     "missing_high_bytes", NULL, false},
    {"vm_guardian_vm_memory_headroom_bytes",
     "What is left below the VM's tightest memory limit; negative above it.", false, "memory",
     "headroom_bytes", NULL, false},
    {"vm_guardian_vm_memory_limit_bytes", "The VM's tightest memory limit.", false, "memory",
     "limit_bytes", NULL, false},
    {"vm_guardian_vm_memory_guest_ram_bytes", "RAM of the guest, as QEMU says.", false, "memory",
     "guest_ram_bytes", NULL, false},
    {"vm_guardian_vm_memory_overhead_bytes", "Memory beside the guest's RAM; upper bound.", false,
     "memory", "overhead_high_bytes", NULL, false},
    {"vm_guardian_vm_drift_fields",
     "Fields of its disks' limits in which policy, configuration and QEMU differ.", false, "",
     "drift_fields", NULL, false},
    {"vm_guardian_vm_foreign_writes",
     "Writes to its configuration or limits within a day that are not the guardian's.", false, "",
     "foreign_writes_day", NULL, false},
    {"vm_guardian_vm_foreign_equal_writes", "Of these, those that changed nothing.", false, "",
     "foreign_equal_writes_day", NULL, false},
    {"vm_guardian_disk_state", "Verdict of the disk: 0 ok, 1 unknown, 2 suspect, 3 frozen.", true,
     "", "state", rank_of_state, false},
    {"vm_guardian_disk_state_age_seconds", "How long that has lasted.", true, "", "since_s", NULL,
     false},
};

static void
append_head(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
append_metric(GString *text, const Metric *metric, const GPtrArray *all)
{
    append_head(text, metric->name, "gauge", metric->help);
    for (guint i = 0; i < all->len; i++) {
        const Series *series = all->pdata[i];
        gint64 value;

        if (!metric_value(metric, series->object, &value))
            continue;
        if (metric->is_in_ms)
            g_string_append_printf(text, "%s{%s} %" G_GINT64_FORMAT ".%03d\n", metric->name,
                                   series->labels, value / 1000, (int)(ABS(value) % 1000));
        else
            g_string_append_printf(text, "%s{%s} %" G_GINT64_FORMAT "\n", metric->name,
                                   series->labels, value);
    }
}

static void
append_number(GString *text, const char *name, const char *type, const char *help, gint64 value)
{
    append_head(text, name, type, help);
    g_string_append_printf(text, "%s %" G_GINT64_FORMAT "\n", name, value);
}

/* By state: also those that are none, so that a sum never misses one. */
static void
append_counts(GString *text, const GPtrArray *vms)
{
    guint counts[STATE_FROZEN + 1] = {0};

    for (guint i = 0; i < vms->len; i++) {
        JsonObject *vm = ((const Series *)vms->pdata[i])->object;
        gint64 state;

        if (rank_of_state(message_get_string(vm, "state"), &state))
            counts[state]++;
    }
    append_head(text, "vm_guardian_vms", "gauge", "VMs that are watched, by verdict.");
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++)
        g_string_append_printf(text, "vm_guardian_vms{state=\"%s\"} %u\n", state_name((State)i),
                               counts[i]);
}

static void
append_alerts(GString *text, JsonObject *alerts)
{
    static const struct {
        const char *member, *name, *help;
    } counters[] = {
        {"run", "vm_guardian_alert_hook_runs_total", "Executables of alert.d that have ended."},
        {"failed", "vm_guardian_alert_hook_failures_total", "Of these, those that failed."},
        {"dropped", "vm_guardian_alert_hook_drops_total", "Runs that the queue had no room for."},
    };
    JsonArray *list = message_get_array(alerts, "alerts");
    JsonArray *silences = message_get_array(alerts, "silences");
    guint n = list ? json_array_get_length(list) : 0, n_paged = 0;

    for (guint i = 0; i < n; i++) {
        bool is_paged = false;

        (void)message_get_bool(message_object_at(list, i), "paged", &is_paged);
        n_paged += is_paged;
    }
    append_head(text, "vm_guardian_alerts_open", "gauge", "Open alerts, silenced ones included.");
    g_string_append_printf(text, "vm_guardian_alerts_open{paged=\"no\"} %u\n", n - n_paged);
    g_string_append_printf(text, "vm_guardian_alerts_open{paged=\"yes\"} %u\n", n_paged);
    append_number(text, "vm_guardian_silences", "gauge", "Silences in force.",
                  silences ? json_array_get_length(silences) : 0);
    for (guint i = 0; i < G_N_ELEMENTS(counters); i++) {
        gint64 value = 0;

        if (number_of(message_get_object(alerts, "hooks"), counters[i].member, &value))
            append_number(text, counters[i].name, "counter", counters[i].help, value);
    }
}

char *
textfile_text(JsonObject *state, JsonObject *alerts, gint64 heartbeat_us)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func(series_free);
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func(series_free);
    gint64 stuck = 0;

    collect(state, vms, disks);
    append_head(text, "vm_guardian_info", "gauge", "Version of vm-guardian.");
    g_string_append(text, "vm_guardian_info{version=\"" VERSION "\"} 1\n");
    append_number(text, "vm_guardian_heartbeat_timestamp_seconds", "gauge",
                  "When the guardian's loop last ticked.", heartbeat_us / G_USEC_PER_SEC);
    if (number_of(state, "stuck_workers", &stuck))
        append_number(text, "vm_guardian_stuck_workers", "gauge",
                      "Threads that hang in a read of /proc or a library.", stuck);
    append_counts(text, vms);
    append_alerts(text, alerts);
    for (guint i = 0; i < G_N_ELEMENTS(metrics); i++)
        append_metric(text, &metrics[i], metrics[i].is_of_disk ? disks : vms);
    return g_string_free(text, FALSE);
}
