/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A group of our own below this machine's real v1 hierarchy, with a process in it. */

#include "t.h"

#include "cgroup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024 * 1024)

#define V1 "/sys/fs/cgroup/memory"
#define TOUCHED_BYTES (32 * MIB)

static void
v1_write(const char *group, const char *file, const char *text)
{
    g_autofree char *path = g_strdup_printf("%s/%s", group, file);
    FILE *stream = fopen(path, "we");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

/* A child in the group that touches its memory, says so, and waits to be killed. */
static pid_t
child_touch(const char *group)
{
    int ready[2];
    char byte = 0;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        char *memory;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        v1_write(group, "cgroup.procs", "0");
        memory =
            mmap(NULL, TOUCHED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(memory, 1, TOUCHED_BYTES);
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static guint
descriptors_count(void)
{
    GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;

    while (g_dir_read_name(directory))
        n++;
    g_dir_close(directory);
    return n;
}

typedef struct {
    char *outer, *inner;
    pid_t child;
} RealGroup;

static int
real_set_up(void **state)
{
    RealGroup *group = g_new0(RealGroup, 1);

    group->outer = g_strdup_printf(V1 "/guardian-test-%d", (int)getpid());
    group->inner = g_strconcat(group->outer, "/vm", NULL);
    if (getuid() == 0 && mkdir(group->outer, 0755) == 0 && mkdir(group->inner, 0755) == 0)
        group->child = child_touch(group->inner);
    *state = group;
    return 0;
}

/* A kernel lets go of a task some time after it was waited for. */
static void
remove_group(const char *path)
{
    for (guint i = 0; rmdir(path) != 0 && errno == EBUSY && i < 200; i++)
        g_usleep(50000);
}

static void
real_end(RealGroup *group)
{
    if (group->child > 0) {
        kill(group->child, SIGKILL);
        waitpid(group->child, NULL, 0);
    }
    group->child = 0;
    remove_group(group->inner);
    remove_group(group->outer);
}

static int
real_tear_down(void **state)
{
    RealGroup *group = *state;

    real_end(group);
    g_free(group->inner);
    g_free(group->outer);
    g_free(group);
    return 0;
}

static void
a_real_v1_group_is_measured_and_its_end_seen(void **state)
{
    RealGroup *group = *state;
    g_autoptr(Host) host = host_new(NULL, NULL);
    g_autoptr(Proc) proc = NULL;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;
    GError *error = NULL;
    guint n_before;

    t_skip_unless(group->child > 0, "needs root and a writable cgroup v1 memory hierarchy");
    v1_write(group->outer, "memory.limit_in_bytes", "100663296");
    v1_write(group->inner, "memory.limit_in_bytes", "67108864");
    proc = proc_open(host, group->child, NULL);
    n_before = descriptors_count();
    cgroup = cgroup_open(host, proc, &error);
    if (!cgroup)
        fail_msg("%s", error->message);
    assert_string_equal(cgroup_path(cgroup)->path, group->inner + strlen(V1));

    assert_true(cgroup_read(cgroup, &reading, NULL));
    assert_int_equal(reading.limit_bytes, 64 * MIB);
    assert_string_equal(reading.limit_path, group->inner + strlen(V1));
    assert_in_range(reading.charge.anon_bytes, TOUCHED_BYTES, TOUCHED_BYTES + 4 * MIB);
    assert_in_range(reading.charge.unreclaimable_bytes, reading.charge.anon_bytes,
                    reading.charge.anon_bytes + 8 * MIB);
    assert_in_range(reading.charge.usage_bytes, TOUCHED_BYTES, 64 * MIB);
    assert_true(reading.charge.has_oom_kills);
    cgroup_reading_clear(&reading);

    v1_write(group->inner, "memory.limit_in_bytes", "-1");
    assert_true(cgroup_read(cgroup, &reading, NULL));
    assert_int_equal(reading.limit_bytes, 96 * MIB);
    assert_string_equal(reading.limit_path, group->outer + strlen(V1));
    assert_in_range(reading.limit_charge.usage_bytes, TOUCHED_BYTES, 96 * MIB);
    cgroup_reading_clear(&reading);
    /* The mount, five files of the group, the same of the group above, the root's limit. */
    assert_in_range(descriptors_count() - n_before, 1, 12);

    real_end(group);
    assert_false(cgroup_read(cgroup, &reading, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE));
    g_error_free(error);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_real_v1_group_is_measured_and_its_end_seen, real_set_up,
                                        real_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
