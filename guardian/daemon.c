/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon.h"

#include "acting.h"
#include "alert-hooks.h"
#include "alerting.h"
#include "control.h"
#include "libvirt.h"
#include "lifting.h"
#include "memory-watch.h"
#include "message.h"
#include "report-forecast.h"
#include "report-journal.h"
#include "report.h"
#include "sandbox.h"
#include "service.h"
#include "textfile.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/mman.h>

typedef struct {
    const Host *host;
    GMainContext *context;
    GMainLoop *loop;
    Guardian *guardian;
    Control *control;
    Alerting *alerting;
    Service *service;
    Acting *acting;
    Lifting *lifting;
} Daemon;

/* What a person should not have to look for. */
static void
daemon_captured(JsonObject *summary, gpointer data)
{
    const char *problem = message_get_string(summary, "problem");

    if (problem)
        report_journal_warn(JOURNAL_CAPTURED, "captured %s: %s; the bundle %s",
                            message_get_string(summary, "vm"),
                            message_get_string(summary, "directory"), problem);
    else
        report_journal_note(JOURNAL_CAPTURED, "captured %s: %s", message_get_string(summary, "vm"),
                            message_get_string(summary, "directory"));
}

static void
capture_paged(const Daemon *daemon, const GuardianChange *change)
{
    const CaptureOptions options = {.is_automatic = true, .is_sampled = true};
    g_autofree char *pid = g_strdup_printf("%d", (int)proc_pid(change->vm->proc));
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;

    if (!change->vm->limits.capture_automatic ||
        captures_begin_named(guardian_captures(daemon->guardian), guardian_vms(daemon->guardian),
                             pid, &options, &name, &error))
        return;
    if (!g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY))
        report_journal_warn(JOURNAL_CAPTURED, "no evidence of %s: %s", change->vm->name,
                            error->message);
}

static void
daemon_news(const char *line, gpointer data)
{
    report_journal_note(JOURNAL_LIBVIRT, "%s", line);
}

static void
daemon_changed(const GuardianChange *change, gpointer data)
{
    const Daemon *daemon = data;
    const char *step = NULL;
    g_autofree char *line = report_change_line(change, host_realtime_us(daemon->host), &step);
    bool is_page = alerting_is_page(daemon->alerting, change);

    alerting_follow(daemon->alerting, change);
    if (line && g_str_equal(step, "changed"))
        report_journal_change(change, line);
    if (is_page)
        capture_paged(daemon, change);
}

/* Before it is certain enough for an alert, it can be read. */
static void
note_growth(const Daemon *daemon, const Vm *vm)
{
    const PressureVerdict *forecast = &vm->memory_watch->pressure.verdict;
    g_autoptr(JsonNode) told = NULL;
    g_autofree char *text = NULL;

    if (forecast->level != PRESSURE_WATCH || forecast->grows_bps == 0 ||
        forecast->since_us != vm->memory.at_us)
        return;
    told = report_vm(daemon->host, vm);
    text = report_forecast_text(json_node_get_object(told));
    report_journal_note(JOURNAL_CHANGED, "%s: memory: %s", vm->name, text);
}

static void
daemon_forecast(const Vm *vm, gpointer data)
{
    const Daemon *daemon = data;

    alerting_follow_memory(daemon->alerting, vm);
    note_growth(daemon, vm);
}

static void
daemon_host_changed(const HostWatch *watch, gpointer data)
{
    alerting_follow_host(((const Daemon *)data)->alerting, watch);
}

static void
daemon_band_changed(const Band *band, gpointer data)
{
    alerting_follow_band(((const Daemon *)data)->alerting, band);
}

static void
daemon_band_held(const Band *band, gpointer data)
{
    const Daemon *daemon = data;

    lifting_follow(daemon->lifting, band, guardian_limits(daemon->guardian));
}

static void
daemon_oom(const OomStory *story, bool is_open, gpointer data)
{
    alerting_follow_oom(((const Daemon *)data)->alerting, story, is_open);
}

static void
daemon_oom_warn(const char *line, gpointer data)
{
    report_journal_warn(JOURNAL_OOM, "%s", line);
}

static void
daemon_follow_host(Daemon *daemon)
{
    HostWatch *watch = guardian_host_watch(daemon->guardian);

    watch->changed = daemon_host_changed;
    watch->data = daemon;
    bands_set_func(watch->bands, daemon_band_changed, daemon);
    bands_set_held_func(watch->bands, daemon_band_held, daemon);
    watch->is_daemon = true;
    oom_watch_start(watch->oom, daemon->context, daemon_oom, daemon_oom_warn, daemon);
}

static void
daemon_speak(const AlertingNews *news, gpointer data)
{
    const Daemon *daemon = data;

    report_journal_alert(news);
    control_send_alert(daemon->control, news);
}

static void
daemon_reconciled(const Vm *vm, const char *line, bool is_alert, gpointer data)
{
    if (is_alert)
        report_journal_warn(JOURNAL_LIMITS, "%s: %s", vm->name, line);
    else
        report_journal_note(JOURNAL_LIMITS, "%s: %s", vm->name, line);
}

static void
daemon_warn(const char *line, gpointer data)
{
    report_journal_warn(JOURNAL_HOOK, "%s", line);
}

static void
daemon_sampled(const Vm *vm, gpointer data)
{
    const Daemon *daemon = data;

    acting_follow(daemon->acting, vm, guardian_vms(daemon->guardian),
                  guardian_limits(daemon->guardian));
}

static void
daemon_acted(const char *line, bool is_bad, gpointer data)
{
    if (is_bad)
        report_journal_warn(JOURNAL_ACT, "%s", line);
    else
        report_journal_note(JOURNAL_ACT, "%s", line);
}

static void
daemon_act_failed(const Vm *vm, const char *kind, const char *problem, gpointer data)
{
    alerting_follow_act(((const Daemon *)data)->alerting, vm, kind, problem);
}

static void
daemon_lift_failed(const char *label, const char *problem, gpointer data)
{
    alerting_follow_lift(((const Daemon *)data)->alerting, label, problem);
}

static bool
daemon_reload(gpointer data, GError **error)
{
    const Daemon *daemon = data;
    g_autoptr(GError) problem = NULL;
    Config *config;

    service_reloading(daemon->service);
    config = config_load(daemon->host, &problem);
    if (config) {
        guardian_reconfigure(daemon->guardian, config);
        acting_reset(daemon->acting);
        lifting_reset(daemon->lifting);
        alerting_set_limits(daemon->alerting, guardian_limits(daemon->guardian));
        report_journal_note(JOURNAL_RELOADED, "configuration reloaded");
    } else {
        report_journal_warn(JOURNAL_RELOAD_FAILED, "the old configuration stays: %s",
                            problem->message);
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    service_reloaded(daemon->service, !config);
    return config != NULL;
}

static gboolean
on_reload(gpointer data)
{
    (void)daemon_reload(data, NULL); /* the journal has heard of it */
    return G_SOURCE_CONTINUE;
}

static gboolean
on_end(gpointer data)
{
    g_main_loop_quit(((Daemon *)data)->loop);
    return G_SOURCE_CONTINUE;
}

/* Nothing may be read from disk on a tick: the disk may be the dead one. What is mapped now, all
 * code among it, is read in and stays; what comes later stays once it was touched, or the workers'
 * whole stacks would be locked. */
static void
lock_memory(void)
{
    if (mlockall(MCL_CURRENT) < 0 || mlockall(MCL_FUTURE | MCL_ONFAULT) < 0)
        report_journal_warn(JOURNAL_NOT_LOCKED,
                            "memory is not locked (%s): a dead disk of this host may stop us",
                            g_strerror(errno));
}

/* Not GLib's default one: that is libvirt's, whose thread runs it (libvirt-watch.h). */
static void
daemon_on_signal(Daemon *daemon, int number, GSourceFunc func)
{
    g_autoptr(GSource) source = g_unix_signal_source_new(number);

    g_source_set_callback(source, func, daemon, NULL);
    g_source_attach(source, daemon->context);
}

/* Who hears of what. */
static void
daemon_listen(Daemon *daemon)
{
    Guardian *guardian = daemon->guardian;

    acting_set_alert_func(daemon->acting, daemon_act_failed, daemon);
    lifting_set_alert_func(daemon->lifting, daemon_lift_failed, daemon);
    guardian_set_acts(guardian, acts_journal(acting_acts(daemon->acting)));
    guardian_set_change_func(guardian, daemon_changed, daemon);
    guardian_set_memory_func(guardian, daemon_forecast, daemon);
    guardian_set_sampled_func(guardian, daemon_sampled, daemon);
    guardian_reconcile(guardian, daemon_reconciled, daemon);
    libvirt_set_news_func(guardian_libvirt(guardian), daemon_news, NULL);
    captures_set_done_func(guardian_captures(guardian), daemon_captured, daemon);
    captures_rescue(guardian_captures(guardian));
    daemon_follow_host(daemon);
}

/* The guardian outlives them all. */
static void
daemon_leave(Daemon *daemon)
{
    guardian_set_change_func(daemon->guardian, NULL, NULL);
    guardian_set_memory_func(daemon->guardian, NULL, NULL);
    guardian_set_sampled_func(daemon->guardian, NULL, NULL);
    guardian_set_acts(daemon->guardian, NULL);
}

static void
daemon_loop(const Daemon *daemon)
{
    g_autofree char *mode =
        setting_format(setting_find("guardian", "mode"), guardian_limits(daemon->guardian));

    lock_memory();
    guardian_start(daemon->guardian);
    report_journal_note(JOURNAL_STARTED, "watching, mode %s, control socket %s/" CONTROL_SOCKET,
                        mode, host_root_path(daemon->host, HOST_RUN));
    service_ready(daemon->service);
    g_main_loop_run(daemon->loop);
    service_stopping(daemon->service);
    report_journal_note(JOURNAL_STOPPED, "stopped");
}

bool
daemon_run(const Host *host, GMainContext *context, Guardian *guardian, GError **error)
{
    Daemon daemon = {.host = host, .context = context, .guardian = guardian};
    const AlertingFuncs funcs = {.speak = daemon_speak, .warn = daemon_warn, .data = &daemon};
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    g_autoptr(Control) control = NULL;
    g_autoptr(Alerting) alerting = NULL;
    g_autoptr(Service) service = service_new(guardian, context);
    g_autoptr(Textfile) textfile = NULL;
    g_autoptr(Lifting) lifting = NULL; /* its acts end before it */
    g_autoptr(Acting) acting = NULL;

    /* first of all: who sees the socket may end us, and it must not stay behind */
    daemon.loop = loop;
    daemon_on_signal(&daemon, SIGTERM, on_end);
    daemon_on_signal(&daemon, SIGINT, on_end);
    daemon_on_signal(&daemon, SIGHUP, on_reload);
    control = control_new(guardian, context, daemon_reload, &daemon, error);
    if (!control)
        return false;
    alerting = alerting_new(host, context, &funcs);
    alerting_set_limits(alerting, guardian_limits(guardian));
    if (sandbox_is_around_us())
        alert_hooks_leave_sandbox(alerting_hooks(alerting));
    control_set_alerting(control, alerting);
    acting = acting_new(host, context, daemon_acted, &daemon);
    lifting = lifting_new(host, context, acting_acts(acting), guardian_host_watch(guardian)->bands,
                          guardian_vms(guardian), daemon_acted, &daemon);
    textfile = textfile_new(guardian, alerting, context, daemon_warn, &daemon);
    daemon.service = service;
    daemon.control = control;
    daemon.alerting = alerting;
    daemon.acting = acting;
    daemon.lifting = lifting;
    daemon_listen(&daemon);
    daemon_loop(&daemon);
    daemon_leave(&daemon);
    return true;
}
