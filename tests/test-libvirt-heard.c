/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "drift-look.h"
#include "fake-host.h"
#include "libvirt-entry.h"
#include "libvirt-fixture.h"
#include "sample.h"

#include <string.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define UUID "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b11"
#define UUID_BESIDE "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b22"

/* A libvirtd with two domains that tells what a test wants. Its calls come from threads, but a test
 * changes nothing while one is under way. */
typedef struct {
    LibvirtEvents *events; /* NULL: nobody wanted to hear */
    bool is_mute;          /* one that has no events */
    guint64 write_bytes_sec, read_bytes_sec;
    gint n_heard; /* lists that were to be heard on */
} Fake;

typedef struct {
    LibvirtFixture base; /* its clock stands still but for samples */
    Fake fake;
    Vm *web, *beside;
    guint n_started, n_done;
} Fixture;

static char *
domain_xml_of(const Fake *fake, const char *uuid)
{
    return g_strdup_printf(
        "<domain type='kvm' id='3'><name>web</name><uuid>%s</uuid><devices>"
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/web.raw'/>"
        "<target dev='vda' bus='virtio'/><iotune><write_bytes_sec>%" G_GUINT64_FORMAT
        "</write_bytes_sec><read_bytes_sec>%" G_GUINT64_FORMAT "</read_bytes_sec></iotune>"
        "<alias name='virtio-disk0'/></disk></devices></domain>",
        uuid, fake->write_bytes_sec, fake->read_bytes_sec);
}

static void
fake_list(LibvirtReply *reply)
{
    static const char *const uuids[] = {UUID, UUID_BESIDE};

    reply->listed = libvirt_listed_new();
    for (guint i = 0; i < G_N_ELEMENTS(uuids); i++) {
        LibvirtListed *listed = g_new0(LibvirtListed, 1);

        listed->uuid = g_strdup(uuids[i]);
        listed->name = g_strdup("web");
        listed->id = 3;
        g_ptr_array_add(reply->listed, listed);
    }
}

static LibvirtReply *
fake_work(LibvirtErrand *errand, gpointer data)
{
    Fake *fake = data;
    LibvirtReply *reply = g_new0(LibvirtReply, 1);

    reply->link = g_steal_pointer(&errand->link);
    if (!reply->link)
        reply->link = g_new0(LibvirtLink, 1);
    if (errand->kind == ERRAND_LIST) {
        fake_list(reply);
        fake->n_heard += errand->events != NULL;
        if (errand->events && !fake->events && !fake->is_mute)
            fake->events = libvirt_events_ref(errand->events);
    } else if (errand->kind == ERRAND_DOMAIN) {
        g_autofree char *xml = domain_xml_of(fake, errand->uuid);

        reply->run = RUN_RUNNING;
        if (errand->wants_xml)
            reply->xml = domain_xml_parse(xml, strlen(xml), NULL);
        reply->disks = libvirt_disks_new();
    }
    reply->hears_events = fake->events != NULL;
    return reply;
}

static void
fake_close(LibvirtLink *link, gpointer data)
{
    g_free(link);
}

static void
wait_for_calls(Fixture *fixture)
{
    libvirt_fixture_wait(&fixture->base);
    while (g_main_context_iteration(fixture->base.context, FALSE))
        ;
}

static void
on_started(gpointer data)
{
    ((Fixture *)data)->n_started++;
}

static Vm *
add_vm(Fixture *fixture, pid_t pid, const char *uuid)
{
    const char *const *words =
        WORDS("qemu-system-x86_64", "-name", "guest=web", "-uuid", uuid, "-object",
              "secret,id=masterKey0,file=/x/domain-3-web/master-key.aes", "-chardev",
              "socket,id=charmonitor,fd=9,server=on", "-mon", "chardev=charmonitor,mode=control");

    return libvirt_fixture_vm(&fixture->base, pid, words);
}

static void
on_done(Vm *vm, gpointer data)
{
    ((Fixture *)data)->n_done++;
}

static void
set_clock(Fixture *fixture, gint64 now_us)
{
    fixture->base.now_us = now_us;
    host_set_clock(fixture->base.host, now_us, now_us, now_us);
}

/* Of both VMs, ten seconds later. */
static void
sample_all(Fixture *fixture)
{
    gint64 now_us = fixture->base.now_us + 10 * G_USEC_PER_SEC;
    SampleContext context = {.host = fixture->base.host,
                             .context = fixture->base.context,
                             .now_us = now_us,
                             .boottime_us = now_us,
                             .period_us = 10 * G_USEC_PER_SEC};

    set_clock(fixture, now_us);
    fixture->n_done = 0;
    for (guint i = 0; i < fixture->base.vms->len; i++) {
        Vm *vm = fixture->base.vms->pdata[i];

        sample_begin(vm, &context, on_done, fixture);
    }
    while (fixture->n_done < fixture->base.vms->len)
        g_main_context_iteration(fixture->base.context, TRUE);
    for (guint i = 0; i < fixture->base.vms->len; i++)
        ((Vm *)fixture->base.vms->pdata[i])->next_us = G_MAXINT64;
}

static int
set_up(void **state, bool wants_to_hear, bool is_mute)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->fake.is_mute = is_mute;
    fixture->fake.write_bytes_sec = 1000;
    libvirt_fixture_set_up(&fixture->base, fake_work, fake_close, &fixture->fake);
    set_clock(fixture, 1000 * G_USEC_PER_SEC);
    if (wants_to_hear)
        libvirt_set_started_func(fixture->base.libvirt, on_started, fixture);
    libvirt_fixture_connect(&fixture->base);
    fixture->web = add_vm(fixture, 42, UUID);
    fixture->beside = add_vm(fixture, 43, UUID_BESIDE);
    libvirt_look(fixture->base.libvirt, fixture->base.now_us);
    wait_for_calls(fixture);
    assert_non_null(fixture->web->domain);
    assert_non_null(fixture->beside->domain);
    sample_all(fixture);
    return 0;
}

static int
set_up_hearing(void **state)
{
    return set_up(state, true, false);
}

static int
set_up_mute(void **state)
{
    return set_up(state, true, true);
}

static int
set_up_deaf(void **state)
{
    return set_up(state, false, false);
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < fixture->base.vms->len; i++) {
        sample_cancel(fixture->base.vms->pdata[i]);
        vm_free(fixture->base.vms->pdata[i]);
    }
    wait_for_calls(fixture);
    libvirt_free(fixture->base.libvirt);
    if (fixture->fake.events) {
        /* libvirt may still tell something, of which nobody must hear */
        LibvirtEvent *event = g_new0(LibvirtEvent, 1);

        libvirt_events_add(fixture->fake.events, event);
        while (g_main_context_iteration(fixture->base.context, FALSE))
            ;
        libvirt_events_unref(fixture->fake.events);
    }
    libvirt_fixture_tear_down(&fixture->base);
    g_free(fixture);
    return 0;
}

/* Without a look at what came of it. */
static void
say(Fixture *fixture, LibvirtEventKind kind, const char *uuid, const char *target,
    const char *const *limits)
{
    LibvirtEvent *event = g_new0(LibvirtEvent, 1);

    event->kind = kind;
    event->uuid = g_strdup(uuid);
    event->target = g_strdup(target);
    event->limits = g_strdupv((char **)limits);
    libvirt_events_add(fixture->fake.events, event);
}

static void
tell(Fixture *fixture, LibvirtEventKind kind, const char *uuid, const char *target,
     const char *const *limits)
{
    say(fixture, kind, uuid, target, limits);
    while (g_main_context_iteration(fixture->base.context, FALSE))
        ;
}

static void
tune(Fixture *fixture, const char *name, const char *value)
{
    tell(fixture, LIBVIRT_TUNED, UUID, "vda", WORDS(name, value));
}

static WritersCount
writes_of(const Fixture *fixture, const Vm *vm)
{
    return writers_count(drift_look_writers(vm->drift), fixture->base.now_us);
}

static void
a_domain_that_starts_is_looked_for(void **state)
{
    Fixture *fixture = *state;

    tell(fixture, LIBVIRT_STARTED, "00000000-0000-0000-0000-000000000001", NULL, NULL);
    assert_int_equal(fixture->n_started, 1);
    tell(fixture, LIBVIRT_STARTED, UUID, NULL, NULL); /* it is there already */
    tell(fixture, LIBVIRT_STOPPED, "00000000-0000-0000-0000-000000000001", NULL, NULL);
    assert_int_equal(fixture->n_started, 1);
}

static void
a_domain_that_stops_is_sampled_at_once_and_no_other(void **state)
{
    Fixture *fixture = *state;

    tell(fixture, LIBVIRT_STOPPED, UUID, NULL, NULL);
    assert_int_equal(fixture->web->next_us, fixture->base.now_us + G_USEC_PER_SEC / 2);
    assert_true(fixture->beside->next_us == G_MAXINT64);
}

/* The sample may have been asked for before it changed. */
static void
what_changes_during_a_sample_is_sampled_once_more(void **state)
{
    Fixture *fixture = *state;
    SampleContext context = {.host = fixture->base.host,
                             .context = fixture->base.context,
                             .now_us = fixture->base.now_us,
                             .boottime_us = fixture->base.now_us,
                             .period_us = 10 * G_USEC_PER_SEC};

    sample_begin(fixture->web, &context, on_done, fixture);
    assert_non_null(fixture->web->sampling);
    libvirt_entry_hear(&(LibvirtEvent){.kind = LIBVIRT_CHANGED, .uuid = (char *)UUID},
                       fixture->base.libvirt->entries->pdata[0]);
    assert_true(fixture->web->is_due_again);
    assert_false(fixture->beside->is_due_again);
}

/* Who writes to a pod's libvirtd can make it tell whatever he likes. */
static void
a_storm_costs_two_samples_a_second(void **state)
{
    Fixture *fixture = *state;
    for (guint i = 0; i < 3 * LIBVIRT_EVENTS_MAX; i++)
        tell(fixture, LIBVIRT_CHANGED, UUID, NULL, NULL);
    assert_int_equal(fixture->web->next_us, fixture->base.now_us + G_USEC_PER_SEC / 2);
}

static void
what_comes_faster_than_it_is_heard_is_dropped(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < LIBVIRT_EVENTS_MAX + 10; i++)
        say(fixture, LIBVIRT_STARTED, "00000000-0000-0000-0000-000000000001", NULL, NULL);
    tell(fixture, LIBVIRT_STARTED, "00000000-0000-0000-0000-000000000001", NULL, NULL);
    assert_int_equal(fixture->n_started, LIBVIRT_EVENTS_MAX);
    tell(fixture, LIBVIRT_STARTED, "00000000-0000-0000-0000-000000000001", NULL, NULL);
    assert_int_equal(fixture->n_started, LIBVIRT_EVENTS_MAX + 1);
}

static void
limits_that_are_set_to_what_they_were_are_an_equal_write(void **state)
{
    Fixture *fixture = *state;

    tune(fixture, "write_bytes_sec", "1000");
    assert_int_equal(writes_of(fixture, fixture->web).n_writes, 1);
    assert_int_equal(writes_of(fixture, fixture->web).n_equal, 0); /* not known yet */
    sample_all(fixture);
    assert_int_equal(writes_of(fixture, fixture->web).n_writes, 1);
    assert_int_equal(writes_of(fixture, fixture->web).n_equal, 1);
    assert_string_equal(writes_of(fixture, fixture->web).last->what,
                        "set limits of vda: write_bytes_sec 1000");
    assert_int_equal(writes_of(fixture, fixture->beside).n_writes, 0);
}

static void
limits_that_change_are_no_equal_write(void **state)
{
    Fixture *fixture = *state;

    fixture->fake.write_bytes_sec = 2000;
    tune(fixture, "write_bytes_sec", "2000");
    sample_all(fixture);
    assert_int_equal(writes_of(fixture, fixture->web).n_writes, 1);
    assert_int_equal(writes_of(fixture, fixture->web).n_equal, 0);
    assert_int_equal(writes_of(fixture, fixture->web).last->effect, WRITE_CHANGED);
}

/* libvirt takes what is not given of a group of limits as 0. */
static void
an_equal_limit_that_takes_another_away_is_a_change(void **state)
{
    Fixture *fixture = *state;

    fixture->fake.read_bytes_sec = 500;
    libvirt_domain_want_xml(fixture->web->domain);
    sample_all(fixture);
    fixture->fake.read_bytes_sec = 0;
    tune(fixture, "write_bytes_sec", "1000");
    sample_all(fixture);
    assert_int_equal(writes_of(fixture, fixture->web).last->effect, WRITE_CHANGED);
}

static void
what_a_writer_names_is_printable(void **state)
{
    Fixture *fixture = *state;

    tell(fixture, LIBVIRT_TUNED, UUID, "vd\033[2J", WORDS("write_bytes_sec", "1\n"));
    assert_string_equal(writes_of(fixture, fixture->web).last->what,
                        "set limits of vd\\x1b[2J: write_bytes_sec 1\\x0a");
    sample_all(fixture);
    assert_int_equal(writes_of(fixture, fixture->web).last->effect, WRITE_UNKNOWN);
}

static void
one_connection_hears(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < 3; i++) {
        libvirt_look(fixture->base.libvirt, fixture->base.now_us);
        wait_for_calls(fixture);
    }
    assert_int_equal(fixture->fake.n_heard, 4); /* each list says so again to the same link */
}

/* It is asked as ever. */
static void
a_libvirtd_that_tells_nothing_is_polled(void **state)
{
    Fixture *fixture = *state;
    const LibvirtEntry *entry = fixture->base.libvirt->entries->pdata[0];

    libvirt_look(fixture->base.libvirt, fixture->base.now_us);
    wait_for_calls(fixture);
    assert_int_equal(fixture->fake.n_heard, 2);
    assert_int_equal(libvirt_daemon_state(entry->daemon), DAEMON_CONNECTED);
    assert_false(libvirt_daemon_tells_events(entry->daemon));
}

static void
who_looks_once_hears_nothing(void **state)
{
    assert_int_equal(((const Fixture *)*state)->fake.n_heard, 0);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_hearing, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_domain_that_starts_is_looked_for),
        TEST(a_domain_that_stops_is_sampled_at_once_and_no_other),
        TEST(what_changes_during_a_sample_is_sampled_once_more),
        TEST(a_storm_costs_two_samples_a_second),
        TEST(what_comes_faster_than_it_is_heard_is_dropped),
        TEST(limits_that_are_set_to_what_they_were_are_an_equal_write),
        TEST(limits_that_change_are_no_equal_write),
        TEST(an_equal_limit_that_takes_another_away_is_a_change),
        TEST(what_a_writer_names_is_printable),
        TEST(one_connection_hears),
        cmocka_unit_test_setup_teardown(a_libvirtd_that_tells_nothing_is_polled, set_up_mute,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_looks_once_hears_nothing, set_up_deaf, tear_down),
    };

    return cmocka_run_group_tests_name("libvirt-heard", tests, NULL, NULL);
}
