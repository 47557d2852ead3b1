/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-record.h"

#include "cgroup.h"
#include "message.h"
#include "units.h"

#include <string.h>

static const char *const state_words[ACT_N_STATES] = {
    [ACT_INTENDED] = "intended", [ACT_APPLIED] = "applied", [ACT_FAILED] = "failed",
    [ACT_NOT_DONE] = "not-done", [ACT_UNDONE] = "undone",   [ACT_OVER] = "over",
};

/* Every text of a record, in the order of the file. */
static const struct {
    const char *name;
    gsize offset;
    bool is_needed;
} texts[] = {
    {"boot_id", G_STRUCT_OFFSET(ActRecord, boot_id), true},
    {"vm", G_STRUCT_OFFSET(ActRecord, subject.vm), true},
    {"id", G_STRUCT_OFFSET(ActRecord, subject.id), false},
    {"uuid", G_STRUCT_OFFSET(ActRecord, subject.uuid), false},
    {"kind", G_STRUCT_OFFSET(ActRecord, kind), true},
    {"means", G_STRUCT_OFFSET(ActRecord, means), true},
    {"where", G_STRUCT_OFFSET(ActRecord, where), true},
    {"field", G_STRUCT_OFFSET(ActRecord, field), true},
    {"old", G_STRUCT_OFFSET(ActRecord, old_value), true},
    {"new", G_STRUCT_OFFSET(ActRecord, new_value), true},
    {"undo", G_STRUCT_OFFSET(ActRecord, undo_value), true},
    {"why", G_STRUCT_OFFSET(ActRecord, why), false},
    {"by", G_STRUCT_OFFSET(ActRecord, by), false},
    {"undoes", G_STRUCT_OFFSET(ActRecord, undoes), false},
    {"read_back", G_STRUCT_OFFSET(ActRecord, read_back), false},
    {"problem", G_STRUCT_OFFSET(ActRecord, problem), false},
};

#define TEXT_OF(record, i) G_STRUCT_MEMBER(char *, record, texts[i].offset)

const char *
act_state_name(ActState state)
{
    return (guint)state < ACT_N_STATES ? state_words[state] : "unknown";
}

ActRecord *
act_record_new(const Vm *vm, const char *kind, const char *means)
{
    ActRecord *record = g_new0(ActRecord, 1);

    record->subject = (ActSubject){.vm = g_strdup(vm->name),
                                   .id = g_strdup(vm->id),
                                   .uuid = g_strdup(vm->uuid),
                                   .pid = proc_pid(vm->proc),
                                   .start_ticks = proc_start_ticks(vm->proc)};
    record->kind = g_strdup(kind);
    record->means = g_strdup(means);
    return record;
}

ActRecord *
act_record_undo(const ActRecord *record)
{
    ActRecord *undo = g_new0(ActRecord, 1);

    undo->subject = (ActSubject){.vm = g_strdup(record->subject.vm),
                                 .id = g_strdup(record->subject.id),
                                 .uuid = g_strdup(record->subject.uuid),
                                 .pid = record->subject.pid,
                                 .start_ticks = record->subject.start_ticks};
    undo->kind = g_strdup(record->kind);
    undo->means = g_strdup(record->means);
    undo->where = g_strdup(record->where);
    undo->field = g_strdup(record->field);
    undo->group_id = record->group_id;
    undo->old_value = g_strdup(record->new_value);
    undo->new_value = g_strdup(record->undo_value);
    undo->undo_value = g_strdup(record->new_value);
    undo->undoes = g_strdup(record->name);
    return undo;
}

void
act_record_free(ActRecord *record)
{
    if (!record)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(TEXT_OF(record, i));
    g_free(record->name);
    g_free(record);
}

static void
step_free(gpointer record)
{
    act_record_free(record);
}

GPtrArray *
act_steps_new(void)
{
    return g_ptr_array_new_with_free_func(step_free);
}

char *
act_value_words(const char *field, const char *value)
{
    bool is_size = !strstr(field, "oom");
    guint64 bytes;

    if (!value)
        return NULL;
    return is_size && cgroup_parse_bytes(value, &bytes) ? units_format_size(bytes)
                                                        : units_printable(value, -1);
}

char *
act_where_words(const char *means, const char *where)
{
    if (where && g_strcmp0(means, "process") == 0)
        return g_strdup_printf("process %.*s", (int)strcspn(where, ":"), where);
    return where ? units_printable_path(where) : NULL;
}

bool
act_record_is_of(const ActRecord *record, pid_t pid, guint64 start_ticks)
{
    return record->subject.pid == pid && record->subject.start_ticks == start_ticks;
}

static void
add_number(JsonBuilder *builder, const char *name, guint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)MIN(value, (guint64)G_MAXINT64));
}

static JsonNode *
record_node(const ActRecord *record)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    add_number(builder, "version", ACT_RECORD_VERSION);
    json_builder_set_member_name(builder, "state");
    json_builder_add_string_value(builder, act_state_name(record->state));
    add_number(builder, "realtime_us", (guint64)MAX(record->realtime_us, 0));
    add_number(builder, "boottime_us", (guint64)MAX(record->boottime_us, 0));
    add_number(builder, "pid", (guint64)MAX(record->subject.pid, 0));
    add_number(builder, "start_ticks", record->subject.start_ticks);
    add_number(builder, "group_id", record->group_id);
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (!TEXT_OF(record, i))
            continue;
        json_builder_set_member_name(builder, texts[i].name);
        json_builder_add_string_value(builder, TEXT_OF(record, i));
    }
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}

char *
act_record_print(const ActRecord *record, GError **error)
{
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *text = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        const char *word = TEXT_OF(record, i);

        if (word ? g_utf8_validate(word, -1, NULL) : !texts[i].is_needed)
            continue;
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                    "its record's \"%s\" %s: what cannot be written down is not done",
                    texts[i].name, word ? "is no text" : "is missing");
        return NULL;
    }
    node = record_node(record);
    text = json_to_string(node, FALSE);
    if (strlen(text) >= ACT_RECORD_BYTES_MAX) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                    "its record would be longer than %d bytes", ACT_RECORD_BYTES_MAX);
        return NULL;
    }
    return g_steal_pointer(&text);
}

static bool
fail_malformed(GError **error, const char *name, const char *what)
{
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "act record %s: %s", name, what);
    return false;
}

static bool
state_parse(const char *word, ActState *ret_state)
{
    for (guint i = 0; word && i < ACT_N_STATES; i++) {
        if (strcmp(word, state_words[i]) != 0)
            continue;
        *ret_state = i;
        return true;
    }
    return false;
}

static bool
numbers_read(JsonObject *object, ActRecord *record)
{
    guint64 realtime, boottime, pid;

    if (!message_get_u64(object, "realtime_us", &realtime) ||
        !message_get_u64(object, "boottime_us", &boottime) ||
        !message_get_u64(object, "pid", &pid) || pid == 0 || pid > G_MAXINT32 ||
        !message_get_u64(object, "start_ticks", &record->subject.start_ticks) ||
        !message_get_u64(object, "group_id", &record->group_id))
        return false;
    record->realtime_us = (gint64)realtime;
    record->boottime_us = (gint64)boottime;
    record->subject.pid = (pid_t)pid;
    return true;
}

static bool
record_read(JsonObject *object, ActRecord *record, GError **error)
{
    guint64 version = 0;

    if (!message_get_u64(object, "version", &version) || version != ACT_RECORD_VERSION)
        return fail_malformed(error, record->name, "is of a version that is not known here");
    if (!state_parse(message_get_string(object, "state"), &record->state))
        return fail_malformed(error, record->name, "has no known state");
    if (!numbers_read(object, record))
        return fail_malformed(error, record->name, "lacks a number");
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        TEXT_OF(record, i) = g_strdup(message_get_string(object, texts[i].name));
        if (!TEXT_OF(record, i) && texts[i].is_needed)
            return fail_malformed(error, record->name, "lacks a text");
    }
    return true;
}

ActRecord *
act_record_parse(const char *name, const char *text, gsize length, GError **error)
{
    g_autoptr(ActRecord) record = g_new0(ActRecord, 1);
    g_autoptr(GError) problem = NULL;
    g_autoptr(JsonNode) node = message_parse_object(text, length, &problem);

    record->name = g_strdup(name);
    if (!node) {
        (void)fail_malformed(error, name, problem->message);
        return NULL;
    }
    if (!record_read(json_node_get_object(node), record, error))
        return NULL;
    return g_steal_pointer(&record);
}
