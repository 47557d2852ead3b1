/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oomreader.h"
#include "oomstory.h"

#include <string.h>

#define UID_A "11112222-3333-4444-5555-666677778888"
#define UID_B "99992222-3333-4444-5555-666677778888"
#define A "/kubepods/burstable/pod" UID_A
#define B "/kubepods/burstable/pod" UID_B

/* A pod, a pod whose paths we know differently, Proxmox' scope, a session's QEMU without a group of
 * its own. */
static const OomSubject subjects[] = {
    {.pid = 100, .own = A, .pod_uid = UID_A},
    {.pid = 200, .own = "/pod-as-seen-from-a-namespace", .pod_uid = UID_B},
    {.pid = 300, .own = "/qemu.slice/104.scope"},
    {.pid = 400, .own = NULL},
};

typedef struct {
    const char *name;
    const char *constraint, *domain, *group, *task;
    gint64 pid;
    int found;
    bool is_death;
} Row;

static const Row rows[] = {
    {"a QEMU that dies in its pod", "MEMCG", A, A "/compute", "qemu-system-x86", 100, 0, true},
    {"the pod's container is the domain", "MEMCG", A "/compute", A "/compute", "qemu-system-x86",
     100, 0, true},
    {"a helper is killed, and QEMU lives", "MEMCG", A, A "/compute", "virtqemud", 101, 0, false},
    {"a stranger in the VM's domain is killed", "MEMCG", A, A "/debug", "memhold", 102, 0, false},
    {"a pod is known by its uid where paths differ", "MEMCG", B, B "/compute", "virtqemud", 201, 1,
     false},
    {"a domain in a VM's scope", "MEMCG", "/qemu.slice/104.scope", "/qemu.slice/104.scope", "kvm",
     300, 2, true},
    {"another scope of the same slice is not ours", "MEMCG", "/qemu.slice/1045.scope",
     "/qemu.slice/1045.scope", "kvm", 777, -1, false},
    {"a slice above several VMs is nobody's when a stranger dies", "MEMCG", "/qemu.slice",
     "/qemu.slice/9.scope", "memhold", 778, -1, false},
    {"a slice above several VMs, and one of them dies", "MEMCG", "/qemu.slice",
     "/qemu.slice/104.scope", "kvm", 300, 2, true},
    {"a session's QEMU is known by its process", "MEMCG", "/user.slice", "/user.slice/s.scope",
     "qemu-system-x86", 400, 3, true},
    {"a process of the same number that is no QEMU is not it", "MEMCG", "/user.slice",
     "/user.slice/s.scope", "bash", 400, -1, false},
    {"the whole host kills a QEMU", "NONE", NULL, "/qemu.slice/104.scope", "kvm", 300, 2, true},
    {"the whole host kills a helper in its pod", "NONE", NULL, A "/compute", "virtqemud", 101, 0,
     false},
    {"the whole host kills somebody else", "NONE", NULL, "/system.slice/ssh.service", "sshd", 161,
     -1, false},
};

static const OomReport *
report_of(const Row *row, OomReader *reader)
{
    bool is_global = strcmp(row->constraint, "NONE") == 0;
    g_autofree char *where =
        is_global ? g_strdup("global_oom") : g_strconcat("oom_memcg=", row->domain, NULL);
    g_autofree char *log = g_strdup_printf(
        "[  812.5] CPU 0/KVM invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0\n"
        "[  812.5] memory: usage 98304kB, limit 98304kB, failcnt 67\n"
        "[  812.5] oom-kill:constraint=CONSTRAINT_%s,nodemask=(null),cpuset=/,mems_allowed=0,%s,"
        "task_memcg=%s,task=%s,pid=%" G_GINT64_FORMAT ",uid=0\n"
        "[  812.5] %s: Killed process %" G_GINT64_FORMAT " (%s) total-vm:105516kB, "
        "anon-rss:3108kB, file-rss:4kB, shmem-rss:51904kB\n",
        row->constraint, where, row->group, row->task, row->pid,
        is_global ? "Out of memory" : "Memory cgroup out of memory", row->pid, row->task);
    const GPtrArray *reports;

    oomreader_feed(reader, log, strlen(log));
    reports = oomreader_finish(reader, (OomSize){0});
    assert_int_equal(reports->len, 1);
    return reports->pdata[0];
}

static void
run_row(void **state)
{
    const Row *row = *state;
    g_autoptr(OomReader) reader = oomreader_new();
    const OomReport *report = report_of(row, reader);
    g_autofree char *line = oomstory_line(report, row->is_death);

    assert_int_equal(oomstory_find(report, subjects, G_N_ELEMENTS(subjects)), row->found);
    if (row->found >= 0)
        assert_int_equal(oomstory_is_death(report, &subjects[row->found]), row->is_death);
    assert_non_null(strstr(line, row->task));
    assert_non_null(
        strstr(line, row->is_death ? "the VM died of it" : "QEMU itself was not killed"));
    assert_non_null(
        strstr(line, strcmp(row->constraint, "NONE") == 0 ? "the whole host had no" : row->domain));
}

static void
nobody_is_watched(void **state)
{
    g_autoptr(OomReader) reader = oomreader_new();
    const OomReport *report = report_of(&rows[0], reader);

    assert_int_equal(oomstory_find(report, NULL, 0), -1);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = run_row, .initial_state = (void *)&rows[i]};
    tests[G_N_ELEMENTS(rows)] = (struct CMUnitTest)cmocka_unit_test(nobody_is_watched);
    return cmocka_run_group_tests_name("oomstory", tests, NULL, NULL);
}
