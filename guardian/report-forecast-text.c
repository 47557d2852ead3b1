/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The forecast for somebody at 3 a.m.: what is short, who holds it, the sum that says so, and what
 * to do. */

#include "report-forecast.h"

#include "message.h"
#include "report-line.h"
#include "report-roles.h"
#include "units.h"

#include <string.h>

/* An annotation is written by people: 192Mi, not 191. */
#define KNOB_STEP_BYTES (64 * (gint64)UNITS_MIB)

/* Tenths of a MiB, so that what is shown can be added up. */
static gint64
tenths_of(gint64 bytes)
{
    gint64 tenths =
        ((gint64)MIN(ABS(MAX(bytes, -G_MAXINT64)), G_MAXINT64 / 16) / 1024 * 10 + 512) / 1024;

    return bytes < 0 ? -tenths : tenths;
}

/* "1643.0". New string. */
static char *
plain_text(gint64 bytes)
{
    gint64 tenths = tenths_of(bytes);

    return g_strdup_printf("%s%" G_GINT64_FORMAT ".%d", tenths < 0 ? "-" : "", ABS(tenths) / 10,
                           (int)(ABS(tenths) % 10));
}

/* "1643 MiB", "20.8 MiB". New string. */
static char *
mib_text(gint64 bytes)
{
    gint64 tenths = tenths_of(bytes);

    if (ABS(tenths) >= 1000)
        return g_strdup_printf("%" G_GINT64_FORMAT " MiB", (tenths + (tenths < 0 ? -5 : 5)) / 10);
    {
        g_autofree char *plain = plain_text(bytes);

        return g_strconcat(plain, " MiB", NULL);
    }
}

/* "-" when unknown. */
static char *
mib_of(JsonObject *object, const char *member)
{
    gint64 bytes;

    return report_number_of(object, member, &bytes) ? mib_text(bytes) : g_strdup("-");
}

static gint64
number_of(JsonObject *object, const char *member)
{
    gint64 value = 0;

    (void)report_number_of(object, member, &value);
    return value;
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

const char *
report_memory_word(JsonObject *vm)
{
    return report_level_of(vm) == PRESSURE_WATCH &&
                   number_of(forecast_of(vm), "growth_beside_bytes_per_s") > 0
               ? pressure_level_name(PRESSURE_WATCH)
               : report_level_word(vm);
}

char *
report_forecast_age(JsonObject *vm)
{
    char *age = report_age_of(forecast_of(vm));

    return age ? age : g_strdup("unknown");
}

/* "stranger memhold[11572] 403M"; NULL when no stranger holds memory to speak of. */
static char *
stranger_text(JsonObject *vm)
{
    g_autofree char *label = report_stranger_label(vm);
    g_autofree char *size = mib_of(message_get_object(vm, "largest_stranger"), "private_bytes");

    return label ? g_strdup_printf("%s %s", label, size) : NULL;
}

static char *
age_text(gint64 s)
{
    return units_format_age(CLAMP(s, 0, 86400 * 365) * G_USEC_PER_SEC);
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
    gint64 missing_bytes = number_of(forecast, "missing_low_bytes"), end_s, lost_s;

    if (!head)
        return NULL;
    text = g_string_new(head);
    if (number_of(forecast, "room_bytes") > 0)
        g_string_append_printf(text, ": the guest may take %s more, %s left", left, room);
    else
        g_string_append_printf(text, ": the guest may take %s more, nothing left", left);
    if (missing_bytes > 0)
        g_string_append_printf(text, ": >= %s short", missing);
    else
        g_string_append_printf(text, ": %s", report_text_of(forecast, "reason", "?"));
    if (report_number_of(forecast, "end_in_s", &end_s) && missing_bytes > 0) {
        g_autofree char *age = age_text(end_s);

        g_string_append_printf(text, ", in %s at its growth", age);
    }
    if (report_number_of(forecast, "lost_in_s", &lost_s)) {
        g_autofree char *age = age_text(lost_s);
        g_autofree char *rate = mib_of(forecast, "growth_beside_bytes_per_s");

        g_string_append_printf(text, ", the rest is gone in %s at %s a second", age, rate);
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

/* "79.0..81.0", "79.0" where that is all the same. New string. */
static char *
range_text(gint64 low, gint64 high)
{
    g_autofree char *from = plain_text(low), *to = plain_text(high);

    return strcmp(from, to) == 0 ? g_steal_pointer(&from) : g_strdup_printf("%s..%s", from, to);
}

/* A part of the sum, unless it is nothing. */
static void
say_part(Line *line, const char *name, gint64 bytes)
{
    g_autofree char *text = plain_text(bytes);

    if (tenths_of(bytes) > 0)
        line_say(line, "%s %s", name, text);
}

/* The guest full, and all that stands beside it: what the limit would have to hold. What of the
 * charge no process and no kernel was seen to hold is a part of its own, so that it closes. */
static void
append_sum(GString *text, JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");
    JsonObject *kinds = message_get_object(memory, "kinds");
    JsonObject *forecast = forecast_of(vm);
    gint64 low = number_of(memory, "guest_touched_low_bytes"),
           high = number_of(memory, "guest_touched_high_bytes");
    gint64 own_low = number_of(memory, "qemu_own_low_bytes"),
           own_high = number_of(memory, "qemu_own_high_bytes");
    gint64 peers = number_of(memory, "peers_left_bytes");
    gint64 left_low = number_of(forecast, "guest_left_low_bytes"),
           left_high = number_of(forecast, "guest_left_high_bytes");
    gint64 limit = number_of(memory, "limit_bytes"), swap = number_of(memory, "swap_room_bytes");
    gint64 used = limit + swap - number_of(forecast, "room_bytes");
    gint64 kernel = number_of(kinds, "kernel_bytes"), helpers, strangers, other;
    g_autofree char *guest = plain_text(high + left_low - peers), *touched = range_text(low, high);
    g_autofree char *own = range_text(own_low, own_high), *held = plain_text(limit);
    g_autofree char *sum = range_text(used + left_low, used + left_high);
    g_autofree char *cache = plain_text(number_of(kinds, "reclaimable_bytes"));
    g_autofree char *swapped = plain_text(swap), *twice = NULL;
    Line line = line_begin(" + ");

    beside_sums(vm, &helpers, &strangers);
    other = used - high - own_low - helpers - strangers - kernel;
    line_say(&line, "in MiB: guest %s (%s touched)", guest, touched);
    line_say(&line, "QEMU's own %s", own);
    say_part(&line, "helpers", helpers);
    say_part(&line, "strangers", strangers);
    say_part(&line, "kernel", kernel);
    say_part(&line, "what other guests may take", peers);
    say_part(&line, "not told apart", other);
    twice = plain_text(-other);
    g_string_append_printf(line.text, "%s%s%s = %s, limit %s", tenths_of(other) < 0 ? " - " : "",
                           tenths_of(other) < 0 ? twice : "",
                           tenths_of(other) < 0 ? " counted twice" : "", sum, held);
    if (tenths_of(swap) > 0)
        line_say(&line, "swap %s", swapped);
    g_string_append_printf(line.text, "; page cache %s is not counted", cache);
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
    g_autofree char *name = report_call(report_text_of(vm, "name", ""), 0);
    gint64 enough = number_of(forecast, "sufficient_limit_bytes");
    gint64 missing = number_of(forecast, "missing_high_bytes");

    if (strstr(group, "kubepods"))
        return g_strdup_printf("reserve %" G_GINT64_FORMAT "Mi more (Harvester: annotation "
                               "harvesterhci.io/reservedMemory; KubeVirt 1.8: addedOverhead) and "
                               "restart it",
                               (missing / KNOB_STEP_BYTES + 1) * KNOB_STEP_BYTES /
                                   (gint64)UNITS_MIB);
    if (strcmp(report_text_of(vm, "source", ""), "libvirt") == 0)
        return g_strdup_printf("virsh memtune %s --hard-limit %" G_GINT64_FORMAT " --live --config",
                               name, enough / 1024 + 1);
    if (g_str_has_suffix(unit, ".scope") || g_str_has_suffix(unit, ".slice") ||
        g_str_has_suffix(unit, ".service"))
        return g_strdup_printf("systemctl set-property '%s' MemoryMax=%" G_GINT64_FORMAT "M", unit,
                               enough / (gint64)UNITS_MIB + 1);
    return g_strdup_printf("raise the limit by %" G_GINT64_FORMAT " MiB",
                           missing / (gint64)UNITS_MIB + 1);
}

/* A pod's limit is raised before its container's: kubelet's order, and the pod's may be as tight.
 */
static bool
has_pod_limit(JsonObject *vm)
{
    g_autoptr(GPtrArray) limits = report_objects_of(message_get_object(vm, "domain"), "limits");

    for (guint i = 0; i < limits->len; i++)
        if (strcmp(report_text_of(limits->pdata[i], "kind", ""), "pod") == 0)
            return true;
    return false;
}

static void
append_advice(GString *text, JsonObject *vm)
{
    g_autofree char *stranger = stranger_text(vm);
    g_autofree char *knob = knob_of(vm);
    g_autofree char *call =
        report_call(report_text_of(vm, "name", ""), (pid_t)number_of(vm, "pid"));
    Line line = line_begin(", or ");

    if (stranger)
        line_say(&line, "end %s", stranger);
    line_say(&line, "raise the limit now: guardianctl limits plan %s%s", call,
             has_pod_limit(vm) ? " (pod first)" : "");
    /* what grows, or has room enough for now, is not mended by the sum of today */
    if (number_of(forecast_of(vm), "missing_high_bytes") > 0) {
        line_say(&line, "for good: %s", knob);
        line_say(&line, "give the guest less RAM at its next start");
    }
    line_end(&line, text, "do");
}

/* "container 812.0 MiB (tightest; pod 869.0 MiB)", and where it lies. */
static void
append_tightest(GString *text, JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");
    g_autoptr(GPtrArray) limits = report_objects_of(message_get_object(vm, "domain"), "limits");
    g_autofree char *bytes = mib_of(memory, "limit_bytes");
    JsonObject *tightest = limits->len > 0 ? limits->pdata[0] : NULL;
    Line line = line_begin("; ");

    line_say(&line, "%s %s (tightest", report_text_of(tightest, "kind", "group"), bytes);
    for (guint i = 1; i < limits->len; i++) {
        g_autofree char *other = mib_of(limits->pdata[i], "limit_bytes");

        line_say(&line, "%s %s", report_text_of(limits->pdata[i], "kind", "group"), other);
    }
    g_string_append_printf(line.text, ") %s", report_text_of(memory, "limit_group", "?"));
    line_end(&line, text, "domain");
}

void
report_append_forecast(GString *text, JsonObject *vm)
{
    JsonObject *forecast = forecast_of(vm);
    g_autofree char *told = report_forecast_text(vm);
    g_autofree char *rate = mib_of(forecast, "growth_bytes_per_s");
    Line line = line_begin("; ");

    if (!told)
        return;
    line_say(&line, "%s", told);
    /* what is doomed is told by what is short, and what is not short by its reason already */
    if (report_level_of(vm) == PRESSURE_IMMINENT && number_of(forecast, "missing_low_bytes") > 0)
        line_say(&line, "%s", report_text_of(forecast, "reason", "?"));
    if (strcmp(rate, "-") != 0)
        line_say(&line, "it grows by %s a second", rate);
    line_end(&line, text, "oom");
    append_tightest(text, vm);
    append_sum(text, vm);
    append_advice(text, vm);
}
