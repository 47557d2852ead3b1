/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "libvirt-daemon.h"

#include <string.h>

#define PATIENT_US (10 * G_USEC_PER_SEC)
/* Of a call that is held until its test lets it go. */
#define SHORT_US (300 * 1000)

struct LibvirtLink {
    int number;
};

/* A library that does what a test says. Touched by threads: under the lock. */
typedef struct {
    GMutex lock;
    GCond changed;
    bool is_down;
    char *held; /* a domain whose calls hang, "" for a list; NULL none */
    guint n_opened, n_closed, n_running, n_running_max;
    guint n_holders; /* calls on their way, begun or not */
} Fake;

typedef struct {
    Fake fake;
    LibvirtLibrary library;
    GMainContext *context;
    LibvirtDaemon *daemon;
    GPtrArray *news; /* of char * */
    GString *told;   /* "good;", "late;", ... in the order they were told */
} Fixture;

static LibvirtReply *
fake_work(LibvirtErrand *errand, gpointer data)
{
    Fake *fake = data;
    LibvirtReply *reply = g_new0(LibvirtReply, 1);

    g_mutex_lock(&fake->lock);
    fake->n_running++;
    fake->n_running_max = MAX(fake->n_running_max, fake->n_running);
    reply->link = g_steal_pointer(&errand->link);
    if (!reply->link && !fake->is_down) {
        reply->link = g_new0(LibvirtLink, 1);
        fake->n_opened++;
    }
    while (fake->held && strcmp(fake->held, errand->uuid ? errand->uuid : "") == 0)
        g_cond_wait(&fake->changed, &fake->lock);
    if (fake->is_down) {
        if (reply->link)
            fake->n_closed++;
        g_clear_pointer(&reply->link, g_free);
        reply->outcome = OUTCOME_DOWN;
        reply->problem = g_strdup("it is down");
    }
    fake->n_running--;
    g_cond_broadcast(&fake->changed);
    g_mutex_unlock(&fake->lock);
    return reply;
}

static void
fake_close(LibvirtLink *link, gpointer data)
{
    Fake *fake = data;

    g_mutex_lock(&fake->lock);
    fake->n_closed++;
    g_cond_broadcast(&fake->changed);
    g_mutex_unlock(&fake->lock);
    g_free(link);
}

static gpointer
fake_hold(gpointer data)
{
    Fake *fake = data;

    g_mutex_lock(&fake->lock);
    fake->n_holders++;
    g_mutex_unlock(&fake->lock);
    return fake;
}

static void
fake_release(gpointer data)
{
    Fake *fake = data;

    g_mutex_lock(&fake->lock);
    fake->n_holders--;
    g_cond_broadcast(&fake->changed);
    g_mutex_unlock(&fake->lock);
}

static void
fake_set(Fake *fake, const char *held, bool is_down)
{
    g_mutex_lock(&fake->lock);
    g_free(fake->held);
    fake->held = g_strdup(held);
    fake->is_down = is_down;
    g_cond_broadcast(&fake->changed);
    g_mutex_unlock(&fake->lock);
}

static void
on_news(const char *line, gpointer data)
{
    g_ptr_array_add(((Fixture *)data)->news, g_strdup(line));
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    LibvirtDaemonContext context = {
        .library = &fixture->library, .news = on_news, .news_data = fixture};

    *state = fixture;
    g_mutex_init(&fixture->fake.lock);
    g_cond_init(&fixture->fake.changed);
    fixture->library = (LibvirtLibrary){.work = fake_work,
                                        .close = fake_close,
                                        .data = &fixture->fake,
                                        .hold = fake_hold,
                                        .release = fake_release};
    context.context = fixture->context = g_main_context_new();
    fixture->news = g_ptr_array_new_with_free_func(g_free);
    fixture->told = g_string_new(NULL);
    fixture->daemon = libvirt_daemon_new(&context, "here", "fake:///");
    return 0;
}

/* What was opened is closed again, also by calls that come back after the end. */
static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;
    Fake *fake = &fixture->fake;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    libvirt_daemon_free(fixture->daemon);
    fake_set(fake, NULL, false);
    g_mutex_lock(&fake->lock);
    /* a call whose thread has not begun yet has opened nothing, and still needs the fake */
    while ((fake->n_holders > 0 || fake->n_opened != fake->n_closed) &&
           g_cond_wait_until(&fake->changed, &fake->lock, end_us))
        ;
    g_mutex_unlock(&fake->lock);
    assert_int_equal(fake->n_opened, fake->n_closed);
    g_main_context_unref(fixture->context);
    g_ptr_array_unref(fixture->news);
    g_string_free(fixture->told, TRUE);
    g_mutex_clear(&fake->lock);
    g_cond_clear(&fake->changed);
    g_free(fixture);
    return 0;
}

static void
on_answer(LibvirtReply *reply, bool is_late, const char *problem, gpointer data)
{
    GString *told = ((Fixture *)data)->told;

    if (reply)
        g_string_append(told, reply->outcome == OUTCOME_GOOD ? "good;" : "bad;");
    else
        g_string_append(told, is_late ? "late;" : "refused;");
}

static void
on_back(const char *problem, gpointer data)
{
    g_string_append(((Fixture *)data)->told, "back;");
}

/* uuid NULL: the list of domains. */
static void
ask(Fixture *fixture, const char *uuid, gint64 deadline_us)
{
    LibvirtErrand *errand = g_new0(LibvirtErrand, 1);

    errand->kind = uuid ? ERRAND_DOMAIN : ERRAND_LIST;
    errand->uuid = g_strdup(uuid);
    libvirt_daemon_ask(fixture->daemon, errand, deadline_us, on_answer, on_back, fixture);
}

static gboolean
nudge(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

static void
wait_until_told(Fixture *fixture, const char *told)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    GSource *timer = g_timeout_source_new(20);

    g_source_set_callback(timer, nudge, NULL, NULL);
    g_source_attach(timer, fixture->context);
    while (strcmp(fixture->told->str, told) != 0 && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    g_source_destroy(timer);
    g_source_unref(timer);
    assert_string_equal(fixture->told->str, told);
}

static void
one_connection_serves_many_calls(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < 20; i++)
        ask(fixture, i % 2 ? "a" : NULL, PATIENT_US);
    assert_int_equal(libvirt_daemon_open(fixture->daemon), 20);
    assert_string_equal(fixture->told->str, "");
    wait_until_told(fixture, "good;good;good;good;good;good;good;good;good;good;"
                             "good;good;good;good;good;good;good;good;good;good;");
    /* one lane; where this machine lets a thread wait for so long that it is overtaken, one more */
    assert_int_equal(fixture->fake.n_opened, libvirt_daemon_lanes(fixture->daemon));
    assert_true(fixture->fake.n_running_max <= libvirt_daemon_lanes(fixture->daemon));
    assert_int_equal(libvirt_daemon_state(fixture->daemon), DAEMON_CONNECTED);
    assert_true(libvirt_daemon_answered_us(fixture->daemon) > 0);
    assert_int_equal(fixture->news->len, 1);
    assert_string_equal(fixture->news->pdata[0], "libvirt here: connected");
}

/* The guilty hangs; everybody else is served, by one spare connection. */
static void
a_call_that_hangs_is_overtaken_and_set_aside(void **state)
{
    Fixture *fixture = *state;
    gint64 begun_us = g_get_monotonic_time();

    fake_set(&fixture->fake, "guilty", false);
    ask(fixture, "guilty", PATIENT_US / 4);
    for (guint i = 0; i < 5; i++)
        ask(fixture, "innocent", PATIENT_US);
    wait_until_told(fixture, "good;good;good;good;good;");
    assert_true(g_get_monotonic_time() - begun_us >= LIBVIRT_OVERTAKE_US);
    wait_until_told(fixture, "good;good;good;good;good;late;");
    assert_int_equal(libvirt_daemon_set_aside(fixture->daemon), 1);
    assert_int_equal(libvirt_daemon_lanes(fixture->daemon), 2);
    assert_int_equal(libvirt_daemon_state(fixture->daemon), DAEMON_CONNECTED);
    ask(fixture, "innocent", PATIENT_US);
    wait_until_told(fixture, "good;good;good;good;good;late;good;");
    fake_set(&fixture->fake, NULL, false);
    wait_until_told(fixture, "good;good;good;good;good;late;good;back;");
    assert_int_equal(libvirt_daemon_set_aside(fixture->daemon), 0);
    assert_int_equal(fixture->fake.n_opened, 2);
    assert_int_equal(fixture->news->len, 1);
}

static void
no_more_than_four_calls_ever_hang(void **state)
{
    Fixture *fixture = *state;

    fake_set(&fixture->fake, "guilty", false);
    for (guint i = 0; i < 9; i++)
        ask(fixture, "guilty", SHORT_US);
    wait_until_told(fixture, "late;late;late;late;refused;refused;refused;refused;refused;");
    assert_int_equal(libvirt_daemon_set_aside(fixture->daemon), LIBVIRT_LANES_MAX);
    ask(fixture, "innocent", PATIENT_US);
    assert_true(g_str_has_suffix(fixture->told->str, "refused;")); /* at once */
    assert_int_equal(fixture->fake.n_running_max, LIBVIRT_LANES_MAX);
    g_string_truncate(fixture->told, 0);
    fake_set(&fixture->fake, NULL, false);
    wait_until_told(fixture, "back;back;back;back;");
    ask(fixture, "innocent", PATIENT_US);
    wait_until_told(fixture, "back;back;back;back;good;");
}

static void
one_that_is_down_is_left_alone_for_a_while_and_told_of_once(void **state)
{
    Fixture *fixture = *state;
    gint64 end_us;

    ask(fixture, "a", PATIENT_US);
    wait_until_told(fixture, "good;");
    fake_set(&fixture->fake, NULL, true);
    ask(fixture, "a", PATIENT_US);
    wait_until_told(fixture, "good;bad;");
    assert_int_equal(libvirt_daemon_state(fixture->daemon), DAEMON_DOWN);
    ask(fixture, "a", PATIENT_US);
    ask(fixture, NULL, PATIENT_US);
    wait_until_told(fixture, "good;bad;refused;refused;");
    assert_string_equal(libvirt_daemon_problem(fixture->daemon), "it is down");
    fake_set(&fixture->fake, NULL, false);
    for (end_us = g_get_monotonic_time() + PATIENT_US;
         libvirt_daemon_state(fixture->daemon) == DAEMON_DOWN && g_get_monotonic_time() < end_us;) {
        ask(fixture, NULL, PATIENT_US);
        while (libvirt_daemon_open(fixture->daemon) > 0)
            g_main_context_iteration(fixture->context, TRUE);
        g_usleep(20000);
    }
    assert_int_equal(fixture->news->len, 3);
    assert_string_equal(fixture->news->pdata[1], "libvirt here: down: it is down");
    assert_string_equal(fixture->news->pdata[2], "libvirt here: connected");
}

/* Four calls hang and learn of it at once; a second later it may be back. */
static void
calls_that_end_with_it_are_no_tries(void **state)
{
    Fixture *fixture = *state;

    fake_set(&fixture->fake, "guilty", false);
    for (guint i = 0; i < 4; i++)
        ask(fixture, "guilty", SHORT_US);
    wait_until_told(fixture, "late;late;late;late;");
    fake_set(&fixture->fake, NULL, true);
    wait_until_told(fixture, "late;late;late;late;back;back;back;back;");
    assert_int_equal(libvirt_daemon_state(fixture->daemon), DAEMON_DOWN);
    fake_set(&fixture->fake, NULL, false);
    g_usleep(G_USEC_PER_SEC + 100000);
    ask(fixture, "innocent", PATIENT_US);
    wait_until_told(fixture, "late;late;late;late;back;back;back;back;good;");
}

/* All hang, as when libvirtd is stopped: nothing piles up, and it goes on when they return. */
static void
one_that_does_not_say_its_domains_is_silent(void **state)
{
    Fixture *fixture = *state;

    fake_set(&fixture->fake, "", false);
    ask(fixture, NULL, SHORT_US);
    wait_until_told(fixture, "late;");
    assert_int_equal(libvirt_daemon_state(fixture->daemon), DAEMON_SILENT);
    ask(fixture, "a", PATIENT_US);
    ask(fixture, NULL, PATIENT_US);
    wait_until_told(fixture, "late;refused;refused;");
    assert_int_equal(libvirt_daemon_lanes(fixture->daemon), 1);
    fake_set(&fixture->fake, NULL, false);
    wait_until_told(fixture, "late;refused;refused;back;");
    assert_int_equal(libvirt_daemon_state(fixture->daemon), DAEMON_CONNECTED);
    assert_int_equal(fixture->news->len, 2);
}

static void
who_is_forgotten_is_told_nothing(void **state)
{
    Fixture *fixture = *state;

    fake_set(&fixture->fake, "guilty", false);
    ask(fixture, "guilty", PATIENT_US);
    ask(fixture, "innocent", PATIENT_US);
    libvirt_daemon_forget(fixture->daemon, fixture);
    fake_set(&fixture->fake, NULL, false);
    while (libvirt_daemon_open(fixture->daemon) > 0)
        g_main_context_iteration(fixture->context, TRUE);
    assert_string_equal(fixture->told->str, "");
}

static void
the_end_waits_for_no_call(void **state)
{
    Fixture *fixture = *state;

    fake_set(&fixture->fake, "guilty", false);
    ask(fixture, "guilty", PATIENT_US);
    ask(fixture, "innocent", PATIENT_US);
    /* the tear down ends it while the call hangs */
}

static void
without_a_library_the_reason_is_told(void **state)
{
    Fixture *fixture = *state;
    LibvirtLibrary none = {.problem = (char *)"not built in"};
    LibvirtDaemonContext context = {.library = &none, .context = fixture->context};
    LibvirtDaemon *daemon = libvirt_daemon_new(&context, "here", "fake:///");
    LibvirtErrand *errand = g_new0(LibvirtErrand, 1);

    libvirt_daemon_ask(daemon, errand, PATIENT_US, on_answer, NULL, fixture);
    assert_string_equal(fixture->told->str, "refused;");
    libvirt_daemon_free(daemon);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_connection_serves_many_calls),
        TEST(a_call_that_hangs_is_overtaken_and_set_aside),
        TEST(no_more_than_four_calls_ever_hang),
        TEST(one_that_is_down_is_left_alone_for_a_while_and_told_of_once),
        TEST(calls_that_end_with_it_are_no_tries),
        TEST(one_that_does_not_say_its_domains_is_silent),
        TEST(who_is_forgotten_is_told_nothing),
        TEST(the_end_waits_for_no_call),
        TEST(without_a_library_the_reason_is_told),
    };

    return cmocka_run_group_tests_name("libvirt-daemon", tests, NULL, NULL);
}
