/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A pod in this machine's real v1 hierarchy, named as cgroupfs' driver names it, with living
 * processes that hold memory. Each is a copy of this program with the name of its role. */

#include "t.h"

#include "discover-source.h"
#include "roles.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((guint64)1024 * 1024)
#define V1 "/sys/fs/cgroup/memory"
#define UID "4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01"
#define VMI_UID "ac1e83d8-f2ad-4047-8ba9-3f557c687b9f"
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
/* What this program has beside what it holds; a sanitizer has more. */
#ifdef __SANITIZE_ADDRESS__
#define SLACK_BYTES (64 * MIB)
#else
#define SLACK_BYTES (4 * MIB)
#endif
/* In the copies' environment: so many MiB are touched. */
#define HOLD "GUARDIAN_TEST_HOLD_MIB"

/* From the outermost in; all below a group of this test's own. */
enum { BASE, KUBEPODS, BURSTABLE, POD, COMPUTE, TAIL, N_GROUPS };
static const char *const group_names[N_GROUPS] = {
    [BASE] = "",
    [KUBEPODS] = "/kubepods",
    [BURSTABLE] = "/kubepods/burstable",
    [POD] = "/kubepods/burstable/pod" UID,
    [COMPUTE] = "/kubepods/burstable/pod" UID "/aaaa",
    [TAIL] = "/kubepods/burstable/pod" UID "/bbbb",
};

typedef struct {
    char *groups[N_GROUPS]; /* below V1 */
    bool is_made;
    char *programs; /* a directory */
    GArray *pids;
    Host *host;
} Fixture;

static int
hold(guint64 mib)
{
    char *memory;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memory = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    memset(memory, 1, mib * MIB);
    if (write(STDOUT_FILENO, "", 1) != 1)
        return 1;
    for (;;)
        pause();
}

static void
group_write(const Fixture *fixture, guint group, const char *file, const char *text)
{
    g_autofree char *path = g_strconcat(V1, fixture->groups[group], "/", file, NULL);
    FILE *stream = fopen(path, "we");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->is_made = getuid() == 0;
    for (guint i = 0; i < N_GROUPS; i++) {
        g_autofree char *path = NULL;

        fixture->groups[i] = g_strdup_printf("/guardian-test-%d%s", (int)getpid(), group_names[i]);
        path = g_strconcat(V1, fixture->groups[i], NULL);
        fixture->is_made = fixture->is_made && mkdir(path, 0755) == 0;
    }
    fixture->programs = g_dir_make_tmp("guardian-pod-XXXXXX", NULL);
    fixture->pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    fixture->host = host_new(NULL, NULL);
    return fixture->programs && fixture->host ? 0 : -1;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    GDir *directory = g_dir_open(fixture->programs, 0, NULL);
    const char *name;

    for (guint i = 0; i < fixture->pids->len; i++) {
        kill(g_array_index(fixture->pids, pid_t, i), SIGKILL);
        waitpid(g_array_index(fixture->pids, pid_t, i), NULL, 0);
    }
    for (guint i = N_GROUPS; i-- > 0;) {
        g_autofree char *path = g_strconcat(V1, fixture->groups[i], NULL);

        for (guint tries = 0; rmdir(path) != 0 && errno == EBUSY && tries < 100; tries++)
            g_usleep(10000); /* the kernel lets go of the dead a moment later */
        g_free(fixture->groups[i]);
    }
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(fixture->programs, name, NULL);

        unlink(path);
    }
    g_dir_close(directory);
    rmdir(fixture->programs);
    g_free(fixture->programs);
    g_array_unref(fixture->pids);
    host_free(fixture->host);
    g_free(fixture);
    return 0;
}

/* A program of that name, in that group, that has touched so much when this returns. */
static pid_t
run(Fixture *fixture, guint group, const char *name, guint mib, const char *const *words)
{
    g_autofree char *path = g_build_filename(fixture->programs, name, NULL);
    g_autofree char *size = g_strdup_printf("%u", mib);
    g_autofree char *procs = g_strconcat(V1, fixture->groups[group], "/cgroup.procs", NULL);
    g_autofree char *bytes = NULL;
    int ready[2];
    gsize length;
    char byte;
    pid_t pid;

    assert_true(g_file_get_contents("/proc/self/exe", &bytes, &length, NULL));
    assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        FILE *stream = fopen(procs, "we");

        dup2(ready[1], STDOUT_FILENO);
        close(ready[0]);
        close(ready[1]);
        setenv(HOLD, size, 1);
        if (stream && fputs("0", stream) >= 0 && fclose(stream) == 0)
            execv(path, (char *const *)words);
        _exit(1);
    }
    g_array_append_val(fixture->pids, pid);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void
assert_held(const RoleTable *table, Role role, guint n, guint mib, guint domain_mib)
{
    const RoleUse *use = &table->uses[role];

    if (use->n_processes != n || use->private_bytes < mib * MIB ||
        use->private_bytes > mib * MIB + n * SLACK_BYTES ||
        use->domain_private_bytes < domain_mib * MIB ||
        use->domain_private_bytes > domain_mib * MIB + n * SLACK_BYTES)
        fail_msg("%s: %u processes, %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT, role_name(role),
                 use->n_processes, use->private_bytes, use->domain_private_bytes);
}

/* A QEMU in all but its name, so that no guardian on this machine takes it for a VM. */
static Vm *
vm_of(const Fixture *fixture, pid_t pid)
{
    Proc *proc = proc_open(fixture->host, pid, NULL);
    Vm *vm = vm_new(proc, argv_parse(WORDS("qemu", "-name", "guest=prod_db")), "bare");
    g_autoptr(GError) error = NULL;

    vm->cgroup = cgroup_open(fixture->host, proc, &error);
    if (!vm->cgroup)
        fail_msg("%s", error->message);
    return vm;
}

static void
assert_is_prod_db(const Fixture *fixture, Vm *vm)
{
    gpointer state = source_kubevirt.begin(fixture->host);
    g_autoptr(Proc) witness = NULL;
    g_auto(GStrv) words = NULL;

    assert_true(source_kubevirt.claim(state, vm));
    witness = source_kubevirt.witness(state, vm);
    assert_non_null(witness);
    words = proc_read_cmdline(witness, NULL);
    source_kubevirt.name_vm(state, vm, (const char *const *)words);
    assert_string_equal(vm->name, "prod/db");
    assert_string_equal(vm->id, VMI_UID);
    source_kubevirt.end(state);
}

static void
a_real_pod_is_told_by_name_role_and_limit(void **state)
{
    Fixture *fixture = *state;
    CgroupReading reading;
    RoleTable table;
    g_autoptr(Vm) vm = NULL;
    const GroupPlace *place;

    t_skip_unless(fixture->is_made, "needs root and a writable cgroup v1 memory hierarchy");
    group_write(fixture, BASE, "memory.limit_in_bytes", "2147483648");
    group_write(fixture, POD, "memory.limit_in_bytes", "1073741824");
    group_write(fixture, COMPUTE, "memory.limit_in_bytes", "805306368");
    run(fixture, COMPUTE, "virt-launcher-monitor", 2,
        WORDS("/usr/bin/virt-launcher-monitor", "--name", "db", "--uid", VMI_UID, "--namespace",
              "prod"));
    run(fixture, COMPUTE, "virt-launcher", 30, WORDS("virt-launcher"));
    run(fixture, COMPUTE, "virtqemud", 20, WORDS("virtqemud"));
    run(fixture, TAIL, "virt-tail", 10, WORDS("virt-tail"));
    vm = vm_of(fixture, run(fixture, COMPUTE, "the-vm", 64, WORDS("the-vm")));
    assert_is_prod_db(fixture, vm);
    place = cgroup_group_place(vm->cgroup);
    assert_string_equal(place->pod_uid, UID);
    assert_string_equal(place->container_id, "aaaa");

    assert_true(cgroup_read(vm->cgroup, &reading, NULL));
    assert_string_equal(reading.limit_path, fixture->groups[COMPUTE]);
    assert_int_equal(reading.limits->len, 3);
    assert_true(reading.group_is_own && reading.limit_is_own);
    assert_false(g_array_index(reading.limits, CgroupLimit, 2).is_own); /* many pods' */
    assert_in_range(reading.limit_charge.unreclaimable_bytes, 116 * MIB,
                    116 * MIB + 6 * SLACK_BYTES);
    roles_read(fixture->host, vm->cgroup, proc_pid(vm->proc), reading.limit_path, &table);
    assert_true(table.is_known && table.is_complete);
    assert_held(&table, ROLE_VIRT_LAUNCHER_MONITOR, 1, 2, 2);
    assert_held(&table, ROLE_VIRT_LAUNCHER, 1, 30, 30);
    assert_held(&table, ROLE_VIRTQEMUD, 1, 20, 20);
    assert_int_equal(table.uses[ROLE_VIRT_TAIL].domain_private_bytes, 0);
    assert_held(&table, ROLE_VIRT_TAIL, 1, 10, 0);
    assert_int_equal(table.uses[ROLE_STRANGER].n_processes, 0); /* nor the VM itself */
    cgroup_reading_clear(&reading);

    /* A stranger in another container, and the pod's limit is what it threatens. */
    group_write(fixture, POD, "memory.limit_in_bytes", "805306368");
    run(fixture, TAIL, "memhold", 50, WORDS("memhold"));
    assert_true(cgroup_read(vm->cgroup, &reading, NULL));
    assert_string_equal(reading.limit_path, fixture->groups[POD]);
    assert_true(reading.limit_is_own);
    roles_read(fixture->host, vm->cgroup, proc_pid(vm->proc), reading.limit_path, &table);
    assert_held(&table, ROLE_VIRT_TAIL, 1, 10, 10);
    assert_held(&table, ROLE_STRANGER, 1, 50, 50);
    assert_string_equal(table.stranger_name, "memhold");
    cgroup_reading_clear(&reading);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_real_pod_is_told_by_name_role_and_limit, set_up,
                                        tear_down),
    };

    if (getenv(HOLD))
        return hold(g_ascii_strtoull(getenv(HOLD), NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
