/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "settings.h"

#include "units.h"

#include <string.h>

#define MILLISECOND G_GINT64_CONSTANT(1000)
#define SECOND (1000 * MILLISECOND)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

#define SAMPLE_COLUMNS 80 /* a terminal's width: the sample is read in an editor on a server */

static const char *const mode_words[] = {
    [MODE_OBSERVE] = "observe",
    [MODE_ENFORCE] = "enforce",
    NULL,
};

static const char *const canary_words[] = {
    [CANARY_OFF] = "off",
    [CANARY_SUSPECT] = "suspect",
    NULL,
};
static const char *const passthrough_words[] = {
    [PASSTHROUGH_OFF] = "off",
    [PASSTHROUGH_SUSPECT] = "suspect",
    NULL,
};
static const char *const oom_group_words[] = {
    [OOM_GROUP_KEEP] = "keep",
    [OOM_GROUP_0] = "0",
    [OOM_GROUP_1] = "1",
    NULL,
};
static const char *const overhead_model_words[] = {
    [OVERHEAD_MODEL_TABLE] = "table",         [OVERHEAD_MODEL_KUBEVIRT] = "kubevirt",
    [OVERHEAD_MODEL_HARVESTER] = "harvester", [OVERHEAD_MODEL_MEASURED] = "measured",
    [OVERHEAD_MODEL_LARGEST] = "largest",     NULL,
};

const Setting settings[] = {
    {"guardian", "mode", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "observe", 0, 0,
     mode_words, G_STRUCT_OFFSET(Limits, mode),
     "observe: nothing is written to any VM, cgroup or unit; what would be done is only written "
     "down. enforce: what is allowed is done. The default is observe because a watcher that was "
     "merely installed must not change anything."},
    {"guardian", "watch", SETTING_BOOL, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "yes", 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, watch),
     "no: the VM is not watched at all. The default is yes because the VM nobody thought of is "
     "the one that freezes unseen."},
    {"guardian", "include", SETTING_LIST, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, NULL, 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, include),
     "Only VMs whose name or id matches one of these globs (* and ?) are found. Unset means all, "
     "so that a new VM is watched without anybody's doing."},
    {"guardian", "exclude", SETTING_LIST, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, NULL, 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, exclude),
     "VMs whose name or id matches one of these globs are never found, whatever include says. "
     "Unset means none."},
    {"guardian", "owner_may_set", SETTING_LIST, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, NULL, 0, 0,
     NULL, G_STRUCT_OFFSET(Limits, owner_may_set),
     "Settings (section.key, globs) that a VM's owner may set for that VM: in a line of Proxmox' "
     "description or in libvirt's metadata. vm.d still wins. Unset means how long a disk may stand "
     "still: settle, patience, patience_max, page_after and silent of [freeze], because the owner "
     "knows the guest. \"none\" means nothing."},
    {"guardian", "discovery_period", SETTING_DURATION, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, "10s",
     SECOND, HOUR, NULL, G_STRUCT_OFFSET(Limits, discovery_period_us),
     "How often new VMs are looked for. 10s because a new VM has to settle that long before its "
     "disks are judged anyway."},

    {"monitor", "period_own", SETTING_DURATION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "2s",
     500 * MILLISECOND, HOUR, NULL, G_STRUCT_OFFSET(Limits, period_own_us),
     "How often a monitor is asked that nobody else uses. 2s because a question costs QEMU about "
     "a quarter of a millisecond, and a freeze is then dated to two seconds."},
    {"monitor", "period_shared", SETTING_DURATION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "10s",
     2 * SECOND, HOUR, NULL, G_STRUCT_OFFSET(Limits, period_shared_us),
     "How often a monitor is asked that others need too. 10s because the socket serves one "
     "client at a time, and Proxmox's own pvestatd asks every 10 s."},
    {"monitor", "period_suspect", SETTING_DURATION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "2s",
     SECOND, HOUR, NULL, G_STRUCT_OFFSET(Limits, period_suspect_us),
     "How often a shared monitor is asked while its VM is suspect. 2s because the evidence must "
     "hold in every sample, and ten of them then fit into the patience."},
    {"monitor", "answer_deadline", SETTING_DURATION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "5s",
     100 * MILLISECOND, MINUTE, NULL, G_STRUCT_OFFSET(Limits, answer_deadline_us),
     "How long a question may wait on a monitor of our own before the silence is a fact. 5s "
     "because a healthy QEMU answers within a millisecond, and Proxmox's qm waits 5 s too."},
    {"monitor", "hold_max", SETTING_DURATION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "500ms",
     10 * MILLISECOND, 500 * MILLISECOND, NULL, G_STRUCT_OFFSET(Limits, hold_max_us),
     "The longest hold of a shared monitor; normal is a few milliseconds. 500ms, and never more, "
     "because Proxmox's qm retries for 3 s before it fails: one hold must not use that up."},
    {"monitor", "own", SETTING_BOOL, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "no", 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, monitor_own),
     "yes: a bare VM's only monitor is the guardian's alone and stays connected. The default is "
     "no because whoever started the VM would then be locked out of it."},

    {"freeze", "settle", SETTING_DURATION, SCOPE_VM, OWNER_VM, APPLY_RELOAD, "10s", SECOND, HOUR,
     NULL, G_STRUCT_OFFSET(Limits, settle_us),
     "How long a VM must have been running without a break before its disks are judged. 10s "
     "because a disk stands still around a start, a pause and a migration."},
    {"freeze", "patience", SETTING_DURATION, SCOPE_DISK, OWNER_VM, APPLY_RELOAD, "20s", SECOND,
     HOUR, NULL, G_STRUCT_OFFSET(Limits, patience_us),
     "How long requests stay in flight without progress until the disk is named frozen. 20s "
     "because 98 recorded runs that were not freezes gave no false alarm at 20 s, while at 10 s "
     "storage that takes 15 s a write did."},
    {"freeze", "patience_max", SETTING_DURATION, SCOPE_DISK, OWNER_VM, APPLY_RELOAD, "120s", SECOND,
     HOUR, NULL, G_STRUCT_OFFSET(Limits, patience_max_us),
     "How far a slow throttle limit of the disk itself may stretch the patience. 120s because a "
     "limit that needs longer for one request is a problem of its own, and is named throttle."},
    {"freeze", "page_after", SETTING_DURATION, SCOPE_DISK, OWNER_VM, APPLY_RELOAD, "60s", 0,
     24 * HOUR, NULL, G_STRUCT_OFFSET(Limits, page_after_us),
     "How long a freeze lasts until it is paged although no second signal agrees. 60s because one "
     "legitimate request, a long fsync or a big discard, may take longer than the patience."},
    {"freeze", "silent", SETTING_DURATION, SCOPE_VM, OWNER_VM, APPLY_RELOAD, "12s", SECOND, HOUR,
     NULL, G_STRUCT_OFFSET(Limits, silent_us),
     "How long a monitor is silent, and at least three periods, until the main loop is called "
     "blocked. 12s because no recorded run that was not a freeze was silent that long."},

    {"freeze", "canary", SETTING_CHOICE, SCOPE_DISK, OWNER_HOST, APPLY_RELOAD, "off", 0, 0,
     canary_words, G_STRUCT_OFFSET(Limits, canary),
     "Whether one read of 512 bytes may be sent into the block layer below a disk whose controller "
     "shows nothing in flight: when it is suspect, or quiet for half of what would make it so. It "
     "tells where a stall is, and acquits nobody. off because to observe is to inject nothing."},

    {"memory", "period", SETTING_DURATION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "5s", SECOND, HOUR,
     NULL, G_STRUCT_OFFSET(Limits, memory_period_us),
     "How often memory use and limits are read. 5s because it is a few small files that stay "
     "open, and a forecast needs several readings before the limit is reached."},
    {"memory", "page_count", SETTING_BOOL, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "yes", 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, memory_page_count),
     "Whether the touched pages of private guest RAM are counted now and then, 2 MiB at a time "
     "with "
     "pauses, so that the guest's part is told from QEMU's own. The default is yes because a count "
     "takes 0.3 % of a core at most and holds the VM's lock for microseconds."},
    {"memory", "host_reserve", SETTING_SIZE, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, "512Mi", 0,
     UNITS_GIB * 1024, NULL, G_STRUCT_OFFSET(Limits, host_reserve_bytes),
     "What the host itself needs beside its VMs, kernel and services. 512Mi because a node that "
     "runs nothing else idles at about that; a node with Ceph, Longhorn or the like needs more."},
    {"memory", "watched_groups", SETTING_LIST, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, NULL, 0, 0,
     NULL, G_STRUCT_OFFSET(Limits, watched_groups),
     "In which trees of cgroup v2 groups with memory.high are looked for, six levels deep: such a "
     "group can stand still for ever while the host looks free. Unset means user.slice, "
     "system.slice, docker.slice, machine.slice, qemu.slice, kubepods.slice and kubepods, where "
     "systemd, Docker, libvirt, Proxmox and Kubernetes put theirs."},
    {"memory", "oom_group", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "keep", 0, 0,
     oom_group_words, G_STRUCT_OFFSET(Limits, oom_group),
     "memory.oom.group of a VM's own cgroup v2 groups. 0: one OOM kills one process, by its score. "
     "1: it kills all of the group that QEMU is in. kubelet sets 1 on containers since Kubernetes "
     "1.28, so that a shell in the pod takes the VM with it. The default is keep because whoever "
     "made the group may have chosen."},
    {"memory", "oom_score_qemu", SETTING_SCORE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "keep", 0, 0,
     NULL, G_STRUCT_OFFSET(Limits, oom_score_qemu),
     "oom_score_adj of QEMU. The kernel kills what has most: memory held, and this in thousandths "
     "of the limit that was met, or of the host's memory. The default is keep because a VM that is "
     "spared lets others of the host die in its place; less than -900 is refused for that."},
    {"memory", "oom_score_helpers", SETTING_SCORE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "keep", 0, 0,
     NULL, G_STRUCT_OFFSET(Limits, oom_score_helpers),
     "The same of the helpers in a VM's own groups (virtqemud, swtpm, virtiofsd, ...). The default "
     "is keep because many a VM ends with its helper. Those of the container runtime (pause, "
     "conmon) are always left alone."},
    {"memory", "oom_score_strangers", SETTING_SCORE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "keep", 0,
     0, NULL, G_STRUCT_OFFSET(Limits, oom_score_strangers),
     "The same of every other process in a VM's own groups, such as a shell for debugging. With "
     "1000 they die before QEMU, and nothing of the host is worse off. The default is keep because "
     "nothing is changed unless somebody asks for it."},
    {"memory", "overhead_model", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "table", 0, 0,
     overhead_model_words, G_STRUCT_OFFSET(Limits, overhead_model),
     "How much memory is reserved beside the guest's RAM: by the table of sizes, as KubeVirt or "
     "Harvester calculate it, as measured but not less than the table says, or the largest of all. "
     "The default is table because it needs to know nothing about the host."},
    {"memory", "overhead_cap", SETTING_SIZE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "0", 0,
     UNITS_GIB * 1024, NULL, G_STRUCT_OFFSET(Limits, overhead_cap_bytes),
     "The most that is reserved whatever the model says; 0 is no cap. 0 because a cap below what "
     "a VM needs is what kills it."},
    {"memory", "reserved_memory", SETTING_SIZE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "0", 0,
     UNITS_GIB * 1024, NULL, G_STRUCT_OFFSET(Limits, reserved_memory_bytes),
     "The VM's annotation harvesterhci.io/reservedMemory, which the model harvester adds to its "
     "ratio of the sum. It lives in the Kubernetes API, which is not asked. 0 because most VMs "
     "have "
     "none."},
    {"memory", "kubevirt_version", SETTING_VERSION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "main", 0,
     0, NULL, G_STRUCT_OFFSET(Limits, kubevirt_version),
     "Which release's formula overhead_model = kubevirt follows, such as 1.2. The default is "
     "main, the newest one known, because nothing on the host tells the release."},
    {"memory", "kubevirt_ratio", SETTING_RATIO, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "1", 1000,
     10000, NULL, G_STRUCT_OFFSET(Limits, kubevirt_ratio_thousandths),
     "KubeVirt's additionalGuestMemoryOverheadRatio, a factor on the whole overhead. 1 because "
     "that is KubeVirt's own default; the model harvester then takes its own, 1.5."},
    {"memory", "kubevirt_overcommit", SETTING_RATIO, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "1", 1000,
     10000, NULL, G_STRUCT_OFFSET(Limits, kubevirt_overcommit_thousandths),
     "KubeVirt's memoryOvercommit, or the memory of Harvester's overcommit-config, as a factor: "
     "150 % is 1.5. What a pod requests is the guest's RAM divided by it, and KubeVirt reserves "
     "page tables for what is requested. 1 because that is KubeVirt's own default; the model "
     "harvester then takes its own, 1.5."},

    {"libvirt", "connections", SETTING_LIST, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, NULL, 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, libvirt_connections),
     "Which libvirt daemons are asked. auto: those whose VMs run here, by the sockets of the "
     "system, of the VM's user and of the VM's container. Also absolute paths of sockets below "
     "/run, /var/lib or /proc, and test:/// URIs of libvirt's own fake driver; none for none. "
     "Unset means auto, because libvirt alone may use the monitors of its VMs. They are asked "
     "read-only, and never for what makes QEMU look at its images."},
    {"libvirt", "passthrough", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "off", 0, 0,
     passthrough_words, G_STRUCT_OFFSET(Limits, libvirt_passthrough),
     "Whether QEMU itself is asked, through libvirt, how many requests hang in the virtqueues of a "
     "disk that is suspect; without it only counters and what /proc shows tell of a VM of libvirt. "
     "off because libvirt then marks the VM as tainted (custom-monitor) until it ends."},

    {"capture", "automatic", SETTING_BOOL, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "yes", 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, capture_automatic),
     "Whether a paged alert captures the evidence at once. The default is yes, also in mode "
     "observe, because a capture only reads /proc and asks what is safe in every freeze, while "
     "the kill that ends most incidents destroys the proof."},
    {"capture", "keep", SETTING_INTEGER, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, "16", 1, 1000, NULL,
     G_STRUCT_OFFSET(Limits, capture_keep),
     "How many bundles are kept; the oldest go. 16 because one incident seldom leaves more than "
     "a few, and at the default size_max they stay below a gigabyte."},
    {"capture", "size_max", SETTING_SIZE, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, "64Mi", UNITS_MIB,
     UNITS_GIB, NULL, G_STRUCT_OFFSET(Limits, capture_size_max_bytes),
     "How large one bundle may grow; what is too much is cut and the manifest says so. 64Mi "
     "because it is built in memory and a usual one has less than one MiB."},

    {"alert", "hook_deadline", SETTING_DURATION, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, "30s",
     SECOND, 5 * MINUTE, NULL, G_STRUCT_OFFSET(Limits, hook_deadline_us),
     "How long an executable of alert.d may run until it is killed with all that it started. 30s "
     "because a mail server in trouble answers late, and who has said nothing by then will not."},

    {"report", "textfile", SETTING_PATH, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, NULL, 0, 0, NULL,
     G_STRUCT_OFFSET(Limits, textfile),
     "Where metrics are written every 15 s for node_exporter's textfile collector, such as "
     "/var/lib/prometheus/node-exporter/vm-guardian.prom. Unset means nowhere, because only the "
     "collector knows its directory."},
    {"enforce", "throttle", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "observe", 0, 0,
     mode_words, G_STRUCT_OFFSET(Limits, enforce_throttle),
     "Whether QEMU and Proxmox' configuration are told the limits that [disk NAME] wants, where "
     "theirs are others. enforce works only where mode is enforce, too. The default is observe: "
     "guardianctl drift tells what differs, and nothing is written."},
    {"enforce", "limits", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "observe", 0, 0,
     mode_words, G_STRUCT_OFFSET(Limits, enforce_limits),
     "Whether the memory limits of a VM that is doomed are raised. enforce works only where mode "
     "is "
     "enforce, too. The default is observe: the plan is told, and nothing is written."},
    {"enforce", "memory_high", SETTING_CHOICE, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, "observe", 0,
     0, mode_words, G_STRUCT_OFFSET(Limits, enforce_memory_high),
     "Whether memory.high of a group that stands still is set to max, where what is beside the hog "
     "survives the kernel's kill: OOMPolicy=continue, memory.oom.group=0, a memory.max that the "
     "host "
     "can back. enforce works only where mode is enforce, too. The default is observe because it "
     "ends in a kill: a person should choose which process."},
    {"enforce", "oom_group", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "observe", 0, 0,
     mode_words, G_STRUCT_OFFSET(Limits, enforce_oom_group),
     "Whether [memory] oom_group is written where it differs. enforce works only where mode is "
     "enforce, too. The default is observe: what differs is told, and nothing is written."},
    {"enforce", "oom_score", SETTING_CHOICE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "observe", 0, 0,
     mode_words, G_STRUCT_OFFSET(Limits, enforce_oom_score),
     "Whether [memory] oom_score_qemu, oom_score_helpers and oom_score_strangers are written where "
     "they differ. enforce works only where mode is enforce, too. The default is observe: what "
     "differs is told, and nothing is written."},
    {"enforce", "limits_margin", SETTING_SIZE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "64Mi", 0,
     UNITS_GIB * 64, NULL, G_STRUCT_OFFSET(Limits, limits_margin_bytes),
     "What a raised limit leaves beside the need that is known now; a limit is never lowered to "
     "less than what is held and this. 64Mi because a helper that starts, or a burst of QEMU's "
     "threads, takes some ten MiB."},
    {"enforce", "limits_raise_max", SETTING_SIZE, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "1Gi", 0,
     UNITS_GIB * 1024, NULL, G_STRUCT_OFFSET(Limits, limits_raise_max_bytes),
     "How far in all a limit may be raised above what it was at first. 1Gi because no overhead "
     "that was measured needed more: what grows beyond is a leak, and a larger limit feeds it."},
    {"enforce", "cool_down", SETTING_DURATION, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "5m", 0,
     24 * HOUR, NULL, G_STRUCT_OFFSET(Limits, act_cool_down_us),
     "How long after a write to a VM the next of its kind waits. 5m because a raised limit changes "
     "the forecast within one reading, so that a second need so soon is something else."},
    {"enforce", "writes_vm", SETTING_INTEGER, SCOPE_VM, OWNER_HOST, APPLY_RELOAD, "6", 1, 1000,
     NULL, G_STRUCT_OFFSET(Limits, act_writes_vm),
     "Writes to one VM in an hour; one more, and nothing is written to it until the configuration "
     "is reloaded. 6 because pod and container are two, and three plans in an hour are a fight "
     "with somebody who writes the old value back."},
    {"enforce", "writes_host", SETTING_INTEGER, SCOPE_HOST, OWNER_HOST, APPLY_RELOAD, "60", 1,
     100000, NULL, G_STRUCT_OFFSET(Limits, act_writes_host),
     "Likewise for all VMs together. 60 because a host on which ten VMs a minute need help has "
     "another trouble."},
};

const guint n_settings = G_N_ELEMENTS(settings);

const Setting *
setting_find(const char *section, const char *key)
{
    for (guint i = 0; i < n_settings; i++) {
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].key, key) == 0)
            return &settings[i];
    }
    return NULL;
}

bool
setting_section_exists(const char *section)
{
    for (guint i = 0; i < n_settings; i++) {
        if (strcmp(settings[i].section, section) == 0)
            return true;
    }
    return false;
}

void
limits_init_defaults(Limits *ret_limits)
{
    memset(ret_limits, 0, sizeof *ret_limits);
    for (guint i = 0; i < n_settings; i++) {
        g_autofree char *wrong = NULL;

        if (settings[i].default_text != NULL)
            wrong = setting_apply(&settings[i], settings[i].default_text, ret_limits);
        g_assert(wrong == NULL);
    }
}

void
limits_copy(const Limits *limits, Limits *ret_copy)
{
    *ret_copy = *limits;
    for (guint i = 0; i < n_settings; i++) {
        if (setting_is_text(&settings[i]))
            G_STRUCT_MEMBER(char *, ret_copy, settings[i].offset) =
                g_strdup(G_STRUCT_MEMBER(char *, limits, settings[i].offset));
    }
}

void
limits_clear(Limits *limits)
{
    for (guint i = 0; i < n_settings; i++) {
        if (setting_is_text(&settings[i]))
            g_free(G_STRUCT_MEMBER(char *, limits, settings[i].offset));
    }
    memset(limits, 0, sizeof *limits);
}

static const char sample_intro[] =
    "# /etc/vm-guardian/guardian.conf: every setting of vm-guardian with its default.\n"
    "#\n"
    "# Uncomment what you change. A comment stands on its own line. After this file\n"
    "# come guardian.conf.d/*.conf in the order of their names; what is read later\n"
    "# wins.\n"
    "#\n"
    "# Single VMs are configured in vm.d/*.conf, which win over all of these. Such a\n"
    "# file says whom it is for; every key given there must match, with one of its\n"
    "# words, in which * stands for any text and ? for any byte:\n"
    "#\n"
    "#   [Match]\n"
    "#   name = web-*, db1\n"
    "#   id = 101 102\n"
    "#   uuid = 12345678-9abc-def0-1234-56789abcdef0\n"
    "#   source = proxmox\n"
    "#\n"
    "# `guardianctl config check` reads everything as the daemon does and names each\n"
    "# error; `guardianctl config show [VM]` prints what is in force, and from where.\n";

/* Appends the text as comment lines. */
static void
sample_append_comment(GString *sample, const char *text)
{
    gsize column = 0;

    while (*text != '\0') {
        gsize length = strcspn(text, " ");
        bool is_new_line = column == 0 || column + 1 + length > SAMPLE_COLUMNS;

        if (is_new_line)
            g_string_append(sample, column == 0 ? "#" : "\n#");
        g_string_append_c(sample, ' ');
        g_string_append_len(sample, text, (gssize)length);
        column = (is_new_line ? 1 : column) + 1 + length;
        text += length + strspn(text + length, " ");
    }
    g_string_append_c(sample, '\n');
}

char *
settings_print_sample(void)
{
    GString *sample = g_string_new(sample_intro);

    for (guint i = 0; i < n_settings; i++) {
        const Setting *setting = &settings[i];
        g_autofree char *values = setting_describe_values(setting);

        if (i == 0 || strcmp(setting->section, settings[i - 1].section) != 0)
            g_string_append_printf(sample, "\n[%s]\n", setting->section);
        else
            g_string_append_c(sample, '\n');
        sample_append_comment(sample, setting->help);
        g_string_append_printf(sample, "# Values: %s.%s\n", values,
                               setting->scope == SCOPE_HOST ? " Not in vm.d." : "");
        g_string_append_printf(sample, "#%s =%s%s\n", setting->key,
                               setting->default_text ? " " : "",
                               setting->default_text ? setting->default_text : "");
    }
    return g_string_free(sample, FALSE);
}

bool
setting_is_owners(const Setting *setting, const Limits *host)
{
    g_autofree char *name = g_strconcat(setting->section, ".", setting->key, NULL);

    if (setting->scope == SCOPE_HOST)
        return false;
    if (!host->owner_may_set)
        return setting->owner == OWNER_VM;
    return setting_list_matches(host->owner_may_set, name);
}
