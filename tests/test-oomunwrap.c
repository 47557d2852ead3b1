/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oomreader.h"
#include "oomunwrap.h"

#include <string.h>

/* One report behind everything that logs put around the kernel's lines says always the same. */

/* The fixture's lines are "[SECONDS] MESSAGE"; a form is what becomes of one: {m} the message, {j}
 * as JSON writes it, {k} as /dev/kmsg does, {s} the seconds since boot, {u} them in microseconds,
 * {t} "14:52:42.398382" of a day, {w} microseconds since 1970 then, {e} the seconds of it. */
typedef struct {
    const char *name;
    const char *form;
    const char *when; /* of the first line; NULL: no time */
} Form;

static const Form forms[] = {
    {"no prefix", "{m}\n", NULL},
    {"dmesg -T in Chinese", "[\xe5\x9b\x9b 5\xe6\x9c\x88  9 {t} 2024] {m}\n",
     "\xe5\x9b\x9b 5\xe6\x9c\x88  9 14:52:42.398382 2024"},
    {"dmesg -T in German", "[Do Mai  9 {t} 2024] {m}\n", "Do Mai  9 14:52:42.398382 2024"},
    {"dmesg -T in French", "[jeu. f\xc3\xa9vr.  9 {t} 2024] {m}\n",
     "jeu. f\xc3\xa9vr.  9 14:52:42.398382 2024"},
    {"dmesg -d", "[{s} <    0.000012>] {m}\n", "4.398382"},
    {"dmesg -T -d", "[Thu May  9 {t} 2024 <    0.000012>] {m}\n",
     "Thu May  9 14:52:42.398382 2024"},
    {"dmesg --time-format delta", "[<    0.000012>] {m}\n", NULL},
    {"dmesg --reltime", "[  +0.000012] {m}\n", NULL},
    {"dmesg in colours", "\x1b[32m[{s}] \x1b[0m\x1b[33m{m}\x1b[0m\n", "4.398382"},
    {"dmesg -x", "kern  :info  : [{s}] {m}\n", "4.398382"},
    {"dmesg --time-format iso", "2024-05-09T{t}+02:00 {m}\n", "2024-05-09T14:52:42.398382+02:00"},
    {"dmesg -J", "      {\n   \"pri\": 6,\n   \"time\":   {s},\n   \"msg\": \"{j}\"\n },\n",
     "4.398382"},
    {"/dev/kmsg", "6,382,{u},-;{k}\n SUBSYSTEM=memory\n DEVICE=+x:y\n", "4.398382"},
    {"/dev/kmsg with the caller", "4,382,{u},-,caller=T77;{k}\n", "4.398382"},
    {"journalctl", "May 09 {t} node-1 kernel: {m}\n", "May 09 14:52:42.398382"},
    {"journalctl in lower case", "may 09 {t} node-1 kernel: {m}\n", "may 09 14:52:42.398382"},
    {"journalctl in German", "M\xc3\xa4r 09 {t} node-1 kernel: {m}\n",
     "M\xc3\xa4r 09 14:52:42.398382"},
    {"journalctl -o short-monotonic", "[{s}] node-1 kernel: {m}\n", "4.398382"},
    {"journalctl -o short-delta", "[{s} <     0.000012 >] node-1 kernel: {m}\n", "4.398382"},
    {"journalctl -o short-unix", "{e} node-1 kernel: {m}\n", "1715259162.398382"},
    {"journalctl -o short-full", "Thu 2024-05-09 {t} CEST node-1 kernel: {m}\n",
     "Thu 2024-05-09 14:52:42.398382 CEST"},
    {"journalctl -o with-unit", "Thu 2024-05-09 {t} CEST node-1 kernel[n/a]: {m}\n",
     "Thu 2024-05-09 14:52:42.398382 CEST"},
    {"journalctl -o json",
     "{\"MESSAGE\":\"{j}\",\"PRIORITY\":\"6\",\"_HOSTNAME\":\"node-1\",\"__REALTIME_TIMESTAMP\":"
     "\"{w}\"}\n",
     "2024-05-09T12:52:42.398382Z"},
    {"journalctl -o json-pretty",
     "{\n\t\"__REALTIME_TIMESTAMP\" : \"{w}\",\n\t\"MESSAGE\" : \"{j}\",\n\t\"_HOSTNAME\" : "
     "\"node-1\"\n}\n",
     "2024-05-09T12:52:42.398382Z"},
    {"journalctl -o json-seq", "\x1e{\"MESSAGE\":\"{j}\"}\n", NULL},
    {"journalctl -o json-sse", "data: {\"MESSAGE\":\"{j}\"}\n\n", NULL},
    {"journalctl -o export",
     "__CURSOR=s=16f;i={u}\n__REALTIME_TIMESTAMP={w}\nMESSAGE={m}\nPRIORITY=6\n_HOSTNAME=node-"
     "1\n\n",
     "2024-05-09T12:52:42.398382Z"},
    {"journalctl -o verbose",
     "Thu 2024-05-09 {t} CEST [s=16f;i={u};b=ab;m=12;t=61;x=99]\n    PRIORITY=6\n    MESSAGE={m}\n"
     "    _HOSTNAME=node-1\n",
     "Thu 2024-05-09 14:52:42.398382 CEST"},
    {"RFC 5424", "<4>1 2024-05-09T{t}+02:00 node-1 kernel - - - {m}\n",
     "2024-05-09T14:52:42.398382+02:00"},
    {"kubectl logs --timestamps", "2024-05-09T{t}123Z {m}\n", "2024-05-09T14:52:42.398382123Z"},
    {"kubectl logs --prefix", "[pod/node-debugger-x/debugger] [{s}] {m}\n", "4.398382"},
    {"a container's file", "2024-05-09T{t}123+02:00 stdout F {m}\n",
     "2024-05-09T14:52:42.398382123+02:00"},
    {"Docker's file", "{\"log\":\"{j}\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-09T{t}Z\"}\n",
     "2024-05-09T14:52:42.398382Z"},
    {"docker compose logs", "agent-1  | [{s}] {m}\n", "4.398382"},
    {"JSON behind a date", "2024-05-09 {t} kern.log: {\"ident\":\"kernel\",\"message\":\"{j}\"}\n",
     "2024-05-09 14:52:42.398382"},
    {"a serial console's file", "[2024-05-09 {t}] [{s}] {m}\n", "2024-05-09 14:52:42.398382"},
    {"Ansible's list", "            \"[{s}] {j}\",\n", "4.398382"},
    {"Python's list", "  '[{s}] {m}',\n", "4.398382"},
    {"YAML's list", "  - '[{s}] {m}'\n", "4.398382"},
    {"Talos", "172.20.0.5: kern: info: [2024-05-09T{t}Z]: {m}\n", "2024-05-09T14:52:42.398382Z"},
    {"less -N", "  1234\t[{s}] {m}\n", "4.398382"},
    {"a mail's quotation", ">> > [{s}] {m}\n", "4.398382"},
    {"line ends of Windows", "[{s}] {m}\r\n", "4.398382"},
    {"line ends of a serial line", "[{s}] {m}\r\r\n", "4.398382"},
    {"line ends of the old Macintosh", "[{s}] {m}\r", "4.398382"},
};

static char *
load(const char *file)
{
    g_autofree char *path =
        g_build_filename(g_getenv("SOURCE_ROOT"), "tests", "data", "oom", file, NULL);
    char *log = NULL;

    assert_true(g_file_get_contents(path, &log, NULL, NULL));
    return log;
}

static char *
number(guint64 value)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT, value);
}

static char *
escape(const char *text, const char *backslash, const char *quote)
{
    GString *escaped = g_string_new(text);

    g_string_replace(escaped, "\\", backslash, 0);
    g_string_replace(escaped, "\"", quote, 0);
    return g_string_free(escaped, FALSE);
}

/* One line of the fixture in a form. */
static void
append_formed(GString *log, const char *line, const char *form)
{
    const char *message = strstr(line, "] ");
    g_autofree char *seconds = g_strndup(line + 1, (gsize)(message - line - 1));
    double from_boot = g_ascii_strtod(seconds, NULL);
    guint64 us = (guint64)(from_boot * 1e6 + 0.5);
    guint64 wall_us = us + G_GUINT64_CONSTANT(1715259158) * G_USEC_PER_SEC;
    guint64 of_day = us + (14 * 3600 + 52 * 60 + 38) * G_GUINT64_CONSTANT(1000000);
    g_autofree char *json = escape(message + 2, "\\\\", "\\\""), *boot_us = number(us),
                    *unix_us = number(wall_us);
    g_autofree char *kmsg = escape(message + 2, "\\x5c", "\"");
    g_autofree char *unix_s = g_strdup_printf("%" G_GUINT64_FORMAT ".%06" G_GUINT64_FORMAT,
                                              wall_us / 1000000, wall_us % 1000000);
    g_autofree char *clock = g_strdup_printf(
        "%02u:%02u:%02u.%06u", (guint)(of_day / 3600000000 % 24), (guint)(of_day / 60000000 % 60),
        (guint)(of_day / 1000000 % 60), (guint)(of_day % 1000000));
    GString *text = g_string_new(form);

    g_string_replace(text, "{s}", g_strchug(seconds), 0);
    g_string_replace(text, "{u}", boot_us, 0);
    g_string_replace(text, "{w}", unix_us, 0);
    g_string_replace(text, "{e}", unix_s, 0);
    g_string_replace(text, "{t}", clock, 0);
    g_string_replace(text, "{j}", json, 0);
    g_string_replace(text, "{k}", kmsg, 0);
    g_string_replace(text, "{m}", message + 2, 0);
    g_string_append(log, text->str);
    g_string_free(text, TRUE);
}

static GString *
log_formed(const char *file, const char *form)
{
    g_autofree char *plain = load(file);
    g_auto(GStrv) lines = g_strsplit(plain, "\n", -1);
    GString *log = g_string_new(NULL);

    for (guint i = 0; lines[i]; i++)
        if (lines[i][0] == '[')
            append_formed(log, lines[i], form);
    return log;
}

static void
describe_size(GString *text, OomSize size)
{
    if (size.is_known)
        g_string_append_printf(text, " %" G_GUINT64_FORMAT, size.bytes);
    else
        g_string_append(text, " ?");
}

static void
describe_report(GString *text, const OomReport *report, bool has_chain)
{
    const OomParts *parts = &report->parts;
    const OomSize sizes[] = {report->victim.rss, report->victim.pgtables,
                             report->usage,      report->limit,
                             report->kernel,     report->cache,
                             parts->guest,       parts->qemu,
                             parts->helpers,     parts->strangers,
                             parts->unexplained, report->blame.suggested_limit};

    g_string_append_printf(text, "%d %d %s %s[%" G_GINT64_FORMAT "] %s %s %s:", report->is_complete,
                           report->constraint, report->invoker, report->victim.name,
                           report->victim.pid, report->domain, report->task_group, report->vm);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
        describe_size(text, sizes[i]);
    g_string_append_printf(text, "; %s, %u killed; ", report->blame.why,
                           has_chain ? report->victims->len : 0);
    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = &g_array_index(report->tasks, OomTask, i);

        g_string_append_printf(text, "%s[%" G_GINT64_FORMAT "] %d", task->name, task->pid,
                               task->oom_score_adj);
        describe_size(text, task->rss);
        describe_size(text, task->pgtables);
    }
    g_string_append(text, "\n");
}

/* Without times nobody knows which deaths are one event. */
static char *
describe(const char *log, gsize length, bool has_chain, const char *when)
{
    g_autoptr(OomReader) reader = oomreader_new();
    GString *text = g_string_new(NULL);
    const GPtrArray *reports;

    oomreader_feed(reader, log, length);
    reports = oomreader_finish(reader, (OomSize){false, 0});
    assert_true(reports->len > 0);
    if (when)
        assert_string_equal(((OomReport *)reports->pdata[0])->when, when);
    for (guint i = 0; i < reports->len; i++)
        describe_report(text, reports->pdata[i], has_chain);
    return g_string_free(text, FALSE);
}

static const char *const files[] = {
    "v2-6.1-pod-with-stranger.txt",
    "v1-6.18-chain-of-three.txt",
    "v2-6.1-group-kill.txt",
    "global-6.1-innocent-first.txt",
};

static void
run_form(void **state)
{
    const Form *form = *state;

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *plain = load(files[i]);
        g_autofree char *expected = describe(plain, strlen(plain), form->when != NULL, NULL);
        GString *log = log_formed(files[i], form->form);
        g_autofree char *got =
            describe(log->str, log->len, form->when != NULL, i == 0 ? form->when : NULL);

        assert_string_equal(got, expected);
        g_string_free(log, TRUE);
    }
}

/* The kernel prints memory.stat as one record: what a log writes around a record, between its
 * lines and for a backslash. */
typedef struct {
    const char *name;
    const char *head, *before, *joint, *backslash, *after;
    bool is_one; /* record */
} Joint;

static const Joint joints[] = {
    {"rsyslog joins a record's lines", "", "Jul 30 15:21:07 alpha kernel: ", "#012", "\\", "\n",
     false},
    {"/dev/kmsg joins a record's lines", "", "6,12,4398382,-;", "\\x0a", "\\x5c",
     "\n SUBSYSTEM=x\n", false},
    {"JSON joins a record's lines", "", "{\"MESSAGE\":\"", "\\n", "\\\\", "\"}\n", false},
    {"a whole log is one string", "{\"rc\": 0, \"stdout\": \"", "", "\\n", "\\\\", "", true},
    {"a whole log is one list", "{\"stdout_lines\": [", "\"", "\", \"", "\\\\", "\"]}", true},
};

/* "anon 4096" */
static bool
is_figure(const char *message)
{
    gsize length = strlen(message);

    return g_ascii_islower(message[0]) && !strchr(message, ':') &&
           g_ascii_isdigit(message[length - 1]);
}

static void
run_joint(void **state)
{
    static const char prefix[] = "[   77.500000] [   T951] ";
    const Joint *joint = *state;
    g_autofree char *fixture = load("v2-6.8-two-threads.txt"), *expected = NULL, *got = NULL;
    g_auto(GStrv) lines = g_strsplit(fixture, "\n", -1);
    g_autoptr(GString) log = g_string_new(joint->head), plain = g_string_new(NULL);

    for (guint i = 0; lines[i]; i++) {
        g_autoptr(GString) message = g_string_new(lines[i]);
        bool is_first = plain->len == 0;

        if (!g_str_has_prefix(lines[i], prefix))
            continue;
        g_string_erase(message, 0, sizeof prefix - 1);
        g_string_append_printf(plain, "%s\n", message->str);
        if (is_first)
            g_string_append(log, joint->before);
        else if (joint->is_one || is_figure(message->str))
            g_string_append(log, joint->joint);
        else
            g_string_append_printf(log, "%s%s", joint->after, joint->before);
        g_string_replace(message, "\\", joint->backslash, 0);
        g_string_append(log, message->str);
    }
    g_string_append(log, joint->after);
    expected = describe(plain->str, plain->len, false, NULL);
    got = describe(log->str, log->len, false, NULL);
    assert_non_null(strstr(expected, "1 1 CPU 0/KVM"));
    assert_string_equal(got, expected);
}

static void
utf16_is_read(void **state)
{
    static const char *const codes[] = {"UTF-16LE", "UTF-16BE"};
    static const char *const marks[] = {"\xff\xfe", "\xfe\xff"};

    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_autofree char *plain = load(files[0]);
        g_autofree char *expected = describe(plain, strlen(plain), true, NULL), *got = NULL;
        g_autoptr(GString) log = g_string_new_len(marks[i], 2);
        g_autofree char *wide = NULL;
        gsize length;

        wide = g_convert(plain, -1, codes[i], "UTF-8", NULL, &length, NULL);
        assert_non_null(wide);
        g_string_append_len(log, wide, (gssize)length);
        got = describe(log->str, log->len, true, "4.398382");
        assert_string_equal(got, expected);
    }
}

static void
take_line(const char *line, gpointer data)
{
    g_string_append_printf(data, "%s|", line);
}

typedef struct {
    const char *name, *log, *lines;
} Row;

static const Row rows[] = {
    {"a cut JSON gives what it has", "{\"MESSAGE\":\"kvm invo\nplain\n", "kvm invo|plain|"},
    {"a JSON of no message gives nothing", "{\"PRIORITY\":\"6\",\"_PID\":1}\n", ""},
    {"a record takes no time from the next",
     "{\"MESSAGE\":\"a\"}\n{\"MESSAGE\":\"b\",\"time\":\"2024-05-09T14:52:38Z\"}\n{\"MESSAGE\":"
     "\"c\"}",
     "a|2024-05-09T14:52:38Z kernel: b|c|"},
    {"a time that is none is left out", "{\"msg\":\"a\",\"time\":\"soon\"}\n", "a|"},
    {"a year past all calendars is left out",
     "{\"MESSAGE\":\"a\",\"__REALTIME_TIMESTAMP\":\"18446744073709551615\"}\n", "a|"},
    {"a host with a blank is left out", "{\"msg\":\"a\",\"time\":1.5,\"host\":\"x y\"}",
     "[1.5] kernel: a|"},
    {"JSON's escapes are undone, what they cannot be is dropped",
     "{\"msg\":\"\\u0041\\u00e9\\ud83d\\u0000\\u00g\\\\x2d\\\"\"}", "A\xc3\xa9g\\x2d\"|"},
    {"the last day of February", "{\"msg\":\"a\",\"__REALTIME_TIMESTAMP\":\"1709251199000001\"}",
     "2024-02-29T23:59:59.000001Z kernel: a|"},
    {"the first second", "{\"msg\":\"a\",\"__REALTIME_TIMESTAMP\":\"0\"}",
     "1970-01-01T00:00:00.000000Z kernel: a|"},
    {"a systemd escape is no line end", "/machine-qemu\\x2d1\\x2dnode.scope\n",
     "/machine-qemu\\x2d1\\x2dnode.scope|"},
    {"a doubled backslash is no line end", "a\\\\n\n", "a\\\\n|"},
    {"zero bytes are no part of a line", "Killed\n", "Killed|"},
    {"a colour that is cut ends with its line", "a\x1b[33\nb\x1b", "a|b|"},
    {"a semicolon makes no record of /dev/kmsg", "1,2,three,-;a\n6,1,2,-\n",
     "1,2,three,-;a|6,1,2,-|"},
    {"a variable is no record", "A line with PATH=/x and MESSAGE=y\n",
     "A line with PATH=/x and MESSAGE=y|"},
};

static void
run_row(void **state)
{
    const Row *row = *state;

    for (gsize step = 1; step < 9; step += 7) {
        g_autofree OomUnwrap *unwrap = g_new0(OomUnwrap, 1);
        g_autoptr(GString) lines = g_string_new(NULL);
        gsize length = strlen(row->log);

        unwrap->take = take_line;
        unwrap->data = lines;
        for (gsize i = 0; i < length; i += step)
            oomunwrap_feed(unwrap, row->log + i, MIN(step, length - i));
        oomunwrap_end(unwrap);
        assert_string_equal(lines->str, row->lines);
    }
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));

    g_array_append_vals(tests, &(struct CMUnitTest)cmocka_unit_test(utf16_is_read), 1);
    for (guint i = 0; i < G_N_ELEMENTS(forms); i++)
        g_array_append_vals(tests, &t_row(forms[i].name, run_form, &forms[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(joints); i++)
        g_array_append_vals(tests, &t_row(joints[i].name, run_joint, &joints[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        g_array_append_vals(tests, &t_row(rows[i].name, run_row, &rows[i]), 1);
    return _cmocka_run_group_tests("oomunwrap", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
