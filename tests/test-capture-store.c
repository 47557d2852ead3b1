/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "capture-fixture.h"
#include "capture-store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* 2026-07-30T15:21:07Z */
#define THEN_US (1785424867 * CAPTURE_SECOND)
#define STAMP "-20260730T152107Z"

typedef struct {
    const char *name, *vm_name, *expected;
} Row;

static const Row rows[] = {
    {"a plain name stays", "web-1_a.b", "web-1_a.b" STAMP},
    {"a path becomes one name", "../../etc/passwd", "_.._.._etc_passwd" STAMP},
    {"two dots are no name", "..", "_.." STAMP},
    {"a hidden name is not hidden", ".part-x", "_.part-x" STAMP},
    {"an empty name is none", "", "_" STAMP},
    {"newlines, quotes and shells go", "a\n\"$(x)`;&", "a____x____" STAMP},
    {"bytes that are no text go", "\xff\xe2\x80\xae z", "_____z" STAMP},
};

static void
names(void **state)
{
    const Row *row = *state;
    g_autofree char *name = capture_name(row->vm_name, THEN_US);

    assert_string_equal(name, row->expected);
    assert_true(capture_name_is_valid(name));
    assert_null(strchr(name, '/'));
}

static void
a_long_name_fits_a_file_name(void **state)
{
    g_autofree char *vm_name = g_strnfill(255, 'x');
    g_autofree char *name = capture_name(vm_name, THEN_US);

    assert_in_range(strlen(name), 50, 150);
    assert_true(capture_name_is_valid(name));
}

static void
what_is_not_a_bundle_has_no_valid_name(void **state)
{
    static const char *const wrong[] = {"",
                                        "..",
                                        "../" STAMP,
                                        STAMP,
                                        "." STAMP,
                                        "web",
                                        "web-20260730T152107",
                                        "a/b" STAMP,
                                        "web\n" STAMP,
                                        "lost+found" STAMP};

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++)
        if (capture_name_is_valid(wrong[i]))
            fail_msg("\"%s\" must not be valid", wrong[i]);
}

static int
set_up(void **state)
{
    *state = capture_fixture_new("web");
    return 0;
}

static int
tear_down(void **state)
{
    capture_fixture_free(*state);
    return 0;
}

static bool
exists(CaptureFixture *fixture, const char *path)
{
    return access(tree_path(fixture->tree, path), F_OK) == 0;
}

static void
the_oldest_go_whoever_they_are_of(void **state)
{
    CaptureFixture *fixture = *state;
    int fd;

    tree_file(fixture->tree, "c/aaa-20260103T000000Z/manifest.json", "{}");
    tree_file(fixture->tree, "c/zzz-20260101T000000Z/manifest.json", "{}");
    tree_file(fixture->tree, "c/mmm-20260102T000000Z/manifest.json", "{}");
    tree_file(fixture->tree, "c/README", "not ours");
    tree_file(fixture->tree, "c/lost+found/x", "not ours");
    fd = open(tree_path(fixture->tree, "c"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    capture_prune(fd, 2);
    assert_false(exists(fixture, "c/zzz-20260101T000000Z"));
    assert_true(exists(fixture, "c/mmm-20260102T000000Z"));
    assert_true(exists(fixture, "c/aaa-20260103T000000Z"));
    capture_prune(fd, 0);
    close(fd);
    assert_false(exists(fixture, "c/aaa-20260103T000000Z"));
    assert_true(exists(fixture, "c/README"));
    assert_true(exists(fixture, "c/lost+found/x"));
}

static void
what_cannot_be_removed_is_not_tried_for_ever(void **state)
{
    CaptureFixture *fixture = *state;
    int fd;

    tree_file(fixture->tree, "c/web-20260101T000000Z/a-directory/file", "");
    tree_file(fixture->tree, "c/web-20260102T000000Z/manifest.json", "{}");
    fd = open(tree_path(fixture->tree, "c"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    capture_prune(fd, 1);
    close(fd);
    assert_true(exists(fixture, "c/web-20260101T000000Z/a-directory/file"));
}

static void
only_so_many_are_kept(void **state)
{
    CaptureFixture *fixture = *state;

    fixture->vm->limits.capture_keep = 2;
    tree_file(fixture->tree, "var/" CAPTURE_DIRECTORY "/web-20260101T000000Z/manifest.json", "{}");
    tree_file(fixture->tree, "var/" CAPTURE_DIRECTORY "/web-20260102T000000Z/manifest.json", "{}");
    tree_file(fixture->tree, "var/" CAPTURE_DIRECTORY "/.part-old/manifest.json", "{}");
    assert_int_equal(chmod(tree_path(fixture->tree, "var/" CAPTURE_DIRECTORY), 0700), 0);
    json_node_unref(capture_fixture_run(fixture, NULL));
    assert_false(exists(fixture, "var/" CAPTURE_DIRECTORY "/web-20260101T000000Z"));
    assert_true(exists(fixture, "var/" CAPTURE_DIRECTORY "/web-20260102T000000Z"));
    assert_true(exists(fixture, "var/" CAPTURE_DIRECTORY "/web" STAMP "/manifest.json"));
    assert_false(exists(fixture, "var/" CAPTURE_DIRECTORY "/.part-old"));
}

/* Captures; expects the bundle to be in memory still, whole, and to say so. */
static void
expect_stays(CaptureFixture *fixture, const char *why)
{
    g_autoptr(JsonNode) manifest = capture_fixture_run(fixture, NULL);
    JsonObject *object = json_node_get_object(manifest);
    const char *problem = json_object_get_string_member(object, "problem");

    assert_true(json_object_get_boolean_member(object, "complete"));
    assert_true(g_str_has_prefix(json_object_get_string_member(object, "directory"),
                                 tree_path(fixture->tree, "run")));
    if (!problem || !strstr(problem, why))
        fail_msg("\"%s\" is not in \"%s\"", why, problem);
}

static void
a_state_directory_that_cannot_be_made_leaves_it_in_memory(void **state)
{
    CaptureFixture *fixture = *state;

    tree_file(fixture->tree, "var/vm-guardian", "in the way");
    expect_stays(fixture, "cannot be written: Not a directory");
}

/* As if it had been made two hours ago. */
static void
grow_old(const CaptureFixture *fixture, const char *path)
{
    const struct timespec times[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};

    assert_int_equal(utimensat(AT_FDCWD, tree_path(fixture->tree, path), times, 0), 0);
}

static void
what_stayed_in_memory_is_moved_when_the_disk_is_back(void **state)
{
    static const char run[] = "run/" CAPTURE_DIRECTORY "/web" STAMP;
    static const char young[] = "run/" CAPTURE_DIRECTORY "/db-20260730T152107Z";
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) status = NULL;
    JsonObject *object;

    tree_file(fixture->tree, "var/vm-guardian", "in the way");
    expect_stays(fixture, "cannot be written");
    assert_int_equal(unlink(tree_path(fixture->tree, "var/vm-guardian")), 0);
    tree_file(fixture->tree, "run/" CAPTURE_DIRECTORY "/db-20260730T152107Z/manifest.json", "{}");
    grow_old(fixture, run);
    captures_rescue(fixture->captures);
    while (fixture->captures->is_rescuing)
        g_main_context_iteration(fixture->context, TRUE);
    assert_false(exists(fixture, run));
    assert_true(exists(fixture, "var/" CAPTURE_DIRECTORY "/web" STAMP "/manifest.json"));
    assert_true(exists(fixture, young)); /* another program makes it now */
    status = captures_status(fixture->captures, "web" STAMP, NULL);
    object = json_node_get_object(status);
    assert_true(g_str_has_prefix(json_object_get_string_member(object, "directory"),
                                 tree_path(fixture->tree, "var")));
}

static void
a_rescue_ends_with_the_captures(void **state)
{
    CaptureFixture *fixture = *state;
    Captures *captures = captures_new(fixture->host, fixture->context);

    captures_rescue(captures);
    assert_true(captures->is_rescuing);
    captures_free(captures);
    /* none that is tried again in some minutes */
    assert_null(g_main_context_find_source_by_user_data(fixture->context, captures));
}

static void
a_link_in_the_way_is_not_followed(void **state)
{
    CaptureFixture *fixture = *state;

    tree_directory(fixture->tree, "elsewhere");
    tree_link(fixture->tree, "var/vm-guardian", tree_path(fixture->tree, "elsewhere"));
    expect_stays(fixture, "cannot be written");
    assert_false(exists(fixture, "elsewhere/captures"));
}

static void
a_directory_that_others_may_write_to_is_refused(void **state)
{
    CaptureFixture *fixture = *state;

    tree_directory(fixture->tree, "var/vm-guardian");
    assert_int_equal(chmod(tree_path(fixture->tree, "var/vm-guardian"), 0777), 0);
    expect_stays(fixture, "Operation not permitted");
    assert_false(exists(fixture, "var/vm-guardian/captures"));
}

static void
memory_keeps_only_the_newest(void **state)
{
    CaptureFixture *fixture = *state;

    tree_file(fixture->tree, "var/vm-guardian", "in the way");
    for (guint i = 0; i < 5; i++) {
        host_set_clock(fixture->host, CAPTURE_SECOND, CAPTURE_SECOND, THEN_US + i * CAPTURE_SECOND);
        json_node_unref(capture_fixture_run(fixture, NULL));
    }
    assert_int_equal(tree_count(fixture->tree, "run/" CAPTURE_DIRECTORY), 3);
    assert_true(exists(fixture, "run/" CAPTURE_DIRECTORY "/web-20260730T152111Z/manifest.json"));
}

#define capture_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(a_long_name_fits_a_file_name),
        cmocka_unit_test(what_is_not_a_bundle_has_no_valid_name),
        capture_test(the_oldest_go_whoever_they_are_of),
        capture_test(what_cannot_be_removed_is_not_tried_for_ever),
        capture_test(only_so_many_are_kept),
        capture_test(a_state_directory_that_cannot_be_made_leaves_it_in_memory),
        capture_test(a_rescue_ends_with_the_captures),
        capture_test(a_link_in_the_way_is_not_followed),
        capture_test(what_stayed_in_memory_is_moved_when_the_disk_is_back),
        capture_test(a_directory_that_others_may_write_to_is_refused),
        capture_test(memory_keeps_only_the_newest),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, names, &rows[i]);
    memcpy(tests + G_N_ELEMENTS(rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
