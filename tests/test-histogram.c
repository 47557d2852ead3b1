/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The decaying histogram, and the reservation decided from it. */

#include "t.h"

#include "reservation.h"
#include "units.h"

#include <string.h>

#define MIB(n) ((guint64)(n)*UNITS_MIB)
#define DAY 86400
/* 2026-01-01 */
#define START_S G_GINT64_CONSTANT(1767225600)

static void
an_empty_histogram_says_nothing(void **state)
{
    Histogram histogram = {0}, back;
    g_autofree char *text = histogram_format(&histogram);

    assert_int_equal(histogram_percentile(&histogram, 950), 0);
    assert_true(histogram_parse(text, START_S, &back));
    assert_int_equal(back.n_samples, 0);
}

/* No size is understated, nor overstated by more than a bucket. */
static void
every_size_has_its_bucket(void **state)
{
    for (guint64 bytes = 1; bytes < 64 * UNITS_GIB; bytes = bytes * 5 / 4 + 1) {
        Histogram histogram = {0};
        guint64 told;

        histogram_add(&histogram, bytes, START_S);
        told = histogram_percentile(&histogram, 950);
        assert_true(told >= bytes);
        assert_true(told <= bytes + bytes / 20 + 2 * UNITS_MIB);
    }
}

static void
a_percentile_leaves_the_rare_peak_out(void **state)
{
    Histogram histogram = {0};

    for (guint i = 0; i < 100; i++)
        histogram_add(&histogram, i == 50 ? MIB(900) : MIB(100), START_S + i * 600);
    assert_in_range(histogram_percentile(&histogram, 950), MIB(100), MIB(107));
    assert_in_range(histogram_percentile(&histogram, 1000), MIB(900), MIB(950));
}

/* Yesterday's size weighs half, last week's next to nothing. */
static void
what_is_old_fades(void **state)
{
    Histogram histogram = {0};

    for (guint i = 0; i < 144; i++)
        histogram_add(&histogram, MIB(900), START_S + i * 600);
    for (guint i = 0; i < 144; i++)
        histogram_add(&histogram, MIB(100), START_S + DAY + i * 600);
    assert_in_range(histogram_percentile(&histogram, 950), MIB(900), MIB(950));
    for (guint i = 0; i < 144 * 7; i++)
        histogram_add(&histogram, MIB(100), START_S + 2 * DAY + i * 600);
    assert_in_range(histogram_percentile(&histogram, 950), MIB(100), MIB(107));
}

/* Years later the weights still fit into a double. */
static void
weights_never_overflow(void **state)
{
    Histogram histogram = {0};

    for (guint i = 0; i < 4000; i++)
        histogram_add(&histogram, MIB(100), START_S + (gint64)i * DAY);
    assert_in_range(histogram_percentile(&histogram, 950), MIB(100), MIB(107));
    histogram_add(&histogram, MIB(900), START_S); /* a clock that was set back */
    assert_in_range(histogram_percentile(&histogram, 950), MIB(100), MIB(107));
}

static void
it_comes_back_as_it_was_written(void **state)
{
    Histogram histogram = {0}, back = {0};
    g_autofree char *text = NULL;

    for (guint i = 0; i < 300; i++)
        histogram_add(&histogram, MIB(40 + i), START_S + i * 600);
    text = histogram_format(&histogram);
    assert_true(histogram_parse(text, START_S + DAY * 30, &back));
    assert_int_equal(back.n_samples, 300);
    assert_int_equal(back.first_s, START_S);
    assert_int_equal(histogram_percentile(&back, 950), histogram_percentile(&histogram, 950));
    assert_int_equal(histogram_percentile(&back, 500), histogram_percentile(&histogram, 500));
    histogram_add(&back, MIB(900), back.last_s + DAY * 30);
    assert_in_range(histogram_percentile(&back, 950), MIB(900), MIB(950));
}

static void
what_is_not_a_histogram_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "2 1 1 1 3:1",
        "1 1 1",
        "1 5 1 1 3:1",
        "1 1 1 1 200:1",
        "1 1 1 1 3:1 2:1",
        "1 1 1 1 3:20000",
        "1 1 1 1 3:1x",
        "1 1 1 1 -3:1",
        "1 1 1 0 3:1",
        "1 1 1 1",
        "1 1 9999999999999 1 3:1",
        "1 1 99999999999999999999 1 3:1",
        "x",
        "1 1 1 1 3:1\n",
    };
    Histogram histogram = {.n_samples = 7};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        if (histogram_parse(texts[i], START_S, &histogram))
            fail_msg("taken: \"%s\"", texts[i]);
    assert_int_equal(histogram.n_samples, 7);
}

/* Every 5 s for so long. */
static gint64
follow_for(Reservation *reservation, gint64 from_s, gint64 for_s, guint mib)
{
    for (gint64 s = 0; s < for_s; s += 5)
        reservation_follow(reservation, MIB(mib), from_s + s);
    return from_s + for_s;
}

static Limits
limits_of(gint64 model)
{
    Limits limits;

    limits_init_defaults(&limits);
    limits.overhead_model = model;
    return limits;
}

static const ReservationVm small = {.configured_bytes = 2 * UNITS_GIB, .has_graphics = true};
static const ReservationVm unknown = {0};

static void
a_young_vm_is_reserved_for_by_the_table(void **state)
{
    Reservation reservation = {0};
    g_auto(Limits) limits = limits_of(OVERHEAD_MODEL_MEASURED);
    ReservationResult result;

    follow_for(&reservation, START_S, 1800, 700);
    result = reservation_decide(&reservation, &small, &limits);
    assert_int_equal(result.winner, CANDIDATE_TABLE);
    assert_int_equal(result.bytes, MIB(384));
    assert_non_null(result.candidates[CANDIDATE_MEASURED].problem);
}

static void
what_is_measured_wins_where_it_is_more(void **state)
{
    Reservation reservation = {0};
    g_auto(Limits) limits = limits_of(OVERHEAD_MODEL_MEASURED);
    ReservationResult result;
    guint64 after_a_day;

    follow_for(&reservation, START_S, DAY, 700);
    result = reservation_decide(&reservation, &small, &limits);
    assert_int_equal(result.winner, CANDIDATE_MEASURED);
    assert_int_equal(result.burst_bytes, 0);
    /* 700 x 1.15 x 1.1, and what a bucket is wide */
    assert_in_range(result.bytes, MIB(885), MIB(940));
    after_a_day = result.bytes;
    follow_for(&reservation, START_S + DAY, 9 * DAY, 700);
    result = reservation_decide(&reservation, &small, &limits);
    assert_true(result.bytes < after_a_day);
    assert_int_equal(result.confidence_thousandths, 1000);
}

static void
the_table_is_the_floor_and_the_policy_the_cap(void **state)
{
    Reservation reservation = {0};
    g_auto(Limits) limits = limits_of(OVERHEAD_MODEL_MEASURED);
    ReservationResult result;

    follow_for(&reservation, START_S, 2 * DAY, 60);
    result = reservation_decide(&reservation, &small, &limits);
    assert_int_equal(result.winner, CANDIDATE_TABLE);
    assert_int_equal(result.bytes, MIB(384));
    limits.overhead_cap_bytes = (gint64)MIB(300);
    result = reservation_decide(&reservation, &small, &limits);
    assert_int_equal(result.bytes, MIB(300));
}

/* 120 MiB within two minutes once in a day: the next one must fit, too; a week later it is
 * forgotten. A growth over an hour is no burst. */
static void
the_largest_burst_is_added(void **state)
{
    Reservation reservation = {0};
    gint64 now = follow_for(&reservation, START_S, 4 * 3600, 100);

    for (guint i = 0; i < 24; i++, now += 5)
        reservation_follow(&reservation, MIB(100 + 5 * i), now);
    now = follow_for(&reservation, now, 4 * 3600, 100);
    assert_in_range(reservation_burst(&reservation), MIB(110), MIB(120));
    now = follow_for(&reservation, now, 8 * DAY, 100);
    assert_int_equal(reservation_burst(&reservation), 0);
    for (guint i = 0; i < 720; i++, now += 5)
        reservation_follow(&reservation, MIB(100) + i * UNITS_MIB / 6, now);
    assert_in_range(reservation_burst(&reservation), MIB(8), MIB(12));
}

static void
every_model_answers_and_the_largest_can_win(void **state)
{
    Reservation reservation = {0};
    g_auto(Limits) limits = limits_of(OVERHEAD_MODEL_LARGEST);
    ReservationResult result;

    limits.reserved_memory_bytes = (gint64)MIB(100);
    result = reservation_decide(&reservation, &small, &limits);
    assert_int_equal(result.candidates[CANDIDATE_TABLE].bytes, MIB(384));
    /* 25 + 100 + 25 + 40 + 50 + 8 + 8 + 32 + 2 GiB / 512 */
    assert_int_equal(result.candidates[CANDIDATE_KUBEVIRT].bytes, MIB(292));
    /* 1365 MiB requested: (288 + 1365 / 512) x 1.5 */
    assert_int_equal(result.candidates[CANDIDATE_HARVESTER].bytes, MIB(532) + MIB(1365) * 3 / 1024);
    assert_int_equal(result.winner, CANDIDATE_HARVESTER);
    limits.overhead_model = OVERHEAD_MODEL_KUBEVIRT;
    assert_int_equal(reservation_decide(&reservation, &small, &limits).bytes, MIB(292));
    assert_int_equal(reservation_decide(&reservation, &unknown, &limits).winner, -1);
}

/* Each term hangs on what the VM has; two VMs of one size differ by it. */
static void
the_formula_is_asked_for_this_vm(void **state)
{
    static const struct {
        ReservationVm vm;
        guint64 kubevirt_mib, harvester_mib;
    } rows[] = {
        /* 25 + 100 + 25 + 40 + 50 + 8 + 8 + page tables of 2 GiB = 260; Harvester requests 1365
         * MiB: (256 + 2.666) x 1.5 */
        {{.vcpus = 1}, 260, 387},
        {{.vcpus = 16}, 380, 567},
        {{.has_graphics = true}, 292, 435},
        {{.has_host_device = true}, 1284, 1923},
        {{.has_tpm = true}, 313, 467},
        {{.has_sev = true}, 516, 771},
        {{.is_arm64 = true}, 388, 579},
        {{.is_guaranteed = true}, 360, 537},
        {{.vcpus = 4, .has_graphics = true, .has_tpm = true, .is_guaranteed = true}, 469, 701},
    };
    Reservation reservation = {0};
    g_auto(Limits) limits = limits_of(OVERHEAD_MODEL_KUBEVIRT);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        ReservationVm vm = rows[i].vm;
        ReservationResult result;

        vm.guest_bytes = 2 * UNITS_GIB;
        vm.configured_bytes = 3 * UNITS_GIB; /* the limit: the formula does not take it */
        result = reservation_decide(&reservation, &vm, &limits);
        assert_int_equal(result.bytes, MIB(rows[i].kubevirt_mib));
        assert_int_equal(result.candidates[CANDIDATE_HARVESTER].bytes / UNITS_MIB,
                         rows[i].harvester_mib);
        assert_int_equal(result.candidates[CANDIDATE_TABLE].bytes, MIB(384));
    }
}

static void
overcommit_lowers_the_page_tables_only(void **state)
{
    Reservation reservation = {0};
    g_auto(Limits) limits = limits_of(OVERHEAD_MODEL_KUBEVIRT);

    limits.kubevirt_overcommit_thousandths = 2000;
    assert_int_equal(reservation_decide(&reservation, &small, &limits).bytes, MIB(290));
    /* Harvester's own 1.5 gives way: (288 + 1024 / 512) x 1.5 */
    assert_int_equal(
        reservation_decide(&reservation, &small, &limits).candidates[CANDIDATE_HARVESTER].bytes,
        MIB(435));
}

static void
a_reservation_survives_a_restart(void **state)
{
    Reservation reservation = {0}, back = {0};
    g_auto(Limits) limits = limits_of(OVERHEAD_MODEL_MEASURED);
    gint64 now = follow_for(&reservation, START_S, DAY, 700);
    g_autofree char *text = NULL;

    reservation_follow(&reservation, MIB(790), now);
    now = follow_for(&reservation, now + 5, DAY, 700);
    text = reservation_format(&reservation);
    assert_true(reservation_parse(text, now, &back));
    assert_int_equal(reservation_burst(&back), MIB(90));
    assert_int_equal(reservation_decide(&back, &small, &limits).bytes,
                     reservation_decide(&reservation, &small, &limits).bytes);
    for (gsize cut = 0; cut + 1 < strlen(text); cut++) { /* torn in the middle: refused */
        g_autofree char *torn = g_strndup(text, cut);

        assert_false(reservation_parse(torn, now, &back));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_says_nothing),
        cmocka_unit_test(every_size_has_its_bucket),
        cmocka_unit_test(a_percentile_leaves_the_rare_peak_out),
        cmocka_unit_test(what_is_old_fades),
        cmocka_unit_test(weights_never_overflow),
        cmocka_unit_test(it_comes_back_as_it_was_written),
        cmocka_unit_test(what_is_not_a_histogram_is_refused),
        cmocka_unit_test(a_young_vm_is_reserved_for_by_the_table),
        cmocka_unit_test(what_is_measured_wins_where_it_is_more),
        cmocka_unit_test(the_table_is_the_floor_and_the_policy_the_cap),
        cmocka_unit_test(the_largest_burst_is_added),
        cmocka_unit_test(every_model_answers_and_the_largest_can_win),
        cmocka_unit_test(the_formula_is_asked_for_this_vm),
        cmocka_unit_test(overcommit_lowers_the_page_tables_only),
        cmocka_unit_test(a_reservation_survives_a_restart),
    };

    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
