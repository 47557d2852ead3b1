/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* guardianctl limits normalize [--total SIZE] FORM TEXT               canonical text on stdout
 *             limits diff [--total SIZE] FORM-A TEXT-A FORM-B TEXT-B  the two limits on stdout
 *
 * Offline. Options stand before FORM: a TEXT may be -1, or - for standard input. */

#include "ctl-limits-form.h"

#include "ctl-text.h"
#include "memory-limit-text.h"
#include "report-build.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

#define USAGE                                                                                      \
    "usage: guardianctl limits normalize|diff [--total SIZE] FORM TEXT [FORM TEXT]; see --help"
#define TOTAL "--total"

/* NULL after a line on stderr. */
static MemoryLimit *
side_read(const char *form_name, const char *word, guint64 total_bytes)
{
    g_autofree char *printable = units_printable(form_name, -1);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    MemoryLimitForm form;
    MemoryLimit *limit;
    gsize length;

    if (!memory_limit_form_find(form_name, &form)) {
        ctl_fail("limits: \"%s\" is no form: use proxmox, systemd, cgroup2, cgroup1, libvirt, "
                 "kubernetes or policy",
                 printable);
        return NULL;
    }
    text = ctl_text_read("limits", word, &length);
    if (!text)
        return NULL;
    limit = memory_limit_text_parse(form, text, length, total_bytes, &error);
    if (!limit)
        ctl_fail("limits: %s: %s", form_name, error->message);
    return limit;
}

static void
build_bytes(JsonBuilder *builder, const char *name, const MemoryLimit *limit)
{
    json_builder_set_member_name(builder, name);
    if (limit->is_limited)
        json_builder_add_int_value(builder, (gint64)limit->bytes);
    else
        json_builder_add_null_value(builder);
}

static void
build_side(JsonBuilder *builder, gconstpointer side)
{
    const MemoryLimit *limit = side;
    g_autofree char *canonical = memory_limit_text_print(limit);

    build_text(builder, "form", memory_limit_form_name(limit->form));
    build_text(builder, "canonical", canonical);
    json_builder_set_member_name(builder, "limits");
    json_builder_begin_object(builder);
    build_bytes(builder, "memory_bytes", limit);
    json_builder_end_object(builder);
    ctl_text_build_notes(builder, limit->notes);
}

static int
run_normalize(bool is_json, guint64 total_bytes, char **words)
{
    g_autoptr(MemoryLimit) limit = side_read(words[0], words[1], total_bytes);
    g_autofree char *canonical = NULL;

    if (!limit)
        return 2;
    if (is_json) {
        ctl_text_print_side_json(build_side, limit);
        return 0;
    }
    canonical = memory_limit_text_print(limit);
    printf("%s\n", canonical);
    ctl_text_print_notes("", limit->notes);
    return 0;
}

static void
build_differences(JsonBuilder *builder, gconstpointer a, gconstpointer b)
{
    if (memory_limit_equal(a, b))
        return;
    json_builder_begin_object(builder);
    build_text(builder, "field", "memory_bytes");
    build_bytes(builder, "a", a);
    build_bytes(builder, "b", b);
    json_builder_end_object(builder);
}

/* "2147483648", "unlimited"; a new string. */
static char *
bytes_text(const MemoryLimit *limit)
{
    return limit->is_limited ? g_strdup_printf("%" G_GUINT64_FORMAT, limit->bytes)
                             : g_strdup("unlimited");
}

static void
print_differences(const MemoryLimit *a, const MemoryLimit *b)
{
    g_autofree char *bytes_a = bytes_text(a);
    g_autofree char *bytes_b = bytes_text(b);

    if (memory_limit_equal(a, b)) {
        printf("equal in effect\n");
        return;
    }
    printf("%-24s %20s %20s\n", "field", memory_limit_form_name(a->form),
           memory_limit_form_name(b->form));
    printf("%-24s %20s %20s\n", "memory_bytes", bytes_a, bytes_b);
}

static int
run_diff(bool is_json, guint64 total_bytes, char **words)
{
    g_autoptr(MemoryLimit) a = NULL, b = NULL;
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *as_b = NULL, *as_a = NULL;

    if (strcmp(words[1], "-") == 0 && strcmp(words[3], "-") == 0)
        return ctl_fail("limits: only one TEXT can be standard input");
    a = side_read(words[0], words[1], total_bytes);
    b = a ? side_read(words[2], words[3], total_bytes) : NULL;
    if (!b)
        return 2;
    as_b = memory_limit_print(b->form, a, notes); /* only for the notes */
    as_a = memory_limit_print(a->form, b, notes);
    if (is_json) {
        const CtlTextDiff diff = {a,    b, memory_limit_equal(a, b), build_side, build_differences,
                                  notes};

        ctl_text_print_diff_json(&diff);
    } else {
        print_differences(a, b);
        ctl_text_print_notes("A", a->notes);
        ctl_text_print_notes("B", b->notes);
        ctl_text_print_notes("", notes);
    }
    return memory_limit_equal(a, b) ? 0 : 1;
}

/* Of --total; words behind it in *ret_words. */
static int
total_read(int argc, char **argv, guint64 *ret_total_bytes, int *ret_words)
{
    const char *wrong;

    *ret_words = 2;
    if (argc < 3 || strcmp(argv[2], TOTAL) != 0)
        return 0;
    wrong = argc > 3 ? units_parse_size(argv[3], ret_total_bytes) : "needs a size, such as 64Gi";
    if (!wrong && *ret_total_bytes == 0)
        wrong = "is no memory";
    if (wrong)
        return ctl_fail("limits: " TOTAL " %s", wrong);
    *ret_words = 4;
    return 0;
}

bool
ctl_limits_form_is(const char *word)
{
    return strcmp(word, "normalize") == 0 || strcmp(word, "diff") == 0;
}

int
ctl_limits_form(const CtlOptions *options, int argc, char **argv)
{
    bool is_diff = strcmp(argv[1], "diff") == 0;
    guint64 total_bytes = 0;
    int begin = 0;

    if (total_read(argc, argv, &total_bytes, &begin) != 0)
        return 2;
    if (argc - begin != (is_diff ? 4 : 2))
        return ctl_fail(USAGE);
    return is_diff ? run_diff(options->is_json, total_bytes, argv + begin)
                   : run_normalize(options->is_json, total_bytes, argv + begin);
}
