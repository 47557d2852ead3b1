/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pagecount.h"

#include "host.h"
#include "proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One range: what one page table page maps with 4 KiB pages. The kernel takes mmap_lock for each
 * read of pagemap anew. */
#define RANGE_PAGES 512
/* After each range we sleep this many times as long as it took: a tenth of a core at most, and the
 * lock is free for nine tenths of the time. */
#define PAUSE_FACTOR 9
/* Sleeping costs a timer interrupt: shorter pauses are not worth it. */
#define PAUSE_MIN_US 50
/* A QEMU has some hundred mappings of about 100 bytes; with many disks and threads some thousand.
 */
#define MAPS_BYTES_MAX (8 * 1024 * 1024)
#define STATUS_BYTES 8192

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGE_PRESENT (G_GUINT64_CONSTANT(1) << 63)
#define PAGE_FILE (G_GUINT64_CONSTANT(1) << 61)
#define PAGE_EXCLUSIVE (G_GUINT64_CONSTANT(1) << 56)

typedef struct {
    guint64 anon_bytes;
    guint n_threads;
} Resident;

static bool
resident_read(int proc_fd, Resident *ret_resident)
{
    char text[STATUS_BYTES];
    auto_fd fd = openat(proc_fd, "status", O_RDONLY | O_CLOEXEC);
    ProcStatus status;
    const char *threads;

    if (fd < 0 || host_reread(fd, text, sizeof text, NULL) < 0 ||
        !proc_parse_status(text, &status) || !status.has_rss)
        return false;
    threads = strstr(text, "\nThreads:");
    ret_resident->anon_bytes = status.rss_anon_bytes;
    ret_resident->n_threads = threads ? (guint)g_ascii_strtoull(threads + 9, NULL, 10) : 1;
    return true;
}

/* The kernel's counters of resident pages are kept in batches: up to 64 pages a thread (until 6.1),
 * up to max(32, 2 CPUs) pages a CPU (until 6.16). */
static guint64
counters_error_bytes(guint n_threads)
{
    guint64 cpus = (guint64)MAX(sysconf(_SC_NPROCESSORS_CONF), 1);
    guint64 pages = MAX(64 * (guint64)n_threads, MAX(32, 2 * cpus) * cpus);

    return pages * (guint64)sysconf(_SC_PAGESIZE);
}

bool
pagecount_find(const char *maps, const guint64 *sizes_bytes, guint n_sizes, guint64 *ret_starts,
               guint64 *ret_lengths)
{
    g_autofree bool *is_taken = g_new0(bool, n_sizes + 1);
    guint n_found = 0;

    for (const char *line = maps; *line;) {
        unsigned long long start, end;
        char flags[5];
        const char *next = strchr(line, '\n');

        if (sscanf(line, "%llx-%llx %4s", &start, &end, flags) == 3 && end > start &&
            g_str_has_prefix(flags, "rw")) {
            guint i = 0;
            bool is_a_size = false;

            for (; i < n_sizes && (is_taken[i] || sizes_bytes[i] != end - start); i++)
                is_a_size = is_a_size || sizes_bytes[i] == end - start;
            if (i == n_sizes && is_a_size)
                return false; /* more mappings of that size than backends: which is which? */
            if (i < n_sizes) {
                is_taken[i] = true;
                ret_starts[n_found] = start;
                ret_lengths[n_found++] = end - start;
            }
        }
        if (!next)
            break;
        line = next + 1;
    }
    return n_found == n_sizes;
}

typedef struct {
    guint64 sure, perhaps, shared; /* shared: of the sure ones */
} Pages;

static bool
range_count(int pagemap_fd, guint64 first_page, guint n_pages, Pages *pages)
{
    guint64 entries[RANGE_PAGES];
    ssize_t length = (ssize_t)(n_pages * sizeof *entries);

    if (pread(pagemap_fd, entries, (size_t)length, (off_t)(first_page * sizeof *entries)) != length)
        return false;
    for (guint i = 0; i < n_pages; i++) {
        if (!(entries[i] & PAGE_PRESENT))
            continue;
        /* neither a file's nor ours alone: the zero page, which is nobody's, or KSM's */
        if (entries[i] & (PAGE_FILE | PAGE_EXCLUSIVE))
            pages->sure++;
        else
            pages->perhaps++;
        if (entries[i] & PAGE_FILE)
            pages->shared++;
    }
    return true;
}

static bool
mapping_count(int pagemap_fd, guint64 start, guint64 length, Pages *pages)
{
    guint64 page_bytes = (guint64)sysconf(_SC_PAGESIZE);
    guint64 page = start / page_bytes, end = (start + length) / page_bytes;

    while (page < end) {
        /* as long as one table of pages, and on its border */
        guint n = (guint)MIN(RANGE_PAGES - page % RANGE_PAGES, end - page);
        gint64 began_us = g_get_monotonic_time();

        if (!range_count(pagemap_fd, page, n, pages))
            return false;
        page += n;
        g_usleep((gulong)MAX((g_get_monotonic_time() - began_us) * PAUSE_FACTOR, PAUSE_MIN_US));
    }
    return true;
}

static guint64
less(guint64 a, guint64 b)
{
    return a > b ? a - b : 0;
}

static bool
mappings_count(const PageCountCall *call, Pages *pages)
{
    auto_fd maps_fd = openat(call->proc_fd, "maps", O_RDONLY | O_CLOEXEC);
    auto_fd pagemap_fd = openat(call->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
    guint64 starts[PAGECOUNT_BACKENDS_MAX], lengths[PAGECOUNT_BACKENDS_MAX];
    g_autofree char *maps =
        maps_fd >= 0 ? host_read_fd(maps_fd, "maps", MAPS_BYTES_MAX, NULL, NULL) : NULL;

    if (!maps || pagemap_fd < 0 || call->n_sizes == 0 ||
        !pagecount_find(maps, call->sizes_bytes, call->n_sizes, starts, lengths))
        return false;
    for (guint i = 0; i < call->n_sizes; i++)
        if (!mapping_count(pagemap_fd, starts[i], lengths[i], pages))
            return false;
    return true;
}

gpointer
pagecount_run(gpointer data)
{
    const PageCountCall *call = data;
    PageCount *count = g_new0(PageCount, 1);
    guint64 page_bytes = (guint64)sysconf(_SC_PAGESIZE), error_bytes;
    Resident before, after;
    Pages pages = {0};

    count->pid = call->pid;
    count->start_ticks = call->start_ticks;
    if (!resident_read(call->proc_fd, &before) || !mappings_count(call, &pages) ||
        !resident_read(call->proc_fd, &after))
        return count;
    error_bytes = counters_error_bytes(after.n_threads);
    count->is_known = true;
    count->anon_bytes = after.anon_bytes;
    count->low_bytes = pages.sure * page_bytes;
    count->high_bytes = (pages.sure + pages.perhaps) * page_bytes;
    count->shared_bytes = pages.shared * page_bytes; /* not in RssAnon */
    /* what was touched meanwhile was counted or not */
    count->own_low_bytes = less(
        less(MIN(before.anon_bytes, after.anon_bytes), count->high_bytes - count->shared_bytes),
        error_bytes);
    count->own_high_bytes =
        less(MAX(before.anon_bytes, after.anon_bytes), count->low_bytes - count->shared_bytes) +
        error_bytes;
    return count;
}

void
pagecount_call_free(gpointer data)
{
    PageCountCall *call = data;

    fd_clear(&call->proc_fd);
    g_free(call);
}
