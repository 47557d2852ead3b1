/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-text.h"

#include "units.h"

/* {"schema": 1, "reports": [...]}: integers, what the log does not tell is null. */

static void
size_set(JsonObject *object, const char *name, OomSize size)
{
    if (size.is_known && size.bytes <= G_MAXINT64)
        json_object_set_int_member(object, name, (gint64)size.bytes);
    else
        json_object_set_null_member(object, name);
}

static void
text_set(JsonObject *object, const char *name, const char *raw)
{
    g_autofree char *text = units_printable(raw, -1);

    if (raw && *raw)
        json_object_set_string_member(object, name, text);
    else
        json_object_set_null_member(object, name);
}

/* Built of printable parts already, and perhaps longer than a name. */
static void
sentence_set(JsonObject *object, const char *name, const char *sentence)
{
    if (sentence)
        json_object_set_string_member(object, name, sentence);
    else
        json_object_set_null_member(object, name);
}

static JsonObject *
victim_to_json(const OomTask *victim)
{
    JsonObject *object = json_object_new();

    text_set(object, "name", victim->name);
    json_object_set_int_member(object, "pid", victim->pid);
    size_set(object, "rss_bytes", victim->rss);
    return object;
}

static JsonObject *
task_to_json(const OomTask *task)
{
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "pid", task->pid);
    text_set(object, "name", task->name);
    json_object_set_string_member(object, "role", oomrole_name(task->role));
    size_set(object, "rss_bytes", task->rss);
    size_set(object, "pgtables_bytes", task->pgtables);
    if (task->has_oom_score_adj)
        json_object_set_int_member(object, "oom_score_adj", task->oom_score_adj);
    else
        json_object_set_null_member(object, "oom_score_adj");
    return object;
}

static JsonArray *
tasks_to_json(const GArray *tasks, JsonObject *(*to_json)(const OomTask *task))
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < tasks->len; i++)
        json_array_add_object_element(array, to_json(&g_array_index(tasks, OomTask, i)));
    return array;
}

/* Each byte in one part: they sum up to the usage. The guest's RAM is QEMU's, as it is in tasks. */
static JsonObject *
parts_to_json(const OomParts *parts)
{
    JsonObject *object = json_object_new();
    OomSize qemu = parts->qemu;

    if (parts->guest.is_known)
        qemu.bytes += parts->guest.bytes;
    size_set(object, "qemu_bytes", qemu);
    size_set(object, "helpers_bytes", parts->helpers);
    size_set(object, "strangers_bytes", parts->strangers);
    size_set(object, "kernel_bytes", parts->kernel);
    size_set(object, "unexplained_bytes", parts->unexplained);
    return object;
}

static JsonObject *
blame_to_json(const OomBlame *blame)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "role", oomrole_name(blame->role));
    if (blame->has_pid)
        json_object_set_int_member(object, "pid", blame->pid);
    else
        json_object_set_null_member(object, "pid");
    text_set(object, "name", blame->name);
    sentence_set(object, "why", blame->why);
    size_set(object, "suggested_limit_bytes", blame->suggested_limit);
    return object;
}

JsonObject *
oom_json(const OomReport *report)
{
    JsonObject *object = json_object_new();
    g_autofree char *domain = units_printable_path(report->domain);
    const OomSize unknown = {0};

    if (report->constraint == OOM_CONSTRAINT_UNKNOWN)
        json_object_set_null_member(object, "constraint");
    else
        json_object_set_string_member(object, "constraint", oomconstraint_name(report->constraint));
    text_set(object, "time", report->when);
    text_set(object, "vm", report->vm);
    text_set(object, "invoker", report->invoker);
    if (report->has_victim) {
        JsonObject *victim = victim_to_json(&report->victim);

        sentence_set(victim, "why", report->victim_why);
        json_object_set_object_member(object, "victim", victim);
    } else {
        json_object_set_null_member(object, "victim");
    }
    text_set(object, "outcome",
             report->outcome != OOM_OUTCOME_UNKNOWN ? oomoutcome_name(report->outcome) : NULL);
    sentence_set(object, "domain", report->domain ? domain : NULL);
    text_set(object, "nodes", report->nodes);
    size_set(object, "usage_bytes", report->usage);
    size_set(object, "limit_bytes", report->limit);
    size_set(object, "kernel_bytes", report->kernel);
    size_set(object, "cache_bytes", report->cache);
    size_set(object, "hugetlb_bytes", report->hugetlb);
    size_set(object, "hugetlb_free_bytes", report->hugetlb_free);
    json_object_set_array_member(object, "tasks", tasks_to_json(report->tasks, task_to_json));
    json_object_set_object_member(object, "parts", parts_to_json(&report->parts));
    /* of parts' qemu_bytes: at most, and at least */
    size_set(object, "guest_bytes", report->parts.guest);
    size_set(object, "qemu_own_bytes", report->parts.guest.is_known ? report->parts.qemu : unknown);
    json_object_set_object_member(object, "blame", blame_to_json(&report->blame));
    json_object_set_array_member(object, "chain", tasks_to_json(report->victims, victim_to_json));
    json_object_set_array_member(object, "before",
                                 json_array_new()); /* a log knows nothing of it */
    json_object_set_boolean_member(object, "complete", report->is_complete);
    return object;
}
