/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alert-message.h"

#include "report-build.h"
#include "sandbox.h"
#include "units.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The deadline is the supervisor's to tell of; systemd ends right after it what he cannot reach. */
#define OVERTIME_US (G_USEC_PER_SEC / 2)

static char *
message_json(const AlertingNews *news, const char *host, const char *now)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_text(builder, "host", host);
    build_text(builder, "now_utc", now);
    build_text(builder, "step", news->step);
    build_bool(builder, "paged", news->is_paged);
    build_text(builder, "text", news->line);
    build_text(builder, "vm", news->vm);
    json_builder_set_member_name(builder, "vms");
    json_builder_begin_array(builder);
    for (guint i = 0; news->vms && news->vms[i]; i++)
        json_builder_add_string_value(builder, news->vms[i]);
    json_builder_end_array(builder);
    build_text(builder, "disk", news->disk);
    build_text(builder, "storage", news->storage);
    build_text(builder, "state", state_name(news->state));
    build_text(builder, "layer", layer_name(news->layer));
    build_text(builder, "cause", news->cause ? news->cause : "");
    build_text(builder, "since_utc", news->since_utc);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

static void
add_variable(GPtrArray *environment, const char *name, const char *value)
{
    g_ptr_array_add(environment, g_strdup_printf("%s=%s", name, value ? value : ""));
}

static char **
message_environment(const AlertingNews *news, const char *host, const char *now)
{
    GPtrArray *environment = g_ptr_array_new();

    add_variable(environment, "PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    add_variable(environment, "HOME", "/");
    add_variable(environment, "LANG", "C.UTF-8");
    add_variable(environment, "ALERT_HOST", host);
    add_variable(environment, "ALERT_NOW_UTC", now);
    add_variable(environment, "ALERT_STEP", news->step);
    add_variable(environment, "ALERT_PAGED", news->is_paged ? "yes" : "no");
    add_variable(environment, "ALERT_TEXT", news->line);
    add_variable(environment, "ALERT_VM", news->vm);
    add_variable(environment, "ALERT_DISK", news->disk);
    add_variable(environment, "ALERT_STATE", state_name(news->state));
    add_variable(environment, "ALERT_LAYER", layer_name(news->layer));
    g_ptr_array_add(environment, NULL);
    return (char **)g_ptr_array_free(environment, FALSE);
}

AlertMessage *
alert_message_new(const AlertingNews *news, gint64 realtime_us)
{
    AlertMessage *message = g_new0(AlertMessage, 1);
    g_autofree char *host = units_printable(g_get_host_name(), -1);
    g_autofree char *now = report_utc(realtime_us);

    g_atomic_ref_count_init(&message->references);
    message->json = message_json(news, host, now);
    message->length = strlen(message->json);
    message->environment = message_environment(news, host, now);
    return message;
}

AlertMessage *
alert_message_ref(AlertMessage *message)
{
    g_atomic_ref_count_inc(&message->references);
    return message;
}

void
alert_message_unref(AlertMessage *message)
{
    if (!message || !g_atomic_ref_count_dec(&message->references))
        return;
    g_free(message->json);
    g_strfreev(message->environment);
    g_free(message);
}

/* ExitType: what is left at work, as exim's delivery, has until the deadline, too. */
char **
alert_message_argv(const AlertMessage *message, const char *path, bool leaves_sandbox,
                   gint64 deadline_us)
{
    static const char *const limits[] = {"--property=ExitType=cgroup",
                                         "--property=KillSignal=SIGKILL",
                                         "--property=MemoryMax=256M", "--property=TasksMax=64"};
    GPtrArray *argv = g_ptr_array_new();

    if (leaves_sandbox)
        sandbox_leave(argv, "vm-guardian alert", deadline_us + OVERTIME_US);
    for (guint i = 0; leaves_sandbox && i < G_N_ELEMENTS(limits); i++)
        g_ptr_array_add(argv, g_strdup(limits[i]));
    for (guint i = 0; leaves_sandbox && message->environment[i]; i++)
        g_ptr_array_add(argv, g_strdup_printf("--setenv=%s", message->environment[i]));
    g_ptr_array_add(argv, g_strdup(path));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

int
alert_message_open(const AlertMessage *message)
{
    int fd = memfd_create("alert", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write(fd, message->json, message->length) == (ssize_t)message->length &&
        write(fd, "\n", 1) == 1 && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    errno = EIO;
    return -1;
}
