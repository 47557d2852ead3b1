/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scenario-reader.h"

#include <string.h>

#include "units.h"

/* The statement as told, for whoever reads that it failed. */
static char *
words_join(const Reader *reader)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < reader->n_words; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "", reader->words[i].text);
    return units_printable(text->str, (gssize)text->len);
}

static bool
begins_span(const char *word)
{
    return !word || strcmp(word, "from") == 0 || strcmp(word, "to") == 0 ||
           strcmp(word, "always") == 0;
}

static bool
verdict_read(Reader *reader, ScenarioExpectation *expectation)
{
    const char *word = reader_take(reader);

    if (!word)
        return reader_fail(reader, NULL, "expect WHO must go on with a state");
    if (!state_from_name(word, &expectation->state))
        return reader_fail(reader, word, "is not a state: ok, unknown, suspect and frozen are");
    if (begins_span(reader_peek(reader)))
        return true;
    word = reader_take(reader);
    if (!layer_from_name(word, &expectation->layer))
        return reader_fail(reader, word, "is not a layer");
    expectation->has_layer = true;
    if (begins_span(reader_peek(reader)))
        return true;
    word = reader_take(reader);
    expectation->cause = fact_decode(word);
    return expectation->cause ? true : reader_fail(reader, word, "has a broken escape");
}

static bool
span_read(Reader *reader, ScenarioExpectation *expectation)
{
    bool has_from = false, has_to = false;

    expectation->to_us = -1;
    if (reader_take_if(reader, "always")) {
        has_from = true;
        expectation->from_us = 0;
    } else if (reader_take_if(reader, "from")) {
        has_from = true;
        if (!reader_take_time(reader, &expectation->from_us))
            return false;
    }
    if (reader_take_if(reader, "to")) {
        has_to = true;
        if (!reader_take_time(reader, &expectation->to_us))
            return false;
    }
    if (!has_from)
        expectation->from_us = has_to || expectation->is_never ? 0 : -1;
    if (has_to && expectation->to_us < expectation->from_us)
        return reader_fail(reader, NULL, "the span ends before it begins");
    if (reader_peek(reader))
        return reader_fail(reader, reader_take(reader), "is too much: the line was complete");
    return true;
}

bool
reader_read_expect(Reader *reader)
{
    GArray *expectations = reader->scenario->expectations;
    ScenarioExpectation *expectation;
    const char *who = reader_take(reader);

    if (!who)
        return reader_fail(reader, NULL, "expect must go on with vm or the name of a disk");
    g_array_set_size(expectations, expectations->len + 1);
    expectation = &g_array_index(expectations, ScenarioExpectation, expectations->len - 1);
    *expectation = (ScenarioExpectation){.line = reader->line, .text = words_join(reader)};
    if (strcmp(who, "vm") != 0) {
        expectation->disk = fact_decode(who);
        if (!expectation->disk)
            return reader_fail(reader, who, "has a broken escape");
    }
    expectation->is_never = reader_take_if(reader, "never");
    return verdict_read(reader, expectation) && span_read(reader, expectation);
}

bool
reader_resolve(Reader *reader)
{
    GArray *expectations = reader->scenario->expectations;

    for (guint i = 0; i < expectations->len; i++) {
        ScenarioExpectation *expectation = &g_array_index(expectations, ScenarioExpectation, i);
        gpointer index;

        if (!expectation->disk)
            continue;
        index = g_hash_table_lookup(reader->disks, expectation->disk);
        if (!index) {
            reader->line = expectation->line;
            return reader_fail(reader, expectation->disk, "is not a disk of this story");
        }
        g_free(expectation->disk);
        expectation->disk =
            g_strdup(reader->scenario->disk_ids->pdata[GPOINTER_TO_UINT(index) - 1]);
    }
    return true;
}
