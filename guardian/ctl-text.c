/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-text.h"

#include "ctl.h"
#include "units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* As long as a line of a monitor may be: `inserted` grows with the backing chain. */
#define TEXT_BYTES_MAX (10 * 1024 * 1024)

/* Of stdin or a file, also one without size or end. NULL, and *ret_wrong a phrase. */
static char *
stream_read(FILE *stream, gsize *ret_length, const char **ret_wrong)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[65536];
    size_t length;

    while ((length = fread(buffer, 1, sizeof buffer, stream)) > 0) {
        g_string_append_len(text, buffer, (gssize)length);
        if (text->len > TEXT_BYTES_MAX) {
            *ret_wrong = "is larger than 10 MiB";
            return NULL;
        }
    }
    if (ferror(stream)) {
        *ret_wrong = g_strerror(errno);
        return NULL;
    }
    *ret_length = text->len;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* TEXT, @FILE or -. NULL, and *ret_wrong a phrase. */
static char *
word_read(const char *word, gsize *ret_length, const char **ret_wrong)
{
    FILE *file;
    char *text;

    if (strcmp(word, "-") == 0)
        return stream_read(stdin, ret_length, ret_wrong);
    if (*word != '@') {
        *ret_length = strlen(word);
        return g_strdup(word);
    }
    file = fopen(word + 1, "re");
    if (file == NULL) {
        *ret_wrong = g_strerror(errno);
        return NULL;
    }
    text = stream_read(file, ret_length, ret_wrong);
    fclose(file);
    return text;
}

char *
ctl_text_read(const char *verb, const char *word, gsize *ret_length)
{
    const char *wrong = NULL;
    char *text = word_read(word, ret_length, &wrong);
    g_autofree char *printable = NULL;

    if (text != NULL)
        return text;
    printable = units_printable(*word == '@' ? word + 1 : "standard input", -1);
    ctl_fail("%s: %s: %s", verb, printable, wrong);
    return NULL;
}

void
ctl_text_print_notes(const char *about, const GPtrArray *notes)
{
    for (guint i = 0; i < notes->len; i++)
        fprintf(stderr, "note: %s%s%s\n", about, *about ? ": " : "", (char *)notes->pdata[i]);
}

void
ctl_text_build_notes(JsonBuilder *builder, const GPtrArray *notes)
{
    json_builder_set_member_name(builder, "notes");
    json_builder_begin_array(builder);
    for (guint i = 0; i < notes->len; i++)
        json_builder_add_string_value(builder, notes->pdata[i]);
    json_builder_end_array(builder);
}

void
ctl_text_print_side_json(CtlTextBuildFunc build_side, gconstpointer side)
{
    g_autoptr(JsonBuilder) builder = ctl_begin_json();

    build_side(builder, side);
    ctl_end_json(builder);
}

void
ctl_text_print_diff_json(const CtlTextDiff *diff)
{
    const struct {
        const char *name;
        gconstpointer side;
    } sides[] = {{"a", diff->a}, {"b", diff->b}};
    g_autoptr(JsonBuilder) builder = ctl_begin_json();

    json_builder_set_member_name(builder, "is_equal");
    json_builder_add_boolean_value(builder, diff->is_equal);
    json_builder_set_member_name(builder, "differences");
    json_builder_begin_array(builder);
    diff->build_differences(builder, diff->a, diff->b);
    json_builder_end_array(builder);
    for (guint i = 0; i < G_N_ELEMENTS(sides); i++) {
        json_builder_set_member_name(builder, sides[i].name);
        json_builder_begin_object(builder);
        diff->build_side(builder, sides[i].side);
        json_builder_end_object(builder);
    }
    ctl_text_build_notes(builder, diff->notes);
    ctl_end_json(builder);
}
