/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-journal.h"

#include "act-journal-file.h"
#include "units.h"

#include <string.h>
#include <unistd.h>

/* One small file and two fsyncs: a second on a bad day. What takes longer is not durable in time
 * for an act. */
#define WRITE_DEADLINE_US (10 * G_USEC_PER_SEC)
/* A whole page of files. */
#define READ_DEADLINE_US (10 * G_USEC_PER_SEC)
/* A write takes milliseconds; what lies there half-written for an hour was killed. */
#define STALE_S 3600

typedef struct {
    ActFileJob job; /* first: the child is given the call */
    ActJournal *journal;
    ActRecord *fresh; /* of act_journal_add(): it goes again when the write fails; borrowed */
    ActJournalDoneFunc done;
    gpointer data;
} Call;

struct ActJournal {
    const Host *host;
    Children *children;
    char *boot_id;
    GPtrArray *records; /* of ActRecord, owned */
    char *load_problem;
    guint n_named;
};

static char *
boot_id_read(const Host *host)
{
    char *text = host_read(host, HOST_PROC, "sys/kernel/random/boot_id", 256, NULL, NULL);

    return text ? g_strstrip(text) : g_strdup("unknown");
}

ActJournal *
act_journal_new(const Host *host, GMainContext *context)
{
    ActJournal *journal = g_new0(ActJournal, 1);

    journal->host = host;
    journal->children = children_new(context);
    journal->boot_id = boot_id_read(host);
    journal->records = act_steps_new();
    return journal;
}

void
act_journal_free(ActJournal *journal)
{
    if (!journal)
        return;
    children_free(journal->children);
    g_ptr_array_unref(journal->records);
    g_free(journal->load_problem);
    g_free(journal->boot_id);
    g_free(journal);
}

const GPtrArray *
act_journal_records(const ActJournal *journal)
{
    return journal->records;
}

ActRecord *
act_journal_find(const ActJournal *journal, const char *name)
{
    for (guint i = 0; name && i < journal->records->len; i++) {
        ActRecord *record = journal->records->pdata[i];

        if (strcmp(record->name, name) == 0)
            return record;
    }
    return NULL;
}

gint64
act_journal_now_us(const ActJournal *journal)
{
    return host_boottime_us(journal->host);
}

const char *
act_journal_boot_id(const ActJournal *journal)
{
    return journal->boot_id;
}

static Call *
call_new(ActJournal *journal, ActJournalDoneFunc done, gpointer data)
{
    Call *call = g_new0(Call, 1);

    call->journal = journal;
    call->done = done;
    call->data = data;
    call->job.root_fd = host_root_fd(journal->host, HOST_VAR);
    return call;
}

static void
call_end(Call *call, const char *problem)
{
    GPtrArray *records = call->journal->records;
    guint index;

    if (problem && call->fresh && g_ptr_array_find(records, call->fresh, &index))
        g_ptr_array_steal_index(records, index);
    else
        call->fresh = NULL;
    call->done(problem, call->data);
    act_record_free(call->fresh);
    g_free(call->job.file);
    g_free(call->job.text);
    g_free(call->job.drop);
    g_free(call);
}

static void
call_start(Call *call, ChildFunc run, ChildDoneFunc done, gint64 deadline_us)
{
    ChildCall child = {.run = run,
                       .done = done,
                       .data = call,
                       .keep_fds = {call->job.root_fd},
                       .deadline_us = deadline_us};

    if (!children_run(call->journal->children, &child))
        done(NULL, 0, call);
}

/* Writing. */

/* The oldest that nobody needs any more, when there are too many; NULL: none. It leaves the memory,
 * too. */
static char *
journal_drop(ActJournal *journal, const ActRecord *but)
{
    if (journal->records->len <= ACT_JOURNAL_KEEP)
        return NULL;
    for (guint i = 0; i < journal->records->len; i++) {
        const ActRecord *record = journal->records->pdata[i];
        char *file;

        if (record == but || record->state == ACT_INTENDED ||
            (record->state == ACT_APPLIED && !record->undoes))
            continue;
        file = g_strconcat(record->name, ACT_FILE_SUFFIX, NULL);
        g_ptr_array_remove_index(journal->records, i);
        return file;
    }
    return NULL;
}

static void
on_put(const char *answer, gsize length, gpointer data)
{
    if (!answer)
        call_end(data, "the state directory does not answer");
    else
        call_end(data, length > 0 ? answer : NULL);
}

static void
record_put(Call *call, const ActRecord *record)
{
    g_autoptr(GError) error = NULL;

    call->job.file = g_strconcat(record->name, ACT_FILE_SUFFIX, NULL);
    call->job.text = act_record_print(record, &error);
    if (call->job.text)
        call_start(call, act_file_put, on_put, WRITE_DEADLINE_US);
    else
        call_end(call, error->message);
}

void
act_journal_add(ActJournal *journal, ActRecord *record, ActJournalDoneFunc done, gpointer data)
{
    Call *call = call_new(journal, done, data);

    record->state = ACT_INTENDED;
    record->boot_id = g_strdup(journal->boot_id);
    record->realtime_us = host_realtime_us(journal->host);
    record->boottime_us = host_boottime_us(journal->host);
    /* sorts by time; nobody else has our process id in this instant */
    record->name = g_strdup_printf("%016" G_GINT64_FORMAT "-%06d-%06u", record->realtime_us,
                                   (int)getpid(), journal->n_named++);
    g_ptr_array_add(journal->records, record);
    call->fresh = record;
    record_put(call, record);
}

static void
text_set(char **text, const char *value)
{
    char *copy = g_strdup(value); /* value may be *text itself */

    g_free(*text);
    *text = copy;
}

void
act_journal_update(ActJournal *journal, ActRecord *record, ActState state, const char *read_back,
                   const char *problem, ActJournalDoneFunc done, gpointer data)
{
    Call *call = call_new(journal, done, data);

    record->state = state;
    text_set(&record->read_back, read_back);
    text_set(&record->problem, problem);
    call->job.drop = journal_drop(journal, record);
    record_put(call, record);
}

void
act_journal_take_back(ActJournal *journal, const ActRecord *record)
{
    ActRecord *undone = act_journal_find(journal, record->undoes);

    if (record->state == ACT_APPLIED && undone && undone->state == ACT_APPLIED)
        undone->state = ACT_UNDONE;
}

/* Reading. */

/* What somebody else wrote down of a record that we know, too. An intent is never news: the reader
 * may have been there before our own next word of it was. */
static void
record_follow(ActRecord *record, const ActRecord *news)
{
    if (news->state == ACT_INTENDED)
        return;
    record->state = news->state;
    text_set(&record->read_back, news->read_back);
    text_set(&record->problem, news->problem);
}

static gint
record_compare(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const ActRecord *const *)a)->name, (*(const ActRecord *const *)b)->name);
}

static void
journal_take(ActJournal *journal, const char *name, const char *text, gsize length)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ActRecord) record = act_record_parse(name, text, length, &error);
    ActRecord *known = act_journal_find(journal, name);

    if (!record) {
        if (!journal->load_problem)
            journal->load_problem = units_printable(error->message, -1);
        return;
    }
    if (known)
        record_follow(known, record);
    else
        g_ptr_array_add(journal->records, g_steal_pointer(&record));
}

/* One "<name> <length>\n<text>\n"; returns its length, 0 when there is none. */
static gsize
entry_take(Call *call, const char *answer, gsize left)
{
    const char *line_end = memchr(answer, '\n', left);
    char *end = NULL;
    gsize name_length, length, head;
    g_autofree char *name = NULL;

    if (!line_end)
        return 0;
    name_length = strcspn(answer, " \n");
    length = (gsize)g_ascii_strtoull(answer + name_length, &end, 10);
    head = (gsize)(line_end - answer) + 1;
    if (end != line_end || length >= left - head || name_length >= ACT_NAME_BYTES_MAX ||
        name_length <= strlen(ACT_FILE_SUFFIX))
        return 0;
    memcpy(call->job.cursor, answer, name_length);
    call->job.cursor[name_length] = '\0';
    name = g_strndup(answer, name_length - strlen(ACT_FILE_SUFFIX));
    journal_take(call->journal, name, answer + head, length);
    return head + length + 1;
}

static void
load_end(Call *call, const char *problem)
{
    g_autofree char *held = g_steal_pointer(&call->journal->load_problem);

    g_ptr_array_sort(call->journal->records, record_compare);
    call_end(call, problem ? problem : held);
}

static void
on_read(const char *answer, gsize length, gpointer data)
{
    Call *call = data;
    gsize taken = 1;

    if (!answer) {
        load_end(call, "the state directory cannot be read");
        return;
    }
    if (length == 0) {
        load_end(call, NULL);
        return;
    }
    for (gsize at = 0; at < length && taken > 0; at += taken)
        taken = entry_take(call, answer + at, length - at);
    if (taken > 0)
        call_start(call, act_file_read, on_read, READ_DEADLINE_US);
    else
        load_end(call, "the journal's reader speaks nonsense");
}

void
act_journal_load(ActJournal *journal, ActJournalDoneFunc done, gpointer data)
{
    Call *call = call_new(journal, done, data);

    call->job.stale_s = host_realtime_us(journal->host) / G_USEC_PER_SEC - STALE_S;
    call_start(call, act_file_read, on_read, READ_DEADLINE_US);
}
