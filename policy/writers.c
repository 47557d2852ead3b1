/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writers.h"

#include "units.h"

#include <string.h>

/* One a minute for four hours, or one an hour for ten days. */
#define WRITES_MAX 256
#define OWN_MAX 32
/* A log has whole seconds and is written after the file. */
#define SAME_US (5 * (gint64)G_USEC_PER_SEC)
/* The same command again so soon is the same line, told with the file's time and with the log's. */
#define SAME_LINE_US (2 * (gint64)G_USEC_PER_SEC)
/* What is shown of a command: the key says enough, the value is in the log. */
#define WHAT_SHOWN 40

#define MINUTE_US (60 * (gint64)G_USEC_PER_SEC)

typedef struct {
    gint64 from_us, to_us;
} Span;

struct Writers {
    GPtrArray *writes; /* of Write, by time */
    GArray *own;       /* of Span */
};

static void
write_free(gpointer data)
{
    Write *write = data;

    g_free((char *)write->who);
    g_free((char *)write->what);
    g_free(write);
}

Writers *
writers_new(void)
{
    Writers *writers = g_new0(Writers, 1);

    writers->writes = g_ptr_array_new_with_free_func(write_free);
    writers->own = g_array_new(FALSE, FALSE, sizeof(Span));
    return writers;
}

void
writers_free(Writers *writers)
{
    if (writers == NULL)
        return;
    g_ptr_array_unref(writers->writes);
    g_array_unref(writers->own);
    g_free(writers);
}

static gint64
distance(gint64 a, gint64 b)
{
    return a > b ? a - b : b - a;
}

static bool
is_own(const Writers *writers, gint64 at_us)
{
    for (guint i = 0; i < writers->own->len; i++) {
        const Span *span = &g_array_index(writers->own, Span, i);

        if (at_us >= span->from_us - SAME_US && at_us <= span->to_us + SAME_US)
            return true;
    }
    return false;
}

/* Does one of them only tell the other's story from another place? */
static bool
is_same(const Write *known, const Write *write)
{
    if (known->is_live != write->is_live || distance(known->at_us, write->at_us) > SAME_US)
        return false;
    if (known->what != NULL && write->what != NULL)
        return distance(known->at_us, write->at_us) <= SAME_LINE_US &&
               strcmp(known->what, write->what) == 0;
    return known->what != NULL || write->what != NULL || known->at_us == write->at_us;
}

static void
write_merge(Write *known, const Write *write)
{
    if (known->who == NULL)
        known->who = g_strdup(write->who);
    if (known->what == NULL)
        known->what = g_strdup(write->what);
    if (known->effect == WRITE_UNKNOWN)
        known->effect = write->effect;
}

static int
write_compare(gconstpointer a, gconstpointer b, gpointer data)
{
    const Write *left = *(const Write *const *)a, *right = *(const Write *const *)b;

    return left->at_us < right->at_us ? -1 : left->at_us > right->at_us;
}

void
writers_add(Writers *writers, const Write *write)
{
    GPtrArray *writes = writers->writes;
    Write *copy;

    if (is_own(writers, write->at_us))
        return;
    for (guint i = writes->len; i-- > 0;) {
        if (!is_same(writes->pdata[i], write))
            continue;
        write_merge(writes->pdata[i], write);
        return;
    }
    if (writes->len >= WRITES_MAX) {
        if (write->at_us <= ((const Write *)writes->pdata[0])->at_us)
            return; /* older than all that is remembered */
        g_ptr_array_remove_index(writes, 0);
    }
    copy = g_new0(Write, 1);
    *copy = *write;
    copy->who = g_strdup(write->who);
    copy->what = g_strdup(write->what);
    g_ptr_array_add(writes, copy);
    g_qsort_with_data(writes->pdata, (gint)writes->len, sizeof(gpointer), write_compare, NULL);
}

void
writers_add_own(Writers *writers, gint64 from_us, gint64 to_us)
{
    Span span = {from_us, to_us};

    if (writers->own->len >= OWN_MAX)
        g_array_set_size(writers->own, 0);
    g_array_append_vals(writers->own, &span, 1);
    for (guint i = writers->writes->len; i-- > 0;) { /* seen before we said so */
        const Write *write = writers->writes->pdata[i];

        if (write->at_us >= from_us && write->at_us <= to_us)
            g_ptr_array_remove_index(writers->writes, i);
    }
}

static int
gap_compare(gconstpointer a, gconstpointer b, gpointer data)
{
    gint64 left = *(const gint64 *)a, right = *(const gint64 *)b;

    return left < right ? -1 : left > right;
}

/* The middle one of the times between equal writes up to now. */
static gint64
rhythm(const Writers *writers, gint64 now_us)
{
    gint64 gaps[WRITES_MAX], last_us = 0;
    guint n = 0;

    for (guint i = 0; i < writers->writes->len; i++) {
        const Write *write = writers->writes->pdata[i];

        if (write->effect != WRITE_EQUAL || write->at_us > now_us)
            continue;
        if (last_us > 0)
            gaps[n++] = write->at_us - last_us;
        last_us = write->at_us;
    }
    if (n == 0)
        return 0;
    g_qsort_with_data(gaps, (gint)n, sizeof gaps[0], gap_compare, NULL);
    return gaps[n / 2];
}

WritersCount
writers_count(const Writers *writers, gint64 now_us)
{
    WritersCount count = {.rhythm_us = rhythm(writers, now_us)};

    for (guint i = 0; i < writers->writes->len; i++) {
        const Write *write = writers->writes->pdata[i];
        bool is_equal = write->effect == WRITE_EQUAL;

        if (write->at_us > now_us)
            break;
        count.last = write;
        if (is_equal && count.since_us == 0)
            count.since_us = write->at_us;
        if (now_us - write->at_us >= WRITERS_DAY_US)
            continue;
        count.n_writes++;
        count.n_equal += is_equal;
    }
    return count;
}

/* "update VM 102: -scsi0 .." */
static char *
what_shown(const char *what)
{
    gsize value = strcspn(what, ":");

    /* Past "update VM 102: -scsi0 ". */
    value += strspn(what + value, ": ");
    value += strcspn(what + value, " ");
    if (what[value] == '\0' && value <= WHAT_SHOWN)
        return g_strdup(what);
    value = MIN(value, WHAT_SHOWN);
    /* Not in the middle of a character. */
    while (value > 0 && ((guchar)what[value] & 0xc0) == 0x80)
        value--;
    return g_strdup_printf("%.*s ..", (int)value, what);
}

/* "`update VM 102: -scsi0 ..` by root@pam" */
static char *
write_describe(const Write *write)
{
    g_autofree char *what = write->what != NULL ? what_shown(write->what) : NULL;

    if (what == NULL)
        return g_strdup(write->is_live ? "the limits in QEMU were changed by somebody"
                                       : "the configuration was written by somebody");
    return g_strdup_printf("`%s` by %s", what, write->who != NULL ? write->who : "somebody");
}

char *
writers_habit(const Writers *writers, gint64 now_us)
{
    WritersCount count = writers_count(writers, now_us);
    const Write *equal = NULL;
    g_autofree char *story = NULL, *every = NULL, *since = NULL;

    if (count.n_equal < WRITERS_HABIT_MIN)
        return NULL;
    for (guint i = 0; i < writers->writes->len; i++)
        if (((const Write *)writers->writes->pdata[i])->effect == WRITE_EQUAL)
            equal = writers->writes->pdata[i];
    story = write_describe(equal);
    every = units_format_age(count.rhythm_us);
    since = units_format_age(now_us - count.since_us);
    return g_strdup_printf("%s writes what is there already: %u times in 24 h, about every %s, "
                           "for %s at least",
                           story, count.n_equal, every, since);
}

char *
writers_describe(const Writers *writers, gint64 onset_us)
{
    static const char *const effects[] = {
        [WRITE_UNKNOWN] = "", [WRITE_EQUAL] = ": equal value", [WRITE_CHANGED] = ": another value"};
    WritersCount count = writers_count(writers, onset_us);
    g_autofree char *story = NULL, *before = NULL, *times = NULL;
    gint64 minutes;

    if (count.last == NULL || onset_us - count.last->at_us >= WRITERS_DAY_US)
        return NULL;
    story = write_describe(count.last);
    before = units_format_age(onset_us - count.last->at_us);
    if (count.last->effect == WRITE_EQUAL)
        times = g_strdup_printf("%u times in 24 h", count.n_equal);
    else
        times = g_strdup_printf("%u writes in 24 h", count.n_writes);
    minutes = count.last->at_us / MINUTE_US;
    return g_strdup_printf("%02d:%02d UTC %s%s, %s, %s before onset", (int)(minutes / 60 % 24),
                           (int)(minutes % 60), story, effects[count.last->effect], times, before);
}

bool
writers_parse(const char *text, char **ret_vm, char **ret_user, const char **ret_what)
{
    static const char verb[] = "update VM ";
    const char *user = *text == '<' ? text + 1 : NULL;
    gsize user_length = user != NULL ? strcspn(user, ">") : 0;
    const char *what = text, *vm;
    gsize digits;

    if (user != NULL) {
        if (user[user_length] != '>' || user[user_length + 1] != ' ')
            return false;
        what = user + user_length + 2;
    }
    if (!g_str_has_prefix(what, verb))
        return false;
    vm = what + strlen(verb);
    digits = strspn(vm, "0123456789");
    if (digits == 0 || vm[digits] != ':')
        return false;
    *ret_vm = g_strndup(vm, digits);
    *ret_user = user != NULL ? g_strndup(user, user_length) : NULL;
    *ret_what = what;
    return true;
}
