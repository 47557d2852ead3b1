/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomparts.h"

/* RSS counts a shared page in every process that maps it, and the pages of files that are charged
 * to somebody else; the domain's charge counts each page once. So the charge is what is split:
 *
 *   shmem   to QEMU first, as much as it maps: with a shared backend that is the guest's RAM, and
 *           virtiofsd and passt map the same pages again. Then to the other tasks. What nobody
 *           maps (files on a tmpfs) is nobody's.
 *   anon    to each task what it has, where the log says it (since 6.8 for all tasks, before only
 *           for the victim); the rest among the other tasks by RSS, never more than their RSS.
 *   kernel  is a part of its own. Page cache belongs to no task: unexplained.
 *
 * Without the domain's figures (cut off) what the tasks show is taken, scaled down to the usage. */

guint64
oomtask_charged_bytes(const OomTask *task)
{
    return task->charged_anon_bytes + task->charged_shmem_bytes;
}

static OomTask *
task_at(const OomReport *report, guint i)
{
    return &g_array_index(report->tasks, OomTask, i);
}

/* value * numerator / denominator; numerator <= denominator. */
static guint64
scale(guint64 value, guint64 numerator, guint64 denominator)
{
    return denominator == 0
               ? 0
               : MIN(value, (guint64)((gdouble)value * (gdouble)numerator / (gdouble)denominator));
}

static guint64
bytes_or(OomSize size, guint64 otherwise)
{
    return size.is_known ? size.bytes : otherwise;
}

static guint64
difference(guint64 from, guint64 subtrahend)
{
    return from - MIN(from, subtrahend);
}

/* Upper bound of the shared memory a task maps. */
static guint64
task_mapped_shmem(const OomTask *task)
{
    return bytes_or(task->shmem, difference(task->rss.bytes, bytes_or(task->anon, 0)));
}

static void
split_shmem(OomReport *report)
{
    OomSize charge = report->charge.shmem.is_known ? report->charge.shmem : report->charge.file;
    guint64 left = charge.bytes;

    for (guint i = 0; i < report->tasks->len; i++) {
        OomTask *task = task_at(report, i);

        task->charged_shmem_bytes = 0;
        if (task->role != OOM_ROLE_QEMU)
            continue;
        task->charged_shmem_bytes =
            charge.is_known ? MIN(task_mapped_shmem(task), left) : task->shmem.bytes;
        left = difference(left, task->charged_shmem_bytes);
    }
    for (guint i = 0; charge.is_known && i < report->tasks->len; i++) {
        OomTask *task = task_at(report, i);

        if (task->role == OOM_ROLE_QEMU)
            continue;
        task->charged_shmem_bytes = MIN(task->shmem.bytes, left);
        left -= task->charged_shmem_bytes;
    }
}

/* What a task's anonymous memory can be at most, where the log does not tell. */
static guint64
task_weight(const OomTask *task)
{
    return difference(task->rss.bytes, task->charged_shmem_bytes);
}

static void
split_anon(OomReport *report)
{
    OomSize charge = report->charge.anon;
    guint64 told = 0, weights = 0, rest;

    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = task_at(report, i);

        told += task->anon.is_known ? task->anon.bytes : 0;
        weights += task->anon.is_known ? 0 : task_weight(task);
    }
    rest = difference(charge.bytes, told);
    for (guint i = 0; i < report->tasks->len; i++) {
        OomTask *task = task_at(report, i);
        guint64 weight = task_weight(task);

        if (task->anon.is_known)
            task->charged_anon_bytes = charge.is_known && told > charge.bytes
                                           ? scale(task->anon.bytes, charge.bytes, told)
                                           : task->anon.bytes;
        else
            task->charged_anon_bytes =
                charge.is_known && rest < weights ? scale(weight, rest, weights) : weight;
    }
}

static guint64
tasks_sum(const OomReport *report, bool is_qemu)
{
    guint64 sum = 0;

    for (guint i = 0; i < report->tasks->len; i++)
        if ((task_at(report, i)->role == OOM_ROLE_QEMU) == is_qemu)
            sum += oomtask_charged_bytes(task_at(report, i));
    return sum;
}

static void
tasks_scale(OomReport *report, bool is_qemu, guint64 to, guint64 from)
{
    for (guint i = 0; from > to && i < report->tasks->len; i++) {
        OomTask *task = task_at(report, i);

        if ((task->role == OOM_ROLE_QEMU) != is_qemu)
            continue;
        task->charged_anon_bytes = scale(task->charged_anon_bytes, to, from);
        task->charged_shmem_bytes = scale(task->charged_shmem_bytes, to, from);
    }
}

/* The tasks' charges and the kernel's may not be more than the usage. What is too much is the text
 * of programs, of which QEMU has little beside its RAM: it keeps what it has, if it can. */
static void
fit_into_usage(OomReport *report)
{
    guint64 room = difference(report->usage.bytes, report->kernel.bytes);
    guint64 qemus = tasks_sum(report, true), others = tasks_sum(report, false);

    if (!report->usage.is_known)
        return;
    tasks_scale(report, true, room, qemus);
    tasks_scale(report, false, difference(room, MIN(qemus, room)), others);
}

/* The guest's RAM is QEMU's shared memory where that is most of it; else as much of it as the guest
 * can have. A domain of several VMs is not split: nobody knows whose guest was told. */
static OomSize
guest_part(const OomReport *report, OomSize guest)
{
    const OomTask *qemu = NULL;

    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = task_at(report, i);

        if (task->role != OOM_ROLE_QEMU)
            continue;
        if (qemu)
            return (OomSize){false, 0};
        qemu = task;
    }
    if (!qemu)
        return (OomSize){false, 0};
    if (qemu->charged_shmem_bytes > qemu->charged_anon_bytes)
        return (OomSize){true, MIN(qemu->charged_shmem_bytes, bytes_or(guest, G_MAXUINT64))};
    return (OomSize){guest.is_known, MIN(guest.bytes, oomtask_charged_bytes(qemu))};
}

void
oomparts_account(OomReport *report, OomSize guest)
{
    OomSize *const by_role[] = {
        [OOM_ROLE_QEMU] = &report->parts.qemu,
        [OOM_ROLE_HELPER] = &report->parts.helpers,
        [OOM_ROLE_STRANGER] = &report->parts.strangers,
    };
    bool has_table = report->tasks->len > 0;
    guint64 sum;

    if (!has_table && report->has_victim)
        g_array_append_vals(report->tasks, &report->victim, 1);
    report->parts.kernel = report->kernel;
    if (report->usage.is_known)
        report->parts.kernel.bytes = MIN(report->kernel.bytes, report->usage.bytes);
    sum = report->parts.kernel.bytes;
    split_shmem(report);
    split_anon(report);
    fit_into_usage(report);
    for (guint i = 0; has_table && i < G_N_ELEMENTS(by_role); i++)
        by_role[i]->is_known = true;
    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = task_at(report, i);

        by_role[task->role]->is_known = true;
        by_role[task->role]->bytes += oomtask_charged_bytes(task);
        sum += oomtask_charged_bytes(task);
    }
    report->parts.guest = guest_part(report, guest);
    report->parts.qemu.bytes -= report->parts.guest.bytes;
    if (report->usage.is_known)
        report->parts.unexplained = (OomSize){true, difference(report->usage.bytes, sum)};
}
