/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oomreader.h"

#include <string.h>

/* Logs that are cut, mixed, doubled, huge or no logs at all. */

static const OomSize no_guest = {false, 0};

static char *
load(const char *file)
{
    g_autofree char *path =
        g_build_filename(g_getenv("SOURCE_ROOT"), "tests", "data", "oom", file, NULL);
    char *log = NULL;

    assert_true(g_file_get_contents(path, &log, NULL, NULL));
    return log;
}

static OomReader *
read_log(const char *log, gsize length)
{
    OomReader *reader = oomreader_new();

    oomreader_feed(reader, log, length);
    (void)oomreader_finish(reader, no_guest);
    return reader;
}

static const OomReport *
report_at(OomReader *reader, guint i)
{
    const GPtrArray *reports = oomreader_finish(reader, no_guest);

    assert_true(i < reports->len);
    return reports->pdata[i];
}

static guint
count_reports(OomReader *reader)
{
    return oomreader_finish(reader, no_guest)->len;
}

/* The report of the file below, whole: the innocent beside what a test does. */
static void
assert_is_kube(const OomReport *report)
{
    assert_true(report->is_complete);
    assert_int_equal(report->victim.pid, 4978);
    assert_int_equal(report->usage.bytes, 100663296);
    assert_int_equal(report->limit.bytes, 100663296);
    assert_int_equal(report->tasks->len, 7);
    assert_int_equal(report->parts.guest.bytes, 51249152);
    assert_int_equal(report->parts.strangers.bytes, 25165824);
    assert_int_equal(report->parts.kernel.bytes, 774144);
    assert_int_equal(report->blame.pid, 4977);
}

static const char kube[] = "v1-6.18-stranger-beside-shared-guest.txt";
static const char pod[] = "v2-6.1-pod-with-stranger.txt";

/* Fixtures with one whole report each. */
static const char *const single_files[] = {
    kube,
    pod,
    "v1-6.18-qemu-alone.txt",
    "v1-4.9-journal.txt",
    "v1-4.19-iso.txt",
    "v1-5.3-multiline.txt",
    "v2-5.15-tmpfs.txt",
    "global-5.15-syslog.txt",
};

static void
assert_not_whole(const char *log, gsize length)
{
    g_autoptr(OomReader) reader = read_log(log, length);

    assert_true(count_reports(reader) <= 1);
    if (count_reports(reader) == 1)
        assert_false(report_at(reader, 0)->is_complete);
}

static void
cut_anywhere_a_report_is_not_whole(void **state)
{
    const char *file = *state;
    g_autofree char *log = load(file);
    const char *first = strstr(log, " invoked oom-killer"), *last = strstr(log, "Killed process");
    g_autoptr(OomReader) whole = read_log(log, strlen(log));
    guint n_cuts = 0;

    assert_true(report_at(whole, 0)->is_complete);
    while (last[-1] != '\n')
        last--;
    for (const char *end = log; end <= last; end = strchr(end, '\n') + 1, n_cuts++)
        assert_not_whole(log, (gsize)(end - log));
    for (const char *from = strchr(first, '\n') + 1; *from; from = strchr(from, '\n') + 1) {
        assert_not_whole(from, strlen(from));
        n_cuts++;
    }
    assert_true(n_cuts > 20);
}

static void
a_report_that_lost_its_beginning_still_names_its_victim(void **state)
{
    g_autofree char *log = load(kube);
    const char *rows = strstr(log, "[   4976]");
    g_autoptr(OomReader) reader = NULL;

    while (rows[-1] != '\n')
        rows--;
    reader = read_log(rows, strlen(rows));
    assert_int_equal(count_reports(reader), 1);
    assert_int_equal(report_at(reader, 0)->tasks->len, 3);
    assert_int_equal(report_at(reader, 0)->victim.rss.bytes, 55058432);
    assert_string_equal(report_at(reader, 0)->vm, "pod12914c4e-282a-4f69-bd3b-f75cba6e715e");
    assert_false(report_at(reader, 0)->usage.is_known);
    assert_null(report_at(reader, 0)->invoker);
}

static void
cut_at_any_byte_or_fed_by_bytes_nothing_breaks(void **state)
{
    g_autofree char *log = load("v2-6.8-two-threads.txt");
    gsize length = strlen(log);
    g_autoptr(OomReader) by_bytes = oomreader_new();

    for (gsize cut = 0; cut < length; cut += 11) {
        /* A copy of that size: a sanitizer sees a read past its end. */
        g_autofree char *copy = g_memdup2(log, cut);
        g_autoptr(OomReader) reader = read_log(copy, cut);

        assert_true(count_reports(reader) <= 2);
    }
    for (gsize i = 0; i < length; i++)
        oomreader_feed(by_bytes, log + i, 1);
    assert_int_equal(count_reports(by_bytes), 2);
    assert_true(report_at(by_bytes, 0)->is_complete);
}

/* Every line of the log behind a prefix, its own kept. */
static GPtrArray *
lines_with_prefix(const char *log, const char *prefix)
{
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    GPtrArray *prefixed = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; lines[i]; i++)
        g_ptr_array_add(prefixed, g_strconcat(prefix, lines[i], NULL));
    return prefixed;
}

static void
two_hosts_in_one_log_are_told_apart(void **state)
{
    g_autofree char *one = load(kube), *two = load(pod);
    g_autoptr(GPtrArray) a = lines_with_prefix(one, "Jul 30 15:21:07 alpha kernel: ");
    g_autoptr(GPtrArray) b = lines_with_prefix(two, "Jul 30 15:21:07 beta kernel: ");
    g_autoptr(OomReader) reader = oomreader_new();
    static const char noise[] = "\nJul 30 15:21:07 alpha sshd[1]: anon 12345\n";

    for (guint i = 0; i < MAX(a->len, b->len); i++) {
        const char *lines[] = {i < a->len ? a->pdata[i] : "", i < b->len ? b->pdata[i] : ""};

        for (guint j = 0; j < 2; j++) {
            oomreader_feed(reader, lines[j], strlen(lines[j]));
            oomreader_feed(reader, noise, sizeof noise - 1);
        }
    }
    assert_int_equal(count_reports(reader), 2);
    assert_is_kube(report_at(reader, 0));
    assert_true(report_at(reader, 1)->is_complete);
    assert_int_equal(report_at(reader, 1)->victim.pid, 108);
    assert_int_equal(report_at(reader, 1)->tasks->len, 6);
    assert_int_equal(report_at(reader, 1)->victims->len, 1);
}

static void
a_whole_report_inside_of_another_takes_nothing_from_it(void **state)
{
    g_autofree char *outer = load(kube), *inner = load(pod);
    const char *middle = strstr(outer, "[   4975]");
    g_autoptr(OomReader) reader = oomreader_new();
    g_autofree char *dated = NULL;
    g_auto(GStrv) lines = g_strsplit(inner, "\n", -1);

    /* Of the same seconds: what is too far in time is another event. */
    for (guint i = 0; lines[i]; i++) {
        const char *message = strchr(lines[i], ']');
        g_autofree char *line = message ? g_strconcat("[ 4221.97429", message, NULL) : g_strdup("");

        g_free(lines[i]);
        lines[i] = g_steal_pointer(&line);
    }
    dated = g_strjoinv("\n", lines);
    while (middle[-1] != '\n')
        middle--;
    oomreader_feed(reader, outer, (gsize)(middle - outer));
    oomreader_feed(reader, dated, strlen(dated));
    oomreader_feed(reader, middle, strlen(middle));
    assert_int_equal(count_reports(reader), 2);
    assert_is_kube(report_at(reader, 0));
    assert_int_equal(report_at(reader, 1)->victim.pid, 108);
    assert_int_equal(report_at(reader, 1)->tasks->len, 6);
}

static void
a_cut_report_takes_nothing_from_the_next(void **state)
{
    g_autofree char *log = load(kube);
    const char *cut = strstr(log, "memory: usage");
    g_autoptr(OomReader) reader = oomreader_new();

    oomreader_feed(reader, log, (gsize)(cut - log));
    oomreader_feed(reader, "\n", 1);
    oomreader_feed(reader, log, strlen(log));
    assert_int_equal(count_reports(reader), 2);
    assert_false(report_at(reader, 0)->usage.is_known);
    assert_false(report_at(reader, 0)->has_victim);
    assert_is_kube(report_at(reader, 1));
}

static void
a_log_with_each_line_twice_is_one_log(void **state)
{
    g_autofree char *log = load(kube);
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    g_autoptr(OomReader) reader = oomreader_new();

    for (guint i = 0; lines[i]; i++) {
        for (guint j = 0; j < 2; j++) {
            oomreader_feed(reader, lines[i], strlen(lines[i]));
            oomreader_feed(reader, "\n", 1);
        }
    }
    assert_int_equal(count_reports(reader), 1);
    assert_is_kube(report_at(reader, 0));
}

static void
dmesg_and_journal_of_one_death_are_one_report(void **state)
{
    g_autofree char *log = load(kube), *joined = NULL;
    g_autoptr(GPtrArray) journal = lines_with_prefix(log, "Jul 30 15:21:07 alpha kernel: ");
    g_autoptr(OomReader) reader = oomreader_new();
    static const char monitor[] =
        "Jul 30 15:21:08 alpha kernel-monitor[9]: TaskOOM: Memory cgroup out of memory: "
        "Killed process 4978 (qemu-system-x86) total-vm:105524kB, anon-rss:3072kB, "
        "file-rss:648kB, shmem-rss:50048kB\n";

    g_ptr_array_add(journal, NULL);
    joined = g_strjoinv("\n", (char **)journal->pdata);
    oomreader_feed(reader, log, strlen(log));
    oomreader_feed(reader, joined, strlen(joined));
    oomreader_feed(reader, monitor, sizeof monitor - 1);
    assert_int_equal(count_reports(reader), 1);
    assert_is_kube(report_at(reader, 0));
    assert_int_equal(report_at(reader, 0)->victims->len, 1);
}

static void
the_same_story_a_minute_later_is_another_death(void **state)
{
    g_autofree char *log = load(kube);
    g_autoptr(GString) twice = g_string_new(log);

    g_string_append(twice, log);
    g_string_replace(twice, "[ 4221.", "[ 4281.", 0);
    g_string_prepend(twice, log);
    g_autoptr(OomReader) reader = read_log(twice->str, twice->len);

    assert_int_equal(count_reports(reader), 2);
    assert_is_kube(report_at(reader, 0));
    assert_is_kube(report_at(reader, 1));
    assert_int_equal(report_at(reader, 1)->victims->len, 1);
}

static void
a_log_without_oom_has_no_report(void **state)
{
    static const char log[] =
        "Jul 30 15:21:07 alpha kernel: Mem-Info:\n"
        "Jul 30 15:21:07 alpha kernel: 65406 pages RAM\n"
        "Jul 30 15:21:07 alpha app: memory: usage 12 percent\n"
        "[   12.5] oom_reaper: reaped process 9 (x), now anon-rss:0kB, file-rss:0kB\n"
        "anon 4096\n...\n[ 1] 0 1 2 3 4 5 6 init\n"
        "the words invoked oom-killer in a sentence, and Killed process 0 (x)\n";
    g_autoptr(OomReader) reader = read_log(log, sizeof log - 1);

    assert_int_equal(count_reports(reader), 0);
}

static void
a_line_of_a_mebibyte_harms_no_line_beside_it(void **state)
{
    g_autofree char *log = load(kube);
    g_autofree char *noise = g_strnfill(1 << 20, 'x');
    const char *middle = strstr(log, "[   4975]");
    g_autoptr(OomReader) reader = oomreader_new();

    while (middle[-1] != '\n')
        middle--;
    oomreader_feed(reader, log, (gsize)(middle - log));
    oomreader_feed(reader, noise, 1 << 20);
    oomreader_feed(reader, "\n\0\0\n", 4);
    oomreader_feed(reader, middle, strlen(middle));
    assert_is_kube(report_at(reader, 0));
}

static void
a_million_tasks_are_capped_and_said_so(void **state)
{
    g_autofree char *log = load(kube);
    const char *middle = strstr(log, "[   4978]");
    g_autoptr(OomReader) reader = oomreader_new();

    while (middle[-1] != '\n')
        middle--;
    oomreader_feed(reader, log, (gsize)(middle - log));
    for (guint i = 0; i < 1000000; i++) {
        char row[128];
        int length = g_snprintf(row, sizeof row,
                                "[ 4221.974340] [%7u] 0 %u 9 4 4 0 0 4096 0 0 sleep\n", i, i);

        oomreader_feed(reader, row, (gsize)length);
    }
    oomreader_feed(reader, middle, strlen(middle));
    assert_int_equal(count_reports(reader), 1);
    assert_int_equal(report_at(reader, 0)->tasks->len, OOM_TASKS_MAX);
    assert_false(report_at(reader, 0)->is_complete);
    assert_int_equal(report_at(reader, 0)->victim.pid, 4978);
}

static void
a_million_reports_are_capped_and_counted(void **state)
{
    g_autoptr(OomReader) reader = oomreader_new();

    for (guint i = 0; i < 100000; i++) {
        char lines[256];
        int length = g_snprintf(lines, sizeof lines,
                                "[%5u.000000] kvm invoked oom-killer: gfp_mask=0x0\n"
                                "[%5u.000001] Out of memory: Killed process %u (kvm) "
                                "total-vm:8kB, anon-rss:%ukB, file-rss:0kB\n",
                                i, i, i + 1, i);

        oomreader_feed(reader, lines, (gsize)length);
    }
    assert_int_equal(count_reports(reader), OOM_REPORTS_MAX);
    assert_int_equal(oomreader_n_dropped(reader), 100000 - OOM_REPORTS_MAX);
    assert_int_equal(report_at(reader, 9)->victims->len, OOM_VICTIMS_MAX);
}

/* Pieces of reports, cut and joined by a generator that is the same on every host. */
static void
garbage_makes_no_wrong_sum(void **state)
{
    g_autofree char *log = load("v2-6.8-two-threads.txt"), *host = load("global-5.15-syslog.txt");
    g_autoptr(GRand) rand = g_rand_new_with_seed(20250730);
    gsize length = strlen(log), host_length = strlen(host);

    for (guint round = 0; round < 300; round++) {
        g_autoptr(OomReader) reader = oomreader_new();
        const GPtrArray *reports;

        for (guint piece = 0; piece < 40; piece++) {
            bool is_host = g_rand_boolean(rand);
            const char *from = is_host ? host : log;
            gsize n = is_host ? host_length : length;
            gsize start = (gsize)g_rand_int_range(rand, 0, (gint32)n);
            gsize size = (gsize)g_rand_int_range(rand, 1, 900);
            char byte = (char)g_rand_int_range(rand, 0, 256);

            oomreader_feed(reader, from + start, MIN(n - start, size));
            oomreader_feed(reader, &byte, 1);
        }
        reports = oomreader_finish(reader, (OomSize){true, 1 << 30});
        for (guint i = 0; i < reports->len; i++) {
            const OomReport *report = reports->pdata[i];
            const OomParts *parts = &report->parts;

            assert_non_null(report->blame.why);
            if (report->usage.is_known)
                assert_int_equal(parts->guest.bytes + parts->qemu.bytes + parts->helpers.bytes +
                                     parts->strangers.bytes + parts->kernel.bytes +
                                     parts->unexplained.bytes,
                                 report->usage.bytes);
        }
    }
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(a_report_that_lost_its_beginning_still_names_its_victim),
        cmocka_unit_test(cut_at_any_byte_or_fed_by_bytes_nothing_breaks),
        cmocka_unit_test(two_hosts_in_one_log_are_told_apart),
        cmocka_unit_test(a_whole_report_inside_of_another_takes_nothing_from_it),
        cmocka_unit_test(a_cut_report_takes_nothing_from_the_next),
        cmocka_unit_test(a_log_with_each_line_twice_is_one_log),
        cmocka_unit_test(dmesg_and_journal_of_one_death_are_one_report),
        cmocka_unit_test(the_same_story_a_minute_later_is_another_death),
        cmocka_unit_test(a_log_without_oom_has_no_report),
        cmocka_unit_test(a_line_of_a_mebibyte_harms_no_line_beside_it),
        cmocka_unit_test(a_million_tasks_are_capped_and_said_so),
        cmocka_unit_test(a_million_reports_are_capped_and_counted),
        cmocka_unit_test(garbage_makes_no_wrong_sum),
    };

    for (guint i = 0; i < G_N_ELEMENTS(single_files); i++) {
        char *name = g_strconcat("cut anywhere it is not whole: ", single_files[i], NULL);

        g_ptr_array_add(names, name);
        g_array_append_vals(tests,
                            &t_row(name, cut_anywhere_a_report_is_not_whole, single_files[i]), 1);
    }
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("oomreader", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
