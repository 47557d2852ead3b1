/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The reservation: how much memory a VM's group should have beside its guest's RAM. Static models
 * (overhead.h) and the measured overhead are the candidates; the policy says who decides. Measured:
 * the peak of each window goes into a decaying histogram, and
 *
 *     measured = percentile of the peaks x (1 + margin) x (1 + doubt) + burst
 *
 * with doubt large while the data is young, burst the largest growth seen within the reaction time.
 */

#include "histogram.h"
#include "overhead.h"
#include "settings.h"

/* A window's peak is one sample: 144 a day. */
#define RESERVATION_WINDOW_S 600
/* How long a growth may last until somebody, or the guardian, has raised the limit. */
#define RESERVATION_REACTION_S 300
/* Readings of that time, at most one in 5 s. */
#define RESERVATION_READINGS 64
/* The largest growth of each of the last days. */
#define RESERVATION_DAYS 7

typedef struct {
    gint64 at_s;
    guint64 bytes;
} ReservationReading;

/* What is remembered of one VM. Zeroed is young. */
typedef struct {
    Histogram peaks;
    gint64 window_s; /* the present one began; 0 none */
    guint64 window_peak_bytes;
    ReservationReading readings[RESERVATION_READINGS];
    guint n_readings, next_reading;
    guint64 bursts_bytes[RESERVATION_DAYS]; /* by day modulo 7 */
    gint64 burst_day;                       /* newest of them, days since 1970 */
} Reservation;

/* One measured overhead, exact or nearly so: not the upper end of wide bounds. at_s is wall-clock
 * time; what is older than the newest is passed over. */
void reservation_follow(Reservation *reservation, guint64 overhead_bytes, gint64 at_s);
guint64 reservation_burst(const Reservation *reservation);

typedef struct {
    const char *name;    /* static: "table", "kubevirt", "harvester", "measured" */
    const char *problem; /* static: why it does not answer; NULL: it does */
    guint64 bytes;
} ReservationCandidate;

enum { CANDIDATE_TABLE, CANDIDATE_KUBEVIRT, CANDIDATE_HARVESTER, CANDIDATE_MEASURED, N_CANDIDATES };

typedef struct {
    ReservationCandidate candidates[N_CANDIDATES];
    int winner;       /* index of the one that decided; -1: none answers */
    guint64 bytes;    /* decided: the winner's, after floor and cap */
    const char *rule; /* static: "as the policy says", "raised to the floor of the models", ... */
    guint64 burst_bytes;          /* 0 unknown */
    guint confidence_thousandths; /* of the measured one: 1000 after a week */
} ReservationResult;

/* The VM as the models ask for it. */
typedef struct {
    /* What the user configured, the table's column: the limit, or the guest's RAM where there is
     * none; 0 unknown. KubeVirt adds to what was configured, so its formula takes the guest's RAM
     * where that is known. */
    guint64 configured_bytes, guest_bytes;
    guint vcpus; /* 0 counts as 1 */
    bool has_graphics, has_host_device, has_tpm, has_sev, is_arm64;
    bool is_guaranteed; /* its pod's QoS class */
} ReservationVm;

ReservationResult reservation_decide(const Reservation *reservation, const ReservationVm *vm,
                                     const Limits *limits);

/* The state as lines of text, and back; false, and *ret_ untouched, for anything else. */
char *reservation_format(const Reservation *reservation);
bool reservation_parse(const char *text, gint64 now_s, Reservation *ret_reservation);
