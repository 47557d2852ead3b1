/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lifting.h"

#include "cgroup-place.h"
#include "group.h"
#include "lift.h"
#include "lifting-look.h"
#include "meminfo.h"
#include "unit-ask.h"
#include "units.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Somebody may mend the unit meanwhile; each try runs a child and reads the whole journal. */
#define RETRY_US (30 * (gint64)G_USEC_PER_SEC)

struct Lifting {
    const Host *host;
    Acts *acts;
    Bands *bands;
    const GPtrArray *vms;
    Children *children;
    GHashTable *told;   /* path of a group -> what was last told of it */
    GHashTable *due_us; /* path -> gint64, when it is looked at again; G_MAXINT64: it is, now */
    ActingSpeakFunc speak;
    LiftingAlertFunc alert;
    gpointer data, alert_data;
    bool is_ending;
};

/* One look at one group, and its write. */
typedef struct {
    Lifting *lifting;
    char *path, *label;
    ActRecord *step;
    ActTerms terms;
    LiftFacts facts;
    pid_t hog;
} Errand;

Lifting *
lifting_new(const Host *host, GMainContext *context, Acts *acts, Bands *bands, const GPtrArray *vms,
            ActingSpeakFunc speak, gpointer data)
{
    Lifting *lifting = g_new0(Lifting, 1);

    lifting->host = host;
    lifting->acts = acts;
    lifting->bands = bands;
    lifting->vms = vms;
    lifting->children = children_new(context);
    lifting->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    lifting->due_us = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    lifting->speak = speak;
    lifting->data = data;
    return lifting;
}

void
lifting_set_alert_func(Lifting *lifting, LiftingAlertFunc alert, gpointer data)
{
    lifting->alert = alert;
    lifting->alert_data = data;
}

void
lifting_free(Lifting *lifting)
{
    if (!lifting)
        return;
    lifting->is_ending = true;
    children_free(lifting->children); /* ends every look */
    g_hash_table_unref(lifting->told);
    g_hash_table_unref(lifting->due_us);
    g_free(lifting);
}

void
lifting_reset(Lifting *lifting)
{
    g_hash_table_remove_all(lifting->told);
}

static void
due_set(Lifting *lifting, const char *path, gint64 at_us)
{
    gint64 *due_us = g_new(gint64, 1);

    *due_us = at_us;
    g_hash_table_replace(lifting->due_us, g_strdup(path), due_us);
}

/* The text is part of the band's; the line is told once. */
static void
tell(Errand *errand, const char *text, bool is_bad)
{
    Lifting *lifting = errand->lifting;

    bands_note(lifting->bands, errand->path, text);
    if (g_strcmp0(g_hash_table_lookup(lifting->told, errand->path), text) == 0)
        return;
    g_hash_table_replace(lifting->told, g_strdup(errand->path), g_strdup(text));
    g_autofree char *line = g_strdup_printf("%s: %s", errand->label, text);
    lifting->speak(line, is_bad, lifting->data);
}

/* The next look is in a while. */
static void
errand_end(Errand *errand)
{
    due_set(errand->lifting, errand->path, host_monotonic_us(errand->lifting->host) + RETRY_US);
    act_record_free(errand->step);
    g_free(errand->path);
    g_free(errand->label);
    g_free(errand);
}

static void
on_done(const ActOutcome *outcome, gpointer data)
{
    Errand *errand = data;
    g_autofree char *text = NULL;

    if (acts_is_ending(errand->lifting->acts)) {
        errand_end(errand);
        return;
    }
    if (outcome->problem)
        text = g_strdup_printf("memory.high is not lifted (%u written): %s", outcome->n_applied,
                               outcome->problem);
    else
        text =
            g_strdup_printf("memory.high lifted; undo: guardianctl limits undo %s", errand->label);
    tell(errand, text, outcome->problem != NULL);
    if (errand->lifting->alert &&
        (outcome->leave == LEAVE_GO || act_leave_is_for_good(outcome->leave)))
        errand->lifting->alert(errand->label, outcome->problem, errand->lifting->alert_data);
    errand_end(errand);
}

/* All is known. */
static void
errand_decide(Errand *errand)
{
    const char *refusal = lift_refusal(&errand->facts);
    GPtrArray *steps;

    if (refusal || !errand->terms.is_enforced) {
        g_autofree char *text =
            refusal ? g_strdup_printf("memory.high=max is no way out: %s", refusal)
                    : g_strdup_printf("observe, not written: memory.high %s -> max; [enforce] "
                                      "memory_high = enforce writes it",
                                      errand->step->old_value);

        tell(errand, text, false);
        errand_end(errand);
        return;
    }
    steps = act_steps_new();
    g_ptr_array_add(steps, g_steal_pointer(&errand->step));
    acts_begin(errand->lifting->acts, &errand->terms, steps, on_done, errand);
}

static void
on_shown(const UnitWords *words, gpointer data)
{
    Errand *errand = data;

    if (errand->lifting->is_ending) {
        errand_end(errand);
        return;
    }
    errand->facts.oom_policy = words ? words->oom_policy : NULL;
    errand->facts.hog_is_main = words && words->main_pid == errand->hog;
    errand_decide(errand);
}

/* A VM that stands still with the group is suspect, too: no write to it. */
static bool
holds_suspect(const Lifting *lifting, const char *path)
{
    for (guint i = 0; i < lifting->vms->len; i++) {
        const Vm *vm = lifting->vms->pdata[i];

        if (vm->cgroup && group_holds(path, cgroup_path(vm->cgroup)->path) &&
            act_is_suspect(vm, lifting->vms))
            return true;
    }
    return false;
}

static bool
is_vm(const Lifting *lifting, gint64 pid)
{
    for (guint i = 0; i < lifting->vms->len; i++)
        if (proc_pid(((const Vm *)lifting->vms->pdata[i])->proc) == pid)
            return true;
    return false;
}

static void
take_facts(Errand *errand, const Band *band, const Limits *limits)
{
    const BandSample *sample = &band->sample;
    HostMemory memory;
    bool has_memory = meminfo_read(errand->lifting->host, &memory);

    errand->facts = (LiftFacts){
        .has_max = sample->has_max,
        .usage_bytes = sample->usage_bytes,
        .max_bytes = sample->max_bytes,
        .has_available = has_memory && memory.has_available,
        .available_bytes = has_memory ? memory.available_bytes : 0,
        .reserve_bytes = (guint64)limits->host_reserve_bytes,
        .has_beside = true, /* or there is no errand */
        .hog_is_vm = is_vm(errand->lifting, band->hog_pid),
    };
    errand->terms = (ActTerms){
        .is_enforced = limits->mode == MODE_ENFORCE && limits->enforce_memory_high == MODE_ENFORCE,
        .is_suspect = holds_suspect(errand->lifting, errand->path),
        .cool_down_us = limits->act_cool_down_us,
        .budget_vm = (guint)limits->act_writes_vm,
        .budget_host = (guint)limits->act_writes_host,
    };
}

/* The write, on behalf of a process that is to live on; NULL when it or the group is gone. */
static ActRecord *
step_new(const Lifting *lifting, const Band *band, const char *path)
{
    g_autoptr(Proc) proc = proc_open(lifting->host, (pid_t)band->beside_pid, NULL);
    auto_fd mount_fd = proc ? cgroup_mount_v2(lifting->host) : -1;
    auto_fd fd = mount_fd < 0 ? -1 : host_open_beneath(mount_fd, path + 1, O_PATH | O_DIRECTORY);
    const char *owner = group_owner(path, systemd_runs(lifting->host));
    struct stat st;
    ActRecord *step;

    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    step = g_new0(ActRecord, 1);
    step->subject = (ActSubject){
        .vm = g_strdup(band->label), .pid = proc_pid(proc), .start_ticks = proc_start_ticks(proc)};
    step->kind = g_strdup(ACT_KIND_HIGH);
    step->means =
        g_strdup(g_strcmp0(owner, "systemd") == 0 ? act_means_systemd.name : act_means_cgroup.name);
    step->where = g_strdup(path);
    step->field = g_strdup("memory.high");
    step->group_id = st.st_ino;
    step->old_value = g_strdup_printf("%" G_GUINT64_FORMAT, band->sample.high_bytes);
    step->new_value = g_strdup("max");
    step->undo_value = g_strdup(step->old_value);
    step->why = g_strdup_printf("it stands still: %s[%" G_GINT64_FORMAT "] holds the memory",
                                band->hog_name ? band->hog_name : "?", band->hog_pid);
    step->by = g_strdup(ACT_BY_DAEMON);
    return step;
}

static void
look(Errand *errand)
{
    Lifting *lifting = errand->lifting;
    g_autofree char *group = NULL, *unit = NULL;

    lifting_look_groups(lifting->host, errand->hog, errand->path, &errand->facts, &group);
    if (!group) { /* it is gone, or elsewhere: another time */
        errand_end(errand);
        return;
    }
    unit = unit_around(lifting->host, group, &errand->facts.is_unit);
    if (!unit || !unit_ask(lifting->children, unit, on_shown, errand))
        errand_decide(errand);
}

void
lifting_follow(Lifting *lifting, const Band *band, const Limits *limits)
{
    const char *path = group_reader_path(band->reader);
    gint64 now_us = host_monotonic_us(lifting->host);
    const gint64 *due_us = g_hash_table_lookup(lifting->due_us, path);
    Errand *errand;
    ActRecord *step;

    if ((due_us && now_us < *due_us) || band->hog_pid == 0)
        return;
    step = band->beside_pid > 0 ? step_new(lifting, band, path) : NULL;
    errand = g_new0(Errand, 1);
    errand->lifting = lifting;
    errand->path = g_strdup(path);
    errand->label = g_strdup(band->label);
    errand->hog = (pid_t)band->hog_pid;
    errand->step = step;
    due_set(lifting, path, G_MAXINT64);
    take_facts(errand, band, limits);
    errand->facts.has_beside = step != NULL;
    if (step)
        look(errand);
    else
        errand_decide(errand);
}
