/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory that real, healthy VMs had, for 24 virtual hours: what was recorded is read to its end,
 * and back again, over and over. Nothing is forecast. With a limit that is too small all are
 * doomed. */

#include "t.h"

#include "pressure.h"
#include "units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)
#define DAY_US (24 * 3600 * S)
#define SIZE "%" G_GUINT64_FORMAT " "
#define KIB(n) ((guint64)(n)*1024)
#define READINGS_MAX 256
#define VMS_MAX 16
static const char *const files[] = {"healthy-v1.txt", "healthy-v2.txt"};

typedef struct {
    char name[32];
    MemorySample readings[READINGS_MAX]; /* at_us from the first on */
    guint n;
} Recorded;

typedef struct {
    Recorded vms[VMS_MAX];
    guint n;
} Records;

static void
reading_take(Recorded *vm, guint64 ram_kib, bool is_shared, const char *line)
{
    guint64 at_ms, anon, shmem, limit, unreclaimable, usage, own_low, own_high;
    int is_counted;

    if (sscanf(line, SIZE SIZE SIZE SIZE SIZE SIZE "%d " SIZE SIZE, &at_ms, &anon, &shmem, &limit,
               &unreclaimable, &usage, &is_counted, &own_low, &own_high) != 9)
        fail_msg("no reading: %s", line);
    assert_in_range(vm->n, 0, READINGS_MAX - 1);
    vm->readings[vm->n++] = (MemorySample){
        .at_us = (gint64)at_ms * 1000,
        .has_guest_ram = true,
        .guest_ram_bytes = KIB(ram_kib),
        .guest_ram_is_shared = is_shared,
        .has_rss = true,
        .rss_anon_bytes = KIB(anon),
        .rss_shmem_bytes = KIB(shmem),
        .has_limit = true,
        .limit_is_known = true,
        .limit_bytes = KIB(limit),
        .limited_unreclaimable_bytes = KIB(unreclaimable),
        .limited_usage_bytes = KIB(usage),
        .kinds = {.is_known = true},
        .has_count = is_counted,
        .own_low_bytes = KIB(own_low),
        .own_high_bytes = KIB(own_high),
    };
}

static void
records_read(Records *records, const char *file)
{
    g_autofree char *path = g_build_filename(g_getenv("TEST_DATA"), "memory", file, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint64 ram_kib = 0;
    int is_shared = 0;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        fail_msg("no %s", path);
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (*lines[i] == '#' || *lines[i] == '\0')
            continue;
        if (g_str_has_prefix(lines[i], "vm ")) {
            assert_in_range(records->n, 0, VMS_MAX - 1);
            assert_int_equal(sscanf(lines[i], "vm %31s " SIZE "%d", records->vms[records->n].name,
                                    &ram_kib, &is_shared),
                             3);
            records->n++;
        } else {
            assert_true(records->n > 0);
            reading_take(&records->vms[records->n - 1], ram_kib, is_shared, lines[i]);
        }
    }
}

/* The gravest level of a day, under a limit that is smaller by so much. */
static PressureLevel
day_of(const Recorded *vm, guint64 less_bytes, const char **ret_reason)
{
    PressureTrack *track = g_new0(PressureTrack, 1);
    PressureLevel gravest = PRESSURE_UNKNOWN;
    gint64 now_us = S;
    gint step = 1;

    for (gint i = 0; now_us < DAY_US; i += step) {
        MemorySample reading = vm->readings[i];
        const PressureVerdict *verdict;

        reading.at_us = now_us;
        reading.limit_bytes -= less_bytes;
        verdict = pressure_judge(track, &reading, 0);
        if (verdict->level > gravest) {
            gravest = verdict->level;
            *ret_reason = verdict->reason;
        }
        if (i + step < 0 || i + step >= (gint)vm->n)
            step = -step;
        now_us += ABS(vm->readings[i + step].at_us - vm->readings[i].at_us);
    }
    g_free(track);
    return gravest;
}

static void
nothing_is_forecast_of_the_healthy(void **state)
{
    const Records *records = *state;

    for (guint i = 0; i < records->n; i++) {
        const char *reason = "";
        PressureLevel level = day_of(&records->vms[i], 0, &reason);

        assert_true(records->vms[i].n >= 10);
        if (level != PRESSURE_OK)
            fail_msg("%s: %s: %s", records->vms[i].name, pressure_level_name(level), reason);
    }
    assert_int_equal(records->n, 8);
}

static void
under_a_limit_that_is_too_small_all_are_doomed(void **state)
{
    const Records *records = *state;

    for (guint i = 0; i < records->n; i++) {
        const MemorySample *first = &records->vms[i].readings[0];
        const char *reason = "";
        guint64 room = first->limit_bytes - first->limited_unreclaimable_bytes;

        if (day_of(&records->vms[i], room + 4 * UNITS_MIB, &reason) < PRESSURE_DOOMED)
            fail_msg("%s is not", records->vms[i].name);
    }
}

int
main(void)
{
    static Records records;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(nothing_is_forecast_of_the_healthy, &records),
        cmocka_unit_test_prestate(under_a_limit_that_is_too_small_all_are_doomed, &records),
    };

    for (guint i = 0; i < G_N_ELEMENTS(files); i++)
        records_read(&records, files[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
