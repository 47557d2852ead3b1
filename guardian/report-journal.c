/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-journal.h"

#include "report.h"

#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static const struct {
    const char *name, *id;
} events[] = {
    [JOURNAL_ALERT] = {"alert", "0d9f6c0d5a0b4f64b1c7b6c1e8a0f2d3"},
    [JOURNAL_CHANGED] = {"changed", "6f6f2a6a5be84a0d9f1c54d7a1b9e3c4"},
    [JOURNAL_CAPTURED] = {"captured", "3e2f1a50a1364092981e891014a90c79"},
    [JOURNAL_ACT] = {"act", "3c1f6a8e0b7d4c52a9e4d17f5b82c603"},
    [JOURNAL_HOOK] = {"hook", "89bfcfc7cf4d451599cb7f05e4bfe2d6"},
    [JOURNAL_LIBVIRT] = {"libvirt", "2b0d5f1a7c3e4d6b9a8847c6f1e20d53"},
    [JOURNAL_STARTED] = {"started", "deffaa6cf152411b89dfe98e030860f1"},
    [JOURNAL_STOPPED] = {"stopped", "d1c275b9e6344d6f9ce6ecae0070a3cf"},
    [JOURNAL_RELOADED] = {"reloaded", "663912376809410d892d5703cdde3585"},
    [JOURNAL_RELOAD_FAILED] = {"reload-failed", "c5ce7c8c1b914d3b83c4ea8096e51ba3"},
    [JOURNAL_LIMITS] = {"limits", "7c1de0b4e2f94f6b9a50c0de85a3b917"},
    [JOURNAL_OOM] = {"oom", "1d68e5022efd44b9bc9179b0f6d3633d"},
    [JOURNAL_NOT_LOCKED] = {"not-locked", "521d358cca554b63b85ff89eb70d61f8"},
};

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
                    change->after.state == STATE_SUSPECT ? LOG_WARNING : LOG_NOTICE, "EVENT=%s",
                    events[JOURNAL_CHANGED].name, "MESSAGE_ID=%s", events[JOURNAL_CHANGED].id,
                    "VM=%s", change->vm->name, "DISK=%s", change->disk ? change->disk->label : "",
                    "VM_STATE=%s", state_name(change->after.state), "LAYER=%s",
                    layer_name(change->after.layer), "CAUSE=%s",
                    change->after.cause ? change->after.cause : "", NULL);
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
    sd_journal_send("MESSAGE=%s", news->line, "PRIORITY=%d", priority_of(news->step), "EVENT=%s",
                    events[JOURNAL_ALERT].name, "MESSAGE_ID=%s", events[JOURNAL_ALERT].id, "VM=%s",
                    news->vm ? news->vm : "", "DISK=%s", news->disk ? news->disk : "",
                    "VM_STATE=%s", state_name(news->state), "LAYER=%s", layer_name(news->layer),
                    "ALERT=%s", news->step, NULL);
}

static void say(JournalEvent event, int priority, const char *format, va_list arguments)
    G_GNUC_PRINTF(3, 0);

static void
say(JournalEvent event, int priority, const char *format, va_list arguments)
{
    g_autofree char *line = g_strdup_vprintf(format, arguments);

    if (stderr_is_journal())
        sd_journal_send("MESSAGE=%s", line, "PRIORITY=%d", priority, "EVENT=%s", events[event].name,
                        "MESSAGE_ID=%s", events[event].id, NULL);
    else
        print_stderr(line);
}

void
report_journal_note(JournalEvent event, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(event, LOG_INFO, format, arguments);
    va_end(arguments);
}

void
report_journal_warn(JournalEvent event, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(event, LOG_WARNING, format, arguments);
    va_end(arguments);
}
