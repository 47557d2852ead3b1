/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Evidence of a suspect whose monitor libvirt owns: the questions about its virtqueues go through
 * libvirt, those of one phase in one call. libvirt marks the domain as tainted then, so only where
 * the policy allows it, and only while a disk of the VM is suspect. What comes late or is refused
 * is missing evidence, no silence: libvirt has told the counters already. */

#include "sample-private.h"

#include "libvirt-domain.h"
#include "message.h"

#include <string.h>

typedef struct {
    char *command; /* QMP; NULL: of a class that is not for a suspect */
    QuestionTakeFunc take;
    guint index;
} Passing;

static void
passing_free(gpointer data)
{
    g_free(((Passing *)data)->command);
    g_free(data);
}

bool
sample_pass_begin(Sampling *sampling)
{
    Vm *vm = sampling->vm;

    if (vm->run != RUN_RUNNING || vm->track.verdict.state < STATE_SUSPECT) {
        g_clear_pointer(&vm->virtio, g_array_unref); /* it may be another at the next suspicion */
        vm->has_no_virtio_query = false;
        g_clear_pointer(&vm->passthrough_problem, g_free);
        return false;
    }
    if (vm->limits.libvirt_passthrough != PASSTHROUGH_SUSPECT ||
        !sample_anyone_wants_evidence(sampling))
        return false;
    sampling->passing = g_ptr_array_new_with_free_func(passing_free);
    sampling->deadline_us =
        g_get_monotonic_time() + MIN(vm->limits.answer_deadline_us, sampling->context.period_us);
    return true;
}

void
sample_pass_ask(Sampling *sampling, QmpCommand command, const char *arguments,
                QuestionTakeFunc take, guint index)
{
    const QmpCommandInfo *info = qmp_command_info(command);
    Passing *passing = g_new0(Passing, 1);

    if (info->class <= QMP_CLASS_SUSPECT)
        passing->command =
            g_strdup_printf("{\"execute\":\"%s\"%s%s}", info->name,
                            arguments ? ",\"arguments\":" : "", arguments ? arguments : "");
    passing->take = take;
    passing->index = index;
    g_ptr_array_add(sampling->passing, passing);
}

static void
take_answer(Sampling *sampling, const Passing *passing, const char *answer)
{
    g_autoptr(JsonNode) root = message_parse_object(answer, strlen(answer), NULL);
    JsonObject *object = root ? json_node_get_object(root) : NULL;
    bool is_answered = object && json_object_has_member(object, "return");

    passing->take(sampling, is_answered ? json_object_get_member(object, "return") : NULL,
                  passing->index);
}

static void
fail(Sampling *sampling, const char *problem)
{
    Vm *vm = sampling->vm;

    sampling->phase = PHASE_DONE;
    g_clear_pointer(&sampling->queues, g_array_unref);
    g_free(vm->passthrough_problem);
    vm->passthrough_problem = g_strdup(problem);
}

static void
passed(const LibvirtReply *reply, bool is_late, gint64 waited_us, const char *problem,
       gpointer data)
{
    Sampling *sampling = data;
    g_autoptr(GPtrArray) asked = g_steal_pointer(&sampling->passing);
    const GPtrArray *answers = reply ? reply->answers : NULL;

    sampling->passing = g_ptr_array_new_with_free_func(passing_free);
    if (sampling->is_cancelled)
        sampling->phase = PHASE_DONE;
    else if (is_late)
        fail(sampling, "libvirt did not pass the questions on in time");
    else if (!reply || reply->outcome != OUTCOME_GOOD || !answers || answers->len != asked->len)
        fail(sampling, problem ? problem : "libvirt does not say why not");
    else
        g_clear_pointer(&sampling->vm->passthrough_problem, g_free);
    for (guint i = 0; sampling->phase != PHASE_DONE && i < asked->len; i++)
        take_answer(sampling, asked->pdata[i], answers->pdata[i]);
    sampling_answered(sampling);
}

void
sample_pass_flush(Sampling *sampling)
{
    GPtrArray *commands = g_ptr_array_new();
    gint64 left_us = sampling->deadline_us - g_get_monotonic_time();

    for (guint i = 0; i < sampling->passing->len; i++) {
        const Passing *passing = sampling->passing->pdata[i];

        if (passing->command)
            g_ptr_array_add(commands, g_strdup(passing->command));
    }
    g_ptr_array_add(commands, NULL);
    if (commands->len - 1 != sampling->passing->len || commands->len == 1) {
        g_ptr_array_set_size(sampling->passing, 0);
        g_strfreev((char **)g_ptr_array_free(commands, FALSE));
        return;
    }
    sampling->open++;
    libvirt_domain_pass(sampling->vm->domain, (char **)g_ptr_array_free(commands, FALSE),
                        MAX(left_us, 1), passed, sampling);
}
