/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* OOM kills told by a kernel's log that is a FIFO, over virtual time, on a host in a tree: VM 42 is
 * killed, VM 43 beside it is not. */

#include "t.h"

#include "alerting-private.h"
#include "fake-host.h"
#include "report-oom.h"
#include "report.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define S ((gint64)G_USEC_PER_SEC)
#define HOUR (3600 * S)
#define POD "/kubepods/pod%08d-1111-2222-3333-444444444444"
#define POD_42 "/kubepods/pod00000042-1111-2222-3333-444444444444"

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    OomWatch *oom; /* the guardian's */
    int log_fd;
    gint64 now;
    guint n_records, n_told, n_closed, n_warned;
    char *told;
} Fixture;

static void
on_told(const OomStory *story, bool is_open, gpointer data)
{
    Fixture *fixture = data;

    fixture->n_told += is_open;
    fixture->n_closed += !is_open;
    g_free(fixture->told);
    fixture->told = g_strdup_printf("%s: %s", story->vm, story->line);
}

static void
on_warned(const char *line, gpointer data)
{
    ((Fixture *)data)->n_warned++;
}

static void
vm_make(Fixture *fixture, pid_t pid, const char *name)
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

static void
clock_to(Fixture *fixture, gint64 now)
{
    fixture->now = now;
    host_set_clock(fixture->host, now, now, 1790000000 * S + now);
}

static void
daemon_start(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    fixture->guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, &error));
    fixture->oom = guardian_host_watch(fixture->guardian)->oom;
    oom_watch_start(fixture->oom, fixture->context, on_told, on_warned, fixture);
    clock_to(fixture, fixture->now + 10 * S); /* then it reads the log */
    oom_watch_follow(fixture->oom);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

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
    clock_to(fixture, HOUR);
    daemon_start(fixture);
    guardian_look_twice(fixture->guardian, 0);
    assert_int_equal(guardian_vms(fixture->guardian)->len, 2);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    close(fixture->log_fd);
    tree_free(fixture->tree);
    g_free(fixture->told);
    g_free(fixture);
    return 0;
}

/* Until the daemon has read all that was written: it waits for more. */
static void
log_flush(Fixture *fixture)
{
    while (g_main_context_iteration(fixture->context, FALSE))
        ;
}

static void
kernel_says(Fixture *fixture, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] && *lines[i]; i++) {
        g_autofree char *record =
            g_strdup_printf("6,%u,%" G_GINT64_FORMAT ",-;%s\n SUBSYSTEM=memory\n",
                            fixture->n_records, fixture->now + fixture->n_records, lines[i]);

        fixture->n_records++;
        assert_int_equal(write(fixture->log_fd, record, strlen(record)), strlen(record));
    }
    log_flush(fixture);
}

/* A whole report of the pod of VM `pod`; the last line too where it has_kill. */
static void
kernel_kills(Fixture *fixture, int pod, const char *task, int pid, bool has_kill)
{
    g_autofree char *group = g_strdup_printf(POD "/vm", pod);
    g_autofree char *report = g_strdup_printf(
        "CPU 0/KVM invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=872\n"
        "memory: usage 98304kB, limit 98304kB, failcnt 67\n"
        "Memory cgroup stats for %s:\n"
        "anon 99999744\\x0afile 0\\x0akernel 663552\\x0ashmem 0\n"
        "Tasks state (memory values in pages):\n"
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
        "[    107]     0   107     6666    14297    90112        0           872 memhold\n"
        "[    %d]     0   %d    26379    10754   155648        0           872 %s\n"
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
        "oom_memcg=%s,task_memcg=%s,task=%s,pid=%d,uid=0\n",
        group, pid, pid, task, group, group, task, pid);
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

static void
wait_s(Fixture *fixture, gint64 seconds)
{
    clock_to(fixture, fixture->now + seconds * S);
    oom_watch_follow(fixture->oom);
}

/* status and explain as people see them. */
static char *
status_of(Fixture *fixture, int *ret_exit)
{
    g_autoptr(JsonNode) state = report_state(fixture->guardian, true);

    *ret_exit = report_exit_status(json_node_get_object(state));
    return report_status_text(json_node_get_object(state), false);
}

static bool
is_told_of(Fixture *fixture, const char *vm)
{
    g_autoptr(JsonNode) state = report_state(fixture->guardian, true);

    return report_find_oom(json_node_get_object(state), vm) != NULL;
}

static void
a_killed_vm_is_told_once_with_its_story(void **state)
{
    Fixture *fixture = *state;
    const GPtrArray *stories = oom_watch_stories(fixture->oom);
    const OomStory *story;
    g_autofree char *text = NULL;
    int status;

    kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
    wait_s(fixture, 1);
    assert_int_equal(fixture->n_told, 0); /* more may follow */
    wait_s(fixture, 1);
    wait_s(fixture, 60);
    assert_int_equal(fixture->n_told, 1);
    assert_int_equal(stories->len, 1);
    story = stories->pdata[0];
    assert_string_equal(story->vm, "guilty");
    assert_true(story->is_death && story->is_open);
    assert_true(g_str_has_prefix(story->line, "qemu-system-x86[42] was OOM-killed: " POD_42));
    assert_non_null(strstr(story->line, "used 96M of its limit 96M; the VM died of it; blame: "
                                        "stranger, memhold[107]"));
    assert_non_null(strstr(story->line, "; do: keep memhold out of the VM's group, or give the "
                                        "group a limit of "));
    /* the guest's size is known of the VM, not of the log */
    assert_non_null(strstr(story->text, "  guest           32M  at most"));
    text = status_of(fixture, &status);
    assert_int_equal(status, 1);
    assert_non_null(strstr(text, "oom     guilty at 2026-"));
    assert_null(strstr(text, "oom     innocent"));
    assert_true(is_told_of(fixture, "guilty") && is_told_of(fixture, "42"));
    assert_false(is_told_of(fixture, "innocent"));
}

static void
a_helper_is_no_death_of_its_vm(void **state)
{
    Fixture *fixture = *state;

    kernel_kills(fixture, 43, "virtqemud", 77, true);
    wait_s(fixture, 5);
    assert_int_equal(fixture->n_told, 1);
    assert_true(g_str_has_prefix(fixture->told, "innocent: virtqemud[77] was OOM-killed"));
    assert_non_null(strstr(fixture->told, "; QEMU itself was not killed; "));
    assert_false(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->is_death);
    assert_false(is_told_of(fixture, "guilty"));
}

static void
what_dies_elsewhere_is_kept_and_not_told(void **state)
{
    Fixture *fixture = *state;
    int status;
    g_autofree char *text = NULL;

    kernel_kills(fixture, 99, "java", 500, true);
    wait_s(fixture, 5);
    assert_int_equal(fixture->n_told, 0);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 1);
    assert_null(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->vm);
    text = status_of(fixture, &status);
    assert_null(strstr(text, "oom     "));
}

static void
a_report_without_its_end_is_told_as_far_as_it_goes(void **state)
{
    Fixture *fixture = *state;

    kernel_kills(fixture, 42, "qemu-system-x86", 42, false);
    wait_s(fixture, 9);
    assert_int_equal(fixture->n_told, 0);
    wait_s(fixture, 2);
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->text,
                           "is not complete"));
}

static void
a_vm_that_is_gone_is_known_for_a_while(void **state)
{
    Fixture *fixture = *state;

    tree_remove(fixture->tree, "proc/42");
    tree_remove(fixture->tree, "proc/43");
    clock_to(fixture, fixture->now + 60 * S);
    guardian_look_twice(fixture->guardian, 0);
    assert_int_equal(guardian_vms(fixture->guardian)->len, 0);
    wait_s(fixture, 480);
    kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
    wait_s(fixture, 2);
    assert_int_equal(fixture->n_told, 1);
    assert_true(g_str_has_prefix(fixture->told, "guilty: "));
    wait_s(fixture, 120); /* and no longer */
    kernel_kills(fixture, 43, "qemu-system-x86", 43, true);
    wait_s(fixture, 2);
    assert_int_equal(fixture->n_told, 1);
}

/* While nobody watched one VM dies, of another one a helper; it is told once, at its time. */
static void
what_died_while_nobody_watched_is_told_once(void **state)
{
    Fixture *fixture = *state;
    const OomStory *story;

    oom_watch_follow(fixture->oom); /* both VMs are known, and noted down */
    guardian_free(g_steal_pointer(&fixture->guardian));
    kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
    tree_remove(fixture->tree, "proc/42");
    clock_to(fixture, fixture->now + 600 * S);
    kernel_kills(fixture, 43, "virtqemud", 77, true);
    clock_to(fixture, fixture->now + 600 * S);
    for (guint i = 0; i < 2; i++) {
        daemon_start(fixture);
        guardian_look_twice(fixture->guardian, 0);
        log_flush(fixture);
        wait_s(fixture, 2);
        assert_int_equal(oom_watch_stories(fixture->oom)->len, 2);
        story = oom_watch_stories(fixture->oom)->pdata[0];
        assert_string_equal(story->vm, "guilty");
        assert_true(story->is_death && story->is_open);
        assert_in_range(fixture->now - story->seen_us, 1200 * S, 1260 * S);
        story = oom_watch_stories(fixture->oom)->pdata[1];
        assert_string_equal(story->vm, "innocent");
        assert_false(story->is_death);
        assert_int_equal(fixture->n_told, 2 * (i + 1)); /* a new daemon tells what is open */
        /* and a log that is read again from its beginning tells nothing new */
        oom_watch_take(fixture->oom, "[ 3605.000000] java invoked oom-killer: order=0\n", 48);
        wait_s(fixture, 20);
        assert_int_equal(oom_watch_stories(fixture->oom)->len, 2);
        if (i == 0)
            guardian_free(g_steal_pointer(&fixture->guardian));
    }
}

/* It began after the kill, with the same process number and name. */
static void
a_kill_before_its_start_is_not_the_vms(void **state)
{
    Fixture *fixture = *state;

    fixture->now -= HOUR; /* the log's stamp: 10 s after the boot, the VMs began at 42 s */
    kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
    fixture->now += HOUR;
    wait_s(fixture, 5);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 1);
    assert_null(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->vm);
    assert_int_equal(fixture->n_told, 0);
}

static void
kills_again_and_again_are_a_loop(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < 3; i++) {
        kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
        wait_s(fixture, 60);
    }
    assert_non_null(strstr(fixture->told, "; kill 3 of this VM within an hour: a loop"));
    wait_s(fixture, 3600);
    assert_int_equal(fixture->n_closed, 1); /* by the newest alone */
    guardian_look_twice(fixture->guardian, 0);
    kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
    wait_s(fixture, 60);
    assert_int_equal(fixture->n_told, 4);
    assert_null(strstr(fixture->told, "a loop"));
}

static void
many_kills_keep_the_newest(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < OOM_STORIES_MAX + 5; i++) {
        guardian_look_twice(fixture->guardian, 0);
        kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
        wait_s(fixture, 30);
    }
    assert_int_equal(fixture->n_told, OOM_STORIES_MAX + 5);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, OOM_STORIES_MAX);
}

static void
a_restart_forgets_nothing(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *before = NULL, *told = NULL;
    int status;

    kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
    kernel_kills(fixture, 99, "java", 500, true);
    wait_s(fixture, 5);
    before = status_of(fixture, &status);
    told = g_strdup(fixture->told);
    guardian_free(fixture->guardian);
    tree_remove(fixture->tree, "proc/42");
    daemon_start(fixture);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 2);
    assert_int_equal(fixture->n_told, 2); /* the alert goes on: it is the same one */
    assert_string_equal(fixture->told, told);
    assert_true(is_told_of(fixture, "guilty"));
    wait_s(fixture, 3600);
    assert_int_equal(fixture->n_closed, 1);
    assert_true(is_told_of(fixture, "guilty")); /* for those who ask */
    /* another boot is another story */
    tree_file(fixture->tree, "proc/sys/kernel/random/boot_id", "another\n");
    guardian_free(fixture->guardian);
    daemon_start(fixture);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 0);
}

static void
hostile_records_do_no_harm(void **state)
{
    static const char *const records[] = {";\n",
                                          "6,1\n",
                                          "x,y,z,-;invoked oom-killer\n",
                                          "6,1,99999999999999999999999,-;a\n",
                                          "6,1,1,-;\\x00\\x1b[31m\\xzz\\x\n",
                                          " continuation of nothing\n",
                                          "\n"};
    Fixture *fixture = *state;
    g_autofree char *flood = g_strnfill(60000, 'x');

    for (guint i = 0; i < G_N_ELEMENTS(records); i++)
        assert_true(write(fixture->log_fd, records[i], strlen(records[i])) > 0);
    log_flush(fixture);
    assert_int_equal(write(fixture->log_fd, flood, 60000), 60000); /* no end: dropped */
    log_flush(fixture);
    assert_int_equal(write(fixture->log_fd, "\n", 1), 1);
    kernel_kills(fixture, 42, "qemu-system-x86", 42, true);
    wait_s(fixture, 5);
    assert_int_equal(fixture->n_told, 1);
    assert_int_equal(fixture->n_warned, 0);
}

static void
a_host_without_a_log_says_so(void **state)
{
    Fixture *fixture = *state;

    guardian_free(fixture->guardian);
    tree_remove(fixture->tree, "dev/kmsg");
    daemon_start(fixture);
    assert_int_equal(fixture->n_warned, 1);
    wait_s(fixture, 5);
}

/* What people are told. */

typedef struct {
    guint n_raised, n_paged, n_closed;
    char *line;
} Heard;

static void
hear(const AlertingNews *news, gpointer data)
{
    Heard *heard = data;

    heard->n_raised += strcmp(news->step, "raised") == 0;
    heard->n_paged += strcmp(news->step, "paged") == 0;
    heard->n_closed += strcmp(news->step, "closed") == 0;
    assert_string_equal(news->vm, "guilty");
    if (strcmp(news->step, "closed") != 0)
        assert_string_equal(news->cause, "oom-killed");
    g_free(heard->line);
    heard->line = g_strdup(news->line);
}

static void
no_warning(const char *line, gpointer data)
{
    fail_msg("%s", line);
}

static void
the_alert_is_one_and_a_page_for_a_death(void **state)
{
    Fixture *fixture = *state;

    for (guint is_death = 0; is_death < 2; is_death++) {
        Heard heard = {0};
        AlertingFuncs funcs = {.speak = hear, .warn = no_warning, .data = &heard};
        g_autoptr(Alerting) alerting = alerting_new(fixture->host, fixture->context, &funcs);
        OomStory story = {.vm = (char *)"guilty",
                          .line = (char *)"it was OOM-killed",
                          .is_death = is_death,
                          .seen_us = fixture->now};

        alerting_follow_oom(alerting, &story, true); /* once: nothing else comes of a dead VM */
        for (guint i = 0; i < 60; i++) {
            clock_to(fixture, fixture->now + 60 * S);
            alerting_speak_due(alerting, false);
        }
        alerting_follow_oom(alerting, &story, false);
        clock_to(fixture, fixture->now + 5 * S);
        alerting_follow_oom(alerting, &story, false);
        assert_int_equal(heard.n_raised, 1);
        assert_int_equal(heard.n_paged, is_death);
        assert_int_equal(heard.n_closed, 1);
        g_free(heard.line);
        tree_remove(fixture->tree, "run/vm-guardian/alerts.json");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        test(a_killed_vm_is_told_once_with_its_story),
        test(a_helper_is_no_death_of_its_vm),
        test(what_dies_elsewhere_is_kept_and_not_told),
        test(a_report_without_its_end_is_told_as_far_as_it_goes),
        test(a_vm_that_is_gone_is_known_for_a_while),
        test(what_died_while_nobody_watched_is_told_once),
        test(a_kill_before_its_start_is_not_the_vms),
        test(kills_again_and_again_are_a_loop),
        test(many_kills_keep_the_newest),
        test(a_restart_forgets_nothing),
        test(hostile_records_do_no_harm),
        test(a_host_without_a_log_says_so),
        test(the_alert_is_one_and_a_page_for_a_death),
    };

    return cmocka_run_group_tests_name("oom-watch", tests, NULL, NULL);
}
