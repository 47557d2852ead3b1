/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The scenario format, version 1.
 *
 *   scenario 1
 *   vm demo period=2s socket=own
 *   disk virtio0 driver=virtio-blk storage=nbd:/run/a.sock bps=0 iops=0
 *   at 0s run=running monitor=answered waited=1ms process=S age=1h
 *       virtio0 wr=10 wr_bytes=640Ki time=12ms inflight=0 used=20
 *   at 2s virtio0 wr=+1 used=+2            # one more write than at 0s
 *   hold 30d every 2s per 1h virtio0 wr=+1 # 30 quiet days with one write an hour
 *   at +2s virtio0 inflight=1              # two seconds after the last sample
 *   expect vm ok always
 *   expect virtio0 never frozen
 *
 * Lines are UTF-8, at most 64 KiB long. A line that begins with a blank goes on with the one above;
 * "#" at the beginning of a word starts a comment. The first line is "scenario 1".
 *
 *   vm NAME [clock=TIME] FACT...    at most once, before the first sample. clock is CLOCK_MONOTONIC
 *                                   at scenario time 0; told nothing, the host is up for one day.
 *   disk NAME [id=TEXT] FACT...     once for each disk, before it is used; in the next sample it is
 *                                   there. NAME is its label, and its identity without id.
 *   at TIME | at +TIME  CHANGES     one sample, later than the one before
 *   hold TIME every TIME [per TIME] CHANGES
 *                                   samples for that long, after the last one. The changes are made
 *                                   at each sample, or each time another `per` has gone by.
 *   expect WHO [never] STATE [LAYER [CAUSE]] [SPAN]
 *                                   WHO is vm or a disk. SPAN: from TIME, to TIME, both, or always.
 *                                   A verdict holds until the next sample; in the whole span it
 *                                   must be this one, or (never) must not be. Without a span the
 *                                   last sample is meant, and with never the whole story.
 *
 * CHANGES are facts, of the VM first and, after the name of a disk, of that disk ("vm" leads back).
 * A fact is name=value. Not mentioned, it keeps its last value; age alone grows with the time.
 * "?" makes it unknown, and with it the facts that are only known together: rd wr flush unmap
 * rd_bytes wr_bytes time failed; bps iops; inflight used shared; and so on. +N adds to the last
 * value. Before it is told, a number is unknown or 0, the period is 2 s, and disks=yes. With
 * disks=no (query-blockstats gave nothing) the sample carries no disk at all.
 *
 * Times are digits, perhaps with a fraction, and ns, us, ms, s, m, h or d; sizes are as in units.h;
 * in names and texts a byte may be written \xNN. The names of the facts are the rows of fact.c. */

#include "scenario-reader.h"

#include <string.h>

#include "units.h"

#define VERSION_WORD "1"
#define LINE_LENGTH_MAX (64 * 1024)
/* No time stamp of a story is 0, which is no moment to the judges. */
#define DEFAULT_START_US (G_GINT64_CONSTANT(86400) * G_USEC_PER_SEC)

bool
reader_fail(Reader *reader, const char *word, const char *phrase)
{
    g_autofree char *printable = word ? units_printable(word, -1) : NULL;

    g_free(reader->error);
    reader->error = word ? g_strdup_printf("line %u: \"%s\" %s", reader->line, printable, phrase)
                         : g_strdup_printf("line %u: %s", reader->line, phrase);
    return false;
}

const char *
reader_peek(const Reader *reader)
{
    return reader->next < reader->n_words ? reader->words[reader->next].text : NULL;
}

const char *
reader_take(Reader *reader)
{
    const char *word = reader_peek(reader);

    if (word)
        reader->line = reader->words[reader->next++].line;
    return word;
}

bool
reader_take_if(Reader *reader, const char *expected)
{
    if (g_strcmp0(reader_peek(reader), expected) != 0)
        return false;
    reader_take(reader);
    return true;
}

bool
reader_take_time(Reader *reader, gint64 *ret_us)
{
    const char *word = reader_take(reader);
    const char *wrong;

    if (!word)
        return reader_fail(reader, NULL, "a time is missing at the end");
    wrong = fact_parse_time_us(word, ret_us);
    return wrong ? reader_fail(reader, word, wrong) : true;
}

static bool
statement_read(Reader *reader)
{
    static const struct {
        const char *keyword;
        bool (*read)(Reader *reader);
    } statements[] = {
        {"vm", reader_read_vm},     {"disk", reader_read_disk},     {"at", reader_read_at},
        {"hold", reader_read_hold}, {"expect", reader_read_expect},
    };
    const char *keyword = reader_take(reader);

    if (!reader->has_header) {
        if (strcmp(keyword, "scenario") != 0)
            return reader_fail(reader, NULL, "the first line must be \"scenario 1\"");
        if (!reader_take_if(reader, VERSION_WORD) || reader_peek(reader))
            return reader_fail(reader, NULL, "only \"scenario 1\" can be read");
        reader->has_header = true;
        return true;
    }
    for (guint i = 0; i < G_N_ELEMENTS(statements); i++)
        if (strcmp(keyword, statements[i].keyword) == 0)
            return statements[i].read(reader);
    return reader_fail(reader, keyword, "begins no line: vm, disk, at, hold and expect do");
}

/* Reads the words gathered so far, if any, as one statement. */
static bool
statement_end(Reader *reader, GArray *words)
{
    bool is_fine = true;

    if (words->len > 0) {
        reader->words = (const Word *)(const void *)words->data;
        reader->n_words = words->len;
        reader->next = 0;
        is_fine = statement_read(reader);
    }
    g_array_set_size(words, 0);
    return is_fine;
}

/* Cuts the line into words, in place. */
static void
line_split(char *line, guint number, GArray *words)
{
    static const char blanks[] = " \t\r";
    char *at = line + strspn(line, blanks);

    while (*at && *at != '#') {
        Word word = {.text = at, .line = number};
        char *end = at + strcspn(at, blanks);

        at = end + strspn(end, blanks);
        *end = '\0';
        g_array_append_val(words, word);
    }
}

static bool
line_read(Reader *reader, char *line, guint number, GArray *words)
{
    bool goes_on = *line == ' ' || *line == '\t';
    gsize indent = strspn(line, " \t\r");

    if (line[indent] == '\0' || line[indent] == '#')
        return true;
    if (!goes_on && !statement_end(reader, words))
        return false;
    reader->line = number;
    if (goes_on && words->len == 0)
        return reader_fail(reader, NULL, "begins with a blank, and there is no line to go on with");
    line_split(line, number, words);
    return true;
}

static bool
text_read(Reader *reader, char *text, gsize length)
{
    g_autoptr(GArray) words = g_array_new(FALSE, FALSE, sizeof(Word));
    guint number = 0;

    for (gsize start = 0; start < length; number++) {
        char *end = memchr(text + start, '\n', length - start);
        gsize line_length = end ? (gsize)(end - text) - start : length - start;

        reader->line = number + 1;
        if (line_length > LINE_LENGTH_MAX)
            return reader_fail(reader, NULL, "is longer than 64 KiB");
        if (!g_utf8_validate(text + start, (gssize)line_length, NULL))
            return reader_fail(reader, NULL, "is not UTF-8 text");
        text[start + line_length] = '\0';
        if (!line_read(reader, text + start, number + 1, words))
            return false;
        start += line_length + 1;
    }
    if (!statement_end(reader, words))
        return false;
    reader->line = number;
    if (!reader->has_header)
        return reader_fail(reader, NULL, "the file tells nothing, not even \"scenario 1\"");
    return reader_resolve(reader);
}

static void
change_clear(gpointer data)
{
    ScenarioChange *change = data;

    g_free(change->value.text);
}

static void
expectation_clear(gpointer data)
{
    ScenarioExpectation *expectation = data;

    g_free(expectation->disk);
    g_free(expectation->cause);
    g_free(expectation->text);
}

static Scenario *
scenario_new(void)
{
    Scenario *scenario = g_new0(Scenario, 1);

    scenario->name = g_strdup("vm");
    scenario->start_us = DEFAULT_START_US;
    scenario->disk_names = g_ptr_array_new_with_free_func(g_free);
    scenario->disk_ids = g_ptr_array_new_with_free_func(g_free);
    scenario->changes = g_array_new(FALSE, FALSE, sizeof(ScenarioChange));
    g_array_set_clear_func(scenario->changes, change_clear);
    scenario->steps = g_array_new(FALSE, FALSE, sizeof(ScenarioStep));
    scenario->expectations = g_array_new(FALSE, FALSE, sizeof(ScenarioExpectation));
    g_array_set_clear_func(scenario->expectations, expectation_clear);
    return scenario;
}

Scenario *
scenario_parse(const char *text, gsize length, char **ret_error)
{
    g_autoptr(Scenario) scenario = scenario_new();
    g_autofree char *copy = g_malloc(length + 1);
    Reader reader = {.scenario = scenario, .last_us = -1};
    bool is_fine;

    memcpy(copy, text, length);
    copy[length] = '\0';
    scenario_state_init(&reader.state);
    reader.disks = g_hash_table_new(g_str_hash, g_str_equal);
    reader.states = g_array_new(FALSE, TRUE, sizeof(DiskFacts));
    is_fine = text_read(&reader, copy, length);
    g_hash_table_unref(reader.disks);
    g_array_unref(reader.states);
    if (!is_fine) {
        *ret_error = reader.error;
        return NULL;
    }
    scenario_rewind(scenario);
    return g_steal_pointer(&scenario);
}

void
scenario_free(Scenario *scenario)
{
    g_free(scenario->name);
    g_ptr_array_unref(scenario->disk_names);
    g_ptr_array_unref(scenario->disk_ids);
    g_array_unref(scenario->changes);
    g_array_unref(scenario->steps);
    g_array_unref(scenario->expectations);
    g_free(scenario->states);
    g_free(scenario->sample.disks);
    g_free(scenario);
}

const GArray *
scenario_expectations(const Scenario *scenario)
{
    return scenario->expectations;
}

const char *
scenario_name(const Scenario *scenario)
{
    return scenario->name;
}

gint64
scenario_start_us(const Scenario *scenario)
{
    return scenario->start_us;
}
