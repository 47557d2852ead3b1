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

/* Each row departs from a plan that may be carried out. */
typedef struct {
    const char *name;
    ActFacts facts;
    ActLeave leave;
} LeaveRow;

#define MAY .is_enforced = true, .n_writes = 2, .budget_vm = 6, .budget_host = 60
#define COOLING .has_last = true, .since_last_us = 9, .cool_down_us = 10

static const LeaveRow leave_rows[] = {
    {"a quiet VM that may be written to is", {MAY}, LEAVE_GO},
    {"observe comes before everything",
     {.is_suspect = true, .is_busy = true, .has_failed = true},
     LEAVE_OBSERVE},
    {"a suspect VM is not written to", {MAY, .is_suspect = true}, LEAVE_SUSPECT},
    {"nor by an administrator", {.is_commanded = true, .is_suspect = true}, LEAVE_SUSPECT},
    {"one plan at a time", {MAY, .is_busy = true}, LEAVE_BUSY},
    {"also an administrator's", {.is_commanded = true, .is_busy = true}, LEAVE_BUSY},
    {"a write that failed is not tried again", {MAY, .has_failed = true}, LEAVE_FAILED},
    {"two writes in vain are tried once more", {MAY, .n_vain = 2}, LEAVE_GO},
    {"three are enough", {MAY, .n_vain = 3}, LEAVE_VAIN},
    {"what was taken back stays so", {MAY, .is_taken_back = true}, LEAVE_TAKEN_BACK},
    {"an open breaker", {MAY, .is_tripped = true}, LEAVE_TRIPPED},
    {"cooling down", {MAY, COOLING}, LEAVE_COOL_DOWN},
    {"cooled down", {MAY, .has_last = true, .since_last_us = 10, .cool_down_us = 10}, LEAVE_GO},
    {"the last writes of the budget", {MAY, .written_vm = 4, .written_host = 58}, LEAVE_GO},
    {"one more than the VM's budget", {MAY, .written_vm = 5}, LEAVE_BUDGET_VM},
    {"one more than the host's budget", {MAY, .written_host = 59}, LEAVE_BUDGET_HOST},
    {"a budget that was lowered meanwhile", {MAY, .written_vm = 9}, LEAVE_BUDGET_VM},
    {"by hand none of these counts",
     {.is_commanded = true,
      COOLING,
      .n_writes = 2,
      .written_vm = 9,
      .is_tripped = true,
      .has_failed = true,
      .n_vain = 9,
      .is_taken_back = true},
     LEAVE_GO},
};

static void
leave_is_given(void **state)
{
    const LeaveRow *row = *state;

    assert_int_equal(decide_act(&row->facts), row->leave);
    assert_int_equal(*act_leave_reason(row->leave) == '\0', row->leave == LEAVE_GO);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(leave_rows)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, step_is_taken, &rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(leave_rows); i++)
        tests[G_N_ELEMENTS(rows) + i] = t_row(leave_rows[i].name, leave_is_given, &leave_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
