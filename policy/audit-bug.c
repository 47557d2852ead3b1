/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* QEMU versions that are known to freeze a disk path. A row is as good as its source; sites add
 * rows of their own in a drop-in file. */

#include "audit.h"

#include "units.h"

#include <string.h>

static const char *const lines[] = {
    "7.1.0 7.1.1 iothread+io_uring | requests in an iothread with io_uring are lost: the guest's "
    "disk hangs | QEMU issue 1193",
    "8.1.0 8.2.2 iothread | after a drain (backup, snapshot) an iothread no longer hears its "
    "virtqueue: the guest's disk hangs | QEMU commit 5bdbaebcce, in 8.2.2 and 9.0",
    "9.1.0 10.1.0 throttle+several-iothreads | a throttled disk that several iothreads serve loses "
    "its timer: the guest's disk hangs | QEMU issue 3144",
    NULL};

const char *const *
audit_bug_lines(void)
{
    return lines;
}

guint
audit_version(const char *text)
{
    guint parts[3] = {0}, n = 0;

    for (const char *at = text; at && g_ascii_isdigit(*at) && n < 3; n++) {
        while (g_ascii_isdigit(*at) && parts[n] < 1000)
            parts[n] = parts[n] * 10 + (guint)g_ascii_digit_value(*at++);
        if (*at != '.')
            at = NULL;
        else
            at++;
    }
    if (n == 0 || parts[0] >= 100 || parts[1] >= 100 || parts[2] >= 100)
        return 0;
    return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

static bool
needs_are_known(const char *needs)
{
    static const char *const known[] = {"any",      "lsi",      "iothread", "several-iothreads",
                                        "throttle", "io_uring", NULL};
    g_auto(GStrv) words = g_strsplit(needs, "+", -1);

    for (guint i = 0; words[i]; i++)
        if (!g_strv_contains(known, words[i]))
            return false;
    return words[0] != NULL;
}

/* FROM BELOW NEEDS */
static char *
range_parse(AuditBug *bug, const char *text)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);
    guint n = 0;

    for (guint i = 0; words[i]; i++) {
        if (!*words[i])
            continue;
        if (n == 0)
            bug->from = audit_version(words[i]);
        else if (n == 1)
            bug->below = audit_version(words[i]);
        else if (n == 2)
            bug->needs = g_strdup(words[i]);
        if (n < 2 && audit_version(words[i]) == 0 && !(n == 1 && strcmp(words[i], "-") == 0))
            return g_strdup("the versions are no numbers like 7.1.0");
        n++;
    }
    if (n != 3)
        return g_strdup("before the first | belong FROM BELOW NEEDS");
    if (!needs_are_known(bug->needs))
        return g_strdup("NEEDS is none of any, lsi, iothread, several-iothreads, throttle, "
                        "io_uring, joined by +");
    if (bug->below > 0 && bug->below <= bug->from)
        return g_strdup("the range of versions is empty");
    return NULL;
}

AuditBug *
audit_bug_parse(const char *line, char **ret_wrong)
{
    g_auto(GStrv) parts = g_strsplit(line, "|", 3);
    g_autoptr(AuditBug) bug = g_new0(AuditBug, 1);
    const char *first = line + strspn(line, " \t");

    *ret_wrong = NULL;
    if (*first == '\0' || *first == '#')
        return NULL;
    if (g_strv_length(parts) != 3) {
        *ret_wrong = g_strdup("three parts are needed: FROM BELOW NEEDS | WHAT | SOURCE");
        return NULL;
    }
    *ret_wrong = range_parse(bug, parts[0]);
    if (*ret_wrong)
        return NULL;
    bug->what = units_printable(g_strstrip(parts[1]), -1);
    bug->source = units_printable(g_strstrip(parts[2]), -1);
    return g_steal_pointer(&bug);
}

void
audit_bug_free(AuditBug *bug)
{
    if (!bug)
        return;
    g_free(bug->needs);
    g_free(bug->what);
    g_free(bug->source);
    g_free(bug);
}
