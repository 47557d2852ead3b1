/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "acting-fixture.h"

#include <string.h>

#define MIB ((guint64)1024 * 1024)
#define LIMIT "1258291200" /* 1200 MiB */

static void
on_told(const char *line, bool is_bad, gpointer data)
{
    ActingFixture *fixture = data;

    fixture->n_told++;
    g_string_append_printf(fixture->told, "%s\n", line);
}

static void
on_alert(const Vm *vm, const char *kind, const char *problem, gpointer data)
{
    bool is_limits = strcmp(kind, "limits") == 0;

    g_string_append_printf(((ActingFixture *)data)->alerts, "%s%s%s: %s\n", vm->name,
                           is_limits ? "" : " ", is_limits ? "" : kind, problem ? problem : "over");
}

/* What a group of the VM holds, beside its guest of 1024 MiB that is fully touched. */
void
acting_group_set(ActingFixture *fixture, pid_t pid, guint beside_mib)
{
    g_autofree char *base =
        g_strdup_printf("sys/fs/cgroup/kubepods/pod%08d-1111-2222-3333-444444444444", (int)pid);
    g_autofree char *inner = g_strconcat(base, "/vm", NULL);
    const char *const groups[] = {base, inner};
    g_autofree char *stat =
        g_strdup_printf("anon %" G_GUINT64_FORMAT "\nfile 0\nshmem 0\n", (1024 + beside_mib) * MIB);
    g_autofree char *usage = g_strdup_printf("%" G_GUINT64_FORMAT "\n", (1024 + beside_mib) * MIB);

    for (guint i = 0; i < 2; i++) {
        g_autofree char *stat_path = g_strconcat(groups[i], "/memory.stat", NULL);
        g_autofree char *usage_path = g_strconcat(groups[i], "/memory.current", NULL);

        tree_file(fixture->tree, stat_path, stat);
        tree_file(fixture->tree, usage_path, usage);
    }
}

static char *
limit_path(pid_t pid, bool is_inner)
{
    return g_strdup_printf(
        "sys/fs/cgroup/kubepods/pod%08d-1111-2222-3333-444444444444%s/memory.max", (int)pid,
        is_inner ? "/vm" : "");
}

void
acting_limit_set(ActingFixture *fixture, pid_t pid)
{
    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = limit_path(pid, i);

        tree_file(fixture->tree, path, LIMIT "\n");
    }
}

bool
acting_limit_is_old(ActingFixture *fixture, pid_t pid, bool is_inner)
{
    g_autofree char *path = limit_path(pid, is_inner);
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(tree_path(fixture->tree, path), &text, NULL, NULL));
    return g_str_has_prefix(text, LIMIT);
}

static void
vm_make(ActingFixture *fixture, pid_t pid, const char *name, guint beside_mib)
{
    g_autofree char *status = g_strdup_printf("proc/%d/status", (int)pid);
    g_autofree char *cgroup = g_strdup_printf("proc/%d/cgroup", (int)pid);
    g_autofree char *group =
        g_strdup_printf("0::/kubepods/pod%08d-1111-2222-3333-444444444444/vm\n", (int)pid);

    fake_host_qemu(fixture->tree, pid, name,
                   (const char *const[]){"-m", "1024M", "-object",
                                         "memory-backend-memfd,id=m,size=1024M,share=on",
                                         "-machine", "memory-backend=m", NULL});
    tree_file(fixture->tree, status,
              "Uid:\t107\t107\t107\t107\nRssAnon:\t20480 kB\nRssFile:\t2048 kB\n"
              "RssShmem:\t1048576 kB\nVmPTE:\t1024 kB\n");
    tree_file(fixture->tree, cgroup, group);
    acting_group_set(fixture, pid, beside_mib);
    acting_limit_set(fixture, pid);
}

void
acting_clock_to(ActingFixture *fixture, gint64 now)
{
    fixture->now = now;
    host_set_clock(fixture->host, now, now, 1790000000 * (gint64)G_USEC_PER_SEC + now);
}

ActingFixture *
acting_fixture_new(const char *configuration)
{
    ActingFixture *fixture = g_new0(ActingFixture, 1);
    g_autoptr(GError) error = NULL;

    fixture->tree = tree_new();
    fixture->told = g_string_new(NULL);
    fixture->alerts = g_string_new(NULL);
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    tree_file(fixture->tree, "config/guardian.conf", configuration);
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_file(fixture->tree, "proc/meminfo",
              "MemTotal: 16777216 kB\nMemFree: 8388608 kB\nMemAvailable: 8388608 kB\n"
              "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    vm_make(fixture, 42, "guilty", 200); /* 1224 of 1200 */
    vm_make(fixture, 43, "innocent", 60);
    acting_clock_to(fixture, HOUR);
    fixture->acting = acting_new(fixture->host, fixture->context, on_told, fixture);
    acting_set_alert_func(fixture->acting, on_alert, fixture);
    fixture->guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, &error));
    assert_int_equal(guardian_look_for_vms(fixture->guardian), 2);
    return fixture;
}

void
acting_fixture_free(ActingFixture *fixture)
{
    acting_free(fixture->acting);
    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_string_free(fixture->alerts, TRUE);
    g_free(fixture);
}

/* One look at all VMs, and until nothing of it is under way. */
void
acting_look(ActingFixture *fixture)
{
    const GPtrArray *vms = guardian_vms(fixture->guardian);

    for (guint i = 0; i < vms->len; i++)
        ((Vm *)vms->pdata[i])->memory_us = 0;
    guardian_look_twice(fixture->guardian, 0);
    for (guint i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];

        acting_follow(fixture->acting, vm, vms, guardian_limits(fixture->guardian));
        while (acts_is_busy(acting_acts(fixture->acting), proc_pid(vm->proc),
                            proc_start_ticks(vm->proc)))
            g_main_context_iteration(fixture->context, TRUE);
    }
}

guint
acting_files(ActingFixture *fixture)
{
    return tree_count(fixture->tree, "var/" ACT_JOURNAL_DIRECTORY);
}

guint
times_in(const char *text, const char *what)
{
    guint n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}
