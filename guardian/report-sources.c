/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-sources.h"

#include "discover-source.h"
#include "libvirt.h"
#include "report-read.h"

#include "message.h"

#include <string.h>

static guint
count_vms(const GPtrArray *vms, const char *source)
{
    guint n = 0;

    for (guint i = 0; i < vms->len; i++)
        n += g_str_equal(((const Vm *)vms->pdata[i])->source, source);
    return n;
}

void
build_sources(JsonBuilder *builder, const Guardian *guardian, const ReportClocks *clocks)
{
    json_builder_set_member_name(builder, "sources");
    json_builder_begin_array(builder);
    for (guint i = 0; i < n_sources; i++) {
        json_builder_begin_object(builder);
        build_text(builder, "name", sources[i]->name);
        build_u64(builder, "vms", true, count_vms(guardian_vms(guardian), sources[i]->name));
        if (g_str_equal(sources[i]->name, "libvirt"))
            libvirt_report(guardian_libvirt(guardian), builder, clocks);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

/* "  libvirt /run/libvirt/libvirt-sock-ro: silent since ... (14s), 1 call hangs: ..." */
static void
append_daemon(GString *text, JsonObject *daemon)
{
    g_autofree char *age = report_age_of(daemon);
    const char *problem = report_text_of(daemon, "problem", NULL);
    gint64 set_aside = 0, domains = 0;

    g_string_append_printf(text, "  libvirt %s: %s since %s", report_text_of(daemon, "name", "?"),
                           report_text_of(daemon, "state", "?"),
                           report_text_of(daemon, "since_utc", "?"));
    if (age)
        g_string_append_printf(text, " (%s)", age);
    if (report_number_of(daemon, "domains", &domains))
        g_string_append_printf(text, ", %" G_GINT64_FORMAT " domain%s", domains,
                               domains == 1 ? "" : "s");
    if (report_number_of(daemon, "set_aside", &set_aside) && set_aside > 0)
        g_string_append_printf(text, ", %" G_GINT64_FORMAT " call%s", set_aside,
                               set_aside == 1 ? " hangs" : "s hang");
    if (problem)
        g_string_append_printf(text, ": %s", problem);
    g_string_append_c(text, '\n');
}

static bool
is_worth_a_line(JsonObject *daemon)
{
    gint64 set_aside = 0;

    return strcmp(report_text_of(daemon, "state", ""), "connected") != 0 ||
           (report_number_of(daemon, "set_aside", &set_aside) && set_aside > 0);
}

void
report_append_sources(GString *text, JsonObject *state, bool is_complete)
{
    g_autoptr(GPtrArray) known = report_objects_of(state, "sources");

    for (guint i = 0; i < known->len; i++) {
        const char *problem = report_text_of(known->pdata[i], "problem", NULL);
        gint64 vms = 0;

        (void)report_number_of(known->pdata[i], "vms", &vms);
        g_string_append_printf(text, "%s%s %" G_GINT64_FORMAT, i == 0 ? "Sources: " : ", ",
                               report_text_of(known->pdata[i], "name", "?"), vms);
        if (problem)
            g_string_append_printf(text, " (%s)", problem);
    }
    if (known->len > 0)
        g_string_append_c(text, '\n');
    for (guint i = 0; i < known->len; i++) {
        g_autoptr(GPtrArray) daemons = report_objects_of(known->pdata[i], "daemons");

        for (guint j = 0; j < daemons->len; j++)
            if (is_complete || is_worth_a_line(daemons->pdata[j]))
                append_daemon(text, daemons->pdata[j]);
    }
}
