/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "decide.h"

typedef struct {
    const char *name;
    Verdict before, after;
    AlertStep step;
} Row;

static const Row rows[] = {
    {"nothing new is no step", {.has_alert = false}, {.has_alert = false}, ALERT_NONE},
    {"a suspicion is no step", {.state = STATE_OK}, {.state = STATE_SUSPECT}, ALERT_NONE},
    {"a freeze that is named opens",
     {.state = STATE_SUSPECT},
     {.state = STATE_FROZEN, .has_alert = true},
     ALERT_OPEN},
    {"a freeze that is named and paged at once opens",
     {.state = STATE_SUSPECT},
     {.state = STATE_FROZEN, .has_alert = true, .is_paged = true},
     ALERT_OPEN},
    {"a freeze that goes on is no step",
     {.state = STATE_FROZEN, .has_alert = true},
     {.state = STATE_FROZEN, .has_alert = true},
     ALERT_NONE},
    {"a freeze that becomes urgent pages",
     {.state = STATE_FROZEN, .has_alert = true},
     {.state = STATE_FROZEN, .has_alert = true, .is_paged = true},
     ALERT_PAGE},
    {"a freeze that stays urgent is no step",
     {.state = STATE_FROZEN, .has_alert = true, .is_paged = true},
     {.state = STATE_FROZEN, .has_alert = true, .is_paged = true},
     ALERT_NONE},
    {"not knowing any more is no step",
     {.state = STATE_FROZEN, .has_alert = true, .is_paged = true},
     {.state = STATE_UNKNOWN, .has_alert = true},
     ALERT_NONE},
    {"progress closes",
     {.state = STATE_FROZEN, .has_alert = true, .is_paged = true},
     {.state = STATE_OK},
     ALERT_CLOSE},
};

static void
step_is_taken(void **state)
{
    const Row *row = *state;

    assert_int_equal(decide_alert(&row->before, &row->after), row->step);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, step_is_taken, &rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
