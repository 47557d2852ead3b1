/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "reconciler-fixture.h"

#include "libvirt-domain.h"

#include <string.h>

/* A VM of libvirt with the disks vda and vdb, and a libvirtd that keeps their limits now and at the
 * next start, and takes others as libvirt 9.0 does: total, read and write of a kind together. */

#define UUID "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b11"

struct LibvirtLink {
    int unused;
};

typedef enum { NOW, LATER, N_SIDES } Side;

/* Touched by threads: under the lock. */
typedef struct {
    GMutex lock;
    GHashTable *sides[N_SIDES]; /* of vda: names and values of <iotune> */
    const char *group;          /* name given to that of vda and of vdb; NULL */
    bool is_transient, forgets, refuses;
    const char *busy;
    const char *other; /* what somebody else sets for the next start between look and write; NULL */
    GString *told;     /* one line a write */
    guint n_looks;
} Fake;

typedef struct {
    ReconcilerFixture *base;
    LibvirtDaemon *daemon;
    LibvirtLibrary library;
    Fake fake;
} Fixture;

static void
take_value(GHashTable *side, const char *name, const char *value)
{
    g_hash_table_remove(side, name);
    if (strcmp(value, "0") != 0)
        g_hash_table_insert(side, g_strdup(name), g_strdup(value));
}

/* "read_bytes_sec" and "total_bytes_sec" are of one kind, "read_bytes_sec_max" is of another. */
static gboolean
is_of_kind(gpointer key, gpointer value, gpointer name)
{
    return strcmp(strchr(key, '_'), strchr(name, '_')) == 0 && !strstr(name, "_length") &&
           !g_str_has_prefix(name, "size");
}

static void
fake_set(Fake *fake, Side side, char **pairs)
{
    for (char **pair = pairs; *pair; pair += 2)
        g_hash_table_foreach_remove(fake->sides[side], is_of_kind, pair[0]);
    for (char **pair = pairs; *pair; pair += 2)
        take_value(fake->sides[side], pair[0], pair[1]);
}

static void
fake_say(Fake *fake, Side side, const char *name, const char *value)
{
    g_mutex_lock(&fake->lock);
    take_value(fake->sides[side], name, value);
    g_mutex_unlock(&fake->lock);
}

static DomainXml *
fake_xml(const Fake *fake, Side side)
{
    GString *text = g_string_new("<domain type='kvm' id='3'><name>web</name><uuid>" UUID
                                 "</uuid><devices><disk type='file' device='disk'>"
                                 "<source file='/web.raw'/><target dev='vda'/><iotune>");
    GHashTableIter iter;
    gpointer name, value;
    DomainXml *xml;

    g_hash_table_iter_init(&iter, fake->sides[side]);
    while (g_hash_table_iter_next(&iter, &name, &value))
        g_string_append_printf(text, "<%s>%s</%s>", (char *)name, (char *)value, (char *)name);
    if (fake->group)
        g_string_append_printf(text, "<group_name>%s</group_name>", fake->group);
    g_string_append(text, "</iotune></disk><disk type='file' device='disk'>"
                          "<source file='/db.raw'/><target dev='vdb'/><iotune>"
                          "<write_bytes_sec>31457280</write_bytes_sec>");
    if (fake->group)
        g_string_append_printf(text, "<group_name>%s</group_name>", fake->group);
    g_string_append(text, "</iotune></disk></devices></domain>");
    xml = domain_xml_parse(text->str, text->len, NULL);
    assert_non_null(xml);
    g_string_free(text, TRUE);
    return xml;
}

static void
fake_read(const Fake *fake, LibvirtReply *reply)
{
    reply->xml = fake_xml(fake, NOW);
    if (!fake->is_transient)
        reply->persistent = fake_xml(fake, LATER);
}

static void
fake_tune(Fake *fake, const LibvirtErrand *errand, LibvirtReply *reply)
{
    reply->run = RUN_RUNNING;
    reply->busy = fake->busy;
    fake->n_looks += !errand->tune;
    if (errand->tune && !fake->busy) {
        g_autofree char *words = g_strjoinv(" ", errand->tune);

        g_string_append_printf(fake->told, "%s%s%s: %s\n", errand->target,
                               errand->tunes_live ? " live" : "",
                               errand->tunes_configured ? " config" : "", words);
        reply->was_tuned = true;
        if (fake->refuses) {
            reply->outcome = OUTCOME_REFUSED;
            reply->problem = g_strdup("operation forbidden");
        }
        if (errand->tunes_live && !fake->refuses && !fake->forgets)
            fake_set(fake, NOW, errand->tune);
        if (errand->tunes_configured && !fake->refuses && !fake->forgets)
            fake_set(fake, LATER, errand->tune);
    }
    fake_read(fake, reply);
    if (!errand->tune && fake->other)
        take_value(fake->sides[LATER], "write_bytes_sec", fake->other);
}

static LibvirtReply *
fake_work(LibvirtErrand *errand, gpointer data)
{
    static const char *const targets[] = {"vda", "vdb"};
    Fake *fake = data;
    LibvirtReply *reply = g_new0(LibvirtReply, 1);

    g_mutex_lock(&fake->lock);
    reply->link = g_steal_pointer(&errand->link);
    if (errand->kind == ERRAND_TUNE) {
        fake_tune(fake, errand, reply);
    } else {
        reply->run = RUN_RUNNING;
        if (errand->wants_xml)
            fake_read(fake, reply);
        reply->disks = libvirt_disks_new();
        for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
            LibvirtDisk *disk = g_new0(LibvirtDisk, 1);

            disk->target = g_strdup(targets[i]);
            disk->has_counters = true;
            g_ptr_array_add(reply->disks, disk);
        }
    }
    g_mutex_unlock(&fake->lock);
    return reply;
}

static void
fake_close(LibvirtLink *link, gpointer data)
{
}

static void
fake_init(Fake *fake)
{
    g_mutex_init(&fake->lock);
    fake->told = g_string_new(NULL);
    for (Side side = 0; side < N_SIDES; side++)
        fake->sides[side] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* What was told of vda so far; a new string. */
static char *
told(Fixture *fixture)
{
    char *text;

    g_mutex_lock(&fixture->fake.lock);
    text = g_strdup(fixture->fake.told->str);
    g_mutex_unlock(&fixture->fake.lock);
    return text;
}

static void
assert_told(Fixture *fixture, const char *expected)
{
    g_autofree char *text = told(fixture);

    assert_string_equal(text, expected);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    void *base = NULL;
    Vm *vm;

    if (reconciler_fixture_set_up(&base) != 0)
        return -1;
    fixture->base = base;
    fake_init(&fixture->fake);
    fixture->library =
        (LibvirtLibrary){.work = fake_work, .close = fake_close, .data = &fixture->fake};
    fixture->daemon =
        libvirt_daemon_new(&(LibvirtDaemonContext){.context = fixture->base->samples->context,
                                                   .library = &fixture->library},
                           "fake", "fake:///");
    libvirt_daemon_set_write_uri(fixture->daemon, "fake:///");
    vm = reconciler_fixture_vm(fixture->base, NULL, MODE_ENFORCE);
    vm->source = "libvirt";
    vm->argv->is_libvirt = true;
    g_clear_pointer(&vm->monitor_path, g_free);
    vm->domain = libvirt_domain_new(fixture->daemon, UUID);
    reconciler_fixture_policy(fixture->base, "vda", "mbps_wr", "60");
    for (Side side = 0; side < N_SIDES; side++)
        fake_say(&fixture->fake, side, "write_bytes_sec", "62914560");
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    void *base = fixture->base;

    reconciler_forget(fixture->base->reconciler);
    assert_int_equal(reconciler_fixture_tear_down(&base), 0);
    libvirt_daemon_free(fixture->daemon);
    for (Side side = 0; side < N_SIDES; side++)
        g_hash_table_unref(fixture->fake.sides[side]);
    g_string_free(fixture->fake.told, TRUE);
    g_mutex_clear(&fixture->fake.lock);
    g_free(fixture);
    return 0;
}

static void
turns(Fixture *fixture, guint n)
{
    reconciler_fixture_turns(fixture->base, n, 10 * SECOND);
}

static void
a_day_without_a_difference_is_no_write(void **state)
{
    Fixture *fixture = *state;

    fake_say(&fixture->fake, NOW, "write_bytes_sec_max_length", "1"); /* as libvirt fills in */
    turns(fixture, 24 * 360);
    assert_told(fixture, "");
    assert_string_equal(fixture->base->told->str, "");
    assert_int_equal(fixture->fake.n_looks, 0);
}

static void
a_drift_of_both_is_one_write_of_both(void **state)
{
    Fixture *fixture = *state;

    for (Side side = 0; side < N_SIDES; side++)
        fake_say(&fixture->fake, side, "write_bytes_sec", "31457280");
    turns(fixture, 60);
    assert_told(fixture, "vda live config: total_bytes_sec 0 read_bytes_sec 0 write_bytes_sec "
                         "62914560\n");
    assert_string_equal(fixture->base->told->str,
                        "limits of vda set in libvirt: mbps_wr=30 -> mbps_wr=60, as "
                        "/etc/vm-guardian/vm.d/web.conf:7 wants it\n");
}

static void
only_the_side_that_differs_is_told(void **state)
{
    static const char *const words[] = {"vda live: ", "vda config: "};
    Fixture *fixture = *state;

    for (Side side = 0; side < N_SIDES; side++) {
        g_autofree char *expected = g_strconcat(
            words[side], "total_bytes_sec 0 read_bytes_sec 0 write_bytes_sec 62914560\n", NULL);

        g_string_truncate(fixture->fake.told, 0);
        fake_say(&fixture->fake, side, "write_bytes_sec", "31457280");
        turns(fixture, 60);
        assert_told(fixture, expected);
    }
    assert_non_null(strstr(fixture->base->told->str, "in libvirt: mbps_wr=30|mbps_wr=60 -> "));
    assert_non_null(strstr(fixture->base->told->str, "in libvirt: mbps_wr=60|mbps_wr=30 -> "));
}

static void
other_kinds_keep_their_values(void **state)
{
    Fixture *fixture = *state;

    for (Side side = 0; side < N_SIDES; side++) {
        fake_say(&fixture->fake, side, "write_bytes_sec_max", "125829120");
        fake_say(&fixture->fake, side, "write_bytes_sec_max_length", "5");
    }
    turns(fixture, 60); /* a burst that the policy does not want goes, the rate is not told */
    assert_told(fixture, "vda live config: total_bytes_sec_max 0 read_bytes_sec_max 0 "
                         "write_bytes_sec_max 0 write_bytes_sec_max_length 1\n");
}

static void
a_transient_domain_has_no_next_start(void **state)
{
    Fixture *fixture = *state;

    fixture->fake.is_transient = true;
    fake_say(&fixture->fake, NOW, "write_bytes_sec", "31457280");
    turns(fixture, 60);
    assert_told(fixture, "vda live: total_bytes_sec 0 read_bytes_sec 0 write_bytes_sec 62914560\n");
}

static void
a_limit_is_never_taken_away(void **state)
{
    Fixture *fixture = *state;

    fake_say(&fixture->fake, NOW, "read_bytes_sec", "31457280");
    turns(fixture, 60);
    assert_told(fixture, "");
}

static void
what_others_do_is_left_in_peace(void **state)
{
    Fixture *fixture = *state;

    fake_say(&fixture->fake, NOW, "write_bytes_sec", "31457280");
    fixture->base->samples->vm->track.verdict.state = STATE_SUSPECT;
    turns(fixture, 60);
    assert_drift_explained(fixture->base, "vda", "a stall is suspected on the VM or its storage");
    fixture->base->samples->vm->track.verdict.state = STATE_OK;
    fixture->fake.busy = "a block job runs on the VM";
    turns(fixture, 60);
    assert_told(fixture, "");
    assert_true(fixture->fake.n_looks > 0);
    fixture->fake.busy = NULL;
    fixture->fake.group = "both";
    turns(fixture, 60);
    assert_drift_explained(fixture->base, "vda", "a group cannot be changed while the VM runs");
    assert_told(fixture, "");
    fixture->fake.group = NULL;
    turns(fixture, 60);
    assert_told(fixture, "vda live: total_bytes_sec 0 read_bytes_sec 0 write_bytes_sec 62914560\n");
}

static void
a_change_between_look_and_write_is_not_overwritten(void **state)
{
    Fixture *fixture = *state;

    fake_say(&fixture->fake, NOW, "write_bytes_sec", "31457280");
    fixture->fake.other = "10485760";
    turns(fixture, 20);
    assert_told(fixture, "");
}

static void
a_libvirt_that_forgets_is_told_once(void **state)
{
    Fixture *fixture = *state;

    fixture->fake.forgets = true;
    fake_say(&fixture->fake, NOW, "write_bytes_sec", "31457280");
    turns(fixture, 400);
    assert_told(fixture, "vda live: total_bytes_sec 0 read_bytes_sec 0 write_bytes_sec 62914560\n");
    assert_int_equal(reconciler_fixture_count(fixture->base->told, "\n"), 1);
    assert_non_null(strstr(fixture->base->told->str, "ALERT limits of vda could not be set to "));
}

static void
what_libvirt_refuses_is_tried_three_times(void **state)
{
    Fixture *fixture = *state;

    fixture->fake.refuses = true;
    fake_say(&fixture->fake, NOW, "write_bytes_sec", "31457280");
    turns(fixture, 1000);
    assert_int_equal(reconciler_fixture_count(fixture->fake.told, "\n"), 3);
    assert_int_equal(reconciler_fixture_count(fixture->base->told, "ALERT"), 1);
    assert_non_null(strstr(fixture->base->told->str, "in 3 tries (operation forbidden)"));
}

static void
who_must_not_write_says_so(void **state)
{
    Fixture *fixture = *state;

    libvirt_daemon_set_write_uri(fixture->daemon, NULL);
    fake_say(&fixture->fake, NOW, "write_bytes_sec", "31457280");
    turns(fixture, 60);
    assert_told(fixture, "");
    assert_drift_explained(fixture->base, "vda",
                           "its libvirtd has no socket that may be written to");
    libvirt_daemon_set_write_uri(fixture->daemon, "fake:///");
    fixture->base->samples->vm->limits.enforce_throttle = MODE_OBSERVE;
    turns(fixture, 60);
    assert_told(fixture, "");
    assert_drift_explained(fixture->base, "vda", "observe: nothing is written");
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH(a_day_without_a_difference_is_no_write),
        WITH(a_drift_of_both_is_one_write_of_both),
        WITH(only_the_side_that_differs_is_told),
        WITH(other_kinds_keep_their_values),
        WITH(a_transient_domain_has_no_next_start),
        WITH(a_limit_is_never_taken_away),
        WITH(what_others_do_is_left_in_peace),
        WITH(a_change_between_look_and_write_is_not_overwritten),
        WITH(a_libvirt_that_forgets_is_told_once),
        WITH(what_libvirt_refuses_is_tried_three_times),
        WITH(who_must_not_write_says_so),
    };

    return cmocka_run_group_tests_name("reconciler-libvirt", tests, NULL, NULL);
}
