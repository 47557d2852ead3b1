/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the guardian has in memory: the VM's state as it reports it, and its recorder. */

#include "capture-private.h"
#include "capture-svg.h"

#include "report.h"

/* One may have been under way when the capture began. */
#define SAMPLES_AFTER 2
#define LOOK_US (200 * G_GINT64_CONSTANT(1000))

void
capture_state(Capture *capture)
{
    g_autoptr(JsonNode) state = NULL;
    g_autofree char *text = NULL;

    if (!capture->vm) {
        capture_step_end(capture, STEP_SKIPPED, "not done: the VM has ended");
        return;
    }
    state = report_vm(capture_host(capture), capture->vm);
    text = json_to_string(state, TRUE);
    capture_step_write(capture, text);
}

static void
write_samples(Capture *capture, gint64 after_us)
{
    g_autofree char *text = recorder_text(capture->vm->recorder, after_us);

    if (*text)
        capture_step_write(capture, text);
    else
        capture_step_end(capture, STEP_SKIPPED, "not done: no sample was taken");
}

void
capture_samples_before(Capture *capture)
{
    if (capture->vm)
        write_samples(capture, -1);
    else
        capture_step_end(capture, STEP_SKIPPED, "not done: the VM has ended");
}

static gboolean
look_for_samples(gpointer data)
{
    Capture *capture = data;
    bool is_late = capture_left_us(capture) <= LOOK_US;

    if (!capture->vm) {
        capture_clear_timer(capture);
        capture_step_end(capture, STEP_SKIPPED, "not done: the VM has ended");
        return G_SOURCE_REMOVE;
    }
    if (capture->vm->sample.now_us > capture->seen_us) {
        capture->seen_us = capture->vm->sample.now_us;
        capture->n_seen++;
    }
    if (capture->n_seen < SAMPLES_AFTER && !is_late)
        return G_SOURCE_CONTINUE;
    capture_clear_timer(capture);
    write_samples(capture, capture->monotonic_us);
    return G_SOURCE_REMOVE;
}

void
capture_samples_after(Capture *capture)
{
    const char *why = NULL;

    if (!capture->vm)
        why = "not done: the VM has ended";
    else if (!capture->options.is_sampled)
        why = "not done: no daemon samples this VM";
    else if (captures_open(capture->captures) > 1)
        why = "not done: another VM waits to be captured";
    if (why) {
        capture_step_end(capture, STEP_SKIPPED, why);
        return;
    }
    capture->seen_us = capture->vm->sample.now_us;
    capture->n_seen = 0;
    capture_set_timer(capture, LOOK_US, look_for_samples);
}

void
capture_timeline(Capture *capture)
{
    g_autofree char *samples = NULL, *svg = NULL;
    TimelineTitle title = {.vm_name = capture->vm_name,
                           .monotonic_us = capture->monotonic_us,
                           .realtime_us = capture->realtime_us};

    samples = capture->vm ? recorder_text(capture->vm->recorder, -1) : NULL;
    svg = samples ? capture_svg(samples, &title) : NULL;
    if (svg)
        capture_step_write(capture, svg);
    else
        capture_step_end(capture, STEP_SKIPPED, "not done: there are not enough samples");
}
