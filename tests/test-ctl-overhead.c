/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "run-ctl.h"

#include <string.h>

/* words: as on the command line behind "guardianctl overhead", separated by single spaces; --json
 * is taken out as ctl_main() does. */
static Run
run_words(const char *words)
{
    CtlOptions options = {.is_json = strstr(words, " --json") != NULL};
    g_auto(GStrv) argv = NULL;
    g_autofree char *line = g_strconcat("overhead ", words, NULL);

    if (options.is_json)
        *strstr(line, " --json") = '\0';
    argv = g_strsplit(line, " ", -1);
    return run_verb(ctl_overhead, &options, argv);
}

typedef struct {
    const char *name;
    const char *words;
    const char *err; /* without "guardianctl: " and the newline */
} ErrorRow;

static const ErrorRow error_rows[] = {
    {"10GB is refused with its option and its value", "--model table --configured 10GB",
     "--configured \"10GB\" has an unknown unit: use K, M, G or T"},
    {"-5 is refused", "--model table --configured -5", "--configured \"-5\" is negative"},
    {"abc is refused", "--model kubevirt --configured abc", "--configured \"abc\" is not a number"},
    {"an empty size is refused", "--model table --configured=", "--configured \"\" is empty"},
    {"a request is checked", "--model kubevirt --configured 2G --request 1.5G",
     "--request \"1.5G\" is not a whole number"},
    {"added is checked", "--model kubevirt --configured 2G --added 1X",
     "--added \"1X\" has an unknown unit: use K, M, G or T"},
    {"a ratio is checked", "--model kubevirt --configured 2G --ratio -1",
     "--ratio \"-1\" is negative"},
    {"a version is checked", "--model kubevirt --configured 2G --kubevirt-version 1",
     "--kubevirt-version \"1\" is not a version: write 1.2, v1.2.3 or main"},
    {"a version without constants is refused",
     "--model kubevirt --configured 2G --kubevirt-version v0.55.2",
     "--model kubevirt --kubevirt-version 0.55: no constants are known for this version: use 0.36 "
     "to 0.54, 0.58 to 1.9 or main"},
    {"no vCPU is refused", "--model kubevirt --configured 2G --vcpus 0",
     "--vcpus \"0\" is not a number from 1 to 4096"},
    {"4097 vCPUs are refused", "--model kubevirt --configured 2G --vcpus 4097",
     "--vcpus \"4097\" is not a number from 1 to 4096"},
    {"an unknown architecture is refused", "--model kubevirt --configured 2G --arch ppc64",
     "--arch \"ppc64\" is unknown: use amd64, arm64 or s390x"},
    {"an unknown model is refused", "--model guess --configured 2G",
     "--model \"guess\" is unknown: use table or kubevirt"},
    {"a missing model is named", "--configured 2G",
     "overhead: --model is missing: table or kubevirt"},
    {"a missing size is named", "--model table", "overhead: --configured is missing"},
    {"a missing value is named", "--model table --configured", "--configured needs a value"},
    {"an option is no value", "--configured --model table", "--configured needs a value"},
    {"an unknown option is named", "--model table --configured 2G --bogus",
     "overhead: \"--bogus\" is no option of this verb: see --help"},
    {"an option is not cut short", "--model table --conf 2G",
     "overhead: \"--conf\" is no option of this verb: see --help"},
    {"a stray word is named", "--model table --configured 2G please",
     "overhead: \"please\" is one word too many: see --help"},
    {"an option twice is refused", "--model table --configured 2G --configured 3G",
     "--configured is given twice"},
    {"a flag takes no value", "--model kubevirt --configured 2G --tpm=yes", "--tpm takes no value"},
    {"KubeVirt's options have no meaning for the table", "--model table --configured 2G --vcpus 2",
     "--vcpus has no meaning with --model table"},
    {"nor have its flags", "--console-log --model table --configured 2G",
     "--console-log has no meaning with --model table"},
    {"what the table cannot carve out is refused", "--model table --configured 256M",
     "--model table: the configured memory is not larger than what the table reserves of it"},
    {"an escape sequence does not reach the terminal", "--model table --configured 1\033[31m",
     "--configured \"1\\x1b[31m\" has an unknown unit: use K, M, G or T"},
};

static void
run_error(void **state)
{
    const ErrorRow *row = *state;
    g_auto(Run) run = run_words(row->words);
    g_autofree char *err = g_strdup_printf("guardianctl: %s\n", row->err);

    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    assert_string_equal(run.err, err);
}

static void
assert_fits(const char *text, guint n_lines_max)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++)
        assert_true(strlen(lines[i]) <= 80);
    assert_true(g_strv_length(lines) - 1 <= n_lines_max);
}

static void
the_check_value_is_292_mib(void **state)
{
    g_auto(Run) run = run_words("--model kubevirt --kubevirt-version main --configured 2G");

    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
    assert_string_equal(
        run.out, "KubeVirt main: 2Gi configured, 2Gi requested, 1 vCPU\n"
                 "\n"
                 "  term                    size           bytes  why\n"
                 "  page_tables             4.0M         4194304  requested memory / 512\n"
                 "  virt_launcher_monitor    25M        26214400  watches virt-launcher\n"
                 "  virt_launcher           100M       104857600  runs the pod\n"
                 "  virtlogd                 25M        26214400  writes QEMU's log\n"
                 "  virtqemud                40M        41943040  libvirt, runs QEMU\n"
                 "  qemu                     50M        52428800  QEMU without its guest's RAM\n"
                 "  vcpus                   8.0M         8388608  8 MiB per vCPU\n"
                 "  iothread                8.0M         8388608  flat, however many there are\n"
                 "  video                    32M        33554432  graphics, since 1.6\n"
                 "\n"
                 "  sum                     292M       306184192\n"
                 "  reserved                292M       306184192  sum x 1\n"
                 "  container limit         2.3G      2453667840  configured + reserved, in pages\n"
                 "  pod limit               2.3G      2453667840  no other container\n"
                 "  guest RAM               2.0G      2147483648  configured\n");
}

static void
the_table_is_carved_out_of_what_is_configured(void **state)
{
    g_auto(Run) run = run_words("--model table --configured=5GiB");

    assert_int_equal(run.status, 0);
    assert_string_equal(
        run.out, "table: 5Gi configured\n"
                 "\n"
                 "  term                    size           bytes  why\n"
                 "  table                   512M       536870912  5 to 10 GiB configured\n"
                 "\n"
                 "  reserved                512M       536870912  out of what is configured\n"
                 "  limit                   5.0G      5368709120  configured, in whole pages\n"
                 "  guest RAM               4.5G      4831838208  configured - reserved\n");
}

#define EVERYTHING                                                                                 \
    "--model kubevirt --kubevirt-version v1.9.0 --configured 8G --request 4G --vcpus 4 --vfio "    \
    "--tpm --sev --arch aarch64 --dedicated --probe-liveness --probe-readiness --console-log "     \
    "--ratio 1.5 --added 16M"

static void
the_longest_output_fits_the_terminal(void **state)
{
    g_auto(Run) run = run_words(EVERYTHING);

    assert_int_equal(run.status, 0);
    assert_fits(run.out, 28);
    assert_non_null(strstr(run.out, "  pflash                  128M       134217728  two flash"));
    assert_non_null(strstr(run.out, "  sum x 1.5\n"));
    assert_non_null(strstr(run.out, "and the console log's 60,000,000\n"));
}

static void
the_help_fits_one_screen(void **state)
{
    g_auto(Run) run = run_words("--help");

    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
    assert_true(g_str_has_prefix(run.out, "Usage: guardianctl overhead "));
    assert_fits(run.out, 24);
}

static JsonObject *
parse_json(JsonParser *parser, const char *text)
{
    assert_true(json_parser_load_from_data(parser, text, -1, NULL));
    return json_node_get_object(json_parser_get_root(parser));
}

static void
json_carries_every_number(void **state)
{
    g_auto(Run) run = run_words(EVERYTHING " --json");
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = parse_json(parser, run.out);
    JsonArray *terms = json_object_get_array_member(root, "terms");
    /* 8 + 220 + 32 + 8 + 32 + 128 + 1024 + 120 + 256 + 53 + 100 + 16 MiB, times 1.5 */
    const gint64 reserved_bytes = G_GINT64_CONSTANT(1997) * 1024 * 1024 * 3 / 2;
    const gint64 limit_bytes = (G_GINT64_CONSTANT(8) << 30) + reserved_bytes;
    gint64 sum_bytes = 0;

    assert_int_equal(run.status, 0);
    for (guint i = 0; i < json_array_get_length(terms); i++) {
        JsonObject *term = json_array_get_object_element(terms, i);

        assert_true(strlen(json_object_get_string_member(term, "name")) > 0);
        assert_true(strlen(json_object_get_string_member(term, "why")) > 0);
        sum_bytes += json_object_get_int_member(term, "bytes");
    }
    assert_int_equal(json_array_get_length(terms), 18);
    assert_int_equal(sum_bytes, reserved_bytes / 3 * 2);
    assert_int_equal(json_object_get_int_member(root, "schema"), 1);
    assert_string_equal(json_object_get_string_member(root, "model"), "kubevirt");
    assert_string_equal(json_object_get_string_member(root, "kubevirt_version"), "1.9");
    assert_int_equal(json_object_get_int_member(root, "configured_bytes"), 8LL << 30);
    assert_int_equal(json_object_get_int_member(root, "request_bytes"), 4LL << 30);
    assert_int_equal(json_object_get_int_member(root, "vcpus"), 4);
    assert_int_equal(json_object_get_int_member(root, "ratio_thousandths"), 1500);
    assert_int_equal(json_object_get_int_member(root, "reserved_bytes"), reserved_bytes);
    assert_int_equal(json_object_get_int_member(root, "limit_bytes"), limit_bytes);
    assert_int_equal(json_object_get_int_member(root, "pod_limit_bytes"),
                     limit_bytes + 60000000 / 4096 * 4096);
    assert_int_equal(json_object_get_int_member(root, "guest_bytes"), 8LL << 30);
}

static void
json_of_the_table_has_the_same_shape(void **state)
{
    g_auto(Run) run = run_words("--model table --configured 10G --json");
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = parse_json(parser, run.out);

    assert_int_equal(run.status, 0);
    assert_string_equal(json_object_get_string_member(root, "model"), "table");
    assert_int_equal(json_object_get_int_member(root, "reserved_bytes"), 1LL << 30);
    assert_int_equal(json_object_get_int_member(root, "limit_bytes"), 10LL << 30);
    assert_int_equal(json_object_get_int_member(root, "pod_limit_bytes"), 10LL << 30);
    assert_int_equal(json_object_get_int_member(root, "guest_bytes"), 9LL << 30);
    assert_false(json_object_has_member(root, "vcpus"));
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(the_check_value_is_292_mib),
        cmocka_unit_test(the_table_is_carved_out_of_what_is_configured),
        cmocka_unit_test(the_longest_output_fits_the_terminal),
        cmocka_unit_test(the_help_fits_one_screen),
        cmocka_unit_test(json_carries_every_number),
        cmocka_unit_test(json_of_the_table_has_the_same_shape),
    };

    for (guint i = 0; i < G_N_ELEMENTS(error_rows); i++)
        g_array_append_vals(tests, &t_row(error_rows[i].name, run_error, &error_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("ctl-overhead", (const struct CMUnitTest *)tests->data,
                                   tests->len, NULL, NULL);
}
