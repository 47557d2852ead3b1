/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-order.h"

#include "message.h"
#include "report-line.h"
#include "report-read.h"
#include "unit-policy.h"

#include <string.h>

static void
add_unit(JsonBuilder *builder, const Vm *vm)
{
    const char *unit, *policy = unit_policy_word(vm->unit_policy, &unit);

    json_builder_set_member_name(builder, "oom_unit");
    if (!vm->kill_order || !policy) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    build_text(builder, "name", unit);
    build_text(builder, "policy", policy);
    json_builder_end_object(builder);
}

void
report_add_order(JsonBuilder *builder, const Vm *vm)
{
    add_unit(builder, vm);
    json_builder_set_member_name(builder, "kill_order");
    if (!vm->kill_order) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_array(builder);
    for (guint i = 0; i < vm->kill_order->len; i++) {
        const OrderDrift *drift = &g_array_index(vm->kill_order, OrderDrift, i);

        json_builder_begin_object(builder);
        build_text(builder, "field", order_drift_field(drift));
        build_text(builder, "of", drift->label);
        build_s64(builder, "value", true, drift->value);
        build_s64(builder, "wanted", true, drift->wanted);
        build_bool(builder, "group", drift->is_group);
        build_bool(builder, "own", !drift->is_shared);
        build_text(builder, "owner", drift->keeper);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

/* What it does as it is. */
static const char *
consequence(gint64 value, gint64 wanted, bool is_group)
{
    if (is_group)
        return value ? "one OOM in it ends all of it" : "one OOM in it ends one process of it";
    return value < wanted ? "others die before it" : "it dies before others";
}

/* The kernel kills whom it is told to, and systemd the rest. */
static void
append_unit(GString *text, JsonObject *vm, bool is_first)
{
    JsonObject *unit = message_get_object(vm, "oom_unit");
    const char *policy = report_text_of(unit, "policy", "continue");
    Line line = line_begin("; ");

    if (strcmp(policy, "continue") != 0)
        line_say(&line,
                 "OOMPolicy=%s of %s: after any OOM kill in it systemd ends the rest, QEMU too; "
                 "the order helps only with OOMPolicy=continue",
                 policy, report_text_of(unit, "name", "its unit"));
    line_end(&line, text, is_first ? "order" : "");
}

void
report_append_order(GString *text, JsonObject *vm)
{
    g_autoptr(GPtrArray) drifts = report_objects_of(vm, "kill_order");

    for (guint i = 0; i < drifts->len; i++) {
        JsonObject *drift = drifts->pdata[i];
        Line line = line_begin("; ");
        gint64 value = 0, wanted = 0;
        bool is_group = false, is_own = true;

        (void)report_number_of(drift, "value", &value);
        (void)report_number_of(drift, "wanted", &wanted);
        (void)message_get_bool(drift, "group", &is_group);
        (void)message_get_bool(drift, "own", &is_own);
        line_say(&line, "%s of %s is %d, [memory] asks for %d: %s",
                 report_text_of(drift, "field", "?"), report_text_of(drift, "of", "?"), (int)value,
                 (int)wanted, consequence(value, wanted, is_group));
        if (!is_own)
            line_say(&line, "other VMs share it, so that it is never written");
        line_end(&line, text, i == 0 ? "order" : "");
    }
    append_unit(text, vm, drifts->len == 0);
}
