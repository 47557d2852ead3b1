/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* `explain`: facts, limit, rule, since when, what it is not, what to do and what never to do. */

#include "report-acts.h"
#include "report-domain.h"
#include "report-forecast.h"
#include "report-order.h"
#include "report-owner.h"
#include "report-roles.h"
#include "report-story.h"

#include "message.h"
#include "units.h"

#include <string.h>

static void append_line(GString *text, const char *head, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
append_line(GString *text, const char *head, const char *format, ...)
{
    va_list arguments;

    g_string_append_printf(text, "%-9s", head);
    va_start(arguments, format);
    g_string_append_vprintf(text, format, arguments);
    va_end(arguments);
    g_string_append_c(text, '\n');
}

static char *
age_or_unknown(JsonObject *object)
{
    char *age = report_age_of(object);

    return age ? age : g_strdup("unknown");
}

/* The disk that explains the VM's verdict: the gravest; NULL when it is the VM's own. */
static JsonObject *
disk_of_verdict(JsonObject *vm)
{
    g_autoptr(GPtrArray) disks = report_objects_of(vm, "disks");

    for (guint i = 0; i < disks->len; i++)
        if (report_state_of(disks->pdata[i]) == report_state_of(vm) &&
            story_is_layer(disks->pdata[i], report_text_of(vm, "layer", "")))
            return disks->pdata[i];
    return NULL;
}

static void
append_head(GString *text, JsonObject *vm, bool is_coloured)
{
    State state = report_state_of(vm);
    g_autofree char *age = age_or_unknown(vm), *forecast_age = report_forecast_age(vm);
    const char *layer = report_text_of(vm, "layer", "unknown");
    /* a VM whose disks are fine, and whose memory is not */
    const char *word = report_level_word(vm);

    g_string_append_printf(text, "%s  ", report_text_of(vm, "name", "?"));
    if (word)
        g_string_append_printf(text, "%s%s%s %s; disks ",
                               report_state_colour(STATE_SUSPECT, is_coloured), word,
                               is_coloured ? "\033[0m" : "", forecast_age);
    g_string_append_printf(text, "%s%s%s %s", report_state_colour(state, is_coloured),
                           report_state_word(state),
                           is_coloured && state != STATE_OK ? "\033[0m" : "", age);
    if (strcmp(layer, "none") != 0)
        g_string_append_printf(text, "  %s", layer);
    g_string_append_c(text, '\n');
}

static void
append_verdict(GString *text, JsonObject *subject)
{
    g_autofree char *since = story_time(report_text_of(subject, "since_utc", NULL), NULL);
    g_autofree char *named = story_time(report_text_of(subject, "named_utc", NULL), NULL);
    bool is_paged = false;
    gint64 patience_ms;

    (void)message_get_bool(subject, "paged", &is_paged);
    append_line(text, "since", "%s", since);
    if (report_state_of(subject) == STATE_FROZEN)
        append_line(text, "named", "%s, %s", named, is_paged ? "paged" : "not paged yet");
    append_line(text, "rule", "%s", report_text_of(subject, "reason", ""));
    if (report_number_of(subject, "patience_ms", &patience_ms))
        append_line(text, "patience", "%" G_GINT64_FORMAT " s before it is called frozen",
                    patience_ms / 1000);
}

static void
append_monitor(GString *text, JsonObject *vm)
{
    JsonObject *monitor = message_get_object(vm, "monitor");
    const char *problem = report_text_of(monitor, "problem", NULL);
    g_autofree char *waited = NULL;
    gint64 waited_us;

    if (report_number_of(monitor, "waited_us", &waited_us))
        waited = g_strdup_printf(" in %.3f ms", (double)waited_us / 1000);
    append_line(text, "monitor", "%s (%s), %s%s%s%s", report_text_of(monitor, "path", "none"),
                report_text_of(monitor, "use", "not asked"),
                report_text_of(monitor, "stage", "unknown"), waited ? waited : "",
                problem ? "; " : "", problem ? problem : "");
}

static char *
number_or_unknown(JsonObject *object, const char *member)
{
    gint64 value;

    return report_number_of(object, member, &value) ? g_strdup_printf("%" G_GINT64_FORMAT, value)
                                                    : g_strdup("unknown");
}

/* "kill -CONT 0" would be another advice. */
static char *
pid_of(JsonObject *vm)
{
    gint64 pid;

    return report_number_of(vm, "pid", &pid) && pid > 0 ? g_strdup_printf("%" G_GINT64_FORMAT, pid)
                                                        : g_strdup("(unknown)");
}

static char *
limit_words(JsonObject *disk)
{
    g_autofree char *bytes = report_rate_of(disk, "limit_bytes_per_s");
    gint64 operations;

    if (report_number_of(disk, "limit_operations_per_s", &operations))
        return g_strdup_printf("%s%s%" G_GINT64_FORMAT " operations/s", bytes ? bytes : "",
                               bytes ? ", " : "", operations);
    return bytes ? g_steal_pointer(&bytes) : g_strdup("none seen");
}

static void
append_disk(GString *text, JsonObject *disk)
{
    g_autofree char *inflight = number_or_unknown(disk, "inflight");
    g_autofree char *writes = number_or_unknown(disk, "write_operations");
    g_autofree char *reads = number_or_unknown(disk, "read_operations");
    g_autofree char *failed = number_or_unknown(disk, "failed_operations");
    g_autofree char *limit = limit_words(disk);
    g_autofree char *age = age_or_unknown(disk);
    bool is_of_start = false;
    gint64 idle_ms;

    append_line(text, "disk", "%s: %s %s, layer %s", report_text_of(disk, "label", "?"),
                report_state_word(report_state_of(disk)), age, report_text_of(disk, "layer", ""));
    append_line(text, "", "%s", report_text_of(disk, "reason", ""));
    (void)message_get_bool(disk, "limit_of_start", &is_of_start);
    append_line(text, "", "%s on %s; limit %s%s", report_text_of(disk, "driver", "unknown model"),
                report_storage_of(disk, "unknown storage"), limit,
                is_of_start ? " at its start" : "");
    append_line(text, "", "in flight %s; completed %s writes, %s reads; failed %s", inflight,
                writes, reads, failed);
    if (report_number_of(disk, "idle_ms", &idle_ms))
        append_line(text, "", "last completion %.1f s before the sample", (double)idle_ms / 1000);
}

static void
append_memory(GString *text, JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");
    g_autofree char *limit = report_size_of(memory, "limit_bytes");
    g_autofree char *guest = report_size_of(memory, "guest_ram_bytes");
    g_autofree char *low = report_size_of(memory, "overhead_low_bytes");
    g_autofree char *high = report_size_of(memory, "overhead_high_bytes");
    g_autofree char *reserved = report_size_of(memory, "reservation_bytes");
    g_autofree char *headroom = report_size_of(memory, "headroom_bytes");
    g_autofree char *candidates = report_candidates_text(vm);
    const char *model = report_text_of(memory, "reservation_model", NULL);
    bool is_limit_known = false;
    bool is_told = report_level_of(vm) >= PRESSURE_WATCH; /* with the forecast: which group it is */

    (void)message_get_bool(memory, "limit_known", &is_limit_known);
    if (strcmp(limit, "-") == 0)
        append_line(text, "memory", "guest %s; limit %s", guest,
                    is_limit_known ? "none: only the host's memory ends it" : "unknown");
    else
        append_line(text, "memory", "guest %s; limit %s%s%s, headroom %s", guest, limit,
                    is_told ? "" : " on ",
                    is_told ? "" : report_text_of(memory, "limit_group", "?"), headroom);
    append_line(text, "", "overhead %s to %s, measured on the %s", low, high,
                report_text_of(memory, "overhead_source", "(nothing)"));
    if (model)
        append_line(text, "reserve", "%s by the %s model, %s; each:", reserved, model,
                    report_text_of(memory, "reservation_rule", "?"));
    else
        append_line(text, "reserve", "unknown: the model in force does not answer; each:");
    g_string_append(text, candidates);
}

static void
append_unwatched(GString *text, JsonObject *vm)
{
    JsonArray *devices = message_get_array(vm, "unwatched_devices");

    for (guint i = 0; devices && i < json_array_get_length(devices); i++) {
        JsonNode *device = json_array_get_element(devices, i);

        if (json_node_get_value_type(device) == G_TYPE_STRING)
            append_line(text, "unwatched", " %s: what it carries does not pass QEMU",
                        json_node_get_string(device));
    }
}

/* What its owner wants, and whose memory counts against which limit. */
static void
append_domain(GString *text, JsonObject *vm)
{
    const struct {
        const char *head;
        char *words;
    } lines[] = {{"owner", report_owner_text(vm)},
                 {"pod", report_pod_text(vm)},
                 {"limits", report_limits_text(vm)},
                 {"", report_kill_text(vm)},
                 {"beside", report_roles_text(vm)}};

    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        if (*lines[i].words)
            append_line(text, lines[i].head, "%s", lines[i].words);
        g_free(lines[i].words);
    }
}

/* Who writes to its limits or configuration again and again; of a story's VM the last write before
 * it began stands in the story. */
static void
append_writes(GString *text, JsonObject *vm)
{
    const char *last = report_text_of(vm, "last_write", NULL);
    const char *habit = report_text_of(vm, "write_habit", NULL);
    const char *drift = report_text_of(vm, "drift", NULL);

    if (last && report_state_of(vm) < STATE_SUSPECT)
        append_line(text, "written", "%s", last);
    if (habit)
        append_line(text, "writer", "%s", habit);
    if (drift)
        append_line(text, "drift", "%s", drift);
}

/* A VM that is well needs no story. */
char *
report_explain_text(JsonObject *vm, bool is_coloured)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GPtrArray) disks = report_objects_of(vm, "disks");
    g_autofree char *pid = pid_of(vm);

    if (report_state_of(vm) >= STATE_SUSPECT) {
        story_append(text, vm, disk_of_verdict(vm), is_coloured);
        g_string_append_c(text, '\n');
    } else {
        append_head(text, vm, is_coloured);
    }
    report_append_forecast(text, vm);
    append_verdict(text, vm);
    append_writes(text, vm);
    append_line(text, "vm", "%s, pid %s, %s, QEMU %s", report_text_of(vm, "source", "?"), pid,
                report_text_of(vm, "run", "status unknown"),
                report_text_of(vm, "qemu_version", "of unknown version"));
    append_monitor(text, vm);
    for (guint i = 0; i < disks->len; i++)
        append_disk(text, disks->pdata[i]);
    append_unwatched(text, vm);
    append_memory(text, vm);
    append_domain(text, vm);
    report_append_order(text, vm);
    report_append_acts(text, vm);
    return g_string_free(text, FALSE);
}
