/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sample-private.h"

#include "freeze-guest.h"
#include "kill-order.h"
#include "memory-watch.h"
#include "network.h"
#include "roles.h"
#include "units.h"

#include <unistd.h>

/* Helpers grow by the minute. Looking at ten of them takes some 150 us, at the 64 of a session that
 * 200 VMs share 1 ms: under 1 % of a core in all. */
#define ROLES_PERIOD_US (30 * G_USEC_PER_SEC)

static void
read_roles(Vm *vm, const Host *host, gint64 now_us, const char *limit_path)
{
    if (vm->roles_us != 0 && now_us - vm->roles_us < ROLES_PERIOD_US)
        return;
    vm->roles_us = now_us;
    roles_read(host, vm->cgroup, proc_pid(vm->proc), limit_path, &vm->roles);
    kill_order_look(vm, host);
}

/* Some time after its start, or at any time, somebody moves a process to a group with a limit.
 * Asked as often as who is beside it, and when its group is gone. */
static void
follow_move(Vm *vm, const Host *host, gint64 now_us)
{
    bool is_due = vm->roles_us == 0 || now_us - vm->roles_us >= ROLES_PERIOD_US;

    if (vm->cgroup && is_due && cgroup_is_left(vm->cgroup, vm->proc))
        (void)vm_open_cgroup(vm, host);
}

static void
read_group(Vm *vm, const Host *host, gint64 now_us, MemorySample *memory, char **ret_path)
{
    CgroupReading reading = {0};
    const CgroupCharge *charge;

    follow_move(vm, host, now_us);
    if (!vm->cgroup)
        return;
    if (!cgroup_read(vm->cgroup, &reading, NULL)) {
        vm->roles_us = 0;
        return;
    }
    charge = reading.has_limit ? &reading.limit_charge : &reading.charge;
    memory->limited_usage_bytes = charge->usage_bytes;
    memory->kinds = charge->kinds;
    memory->has_oom_kills = charge->has_oom_kills;
    memory->oom_kills = charge->oom_kills;
    memory->waits_for_memory = charge->is_waiting;
    *ret_path = g_strdup(reading.limit_path ? reading.limit_path : cgroup_path(vm->cgroup)->path);
    memory->has_group = reading.charge.has_usage && reading.charge.has_unreclaimable;
    memory->group_usage_bytes = reading.charge.usage_bytes;
    memory->group_unreclaimable_bytes = reading.charge.unreclaimable_bytes;
    memory->limit_is_known = reading.limit_is_known;
    memory->has_limit = reading.has_limit;
    memory->limit_bytes = reading.limit_bytes;
    memory->limited_unreclaimable_bytes = reading.limit_charge.unreclaimable_bytes;
    memory->group_is_own = reading.group_is_own;
    memory->limit_is_own = reading.limit_is_own;
    vm->limit_path = reading.limit_path ? units_printable_path(reading.limit_path) : NULL;
    vm->kill_path = reading.kill_path ? units_printable_path(reading.kill_path) : NULL;
    vm->group_limits = g_steal_pointer(&reading.limits);
    read_roles(vm, host, now_us, reading.limit_path);
    cgroup_reading_clear(&reading);
}

void
sample_read_memory(Vm *vm, const SampleContext *context)
{
    gint64 now_us = context->now_us;
    MemorySample memory = {.at_us = now_us};
    ProcStatus status;
    g_autofree char *path = NULL;

    vm->memory_us = now_us;
    g_clear_pointer(&vm->limit_path, g_free);
    g_clear_pointer(&vm->kill_path, g_free);
    g_clear_pointer(&vm->group_limits, g_array_unref);
    memory.has_guest_ram = vm->has_guest_ram || vm->argv->has_memory;
    memory.guest_ram_bytes = vm->has_guest_ram ? vm->guest_ram_bytes : vm->argv->memory_bytes;
    memory.guest_ram_is_shared =
        vm->has_guest_ram ? vm->guest_ram_is_shared : vm->argv->memory_is_shared;
    /* The group first: what the guest touches meanwhile is then not taken for what it may still
     * take. */
    read_group(vm, context->host, now_us, &memory, &path);
    if (proc_read_status(vm->proc, &status, NULL)) {
        vm->uid = status.uid;
        memory.has_rss = status.has_rss;
        memory.rss_anon_bytes = status.rss_anon_bytes;
        memory.rss_file_bytes = status.rss_file_bytes;
        memory.rss_shmem_bytes = status.rss_shmem_bytes;
        memory.page_table_bytes = status.page_table_bytes;
        memory.hugetlb_bytes = status.hugetlb_bytes;
    }
    vm->memory = memory;
    memory_watch_complete(vm, path, &context->memory);
}

static guint64
ticks_to_us(guint64 ticks)
{
    return ticks * (G_USEC_PER_SEC / (guint64)sysconf(_SC_CLK_TCK));
}

static void
fill_network(Sampling *sampling)
{
    const SampleContext *context = &sampling->context;

    if (context->children)
        network_look_up(sampling->vm, context->host, context->children, context->now_us);
    sampling->sample.has_network = network_read(sampling->vm, &sampling->sample.network_bytes);
}

/* Of v1 as well as of v2; a QEMU that answered is not looked at. */
static bool
is_frozen(const Vm *vm, char process_state)
{
    if (process_state == 'D')
        return proc_is_frozen(vm->proc);
    return vm->sample.monitor != MONITOR_ANSWERED && vm->cgroup && cgroup_is_frozen(vm->cgroup);
}

void
sample_fill_process(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    Sample *sample = &sampling->sample;
    gint64 now = sampling->context.now_us;
    ProcStat stat;

    if (!proc_read_stat(vm->proc, &stat, NULL)) {
        sample->process_is_gone = !proc_is_alive(vm->proc);
        return;
    }
    sample->process_is_gone = stat.state == 'Z' || stat.state == 'X';
    sample->process_state = stat.state;
    sample->process_is_frozen = is_frozen(vm, stat.state);
    sample->age_us = proc_age_us(sampling->context.host, stat.start_ticks);
    sample->has_cpu = true;
    sample->cpu_time_us = ticks_to_us(stat.utime_ticks + stat.stime_ticks);
    sample->has_main_cpu =
        guest_wants_main_cpu(&vm->track) && proc_read_main_cpu(vm->proc, &sample->main_cpu_us);
    fill_network(sampling);
    if (now >= memory_watch_due_us(vm) || !vm->memory.has_guest_ram)
        sample_read_memory(vm, &sampling->context);
}
