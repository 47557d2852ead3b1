/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drift-report.h"

#include "decide.h"
#include "drift-look.h"
#include "drift-memory.h"
#include "pve-look.h"
#include "pve-read.h"
#include "reconciler.h"
#include "report-build.h"
#include "unit-look.h"
#include "units.h"

#include <string.h>

static void
build_printable(JsonBuilder *builder, const char *name, const char *raw)
{
    g_autofree char *printable = raw ? units_printable(raw, -1) : NULL;

    build_text(builder, name, printable);
}

static void
build_utc(JsonBuilder *builder, const char *name, gint64 realtime_us)
{
    g_autofree char *utc = realtime_us > 0 ? report_utc(realtime_us) : NULL;

    build_text(builder, name, utc);
}

static void
build_texts(JsonBuilder *builder, const char *name, const GPtrArray *texts)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_array(builder);
    for (guint i = 0; texts && i < texts->len; i++)
        json_builder_add_string_value(builder, texts->pdata[i]);
    json_builder_end_array(builder);
}

/* null where that side is not known. */
static void
build_field(JsonBuilder *builder, const char *name, const Throttle *throttle, guint field)
{
    if (field == DRIFT_GROUP)
        build_printable(builder, name, throttle ? throttle->group : NULL);
    else
        build_u64(builder, name, throttle != NULL, throttle ? throttle->fields[field] : 0);
}

static void
build_side(JsonBuilder *builder, const char *name, const Throttle *throttle)
{
    json_builder_set_member_name(builder, name);
    if (!throttle) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    for (guint i = 0; i < DRIFT_N_FIELDS; i++)
        build_field(builder, drift_field_name(i), throttle, i);
    json_builder_end_object(builder);
}

static void
build_whys(JsonBuilder *builder, const Drift *drift, guint field)
{
    json_builder_set_member_name(builder, "why");
    json_builder_begin_array(builder);
    for (DriftSide a = DRIFT_POLICY; a < DRIFT_N_SIDES; a++)
        for (DriftSide b = a + 1; b < DRIFT_N_SIDES; b++)
            if (drift_pair_differs(drift, a, b, field))
                json_builder_add_string_value(builder, drift_why(a, b));
    json_builder_end_array(builder);
}

/* What becomes of a difference; a static phrase. */
static const char *
outcome_of(const Vm *vm, const ReconcilePlan *plan)
{
    if (plan->kind == RECONCILE_LEAVE)
        return plan->reason;
    if (vm->limits_unmatched)
        return "an earlier write did not read back as asked: never tried again";
    if (vm->limits_in_vain)
        return act_leave_reason(LEAVE_VAIN);
    if (vm->limits.mode != MODE_ENFORCE || vm->limits.enforce_throttle != MODE_ENFORCE)
        return "observe: nothing is written";
    if (vm->reconcile_problem)
        return vm->reconcile_problem;
    return plan->kind == RECONCILE_CONFIGURATION ? "it will be written, by qm set"
           : plan->kind == RECONCILE_KEEPER      ? "it will be written, by libvirt"
                                                 : "it will be written";
}

static void
build_disk(JsonBuilder *builder, const Vm *vm, const DriftDisk *disk)
{
    ReconcilePlan plan = reconciler_plan(vm, NULL, disk);

    json_builder_begin_object(builder);
    build_text(builder, "name", disk->name);
    build_bool(builder, "is_equal", drift_count(&disk->drift) == 0);
    build_text(builder, "live_source", disk->live_source);
    build_utc(builder, "live_utc", disk->live_us);
    for (DriftSide side = 0; side < DRIFT_N_SIDES; side++)
        build_side(builder, drift_side_name(side), disk->sides[side]);
    json_builder_set_member_name(builder, "differences");
    json_builder_begin_array(builder);
    for (guint i = 0; i < DRIFT_N_FIELDS; i++) {
        if (!drift_field_differs(&disk->drift, i))
            continue;
        json_builder_begin_object(builder);
        build_text(builder, "field", drift_field_name(i));
        for (DriftSide side = 0; side < DRIFT_N_SIDES; side++)
            build_field(builder, drift_side_name(side), disk->sides[side], i);
        build_whys(builder, &disk->drift, i);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    build_text(builder, "outcome", plan.kind == RECONCILE_NOTHING ? NULL : outcome_of(vm, &plan));
    build_texts(builder, "notes", disk->notes);
    json_builder_end_object(builder);
}

/* null where this kind of VM has none that we read. */
static void
build_configuration(JsonBuilder *builder, const Guardian *guardian, const Vm *vm)
{
    const PveConf *conf = pve_look_conf(vm->pve);
    g_autofree char *below = NULL, *path = NULL;

    json_builder_set_member_name(builder, "configuration");
    if (!g_str_equal(vm->source, "proxmox")) {
        json_builder_add_null_value(builder);
        return;
    }
    below = pve_conf_path(vm->id);
    path = g_build_filename(host_root_path(guardian_host(guardian), HOST_ETC), below, NULL);
    json_builder_begin_object(builder);
    build_printable(builder, "path", path);
    build_utc(builder, "read_utc", pve_look_read_us(vm->pve));
    build_utc(builder, "written_utc", pve_look_written_us(vm->pve));
    build_printable(builder, "lock", conf ? pve_value(pveconf_live(conf), "lock") : NULL);
    build_printable(builder, "problem", pve_look_problem(vm->pve));
    build_texts(builder, "problems", conf ? conf->problems : NULL);
    json_builder_end_object(builder);
}

static void
build_memory_side(JsonBuilder *builder, const char *name, const MemoryLimit *limit)
{
    json_builder_set_member_name(builder, name);
    if (!limit) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    build_u64(builder, "memory_bytes", limit->is_limited, limit->bytes);
    json_builder_end_object(builder);
}

static void
build_memories(JsonBuilder *builder, const Vm *vm)
{
    g_autoptr(GPtrArray) memories = drift_memory_look(vm);

    json_builder_set_member_name(builder, "memory");
    json_builder_begin_array(builder);
    for (guint i = 0; i < memories->len; i++) {
        const DriftMemory *memory = memories->pdata[i];

        json_builder_begin_object(builder);
        build_text(builder, "group", memory->group);
        build_text(builder, "owner", memory->owner);
        build_bool(builder, "is_equal", drift_memory_is_equal(memory));
        for (DriftMemorySide side = 0; side < DRIFT_MEMORY_N_SIDES; side++)
            build_memory_side(builder, drift_memory_side_name(side), memory->sides[side]);
        build_text(builder, "why", drift_memory_is_equal(memory) ? NULL : drift_memory_why(memory));
        build_text(builder, "problem", memory->problem);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void
build_drift(JsonBuilder *builder, const Guardian *guardian, const Vm *vm)
{
    g_autoptr(GPtrArray) disks = drift_look_disks(vm, host_realtime_us(guardian_host(guardian)));
    bool has_objects = false, is_known = drift_look_generation(vm, &has_objects);

    json_builder_begin_object(builder);
    build_text(builder, "name", vm->name);
    build_text(builder, "id", vm->id);
    build_s64(builder, "pid", true, proc_pid(vm->proc));
    build_text(builder, "source", vm->source);
    build_configuration(builder, guardian, vm);
    build_text(builder, "generation", !is_known ? NULL : has_objects ? "throttle-group" : "legacy");
    build_bool(builder, "is_asking", drift_look_is_open(vm->drift) || unit_look_is_open(vm->units));
    build_printable(builder, "why_not_asked", drift_look_why_not(vm->drift));
    json_builder_set_member_name(builder, "disks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < disks->len; i++)
        build_disk(builder, vm, disks->pdata[i]);
    json_builder_end_array(builder);
    build_memories(builder, vm);
    json_builder_end_object(builder);
}

static bool
nobody_is_called(const char *word, GError **error)
{
    g_autofree char *printable = units_printable(word, -1);

    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                "no VM is called \"%s\"; see guardianctl list", printable);
    return false;
}

JsonNode *
drift_report(const Guardian *guardian, const char *word, GError **error)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    const GPtrArray *vms = guardian_vms(guardian);
    guint n = 0;

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    json_builder_set_member_name(builder, "vms");
    json_builder_begin_array(builder);
    for (guint i = 0; i < vms->len; i++) {
        if (word && !vm_matches(vms->pdata[i], word))
            continue;
        build_drift(builder, guardian, vms->pdata[i]);
        n++;
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    if (word && n == 0) {
        (void)nobody_is_called(word, error);
        return NULL;
    }
    return json_builder_get_root(builder);
}

bool
drift_want(const Guardian *guardian, const char *word, GError **error)
{
    const GPtrArray *vms = guardian_vms(guardian);
    guint n = 0;

    for (guint i = 0; i < vms->len; i++) {
        Vm *vm = vms->pdata[i];

        if (word && !vm_matches(vm, word))
            continue;
        drift_look_want(vm);
        unit_look_want(vm);
        n++;
    }
    return n > 0 || !word || nobody_is_called(word, error);
}

static char *
drift_line(const Vm *vm, const GPtrArray *disks)
{
    for (guint i = 0; i < disks->len; i++) {
        const DriftDisk *disk = disks->pdata[i];
        ReconcilePlan plan = reconciler_plan(vm, NULL, disk);

        if (plan.kind != RECONCILE_NOTHING)
            return g_strdup_printf("limits of %s are not what the policy wants (guardianctl "
                                   "drift): %s",
                                   disk->name, outcome_of(vm, &plan));
    }
    return NULL;
}

static void
build_counts(JsonBuilder *builder, const Vm *vm, const GPtrArray *disks, gint64 realtime_us)
{
    WritersCount writes = writers_count(drift_look_writers(vm->drift), realtime_us);
    guint n = 0;

    for (guint i = 0; i < disks->len; i++)
        n += drift_count(&((const DriftDisk *)disks->pdata[i])->drift);
    build_u64(builder, "drift_fields", true, n);
    build_u64(builder, "foreign_writes_day", true, writes.n_writes);
    build_u64(builder, "foreign_equal_writes_day", true, writes.n_equal);
}

void
drift_build_writes(JsonBuilder *builder, const Vm *vm, const ReportClocks *clocks)
{
    const Writers *writers = drift_look_writers(vm->drift);
    const Verdict *verdict = &vm->track.verdict;
    g_autofree char *last = NULL, *habit = writers_habit(writers, clocks->realtime_us);
    g_autoptr(GPtrArray) disks = drift_look_disks(vm, clocks->realtime_us);
    g_autofree char *drift = drift_line(vm, disks);

    if (verdict->state >= STATE_SUSPECT && verdict->since_us > 0)
        last = writers_describe(writers,
                                clocks->realtime_us - (clocks->monotonic_us - verdict->since_us));
    build_text(builder, "last_write", last);
    build_text(builder, "write_habit", habit);
    build_text(builder, "drift", drift);
    build_counts(builder, vm, disks, clocks->realtime_us);
}
