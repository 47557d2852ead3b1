/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "control.h"
#include "fake-host.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET "run/" CONTROL_SOCKET
#define NOBODY 65534
#define PATIENT_US (10 * G_USEC_PER_SEC)
#define NEGOTIATE "{\"execute\":\"qmp_capabilities\"}\n"

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    Alerting *alerting;
    Control *control;
    guint n_reloads;
    bool refuses_reload;
} Fixture;

static bool
on_reload(gpointer data, GError **error)
{
    Fixture *fixture = data;

    fixture->n_reloads++;
    if (fixture->refuses_reload)
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_CONFIG, "guardian.conf:3: what?");
    return !fixture->refuses_reload;
}

static void
on_news(const AlertingNews *news, gpointer data)
{
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
    fixture->alerting =
        alerting_new(fixture->host, fixture->context, &(AlertingFuncs){.speak = on_news});
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    control_free(fixture->control);
    alerting_free(fixture->alerting);
    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static Control *
listen_here(Fixture *fixture, GError **error)
{
    Control *control = control_new(fixture->guardian, fixture->context, on_reload, fixture, error);

    if (control)
        control_set_alerting(control, fixture->alerting);
    return control;
}

/* -1 when it cannot. */
static int
connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int
connect_here(Fixture *fixture)
{
    return connect_to(tree_path(fixture->tree, SOCKET));
}

/* What came in answer to requests, all of it; the connection is closed for writing after them. */
static char *
ask(Fixture *fixture, const char *requests)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    GString *answer = g_string_new(NULL);
    int fd = connect_here(fixture);
    gssize length = -1;
    char bytes[4096];

    assert_true(fd >= 0);
    assert_int_equal(send(fd, requests, strlen(requests), MSG_NOSIGNAL), strlen(requests));
    shutdown(fd, SHUT_WR);
    while (length != 0 && g_get_monotonic_time() < end_us) {
        g_main_context_iteration(fixture->context, FALSE);
        length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (length > 0)
            g_string_append_len(answer, bytes, length);
    }
    close(fd);
    return g_string_free(answer, FALSE);
}

static void
the_state_is_told_to_who_asks(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *answer = NULL;

    fixture->control = listen_here(fixture, NULL);
    assert_non_null(fixture->control);
    answer = ask(fixture, NEGOTIATE "{\"execute\":\"status\",\"id\":7}\n");
    assert_non_null(strstr(answer, "\"vm-guardian\":"));
    assert_non_null(strstr(answer, "\"schema\":1"));
    assert_non_null(strstr(answer, "\"daemon\":true"));
    assert_non_null(strstr(answer, "\"id\":7"));
}

static void
an_unknown_command_is_not_found(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *answer = NULL;

    fixture->control = listen_here(fixture, NULL);
    answer = ask(fixture, NEGOTIATE "{\"execute\":\"quit\"}\n");
    assert_non_null(strstr(answer, "CommandNotFound"));
    assert_non_null(strstr(answer, "quit"));
}

static void
a_reload_is_done_or_told_why_not(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *good = NULL, *bad = NULL;

    fixture->control = listen_here(fixture, NULL);
    good = ask(fixture, NEGOTIATE "{\"execute\":\"reload\",\"id\":1}\n");
    assert_int_equal(fixture->n_reloads, 1);
    assert_null(strstr(good, "error"));
    fixture->refuses_reload = true;
    bad = ask(fixture, NEGOTIATE "{\"execute\":\"reload\",\"id\":1}\n");
    assert_int_equal(fixture->n_reloads, 2);
    assert_non_null(strstr(bad, "GenericError"));
    assert_non_null(strstr(bad, "guardian.conf:3: what?"));
}

/* In the child: does the answer to the request hold the text? */
static int
ask_as_nobody(Fixture *fixture, const char *requests, const char *wanted)
{
    g_autoptr(GString) answer = g_string_new(NULL);
    gssize length;
    char bytes[4096];
    int fd;

    /* from within: the way to the tree may be closed to others */
    if (chdir(tree_path(fixture->tree, "run/vm-guardian")) != 0 || setgid(NOBODY) != 0 ||
        setuid(NOBODY) != 0)
        return 2;
    fd = connect_to("control.sock");
    if (fd < 0)
        return 3;
    (void)!write(fd, requests, strlen(requests));
    shutdown(fd, SHUT_WR);
    while ((length = read(fd, bytes, sizeof bytes)) > 0)
        g_string_append_len(answer, bytes, length);
    return strstr(answer->str, wanted) ? 0 : 4;
}

static int
status_as_nobody(Fixture *fixture, const char *requests, const char *wanted)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0)
        _exit(ask_as_nobody(fixture, requests, wanted));
    while (waitpid(child, &status, WNOHANG) == 0)
        g_main_context_iteration(fixture->context, FALSE);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
who_is_not_root_reads_but_does_not_write(void **state)
{
    Fixture *fixture = *state;

    t_skip_unless(geteuid() == 0, "only root can ask as somebody else");
    fixture->control = listen_here(fixture, NULL);
    /* without the group: not even that */
    assert_int_equal(status_as_nobody(fixture, NEGOTIATE, "QMP"), 3);
    assert_int_equal(chmod(tree_path(fixture->tree, SOCKET), 0666), 0);
    assert_int_equal(
        status_as_nobody(fixture, NEGOTIATE "{\"execute\":\"status\"}\n", "\"schema\":1"), 0);
    assert_int_equal(status_as_nobody(fixture, NEGOTIATE "{\"execute\":\"reload\"}\n",
                                      "is for root; you are user 65534"),
                     0);
    assert_int_equal(fixture->n_reloads, 0);
    assert_int_equal(status_as_nobody(fixture, NEGOTIATE "{\"execute\":\"alert-test\"}\n",
                                      "alert-test is for root; you are user 65534"),
                     0);
    assert_int_equal(status_as_nobody(fixture, NEGOTIATE "{\"execute\":\"hook\"}\n",
                                      "hook is for root; you are user 65534"),
                     0);
}

static void
a_hook_is_heard_and_garbage_is_refused(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *good = NULL, *bad = NULL;

    fixture->control = listen_here(fixture, NULL);
    good = ask(fixture, NEGOTIATE "{\"execute\":\"hook\",\"arguments\":{\"kind\":\"libvirt\","
                                  "\"at_us\":1,\"words\":[\"web\",\"migrate\",\"begin\"]}}\n");
    assert_null(strstr(good, "error"));
    bad = ask(fixture, NEGOTIATE "{\"execute\":\"hook\",\"arguments\":{\"kind\":7,"
                                 "\"words\":[null,{},\"x\"]}}\n");
    assert_non_null(strstr(bad, "no call of a hook"));
}

static void
the_socket_is_for_owner_and_group(void **state)
{
    Fixture *fixture = *state;
    mode_t before = umask(0);
    struct stat status;

    fixture->control = listen_here(fixture, NULL);
    assert_int_equal(umask(before), 0); /* ours was not changed for good */
    assert_int_equal(stat(tree_path(fixture->tree, SOCKET), &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0660);
    assert_int_equal(status.st_uid, geteuid());
}

static void
a_second_guardian_is_refused(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *process = g_strdup_printf("process %d", (int)getpid());
    g_autofree char *answer = NULL;

    fixture->control = listen_here(fixture, NULL);
    assert_null(listen_here(fixture, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY));
    assert_non_null(strstr(error->message, process));
    answer = ask(fixture, NEGOTIATE); /* the first one goes on */
    assert_non_null(strstr(answer, "return"));
}

static void
a_dead_guardians_open_socket_is_replaced(void **state)
{
    Fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), wait_status;
    g_autofree char *answer = NULL;
    pid_t dead;

    tree_directory(fixture->tree, "run/vm-guardian");
    g_strlcpy(address.sun_path, tree_path(fixture->tree, SOCKET), sizeof address.sun_path);
    dead = fork(); /* listens, dies, and we still have its socket open, as a child of it would */
    if (dead == 0)
        _exit(bind(fd, (const struct sockaddr *)&address, sizeof address) || listen(fd, 1));
    assert_int_equal(waitpid(dead, &wait_status, 0), dead);
    assert_int_equal(wait_status, 0);
    close(connect_here(fixture)); /* it does answer */
    fixture->control = listen_here(fixture, NULL);
    assert_non_null(fixture->control);
    answer = ask(fixture, NEGOTIATE);
    assert_non_null(strstr(answer, "return"));
    close(fd);
}

static void
a_socket_that_nobody_listens_on_is_replaced(void **state)
{
    Fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_autofree char *answer = NULL;

    tree_directory(fixture->tree, "run/vm-guardian");
    g_strlcpy(address.sun_path, tree_path(fixture->tree, SOCKET), sizeof address.sun_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* the file stays */
    fixture->control = listen_here(fixture, NULL);
    assert_non_null(fixture->control);
    answer = ask(fixture, NEGOTIATE);
    assert_non_null(strstr(answer, "return"));
}

static void
the_end_removes_the_socket(void **state)
{
    Fixture *fixture = *state;

    fixture->control = listen_here(fixture, NULL);
    assert_int_equal(access(tree_path(fixture->tree, SOCKET), F_OK), 0);
    g_clear_pointer(&fixture->control, control_free);
    assert_int_not_equal(access(tree_path(fixture->tree, SOCKET), F_OK), 0);
}

static void
a_run_directory_of_somebody_else_is_refused(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    t_skip_unless(geteuid() == 0, "only root can give a directory away");
    tree_directory(fixture->tree, "run/vm-guardian");
    assert_int_equal(chown(tree_path(fixture->tree, "run/vm-guardian"), NOBODY, (gid_t)-1), 0);
    assert_null(listen_here(fixture, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED));
    assert_non_null(strstr(error->message, "run/vm-guardian"));
}

static void
a_run_directory_that_others_write_to_is_refused(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    tree_directory(fixture->tree, "run/vm-guardian");
    assert_int_equal(chmod(tree_path(fixture->tree, "run/vm-guardian"), 0777), 0);
    assert_null(listen_here(fixture, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED));
}

static void
a_link_in_place_of_the_run_directory_is_refused(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    tree_directory(fixture->tree, "elsewhere");
    tree_link(fixture->tree, "run/vm-guardian", "../elsewhere");
    assert_null(listen_here(fixture, &error));
    assert_non_null(error);
    assert_int_not_equal(access(tree_path(fixture->tree, "elsewhere/control.sock"), F_OK), 0);
}

static void
an_alert_reaches_every_client(void **state)
{
    Fixture *fixture = *state;
    const AlertingNews news = {.step = "raised",
                               .line = "web disk \"v0\": alert",
                               .vm = "web",
                               .state = STATE_FROZEN,
                               .layer = LAYER_BLOCK_PATH};
    char bytes[4096] = "";
    gsize length = 0;
    int fd;

    fixture->control = listen_here(fixture, NULL);
    fd = connect_here(fixture);
    (void)!write(fd, NEGOTIATE, strlen(NEGOTIATE));
    while (!strstr(bytes, "return")) {
        gssize got;

        g_main_context_iteration(fixture->context, FALSE);
        got = recv(fd, bytes + length, sizeof bytes - 1 - length, MSG_DONTWAIT);
        length += got > 0 ? (gsize)got : 0;
        bytes[length] = '\0';
    }
    control_send_alert(fixture->control, &news);
    g_main_context_iteration(fixture->context, FALSE);
    memset(bytes, 0, sizeof bytes);
    assert_true(recv(fd, bytes, sizeof bytes - 1, MSG_DONTWAIT) > 0);
    close(fd);
    assert_non_null(strstr(bytes, "\"event\":\"ALERT\""));
    assert_non_null(strstr(bytes, "\"step\":\"raised\""));
    assert_non_null(strstr(bytes, "\"disk\":null"));
    assert_non_null(strstr(bytes, "\"text\":\"web disk \\\"v0\\\": alert\""));
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        row(the_state_is_told_to_who_asks),
        row(an_unknown_command_is_not_found),
        row(a_reload_is_done_or_told_why_not),
        row(who_is_not_root_reads_but_does_not_write),
        row(a_hook_is_heard_and_garbage_is_refused),
        row(the_socket_is_for_owner_and_group),
        row(a_second_guardian_is_refused),
        row(a_dead_guardians_open_socket_is_replaced),
        row(a_socket_that_nobody_listens_on_is_replaced),
        row(the_end_removes_the_socket),
        row(a_run_directory_of_somebody_else_is_refused),
        row(a_run_directory_that_others_write_to_is_refused),
        row(a_link_in_place_of_the_run_directory_is_refused),
        row(an_alert_reaches_every_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
