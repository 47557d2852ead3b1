/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "drift-memory.h"
#include "tree.h"

#define GIB ((guint64)1 << 30)
#define UNIT "100.scope"
#define CONTROL(root) root "/systemd/system.control/" UNIT ".d/50-MemoryMax.conf"
#define TRANSIENT "run/systemd/transient/" UNIT

typedef struct {
    Tree *tree;
    Host *host;
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
    fixture->vm.group_limits = g_array_new(FALSE, TRUE, sizeof(CgroupLimit));
    *state = fixture;
    return fixture->host ? 0 : -1;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

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

/* "1073741824", "unlimited"; "unknown" where nothing is written down. */
static void
assert_unit(const Fixture *fixture, const char *wanted)
{
    g_autoptr(MemoryLimit) limit = drift_memory_unit(fixture->host, UNIT, 16 * GIB);
    g_autofree char *bytes =
        limit ? g_strdup_printf("%" G_GUINT64_FORMAT, limit->bytes) : g_strdup("unknown");

    assert_string_equal(limit && !limit->is_limited ? "unlimited" : bytes, wanted);
}

static void
a_unit_says_its_limit_in_files_of_which_one_counts(void **state)
{
    const Fixture *fixture = *state;

    assert_unit(fixture, "unknown");
    tree_file(fixture->tree, TRANSIENT, "[Scope]\nSlice=qemu.slice\n");
    assert_unit(fixture, "unlimited");
    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=5G\n MemoryMax=2G\n");
    assert_unit(fixture, "2147483648");
    tree_file(fixture->tree, CONTROL("run"), "# written\n[Scope]\nMemoryMax=1073741824\n");
    assert_unit(fixture, "1073741824");
    tree_file(fixture->tree, CONTROL("etc"), "[Scope]\nMemoryMax=50%\n");
    assert_unit(fixture, "8589934592");
    tree_file(fixture->tree, CONTROL("etc"), "[Scope]\nMemoryMax=infinity\n");
    assert_unit(fixture, "unlimited");
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
    memories = drift_memory_look(fixture->host, &fixture->vm);
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
}

static void
other_words_for_the_same_pages_are_equal(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) memories = NULL;

    tree_file(fixture->tree, TRANSIENT, "[Scope]\nMemoryMax=12.5%\n");
    add_group(fixture, "/qemu.slice/" UNIT, true, 2 * GIB);
    add_group(fixture, "/qemu.slice/other.scope", true, GIB);
    memories = drift_memory_look(fixture->host, &fixture->vm);
    assert_int_equal(memories->len, 1); /* of the other nothing is written down */
    assert_true(drift_memory_is_equal(memories->pdata[0]));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_unit_says_its_limit_in_files_of_which_one_counts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_somebody_wrote_past_systemd_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_words_for_the_same_pages_are_equal, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("drift memory", tests, NULL, NULL);
}
