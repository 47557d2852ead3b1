/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which kills are one event, in logs with times and without. */

#include "t.h"

#include "oomreader.h"

#include <string.h>

/* A report: at so many seconds, -1 without time; pid 0 ends. The list has 'q' for a QEMU and 's'
 * for a stranger before each pid, and its first one is killed; "" is a kill without a report. */
typedef struct {
    double at_s;
    const char *domain; /* NULL: the whole host */
    const char *tasks;
} Kill;

#define KILLS_MAX 4
typedef struct {
    const char *name;
    Kill kills[KILLS_MAX];
    const char *events; /* of each report all victims of its event */
} Row;

#define VM "/qemu.slice/104.scope"
#define OTHER "/qemu.slice/105.scope"

static const Row rows[] = {
    {"a stranger dies while QEMU is still going",
     {{10, VM, "q100 s200"}, {11, VM, "s200"}},
     "100 200, 100 200"},
    {"and nine seconds later",
     {{10, VM, "q100 s200 s300"}, {19, VM, "s200 s300"}, {28, VM, "s300"}},
     "100 200 300, 100 200 300, 100 200 300"},
    {"and eleven seconds later it is another event",
     {{10, VM, "q100 s200"}, {21, VM, "s200"}},
     "100, 200"},
    {"QEMU dies after a stranger", {{10, VM, "s200 q100"}, {14, VM, "q100"}}, "200 100, 200 100"},
    {"a VM that begins again and dies again is a loop",
     {{10, VM, "q100 s200"}, {15, VM, "q300 s200"}, {20, VM, "q400 s200"}},
     "100, 300, 400"},
    {"and so it is when a stranger dies beside its next life",
     {{10, VM, "q100 s200"}, {15, VM, "s200 q300"}},
     "100, 200"},
    {"each life has its chain",
     {{10, VM, "q100 s200"}, {11, VM, "s200"}, {17, VM, "q300 s400"}, {18, VM, "s400"}},
     "100 200, 100 200, 300 400, 300 400"},
    {"a kill in another domain in between is its own",
     {{10, VM, "q100 s200"}, {10.5, OTHER, "q101 s201"}, {11, VM, "s200"}},
     "100 200, 101, 100 200"},
    {"two chains at one time",
     {{10, VM, "q100 s200"}, {10.2, OTHER, "q101 s201"}, {11, VM, "s200"}, {12, OTHER, "s201"}},
     "100 200, 101 201, 100 200, 101 201"},
    {"the whole host kills one VM after the other",
     {{10, NULL, "q100 q101 s200"}, {11, NULL, "q101 q102 s200"}},
     "100 101, 100 101"},
    {"without times: who is listed was there before",
     {{-1, VM, "q100 s200 s300"}, {-1, OTHER, "q101 s201"}, {-1, VM, "s200 s300"}},
     "100 200, 101, 100 200"},
    {"without times: somebody has come",
     {{-1, VM, "q100 s200"}, {-1, VM, "s200 s300"}},
     "100, 200"},
    {"without times: the next life", {{-1, VM, "q100 s200"}, {-1, VM, "q300 s200"}}, "100, 300"},
};

static void
append_kill(GString *log, const Kill *kill)
{
    g_auto(GStrv) tasks = g_strsplit(kill->tasks, " ", -1);
    g_autofree char *stamp =
        kill->at_s < 0 ? g_strdup("") : g_strdup_printf("[%5.6f] ", kill->at_s);
    const char *victim = *tasks[0] == 'q' ? "kvm" : "memhold";

    g_string_append_printf(log,
                           "%sa invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0\n"
                           "%s[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents "
                           "oom_score_adj name\n",
                           stamp, stamp);
    for (guint i = 0; tasks[i]; i++)
        g_string_append_printf(
            log, "%s[  %s]     0  %s    26379    10754   155648        0  0 %s\n", stamp,
            tasks[i] + 1, tasks[i] + 1, *tasks[i] == 'q' ? "kvm" : "memhold");
    g_string_append_printf(log, "%soom-kill:constraint=CONSTRAINT_%s,nodemask=(null),cpuset=/,",
                           stamp, kill->domain ? "MEMCG" : "NONE");
    g_string_append_printf(log, "mems_allowed=0,%s%s,task_memcg=/x,task=%s,pid=%s,uid=0\n",
                           kill->domain ? "oom_memcg=" : "global_oom",
                           kill->domain ? kill->domain : "", victim, tasks[0] + 1);
    g_string_append_printf(log,
                           "%s%s: Killed process %s (%s) total-vm:105516kB, anon-rss:43108kB, "
                           "file-rss:4kB, shmem-rss:0kB\n",
                           stamp, kill->domain ? "Memory cgroup out of memory" : "Out of memory",
                           tasks[0] + 1, victim);
}

static char *
events_of(const GPtrArray *reports)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < reports->len; i++) {
        const GArray *victims = ((const OomReport *)reports->pdata[i])->victims;

        g_string_append(text, i > 0 ? "," : "");
        for (guint j = 0; j < victims->len; j++)
            g_string_append_printf(text, "%s%" G_GINT64_FORMAT, i + j > 0 ? " " : "",
                                   g_array_index(victims, OomTask, j).pid);
    }
    return g_string_free(text, FALSE);
}

static void
run_row(void **state)
{
    const Row *row = *state;
    g_autoptr(GString) log = g_string_new(NULL);
    g_autoptr(OomReader) reader = oomreader_new();
    g_autofree char *events = NULL;

    for (guint i = 0; i < KILLS_MAX && row->kills[i].tasks; i++)
        append_kill(log, &row->kills[i]);
    oomreader_feed(reader, log->str, log->len);
    events = events_of(oomreader_finish(reader, (OomSize){0}));
    assert_string_equal(events, row->events);
}

static void
what_is_left_of_an_event_is_told_beside_its_vm(void **state)
{
    static const Kill kills[] = {{10, "/a", "q100 s200"}, {11, "/a", "s200"}};
    g_autoptr(GString) log = g_string_new(NULL);
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports;

    for (guint i = 0; i < G_N_ELEMENTS(kills); i++)
        append_kill(log, &kills[i]);
    oomreader_feed(reader, log->str, log->len);
    reports = oomreader_finish(reader, (OomSize){0});
    assert_int_equal(reports->len, 2);
    assert_string_equal(((const OomReport *)reports->pdata[1])->blame.name, "memhold");
    assert_null(strstr(((const OomReport *)reports->pdata[1])->blame.why, "without a VM"));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, run_row, &rows[i]);
    tests[G_N_ELEMENTS(rows)] =
        (struct CMUnitTest)cmocka_unit_test(what_is_left_of_an_event_is_told_beside_its_vm);
    return cmocka_run_group_tests_name("oomevent", tests, NULL, NULL);
}
