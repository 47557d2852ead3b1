/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit-rules.h"

#include "units.h"

#include <string.h>

static void
disk_free(gpointer data)
{
    AuditDisk *disk = data;

    g_free(disk->label);
    g_free(disk->word);
    g_free(disk->burst);
    g_free(disk->werror);
    g_free(disk->rerror);
    g_free(disk->limit_fault);
    g_free(disk);
}

AuditVm *
audit_vm_new(AuditHost host)
{
    AuditVm *vm = g_new0(AuditVm, 1);

    vm->host = host;
    vm->disks = g_ptr_array_new_with_free_func(disk_free);
    return vm;
}

void
audit_vm_free(AuditVm *vm)
{
    if (!vm)
        return;
    g_ptr_array_unref(vm->disks);
    g_free(vm);
}

AuditDisk *
audit_vm_add_disk(AuditVm *vm, char *label)
{
    AuditDisk *disk = g_new0(AuditDisk, 1);

    disk->label = label;
    g_ptr_array_add(vm->disks, disk);
    return disk;
}

const char *
audit_severity_name(AuditSeverity severity)
{
    switch (severity) {
    case AUDIT_DANGER:
        return "danger";
    case AUDIT_WARNING:
        return "warning";
    case AUDIT_NOTE:
        break;
    }
    return "note";
}

void
audit_finding_free(AuditFinding *finding)
{
    if (!finding)
        return;
    g_free(finding->disk);
    g_free(finding->why);
    g_free(finding->source);
    g_free(finding->remedy);
    g_free(finding);
}

static void
finding_free(gpointer finding)
{
    audit_finding_free(finding);
}

/* Takes text; a new string. */
static char *
replace_all(char *text, const char *what, const char *by)
{
    g_auto(GStrv) parts = g_strsplit(text, what, -1);

    g_free(text);
    return g_strjoinv(by ? by : "", parts);
}

/* disk may be NULL. */
static char *
remedy_fill(const char *template, const char *word, const AuditDisk *disk)
{
    const char *disk_word = !disk ? "" : disk->word ? disk->word : disk->label;
    char *text = replace_all(g_strdup(template), "{vm}", word);

    text = replace_all(text, "{burst}", disk ? disk->burst : NULL);
    return replace_all(text, "{disk}", disk_word);
}

/* One look at one VM: what it finds is added, or merged with what the other look found. */
typedef struct {
    GPtrArray *findings;
    const AuditVm *vm;
    const char *word;
    bool is_configured;
} Look;

static AuditFinding *
find_finding(const GPtrArray *findings, const char *name, const char *disk)
{
    for (guint i = 0; i < findings->len; i++) {
        AuditFinding *finding = findings->pdata[i];

        if (strcmp(finding->name, name) == 0 && g_strcmp0(finding->disk, disk) == 0)
            return finding;
    }
    return NULL;
}

/* Takes why. */
static AuditFinding *
look_add(const Look *look, const char *name, AuditSeverity severity, const char *disk, char *why)
{
    AuditFinding *finding = find_finding(look->findings, name, disk);

    if (finding) {
        g_free(why);
    } else {
        finding = g_new0(AuditFinding, 1);
        finding->name = name;
        finding->severity = severity;
        finding->disk = g_strdup(disk);
        finding->why = why;
        g_ptr_array_add(look->findings, finding);
    }
    finding->is_running |= !look->is_configured;
    finding->is_configured |= look->is_configured;
    return finding;
}

/* disk: NULL of the VM. */
static void
look_add_rule(const Look *look, const AuditRule *rule, const AuditDisk *disk, char *why)
{
    const char *remedy = rule->remedy[look->vm->host];
    AuditFinding *finding;

    if (!why)
        return;
    finding = look_add(look, rule->name, rule->severity, disk ? disk->label : NULL, why);
    if (finding->remedy)
        return;
    finding->source = g_strdup(rule->source);
    finding->preflight = rule->preflight;
    if (!remedy)
        remedy = rule->remedy[AUDIT_BARE];
    finding->remedy = remedy_fill(remedy ? remedy : "", look->word, disk);
}

static void
look_apply_rules(const Look *look)
{
    for (guint i = 0; i < audit_n_vm_rules; i++)
        look_add_rule(look, &audit_vm_rules[i], NULL, audit_vm_rules[i].find(look->vm));
    for (guint i = 0; i < audit_n_disk_rules; i++)
        for (guint j = 0; j < look->vm->disks->len; j++) {
            const AuditDisk *disk = look->vm->disks->pdata[j];

            look_add_rule(look, &audit_disk_rules[i], disk, audit_disk_rules[i].find_in_disk(disk));
        }
}

static bool
disk_has_trait(const AuditDisk *disk, const char *trait)
{
    if (strcmp(trait, "lsi") == 0)
        return disk->controller == CONTROLLER_LSI;
    if (strcmp(trait, "iothread") == 0)
        return disk->has_iothread == AUDIT_YES;
    if (strcmp(trait, "several-iothreads") == 0)
        return disk->has_several_iothreads == AUDIT_YES;
    if (strcmp(trait, "throttle") == 0)
        return disk->has_limit == AUDIT_YES;
    if (strcmp(trait, "io_uring") == 0)
        return disk->aio == AIO_URING;
    return true;
}

/* One of its disks must have all of it. */
static bool
vm_has_traits(const AuditVm *vm, const char *needs)
{
    g_auto(GStrv) traits = g_strsplit(needs, "+", -1);

    for (guint i = 0; i < vm->disks->len; i++) {
        bool has_all = true;

        for (guint j = 0; traits[j]; j++)
            has_all = has_all && disk_has_trait(vm->disks->pdata[i], traits[j]);
        if (has_all)
            return true;
    }
    return strcmp(needs, "any") == 0;
}

static void
look_apply_bugs(const Look *look, const GPtrArray *bugs)
{
    guint version = look->vm->qemu_version;

    for (guint i = 0; bugs && version > 0 && i < bugs->len; i++) {
        const AuditBug *bug = bugs->pdata[i];
        AuditFinding *finding;

        if (version < bug->from || (bug->below > 0 && version >= bug->below) ||
            !vm_has_traits(look->vm, bug->needs))
            continue;
        finding = look_add(look, "qemu-bug", AUDIT_DANGER, NULL,
                           g_strdup_printf("QEMU %u.%u.%u: %s", version / 10000,
                                           version / 100 % 100, version % 100, bug->what));
        if (finding->remedy)
            continue;
        finding->source = g_strdup(bug->source);
        finding->remedy =
            bug->below > 0
                ? g_strdup_printf("QEMU %u.%u.%u or newer, then stop and start the VM",
                                  bug->below / 10000, bug->below / 100 % 100, bug->below % 100)
                : g_strdup("no QEMU has it mended yet: avoid what it needs");
    }
}

static gint
compare_findings(gconstpointer a, gconstpointer b)
{
    const AuditFinding *left = *(const AuditFinding *const *)a;
    const AuditFinding *right = *(const AuditFinding *const *)b;

    if (left->severity != right->severity)
        return left->severity > right->severity ? -1 : 1;
    if (strcmp(left->name, right->name) != 0)
        return strcmp(left->name, right->name);
    return g_strcmp0(left->disk, right->disk);
}

/* One look at one VM. */
static void
look(GPtrArray *findings, const AuditVm *vm, const GPtrArray *bugs, const char *word,
     bool is_configured)
{
    Look look = {.findings = findings, .vm = vm, .word = word, .is_configured = is_configured};

    look_apply_rules(&look);
    look_apply_bugs(&look, bugs);
}

/* What both looks together find is not mended by a configuration that does not tell of it. */
static void
note_untold(const GPtrArray *findings, const AuditVm *running, const AuditVm *configured,
            const GPtrArray *bugs, const char *word)
{
    g_autoptr(AuditVm) filled = audit_vm_fill(configured, running);
    g_autoptr(GPtrArray) together = g_ptr_array_new_with_free_func(finding_free);

    look(together, filled, bugs, word, true);
    for (guint i = 0; i < findings->len; i++) {
        AuditFinding *finding = findings->pdata[i];

        finding->has_configuration =
            finding->is_configured || !find_finding(together, finding->name, finding->disk);
    }
}

GPtrArray *
audit_run(const AuditVm *running, const AuditVm *configured, const GPtrArray *bugs,
          const char *word)
{
    GPtrArray *findings = g_ptr_array_new_with_free_func(finding_free);
    g_autoptr(AuditVm) named = running && configured ? audit_vm_name(running, configured) : NULL;

    if (running)
        look(findings, named ? named : running, bugs, word, false);
    if (configured)
        look(findings, configured, bugs, word, true);
    for (guint i = 0; i < findings->len; i++)
        ((AuditFinding *)findings->pdata[i])->has_configuration = configured != NULL;
    if (running && configured)
        note_untold(findings, running, configured, bugs, word);
    g_ptr_array_sort(findings, compare_findings);
    return findings;
}
