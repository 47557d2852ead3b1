/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nouns of vm-guardian, data only. A Sample is what was seen of one VM at one moment, a Verdict
 * what the judge said of one disk, a Track what the judge remembers between two samples (freeze.h).
 *
 * Units stand in the names: _us microseconds on the monotonic clock, _ns nanoseconds, _bytes, _bps
 * bytes per second, _iops operations per second. Every optional fact has a has_ bit; without it the
 * value means nothing. Missing is never zero. */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    RUN_UNKNOWN,
    RUN_RUNNING,
    RUN_PAUSED,
    RUN_IO_ERROR,
    RUN_SHUTDOWN,
    RUN_PANICKED,
    RUN_MIGRATING, /* finish-migrate, postmigrate, colo: the source side has stopped */
    RUN_INCOMING,  /* inmigrate: the destination waits */
    RUN_PRELAUNCH,
    RUN_OTHER, /* save-vm, restore-vm, debug, watchdog, suspended, internal-error */
} RunState;

/* How far the monitor let us come: the rungs of the hang ladder. */
typedef enum {
    MONITOR_NOT_ASKED,
    MONITOR_REFUSED,     /* socket gone, or nobody listens */
    MONITOR_NO_GREETING, /* connected, silent: another client holds it, or the process is stopped */
    MONITOR_NO_NEGOTIATION, /* greeted, qmp_capabilities unanswered: the main loop is blocked */
    MONITOR_SILENT,         /* negotiated, a query is unanswered: the main loop is blocked */
    MONITOR_BROKEN,         /* spoke, but not QMP; or hung up in the middle */
    MONITOR_ANSWERED,
} MonitorStage;

typedef struct {
    char *id;    /* identity inside the VM: qdev path, else node name, else drive id. Raw bytes. */
    char *label; /* what a person calls it ("virtio0"), printable */
    char *
        driver; /* device model as configured ("virtio-blk", "lsi", ...), printable; NULL unknown */
    char
        *storage; /* identity of the storage below ("dev:254:3", "nbd:/run/x.sock"); NULL unknown */

    bool has_counters; /* of completed requests, since the VM started */
    guint64 rd_ops, wr_ops, flush_ops, unmap_ops;
    guint64 rd_bytes, wr_bytes;
    guint64 total_time_ns; /* read + write + flush + unmap: age of what completed */
    guint64 failed_ops;    /* failed_* and invalid_* together */
    bool has_idle_time;
    guint64 idle_time_ns; /* since the last completion; grows on idle and on stuck disks alike */

    bool has_limit; /* throttle in force, the tightest of total, read and write; 0 = none */
    guint64 limit_bps;
    guint64 limit_iops;
    bool limit_is_of_start; /* QEMU's command line says so; whether it still holds is not known */

    bool has_queue; /* virtqueues that carry this disk, summed; fetched only when asked for */
    guint32 queue_inflight;
    guint64 queue_used_idx; /* sum of the used indexes, modulo 65536 each: only "moved" counts */
    bool queue_is_shared;   /* other disks of this VM use the same queues */

    bool has_thread;        /* QEMU's threads were looked at; only for a suspect */
    guint32 blocked_thread; /* id of a thread in state D that works on this disk; 0 none */

    bool has_ring; /* an io_uring that carries this disk; only for a suspect */
    guint32 ring_inflight;
    guint64 ring_completed; /* its completion queue's tail: only "moved" counts */
    bool ring_is_shared;    /* other disks of this VM use the same ring */

    bool has_device; /* the host's block device below this disk; only for a suspect */
    guint32 device_inflight;
    guint64 device_completed; /* reads and writes since boot: only "moved" counts */
    guint64 device_time_ns;   /* that these took together: how slow it is for all */
    bool device_is_shared;    /* it carries a file system: the image is not the device itself */
    bool device_is_stale;     /* QEMU holds a device number that its path no longer leads to */

    bool has_neighbours; /* busy disks of other VMs on the same storage, at their last samples */
    guint32 neighbours_moving, neighbours_still;

    bool has_canary; /* a read of 512 bytes was sent into the block layer, see Limits.canary */
    bool canary_is_back;
    gint64 canary_waited_us; /* until it came back, or until now */

    bool has_job; /* a block job (backup, mirror, stream) works on this disk: it should move */
    guint64 job_offset_bytes;
    guint64 job_speed_bps; /* its own limit; 0 none */
} DiskSample;

/* What of a group's charge stays under pressure, by kind, and what would go. */
typedef struct {
    bool is_known;
    guint64 anon_bytes, shmem_bytes, locked_file_bytes;
    guint64 kernel_bytes;  /* all of the kernel's that stays */
    bool has_kernel_parts; /* v2 tells of what kernel_bytes consists, v1 does not */
    guint64 slab_bytes, kernel_stack_bytes, page_table_bytes, sec_page_table_bytes, percpu_bytes,
        socket_bytes;
    guint64 reclaimable_bytes; /* page cache that is not locked, and reclaimable slab where told */
} MemoryKinds;

typedef struct {
    gint64 at_us; /* when all of this was read; 0 never */

    bool has_guest_ram;
    guint64 guest_ram_bytes;   /* sum of the RAM backends */
    bool guest_ram_is_shared;  /* memfd, file or hugetlb: charged as shmem, not as anon */
    bool guest_ram_is_hugetlb; /* in huge pages of hugetlbfs: charged to no group's memory */
    bool has_balloon;          /* what the balloon leaves the guest now */
    guint64 balloon_bytes;

    /* Pages of the guest's RAM that the last count found, and QEMU's own anonymous memory then:
     * RssAnon less the private ones. Both with the error of the count. */
    bool has_count;
    guint64 counted_low_bytes, counted_high_bytes;
    guint64 counted_shared_bytes; /* of them in shared backends beside private ones */
    guint64 own_low_bytes, own_high_bytes;

    bool has_rss; /* of the QEMU process, from /proc/<pid>/status */
    guint64 rss_anon_bytes, rss_file_bytes, rss_shmem_bytes, page_table_bytes, hugetlb_bytes;

    bool has_group; /* the cgroup that owns memory.* */
    guint64 group_usage_bytes;
    guint64 group_unreclaimable_bytes; /* anon + shmem + unevictable + kernel; see cgroup.h */
    bool group_is_own; /* with has_group: the VM's alone; false: a session or service, perhaps */

    bool has_limit; /* the tightest among the group and its ancestors; false = none or unknown */
    guint64 limit_bytes;
    bool limit_is_known;                 /* true with has_limit false: looked, and there is none */
    guint64 limited_unreclaimable_bytes; /* charge of the group that carries that limit */
    bool limit_is_own; /* with has_limit: of the VM's own groups; false: other VMs share it */
    guint64 limited_usage_bytes; /* the same with page cache */
    MemoryKinds kinds;           /* of that group; without a limit of the VM's own */

    bool has_swap_room; /* what of that group could still be swapped out; without: nothing */
    guint64 swap_room_bytes;
    bool has_oom_kills; /* of that group, since it exists: only "grew" counts */
    guint64 oom_kills;
    bool waits_for_memory; /* v1: that group is out of memory, its OOM killer off: all of it sleeps
                            */
    bool has_max_events;   /* how often it ran into its limit: only "grew" counts */
    guint64 max_events;
    bool has_stalled; /* PSI, memory full: time in which all of its tasks waited for memory */
    guint64 stalled_us;

    bool has_peers; /* other VMs under the same limit: what their guests have not touched yet */
    guint64 peers_left_bytes;
} MemorySample;

typedef struct {
    gint64 now_us;      /* CLOCK_MONOTONIC, one stamp per tick */
    gint64 boottime_us; /* CLOCK_BOOTTIME beside it: a difference that grew is a suspend */
    gint64 period_us;   /* the period this VM is sampled at now: what counts as late */
    gint64 age_us;      /* since the QEMU process started; < 0 unknown */

    bool process_is_gone;
    char process_state;     /* of /proc/<pid>/stat: R S D T t Z ...; 0 unknown */
    bool process_is_frozen; /* the cgroup freezer holds it, whatever letter that shows */

    MonitorStage monitor;
    gint64 waited_us;     /* how long the answer took, or how long we have waited in vain */
    bool monitor_is_ours; /* nobody else is expected on it */
    bool is_incoming;     /* a hook announced that it arrives by migration; it has not run yet */
    RunState run;         /* meaningful when monitor is MONITOR_ANSWERED */

    bool has_cpu; /* of the whole QEMU process */
    guint64 cpu_time_us;
    bool
        has_main_cpu; /* of its main thread, which answers our questions; only while it is silent */
    guint64 main_cpu_us;
    bool has_network; /* received and sent by the VM's tap devices together */
    guint64 network_bytes;
    bool has_events; /* seen on a persistent monitor since this process is watched */
    guint32 n_stops, n_resets;

    DiskSample *disks; /* owned, n_disks long */
    guint n_disks;
    bool has_disks; /* false: query-blockstats gave no usable answer this time */

    MemorySample memory;
} Sample;

/* Nothing of the VM runs, by somebody's wish: its monitor cannot answer, and need not be asked. */
static inline bool
sample_is_stopped(const Sample *sample)
{
    return sample->process_is_frozen || sample->process_state == 'T' ||
           sample->process_state == 't';
}

typedef enum { STATE_OK, STATE_UNKNOWN, STATE_SUSPECT, STATE_FROZEN } State; /* by rising gravity */

typedef enum {
    LAYER_NONE,
    LAYER_UNKNOWN,
    LAYER_NOT_RUNNING,
    LAYER_GUEST,
    LAYER_THROTTLE,
    LAYER_BLOCK_PATH,
    LAYER_DEVICE_MODEL,
    LAYER_BACKUP_TARGET,
    LAYER_STORAGE,
    LAYER_MAIN_LOOP_BLOCKED,
    LAYER_PROCESS_STOPPED,
    LAYER_SOCKET_BUSY,
    LAYER_PROCESS_GONE,
    LAYER_MEMORY, /* only of alerts: see pressure.h; never of a disk's verdict */
} Layer;

typedef enum {
    VERDICT_SIGNAL_NETWORK = 1 << 0,    /* the VM's traffic collapsed with it */
    VERDICT_SIGNAL_CPU = 1 << 1,        /* its CPU load ramps: processes pile up */
    VERDICT_SIGNAL_NEIGHBOURS = 1 << 2, /* other VMs' disks on the same storage are still, too */
    VERDICT_SIGNAL_DEVICE = 1 << 3,     /* the host's device below completes nothing */
} VerdictSignal;

typedef struct {
    State state;
    Layer layer;
    const char *cause;  /* static word from the glossary, "" for none; never freed */
    gint64 since_us;    /* when what is described began, as far as it can be told */
    gint64 named_us;    /* when the state became what it is */
    bool has_alert;     /* an alert is out: since frozen was named, until it is over */
    bool is_paged;      /* and it has become urgent */
    const char *reason; /* static sentence: the rule that decided */
    guint32 inflight;   /* requests seen in flight, for the reader */
    guint signals;      /* second signals that agree: VERDICT_SIGNAL_ bits */
    gint64 patience_us; /* what was granted before frozen */
} Verdict;

/* "running" -> RUN_RUNNING, as query-status spells it; NULL or an unknown word: RUN_UNKNOWN. */
RunState run_state_parse(const char *word);
/* Words of the glossary, static, never NULL. */
const char *run_state_name(RunState run);
const char *monitor_stage_name(MonitorStage stage);
const char *state_name(State state);
const char *layer_name(Layer layer);
/* The inverse, for scenario files. false and *ret_ untouched for a word outside the glossary. */
bool run_state_from_name(const char *word, RunState *ret_run);
bool monitor_stage_from_name(const char *word, MonitorStage *ret_stage);
bool state_from_name(const char *word, State *ret_state);
bool layer_from_name(const char *word, Layer *ret_layer);

/* Frees what the sample owns and zeroes it. */
void sample_clear(Sample *sample);
/* A deep copy; the caller clears it. */
void sample_copy(const Sample *sample, Sample *ret_copy);
const DiskSample *sample_find_disk(const Sample *sample, const char *id);
/* Completed since the VM started, of every kind. */
guint64 disk_operations(const DiskSample *disk);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Sample, sample_clear)
