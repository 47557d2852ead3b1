/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the memory part of a tick costs beside a bare loop that reads the same files from
 * descriptors it keeps: a VM's process in a real group with a limit, below another with one. Both
 * run in turns, on the clock of this thread, which counts the kernel's work, too. instructions.py
 * lets that clock count instructions.
 *
 * usage: memory-tick [ROUNDS TICKS]      as root, where a memory controller may be used */

#include "memory-watch.h"
#include "sample-private.h"
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* On a real clock; where instructions are counted fewer say the same. */
#define ROUNDS 21
#define ROUNDS_MAX 101
#define TICKS 2000
#define GUEST_MIB 64
#define OUTER "vm-guardian-bench"
#define INNER OUTER "/vm"
/* memory.stat of a busy group. */
#define FILE_BYTES 16384
#define FILES_MAX 32

typedef struct {
    bool is_v2;
    char *root;
    pid_t pid;
    Host *host;
    Vm *vm;
    GPtrArray *vms;
    GMainContext *context;
    Workers *workers;
    int fds[FILES_MAX];
    guint n_fds;
    gint64 now_us;
} Bench;

static void
group_write(const Bench *bench, const char *file, const char *text)
{
    g_autofree char *path = g_strconcat(bench->root, "/", file, NULL);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        g_printerr("%s: %s\n", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
}

static void
group_make(const Bench *bench, const char *name)
{
    g_autofree char *path = g_strconcat(bench->root, "/", name, NULL);
    g_autofree char *limit =
        g_strconcat(name, bench->is_v2 ? "/memory.max" : "/memory.limit_in_bytes", NULL);

    (void)mkdir(path, 0755);
    group_write(bench, limit, "268435456");
}

static void
groups_remove(const Bench *bench)
{
    static const char *const names[] = {INNER, OUTER};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strconcat(bench->root, "/", names[i], NULL);

        for (guint j = 0; j < 100 && rmdir(path) < 0 && errno == EBUSY; j++)
            g_usleep(20000); /* the kernel lets go of a task some time after it was waited for */
    }
}

static pid_t
guest_start(const Bench *bench)
{
    pid_t pid = fork();

    if (pid == 0) {
        char *ram = mmap(NULL, (gsize)GUEST_MIB << 20, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        group_write(bench, INNER "/cgroup.procs", "0");
        memset(ram, 1, (gsize)GUEST_MIB << 19); /* half */
        raise(SIGSTOP);
        for (;;)
            pause();
    }
    waitpid(pid, NULL, WUNTRACED);
    return pid;
}

/* Every file of a group or a process that the first tick has left open, opened once more. */
static void
bare_open(Bench *bench)
{
    g_autofree char *process = g_strdup_printf("/proc/%d/", (int)bench->pid);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

    for (int fd = 0; fd < 256 && paths->len < FILES_MAX; fd++) {
        g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
        g_autofree char *path = g_file_read_link(link, NULL);
        struct stat st;

        if (path && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
            (g_str_has_prefix(path, process) || g_str_has_prefix(path, bench->root)))
            g_ptr_array_add(paths, g_steal_pointer(&path));
    }
    for (guint i = 0; i < paths->len; i++)
        bench->fds[bench->n_fds++] = open(paths->pdata[i], O_RDONLY | O_CLOEXEC);
}

static void
bare_tick(Bench *bench)
{
    char text[FILE_BYTES];

    for (guint i = 0; i < bench->n_fds; i++)
        (void)!pread(bench->fds[i], text, sizeof text, 0);
}

static void
our_tick(Bench *bench)
{
    Sampling sampling = {.vm = bench->vm};

    bench->now_us += 5 * G_USEC_PER_SEC;
    bench->vm->memory_us = 0;
    bench->vm->roles_us = bench->now_us; /* every thirty seconds, with a price of their own */
    sampling.context =
        (SampleContext){.host = bench->host, .context = bench->context, .now_us = bench->now_us};
    sample_fill_process(&sampling);
    bench->vm->memory_watch->counted_us = bench->now_us; /* likewise the page count */
    (void)memory_watch_follow(bench->vm, bench->vms, bench->workers, bench->now_us);
}

static gint64
cost_ns(Bench *bench, guint n_ticks, void (*tick)(Bench *bench))
{
    struct timespec begin, end;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    for (guint i = 0; i < n_ticks; i++)
        tick(bench);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    return ((gint64)(end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec) /
           n_ticks;
}

static bool
bench_open(Bench *bench)
{
    static const char *const words[] = {"qemu-system-x86_64", "-name", "bench", "-m", "64M", NULL};

    bench->host = host_new(NULL, NULL);
    bench->context = g_main_context_new();
    bench->workers = workers_new(bench->context, 1);
    bench->vms = g_ptr_array_new();
    bench->vm = vm_new(proc_open(bench->host, bench->pid, NULL), argv_parse(words), "bare");
    limits_init_defaults(&bench->vm->limits);
    bench->vm->cgroup = cgroup_open(bench->host, bench->vm->proc, NULL);
    g_ptr_array_add(bench->vms, bench->vm);
    our_tick(bench);
    bare_open(bench);
    return bench->vm->memory.has_limit && bench->vm->memory.has_rss;
}

static gint
compare(gconstpointer a, gconstpointer b)
{
    return *(const gint64 *)a < *(const gint64 *)b ? -1 : 1;
}

static void
measure(Bench *bench, guint n_rounds, guint n_ticks)
{
    gint64 ours[ROUNDS_MAX], bare[ROUNDS_MAX];

    for (guint i = 0; i < n_rounds; i++) {
        bare[i] = cost_ns(bench, n_ticks, bare_tick);
        ours[i] = cost_ns(bench, n_ticks, our_tick);
    }
    qsort(ours, n_rounds, sizeof *ours, compare);
    qsort(bare, n_rounds, sizeof *bare, compare);
    printf("%s, %u files: ours %.1f us, bare %.1f us a tick (medians of %u); ratio %.2f\n",
           bench->is_v2 ? "v2" : "v1", bench->n_fds, (double)ours[n_rounds / 2] / 1000,
           (double)bare[n_rounds / 2] / 1000, n_rounds,
           (double)ours[n_rounds / 2] / (double)MAX(bare[n_rounds / 2], 1));
}

int
main(int argc, char **argv)
{
    Bench bench = {.root = (char *)"/sys/fs/cgroup/memory", .now_us = G_USEC_PER_SEC};
    guint64 n_rounds = ROUNDS, n_ticks = TICKS;

    if (argc > 2 && (!g_ascii_string_to_unsigned(argv[1], 10, 1, ROUNDS_MAX, &n_rounds, NULL) ||
                     !g_ascii_string_to_unsigned(argv[2], 10, 1, TICKS, &n_ticks, NULL))) {
        g_printerr("usage: memory-tick [ROUNDS TICKS]\n");
        return 2;
    }
    if (access("/sys/fs/cgroup/memory/memory.limit_in_bytes", F_OK) < 0) {
        bench.is_v2 = true;
        bench.root = (char *)"/sys/fs/cgroup";
        group_write(&bench, "cgroup.subtree_control", "+memory");
    }
    group_make(&bench, OUTER);
    if (bench.is_v2)
        group_write(&bench, OUTER "/cgroup.subtree_control", "+memory");
    group_make(&bench, INNER);
    bench.pid = guest_start(&bench);
    if (bench_open(&bench))
        measure(&bench, (guint)n_rounds, (guint)n_ticks);
    else
        g_printerr("no group with a limit here\n");
    kill(bench.pid, SIGKILL);
    waitpid(bench.pid, NULL, 0);
    groups_remove(&bench);
    return 0;
}
