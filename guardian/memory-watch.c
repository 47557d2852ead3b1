/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory-watch.h"

#include <fcntl.h>
#include <string.h>

/* So many counts at once, and as many processes that hang may keep one for ever. */
#define COUNTS_MAX 4
/* An overhead known no better than this is not learned from: half a small VM's. */
#define LEARN_ERROR_MAX_BYTES (64 * G_GUINT64_CONSTANT(1024) * 1024)
/* 1 TiB of touched 4 KiB pages takes three minutes at the pace of pagecount.c. */
#define COUNT_DEADLINE_US (600 * (gint64)G_USEC_PER_SEC)

/* A reading takes 40 us, and nobody else is bothered. */
#define HURRY_US ((gint64)G_USEC_PER_SEC)

MemoryWatch *
memory_watch_new(void)
{
    MemoryWatch *watch = g_new0(MemoryWatch, 1);

    watch->backends = g_array_new(FALSE, FALSE, sizeof(guint64));
    return watch;
}

void
memory_watch_free(MemoryWatch *watch)
{
    group_reader_free(watch->reader);
    g_array_unref(watch->backends);
    g_free(watch);
}

void
memory_watch_forget_backends(MemoryWatch *watch)
{
    g_array_set_size(watch->backends, 0);
}

void
memory_watch_add_backend(MemoryWatch *watch, guint64 size_bytes)
{
    g_array_append_val(watch->backends, size_bytes);
}

static void
reader_follow(Vm *vm, const char *group_path)
{
    MemoryWatch *watch = vm->memory_watch;

    if (watch->reader && g_strcmp0(group_reader_path(watch->reader), group_path) != 0) {
        g_clear_pointer(&watch->reader, group_reader_free);
        pressure_forget_group(&watch->pressure);
    }
    if (!watch->reader && vm->cgroup && group_path)
        watch->reader = group_reader_new(cgroup_mount_fd(vm->cgroup), group_path,
                                         cgroup_path(vm->cgroup)->is_v2);
}

static void
take_signals(const GroupSignals *signals, const HostMemory *host, MemorySample *memory)
{
    memory->has_max_events = signals->has_events || signals->has_failures;
    memory->max_events = signals->has_events ? signals->max_events : signals->failures;
    memory->has_stalled = signals->has_stalled;
    memory->stalled_us = signals->stalled_us;
    memory->has_swap_room = signals->has_swap && host->is_known;
    memory->swap_room_bytes = MIN(signals->swap_room_bytes, host->swap_free_bytes);
}

static void
take_count(const Vm *vm, MemorySample *memory)
{
    const MemoryWatch *watch = vm->memory_watch;

    memory->has_count = watch->count.is_known;
    memory->counted_low_bytes = watch->count.low_bytes;
    memory->counted_high_bytes = watch->count.high_bytes;
    memory->counted_shared_bytes = watch->count.shared_bytes;
    memory->own_low_bytes = watch->count.own_low_bytes;
    memory->own_high_bytes = watch->count.own_high_bytes;
}

/* In hugetlbfs for sure: said so, or a file that may be, of a process that holds such pages; or as
 * many of these as the guest has RAM. */
static bool
is_hugetlb(const Vm *vm, const MemorySample *memory)
{
    HugePages said = vm->argv->memory_huge_pages;

    return said == HUGE_PAGES_YES ||
           (memory->has_rss && memory->hugetlb_bytes > 0 &&
            (said == HUGE_PAGES_PERHAPS || memory->hugetlb_bytes >= memory->guest_ram_bytes));
}

void
memory_watch_complete(Vm *vm, const char *group_path, const HostMemory *host)
{
    MemorySample *memory = &vm->memory;
    MemoryWatch *watch = vm->memory_watch;
    GroupSignals signals;

    memory->guest_ram_is_hugetlb = is_hugetlb(vm, memory);
    memory->has_balloon = watch->has_balloon;
    memory->balloon_bytes = watch->balloon_bytes;
    take_count(vm, memory);
    reader_follow(vm, group_path);
    if (watch->reader && !group_reader_read(watch->reader, &signals))
        g_clear_pointer(&watch->reader, group_reader_free);
    if (watch->reader)
        take_signals(&signals, host, memory);
}

/* A QEMU that goes into the background forks, and the process that was started waits, with the same
 * command line and in the same group, until the other one serves their monitor. */
static bool
is_starter_or_started(const Vm *vm, const Vm *other)
{
    return vm->argv->is_daemonized && other->argv->is_daemonized && vm->monitor_path &&
           g_strcmp0(vm->monitor_path, other->monitor_path) == 0;
}

/* Guests of one limit fill up together. */
static void
count_peers(Vm *vm, const GPtrArray *vms)
{
    guint64 left_bytes = 0;

    for (guint i = 0; vm->memory.has_limit && i < vms->len; i++) {
        const Vm *peer = vms->pdata[i];
        guint64 low, high, ram = pressure_chargeable(&peer->memory);

        if (peer == vm || !peer->memory.has_limit ||
            g_strcmp0(peer->limit_path, vm->limit_path) != 0 || is_starter_or_started(vm, peer) ||
            !pressure_touched(&peer->memory, &low, &high) || ram <= high)
            continue;
        left_bytes = MIN(left_bytes + MIN(ram - high, G_MAXINT64), G_MAXINT64);
        vm->memory.has_peers = true;
    }
    vm->memory.peers_left_bytes = left_bytes;
}

/* The VM may have ended meanwhile. */
static void
counted(gpointer result, bool is_late, gpointer user_data)
{
    const GPtrArray *vms = user_data;
    g_autofree PageCount *count = result;

    for (guint i = 0; count && i < vms->len; i++) {
        Vm *vm = vms->pdata[i];

        if (proc_pid(vm->proc) == count->pid && proc_start_ticks(vm->proc) == count->start_ticks)
            vm->memory_watch->count = *count;
    }
}

static PageCountCall *
call_new(const Vm *vm)
{
    const GArray *backends = vm->memory_watch->backends;
    PageCountCall *call = g_new0(PageCountCall, 1);

    call->n_sizes = MIN(backends->len, PAGECOUNT_BACKENDS_MAX);
    for (guint i = 0; i < call->n_sizes; i++)
        call->sizes_bytes[i] = g_array_index(backends, guint64, i);
    if (call->n_sizes == 0 && vm->argv->has_memory)
        call->sizes_bytes[call->n_sizes++] = vm->argv->memory_bytes;
    call->pid = proc_pid(vm->proc);
    call->start_ticks = proc_start_ticks(vm->proc);
    call->proc_fd = fcntl(proc_dir_fd(vm->proc), F_DUPFD_CLOEXEC, 0);
    return call;
}

static void
begin_count(Vm *vm, const GPtrArray *vms, Workers *workers)
{
    WorkerCall call = {.run = pagecount_run,
                       .free_data = pagecount_call_free,
                       .free_result = g_free,
                       .done = counted,
                       .user_data = (gpointer)vms,
                       .deadline_us = COUNT_DEADLINE_US};
    char target[32];

    g_snprintf(target, sizeof target, "page count %d", (int)proc_pid(vm->proc) % COUNTS_MAX);
    if (workers_is_busy(workers, target))
        return; /* its turn comes at a later reading */
    call.data = call_new(vm);
    if (workers_run(workers, target, &call))
        vm->memory_watch->counted_us = vm->memory.at_us;
}

bool
memory_watch_lacks_count(const Vm *vm)
{
    const MemoryWatch *watch = vm->memory_watch;

    return vm->limits.memory_page_count && watch->count.pid == 0 &&
           (watch->counted_us > 0 || pressure_wants_count(&vm->memory, 0, 0));
}

/* Bounds that are far apart say nothing of the overhead; the upper one is what a limit must hold.
 */
static void
reservation_learn(Vm *vm, gint64 realtime_us)
{
    OverheadBounds bounds = overhead_measure(&vm->memory);
    gint64 age_us = vm->sample.age_us;

    /* what a start takes is no burst that comes again */
    if (age_us >= 0 && age_us < RESERVATION_WINDOW_S * (gint64)G_USEC_PER_SEC)
        return;
    if (bounds.is_known && bounds.high_bytes - bounds.low_bytes <= LEARN_ERROR_MAX_BYTES)
        reservation_follow(&vm->memory_watch->reservation, bounds.high_bytes,
                           realtime_us / G_USEC_PER_SEC);
}

static bool
is_guaranteed(const Vm *vm)
{
    return vm->cgroup && g_strcmp0(cgroup_group_place(vm->cgroup)->qos, "guaranteed") == 0;
}

ReservationResult
memory_watch_reservation(const Vm *vm)
{
    const MemorySample *memory = &vm->memory;
    bool has_limit = memory->has_limit && memory->limit_is_own; /* else it is many VMs' */
    guint64 guest_bytes = memory->has_guest_ram ? memory->guest_ram_bytes : 0;
    ReservationVm asked = {.configured_bytes = has_limit ? memory->limit_bytes : guest_bytes,
                           .guest_bytes = guest_bytes,
                           .vcpus = vm->argv->n_vcpus,
                           .has_graphics = vm->argv->has_graphics,
                           .has_host_device = vm->argv->has_host_device,
                           .has_tpm = vm->argv->has_tpm,
                           .has_sev = vm->argv->has_sev,
                           .is_arm64 = vm->argv->is_arm64,
                           .is_guaranteed = is_guaranteed(vm)};

    return reservation_decide(&vm->memory_watch->reservation, &asked, &vm->limits);
}

gint64
memory_watch_due_us(const Vm *vm)
{
    gint64 period_us = vm->limits.memory_period_us;

    if (vm->memory_us == 0)
        return 0;
    if (pressure_is_hurried(&vm->memory_watch->pressure))
        period_us = MIN(period_us, HURRY_US);
    return vm->memory_us + period_us;
}

bool
memory_watch_follow(Vm *vm, const GPtrArray *vms, Workers *workers, gint64 realtime_us)
{
    MemoryWatch *watch = vm->memory_watch;
    PressureVerdict before = watch->pressure.verdict;
    const PressureVerdict *after;

    count_peers(vm, vms);
    reservation_learn(vm, realtime_us);
    after = pressure_judge(&watch->pressure, &vm->memory, reservation_burst(&watch->reservation));
    if (vm->limits.memory_page_count &&
        pressure_wants_count(&vm->memory, watch->counted_us, watch->count.anon_bytes))
        begin_count(vm, vms, workers);
    if (after->level > before.level && after->level >= PRESSURE_DOOMED)
        vm->roles_us = 0; /* who holds it, at the next reading */
    return before.level != after->level || g_strcmp0(before.reason, after->reason) != 0;
}

void
memory_watch_end(Vm *vm)
{
    vm->memory_watch->pressure = (PressureTrack){
        .verdict = {.level = PRESSURE_UNKNOWN, .reason = "it is not watched any more"}};
}
