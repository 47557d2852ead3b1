/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oom-fixture.h"
#include "report-oom.h"
#include "report.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define POD "/kubepods/pod%08d-1111-2222-3333-444444444444"

static void
on_told(const OomStory *story, bool is_open, gpointer data)
{
    OomFixture *fixture = data;

    fixture->n_told += is_open;
    fixture->n_closed += !is_open;
    g_free(fixture->told);
    fixture->told = g_strdup_printf("%s: %s", story->vm, story->line);
}

static void
on_warned(const char *line, gpointer data)
{
    ((OomFixture *)data)->n_warned++;
}

static void
vm_make(OomFixture *fixture, pid_t pid, const char *name)
{
    g_autofree char *cgroup = g_strdup_printf("proc/%d/cgroup", (int)pid);
    g_autofree char *group = g_strdup_printf("0::" POD "/vm\n", (int)pid);
    g_autofree char *base = g_strdup_printf("sys/fs/cgroup" POD "/vm", (int)pid);
    g_autofree char *limit = g_strconcat(base, "/memory.max", NULL);
    g_autofree char *usage = g_strconcat(base, "/memory.current", NULL);
    g_autofree char *stat = g_strconcat(base, "/memory.stat", NULL);

    fake_host_qemu(fixture->tree, pid, name, (const char *const[]){"-m", "32M", NULL});
    tree_file(fixture->tree, cgroup, group);
    tree_file(fixture->tree, limit, "100663296\n");
    tree_file(fixture->tree, usage, "50331648\n");
    tree_file(fixture->tree, stat, "anon 50331648\nfile 0\nshmem 0\n");
}

void
oom_fixture_clock(OomFixture *fixture, gint64 now)
{
    fixture->now = now;
    host_set_clock(fixture->host, now, now, 1790000000 * S + now);
}

void
oom_fixture_daemon(OomFixture *fixture)
{
    g_autoptr(GError) error = NULL;

    fixture->guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, &error));
    fixture->oom = guardian_host_watch(fixture->guardian)->oom;
    oom_watch_start(fixture->oom, fixture->context, on_told, on_warned, fixture);
    oom_fixture_clock(fixture, fixture->now + 10 * S); /* then it reads the log */
    oom_watch_follow(fixture->oom);
}

int
oom_fixture_set_up(void **state)
{
    OomFixture *fixture = g_new0(OomFixture, 1);

    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    tree_file(fixture->tree, "config/guardian.conf", "");
    tree_directory(fixture->tree, "run/vm-guardian");
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_fifo(fixture->tree, "dev/kmsg");
    fixture->log_fd = open(tree_path(fixture->tree, "dev/kmsg"), O_RDWR | O_CLOEXEC);
    vm_make(fixture, 42, "guilty");
    vm_make(fixture, 43, "innocent");
    oom_fixture_clock(fixture, HOUR);
    oom_fixture_daemon(fixture);
    guardian_look_twice(fixture->guardian, 0);
    assert_int_equal(guardian_vms(fixture->guardian)->len, 2);
    *state = fixture;
    return 0;
}

int
oom_fixture_tear_down(void **state)
{
    OomFixture *fixture = *state;

    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    close(fixture->log_fd);
    tree_free(fixture->tree);
    g_free(fixture->told);
    g_free(fixture);
    return 0;
}

void
oom_fixture_flush(OomFixture *fixture)
{
    while (g_main_context_iteration(fixture->context, FALSE))
        ;
}

static void
kernel_says(OomFixture *fixture, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] && *lines[i]; i++) {
        g_autofree char *record = g_strdup_printf(
            "6,%u,%" G_GINT64_FORMAT ",-;%s\n SUBSYSTEM=memory\n", fixture->n_records,
            fixture->now - fixture->behind + fixture->n_records, lines[i]);

        fixture->n_records++;
        assert_int_equal(write(fixture->log_fd, record, strlen(record)), strlen(record));
    }
    oom_fixture_flush(fixture);
}

static void
kill_one(OomFixture *fixture, int pod, const char *task, int pid, const char *rows, bool has_kill)
{
    g_autofree char *group = g_strdup_printf(POD "/vm", pod);
    g_autofree char *report = g_strdup_printf(
        "CPU 0/KVM invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=872\n"
        "memory: usage 98304kB, limit 98304kB, failcnt 67\n"
        "Memory cgroup stats for %s:\n"
        "anon 99999744\\x0afile 0\\x0akernel 663552\\x0ashmem 0\n"
        "Tasks state (memory values in pages):\n"
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
        "%s"
        "[    %d]     0   %d    26379    10754   155648        0           872 %s\n"
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
        "oom_memcg=%s,task_memcg=%s,task=%s,pid=%d,uid=0\n",
        group, rows, pid, pid, task, group, group, task, pid);
    g_autofree char *kill =
        g_strdup_printf("Memory cgroup out of memory: Killed process %d (%s) total-vm:105516kB, "
                        "anon-rss:43108kB, file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:152kB "
                        "oom_score_adj:872\n",
                        pid, task);

    kernel_says(fixture, "eth0: link is up\n");
    kernel_says(fixture, report);
    if (has_kill)
        kernel_says(fixture, kill);
    kernel_says(fixture, "eth0: link is down\n");
}

void
oom_fixture_kill(OomFixture *fixture, int pod, const char *task, int pid, bool has_kill)
{
    static const char holder[] =
        "[    107]     0   107     6666    14297    90112        0           872 memhold\n";

    kill_one(fixture, pod, task, pid, pid != 107 ? holder : "", has_kill);
}

void
oom_fixture_kill_beside(OomFixture *fixture, int pod, const char *task, int pid, const char *beside,
                        int beside_pid)
{
    g_autofree char *row =
        g_strdup_printf("[    %d]     0   %d    6666    14297    90112        0           872 %s\n",
                        beside_pid, beside_pid, beside);

    kill_one(fixture, pod, task, pid, row, true);
}

void
oom_fixture_wait(OomFixture *fixture, gint64 seconds)
{
    oom_fixture_clock(fixture, fixture->now + seconds * S);
    oom_watch_follow(fixture->oom);
}

char *
oom_fixture_status(OomFixture *fixture, int *ret_exit)
{
    g_autoptr(JsonNode) state = report_state(fixture->guardian, true);

    *ret_exit = report_exit_status(json_node_get_object(state));
    return report_status_text(json_node_get_object(state), false);
}

bool
oom_fixture_is_told(OomFixture *fixture, const char *vm)
{
    g_autoptr(JsonNode) state = report_state(fixture->guardian, true);

    return report_find_oom(json_node_get_object(state), vm) != NULL;
}
