/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-journal.h"

#include "report.h"

#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

/* systemd names the stream it gave a service as stderr (systemd.exec(5), $JOURNAL_STREAM); the
 * variable is inherited by whoever redirects stderr, so compare. */
static bool
stderr_is_journal(void)
{
    const char *stream = g_getenv("JOURNAL_STREAM");
    g_autofree char *ours = NULL;
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    ours = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64)st.st_dev,
                           (guint64)st.st_ino);
    return g_str_equal(stream, ours);
}

static void
print_stderr(const char *line)
{
    g_autofree char *now = report_utc(g_get_real_time());

    fprintf(stderr, "%s %s\n", now, line);
}

void
report_journal_change(const GuardianChange *change, const char *line)
{
    if (!stderr_is_journal()) {
        print_stderr(line);
        return;
    }
    sd_journal_send("MESSAGE=%s", line, "PRIORITY=%d",
                    change->after.state == STATE_SUSPECT ? LOG_WARNING : LOG_NOTICE,
                    "MESSAGE_ID=%s", REPORT_MESSAGE_ID_CHANGE, "VM=%s", change->vm->name, "DISK=%s",
                    change->disk ? change->disk->label : "", "VM_STATE=%s",
                    state_name(change->after.state), "LAYER=%s", layer_name(change->after.layer),
                    "CAUSE=%s", change->after.cause ? change->after.cause : "", NULL);
}

static int
priority_of(const char *step)
{
    if (g_str_equal(step, "paged") || g_str_equal(step, "reminded"))
        return LOG_CRIT;
    return g_str_equal(step, "raised") ? LOG_ERR : LOG_NOTICE;
}

void
report_journal_alert(const AlertingNews *news)
{
    if (!stderr_is_journal()) {
        print_stderr(news->line);
        return;
    }
    sd_journal_send("MESSAGE=%s", news->line, "PRIORITY=%d", priority_of(news->step),
                    "MESSAGE_ID=%s", REPORT_MESSAGE_ID_ALERT, "VM=%s", news->vm ? news->vm : "",
                    "DISK=%s", news->disk ? news->disk : "", "VM_STATE=%s", state_name(news->state),
                    "LAYER=%s", layer_name(news->layer), "ALERT=%s", news->step, NULL);
}

static void say(int priority, const char *format, va_list arguments) G_GNUC_PRINTF(2, 0);

static void
say(int priority, const char *format, va_list arguments)
{
    g_autofree char *line = g_strdup_vprintf(format, arguments);

    if (stderr_is_journal())
        sd_journal_send("MESSAGE=%s", line, "PRIORITY=%d", priority, NULL);
    else
        print_stderr(line);
}

void
report_journal_note(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(LOG_INFO, format, arguments);
    va_end(arguments);
}

void
report_journal_warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(LOG_WARNING, format, arguments);
    va_end(arguments);
}
