/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-story.h"

#include "report-line.h"

#include "message.h"
#include "units.h"

#include <string.h>

char *
story_time(const char *utc, const char *now_utc)
{
    g_autoptr(GDateTime) time = utc ? g_date_time_new_from_iso8601(utc, NULL) : NULL;
    g_autoptr(GDateTime) local = time ? g_date_time_to_local(time) : NULL;
    bool is_today = time && now_utc && strncmp(utc, now_utc, strlen("2026-07-30")) == 0;
    g_autofree char *there =
        time ? g_date_time_format(time, is_today ? "%H:%M:%S UTC" : "%Y-%m-%d %H:%M:%S UTC") : NULL;
    g_autofree char *here = local ? g_date_time_format(local, "%H:%M:%S %Z") : NULL;

    if (!there)
        return g_strdup("unknown");
    if (!here || g_date_time_get_utc_offset(local) == 0)
        return g_steal_pointer(&there);
    return g_strdup_printf("%s (%s)", there, here);
}

bool
story_is_layer(JsonObject *object, const char *layer)
{
    return strcmp(report_text_of(object, "layer", ""), layer) == 0;
}

static char *
seconds_of(JsonObject *object, const char *member)
{
    gint64 seconds;

    if (!report_number_of(object, member, &seconds) || seconds < 0)
        return NULL;
    return units_format_age(MIN(seconds, 100 * 365 * (gint64)86400) * G_USEC_PER_SEC);
}

static bool
monitor_answers(JsonObject *vm)
{
    return strcmp(report_text_of(message_get_object(vm, "monitor"), "stage", ""), "answered") == 0;
}

/* Where to look: the one thing to know before any detail. */
static const char *
place_of(JsonObject *vm, JsonObject *disk)
{
    gint64 moving = 0, still = 0;

    if (story_is_layer(vm, "main-loop-blocked"))
        return "QEMU's main loop";
    if (story_is_layer(vm, "process-stopped"))
        return "the process itself";
    if (story_is_layer(vm, "throttle"))
        return "its own limit";
    if (story_is_layer(vm, "backup-target"))
        return "the backup's target";
    if (story_is_layer(vm, "storage"))
        return "the storage";
    if (story_is_layer(vm, "guest"))
        return "inside the guest";
    if (disk && report_number_of(disk, "neighbours_moving", &moving) && moving > 0 &&
        report_number_of(disk, "neighbours_still", &still) && still == 0)
        return "inside QEMU: its neighbours on that storage write";
    return NULL;
}

static void
head_name(Line *line, JsonObject *vm, JsonObject *disk, bool is_coloured)
{
    State state = report_state_of(vm);
    const char *name = report_text_of(vm, "name", "?"), *id = report_text_of(vm, "id", NULL);
    g_autofree char *age = report_age_of(vm);
    const char *driver = disk ? report_text_of(disk, "driver", NULL) : NULL;

    if (id && strcmp(id, name) != 0)
        line_say(line, "%s %s", id, name);
    else
        line_say(line, "%s", name);
    line_say(line, "%s%s%s %s", report_state_colour(state, is_coloured), report_state_word(state),
             is_coloured ? "\033[0m" : "", age ? age : "");
    if (disk)
        line_say(line, "%s%s%s", report_text_of(disk, "label", "?"), driver ? "/" : "",
                 driver ? driver : "");
}

static void
append_head(GString *text, JsonObject *vm, JsonObject *disk, bool is_coloured)
{
    Line line = line_begin("  ");
    g_autofree char *since =
        story_time(report_text_of(vm, "since_utc", NULL), report_text_of(vm, "sampled_utc", NULL));
    const char *place = place_of(vm, disk);
    bool is_capturing = false;
    gint64 waited_us = 0;

    head_name(&line, vm, disk, is_coloured);
    (void)report_number_of(message_get_object(vm, "monitor"), "waited_us", &waited_us);
    (void)message_get_bool(vm, "capturing", &is_capturing);
    line_say(&line, "%s %s", disk && monitor_answers(vm) ? "no progress since" : "since", since);
    if (monitor_answers(vm))
        line_say(&line, "QMP %.1f ms", (double)waited_us / 1000);
    else if (waited_us > 0)
        line_say(&line, "QMP silent for %.1f s", (double)waited_us / G_USEC_PER_SEC);
    if (place)
        line_say(&line, "%s", place);
    line_say(&line, "%s",
             is_capturing                          ? "evidence is being saved"
             : report_text_of(vm, "capture", NULL) ? "evidence saved"
                                                   : "evidence not saved");
    g_string_append_printf(text, "%s\n", line.text->str);
    g_string_free(line.text, TRUE);
}

static char *
limit_words(JsonObject *disk)
{
    g_autofree char *bytes = report_rate_of(disk, "limit_bytes_per_s");
    gint64 operations;
    bool has_operations = report_number_of(disk, "limit_operations_per_s", &operations);

    if (!bytes)
        return has_operations ? g_strdup_printf("%" G_GINT64_FORMAT " operations/s", operations)
                              : NULL;
    return has_operations
               ? g_strdup_printf("%s and %" G_GINT64_FORMAT " operations/s", bytes, operations)
               : g_steal_pointer(&bytes);
}

/* The layer's meaning, and how large the limit is where that is the layer. */
static void
say_layer(Line *line, JsonObject *disk, const char *layer, const char *meaning, const char *limit)
{
    bool is_of_start = false;

    (void)message_get_bool(disk, "limit_of_start", &is_of_start);
    if (!limit || strcmp(layer, "throttle") != 0)
        line_say(line, "%s: %s", layer, meaning);
    else
        line_say(line, "%s: %s, %s%s", layer, meaning, limit,
                 is_of_start ? " by QEMU's command line (whether that still holds is not known)"
                             : "");
}

static void
append_layer(GString *text, JsonObject *vm, JsonObject *disk)
{
    static const struct {
        const char *layer, *meaning;
    } meanings[] = {
        {"block-path", "below the guest, above the host's storage"},
        {"device-model", "between the guest's driver and QEMU's block layer"},
        {"storage", "the host's storage below the disk"},
        {"backup-target", "the guest's writes wait for a backup that does not get on"},
        {"throttle", "its own limit holds it"},
        {"guest", "the guest has died, its disk has not"},
        {"main-loop-blocked", "QEMU's main thread waits for something, and the guest with it"},
        {"process-stopped", "SIGSTOP, a debugger or the cgroup freezer: nothing of the VM runs"},
        {"unknown", "nothing can be seen in flight: this controller does not show it"}};
    const char *layer = report_text_of(disk ? disk : vm, "layer", "unknown");
    const char *cause = report_text_of(disk ? disk : vm, "cause", "");
    const char *reason = report_text_of(disk ? disk : vm, "reason", "");
    g_autofree char *limit = disk ? limit_words(disk) : NULL;
    Line line = line_begin("; ");

    for (guint i = 0; i < G_N_ELEMENTS(meanings); i++)
        if (strcmp(layer, meanings[i].layer) == 0)
            say_layer(&line, disk, layer, meanings[i].meaning, limit);
    if (*reason)
        line_say(&line, "%s%s%s%s", reason, *cause ? " (" : "", cause, *cause ? ")" : "");
    if (limit && (strcmp(layer, "device-model") == 0 || strcmp(layer, "unknown") == 0))
        line_say(&line, "cause open: the %s model, or the throttle timer (limit %s)",
                 report_text_of(disk, "driver", "controller's"), limit);
    line_end(&line, text, "layer");
}

static void
say_evidence(Line *line, JsonObject *disk)
{
    g_autofree char *offset = report_size_of(disk, "job_offset_bytes");
    gint64 value;

    if (story_is_layer(disk, "backup-target") && strcmp(offset, "-") != 0)
        line_say(line, "its block job stands still at %s", offset);

    if (report_number_of(disk, "inflight", &value) && value > 0)
        line_say(line, "%" G_GINT64_FORMAT " in flight in its virtqueue", value);
    if (report_number_of(disk, "blocked_thread", &value) && value > 0)
        line_say(line, "thread %" G_GINT64_FORMAT " sleeps in the kernel on its image", value);
    if (report_number_of(disk, "ring_inflight", &value) && value > 0)
        line_say(line, "%" G_GINT64_FORMAT " in flight in its io_uring", value);
    if (report_number_of(disk, "device_inflight", &value) && value > 0)
        line_say(line, "%" G_GINT64_FORMAT " in flight in the host's device", value);
}

static void
say_habit(Line *line, JsonObject *disk)
{
    g_autofree char *quiet = seconds_of(disk, "quiet_s");
    g_autofree char *longest = seconds_of(disk, "longest_gap_s");
    g_autofree char *watched = seconds_of(disk, "watched_s");

    if (quiet && longest && watched)
        line_say(line, "longest quiet gap in %s was %s, now %s", watched, longest, quiet);
}

static void
say_signs(Line *line, JsonObject *vm)
{
    JsonObject *signs = message_get_object(vm, "signs");
    g_autofree char *before = report_size_of(signs, "network_before_bytes_per_s");
    g_autofree char *now = report_size_of(signs, "network_now_bytes_per_s");
    g_autofree char *over = seconds_of(signs, "cpu_over_s");
    gint64 first, last;

    if (strcmp(before, "-") != 0 && strcmp(now, "-") != 0)
        line_say(line, "network %s -> %s/s", before, now);
    if (over && report_number_of(signs, "cpu_first_percent", &first) &&
        report_number_of(signs, "cpu_last_percent", &last))
        line_say(line,
                 "CPU %s %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT
                 " %% over %s (a panic is flat from the first second)",
                 last > first ? "climbs" : "goes", first, last, over);
}

/* Second signals whose figures stand nowhere else. */
static void
say_signals(Line *line, JsonObject *subject)
{
    JsonArray *signals = message_get_array(subject, "signals");

    for (guint i = 0; signals && i < json_array_get_length(signals); i++) {
        JsonNode *node = json_array_get_element(signals, i);
        const char *word =
            json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : "";

        if (strcmp(word, "neighbours-still") == 0)
            line_say(line, "other VMs' disks on the same storage are still, too");
        else if (strcmp(word, "host-device-stuck") == 0)
            line_say(line, "the host's device completes nothing");
    }
}

static void
append_for(GString *text, JsonObject *vm, JsonObject *disk)
{
    Line line = line_begin("; ");

    if (disk) {
        say_evidence(&line, disk);
        say_habit(&line, disk);
        say_signals(&line, disk);
    }
    say_signs(&line, vm);
    line_end(&line, text, "for");
}

static void
say_innocents(Line *line, JsonObject *vm, JsonObject *disk)
{
    gint64 inflight = -1, moving = 0;

    (void)report_number_of(disk, "device_inflight", &inflight);
    (void)report_number_of(disk, "neighbours_moving", &moving);
    if (inflight == 0 || moving > 0)
        line_say(line, "the host's disk (%s%s%s%s%s)", report_storage_of(disk, "unknown"),
                 inflight == 0 || moving > 0 ? ": " : "", inflight == 0 ? "0 in flight" : "",
                 inflight == 0 && moving > 0 ? ", " : "", moving > 0 ? "neighbours write" : "");
    if (strcmp(report_text_of(vm, "run", ""), "running") == 0)
        line_say(line, "a pause, a migration");
    if (json_object_has_member(disk, "job_offset_bytes") &&
        json_object_get_null_member(disk, "job_offset_bytes"))
        line_say(line, "a block job");
    if (monitor_answers(vm))
        line_say(line, "the main loop");
}

static void
append_not(GString *text, JsonObject *vm, JsonObject *disk)
{
    Line line = line_begin(", "), sentences = line_begin(". ");
    const char *canary = disk ? report_text_of(disk, "canary", NULL) : NULL;
    gint64 waited_ms = 0;

    if (disk) {
        say_innocents(&line, vm, disk);
        (void)report_number_of(disk, "canary_waited_ms", &waited_ms);
    }
    if (line.text->len > 0)
        line_say(&sentences, "%s", line.text->str);
    g_string_free(line.text, TRUE);
    if (canary && strcmp(canary, "back") == 0)
        line_say(&sentences,
                 "Canary: a read of ours came back in %" G_GINT64_FORMAT
                 " ms; it points above the block layer, it acquits nobody",
                 waited_ms);
    else if (canary && strcmp(canary, "out") == 0)
        line_say(&sentences, "Canary: a read of ours has been out for %" G_GINT64_FORMAT " s",
                 waited_ms / 1000);
    else if (canary)
        line_say(&sentences, "Canary: %s", strcmp(canary, "off") == 0 ? "off" : "not sent");
    line_end(&sentences, text, "not");
}

/* A limit written again was the last thing that happened before the founding incident. */
static void
append_before(GString *text, JsonObject *vm)
{
    const char *last = report_text_of(vm, "last_write", NULL);
    Line line = line_begin("");

    if (last)
        line_say(&line, "%s", last);
    line_end(&line, text, "before");
}

void
story_append(GString *text, JsonObject *vm, JsonObject *disk, bool is_coloured)
{
    append_head(text, vm, disk, is_coloured);
    append_layer(text, vm, disk);
    append_for(text, vm, disk);
    append_not(text, vm, disk);
    append_before(text, vm);
    advice_append(text, vm, disk);
}
