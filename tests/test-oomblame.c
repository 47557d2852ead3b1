/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oomreader.h"
#include "units.h"

#include <string.h>

/* Every story of a group that ran full, in the form of every kernel: one of those in it grows until
 * the limit is reached. Who that was is what the report must say, whoever it was that died. */

typedef enum { GREW_STRANGER, GREW_HELPER, GREW_QEMU, GREW_GUEST, GREW_KERNEL, GREW_FILES } Grew;
typedef enum { V1_OLD, V1_NEW, V2_OLD, V2_NEW } Kernel; /* 4.19, 5.15, 5.15, 6.8 */
typedef enum { GUEST_UNKNOWN, GUEST_GIVEN, GUEST_SHARED } Guest;

#define N_GREW 6
#define N_KERNELS 4
#define N_GUESTS 3
static const guint64 guest_mib[] = {1024, 4096, 65536};

typedef struct {
    Grew grew;
    Kernel kernel;
    Guest guest;
    guint64 guest_mib;
    char *name;
} Story;

/* All in MiB. What each holds when nobody has grown is within the shares of oomblame.c and role.c:
 * QEMU 122, virt-launcher 100, virtqemud 40, a stranger 0, the kernel 1/64 of the limit or 32. */
typedef struct {
    guint64 guest, qemu, launcher, virtqemud, stranger, kernel, files, limit;
} Memory;

enum { PID_LAUNCHER = 10, PID_VIRTQEMUD = 11, PID_QEMU = 12, PID_STRANGER = 13 };

/* How far the one who grows goes past its share: more than what is taken for noise, 16 MiB. */
#define EXCESS_MIB 64

static Memory
story_memory(const Story *story)
{
    guint64 share = MAX((story->guest_mib + 300) / 64, 32);
    Memory memory = {.guest = story->guest_mib,
                     .qemu = 60,
                     .launcher = 40,
                     .virtqemud = 20,
                     .stranger = 2,
                     .kernel = story->guest_mib / 512 + 4};

    switch (story->grew) {
    case GREW_STRANGER:
        memory.stranger = EXCESS_MIB;
        break;
    case GREW_HELPER:
        memory.virtqemud = 40 + EXCESS_MIB;
        break;
    case GREW_QEMU:
        memory.qemu = 122 + EXCESS_MIB;
        break;
    case GREW_KERNEL:
        memory.kernel = share + EXCESS_MIB;
        break;
    case GREW_FILES:
        memory.files = EXCESS_MIB;
        break;
    case GREW_GUEST: /* up to a limit that leaves others less than they need */
        memory.guest -= 64;
        break;
    }
    memory.limit = memory.guest + memory.qemu + memory.launcher + memory.virtqemud +
                   memory.stranger + memory.kernel + memory.files;
    return memory;
}

static void
append_row(GString *log, const Story *story, gint64 pid, const char *name, guint64 anon_mib,
           guint64 shmem_mib)
{
    guint64 anon = anon_mib * 256, shmem = shmem_mib * 256;

    g_string_append_printf(
        log, "[%7" G_GINT64_FORMAT "]   107 %6" G_GINT64_FORMAT " 9999999 %8" G_GUINT64_FORMAT, pid,
        pid, anon + shmem);
    if (story->kernel == V2_NEW)
        g_string_append_printf(log, " %8" G_GUINT64_FORMAT "        0 %8" G_GUINT64_FORMAT, anon,
                               shmem);
    g_string_append_printf(log, "   409600        0           900 %s\n", name);
}

static void
append_figures(GString *log, const Story *story, const Memory *memory)
{
    guint64 shmem = memory->files + (story->guest == GUEST_SHARED ? memory->guest : 0);
    guint64 anon = memory->limit - memory->kernel - shmem, kernel = memory->kernel;

    if (story->kernel == V1_OLD || story->kernel == V1_NEW)
        g_string_append_printf(
            log,
            "memory+swap: usage %" G_GUINT64_FORMAT "kB, limit 9007199254740988kB, failcnt 0\n"
            "kmem: usage %" G_GUINT64_FORMAT "kB, limit 9007199254740988kB, failcnt 0\n",
            memory->limit * 1024, kernel * 1024);
    if (story->kernel == V1_OLD) {
        g_string_append_printf(
            log,
            "Memory cgroup stats for /pod: cache:0KB rss:0KB shmem:0KB swap:0KB\n"
            "Memory cgroup stats for /pod/a: cache:%" G_GUINT64_FORMAT "KB rss:%" G_GUINT64_FORMAT
            "KB shmem:%" G_GUINT64_FORMAT "KB swap:0KB\n",
            shmem * 1024, anon * 1024, shmem * 1024);
        return;
    }
    g_string_append_printf(log,
                           "Memory cgroup stats for /pod:\nanon %" G_GUINT64_FORMAT
                           "\nfile %" G_GUINT64_FORMAT "\n",
                           anon << 20, shmem << 20);
    if (story->kernel == V2_NEW)
        g_string_append_printf(log, "kernel %" G_GUINT64_FORMAT "\n", kernel << 20);
    g_string_append_printf(log,
                           "kernel_stack 1048576\npercpu 0\nsock 0\nshmem %" G_GUINT64_FORMAT
                           "\nslab %" G_GUINT64_FORMAT "\n",
                           shmem << 20, (kernel - 1) << 20);
}

static GString *
story_log(const Story *story, const Memory *memory)
{
    GString *log = g_string_new("CPU 0/KVM invoked oom-killer: gfp_mask=0x0, order=0\n");
    bool is_shared = story->guest == GUEST_SHARED;

    if (story->kernel == V1_OLD)
        g_string_append(log, "Task in /pod/a killed as a result of limit of /pod\n");
    g_string_append_printf(
        log, "memory: usage %" G_GUINT64_FORMAT "kB, limit %" G_GUINT64_FORMAT "kB, failcnt 7\n",
        memory->limit * 1024, memory->limit * 1024);
    append_figures(log, story, memory);
    g_string_append_printf(log,
                           "[  pid  ]   uid  tgid total_vm      rss %spgtables_bytes swapents "
                           "oom_score_adj name\n",
                           story->kernel == V2_NEW ? "rss_anon rss_file rss_shmem " : "");
    append_row(log, story, PID_LAUNCHER, "virt-launcher", memory->launcher, 0);
    append_row(log, story, PID_VIRTQEMUD, "virtqemud", memory->virtqemud, 0);
    append_row(log, story, PID_QEMU, "qemu-system-x86",
               memory->qemu + (is_shared ? 0 : memory->guest), is_shared ? memory->guest : 0);
    append_row(log, story, PID_STRANGER, "memhold", memory->stranger, 0);
    if (story->kernel != V1_OLD)
        g_string_append(log, "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,"
                             "mems_allowed=0,oom_memcg=/pod,task_memcg=/pod/a,"
                             "task=qemu-system-x86,pid=12,uid=107\n");
    g_string_append_printf(
        log,
        "Memory cgroup out of memory: Killed process 12 (qemu-system-x86) total-vm:9kB, "
        "anon-rss:%" G_GUINT64_FORMAT "kB, file-rss:0kB, shmem-rss:%" G_GUINT64_FORMAT "kB\n",
        (memory->qemu + (is_shared ? 0 : memory->guest)) * 1024,
        (is_shared ? memory->guest : 0) * 1024);
    return log;
}

/* Derived from the story alone. Where the guest's RAM is QEMU's private memory and nobody tells its
 * size, its growth and QEMU's own look the same. */
static OomRole
story_guilty(const Story *story, gint64 *ret_pid)
{
    bool is_told = story->guest != GUEST_UNKNOWN;

    *ret_pid = 0;
    switch (story->grew) {
    case GREW_STRANGER:
        *ret_pid = PID_STRANGER;
        return OOM_ROLE_STRANGER;
    case GREW_HELPER:
        *ret_pid = PID_VIRTQEMUD;
        return OOM_ROLE_HELPER;
    case GREW_QEMU:
        *ret_pid = is_told ? PID_QEMU : 0;
        return is_told ? OOM_ROLE_QEMU : OOM_ROLE_UNKNOWN;
    case GREW_GUEST:
        return is_told ? OOM_ROLE_LIMIT : OOM_ROLE_UNKNOWN;
    case GREW_KERNEL:
        return OOM_ROLE_KERNEL;
    default:
        return OOM_ROLE_UNKNOWN; /* nobody's files */
    }
}

/* With the limit that is suggested everybody has what they had, and the guest all of its RAM. */
static void
assert_would_have_lived(const Story *story, const Memory *memory, const OomReport *report)
{
    guint64 others = (memory->limit - memory->guest) << 20;
    guint64 suggested = report->blame.suggested_limit.bytes;

    if (!report->blame.suggested_limit.is_known) {
        assert_int_equal(report->blame.role, OOM_ROLE_UNKNOWN);
        return;
    }
    assert_int_equal(suggested % 4096, 0);
    assert_true(suggested > report->limit.bytes && suggested >= report->usage.bytes);
    if (story->guest == GUEST_GIVEN)
        assert_true(suggested >= (story->guest_mib << 20) + others);
    else if (story->grew != GREW_GUEST)
        assert_true(suggested >= report->limit.bytes + (EXCESS_MIB << 20));
    /* No wild guess: QEMU's share, which it may have taken, and a tenth of all but the guest. */
    assert_true(suggested <= report->limit.bytes + ((EXCESS_MIB + 122 + 40) << 20) + others / 8);
}

static void
assert_parts(const Story *story, const Memory *memory, const OomReport *report)
{
    const OomParts *parts = &report->parts;
    guint64 own = parts->guest.bytes + parts->qemu.bytes;

    assert_int_equal(parts->helpers.bytes, (memory->launcher + memory->virtqemud) << 20);
    assert_int_equal(parts->strangers.bytes, memory->stranger << 20);
    assert_int_equal(parts->kernel.bytes, memory->kernel << 20);
    assert_int_equal(parts->unexplained.bytes, memory->files << 20);
    assert_int_equal(own, (memory->guest + memory->qemu) << 20);
    assert_int_equal(parts->guest.is_known, story->guest != GUEST_UNKNOWN);
}

static void
run_story(void **state)
{
    const Story *story = *state;
    Memory memory = story_memory(story);
    GString *log = story_log(story, &memory);
    g_autoptr(OomReader) reader = oomreader_new();
    OomSize guest = {story->guest == GUEST_GIVEN, story->guest_mib << 20};
    const GPtrArray *reports;
    const OomReport *report;
    OomRole guilty;
    gint64 pid;

    guilty = story_guilty(story, &pid);
    oomreader_feed(reader, log->str, log->len);
    g_string_free(log, TRUE);
    reports = oomreader_finish(reader, guest);
    assert_int_equal(reports->len, 1);
    report = reports->pdata[0];
    assert_true(report->is_complete);
    assert_parts(story, &memory, report);
    assert_string_equal(oomrole_name(report->blame.role), oomrole_name(guilty));
    assert_int_equal(report->blame.has_pid ? report->blame.pid : 0, pid);
    assert_would_have_lived(story, &memory, report);
}

static Story *
story_new(Grew grew, Kernel kernel, Guest guest, guint64 size_mib)
{
    static const char *const who[] = {"a stranger", "a helper",      "QEMU itself",
                                      "the guest",  "kernel memory", "files"};
    static const char *const kernels[] = {"v1 of 4.19", "v1 of 5.15", "v2 of 5.15", "v2 of 6.8"};
    static const char *const guests[] = {"its size unknown", "its size given", "shared memory"};
    Story *story = g_new0(Story, 1);

    *story = (Story){.grew = grew, .kernel = kernel, .guest = guest, .guest_mib = size_mib};
    story->name = g_strdup_printf("%s grows beside a guest of %" G_GUINT64_FORMAT " MiB, %s, %s",
                                  who[grew], size_mib, guests[guest], kernels[kernel]);
    return story;
}

static void
story_free(gpointer data)
{
    Story *story = data;

    g_free(story->name);
    g_free(story);
}

int
main(void)
{
    g_autoptr(GPtrArray) stories = g_ptr_array_new_with_free_func(story_free);
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const guint n_sizes = G_N_ELEMENTS(guest_mib);

    for (guint i = 0; i < N_GREW * N_KERNELS * N_GUESTS * n_sizes; i++)
        g_ptr_array_add(stories, story_new(i % N_GREW, i / N_GREW % N_KERNELS,
                                           i / N_GREW / N_KERNELS % N_GUESTS,
                                           guest_mib[i / N_GREW / N_KERNELS / N_GUESTS]));
    for (guint i = 0; i < stories->len; i++)
        g_array_append_vals(
            tests, &t_row(((Story *)stories->pdata[i])->name, run_story, stories->pdata[i]), 1);
    return _cmocka_run_group_tests("oomblame", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
