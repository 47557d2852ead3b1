/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture-private.h"

#include "report-build.h"
#include "report.h"

static const char *
end_word(StepEnd end)
{
    static const char *const words[] = {
        [STEP_DONE] = "done",
        [STEP_FAILED] = "failed",
        [STEP_SKIPPED] = "not-done",
        [STEP_HUNG] = "hung",
    };

    return words[end];
}

void
capture_result_clear(gpointer result)
{
    g_free(((CaptureResult *)result)->error);
}

static void
add_step(JsonBuilder *builder, const CaptureResult *result)
{
    json_builder_begin_object(builder);
    build_text(builder, "name", result->step->name);
    build_text(builder, "file", result->bytes > 0 ? result->step->file : NULL);
    build_text(builder, "end", end_word(result->end));
    build_s64(builder, "started_us", true, result->started_us);
    build_s64(builder, "duration_us", true, result->duration_us);
    build_s64(builder, "bytes", true, (gint64)result->bytes);
    build_text(builder, "error", result->error);
    json_builder_end_object(builder);
}

/* The zero of every started_us, on each clock that a log line may carry. */
static void
add_clocks(JsonBuilder *builder, const Capture *capture)
{
    GTimeZone *zone = capture->captures->zone;

    json_builder_set_member_name(builder, "clocks");
    json_builder_begin_object(builder);
    build_s64(builder, "monotonic_us", true, capture->monotonic_us);
    build_s64(builder, "boottime_us", true, capture->boottime_us);
    build_s64(builder, "realtime_us", true, capture->realtime_us);
    build_s64(builder, "zone_offset_s", true,
              g_time_zone_get_offset(
                  zone, g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL,
                                                  capture->realtime_us / G_USEC_PER_SEC)));
    json_builder_end_object(builder);
}

static char *
directory(const Capture *capture)
{
    HostRoot root = capture->is_complete && !capture->problem ? HOST_VAR : HOST_RUN;

    return g_build_filename(host_root_path(capture_host(capture), root), CAPTURE_DIRECTORY,
                            capture->name, NULL);
}

char *
capture_manifest(const Capture *capture)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *started = report_utc(capture->realtime_us);
    g_autofree char *where = directory(capture);

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_text(builder, "name", capture->name);
    build_text(builder, "vm", capture->vm_name);
    build_text(builder, "id", capture->vm_id);
    build_text(builder, "uuid", capture->vm_uuid);
    build_text(builder, "source", capture->source);
    build_s64(builder, "pid", true, capture->pid);
    build_text(builder, "trigger", capture->options.is_automatic ? "alert" : "asked");
    build_text(builder, "started_utc", started);
    add_clocks(builder, capture);
    build_bool(builder, "complete", capture->is_complete);
    build_text(builder, "directory", where);
    build_text(builder, "problem", capture->problem);
    json_builder_set_member_name(builder, "steps");
    json_builder_begin_array(builder);
    for (guint i = 0; i < capture->results->len; i++)
        add_step(builder, &g_array_index(capture->results, CaptureResult, i));
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, TRUE);
}

JsonNode *
capture_summary(const Capture *capture)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree char *where = directory(capture);
    guint done = 0;

    for (guint i = 0; i < capture->results->len; i++)
        done += g_array_index(capture->results, CaptureResult, i).end == STEP_DONE;
    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_text(builder, "name", capture->name);
    build_text(builder, "vm", capture->vm_name);
    build_bool(builder, "complete", capture->is_stored || capture->problem);
    build_text(builder, "directory", where);
    build_text(builder, "problem", capture->problem);
    build_s64(builder, "steps_done", true, done);
    build_s64(builder, "steps_ended", true, capture->results->len);
    build_s64(builder, "bytes", true, (gint64)capture->bytes);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}
