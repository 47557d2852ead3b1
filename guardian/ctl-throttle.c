/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-text.h"
#include "ctl.h"

#include "report-build.h"
#include "throttle-text.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

/* guardianctl throttle normalize FORM TEXT                canonical text on stdout
 *             throttle diff FORM-A TEXT-A FORM-B TEXT-B   the fields that differ on stdout
 *
 * Offline. Notes go to stderr, so that stdout is for scripts. */

#define USAGE "usage: guardianctl throttle normalize FORM TEXT | diff FORM TEXT FORM TEXT"

static const char help_text[] =
    "Usage: guardianctl throttle normalize FORM TEXT\n"
    "       guardianctl throttle diff FORM-A TEXT-A FORM-B TEXT-B\n"
    "Read the limits of a disk in one form, or compare two by their effect (offline).\n\n"
    "  normalize  print the canonical text, in the same form\n"
    "  diff       print the fields that differ: bytes/s, operations/s, seconds\n\n"
    "FORM is one of\n"
    "  proxmox    a drive string: local-lvm:vm-102-disk-0,iothread=1,mbps_wr=60\n"
    "  qemu       JSON: inserted of query-block, or limits of a throttle-group\n"
    "  libvirt    an <iotune> element\n"
    "  policy     keyfile lines: [disk scsi0], below it mbps_wr = 60, iops_rd = 500\n"
    "TEXT is the text itself, @FILE, or - for standard input.\n\n"
    "  --json     {\"schema\": 1, \"form\": ..., \"limits\": {...}, \"notes\": [...]};\n"
    "             0 is no limit; the length of a burst is 1 unless given;\n"
    "             diff: is_equal, differences [{\"field\", \"a\", \"b\"}], and both sides\n\n"
    "60, 60.0 and 62914560 bytes are equal; an alias is its key, a default is absent.\n"
    "What the owner of a form refuses is refused with its reason. What is worth a\n"
    "word (without effect, refused by QEMU, no word for it in the other form) is a\n"
    "note on stderr.\n"
    "Exit status: 0 read, or equal in effect; 1 differs; 2 unreadable or wrong usage.\n";

/* NULL after a line on stderr. */
static Throttle *
side_read(const char *form_name, const char *word)
{
    g_autofree char *text = NULL;
    g_autofree char *printable = NULL;
    g_autoptr(GError) error = NULL;
    ThrottleForm form;
    gsize length;
    Throttle *throttle;

    if (!throttle_form_find(form_name, &form)) {
        printable = units_printable(form_name, -1);
        ctl_fail("throttle: \"%s\" is no form: use proxmox, qemu, libvirt or policy", printable);
        return NULL;
    }
    text = ctl_text_read("throttle", word, &length);
    if (text == NULL)
        return NULL;
    throttle = throttle_text_parse(form, text, length, &error);
    if (throttle == NULL)
        ctl_fail("throttle: %s: %s", form_name, error->message);
    return throttle;
}

static void
build_field(JsonBuilder *builder, const char *name, const Throttle *throttle, guint field)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)throttle->fields[field]);
}

static void
build_side(JsonBuilder *builder, gconstpointer side)
{
    const Throttle *throttle = side;
    g_autofree char *canonical = g_strchomp(throttle_text_print(throttle));

    build_text(builder, "form", throttle_form_name(throttle->form));
    build_text(builder, "canonical", canonical);
    json_builder_set_member_name(builder, "limits");
    json_builder_begin_object(builder);
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        build_field(builder, throttle_field_name(i), throttle, i);
    build_text(builder, "group", throttle->group);
    json_builder_end_object(builder);
    ctl_text_build_notes(builder, throttle->notes);
}

static int
run_normalize(bool is_json, const char *form, const char *word)
{
    g_autoptr(Throttle) throttle = side_read(form, word);
    g_autofree char *canonical = NULL;

    if (throttle == NULL)
        return 2;
    if (is_json) {
        ctl_text_print_side_json(build_side, throttle);
        return 0;
    }
    canonical = throttle_text_print(throttle);
    fputs(canonical, stdout);
    ctl_text_print_notes("", throttle->notes);
    return 0;
}

/* What one side says and the other has no word for. */
static void
note_inexpressible(const Throttle *said, const Throttle *other, GPtrArray *notes)
{
    Throttle view = *said;
    g_auto(GStrv) pairs = NULL;

    view.is_group_object = other->is_group_object;
    /* Only for its notes. */
    pairs = throttle_print(other->form, &view, notes);
}

static void
build_differences(JsonBuilder *builder, gconstpointer side_a, gconstpointer side_b)
{
    const Throttle *a = side_a, *b = side_b;

    for (guint i = 0; i < THROTTLE_N_FIELDS; i++) {
        if (!throttle_field_differs(a, b, i))
            continue;
        json_builder_begin_object(builder);
        build_text(builder, "field", throttle_field_name(i));
        build_field(builder, "a", a, i);
        build_field(builder, "b", b, i);
        json_builder_end_object(builder);
    }
    if (throttle_group_differs(a, b)) {
        json_builder_begin_object(builder);
        build_text(builder, "field", "group");
        build_text(builder, "a", a->group);
        build_text(builder, "b", b->group);
        json_builder_end_object(builder);
    }
}

static void
print_differences(const Throttle *a, const Throttle *b)
{
    g_autofree char *group_a = units_printable(a->group != NULL ? a->group : "-", -1);
    g_autofree char *group_b = units_printable(b->group != NULL ? b->group : "-", -1);

    if (throttle_equal(a, b)) {
        printf("equal in effect\n");
        return;
    }
    printf("%-24s %20s %20s\n", "field", throttle_form_name(a->form), throttle_form_name(b->form));
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        if (throttle_field_differs(a, b, i))
            printf("%-24s %20" G_GUINT64_FORMAT " %20" G_GUINT64_FORMAT "\n",
                   throttle_field_name(i), a->fields[i], b->fields[i]);
    if (throttle_group_differs(a, b))
        printf("%-24s %20s %20s\n", "group", group_a, group_b);
}

static int
run_diff(bool is_json, char **words)
{
    g_autoptr(Throttle) a = NULL, b = NULL;
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);

    if (strcmp(words[1], "-") == 0 && strcmp(words[3], "-") == 0)
        return ctl_fail("throttle: only one TEXT can be standard input");
    a = side_read(words[0], words[1]);
    b = a != NULL ? side_read(words[2], words[3]) : NULL;
    if (b == NULL)
        return 2;
    note_inexpressible(a, b, notes);
    note_inexpressible(b, a, notes);
    if (is_json) {
        const CtlTextDiff diff = {a, b, throttle_equal(a, b), build_side, build_differences, notes};

        ctl_text_print_diff_json(&diff);
    } else {
        print_differences(a, b);
        ctl_text_print_notes("A", a->notes);
        ctl_text_print_notes("B", b->notes);
        ctl_text_print_notes("", notes);
    }
    return throttle_equal(a, b) ? 0 : 1;
}

int
ctl_throttle(const CtlOptions *options, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        fputs(help_text, stdout);
        return 0;
    }
    if (strcmp(verb, "normalize") == 0 && argc == 4)
        return run_normalize(options->is_json, argv[2], argv[3]);
    if (strcmp(verb, "diff") == 0 && argc == 6)
        return run_diff(options->is_json, argv + 2);
    return ctl_fail(USAGE);
}
