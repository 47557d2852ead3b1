/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-acts.h"
#include "report-build.h"
#include "report-order.h"

#include "decide.h"
#include "drift-report.h"
#include "libvirt-domain.h"
#include "overhead.h"
#include "report-domain.h"
#include "report-forecast.h"
#include "report-host.h"
#include "report-owner.h"
#include "report-reason.h"
#include "report-roles.h"
#include "report-sources.h"
#include "storage-name.h"
#include "units.h"

#include <math.h>
#include <string.h>

char *
report_utc(gint64 realtime_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(realtime_us / G_USEC_PER_SEC);

    return time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("unknown");
}

/* What is known of requests on their way, null for what was not looked at or not to be had. */
static void
add_evidence(JsonBuilder *builder, const DiskSample *disk)
{
    build_u64(builder, "inflight", disk->has_queue, disk->queue_inflight);
    build_u64(builder, "blocked_thread", disk->has_thread, disk->blocked_thread);
    build_u64(builder, "ring_inflight", disk->has_ring, disk->ring_inflight);
    build_u64(builder, "device_inflight", disk->has_device, disk->device_inflight);
    build_u64(builder, "device_completed", disk->has_device, disk->device_completed);
    json_builder_set_member_name(builder, "device_stale");
    if (disk->has_device)
        json_builder_add_boolean_value(builder, disk->device_is_stale);
    else
        json_builder_add_null_value(builder);
    build_u64(builder, "neighbours_moving", disk->has_neighbours, disk->neighbours_moving);
    build_u64(builder, "neighbours_still", disk->has_neighbours, disk->neighbours_still);
    build_u64(builder, "job_offset_bytes", disk->has_job, disk->job_offset_bytes);
}

/* What is usual for it, and how long it has been quiet. */
static void
add_habit(JsonBuilder *builder, const DiskTrack *track, const ReportClocks *clocks)
{
    const Habit *habit = track ? &track->habit : NULL;
    bool is_known = habit && habit->progress_samples > 0;

    build_s64(builder, "quiet_s", is_known,
              is_known ? (clocks->monotonic_us - habit->last_progress_us) / G_USEC_PER_SEC : 0);
    build_s64(builder, "longest_gap_s", is_known && habit_is_writer(habit),
              is_known ? habit->longest_gap_us / G_USEC_PER_SEC : 0);
    build_s64(builder, "watched_s", is_known,
              is_known ? (clocks->monotonic_us - habit->learned_since_us) / G_USEC_PER_SEC : 0);
}

static void
add_canary(JsonBuilder *builder, const DiskSample *disk, const Limits *limits)
{
    build_text(builder, "canary",
               disk->has_canary               ? disk->canary_is_back ? "back" : "out"
               : limits->canary == CANARY_OFF ? "off"
                                              : "not-sent");
    build_s64(builder, "canary_waited_ms", disk->has_canary, disk->canary_waited_us / 1000);
}

static void
add_disk(JsonBuilder *builder, const Host *host, const Vm *vm, const DiskSample *disk,
         const ReportClocks *clocks)
{
    const DiskTrack *track = track_find_disk(&vm->track, disk->id);
    g_autofree char *name = NULL;

    json_builder_begin_object(builder);
    build_text(builder, "label", disk->label);
    build_text(builder, "driver", disk->driver);
    build_text(builder, "storage", disk->storage);
    /* as people call it, for those who have to look there */
    name = disk->storage && track && track->verdict.state >= STATE_SUSPECT
               ? storage_name(host, disk->storage)
               : NULL;
    build_text(builder, "storage_name", name);
    if (track) {
        g_autofree char *reason = report_reason(vm, track, &track->verdict);

        build_verdict(builder, &track->verdict, reason, clocks);
    }
    add_evidence(builder, disk);
    add_canary(builder, disk, &vm->limits);
    add_habit(builder, track, clocks);
    build_u64(builder, "idle_ms", disk->has_idle_time, disk->idle_time_ns / 1000000);
    build_u64(builder, "read_operations", disk->has_counters, disk->rd_ops);
    build_u64(builder, "write_operations", disk->has_counters, disk->wr_ops);
    build_u64(builder, "read_bytes", disk->has_counters, disk->rd_bytes);
    build_u64(builder, "write_bytes", disk->has_counters, disk->wr_bytes);
    build_u64(builder, "failed_operations", disk->has_counters, disk->failed_ops);
    build_u64(builder, "limit_bytes_per_s", disk->has_limit && disk->limit_bps, disk->limit_bps);
    build_u64(builder, "limit_operations_per_s", disk->has_limit && disk->limit_iops,
              disk->limit_iops);
    build_bool(builder, "limit_of_start", disk->has_limit && disk->limit_is_of_start);
    json_builder_end_object(builder);
}

static void
add_disks(JsonBuilder *builder, const Host *host, const Vm *vm, const ReportClocks *clocks)
{
    bool is_known = vm->has_sample && vm->sample.has_disks;

    json_builder_set_member_name(builder, "disks");
    if (!is_known && vm->track.disks->len == 0) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_array(builder);
    for (guint i = 0; is_known && i < vm->sample.n_disks; i++)
        add_disk(builder, host, vm, &vm->sample.disks[i], clocks);
    /* the monitor is silent: the disks of the last answer, with what is concluded for them */
    for (guint i = 0; !is_known && i < vm->track.disks->len; i++) {
        const DiskTrack *track = vm->track.disks->pdata[i];
        DiskSample last = {.id = track->id, .label = track->label};

        add_disk(builder, host, vm, &last, clocks);
    }
    json_builder_end_array(builder);
}

static void
add_memory(JsonBuilder *builder, const Vm *vm, const ReportClocks *clocks)
{
    const MemorySample *memory = &vm->memory;
    OverheadBounds bounds = overhead_measure(memory);
    gint64 headroom = 0;
    bool has_headroom = overhead_headroom(memory, &headroom);

    json_builder_set_member_name(builder, "memory");
    json_builder_begin_object(builder);
    build_u64(builder, "limit_bytes", memory->has_limit, memory->limit_bytes);
    build_text(builder, "limit_group", vm->limit_path);
    build_bool(builder, "limit_known", memory->limit_is_known);
    build_u64(builder, "guest_ram_bytes", memory->has_guest_ram, memory->guest_ram_bytes);
    build_u64(builder, "overhead_low_bytes", bounds.is_known, bounds.low_bytes);
    build_u64(builder, "overhead_high_bytes", bounds.is_known, bounds.high_bytes);
    build_bool(builder, "overhead_exact", bounds.is_known && bounds.is_exact);
    build_text(builder, "overhead_source", bounds.is_known ? bounds.source : NULL);
    report_add_reservation(builder, vm);
    build_s64(builder, "headroom_bytes", has_headroom, headroom);
    build_text(builder, "group", vm->group_path);
    build_u64(builder, "group_usage_bytes", memory->has_group, memory->group_usage_bytes);
    build_u64(builder, "group_unreclaimable_bytes", memory->has_group,
              memory->group_unreclaimable_bytes);
    build_u64(builder, "process_anon_bytes", memory->has_rss, memory->rss_anon_bytes);
    build_u64(builder, "process_file_bytes", memory->has_rss, memory->rss_file_bytes);
    build_u64(builder, "process_shmem_bytes", memory->has_rss, memory->rss_shmem_bytes);
    report_add_forecast(builder, vm, clocks);
    json_builder_end_object(builder);
}

/* What libvirt tells of it, null for a VM that is none of its domains. */
static void
add_libvirt(JsonBuilder *builder, const Vm *vm, const ReportClocks *clocks)
{
    gint64 xml_us = 0, figures_us = 0;
    const DomainXml *xml = vm->domain ? libvirt_domain_xml(vm->domain, &xml_us) : NULL;
    const LibvirtFigures *figures =
        vm->domain ? libvirt_domain_figures(vm->domain, &figures_us) : NULL;
    LibvirtFigures none = {0};

    json_builder_set_member_name(builder, "libvirt");
    if (!vm->domain) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    build_text(builder, "daemon", libvirt_daemon_label(libvirt_domain_daemon(vm->domain)));
    build_s64(builder, "xml_age_ms", xml != NULL, (clocks->monotonic_us - xml_us) / 1000);
    build_u64(builder, "hard_limit_bytes", xml && xml->hard_limit_bytes.is_known,
              xml ? xml->hard_limit_bytes.value : 0);
    build_s64(builder, "figures_age_ms", figures != NULL,
              (clocks->monotonic_us - figures_us) / 1000);
    figures = figures ? figures : &none;
    build_u64(builder, "balloon_bytes", figures->balloon_bytes.is_known,
              figures->balloon_bytes.value);
    build_u64(builder, "vcpus", figures->vcpus.is_known, figures->vcpus.value);
    build_u64(builder, "iothreads", figures->iothreads.is_known, figures->iothreads.value);
    json_builder_end_object(builder);
}

static void
add_monitor(JsonBuilder *builder, const Vm *vm)
{
    g_autofree char *path = vm->monitor_path ? units_printable(vm->monitor_path, -1) : NULL;

    json_builder_set_member_name(builder, "monitor");
    json_builder_begin_object(builder);
    build_text(builder, "path", path);
    build_text(builder, "use",
               path         ? (vm->monitor_is_ours ? "own" : "shared")
               : vm->domain ? "libvirt"
                            : NULL);
    build_text(builder, "stage", vm->has_sample ? monitor_stage_name(vm->sample.monitor) : NULL);
    build_u64(builder, "waited_us", vm->has_sample && vm->sample.waited_us > 0,
              (guint64)vm->sample.waited_us);
    build_text(builder, "problem", vm->client_error);
    build_text(builder, "passthrough",
               path || !vm->domain                                 ? NULL
               : vm->limits.libvirt_passthrough == PASSTHROUGH_OFF ? "off"
                                                                   : "suspect");
    build_text(builder, "passthrough_problem", vm->passthrough_problem);
    json_builder_end_object(builder);
}

/* The second signals in figures, while one of its disks is strangely quiet; else null. */
static void
add_signs(JsonBuilder *builder, const Signals *signals)
{
    bool has_network = signals->has_network_before && signals->has_network_now;
    bool has_cpu = signals->n_bins > 1;

    json_builder_set_member_name(builder, "signs");
    if (signals->quiet_since_us == 0) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    build_s64(builder, "network_before_bytes_per_s", has_network, (gint64)signals->network_before);
    build_s64(builder, "network_now_bytes_per_s", has_network, (gint64)signals->network_now);
    build_s64(builder, "cpu_first_percent", has_cpu, has_cpu ? lround(100 * signals->bins[0]) : 0);
    build_s64(builder, "cpu_last_percent", has_cpu,
              has_cpu ? lround(100 * signals->bins[signals->n_bins - 1]) : 0);
    build_s64(builder, "cpu_over_s", has_cpu,
              has_cpu ? (signals->n_bins - 1) * SIGNALS_BIN_US / G_USEC_PER_SEC : 0);
    json_builder_end_object(builder);
}

static void
add_capture(JsonBuilder *builder, const Vm *vm)
{
    build_bool(builder, "capturing", vm->capture != NULL);
    build_text(builder, "capture", vm->bundle);
}

/* Devices whose data do not pass QEMU's block layer. */
static void
add_unwatched(JsonBuilder *builder, const Vm *vm)
{
    json_builder_set_member_name(builder, "unwatched_devices");
    if (vm->is_nameless) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_array(builder);
    for (guint i = 0; i < vm->argv->unwatched->len; i++) {
        g_autofree char *text = units_printable(vm->argv->unwatched->pdata[i], -1);

        json_builder_add_string_value(builder, text);
    }
    json_builder_end_array(builder);
}

static void
add_vm(JsonBuilder *builder, const Host *host, const Vm *vm, const ActJournal *acts,
       const ReportClocks *clocks)
{
    g_autofree char *sampled = vm->has_sample ? report_utc(vm->sample_realtime_us) : NULL;
    g_autofree char *reason = report_reason(vm, NULL, &vm->track.verdict);
    bool is_asked = vm->has_sample && vm->sample.monitor == MONITOR_ANSWERED;

    json_builder_begin_object(builder);
    build_text(builder, "name", vm->name);
    build_text(builder, "id", vm->id);
    build_text(builder, "uuid", vm->uuid);
    build_text(builder, "source", vm->source);
    build_s64(builder, "pid", true, proc_pid(vm->proc));
    build_verdict(builder, &vm->track.verdict, reason, clocks);
    build_text(builder, "run", is_asked ? run_state_name(vm->sample.run) : NULL);
    build_text(builder, "qemu_version", vm->qemu_version);
    build_text(builder, "sampled_utc", sampled);
    build_s64(builder, "sample_age_ms", vm->has_sample,
              (clocks->monotonic_us - vm->sample.now_us) / 1000);
    build_s64(builder, "sample_late_ms", vm->has_sample, vm->late_us / 1000);
    build_s64(builder, "sample_took_ms", vm->has_sample, vm->took_us / 1000);
    build_s64(builder, "running_s", vm->has_sample && vm->sample.age_us >= 0,
              vm->sample.age_us / G_USEC_PER_SEC);
    build_u64(builder, "cpu_ms", vm->has_sample && vm->sample.has_cpu,
              vm->sample.cpu_time_us / 1000);
    build_u64(builder, "network_bytes", vm->has_sample && vm->sample.has_network,
              vm->sample.network_bytes);
    build_u64(builder, "stops", vm->has_sample && vm->sample.has_events, vm->sample.n_stops);
    build_u64(builder, "resets", vm->has_sample && vm->sample.has_events, vm->sample.n_resets);
    add_signs(builder, &vm->track.signals);
    add_capture(builder, vm);
    drift_build_writes(builder, vm, clocks);
    add_monitor(builder, vm);
    add_libvirt(builder, vm, clocks);
    add_memory(builder, vm, clocks);
    add_unwatched(builder, vm);
    report_add_owner(builder, vm);
    report_add_domain(builder, vm);
    report_add_order(builder, vm);
    report_add_acts(builder, acts, vm, clocks);
    report_add_roles(builder, &vm->roles);
    add_disks(builder, host, vm, clocks);
    json_builder_end_object(builder);
}

JsonNode *
report_vm(const Host *host, const Vm *vm)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    ReportClocks clocks = {.monotonic_us = host_monotonic_us(host),
                           .realtime_us = host_realtime_us(host)};

    add_vm(builder, host, vm, NULL, &clocks);
    return json_builder_get_root(builder);
}

JsonNode *
report_state(const Guardian *guardian, bool is_daemon)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    const GPtrArray *vms = guardian_vms(guardian);
    ReportClocks clocks = {.monotonic_us = host_monotonic_us(guardian_host(guardian)),
                           .realtime_us = host_realtime_us(guardian_host(guardian))};
    g_autofree char *now = report_utc(clocks.realtime_us);
    g_autofree char *mode =
        setting_format(setting_find("guardian", "mode"), guardian_limits(guardian));

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_text(builder, "version", VERSION);
    build_text(builder, "now_utc", now);
    build_bool(builder, "daemon", is_daemon);
    build_text(builder, "mode", mode);
    build_s64(builder, "stuck_workers", true, guardian_stuck_workers(guardian));
    build_sources(builder, guardian, &clocks);
    report_add_host(builder, guardian);
    report_add_group_acts(builder, guardian_acts(guardian), &clocks);
    json_builder_set_member_name(builder, "vms");
    json_builder_begin_array(builder);
    for (guint i = 0; i < vms->len; i++)
        add_vm(builder, guardian_host(guardian), vms->pdata[i], guardian_acts(guardian), &clocks);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}
