/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fd.h"
#include "run-ctl.h"

#include <string.h>
#include <sys/mman.h>

#define ZEROS "\"bps\":0,\"bps_rd\":0,\"iops\":0,\"iops_rd\":0,\"iops_wr\":0"
#define WRITE_60 "{" ZEROS ",\"bps_wr\":62914560}"

static const RunRow rows[] = {
    {"a drive string becomes canonical",
     {"normalize", "proxmox", "size=1024M,mbps_wr=60.0,local:1\n"},
     0,
     "local:1,mbps_wr=60,size=1G\n",
     ""},
    {"notes go to stderr",
     {"normalize", "proxmox", "local:1,bps=5"},
     0,
     "local:1\n",
     "note: bps is no limit at all in Proxmox, whatever its value: use mbps\n"},
    {"inserted becomes canonical",
     {"normalize", "qemu", "{\"node-name\":\"x\"," ZEROS ",\"bps_wr\":5}"},
     0,
     "{\"bps\":0,\"bps_rd\":0,\"bps_wr\":5,\"iops\":0,\"iops_rd\":0,\"iops_wr\":0}\n",
     ""},
    {"iotune becomes canonical",
     {"normalize", "libvirt",
      "<iotune><read_iops_sec>07</read_iops_sec><write_iops_sec>0</write_iops_sec></iotune>"},
     0,
     "<iotune>\n  <read_iops_sec>7</read_iops_sec>\n</iotune>\n",
     ""},
    {"lines become canonical",
     {"normalize", "policy", "# why\n[disk scsi0]\nbps_wr = 60M\n"},
     0,
     "[disk scsi0]\nmbps_wr = 60\n",
     ""},
    {"lines need no head", {"normalize", "policy", "mbps_wr=60"}, 0, "mbps_wr = 60\n", ""},
    {"a head may share the line",
     {"normalize", "policy", "[disk scsi0] mbps_wr = 60"},
     0,
     "[disk scsi0]\nmbps_wr = 60\n",
     ""},
    {"equal in effect is 0",
     {"diff", "policy", "mbps_wr = 60.0", "qemu", WRITE_60},
     0,
     "equal in effect\n",
     ""},
    {"a difference is 1",
     {"diff", "proxmox", "local:1,mbps_wr=61", "qemu", WRITE_60},
     1,
     "field                                 proxmox                 qemu\n"
     "bps_write                            63963136             62914560\n",
     ""},
    {"a group is a difference",
     {"diff", "policy", "iops = 5\ngroup = web", "libvirt",
      "<iotune><total_iops_sec>5</total_iops_sec></iotune>"},
     1,
     "field                                  policy              libvirt\n"
     "group                                     web                    -\n",
     ""},
    {"what one form cannot say is said",
     {"diff", "policy", "iops = 5\niops_size = 4K", "proxmox", "local:1,iops=5"},
     1,
     "field                                  policy              proxmox\n"
     "iops_size_bytes                          4096                    0\n",
     "note: a drive string of Proxmox has no word for iops_size_bytes\n"},
    {"notes name their side",
     {"diff", "proxmox", "iops=5", "proxmox", "local:1,iops=5,heads=1"},
     0,
     "equal in effect\n",
     "note: A: there is no volume: Proxmox refuses such a drive\n"
     "note: B: heads is dropped: Proxmox does not read it\n"},
    {"a refused text is 2 with the reason",
     {"normalize", "proxmox", "local:1,mbps=5,mbps_rd=5"},
     2,
     "",
     "guardianctl: throttle: proxmox: mbps stands beside mbps_rd\n"},
    {"a refused side is 2",
     {"diff", "policy", "mbps=5", "libvirt", "<iotune>"},
     2,
     "",
     "guardianctl: throttle: libvirt: Error on line 1 char 9: Document ended unexpectedly with "
     "elements still open \xe2\x80\x94 \xe2\x80\x9ciotune\xe2\x80\x9d was the last element "
     "opened\n"},
    {"text that is no JSON is 2",
     {"normalize", "qemu", "bps=5"},
     2,
     "",
     "guardianctl: throttle: qemu: malformed line: not an object\n"},
    {"a bad line is named",
     {"normalize", "policy", "mbps = 5\nmbps"},
     2,
     "",
     "guardianctl: throttle: policy: line 2 is neither [section], key = value nor a comment\n"},
    {"a comment behind a value is refused",
     {"normalize", "policy", "mbps = 5 # was 6"},
     2,
     "",
     "guardianctl: throttle: policy: line 1 has a comment behind its value: a comment stands on "
     "its own line\n"},
    {"another section is refused",
     {"normalize", "policy", "[freeze]\npatience = 5"},
     2,
     "",
     "guardianctl: throttle: policy: holds a section that is no [disk NAME]\n"},
    {"a section that only begins like disk is refused",
     {"normalize", "policy", "[diskette]\nmbps = 5"},
     2,
     "",
     "guardianctl: throttle: policy: holds a section that is no [disk NAME]\n"},
    {"two disks are refused",
     {"normalize", "policy", "[disk a]\nmbps = 5\n[disk b]\nmbps = 6"},
     2,
     "",
     "guardianctl: throttle: policy: holds more than one disk\n"},
    {"a disk with a bracket in its name is refused",
     {"normalize", "policy", "[disk [a]]\nmbps = 5"},
     2,
     "",
     "guardianctl: throttle: policy: holds a bracket in the name of a disk\n"},
    {"disk is no key",
     {"normalize", "policy", "disk = a"},
     2,
     "",
     "guardianctl: throttle: policy: key \"disk\" is no key of [disk]\n"},
    {"bytes that are no text are refused",
     {"normalize", "proxmox", "local:\xff"},
     2,
     "",
     "guardianctl: throttle: proxmox: is not UTF-8 text\n"},
    {"nor does one in XML",
     {"normalize", "libvirt", "<\x1b[31m/>"},
     2,
     "",
     "guardianctl: throttle: libvirt: Error on line 1 char 8: \xe2\x80\x9c\\x1b[31m\xe2\x80\x9d is "
     "not a valid name\n"},
    {"an escape sequence does not reach the terminal",
     {"normalize", "policy", "\x1b[31m = 5"},
     2,
     "",
     "guardianctl: throttle: policy: key \"\\x1b[31m\" is no key of [disk]\n"},
    {"an unknown form is named",
     {"normalize", "xen", "x"},
     2,
     "",
     "guardianctl: throttle: \"xen\" is no form: use proxmox, qemu, libvirt or policy\n"},
    {"a file that is not there is named",
     {"normalize", "proxmox", "@/nonexistent/drive"},
     2,
     "",
     "guardianctl: throttle: /nonexistent/drive: No such file or directory\n"},
    {"a file without end is refused",
     {"normalize", "proxmox", "@/dev/zero"},
     2,
     "",
     "guardianctl: throttle: /dev/zero: is larger than 10 MiB\n"},
    {"a directory is refused",
     {"normalize", "proxmox", "@/"},
     2,
     "",
     "guardianctl: throttle: /: Is a directory\n"},
    {"standard input is read once",
     {"diff", "proxmox", "-", "qemu", "-"},
     2,
     "",
     "guardianctl: throttle: only one TEXT can be standard input\n"},
};

static void
check(void **state)
{
    run_check(ctl_throttle, "throttle", *state);
}

static void
normalize_gives_programs_every_field(void **state)
{
    static const char *const words[] = {
        "normalize", "libvirt",
        "<iotune><write_bytes_sec>5</write_bytes_sec><write_bytes_sec_max>9</write_bytes_sec_max>"
        "<write_bytes_sec_max_length>3</write_bytes_sec_max_length><group_name>web</group_name>"
        "<x>1</x></iotune>",
        NULL};
    static const char *const fields[] = {"bps_total",  "bps_read",  "bps_write",
                                         "iops_total", "iops_read", "iops_write"};
    g_autoptr(JsonParser) parser = json_parser_new();
    g_auto(Run) run = run_verb_words(ctl_throttle, "throttle", true, words);
    JsonObject *root = run_json(parser, &run);
    JsonObject *limits = json_object_get_object_member(root, "limits");

    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
    assert_int_equal(json_object_get_int_member(root, "schema"), 1);
    assert_string_equal(json_object_get_string_member(root, "form"), "libvirt");
    assert_int_equal(json_object_get_size(limits), 20);
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_autofree char *max = g_strconcat(fields[i], "_max", NULL);
        g_autofree char *length = g_strconcat(max, "_length_s", NULL);
        bool is_write = strcmp(fields[i], "bps_write") == 0;

        assert_int_equal(json_object_get_int_member(limits, fields[i]), is_write ? 5 : 0);
        assert_int_equal(json_object_get_int_member(limits, max), is_write ? 9 : 0);
        assert_int_equal(json_object_get_int_member(limits, length), is_write ? 3 : 1);
    }
    assert_int_equal(json_object_get_int_member(limits, "iops_size_bytes"), 0);
    assert_string_equal(json_object_get_string_member(limits, "group"), "web");
    assert_string_equal(
        json_array_get_string_element(json_object_get_array_member(root, "notes"), 0),
        "x is no element libvirt knows: it is skipped");
}

static void
no_group_is_null(void **state)
{
    static const char *const words[] = {"normalize", "policy", "mbps_wr = 60", NULL};
    g_autoptr(JsonParser) parser = json_parser_new();
    g_auto(Run) run = run_verb_words(ctl_throttle, "throttle", true, words);
    JsonObject *root = run_json(parser, &run);

    assert_true(
        json_object_get_null_member(json_object_get_object_member(root, "limits"), "group"));
    assert_int_equal(json_array_get_length(json_object_get_array_member(root, "notes")), 0);
    assert_string_equal(json_object_get_string_member(root, "canonical"), "mbps_wr = 60");
}

static void
diff_gives_programs_the_differing_fields(void **state)
{
    static const char *const words[] = {"diff", "policy", "iops = 5\nmbps_wr = 60\ngroup = web",
                                        "qemu", WRITE_60, NULL};
    g_autoptr(JsonParser) parser = json_parser_new();
    g_auto(Run) run = run_verb_words(ctl_throttle, "throttle", true, words);
    JsonObject *root = run_json(parser, &run);
    JsonArray *differences = json_object_get_array_member(root, "differences");
    JsonObject *iops = json_array_get_object_element(differences, 0);
    JsonObject *group = json_array_get_object_element(differences, 1);

    assert_int_equal(run.status, 1);
    assert_false(json_object_get_boolean_member(root, "is_equal"));
    assert_int_equal(json_array_get_length(differences), 2);
    assert_string_equal(json_object_get_string_member(iops, "field"), "iops_total");
    assert_int_equal(json_object_get_int_member(iops, "a"), 5);
    assert_int_equal(json_object_get_int_member(iops, "b"), 0);
    assert_string_equal(json_object_get_string_member(group, "field"), "group");
    assert_string_equal(json_object_get_string_member(group, "a"), "web");
    assert_true(json_object_get_null_member(group, "b"));
    assert_string_equal(
        json_object_get_string_member(json_object_get_object_member(root, "b"), "form"), "qemu");
}

static void
equal_is_a_boolean_and_0(void **state)
{
    static const char *const words[] = {"diff", "policy", "mbps_wr = 60", "qemu", WRITE_60, NULL};
    g_autoptr(JsonParser) parser = json_parser_new();
    g_auto(Run) run = run_verb_words(ctl_throttle, "throttle", true, words);
    JsonObject *root = run_json(parser, &run);

    assert_int_equal(run.status, 0);
    assert_true(json_object_get_boolean_member(root, "is_equal"));
    assert_int_equal(json_array_get_length(json_object_get_array_member(root, "differences")), 0);
}

static void
a_file_is_read(void **state)
{
    auto_fd fd = memfd_create("drive", MFD_CLOEXEC);
    g_autofree char *word = g_strdup_printf("@/proc/self/fd/%d", fd);
    const char *words[] = {"normalize", "proxmox", word, NULL};

    assert_int_equal(write(fd, "local:1,iops=007\n", 17), 17);
    g_auto(Run) run = run_verb_words(ctl_throttle, "throttle", false, words);
    assert_string_equal(run.err, "");
    assert_string_equal(run.out, "local:1,iops=7\n");
}

static void
the_help_fits_one_screen(void **state)
{
    static const char *const words[] = {"--help", NULL};
    g_auto(Run) run = run_verb_words(ctl_throttle, "throttle", false, words);
    g_auto(GStrv) lines = g_strsplit(run.out, "\n", -1);

    assert_int_equal(run.status, 0);
    /* Behind the last newline is nothing. */
    assert_int_equal(g_strv_length(lines), 23 + 1);
    for (guint i = 0; lines[i] != NULL; i++)
        assert_true(strlen(lines[i]) <= 80);
    assert_true(g_str_has_prefix(run.out, "Usage: guardianctl throttle normalize FORM TEXT\n"));
    assert_non_null(strstr(run.out, "Exit status: 0 read, or equal in effect; 1 differs; 2 "));
}

static void
wrong_usage_is_one_line_and_two(void **state)
{
    static const char *const wrong[][6] = {
        {NULL},
        {"normalize"},
        {"normalize", "proxmox"},
        {"diff", "proxmox", "a"},
        {"frobnicate"},
        {"normalize", "proxmox", "a", "b"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_auto(Run) run = run_verb_words(ctl_throttle, "throttle", false, wrong[i]);

        assert_int_equal(run.status, 2);
        assert_string_equal(run.out, "");
        assert_string_equal(run.err, "guardianctl: usage: guardianctl throttle normalize FORM TEXT "
                                     "| diff FORM TEXT FORM TEXT\n");
    }
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(normalize_gives_programs_every_field),
        cmocka_unit_test(no_group_is_null),
        cmocka_unit_test(diff_gives_programs_the_differing_fields),
        cmocka_unit_test(equal_is_a_boolean_and_0),
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(the_help_fits_one_screen),
        cmocka_unit_test(wrong_usage_is_one_line_and_two),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, check, &rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        tests[n++] = others[i];
    return cmocka_run_group_tests_name("ctl throttle", tests, NULL, NULL);
}
