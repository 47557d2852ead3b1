/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-before.h"

#include "message.h"
#include "report-build.h"
#include "report-read.h"
#include "report-roles.h"
#include "units.h"

#include <string.h>

static void
add_point(JsonBuilder *builder, const MemoryPoint *point, gint64 kill_us)
{
    json_builder_begin_object(builder);
    build_s64(builder, "before_s", true, (kill_us - point->at_us) / G_USEC_PER_SEC);
    build_text(builder, "forecast", pressure_level_name(point->level));
    build_u64(builder, "unreclaimable_bytes", true, point->charged_bytes);
    build_u64(builder, "limit_bytes", point->has_limit, point->limit_bytes);
    build_u64(builder, "guest_low_bytes", point->has_guest, point->guest_low_bytes);
    build_u64(builder, "guest_high_bytes", point->has_guest, point->guest_high_bytes);
    build_u64(builder, "qemu_own_low_bytes", point->has_guest, point->own_low_bytes);
    build_u64(builder, "qemu_own_high_bytes", point->has_guest, point->own_high_bytes);
    build_u64(builder, "helpers_bytes", point->has_roles, point->helpers_bytes);
    build_u64(builder, "strangers_bytes", point->has_roles, point->strangers_bytes);
    build_u64(builder, "kernel_bytes", point->has_kernel, point->kernel_bytes);
    build_u64(builder, "rest_bytes", true, point->rest_bytes);
    report_add_stranger(builder, point->has_roles ? point->stranger_pid : 0, point->stranger_name,
                        point->stranger_bytes);
    json_builder_end_object(builder);
}

JsonArray *
oom_before_json(const MemoryTrail *trail, gint64 kill_us)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;

    json_builder_begin_array(builder);
    for (guint i = 0; i < trail->n_points; i++)
        if (trail->points[i].at_us <= kill_us)
            add_point(builder, &trail->points[i], kill_us);
    json_builder_end_array(builder);
    root = json_builder_get_root(builder);
    return json_array_ref(json_node_get_array(root));
}

/* "512M", "0B..512M", "-" when unknown. */
static char *
range_of(JsonObject *row, const char *low_member, const char *high_member)
{
    g_autofree char *low = report_size_of(row, low_member);
    g_autofree char *high = report_size_of(row, high_member);

    return strcmp(low, high) == 0 ? g_strdup(low) : g_strdup_printf("%s..%s", low, high);
}

static char *
age_of(JsonObject *row)
{
    gint64 s = 0;

    (void)report_number_of(row, "before_s", &s);
    return units_format_age(CLAMP(s, 0, MEMORY_TRAIL_US / G_USEC_PER_SEC) * G_USEC_PER_SEC);
}

static char *
stranger_of(JsonObject *row)
{
    g_autofree char *label = report_stranger_label(row);
    g_autofree char *size =
        report_size_of(message_get_object(row, "largest_stranger"), "private_bytes");

    return label ? g_strdup_printf("  %s %s", label, size) : g_strdup("");
}

static void
append_row(GString *text, JsonObject *row, int indent)
{
    g_autofree char *age = age_of(row);
    g_autofree char *held = report_size_of(row, "unreclaimable_bytes");
    g_autofree char *limit = report_size_of(row, "limit_bytes");
    g_autofree char *guest = range_of(row, "guest_low_bytes", "guest_high_bytes");
    g_autofree char *own = range_of(row, "qemu_own_low_bytes", "qemu_own_high_bytes");
    g_autofree char *helpers = report_size_of(row, "helpers_bytes");
    g_autofree char *strangers = report_size_of(row, "strangers_bytes");
    g_autofree char *kernel = report_size_of(row, "kernel_bytes");
    g_autofree char *rest = report_size_of(row, "rest_bytes");
    g_autofree char *stranger = stranger_of(row);

    g_string_append_printf(text, "%*s%6s %6s %6s %11s %11s %7s %9s %6s %6s  %s%s\n", indent, "",
                           age, held, limit, guest, own, helpers, strangers, kernel, rest,
                           report_text_of(row, "forecast", "?"), stranger);
}

void
oom_before_append(GString *text, JsonObject *report, int indent)
{
    g_autoptr(GPtrArray) rows = report_objects_of(report, "before");

    if (rows->len == 0)
        return;
    g_string_append_printf(text, "%*s%6s %6s %6s %11s %11s %7s %9s %6s %6s  %s\n", indent, "",
                           "before", "held", "limit", "guest", "qemu's own", "helpers", "strangers",
                           "kernel", "rest", "forecast");
    for (guint i = 0; i < rows->len; i++)
        append_row(text, rows->pdata[i], indent);
}
