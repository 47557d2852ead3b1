/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overhead.h"

#include "pressure.h"

/* overhead = what cannot be reclaimed - guest RAM that was touched. The first is known, the second
 * often only between two bounds:
 *
 * Shared guest RAM (memfd, file) is the process's RssShmem: QEMU maps nothing else of that size.
 * The part of it in huge pages is in no RSS and in no cgroup's charge, so it is not subtracted
 * either. The answer is exact.
 *
 * Private guest RAM whose pages were counted (pagecount.h) is RssAnon less QEMU's own as it was
 * found then, within the error of the count.
 *
 * Private guest RAM is RssAnon, and so is QEMU's own heap. Touched is then anything between nothing
 * and all of guest RAM that fits into RssAnon. Not even RssAnon >= guest RAM proves that the guest
 * has touched everything, for a heap could make up for it: the answer stays two bounds.
 *
 * What cannot be reclaimed is, for a group, its charge without page cache (cgroup.h); for QEMU
 * alone RssAnon + RssShmem + page tables. RssFile never counts: program text and page cache go
 * away under pressure.
 *
 * The group answers where it is the VM's alone, because whoever grows in it may kill the VM:
 * virt-launcher, swtpm, the kernel's own memory. Any other may be a whole login session, and only
 * the process is surely the VM's. A group charged with less than QEMU's own pages
 * does not hold them (the process was moved into it, charges stay behind; or KSM shares them): then
 * the process answers, too. */

typedef struct {
    guint64 low_bytes, high_bytes;
} Touched;

static Touched
touched_in_process(const MemorySample *memory)
{
    guint64 in_hugetlb = MIN(memory->hugetlb_bytes, memory->guest_ram_bytes);
    guint64 shared = MIN(memory->rss_shmem_bytes, memory->guest_ram_bytes - in_hugetlb);

    Touched touched;

    if (memory->guest_ram_is_shared)
        return (Touched){shared, shared};
    pressure_touched_private(memory, memory->guest_ram_bytes, &touched.low_bytes,
                             &touched.high_bytes);
    return touched;
}

/* Sums of what the kernel reports cannot really pass 64 bits, but a broken report must not wrap. */
static guint64
saturating_add(guint64 a, guint64 b)
{
    return a > G_MAXUINT64 - b ? G_MAXUINT64 : a + b;
}

static OverheadBounds
bounds_of(guint64 unreclaimable_bytes, Touched touched, const char *source)
{
    OverheadBounds bounds = {.is_known = true, .source = source};

    bounds.low_bytes = unreclaimable_bytes - MIN(unreclaimable_bytes, touched.high_bytes);
    bounds.high_bytes = unreclaimable_bytes - MIN(unreclaimable_bytes, touched.low_bytes);
    bounds.is_exact = touched.low_bytes == touched.high_bytes;
    return bounds;
}

OverheadBounds
overhead_measure(const MemorySample *memory)
{
    bool group_answers = memory->has_group && memory->group_is_own;
    guint64 pages_bytes = saturating_add(memory->rss_anon_bytes, memory->rss_shmem_bytes);
    Touched touched;

    if (!memory->has_guest_ram || (!memory->has_rss && !group_answers))
        return (OverheadBounds){.source = "unknown"};
    if (!memory->has_rss) {
        touched = (Touched){0, memory->guest_ram_bytes};
        return bounds_of(memory->group_unreclaimable_bytes, touched, "cgroup");
    }
    touched = touched_in_process(memory);
    if (group_answers && memory->group_unreclaimable_bytes >= pages_bytes)
        return bounds_of(memory->group_unreclaimable_bytes, touched, "cgroup");
    return bounds_of(saturating_add(pages_bytes, memory->page_table_bytes), touched, "process");
}

bool
overhead_headroom(const MemorySample *memory, gint64 *ret_bytes)
{
    guint64 limit_bytes = memory->limit_bytes, used_bytes = memory->limited_unreclaimable_bytes;

    if (!memory->has_limit)
        return false;
    if (limit_bytes >= used_bytes)
        *ret_bytes = (gint64)MIN(limit_bytes - used_bytes, (guint64)G_MAXINT64);
    else
        *ret_bytes = -(gint64)MIN(used_bytes - limit_bytes, (guint64)G_MAXINT64);
    return true;
}
