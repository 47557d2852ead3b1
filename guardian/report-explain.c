/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* `explain`: facts, limit, rule, since when, what it is not, what to do and what never to do. */

#include "report-read.h"

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

/* "2026-07-30 15:21:07 UTC (18:21:07 EEST)": the incident's clocks are compared at once or never.
 */
static char *
both_clocks(const char *utc)
{
    g_autoptr(GDateTime) time = utc ? g_date_time_new_from_iso8601(utc, NULL) : NULL;
    g_autoptr(GDateTime) local = time ? g_date_time_to_local(time) : NULL;
    g_autofree char *there = time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC") : NULL;
    g_autofree char *here = local ? g_date_time_format(local, "%H:%M:%S %Z") : NULL;

    if (!there)
        return g_strdup("unknown");
    if (!here || g_date_time_get_utc_offset(local) == 0)
        return g_steal_pointer(&there);
    return g_strdup_printf("%s (%s)", there, here);
}

static char *
age_or_unknown(JsonObject *object)
{
    char *age = report_age_of(object);

    return age ? age : g_strdup("unknown");
}

/* The disk that explains the VM's verdict: the gravest; NULL when there is none. */
static JsonObject *
gravest_disk(JsonObject *vm)
{
    g_autoptr(GPtrArray) disks = report_objects_of(vm, "disks");
    JsonObject *gravest = NULL;

    for (guint i = 0; i < disks->len; i++)
        if (!gravest || report_state_of(disks->pdata[i]) > report_state_of(gravest))
            gravest = disks->pdata[i];
    return gravest;
}

static void
append_head(GString *text, JsonObject *vm, JsonObject *disk, bool is_coloured)
{
    State state = report_state_of(vm);
    g_autofree char *age = age_or_unknown(vm);
    const char *layer = report_text_of(vm, "layer", "unknown");

    g_string_append_printf(text, "%s  %s%s%s %s", report_text_of(vm, "name", "?"),
                           report_state_colour(state, is_coloured), report_state_word(state),
                           is_coloured && state != STATE_OK ? "\033[0m" : "", age);
    if (disk && state >= STATE_SUSPECT)
        g_string_append_printf(text, "  disk %s", report_text_of(disk, "label", "?"));
    if (strcmp(layer, "none") != 0)
        g_string_append_printf(text, "  %s", layer);
    g_string_append_c(text, '\n');
}

/* What agrees with the verdict, in a person's words. */
static void
append_signals(GString *text, JsonObject *subject)
{
    static const struct {
        const char *word, *meaning;
    } meanings[] = {{"network-collapsed", "the VM's network traffic collapsed with it"},
                    {"cpu-ramps", "its CPU load ramps: processes pile up behind the disk"},
                    {"neighbours-still", "other VMs' disks on the same storage are still, too"},
                    {"host-device-stuck", "the host's device below completes nothing"}};
    JsonArray *signals = message_get_array(subject, "signals");

    for (guint i = 0; signals && i < json_array_get_length(signals); i++) {
        JsonNode *node = json_array_get_element(signals, i);
        const char *word =
            json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : "";

        for (guint j = 0; j < G_N_ELEMENTS(meanings); j++)
            if (strcmp(word, meanings[j].word) == 0)
                append_line(text, "also", "%s", meanings[j].meaning);
    }
}

static void
append_verdict(GString *text, JsonObject *subject)
{
    g_autofree char *since = both_clocks(report_text_of(subject, "since_utc", NULL));
    g_autofree char *named = both_clocks(report_text_of(subject, "named_utc", NULL));
    bool is_paged = false;
    gint64 patience_ms;

    (void)message_get_bool(subject, "paged", &is_paged);
    append_line(text, "since", "%s", since);
    if (report_state_of(subject) == STATE_FROZEN)
        append_line(text, "named", "%s, %s", named, is_paged ? "paged" : "not paged yet");
    append_line(text, "rule", "%s", report_text_of(subject, "reason", ""));
    append_signals(text, subject);
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
    g_autofree char *bytes = report_size_of(disk, "limit_bytes_per_s");
    gint64 operations;

    if (report_number_of(disk, "limit_operations_per_s", &operations))
        return g_strdup_printf("%s B/s, %" G_GINT64_FORMAT " operations/s", bytes, operations);
    return strcmp(bytes, "-") == 0 ? g_strdup("none seen") : g_strdup_printf("%s B/s", bytes);
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
    gint64 idle_ms;

    append_line(text, "disk", "%s: %s %s, layer %s", report_text_of(disk, "label", "?"),
                report_state_word(report_state_of(disk)), age, report_text_of(disk, "layer", ""));
    append_line(text, "", "%s", report_text_of(disk, "reason", ""));
    append_line(text, "", "%s on %s; limit %s", report_text_of(disk, "driver", "unknown model"),
                report_text_of(disk, "storage", "unknown storage"), limit);
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
    bool is_limit_known = false;

    (void)message_get_bool(memory, "limit_known", &is_limit_known);
    if (strcmp(limit, "-") == 0)
        append_line(text, "memory", "guest %s; limit %s", guest,
                    is_limit_known ? "none: only the host's memory ends it" : "unknown");
    else
        append_line(text, "memory", "guest %s; limit %s on %s, headroom %s", guest, limit,
                    report_text_of(memory, "limit_group", "?"), headroom);
    append_line(text, "", "overhead %s to %s, measured on the %s; reservation %s by the %s model",
                low, high, report_text_of(memory, "overhead_source", "(nothing)"), reserved,
                report_text_of(memory, "reservation_model", "?"));
}

static void
append_advice(GString *text, JsonObject *vm, JsonObject *disk)
{
    const char *layer = report_text_of(vm, "layer", "");
    g_autofree char *pid = pid_of(vm);

    if (report_state_of(vm) < STATE_SUSPECT)
        return;
    if (strcmp(layer, "process-stopped") == 0)
        append_line(text, "do", "kill -CONT %s, unless somebody debugs it", pid);
    else if (strcmp(layer, "throttle") == 0)
        append_line(text, "do", "raise the disk's limit (to another nonzero value)");
    else if (strcmp(layer, "main-loop-blocked") == 0)
        append_line(text, "do",
                    "look at the storage below it: QEMU's main thread waits for something");
    else
        append_line(text, "do", "look at %s: when it answers again the VM goes on by itself",
                    report_text_of(disk, "storage", "the storage below"));
    append_line(text, "", "before you kill process %s: a kill destroys the evidence", pid);
    append_line(text, "never",
                "stop, reset, quit, snapshot, migrate, device_del, limit to zero: they");
    append_line(text, "", "drain the disk, and hang the monitor until the storage is back");
}

char *
report_explain_text(JsonObject *vm, bool is_coloured)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GPtrArray) disks = report_objects_of(vm, "disks");
    JsonObject *gravest = gravest_disk(vm);
    g_autofree char *pid = pid_of(vm);

    append_head(text, vm, gravest, is_coloured);
    append_verdict(text, vm);
    append_line(text, "vm", "%s, pid %s, %s, QEMU %s", report_text_of(vm, "source", "?"), pid,
                report_text_of(vm, "run", "status unknown"),
                report_text_of(vm, "qemu_version", "of unknown version"));
    append_monitor(text, vm);
    for (guint i = 0; i < disks->len; i++)
        append_disk(text, disks->pdata[i]);
    append_memory(text, vm);
    append_advice(text, vm, gravest);
    return g_string_free(text, FALSE);
}
