/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-forecast.h"

#include "memory-watch.h"
#include "message.h"
#include "report-line.h"
#include "units.h"

#include <string.h>

static void
add_kinds(JsonBuilder *builder, const MemoryKinds *kinds)
{
    bool has_parts = kinds->is_known && kinds->has_kernel_parts;

    json_builder_set_member_name(builder, "kinds");
    json_builder_begin_object(builder);
    build_u64(builder, "anon_bytes", kinds->is_known, kinds->anon_bytes);
    build_u64(builder, "shmem_bytes", kinds->is_known, kinds->shmem_bytes);
    build_u64(builder, "locked_file_bytes", kinds->is_known, kinds->locked_file_bytes);
    build_u64(builder, "kernel_bytes", kinds->is_known, kinds->kernel_bytes);
    build_u64(builder, "slab_unreclaimable_bytes", has_parts, kinds->slab_bytes);
    build_u64(builder, "kernel_stack_bytes", has_parts, kinds->kernel_stack_bytes);
    build_u64(builder, "page_tables_bytes", has_parts, kinds->page_table_bytes);
    build_u64(builder, "sec_page_tables_bytes", has_parts, kinds->sec_page_table_bytes);
    build_u64(builder, "percpu_bytes", has_parts, kinds->percpu_bytes);
    build_u64(builder, "sockets_bytes", has_parts, kinds->socket_bytes);
    build_u64(builder, "reclaimable_bytes", kinds->is_known, kinds->reclaimable_bytes);
    json_builder_end_object(builder);
}

static void
add_verdict(JsonBuilder *builder, const PressureVerdict *verdict, const ReportClocks *clocks)
{
    bool has_sum = verdict->has_sum, has_since = verdict->since_us > 0;

    json_builder_set_member_name(builder, "forecast");
    json_builder_begin_object(builder);
    build_text(builder, "level", pressure_level_name(verdict->level));
    build_text(builder, "reason", verdict->reason ? verdict->reason : "not judged yet");
    build_time(builder, "since_utc", verdict->since_us, clocks);
    build_s64(builder, "since_s", has_since,
              (clocks->monotonic_us - verdict->since_us) / G_USEC_PER_SEC);
    build_u64(builder, "guest_left_low_bytes", has_sum, verdict->guest_left_low_bytes);
    build_u64(builder, "guest_left_high_bytes", has_sum, verdict->guest_left_high_bytes);
    build_s64(builder, "room_bytes", has_sum, verdict->room_bytes);
    build_u64(builder, "missing_low_bytes", has_sum, verdict->missing_low_bytes);
    build_u64(builder, "missing_high_bytes", has_sum, verdict->missing_high_bytes);
    build_u64(builder, "sufficient_limit_bytes", has_sum, verdict->sufficient_bytes);
    build_u64(builder, "growth_bytes_per_s", verdict->has_rate, verdict->rate_bps);
    build_s64(builder, "end_in_s", verdict->has_end, verdict->end_in_us / G_USEC_PER_SEC);
    json_builder_end_object(builder);
}

void
report_add_forecast(JsonBuilder *builder, const Vm *vm, const ReportClocks *clocks)
{
    const MemorySample *memory = &vm->memory;
    guint64 low = 0, high = 0;
    bool has_touched = pressure_touched(memory, &low, &high);
    bool is_split = memory->has_count || memory->guest_ram_is_shared;
    guint64 anon = memory->rss_anon_bytes, shared = memory->counted_shared_bytes;

    build_u64(builder, "guest_touched_low_bytes", has_touched, low);
    build_u64(builder, "guest_touched_high_bytes", has_touched, high);
    /* QEMU's own anonymous memory: between nothing and RssAnon until it was told apart */
    build_u64(builder, "qemu_own_low_bytes", has_touched,
              memory->guest_ram_is_shared ? anon : anon - MIN(anon, high - MIN(high, shared)));
    build_u64(builder, "qemu_own_high_bytes", has_touched,
              memory->guest_ram_is_shared ? anon : anon - MIN(anon, low - MIN(low, shared)));
    build_bool(builder, "guest_counted", is_split);
    build_u64(builder, "balloon_bytes", memory->has_balloon, memory->balloon_bytes);
    build_u64(builder, "swap_room_bytes", memory->has_swap_room, memory->swap_room_bytes);
    build_u64(builder, "peers_left_bytes", memory->has_peers, memory->peers_left_bytes);
    build_u64(builder, "oom_kills", memory->has_oom_kills, memory->oom_kills);
    add_kinds(builder, &memory->kinds);
    add_verdict(builder, &vm->memory_watch->pressure.verdict, clocks);
}

/* "1643 MiB", "20.8 MiB": exact enough to be added up. New string. */
static char *
mib_text(gint64 bytes)
{
    guint64 tenths = ((guint64)ABS(MAX(bytes, -G_MAXINT64)) / 1024 * 10 + 512) / 1024;
    const char *sign = bytes < 0 ? "-" : "";

    if (tenths < 1000)
        return g_strdup_printf("%s%u.%u MiB", sign, (guint)tenths / 10, (guint)tenths % 10);
    return g_strdup_printf("%s%" G_GUINT64_FORMAT " MiB", sign, (tenths + 5) / 10);
}

/* "-" when unknown. */
static char *
mib_of(JsonObject *object, const char *member)
{
    gint64 bytes;

    return report_number_of(object, member, &bytes) ? mib_text(bytes) : g_strdup("-");
}
static JsonObject *
forecast_of(JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");

    return memory ? message_get_object(memory, "forecast") : NULL;
}

PressureLevel
report_level_of(JsonObject *vm)
{
    const char *word = report_text_of(forecast_of(vm), "level", "unknown");

    for (PressureLevel level = PRESSURE_UNKNOWN; level <= PRESSURE_IMMINENT; level++)
        if (strcmp(pressure_level_name(level), word) == 0)
            return level;
    return PRESSURE_UNKNOWN;
}

const char *
report_level_word(JsonObject *vm)
{
    PressureLevel level = report_level_of(vm);

    return level == PRESSURE_IMMINENT ? "OOM" : level == PRESSURE_DOOMED ? "DOOMED" : NULL;
}

/* "stranger memhold[11572] 403M"; NULL when no stranger holds memory to speak of. */
static char *
stranger_text(JsonObject *vm)
{
    JsonObject *stranger = message_get_object(vm, "largest_stranger");
    g_autofree char *size = mib_of(stranger, "private_bytes");
    gint64 pid = 0, bytes = 0;

    if (!stranger || !report_number_of(stranger, "pid", &pid) ||
        !report_number_of(stranger, "private_bytes", &bytes) || bytes < (gint64)UNITS_MIB)
        return NULL;
    return g_strdup_printf("%s[%" G_GINT64_FORMAT "] %s", report_text_of(stranger, "name", "?"),
                           pid, size);
}

static char *
head_of(JsonObject *vm)
{
    switch (report_level_of(vm)) {
    case PRESSURE_IMMINENT:
        return g_strdup("OOM IMMINENT");
    case PRESSURE_DOOMED:
        return g_strdup("DOOMED, alive");
    case PRESSURE_WATCH:
        return g_strdup("watch");
    case PRESSURE_OK:
    case PRESSURE_UNKNOWN:
        break;
    }
    return NULL;
}

char *
report_forecast_text(JsonObject *vm)
{
    JsonObject *forecast = forecast_of(vm);
    g_autofree char *head = head_of(vm);
    g_autofree char *left = mib_of(forecast, "guest_left_low_bytes");
    g_autofree char *room = mib_of(forecast, "room_bytes");
    g_autofree char *missing = mib_of(forecast, "missing_low_bytes");
    g_autofree char *stranger = stranger_text(vm);
    GString *text;
    gint64 missing_bytes = 0, end_s;

    if (!head)
        return NULL;
    text = g_string_new(head);
    g_string_append_printf(text, ": the guest may take %s more, %s left", left, room);
    (void)report_number_of(forecast, "missing_low_bytes", &missing_bytes);
    if (missing_bytes > 0)
        g_string_append_printf(text, ": >= %s short", missing);
    else
        g_string_append_printf(text, ": %s", report_text_of(forecast, "reason", "?"));
    if (report_number_of(forecast, "end_in_s", &end_s) && missing_bytes > 0) {
        g_autofree char *age = units_format_age(CLAMP(end_s, 0, 86400 * 365) * G_USEC_PER_SEC);

        g_string_append_printf(text, ", in %s at its growth", age);
    }
    if (stranger)
        g_string_append_printf(text, "; stranger %s", stranger);
    return g_string_free(text, FALSE);
}

/* Private memory of everybody beside QEMU that is not a stranger, and of strangers. */
static void
beside_sums(JsonObject *vm, gint64 *ret_helpers, gint64 *ret_strangers)
{
    g_autoptr(GPtrArray) uses = report_objects_of(vm, "beside");

    *ret_helpers = *ret_strangers = 0;
    for (guint i = 0; i < uses->len; i++) {
        gint64 bytes = 0;
        bool is_stranger = strcmp(report_text_of(uses->pdata[i], "role", ""), "stranger") == 0;

        if (report_number_of(uses->pdata[i], "domain_private_bytes", &bytes) && bytes > 0)
            *(is_stranger ? ret_strangers : ret_helpers) += bytes;
    }
}

static void
append_sum(GString *text, JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");
    JsonObject *kinds = message_get_object(memory, "kinds");
    g_autofree char *ram = mib_of(memory, "guest_ram_bytes");
    g_autofree char *low = mib_of(memory, "guest_touched_low_bytes");
    g_autofree char *high = mib_of(memory, "guest_touched_high_bytes");
    g_autofree char *own_low = mib_of(memory, "qemu_own_low_bytes");
    g_autofree char *own_high = mib_of(memory, "qemu_own_high_bytes");
    g_autofree char *kernel = mib_of(kinds, "kernel_bytes");
    g_autofree char *cache = mib_of(kinds, "reclaimable_bytes");
    gint64 helpers_bytes, strangers_bytes;
    g_autofree char *helpers = NULL, *strangers = NULL;
    Line line = line_begin(" + ");

    beside_sums(vm, &helpers_bytes, &strangers_bytes);
    helpers = mib_text(helpers_bytes);
    strangers = mib_text(strangers_bytes);
    if (strcmp(low, high) == 0)
        line_say(&line, "guest %s of %s", low, ram);
    else
        line_say(&line, "guest %s..%s of %s", low, high, ram);
    line_say(&line, "QEMU's own %s..%s", own_low, own_high);
    line_say(&line, "helpers %s", helpers);
    line_say(&line, "strangers %s", strangers);
    line_say(&line, "kernel %s; page cache %s is not counted", kernel, cache);
    line_end(&line, text, "sum");
}

/* What would raise the limit for good, where the group's path tells who made it. */
static char *
knob_of(JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");
    JsonObject *forecast = forecast_of(vm);
    const char *group = report_text_of(memory, "limit_group", "");
    const char *unit = strrchr(group, '/') ? strrchr(group, '/') + 1 : group;
    gint64 enough = 0, missing = 0;
    guint64 mib;

    (void)report_number_of(forecast, "sufficient_limit_bytes", &enough);
    (void)report_number_of(forecast, "missing_high_bytes", &missing);
    mib = (guint64)missing / UNITS_MIB + 1;
    if (strstr(group, "kubepods"))
        return g_strdup_printf("reserve %" G_GUINT64_FORMAT " MiB more (Harvester: annotation "
                               "harvesterhci.io/reservedMemory; KubeVirt 1.8: addedOverhead) and "
                               "restart it",
                               mib);
    if (strstr(group, "/libvirt"))
        return g_strdup_printf("virsh memtune DOMAIN --hard-limit %" G_GUINT64_FORMAT,
                               (guint64)enough / 1024 + 1);
    if (g_str_has_suffix(unit, ".scope") || g_str_has_suffix(unit, ".slice") ||
        g_str_has_suffix(unit, ".service"))
        return g_strdup_printf("systemctl set-property '%s' MemoryMax=%" G_GUINT64_FORMAT "M", unit,
                               (guint64)enough / UNITS_MIB + 1);
    return g_strdup_printf("raise the limit by %" G_GUINT64_FORMAT " MiB", mib);
}

static void
append_advice(GString *text, JsonObject *vm)
{
    g_autofree char *stranger = stranger_text(vm);
    g_autofree char *knob = knob_of(vm);
    Line line = line_begin(", or ");

    if (stranger)
        line_say(&line, "end %s", stranger);
    line_say(&line, "raise the limit now: guardianctl limits plan %s",
             report_text_of(vm, "name", "VM"));
    line_say(&line, "for good: %s", knob);
    line_say(&line, "give the guest less RAM at its next start");
    line_end(&line, text, "do");
}

void
report_append_forecast(GString *text, JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");
    g_autofree char *told = report_forecast_text(vm);
    g_autofree char *limit = mib_of(memory, "limit_bytes");
    g_autofree char *rate = mib_of(forecast_of(vm), "growth_bytes_per_s");
    Line line = line_begin("; ");

    if (!told)
        return;
    line_say(&line, "%s", told);
    line_say(&line, "%s", report_text_of(forecast_of(vm), "reason", "?"));
    if (strcmp(rate, "-") != 0)
        line_say(&line, "it grows by %s a second", rate);
    line_end(&line, text, "oom");
    line = line_begin("");
    line_say(&line, "%s has the tightest limit, %s", report_text_of(memory, "limit_group", "?"),
             limit);
    line_end(&line, text, "domain");
    append_sum(text, vm);
    append_advice(text, vm);
}
