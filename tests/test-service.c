/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "service.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A quarter of it is the period in which the manager is told. */
#define WATCHDOG_US "80000"
#define PATIENT_US (10 * G_USEC_PER_SEC)
/* Several periods. */
#define SILENCE_US (300 * 1000)

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    Service *service;
    int fd; /* the service manager's socket */
    gint64 begin_us;
} Fixture;

static int
manager_listen(Tree *tree)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = tree_path(tree, "notify");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    g_setenv("NOTIFY_SOCKET", path, TRUE);
    g_setenv("WATCHDOG_USEC", WATCHDOG_US, TRUE);
    return fd;
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, NULL));
    fixture->fd = manager_listen(fixture->tree);
    fixture->begin_us = g_get_monotonic_time();
    host_set_clock(fixture->host, fixture->begin_us, fixture->begin_us, fixture->begin_us);
    fixture->service = service_new(fixture->guardian, fixture->context);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    service_free(fixture->service);
    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    close(fixture->fd);
    g_free(fixture);
    return 0;
}

/* Runs the loop until the manager is told so, or that long. */
static bool
is_told(const Fixture *fixture, const char *what, gint64 within_us)
{
    gint64 end = g_get_monotonic_time() + within_us;

    while (g_get_monotonic_time() < end) {
        char text[512];
        ssize_t length;

        g_main_context_iteration(fixture->context, FALSE);
        length = recv(fixture->fd, text, sizeof text - 1, 0);
        if (length > 0) {
            text[length] = '\0';
            if (strcmp(text, what) == 0)
                return true;
        } else {
            g_usleep(1000);
        }
    }
    return false;
}

static void
forget(const Fixture *fixture)
{
    char text[512];

    while (recv(fixture->fd, text, sizeof text, 0) > 0)
        ;
}

static void
set_clock_after(const Fixture *fixture, gint64 after_us)
{
    gint64 now = fixture->begin_us + after_us;

    host_set_clock(fixture->host, now, now, now);
}

static void
a_loop_that_ticks_is_alive(void **state)
{
    const Fixture *fixture = *state;

    guardian_start(fixture->guardian);
    assert_true(is_told(fixture, "WATCHDOG=1", PATIENT_US));
    forget(fixture);
    assert_true(is_told(fixture, "WATCHDOG=1", PATIENT_US));
}

static void
a_loop_that_does_not_tick_is_not(void **state)
{
    const Fixture *fixture = *state;

    assert_true(is_told(fixture, "STATUS=mode observe; 0 VMs", PATIENT_US));
    assert_false(is_told(fixture, "WATCHDOG=1", SILENCE_US));
}

static void
a_tick_that_does_not_come_is_no_life(void **state)
{
    const Fixture *fixture = *state;
    gint64 due;

    guardian_start(fixture->guardian);
    assert_true(is_told(fixture, "WATCHDOG=1", PATIENT_US));
    due = guardian_due_us(fixture->guardian) - fixture->begin_us;
    assert_true(due > 0);
    set_clock_after(fixture, due + 30 * G_USEC_PER_SEC);
    forget(fixture);
    assert_false(is_told(fixture, "WATCHDOG=1", SILENCE_US));
    set_clock_after(fixture, due + G_USEC_PER_SEC);
    assert_true(is_told(fixture, "WATCHDOG=1", PATIENT_US));
}

static void
a_failed_reload_stays_in_the_status(void **state)
{
    const Fixture *fixture = *state;

    service_ready(fixture->service);
    assert_true(is_told(fixture, "STATUS=mode observe; 0 VMs", PATIENT_US));
    service_reloading(fixture->service);
    assert_true(is_told(fixture, "RELOADING=1", PATIENT_US));
    service_reloaded(fixture->service, true);
    assert_true(is_told(fixture,
                        "STATUS=mode observe; 0 VMs; the last reload failed, the old configuration "
                        "stays",
                        PATIENT_US));
    assert_true(is_told(fixture, "READY=1", PATIENT_US));
    service_reloaded(fixture->service, false);
    assert_true(is_told(fixture, "STATUS=mode observe; 0 VMs", PATIENT_US));
}

#define service_test(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        service_test(a_loop_that_ticks_is_alive),
        service_test(a_loop_that_does_not_tick_is_not),
        service_test(a_tick_that_does_not_come_is_no_life),
        service_test(a_failed_reload_stays_in_the_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
