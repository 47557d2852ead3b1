/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "drift-memory.h"
#include "tree.h"
#include "unit-look.h"

#include <unistd.h>

#define GIB ((guint64)1 << 30)
#define UNIT "100.scope"
#define CONTROL(root) root "/systemd/system.control/" UNIT ".d/50-MemoryMax.conf"
#define TRANSIENT "run/systemd/transient/" UNIT

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Children *children;
    gint64 now_us;
    Vm vm;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {NULL};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/meminfo", "MemTotal: 16777216 kB\n");
    tree_directory(fixture->tree, "run");
    tree_directory(fixture->tree, "etc");
    roots[HOST_PROC] = g_strdup(tree_path(fixture->tree, "proc"));
    roots[HOST_RUN] = g_strdup(tree_path(fixture->tree, "run"));
    roots[HOST_ETC] = g_strdup(tree_path(fixture->tree, "etc"));
    fixture->host = host_new(roots, NULL);
    for (guint i = 0; i < HOST_N_ROOTS; i++)
        g_free((char *)roots[i]);
    fixture->context = g_main_context_new();
    fixture->children = children_new(fixture->context);
    fixture->now_us = 1;
    fixture->vm.group_limits = g_array_new(FALSE, TRUE, sizeof(CgroupLimit));
    fixture->vm.units = unit_look_new();
    *state = fixture;
    return fixture->host ? 0 : -1;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    unit_look_forget(&fixture->vm);
    children_free(fixture->children);
    unit_look_free(fixture->vm.units);
    g_main_context_unref(fixture->context);
    g_array_unref(fixture->vm.group_limits);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static void
add_group(Fixture *fixture, const char *path, bool is_own, guint64 bytes)
{
    CgroupLimit limit = {
        .path = (char *)path, .limit_bytes = bytes, .is_own = is_own, .owner = "systemd"};

    g_array_append_val(fixture->vm.group_limits, limit);
}

static void
go_on(Fixture *fixture)
{
    unit_look_go_on(&fixture->vm, fixture->host, fixture->children, fixture->now_us);
}

/* Until its child has answered. */
static void
look(Fixture *fixture)
{
    go_on(fixture);
    while (children_open(fixture->children) > 0)
        g_main_context_iteration(fixture->context, TRUE);
}

/* "1073741824", "unlimited"; "unknown" where nothing is written down. */
static void
assert_unit(const Fixture *fixture, const char *wanted)
{
    const CgroupLimit *group = &g_array_index(fixture->vm.group_limits, CgroupLimit, 0);
    const MemoryLimit *limit = unit_look_limit(fixture->vm.units, group);
    g_autofree char *bytes =
        limit ? g_strdup_printf("%" G_GUINT64_FORMAT, limit->bytes) : g_strdup("unknown");

    assert_null(unit_look_problem(fixture->vm.units));
    assert_string_equal(limit && !limit->is_limited ? "unlimited" : bytes, wanted);
}

static void
assert_looked(Fixture *fixture, const char *wanted)
{
    unit_look_want(&fixture->vm);
    look(fixture);
    assert_false(unit_look_is_open(fixture->vm.units));
    assert_unit(fixture, wanted);
}

static void
a_unit_says_its_limit_in_files_of_which_one_counts(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *long_text = g_strnfill(16 * 1024, '#');

    add_group(fixture, "/qemu.slice/" UNIT, true, GIB);
    assert_looked(fixture, "unknown");
    tree_file(fixture->tree, TRANSIENT, "[Scope]\nSlice=qemu.slice\n");
    assert_looked(fixture, "unlimited");
    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=5G\n MemoryMax=2G\n");
    assert_looked(fixture, "2147483648");
    tree_file(fixture->tree, CONTROL("run"), "# written\n[Scope]\nMemoryMax=1073741824\n");
    assert_looked(fixture, "1073741824");
    tree_file(fixture->tree, CONTROL("etc"), "[Scope]\nMemoryMax=50%\n");
    assert_looked(fixture, "8589934592");
    tree_file(fixture->tree, CONTROL("etc"), "[Scope]\nMemoryMax=infinity\n");
    assert_looked(fixture, "unlimited");
    tree_file(fixture->tree, CONTROL("etc"), long_text); /* what it goes on with is not known */
    assert_looked(fixture, "1073741824");
    tree_remove(fixture->tree, CONTROL("etc"));
    tree_fifo(fixture->tree, CONTROL("etc")); /* would hold who reads it */
    assert_looked(fixture, "1073741824");
}

/* The older word: alone it counts, on v2 as on v1. */
static void
memory_limit_counts_where_memory_max_is_not_set(void **state)
{
    Fixture *fixture = *state;

    add_group(fixture, "/qemu.slice/" UNIT, true, GIB);
    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryLimit=2G\n");
    assert_looked(fixture, "2147483648");
    tree_file(fixture->tree, "run/systemd/transient/" UNIT ".d/50-MemoryLimit.conf",
              "[Scope]\nMemoryLimit=3G\n");
    assert_looked(fixture, "3221225472");
    tree_file(fixture->tree, CONTROL("run"), "[Scope]\nMemoryMax=infinity\n");
    assert_looked(fixture, "3221225472");
    tree_file(fixture->tree, CONTROL("run"), "[Scope]\nMemoryMax=1G\n");
    assert_looked(fixture, "1073741824");
    tree_remove(fixture->tree, CONTROL("run"));
    tree_file(fixture->tree, "run/systemd/transient/" UNIT ".d/50-MemoryLimit.conf",
              "[Scope]\nMemoryLimit=infinity\n");
    assert_looked(fixture, "unlimited");
}

static void
a_unit_is_read_once_a_minute_and_when_somebody_wants_it(void **state)
{
    Fixture *fixture = *state;

    add_group(fixture, "/qemu.slice/" UNIT, true, GIB);
    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=2G\n");
    look(fixture);
    assert_unit(fixture, "2147483648");
    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=3G\n");
    fixture->now_us += 59 * G_USEC_PER_SEC;
    look(fixture);
    assert_unit(fixture, "2147483648");
    fixture->now_us += G_USEC_PER_SEC;
    look(fixture);
    assert_unit(fixture, "3221225472");
    unit_look_want(&fixture->vm);
    go_on(fixture);
    unit_look_want(&fixture->vm); /* what is being read may be older than what is wanted */
    look(fixture);
    assert_true(unit_look_is_open(fixture->vm.units));
    look(fixture);
    assert_false(unit_look_is_open(fixture->vm.units));
}

/* Neither a process of its own, nor waiting. */
static void
a_vm_without_a_unit_costs_nothing(void **state)
{
    Fixture *fixture = *state;

    add_group(fixture, "/qemu.slice", false, 64 * GIB);
    unit_look_want(&fixture->vm);
    go_on(fixture);
    assert_int_equal(children_running(fixture->children), 0);
    assert_false(unit_look_is_open(fixture->vm.units));
}

/* As where the disk below /etc is dead: the child does not come back. */
static void
a_read_that_hangs_holds_nobody_and_is_told(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) memories = NULL;
    const DriftMemory *memory;

    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=2G\n");
    add_group(fixture, "/qemu.slice/" UNIT, true, GIB);
    look(fixture);
    unit_look_want(&fixture->vm);
    go_on(fixture);
    assert_true(unit_look_is_open(fixture->vm.units));
    children_free(fixture->children); /* what is unanswered is answered as if it were late */
    fixture->children = children_new(fixture->context);
    assert_false(unit_look_is_open(fixture->vm.units));
    memories = drift_memory_look(&fixture->vm);
    assert_int_equal(memories->len, 1);
    memory = memories->pdata[0];
    assert_null(memory->sides[DRIFT_MEMORY_TOLD]); /* no word of what it was before */
    assert_string_equal(memory->problem, "reading its unit hangs");
    assert_true(drift_memory_is_equal(memory));
    assert_looked(fixture, "2147483648");
}

static void
hang(int answer_fd, gconstpointer data)
{
    for (;;)
        pause();
}

static void
forget(const char *answer, gsize length, gpointer data)
{
}

/* The rest is left to others, who look at the VMs' storage. */
static void
where_many_reads_hang_none_is_begun(void **state)
{
    Fixture *fixture = *state;

    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=2G\n");
    add_group(fixture, "/qemu.slice/" UNIT, true, GIB);
    for (guint i = 0; i < CHILD_STUCK_MAX / 2; i++) {
        const ChildCall call = {.run = hang, .done = forget, .deadline_us = 1000 * G_USEC_PER_SEC};

        assert_true(children_run(fixture->children, &call));
    }
    unit_look_want(&fixture->vm);
    go_on(fixture);
    assert_int_equal(children_running(fixture->children), CHILD_STUCK_MAX / 2);
    assert_false(unit_look_is_open(fixture->vm.units));
    assert_string_equal(unit_look_problem(fixture->vm.units), "too many reads hang");
    children_free(fixture->children);
    fixture->children = children_new(fixture->context);
    look(fixture);
    assert_unit(fixture, "2147483648");
}

static void
what_somebody_wrote_past_systemd_is_told(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) memories = NULL;
    const DriftMemory *memory;

    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=2G\n");
    add_group(fixture, "/qemu.slice/" UNIT, true, GIB);
    add_group(fixture, "/qemu.slice", false, 64 * GIB);
    look(fixture);
    memories = drift_memory_look(&fixture->vm);
    assert_int_equal(memories->len, 1); /* a slice that others share is none of the VM's */
    memory = memories->pdata[0];
    assert_string_equal(memory->group, "/qemu.slice/" UNIT);
    assert_string_equal(memory->owner, "systemd");
    assert_null(memory->sides[DRIFT_MEMORY_CONFIGURATION]);
    assert_int_equal(memory->sides[DRIFT_MEMORY_TOLD]->bytes, 2 * GIB);
    assert_int_equal(memory->sides[DRIFT_MEMORY_LIVE]->bytes, GIB);
    assert_false(drift_memory_is_equal(memory));
    assert_string_equal(drift_memory_why(memory),
                        "somebody wrote past its owner, who will write his own value back");
    assert_null(memory->problem);
}

static void
other_words_for_the_same_pages_are_equal(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) memories = NULL;

    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=12.5%\n");
    add_group(fixture, "/qemu.slice/" UNIT, true, 2 * GIB);
    add_group(fixture, "/qemu.slice/other.scope", true, GIB);
    look(fixture);
    memories = drift_memory_look(&fixture->vm);
    assert_int_equal(memories->len, 1); /* of the other nothing is written down */
    assert_true(drift_memory_is_equal(memories->pdata[0]));
}

#define WITH_GROUPS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_GROUPS(a_unit_says_its_limit_in_files_of_which_one_counts),
        WITH_GROUPS(memory_limit_counts_where_memory_max_is_not_set),
        WITH_GROUPS(a_unit_is_read_once_a_minute_and_when_somebody_wants_it),
        WITH_GROUPS(a_vm_without_a_unit_costs_nothing),
        WITH_GROUPS(a_read_that_hangs_holds_nobody_and_is_told),
        WITH_GROUPS(where_many_reads_hang_none_is_begun),
        WITH_GROUPS(what_somebody_wrote_past_systemd_is_told),
        WITH_GROUPS(other_words_for_the_same_pages_are_equal),
    };

    return cmocka_run_group_tests_name("drift memory", tests, NULL, NULL);
}
