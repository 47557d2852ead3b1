/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pressure-fixture.h"

MemorySample
story_reading(const Story *story)
{
    const Group *g = &story->group;
    guint charged = g->is_hugetlb ? 0 : g->touched;
    MemorySample memory = {
        .at_us = story->now_us,
        .has_guest_ram = true,
        .guest_ram_bytes = MIB(g->ram),
        .guest_ram_is_shared = g->is_shared || g->is_hugetlb,
        .guest_ram_is_hugetlb = g->is_hugetlb,
        .has_rss = true,
        .rss_anon_bytes = MIB(g->own + (g->is_shared ? 0 : charged)),
        .rss_shmem_bytes = MIB(g->is_shared ? charged : 0),
        .has_group = true,
        .has_limit = g->limit > 0,
        .limit_is_known = true,
        .limit_bytes = MIB(g->limit),
        .limited_unreclaimable_bytes = MIB(charged + g->own + g->beside),
        .limited_usage_bytes = MIB(charged + g->own + g->beside + g->cache),
        .kinds = {.is_known = true},
        .has_balloon = g->balloon > 0,
        .balloon_bytes = MIB(g->balloon),
        .has_swap_room = g->swap > 0,
        .swap_room_bytes = MIB(g->swap),
        .has_oom_kills = true,
        .oom_kills = story->oom_kills,
        .has_max_events = true,
        .max_events = story->max_events,
        .has_stalled = true,
        .stalled_us = story->stalled_us,
    };

    memory.has_count = g->is_counted;
    memory.counted_low_bytes = memory.counted_high_bytes = MIB(charged);
    memory.own_low_bytes = memory.own_high_bytes = MIB(g->own);
    return memory;
}

const PressureVerdict *
story_read_after(Story *story, gint64 us)
{
    MemorySample memory;

    story->now_us += us;
    memory = story_reading(story);
    return pressure_judge(&story->track, &memory, MIB(story->burst));
}

const PressureVerdict *
story_read(Story *story)
{
    return story_read_after(story, 5 * S);
}
