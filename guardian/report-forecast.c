/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-forecast.h"

#include "memory-watch.h"
#include "message.h"

static void
add_kinds(JsonBuilder *builder, const MemoryKinds *kinds)
{
    bool has_parts = kinds->is_known && kinds->has_kernel_parts;

    json_builder_set_member_name(builder, "kinds");
    json_builder_begin_object(builder);
    build_u64(builder, "anon_bytes", kinds->is_known, kinds->anon_bytes);
    build_u64(builder, "shmem_bytes", kinds->is_known, kinds->shmem_bytes);
    build_u64(builder, "locked_file_bytes", kinds->is_known, kinds->locked_file_bytes);
    build_u64(builder, "kernel_bytes", kinds->is_known, kinds->kernel_bytes);
    build_u64(builder, "slab_unreclaimable_bytes", has_parts, kinds->slab_bytes);
    build_u64(builder, "kernel_stack_bytes", has_parts, kinds->kernel_stack_bytes);
    build_u64(builder, "page_tables_bytes", has_parts, kinds->page_table_bytes);
    build_u64(builder, "sec_page_tables_bytes", has_parts, kinds->sec_page_table_bytes);
    build_u64(builder, "percpu_bytes", has_parts, kinds->percpu_bytes);
    build_u64(builder, "sockets_bytes", has_parts, kinds->socket_bytes);
    build_u64(builder, "reclaimable_bytes", kinds->is_known, kinds->reclaimable_bytes);
    json_builder_end_object(builder);
}

static void
add_verdict(JsonBuilder *builder, const PressureVerdict *verdict, const ReportClocks *clocks)
{
    bool has_sum = verdict->has_sum, has_since = verdict->since_us > 0;

    json_builder_set_member_name(builder, "forecast");
    json_builder_begin_object(builder);
    build_text(builder, "level", pressure_level_name(verdict->level));
    build_text(builder, "reason", verdict->reason ? verdict->reason : "not judged yet");
    build_time(builder, "since_utc", verdict->since_us, clocks);
    build_s64(builder, "since_s", has_since,
              (clocks->monotonic_us - verdict->since_us) / G_USEC_PER_SEC);
    build_u64(builder, "guest_left_low_bytes", has_sum, verdict->guest_left_low_bytes);
    build_u64(builder, "guest_left_high_bytes", has_sum, verdict->guest_left_high_bytes);
    build_s64(builder, "room_bytes", has_sum, verdict->room_bytes);
    build_u64(builder, "missing_low_bytes", has_sum, verdict->missing_low_bytes);
    build_u64(builder, "missing_high_bytes", has_sum, verdict->missing_high_bytes);
    build_u64(builder, "sufficient_limit_bytes", has_sum, verdict->sufficient_bytes);
    build_u64(builder, "growth_bytes_per_s", verdict->has_rate, verdict->rate_bps);
    build_u64(builder, "growth_beside_bytes_per_s", verdict->grows_bps > 0, verdict->grows_bps);
    build_s64(builder, "lost_in_s", verdict->grows_bps > 0, verdict->lost_in_us / G_USEC_PER_SEC);
    build_s64(builder, "end_in_s", verdict->has_end, verdict->end_in_us / G_USEC_PER_SEC);
    json_builder_end_object(builder);
}

void
report_add_forecast(JsonBuilder *builder, const Vm *vm, const ReportClocks *clocks)
{
    const MemorySample *memory = &vm->memory;
    guint64 low = 0, high = 0;
    bool has_touched = pressure_touched(memory, &low, &high);
    bool is_split = memory->has_count || memory->guest_ram_is_shared;
    guint64 anon = memory->rss_anon_bytes, shared = memory->counted_shared_bytes;

    build_u64(builder, "guest_touched_low_bytes", has_touched, low);
    build_u64(builder, "guest_touched_high_bytes", has_touched, high);
    /* QEMU's own anonymous memory: between nothing and RssAnon until it was told apart */
    build_u64(builder, "qemu_own_low_bytes", has_touched,
              memory->guest_ram_is_shared ? anon : anon - MIN(anon, high - MIN(high, shared)));
    build_u64(builder, "qemu_own_high_bytes", has_touched,
              memory->guest_ram_is_shared ? anon : anon - MIN(anon, low - MIN(low, shared)));
    build_bool(builder, "guest_counted", is_split);
    build_u64(builder, "balloon_bytes", memory->has_balloon, memory->balloon_bytes);
    build_u64(builder, "swap_room_bytes", memory->has_swap_room, memory->swap_room_bytes);
    build_u64(builder, "peers_left_bytes", memory->has_peers, memory->peers_left_bytes);
    build_u64(builder, "oom_kills", memory->has_oom_kills, memory->oom_kills);
    add_kinds(builder, &memory->kinds);
    add_verdict(builder, &vm->memory_watch->pressure.verdict, clocks);
}
