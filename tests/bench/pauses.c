/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* pauses MIB: runs in a guest, and touches fresh memory at an even pace. Whatever holds the locks
 * of QEMU's memory on the host shows as a touch that takes long. For each tenth of a second a line:
 *
 *   pause TOUCHES MEDIAN P99 LONGEST      in microseconds; "paused" at the end */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096
#define PACE_NS 100000
#define SLICE_NS 100000000
#define TOUCHES_MAX (SLICE_NS / PACE_NS + 1)

static long long
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
    return *(const long long *)a < *(const long long *)b ? -1 : 1;
}

static void
tell(long long *took_ns, size_t n)
{
    if (n == 0)
        return;
    qsort(took_ns, n, sizeof *took_ns, compare);
    printf("pause %zu %lld %lld %lld\n", n, took_ns[n / 2] / 1000, took_ns[n * 99 / 100] / 1000,
           took_ns[n - 1] / 1000);
}

int
main(int argc, char **argv)
{
    static long long took_ns[TOUCHES_MAX];
    size_t size = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) << 20 : 0, n = 0;
    volatile char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long long slice_ns = now_ns();

    if (memory == MAP_FAILED)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t at = 0; at < size; at += PAGE) {
        long long begin_ns = now_ns(), end_ns;

        memory[at] = 1;
        end_ns = now_ns();
        took_ns[n++] = end_ns - begin_ns;
        if (n == TOUCHES_MAX || end_ns - slice_ns >= SLICE_NS) {
            tell(took_ns, n);
            n = 0;
            slice_ns = now_ns();
        }
        while (now_ns() - begin_ns < PACE_NS)
            ;
    }
    puts("paused");
    return 0;
}
