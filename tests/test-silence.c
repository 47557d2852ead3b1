/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "silence.h"

#include <string.h>

#define SECOND_US ((gint64)G_USEC_PER_SEC)
#define HOUR_US (3600 * SECOND_US)
#define NOON_US (1000000 * HOUR_US)

static Alert
alert_of(const char *vm, Layer layer, const char *cause)
{
    return (Alert){.key = (char *)vm, .vm = (char *)vm, .layer = layer, .cause = cause};
}

static Silence
silence_of(SilenceKind kind, const char *subject, gint64 for_us)
{
    return (Silence){.kind = kind,
                     .subject = (char *)subject,
                     .why = (char *)"storage is moved",
                     .from_us = NOON_US,
                     .until_us = NOON_US + for_us};
}

static void
a_silence_is_of_its_vm_only(void **state)
{
    g_autoptr(GPtrArray) silences = silences_new();
    Silence silence = silence_of(SILENCE_VM, "web", HOUR_US);
    Alert web = alert_of("web", LAYER_STORAGE, "device-stuck");
    Alert web2 = alert_of("web2", LAYER_STORAGE, "device-stuck");
    Alert odd = alert_of("storage", LAYER_STORAGE, "web");

    assert_true(silences_add(silences, &silence));
    assert_non_null(silences_of(silences, &web));
    assert_string_equal(silences_of(silences, &web)->why, "storage is moved");
    assert_null(silences_of(silences, &web2));
    assert_null(silences_of(silences, &odd)); /* a VM's silence is of no cause */
}

static void
a_silence_is_of_its_cause_or_layer_only(void **state)
{
    g_autoptr(GPtrArray) silences = silences_new();
    Silence cause = silence_of(SILENCE_CAUSE, "pause-loop", HOUR_US);
    Silence layer = silence_of(SILENCE_CAUSE, "throttle", HOUR_US);
    Alert loop = alert_of("web", LAYER_NOT_RUNNING, "pause-loop");
    Alert reset = alert_of("web", LAYER_NOT_RUNNING, "reset-loop");
    Alert slow = alert_of("web", LAYER_THROTTLE, "throttle-bound");
    Alert called_so = alert_of("pause-loop", LAYER_STORAGE, "");

    assert_true(silences_add(silences, &cause));
    assert_true(silences_add(silences, &layer));
    assert_non_null(silences_of(silences, &loop));
    assert_non_null(silences_of(silences, &slow));
    assert_null(silences_of(silences, &reset));
    assert_null(silences_of(silences, &called_so));
}

static void
a_silence_ends(void **state)
{
    g_autoptr(GPtrArray) silences = silences_new();
    Silence two = silence_of(SILENCE_VM, "web", 2 * HOUR_US);
    Silence one = silence_of(SILENCE_VM, "db", HOUR_US);
    Alert web = alert_of("web", LAYER_STORAGE, "");
    Alert db = alert_of("db", LAYER_STORAGE, "");

    assert_int_equal(silences_next_us(silences), G_MAXINT64);
    assert_true(silences_add(silences, &two));
    assert_true(silences_add(silences, &one));
    assert_int_equal(silences_next_us(silences), NOON_US + HOUR_US);
    assert_false(silences_expire(silences, NOON_US + HOUR_US - 1));
    assert_non_null(silences_of(silences, &db));
    assert_true(silences_expire(silences, NOON_US + HOUR_US));
    assert_null(silences_of(silences, &db));
    assert_non_null(silences_of(silences, &web));
}

static void
a_clock_set_back_ends_it(void **state)
{
    g_autoptr(GPtrArray) silences = silences_new();
    Silence silence = silence_of(SILENCE_VM, "web", HOUR_US);

    assert_true(silences_add(silences, &silence));
    assert_true(silences_expire(silences, NOON_US - 365 * 24 * HOUR_US));
    assert_int_equal(silences->len, 0);
}

static void
a_new_silence_takes_the_place_of_the_old(void **state)
{
    g_autoptr(GPtrArray) silences = silences_new();
    Silence silence = silence_of(SILENCE_VM, "web", HOUR_US);

    assert_true(silences_add(silences, &silence));
    silence.until_us = NOON_US + 5 * SECOND_US;
    assert_true(silences_add(silences, &silence));
    assert_int_equal(silences->len, 1);
    assert_int_equal(silences_next_us(silences), NOON_US + 5 * SECOND_US);
    assert_true(silences_remove(silences, "web"));
    assert_false(silences_remove(silences, "web"));
}

static void
silences_are_bounded(void **state)
{
    g_autoptr(GPtrArray) silences = silences_new();

    for (guint i = 0; i <= SILENCES_MAX; i++) {
        g_autofree char *vm = g_strdup_printf("vm%u", i);
        Silence silence = silence_of(SILENCE_VM, vm, HOUR_US);

        assert_int_equal(silences_add(silences, &silence), i < SILENCES_MAX);
    }
    assert_int_equal(silences->len, SILENCES_MAX);
}

static void
only_words_of_alerts_are_causes(void **state)
{
    static const char *const good[] = {
        "storage", "main-loop-blocked", "memory",     "pause-loop", "cgroup-frozen",
        "doomed",  "oom-imminent",      "oom-killed", "livelock",   "act-failed"};

    for (guint i = 0; i < G_N_ELEMENTS(good); i++)
        assert_true(silence_is_cause(good[i]));
    assert_false(silence_is_cause("none"));
    assert_false(silence_is_cause("unknown"));
    assert_false(silence_is_cause("stroage"));
    assert_false(silence_is_cause(""));
}

/* With alerts: what is quiet is told to nobody, and told once it is not. */

static void
update(Alerts *alerts, const char *vm, bool has_alert, bool is_paged, gint64 now_us)
{
    Alert identity = alert_of(vm, LAYER_NONE, "");
    Verdict verdict = {.state = has_alert ? STATE_FROZEN : STATE_OK,
                       .layer = has_alert ? LAYER_STORAGE : LAYER_NONE,
                       .cause = "",
                       .since_us = now_us,
                       .has_alert = has_alert,
                       .is_paged = is_paged};

    alerts_update(alerts, &identity, &verdict, now_us);
}

static void
set_quiet(Alerts *alerts, const char *vm, bool is_quiet)
{
    g_autoptr(GPtrArray) open = alerts_open(alerts);

    for (guint i = 0; i < open->len; i++) {
        Alert *alert = open->pdata[i];

        if (strcmp(alert->vm, vm) == 0)
            alert->is_quiet = is_quiet;
    }
}

/* "raised web, paged web, raised db" */
static char *
told(Alerts *alerts, gint64 now_us)
{
    g_autoptr(GPtrArray) news = alerts_take_news(alerts, now_us);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < news->len; i++) {
        const AlertNews *one = news->pdata[i];

        g_string_append_printf(text, "%s%s %s", i > 0 ? ", " : "", alert_kind_name(one->kind),
                               ((const Alert *)one->alerts->pdata[0])->vm);
    }
    return g_string_free(text, FALSE);
}

#define assert_told(alerts, now_us, expected)                                                      \
    do {                                                                                           \
        g_autofree char *text = told(alerts, now_us);                                              \
                                                                                                   \
        assert_string_equal(text, expected);                                                       \
    } while (0)

static void
what_is_quiet_is_told_when_it_is_not_any_more(void **state)
{
    g_autoptr(Alerts) alerts = alerts_new();

    update(alerts, "web", true, true, SECOND_US);
    update(alerts, "db", true, true, SECOND_US);
    set_quiet(alerts, "web", true);
    update(alerts, "web", true, true, 10 * SECOND_US);
    update(alerts, "db", true, true, 10 * SECOND_US);
    assert_told(alerts, 10 * SECOND_US, "raised db, paged db");
    assert_told(alerts, 9000 * SECOND_US, "reminded db");
    assert_int_not_equal(alerts_next_us(alerts), 0);
    assert_true(alerts_next_us(alerts) > 9000 * SECOND_US); /* no timer that spins for web */
    set_quiet(alerts, "web", false);
    assert_told(alerts, 9010 * SECOND_US, "raised web, paged web");
}

static void
what_ends_while_it_is_quiet_was_never_told(void **state)
{
    g_autoptr(Alerts) alerts = alerts_new();

    update(alerts, "web", true, true, SECOND_US);
    set_quiet(alerts, "web", true);
    update(alerts, "web", false, false, 100 * SECOND_US);
    assert_told(alerts, 200 * SECOND_US, "");
}

static void
what_was_told_is_closed_although_it_is_quiet(void **state)
{
    g_autoptr(Alerts) alerts = alerts_new();

    update(alerts, "web", true, true, SECOND_US);
    update(alerts, "web", true, true, 10 * SECOND_US);
    assert_told(alerts, 10 * SECOND_US, "raised web, paged web");
    set_quiet(alerts, "web", true);
    assert_told(alerts, 9000 * SECOND_US, "");
    update(alerts, "web", false, false, 9010 * SECOND_US);
    assert_told(alerts, 9100 * SECOND_US, "closed web");
}

static void
what_is_acknowledged_is_not_reminded_of(void **state)
{
    g_autoptr(Alerts) alerts = alerts_new();

    update(alerts, "web", true, false, SECOND_US);
    update(alerts, "db", true, false, SECOND_US);
    assert_told(alerts, 10 * SECOND_US, "raised web, raised db");
    assert_int_equal(alerts_acknowledge(alerts, "web"), 1);
    assert_int_equal(alerts_acknowledge(alerts, "web"), 0);
    assert_int_equal(alerts_acknowledge(alerts, "nobody"), 0);
    update(alerts, "web", true, true, 20 * SECOND_US);
    update(alerts, "db", true, true, 20 * SECOND_US);
    assert_told(alerts, 20 * SECOND_US, "paged db");
    assert_told(alerts, 9000 * SECOND_US, "reminded db");
    update(alerts, "web", false, false, 9010 * SECOND_US);
    assert_told(alerts, 9020 * SECOND_US, "closed web");
    update(alerts, "web", true, true, 9030 * SECOND_US); /* it is another alert */
    assert_told(alerts, 9040 * SECOND_US, "raised web, paged web");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silence_is_of_its_vm_only),
        cmocka_unit_test(a_silence_is_of_its_cause_or_layer_only),
        cmocka_unit_test(a_silence_ends),
        cmocka_unit_test(a_clock_set_back_ends_it),
        cmocka_unit_test(a_new_silence_takes_the_place_of_the_old),
        cmocka_unit_test(silences_are_bounded),
        cmocka_unit_test(only_words_of_alerts_are_causes),
        cmocka_unit_test(what_is_quiet_is_told_when_it_is_not_any_more),
        cmocka_unit_test(what_ends_while_it_is_quiet_was_never_told),
        cmocka_unit_test(what_was_told_is_closed_although_it_is_quiet),
        cmocka_unit_test(what_is_acknowledged_is_not_reminded_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
