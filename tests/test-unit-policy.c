/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "report-order.h"
#include "unit-policy.h"

#include <string.h>
#include <sys/stat.h>

#define MINUTE (60 * (gint64)G_USEC_PER_SEC)

/* A host with systemd, whose systemctl a test writes. */
typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Children *children;
    GPtrArray *vms; /* of Vm, owned */
    char *path;     /* of programs, as it was */
} Fixture;

static void
vm_free_it(gpointer vm)
{
    vm_free(vm);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *with_fake = NULL;

    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->children = children_new(fixture->context);
    fixture->vms = g_ptr_array_new_with_free_func(vm_free_it);
    fixture->path = g_strdup(g_getenv("PATH"));
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_directory(fixture->tree, "run/systemd/system");
    with_fake = g_strconcat(tree_path(fixture->tree, "bin"), ":", fixture->path, NULL);
    g_setenv("PATH", with_fake, TRUE);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    g_setenv("PATH", fixture->path, TRUE);
    g_ptr_array_unref(fixture->vms);
    children_free(fixture->children);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

/* Its words follow the unit, "$4"; each unit that is asked about is a line of the log. */
static void
systemctl_is(Fixture *fixture, const char *words)
{
    g_autofree char *log = g_strdup(tree_path(fixture->tree, "log"));
    g_autofree char *script = g_strdup_printf("#!/bin/sh\necho \"$4\" >> %s\n%s\n", log, words);

    tree_file(fixture->tree, "bin/systemctl", script);
    assert_int_equal(chmod(tree_path(fixture->tree, "bin/systemctl"), 0755), 0);
}

static char *
log_of(Fixture *fixture)
{
    char *text = NULL;

    return g_file_get_contents(tree_path(fixture->tree, "log"), &text, NULL, NULL) ? text
                                                                                   : g_strdup("");
}

/* In that group; is_asked: [memory] asks for an order of kills, and nothing differs. */
static Vm *
add_vm(Fixture *fixture, pid_t pid, const char *group, bool is_asked)
{
    g_autofree char *path = g_strdup_printf("proc/%d/cgroup", (int)pid);
    g_autofree char *text = g_strdup_printf("0::%s\n", group);
    g_autofree char *current = g_strdup_printf("sys/fs/cgroup%s/memory.current", group);
    const char *const words[] = {"qemu-system-x86_64", NULL};
    Vm *vm;

    fake_host_process(fixture->tree, pid, 1000, "kvm", words);
    tree_file(fixture->tree, path, text);
    tree_file(fixture->tree, current, "9000000000\n");
    vm = vm_new(proc_open(fixture->host, pid, NULL), argv_parse(words), "bare");
    vm->cgroup = cgroup_open(fixture->host, vm->proc, NULL);
    assert_non_null(vm->cgroup);
    vm->kill_order = is_asked ? g_array_new(FALSE, FALSE, sizeof(OrderDrift)) : NULL;
    g_ptr_array_add(fixture->vms, vm);
    return vm;
}

/* Until every question is answered. */
static void
look(Fixture *fixture, gint64 now_us)
{
    for (guint i = 0; i < fixture->vms->len; i++)
        unit_policy_go_on(fixture->vms->pdata[i], fixture->host, fixture->children, now_us);
    while (children_open(fixture->children) > 0)
        g_main_context_iteration(fixture->context, TRUE);
}

/* What explain says of it, in one line; new string. */
static char *
told_of(const Vm *vm)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) node = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(GStrv) words = NULL;

    json_builder_begin_object(builder);
    report_add_order(builder, vm);
    json_builder_end_object(builder);
    node = json_builder_get_root(builder);
    report_append_order(text, json_node_get_object(node));
    words = g_strsplit_set(text->str, " \n", -1);
    g_string_truncate(text, 0);
    for (guint i = 0; words[i]; i++)
        if (*words[i])
            g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "", words[i]);
    return g_strdup(text->str);
}

static void
a_unit_that_systemd_ends_is_named(void **state)
{
    Fixture *fixture = *state;
    Vm *guilty = add_vm(fixture, 42, "/qemu.slice/101.scope", true);
    Vm *innocent = add_vm(fixture, 43, "/qemu.slice/102.scope", true);
    Vm *unasked = add_vm(fixture, 44, "/qemu.slice/103.scope", false);
    Vm *killed = add_vm(fixture, 45, "/system.slice/a.service/vm", true);
    g_autofree char *of_guilty = NULL, *of_innocent = NULL, *of_unasked = NULL, *of_killed = NULL,
                    *log = NULL;

    systemctl_is(fixture, "echo Id=$4; case $4 in 102*) echo OOMPolicy=continue ;; a.*) echo "
                          "OOMPolicy=kill ;; *) echo OOMPolicy=stop ;; esac");
    look(fixture, MINUTE);
    of_guilty = told_of(guilty);
    of_innocent = told_of(innocent);
    of_unasked = told_of(unasked);
    of_killed = told_of(killed);
    assert_string_equal(of_guilty,
                        "order OOMPolicy=stop of 101.scope: after any OOM kill in it systemd ends "
                        "the rest, QEMU too; the order helps only with OOMPolicy=continue");
    assert_string_equal(of_innocent, "");
    assert_string_equal(of_unasked, "");
    assert_true(g_str_has_prefix(of_killed, "order OOMPolicy=kill of a.service: "));
    log = log_of(fixture);
    assert_null(strstr(log, "103"));
}

static void
what_systemd_said_stays_for_ten_minutes_and_until_it_answers(void **state)
{
    Fixture *fixture = *state;
    Vm *vm = add_vm(fixture, 42, "/qemu.slice/101.scope", true);
    g_autofree char *before = NULL, *after = NULL, *once = NULL, *thrice = NULL;

    systemctl_is(fixture, "echo Id=$4; echo OOMPolicy=stop");
    look(fixture, MINUTE);
    systemctl_is(fixture, "exit 1");
    look(fixture, 11 * MINUTE - 1);
    once = log_of(fixture);
    look(fixture, 11 * MINUTE);
    before = told_of(vm);
    systemctl_is(fixture, "echo Id=$4; echo OOMPolicy=continue");
    look(fixture, 21 * MINUTE);
    thrice = log_of(fixture);
    after = told_of(vm);
    assert_string_equal(once, "101.scope\n");
    assert_true(g_str_has_prefix(before, "order OOMPolicy=stop"));
    assert_string_equal(thrice, "101.scope\n101.scope\n101.scope\n");
    assert_string_equal(after, "");
}

static void
what_is_not_known_is_not_told(void **state)
{
    static const char *const silent[] = {"exit 1", "echo OOMPolicy=stop", "echo Id=$4",
                                         "echo Id=$4; echo OOMPolicy=", "kill -9 $$"};
    Fixture *fixture = *state;
    Vm *vm = add_vm(fixture, 42, "/qemu.slice/101.scope", true);
    Vm *without_unit = add_vm(fixture, 43, "/kubepods/pod1/vm", true);
    g_autofree char *log = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(silent); i++) {
        g_autofree char *text = NULL, *other = NULL;

        systemctl_is(fixture, silent[i]);
        look(fixture, (gint64)(1 + 10 * i) * MINUTE);
        text = told_of(vm);
        other = told_of(without_unit);
        assert_string_equal(text, "");
        assert_string_equal(other, "");
    }
    log = log_of(fixture);
    assert_string_equal(log, "101.scope\n101.scope\n101.scope\n101.scope\n101.scope\n");
}

static void
a_vm_may_end_before_systemd_answers(void **state)
{
    Fixture *fixture = *state;
    Vm *vm = add_vm(fixture, 42, "/qemu.slice/101.scope", true);

    systemctl_is(fixture, "echo Id=$4; echo OOMPolicy=stop");
    unit_policy_go_on(vm, fixture->host, fixture->children, MINUTE);
    assert_int_equal(children_open(fixture->children), 1);
    g_ptr_array_set_size(fixture->vms, 0);
    look(fixture, MINUTE);
}

#define WITH_SYSTEMD(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_SYSTEMD(a_unit_that_systemd_ends_is_named),
        WITH_SYSTEMD(what_systemd_said_stays_for_ten_minutes_and_until_it_answers),
        WITH_SYSTEMD(what_is_not_known_is_not_told),
        WITH_SYSTEMD(a_vm_may_end_before_systemd_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
