/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "alert-hooks-fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static void
what_others_could_have_written_is_refused_and_said_once(void **state)
{
    HooksFixture *fixture = *state;
    g_autofree char *good = NULL;

    add_hook(fixture, "good", "echo >>$OUT/good");
    add_hook(fixture, "writable", "echo >$OUT/bad");
    add_hook(fixture, "na me", "echo >$OUT/bad");
    add_hook(fixture, "off", "echo >$OUT/bad");
    add_hook(fixture, "old~", "echo >$OUT/bad");
    add_hook(fixture, "x.dpkg-old", "echo >$OUT/bad");
    add_hook(fixture, ".hidden", "echo >$OUT/bad");
    tree_directory(fixture->tree, "config/alert.d/directory");
    tree_fifo(fixture->tree, "config/alert.d/fifo");
    tree_link(fixture->tree, "config/alert.d/link", "good");
    chmod(tree_path(fixture->tree, "config/alert.d/writable"), 0775);
    chmod(tree_path(fixture->tree, "config/alert.d/off"), 0644);
    run_news(fixture, "one");
    (void)settle(fixture);
    run_news(fixture, "two");
    (void)settle(fixture);
    good = read_out(fixture, "good");
    assert_string_equal(good, "\n\n");
    assert_int_not_equal(access(tree_path(fixture->tree, "bad"), F_OK), 0);
    assert_int_equal(fixture->n_told, 3);
    assert_non_null(strstr(fixture->told->str, "alert.d/writable: not run: others than its owner"));
    assert_non_null(strstr(fixture->told->str, "alert.d/link: not run: it is a link"));
    assert_non_null(strstr(fixture->told->str, "alert.d/na me: not run: its name"));
}

typedef struct {
    const char *name;
    void (*spoil)(HooksFixture *fixture);
    const char *said;
} DirectoryRow;

static void
make_writable(HooksFixture *fixture)
{
    chmod(tree_path(fixture->tree, "config/alert.d"), 0777);
}

static void
make_parent_writable(HooksFixture *fixture)
{
    chmod(tree_path(fixture->tree, "config"), 0775);
}

static void
give_away(HooksFixture *fixture)
{
    assert_int_equal(chown(tree_path(fixture->tree, "config/alert.d"), NOBODY, (gid_t)-1), 0);
}

static void
make_link(HooksFixture *fixture)
{
    assert_int_equal(rename(tree_path(fixture->tree, "config/alert.d"),
                            tree_path(fixture->tree, "config/other")),
                     0);
    tree_link(fixture->tree, "config/alert.d", "other");
}

static const DirectoryRow directory_rows[] = {
    {"a directory that others write to is refused", make_writable, "others than its owner"},
    {"a directory below one that others write to is refused", make_parent_writable,
     "the directory above it"},
    {"a directory of somebody else is refused", give_away, "does not belong to root"},
    {"a link in place of the directory is refused", make_link, "it is a link"},
};

static void
a_directory_of_others_is_refused(void **state)
{
    const DirectoryRow *row = *state;
    void *made = NULL;
    HooksFixture *fixture;

    t_skip_unless(geteuid() == 0, "only root can give a directory away");
    hooks_set_up(&made);
    fixture = made;
    add_hook(fixture, "mail", "echo >$OUT/bad");
    row->spoil(fixture);
    run_news(fixture, "one");
    (void)settle(fixture);
    run_news(fixture, "two");
    (void)settle(fixture);
    assert_int_not_equal(access(tree_path(fixture->tree, "bad"), F_OK), 0);
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(fixture->told->str, row->said));
    hooks_tear_down(&made);
}

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        WITH_HOOKS(what_others_could_have_written_is_refused_and_said_once),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(directory_rows)];

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(directory_rows); i++)
        tests[G_N_ELEMENTS(fixed) + i] =
            t_row(directory_rows[i].name, a_directory_of_others_is_refused, &directory_rows[i]);
    return cmocka_run_group_tests_name("whose alert hooks", tests, NULL, NULL);
}
