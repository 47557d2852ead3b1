/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* guardianctl audit: looks at the VMs itself, without the daemon and without a question to any
 * monitor that the daemon would hold; only QEMU's version comes from the daemon where one runs. */

#include "ctl.h"

#include "audit-facts.h"
#include "ctl-state.h"
#include "guardian.h"
#include "message.h"
#include "report-build.h"
#include "report-host.h"
#include "report-line.h"
#include "report-read.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

#define BUGS_FILE "qemu-bugs.conf"
/* A few hundred rows. */
#define BUGS_BYTES_MAX (256 * 1024)

typedef struct {
    const CtlOptions *options;
    const char *word; /* one VM; NULL: all */
    Host *host;
    GPtrArray *bugs; /* of AuditBug */
    JsonNode *state; /* the daemon's; NULL without one */
    JsonBuilder *json;
    GString *text;
    guint n_vms, counts[AUDIT_DANGER + 1];
    guint64 guests_bytes, beside_bytes, limits_bytes, reserve_bytes;
    GArray *trees;         /* of HostTree, the host's */
    AuditFinding *handler; /* about virt-handler; NULL */
} Audit;

static void
bug_free(gpointer bug)
{
    audit_bug_free(bug);
}

static bool
bugs_add(GPtrArray *bugs, const char *const *lines, const char *file, GError **error)
{
    for (guint i = 0; lines[i]; i++) {
        g_autofree char *wrong = NULL;
        AuditBug *bug = audit_bug_parse(lines[i], &wrong);

        if (bug)
            g_ptr_array_add(bugs, bug);
        if (!wrong)
            continue;
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_CONFIG, "%s line %u: %s", file, i + 1,
                    wrong);
        return false;
    }
    return true;
}

/* What is known here, and what the site knows. */
static bool
bugs_load(Audit *audit, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *text =
        host_read(audit->host, HOST_CONFIG, BUGS_FILE, BUGS_BYTES_MAX, NULL, &problem);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);

    audit->bugs = g_ptr_array_new_with_free_func(bug_free);
    if (!text && !g_error_matches(problem, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    return bugs_add(audit->bugs, audit_bug_lines(), "the built-in table", error) &&
           bugs_add(audit->bugs, (const char *const *)lines, BUGS_FILE, error);
}

/* The daemon's view of that process; NULL. Borrowed. */
static JsonObject *
known_of(const Audit *audit, pid_t pid)
{
    g_autoptr(GPtrArray) vms =
        audit->state ? report_objects_of(json_node_get_object(audit->state), "vms") : NULL;
    gint64 number;

    for (guint i = 0; vms && i < vms->len; i++)
        if (report_number_of(vms->pdata[i], "pid", &number) && number == pid)
            return vms->pdata[i];
    return NULL;
}

static const char *
where_words(const AuditFinding *finding)
{
    if (!finding->has_configuration)
        return "running";
    if (!finding->is_configured)
        return "running; mended in the configuration, not in effect until stop and start";
    return finding->is_running ? "running and configured" : "from the next start on";
}

static void
append_row(GString *text, const char *head, const char *content)
{
    Line line = line_begin("");

    if (!content || !*content)
        return;
    line_say(&line, "%s", content);
    line_end(&line, text, head);
}

static void
append_finding(Audit *audit, const AuditFinding *finding)
{
    const char *colour = !audit->options->is_coloured         ? ""
                         : finding->severity == AUDIT_DANGER  ? "\033[1;31m"
                         : finding->severity == AUDIT_WARNING ? "\033[33m"
                                                              : "";

    g_string_append_printf(audit->text, "\n%s%s%s  %s%s%s  (%s)\n", colour,
                           audit_severity_name(finding->severity), *colour ? "\033[0m" : "",
                           finding->name, finding->disk ? "  " : "",
                           finding->disk ? finding->disk : "", where_words(finding));
    append_row(audit->text, "  why", finding->why);
    append_row(audit->text, "  from", finding->source);
    append_row(audit->text, "  first", finding->preflight);
    /* in one line: a command that is broken off is another one */
    g_string_append_printf(audit->text, "%-8s%s\n", "  do", finding->remedy);
}

static void
add_finding(Audit *audit, const AuditFinding *finding)
{
    JsonBuilder *json = audit->json;

    audit->counts[finding->severity]++;
    json_builder_begin_object(json);
    build_text(json, "name", finding->name);
    build_text(json, "severity", audit_severity_name(finding->severity));
    build_text(json, "disk", finding->disk);
    build_bool(json, "running", finding->is_running);
    json_builder_set_member_name(json, "configured");
    if (finding->has_configuration)
        json_builder_add_boolean_value(json, finding->is_configured);
    else
        json_builder_add_null_value(json);
    build_text(json, "why", finding->why);
    build_text(json, "source", finding->source);
    build_text(json, "preflight", finding->preflight);
    build_text(json, "remedy", finding->remedy);
    json_builder_end_object(json);
    append_finding(audit, finding);
}

static void
add_findings(Audit *audit, const GPtrArray *findings)
{
    json_builder_set_member_name(audit->json, "findings");
    json_builder_begin_array(audit->json);
    for (guint i = 0; i < findings->len; i++)
        add_finding(audit, findings->pdata[i]);
    json_builder_end_array(audit->json);
}

/* As the daemon knows it: of the VM's group and all above it; 0 none, or unknown. */
static guint64
lowest_limit(JsonObject *known)
{
    g_autoptr(GPtrArray) limits = report_objects_of(message_get_object(known, "domain"), "limits");
    gint64 lowest = 0, limit;

    for (guint i = 0; i < limits->len; i++)
        if (report_number_of(limits->pdata[i], "limit_bytes", &limit) && limit > 0 &&
            (lowest == 0 || limit < lowest))
            lowest = limit;
    return (guint64)lowest;
}

static void
audit_one(Audit *audit, const Vm *vm)
{
    JsonObject *known = known_of(audit, proc_pid(vm->proc));
    g_autoptr(AuditVm) running = audit_facts_running(audit->host, vm);
    g_autofree char *problem = NULL;
    g_autoptr(AuditVm) configured = audit_facts_configured(audit->host, vm, &problem);
    const char *word = vm->id && strcmp(vm->source, "proxmox") == 0 ? vm->id : vm->name;
    g_autoptr(GPtrArray) findings = NULL;

    if (running->qemu_version == 0 && known)
        running->qemu_version = audit_version(report_text_of(known, "qemu_version", NULL));
    if (known && lowest_limit(known) > 0)
        running->limit_bytes = lowest_limit(known);
    if (configured) /* the same program, unless it was upgraded meanwhile */
        configured->qemu_version = running->qemu_version;
    findings = audit_run(running, configured, audit->bugs, word);
    audit->n_vms++;
    audit->guests_bytes += running->guest_ram_bytes;
    audit->beside_bytes += running->floor_bytes;
    json_builder_begin_object(audit->json);
    build_text(audit->json, "name", vm->name);
    build_text(audit->json, "id", vm->id);
    build_text(audit->json, "source", vm->source);
    json_builder_set_member_name(audit->json, "pid");
    json_builder_add_int_value(audit->json, proc_pid(vm->proc));
    build_text(audit->json, "problem", problem);
    g_string_append_printf(audit->text, "%s%s  %s, pid %d: %u finding%s\n",
                           audit->text->len > 0 ? "\n" : "", vm->name, vm->source,
                           (int)proc_pid(vm->proc), findings->len, findings->len == 1 ? "" : "s");
    append_row(audit->text, "  but", problem);
    add_findings(audit, findings);
    json_builder_end_object(audit->json);
}

static void
note_handler(Audit *audit, JsonObject *handler)
{
    gint64 pid = 0, held_bytes = 0;

    if (handler && report_number_of(handler, "pid", &pid) &&
        report_number_of(handler, "held_bytes", &held_bytes))
        audit->handler = audit_virt_handler(pid, report_text_of(handler, "group", "?"),
                                            (guint64)MAX(held_bytes, 0));
}

/* The daemon's word where one runs: it has seen each VM's memory; else our own look. */
static void
note_host(Audit *audit, Guardian *guardian)
{
    g_autoptr(JsonNode) own = audit->state ? NULL : report_host_state(guardian);
    JsonNode *state = audit->state ? audit->state : own;
    JsonObject *host = message_get_object(json_node_get_object(state), "host");
    gint64 limits_bytes = 0;

    audit->reserve_bytes = (guint64)guardian_limits(guardian)->host_reserve_bytes;
    audit->trees = report_trees_of(host);
    note_handler(audit, message_get_object(host, "virt_handler"));
    (void)report_number_of(host, "limits_bytes", &limits_bytes);
    audit->limits_bytes = (guint64)MAX(limits_bytes, 0);
}

/* Out of /proc/meminfo; 0 unknown. */
static guint64
memory_total(const Host *host)
{
    g_autofree char *text = host_read(host, HOST_PROC, "meminfo", 64 * 1024, NULL, NULL);
    const char *line = text ? strstr(text, "MemTotal:") : NULL;

    return line ? g_ascii_strtoull(line + strlen("MemTotal:"), NULL, 10) * 1024 : 0;
}

static void
audit_host(Audit *audit)
{
    const HostTree *trees = (const HostTree *)(void *)audit->trees->data;
    guint n_trees = audit->trees->len;
    guint64 total_bytes = memory_total(audit->host);
    g_autoptr(GPtrArray) findings = g_ptr_array_new();
    g_autoptr(AuditFinding) over =
        audit_overcommit(audit->guests_bytes, audit->beside_bytes, total_bytes);
    g_autoptr(AuditFinding) uncapped =
        audit_uncapped(trees, n_trees, audit->guests_bytes + audit->beside_bytes, total_bytes);
    g_autoptr(AuditFinding) limits =
        audit_limits_sum(audit->limits_bytes, trees, n_trees, audit->reserve_bytes, total_bytes);
    AuditFinding *const all[] = {over, audit->handler, limits, uncapped};

    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        if (all[i] && !audit->word)
            g_ptr_array_add(findings, all[i]);
    if (findings->len > 0)
        g_string_append(audit->text, "\nhost\n");
    json_builder_set_member_name(audit->json, "host");
    json_builder_begin_object(audit->json);
    add_findings(audit, findings);
    json_builder_end_object(audit->json);
}

static bool
audit_all(Audit *audit, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Guardian) guardian = NULL;
    const GPtrArray *vms;
    Config *config = config_load(audit->host, error);

    if (!config)
        return false;
    guardian = guardian_new(audit->host, context, config);
    if (audit->word)
        guardian_set_only(guardian, audit->word);
    if (audit->state)
        (void)guardian_look_for_vms(guardian);
    else /* nobody else knows QEMU's version, and the group's limits */
        guardian_look_twice(guardian, 0);
    guardian_look_at_devices(guardian);
    vms = guardian_vms(guardian);
    for (guint i = 0; i < vms->len; i++)
        audit_one(audit, vms->pdata[i]);
    note_host(audit, guardian);
    return true;
}

static int
audit_print(Audit *audit)
{
    g_autofree char *word = audit->word ? units_printable(audit->word, -1) : NULL;
    g_autoptr(JsonNode) root = json_builder_get_root(audit->json);

    if (audit->n_vms == 0 && audit->word)
        return ctl_fail("no VM is called \"%s\"; see guardianctl list", word);
    if (audit->options->is_json) {
        ctl_print_json(g_steal_pointer(&root));
    } else {
        printf("%s\n%u VM%s: %u danger, %u warning, %u note\n", audit->text->str, audit->n_vms,
               audit->n_vms == 1 ? "" : "s", audit->counts[AUDIT_DANGER],
               audit->counts[AUDIT_WARNING], audit->counts[AUDIT_NOTE]);
    }
    return audit->counts[AUDIT_DANGER] + audit->counts[AUDIT_WARNING] > 0 ? 1 : 0;
}

static int
audit_run_verb(Audit *audit)
{
    g_autoptr(GError) error = NULL;
    bool is_good;

    json_builder_begin_object(audit->json);
    json_builder_set_member_name(audit->json, "schema");
    json_builder_add_int_value(audit->json, 1);
    json_builder_set_member_name(audit->json, "vms");
    json_builder_begin_array(audit->json);
    is_good = bugs_load(audit, &error) && audit_all(audit, &error);
    json_builder_end_array(audit->json);
    if (!is_good)
        return ctl_fail("%s", error->message);
    audit_host(audit);
    json_builder_end_object(audit->json);
    return audit_print(audit);
}

int
ctl_audit(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonBuilder) json = json_builder_new();
    Audit audit = {.options = options, .json = json};
    int status;

    if (argc > 2)
        return ctl_fail("audit takes one VM at most");
    if (argc == 2 && *argv[1] == '-')
        return ctl_fail_argument(argv);
    audit.word = argc == 2 ? argv[1] : NULL;
    audit.host = host_new(options->roots, &error);
    if (!audit.host)
        return ctl_fail("%s", error->message);
    audit.text = g_string_new(NULL);
    audit.state = ctl_daemon_state(audit.host);
    status = audit_run_verb(&audit);
    g_string_free(audit.text, TRUE);
    g_clear_pointer(&audit.bugs, g_ptr_array_unref);
    g_clear_pointer(&audit.trees, g_array_unref);
    g_clear_pointer(&audit.handler, audit_finding_free);
    g_clear_pointer(&audit.state, json_node_unref);
    host_free(audit.host);
    return status;
}
