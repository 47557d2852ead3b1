/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the writer writes, the reader reads back: the same samples, for any samples. */

#include "t.h"

#include "scenario.h"

#include <string.h>

#define SEED 20260131
#define N_RUNS 300
#define N_SAMPLES 30
#define N_DISKS 4

typedef struct {
    DiskSample disks[N_DISKS];
    bool is_present[N_DISKS];
    Sample sample;
    DiskSample present[N_DISKS];
} World;

static guint64
any_number(GRand *rand)
{
    guint64 wide = (guint64)g_rand_int(rand) << 32 | g_rand_int(rand);

    return wide >> g_rand_int_range(rand, 0, 64);
}

static bool
any_bool(GRand *rand)
{
    return g_rand_boolean(rand);
}

static void
change_disk(GRand *rand, DiskSample *disk)
{
    static char *const texts[] = {NULL,          "",       "nbd:/run/a b.sock", "?", "#x",
                                  "\xff\x01=\\", "dev:8:0"};

    switch (g_rand_int_range(rand, 0, 8)) {
    case 0:
        disk->storage = texts[g_rand_int_range(rand, 0, G_N_ELEMENTS(texts))];
        disk->driver = texts[g_rand_int_range(rand, 0, G_N_ELEMENTS(texts))];
        break;
    case 1:
        disk->has_counters = any_bool(rand);
        disk->rd_ops = any_number(rand);
        disk->failed_ops = any_number(rand);
        break;
    case 2:
        disk->wr_ops = any_number(rand);
        disk->flush_ops = any_number(rand);
        disk->unmap_ops = any_number(rand);
        break;
    case 3:
        disk->rd_bytes = any_number(rand);
        disk->wr_bytes = any_number(rand);
        disk->total_time_ns = any_number(rand);
        break;
    case 4:
        disk->has_idle_time = any_bool(rand);
        disk->idle_time_ns = any_number(rand);
        break;
    case 5:
        disk->has_limit = any_bool(rand);
        disk->limit_bps = any_number(rand);
        disk->limit_iops = any_number(rand);
        break;
    case 6:
        disk->has_queue = any_bool(rand);
        disk->queue_inflight = (guint32)any_number(rand);
        disk->queue_used_idx = any_number(rand);
        disk->queue_is_shared = any_bool(rand);
        break;
    default:
        disk->has_job = any_bool(rand);
        disk->job_offset_bytes = any_number(rand);
        break;
    }
}

static void
change_memory(GRand *rand, MemorySample *memory)
{
    memory->has_guest_ram = any_bool(rand);
    memory->guest_ram_bytes = any_number(rand);
    memory->guest_ram_is_shared = any_bool(rand);
    memory->has_rss = any_bool(rand);
    memory->rss_anon_bytes = any_number(rand);
    memory->rss_file_bytes = any_number(rand);
    memory->rss_shmem_bytes = any_number(rand);
    memory->page_table_bytes = any_number(rand);
    memory->hugetlb_bytes = any_number(rand);
    memory->has_group = any_bool(rand);
    memory->group_usage_bytes = any_number(rand);
    memory->group_unreclaimable_bytes = any_number(rand);
    memory->has_limit = any_bool(rand);
    memory->limit_bytes = any_number(rand);
    memory->limit_is_known = any_bool(rand);
    memory->limited_unreclaimable_bytes = any_number(rand);
}

static void
change_vm(GRand *rand, Sample *sample)
{
    switch (g_rand_int_range(rand, 0, 6)) {
    case 0:
        sample->period_us = g_rand_int_range(rand, 0, 20000000);
        sample->monitor_is_ours = any_bool(rand);
        sample->is_incoming = any_bool(rand);
        break;
    case 1:
        sample->age_us = g_rand_int_range(rand, -1, 5);
        break;
    case 2:
        sample->process_is_gone = any_bool(rand);
        sample->process_state = (char)g_rand_int_range(rand, 0, 256);
        sample->process_is_frozen = any_bool(rand);
        break;
    case 3:
        sample->monitor = (MonitorStage)g_rand_int_range(rand, 0, MONITOR_ANSWERED + 1);
        sample->waited_us = g_rand_int_range(rand, 0, 20000000);
        break;
    case 4:
        sample->run = (RunState)g_rand_int_range(rand, 0, RUN_OTHER + 1);
        sample->has_disks = any_bool(rand);
        break;
    default:
        change_memory(rand, &sample->memory);
        break;
    }
}

static void
world_init(World *world)
{
    static const DiskSample named[N_DISKS] = {
        {.id = "/machine/peripheral/a", .label = "virtio0"},
        {.id = "vm", .label = "vm"},
        {.id = "\xff\n#", .label = "a b"},
        {.id = "per", .label = "per=?"},
    };

    memset(world, 0, sizeof *world);
    memcpy(world->disks, named, sizeof named);
    world->sample.now_us = world->sample.boottime_us = 123456789;
    world->sample.age_us = -1;
}

/* Time goes by, and some facts change. */
static void
world_go_on(World *world, GRand *rand)
{
    gint64 step_us =
        g_rand_int_range(rand, 1, 5000000) + any_bool(rand) * G_GINT64_CONSTANT(86400000000);
    Sample *sample = &world->sample;

    sample->now_us += step_us;
    sample->boottime_us += step_us + (g_rand_int_range(rand, 0, 9) == 0) * 60000000;
    if (sample->age_us >= 0)
        sample->age_us += step_us;
    for (gint n = g_rand_int_range(rand, 0, 3); n > 0; n--)
        change_vm(rand, sample);
    for (gint n = g_rand_int_range(rand, 0, 6); n > 0; n--)
        change_disk(rand, &world->disks[g_rand_int_range(rand, 0, N_DISKS)]);
    sample->disks = world->present;
    sample->n_disks = 0;
    for (guint i = 0; i < N_DISKS; i++) {
        if (g_rand_int_range(rand, 0, 5) == 0)
            world->is_present[i] = !world->is_present[i];
        if (world->is_present[i] && sample->has_disks)
            world->present[sample->n_disks++] = world->disks[i];
    }
}

static void
assert_same_disk(const DiskSample *a, const DiskSample *b)
{
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->label, b->label);
    assert_int_equal(g_strcmp0(a->driver, b->driver), 0);
    assert_int_equal(g_strcmp0(a->storage, b->storage), 0);
    assert_int_equal(a->has_counters, b->has_counters);
    assert_int_equal(a->has_idle_time, b->has_idle_time);
    assert_int_equal(a->has_limit, b->has_limit);
    assert_int_equal(a->has_queue, b->has_queue);
    assert_int_equal(a->has_job, b->has_job);
    if (a->has_counters) {
        assert_int_equal(a->rd_ops, b->rd_ops);
        assert_int_equal(a->wr_ops, b->wr_ops);
        assert_int_equal(a->flush_ops, b->flush_ops);
        assert_int_equal(a->unmap_ops, b->unmap_ops);
        assert_int_equal(a->rd_bytes, b->rd_bytes);
        assert_int_equal(a->wr_bytes, b->wr_bytes);
        assert_int_equal(a->total_time_ns, b->total_time_ns);
        assert_int_equal(a->failed_ops, b->failed_ops);
    }
    if (a->has_idle_time)
        assert_int_equal(a->idle_time_ns, b->idle_time_ns);
    if (a->has_limit) {
        assert_int_equal(a->limit_bps, b->limit_bps);
        assert_int_equal(a->limit_iops, b->limit_iops);
    }
    if (a->has_queue) {
        assert_int_equal(a->queue_inflight, b->queue_inflight);
        assert_int_equal(a->queue_used_idx, b->queue_used_idx);
        assert_int_equal(a->queue_is_shared, b->queue_is_shared);
    }
    if (a->has_job)
        assert_int_equal(a->job_offset_bytes, b->job_offset_bytes);
}

static void
assert_same_memory(const MemorySample *a, const MemorySample *b)
{
    assert_int_equal(a->has_guest_ram, b->has_guest_ram);
    assert_int_equal(a->has_rss, b->has_rss);
    assert_int_equal(a->has_group, b->has_group);
    assert_int_equal(a->has_limit, b->has_limit);
    assert_int_equal(a->limit_is_known, b->limit_is_known);
    if (a->has_guest_ram) {
        assert_int_equal(a->guest_ram_bytes, b->guest_ram_bytes);
        assert_int_equal(a->guest_ram_is_shared, b->guest_ram_is_shared);
    }
    if (a->has_rss) {
        assert_int_equal(a->rss_anon_bytes, b->rss_anon_bytes);
        assert_int_equal(a->rss_file_bytes, b->rss_file_bytes);
        assert_int_equal(a->rss_shmem_bytes, b->rss_shmem_bytes);
        assert_int_equal(a->page_table_bytes, b->page_table_bytes);
        assert_int_equal(a->hugetlb_bytes, b->hugetlb_bytes);
    }
    if (a->has_group) {
        assert_int_equal(a->group_usage_bytes, b->group_usage_bytes);
        assert_int_equal(a->group_unreclaimable_bytes, b->group_unreclaimable_bytes);
    }
    if (a->has_limit) {
        assert_int_equal(a->limit_bytes, b->limit_bytes);
        assert_int_equal(a->limited_unreclaimable_bytes, b->limited_unreclaimable_bytes);
    }
}

/* By id: the reader hands disks out in the order in which they first came. */
static void
assert_same_sample(const Sample *a, const Sample *b)
{
    assert_int_equal(a->now_us, b->now_us);
    assert_int_equal(a->boottime_us, b->boottime_us);
    assert_int_equal(a->period_us, b->period_us);
    assert_int_equal(a->age_us, b->age_us);
    assert_int_equal(a->process_is_gone, b->process_is_gone);
    assert_int_equal(a->process_state, b->process_state);
    assert_int_equal(a->process_is_frozen, b->process_is_frozen);
    assert_int_equal(a->monitor, b->monitor);
    assert_int_equal(a->waited_us, b->waited_us);
    assert_int_equal(a->monitor_is_ours, b->monitor_is_ours);
    assert_int_equal(a->is_incoming, b->is_incoming);
    assert_int_equal(a->run, b->run);
    assert_int_equal(a->has_disks, b->has_disks);
    assert_int_equal(a->n_disks, b->n_disks);
    for (guint i = 0; i < a->n_disks; i++) {
        assert_non_null(sample_find_disk(b, a->disks[i].id));
        assert_same_disk(&a->disks[i], sample_find_disk(b, a->disks[i].id));
    }
    assert_same_memory(&a->memory, &b->memory);
}

static void
run_round_trip(guint32 seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    g_autoptr(ScenarioWriter) writer = scenario_writer_new("a \"vm\"\n");
    g_autoptr(GArray) samples = g_array_new(FALSE, FALSE, sizeof(Sample));
    g_autoptr(Scenario) scenario = NULL;
    g_autofree char *error = NULL;
    World world;

    g_array_set_clear_func(samples, (GDestroyNotify)sample_clear);
    world_init(&world);
    for (guint i = 0; i < N_SAMPLES; i++) {
        Sample copy;

        world_go_on(&world, rand);
        scenario_writer_add(writer, &world.sample);
        sample_copy(&world.sample, &copy);
        g_array_append_val(samples, copy);
    }
    scenario =
        scenario_parse(scenario_writer_text(writer), strlen(scenario_writer_text(writer)), &error);
    if (!scenario)
        fail_msg("seed %u: %s\n%s", seed, error, scenario_writer_text(writer));
    assert_string_equal(scenario_name(scenario), "a \"vm\"\n");
    for (guint i = 0; i < samples->len; i++) {
        const Sample *sample = scenario_next(scenario);

        assert_non_null(sample);
        assert_same_sample(&g_array_index(samples, Sample, i), sample);
    }
    assert_null(scenario_next(scenario));
}

static void
test_round_trip(void **state)
{
    for (guint32 i = 0; i < N_RUNS; i++)
        run_round_trip(SEED + i);
}

static void
test_only_what_changed(void **state)
{
    g_autoptr(ScenarioWriter) writer = scenario_writer_new("demo");
    DiskSample disks[] = {
        {.id = "/machine/a", .label = "virtio0", .driver = "virtio-blk", .has_counters = true},
        {.id = "sata0", .label = "sata0"},
    };
    Sample sample = {.now_us = 5000000,
                     .boottime_us = 5000000,
                     .period_us = SCENARIO_PERIOD_US,
                     .age_us = 1000000,
                     .run = RUN_RUNNING,
                     .has_disks = true,
                     .disks = disks,
                     .n_disks = 2};

    scenario_writer_add(writer, &sample);
    sample.now_us = sample.boottime_us = 7500000;
    sample.age_us = 3500000;
    disks[0].wr_ops = 3;
    scenario_writer_add(writer, &sample);
    sample.now_us = sample.boottime_us = 9000000;
    sample.age_us = 5000000;
    sample.n_disks = 1;
    scenario_writer_add(writer, &sample);
    assert_string_equal(scenario_writer_text(writer),
                        "scenario 1\n"
                        "vm demo clock=5s\n"
                        "disk virtio0 id=/machine/a driver=virtio-blk\n"
                        "disk sata0\n"
                        "at 0s age=1s run=running\n"
                        "    virtio0 rd=0\n"
                        "at 2.5s\n"
                        "    virtio0 wr=3\n"
                        "at 4s\n"
                        "    sata0 present=no\n");
}

static void
test_a_clock_that_stands_is_left_out(void **state)
{
    g_autoptr(ScenarioWriter) writer = scenario_writer_new(NULL);
    Sample sample = {.now_us = 5000000, .period_us = SCENARIO_PERIOD_US, .age_us = -1};

    scenario_writer_add(writer, &sample);
    scenario_writer_add(writer, &sample);
    sample.now_us--;
    scenario_writer_add(writer, &sample);
    assert_string_equal(scenario_writer_text(writer),
                        "scenario 1\nvm vm clock=5s\nat 0s disks=no\n");
}

static void
test_two_disks_of_one_label(void **state)
{
    g_autoptr(ScenarioWriter) writer = scenario_writer_new("demo");
    DiskSample disks[] = {{.id = "x", .label = "d"}, {.id = "y", .label = "d"}, {.id = "z"}};
    Sample sample = {.now_us = 5000000,
                     .boottime_us = 5000000,
                     .period_us = SCENARIO_PERIOD_US,
                     .age_us = -1,
                     .has_disks = true,
                     .disks = disks,
                     .n_disks = 3};

    scenario_writer_add(writer, &sample);
    assert_string_equal(scenario_writer_text(writer), "scenario 1\nvm demo clock=5s\n"
                                                      "disk d id=x\ndisk d~2 id=y\ndisk z\n"
                                                      "at 0s\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        {"what was written reads back the same", test_round_trip, NULL, NULL, NULL},
        {"only what changed is written", test_only_what_changed, NULL, NULL, NULL},
        {"a sample that is not later is left out", test_a_clock_that_stands_is_left_out, NULL, NULL,
         NULL},
        {"two disks of one label get two names", test_two_disks_of_one_label, NULL, NULL, NULL},
    };

    return cmocka_run_group_tests_name("scenario-writer", tests, NULL, NULL);
}
