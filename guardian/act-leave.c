/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-private.h"

#include <string.h>

/* Of the daemon's own, the oldest first. */
static void
count_vain(const Acts *acts, const ActRecord *record, const ActRecord *step, ActFacts *facts)
{
    if (!act_record_is_of(record, step->subject.pid, step->subject.start_ticks) ||
        strcmp(record->kind, step->kind) != 0 ||
        strcmp(record->boot_id, act_journal_boot_id(acts->journal)) != 0)
        return;
    if (record->state != ACT_NOT_DONE)
        facts->n_vain = 0;
    else if (g_strcmp0(record->by, ACT_BY_DAEMON) == 0 && record->boottime_us > acts->looked_us)
        facts->n_vain++;
}

static void
count_record(const Acts *acts, const ActRecord *record, const ActRecord *step, ActFacts *facts)
{
    gint64 age_us = host_boottime_us(acts->host) - record->boottime_us;
    bool is_ours = act_record_is_of(record, step->subject.pid, step->subject.start_ticks);

    /* of the tool beside the daemon, or of one that could not be settled */
    facts->is_busy = facts->is_busy || (is_ours && record->state == ACT_INTENDED);
    if (record->state == ACT_NOT_DONE ||
        strcmp(record->boot_id, act_journal_boot_id(acts->journal)) != 0)
        return;
    if (age_us < DECIDE_BUDGET_WINDOW_US && g_strcmp0(record->by, ACT_BY_DAEMON) == 0) {
        facts->written_host++;
        facts->written_vm += is_ours;
    }
    if (!is_ours || strcmp(record->kind, step->kind) != 0)
        return;
    facts->has_failed = facts->has_failed || record->state == ACT_FAILED;
    facts->is_taken_back = record->undoes && g_strcmp0(record->by, ACT_BY_DAEMON) != 0;
    if (!facts->has_last || age_us < facts->since_last_us)
        facts->since_last_us = age_us;
    facts->has_last = true;
}

static char *
subject_key(const ActSubject *subject)
{
    return g_strdup_printf("%d:%" G_GUINT64_FORMAT, (int)subject->pid, subject->start_ticks);
}

/* In observe nothing is even read. */
ActLeave
run_leave_at_once(const Run *run)
{
    ActFacts facts = {.is_enforced = run->terms.is_enforced,
                      .is_commanded = run->terms.is_commanded,
                      .is_suspect = run->terms.is_suspect,
                      .is_busy = run->is_behind,
                      .budget_vm = G_MAXUINT,
                      .budget_host = G_MAXUINT};

    return decide_act(&facts);
}

ActLeave
run_leave(Run *run, bool *ret_has_tripped)
{
    Acts *acts = run->acts;
    const ActRecord *step = run->steps->pdata[0];
    const GPtrArray *records = act_journal_records(acts->journal);
    g_autofree char *key = subject_key(&step->subject);
    ActFacts facts = {.is_enforced = run->terms.is_enforced,
                      .is_commanded = run->terms.is_commanded,
                      .is_suspect = run->terms.is_suspect,
                      .is_tripped =
                          acts->host_is_tripped || g_hash_table_contains(acts->tripped, key),
                      .cool_down_us = run->terms.cool_down_us,
                      .n_writes = run->steps->len,
                      .budget_vm = run->terms.budget_vm,
                      .budget_host = run->terms.budget_host};
    ActLeave leave;

    for (guint i = 0; i < records->len; i++) {
        count_vain(acts, records->pdata[i], step, &facts);
        count_record(acts, records->pdata[i], step, &facts);
    }
    leave = decide_act(&facts);
    *ret_has_tripped = leave == LEAVE_BUDGET_VM || leave == LEAVE_BUDGET_HOST;
    acts->host_is_tripped = acts->host_is_tripped || leave == LEAVE_BUDGET_HOST;
    if (leave == LEAVE_BUDGET_VM)
        g_hash_table_add(acts->tripped, g_steal_pointer(&key));
    return leave;
}

static bool
disk_is_on(const Vm *vm, const char *storage)
{
    for (guint i = 0; i < vm->sample.n_disks; i++)
        if (g_strcmp0(vm->sample.disks[i].storage, storage) == 0)
            return true;
    return false;
}

/* A suspect disk of another VM on a storage that this one uses. */
static bool
shares_suspect_storage(const Vm *vm, const Vm *other)
{
    for (guint i = 0; other->has_sample && i < other->sample.n_disks; i++) {
        const DiskSample *disk = &other->sample.disks[i];
        const DiskTrack *track = disk->id ? track_find_disk(&other->track, disk->id) : NULL;

        if (track && track->verdict.state >= STATE_SUSPECT && disk->storage &&
            disk_is_on(vm, disk->storage))
            return true;
    }
    return false;
}

bool
act_is_suspect(const Vm *vm, const GPtrArray *vms)
{
    if (freeze_is_suspect(&vm->track))
        return true;
    for (guint i = 0; vms && i < vms->len; i++)
        if (vms->pdata[i] != vm && shares_suspect_storage(vm, vms->pdata[i]))
            return true;
    return false;
}
