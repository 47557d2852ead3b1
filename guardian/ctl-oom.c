/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-oom.h"
#include "ctl.h"
#include "oomreader.h"
#include "units.h"

#include <gio/gunixinputstream.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* `guardianctl oom`: explains the kernel's OOM reports in a log. It looks at no host and asks no
 * daemon. */

static const char help_text[] =
    "Usage: guardianctl oom [FILE|-] [--guest SIZE]\n"
    "Explains the kernel's OOM reports in a log: who died, in which VM and domain,\n"
    "who was to blame, and what limit would have been enough.\n\n"
    "  FILE          any log with kernel messages; - or a pipe is standard input\n"
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

/* "-" and nothing are standard input. */
static GInputStream *
stream_open(const char *path, GError **error)
{
    g_autoptr(GFile) file = NULL;

    if (!path || strcmp(path, "-") == 0)
        return g_unix_input_stream_new(STDIN_FILENO, FALSE);
    file = g_file_new_for_path(path);
    return G_INPUT_STREAM(g_file_read(file, NULL, error));
}

/* Any length: the reader keeps what it needs. */
static bool
log_read(const char *path, OomReader *reader, GError **error)
{
    g_autoptr(GInputStream) stream = stream_open(path, error);
    char buffer[65536];
    gssize n;

    if (!stream)
        return false;
    while ((n = g_input_stream_read(stream, buffer, sizeof buffer, NULL, error)) > 0)
        oomreader_feed(reader, buffer, (gsize)n);
    return n == 0;
}

int
ctl_oom(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(OomReader) reader = oomreader_new();
    g_autoptr(GError) error = NULL;
    Arguments arguments = {0};
    const GPtrArray *reports;
    int status = arguments_parse(argc, argv, &arguments);

    if (status != 0)
        return status;
    if (arguments.is_help) {
        printf("%s", help_text);
        return 0;
    }
    if (!arguments.file && isatty(STDIN_FILENO))
        return ctl_fail("oom: give a FILE, or a log on standard input: dmesg | guardianctl oom -");
    if (!log_read(arguments.file, reader, &error)) {
        g_autofree char *name = units_printable(arguments.file ? arguments.file : "-", -1);
        g_autofree char *reason = units_printable(error->message, -1);

        return ctl_fail("%s: %s", name, reason);
    }
    reports = oomreader_finish(reader, arguments.guest);
    if (options->is_json)
        ctl_oom_print_json(reports);
    else
        ctl_oom_print_text(reports);
    if (oomreader_n_dropped(reader) > 0)
        fprintf(stderr, "guardianctl: oom: %" G_GUINT64_FORMAT " more reports were not kept\n",
                oomreader_n_dropped(reader));
    return reports->len > 0 ? 1 : 0;
}
