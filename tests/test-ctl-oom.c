/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "run-ctl.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <unistd.h>

static char *
data_path(const char *file)
{
    return g_build_filename(g_getenv("SOURCE_ROOT"), "tests", "data", "oom", file, NULL);
}

/* words: after `guardianctl oom`, "" = none; in: a fixture as standard input, NULL = /dev/null. */
static Run
run_words(const char *words, bool is_json, const char *in)
{
    g_autofree char *line = g_strconcat("oom", *words ? " " : "", words, NULL);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autofree char *in_path = in ? data_path(in) : g_strdup("/dev/null");
    CtlOptions options = {.is_json = is_json};
    int kept_in = dup(STDIN_FILENO);
    int in_fd = open(in_path, O_RDONLY | O_CLOEXEC);
    Run run;

    assert_int_not_equal(in_fd, -1);
    assert_int_not_equal(dup2(in_fd, STDIN_FILENO), -1);
    run = run_verb(ctl_oom, &options, argv);
    if (kept_in >= 0)
        assert_int_not_equal(dup2(kept_in, STDIN_FILENO), -1);
    close(kept_in);
    close(in_fd);
    return run;
}

typedef struct {
    const char *name;
    const char *words;
    const char *err; /* without "guardianctl: " and the newline */
} ErrorRow;

static const ErrorRow error_rows[] = {
    {"a file that is not there is named", "/nonexistent/log",
     "/nonexistent/log: Error opening file /nonexistent/log: No such file or directory"},
    {"an unknown option is named", "--bogus", "oom: unknown option --bogus; see --help"},
    {"two files are one too many", "- other", "oom: \"other\" is one FILE too many"},
    {"a guest needs its size", "- --guest", "--guest needs a size, such as 16Gi"},
    {"a guest's size is checked", "- --guest 10GB",
     "--guest \"10GB\" has an unknown unit: use K, M, G or T"},
    {"a guest of nothing is refused", "- --guest=0", "--guest \"0\" is no size of a guest"},
    {"an escape sequence does not reach the terminal", "- \033[31m",
     "oom: \"\\x1b[31m\" is one FILE too many"},
};

static void
run_error(void **state)
{
    const ErrorRow *row = *state;
    g_auto(Run) run = run_words(row->words, false, NULL);
    g_autofree char *err = g_strdup_printf("guardianctl: %s\n", row->err);

    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    assert_string_equal(run.err, err);
}

static void
a_directory_cannot_be_read(void **state)
{
    g_auto(Run) run = run_words("/", false, NULL);

    assert_int_equal(run.status, 2);
    assert_non_null(strstr(run.err, "directory"));
}

static void
the_help_fits_one_screen(void **state)
{
    g_auto(Run) run = run_words("--help", false, NULL);
    g_auto(GStrv) lines = g_strsplit(run.out, "\n", -1);

    assert_int_equal(run.status, 0);
    assert_true(g_strv_length(lines) - 1 <= 24);
    for (guint i = 0; lines[i]; i++)
        assert_true(strlen(lines[i]) <= 80);
    assert_true(g_str_has_prefix(run.out, "Usage: guardianctl oom [FILE|-] [--guest SIZE]\n"));
    assert_non_null(strstr(run.out, "  dmesg | guardianctl oom -\n"));
}

static void
a_log_without_a_report_is_all_well(void **state)
{
    g_auto(Run) text = run_words("-", false, NULL);
    g_auto(Run) json = run_words("-", true, NULL);

    assert_int_equal(text.status, 0);
    assert_string_equal(text.out, "no OOM report found\n");
    assert_int_equal(json.status, 0);
    assert_string_equal(json.out, "{\n  \"schema\" : 1,\n  \"reports\" : []\n}\n");
}

static void
huge_pages_of_a_host_are_told(void **state)
{
    g_autofree char *from = data_path("global-6.1-innocent-first.txt"), *log = NULL;
    g_autofree char *directory = g_dir_make_tmp("oom-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "log", NULL);
    g_autoptr(GString) text = NULL;

    assert_true(g_file_get_contents(from, &log, NULL, NULL));
    text = g_string_new(log);
    assert_int_equal(g_string_replace(text, "hugepages_total=0 hugepages_free=0",
                                      "hugepages_total=4 hugepages_free=1", 0),
                     2);
    assert_true(g_file_set_contents(path, text->str, -1, NULL));
    {
        g_auto(Run) with = run_words(path, false, NULL), json = run_words(path, true, NULL);
        g_auto(Run) without = run_words("-", false, "global-6.1-innocent-first.txt");

        assert_non_null(strstr(with.out, "8.3M  huge pages 8.0M, 2.0M of them in no use\n"));
        assert_non_null(strstr(json.out, "\"hugetlb_bytes\" : 8388608"));
        assert_non_null(strstr(json.out, "\"hugetlb_free_bytes\" : 2097152"));
        assert_null(strstr(without.out, "huge pages"));
    }
    g_unlink(path);
    g_rmdir(directory);
}

static void
json_says_all_of_a_report(void **state)
{
    g_auto(Run) run = run_words("- --guest 32Mi", true, "v2-6.1-group-kill.txt");
    g_autofree char *path = data_path("v2-6.1-group-kill.json"), *expected = NULL;

    assert_true(g_file_get_contents(path, &expected, NULL, NULL));
    assert_int_equal(run.status, 1);
    assert_string_equal(run.out, expected);
    assert_string_equal(run.err, "");
}

/* The guest's RAM, told apart or not, is in QEMU's part. Returns how many reports were summed up.
 */
static guint
sums_check(const char *file, const char *words)
{
    g_auto(Run) run = run_words(words, true, file);
    g_autoptr(JsonNode) root = json_from_string(run.out, NULL);
    JsonArray *reports = json_object_get_array_member(json_node_get_object(root), "reports");
    guint n_summed = 0;

    for (guint i = 0; i < json_array_get_length(reports); i++) {
        JsonObject *report = json_array_get_object_element(reports, i);
        JsonObject *parts = json_object_get_object_member(report, "parts");
        g_autoptr(GList) members = json_object_get_members(parts);
        gint64 sum = 0;
        bool is_known = true;

        for (GList *member = members; member; member = member->next) {
            is_known = is_known && !json_object_get_null_member(parts, member->data);
            sum += json_object_get_int_member_with_default(parts, member->data, 0);
        }
        assert_int_equal(g_list_length(members), 5);
        if (!is_known)
            continue;
        n_summed++;
        if (sum != json_object_get_int_member(report, "usage_bytes"))
            fail_msg("%s %s: the parts of report %u do not close", file, words, i);
    }
    return n_summed;
}

static void
the_parts_of_every_report_close_to_its_usage(void **state)
{
    g_autofree char *path = g_build_filename(g_getenv("SOURCE_ROOT"), "tests", "data", "oom", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *file;
    guint n_summed = 0, n_with_guest = 0;

    assert_non_null(dir);
    while ((file = g_dir_read_name(dir))) {
        if (!g_str_has_suffix(file, ".txt"))
            continue;
        n_summed += sums_check(file, "-");
        n_with_guest += sums_check(file, "- --guest 32Mi");
    }
    assert_in_range(n_summed, 15, 100);
    assert_in_range(n_with_guest, 15, 100);
}

/* A file in a directory of its own, which goes with it. */
static Run
run_file(const void *bytes, gsize length)
{
    g_autofree char *directory = g_dir_make_tmp("oom-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "log", NULL);
    Run run;

    assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
    run = run_words(path, false, NULL);
    g_unlink(path);
    g_rmdir(directory);
    return run;
}

static void
a_log_packed_with_gzip_is_unpacked(void **state)
{
    g_autofree char *path = data_path("v1-6.18-stranger-beside-shared-guest.txt"), *log = NULL;
    g_autoptr(GOutputStream) memory = g_memory_output_stream_new_resizable(), packing = NULL;
    g_autoptr(GZlibCompressor) gzip = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, -1);
    g_auto(Run) plain = run_words(path, false, NULL), whole = {0}, cut = {0};
    GMemoryOutputStream *packed = G_MEMORY_OUTPUT_STREAM(memory);
    gsize length;

    assert_true(g_file_get_contents(path, &log, &length, NULL));
    packing = g_converter_output_stream_new(memory, G_CONVERTER(gzip));
    assert_true(g_output_stream_write_all(packing, log, length, NULL, NULL, NULL));
    assert_true(g_output_stream_close(packing, NULL, NULL));
    length = g_memory_output_stream_get_data_size(packed);
    whole = run_file(g_memory_output_stream_get_data(packed), length);
    assert_int_equal(whole.status, 1);
    assert_string_equal(whole.out, plain.out);
    cut = run_file(g_memory_output_stream_get_data(packed), length / 2);
    assert_int_equal(cut.status, 2);
    assert_string_equal(cut.out, "");
}

static void
what_another_tool_unpacks_is_named(void **state)
{
    static const struct {
        const char *bytes;
        const char *advice;
    } logs[] = {
        {"\xfd\x37zXZ", "packed with xz: xzcat FILE | guardianctl oom -"},
        {"\x28\xb5\x2f\xfd", "packed with zstd: zstdcat FILE | guardianctl oom -"},
        {"BZh91AY", "packed with bzip2: bzcat FILE | guardianctl oom -"},
        {"LPKSHHRH", "a journal: journalctl -k --file FILE | guardianctl oom -"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(logs); i++) {
        g_auto(Run) run = run_file(logs[i].bytes, strlen(logs[i].bytes));

        assert_int_equal(run.status, 2);
        assert_string_equal(run.out, "");
        assert_non_null(strstr(run.err, logs[i].advice));
    }
}

static void
json_says_null_for_what_is_unknown(void **state)
{
    g_auto(Run) run = run_words("", true, "v1-5.14-snip.txt");

    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.out, "\"cache_bytes\" : null"));
    assert_non_null(strstr(run.out, "\"guest_bytes\" : null"));
    assert_non_null(strstr(run.out, "\"suggested_limit_bytes\" : null"));
    assert_non_null(strstr(run.out, "\"complete\" : false"));
}

static void
json_keeps_systemds_escapes_in_a_path(void **state)
{
    g_auto(Run) run = run_words("", true, "v2-6.8-two-threads.txt");

    assert_non_null(
        strstr(run.out, "\"/machine.slice/machine-qemu\\\\x2d4\\\\x2dweb.scope/libvirt\""));
    assert_non_null(strstr(run.out, "\"vm\" : \"db-1\""));
}

static const char text_expected[] =
    "VM pod12914c4e-282a-4f69-bd3b-f75cba6e715e: qemu-system-x86[4978] 53M was OOM-killed at "
    "4221.973630\n"
    "  domain   /vm-guardian-test: 96M used, limit 96M; asked for by CPU 0/KVM\n"
    "  blame    stranger: memhold[4977] holds 24M beside the VM, where it has no share of the 96M\n"
    "  enough   a limit of 137Mi would have held it\n"
    "  do       keep memhold out of the VM's group, or give the group a limit of 137Mi\n"
    "  victim   with 53M it was the largest of 7 tasks\n"
    "  guest           49M  at most, its RAM in the QEMU below\n"
    "  qemu's own     3.0M  at least, in qemu-system-x86[4978] 52M\n"
    "  helpers         19M  virt-launcher[4973] 9.0M, virtqemud[4974] 5.0M, "
    "virt-launcher-m[4972] 2.0M and 2 more\n"
    "  strangers       24M  memhold[4977] 24M\n"
    "  kernel         756K\n"
    "  unexplained    396K  page cache 0B\n";

static void
text_answers_at_three_in_the_morning(void **state)
{
    g_autofree char *path = data_path("v1-6.18-stranger-beside-shared-guest.txt");
    g_auto(Run) run = run_words(path, false, NULL);

    assert_int_equal(run.status, 1);
    assert_string_equal(run.out, text_expected);
}

static void
text_says_why_the_innocent_died(void **state)
{
    g_auto(Run) run = run_words("", false, "global-6.1-innocent-first.txt");

    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.out, "its oom_score_adj 500 outweighed its 3.8M: kvm["));
    assert_non_null(strstr(run.out, "limits and cgroups do not count in it"));
    assert_non_null(strstr(run.out, "  killed   2 in this event, in order: sshd["));
}

static void
text_marks_what_the_log_does_not_tell(void **state)
{
    g_auto(Run) run = run_words("", false, "v2-6.8-two-mixed.txt");

    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.out, "  helpers           ?\n"));
    assert_non_null(strstr(run.out, "the report is not complete in this log"));
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(a_directory_cannot_be_read),
        cmocka_unit_test(the_help_fits_one_screen),
        cmocka_unit_test(a_log_without_a_report_is_all_well),
        cmocka_unit_test(huge_pages_of_a_host_are_told),
        cmocka_unit_test(json_says_all_of_a_report),
        cmocka_unit_test(the_parts_of_every_report_close_to_its_usage),
        cmocka_unit_test(a_log_packed_with_gzip_is_unpacked),
        cmocka_unit_test(what_another_tool_unpacks_is_named),
        cmocka_unit_test(json_says_null_for_what_is_unknown),
        cmocka_unit_test(json_keeps_systemds_escapes_in_a_path),
        cmocka_unit_test(text_answers_at_three_in_the_morning),
        cmocka_unit_test(text_says_why_the_innocent_died),
        cmocka_unit_test(text_marks_what_the_log_does_not_tell),
    };

    for (guint i = 0; i < G_N_ELEMENTS(error_rows); i++)
        g_array_append_vals(tests, &t_row(error_rows[i].name, run_error, &error_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("ctl-oom", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
