/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "libvirt-fixture.h"
#include "sample.h"

#include <string.h>

#define PATIENT_US (10 * G_USEC_PER_SEC)
#define SHORT_US (300 * 1000)
#define UUID "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b11"
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char domain_xml[] =
    "<domain type='kvm' id='3'><name>web</name><uuid>" UUID "</uuid><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/web.raw'/>"
    "<target dev='vda' bus='virtio'/><iotune><total_bytes_sec>0</total_bytes_sec>"
    "<read_bytes_sec>7</read_bytes_sec><write_bytes_sec>5</write_bytes_sec>"
    "<write_iops_sec>9</write_iops_sec></iotune><alias name='virtio-disk0'/></disk>"
    "<disk type='block' device='disk'><source dev='/dev/sdx'/><target dev='sda' bus='scsi'/>"
    "<alias name='scsi0-0-0-0'/><address type='drive' controller='0'/></disk>"
    "<controller type='scsi' index='0' model='lsilogic'/></devices></domain>";

/* A libvirt with one domain. Touched by threads: under the lock. */
typedef struct {
    GMutex lock;
    GCond changed;
    bool is_held; /* calls for the domain do not come back */
    LibvirtOutcome outcome;
    guint id;
    guint64 wr_ops;
    RunState run;
    guint n_domain_calls, n_xml, n_links;
} Fake;

typedef struct {
    LibvirtFixture base;
    Fake fake;
    Vm *vm;
    guint n_done;
} Fixture;

static void
fake_domain(Fake *fake, const LibvirtErrand *errand, LibvirtReply *reply)
{
    static const char *const targets[] = {"vda", "sda"};

    fake->n_domain_calls++;
    while (fake->is_held)
        g_cond_wait(&fake->changed, &fake->lock);
    reply->run = fake->run;
    if (errand->wants_xml) {
        reply->xml = domain_xml_parse(domain_xml, strlen(domain_xml), NULL);
        fake->n_xml++;
    }
    reply->disks = libvirt_disks_new();
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        LibvirtDisk *disk = g_new0(LibvirtDisk, 1);

        disk->target = g_strdup(targets[i]);
        disk->has_counters = true;
        disk->wr_ops = fake->wr_ops + i;
        g_ptr_array_add(reply->disks, disk);
    }
}

static LibvirtReply *
fake_work(LibvirtErrand *errand, gpointer data)
{
    Fake *fake = data;
    LibvirtReply *reply = g_new0(LibvirtReply, 1);
    LibvirtListed *listed = g_new0(LibvirtListed, 1);

    g_mutex_lock(&fake->lock);
    reply->link = g_steal_pointer(&errand->link);
    if (!reply->link) {
        reply->link = g_new0(LibvirtLink, 1);
        fake->n_links++;
    }
    reply->listed = libvirt_listed_new();
    listed->uuid = g_strdup(UUID);
    listed->name = g_strdup("web");
    listed->id = fake->id;
    g_ptr_array_add(reply->listed, listed);
    if (errand->kind == ERRAND_DOMAIN)
        fake_domain(fake, errand, reply);
    reply->outcome = errand->kind == ERRAND_DOMAIN ? fake->outcome : OUTCOME_GOOD;
    if (reply->outcome != OUTCOME_GOOD)
        reply->problem = g_strdup("it says no");
    g_mutex_unlock(&fake->lock);
    return reply;
}

static void
fake_close(LibvirtLink *link, gpointer data)
{
    Fake *fake = data;

    g_free(link);
    g_mutex_lock(&fake->lock);
    fake->n_links--;
    g_cond_broadcast(&fake->changed);
    g_mutex_unlock(&fake->lock);
}

static void
fake_hold(Fake *fake, bool is_held)
{
    g_mutex_lock(&fake->lock);
    fake->is_held = is_held;
    g_cond_broadcast(&fake->changed);
    g_mutex_unlock(&fake->lock);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    g_mutex_init(&fixture->fake.lock);
    g_cond_init(&fixture->fake.changed);
    fixture->fake.id = 3;
    fixture->fake.run = RUN_RUNNING;
    libvirt_fixture_set_up(&fixture->base, fake_work, fake_close, &fixture->fake);
    libvirt_fixture_connect(&fixture->base);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    fake_hold(&fixture->fake, false);
    if (fixture->vm) {
        sample_cancel(fixture->vm);
        vm_free(fixture->vm);
    }
    libvirt_free(fixture->base.libvirt);
    g_mutex_lock(&fixture->fake.lock);
    while (fixture->fake.n_links > 0 &&
           g_cond_wait_until(&fixture->fake.changed, &fixture->fake.lock, end_us))
        ;
    g_mutex_unlock(&fixture->fake.lock);
    assert_int_equal(fixture->fake.n_links, 0);
    libvirt_fixture_tear_down(&fixture->base);
    g_mutex_clear(&fixture->fake.lock);
    g_cond_clear(&fixture->fake.changed);
    g_free(fixture);
    return 0;
}

/* A process of libvirt's, and one look at who it is. */
static Vm *
find_vm(Fixture *fixture, const char *uuid, const char *directory)
{
    g_autofree char *key =
        g_strdup_printf("secret,id=masterKey0,file=%s/master-key.aes", directory);
    const char *const *words =
        WORDS("qemu-system-x86_64", "-name", "guest=web", "-uuid", uuid, "-object", key, "-chardev",
              "socket,id=charmonitor,fd=9,server=on", "-mon", "chardev=charmonitor,mode=control",
              "-drive", "file=/web.raw,if=none,id=d0", "-device",
              "virtio-blk-pci,drive=d0,id=virtio-disk0");
    Vm *vm = libvirt_fixture_vm(&fixture->base, 42, words);

    fixture->vm = vm;
    libvirt_look(fixture->base.libvirt, fixture->base.now_us);
    libvirt_fixture_wait(&fixture->base);
    return vm;
}

static void
on_done(Vm *vm, gpointer data)
{
    ((Fixture *)data)->n_done++;
}

static const Sample *
sample(Fixture *fixture)
{
    SampleContext context = {.host = fixture->base.host,
                             .context = fixture->base.context,
                             .now_us = fixture->base.now_us,
                             .boottime_us = fixture->base.now_us,
                             .period_us = 10 * G_USEC_PER_SEC};

    fixture->n_done = 0;
    sample_begin(fixture->vm, &context, on_done, fixture);
    while (fixture->n_done == 0)
        g_main_context_iteration(fixture->base.context, TRUE);
    fixture->base.now_us += 10 * G_USEC_PER_SEC;
    return &fixture->vm->sample;
}

static void
a_domain_is_the_vm_with_its_uuid_and_id(void **state)
{
    Fixture *fixture = *state;

    assert_non_null(find_vm(fixture, UUID, "/x/domain-3-web")->domain);
}

static void
another_uuid_is_another_vm(void **state)
{
    Fixture *fixture = *state;

    assert_null(
        find_vm(fixture, "00000000-0000-0000-0000-000000000001", "/x/domain-3-web")->domain);
    assert_int_equal(sample(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_string_equal(fixture->vm->client_error, "no libvirt daemon that answers has this VM");
}

/* In a local migration the same uuid runs twice. */
static void
another_id_of_the_same_uuid_is_another_vm(void **state)
{
    Fixture *fixture = *state;

    assert_null(find_vm(fixture, UUID, "/x/domain-4-web")->domain);
}

static void
libvirt_fills_the_sample(void **state)
{
    Fixture *fixture = *state;
    const Sample *seen;

    find_vm(fixture, UUID, "/x/domain-3-web");
    fixture->fake.wr_ops = 100;
    seen = sample(fixture);
    assert_int_equal(seen->monitor, MONITOR_ANSWERED);
    assert_int_equal(seen->run, RUN_RUNNING);
    assert_true(seen->has_disks);
    assert_int_equal(seen->n_disks, 2);
    assert_string_equal(seen->disks[0].id, "virtio-disk0");
    assert_string_equal(seen->disks[0].label, "vda");
    assert_string_equal(seen->disks[0].driver, "virtio-blk-pci");
    assert_string_equal(seen->disks[0].storage, "file:/web.raw");
    assert_true(seen->disks[0].has_counters);
    assert_int_equal(seen->disks[0].wr_ops, 100);
    assert_true(seen->disks[0].has_limit);
    assert_int_equal(seen->disks[0].limit_bps, 5);
    assert_int_equal(seen->disks[0].limit_iops, 9);
    assert_false(seen->disks[0].has_idle_time);
    assert_string_equal(seen->disks[1].driver, "lsilogic"); /* plugged later: by the XML */
    assert_string_equal(seen->disks[1].storage, "dev:/dev/sdx");
    assert_false(seen->disks[1].has_limit);
}

static void
the_xml_is_read_once_a_minute(void **state)
{
    Fixture *fixture = *state;

    find_vm(fixture, UUID, "/x/domain-3-web");
    for (guint i = 0; i < 7; i++)
        assert_int_equal(sample(fixture)->n_disks, 2);
    assert_int_equal(fixture->fake.n_domain_calls, 7);
    assert_int_equal(fixture->fake.n_xml, 2);
}

static void
a_paused_domain_is_paused(void **state)
{
    Fixture *fixture = *state;

    find_vm(fixture, UUID, "/x/domain-3-web");
    fixture->fake.run = RUN_IO_ERROR;
    assert_int_equal(sample(fixture)->run, RUN_IO_ERROR);
}

/* Another client may hold the domain's job: it is not QEMU that is accused. */
static void
silence_of_libvirt_accuses_nobody(void **state)
{
    Fixture *fixture = *state;
    const Sample *seen;

    find_vm(fixture, UUID, "/x/domain-3-web");
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    fake_hold(&fixture->fake, true);
    seen = sample(fixture);
    assert_int_equal(seen->monitor, MONITOR_NO_GREETING);
    assert_true(seen->waited_us >= SHORT_US);
    seen = sample(fixture); /* it is still on its way: not asked again, not waited for */
    assert_int_equal(seen->monitor, MONITOR_NO_GREETING);
    assert_int_equal(fixture->fake.n_domain_calls, 1);
    fake_hold(&fixture->fake, false);
    for (guint i = 0; i < 500 && sample(fixture)->monitor != MONITOR_ANSWERED; i++) {
        g_usleep(10000);
        while (g_main_context_iteration(fixture->base.context, FALSE))
            ; /* it comes back */
    }
    assert_int_equal(fixture->vm->sample.monitor, MONITOR_ANSWERED);
}

static void
a_main_thread_in_d_makes_the_silence_qemus(void **state)
{
    Fixture *fixture = *state;

    find_vm(fixture, UUID, "/x/domain-3-web");
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    fake_hold(&fixture->fake, true);
    fake_host_set_state(fixture->base.tree, 42, 7, "qemu-system-x86", 'D');
    assert_int_equal(sample(fixture)->monitor, MONITOR_SILENT);
    fake_host_set_state(fixture->base.tree, 42, 7, "qemu-system-x86", 'S');
    assert_int_equal(sample(fixture)->monitor, MONITOR_NO_GREETING);
}

static void
a_stopped_process_is_not_asked_for(void **state)
{
    Fixture *fixture = *state;

    find_vm(fixture, UUID, "/x/domain-3-web");
    fake_host_set_state(fixture->base.tree, 42, 7, "qemu-system-x86", 'T');
    assert_int_equal(sample(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_int_equal(sample(fixture)->process_state, 'T');
    assert_int_equal(fixture->fake.n_domain_calls, 0);
}

static void
what_libvirt_refuses_is_told(void **state)
{
    static const LibvirtOutcome outcomes[] = {OUTCOME_REFUSED, OUTCOME_GONE};
    Fixture *fixture = *state;

    find_vm(fixture, UUID, "/x/domain-3-web");
    for (guint i = 0; i < G_N_ELEMENTS(outcomes); i++) {
        fixture->fake.outcome = outcomes[i];
        assert_int_equal(sample(fixture)->monitor, MONITOR_REFUSED);
        assert_false(fixture->vm->sample.has_disks);
        assert_string_equal(fixture->vm->client_error, "libvirt: it says no");
    }
}

static void
a_domain_that_vanishes_is_a_process_that_is_gone(void **state)
{
    Fixture *fixture = *state;

    find_vm(fixture, UUID, "/x/domain-3-web");
    fixture->fake.outcome = OUTCOME_GONE;
    fake_host_set_state(fixture->base.tree, 42, 7, "qemu-system-x86", 'Z');
    assert_true(sample(fixture)->process_is_gone);
}

static void
a_sample_in_the_making_may_end_with_its_vm(void **state)
{
    Fixture *fixture = *state;
    SampleContext context = {.host = fixture->base.host,
                             .context = fixture->base.context,
                             .now_us = fixture->base.now_us,
                             .period_us = 10 * G_USEC_PER_SEC};

    find_vm(fixture, UUID, "/x/domain-3-web");
    fake_hold(&fixture->fake, true);
    sample_begin(fixture->vm, &context, on_done, fixture);
    sample_cancel(fixture->vm);
    g_clear_pointer(&fixture->vm, vm_free);
    g_ptr_array_set_size(fixture->base.vms, 0);
    fake_hold(&fixture->fake, false);
    libvirt_fixture_wait(&fixture->base);
    assert_int_equal(fixture->n_done, 0);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_domain_is_the_vm_with_its_uuid_and_id),
        TEST(another_uuid_is_another_vm),
        TEST(another_id_of_the_same_uuid_is_another_vm),
        TEST(libvirt_fills_the_sample),
        TEST(the_xml_is_read_once_a_minute),
        TEST(a_paused_domain_is_paused),
        TEST(silence_of_libvirt_accuses_nobody),
        TEST(a_main_thread_in_d_makes_the_silence_qemus),
        TEST(a_stopped_process_is_not_asked_for),
        TEST(what_libvirt_refuses_is_told),
        TEST(a_domain_that_vanishes_is_a_process_that_is_gone),
        TEST(a_sample_in_the_making_may_end_with_its_vm),
    };

    return cmocka_run_group_tests_name("libvirt", tests, NULL, NULL);
}
