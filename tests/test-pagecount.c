/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The page count, of this process's own mapping and of texts. */

#include "t.h"

#include "pagecount.h"

#include <fcntl.h>
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
        cmocka_unit_test(mappings_are_found_by_their_sizes),
        cmocka_unit_test(what_cannot_be_read_is_unknown),
    };

    return cmocka_run_group_tests_name("pagecount", tests, NULL, NULL);
}
