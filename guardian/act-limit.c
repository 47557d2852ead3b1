/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-limit.h"

#include "group.h"
#include "memory-watch.h"
#include "units.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const CgroupLimit *
limit_at(const Vm *vm, guint i)
{
    return &g_array_index(vm->group_limits, CgroupLimit, i);
}

/* What the group had before the oldest write of ours that is still in force. */
static guint64
original_of(const ActJournal *journal, const Vm *vm, const CgroupLimit *limit)
{
    const GPtrArray *records = journal ? act_journal_records(journal) : NULL;

    for (guint i = 0; records && i < records->len; i++) {
        const ActRecord *record = records->pdata[i];
        guint64 bytes;

        if (record->state == ACT_APPLIED && !record->undoes &&
            act_record_is_of(record, proc_pid(vm->proc), proc_start_ticks(vm->proc)) &&
            strcmp(record->kind, ACT_KIND_LIMITS) == 0 && strcmp(record->where, limit->path) == 0 &&
            cgroup_parse_bytes(record->old_value, &bytes))
            return MIN(bytes, limit->limit_bytes);
    }
    return limit->limit_bytes;
}

/* No second write may come before the cool-down is over. */
static guint64
growth_of(const Vm *vm, const PressureVerdict *pressure)
{
    double bytes = (double)pressure->grows_bps * (double)vm->limits.act_cool_down_us;

    return (guint64)MIN(bytes / G_USEC_PER_SEC, (double)(G_MAXINT64 / 2));
}

void
act_limit_input(const Vm *vm, const ActJournal *journal, const HostMemory *host,
                LimitsInput *ret_input)
{
    const PressureVerdict *pressure = &vm->memory_watch->pressure.verdict;
    guint n = vm->group_limits ? MIN(vm->group_limits->len, LIMITS_LEVELS_MAX) : 0;

    *ret_input = (LimitsInput){
        .n_levels = n,
        .has_left = pressure->has_sum,
        .guest_left_low_bytes = pressure->guest_left_low_bytes,
        .guest_left_bytes = pressure->guest_left_high_bytes,
        .margin_bytes = (guint64)vm->limits.limits_margin_bytes,
        .growth_bytes = growth_of(vm, pressure),
        .raise_max_bytes = (guint64)vm->limits.limits_raise_max_bytes,
        .has_available = host && host->has_available,
        .available_bytes = host ? host->available_bytes : 0,
        .reserve_bytes = (guint64)vm->limits.host_reserve_bytes,
    };
    for (guint i = 0; i < n; i++) {
        const CgroupLimit *limit = limit_at(vm, i);

        ret_input->levels[i] =
            (LimitsLevel){.limit_bytes = limit->limit_bytes,
                          .has_unreclaimable = limit->charge.has_unreclaimable,
                          .unreclaimable_bytes = limit->charge.unreclaimable_bytes,
                          .is_own = limit->is_own,
                          .original_bytes = original_of(journal, vm, limit)};
    }
}

char *
act_limit_refusal(const Vm *vm, const LimitsPlan *plan)
{
    g_autofree char *path = NULL, *needed = NULL, *allowed = NULL;

    if (!plan->has_level)
        return g_strdup(plan->refusal);
    path = units_printable_path(limit_at(vm, plan->level)->path);
    needed = units_format_size(plan->needed_bytes);
    allowed = units_format_size(plan->allowed_bytes);
    if (plan->needed_bytes == 0)
        return g_strdup_printf("%s: %s", path, plan->refusal);
    if (plan->allowed_bytes == 0)
        return g_strdup_printf("%s: %s; it needs %s", path, plan->refusal, needed);
    return g_strdup_printf("%s: %s; it needs %s and may have %s", path, plan->refusal, needed,
                           allowed);
}

/* Who undoes what was written behind his back writes it himself. */
static const ActMeans *
means_of(const CgroupLimit *limit)
{
    if (g_strcmp0(limit->owner, "systemd") == 0)
        return &act_means_systemd;
    return g_strcmp0(limit->owner, "libvirt") == 0 ? &act_means_libvirt : &act_means_cgroup;
}

static ActRecord *
step_new(const Vm *vm, const ActMeans *means, const CgroupLimit *limit, const char *field,
         guint64 old_bytes, guint64 new_bytes)
{
    ActRecord *record = act_record_new(vm, ACT_KIND_LIMITS, means->name);

    record->where = g_strdup(limit->path);
    record->field = g_strdup(field);
    record->old_value = g_strdup_printf("%" G_GUINT64_FORMAT, old_bytes);
    record->new_value = g_strdup_printf("%" G_GUINT64_FORMAT, new_bytes);
    record->undo_value = g_strdup(record->old_value);
    return record;
}

/* v1: memory and swap together may never be less than memory alone, so that limit is raised before
 * and lowered after it. Absent where swap is not accounted. systemd has no such property, and keeps
 * its hands off: in its units the file is runc's. */
static ActRecord *
step_with_swap(const Vm *vm, int group_fd, const CgroupLimit *limit, const LimitsStep *step)
{
    static const char field[] = "memory.memsw.limit_in_bytes";
    auto_fd fd = host_open_beneath(group_fd, field, O_RDONLY | O_NONBLOCK);
    g_autofree char *text = fd < 0 ? NULL : host_read_fd(fd, field, 256, NULL, NULL);
    const ActMeans *means = means_of(limit);
    bool has_limit = false;
    guint64 bytes;

    if (!text || !cgroup_parse_limit(text, &has_limit, &bytes) || !has_limit ||
        bytes >= step->new_bytes)
        return NULL;
    return step_new(vm, means == &act_means_systemd ? &act_means_cgroup : means, limit, field,
                    bytes, step->new_bytes);
}

static char *
why_of(const Vm *vm, const LimitsInput *input, const LimitsStep *step)
{
    g_autofree char *held = units_format_size_short(input->levels[step->level].unreclaimable_bytes);
    g_autofree char *left = units_format_size_short(input->guest_left_bytes);
    g_autofree char *margin = units_format_size_short(input->margin_bytes);
    g_autofree char *growth = units_format_size_short(input->growth_bytes);

    if (input->has_wanted)
        return g_strdup_printf("asked for; the group holds %s", held);
    if (input->growth_bytes > 0)
        return g_strdup_printf("the group holds %s, the guest may take %s more, what is beside it "
                               "grows by %s until the next write, margin %s",
                               held, left, growth, margin);
    return g_strdup_printf("the group holds %s, the guest may take %s more, margin %s", held, left,
                           margin);
}

/* Adds the write, or the two of v1. */
static bool
steps_add(GPtrArray *steps, const Vm *vm, const LimitsInput *input, const LimitsStep *step,
          GError **error)
{
    const CgroupLimit *limit = limit_at(vm, step->level);
    bool is_v2 = cgroup_path(vm->cgroup)->is_v2;
    auto_fd fd =
        host_open_beneath(cgroup_mount_fd(vm->cgroup), limit->path + 1, O_RDONLY | O_DIRECTORY);
    guint before = steps->len;
    struct stat st;
    ActRecord *with_swap;

    if (fd < 0 || fstat(fd, &st) < 0) {
        guardian_set_errno(error, errno, "open", limit->path);
        return false;
    }
    with_swap = is_v2 ? NULL : step_with_swap(vm, fd, limit, step);
    if (with_swap)
        g_ptr_array_add(steps, with_swap);
    g_ptr_array_add(steps, step_new(vm, means_of(limit), limit,
                                    is_v2 ? "memory.max" : "memory.limit_in_bytes", step->old_bytes,
                                    step->new_bytes));
    for (guint i = before; i < steps->len; i++) {
        ((ActRecord *)steps->pdata[i])->group_id = st.st_ino;
        ((ActRecord *)steps->pdata[i])->why = why_of(vm, input, step);
    }
    return true;
}

GPtrArray *
act_limit_steps(const Vm *vm, const LimitsInput *input, const LimitsPlan *plan, const char *by,
                GError **error)
{
    g_autoptr(GPtrArray) steps = act_steps_new();

    for (guint i = 0; i < plan->n_steps; i++)
        if (!steps_add(steps, vm, input, &plan->steps[i], error))
            return NULL;
    for (guint i = 0; i < steps->len; i++)
        ((ActRecord *)steps->pdata[i])->by = g_strdup(by);
    return g_steal_pointer(&steps);
}

char *
act_limit_undo_problem(const Vm *vm, const GPtrArray *steps)
{
    const guint64 margin = (guint64)vm->limits.limits_margin_bytes;

    for (guint i = 0; i < steps->len; i++) {
        const ActRecord *step = steps->pdata[i];
        guint64 bytes;

        if (strcmp(step->kind, ACT_KIND_LIMITS) != 0 ||
            !cgroup_parse_bytes(step->new_value, &bytes))
            continue;
        for (guint j = 0; vm->group_limits && j < vm->group_limits->len; j++) {
            const CgroupLimit *limit = limit_at(vm, j);
            const LimitsLevel level = {.has_unreclaimable = limit->charge.has_unreclaimable,
                                       .unreclaimable_bytes = limit->charge.unreclaimable_bytes};
            g_autofree char *held = units_format_size(level.unreclaimable_bytes);
            g_autofree char *wanted = units_format_size(bytes);
            g_autofree char *path = units_printable_path(limit->path);

            if (strcmp(limit->path, step->where) == 0 && limit->limit_bytes > bytes &&
                !limits_may_lower(&level, margin, bytes))
                return g_strdup_printf("%s holds %s now: %s and no margin would kill", path, held,
                                       wanted);
        }
    }
    return NULL;
}

ActTerms
act_limit_terms(const Vm *vm, const Limits *host, const GPtrArray *vms)
{
    return (ActTerms){.is_enforced = vm->limits.mode == MODE_ENFORCE &&
                                     vm->limits.enforce_limits == MODE_ENFORCE,
                      .is_suspect = act_is_suspect(vm, vms),
                      .cool_down_us = vm->limits.act_cool_down_us,
                      .budget_vm = (guint)vm->limits.act_writes_vm,
                      .budget_host = (guint)host->act_writes_host};
}
