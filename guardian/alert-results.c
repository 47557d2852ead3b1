/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alert-results.h"

#include "report-build.h"

#include <string.h>

static void
result_free(gpointer data)
{
    AlertResult *result = data;

    g_free((char *)result->name);
    g_free((char *)result->result);
    g_free((char *)result->output);
    g_free(result);
}

GPtrArray *
alert_results_new(void)
{
    return g_ptr_array_new_with_free_func(result_free);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    const AlertResult *const *one = a, *const *other = b;

    return strcmp((*one)->name, (*other)->name);
}

void
alert_results_add(GPtrArray *results, const AlertResult *result)
{
    AlertResult *kept = g_new0(AlertResult, 1);

    *kept = *result;
    kept->name = g_strdup(result->name);
    kept->result = g_strdup(result->result);
    kept->output = g_strdup(result->output);
    g_ptr_array_add(results, kept);
    g_ptr_array_sort(results, compare_names);
}

static void
add_result(JsonBuilder *builder, const AlertResult *result)
{
    json_builder_begin_object(builder);
    build_text(builder, "name", result->name);
    build_text(builder, "result", result->result);
    build_bool(builder, "good", result->is_good);
    build_s64(builder, "took_ms", result->has_run, result->took_us / 1000);
    build_text(builder, "output", result->output);
    json_builder_end_object(builder);
}

JsonNode *
alert_results_json(const GPtrArray *results, const char *directory, bool is_complete)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_bool(builder, "complete", is_complete);
    build_text(builder, "directory", directory);
    json_builder_set_member_name(builder, "results");
    json_builder_begin_array(builder);
    for (guint i = 0; i < results->len; i++)
        add_result(builder, results->pdata[i]);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}
