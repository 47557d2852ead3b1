/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-roles.h"

#include "message.h"
#include "report-build.h"
#include "units.h"

#include <string.h>

static void
add_use(JsonBuilder *builder, Role role, const RoleUse *use)
{
    const struct {
        const char *name;
        guint64 value;
    } members[] = {
        {"processes", use->n_processes},
        {"resident_bytes", use->rss_bytes},
        {"private_bytes", use->private_bytes},
        {"domain_private_bytes", use->domain_private_bytes},
        {"share_bytes", use->n_processes * role_share_bytes(role)},
    };

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "role");
    json_builder_add_string_value(builder, role_name(role));
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        json_builder_set_member_name(builder, members[i].name);
        if (strcmp(members[i].name, "share_bytes") == 0 && !role_is_helper(role))
            json_builder_add_null_value(builder);
        else
            json_builder_add_int_value(builder, (gint64)MIN(members[i].value, (guint64)G_MAXINT64));
    }
    json_builder_end_object(builder);
}

void
report_add_stranger(JsonBuilder *builder, gint64 pid, const char *name, guint64 bytes)
{
    g_autofree char *printable = units_printable(name, -1);

    json_builder_set_member_name(builder, "largest_stranger");
    if (pid == 0) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    build_text(builder, "name", printable);
    build_s64(builder, "pid", true, pid);
    build_u64(builder, "private_bytes", true, bytes);
    json_builder_end_object(builder);
}

char *
report_stranger_label(JsonObject *of)
{
    JsonObject *stranger = message_get_object(of, "largest_stranger");
    gint64 pid = 0, bytes = 0;

    if (!stranger || !report_number_of(stranger, "pid", &pid) ||
        !report_number_of(stranger, "private_bytes", &bytes) || bytes < (gint64)UNITS_MIB)
        return NULL;
    return g_strdup_printf("%s[%" G_GINT64_FORMAT "]", report_text_of(stranger, "name", "?"), pid);
}

void
report_add_roles(JsonBuilder *builder, const RoleTable *table)
{
    json_builder_set_member_name(builder, "beside");
    if (!table->is_known) {
        json_builder_add_null_value(builder);
    } else {
        json_builder_begin_array(builder);
        for (Role role = 0; role < ROLE_N; role++)
            if (table->uses[role].n_processes > 0)
                add_use(builder, role, &table->uses[role]);
        json_builder_end_array(builder);
    }
    json_builder_set_member_name(builder, "beside_complete");
    if (table->is_known)
        json_builder_add_boolean_value(builder, table->is_complete);
    else
        json_builder_add_null_value(builder);
    report_add_stranger(builder, table->is_known ? table->stranger_pid : 0, table->stranger_name,
                        table->stranger_private_bytes);
}

char *
report_roles_text(JsonObject *vm)
{
    g_autoptr(GPtrArray) uses = report_objects_of(vm, "beside");
    JsonObject *stranger = message_get_object(vm, "largest_stranger");
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < uses->len; i++) {
        g_autofree char *size = report_size_of(uses->pdata[i], "private_bytes");
        gint64 n = 1;

        (void)report_number_of(uses->pdata[i], "processes", &n);
        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "",
                               report_text_of(uses->pdata[i], "role", "?"));
        if (n > 1)
            g_string_append_printf(text, " (%" G_GINT64_FORMAT ")", n);
        g_string_append_printf(text, " %s", size);
    }
    if (stranger) {
        gint64 pid = 0;

        (void)report_number_of(stranger, "pid", &pid);
        g_string_append_printf(text, "; largest stranger: %s, process %" G_GINT64_FORMAT,
                               report_text_of(stranger, "name", "?"), pid);
    }
    return g_string_free(text, FALSE);
}
