/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* For a person at 3 a.m. on an 80-column console: what is wrong first, then the rest, then the next
 * step. */

#include "report-forecast.h"
#include "report-host.h"
#include "report-line.h"
#include "report-read.h"
#include "report-sources.h"

#include "model.h"
#include "units.h"

#include "message.h"

#include <string.h>

/* An old console, and what fits into a mail. */
#define LINE_COLUMNS 80
#define NAME_COLUMNS 14
#define STATE_COLUMNS 7
/* Also holds a layer, and a time of day in UTC. */
#define LABEL_COLUMNS 20
/* A name longer than this does not fit behind "  -> guardianctl explain ". */
#define CALL_COLUMNS 50
/* Ages are shown in days; more than a century is no age. */
#define AGE_MAX_S (G_GINT64_CONSTANT(100) * 365 * 86400)

const char *
report_text_of(JsonObject *object, const char *member, const char *otherwise)
{
    const char *text = object ? message_get_string(object, member) : NULL;

    return text ? text : otherwise;
}

const char *
report_storage_of(JsonObject *disk, const char *otherwise)
{
    return report_text_of(disk, "storage_name", report_text_of(disk, "storage", otherwise));
}

bool
report_number_of(JsonObject *object, const char *member, gint64 *ret_value)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return false;
    *ret_value = json_node_get_int(node);
    return true;
}

GPtrArray *
report_objects_of(JsonObject *object, const char *member)
{
    GPtrArray *objects = g_ptr_array_new();
    JsonArray *array = message_get_array(object, member);

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonObject *one = message_object_at(array, i);

        if (one)
            g_ptr_array_add(objects, one);
    }
    return objects;
}

char *
report_age_of(JsonObject *object)
{
    gint64 since_s;

    if (!report_number_of(object, "since_s", &since_s))
        return NULL;
    return units_format_age(CLAMP(since_s, 0, AGE_MAX_S) * G_USEC_PER_SEC);
}

State
report_state_of(JsonObject *object)
{
    const char *word = message_get_string(object, "state");
    State state = STATE_UNKNOWN;

    if (word)
        (void)state_from_name(word, &state);
    return state;
}

/* "17G", or "-" for a fact that is unknown or does not exist. */
char *
report_size_of(JsonObject *object, const char *member)
{
    gint64 value;
    g_autofree char *text = NULL;

    if (!report_number_of(object, member, &value))
        return g_strdup("-");
    if (value >= 0)
        return units_format_size_short((guint64)value);
    text = units_format_size_short(-(guint64)value);
    return g_strconcat("-", text, NULL);
}

char *
report_rate_of(JsonObject *object, const char *member)
{
    g_autofree char *size = report_size_of(object, member);

    if (strcmp(size, "-") == 0)
        return NULL;
    if (g_str_has_suffix(size, "B"))
        size[strlen(size) - 1] = '\0';
    return g_strconcat(size, " B/s", NULL);
}

static char *
overhead_cell(JsonObject *memory)
{
    g_autofree char *low = report_size_of(memory, "overhead_low_bytes");
    g_autofree char *high = report_size_of(memory, "overhead_high_bytes");

    return strcmp(low, high) == 0 ? g_strdup(low) : g_strdup_printf("%s-%s", low, high);
}

char *
report_call(const char *name, pid_t pid)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_.:@+/-";
    gsize length = strlen(name);

    if (length > 0 && length <= CALL_COLUMNS && *name != '-' && strspn(name, plain) == length)
        return g_strdup(name);
    return pid > 0 ? g_strdup_printf("%d", (int)pid) : g_strdup("VM");
}

static char *
call_of(JsonObject *vm)
{
    gint64 pid = 0;

    (void)report_number_of(vm, "pid", &pid);
    return report_call(report_text_of(vm, "name", ""), (pid_t)CLAMP(pid, 0, G_MAXINT32));
}

static guint
width_of(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

static guint
columns_of(const char *text)
{
    guint columns = 0;

    for (const char *at = text; *at; at = g_utf8_next_char(at))
        columns += width_of(g_utf8_get_char(at));
    return columns;
}

/* The text in at most so many columns, with a ~ where it was cut. Bytes of a name can be fewer
 * columns than bytes, or wide. */
static char *
cut(const char *text, guint columns)
{
    GString *cell = g_string_new(NULL);
    guint used = 0;

    if (columns_of(text) <= columns)
        return g_string_free(g_string_assign(cell, text), FALSE);
    for (const char *at = text; columns > 0; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        used += width_of(c);
        if (used > columns - 1)
            break;
        g_string_append_unichar(cell, c);
    }
    g_string_append(cell, columns > 0 ? "~" : "");
    return g_string_free(cell, FALSE);
}

/* The same, padded. */
static char *
column(const char *text, guint columns)
{
    g_autofree char *cell = cut(text, columns);

    return g_strdup_printf("%s%*s", cell, (int)(columns - columns_of(cell)), "");
}

const char *
report_state_colour(State state, bool is_coloured)
{
    if (!is_coloured)
        return "";
    switch (state) {
    case STATE_FROZEN:
        return "\033[1;31m";
    case STATE_SUSPECT:
        return "\033[33m";
    case STATE_UNKNOWN:
        return "\033[36m";
    case STATE_OK:
        break;
    }
    return "";
}

/* A word that shouts where somebody must look. */
const char *
report_state_word(State state)
{
    return state == STATE_FROZEN ? "FROZEN" : state_name(state);
}

/* "block-path 19m"; of a VM that is fine, what it does. The age is never cut. */
static char *
verdict_cell(JsonObject *object, guint columns)
{
    const char *layer = report_text_of(object, "layer", "unknown");
    const char *cause = report_text_of(object, "cause", "");
    g_autofree char *age = report_age_of(object);
    g_autofree char *word = NULL;
    guint age_columns = age ? columns_of(age) + 1 : 0;

    if (report_state_of(object) == STATE_OK && strcmp(layer, "not-running") != 0)
        layer = report_text_of(object, "run", "running");
    else if (*cause && (strcmp(layer, "not-running") == 0 || strcmp(layer, "unknown") == 0))
        layer = cause;
    word = cut(layer, columns > age_columns ? columns - age_columns : 0);
    return g_strdup_printf("%s%s%s", word, age ? " " : "", age ? age : "");
}

static gint
compare_vms(gconstpointer a, gconstpointer b)
{
    JsonObject *left = *(JsonObject *const *)a, *right = *(JsonObject *const *)b;
    State left_state = report_state_of(left), right_state = report_state_of(right);

    PressureLevel left_level = MAX(report_level_of(left), PRESSURE_WATCH),
                  right_level = MAX(report_level_of(right), PRESSURE_WATCH);

    if (left_state != right_state)
        return left_state > right_state ? -1 : 1;
    if (left_level != right_level)
        return left_level > right_level ? -1 : 1;
    return strcmp(report_text_of(left, "name", ""), report_text_of(right, "name", ""));
}

GPtrArray *
report_vms_sorted(JsonObject *state)
{
    GPtrArray *sorted = report_objects_of(state, "vms");

    g_ptr_array_sort(sorted, compare_vms);
    return sorted;
}

int
report_exit_status(JsonObject *state)
{
    g_autoptr(GPtrArray) vms = report_vms_sorted(state);
    int status = report_host_exit_status(state);

    for (guint i = 0; i < vms->len; i++)
        status = MAX(status, report_vm_exit_status(vms->pdata[i]));
    return status;
}

int
report_vm_exit_status(JsonObject *vm)
{
    bool has_alert = false;

    (void)message_get_bool(vm, "alert", &has_alert); /* a loop has one, though nothing is frozen */
    return has_alert || report_state_of(vm) >= STATE_SUSPECT || report_level_word(vm) ? 1 : 0;
}

static void
append_row(GString *text, JsonObject *vm, bool is_coloured)
{
    JsonObject *memory = message_get_object(vm, "memory");
    JsonArray *disks = message_get_array(vm, "disks");
    State state = report_state_of(vm);
    g_autofree char *name = column(report_text_of(vm, "name", "?"), NAME_COLUMNS);
    /* a VM whose disks are fine, and whose memory is not */
    const char *memory_word = state < STATE_SUSPECT ? report_memory_word(vm) : NULL;
    g_autofree char *word =
        column(memory_word ? memory_word : report_state_word(state), STATE_COLUMNS);
    g_autofree char *limit = report_size_of(memory, "limit_bytes");
    g_autofree char *guest = report_size_of(memory, "guest_ram_bytes");
    g_autofree char *overhead = overhead_cell(memory);
    g_autofree char *reserved = report_size_of(memory, "reservation_bytes");
    g_autofree char *headroom = report_size_of(memory, "headroom_bytes");
    g_autofree char *count =
        disks ? g_strdup_printf("%u", json_array_get_length(disks)) : g_strdup("-");
    g_autofree char *cells = g_strdup_printf("%5s %5s %9s %5s %5s %3s", limit, guest, overhead,
                                             reserved, headroom, count);
    guint used = NAME_COLUMNS + 1 + STATE_COLUMNS + 1 + columns_of(cells) + 1;
    g_autofree char *verdict = verdict_cell(vm, used < LINE_COLUMNS ? LINE_COLUMNS - used : 0);

    g_string_append_printf(
        text, "%s %s%s%s %s %s\n", name,
        report_state_colour(report_level_word(vm) ? MAX(state, STATE_SUSPECT) : state, is_coloured),
        word, is_coloured ? "\033[0m" : "", cells, verdict);
}

/* "  virtio1 FROZEN, block-path, since ...": a line for each disk that is not fine. */
static void
append_open_disks(GString *text, JsonObject *vm, bool is_coloured)
{
    g_autoptr(GPtrArray) disks = report_objects_of(vm, "disks");
    g_autofree char *call = call_of(vm);

    for (guint i = 0; i < disks->len; i++) {
        State state = report_state_of(disks->pdata[i]);
        g_autofree char *label = cut(report_text_of(disks->pdata[i], "label", "?"), LABEL_COLUMNS);
        g_autofree char *layer =
            cut(report_text_of(disks->pdata[i], "layer", "unknown"), LABEL_COLUMNS);
        g_autofree char *since =
            cut(report_text_of(disks->pdata[i], "since_utc", "unknown"), LABEL_COLUMNS);

        if (state >= STATE_SUSPECT)
            g_string_append_printf(
                text, "  %s%s %s%s, %s, since %s\n", report_state_colour(state, is_coloured), label,
                report_state_word(state), is_coloured ? "\033[0m" : "", layer, since);
    }
    if (report_memory_word(vm)) {
        g_autofree char *forecast = report_forecast_text(vm);
        Line line = line_begin("");

        line_say(&line, "%s", forecast);
        line_end(&line, text, "  memory");
    }
    g_string_append_printf(text, "  -> guardianctl explain %s\n", call);
}

/* Who looks at this at night must see what he is not told of. */
static void
append_silences(GString *text, JsonObject *state)
{
    JsonArray *silences = message_get_array(state, "silences");

    for (guint i = 0; silences && i < json_array_get_length(silences); i++) {
        JsonObject *silence = message_object_at(silences, i);

        g_string_append_printf(
            text, "Silenced until %s: %s %s: %s\n", report_text_of(silence, "until_utc", "?"),
            report_text_of(silence, "kind", "?"), report_text_of(silence, "subject", "?"),
            report_text_of(silence, "why", "?"));
    }
}

char *
report_status_text(JsonObject *state, bool is_coloured)
{
    GString *text = g_string_new(NULL);
    g_autofree char *host = report_host_text(state);
    g_autoptr(GPtrArray) vms = report_vms_sorted(state);
    guint counts[STATE_FROZEN + 1] = {0}, n_short = 0;
    g_autofree char *now = cut(report_text_of(state, "now_utc", "?"), LABEL_COLUMNS);
    bool is_daemon = false;

    (void)message_get_bool(state, "daemon", &is_daemon);
    g_string_append(text, host);
    if (vms->len == 0) {
        g_string_append(text,
                        "No VM found: no process here looks like QEMU, or none is in scope.\n");
        append_silences(text, state);
        report_append_sources(text, state, false);
        return g_string_free(text, FALSE);
    }
    g_string_append_printf(text, "%-*s %-*s %5s %5s %9s %5s %5s %3s %s\n", NAME_COLUMNS, "VM",
                           STATE_COLUMNS, "STATE", "LIMIT", "GUEST", "OVERHEAD", "RESV", "HEAD",
                           "DSK", "VERDICT, SINCE");
    for (guint i = 0; i < vms->len; i++) {
        State worst = report_state_of(vms->pdata[i]);

        if (worst < STATE_SUSPECT && report_level_word(vms->pdata[i]))
            n_short++;
        else
            counts[worst]++;
        append_row(text, vms->pdata[i], is_coloured);
        if (worst >= STATE_SUSPECT || report_memory_word(vms->pdata[i]))
            append_open_disks(text, vms->pdata[i], is_coloured);
    }
    g_string_append_printf(text, "%u VM%s: %u ok, %u unknown, %u suspect, %u frozen", vms->len,
                           vms->len == 1 ? "" : "s", counts[STATE_OK], counts[STATE_UNKNOWN],
                           counts[STATE_SUSPECT], counts[STATE_FROZEN]);
    if (n_short > 0)
        g_string_append_printf(text, ", %u short of memory", n_short);
    g_string_append_printf(text, ", %s\n", now);
    append_silences(text, state);
    report_append_sources(text, state, false);
    if (!is_daemon)
        g_string_append(text, "No daemon answers here: these are two samples of our own.\n");
    return g_string_free(text, FALSE);
}

char *
report_list_text(JsonObject *state)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GPtrArray) vms = report_vms_sorted(state);

    g_string_append_printf(text, "%-20s %-8s %-8s %-8s %-7s %s\n", "VM", "ID", "SOURCE", "PID",
                           "MONITOR", "CGROUP");
    for (guint i = 0; i < vms->len; i++) {
        JsonObject *vm = vms->pdata[i];
        g_autofree char *name = column(report_text_of(vm, "name", "?"), 20);
        g_autofree char *id = column(report_text_of(vm, "id", "-"), 8);
        gint64 pid = 0;

        (void)report_number_of(vm, "pid", &pid);
        g_string_append_printf(text, "%s %s %-8s %-8" G_GINT64_FORMAT " %-7s %s\n", name, id,
                               report_text_of(vm, "source", "-"), pid,
                               report_text_of(message_get_object(vm, "monitor"), "use", "none"),
                               report_text_of(message_get_object(vm, "memory"), "group", "-"));
    }
    report_append_sources(text, state, true);
    return g_string_free(text, FALSE);
}
