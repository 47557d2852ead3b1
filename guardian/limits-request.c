/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "limits-request.h"

#include "drift-look.h"
#include "freeze.h"
#include "query.h"
#include "set-limits.h"

#include <string.h>

/* Two periods of a shared monitor, and a child that looks at the media. */
#define SERVED_US (25 * G_USEC_PER_SEC)

struct LimitsRequest {
    char *id, *old, *new; /* id NULL: nothing but jobs and migration; new NULL: read only */
    bool is_group;
    gint64 begun_us;
    LimitsRequestFunc func;
    gpointer data;

    bool has_jobs, has_migration; /* answered */
    const char *busy;             /* why a write would disturb; static; NULL */
    char *value;                  /* in force, NULL not read yet */
    bool was_sent;
};

char *
limits_print(const Throttle *throttle)
{
    g_auto(GStrv) pairs = throttle_print(THROTTLE_POLICY, throttle, NULL);
    GString *text = g_string_new(NULL);

    for (char **pair = pairs; *pair; pair += 2)
        if (strcmp(pair[0], "disk") != 0 && strcmp(pair[0], "group") != 0)
            g_string_append_printf(text, "%s%s=%s", text->len > 0 ? "," : "", pair[0], pair[1]);
    if (text->len == 0)
        g_string_append(text, "none");
    return g_string_free(text, FALSE);
}

Throttle *
limits_parse(const char *text)
{
    g_autofree char *wrong = NULL;
    g_auto(GStrv) pairs = throttle_split_drive(strcmp(text, "none") == 0 ? "" : text, &wrong);

    return pairs ? throttle_parse(THROTTLE_POLICY, (const char *const *)pairs, &wrong) : NULL;
}

static bool
is_as_asked(const LimitsRequest *request)
{
    g_autoptr(Throttle) asked = limits_parse(request->new);
    g_autoptr(Throttle) value = request->value ? limits_parse(request->value) : NULL;

    return asked && value && throttle_equal(asked, value);
}

static void
request_end(Vm *vm, const char *problem)
{
    LimitsRequest *request = g_steal_pointer(&vm->limits_request);

    if (request->was_sent && (problem || !is_as_asked(request)))
        vm->limits_unmatched = true;
    request->func(request->was_sent, problem ? NULL : request->value, problem, request->data);
    g_free(request->id);
    g_free(request->old);
    g_free(request->new);
    g_free(request->value);
    g_free(request);
}

static LimitsRequest *
request_new(Vm *vm, const Host *host, LimitsRequestFunc func, gpointer data)
{
    LimitsRequest *request = g_new0(LimitsRequest, 1);

    request->func = func;
    request->data = data;
    request->begun_us = host_monotonic_us(host);
    vm->limits_request = request;
    vm->next_us = 0;
    if (vm->tick)
        g_source_set_ready_time(vm->tick, 0);
    return request;
}

bool
limits_request_begin(Vm *vm, const Host *host, const char *id, bool is_group, const char *old,
                     const char *new, LimitsRequestFunc func, gpointer data)
{
    LimitsRequest *request;

    if (vm->limits_request)
        return false;
    request = request_new(vm, host, func, data);
    request->id = g_strdup(id);
    request->is_group = is_group;
    request->old = g_strdup(old);
    request->new = g_strdup(new);
    if (!is_group)
        drift_look_want(vm);
    return true;
}

bool
limits_request_begin_calm(Vm *vm, const Host *host, LimitsRequestFunc func, gpointer data)
{
    if (vm->limits_request)
        return false;
    (void)request_new(vm, host, func, data);
    return true;
}

void
limits_request_check(Vm *vm, gint64 now_us)
{
    const LimitsRequest *request = vm->limits_request;

    if (!request)
        return;
    if (now_us - request->begun_us > SERVED_US)
        request_end(vm, "no sample answered it in time");
    else if (limits_request_is_drive(vm) && !drift_look_is_open(vm->drift))
        request_end(vm, drift_look_why_not(vm->drift) ? drift_look_why_not(vm->drift)
                                                      : "QEMU did not tell the limits");
}

void
limits_request_forget(Vm *vm)
{
    if (vm->limits_request)
        request_end(vm, "the VM has ended");
}

bool
limits_request_is_group(const Vm *vm, const char **ret_group)
{
    if (!vm->limits_request || !vm->limits_request->is_group)
        return false;
    *ret_group = vm->limits_request->id;
    return true;
}

bool
limits_request_is_drive(const Vm *vm)
{
    return vm->limits_request && vm->limits_request->id && !vm->limits_request->is_group;
}

bool
limits_request_is_calm(const Vm *vm)
{
    return vm->limits_request && !vm->limits_request->id;
}

const char *
limits_request_id(const Vm *vm)
{
    return vm->limits_request->id;
}

void
limits_request_take_jobs(Vm *vm, const GArray *jobs)
{
    LimitsRequest *request = vm->limits_request;

    if (!request)
        return;
    request->has_jobs = jobs != NULL;
    if (jobs && jobs->len > 0)
        request->busy = "a block job runs on the VM";
}

/* A static sentence; NULL: nothing runs. */
static const char *
find_disturbance(const LimitsRequest *request)
{
    if (!request->has_jobs || !request->has_migration)
        return "QEMU did not tell whether a job or migration runs";
    return request->busy;
}

void
limits_request_take_migration(Vm *vm, const char *status)
{
    static const char *const over[] = {"none", "completed", "failed", "cancelled"};
    LimitsRequest *request = vm->limits_request;
    bool is_over = false;

    if (!request)
        return;
    request->has_migration = status != NULL;
    for (guint i = 0; status && i < G_N_ELEMENTS(over); i++)
        is_over = is_over || strcmp(status, over[i]) == 0;
    if (status && !is_over)
        request->busy = "the VM is migrating";
    if (!request->id)
        request_end(vm, find_disturbance(request));
}

void
limits_request_take_value(Vm *vm, char **pairs)
{
    LimitsRequest *request = vm->limits_request;
    g_autofree char *wrong = NULL;
    g_autoptr(Throttle) value = NULL;
    bool is_read_back;

    if (!request)
        return;
    is_read_back = request->was_sent;
    value = pairs ? throttle_parse(THROTTLE_QEMU, (const char *const *)pairs, &wrong) : NULL;
    g_free(request->value);
    request->value = value ? limits_print(value) : NULL;
    if (!value)
        request_end(vm,
                    is_read_back ? "it could not be read back" : "QEMU did not tell the limits");
    else if (is_read_back || !request->new)
        request_end(vm, NULL);
}

/* Why the write must wait or is none any more, a static sentence; NULL: it may be sent. */
static const char *
find_hindrance(const Vm *vm)
{
    const LimitsRequest *request = vm->limits_request;
    g_autoptr(Throttle) old = limits_parse(request->old), now = limits_parse(request->value);

    if (freeze_is_suspect(&vm->track))
        return "a stall is suspected on the VM";
    if (vm->run != RUN_RUNNING)
        return "the VM is not running";
    if (find_disturbance(request))
        return find_disturbance(request);
    if (!old || !now || !throttle_equal(old, now))
        return "the limits were changed meanwhile";
    return NULL;
}

static char *
arguments_of(const LimitsRequest *request)
{
    g_autoptr(Throttle) fresh = limits_parse(request->new);
    g_auto(GStrv) pairs = NULL;

    if (!fresh)
        return NULL;
    fresh->is_group_object = request->is_group;
    pairs = throttle_print(THROTTLE_QEMU, fresh, NULL);
    return request->is_group ? qmp_arguments_set_group(request->id, (const char *const *)pairs)
                             : qmp_arguments_set_drive(request->id, (const char *const *)pairs);
}

char *
limits_request_arguments(Vm *vm, bool *ret_is_group)
{
    const LimitsRequest *request = vm->limits_request;
    const char *hindrance;
    char *arguments;

    if (!request || !request->new || !request->value || request->was_sent)
        return NULL;
    hindrance = find_hindrance(vm);
    arguments = hindrance ? NULL : arguments_of(request);
    if (!arguments) {
        request_end(vm, hindrance ? hindrance : "no limits that may be written");
        return NULL;
    }
    *ret_is_group = request->is_group;
    vm->limits_request->was_sent = true; /* from here on nobody knows until it is read back */
    return arguments;
}

void
limits_request_refused(Vm *vm)
{
    if (!vm->limits_request)
        return;
    vm->limits_request->was_sent = false;
    request_end(vm, "QEMU refused the limits");
}

bool
limits_request_wants_read_back(const Vm *vm)
{
    return vm->limits_request && vm->limits_request->was_sent;
}
