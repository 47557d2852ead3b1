/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-forecast.h"

#include "memory-watch.h"
#include "message.h"

static void
add_candidate(JsonBuilder *builder, const ReservationCandidate *candidate)
{
    json_builder_begin_object(builder);
    build_text(builder, "model", candidate->name);
    build_u64(builder, "bytes", !candidate->problem, candidate->bytes);
    build_text(builder, "problem", candidate->problem);
    json_builder_end_object(builder);
}

void
report_add_reservation(JsonBuilder *builder, const Vm *vm)
{
    ReservationResult result = memory_watch_reservation(vm);
    bool is_decided = result.winner >= 0;

    build_u64(builder, "reservation_bytes", is_decided, result.bytes);
    build_text(builder, "reservation_model",
               is_decided ? result.candidates[result.winner].name : NULL);
    build_text(builder, "reservation_rule", result.rule);
    build_u64(builder, "burst_bytes", result.burst_bytes > 0, result.burst_bytes);
    build_u64(builder, "confidence_thousandths", true, result.confidence_thousandths);
    json_builder_set_member_name(builder, "reservation_candidates");
    json_builder_begin_array(builder);
    for (guint i = 0; i < N_CANDIDATES; i++)
        add_candidate(builder, &result.candidates[i]);
    json_builder_end_array(builder);
}

char *
report_candidates_text(JsonObject *vm)
{
    JsonObject *memory = message_get_object(vm, "memory");
    g_autoptr(GPtrArray) candidates = report_objects_of(memory, "reservation_candidates");
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < candidates->len; i++) {
        const char *problem = report_text_of(candidates->pdata[i], "problem", NULL);
        g_autofree char *size = report_size_of(candidates->pdata[i], "bytes");

        g_string_append_printf(text, "%-9s%-10s %s%s\n", "",
                               report_text_of(candidates->pdata[i], "model", "?"),
                               problem ? "unknown: " : size, problem ? problem : "");
    }
    return g_string_free(text, FALSE);
}
