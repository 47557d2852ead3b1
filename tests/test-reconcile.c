/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-rows.h"

#include "reconcile.h"

#include <string.h>

#define SECOND ((gint64)G_USEC_PER_SEC)
#define LIVE(rest) "bps=0,bps_rd=0,iops=0,iops_rd=0,iops_wr=0," rest

typedef struct {
    const char *name, *policy, *configuration, *live;
    ReconcileKind kind;
    const char *reason; /* begins so */
    const char *spoilt; /* what else is; "" all is calm */
} Row;

static ReconcileFacts
facts_of(const char *spoilt)
{
    ReconcileFacts facts = {.run = RUN_RUNNING,
                            .calm_us = 10 * SECOND,
                            .settle_us = 10 * SECOND,
                            .live_is_asked = strcmp(spoilt, "unasked") != 0,
                            .can_write_live = strcmp(spoilt, "no limiter") != 0,
                            .is_shared = strcmp(spoilt, "shared") == 0,
                            .is_suspect = strcmp(spoilt, "suspect") == 0,
                            .has_job = strcmp(spoilt, "job") == 0,
                            .is_pending = strcmp(spoilt, "pending") == 0};

    if (strcmp(spoilt, "paused") == 0)
        facts.run = RUN_PAUSED;
    if (strcmp(spoilt, "migrating") == 0)
        facts.run = RUN_MIGRATING;
    if (strcmp(spoilt, "young") == 0)
        facts.calm_us--;
    if (strcmp(spoilt, "mute") == 0)
        facts.mute = "nobody can be told";
    facts.has_keeper = g_str_has_prefix(spoilt, "kept");
    facts.is_shared = facts.is_shared || strcmp(spoilt, "kept, shared") == 0;
    if (strcmp(spoilt, "lock") == 0)
        facts.lock = "backup";
    return facts;
}

static const Row rows[] = {
    {"no policy, no write", NULL, "x:1,mbps_wr=60", LIVE("bps_wr=1"), RECONCILE_NOTHING, "", ""},
    {"all equal, no write", "mbps_wr=60.0", "mbps_wr=060,x:1", LIVE("bps_wr=62914560"),
     RECONCILE_NOTHING, "", ""},
    {"nothing known, no write", "mbps_wr=60", NULL, NULL, RECONCILE_NOTHING, "", ""},
    {"QEMU alone differs: QEMU is told", "mbps_wr=60", NULL, LIVE("bps_wr=31457280"),
     RECONCILE_LIVE, "", ""},
    {"QEMU beside an equal configuration", "mbps_wr=60", "x:1,mbps_wr=60", LIVE("bps_wr=31457280"),
     RECONCILE_LIVE, "", ""},
    {"a disk without a limit gets one", "mbps_wr=60", NULL, LIVE("bps_wr=0"), RECONCILE_LIVE, "",
     ""},
    {"the configuration differs: it is told", "mbps_wr=60", "x:1,mbps_wr=30",
     LIVE("bps_wr=62914560"), RECONCILE_CONFIGURATION, "", ""},
    {"both differ: the configuration brings QEMU along", "mbps_wr=60", "x:1,mbps_wr=30",
     LIVE("bps_wr=31457280"), RECONCILE_CONFIGURATION, "", ""},
    {"never to none in QEMU", "iops_rd=5", NULL, LIVE("bps_wr=31457280"), RECONCILE_LEAVE,
     "the policy wants no limit", ""},
    {"never to none at all", "", NULL, LIVE("bps_wr=31457280"), RECONCILE_LEAVE,
     "the policy wants no limit", ""},
    {"nor through the configuration", "", "x:1,mbps_wr=30", NULL, RECONCILE_LEAVE,
     "the policy wants no limit", ""},
    {"nor where only QEMU has it left", "", "x:1", LIVE("bps_wr=31457280"), RECONCILE_LEAVE,
     "the policy wants no limit", ""},
    {"a huge value is a value", "mbps_wr=100000", NULL, LIVE("bps_wr=31457280"), RECONCILE_LIVE, "",
     ""},
    {"where nobody can be told it is left", "mbps_wr=60", "x:1,mbps_wr=30", LIVE("bps_wr=1"),
     RECONCILE_LEAVE, "nobody can be told", "mute"},
    {"and is nothing when it is equal", "mbps_wr=60", NULL, LIVE("bps_wr=62914560"),
     RECONCILE_NOTHING, "", "mute"},
    {"who keeps both is told of both", "mbps_wr=60", "x:1,mbps_wr=30", LIVE("bps_wr=1"),
     RECONCILE_KEEPER, "", "kept"},
    {"and of QEMU alone", "mbps_wr=60", "x:1,mbps_wr=60", LIVE("bps_wr=1"), RECONCILE_KEEPER, "",
     "kept"},
    {"and of the next start alone", "mbps_wr=60", "x:1,mbps_wr=30", LIVE("bps_wr=62914560"),
     RECONCILE_KEEPER, "", "kept"},
    {"and has words for all", "iops_wr=60,iops_size=4096", "x:1,iops_wr=60", NULL, RECONCILE_KEEPER,
     "", "kept"},
    {"but not for the neighbours of a group", "mbps_wr=60", NULL, LIVE("bps_wr=1"), RECONCILE_LEAVE,
     "its limits are also those", "kept, shared"},
    {"nor to take a rate away", "iops_rd=5", "x:1", LIVE("bps_wr=31457280"), RECONCILE_LEAVE,
     "the policy wants no limit", "kept"},
    {"a suspect is left", "mbps_wr=60", NULL, LIVE("bps_wr=1"), RECONCILE_LEAVE,
     "a stall is suspected", "suspect"},
    {"a paused VM is left", "mbps_wr=60", NULL, LIVE("bps_wr=1"), RECONCILE_LEAVE,
     "the VM is not running", "paused"},
    {"a migrating VM is left", "mbps_wr=60", NULL, LIVE("bps_wr=1"), RECONCILE_LEAVE,
     "the VM is not running", "migrating"},
    {"one that has just started is left", "mbps_wr=60", NULL, LIVE("bps_wr=1"), RECONCILE_LEAVE,
     "the VM has not been calm", "young"},
    {"a backup is left in peace", "mbps_wr=60", NULL, LIVE("bps_wr=1"), RECONCILE_LEAVE,
     "a block job runs", "job"},
    {"a lock is honoured", "mbps_wr=60", "x:1,mbps_wr=30", NULL, RECONCILE_LEAVE,
     "the configuration is locked", "lock"},
    {"what is pending is waited for", "mbps_wr=60", "x:1,mbps_wr=30", NULL, RECONCILE_LEAVE,
     "a change of the disk is pending", "pending"},
    {"a command line is no word of QEMU", "mbps_wr=60", NULL, LIVE("bps_wr=31457280"),
     RECONCILE_LEAVE, "QEMU's own word", "unasked"},
    {"never a second limiter", "mbps_wr=60", NULL, LIVE("bps_wr=0"), RECONCILE_LEAVE,
     "the disk has no limiter", "no limiter"},
    {"neighbours of a group are innocent", "mbps_wr=60", NULL, LIVE("bps_wr=1"), RECONCILE_LEAVE,
     "its limits are also those", "shared"},
    {"a group stays", "mbps_wr=60,group=a", NULL, LIVE("bps_wr=31457280,group=b"), RECONCILE_LEAVE,
     "a group cannot", ""},
    {"what Proxmox has no word for", "iops_wr=60,iops_size=4096", "x:1,iops_wr=60", NULL,
     RECONCILE_LEAVE, "the configuration has no word", ""},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(Throttle) policy = throttle_row_side(THROTTLE_POLICY, row->policy);
    g_autoptr(Throttle) configuration = throttle_row_side(THROTTLE_PROXMOX, row->configuration);
    g_autoptr(Throttle) live = throttle_row_side(THROTTLE_QEMU, row->live);
    Drift drift = {.sides = {policy, configuration, live}};
    ReconcileFacts facts = facts_of(row->spoilt);
    ReconcilePlan plan = reconcile_disk(&drift, &facts);

    if (plan.kind != row->kind || !g_str_has_prefix(plan.reason, row->reason))
        fail_msg("%d: %s", plan.kind, plan.reason);
    if (plan.kind >= RECONCILE_LIVE)
        assert_memory_equal(plan.target, policy->fields, sizeof plan.target);
    assert_int_equal(plan.kind == RECONCILE_LEAVE, *plan.reason != '\0');
}

/* A day, an hour at a time, each in other words: nothing is ever to be done. */
static void
a_day_of_other_words_is_nothing_to_do(void **state)
{
    static const char *const configurations[] = {
        "x:1,iothread=1,mbps_rd=60,mbps_wr=60,size=1G", "mbps_wr=60.0,x:1,mbps_rd=+60",
        "size=1024M,mbps_rd=6e1,iothread=on,file=x:1,mbps_wr=060"};
    static const char *const lives[] = {
        "bps=0,bps_rd=62914560,bps_wr=62914560,iops=0,iops_rd=0,iops_wr=0,group=drive-scsi0",
        "bps-read=62914560,bps-write=62914560,bps-write-max-length=1",
        "bps=0,iops=0,iops_rd=0,iops_wr=0,bps_wr=62914560,bps_rd=62914560"};
    const ReconcileFacts facts = facts_of("");

    for (guint i = 0; i < 24 * 60; i++) {
        g_autoptr(Throttle) policy = throttle_row_side(
            THROTTLE_POLICY, i % 2 ? "mbps_rd=60,mbps_wr=60.0" : "bps_wr=60M,bps_rd=62914560");
        g_autoptr(Throttle) configuration =
            throttle_row_side(THROTTLE_PROXMOX, configurations[i % 3]);
        g_autoptr(Throttle) live = throttle_row_side(THROTTLE_QEMU, lives[i / 3 % 3]);
        Drift drift = {.sides = {policy, configuration, live}};

        assert_int_equal(reconcile_disk(&drift, &facts).kind, RECONCILE_NOTHING);
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, check_row, &rows[i]);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_day_of_other_words_is_nothing_to_do);
    return cmocka_run_group_tests_name("reconciling", tests, NULL, NULL);
}
