/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scenario-reader.h"

#include <string.h>

/* 231 days at the shortest default period: a longer story is a slip of the pen. */
#define SAMPLES_MAX G_GUINT64_CONSTANT(10000000)

static void *
record_find(Reader *reader, guint disk)
{
    return disk == SCENARIO_OF_VM ? (void *)&reader->state
                                  : (void *)&g_array_index(reader->states, DiskFacts, disk);
}

/* Splits "name=value"; NULL for a word that is no fact. */
static char *
fact_word_split(const char *word, const char **ret_value)
{
    const char *equals = strchr(word, '=');

    if (!equals)
        return NULL;
    *ret_value = equals + 1;
    return g_strndup(word, (gsize)(equals - word));
}

/* Takes one fact over and makes it in the reader's own state as often as the player will. */
static bool
fact_word_read(Reader *reader, const char *word, guint disk, guint64 repeats)
{
    const char *text = NULL, *wrong;
    g_autofree char *name = fact_word_split(word, &text);
    ScenarioChange change = {.disk = disk};

    change.fact = fact_find(disk == SCENARIO_OF_VM ? FACT_OF_VM : FACT_OF_DISK, name);
    if (!change.fact)
        return reader_fail(reader, name,
                           disk == SCENARIO_OF_VM ? "is an unknown fact of a VM"
                                                  : "is an unknown fact of a disk");
    wrong = fact_parse(change.fact, text, &change.value);
    if (wrong)
        return reader_fail(reader, word, wrong);
    g_array_append_val(reader->scenario->changes, change);
    wrong = fact_store(change.fact, &change.value, repeats, record_find(reader, disk));
    return wrong ? reader_fail(reader, word, wrong) : true;
}

static bool
subject_read(Reader *reader, const char *word, guint *ret_disk)
{
    g_autofree char *name = fact_decode(word);
    gpointer index;

    if (strcmp(word, "vm") == 0) {
        *ret_disk = SCENARIO_OF_VM;
        return true;
    }
    index = name ? g_hash_table_lookup(reader->disks, name) : NULL;
    if (!index)
        return reader_fail(reader, word, "is neither a fact nor a disk told of above");
    *ret_disk = GPOINTER_TO_UINT(index) - 1;
    return true;
}

/* The words after the times of "at" and "hold". */
static bool
changes_read(Reader *reader, guint64 repeats)
{
    guint disk = SCENARIO_OF_VM;

    for (const char *word = reader_take(reader); word; word = reader_take(reader)) {
        bool is_fact = strchr(word, '=') != NULL;

        if (is_fact && !fact_word_read(reader, word, disk, repeats))
            return false;
        if (!is_fact && !subject_read(reader, word, &disk))
            return false;
    }
    return true;
}

/* The words of "vm" and "disk": facts that begin something, so none can add. */
static bool
first_facts_read(Reader *reader, guint disk)
{
    for (const char *word = reader_take(reader); word; word = reader_take(reader)) {
        if (!strchr(word, '='))
            return reader_fail(reader, word, "is not of the form fact=value");
        if (strstr(word, "=+"))
            return reader_fail(reader, word, "adds to nothing: only at and hold add");
        if (!fact_word_read(reader, word, disk, 1))
            return false;
    }
    return true;
}

/* Takes "key=TEXT" if it stands next; *ret_text is then a new string, else untouched. */
static bool
attribute_read(Reader *reader, const char *key, char **ret_text)
{
    const char *word = reader_peek(reader), *text = NULL;
    g_autofree char *name = word ? fact_word_split(word, &text) : NULL;

    if (g_strcmp0(name, key) != 0)
        return true;
    reader_take(reader);
    *ret_text = fact_decode(text);
    return *ret_text ? true : reader_fail(reader, word, "has a broken escape");
}

static bool
name_read(Reader *reader, char **ret_name)
{
    const char *word = reader_take(reader);

    if (!word || strchr(word, '='))
        return reader_fail(reader, word, "a name is missing");
    *ret_name = fact_decode(word);
    return *ret_name ? true : reader_fail(reader, word, "has a broken escape");
}

bool
reader_read_vm(Reader *reader)
{
    Scenario *scenario = reader->scenario;
    g_autofree char *name = NULL, *clock = NULL;
    const char *wrong;

    if (reader->has_vm || reader->last_us >= 0)
        return reader_fail(reader, NULL, "the vm line stands once, before the first sample");
    reader->has_vm = true;
    if (!name_read(reader, &name) || !attribute_read(reader, "clock", &clock))
        return false;
    wrong = clock ? fact_parse_time_us(clock, &scenario->start_us) : NULL;
    if (wrong)
        return reader_fail(reader, clock, wrong);
    g_free(scenario->name);
    scenario->name = g_steal_pointer(&name);
    return first_facts_read(reader, SCENARIO_OF_VM);
}

bool
reader_read_disk(Reader *reader)
{
    Scenario *scenario = reader->scenario;
    g_autofree char *name = NULL, *id = NULL;
    guint disk = reader->states->len;
    DiskFacts none = {0};

    if (disk == SCENARIO_DISKS_MAX)
        return reader_fail(reader, NULL, "more than 1024 disks");
    if (g_strcmp0(reader_peek(reader), "vm") == 0 || g_strcmp0(reader_peek(reader), "per") == 0)
        return reader_fail(reader, reader_peek(reader), "is a word of its own, not a disk's name");
    if (!name_read(reader, &name) || !attribute_read(reader, "id", &id))
        return false;
    if (!id)
        id = g_strdup(name);
    if (g_hash_table_contains(reader->disks, name))
        return reader_fail(reader, name, "is told of twice: a disk has one disk line");
    if (g_ptr_array_find_with_equal_func(scenario->disk_ids, id, g_str_equal, NULL))
        return reader_fail(reader, id, "is the id of a disk told of above");
    g_hash_table_insert(reader->disks, name, GUINT_TO_POINTER(disk + 1));
    g_ptr_array_add(scenario->disk_names, g_steal_pointer(&name));
    g_ptr_array_add(scenario->disk_ids, g_steal_pointer(&id));
    g_array_append_val(reader->states, none);
    return fact_word_read(reader, "present=yes", disk, 1) && first_facts_read(reader, disk);
}

/* Opens the step: what vm and disk lines said since the last one is made once, at its beginning. */
static ScenarioStep
step_begin(Reader *reader)
{
    return (ScenarioStep){.first_change = reader->n_used,
                          .n_once = reader->scenario->changes->len - reader->n_used};
}

static bool
step_end(Reader *reader, ScenarioStep step)
{
    gint64 end_us = step.first_us + (gint64)(step.n_samples - 1) * step.every_us;
    guint64 repeats = scenario_step_repeats(&step, step.n_samples);

    if (end_us > FACT_TIME_MAX_US)
        return reader_fail(reader, NULL, "ends after more than a hundred years");
    if (step.n_samples > SAMPLES_MAX - reader->n_samples)
        return reader_fail(reader, NULL, "makes more than 10 million samples");
    if (reader->last_us >= 0)
        scenario_state_advance(&reader->state, end_us - reader->last_us);
    reader->last_us = end_us;
    reader->n_samples += step.n_samples;
    if (!changes_read(reader, repeats))
        return false;
    step.n_changes = reader->scenario->changes->len - step.first_change - step.n_once;
    reader->n_used = reader->scenario->changes->len;
    g_array_append_val(reader->scenario->steps, step);
    return true;
}

bool
reader_read_at(Reader *reader)
{
    ScenarioStep step = step_begin(reader);
    const char *word = reader_take(reader);
    bool is_relative = word && *word == '+';
    const char *wrong = word ? fact_parse_time_us(word + is_relative, &step.first_us)
                             : "a time is missing at the end";

    if (wrong)
        return reader_fail(reader, word, wrong);
    if (is_relative && reader->last_us < 0)
        return reader_fail(reader, word, "is relative to a sample, and there is none yet");
    if (is_relative)
        step.first_us += reader->last_us;
    if (step.first_us <= reader->last_us)
        return reader_fail(reader, word, "is not later than the sample before");
    step.n_samples = 1;
    return step_end(reader, step);
}

bool
reader_read_hold(Reader *reader)
{
    ScenarioStep step = step_begin(reader);
    gint64 duration_us;

    if (reader->last_us < 0)
        return reader_fail(reader, NULL, "there is no sample yet that could be held");
    if (!reader_take_time(reader, &duration_us))
        return false;
    if (!reader_take_if(reader, "every"))
        return reader_fail(reader, NULL, "hold TIME must go on with every TIME");
    if (!reader_take_time(reader, &step.every_us))
        return false;
    if (step.every_us == 0 || step.every_us > duration_us)
        return reader_fail(reader, NULL, "holds for no sample");
    if (reader_take_if(reader, "per")) {
        if (!reader_take_time(reader, &step.per_us))
            return false;
        if (step.per_us < step.every_us || step.per_us > duration_us)
            return reader_fail(reader, NULL, "per TIME must lie between the other two times");
    }
    step.first_us = reader->last_us + step.every_us;
    step.n_samples = (guint64)(duration_us / step.every_us);
    return step_end(reader, step);
}
