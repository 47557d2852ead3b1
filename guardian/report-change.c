/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One line a change: who, what, since when, and the next step. What the whole VM suffers is told
 * once, not once a disk. */

#include "report-reason.h"
#include "report.h"

#include "decide.h"

bool
report_is_vm_wide(const Verdict *verdict)
{
    switch (verdict->layer) {
    case LAYER_NOT_RUNNING:
    case LAYER_MAIN_LOOP_BLOCKED:
    case LAYER_PROCESS_STOPPED:
    case LAYER_SOCKET_BUSY:
    case LAYER_PROCESS_GONE:
        return true;
    case LAYER_UNKNOWN: /* a disk whose habit is broken is suspect on a layer unknown */
        return verdict->state == STATE_UNKNOWN;
    default:
        return false;
    }
}

static const char *
step_word(AlertStep step)
{
    switch (step) {
    case ALERT_OPEN:
        return "opened";
    case ALERT_PAGE:
        return "paged";
    case ALERT_CLOSE:
        return "closed";
    case ALERT_NONE:
        break;
    }
    return "changed";
}

/* That a young verdict has grown up is no news when all is well. */
static bool
is_growing_up(const Verdict *before, const Verdict *after)
{
    const Verdict *unknown = before->state == STATE_UNKNOWN ? before : after;
    const Verdict *other = unknown == before ? after : before;

    return unknown->state == STATE_UNKNOWN && other->state == STATE_OK &&
           other->layer == LAYER_NONE && (!unknown->cause || g_str_equal(unknown->cause, "young"));
}

/* What the whole VM suffers is the VM's alert, what one disk suffers is that disk's. */
static AlertStep
step_of(const GuardianChange *change)
{
    AlertStep step = decide_alert(&change->before, &change->after);
    const Verdict *alerted = step == ALERT_CLOSE ? &change->before : &change->after;

    return report_is_vm_wide(alerted) == (change->disk == NULL) ? step : ALERT_NONE;
}

static bool
is_news(const GuardianChange *change, AlertStep step)
{
    bool was_vm_wide = report_is_vm_wide(&change->before);
    bool is_vm_wide = report_is_vm_wide(&change->after);

    if (step != ALERT_NONE)
        return true;
    if (is_growing_up(&change->before, &change->after) ||
        (change->before.state == change->after.state &&
         change->before.layer == change->after.layer))
        return false;
    /* what begins in a disk is the disk's line, also when the VM's trouble ends with it */
    if (change->disk)
        return !is_vm_wide && (!was_vm_wide || change->after.state >= STATE_SUSPECT);
    return is_vm_wide || (was_vm_wide && change->after.state < STATE_SUSPECT);
}

char *
report_change_line(const GuardianChange *change, gint64 realtime_us, const char **ret_step)
{
    const Verdict *after = &change->after;
    AlertStep step = step_of(change);
    g_autofree char *where = NULL, *call = NULL, *since = NULL, *reason = NULL;

    if (!is_news(change, step))
        return NULL;
    *ret_step = step_word(step);
    reason = report_reason(change->vm, change->disk, after);
    since = report_utc(realtime_us - (change->vm->sample.now_us - after->since_us));
    call = report_call(change->vm->name, proc_pid(change->vm->proc));
    where = change->disk ? g_strdup_printf("%s disk %s", change->vm->name, change->disk->label)
                         : g_strdup(change->vm->name);
    if (step == ALERT_CLOSE)
        return g_strdup_printf("%s: alert closed, was %s; now %s: %s", where,
                               layer_name(change->before.layer), state_name(after->state), reason);
    return g_strdup_printf("%s: %s%s, %s%s%s since %s: %s%s%s", where,
                           step == ALERT_OPEN   ? "alert: "
                           : step == ALERT_PAGE ? "PAGE: "
                                                : "",
                           state_name(after->state), layer_name(after->layer),
                           after->cause && *after->cause ? "/" : "",
                           after->cause ? after->cause : "", since, reason,
                           after->state >= STATE_SUSPECT ? "; next: guardianctl explain " : "",
                           after->state >= STATE_SUSPECT ? call : "");
}
