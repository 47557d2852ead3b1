/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A sample goes through phases; each asks a few questions in one write and the next one begins when
 * all are answered:
 *
 *   base    query-blockstats, and query-status where events do not keep it known; every 10 s, and
 *           for a suspect or with a job, also the block jobs; on a slow round also what hardly ever
 * changes (version, RAM backends, limits of throttle groups) list    which virtio devices there are
 *   sizes   how many queues each of them has
 *   queues  what is in flight in each queue
 *   limits  query-block, when a person wants it and nothing speaks against it
 *   write   what was decided about the limits of a disk, and what reads it back
 *   canary  sends canaries where the policy allows it
 *
 * Lists, sizes and queues only for a disk whose judge wants evidence and that made no progress
 * since the last sample. What else is evidence is read when all is answered.
 *
 * On a monitor of our own the connection stays; on a shared one we connect, ask and leave. A
 * monitor that does not greet is busy: the one pending connect is kept, because each further one
 * would fill the socket's backlog and lock out the others. */

#include "sample-private.h"

#include "hold.h"
#include "libvirt-domain.h"
#include "memory-watch.h"
#include "monitor.h"
#include "query.h"
#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Version, backends and throttle groups change when somebody changes the VM: once a minute is soon
 * enough. */
#define SLOW_ROUND_US (60 * G_USEC_PER_SEC)

static void
sampling_free(Sampling *sampling)
{
    sample_clear(&sampling->sample);
    sample_queues_free(sampling);
    g_clear_pointer(&sampling->jobs, g_array_unref);
    g_clear_pointer(&sampling->origins, g_array_unref);
    g_clear_pointer(&sampling->passing, g_ptr_array_unref);
    g_free(sampling);
}

static void
sampling_finish(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    SampleDoneFunc done = sampling->done;
    gpointer data = sampling->data;
    bool is_cancelled = sampling->is_cancelled;
    QmpStage stage;

    vm->sampling = NULL;
    if (is_cancelled) {
        sampling_free(sampling);
        return;
    }
    /* else the broken connection would be news of its own */
    if (sampling->sample.monitor != MONITOR_ANSWERED && !proc_is_alive(vm->proc))
        sampling->sample.process_is_gone = true;
    if (sampling->sample.monitor == MONITOR_ANSWERED)
        g_clear_pointer(&vm->client_error, g_free);
    sample_queues_apply(sampling);
    sample_jobs_apply(sampling);
    sample_fill_evidence(sampling);
    sampling->sample.memory = vm->memory;
    sampling->sample.run = vm->run;
    sampling->sample.has_events =
        vm->monitor_is_ours && sampling->sample.monitor == MONITOR_ANSWERED;
    sampling->sample.n_stops = vm->n_stops;
    sampling->sample.n_resets = vm->n_resets;
    sample_clear(&vm->sample);
    vm->sample = sampling->sample;
    memset(&sampling->sample, 0, sizeof sampling->sample);
    vm->has_sample = true;
    vm->sample_realtime_us = host_realtime_us(sampling->context.host);
    sampling_free(sampling);

    stage = vm->client ? qmp_client_stage(vm->client) : QMP_STAGE_CLOSED;
    if (vm->client &&
        (stage == QMP_STAGE_CLOSED || (!vm->monitor_is_ours && stage != QMP_STAGE_GREETING)))
        g_clear_pointer(&vm->client, qmp_client_free);
    done(vm, data);
}

/* The monitor let us down: what stage did it come to? Nothing more is asked in this sample. */
static void
sampling_fail(Sampling *sampling, const GError *error, gint64 waited_us)
{
    Sample *sample = &sampling->sample;

    sampling->phase = PHASE_DONE;
    if (sampling->is_cancelled)
        return;
    if (sample->monitor == MONITOR_NO_GREETING || sample->monitor == MONITOR_NO_NEGOTIATION ||
        sample->monitor == MONITOR_SILENT)
        return; /* the first failure says it all, the others follow from it */
    sample->waited_us = MAX(sample->waited_us, waited_us);
    if (g_error_matches(error, QMP_ERROR, QMP_ERROR_NO_GREETING))
        sample->monitor = MONITOR_NO_GREETING;
    else if (g_error_matches(error, QMP_ERROR, QMP_ERROR_NO_NEGOTIATION))
        sample->monitor = MONITOR_NO_NEGOTIATION;
    else if (g_error_matches(error, QMP_ERROR, QMP_ERROR_TIMEOUT))
        sample->monitor = MONITOR_SILENT;
    else
        sample->monitor = MONITOR_BROKEN;
    g_free(sampling->vm->client_error);
    sampling->vm->client_error = units_printable(error->message, -1);
}

static void sampling_go_on(Sampling *sampling);

static void
question_answered(QmpClient *client, JsonNode *result, const GError *error, gint64 waited_us,
                  gpointer data)
{
    Question *question = data;
    Sampling *sampling = question->sampling;

    sampling->open--;
    if (error && !g_error_matches(error, QMP_ERROR, QMP_ERROR_COMMAND)) {
        sampling_fail(sampling, error, waited_us);
    } else {
        sampling->sample.waited_us = MAX(sampling->sample.waited_us, waited_us);
        question->take(sampling, error ? NULL : result, question->index);
    }
    g_free(question);
    if (!sampling->is_asking)
        sampling_go_on(sampling);
}

void
sampling_ask(Sampling *sampling, QmpCommand command, const char *arguments, QuestionTakeFunc take,
             guint index)
{
    Question *question;
    gint64 left = sampling->deadline_us - g_get_monotonic_time();

    if (sampling->passing) {
        sample_pass_ask(sampling, command, arguments, take, index);
        return;
    }
    question = g_new0(Question, 1);
    question->sampling = sampling;
    question->take = take;
    question->index = index;
    sampling->open++;
    qmp_client_ask(sampling->vm->client, command, arguments, MAX(left, 1), question_answered,
                   question);
}

static void
take_status(Sampling *sampling, JsonNode *result, guint index)
{
    Vm *vm = sampling->vm;

    vm->run = run_state_parse(result ? qmp_parse_status(result) : NULL);
    vm->has_fresh_status = result != NULL;
}

static void
take_version(Sampling *sampling, JsonNode *result, guint index)
{
    g_autofree char *version = result ? qmp_parse_version(result) : NULL;

    g_free(sampling->vm->qemu_version);
    sampling->vm->qemu_version = version ? units_printable(version, -1) : NULL;
}

static void
take_memdev(Sampling *sampling, JsonNode *result, guint index)
{
    g_autoptr(GArray) backends = result ? qmp_parse_memdev(result) : NULL;
    Vm *vm = sampling->vm;
    guint64 sum = 0;
    bool is_shared = backends && backends->len > 0;

    vm->slow_round_us = sampling->context.now_us;
    memory_watch_forget_backends(vm->memory_watch);
    for (guint i = 0; backends && i < backends->len; i++) {
        const QmpMemdev *backend = &g_array_index(backends, QmpMemdev, i);

        if (!backend->has_size || sum + backend->size_bytes < sum)
            return;
        sum += backend->size_bytes;
        memory_watch_add_backend(vm->memory_watch, backend->size_bytes);
        is_shared = is_shared && backend->has_share && backend->is_shared;
    }
    if (sum == 0)
        return;
    vm->has_guest_ram = true;
    vm->guest_ram_bytes = sum;
    vm->guest_ram_is_shared = is_shared || vm->argv->memory_is_shared;
}

static void
take_balloon(Sampling *sampling, JsonNode *result, guint index)
{
    MemoryWatch *watch = sampling->vm->memory_watch;

    watch->has_balloon = result && qmp_parse_balloon(result, &watch->balloon_bytes);
}

static void
take_blockstats(Sampling *sampling, JsonNode *result, guint index)
{
    g_autoptr(GArray) stats = result ? qmp_parse_blockstats(result) : NULL;

    if (stats)
        sample_fill_disks(sampling, stats);
}

static void
ask_slow_round(Sampling *sampling)
{
    Vm *vm = sampling->vm;

    g_clear_pointer(&vm->virtio, g_array_unref);
    qmp_client_set_class(vm->client, QMP_CLASS_SUSPECT);
    if (!vm->qemu_version)
        sampling_ask(sampling, QMP_QUERY_VERSION, NULL, take_version, 0);
    sampling_ask(sampling, QMP_QUERY_MEMDEV, NULL, take_memdev, 0);
    sample_ask_groups(sampling);
}

/* What a balloon holds its guest can have back within seconds. */
static bool
holds_balloon(const Vm *vm)
{
    const MemoryWatch *watch = vm->memory_watch;

    return watch->has_balloon && vm->has_guest_ram && watch->balloon_bytes < vm->guest_ram_bytes;
}

static void
ask_base(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    gint64 now = sampling->context.now_us;
    bool is_slow_due;

    sampling_ask(sampling, QMP_QUERY_BLOCKSTATS, NULL, take_blockstats, 0);
    if (!vm->monitor_is_ours || !vm->has_fresh_status)
        sampling_ask(sampling, QMP_QUERY_STATUS, NULL, take_status, 0);
    sample_ask_jobs(sampling);
    is_slow_due = vm->slow_round_us == 0 || now - vm->slow_round_us >= SLOW_ROUND_US;
    if (is_slow_due)
        ask_slow_round(sampling);
    if (vm->argv->has_balloon && (is_slow_due || holds_balloon(vm)))
        sampling_ask(sampling, QMP_QUERY_BALLOON, NULL, take_balloon, 0);
}

static void
ask_phase(Sampling *sampling)
{
    switch (sampling->phase) {
    case PHASE_BASE:
        ask_base(sampling);
        break;
    case PHASE_LIST:
        sample_ask_list(sampling);
        break;
    case PHASE_SIZES:
        sample_ask_sizes(sampling);
        break;
    case PHASE_QUEUES:
        sample_ask_queues(sampling);
        break;
    case PHASE_LIMITS:
        sample_ask_block(sampling);
        break;
    case PHASE_WRITE:
        sample_write_limits(sampling);
        break;
    case PHASE_READ_BACK:
        sample_read_limits_back(sampling);
        break;
    case PHASE_CANARY:
        sample_ask_canaries(sampling);
        break;
    case PHASE_START:
    case PHASE_DONE:
        break;
    }
}

/* Through libvirt nothing is asked but evidence. */
static Phase
next_phase(const Sampling *sampling)
{
    return sampling->passing && sampling->phase == PHASE_QUEUES ? PHASE_DONE : sampling->phase + 1;
}

static void
sampling_go_on(Sampling *sampling)
{
    while (sampling->open == 0 && sampling->phase < PHASE_DONE) {
        sampling->phase = next_phase(sampling);
        sampling->is_asking = true;
        ask_phase(sampling);
        if (sampling->passing && sampling->phase < PHASE_DONE)
            sample_pass_flush(sampling);
        sampling->is_asking = false;
    }
    if (sampling->open == 0)
        sampling_finish(sampling);
}

void
sampling_answered(Sampling *sampling)
{
    sampling->open--;
    if (!sampling->is_asking)
        sampling_go_on(sampling);
}

/* Is the connection in a state to be asked at all? Else the sample already knows its monitor stage.
 */
static bool
monitor_prepare(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    Sample *sample = &sampling->sample;

    /* a stopped process answers nothing, and a connect would stay in its backlog */
    if (!vm->monitor_path || sample_is_stopped(sample))
        return false;
    if (vm->client && qmp_client_stage(vm->client) == QMP_STAGE_CLOSED) /* between two samples */
        g_clear_pointer(&vm->client, qmp_client_free);
    if (!vm->client &&
        !monitor_connect(vm, sampling->context.host, sampling->context.context, &sample->monitor))
        return false;
    qmp_client_set_class(vm->client, QMP_CLASS_TICK);
    switch (qmp_client_stage(vm->client)) {
    case QMP_STAGE_LATE:
        sample->monitor = MONITOR_SILENT;
        sample->waited_us = g_get_monotonic_time() - qmp_client_late_since_us(vm->client);
        return false;
    case QMP_STAGE_GREETING: /* a fresh connect gets its chance, an old one is known to be busy */
        sample->monitor = MONITOR_NO_GREETING;
        sample->waited_us = g_get_monotonic_time() - qmp_client_since_us(vm->client);
        return sample->waited_us < sampling->context.period_us / 2;
    case QMP_STAGE_NEGOTIATING: /* what is asked now finds out whether that ends */
    case QMP_STAGE_READY:
    case QMP_STAGE_CLOSED:
        break;
    }
    return true;
}

void
sample_begin(Vm *vm, const SampleContext *context, SampleDoneFunc done, gpointer data)
{
    Sampling *sampling = g_new0(Sampling, 1);
    Sample *sample = &sampling->sample;
    /* never longer than a period: silence is judged at the pace of everything else */
    gint64 allowed = vm->monitor_is_ours ? MIN(vm->limits.answer_deadline_us, context->period_us)
                                         : hold_allowed_us(&vm->limits);

    g_assert(!vm->sampling && done);
    vm->sampling = sampling;
    sampling->vm = vm;
    sampling->context = *context;
    sampling->done = done;
    sampling->data = data;
    sampling->deadline_us = g_get_monotonic_time() + allowed;
    sample->now_us = context->now_us;
    sample->boottime_us = context->boottime_us;
    sample->period_us = context->period_us;
    sample->monitor_is_ours = vm->monitor_is_ours;
    sample->is_incoming = vm->is_incoming;
    sample->age_us = -1;
    sample_fill_process(sampling);
    if (!sample->process_is_gone && sample_ask_domain(sampling))
        return;
    if (sample->process_is_gone || !monitor_prepare(sampling)) {
        sampling_finish(sampling);
        return;
    }
    sample->monitor = MONITOR_ANSWERED;
    sampling->phase = PHASE_START;
    sampling_go_on(sampling);
}

void
sample_cancel(Vm *vm)
{
    if (!vm->sampling)
        return;
    vm->sampling->is_cancelled = true;
    g_clear_pointer(&vm->client, qmp_client_free);
    if (vm->domain)
        libvirt_domain_cancel(vm->domain);
}
