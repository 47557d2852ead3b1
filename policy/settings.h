/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every setting is one row of one table: parser, sample configuration, `config show` and the manual
 * are made from it. Limits is the table's value side: what the judges are allowed and told. */

#include <glib.h>
#include <stdbool.h>

/* Between the words of a SETTING_LIST. */
#define SETTING_SEPARATORS " \t,"

typedef enum {
    SETTING_BOOL,     /* yes|no|true|false|on|off|1|0 -> 0, 1 */
    SETTING_DURATION, /* -> microseconds */
    SETTING_SIZE,     /* -> bytes */
    SETTING_INTEGER,
    SETTING_RATIO,   /* -> thousandths */
    SETTING_VERSION, /* -> units_parse_version() */
    SETTING_SCORE,   /* "keep" -> SCORE_KEEP, or an oom_score_adj */
    SETTING_CHOICE,  /* one word of `choices` -> its index */
    SETTING_LIST,    /* words separated by blanks or commas -> text, one blank between words */
    SETTING_PATH,    /* an absolute path without "..", or nothing -> text */
} SettingType;

typedef enum {
    SCOPE_HOST,
    SCOPE_TREE,
    SCOPE_VM,
    SCOPE_DISK
} SettingScope; /* widest place it applies to */
typedef enum {
    OWNER_HOST,
    OWNER_VM
} SettingOwner; /* whose word counts: only the host's files (vm.d is one of them), or also what the
                   VM's owner writes into its metadata */
typedef enum { APPLY_RELOAD, APPLY_RESTART } SettingApply;

/* A score that is left as it is. */
#define SCORE_KEEP G_MAXINT64
/* The lowest that may be asked for. The kernel has -1000, but a host that is out of memory kills
 * what has more: below -900, where systemd puts D-Bus and this daemon stands, they die for a VM. */
#define SCORE_MIN (-900)
#define SCORE_MAX 1000

typedef enum { OOM_GROUP_KEEP, OOM_GROUP_0, OOM_GROUP_1 } OomGroup;
typedef enum { MODE_OBSERVE, MODE_ENFORCE } Mode;
typedef enum { CANARY_OFF, CANARY_SUSPECT } CanaryMode;
typedef enum { PASSTHROUGH_OFF, PASSTHROUGH_SUSPECT } PassthroughMode;
typedef enum {
    OVERHEAD_MODEL_TABLE,
    OVERHEAD_MODEL_KUBEVIRT,
    OVERHEAD_MODEL_HARVESTER,
    OVERHEAD_MODEL_MEASURED,
    OVERHEAD_MODEL_LARGEST
} OverheadModel;

typedef struct {
    /* [guardian] */
    gint64 mode;
    gint64 watch;            /* this VM is watched at all */
    char *include, *exclude; /* discovery scope: globs on VM names and ids; include NULL = all */
    gint64 discovery_period_us;
    char *owner_may_set; /* globs on section.key; NULL: what the table gives to OWNER_VM */
    /* [monitor] */
    gint64 period_own_us, period_shared_us, period_suspect_us;
    gint64 answer_deadline_us; /* one question, one monitor of our own */
    gint64 hold_max_us;        /* longest hold of a shared monitor */
    gint64 monitor_own;        /* yes: a bare VM's only monitor is ours */
    /* [freeze] */
    gint64 settle_us, patience_us, patience_max_us, page_after_us;
    gint64 silent_us; /* floor of: main loop blocked after max(3 periods, this) */
    gint64 canary;    /* a CanaryMode */
    /* [memory] */
    gint64 memory_period_us;
    gint64 memory_page_count; /* the guest's touched pages may be counted */
    gint64 host_reserve_bytes;
    char *watched_groups;
    gint64 oom_group; /* an OomGroup */
    gint64 oom_score_qemu, oom_score_helpers, oom_score_strangers;
    gint64 reserved_memory_bytes, overhead_cap_bytes;
    gint64 overhead_model, kubevirt_version, kubevirt_ratio_thousandths;
    gint64 kubevirt_overcommit_thousandths;
    /* [libvirt] */
    char *libvirt_connections;  /* "auto", paths of sockets, test: URIs, "none"; NULL = auto */
    gint64 libvirt_passthrough; /* a PassthroughMode */
    /* [capture] */
    gint64 capture_automatic, capture_keep, capture_size_max_bytes;
    /* [alert] */
    gint64 hook_deadline_us;
    /* [report] */
    char *textfile; /* NULL: none */
    /* [enforce] */
    gint64 enforce_throttle;                     /* a Mode, of limits of disks in QEMU */
    gint64 enforce_limits;                       /* a Mode, of raising memory limits */
    gint64 enforce_memory_high;                  /* a Mode, of lifting memory.high of a livelock */
    gint64 enforce_oom_group, enforce_oom_score; /* a Mode each */
    gint64 limits_margin_bytes, limits_raise_max_bytes;
    gint64 act_cool_down_us, act_writes_vm, act_writes_host;
} Limits;

typedef struct {
    const char *section, *key;
    SettingType type;
    SettingScope scope;
    SettingOwner owner;
    SettingApply apply;
    const char
        *default_text; /* parsed by the same parser; NULL = unset (SETTING_LIST and _PATH only) */
    gint64 min, max;   /* in the unit of the value; both 0 = no range */
    const char *const *choices;
    gsize offset;     /* of the gint64, or the char *, in Limits */
    const char *help; /* what it does, and why the default is what it is */
} Setting;

/* Is its value a text, owned, and not a number? */
bool setting_is_text(const Setting *setting);
extern const Setting settings[];
extern const guint n_settings;

/* NULL when there is no such setting. */
const Setting *setting_find(const char *section, const char *key);
bool setting_section_exists(const char *section);
/* Parses text and stores it. NULL, or a new string that says what is wrong with the value and what
 * would be right ("\"10GB\" has an unknown unit: use K, M, G or T"); limits is untouched then. */
char *setting_apply(const Setting *setting, const char *text,
                    Limits *limits) G_GNUC_WARN_UNUSED_RESULT;
/* The value as the parser would read it back; a new string; NULL when unset. */
char *setting_format(const Setting *setting, const Limits *limits);

/* May a VM's owner set it, on a host with these limits? */
bool setting_is_owners(const Setting *setting, const Limits *host);
/* What may be written: "observe or enforce", "500ms to 1h"; a new string. */
char *setting_describe_values(const Setting *setting);
/* Does one word of a SETTING_LIST's text match? A word is a glob of bytes: * any run, ? any one.
 * false when either is NULL. */
bool setting_list_matches(const char *list, const char *text);
/* The whole table as guardian.conf: every key commented out, with its default, its help and its
 * values. A new string. */
char *settings_print_sample(void);

void limits_init_defaults(Limits *ret_limits);
void limits_copy(const Limits *limits, Limits *ret_copy);
void limits_clear(Limits *limits);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Limits, limits_clear)
