/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-host.h"

#include "message.h"
#include "report-acts.h"
#include "report-line.h"
#include "report-oom.h"

#include <string.h>

static void
add_trees(JsonBuilder *builder, const Trees *trees)
{
    const GArray *list = trees_list(trees);

    json_builder_set_member_name(builder, "trees");
    json_builder_begin_array(builder);
    for (guint i = 0; i < list->len; i++) {
        const HostTree *tree = &g_array_index(list, HostTree, i);

        json_builder_begin_object(builder);
        build_text(builder, "group", tree->label);
        build_u64(builder, "held_bytes", true, tree->held_bytes);
        build_u64(builder, "vms_bytes", true, tree->vms_bytes);
        build_u64(builder, "limit_bytes", tree->has_limit, tree->limit_bytes);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void
add_handler(JsonBuilder *builder, const Handler *handler)
{
    bool is_known = handler->group != NULL;

    json_builder_set_member_name(builder, "virt_handler");
    if (handler->pid == 0) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    build_s64(builder, "pid", true, handler->pid);
    build_text(builder, "group", handler->group);
    build_u64(builder, "usage_bytes", is_known, handler->usage_bytes);
    build_u64(builder, "held_bytes", is_known, handler->held_bytes);
    build_u64(builder, "limit_bytes", is_known && handler->has_limit, handler->limit_bytes);
    json_builder_end_object(builder);
}

static void
add_host(JsonBuilder *builder, const Guardian *guardian)
{
    const HostWatch *watch = guardian_host_watch(guardian);
    const HostMemory *memory = &watch->memory;
    const HostVms vms = watch->vms;
    const HostVerdict verdict = watch->verdict;

    json_builder_set_member_name(builder, "host");
    json_builder_begin_object(builder);
    build_text(builder, "level", pressure_level_name(verdict.level));
    build_text(builder, "reason", verdict.reason ? verdict.reason : "not judged yet");
    build_u64(builder, "total_bytes", memory->is_known, memory->total_bytes);
    build_u64(builder, "available_bytes", memory->has_available, memory->available_bytes);
    build_u64(builder, "swap_free_bytes", memory->is_known, memory->swap_free_bytes);
    build_u64(builder, "hugetlb_bytes", memory->is_known, memory->hugetlb_bytes);
    build_u64(builder, "arc_bytes", memory->has_arc, memory->arc_bytes);
    build_u64(builder, "arc_min_bytes", memory->has_arc, memory->arc_min_bytes);
    build_u64(builder, "guests_bytes", true, vms.guests_bytes);
    build_u64(builder, "overheads_bytes", true, vms.overheads_bytes);
    build_u64(builder, "reserved_bytes", true, vms.reserved_bytes);
    build_u64(builder, "limits_bytes", true, vms.limits_bytes);
    build_s64(builder, "unlimited_vms", true, vms.n_unlimited);
    build_s64(builder, "unknown_vms", true, vms.n_unknown);
    build_u64(builder, "needed_bytes", memory->is_known, verdict.needed_bytes);
    build_u64(builder, "missing_bytes", memory->is_known, verdict.missing_bytes);
    build_u64(builder, "host_bytes", true, verdict.host_bytes);
    add_trees(builder, watch->trees);
    add_handler(builder, trees_handler(watch->trees));
    json_builder_end_object(builder);
}

static void
add_band(JsonBuilder *builder, const Band *band)
{
    g_autofree char *text = band_text(band);

    json_builder_begin_object(builder);
    build_text(builder, "group", band->label);
    build_text(builder, "text", text);
    build_u64(builder, "usage_bytes", true, band->sample.usage_bytes);
    build_u64(builder, "high_bytes", true, band->sample.high_bytes);
    build_u64(builder, "max_bytes", band->sample.has_max, band->sample.max_bytes);
    build_s64(builder, "stalled_percent", band->track.verdict.has_stalled,
              band->track.verdict.stalled_percent);
    build_s64(builder, "hog_pid", band->hog_pid > 0, band->hog_pid);
    build_text(builder, "hog", band->hog_name);
    build_u64(builder, "hog_bytes", band->hog_pid > 0, band->hog_bytes);
    build_s64(builder, "processes", band->sample.has_tasks, band->sample.n_tasks);
    json_builder_end_object(builder);
}

void
report_add_host(JsonBuilder *builder, const Guardian *guardian)
{
    const GPtrArray *bands = bands_list(guardian_host_watch(guardian)->bands);

    add_host(builder, guardian);
    json_builder_set_member_name(builder, "livelocks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < bands->len; i++)
        if (((const Band *)bands->pdata[i])->track.verdict.is_livelock)
            add_band(builder, bands->pdata[i]);
    json_builder_end_array(builder);
    report_add_oom(builder, guardian);
}

JsonNode *
report_host_state(const Guardian *guardian)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    report_add_host(builder, guardian);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}

static bool
is_host_lost(JsonObject *host)
{
    const char *level = report_text_of(host, "level", "");

    return strcmp(level, pressure_level_name(PRESSURE_DOOMED)) == 0 ||
           strcmp(level, pressure_level_name(PRESSURE_IMMINENT)) == 0;
}

static void
append_host(GString *text, JsonObject *host)
{
    g_autofree char *guests = report_size_of(host, "guests_bytes");
    g_autofree char *overheads = report_size_of(host, "overheads_bytes");
    g_autofree char *total = report_size_of(host, "total_bytes");
    g_autofree char *missing = report_size_of(host, "missing_bytes");
    g_autofree char *arc = report_size_of(host, "arc_min_bytes");
    g_autofree char *others = report_size_of(host, "host_bytes");
    Line line = line_begin("; ");

    line_say(&line, "%s: %s", report_text_of(host, "level", "?"),
             report_text_of(host, "reason", "?"));
    line_say(&line,
             "guests %s + beside them %s + the host itself %s + ARC at least %s, of %s: %s short",
             guests, overheads, others, arc, total, missing);
    line_end(&line, text, "host");
}

GArray *
report_trees_of(JsonObject *host)
{
    g_autoptr(GPtrArray) objects = report_objects_of(host, "trees");
    GArray *list = trees_array_new();

    for (guint i = 0; i < objects->len; i++) {
        HostTree tree = {.label = g_strdup(report_text_of(objects->pdata[i], "group", "?"))};
        gint64 held = 0, vms = 0, limit = 0;

        (void)report_number_of(objects->pdata[i], "held_bytes", &held);
        (void)report_number_of(objects->pdata[i], "vms_bytes", &vms);
        tree.has_limit = report_number_of(objects->pdata[i], "limit_bytes", &limit);
        tree.held_bytes = (guint64)MAX(held, 0);
        tree.vms_bytes = (guint64)MAX(vms, 0);
        tree.limit_bytes = (guint64)MAX(limit, 0);
        g_array_append_val(list, tree);
    }
    return list;
}

char *
report_host_text(JsonObject *state)
{
    JsonObject *host = message_get_object(state, "host");
    g_autoptr(GPtrArray) livelocks = report_objects_of(state, "livelocks");
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < livelocks->len; i++) {
        Line line = line_begin("");

        line_say(&line, "%s %s", report_text_of(livelocks->pdata[i], "group", "?"),
                 report_text_of(livelocks->pdata[i], "text", "?"));
        line_end(&line, text, "livelock");
    }
    if (is_host_lost(host))
        append_host(text, host);
    report_append_open_ooms(text, state);
    report_append_new_acts(text, state);
    return g_string_free(text, FALSE);
}

int
report_host_exit_status(JsonObject *state)
{
    g_autoptr(GPtrArray) livelocks = report_objects_of(state, "livelocks");

    return livelocks->len > 0 || is_host_lost(message_get_object(state, "host"))
               ? 1
               : report_oom_exit_status(state);
}
