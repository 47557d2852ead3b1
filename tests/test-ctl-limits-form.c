/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "run-ctl.h"

#include <string.h>

#define FORMS "use proxmox, systemd, cgroup2, cgroup1, libvirt, kubernetes or policy\n"
#define USAGE                                                                                      \
    "guardianctl: usage: guardianctl limits normalize|diff [--total SIZE] FORM TEXT [FORM TEXT]; " \
    "see --help\n"

static const RunRow rows[] = {
    {"a limit becomes canonical", {"normalize", "systemd", "1.5G"}, 0, "MemoryMax=1536M\n", ""},
    {"notes go to stderr",
     {"normalize", "cgroup2", "4097"},
     0,
     "4096\n",
     "note: 4097 bytes are no whole pages: the kernel takes them as 4096\n"},
    {"a share is of the total",
     {"normalize", "--total", "16Gi", "systemd", "50%"},
     0,
     "MemoryMax=8G\n",
     ""},
    {"-1 is a text", {"normalize", "cgroup1", "-1"}, 0, "9223372036854771712\n", ""},
    {"equal in effect is 0",
     {"diff", "libvirt", "<hard_limit>2097152</hard_limit>", "kubernetes", "2Gi"},
     0,
     "equal in effect\n",
     ""},
    {"a difference is 1",
     {"diff", "systemd", "2G", "cgroup2", "max"},
     1,
     "field                                 systemd              cgroup2\n"
     "memory_bytes                       2147483648            unlimited\n",
     ""},
    {"what one form cannot say is said",
     {"diff", "proxmox", "memory: 2048", "cgroup2", "2147487744"},
     1,
     "field                                 proxmox              cgroup2\n"
     "memory_bytes                       2147483648           2147487744\n",
     "note: A: Proxmox limits no VM's memory: this is what its guest gets\n"
     "note: proxmox has no word for 2147487744 bytes\n"},
    {"a refused text is 2 with the reason",
     {"normalize", "systemd", "50%"},
     2,
     "",
     "guardianctl: limits: systemd: \"50%\" is a share of the host's memory, which must be told, "
     "too\n"},
    {"a refused side is 2",
     {"diff", "cgroup2", "max", "kubernetes", "2GB"},
     2,
     "",
     "guardianctl: limits: kubernetes: \"2GB\" has an unknown unit: use Ki, Mi, Gi, k, M, G, "
     "...\n"},
    {"an unknown form is named",
     {"normalize", "xen", "5"},
     2,
     "",
     "guardianctl: limits: \"xen\" is no form: " FORMS},
    {"a file that is not there is named",
     {"normalize", "cgroup2", "@/nonexistent/limit"},
     2,
     "",
     "guardianctl: limits: /nonexistent/limit: No such file or directory\n"},
    {"standard input is read once",
     {"diff", "cgroup2", "-", "policy", "-"},
     2,
     "",
     "guardianctl: limits: only one TEXT can be standard input\n"},
    {"the total needs a size",
     {"normalize", "--total"},
     2,
     "",
     "guardianctl: limits: --total needs a size, such as 64Gi\n"},
    {"a total of 0 knows nothing",
     {"normalize", "--total", "0", "systemd", "50%"},
     2,
     "",
     "guardianctl: limits: --total is no memory\n"},
    {"a text is missing", {"normalize", "cgroup2"}, 2, "", USAGE},
    {"one text too many", {"normalize", "cgroup2", "max", "max"}, 2, "", USAGE},
    {"a side is missing", {"diff", "cgroup2", "max"}, 2, "", USAGE},
};

static void
check(void **state)
{
    run_check(ctl_limits, "limits", *state);
}

static void
no_limit_is_null_for_programs(void **state)
{
    static const char *const words[] = {"normalize", "cgroup2", "max", NULL};
    g_auto(Run) run = run_verb_words(ctl_limits, "limits", true, words);
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *object = run_json(parser, &run);
    JsonObject *limits = json_object_get_object_member(object, "limits");

    assert_int_equal(json_object_get_int_member(object, "schema"), 1);
    assert_string_equal(json_object_get_string_member(object, "form"), "cgroup2");
    assert_string_equal(json_object_get_string_member(object, "canonical"), "max");
    assert_true(json_object_get_null_member(limits, "memory_bytes"));
    assert_int_equal(run.status, 0);
}

static void
a_difference_has_both_sides_for_programs(void **state)
{
    static const char *const words[] = {"diff", "cgroup2", "8192", "systemd", "infinity", NULL};
    g_auto(Run) run = run_verb_words(ctl_limits, "limits", true, words);
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *object = run_json(parser, &run);
    JsonArray *differences = json_object_get_array_member(object, "differences");
    JsonObject *difference = json_array_get_object_element(differences, 0);

    assert_false(json_object_get_boolean_member(object, "is_equal"));
    assert_int_equal(json_array_get_length(differences), 1);
    assert_string_equal(json_object_get_string_member(difference, "field"), "memory_bytes");
    assert_int_equal(json_object_get_int_member(difference, "a"), 8192);
    assert_true(json_object_get_null_member(difference, "b"));
    assert_int_equal(run.status, 1);
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(no_limit_is_null_for_programs),
        cmocka_unit_test(a_difference_has_both_sides_for_programs),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, check, &rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        tests[n++] = others[i];
    return cmocka_run_group_tests_name("ctl limits form", tests, NULL, NULL);
}
