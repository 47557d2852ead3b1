/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bands.h"

#include "cgroup-place.h"
#include "cgroup.h"
#include "proc.h"
#include "units.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* New groups are named within a minute of their stall all the same: it takes half a minute. */
#define FIND_PERIOD_US (20 * (gint64)G_USEC_PER_SEC)
/* user.slice/user-1000.slice/user@1000.service/app.slice/x.service is five deep. */
#define DEPTH_MAX 6
/* A directory takes some 10 us: 20 ms a scan at most. */
#define GROUPS_MAX 2000
#define BANDS_MAX 64
/* Looked at while a group is in its band. */
#define PROCESSES_MAX 256
#define TEXT_BYTES 8192

/* Where systemd, Docker, libvirt, Proxmox and Kubernetes (both drivers of kubelet, which sets
 * memory.high for its MemoryQoS) put their groups; used while watched_groups is unset.
 */
static const char default_groups[] =
    "user.slice system.slice docker.slice machine.slice qemu.slice kubepods.slice kubepods";
static const char over_high[] = "mem_cgroup_handle_over_high";

struct Bands {
    const Host *host;
    int mount_fd; /* -1: no v2 */
    GPtrArray *list;
    gint64 found_us, read_us;
    BandsFunc func, held;
    gpointer data, held_data;
};

static void
band_free(gpointer data)
{
    Band *band = data;

    group_reader_free(band->reader);
    g_free(band->label);
    g_free(band->hog_name);
    g_free(band->lift);
    g_free(band);
}

Bands *
bands_new(const Host *host)
{
    Bands *bands = g_new0(Bands, 1);

    bands->host = host;
    bands->mount_fd = cgroup_mount_v2(host);
    bands->list = g_ptr_array_new_with_free_func(band_free);
    return bands;
}

void
bands_free(Bands *bands)
{
    if (!bands)
        return;
    g_ptr_array_unref(bands->list);
    fd_clear(&bands->mount_fd);
    g_free(bands);
}

void
bands_set_func(Bands *bands, BandsFunc func, gpointer data)
{
    bands->func = func;
    bands->data = data;
}

void
bands_set_held_func(Bands *bands, BandsFunc func, gpointer data)
{
    bands->held = func;
    bands->held_data = data;
}

const GPtrArray *
bands_list(const Bands *bands)
{
    return bands->list;
}

/* path begins with "/"; NULL: none. */
static Band *
band_find(const Bands *bands, const char *path)
{
    for (guint i = 0; i < bands->list->len; i++) {
        Band *band = bands->list->pdata[i];

        if (strcmp(group_reader_path(band->reader), path) == 0)
            return band;
    }
    return NULL;
}

void
bands_note(Bands *bands, const char *path, const char *text)
{
    Band *band = band_find(bands, path);

    if (!band)
        return;
    g_free(band->lift);
    band->lift = g_strdup(text);
}

static void
band_add(Bands *bands, const char *path)
{
    g_autofree char *absolute = g_strconcat("/", path, NULL);
    Band *band;

    if (band_find(bands, absolute))
        return;
    band = g_new0(Band, 1);
    band->label = units_printable_path(absolute);
    band->reader = group_reader_new(bands->mount_fd, absolute, true);
    g_ptr_array_add(bands->list, band);
}

static void
group_consider(Bands *bands, const char *path)
{
    char text[TEXT_BYTES];
    bool has_high = false;
    guint64 high;

    if (group_file_read(bands->mount_fd, path, "memory.high", text, sizeof text) &&
        cgroup_parse_limit(text, &has_high, &high) && has_high && bands->list->len < BANDS_MAX)
        band_add(bands, path);
}

typedef void (*GroupFunc)(Bands *bands, const char *path, gpointer data);

/* The group and all below it, parents first. */
static void
groups_walk(Bands *bands, const char *path, guint depth, guint *left, GroupFunc func, gpointer data)
{
    int fd = host_open_beneath(bands->mount_fd, path, O_RDONLY | O_DIRECTORY);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (!directory) {
        fd_clear(&fd);
        return;
    }
    func(bands, path, data);
    while (depth > 0 && *left > 0 && (entry = readdir(directory))) {
        g_autofree char *below = NULL;

        if (entry->d_type != DT_DIR || *entry->d_name == '.')
            continue;
        (*left)--;
        below = g_strconcat(path, "/", entry->d_name, NULL);
        groups_walk(bands, below, depth - 1, left, func, data);
    }
    closedir(directory);
}

static void
on_group(Bands *bands, const char *path, gpointer data)
{
    group_consider(bands, path);
}

static void
bands_find(Bands *bands, const char *slices)
{
    g_auto(GStrv) words = g_strsplit_set(slices ? slices : default_groups, SETTING_SEPARATORS, -1);
    guint left = GROUPS_MAX;

    for (guint i = 0; words[i]; i++)
        if (*words[i] && *words[i] != '/')
            groups_walk(bands, words[i], DEPTH_MAX, &left, on_group, NULL);
}

/* What is found out of the processes of one group. */
typedef struct {
    gint64 pid;
    guint64 resident, start_ticks; /* 0: it is gone */
} Found;

typedef struct {
    Band *band;
    guint left;
    Found hog, beside;
} Look;

static guint64
resident_of(const Bands *bands, const char *pid)
{
    g_autofree char *path = g_strconcat(pid, "/statm", NULL);
    g_autofree char *text = host_read(bands->host, HOST_PROC, path, TEXT_BYTES, NULL, NULL);
    const char *second = text ? strchr(text, ' ') : NULL;

    return second ? g_ascii_strtoull(second, NULL, 10) * (guint64)sysconf(_SC_PAGESIZE) : 0;
}

static guint64
start_of(const Bands *bands, const char *pid)
{
    g_autofree char *path = g_strconcat(pid, "/stat", NULL);
    g_autofree char *text = host_read(bands->host, HOST_PROC, path, TEXT_BYTES, NULL, NULL);
    ProcStat stat;

    return text && proc_parse_stat(text, &stat) && stat.state != 'Z' ? stat.start_ticks : 0;
}

static bool
is_throttled(const Bands *bands, const char *pid)
{
    g_autofree char *path = g_strconcat(pid, "/wchan", NULL);
    g_autofree char *text = host_read(bands->host, HOST_PROC, path, TEXT_BYTES, NULL, NULL);

    return text && strstr(text, over_high);
}

/* The oldest is the least likely to end by itself. */
static void
process_look(const Bands *bands, const char *pid, Look *look)
{
    Band *band = look->band;
    Found found = {.pid = g_ascii_strtoll(pid, NULL, 10), .resident = resident_of(bands, pid)};

    found.start_ticks = start_of(bands, pid);
    band->sample.n_tasks++;
    band->sample.n_throttled += is_throttled(bands, pid);
    if (found.resident > band->hog_bytes) {
        Found hog = look->hog;

        look->hog = found;
        band->hog_bytes = found.resident;
        found = hog;
    }
    if (found.start_ticks > 0 &&
        (look->beside.start_ticks == 0 || found.start_ticks < look->beside.start_ticks))
        look->beside = found;
}

static void
on_group_of_band(Bands *bands, const char *path, gpointer data)
{
    Look *look = data;
    char text[TEXT_BYTES];
    g_auto(GStrv) pids = NULL;

    if (!group_file_read(bands->mount_fd, path, "cgroup.procs", text, sizeof text))
        return;
    pids = g_strsplit(text, "\n", -1);
    for (guint i = 0; pids[i] && look->left > 0; i++)
        if (*pids[i] && strspn(pids[i], "0123456789") == strlen(pids[i])) {
            look->left--;
            process_look(bands, pids[i], look);
        }
}

static void
processes_look(Bands *bands, Band *band)
{
    Look look = {.band = band, .left = PROCESSES_MAX};
    guint left = GROUPS_MAX;
    g_autofree char *comm = NULL;

    band->hog_bytes = 0;
    groups_walk(bands, group_reader_path(band->reader) + 1, DEPTH_MAX, &left, on_group_of_band,
                &look);
    band->hog_pid = look.hog.pid;
    band->beside_pid = look.beside.pid;
    band->sample.has_tasks = band->sample.n_tasks > 0;
    comm = band->hog_pid > 0 ? proc_peek_comm(bands->host, (pid_t)band->hog_pid) : NULL;
    g_free(band->hog_name);
    band->hog_name = comm ? units_printable(comm, -1) : NULL;
}

/* false when the group is gone. */
static bool
band_read(Bands *bands, Band *band, const HostMemory *memory, gint64 now_us)
{
    GroupSignals signals;
    CgroupCharge charge;
    char text[TEXT_BYTES];

    if (!group_reader_read(band->reader, &signals))
        return false;
    band->sample = (BandSample){
        .at_us = now_us,
        .has_high = signals.has_high,
        .has_max = signals.has_max,
        .usage_bytes = signals.usage_bytes,
        .high_bytes = signals.high_bytes,
        .max_bytes = signals.max_bytes,
        .has_swap_room = signals.has_swap && memory->is_known,
        .swap_room_bytes = MIN(signals.swap_room_bytes, memory->swap_free_bytes),
        .has_events = signals.has_events,
        .high_events = signals.high_events,
        .oom_kills = signals.oom_kills,
        .has_stalled = signals.has_stalled,
        .stalled_us = signals.stalled_us,
    };
    if (group_file_read(bands->mount_fd, group_reader_path(band->reader) + 1, "memory.stat", text,
                        sizeof text) &&
        cgroup_parse_stat_v2(text, &charge)) {
        band->sample.has_unreclaimable = true;
        band->sample.unreclaimable_bytes = charge.unreclaimable_bytes;
    }
    if (livelock_wants_tasks(&band->sample))
        processes_look(bands, band);
    return true;
}

static void
band_follow(Bands *bands, guint index, const HostMemory *memory, gint64 now_us)
{
    Band *band = bands->list->pdata[index];
    bool before = band->track.verdict.is_livelock;
    bool is_there = band_read(bands, band, memory, now_us);

    if (is_there)
        (void)livelock_judge(&band->track, &band->sample);
    else
        band->track = (BandTrack){0};
    if (bands->func && before != band->track.verdict.is_livelock)
        bands->func(band, bands->data);
    if (!band->track.verdict.is_livelock)
        g_clear_pointer(&band->lift, g_free);
    else if (bands->held)
        bands->held(band, bands->held_data);
    if (!is_there || !band->sample.has_high)
        g_ptr_array_remove_index(bands->list, index);
}

void
bands_follow(Bands *bands, const Limits *limits, const HostMemory *memory, gint64 now_us)
{
    if (bands->mount_fd < 0 ||
        (bands->read_us > 0 && now_us - bands->read_us < limits->memory_period_us))
        return;
    bands->read_us = now_us;
    if (bands->found_us == 0 || now_us - bands->found_us >= FIND_PERIOD_US) {
        bands->found_us = now_us;
        bands_find(bands, limits->watched_groups);
    }
    for (guint i = bands->list->len; i-- > 0;)
        band_follow(bands, i, memory, now_us);
}

char *
band_text(const Band *band)
{
    const BandSample *sample = &band->sample;
    const BandVerdict *verdict = &band->track.verdict;
    g_autofree char *high = units_format_size_short(sample->high_bytes);
    g_autofree char *max = sample->has_max ? units_format_size_short(sample->max_bytes) : NULL;
    g_autofree char *usage = units_format_size_short(sample->usage_bytes);
    g_autofree char *held = units_format_size_short(band->hog_bytes);
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "stands still at %s between memory.high %s and memory.max %s",
                           usage, high, max ? max : "none");
    if (verdict->has_stalled)
        g_string_append_printf(text, ", stalled %u %% of the time", verdict->stalled_percent);
    g_string_append(text, "; nothing ends it: below memory.max the kernel does not kill, earlyoom "
                          "sees a free host, systemd-oomd finds nothing to reclaim");
    if (band->hog_pid > 0) {
        g_string_append_printf(text, "; %s[%" G_GINT64_FORMAT "] holds %s",
                               band->hog_name ? band->hog_name : "?", band->hog_pid, held);
        g_string_append_printf(text,
                               ", %u other processes suffer; do: kill -KILL %" G_GINT64_FORMAT
                               " (its sleep is killable)",
                               MAX(sample->n_tasks, 1) - 1, band->hog_pid);
    }
    if (band->lift)
        g_string_append_printf(text, "; %s", band->lift);
    else
        g_string_append(text, "; or memory.high=max, only where OOMPolicy=continue and "
                              "memory.oom.group=0 keep the service alive");
    g_string_append(text, "; then take MemoryHigh= out of the unit");
    return g_string_free(text, FALSE);
}
