/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scenario-steps.h"

#include <string.h>

typedef struct {
    char *id;
    char *name; /* as written, escapes and all */
    DiskFacts facts;
} ToldDisk;

/* Keeps in `state` and `disks` what the reader of the text so far would have: then what differs
 * from them is what is to be written. */
struct ScenarioWriter {
    GString *text;
    GStringChunk *strings;
    gint64 start_us, last_us;
    bool has_first;
    char *vm_name;
    Sample state;
    GPtrArray *disks;  /* of ToldDisk, owned */
    GHashTable *by_id; /* -> ToldDisk */
    GHashTable *names; /* taken */
};

static void
told_disk_free(gpointer data)
{
    ToldDisk *told = data;

    g_free(told->id);
    g_free(told->name);
    g_free(told);
}

ScenarioWriter *
scenario_writer_new(const char *vm_name)
{
    ScenarioWriter *writer = g_new0(ScenarioWriter, 1);
    g_autoptr(GString) name = g_string_new(NULL);

    fact_encode(vm_name && *vm_name ? vm_name : "vm", name);
    writer->vm_name = g_strdup(name->str);
    writer->text = g_string_new(NULL);
    writer->strings = g_string_chunk_new(256);
    writer->disks = g_ptr_array_new_with_free_func(told_disk_free);
    writer->by_id = g_hash_table_new(g_str_hash, g_str_equal);
    writer->names = g_hash_table_new(g_str_hash, g_str_equal);
    scenario_state_init(&writer->state);
    return writer;
}

void
scenario_writer_free(ScenarioWriter *writer)
{
    g_hash_table_unref(writer->names);
    g_hash_table_unref(writer->by_id);
    g_ptr_array_unref(writer->disks);
    g_string_chunk_free(writer->strings);
    g_string_free(writer->text, TRUE);
    g_free(writer->vm_name);
    g_free(writer);
}

const char *
scenario_writer_text(const ScenarioWriter *writer)
{
    return writer->text->str;
}

static void
fact_write(ScenarioWriter *writer, const Fact *fact, void *state, const void *record)
{
    const char *text = fact_text(fact, record);
    FactValue value = {.is_unknown = !fact_is_known(fact, record),
                       .number = fact_number(fact, record),
                       .text = text ? g_string_chunk_insert_const(writer->strings, text) : NULL};

    g_string_append_printf(writer->text, " %s=", fact->name);
    fact_format(fact, record, writer->text);
    (void)fact_store(fact, &value, 1, state);
}

/* A disk's facts go on a line of their own, which begins with its name. */
static void
facts_write(ScenarioWriter *writer, FactScope scope, const char *disk_name, void *state,
            const void *record)
{
    guint n_facts;
    const Fact *facts = fact_table(scope, &n_facts);
    bool is_first = true;

    for (guint i = 0; i < n_facts; i++) {
        if (fact_equals(&facts[i], state, record))
            continue;
        if (is_first && disk_name)
            g_string_append_printf(writer->text, "\n    %s", disk_name);
        is_first = false;
        fact_write(writer, &facts[i], state, record);
    }
}

/* A name that no other disk has, encoded; words of the format's own are escaped. */
static char *
name_choose(ScenarioWriter *writer, const DiskSample *disk)
{
    const char *label = disk->label && *disk->label ? disk->label : disk->id;
    g_autoptr(GString) name = g_string_new(NULL);
    gsize length;

    fact_encode(label && *label ? label : "disk", name);
    if (strcmp(name->str, "vm") == 0 || strcmp(name->str, "per") == 0) {
        char first = name->str[0];

        g_string_truncate(name, 0);
        g_string_append_printf(name, "\\x%02x%s", (guint8)first, label + 1);
    }
    length = name->len;
    for (guint n = 2; g_hash_table_contains(writer->names, name->str); n++) {
        g_string_truncate(name, length);
        g_string_append_printf(name, "~%u", n);
    }
    return g_strdup(name->str);
}

/* Writes the disk's own line, with the facts that seldom change. */
static void
disk_tell(ScenarioWriter *writer, const DiskSample *disk)
{
    ToldDisk *told = g_new0(ToldDisk, 1);
    DiskFacts record = {.disk = *disk, .is_present = true};
    g_autofree char *decoded = NULL;
    guint n_facts;
    const Fact *facts = fact_table(FACT_OF_DISK, &n_facts);

    told->id = g_strdup(disk->id);
    told->name = name_choose(writer, disk);
    told->facts.is_present = true;
    g_ptr_array_add(writer->disks, told);
    g_hash_table_add(writer->names, told->name);
    g_hash_table_insert(writer->by_id, told->id, told);
    g_string_append_printf(writer->text, "disk %s", told->name);
    decoded = fact_decode(told->name);
    if (g_strcmp0(told->id, decoded) != 0) {
        g_string_append(writer->text, " id=");
        fact_encode(told->id, writer->text);
    }
    for (guint i = 0; i < n_facts; i++)
        if (facts[i].kind == FACT_TEXT && !fact_equals(&facts[i], &told->facts, &record))
            fact_write(writer, &facts[i], &told->facts, &record);
    g_string_append_c(writer->text, '\n');
}

/* What the format can say of the VM: times within its range, boottime as what it is ahead. */
static Sample
sample_tellable(const Sample *sample)
{
    Sample told = *sample;

    told.boottime_us = CLAMP(sample->boottime_us - sample->now_us, 0, FACT_TIME_MAX_US);
    told.period_us = CLAMP(sample->period_us, 0, FACT_TIME_MAX_US);
    told.waited_us = CLAMP(sample->waited_us, 0, FACT_TIME_MAX_US);
    told.age_us = CLAMP(sample->age_us, -1, FACT_TIME_MAX_US);
    return told;
}

static void
disks_tell(ScenarioWriter *writer, const Sample *sample)
{
    for (guint i = 0; i < sample->n_disks; i++) {
        const char *id = sample->disks[i].id;

        if (id && writer->disks->len < SCENARIO_DISKS_MAX &&
            !g_hash_table_contains(writer->by_id, id))
            disk_tell(writer, &sample->disks[i]);
    }
}

static void
disks_write(ScenarioWriter *writer, const Sample *sample)
{
    for (guint i = 0; i < writer->disks->len; i++) {
        ToldDisk *told = writer->disks->pdata[i];
        const DiskSample *disk = sample_find_disk(sample, told->id);
        DiskFacts record = told->facts;

        record.is_present = disk != NULL;
        if (disk)
            record.disk = *disk;
        facts_write(writer, FACT_OF_DISK, told->name, &told->facts, &record);
    }
}

void
scenario_writer_add(ScenarioWriter *writer, const Sample *sample)
{
    Sample told = sample_tellable(sample);

    if (sample->now_us < 0 || sample->now_us > FACT_TIME_MAX_US ||
        (writer->has_first && sample->now_us <= writer->last_us))
        return;
    if (!writer->has_first) {
        writer->start_us = writer->last_us = sample->now_us;
        g_string_append_printf(writer->text, "scenario 1\nvm %s clock=", writer->vm_name);
        fact_format_time_ns((guint64)sample->now_us * 1000, writer->text);
        g_string_append_c(writer->text, '\n');
        writer->has_first = true;
    }
    if (sample->has_disks)
        disks_tell(writer, sample);
    g_string_append(writer->text, "at ");
    fact_format_time_ns((guint64)(sample->now_us - writer->start_us) * 1000, writer->text);
    scenario_state_advance(&writer->state, sample->now_us - writer->last_us);
    writer->last_us = sample->now_us;
    facts_write(writer, FACT_OF_VM, NULL, &writer->state, &told);
    if (sample->has_disks)
        disks_write(writer, sample);
    g_string_append_c(writer->text, '\n');
}
