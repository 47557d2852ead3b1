/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "config-file.h"

#include <string.h>

/* The text is parsed on the heap, as long as it is: a sanitizer sees a step too far. */
static ConfigFile *
parse(const char *path, const char *text, GPtrArray *errors)
{
    g_autofree char *copy = g_strdup(text);

    return config_file_parse(path, copy, strlen(copy), g_str_has_prefix(path, "vm.d/"), errors);
}

typedef struct {
    const char *name;
    const char *path, *text; /* a path that begins with vm.d is one of vm.d */
    const char *errors;      /* one a line, "P" stands for path */
} ErrorCase;

#define MATCH "[Match]\nname = web\n"

static const ErrorCase error_cases[] = {
    {"a wrong unit names file, line, section and key", "guardian.conf",
     "# a\n[freeze]\npatience = 10GB\n",
     "P:3: [freeze] patience: \"10GB\" has an unknown unit: use ms, s, m, h or d"},
    {"a negative value is refused", "guardian.conf", "[freeze]\npatience = -5\n",
     "P:2: [freeze] patience: \"-5\" is negative"},
    {"a word is no number", "guardian.conf", "[freeze]\npatience = abc\n",
     "P:2: [freeze] patience: \"abc\" is not a number"},
    {"an unknown key names the one that was meant", "guardian.conf", "[freeze]\npatiense = 9s\n",
     "P:2: unknown key \"patiense\" in [freeze]; did you mean \"patience\"?"},
    {"two letters swapped are understood", "guardian.conf", "[guardian]\nmdoe = observe\n",
     "P:2: unknown key \"mdoe\" in [guardian]; did you mean \"mode\"?"},
    {"an unknown key like no other names none", "guardian.conf", "[freeze]\ncolour = red\n",
     "P:2: unknown key \"colour\" in [freeze]"},
    {"a key of another section is unknown here", "guardian.conf", "[memory]\npatience = 9s\n",
     "P:2: unknown key \"patience\" in [memory]"},
    {"keys are lower case", "guardian.conf", "[freeze]\nPatience = 9s\n",
     "P:2: unknown key \"Patience\" in [freeze]; did you mean \"patience\"?"},
    {"an unknown section is named once, not with each key", "guardian.conf",
     "[frezee]\npatience = 9s\nsettle = 9s\n",
     "P:1: unknown section [frezee]; did you mean [freeze]?"},
    {"an unknown section like no other names none", "guardian.conf", "[network]\n",
     "P:1: unknown section [network]"},
    {"a hostile key is printable", "guardian.conf", "[freeze]\n\033[2J = 1\n",
     "P:2: unknown key \"\\x1b[2J\" in [freeze]"},
    {"a key set twice in a file names both lines", "guardian.conf",
     "[freeze]\npatience = 9s\n[memory]\n[freeze]\npatience = 9s\n",
     "P:5: [freeze] patience: is set in line 2 already"},
    {"all errors are named, in order", "guardian.conf", "[freeze]\npatience = 1\nsettle = x\nfoo\n",
     "P:3: [freeze] settle: \"x\" is not a number\n"
     "P:4: the line is neither [section], key = value nor a comment"},
    {"a comment behind a value is no comment", "guardian.conf",
     "[freeze]\npatience = 9s ; was 20\n",
     "P:2: the line has a comment behind its value: a comment stands on its own line"},
    {"a drop-in is checked, too", "guardian.conf.d/a.conf", "[freeze]\nfoo\n",
     "P:2: the line is neither [section], key = value nor a comment"},
    {"[Match] is not for the host", "guardian.conf", MATCH "[freeze]\npatience = 9s\n",
     "P:1: [Match] belongs in a file of vm.d"},
    {"a file for nobody is an error", "vm.d/a.conf", "[freeze]\npatience = 9s\n",
     "P:1: no VM is named: give name, id, uuid, source, namespace or tag in [Match]"},
    {"an empty file in vm.d is for nobody", "vm.d/a.conf", "",
     "P:1: no VM is named: give name, id, uuid, source, namespace or tag in [Match]"},
    {"an empty [Match] is for nobody", "vm.d/a.conf", "[Match]\n[freeze]\npatience = 9s\n",
     "P:1: no VM is named: give name, id, uuid, source, namespace or tag in [Match]"},
    {"an empty list to match is an error", "vm.d/a.conf", "[Match]\nname = ,\n",
     "P:2: [Match] name: is empty"},
    {"an unknown key in [Match] names the known", "vm.d/a.conf", "[Match]\nnames = web\n",
     "P:2: unknown key \"names\" in [Match]: use name, id, uuid, source, namespace or tag"},
    {"a key given twice in [Match]", "vm.d/a.conf", "[Match]\nid = 1\nid = 2\n",
     "P:3: [Match] id: is given twice"},
    {"a host's setting is not for a VM", "vm.d/a.conf", MATCH "[guardian]\ninclude = web\n",
     "P:4: [guardian] include: is for the whole host, not for single VMs"},
    {"a disk is not for the host", "guardian.conf", "[disk scsi0]\nmbps = 5\n",
     "P:1: [disk scsi0] belongs in a file of vm.d"},
    {"a disk needs a name", "vm.d/a.conf", MATCH "[disk]\nmbps = 5\n",
     "P:3: [disk] names no disk: write [disk NAME]"},
    {"a word that begins like a disk is none", "vm.d/a.conf", MATCH "[disks]\nmbps = 5\n",
     "P:3: unknown section [disks]"},
    {"a disk given twice names both lines", "vm.d/a.conf",
     MATCH "[disk a]\nmbps = 5\n[disk  a]\nmbps = 6\n", "P:5: [disk a] is given twice, see P:3"},
    {"a wrong limit names its line", "vm.d/a.conf", MATCH "[disk a]\nmbps_rd = 5\nmbps_wr = x\n",
     "P:5: [disk a] mbps_wr \"x\" is not a number"},
    {"an unknown limit names its line", "vm.d/a.conf", MATCH "[disk a]\nmbps = 5\nmpbs = 5\n",
     "P:5: [disk a] key \"mpbs\" is no key of [disk]"},
    {"a limit given twice names the second line", "vm.d/a.conf",
     MATCH "[disk a]\nmbps = 5\nmbps = 5\n", "P:5: [disk a] mbps \"5\" is given twice"},
    {"limits that QEMU refuses together name the disk", "vm.d/a.conf",
     MATCH "[disk a]\nmbps = 5\nmbps_wr = 5\n",
     "P:3: [disk a] bps_total stands beside its read or write"},
    {"a VM's file is checked by the same table", "vm.d/a.conf", MATCH "[freeze]\npatience = 2h\n",
     "P:4: [freeze] patience: \"2h\" is out of range: use 1s to 1h"},
};

static void
check_errors(void **state)
{
    const ErrorCase *error_case = *state;
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ConfigFile) file = parse(error_case->path, error_case->text, errors);
    g_auto(GStrv) parts = g_strsplit(error_case->errors, "P:", -1);
    g_autofree char *path = g_strconcat(error_case->path, ":", NULL);
    g_autofree char *expected = g_strjoinv(path, parts);
    g_autofree char *all = NULL;

    assert_non_null(file);
    g_ptr_array_add(errors, NULL);
    all = g_strjoinv("\n", (char **)errors->pdata);
    assert_string_equal(all, expected);
}

typedef struct {
    const char *name;
    const char *match;
    ConfigSubject subject;
    bool matches;
} MatchCase;

#define UUID "0A1b2c3d-0000-1111-2222-333344445555"

static const MatchCase match_cases[] = {
    {"a file is for the VM of its name", "name = web", {.name = "web"}, true},
    {"a file is not for a VM of another name", "name = web", {.name = "web2"}, false},
    {"a file may name many", "name = db, web*", {.name = "web2"}, true},
    {"a file may name an id", "id = 101", {.name = "web", .id = "101"}, true},
    {"a name is not an id", "id = web", {.name = "web", .id = "101"}, false},
    {"a uuid has no case", "uuid = 0a1B2*", {.uuid = UUID}, true},
    {"a name has case", "name = WEB", {.name = "web"}, false},
    {"every key must match",
     "name = web\nsource = proxmox",
     {.name = "web", .source = "bare"},
     false},
    {"every key does match",
     "name = web\nsource = proxmox",
     {.name = "web", .source = "proxmox"},
     true},
    {"a file may name a namespace", "namespace = pro*", {.name = "prod/db", .space = "prod"}, true},
    {"a namespace is not a name", "namespace = prod", {.name = "prod"}, false},
    {"one tag suffices", "tag = web, mail*", {.tags = "prod mail-in"}, true},
    {"a tag is a whole word", "tag = mail", {.tags = "prod mail-in"}, false},
    {"a VM without tags has none", "tag = *", {.name = "web", .tags = ""}, false},
    {"what a VM lacks matches no glob", "uuid = *", {.name = "web"}, false},
    {"a name of broken UTF-8 is matched",
     "name = w*b",
     {.name = "w\xff\n\x1b"
              "b"},
     true},
};

static void
check_match(void **state)
{
    const MatchCase *match_case = *state;
    g_autofree char *text = g_strdup_printf("[Match]\n%s\n", match_case->match);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ConfigFile) file = parse("vm.d/a.conf", text, errors);

    assert_int_equal(errors->len, 0);
    assert_int_equal(config_file_applies(file, &match_case->subject), match_case->matches);
    assert_false(config_file_applies(file, NULL));
}

static void
a_file_of_the_host_is_for_every_vm(void **state)
{
    const ConfigSubject web = {.name = "web"};
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ConfigFile) file = parse("guardian.conf", "", errors);

    assert_true(config_file_applies(file, &web));
    assert_true(config_file_applies(file, NULL));
}

static void
values_keep_their_text_and_line(void **state)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ConfigFile) file =
        parse("guardian.conf", "[freeze]\n\npatience = 90\n[guardian]\ninclude =\n", errors);
    const ConfigValue *patience = config_file_find(file, setting_find("freeze", "patience"));
    const ConfigValue *include = config_file_find(file, setting_find("guardian", "include"));

    assert_int_equal(errors->len, 0);
    assert_non_null(patience);
    assert_string_equal(patience->text, "90");
    assert_int_equal(patience->line, 3);
    assert_non_null(include);
    assert_string_equal(include->text, "");
    assert_null(config_file_find(file, setting_find("guardian", "exclude")));
}

int
main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_file_of_the_host_is_for_every_vm),
        cmocka_unit_test(values_keep_their_text_and_line),
    };
    struct CMUnitTest
        tests[G_N_ELEMENTS(plain) + G_N_ELEMENTS(error_cases) + G_N_ELEMENTS(match_cases)];
    guint n_tests = 0;

    for (guint i = 0; i < G_N_ELEMENTS(plain); i++)
        tests[n_tests++] = plain[i];
    for (guint i = 0; i < G_N_ELEMENTS(error_cases); i++)
        tests[n_tests++] = t_row(error_cases[i].name, check_errors, &error_cases[i]);
    for (guint i = 0; i < G_N_ELEMENTS(match_cases); i++)
        tests[n_tests++] = t_row(match_cases[i].name, check_match, &match_cases[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
