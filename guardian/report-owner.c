/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-owner.h"

#include "report-build.h"
#include "units.h"

static void
add_printable(JsonBuilder *builder, const char *name, const char *raw)
{
    g_autofree char *text = units_printable(raw, -1);

    build_text(builder, name, text);
}

void
report_add_owner(JsonBuilder *builder, const Vm *vm)
{
    g_autofree char *tags = vm->tags ? units_printable(vm->tags, -1) : NULL;

    build_text(builder, "tags", tags);
    json_builder_set_member_name(builder, "owner");
    if (!vm->owner) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_array(builder);
    for (guint i = 0; i < vm->owner->len; i++) {
        const OwnerWord *word = vm->owner->pdata[i];

        json_builder_begin_object(builder);
        add_printable(builder, "setting", word->name);
        add_printable(builder, "value", word->value);
        build_text(builder, "origin", word->origin);
        build_text(builder, "problem", word->problem);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

GPtrArray *
report_owner_words(JsonObject *vm)
{
    g_autoptr(GPtrArray) objects = report_objects_of(vm, "owner");
    GPtrArray *words = owner_words_new();

    for (guint i = 0; i < objects->len; i++)
        owner_words_add(words, report_text_of(objects->pdata[i], "setting", ""),
                        report_text_of(objects->pdata[i], "value", ""),
                        report_text_of(objects->pdata[i], "origin", "the VM"));
    return words;
}

char *
report_owner_text(JsonObject *vm)
{
    g_autoptr(GPtrArray) objects = report_objects_of(vm, "owner");
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < objects->len; i++) {
        const char *problem = report_text_of(objects->pdata[i], "problem", NULL);

        g_string_append_printf(text, "%s%s=%s", i > 0 ? "; " : "",
                               report_text_of(objects->pdata[i], "setting", "?"),
                               report_text_of(objects->pdata[i], "value", ""));
        if (problem)
            g_string_append_printf(text, " is refused: %s", problem);
        else
            g_string_append_printf(text, " (%s)", report_text_of(objects->pdata[i], "origin", "?"));
    }
    return g_string_free(text, FALSE);
}
