/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-build.h"

void
build_u64(JsonBuilder *builder, const char *name, bool has, guint64 value)
{
    json_builder_set_member_name(builder, name);
    if (has && value <= G_MAXINT64)
        json_builder_add_int_value(builder, (gint64)value);
    else
        json_builder_add_null_value(builder);
}

void
build_s64(JsonBuilder *builder, const char *name, bool has, gint64 value)
{
    json_builder_set_member_name(builder, name);
    if (has)
        json_builder_add_int_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

void
build_text(JsonBuilder *builder, const char *name, const char *text)
{
    json_builder_set_member_name(builder, name);
    if (text)
        json_builder_add_string_value(builder, text);
    else
        json_builder_add_null_value(builder);
}

void
build_bool(JsonBuilder *builder, const char *name, bool value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_boolean_value(builder, value);
}

void
build_time(JsonBuilder *builder, const char *name, gint64 at_us, const ReportClocks *clocks)
{
    g_autofree char *text =
        at_us > 0 ? report_utc(clocks->realtime_us - (clocks->monotonic_us - at_us)) : NULL;

    build_text(builder, name, text);
}

/* Second signals that agree with the verdict, as words. */
static void
add_signals(JsonBuilder *builder, guint signals)
{
    static const struct {
        guint bit;
        const char *word;
    } words[] = {{VERDICT_SIGNAL_NETWORK, "network-collapsed"},
                 {VERDICT_SIGNAL_CPU, "cpu-ramps"},
                 {VERDICT_SIGNAL_NEIGHBOURS, "neighbours-still"},
                 {VERDICT_SIGNAL_DEVICE, "host-device-stuck"}};

    json_builder_set_member_name(builder, "signals");
    json_builder_begin_array(builder);
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (signals & words[i].bit)
            json_builder_add_string_value(builder, words[i].word);
    json_builder_end_array(builder);
}

void
build_verdict(JsonBuilder *builder, const Verdict *verdict, const char *reason,
              const ReportClocks *clocks)
{
    gint64 age = clocks->monotonic_us - verdict->since_us;

    build_text(builder, "state", state_name(verdict->state));
    build_text(builder, "layer", layer_name(verdict->layer));
    build_text(builder, "cause", verdict->cause ? verdict->cause : "");
    build_text(builder, "reason", reason);
    build_time(builder, "since_utc", verdict->since_us, clocks);
    build_s64(builder, "since_s", verdict->since_us > 0, age / G_USEC_PER_SEC);
    build_time(builder, "named_utc", verdict->named_us, clocks);
    build_bool(builder, "alert", verdict->has_alert);
    build_bool(builder, "paged", verdict->is_paged);
    add_signals(builder, verdict->signals);
    build_u64(builder, "patience_ms", verdict->patience_us > 0,
              (guint64)verdict->patience_us / 1000);
}
