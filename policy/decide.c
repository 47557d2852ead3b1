/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"

AlertStep
decide_alert(const Verdict *before, const Verdict *after)
{
    if (after->has_alert != before->has_alert)
        return after->has_alert ? ALERT_OPEN : ALERT_CLOSE;
    return after->is_paged && !before->is_paged ? ALERT_PAGE : ALERT_NONE;
}

static bool
is_over(guint written, guint wanted, guint budget)
{
    return written > budget || wanted > budget - written;
}

ActLeave
decide_act(const ActFacts *facts)
{
    if (!facts->is_enforced && !facts->is_commanded)
        return LEAVE_OBSERVE;
    if (facts->is_suspect)
        return LEAVE_SUSPECT;
    if (facts->is_busy)
        return LEAVE_BUSY;
    if (facts->is_commanded)
        return LEAVE_GO;
    if (facts->has_failed)
        return LEAVE_FAILED;
    if (facts->n_vain >= DECIDE_VAIN_MAX)
        return LEAVE_VAIN;
    if (facts->is_taken_back)
        return LEAVE_TAKEN_BACK;
    if (facts->is_tripped)
        return LEAVE_TRIPPED;
    if (facts->has_last && facts->since_last_us < facts->cool_down_us)
        return LEAVE_COOL_DOWN;
    if (is_over(facts->written_vm, facts->n_writes, facts->budget_vm))
        return LEAVE_BUDGET_VM;
    if (is_over(facts->written_host, facts->n_writes, facts->budget_host))
        return LEAVE_BUDGET_HOST;
    return LEAVE_GO;
}

bool
act_leave_is_for_good(ActLeave leave)
{
    return leave == LEAVE_FAILED || leave == LEAVE_VAIN || leave == LEAVE_TRIPPED ||
           leave == LEAVE_BUDGET_VM || leave == LEAVE_BUDGET_HOST;
}

const char *
act_leave_reason(ActLeave leave)
{
    static const char *const reasons[] = {
        [LEAVE_GO] = "",
        [LEAVE_OBSERVE] = "observe: written down, not done",
        [LEAVE_SUSPECT] = "a stall is suspected on the VM or its storage: nothing is written",
        [LEAVE_BUSY] = "another act on this VM is under way",
        [LEAVE_FAILED] = "an earlier write did not read back as asked: never tried again",
        [LEAVE_VAIN] = "writes were refused or did not stay; reload to try again",
        [LEAVE_TAKEN_BACK] = "an administrator took the last one back",
        [LEAVE_TRIPPED] = "the write budget was spent; reload the configuration to go on",
        [LEAVE_COOL_DOWN] = "too soon after the last write to this VM",
        [LEAVE_BUDGET_VM] = "the VM's writes of this hour are spent",
        [LEAVE_BUDGET_HOST] = "the host's writes of this hour are spent",
    };

    return (guint)leave < G_N_ELEMENTS(reasons) ? reasons[leave] : "";
}
