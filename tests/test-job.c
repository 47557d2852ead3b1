/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "query.h"
#include "sample-private.h"

/* A sample of two disks, and one job that is in this state. */
static void
apply_state(guint n_disks, const char *job, const char *members, DiskSample ret_disks[2])
{
    g_autofree char *text = g_strdup_printf("[{\"device\": \"%s\", \"type\": \"backup\", \"len\": "
                                            "100, \"offset\": 40%s}]",
                                            job, members);
    g_autoptr(JsonNode) node = json_from_string(text, NULL);
    g_autoptr(GArray) jobs = qmp_parse_block_jobs(node);
    g_autoptr(GArray) origins = g_array_new(FALSE, TRUE, sizeof(DiskOrigin));
    const DiskOrigin both[] = {
        {.device = (char *)"drive-first", .node_name = (char *)"libvirt-1-format"},
        {.device = NULL, .node_name = (char *)"libvirt-2-format"},
    };
    Sampling sampling = {.jobs = jobs, .origins = origins};

    assert_non_null(jobs);
    ret_disks[0] = (DiskSample){.id = (char *)"/machine/a", .label = (char *)"first"};
    ret_disks[1] = (DiskSample){.id = (char *)"/machine/b", .label = (char *)"second"};
    g_array_append_vals(origins, both, n_disks);
    sampling.sample.disks = ret_disks;
    sampling.sample.n_disks = n_disks;
    sample_jobs_apply(&sampling);
}

static void
apply(guint n_disks, const char *job, DiskSample ret_disks[2])
{
    apply_state(n_disks, job, ", \"status\": \"running\"", ret_disks);
}

typedef struct {
    const char *name, *job;
    bool is_first, is_second;
} JobRow;

static const JobRow rows[] = {
    {"a job named after a drive is that drive's", "drive-first", true, false},
    {"a job named after a device is that device's", "second", false, true},
    {"a job named after a path is that device's", "/machine/b", false, true},
    {"a job named after a block node is that node's", "libvirt-1-format", true, false},
    {"a job of libvirt's is its node's", "backup-vda-libvirt-2-format", false, true},
    {"a job with a name of its own is nobody's", "job0", false, false},
    {"a node's name in the middle is no node", "libvirt-1-format-x", false, false},
    {"a longer node's name is another node", "backup-vda-xlibvirt-1-format", false, false},
};

static void
job_is_given_to_its_disk(void **state)
{
    const JobRow *row = *state;
    DiskSample disks[2];

    apply(2, row->job, disks);
    assert_int_equal(disks[0].has_job, row->is_first);
    assert_int_equal(disks[1].has_job, row->is_second);
    if (row->is_first)
        assert_int_equal(disks[0].job_offset_bytes, 40);
}

static void
any_job_is_of_the_only_disk(void **state)
{
    DiskSample disks[2];

    apply(1, "job0", disks);
    assert_true(disks[0].has_job);
    assert_int_equal(disks[0].job_offset_bytes, 40);
    assert_false(disks[1].has_job);
}

/* A job that may stand still is no fact. */
static void
only_a_job_that_works_counts(void **state)
{
    static const struct {
        const char *members;
        bool is_working;
    } states[] = {
        {", \"status\": \"running\", \"paused\": false, \"ready\": false", true},
        {"", true}, /* before QEMU 2.12 */
        {", \"paused\": true", false},
        {", \"status\": \"paused\", \"paused\": true", false},
        {", \"status\": \"running\", \"paused\": true", false},
        {", \"status\": \"running\", \"ready\": true", false},
        {", \"status\": \"ready\", \"ready\": true", false},
        {", \"status\": \"standby\"", false},
        {", \"status\": \"waiting\"", false},
        {", \"status\": \"pending\"", false},
        {", \"status\": \"aborting\"", false},
        {", \"status\": \"concluded\"", false},
        {", \"status\": 7, \"paused\": \"x\"", true}, /* neither says anything */
    };
    DiskSample disks[2];

    for (guint i = 0; i < G_N_ELEMENTS(states); i++) {
        apply_state(1, "job0", states[i].members, disks);
        assert_int_equal(disks[0].has_job, states[i].is_working);
    }
    apply_state(1, "job0", ", \"speed\": 32768", disks);
    assert_int_equal(disks[0].job_speed_bps, 32768);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 2] = {
        [G_N_ELEMENTS(rows)] = cmocka_unit_test(any_job_is_of_the_only_disk),
        [G_N_ELEMENTS(rows) + 1] = cmocka_unit_test(only_a_job_that_works_counts)};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, job_is_given_to_its_disk, &rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
