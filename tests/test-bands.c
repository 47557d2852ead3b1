/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A slice that stands still, and one beside it that does not, in a fixture tree. */

#include "t.h"

#include "bands.h"
#include "tree.h"

#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)
#define GIB (G_GUINT64_CONSTANT(1) << 30)

typedef struct {
    Tree *tree;
    Host *host;
    guint n_told;
    char *told;
    const char *guilty; /* its group's path, with the processes */
    gint64 now_us;
    guint64 events, stalled_us;
} Fixture;

static void
hear(const Band *band, gpointer data)
{
    Fixture *fixture = data;

    fixture->n_told++;
    g_free(fixture->told);
    fixture->told = band->track.verdict.is_livelock ? band_text(band) : g_strdup("over");
    assert_string_equal(band->label, fixture->guilty);
}

static void
group_write(Fixture *fixture, const char *group, guint64 usage, const char *high, guint64 events,
            guint64 stalled_us)
{
    const struct {
        const char *name;
        char *text;
    } files[] = {
        {"memory.current", g_strdup_printf("%" G_GUINT64_FORMAT "\n", usage)},
        {"memory.high", g_strdup_printf("%s\n", high)},
        {"memory.max", g_strdup("17179869184\n")},
        {"memory.swap.max", g_strdup("0\n")},
        {"memory.swap.current", g_strdup("0\n")},
        {"memory.stat", g_strdup_printf("anon %" G_GUINT64_FORMAT "\nshmem 0\nfile 0\n", usage)},
        {"memory.events", g_strdup_printf("low 0\nhigh %" G_GUINT64_FORMAT "\nmax 0\noom 0\n"
                                          "oom_kill 0\n",
                                          events)},
        {"memory.pressure",
         g_strdup_printf("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull "
                         "avg10=0.00 avg60=0.00 avg300=0.00 total=%" G_GUINT64_FORMAT "\n",
                         stalled_us)},
    };

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strdup_printf("sys/fs/cgroup/%s/%s", group, files[i].name);

        tree_file(fixture->tree, path, files[i].text);
        g_free(files[i].text);
    }
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {NULL};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n");
    tree_file(fixture->tree, "sys/fs/cgroup/user.slice/hog.service/cgroup.procs", "70\n71\n");
    tree_file(fixture->tree, "proc/70/statm", "9000000 3000000 10 1 0 100 0\n");
    tree_file(fixture->tree, "proc/70/comm", "memhog\n");
    tree_file(fixture->tree, "proc/70/wchan", "mem_cgroup_handle_over_high");
    tree_file(fixture->tree, "proc/71/statm", "9000 300 10 1 0 100 0\n");
    tree_file(fixture->tree, "proc/71/comm", "nginx\n");
    tree_file(fixture->tree, "proc/71/wchan", "mem_cgroup_handle_over_high");
    roots[HOST_PROC] = tree_path(fixture->tree, "proc");
    roots[HOST_SYS] = tree_path(fixture->tree, "sys");
    fixture->host = host_new(roots, NULL);
    fixture->now_us = 100 * S;
    fixture->guilty = "/user.slice/hog.service";
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture->told);
    g_free(fixture);
    return 0;
}

/* The hog's group stalls; the other one is as full, and goes on. */
static void
follow_for(Fixture *fixture, Bands *bands, const Limits *limits, gint64 for_us, guint64 usage)
{
    HostMemory memory = {.is_known = true, .total_bytes = 64 * GIB};
    gint64 until = fixture->now_us + for_us;

    while (fixture->now_us < until) {
        fixture->now_us += 5 * S;
        fixture->events += 100;
        fixture->stalled_us += 4 * S;
        group_write(fixture, fixture->guilty + 1, usage, "12884901888", fixture->events,
                    fixture->stalled_us);
        group_write(fixture, "user.slice/busy.service", usage, "12884901888", fixture->events, 0);
        group_write(fixture, "user.slice/free.service", usage, "max", fixture->events,
                    fixture->stalled_us);
        group_write(fixture, "other.slice/unwatched.service", usage, "12884901888", fixture->events,
                    fixture->stalled_us);
        bands_follow(bands, limits, &memory, fixture->now_us);
    }
}

static void
a_livelock_is_named_with_its_hog_within_a_minute(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Bands) bands = bands_new(fixture->host);
    g_auto(Limits) limits;

    limits_init_defaults(&limits);
    bands_set_func(bands, hear, fixture);
    follow_for(fixture, bands, &limits, 60 * S, 13 * GIB);
    assert_int_equal(fixture->n_told, 1);
    assert_int_equal(bands_list(bands)->len, 2);
    for (guint i = 0; i < 6; i++) {
        static const char *const words[] = {"memhog[70] holds 11G", "1 other processes suffer",
                                            "kill -KILL 70",        "memory.high 12G",
                                            "memory.max 16G",       "OOMPolicy=continue"};

        if (!strstr(fixture->told, words[i]))
            fail_msg("%s: not in: %s", words[i], fixture->told);
    }
    follow_for(fixture, bands, &limits, 60 * S, GIB);
    assert_int_equal(fixture->n_told, 2);
    assert_string_equal(fixture->told, "over");
}

/* kubelet's MemoryQoS sets memory.high for containers. */
static void
containers_of_kubernetes_are_looked_at(void **state)
{
    static const char *const groups[] = {
        "/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope",
        "/kubepods/burstable/pod1/1",
        "/kubepods/pod1/crio-1",
    };
    Fixture *fixture = *state;

    for (guint i = 0; i < G_N_ELEMENTS(groups); i++) {
        g_autoptr(Bands) bands = bands_new(fixture->host);
        g_autofree char *procs = g_strconcat("sys/fs/cgroup", groups[i], "/cgroup.procs", NULL);
        g_auto(Limits) limits;

        fixture->guilty = groups[i];
        fixture->n_told = 0;
        tree_file(fixture->tree, procs, "70\n71\n");
        limits_init_defaults(&limits);
        bands_set_func(bands, hear, fixture);
        follow_for(fixture, bands, &limits, 60 * S, 13 * GIB);
        assert_int_equal(fixture->n_told, 1);
        assert_non_null(strstr(fixture->told, "memhog[70] holds 11G"));
        tree_remove(fixture->tree,
                    i == 0 ? "sys/fs/cgroup/kubepods.slice" : "sys/fs/cgroup/kubepods");
    }
}

static void
a_group_that_goes_is_over(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Bands) bands = bands_new(fixture->host);
    g_auto(Limits) limits;

    limits_init_defaults(&limits);
    bands_set_func(bands, hear, fixture);
    follow_for(fixture, bands, &limits, 60 * S, 13 * GIB);
    assert_int_equal(fixture->n_told, 1);
    tree_file(fixture->tree, "sys/fs/cgroup/user.slice/hog.service/memory.current", "");
    fixture->now_us += 5 * S;
    bands_follow(bands, &limits, &(HostMemory){.is_known = true}, fixture->now_us);
    assert_string_equal(fixture->told, "over");
}

static void
without_v2_there_is_no_band(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Bands) bands = NULL;
    g_auto(Limits) limits;

    limits_init_defaults(&limits);
    tree_file(fixture->tree, "proc/self/mountinfo",
              "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n");
    bands = bands_new(fixture->host);
    follow_for(fixture, bands, &limits, 60 * S, 13 * GIB);
    assert_int_equal(bands_list(bands)->len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_livelock_is_named_with_its_hog_within_a_minute, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(containers_of_kubernetes_are_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_that_goes_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_v2_there_is_no_band, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("bands", tests, NULL, NULL);
}
