/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The page count, of this process's own mapping and of texts. */

#include "t.h"

#include "pagecount.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define HEAP_BYTES (24 * MIB)

static PageCount
count_own(guint64 size_bytes)
{
    PageCountCall *call = g_new0(PageCountCall, 1);
    g_autofree PageCount *count = NULL;

    call->pid = getpid();
    call->start_ticks = 4711;
    call->proc_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    call->sizes_bytes[0] = size_bytes;
    call->n_sizes = size_bytes > 0;
    count = pagecount_run(call);
    pagecount_call_free(call);
    assert_int_equal(count->pid, getpid());
    assert_int_equal(count->start_ticks, 4711);
    return *count;
}

/* A size of its own: a whole number of pages that no allocator asks for. */
static guint64
ram_size(void)
{
    return 96 * MIB + 3 * (guint64)sysconf(_SC_PAGESIZE);
}

static void
what_is_touched_is_counted_and_the_heap_is_not(void **state)
{
    guint64 size = ram_size(), page = (guint64)sysconf(_SC_PAGESIZE);
    char *ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *heap = mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guint64 own_before;
    PageCount count;

    assert_true(ram != MAP_FAILED && heap != MAP_FAILED);
    madvise(ram, size, MADV_NOHUGEPAGE);
    count = count_own(size);
    assert_true(count.is_known);
    assert_int_equal(count.low_bytes, 0);
    own_before = count.own_high_bytes;

    for (guint64 i = 0; i < 1000; i++) /* scattered */
        ram[i * 7 * page] = 1;
    memset(heap, 1, HEAP_BYTES);
    count = count_own(size);
    assert_int_equal(count.low_bytes, 1000 * page);
    assert_int_equal(count.high_bytes, 1000 * page);
    assert_true(count.own_low_bytes <= count.own_high_bytes);
    assert_in_range(count.own_high_bytes, HEAP_BYTES, own_before + HEAP_BYTES + 8 * MIB);

    memset(ram, 1, size);
    assert_int_equal(count_own(size).low_bytes, size);
    munmap(ram, size);
    assert_false(count_own(size).is_known);
    munmap(heap, HEAP_BYTES);
}

/* What was only read is the kernel's page of zeros: nobody is charged for it. */
static void
the_zero_page_is_not_sure(void **state)
{
    guint64 size = ram_size(), page = (guint64)sysconf(_SC_PAGESIZE);
    volatile char *ram =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    PageCount count;

    assert_true(ram != MAP_FAILED);
    madvise((void *)ram, size, MADV_NOHUGEPAGE);
    for (guint64 i = 0; i < 100; i++)
        (void)ram[i * page];
    ram[200 * page] = 1;
    count = count_own(size);
    assert_int_equal(count.low_bytes, page);
    assert_int_equal(count.high_bytes, 101 * page);
    munmap((void *)ram, size);
}

typedef struct {
    guint64 size;
    int advice; /* of madvise */
    bool is_memfd;
    char *ram;
} Backend;

static void
backend_touch(Backend *backend)
{
    int fd = backend->is_memfd ? memfd_create("ram", MFD_CLOEXEC) : -1;
    int flags = backend->is_memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;

    if (fd >= 0)
        assert_int_equal(ftruncate(fd, (off_t)backend->size), 0);
    backend->ram = mmap(NULL, backend->size, PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_true(backend->ram != MAP_FAILED);
    if (fd >= 0)
        close(fd);
    madvise(backend->ram, backend->size, backend->advice);
    for (guint64 at = 0; at < backend->size / 2; at += 3 * (guint64)sysconf(_SC_PAGESIZE))
        backend->ram[at] = 1;
}

/* By smaps: resident in the backends, and anonymous beside them. */
static void
truth_read(const Backend *backends, guint n, guint64 *ret_guest, guint64 *ret_own)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    bool is_guest = false;

    *ret_guest = *ret_own = 0;
    assert_true(g_file_get_contents("/proc/self/smaps", &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        unsigned long long start, end, kib;

        if (sscanf(lines[i], "%llx-%llx ", &start, &end) == 2) {
            is_guest = false;
            for (guint b = 0; b < n; b++)
                is_guest = is_guest || (gsize)start == (gsize)backends[b].ram;
        } else if (is_guest && sscanf(lines[i], "Rss: %llu kB", &kib) == 1) {
            *ret_guest += kib * 1024;
        } else if (!is_guest && sscanf(lines[i], "Anonymous: %llu kB", &kib) == 1) {
            *ret_own += kib * 1024;
        }
    }
}

/* Small pages, huge ones, shared ones, alone and together. */
static void
the_truth_lies_within_the_stated_error(void **state)
{
    guint64 odd = (guint64)sysconf(_SC_PAGESIZE);
    Backend backends[] = {{.size = 64 * MIB + 5 * odd, .advice = MADV_NOHUGEPAGE},
                          {.size = 80 * MIB + 7 * odd, .advice = MADV_HUGEPAGE},
                          {.size = 48 * MIB + 9 * odd, .is_memfd = true, .advice = MADV_NORMAL}};
    const struct {
        guint first, n;
    } cases[] = {{0, 1}, {1, 1}, {2, 1}, {0, 2}, {1, 2}, {0, 3}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Backend *used = &backends[cases[i].first];
        PageCountCall *call = g_new0(PageCountCall, 1);
        g_autofree PageCount *count = NULL;
        guint64 guest, own_before, own_after; /* the reading of smaps allocates, too */

        call->proc_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (guint b = 0; b < cases[i].n; b++) {
            backend_touch(&used[b]);
            call->sizes_bytes[call->n_sizes++] = used[b].size;
        }
        truth_read(used, cases[i].n, &guest, &own_before);
        count = pagecount_run(call);
        truth_read(used, cases[i].n, &guest, &own_after);
        pagecount_call_free(call);
        for (guint b = 0; b < cases[i].n; b++)
            munmap(used[b].ram, used[b].size);
        assert_true(count->is_known);
        assert_in_range(guest, count->low_bytes, count->high_bytes);
        assert_true(count->own_low_bytes <= MAX(own_before, own_after));
        assert_true(count->own_high_bytes >= MIN(own_before, own_after));
        assert_int_equal(count->shared_bytes > 0, cases[i].first + cases[i].n == 3);
        assert_in_range(count->own_high_bytes - count->own_low_bytes, 0, 16 * MIB);
    }
}

#define MAPS                                                                                       \
    "55f0c0000000-55f0c0100000 r-xp 00000000 fe:01 1 /usr/bin/qemu\n"                              \
    "7f0000000000-7f0040000000 rw-p 00000000 00:00 0 \n"                                           \
    "7f0040000000-7f0040001000 ---p 00000000 00:00 0 \n"                                           \
    "7f0050000000-7f0050800000 rw-p 00000000 00:00 0 \n"                                           \
    "7f0060000000-7f0060800000 rw-s 00000000 00:01 9 /memfd:x (deleted)\n"

static void
mappings_are_found_by_their_sizes(void **state)
{
    const guint64 one[] = {0x40000000}, two[] = {0x800000, 0x800000}, twins[] = {0x800000},
                  absent[] = {0x40000000, 0x1000000}, guard[] = {0x1000};
    guint64 starts[2] = {0}, lengths[2] = {0};

    assert_true(pagecount_find(MAPS, one, 1, starts, lengths));
    assert_int_equal(starts[0], 0x7f0000000000);
    assert_int_equal(lengths[0], 0x40000000);
    assert_true(pagecount_find(MAPS, two, 2, starts, lengths));
    assert_int_equal(starts[1], 0x7f0060000000);
    assert_false(pagecount_find(MAPS, twins, 1, starts, lengths));
    assert_false(pagecount_find(MAPS, absent, 2, starts, lengths));
    assert_false(pagecount_find(MAPS, guard, 1, starts, lengths));
    assert_false(pagecount_find("", one, 1, starts, lengths));
    assert_false(
        pagecount_find("zz-zz\n7f\n-\n7f0000000000-7f0040000000\n", one, 1, starts, lengths));
}

static void
what_cannot_be_read_is_unknown(void **state)
{
    PageCountCall *call = g_new0(PageCountCall, 1);
    g_autofree PageCount *count = NULL;

    assert_false(count_own(0).is_known);
    call->proc_fd = -1;
    call->n_sizes = 1;
    count = pagecount_run(call);
    pagecount_call_free(call);
    assert_false(count->is_known);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_touched_is_counted_and_the_heap_is_not),
        cmocka_unit_test(the_zero_page_is_not_sure),
        cmocka_unit_test(the_truth_lies_within_the_stated_error),
        cmocka_unit_test(mappings_are_found_by_their_sizes),
        cmocka_unit_test(what_cannot_be_read_is_unknown),
    };

    return cmocka_run_group_tests_name("pagecount", tests, NULL, NULL);
}
