/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-rows.h"

#include "drift.h"

#include <string.h>

/* Each side as text of its own form; NULL: not known. */
typedef struct {
    const char *name, *policy, *configuration, *live;
    const char *fields; /* that differ, a blank behind each */
} Row;

#define LIVE(rest) "bps=0,bps_rd=0,iops=0,iops_rd=0,iops_wr=0," rest

static const Row rows[] = {
    {"three sides that agree, each in its own words", "mbps_wr=60.0", "mbps_wr=060,x:1",
     LIVE("bps_wr=62914560"), ""},
    {"nothing known is no difference", NULL, NULL, NULL, ""},
    {"one side alone differs from none", "mbps_wr=60", NULL, NULL, ""},
    {"no limit on any side", "", "x:1,iothread=1", LIVE("bps_wr=0"), ""},
    {"iothread is no limit", "mbps_wr=60", "x:1,iothread=1,mbps_wr=60", LIVE("bps_wr=62914560"),
     ""},
    {"QEMU was told another value", "mbps_wr=60", "x:1,mbps_wr=60", LIVE("bps_wr=31457280"),
     "bps_write "},
    {"the configuration was changed", "mbps_wr=60", "x:1,mbps_wr=30", LIVE("bps_wr=62914560"),
     "bps_write "},
    {"the policy was changed", "mbps_wr=30", "x:1,mbps_wr=60", LIVE("bps_wr=62914560"),
     "bps_write "},
    {"all three say something else", "mbps_wr=30", "x:1,mbps_wr=60", LIVE("bps_wr=1"),
     "bps_write "},
    {"only the fields that differ", "mbps_wr=60,iops_rd=100", "x:1,mbps_wr=60",
     LIVE("bps_wr=62914560"), "iops_read "},
    {"bps= in Proxmox is no limit", "mbps_wr=60", "x:1,bps_wr=62914560", NULL, "bps_write "},
    {"a group that Proxmox cannot know", "mbps_wr=60,group=web", "x:1,mbps_wr=60", NULL, "group "},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(Throttle) policy = throttle_row_side(THROTTLE_POLICY, row->policy);
    g_autoptr(Throttle) configuration = throttle_row_side(THROTTLE_PROXMOX, row->configuration);
    g_autoptr(Throttle) live = throttle_row_side(THROTTLE_QEMU, row->live);
    Drift drift = {.sides = {policy, configuration, live}};
    g_autoptr(GString) fields = g_string_new(NULL);
    guint n = 0;

    for (guint i = 0; i < DRIFT_N_FIELDS; i++) {
        if (!drift_field_differs(&drift, i))
            continue;
        g_string_append_printf(fields, "%s ", drift_field_name(i));
        n++;
    }
    assert_string_equal(fields->str, row->fields);
    assert_int_equal(drift_count(&drift), n);
}

static void
each_pair_has_its_own_why(void **state)
{
    const char *a = drift_why(DRIFT_POLICY, DRIFT_CONFIGURATION);
    const char *b = drift_why(DRIFT_POLICY, DRIFT_LIVE);
    const char *c = drift_why(DRIFT_CONFIGURATION, DRIFT_LIVE);

    assert_string_not_equal(a, b);
    assert_string_not_equal(b, c);
    assert_string_not_equal(a, c);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, check_row, &rows[i]);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(each_pair_has_its_own_why);
    return cmocka_run_group_tests_name("drift", tests, NULL, NULL);
}
