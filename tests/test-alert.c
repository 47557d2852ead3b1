/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is told what, and when, in virtual time. */

#include "t.h"

#include "alert.h"

#define S ((gint64)G_USEC_PER_SEC)

static const Verdict frozen = {.state = STATE_FROZEN, .layer = LAYER_BLOCK_PATH, .has_alert = true};
static const Verdict paged = {
    .state = STATE_FROZEN, .layer = LAYER_BLOCK_PATH, .has_alert = true, .is_paged = true};
static const Verdict well = {.state = STATE_OK};

typedef struct {
    Alerts *alerts;
    gint64 now_us;
    guint raised, paged, reminded, closed;
    guint largest;    /* alerts in one piece of news */
    char storage[32]; /* of the last grouped news */
} Desk;

static int
desk_begin(void **state)
{
    Desk *desk = g_new0(Desk, 1);

    desk->alerts = alerts_new();
    desk->now_us = 1000 * S;
    *state = desk;
    return 0;
}

static int
desk_end(void **state)
{
    Desk *desk = *state;

    alerts_free(desk->alerts);
    g_free(desk);
    return 0;
}

static void
desk_report(Desk *desk, guint vm, const char *storage, const Verdict *verdict)
{
    char key[32], name[32];
    Alert identity = {
        .key = key, .vm = name, .disk = (char *)"virtio0", .storage = (char *)storage};

    g_snprintf(key, sizeof key, "%u/virtio0", vm);
    g_snprintf(name, sizeof name, "vm%u", vm);
    alerts_update(desk->alerts, &identity, verdict, desk->now_us);
}

static void
desk_listen(Desk *desk)
{
    g_autoptr(GPtrArray) news = alerts_take_news(desk->alerts, desk->now_us);

    for (guint i = 0; i < news->len; i++) {
        const AlertNews *item = news->pdata[i];

        desk->raised += item->kind == ALERT_RAISED;
        desk->paged += item->kind == ALERT_PAGED;
        desk->reminded += item->kind == ALERT_REMINDED;
        desk->closed += item->kind == ALERT_CLOSED;
        desk->largest = MAX(desk->largest, item->alerts->len);
        if (item->storage)
            g_strlcpy(desk->storage, item->storage, sizeof desk->storage);
    }
}

/* One VM says the same for so long, every 2 s. */
static void
desk_pass(Desk *desk, const Verdict *verdict, gint64 for_us)
{
    gint64 until = desk->now_us + for_us;

    while (desk->now_us < until) {
        desk->now_us += 2 * S;
        desk_report(desk, 1, "nbd:a", verdict);
        desk_listen(desk);
    }
}

static void
told_once_paged_once_closed_once(void **state)
{
    Desk *desk = *state;

    desk_pass(desk, &well, 60 * S);
    desk_pass(desk, &frozen, 60 * S);
    assert_int_equal(desk->raised, 1);
    assert_int_equal(desk->paged, 0);
    desk_pass(desk, &paged, 60 * S);
    desk_pass(desk, &well, 60 * S);
    assert_int_equal(desk->raised, 1);
    assert_int_equal(desk->paged, 1);
    assert_int_equal(desk->closed, 1);
    assert_int_equal(desk->reminded, 0);
    assert_int_equal(desk->largest, 1);
}

static void
a_day_has_four_reminders(void **state)
{
    Desk *desk = *state;

    desk_pass(desk, &paged, 24 * 3600 * S);
    assert_int_equal(desk->raised, 1);
    assert_int_equal(desk->reminded, 3); /* after 10 min, 1 h and 6 h more */
    assert_int_equal(desk->closed, 0);
}

static void
sixty_four_vms_of_one_storage_are_one_piece_of_news(void **state)
{
    Desk *desk = *state;

    for (guint tick = 0; tick < 60; tick++) {
        desk->now_us += S;
        for (guint vm = 0; vm < 64; vm++) /* named within two seconds of each other */
            if (tick >= vm % 3)
                desk_report(desk, vm, "nbd:a", &frozen);
        desk_report(desk, 99, "nbd:b", &well);
        desk_listen(desk);
    }
    assert_int_equal(desk->raised, 1);
    assert_int_equal(desk->largest, 64);
    assert_string_equal(desk->storage, "nbd:a");
    for (guint vm = 0; vm < 64; vm++)
        desk_report(desk, vm, "nbd:a", &well);
    desk->now_us += 10 * S;
    desk_listen(desk);
    assert_int_equal(desk->closed, 1);
}

static void
another_storage_is_another_piece_of_news(void **state)
{
    Desk *desk = *state;

    for (guint tick = 0; tick < 10; tick++) {
        desk->now_us += S;
        desk_report(desk, 1, "nbd:a", &frozen);
        desk_report(desk, 2, "nbd:a", &frozen);
        desk_report(desk, 3, "nbd:b", &frozen);
        desk_report(desk, 4, NULL, &frozen);
        desk_report(desk, 5, NULL, &frozen);
        desk_listen(desk);
    }
    assert_int_equal(desk->raised, 4);
    assert_int_equal(desk->largest, 2);
}

static void
flapping_for_an_hour_is_one_line_a_state(void **state)
{
    Desk *desk = *state;

    desk_pass(desk, &frozen, 10 * S);
    for (guint i = 0; i < 3600; i++) {
        desk->now_us += S;
        desk_report(desk, 1, NULL, i % 2 ? &frozen : &well);
        desk_listen(desk);
    }
    desk_pass(desk, &well, 600 * S);
    assert_int_equal(desk->raised, 1);
    assert_int_equal(desk->closed, 1);
    assert_in_range(desk->reminded, 0, 2);
}

static void
a_restart_repeats_and_loses_nothing(void **state)
{
    Desk *desk = *state;
    Alert saved = {.key = (char *)"1/virtio0",
                   .vm = (char *)"vm1",
                   .disk = (char *)"virtio0",
                   .cause = "",
                   .is_paged = true};

    alerts_restore(desk->alerts, &saved, desk->now_us);
    desk_pass(desk, &well, 20 * S); /* the new guardian is young and knows nothing yet */
    assert_int_equal(desk->closed, 0);
    desk_pass(desk, &paged, 120 * S);
    assert_int_equal(desk->raised, 0);
    assert_int_equal(desk->paged, 0);
    desk_pass(desk, &well, 60 * S);
    assert_int_equal(desk->closed, 1);
}

static void
what_healed_while_nobody_looked_is_closed(void **state)
{
    Desk *desk = *state;
    Alert saved = {.key = (char *)"1/virtio0", .vm = (char *)"vm1", .cause = ""};

    alerts_restore(desk->alerts, &saved, desk->now_us);
    desk_pass(desk, &well, 120 * S);
    assert_int_equal(desk->raised, 0);
    assert_int_equal(desk->closed, 1);
}

static void
what_is_over_before_it_is_told_is_no_news(void **state)
{
    Desk *desk = *state;

    desk_pass(desk, &frozen, 2 * S);
    desk_pass(desk, &well, 60 * S);
    assert_int_equal(desk->raised + desk->closed, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define desk_test(f) cmocka_unit_test_setup_teardown(f, desk_begin, desk_end)
        desk_test(told_once_paged_once_closed_once),
        desk_test(a_day_has_four_reminders),
        desk_test(sixty_four_vms_of_one_storage_are_one_piece_of_news),
        desk_test(another_storage_is_another_piece_of_news),
        desk_test(flapping_for_an_hour_is_one_line_a_state),
        desk_test(a_restart_repeats_and_loses_nothing),
        desk_test(what_healed_while_nobody_looked_is_closed),
        desk_test(what_is_over_before_it_is_told_is_no_news),
    };

    return cmocka_run_group_tests_name("alert", tests, NULL, NULL);
}
