/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-throttle.h"

#include "limits-request.h"

#include <string.h>

static void
request_done(bool was_written, const char *value, const char *problem, gpointer data)
{
    act_call_end(data, was_written, value, problem);
}

Vm *
act_throttle_subject(const GPtrArray *vms, const ActSubject *subject)
{
    for (guint i = 0; i < vms->len; i++) {
        Vm *vm = vms->pdata[i];

        if (proc_pid(vm->proc) == subject->pid &&
            proc_start_ticks(vm->proc) == subject->start_ticks && proc_is_alive(vm->proc))
            return vm;
    }
    return NULL;
}

static void
run(ActCall *call)
{
    const ActRecord *record = call->record;
    Vm *vm = act_throttle_subject(call->means->data, &record->subject);
    bool is_group = strcmp(record->means, ACT_MEANS_GROUP) == 0;

    if (!vm)
        act_call_end(call, false, NULL, "the VM's process is gone");
    else if (strcmp(record->field, ACT_FIELD_LIMITS) != 0)
        act_call_end(call, false, NULL, "QEMU is told whole limits only");
    else if (!limits_request_begin(vm, call->host, record->where, is_group, record->old_value,
                                   call->is_read_only ? NULL : record->new_value, request_done,
                                   call))
        act_call_end(call, false, NULL, "another question about the VM's limits is under way");
}

/* An unreadable value is the same as none. */
bool
act_throttle_is_same(const char *field, const char *a, const char *b)
{
    g_autoptr(Throttle) left = limits_parse(a), right = limits_parse(b);

    return left && right && throttle_equal(left, right);
}

ActMeans
act_means_group(const GPtrArray *vms)
{
    return (ActMeans){.name = ACT_MEANS_GROUP,
                      .data = (gpointer)vms,
                      .run = run,
                      .is_same = act_throttle_is_same};
}

ActMeans
act_means_drive(const GPtrArray *vms)
{
    return (ActMeans){.name = ACT_MEANS_DRIVE,
                      .data = (gpointer)vms,
                      .run = run,
                      .is_same = act_throttle_is_same};
}
