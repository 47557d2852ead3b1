/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two pods on this machine's real v1 hierarchy. In each a process that looks like a QEMU (a copy of
 * this program under that name) touches its guest's RAM when told to; beside the first one a
 * stranger holds memory, so that its group is lost before the guest is full. */

#include "t.h"

#include "run-ctl.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define V1 "/sys/fs/cgroup/memory"
#define GUEST_MIB 128
#define FIRST_MIB 32 /* touched at once */
#define STRANGER_MIB 96
/* guest + 80: enough for the guest, not for the stranger beside it */
#define CONTAINER_LIMIT "218103808"
#define POD_LIMIT "222298112"
#define PATIENCE_US (20 * G_USEC_PER_SEC)

/* The processes. */

static int
be_process(guint first_mib, guint all_mib)
{
    char *memory = mmap(NULL, (gsize)all_mib * MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigset_t go;
    int signal_number;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    sigprocmask(SIG_BLOCK, &go, NULL);
    memset(memory, 1, (gsize)first_mib * MIB);
    if (write(STDOUT_FILENO, "r", 1) != 1)
        return 1;
    (void)sigwait(&go, &signal_number);
    memset(memory, 2, (gsize)all_mib * MIB);
    if (write(STDOUT_FILENO, "f", 1) != 1)
        return 1;
    for (;;)
        pause();
}

typedef struct {
    pid_t pid;
    int said_fd;
} Process;

typedef struct {
    char *base, *pods[2], *containers[2];
    Tree *tree;
    char *qemu;     /* the copy */
    char *names[2]; /* nobody else's: other tests run beside this one */
    Process guests[2], stranger;
} Fixture;

static void
v1_write(const char *group, const char *file, const char *text)
{
    g_autofree char *path = g_strdup_printf("%s/%s", group, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail_msg("cannot write %s: %s", path, g_strerror(errno));
    close(fd);
}

static char *
v1_limit(const char *group)
{
    g_autofree char *path = g_strdup_printf("%s/memory.limit_in_bytes", group);
    char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return g_strchomp(text);
}

static void
limit_is(const char *group, const char *wanted)
{
    g_autofree char *limit = v1_limit(group);

    assert_string_equal(limit, wanted);
}

/* Waits for one letter; false: the process ended, or time is up. */
static bool
says(const Process *process, char wanted)
{
    gint64 end = g_get_monotonic_time() + PATIENCE_US;
    char letter = 0;

    while (g_get_monotonic_time() < end) {
        ssize_t n = read(process->said_fd, &letter, 1);

        if (n > 0)
            return letter == wanted;
        if (n == 0)
            return false;
        g_usleep(5000);
    }
    return false;
}

static Process
process_start(const char *group, const char *program, const char *name, guint first_mib,
              guint all_mib)
{
    g_autofree char *first = g_strdup_printf("%u", first_mib);
    g_autofree char *memory = g_strdup_printf("%uM", all_mib);
    Process process = {0};
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    process.said_fd = fds[0];
    process.pid = fork();
    if (process.pid == 0) {
        v1_write(group, "cgroup.procs", "0");
        dup2(fds[1], STDOUT_FILENO);
        setenv("FIRST_MIB", first, 1);
        execl(program, program, "-name", name, "-m", memory, NULL);
        _exit(127);
    }
    close(fds[1]);
    assert_true(says(&process, 'r'));
    return process;
}

/* A real QEMU is by far the largest of its group; this one is so only just, and under sanitizers
 * not at all. */
static void
be_the_victim(const Process *process)
{
    g_autofree char *proc = g_strdup_printf("/proc/%d", (int)process->pid);

    v1_write(proc, "oom_score_adj", "500");
}

static void
process_end(Process *process)
{
    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        close(process->said_fd);
    }
    process->pid = 0;
}

static bool
process_lives(const Process *process)
{
    return process->pid > 0 && waitpid(process->pid, NULL, WNOHANG) == 0;
}

/* A killed process closes its pipes before it can be waited for. */
static bool
process_dies(const Process *process)
{
    for (guint i = 0; i < 12000 && process_lives(process); i++)
        g_usleep(5000);
    return !process_lives(process);
}

/* A group goes when the kernel has let go of its processes. */
static void
group_remove(const char *group)
{
    for (guint i = 0; i < 400 && rmdir(group) < 0 && errno == EBUSY; i++)
        g_usleep(5000);
}

static bool
groups_make(Fixture *fixture)
{
    static const char *const uids[] = {"11111111-2222-3333-4444-555555555555",
                                       "66666666-7777-8888-9999-000000000000"};
    g_autofree char *kubepods = NULL;

    fixture->base = g_strdup_printf(V1 "/guardian-limits-%d", (int)getpid());
    kubepods = g_strconcat(fixture->base, "/kubepods", NULL);
    if (getuid() != 0 || mkdir(fixture->base, 0755) < 0 || mkdir(kubepods, 0755) < 0)
        return false;
    for (guint i = 0; i < 2; i++) {
        fixture->pods[i] = g_strdup_printf("%s/pod%s", kubepods, uids[i]);
        fixture->containers[i] = g_strdup_printf("%s/%064u", fixture->pods[i], i);
        if (mkdir(fixture->pods[i], 0755) < 0 || mkdir(fixture->containers[i], 0755) < 0)
            return false;
        v1_write(fixture->pods[i], "memory.limit_in_bytes", POD_LIMIT);
        v1_write(fixture->containers[i], "memory.limit_in_bytes", CONTAINER_LIMIT);
    }
    return true;
}

static void
guests_start(Fixture *fixture)
{
    g_autofree char *stranger = g_strdup(tree_path(fixture->tree, "memhold"));
    g_autofree char *self = NULL;
    gsize length;

    fixture->qemu = g_strdup(tree_path(fixture->tree, "qemu-system-x86_64"));
    assert_true(g_file_get_contents("/proc/self/exe", &self, &length, NULL));
    assert_true(g_file_set_contents(fixture->qemu, self, (gssize)length, NULL));
    assert_true(g_file_set_contents(stranger, self, (gssize)length, NULL));
    assert_int_equal(chmod(fixture->qemu, 0755), 0);
    assert_int_equal(chmod(stranger, 0755), 0);
    fixture->guests[0] = process_start(fixture->containers[0], fixture->qemu, fixture->names[0],
                                       FIRST_MIB, GUEST_MIB);
    fixture->guests[1] = process_start(fixture->containers[1], fixture->qemu, fixture->names[1],
                                       FIRST_MIB, GUEST_MIB);
    for (guint i = 0; i < G_N_ELEMENTS(fixture->guests); i++)
        be_the_victim(&fixture->guests[i]);
    fixture->stranger =
        process_start(fixture->containers[0], stranger, "memhold", STRANGER_MIB, STRANGER_MIB);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *configuration = NULL;

    *state = fixture;
    fixture->tree = tree_new();
    tree_directory(fixture->tree, "config");
    tree_directory(fixture->tree, "run");
    tree_directory(fixture->tree, "var");
    fixture->names[0] = g_strdup_printf("guilty-%d", (int)getpid());
    fixture->names[1] = g_strdup_printf("innocent-%d", (int)getpid());
    configuration =
        g_strdup_printf("[guardian]\ninclude = %s %s\n", fixture->names[0], fixture->names[1]);
    tree_file(fixture->tree, "config/guardian.conf", configuration);
    if (groups_make(fixture))
        guests_start(fixture);
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *kubepods = g_strconcat(fixture->base, "/kubepods", NULL);

    process_end(&fixture->stranger);
    for (guint i = 0; i < 2; i++) {
        process_end(&fixture->guests[i]);
        if (fixture->containers[i])
            group_remove(fixture->containers[i]);
        if (fixture->pods[i])
            group_remove(fixture->pods[i]);
        g_free(fixture->containers[i]);
        g_free(fixture->pods[i]);
        g_free(fixture->names[i]);
    }
    group_remove(kubepods);
    group_remove(fixture->base);
    tree_free(fixture->tree);
    g_free(fixture->qemu);
    g_free(fixture->base);
    g_free(fixture);
    return 0;
}

static Run
ctl(Fixture *fixture, const char *what, const char *vm, const char *more)
{
    g_autofree char *config = g_strdup(tree_path(fixture->tree, "config"));
    g_autofree char *run = g_strdup(tree_path(fixture->tree, "run"));
    g_autofree char *var = g_strdup(tree_path(fixture->tree, "var"));

    return run_ctl((const char *const[]){"limits", what, vm, "--config-root", config, "--run-root",
                                         run, "--var-root", var, more, NULL});
}

static void
status_is(const Run *run, int wanted)
{
    if (run->status != wanted)
        fail_msg("status %d\n%s%s", run->status, run->out, run->err);
}

#define NEEDS "needs root and a writable cgroup v1 memory hierarchy"

static void
a_doomed_vm_is_raised_lives_and_is_taken_back(void **state)
{
    Fixture *fixture = *state;

    t_skip_unless(fixture->guests[1].pid > 0, NEEDS);
    g_auto(Run) innocent = ctl(fixture, "plan", fixture->names[1], NULL);
    status_is(&innocent, 0);
    g_auto(Run) plan = ctl(fixture, "plan", fixture->names[0], NULL);
    status_is(&plan, 1);
    limit_is(fixture->containers[0], CONTAINER_LIMIT);
    limit_is(fixture->pods[0], POD_LIMIT);
    assert_true(strstr(plan.out, fixture->pods[0]) < strstr(plan.out, fixture->containers[0]));

    g_auto(Run) observed = ctl(fixture, "apply", fixture->names[0], NULL);
    status_is(&observed, 1);
    assert_non_null(strstr(observed.out, "nothing is written"));
    limit_is(fixture->containers[0], CONTAINER_LIMIT);

    g_auto(Run) applied = ctl(fixture, "apply", fixture->names[0], "--yes");
    status_is(&applied, 0);
    g_autofree char *raised = v1_limit(fixture->containers[0]);
    assert_string_not_equal(raised, CONTAINER_LIMIT);
    limit_is(fixture->containers[1], CONTAINER_LIMIT);
    limit_is(fixture->pods[1], POD_LIMIT);

    kill(fixture->guests[0].pid, SIGUSR1);
    assert_true(says(&fixture->guests[0], 'f'));
    assert_true(process_lives(&fixture->guests[0]));
    assert_true(process_lives(&fixture->stranger));

    g_auto(Run) again =
        ctl(fixture, "apply", fixture->names[0], "--yes"); /* one write for each group */
    status_is(&again, 0);
    limit_is(fixture->containers[0], raised);

    g_auto(Run) too_early = ctl(fixture, "undo", fixture->names[0], NULL);
    status_is(&too_early, 1);
    assert_non_null(strstr(too_early.out, "would kill"));
    process_end(&fixture->stranger);
    g_auto(Run) undone = ctl(fixture, "undo", fixture->names[0], "--yes");
    status_is(&undone, 0);
    limit_is(fixture->containers[0], CONTAINER_LIMIT);
    limit_is(fixture->pods[0], POD_LIMIT);
    assert_true(process_lives(&fixture->guests[0]));
}

static void
a_doomed_vm_that_is_only_observed_is_killed(void **state)
{
    Fixture *fixture = *state;

    t_skip_unless(fixture->guests[1].pid > 0, NEEDS);
    kill(fixture->guests[1].pid, SIGUSR1);
    kill(fixture->guests[0].pid, SIGUSR1);
    assert_true(says(&fixture->guests[1], 'f'));
    assert_false(says(&fixture->guests[0], 'f'));
    assert_true(process_dies(&fixture->guests[0]));
    assert_true(process_lives(&fixture->guests[1]));
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_doomed_vm_is_raised_lives_and_is_taken_back),
        T(a_doomed_vm_that_is_only_observed_is_killed),
    };

    if (argc > 1)
        return be_process((guint)atoi(g_getenv("FIRST_MIB")), (guint)atoi(argv[4]));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
