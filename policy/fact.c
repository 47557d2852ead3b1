/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fact.h"

#include <string.h>

static const FactWords yes_words = {{"no", "yes"}, "is neither yes nor no"};
static const FactWords own_words = {{"shared", "own"}, "is neither own nor shared"};

#define VM(name, kind, field)                                                                      \
    {                                                                                              \
        name, kind, offsetof(Sample, field), FACT_NO_BIT, NULL                                     \
    }
#define VM_FLAG(name, field, words)                                                                \
    {                                                                                              \
        name, FACT_FLAG, offsetof(Sample, field), FACT_NO_BIT, words                               \
    }
#define VM_IF(name, kind, field, has)                                                              \
    {                                                                                              \
        name, kind, offsetof(Sample, field), offsetof(Sample, has), NULL                           \
    }
#define DISK(name, kind, field)                                                                    \
    {                                                                                              \
        name, kind, offsetof(DiskFacts, field), FACT_NO_BIT, NULL                                  \
    }
#define DISK_IF(name, kind, field, has)                                                            \
    {                                                                                              \
        name, kind, offsetof(DiskFacts, disk.field), offsetof(DiskFacts, disk.has), NULL           \
    }

static const Fact vm_facts[] = {
    VM("period", FACT_TIME_US, period_us),
    VM_FLAG("socket", monitor_is_ours, &own_words),
    VM_FLAG("incoming", is_incoming, &yes_words),
    VM("age", FACT_AGE_US, age_us),
    VM("asleep", FACT_TIME_US, boottime_us),
    VM_FLAG("gone", process_is_gone, &yes_words),
    VM("process", FACT_LETTER, process_state),
    VM_FLAG("freezer", process_is_frozen, &yes_words),
    VM("monitor", FACT_STAGE, monitor),
    VM("waited", FACT_TIME_US, waited_us),
    VM("run", FACT_RUN, run),
    VM_IF("cpu", FACT_TIME_US, cpu_time_us, has_cpu),
    VM_IF("main_cpu", FACT_TIME_US, main_cpu_us, has_main_cpu),
    VM_IF("network", FACT_SIZE, network_bytes, has_network),
    VM_IF("stops", FACT_COUNT32, n_stops, has_events),
    VM_IF("resets", FACT_COUNT32, n_resets, has_events),
    VM_FLAG("disks", has_disks, &yes_words),
    VM_IF("guest_ram", FACT_SIZE, memory.guest_ram_bytes, memory.has_guest_ram),
    {"guest_ram_shared", FACT_FLAG, offsetof(Sample, memory.guest_ram_is_shared),
     offsetof(Sample, memory.has_guest_ram), &yes_words},
    VM_IF("rss_anon", FACT_SIZE, memory.rss_anon_bytes, memory.has_rss),
    VM_IF("rss_file", FACT_SIZE, memory.rss_file_bytes, memory.has_rss),
    VM_IF("rss_shmem", FACT_SIZE, memory.rss_shmem_bytes, memory.has_rss),
    VM_IF("page_tables", FACT_SIZE, memory.page_table_bytes, memory.has_rss),
    VM_IF("hugetlb", FACT_SIZE, memory.hugetlb_bytes, memory.has_rss),
    VM_IF("group_usage", FACT_SIZE, memory.group_usage_bytes, memory.has_group),
    VM_IF("group_unreclaimable", FACT_SIZE, memory.group_unreclaimable_bytes, memory.has_group),
    VM_IF("memory_limit", FACT_SIZE, memory.limit_bytes, memory.has_limit),
    VM_IF("limited_unreclaimable", FACT_SIZE, memory.limited_unreclaimable_bytes, memory.has_limit),
    VM_FLAG("memory_limit_known", memory.limit_is_known, &yes_words),
    {"group", FACT_FLAG, offsetof(Sample, memory.group_is_own), offsetof(Sample, memory.has_group),
     &own_words},
    {"limit", FACT_FLAG, offsetof(Sample, memory.limit_is_own), offsetof(Sample, memory.has_limit),
     &own_words},
};

static const Fact disk_facts[] = {
    {"present", FACT_FLAG, offsetof(DiskFacts, is_present), FACT_NO_BIT, &yes_words},
    DISK("driver", FACT_TEXT, disk.driver),
    DISK("storage", FACT_TEXT, disk.storage),
    DISK_IF("rd", FACT_COUNT, rd_ops, has_counters),
    DISK_IF("wr", FACT_COUNT, wr_ops, has_counters),
    DISK_IF("flush", FACT_COUNT, flush_ops, has_counters),
    DISK_IF("unmap", FACT_COUNT, unmap_ops, has_counters),
    DISK_IF("rd_bytes", FACT_SIZE, rd_bytes, has_counters),
    DISK_IF("wr_bytes", FACT_SIZE, wr_bytes, has_counters),
    DISK_IF("time", FACT_TIME_NS, total_time_ns, has_counters),
    DISK_IF("failed", FACT_COUNT, failed_ops, has_counters),
    DISK_IF("idle", FACT_TIME_NS, idle_time_ns, has_idle_time),
    DISK_IF("bps", FACT_SIZE, limit_bps, has_limit),
    DISK_IF("iops", FACT_COUNT, limit_iops, has_limit),
    DISK_IF("inflight", FACT_COUNT32, queue_inflight, has_queue),
    DISK_IF("used", FACT_COUNT, queue_used_idx, has_queue),
    {"shared", FACT_FLAG, offsetof(DiskFacts, disk.queue_is_shared),
     offsetof(DiskFacts, disk.has_queue), &yes_words},
    DISK_IF("thread", FACT_COUNT32, blocked_thread, has_thread),
    DISK_IF("ring", FACT_COUNT32, ring_inflight, has_ring),
    DISK_IF("ring_done", FACT_COUNT, ring_completed, has_ring),
    {"ring_shared", FACT_FLAG, offsetof(DiskFacts, disk.ring_is_shared),
     offsetof(DiskFacts, disk.has_ring), &yes_words},
    DISK_IF("device", FACT_COUNT32, device_inflight, has_device),
    DISK_IF("device_done", FACT_COUNT, device_completed, has_device),
    DISK_IF("device_time", FACT_TIME_NS, device_time_ns, has_device),
    {"device_shared", FACT_FLAG, offsetof(DiskFacts, disk.device_is_shared),
     offsetof(DiskFacts, disk.has_device), &yes_words},
    {"device_stale", FACT_FLAG, offsetof(DiskFacts, disk.device_is_stale),
     offsetof(DiskFacts, disk.has_device), &yes_words},
    DISK_IF("neighbours_moving", FACT_COUNT32, neighbours_moving, has_neighbours),
    DISK_IF("neighbours_still", FACT_COUNT32, neighbours_still, has_neighbours),
    {"canary_back", FACT_FLAG, offsetof(DiskFacts, disk.canary_is_back),
     offsetof(DiskFacts, disk.has_canary), &yes_words},
    DISK_IF("canary", FACT_TIME_US, canary_waited_us, has_canary),
    DISK_IF("job", FACT_SIZE, job_offset_bytes, has_job),
    DISK_IF("job_speed", FACT_SIZE, job_speed_bps, has_job),
};

const Fact *
fact_table(FactScope scope, guint *ret_n_facts)
{
    *ret_n_facts = scope == FACT_OF_VM ? G_N_ELEMENTS(vm_facts) : G_N_ELEMENTS(disk_facts);
    return scope == FACT_OF_VM ? vm_facts : disk_facts;
}

const Fact *
fact_find(FactScope scope, const char *name)
{
    guint n_facts;
    const Fact *facts = fact_table(scope, &n_facts);

    for (guint i = 0; i < n_facts; i++)
        if (strcmp(facts[i].name, name) == 0)
            return &facts[i];
    return NULL;
}

/* The value, as the type that the row's kind says. */
#define FIELD(type, fact, record) (*(type *)(void *)((char *)(record) + (fact)->offset))
#define FIELD_CONST(type, fact, record)                                                            \
    (*(const type *)(const void *)((const char *)(record) + (fact)->offset))

static bool
bit_get(const Fact *fact, const void *record)
{
    return *((const bool *)((const char *)record + fact->has_offset));
}

static void
bit_set(const Fact *fact, void *record, bool is_known)
{
    if (fact->has_offset != FACT_NO_BIT)
        *((bool *)((char *)record + fact->has_offset)) = is_known;
}

guint64
fact_number(const Fact *fact, const void *record)
{
    switch (fact->kind) {
    case FACT_RUN:
        return FIELD_CONST(RunState, fact, record);
    case FACT_STAGE:
        return FIELD_CONST(MonitorStage, fact, record);
    case FACT_LETTER:
        return (guint8)FIELD_CONST(char, fact, record);
    case FACT_FLAG:
        return FIELD_CONST(bool, fact, record);
    case FACT_COUNT32:
        return FIELD_CONST(guint32, fact, record);
    case FACT_TIME_US:
    case FACT_AGE_US:
        return (guint64)FIELD_CONST(gint64, fact, record);
    case FACT_TEXT:
        return 0;
    default:
        return FIELD_CONST(guint64, fact, record);
    }
}

const char *
fact_text(const Fact *fact, const void *record)
{
    return fact->kind == FACT_TEXT ? FIELD_CONST(char *, fact, record) : NULL;
}

static void
number_set(const Fact *fact, void *record, guint64 number)
{
    switch (fact->kind) {
    case FACT_RUN:
        FIELD(RunState, fact, record) = (RunState)number;
        break;
    case FACT_STAGE:
        FIELD(MonitorStage, fact, record) = (MonitorStage)number;
        break;
    case FACT_LETTER:
        FIELD(char, fact, record) = (char)number;
        break;
    case FACT_FLAG:
        FIELD(bool, fact, record) = number != 0;
        break;
    case FACT_COUNT32:
        FIELD(guint32, fact, record) = (guint32)number;
        break;
    case FACT_TIME_US:
    case FACT_AGE_US:
        FIELD(gint64, fact, record) = (gint64)number;
        break;
    default:
        FIELD(guint64, fact, record) = number;
        break;
    }
}

static guint64
number_max(const Fact *fact)
{
    switch (fact->kind) {
    case FACT_COUNT32:
        return G_MAXUINT32;
    case FACT_TIME_US:
    case FACT_AGE_US:
        return FACT_TIME_MAX_US;
    default:
        return G_MAXUINT64;
    }
}

bool
fact_is_known(const Fact *fact, const void *record)
{
    if (fact->has_offset != FACT_NO_BIT)
        return bit_get(fact, record);
    switch (fact->kind) {
    case FACT_TEXT:
        return fact_text(fact, record) != NULL;
    case FACT_AGE_US:
        return FIELD_CONST(gint64, fact, record) >= 0;
    case FACT_RUN:
        return FIELD_CONST(RunState, fact, record) != RUN_UNKNOWN;
    case FACT_LETTER:
        return FIELD_CONST(char, fact, record) != 0;
    default:
        return true;
    }
}

bool
fact_equals(const Fact *fact, const void *left, const void *right)
{
    bool is_known = fact_is_known(fact, left);

    if (is_known != fact_is_known(fact, right))
        return false;
    return !is_known || (fact_number(fact, left) == fact_number(fact, right) &&
                         g_strcmp0(fact_text(fact, left), fact_text(fact, right)) == 0);
}

static const char *
fact_forget(const Fact *fact, void *record)
{
    if (fact->has_offset != FACT_NO_BIT)
        bit_set(fact, record, false);
    else if (fact->kind == FACT_TEXT)
        FIELD(char *, fact, record) = NULL;
    else if (fact->kind == FACT_AGE_US)
        FIELD(gint64, fact, record) = -1;
    else if (fact->kind == FACT_RUN || fact->kind == FACT_LETTER)
        number_set(fact, record, 0);
    else
        return "is never unknown";
    return NULL;
}

static const char *
fact_add(const Fact *fact, guint64 step, guint64 times, void *record)
{
    guint64 number;

    if (!fact_is_known(fact, record))
        return "is unknown so far: nothing to add to";
    if (!g_uint64_checked_mul(&number, step, times) ||
        !g_uint64_checked_add(&number, number, fact_number(fact, record)) ||
        number > number_max(fact))
        return "grows out of range";
    number_set(fact, record, number);
    return NULL;
}

const char *
fact_store(const Fact *fact, const FactValue *value, guint64 times, void *record)
{
    if (value->is_sum)
        return fact_add(fact, value->number, times, record);
    if (value->is_unknown)
        return fact_forget(fact, record);
    if (fact->kind == FACT_TEXT)
        FIELD(char *, fact, record) = value->text;
    else
        number_set(fact, record, value->number);
    bit_set(fact, record, true);
    return NULL;
}
