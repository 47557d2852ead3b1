/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* For a person at 3 a.m. on an 80-column console: what is wrong first, then the rest, then the next
 * step. */

#include "report-read.h"

#include "model.h"
#include "units.h"

#include "message.h"

#include <string.h>

#define NAME_COLUMNS 14

const char *
report_text_of(JsonObject *object, const char *member, const char *otherwise)
{
    const char *text = object ? message_get_string(object, member) : NULL;

    return text ? text : otherwise;
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

State
report_state_of(JsonObject *object)
{
    State state = STATE_UNKNOWN;

    (void)state_from_name(message_get_string(object, "state"), &state);
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

static char *
overhead_cell(JsonObject *memory)
{
    g_autofree char *low = report_size_of(memory, "overhead_low_bytes");
    g_autofree char *high = report_size_of(memory, "overhead_high_bytes");

    return strcmp(low, high) == 0 ? g_strdup(low) : g_strdup_printf("%s-%s", low, high);
}

/* Bytes of a name can be fewer columns than bytes, or wide: cut and pad by columns. */
static char *
column(const char *text, guint columns)
{
    GString *cell = g_string_new(NULL);
    guint used = 0;

    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        guint width = g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
        bool is_last = !*g_utf8_next_char(at);

        if (used + width > columns - (is_last ? 0 : 1)) {
            g_string_append_unichar(cell, '~');
            used++;
            break;
        }
        g_string_append_unichar(cell, c);
        used += width;
    }
    for (; used < columns; used++)
        g_string_append_c(cell, ' ');
    return g_string_free(cell, FALSE);
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

/* "block-path 19m"; of a VM that is fine, what it does. */
static char *
verdict_cell(JsonObject *object)
{
    const char *layer = report_text_of(object, "layer", "unknown");
    const char *cause = report_text_of(object, "cause", "");
    g_autofree char *age = NULL;
    gint64 since_s;

    if (report_state_of(object) == STATE_OK && strcmp(layer, "not-running") != 0)
        layer = report_text_of(object, "run", "running");
    else if (strcmp(layer, "not-running") == 0 || strcmp(layer, "unknown") == 0)
        layer = cause;
    if (!report_number_of(object, "since_s", &since_s))
        return g_strdup(layer);
    age = units_format_age(since_s * G_USEC_PER_SEC);
    return g_strdup_printf("%s %s", layer, age);
}

static gint
compare_vms(gconstpointer a, gconstpointer b)
{
    JsonObject *left = *(JsonObject *const *)a, *right = *(JsonObject *const *)b;
    State left_state = report_state_of(left), right_state = report_state_of(right);

    if (left_state != right_state)
        return left_state > right_state ? -1 : 1;
    return strcmp(report_text_of(left, "name", ""), report_text_of(right, "name", ""));
}

GPtrArray *
report_vms_sorted(JsonObject *state)
{
    GPtrArray *sorted = g_ptr_array_new();
    JsonArray *vms = message_get_array(state, "vms");

    for (guint i = 0; vms && i < json_array_get_length(vms); i++) {
        JsonNode *node = json_array_get_element(vms, i);

        if (JSON_NODE_HOLDS_OBJECT(node))
            g_ptr_array_add(sorted, json_node_get_object(node));
    }
    g_ptr_array_sort(sorted, compare_vms);
    return sorted;
}

int
report_exit_status(JsonObject *state)
{
    g_autoptr(GPtrArray) vms = report_vms_sorted(state);

    int status = 0;

    for (guint i = 0; i < vms->len; i++)
        status = MAX(status, report_vm_exit_status(vms->pdata[i]));
    return status;
}

int
report_vm_exit_status(JsonObject *vm)
{
    bool has_alert = false;

    (void)message_get_bool(vm, "alert", &has_alert); /* a loop has one, though nothing is frozen */
    return has_alert || report_state_of(vm) >= STATE_SUSPECT ? 1 : 0;
}

static void
append_row(GString *text, JsonObject *vm, bool is_coloured)
{
    JsonObject *memory = message_get_object(vm, "memory");
    JsonArray *disks = message_get_array(vm, "disks");
    State state = report_state_of(vm);
    g_autofree char *name = column(report_text_of(vm, "name", "?"), NAME_COLUMNS);
    g_autofree char *limit = report_size_of(memory, "limit_bytes");
    g_autofree char *guest = report_size_of(memory, "guest_ram_bytes");
    g_autofree char *overhead = overhead_cell(memory);
    g_autofree char *reserved = report_size_of(memory, "reservation_bytes");
    g_autofree char *headroom = report_size_of(memory, "headroom_bytes");
    g_autofree char *verdict = verdict_cell(vm);
    g_autofree char *count =
        disks ? g_strdup_printf("%u", json_array_get_length(disks)) : g_strdup("-");

    g_string_append_printf(text, "%s %s%-7s%s %5s %5s %9s %5s %5s %3s %s\n", name,
                           report_state_colour(state, is_coloured), report_state_word(state),
                           is_coloured ? "\033[0m" : "", limit, guest, overhead, reserved, headroom,
                           count, verdict);
}

/* "  virtio1 FROZEN block-path since ...": a line for each disk that is not fine. */
static void
append_open_disks(GString *text, JsonObject *vm, bool is_coloured)
{
    JsonArray *disks = message_get_array(vm, "disks");

    for (guint i = 0; disks && i < json_array_get_length(disks); i++) {
        JsonObject *disk = json_array_get_object_element(disks, i);
        State state = report_state_of(disk);

        if (state < STATE_SUSPECT)
            continue;
        g_string_append_printf(
            text, "  %s%s %s%s, %s, since %s\n", report_state_colour(state, is_coloured),
            report_text_of(disk, "label", "?"), report_state_word(state),
            is_coloured ? "\033[0m" : "", report_text_of(disk, "layer", "unknown"),
            report_text_of(disk, "since_utc", "unknown"));
    }
    g_string_append_printf(text, "  -> guardianctl explain %s\n", report_text_of(vm, "name", "?"));
}

char *
report_status_text(JsonObject *state, bool is_coloured)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GPtrArray) vms = report_vms_sorted(state);
    guint counts[STATE_FROZEN + 1] = {0};
    bool is_daemon = false;

    (void)message_get_bool(state, "daemon", &is_daemon);
    if (vms->len == 0) {
        g_string_append(text,
                        "No VM found: no process here looks like QEMU, or none is in scope.\n");
        return g_string_free(text, FALSE);
    }
    g_string_append_printf(text, "%-*s %-7s %5s %5s %9s %5s %5s %3s %s\n", NAME_COLUMNS, "VM",
                           "STATE", "LIMIT", "GUEST", "OVERHEAD", "RESV", "HEAD", "DSK",
                           "VERDICT, SINCE");
    for (guint i = 0; i < vms->len; i++) {
        State worst = report_state_of(vms->pdata[i]);

        counts[worst]++;
        append_row(text, vms->pdata[i], is_coloured);
        if (worst >= STATE_SUSPECT)
            append_open_disks(text, vms->pdata[i], is_coloured);
    }
    g_string_append_printf(text, "%u VM%s: %u ok, %u unknown, %u suspect, %u frozen, at %s\n",
                           vms->len, vms->len == 1 ? "" : "s", counts[STATE_OK],
                           counts[STATE_UNKNOWN], counts[STATE_SUSPECT], counts[STATE_FROZEN],
                           report_text_of(state, "now_utc", "?"));
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
    return g_string_free(text, FALSE);
}
