/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "sample-fixture.h"

#include <string.h>

#define QUEUE(inuse, used) "{\"inuse\": " #inuse ", \"used-idx\": " #used ", \"vring-num\": 256}"
#define SCSI_VM                                                                                    \
    WORDS("kvm", "-device", "virtio-scsi-pci,id=s0", "-device",                                    \
          "scsi-hd,bus=s0.0,drive=d0,id=scsi0", "-device", "scsi-hd,bus=s0.0,drive=d1,id=scsi1",   \
          "-device", "virtio-blk-pci,drive=d2,id=v0", "-device", "ide-hd,drive=d3,id=ide0")
#define SCSI_DISKS                                                                                 \
    "[" DISK("scsi0", 1) ", " DISK("scsi1", 1) ", " DISK(BACKEND("v0"), 1) ", " DISK("ide0", 1) "]"
#define VIRTIO_LIST                                                                                \
    "[{\"name\": \"virtio-scsi\", \"path\": \"" BACKEND(                                           \
        "s0") "\"}, "                                                                              \
              "{\"name\": \"virtio-blk\", \"path\": \"" BACKEND(                                   \
                  "v0") "\"}, "                                                                    \
                        "{\"name\": \"virtio-net\", \"path\": \"" BACKEND("n0") "\"}]"

static void
answer_queue(SampleFixture *fixture, const char *path, guint queue, const char *json)
{
    g_autofree char *command =
        g_strdup_printf("x-query-virtio-queue-status {\"path\":\"%s\",\"queue\":%u}", path, queue);

    fake_monitor_answer(fixture->monitor, command, json);
}

static void
set_virtio(SampleFixture *fixture)
{
    fake_monitor_answer(fixture->monitor, "query-blockstats", SCSI_DISKS);
    fake_monitor_answer(fixture->monitor, "x-query-virtio", VIRTIO_LIST);
    fake_monitor_answer(fixture->monitor, "x-query-virtio-status {\"path\":\"" BACKEND("s0") "\"}",
                        "{\"num-vqs\": 4}");
    fake_monitor_answer(fixture->monitor, "x-query-virtio-status {\"path\":\"" BACKEND("v0") "\"}",
                        "{\"num-vqs\": 2}");
    answer_queue(fixture, BACKEND("s0"), 2, QUEUE(1, 10));
    answer_queue(fixture, BACKEND("s0"), 3, QUEUE(2, 20));
    answer_queue(fixture, BACKEND("v0"), 0, QUEUE(0, 7));
    answer_queue(fixture, BACKEND("v0"), 1, QUEUE(4, 8));
}

static void
queues_are_summed_for_the_disks_they_carry(void **state)
{
    SampleFixture *fixture = *state;
    const Sample *sample;

    sample_fixture_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    sample = sample_fixture_take(fixture);
    assert_int_equal(sample->n_disks, 4);
    for (guint i = 0; i < 2; i++) { /* two disks on one HBA; its queues 0 and 1 carry no request */
        assert_true(sample->disks[i].has_queue);
        assert_int_equal(sample->disks[i].queue_inflight, 3);
        assert_int_equal(sample->disks[i].queue_used_idx, 30);
        assert_true(sample->disks[i].queue_is_shared);
    }
    assert_true(sample->disks[2].has_queue);
    assert_int_equal(sample->disks[2].queue_inflight, 4);
    assert_int_equal(sample->disks[2].queue_used_idx, 15);
    assert_false(sample->disks[2].queue_is_shared);
    assert_false(sample->disks[3].has_queue);
}

static void
one_queue_without_an_answer_is_no_evidence(void **state)
{
    SampleFixture *fixture = *state;
    const Sample *sample;

    sample_fixture_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    answer_queue(fixture, BACKEND("v0"), 1, "{\"inuse\": -1}");
    sample = sample_fixture_take(fixture);
    assert_false(sample->disks[2].has_queue);
    assert_true(sample->disks[0].has_queue); /* the innocent beside it */
}

static void
of_too_many_queues_an_empty_part_proves_nothing(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    fake_monitor_answer(fixture->monitor, "x-query-virtio-status {\"path\":\"" BACKEND("v0") "\"}",
                        "{\"num-vqs\": 100}");
    fake_monitor_answer(fixture->monitor, "x-query-virtio-queue-status", QUEUE(0, 1));
    answer_queue(fixture, BACKEND("v0"), 1, QUEUE(0, 1));
    assert_false(sample_fixture_take(fixture)->disks[2].has_queue);
    answer_queue(fixture, BACKEND("v0"), 63, QUEUE(5, 1));
    assert_true(sample_fixture_take(fixture)->disks[2].has_queue);
    assert_int_equal(fixture->vm->sample.disks[2].queue_inflight, 5);
}

static void
a_disk_that_moves_is_not_looked_into(void **state)
{
    SampleFixture *fixture = *state;
    g_autofree char *asked = NULL;

    sample_fixture_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    sample_fixture_take(fixture);
    freeze_judge(&fixture->vm->track, &fixture->vm->sample, &fixture->vm->limits);
    g_free(fake_monitor_take_asked(fixture->monitor));
    fake_monitor_answer(fixture->monitor, "query-blockstats",
                        "[" DISK("scsi0", 2) ", " DISK("scsi1", 2) ", " DISK(BACKEND("v0"), 2) "]");
    assert_false(sample_fixture_take(fixture)->disks[0].has_queue);
    asked = fake_monitor_take_asked(fixture->monitor);
    assert_string_equal(asked,
                        "query-blockstats query-block-jobs "); /* the jobs of a near suspect */

    fixture->wants_all_evidence = true; /* as for a check */
    fake_monitor_answer(fixture->monitor, "query-blockstats",
                        "[" DISK("scsi0", 3) ", " DISK("scsi1", 3) ", " DISK(BACKEND("v0"), 3) "]");
    assert_true(sample_fixture_take(fixture)->disks[0].has_queue);
}

static void
a_vm_that_does_not_run_is_not_looked_into(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    fake_monitor_answer(fixture->monitor, "query-status", "{\"status\": \"io-error\"}");
    assert_false(sample_fixture_take(fixture)->disks[2].has_queue);
    assert_asked(fixture, "query-blockstats query-status query-version query-memdev ");
}

static void
an_old_qemu_is_asked_for_queues_once(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, SCSI_VM);
    fake_monitor_answer(fixture->monitor, "query-blockstats", SCSI_DISKS);
    assert_false(sample_fixture_take(fixture)->disks[2].has_queue);
    assert_true(fixture->vm->has_no_virtio_query);
    g_free(fake_monitor_take_asked(fixture->monitor));
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SAMPLES(queues_are_summed_for_the_disks_they_carry),
        WITH_SAMPLES(one_queue_without_an_answer_is_no_evidence),
        WITH_SAMPLES(of_too_many_queues_an_empty_part_proves_nothing),
        WITH_SAMPLES(a_disk_that_moves_is_not_looked_into),
        WITH_SAMPLES(a_vm_that_does_not_run_is_not_looked_into),
        WITH_SAMPLES(an_old_qemu_is_asked_for_queues_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
