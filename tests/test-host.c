/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "host.h"
#include "tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A host whose six roots are directories of one fixture tree, with a file outside of them. */
typedef struct {
    Tree *tree;
    Host *host;
} Fixture;

static int
fixture_set_up(void **state)
{
    static const char *const names[HOST_N_ROOTS] = {
        [HOST_PROC] = "proc",     [HOST_SYS] = "sys", [HOST_RUN] = "run", [HOST_ETC] = "etc",
        [HOST_CONFIG] = "config", [HOST_VAR] = "var", [HOST_DEV] = "dev",
    };
    const char *roots[HOST_N_ROOTS];
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->tree = tree_new();
    tree_file(fixture->tree, "secret", "outside");
    for (guint i = 0; i < HOST_N_ROOTS; i++) {
        tree_directory(fixture->tree, names[i]);
        roots[i] = tree_path(fixture->tree, names[i]);
    }
    fixture->host = host_new(roots, NULL);
    *state = fixture;
    return fixture->host ? 0 : -1;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* Under sanitizers smaps of this program is some hundred KiB. */
#define MANY_PAGES (8 * 1024 * 1024)

#define assert_guardian_error(error, expected_code)                                                \
    do {                                                                                           \
        assert_non_null(error);                                                                    \
        assert_true((error)->domain == GUARDIAN_ERROR);                                            \
        assert_int_equal((error)->code, (expected_code));                                          \
        g_clear_error(&(error));                                                                   \
    } while (0)

static void
read_refuses(Fixture *fixture, const char *path, GuardianError code)
{
    GError *error = NULL;

    assert_null(host_read(fixture->host, HOST_SYS, path, 64, NULL, &error));
    assert_guardian_error(error, code);
}

static void
a_file_is_read_whole_up_to_its_cap(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = NULL;
    gsize length = 0;
    GError *error = NULL;

    tree_bytes(fixture->tree, "sys/a/b", "12\00034", 5);
    text = host_read(fixture->host, HOST_SYS, "a/b", 5, &length, NULL);
    assert_non_null(text);
    assert_int_equal(length, 5);
    assert_memory_equal(text, "12\00034", 6);

    tree_file(fixture->tree, "sys/a/b", "123456");
    assert_null(host_read(fixture->host, HOST_SYS, "a/b", 5, &length, &error));
    assert_guardian_error(error, GUARDIAN_ERROR_MALFORMED);
    assert_int_equal(length, 5);
}

static void
nothing_outside_a_root_is_read(void **state)
{
    Fixture *fixture = *state;

    read_refuses(fixture, "../secret", GUARDIAN_ERROR_REFUSED);
    read_refuses(fixture, "a/../../secret", GUARDIAN_ERROR_GONE);
    tree_directory(fixture->tree, "sys/a");
    read_refuses(fixture, "a/../../secret", GUARDIAN_ERROR_REFUSED);
    read_refuses(fixture, tree_path(fixture->tree, "secret"), GUARDIAN_ERROR_REFUSED);
}

static void
no_link_is_followed_below_a_root(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *beside = NULL;

    tree_link(fixture->tree, "sys/out", "../secret");
    tree_link(fixture->tree, "sys/up", "..");
    tree_file(fixture->tree, "sys/real", "inside");
    tree_link(fixture->tree, "sys/in", "real");
    read_refuses(fixture, "out", GUARDIAN_ERROR_REFUSED);
    read_refuses(fixture, "up/secret", GUARDIAN_ERROR_REFUSED);
    read_refuses(fixture, "in", GUARDIAN_ERROR_REFUSED);
    beside = host_read(fixture->host, HOST_SYS, "real", 64, NULL, NULL);
    assert_string_equal(beside, "inside");
}

static void
a_root_may_itself_be_a_link(void **state)
{
    Fixture *fixture = *state;
    const char *roots[HOST_N_ROOTS] = {NULL};
    g_autoptr(Host) host = NULL;
    g_autofree char *text = NULL;

    tree_file(fixture->tree, "run/100.pid", "42\n");
    tree_link(fixture->tree, "var-run", "run");
    roots[HOST_RUN] = tree_path(fixture->tree, "var-run");
    host = host_new(roots, NULL);
    assert_non_null(host);
    assert_string_equal(host_root_path(host, HOST_RUN), roots[HOST_RUN]);
    assert_string_equal(host_root_path(host, HOST_PROC), "/proc");
    text = host_read(host, HOST_RUN, "100.pid", 64, NULL, NULL);
    assert_string_equal(text, "42\n");
}

static void
what_is_not_a_regular_file_is_refused_at_once(void **state)
{
    Fixture *fixture = *state;

    tree_fifo(fixture->tree, "sys/fifo");
    tree_directory(fixture->tree, "sys/directory");
    read_refuses(fixture, "fifo", GUARDIAN_ERROR_MALFORMED);
    read_refuses(fixture, "directory", GUARDIAN_ERROR_MALFORMED);
    read_refuses(fixture, "absent", GUARDIAN_ERROR_GONE);
}

static void
a_missing_root_is_an_error_that_names_it(void **state)
{
    Fixture *fixture = *state;
    const char *roots[HOST_N_ROOTS] = {NULL};
    GError *error = NULL;

    roots[HOST_CONFIG] = tree_path(fixture->tree, "nowhere");
    assert_null(host_new(roots, &error));
    assert_non_null(strstr(error->message, roots[HOST_CONFIG]));
    assert_guardian_error(error, GUARDIAN_ERROR_GONE);
}

static void
a_replaced_configuration_directory_is_seen(void **state)
{
    Fixture *fixture = *state;
    GError *error = NULL;
    g_autofree char *text = NULL;

    tree_remove(fixture->tree, "config");
    assert_null(host_read(fixture->host, HOST_CONFIG, "guardian.conf", 64, NULL, &error));
    assert_guardian_error(error, GUARDIAN_ERROR_GONE);
    tree_file(fixture->tree, "config/guardian.conf", "[poll]\n");
    text = host_read(fixture->host, HOST_CONFIG, "guardian.conf", 64, NULL, &error);
    assert_string_equal(text, "[poll]\n");
    assert_int_equal(host_root_fd(fixture->host, HOST_CONFIG), -1);
}

static void
a_kept_descriptor_reads_what_is_there_now(void **state)
{
    Fixture *fixture = *state;
    auto_fd fd = -1;
    char buffer[8];

    tree_file(fixture->tree, "sys/usage", "1000\n");
    fd = host_open(fixture->host, HOST_SYS, "usage", O_RDONLY, NULL);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(host_reread(fd, buffer, sizeof buffer, NULL), 5);
    tree_file(fixture->tree, "sys/usage", "7");
    assert_int_equal(host_reread(fd, buffer, sizeof buffer, NULL), 1);
    assert_string_equal(buffer, "7");
    tree_file(fixture->tree, "sys/usage", "123456789");
    assert_int_equal(host_reread(fd, buffer, sizeof buffer, NULL), 7);
    assert_string_equal(buffer, "1234567");
}

/* Without the rest of the kernel's pages a guest's memory or a disk would be missing. */
static void
a_file_of_many_pages_is_read_to_its_end(void **state)
{
    g_autofree char *again = g_malloc(MANY_PAGES), *whole = NULL;
    auto_fd fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    gsize length = 0;

    if (fd < 0 || !g_file_get_contents("/proc/self/smaps", &whole, &length, NULL))
        fail_msg("no smaps");
    assert_in_range(length, 4 * 4096, MANY_PAGES / 2);
    assert_in_range(host_reread(fd, again, MANY_PAGES, NULL), length / 2, MANY_PAGES - 1);
    assert_non_null(strstr(again, "[stack]"));
    assert_string_equal(strrchr(again, 'V'), strrchr(whole, 'V')); /* of its last VmFlags */
}

static void
the_clock_stands_where_a_test_sets_it(void **state)
{
    Fixture *fixture = *state;
    gint64 before = host_monotonic_us(fixture->host);

    assert_true(before > 0);
    assert_true(host_monotonic_us(fixture->host) >= before);
    assert_true(host_boottime_us(fixture->host) >= before);
    host_set_clock(fixture->host, 1, 2, 3);
    assert_int_equal(host_monotonic_us(fixture->host), 1);
    assert_int_equal(host_boottime_us(fixture->host), 2);
    assert_int_equal(host_realtime_us(fixture->host), 3);
}

/* A listening socket at a path of any length: bound by its base name from within its directory. */
static int
listen_at(const char *directory, const char *name, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    auto_fd here = open(".", O_PATH | O_CLOEXEC);
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, name, sizeof address.sun_path);
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fchdir(here), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd_steal(&fd);
}

static void
connect_refuses(int dir_fd, const char *path, GuardianError code)
{
    GError *error = NULL;
    pid_t peer = -1;

    assert_int_equal(host_connect_at(dir_fd, path, &peer, &error), -1);
    assert_int_equal(peer, -1);
    assert_guardian_error(error, code);
}

static void
connect_reaches_us(int dir_fd, const char *path)
{
    pid_t peer = -1;
    GError *error = NULL;
    auto_fd fd = host_connect_at(dir_fd, path, &peer, &error);

    if (fd < 0)
        fail_msg("%s", error->message);
    assert_int_equal(peer, getpid());
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void
a_socket_is_reached_at_a_path_longer_than_an_address(void **state)
{
    Fixture *fixture = *state;
    int dir_fd = host_root_fd(fixture->host, HOST_RUN);
    g_autofree char *name = g_strnfill(150, 'n');
    g_autofree char *directory = g_strconcat("run/", name, NULL);
    g_autofree char *path = g_strconcat(name, "/vm.qmp", NULL);
    g_autofree char *absolute = g_strconcat("/", path, NULL);
    auto_fd listener = -1;

    tree_directory(fixture->tree, directory);
    listener = listen_at(tree_path(fixture->tree, directory), "vm.qmp", 8);
    connect_reaches_us(dir_fd, path);
    connect_reaches_us(dir_fd, absolute);
}

static void
a_socket_that_cannot_be_had_says_why(void **state)
{
    Fixture *fixture = *state;
    int dir_fd = host_root_fd(fixture->host, HOST_RUN);
    const char *run = tree_path(fixture->tree, "run");
    auto_fd full = listen_at(run, "full", 0);
    auto_fd dead = listen_at(run, "dead", 8);
    auto_fd first = -1;
    pid_t peer;

    fd_clear(&dead);
    tree_file(fixture->tree, "run/file", "");
    first = host_connect_at(dir_fd, "full", &peer, NULL);
    assert_true(first >= 0);
    connect_refuses(dir_fd, "full", GUARDIAN_ERROR_BUSY);
    connect_refuses(dir_fd, "dead", GUARDIAN_ERROR_REFUSED);
    connect_refuses(dir_fd, "file", GUARDIAN_ERROR_REFUSED);
    connect_refuses(dir_fd, "absent", GUARDIAN_ERROR_GONE);
    connect_refuses(dir_fd, "../run/full", GUARDIAN_ERROR_REFUSED);
}

static void
roots_own_links_lead_to_a_socket_and_others_do_not(void **state)
{
    Fixture *fixture = *state;
    auto_fd dir_fd = open(tree_root(fixture->tree), O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd listener = listen_at(tree_path(fixture->tree, "run"), "vm.qmp", 8);

    tree_link(fixture->tree, "var/run", "/run");
    tree_link(fixture->tree, "var/again", ".././var/../var/./run");
    tree_link(fixture->tree, "var/loop", "loop");
    t_skip_unless(getuid() == 0, "only root can make a link that root made");
    connect_reaches_us(dir_fd, "/var/run/vm.qmp");
    connect_reaches_us(dir_fd, "/var/again/vm.qmp");
    connect_refuses(dir_fd, "/var/loop/vm.qmp", GUARDIAN_ERROR_REFUSED);
    connect_refuses(dir_fd, "/var/run/absent", GUARDIAN_ERROR_GONE);
    connect_refuses(dir_fd, "/var/run/../../run/vm.qmp", GUARDIAN_ERROR_REFUSED);
    /* A relative path has no "/" of its own that an absolute target could mean. */
    connect_refuses(dir_fd, "var/run/vm.qmp", GUARDIAN_ERROR_REFUSED);

    assert_int_equal(lchown(tree_path(fixture->tree, "var/again"), 1, 1), 0);
    connect_refuses(dir_fd, "/var/again/vm.qmp", GUARDIAN_ERROR_REFUSED);
    connect_reaches_us(dir_fd, "/var/run/vm.qmp");
    assert_int_equal(chmod(tree_path(fixture->tree, "var"), 01777), 0);
    connect_refuses(dir_fd, "/var/run/vm.qmp", GUARDIAN_ERROR_REFUSED);
}

static void
links_of_the_users_own_are_never_followed(void **state)
{
    Fixture *fixture = *state;
    auto_fd dir_fd = open(tree_root(fixture->tree), O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd listener = listen_at(tree_path(fixture->tree, "run"), "vm.qmp", 8);

    tree_link(fixture->tree, "var/run", "/run");
    assert_int_equal(chmod(tree_path(fixture->tree, "var"), 0777), 0);
    connect_refuses(dir_fd, "/var/run/vm.qmp", GUARDIAN_ERROR_REFUSED);
    connect_reaches_us(dir_fd, "/run/vm.qmp");
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_file_is_read_whole_up_to_its_cap),
        test(nothing_outside_a_root_is_read),
        test(no_link_is_followed_below_a_root),
        test(a_root_may_itself_be_a_link),
        test(what_is_not_a_regular_file_is_refused_at_once),
        test(a_missing_root_is_an_error_that_names_it),
        test(a_replaced_configuration_directory_is_seen),
        test(a_kept_descriptor_reads_what_is_there_now),
        cmocka_unit_test(a_file_of_many_pages_is_read_to_its_end),
        test(the_clock_stands_where_a_test_sets_it),
        test(a_socket_is_reached_at_a_path_longer_than_an_address),
        test(a_socket_that_cannot_be_had_says_why),
        test(roots_own_links_lead_to_a_socket_and_others_do_not),
        test(links_of_the_users_own_are_never_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
