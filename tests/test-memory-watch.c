/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose limit counts, and when it is read: a VM's groups in a tree, with cgroup v2's files. */

#include "t.h"

#include "fake-host.h"
#include "memory-watch.h"
#include "sample.h"
#include "units.h"

#define MIB(n) ((guint64)(n)*UNITS_MIB)
#define S ((gint64)G_USEC_PER_SEC)
#define QEMU 42

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Workers *workers;
    GPtrArray *vms;
    Vm *vm;
    gint64 now_us;
} Fixture;

static void
group_file(Fixture *fixture, const char *group, const char *name, const char *text)
{
    g_autofree char *path = g_strconcat("sys/fs/cgroup", group, "/", name, NULL);

    tree_file(fixture->tree, path, text);
}

/* A group with so much anonymous memory, so many kills, and a limit in MiB; 0: none. */
static void
group_is(Fixture *fixture, const char *group, guint anon_mib, guint kills, guint limit_mib)
{
    g_autofree char *usage = g_strdup_printf("%" G_GUINT64_FORMAT "\n", MIB(anon_mib));
    g_autofree char *limit = limit_mib > 0
                                 ? g_strdup_printf("%" G_GUINT64_FORMAT "\n", MIB(limit_mib))
                                 : g_strdup("max\n");
    g_autofree char *stat = g_strdup_printf("shmem 0\nanon %" G_GUINT64_FORMAT "\n", MIB(anon_mib));
    g_autofree char *events =
        g_strdup_printf("low 0\nhigh 0\nmax 0\noom %u\noom_kill %u\n", kills, kills);

    group_file(fixture, group, "memory.current", usage);
    group_file(fixture, group, "memory.max", limit);
    group_file(fixture, group, "memory.stat", stat);
    group_file(fixture, group, "memory.events", events);
}

static void
qemu_is_in(Fixture *fixture, const char *group)
{
    g_autofree char *membership = g_strconcat("0::", group, "\n", NULL);

    tree_file(fixture->tree, "proc/42/cgroup", membership);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *const words[] = {"kvm", "-name", "web", "-m", "64", NULL};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_file(fixture->tree, "sys/fs/cgroup/cgroup.controllers", "memory\n");
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->workers = workers_new(fixture->context, 4);
    fixture->vms = g_ptr_array_new_with_free_func((GDestroyNotify)vm_free);
    fixture->now_us = 1000 * S;
    fake_host_qemu(fixture->tree, QEMU, "web", NULL);
    tree_file(fixture->tree, "proc/42/status",
              "Uid:\t107\t107\t107\t107\nRssAnon:\t10240 kB\nRssFile:\t0 kB\nRssShmem:\t0 kB\n");
    group_is(fixture, "/user.slice", 60, 0, 0);
    qemu_is_in(fixture, "/user.slice");
    fixture->vm = vm_new(proc_open(fixture->host, QEMU, NULL), argv_parse(words), "bare");
    limits_init_defaults(&fixture->vm->limits);
    fixture->vm->limits.memory_page_count = false;
    assert_true(vm_open_cgroup(fixture->vm, fixture->host));
    g_ptr_array_add(fixture->vms, fixture->vm);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    g_ptr_array_unref(fixture->vms);
    workers_free(fixture->workers);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static const MemorySample *
read_after(Fixture *fixture, gint64 us)
{
    SampleContext context = {.host = fixture->host};

    fixture->now_us += us;
    context.now_us = fixture->now_us;
    sample_read_memory(fixture->vm, &context);
    (void)memory_watch_follow(fixture->vm, fixture->vms, fixture->workers, 1800000000 * S);
    return &fixture->vm->memory;
}

static PressureLevel
level_of(const Fixture *fixture)
{
    return fixture->vm->memory_watch->pressure.verdict.level;
}

static void
a_vm_that_is_moved_is_followed(void **state)
{
    Fixture *fixture = *state;

    assert_false(read_after(fixture, 5 * S)->has_limit);
    group_is(fixture, "/vms", 70, 0, 500);
    group_is(fixture, "/vms/web", 70, 0, 100);
    qemu_is_in(fixture, "/vms/web");
    (void)read_after(fixture, 31 * S);
    assert_true(fixture->vm->memory.has_limit);
    assert_int_equal(fixture->vm->memory.limit_bytes, MIB(100));
    assert_string_equal(fixture->vm->limit_path, "/vms/web");
    assert_string_equal(fixture->vm->group_path, "/vms/web");
    assert_int_equal(fixture->vm->memory.limited_unreclaimable_bytes, MIB(70));
    /* and on to where only one above it has a limit */
    group_is(fixture, "/vms/db", 20, 0, 0);
    qemu_is_in(fixture, "/vms/db");
    (void)read_after(fixture, 31 * S);
    assert_string_equal(fixture->vm->limit_path, "/vms");
    assert_string_equal(fixture->vm->group_path, "/vms/db");
}

static void
a_group_that_is_gone_is_left_at_once(void **state)
{
    Fixture *fixture = *state;

    group_is(fixture, "/vms/old", 70, 0, 300);
    qemu_is_in(fixture, "/vms/old");
    assert_true(read_after(fixture, 31 * S)->has_limit);
    group_is(fixture, "/vms/new", 70, 0, 200);
    qemu_is_in(fixture, "/vms/new");
    tree_remove(fixture->tree, "sys/fs/cgroup/vms/old");
    assert_false(read_after(fixture, 5 * S)->has_limit);
    assert_true(read_after(fixture, 5 * S)->has_limit);
    assert_string_equal(fixture->vm->limit_path, "/vms/new");
}

/* While nothing tells where it is now, what was known stays. */
static void
a_group_that_cannot_be_found_is_no_other_group(void **state)
{
    Fixture *fixture = *state;

    group_is(fixture, "/vms/web", 70, 0, 100);
    qemu_is_in(fixture, "/vms/web");
    assert_true(read_after(fixture, 31 * S)->has_limit);
    tree_file(fixture->tree, "proc/42/cgroup", "garbage\n");
    assert_true(read_after(fixture, 31 * S)->has_limit);
    qemu_is_in(fixture, "/not/there");
    assert_true(read_after(fixture, 31 * S)->has_limit);
    assert_string_equal(fixture->vm->group_path, "/vms/web");
}

static void
a_limit_that_is_changed_is_the_new_one(void **state)
{
    Fixture *fixture = *state;

    group_is(fixture, "/vms/web", 70, 0, 200);
    qemu_is_in(fixture, "/vms/web");
    (void)read_after(fixture, 31 * S);
    assert_int_equal(level_of(fixture), PRESSURE_OK);
    group_is(fixture, "/vms/web", 70, 0, 100); /* the guest may take 54 MiB more */
    (void)read_after(fixture, 5 * S);
    assert_int_equal(level_of(fixture), PRESSURE_DOOMED);
    group_is(fixture, "/vms/web", 70, 0, 0);
    (void)read_after(fixture, 5 * S);
    assert_int_equal(level_of(fixture), PRESSURE_OK);
}

/* The pod's limit becomes the tighter one; what was killed in another container was long ago. */
static void
old_kills_of_another_group_are_no_news(void **state)
{
    Fixture *fixture = *state;

    group_is(fixture, "/pod", 80, 3, 400);
    group_is(fixture, "/pod/compute", 60, 0, 200);
    qemu_is_in(fixture, "/pod/compute");
    (void)read_after(fixture, 31 * S);
    assert_string_equal(fixture->vm->limit_path, "/pod/compute");
    group_is(fixture, "/pod", 300, 3, 400);
    (void)read_after(fixture, 5 * S);
    assert_string_equal(fixture->vm->limit_path, "/pod");
    assert_int_equal(level_of(fixture), PRESSURE_OK);
    group_is(fixture, "/pod", 300, 4, 400); /* one that is news */
    (void)read_after(fixture, 5 * S);
    assert_int_equal(level_of(fixture), PRESSURE_IMMINENT);
}

static void
it_is_read_every_period_and_at_once_when_its_end_is_near(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(memory_watch_due_us(fixture->vm), 0);
    group_is(fixture, "/vms/web", 70, 0, 2000);
    qemu_is_in(fixture, "/vms/web");
    (void)read_after(fixture, 31 * S);
    assert_int_equal(memory_watch_due_us(fixture->vm), fixture->now_us + 5 * S);
    group_is(fixture, "/vms/web", 270, 0, 2000);
    (void)read_after(fixture, 5 * S);
    assert_int_equal(memory_watch_due_us(fixture->vm), fixture->now_us + S);
    (void)read_after(fixture, S);
    assert_int_equal(memory_watch_due_us(fixture->vm), fixture->now_us + 5 * S);
}

/* Who plans waits for it: from when it is wanted until its answer, also one that tells nothing. */
static void
a_first_count_is_lacking_until_it_is_answered(void **state)
{
    Fixture *fixture = *state;
    const MemoryWatch *watch = fixture->vm->memory_watch;

    (void)read_after(fixture, 5 * S);
    assert_false(memory_watch_lacks_count(fixture->vm)); /* the policy forbids it */
    fixture->vm->limits.memory_page_count = true;
    assert_true(memory_watch_lacks_count(fixture->vm));
    assert_int_equal(watch->counted_us, 0); /* it waits for its turn */
    (void)read_after(fixture, 5 * S);
    assert_int_equal(watch->counted_us, fixture->now_us);
    assert_true(memory_watch_lacks_count(fixture->vm));
    while (watch->count.pid == 0)
        g_main_context_iteration(fixture->context, TRUE);
    assert_false(watch->count.is_known); /* this tree has no maps */
    assert_false(memory_watch_lacks_count(fixture->vm));
    fixture->vm->memory.guest_ram_is_shared = true; /* told without */
    fixture->vm->memory_watch->count = (PageCount){0};
    fixture->vm->memory_watch->counted_us = 0;
    assert_false(memory_watch_lacks_count(fixture->vm));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_count_is_lacking_until_it_is_answered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_vm_that_is_moved_is_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_that_is_gone_is_left_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_that_cannot_be_found_is_no_other_group, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_limit_that_is_changed_is_the_new_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_kills_of_another_group_are_no_news, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_read_every_period_and_at_once_when_its_end_is_near,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("memory-watch", tests, NULL, NULL);
}
