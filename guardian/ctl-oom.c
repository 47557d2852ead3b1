/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-daemon.h"
#include "ctl.h"
#include "message.h"
#include "oom-before.h"
#include "oom-log.h"
#include "oom-text.h"
#include "oomreader.h"
#include "report-read.h"
#include "units.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* `guardianctl oom`: explains the kernel's OOM reports in a log; without one, those that the daemon
 * has seen. */

/* dmesg writes at once; what is slower is given as "-". */
#define PIPE_PATIENCE_MS 1000

static const char help_text[] =
    "Usage: guardianctl oom [FILE|-] [--guest SIZE]\n"
    "Explains the kernel's OOM reports in a log: who died, in which VM and domain,\n"
    "who was to blame, and what limit would have been enough. Without a log: those\n"
    "that the daemon has seen since the boot, the last 32, with the VM each was of\n"
    "and the minutes before: who held what (rest: nobody was seen to hold it).\n\n"
    "  FILE          any log with kernel messages, JSON too; - is standard input\n"
    "  --guest SIZE  RAM of the VM's guest, to tell it from QEMU's own: 16G, 1948Mi\n"
    "  --json        for programs\n\n"
    "  dmesg | guardianctl oom -\n"
    "  journalctl -k -b -1 | guardianctl oom - --guest 16Gi\n\n"
    "Memory is split by what the domain was charged with: RSS counts a shared page in\n"
    "each process. A log that is cut gives a partial answer that says so.\n"
    "Kept: 1024 reports, 16384 tasks of each.\n"
    "Exit status: 0 no report found, 1 reports found, 2 could not read.\n";

typedef struct {
    const char *file; /* NULL = not given */
    OomSize guest;
    bool is_help;
} Arguments;

static int
guest_parse(const char *word, OomSize *ret_guest)
{
    g_autofree char *printable = units_printable(word, -1);
    guint64 bytes;
    const char *wrong = word ? units_parse_size(word, &bytes) : "needs a size";

    if (wrong)
        return word ? ctl_fail("--guest \"%s\" %s", printable, wrong)
                    : ctl_fail("--guest needs a size, such as 16Gi");
    if (bytes == 0 || bytes > G_MAXINT64)
        return ctl_fail("--guest \"%s\" is no size of a guest", printable);
    *ret_guest = (OomSize){true, bytes};
    return 0;
}

static int
arguments_parse(int argc, char **argv, Arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        g_autofree char *printable = units_printable(argv[i], -1);
        int status = 0;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            arguments->is_help = true;
        else if (strcmp(argv[i], "--guest") == 0)
            status = guest_parse(argv[++i], &arguments->guest);
        else if (g_str_has_prefix(argv[i], "--guest="))
            status = guest_parse(argv[i] + strlen("--guest="), &arguments->guest);
        else if (argv[i][0] == '-' && argv[i][1] != '\0')
            status = ctl_fail("oom: unknown option %s; see --help", printable);
        else if (arguments->file)
            status = ctl_fail("oom: \"%s\" is one FILE too many", printable);
        else
            arguments->file = argv[i];
        if (status != 0)
            return status;
    }
    return 0;
}

/* A log that was given without "-". A terminal, /dev/null, a socket or a pipe into which nobody
 * writes is none: whoever starts us may hand down any of them. */
static bool
stdin_is_log(void)
{
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    struct stat st;
    int n_bytes = 0;

    if (fstat(STDIN_FILENO, &st) < 0)
        return false;
    if (!S_ISFIFO(st.st_mode))
        return S_ISREG(st.st_mode);
    return poll(&ready, 1, PIPE_PATIENCE_MS) > 0 && ioctl(STDIN_FILENO, FIONREAD, &n_bytes) == 0 &&
           n_bytes > 0;
}

static void
print_json(const GPtrArray *reports)
{
    g_autoptr(JsonBuilder) builder = ctl_begin_json();

    json_builder_set_member_name(builder, "reports");
    json_builder_begin_array(builder);
    for (guint i = 0; i < reports->len; i++) {
        JsonNode *node = json_node_new(JSON_NODE_OBJECT);

        json_node_take_object(node, oom_json(reports->pdata[i]));
        json_builder_add_value(builder, node);
    }
    json_builder_end_array(builder);
    ctl_end_json(builder);
}

static void
print_text(const GPtrArray *reports)
{
    if (reports->len == 0)
        printf("no OOM report found\n");
    for (guint i = 0; i < reports->len; i++) {
        g_autofree char *text = oom_text(reports->pdata[i]);

        printf("%s%s", i > 0 ? "\n" : "", text);
    }
}

static void
print_seen(JsonObject *report)
{
    JsonArray *lines = message_get_array(report, "text");
    const char *forecast = message_get_string(report, "forecast");
    g_autoptr(GString) before = g_string_new(NULL);
    bool is_death = false;

    (void)message_get_bool(report, "death", &is_death);
    printf("%s, seen %s%s%s%s\n", report_text_of(report, "watched_vm", "no VM that is watched"),
           report_text_of(report, "seen_utc", "?"), is_death ? "; the VM died of it" : "",
           forecast ? "; forecast before: " : "", forecast ? forecast : "");
    for (guint i = 0; lines && i < json_array_get_length(lines); i++) {
        JsonNode *node = json_array_get_element(lines, i);

        if (json_node_get_value_type(node) == G_TYPE_STRING)
            printf("%s\n", json_node_get_string(node));
    }
    oom_before_append(before, report, 2);
    printf("%s", before->str);
}

/* What the daemon has seen. */
static int
show_seen(const CtlOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Host) host = host_new(options->roots, &error);
    g_autoptr(GPtrArray) reports = NULL;
    JsonNode *answer = NULL;
    int fd = -1;

    if (host && ctl_connect(host, &fd, &error) && fd >= 0)
        answer = ctl_ask(fd, "{\"execute\":\"oom\"}", &error);
    if (!answer)
        return ctl_fail("oom: %s", error ? error->message
                                         : "no daemon is running; give a FILE, or a log on "
                                           "standard input: dmesg | guardianctl oom -");
    reports = report_objects_of(json_node_get_object(answer), "reports");
    for (guint i = 0; !options->is_json && i < reports->len; i++) {
        printf("%s", i > 0 ? "\n" : "");
        print_seen(reports->pdata[i]);
    }
    if (!options->is_json && reports->len == 0)
        printf("no OOM kill since the daemon watches\n");
    if (options->is_json)
        ctl_print_json(json_node_ref(answer));
    json_node_unref(answer);
    return reports->len > 0 ? 1 : 0;
}

static int
show_log(const CtlOptions *options, const Arguments *arguments)
{
    g_autoptr(OomReader) reader = oomreader_new();
    g_autoptr(GError) error = NULL;
    const GPtrArray *reports;

    if (!oom_log_read(arguments->file, reader, &error)) {
        g_autofree char *name = units_printable(arguments->file ? arguments->file : "-", -1);
        g_autofree char *reason = units_printable(error->message, -1);

        return ctl_fail("%s: %s", name, reason);
    }
    reports = oomreader_finish(reader, arguments->guest);
    if (options->is_json)
        print_json(reports);
    else
        print_text(reports);
    if (oomreader_n_dropped(reader) > 0)
        fprintf(stderr, "guardianctl: oom: %" G_GUINT64_FORMAT " more reports were not kept\n",
                oomreader_n_dropped(reader));
    return reports->len > 0 ? 1 : 0;
}

int
ctl_oom(const CtlOptions *options, int argc, char **argv)
{
    Arguments arguments = {0};
    int status = arguments_parse(argc, argv, &arguments);

    if (status != 0)
        return status;
    if (arguments.is_help) {
        printf("%s", help_text);
        return 0;
    }
    if (arguments.file || stdin_is_log())
        return show_log(options, &arguments);
    if (arguments.guest.is_known)
        return ctl_fail("oom: --guest goes with a FILE: of a VM that is watched it is known");
    return show_seen(options);
}
