/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "limits-plan.h"

#include <string.h>

#define MIB ((guint64)1024 * 1024)

/* A container in a pod in kubepods: 2048 MiB for a guest of which 500 MiB are untouched; a stranger
 * took its share, so that 100 MiB are missing. */
#define CONTAINER                                                                                  \
    {                                                                                              \
        .limit_bytes = 2048 * MIB, .has_unreclaimable = true, .unreclaimable_bytes = 1648 * MIB,   \
        .is_own = true, .original_bytes = 2048 * MIB                                               \
    }
#define POD                                                                                        \
    {                                                                                              \
        .limit_bytes = 2108 * MIB, .has_unreclaimable = true, .unreclaimable_bytes = 1658 * MIB,   \
        .is_own = true, .original_bytes = 2108 * MIB                                               \
    }
#define ROOMY_POD                                                                                  \
    {                                                                                              \
        .limit_bytes = 2222 * MIB, .has_unreclaimable = true, .unreclaimable_bytes = 1658 * MIB,   \
        .is_own = true, .original_bytes = 2222 * MIB                                               \
    }
#define KUBEPODS(limit)                                                                            \
    {                                                                                              \
        .limit_bytes = (limit)*MIB, .has_unreclaimable = true, .unreclaimable_bytes = 9000 * MIB,  \
        .original_bytes = (limit)*MIB                                                              \
    }
/* left and max in bytes; have in MiB, 0 unknown */
#define DOOMED(left, max, have)                                                                    \
    .has_left = true, .guest_left_low_bytes = (left), .guest_left_bytes = (left),                  \
    .margin_bytes = 64 * MIB, .raise_max_bytes = (max), .has_available = (have) > 0,               \
    .available_bytes = (have)*MIB, .reserve_bytes = 512 * MIB
#define USUAL DOOMED(500 * MIB, 1024 * MIB, 4096)

typedef struct {
    const char *name;
    LimitsInput input;
    guint n_steps;
    LimitsStep steps[3];
    const char *refusal; /* part of it */
} Row;

static const Row rows[] = {
    {"the pod is raised before its container, both to what suffices",
     {.levels = {CONTAINER, POD, KUBEPODS(20000)}, .n_levels = 3, USUAL},
     2,
     {{1, 2108 * MIB, 2222 * MIB}, {0, 2048 * MIB, 2212 * MIB}},
     NULL},
    {"a VM with room is left alone",
     {.levels = {CONTAINER, POD}, .n_levels = 2, DOOMED(300 * MIB, 1024 * MIB, 4096)},
     0,
     {{0}},
     NULL},
    {"a VM that has room, but not the margin, is left alone",
     {.levels = {CONTAINER, POD}, .n_levels = 2, DOOMED(400 * MIB, 1024 * MIB, 4096)},
     0,
     {{0}},
     NULL},
    {"only the group that is too small is raised",
     {.levels = {CONTAINER, ROOMY_POD}, .n_levels = 2, USUAL},
     1,
     {{0, 2048 * MIB, 2212 * MIB}},
     NULL},
    {"a VM that may have room is left alone",
     {.levels = {CONTAINER, POD},
      .n_levels = 2,
      .has_left = true,
      .guest_left_low_bytes = 400 * MIB,
      .guest_left_bytes = 500 * MIB},
     0,
     {{0}},
     NULL},
    {"one that is lost gets what certainly suffices",
     {.levels = {CONTAINER},
      .n_levels = 1,
      .has_left = true,
      .guest_left_low_bytes = 401 * MIB,
      .guest_left_bytes = 500 * MIB,
      .margin_bytes = 64 * MIB,
      .raise_max_bytes = 1024 * MIB,
      .has_available = true,
      .available_bytes = 4096 * MIB},
     1,
     {{0, 2048 * MIB, 2212 * MIB}},
     NULL},
    {"a limit is rounded up to pages",
     {.levels = {CONTAINER}, .n_levels = 1, DOOMED(500 * MIB + 1, 1024 * MIB, 4096)},
     1,
     {{0, 2048 * MIB, 2212 * MIB + 4096}},
     NULL},
    {"growth beside a full guest gets what it grows to before the next write",
     {.levels = {CONTAINER, POD},
      .n_levels = 2,
      .growth_bytes = 450 * MIB,
      DOOMED(0, 1024 * MIB, 4096)},
     2,
     {{1, 2108 * MIB, 2172 * MIB}, {0, 2048 * MIB, 2162 * MIB}},
     NULL},
    {"growth that is held until the next write is left alone",
     {.levels = {CONTAINER, POD},
      .n_levels = 2,
      .growth_bytes = 400 * MIB,
      DOOMED(0, 1024 * MIB, 4096)},
     0,
     {{0}},
     NULL},
    {"growth past the cap is a leak, and is not fed",
     {.levels = {CONTAINER},
      .n_levels = 1,
      .growth_bytes = 4096 * MIB,
      DOOMED(0, 1024 * MIB, 16384)},
     0,
     {{0}},
     "limits_raise_max"},
    {"growth of one does not raise what others share",
     {.levels = {CONTAINER, KUBEPODS(9400)},
      .n_levels = 2,
      .growth_bytes = 450 * MIB,
      DOOMED(0, 1024 * MIB, 4096)},
     0,
     {{0}},
     "other VMs share"},
    {"without any limit nothing is to be done", {.n_levels = 0, USUAL}, 0, {{0}}, NULL},
    {"a group that others share is never raised",
     {.levels = {CONTAINER, POD, KUBEPODS(9400)}, .n_levels = 3, USUAL},
     0,
     {{0}},
     "other VMs share"},
    {"never above the cap",
     {.levels = {CONTAINER, POD}, .n_levels = 2, DOOMED(500 * MIB, 100 * MIB, 4096)},
     0,
     {{0}},
     "limits_raise_max"},
    {"the cap counts from the original limit, or a leak is fed for ever",
     {.levels = {{.limit_bytes = 2048 * MIB,
                  .has_unreclaimable = true,
                  .unreclaimable_bytes = 1648 * MIB,
                  .is_own = true,
                  .original_bytes = 1100 * MIB}},
      .n_levels = 1,
      USUAL},
     0,
     {{0}},
     "limits_raise_max"},
    {"never above what the host can give",
     {.levels = {CONTAINER, POD}, .n_levels = 2, DOOMED(500 * MIB, 1024 * MIB, 1075)},
     0,
     {{0}},
     "host could not back"},
    {"what the host can just give",
     {.levels = {CONTAINER, POD}, .n_levels = 2, DOOMED(500 * MIB, 1024 * MIB, 1076)},
     2,
     {{1, 2108 * MIB, 2222 * MIB}, {0, 2048 * MIB, 2212 * MIB}},
     NULL},
    {"an unknown host gives nothing",
     {.levels = {CONTAINER}, .n_levels = 1, DOOMED(500 * MIB, 1024 * MIB, 0)},
     0,
     {{0}},
     "host could not back"},
    {"an unknown guest is not guessed",
     {.levels = {CONTAINER}, .n_levels = 1},
     0,
     {{0}},
     "not known how much"},
    {"an unknown charge is not guessed",
     {.levels = {{.limit_bytes = 1, .is_own = true}}, .n_levels = 1, USUAL},
     0,
     {{0}},
     "not known what"},
    {"numbers past all bounds do not wrap",
     {.levels = {CONTAINER}, .n_levels = 1, DOOMED(G_MAXUINT64, 1024 * MIB, 4096)},
     0,
     {{0}},
     "limits_raise_max"},
    {"asked for more, the pod follows by what is missing",
     {.levels = {CONTAINER, POD},
      .n_levels = 2,
      USUAL,
      .has_wanted = true,
      .wanted_bytes = 2400 * MIB},
     2,
     {{1, 2108 * MIB, 2410 * MIB}, {0, 2048 * MIB, 2400 * MIB}},
     NULL},
    {"asked for less, the container alone is lowered",
     {.levels = {CONTAINER, POD},
      .n_levels = 2,
      USUAL,
      .has_wanted = true,
      .wanted_bytes = 1712 * MIB},
     1,
     {{0, 2048 * MIB, 1712 * MIB}},
     NULL},
    {"but never below what it holds and the margin",
     {.levels = {CONTAINER, POD},
      .n_levels = 2,
      USUAL,
      .has_wanted = true,
      .wanted_bytes = 1711 * MIB},
     0,
     {{0}},
     "that kills"},
    {"asked for what it has, nothing is to be done",
     {.levels = {CONTAINER}, .n_levels = 1, USUAL, .has_wanted = true, .wanted_bytes = 2048 * MIB},
     0,
     {{0}},
     NULL},
    {"nobody's wish changes a shared group",
     {.levels = {KUBEPODS(9500)},
      .n_levels = 1,
      USUAL,
      .has_wanted = true,
      .wanted_bytes = 9600 * MIB},
     0,
     {{0}},
     "no group of the VM's own"},
};

static void
plan_is(void **state)
{
    const Row *row = *state;
    LimitsPlan plan = limits_plan(&row->input);

    if (row->refusal && (!plan.refusal || !strstr(plan.refusal, row->refusal)))
        fail_msg("the refusal is %s", plan.refusal);
    if (!row->refusal && plan.refusal)
        fail_msg("it is refused: %s", plan.refusal);
    if (row->refusal)
        return;
    assert_int_equal(plan.n_steps, row->n_steps);
    for (guint i = 0; i < row->n_steps; i++) {
        assert_int_equal(plan.steps[i].level, row->steps[i].level);
        assert_int_equal(plan.steps[i].old_bytes, row->steps[i].old_bytes);
        assert_int_equal(plan.steps[i].new_bytes, row->steps[i].new_bytes);
    }
}

/* A plan that was carried out leaves nothing to plan. */
static void
a_plan_is_sufficient_at_once(void **state)
{
    LimitsInput input = rows[0].input;
    LimitsPlan plan = limits_plan(&input);

    for (guint i = 0; i < plan.n_steps; i++)
        input.levels[plan.steps[i].level].limit_bytes = plan.steps[i].new_bytes;
    assert_int_equal(limits_plan(&input).n_steps, 0);
    assert_null(limits_plan(&input).refusal);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, plan_is, &rows[i]);
    tests[G_N_ELEMENTS(rows)] = (struct CMUnitTest)cmocka_unit_test(a_plan_is_sufficient_at_once);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
