/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A VM's memory over the last minutes, in virtual time. */

#include "t.h"

#include "memory-trail.h"

#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)
#define MIB (G_GUINT64_CONSTANT(1) << 20)

/* 512 MiB of shared guest RAM, all touched, 60 of QEMU's own, 5 of the kernel's. */
static MemorySample
sample_at(gint64 at_us, guint64 charged_bytes)
{
    return (MemorySample){.at_us = at_us,
                          .has_guest_ram = true,
                          .guest_ram_bytes = 512 * MIB,
                          .guest_ram_is_shared = true,
                          .has_rss = true,
                          .rss_anon_bytes = 60 * MIB,
                          .rss_shmem_bytes = 512 * MIB,
                          .has_limit = true,
                          .limit_bytes = 1024 * MIB,
                          .limited_unreclaimable_bytes = charged_bytes,
                          .kinds = {.is_known = true, .kernel_bytes = 5 * MIB}};
}

static RoleTable
beside(guint64 stranger_bytes)
{
    RoleTable roles = {.is_known = true,
                       .is_complete = true,
                       .stranger_pid = 77,
                       .stranger_private_bytes = stranger_bytes};

    roles.uses[ROLE_STRANGER] = (RoleUse){.n_processes = 1, .domain_private_bytes = stranger_bytes};
    roles.uses[ROLE_SWTPM] = (RoleUse){.n_processes = 1, .domain_private_bytes = 3 * MIB};
    g_strlcpy(roles.stranger_name, "memhold", sizeof roles.stranger_name);
    return roles;
}

static const gint64 periods_s[] = {1, 2, 5, 10, 60};

/* Where the readings come steadily, whatever their period. */
static void
the_last_minutes_are_kept_and_the_last_seconds_finer(void **state)
{
    gint64 period_us = *(const gint64 *)*state * S;
    MemoryTrail trail = {0};
    RoleTable roles = beside(0);

    for (gint64 at_us = S; at_us < 5000 * S; at_us += period_us) {
        MemorySample memory = sample_at(at_us, 580 * MIB);

        memory_trail_add(&trail, &memory, &roles, PRESSURE_OK);
        assert_true(trail.n_points <= MEMORY_TRAIL_POINTS);
        assert_true(trail.points[trail.n_points - 1].at_us == at_us);
        for (guint i = 1; i < trail.n_points; i++)
            assert_true(trail.points[i].at_us > trail.points[i - 1].at_us);
        if (at_us < 600 * S)
            continue;
        assert_int_equal(trail.n_points, MEMORY_TRAIL_POINTS);
        assert_in_range(at_us - trail.points[0].at_us, 240 * S, 600 * S);
        /* the half of them in the last minute and a half, where there are so many readings */
        assert_in_range(at_us - trail.points[MEMORY_TRAIL_POINTS / 2].at_us, 0,
                        MAX(90 * S, 5 * period_us));
    }
}

static void
who_grew_is_seen(void **state)
{
    MemoryTrail trail = {0};

    for (guint i = 0; i < 5; i++) {
        RoleTable roles = beside(i * 100 * MIB);
        MemorySample memory = sample_at((i + 1) * 60 * S, (580 + i * 100) * MIB);

        memory_trail_add(&trail, &memory, &roles, i < 3 ? PRESSURE_OK : PRESSURE_DOOMED);
    }
    assert_int_equal(trail.n_points, 5);
    for (guint i = 0; i < 5; i++) {
        const MemoryPoint *point = &trail.points[i];

        assert_int_equal(point->charged_bytes, (580 + i * 100) * MIB);
        assert_int_equal(point->strangers_bytes, i * 100 * MIB);
        assert_string_equal(point->stranger_name, "memhold");
        assert_int_equal(point->guest_low_bytes, 512 * MIB);
        assert_int_equal(point->own_high_bytes, 60 * MIB);
        assert_int_equal(point->helpers_bytes, 3 * MIB);
        assert_int_equal(point->rest_bytes, 0); /* all of it is somebody's */
        assert_int_equal(point->level, i < 3 ? PRESSURE_OK : PRESSURE_DOOMED);
    }
}

/* They were looked at before it grew. */
static void
what_nobody_is_known_to_hold_is_the_rest(void **state)
{
    MemoryTrail trail = {0};
    RoleTable roles = beside(0);
    MemorySample memory = sample_at(S, 900 * MIB);

    memory_trail_add(&trail, &memory, &roles, PRESSURE_OK);
    assert_int_equal(trail.points[0].rest_bytes, 320 * MIB);
    /* private RAM that was not counted: guest's and QEMU's own are bounds, their sum is not */
    memory.guest_ram_is_shared = false;
    memory.rss_anon_bytes = 572 * MIB;
    memory.rss_shmem_bytes = 0;
    memory.at_us = 2 * S;
    memory_trail_add(&trail, &memory, &roles, PRESSURE_OK);
    assert_int_equal(trail.points[1].guest_low_bytes, 0);
    assert_int_equal(trail.points[1].guest_high_bytes, 512 * MIB);
    assert_int_equal(trail.points[1].own_low_bytes, 60 * MIB);
    assert_int_equal(trail.points[1].own_high_bytes, 572 * MIB);
    assert_int_equal(trail.points[1].rest_bytes, 320 * MIB);
}

static void
a_reading_counts_once_and_a_gap_is_no_trail(void **state)
{
    MemoryTrail trail = {0};
    RoleTable roles = beside(0);
    MemorySample memory = sample_at(100 * S, 580 * MIB), unknown = {.at_us = 105 * S};

    memory_trail_add(&trail, &memory, &roles, PRESSURE_OK);
    memory_trail_add(&trail, &memory, &roles, PRESSURE_WATCH);
    memory_trail_add(&trail, &unknown, &roles, PRESSURE_UNKNOWN);
    assert_int_equal(trail.n_points, 1);
    assert_int_equal(trail.points[0].level, PRESSURE_WATCH);
    memory.at_us = 1000 * S;
    memory_trail_add(&trail, &memory, &roles, PRESSURE_OK);
    assert_int_equal(trail.n_points, 1); /* a quarter of an hour ago is not before the kill */
}

static void
hostile_figures_wrap_nothing(void **state)
{
    MemoryTrail trail = {0};
    RoleTable roles = beside(G_MAXUINT64);
    MemorySample memory = sample_at(S, G_MAXUINT64);

    memory.rss_anon_bytes = memory.rss_shmem_bytes = memory.kinds.kernel_bytes = G_MAXUINT64;
    memory.guest_ram_bytes = G_MAXUINT64;
    for (guint is_shared = 0; is_shared < 2; is_shared++) {
        memory.guest_ram_is_shared = is_shared;
        memory.at_us += S;
        memory_trail_add(&trail, &memory, &roles, PRESSURE_OK);
        assert_int_equal(trail.points[is_shared].rest_bytes, 0);
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(periods_s) + 4] = {
        cmocka_unit_test(who_grew_is_seen),
        cmocka_unit_test(what_nobody_is_known_to_hold_is_the_rest),
        cmocka_unit_test(a_reading_counts_once_and_a_gap_is_no_trail),
        cmocka_unit_test(hostile_figures_wrap_nothing),
    };
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < G_N_ELEMENTS(periods_s); i++) {
        char *name = g_strdup_printf("a reading each %d s: the last minutes are kept, the last "
                                     "seconds finer",
                                     (int)periods_s[i]);

        g_ptr_array_add(names, name);
        tests[4 + i] =
            t_row(name, the_last_minutes_are_kept_and_the_last_seconds_finer, &periods_s[i]);
    }
    return cmocka_run_group_tests_name("memory-trail", tests, NULL, NULL);
}
