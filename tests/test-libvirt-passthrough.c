/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "libvirt-fixture.h"
#include "sample.h"

#include <string.h>

#define UUID "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b11"

static const char domain_xml[] =
    "<domain type='kvm' id='3'><name>web</name><uuid>" UUID "</uuid><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/web.raw'/>"
    "<target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>"
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/db.raw'/>"
    "<target dev='vdb' bus='virtio'/><alias name='virtio-disk1'/></disk></devices></domain>";

/* What QEMU says through libvirt, by a part of the question. */
typedef struct {
    const char *question, *answer;
} Line;

static const Line lines[] = {
    {"\"x-query-virtio\"",
     "{\"return\":[{\"path\":\"/machine/peripheral/virtio-disk0/virtio-backend\",\"name\":"
     "\"virtio-blk\"},{\"path\":\"/machine/peripheral/virtio-disk1/virtio-backend\",\"name\":"
     "\"virtio-blk\"}],\"id\":\"libvirt-7\"}"},
    {"\"x-query-virtio-status\"", "{\"return\":{\"num-vqs\":1},\"id\":\"libvirt-8\"}"},
    {"virtio-disk0/virtio-backend\",\"queue\"",
     "{\"return\":{\"inuse\":3,\"used-idx\":7},\"id\":\"libvirt-9\"}"},
    {"virtio-disk1/virtio-backend\",\"queue\"",
     "{\"return\":{\"inuse\":0,\"used-idx\":9},\"id\":\"libvirt-10\"}"},
};

/* Touched by threads: under the lock. */
typedef struct {
    GMutex lock;
    const char *answer; /* to everything, in place of lines; NULL */
    bool refuses;       /* to pass anything on */
    GString *asked;
    guint n_passes;
} Fake;

typedef struct {
    LibvirtFixture base;
    Fake fake;
    Vm *vm;
    bool is_done;
} Fixture;

static void
fake_list(LibvirtReply *reply)
{
    LibvirtListed *listed = g_new0(LibvirtListed, 1);

    listed->uuid = g_strdup(UUID);
    listed->name = g_strdup("web");
    listed->id = 3;
    reply->listed = libvirt_listed_new();
    g_ptr_array_add(reply->listed, listed);
}

static void
fake_domain(const LibvirtErrand *errand, LibvirtReply *reply)
{
    static const char *const targets[] = {"vda", "vdb"};

    reply->run = RUN_RUNNING;
    if (errand->wants_xml)
        reply->xml = domain_xml_parse(domain_xml, strlen(domain_xml), NULL);
    reply->disks = libvirt_disks_new();
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        LibvirtDisk *disk = g_new0(LibvirtDisk, 1);

        disk->target = g_strdup(targets[i]);
        disk->has_counters = true;
        g_ptr_array_add(reply->disks, disk);
    }
}

static const char *
answer_to(const Fake *fake, const char *command)
{
    for (guint i = 0; !fake->answer && i < G_N_ELEMENTS(lines); i++)
        if (strstr(command, lines[i].question))
            return lines[i].answer;
    return fake->answer ? fake->answer : "{\"error\":{\"class\":\"CommandNotFound\"}}";
}

static void
fake_pass(Fake *fake, const LibvirtErrand *errand, LibvirtReply *reply)
{
    fake->n_passes++;
    if (fake->refuses) {
        reply->outcome = OUTCOME_REFUSED;
        reply->problem = g_strdup("operation forbidden");
        return;
    }
    reply->answers = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; errand->commands[i]; i++) {
        g_string_append_printf(fake->asked, "%s\n", errand->commands[i]);
        g_ptr_array_add(reply->answers, g_strdup(answer_to(fake, errand->commands[i])));
    }
}

static LibvirtReply *
fake_work(LibvirtErrand *errand, gpointer data)
{
    Fake *fake = data;
    LibvirtReply *reply = g_new0(LibvirtReply, 1);

    g_mutex_lock(&fake->lock);
    reply->link = g_steal_pointer(&errand->link);
    if (errand->kind == ERRAND_LIST)
        fake_list(reply);
    else if (errand->kind == ERRAND_DOMAIN)
        fake_domain(errand, reply);
    else if (errand->kind == ERRAND_PASS)
        fake_pass(fake, errand, reply);
    g_mutex_unlock(&fake->lock);
    return reply;
}

static void
fake_close(LibvirtLink *link, gpointer data)
{
}

static void
find_vm(Fixture *fixture)
{
    static const char *const words[] = {"qemu-system-x86_64",
                                        "-name",
                                        "guest=web",
                                        "-uuid",
                                        UUID,
                                        "-object",
                                        "secret,id=masterKey0,file=/x/domain-3-web/master-key.aes",
                                        "-chardev",
                                        "socket,id=charmonitor,fd=9,server=on",
                                        "-mon",
                                        "chardev=charmonitor,mode=control",
                                        "-drive",
                                        "file=/web.raw,if=none,id=d0",
                                        "-device",
                                        "virtio-blk-pci,drive=d0,id=virtio-disk0",
                                        NULL};

    fixture->vm = libvirt_fixture_vm(&fixture->base, 42, words);
    libvirt_look(fixture->base.libvirt, fixture->base.now_us);
    libvirt_fixture_wait(&fixture->base);
    assert_non_null(fixture->vm->domain);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    g_mutex_init(&fixture->fake.lock);
    fixture->fake.asked = g_string_new(NULL);
    libvirt_fixture_set_up(&fixture->base, fake_work, fake_close, &fixture->fake);
    libvirt_fixture_connect(&fixture->base);
    find_vm(fixture);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    vm_free(fixture->vm);
    libvirt_free(fixture->base.libvirt);
    libvirt_fixture_tear_down(&fixture->base);
    g_string_free(fixture->fake.asked, TRUE);
    g_mutex_clear(&fixture->fake.lock);
    g_free(fixture);
    return 0;
}

static void
on_done(Vm *vm, gpointer data)
{
    ((Fixture *)data)->is_done = true;
}

/* A sample of a VM with that verdict, in which both disks stand still. */
static const Sample *
sample(Fixture *fixture, PassthroughMode allowed, State state)
{
    SampleContext context = {.host = fixture->base.host,
                             .context = fixture->base.context,
                             .now_us = fixture->base.now_us,
                             .boottime_us = fixture->base.now_us,
                             .period_us = 60 * G_USEC_PER_SEC,
                             .wants_all_evidence = true};

    fixture->vm->limits.libvirt_passthrough = allowed;
    fixture->vm->limits.answer_deadline_us = 60 * G_USEC_PER_SEC;
    fixture->vm->track.verdict.state = state;
    fixture->is_done = false;
    sample_begin(fixture->vm, &context, on_done, fixture);
    while (!fixture->is_done)
        g_main_context_iteration(fixture->base.context, TRUE);
    fixture->base.now_us += 10 * G_USEC_PER_SEC;
    assert_int_equal(fixture->vm->sample.monitor, MONITOR_ANSWERED);
    assert_int_equal(fixture->vm->sample.n_disks, 2);
    return &fixture->vm->sample;
}

static void
a_suspects_queues_are_asked_where_that_is_allowed(void **state)
{
    Fixture *fixture = *state;
    const Sample *seen = sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT);

    assert_true(seen->disks[0].has_queue);
    assert_int_equal(seen->disks[0].queue_inflight, 3);
    assert_int_equal(seen->disks[0].queue_used_idx, 7);
    assert_true(seen->disks[1].has_queue); /* the innocent beside it */
    assert_int_equal(seen->disks[1].queue_inflight, 0);
    assert_int_equal(fixture->fake.n_passes, 3);
    assert_null(fixture->vm->passthrough_problem);
    (void)sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT);
    assert_int_equal(fixture->fake.n_passes, 4); /* devices and sizes are known */
}

static void
nothing_else_is_asked(void **state)
{
    Fixture *fixture = *state;
    g_auto(GStrv) asked = NULL;

    (void)sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT);
    asked = g_strsplit(fixture->fake.asked->str, "\n", -1);
    for (guint i = 0; *asked[i]; i++)
        assert_true(g_str_has_prefix(asked[i], "{\"execute\":\"x-query-virtio"));
    assert_int_equal(g_strv_length(asked), 5 + 1);
}

static void
without_the_permission_nobody_is_asked(void **state)
{
    Fixture *fixture = *state;

    assert_false(sample(fixture, PASSTHROUGH_OFF, STATE_SUSPECT)->disks[0].has_queue);
    assert_int_equal(fixture->fake.n_passes, 0);
}

static void
a_vm_that_is_fine_is_not_asked(void **state)
{
    Fixture *fixture = *state;

    assert_false(sample(fixture, PASSTHROUGH_SUSPECT, STATE_OK)->disks[0].has_queue);
    assert_int_equal(fixture->fake.n_passes, 0);
    (void)sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT);
    (void)sample(fixture, PASSTHROUGH_SUSPECT, STATE_OK);
    fixture->fake.n_passes = 0;
    (void)sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT);
    assert_int_equal(fixture->fake.n_passes, 3); /* its devices may be others by now */
}

static void
a_refusal_is_told_and_costs_no_counter(void **state)
{
    Fixture *fixture = *state;

    fixture->fake.refuses = true;
    assert_false(sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT)->disks[0].has_queue);
    assert_true(fixture->vm->sample.disks[0].has_counters);
    assert_string_equal(fixture->vm->passthrough_problem, "operation forbidden");
    fixture->fake.refuses = false;
    assert_true(sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT)->disks[0].has_queue);
    assert_null(fixture->vm->passthrough_problem);
}

static void
an_answer_of_another_shape_is_none(void **state)
{
    static const char *const answers[] = {
        "",
        "{}",
        "[]",
        "{\"return\":{}}",
        "{\"return\":[7,{}]}",
        "{\"return\":",
        "\xff\xfe",
        "null",
        "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}"};
    Fixture *fixture = *state;

    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        fixture->fake.answer = answers[i];
        assert_false(sample(fixture, PASSTHROUGH_SUSPECT, STATE_SUSPECT)->disks[0].has_queue);
        (void)sample(fixture, PASSTHROUGH_SUSPECT, STATE_OK);
    }
}

static void
a_vm_that_ends_meanwhile_takes_no_answer(void **state)
{
    Fixture *fixture = *state;
    SampleContext context = {.host = fixture->base.host,
                             .context = fixture->base.context,
                             .now_us = fixture->base.now_us,
                             .boottime_us = fixture->base.now_us,
                             .period_us = 60 * G_USEC_PER_SEC,
                             .wants_all_evidence = true};
    bool is_passed = false;

    fixture->vm->limits.libvirt_passthrough = PASSTHROUGH_SUSPECT;
    fixture->vm->track.verdict.state = STATE_SUSPECT;
    sample_begin(fixture->vm, &context, on_done, fixture);
    while (!is_passed && !fixture->is_done) {
        g_main_context_iteration(fixture->base.context, TRUE);
        g_mutex_lock(&fixture->fake.lock);
        is_passed = fixture->fake.n_passes > 0;
        g_mutex_unlock(&fixture->fake.lock);
    }
    assert_true(is_passed);
    sample_cancel(fixture->vm);
    while (libvirt_pending(fixture->base.libvirt) > 0)
        g_main_context_iteration(fixture->base.context, TRUE);
    assert_false(fixture->is_done);
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        row(a_suspects_queues_are_asked_where_that_is_allowed),
        row(nothing_else_is_asked),
        row(without_the_permission_nobody_is_asked),
        row(a_vm_that_is_fine_is_not_asked),
        row(a_refusal_is_told_and_costs_no_counter),
        row(an_answer_of_another_shape_is_none),
        row(a_vm_that_ends_meanwhile_takes_no_answer),
    };

    return cmocka_run_group_tests_name("libvirt-passthrough", tests, NULL, NULL);
}
