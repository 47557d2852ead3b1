/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-domain.h"

#include "message.h"
#include "report-build.h"
#include "units.h"

static gint64
left_bytes(const CgroupLimit *limit)
{
    gint64 left = (gint64)MIN(limit->limit_bytes, (guint64)G_MAXINT64);

    return left - (gint64)MIN(limit->charge.unreclaimable_bytes, (guint64)G_MAXINT64);
}

static void
add_limit(JsonBuilder *builder, const CgroupLimit *limit)
{
    g_autofree char *path = units_printable_path(limit->path);
    const CgroupCharge *charge = &limit->charge;

    json_builder_begin_object(builder);
    build_text(builder, "group", path);
    build_text(builder, "kind", group_kind(limit->path));
    build_text(builder, "owner", limit->owner);
    build_bool(builder, "own", limit->is_own);
    build_u64(builder, "limit_bytes", true, limit->limit_bytes);
    build_u64(builder, "unreclaimable_bytes", charge->has_unreclaimable,
              charge->unreclaimable_bytes);
    build_s64(builder, "headroom_bytes", charge->has_unreclaimable, left_bytes(limit));
    json_builder_end_object(builder);
}

static gint
compare_limits(gconstpointer a, gconstpointer b)
{
    gint64 left = left_bytes(*(const CgroupLimit *const *)a),
           right = left_bytes(*(const CgroupLimit *const *)b);

    return left < right ? -1 : left > right;
}

static void
add_pod(JsonBuilder *builder, const Vm *vm)
{
    const GroupPlace *place = vm->cgroup ? cgroup_group_place(vm->cgroup) : NULL;
    g_autofree char *space = vm->space ? units_printable(vm->space, -1) : NULL;
    g_autofree char *container = place ? units_printable(place->container_id, -1) : NULL;

    build_text(builder, "namespace", space);
    json_builder_set_member_name(builder, "pod");
    if (!place || !place->is_pod) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    build_text(builder, "uid", place->pod_uid);
    build_text(builder, "qos", place->qos);
    build_text(builder, "container", *container ? container : NULL);
    build_text(builder, "runtime", place->runtime);
    json_builder_end_object(builder);
}

void
report_add_domain(JsonBuilder *builder, const Vm *vm)
{
    g_autoptr(GPtrArray) limits = g_ptr_array_new();

    add_pod(builder, vm);
    for (guint i = 0; vm->group_limits && i < vm->group_limits->len; i++)
        g_ptr_array_add(limits, &g_array_index(vm->group_limits, CgroupLimit, i));
    g_ptr_array_sort(limits, compare_limits);
    json_builder_set_member_name(builder, "domain");
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "limits");
    if (vm->group_limits) {
        json_builder_begin_array(builder);
        for (guint i = 0; i < limits->len; i++)
            add_limit(builder, limits->pdata[i]);
        json_builder_end_array(builder);
    } else {
        json_builder_add_null_value(builder);
    }
    build_text(builder, "killed_group", vm->kill_path);
    json_builder_end_object(builder);
}

char *
report_pod_text(JsonObject *vm)
{
    JsonObject *pod = message_get_object(vm, "pod");
    const char *runtime = report_text_of(pod, "runtime", NULL);

    if (!pod)
        return g_strdup("");
    return g_strdup_printf("%s, %s; container %s%s%s%s", report_text_of(pod, "uid", "?"),
                           report_text_of(pod, "qos", "?"),
                           report_text_of(pod, "container", "unknown"), runtime ? " (" : "",
                           runtime ? runtime : "", runtime ? ")" : "");
}

char *
report_limits_text(JsonObject *vm)
{
    JsonObject *domain = message_get_object(vm, "domain");
    g_autoptr(GPtrArray) limits = report_objects_of(domain, "limits");
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < limits->len; i++) {
        JsonObject *limit = limits->pdata[i];
        g_autofree char *bytes = report_size_of(limit, "limit_bytes");
        g_autofree char *left = report_size_of(limit, "headroom_bytes");
        const char *owner = report_text_of(limit, "owner", NULL);
        bool is_own = true, is_over = left[0] == '-' && left[1] != '\0';

        (void)message_get_bool(limit, "own", &is_own);
        g_string_append_printf(text, "%s%s%s %s (%s %s%s%s)", i > 0 ? ", " : "",
                               is_own ? "" : "shared ", report_text_of(limit, "kind", "group"),
                               bytes, left + is_over, is_over ? "over" : "left",
                               owner ? "; set by " : "", owner ? owner : "");
    }
    return g_string_free(text, FALSE);
}

char *
report_kill_text(JsonObject *vm)
{
    const char *group = report_text_of(message_get_object(vm, "domain"), "killed_group", NULL);

    return group ? g_strdup_printf("one OOM kills all of %s", group) : g_strdup("");
}
