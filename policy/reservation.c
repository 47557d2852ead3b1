/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reservation.h"

#include "units.h"

#include <string.h>

/* The recommender's upper bound is its 95th percentile, its margin 15 %. */
#define PERCENTILE_THOUSANDTHS 950
#define MARGIN_THOUSANDTHS 1150
/* Doubt is a tenth divided by the days of data: + 240 % after an hour, 10 % after a day, 1.4 %
 * after a week. The recommender's own, 1 by the day, is meant for whole containers and would ask
 * for twenty-five times the overhead after an hour. */
#define DOUBT_DAY 0.1
#define DAY_S 86400
#define WEEK_S (7 * DAY_S)
/* Before an hour of it has been seen nothing is said at all: a VM boots, and settles. */
#define YOUNG_S 3600
/* Harvester's additionalGuestMemoryOverheadRatio since 1.4, unless configured. */
#define HARVESTER_RATIO_THOUSANDTHS 1500
/* Harvester's overcommit-config, unless configured. */
#define HARVESTER_OVERCOMMIT_THOUSANDTHS 1500
#define ONE 1000

/* The least that was read within the reaction time. */
static guint64
least_reading(const Reservation *reservation, gint64 now_s, guint64 otherwise)
{
    guint64 least = otherwise;

    for (guint i = 0; i < reservation->n_readings; i++)
        if (now_s - reservation->readings[i].at_s <= RESERVATION_REACTION_S)
            least = MIN(least, reservation->readings[i].bytes);
    return least;
}

static void
burst_note(Reservation *reservation, guint64 bytes, gint64 at_s)
{
    gint64 day = at_s / DAY_S;
    guint64 *burst = &reservation->bursts_bytes[day % RESERVATION_DAYS];

    for (gint64 d = MAX(reservation->burst_day + 1, day - RESERVATION_DAYS + 1); d <= day; d++)
        reservation->bursts_bytes[d % RESERVATION_DAYS] = 0;
    reservation->burst_day = MAX(reservation->burst_day, day);
    *burst = MAX(*burst, bytes);
}

void
reservation_follow(Reservation *reservation, guint64 overhead_bytes, gint64 at_s)
{
    guint newest = (reservation->next_reading + RESERVATION_READINGS - 1) % RESERVATION_READINGS;

    if (at_s <= 0 || (reservation->n_readings > 0 && at_s <= reservation->readings[newest].at_s))
        return;
    burst_note(reservation, overhead_bytes - least_reading(reservation, at_s, overhead_bytes),
               at_s);
    reservation->readings[reservation->next_reading] = (ReservationReading){at_s, overhead_bytes};
    reservation->next_reading = (reservation->next_reading + 1) % RESERVATION_READINGS;
    reservation->n_readings = MIN(reservation->n_readings + 1, RESERVATION_READINGS);

    if (reservation->window_s == 0)
        reservation->window_s = at_s;
    if (at_s - reservation->window_s >= RESERVATION_WINDOW_S) {
        histogram_add(&reservation->peaks, reservation->window_peak_bytes, at_s);
        reservation->window_s = at_s;
        reservation->window_peak_bytes = 0;
    }
    reservation->window_peak_bytes = MAX(reservation->window_peak_bytes, overhead_bytes);
}

guint64
reservation_burst(const Reservation *reservation)
{
    guint64 burst = 0;

    for (guint i = 0; i < RESERVATION_DAYS; i++)
        burst = MAX(burst, reservation->bursts_bytes[i]);
    return burst;
}

static ReservationCandidate
measured_candidate(const Reservation *reservation, guint *ret_confidence)
{
    const Histogram *peaks = &reservation->peaks;
    gint64 age_s = peaks->last_s - peaks->first_s;
    ReservationCandidate candidate = {.name = "measured"};
    double days = (double)age_s / DAY_S, bytes;

    *ret_confidence = (guint)(MIN(age_s, WEEK_S) * 1000 / WEEK_S);
    if (peaks->n_samples == 0 || age_s < YOUNG_S - RESERVATION_WINDOW_S) {
        candidate.problem = "less than an hour was measured";
        return candidate;
    }
    bytes = (double)histogram_percentile(peaks, PERCENTILE_THOUSANDTHS) * MARGIN_THOUSANDTHS /
                1000 * (1 + DOUBT_DAY / days) +
            (double)reservation_burst(reservation);
    candidate.bytes = bytes < (double)G_MAXINT64 ? (guint64)bytes : G_MAXINT64;
    return candidate;
}

static ReservationCandidate
model_candidate(const char *name, const char *problem, const OverheadResult *result,
                guint64 added_bytes)
{
    ReservationCandidate candidate = {.name = name, .problem = problem};

    if (!problem)
        candidate.bytes = result->reserved_bytes + added_bytes;
    return candidate;
}

/* requests.memory: overcommit makes it less than what the guest has. */
static guint64
request_of(guint64 guest_bytes, gint64 overcommit_thousandths)
{
    guint64 divisor = (guint64)MAX(overcommit_thousandths, ONE);

    return guest_bytes / divisor * ONE + guest_bytes % divisor * ONE / divisor;
}

static void
models_ask(const ReservationVm *vm, const Limits *limits, ReservationCandidate *candidates)
{
    OverheadInput table = {.configured_bytes = vm->configured_bytes};
    guint64 guest_bytes = vm->guest_bytes > 0 ? vm->guest_bytes : vm->configured_bytes;
    gint64 overcommit_thousandths = limits->kubevirt_overcommit_thousandths;
    OverheadInput input = {.configured_bytes = guest_bytes,
                           .request_bytes = request_of(guest_bytes, overcommit_thousandths),
                           .kubevirt_version = (gint32)limits->kubevirt_version,
                           .vcpus = vm->vcpus,
                           .has_graphics = vm->has_graphics,
                           .has_vfio = vm->has_host_device,
                           .has_tpm = vm->has_tpm,
                           .has_sev = vm->has_sev,
                           .is_arm64 = vm->is_arm64,
                           .is_dedicated = vm->is_guaranteed,
                           .ratio_thousandths = limits->kubevirt_ratio_thousandths};
    OverheadResult result = {0};
    const char *problem = overhead_table(&table, &result);

    candidates[CANDIDATE_TABLE] = model_candidate("table", problem, &result, 0);
    problem = overhead_kubevirt(&input, &result);
    candidates[CANDIDATE_KUBEVIRT] = model_candidate("kubevirt", problem, &result, 0);
    if (input.ratio_thousandths == ONE)
        input.ratio_thousandths = HARVESTER_RATIO_THOUSANDTHS;
    if (overcommit_thousandths == ONE)
        overcommit_thousandths = HARVESTER_OVERCOMMIT_THOUSANDTHS;
    input.request_bytes = request_of(guest_bytes, overcommit_thousandths) & ~(UNITS_MIB - 1);
    problem = overhead_kubevirt(&input, &result);
    candidates[CANDIDATE_HARVESTER] =
        model_candidate("harvester", problem, &result, (guint64)limits->reserved_memory_bytes);
}

static int
largest_candidate(const ReservationCandidate *candidates)
{
    int largest = -1;

    for (int i = 0; i < N_CANDIDATES; i++)
        if (!candidates[i].problem &&
            (largest < 0 || candidates[i].bytes > candidates[largest].bytes))
            largest = i;
    return largest;
}

/* The static model that the policy falls back on, and that is the floor of what was measured. */
static int
floor_candidate(const Limits *limits)
{
    switch (limits->overhead_model) {
    case OVERHEAD_MODEL_KUBEVIRT:
        return CANDIDATE_KUBEVIRT;
    case OVERHEAD_MODEL_HARVESTER:
        return CANDIDATE_HARVESTER;
    default:
        return CANDIDATE_TABLE;
    }
}

static void
winner_choose(ReservationResult *result, const Limits *limits)
{
    ReservationCandidate *all = result->candidates;
    int floor = floor_candidate(limits);

    result->winner = all[floor].problem ? -1 : floor;
    result->rule = "as the policy says";
    if (limits->overhead_model == OVERHEAD_MODEL_LARGEST) {
        result->winner = largest_candidate(all);
        result->rule = "the largest of all";
    } else if (limits->overhead_model == OVERHEAD_MODEL_MEASURED) {
        if (all[CANDIDATE_MEASURED].problem) {
            result->rule = "the table's, until an hour is measured";
        } else if (!all[floor].problem && all[CANDIDATE_MEASURED].bytes < all[floor].bytes) {
            result->rule = "the table's, the floor of what is measured";
        } else {
            result->winner = CANDIDATE_MEASURED;
            result->rule = "as measured";
        }
    }
}

ReservationResult
reservation_decide(const Reservation *reservation, const ReservationVm *vm, const Limits *limits)
{
    ReservationResult result = {.burst_bytes = reservation_burst(reservation)};

    models_ask(vm, limits, result.candidates);
    result.candidates[CANDIDATE_MEASURED] =
        measured_candidate(reservation, &result.confidence_thousandths);
    winner_choose(&result, limits);
    if (result.winner < 0) {
        result.rule = "no model answers";
        return result;
    }
    result.bytes = result.candidates[result.winner].bytes;
    if (limits->overhead_cap_bytes > 0 && result.bytes > (guint64)limits->overhead_cap_bytes) {
        result.bytes = (guint64)limits->overhead_cap_bytes;
        result.rule = "cut to the policy's cap";
    }
    return result;
}

#define FORMAT_HEAD "reservation 1"

char *
reservation_format(const Reservation *reservation)
{
    g_autofree char *peaks = histogram_format(&reservation->peaks);
    GString *text = g_string_new(FORMAT_HEAD "\npeaks ");

    g_string_append_printf(text, "%s\nbursts %" G_GINT64_FORMAT, peaks, reservation->burst_day);
    for (guint i = 0; i < RESERVATION_DAYS; i++)
        g_string_append_printf(text, " %" G_GUINT64_FORMAT, reservation->bursts_bytes[i]);
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

/* "bursts DAY N N N N N N N" */
static bool
bursts_parse(const char *text, gint64 now_s, Reservation *reservation)
{
    for (guint i = 0; i <= RESERVATION_DAYS; i++) {
        const char *end = text + strspn(text, "0123456789");
        guint64 value = 0;

        if (end == text || end - text > 18 || (*end != ' ' && *end != '\0'))
            return false;
        for (; text < end; text++)
            value = value * 10 + (guint64)(*text - '0');
        text += *end == ' ';
        if (i > 0)
            reservation->bursts_bytes[i - 1] = value;
        else if ((gint64)value <= now_s / DAY_S + 1)
            reservation->burst_day = (gint64)value;
        else
            return false;
    }
    return *text == '\0';
}

bool
reservation_parse(const char *text, gint64 now_s, Reservation *ret_reservation)
{
    static const char peaks_head[] = FORMAT_HEAD "\npeaks ", bursts_head[] = "\nbursts ";
    Reservation reservation = {0};
    const char *bursts, *end;
    g_autofree char *peaks_text = NULL, *bursts_text = NULL;

    if (!g_str_has_prefix(text, peaks_head))
        return false;
    text += strlen(peaks_head);
    bursts = strstr(text, bursts_head);
    end = bursts ? strchr(bursts + 1, '\n') : NULL;
    if (!end || end[1] != '\0')
        return false;
    peaks_text = g_strndup(text, (gsize)(bursts - text));
    bursts += strlen(bursts_head);
    bursts_text = g_strndup(bursts, (gsize)(end - bursts));
    if (!histogram_parse(peaks_text, now_s, &reservation.peaks) ||
        !bursts_parse(bursts_text, now_s, &reservation))
        return false;
    *ret_reservation = reservation;
    return true;
}
