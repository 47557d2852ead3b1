/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-iotune.h"

#include "act-throttle.h"
#include "domain-limits.h"
#include "freeze.h"
#include "libvirt-domain.h"
#include "limits-request.h"

#include <string.h>

/* libvirt waits 30 s for a job that somebody holds, and says so then. */
#define TUNE_DEADLINE_US (40 * G_USEC_PER_SEC)
#define BETWEEN "|"

typedef struct {
    ActCall *call;
    bool was_sent; /* the write: from here on nobody knows until it is read back */
} Tuning;

/* What libvirt says of one disk. */
typedef struct {
    Throttle *live, *later; /* NULL: not that disk there */
} Word;

static void
word_clear(Word *word)
{
    throttle_free(word->live);
    throttle_free(word->later);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Word, word_clear)

char *
act_iotune_value(const Throttle *live, const Throttle *later)
{
    char *text = limits_print(live);

    if (later && !throttle_equal(live, later)) {
        g_autofree char *now = text, *then = limits_print(later);

        text = g_strconcat(now, BETWEEN, then, NULL);
    }
    return text;
}

static bool
is_same(const char *field, const char *a, const char *b)
{
    g_auto(GStrv) left = g_strsplit(a, BETWEEN, 2), right = g_strsplit(b, BETWEEN, 2);
    const char *left_later = left[0] && left[1] ? left[1] : a;
    const char *right_later = right[0] && right[1] ? right[1] : b;

    return left[0] && right[0] && act_throttle_is_same(field, left[0], right[0]) &&
           act_throttle_is_same(field, left_later, right_later);
}

/* Frees the job first: the engine may go on at once. What libvirt refused is as it was, and may go
 * well another time; what it says it has done and has not, or what nobody knows, is not tried
 * again.
 */
static void
tuning_end(Tuning *tuning, const char *value, const char *problem)
{
    ActCall *call = tuning->call;
    const ActRecord *record = call->record;
    Vm *vm = act_throttle_subject(call->means->data, &record->subject);
    bool is_old = value && is_same(record->field, value, record->old_value);
    bool is_new = value && is_same(record->field, value, record->new_value);
    bool was_written = tuning->was_sent && !(problem && is_old);

    if (vm && was_written && !is_new)
        vm->limits_unmatched = true;
    g_free(tuning);
    act_call_end(call, was_written, value, problem);
}

/* A static sentence; NULL: it may be written. */
static const char *
find_hindrance(const Vm *vm, const LibvirtReply *reply)
{
    if (freeze_is_suspect(&vm->track))
        return "a stall is suspected on the VM";
    if (vm->run != RUN_RUNNING || reply->run != RUN_RUNNING)
        return "the VM is not running";
    return reply->busy;
}

static void tuning_seen(const LibvirtReply *reply, bool is_late, gint64 waited_us,
                        const char *problem, gpointer data);

/* words->tune is taken. */
static void
tuning_ask(Tuning *tuning, const LibvirtTuning *words)
{
    const ActRecord *record = tuning->call->record;
    Vm *vm = act_throttle_subject(tuning->call->means->data, &record->subject);
    LibvirtTuning asked = *words;

    asked.target = record->where;
    if (!vm || !vm->domain)
        g_strfreev(asked.tune);
    else if (libvirt_domain_tune(vm->domain, &asked, TUNE_DEADLINE_US, tuning_seen, tuning))
        return;
    tuning->was_sent = false;
    tuning_end(tuning, NULL,
               vm ? "libvirt does not answer for the VM" : "the VM's process is gone");
}

/* Only what differs in effect is told, and only to the side on which it does. */
static bool
is_change(const Throttle *wanted, const Throttle *known)
{
    g_auto(GStrv) pairs = known ? throttle_libvirt_change(wanted, &known, 1) : NULL;

    return pairs && pairs[0];
}

static void
tuning_write(Tuning *tuning, const Word *word)
{
    g_autoptr(Throttle) wanted = limits_parse(tuning->call->record->new_value);
    LibvirtTuning words = {.tunes_live = wanted && is_change(wanted, word->live),
                           .tunes_configured = wanted && is_change(wanted, word->later)};
    const Throttle *known[2];
    guint n = 0;

    if (words.tunes_live)
        known[n++] = word->live;
    if (words.tunes_configured)
        known[n++] = word->later;
    if (n == 0) {
        tuning_end(tuning, NULL, "no limits that may be written");
        return;
    }
    words.tune = throttle_libvirt_change(wanted, known, n);
    tuning->was_sent = true;
    tuning_ask(tuning, &words);
}

static void
tuning_judge(Tuning *tuning, const LibvirtReply *reply)
{
    const ActCall *call = tuning->call;
    const ActRecord *record = call->record;
    const Vm *vm = act_throttle_subject(call->means->data, &record->subject);
    g_auto(Word) word = {domain_xml_limits(reply->xml, record->where),
                         domain_xml_limits(reply->persistent, record->where)};
    g_autofree char *value = word.live ? act_iotune_value(word.live, word.later) : NULL;
    const char *problem;

    if (!value)
        tuning_end(tuning, NULL,
                   reply->problem ? reply->problem : "libvirt does not tell the disk's limits");
    else if (tuning->was_sent || call->is_read_only || !vm)
        tuning_end(tuning, value, reply->problem);
    else if ((problem = find_hindrance(vm, reply)))
        tuning_end(tuning, value, problem);
    else if (!is_same(record->field, value, record->old_value))
        tuning_end(tuning, value, "the limits were changed meanwhile");
    else
        tuning_write(tuning, &word);
}

static void
tuning_seen(const LibvirtReply *reply, bool is_late, gint64 waited_us, const char *problem,
            gpointer data)
{
    Tuning *tuning = data;

    if (reply) {
        tuning->was_sent = tuning->was_sent && reply->was_tuned;
        tuning_judge(tuning, reply);
        return;
    }
    /* one that was never begun was not sent; of one that came late nobody knows */
    tuning->was_sent = tuning->was_sent && is_late;
    tuning_end(tuning, NULL, is_late ? "libvirt did not answer in time" : problem);
}

static void
run(ActCall *call)
{
    Tuning *tuning;

    if (strcmp(call->record->field, ACT_FIELD_LIMITS) != 0) {
        act_call_end(call, false, NULL, "libvirt is told limits of disks only");
        return;
    }
    tuning = g_new0(Tuning, 1);
    tuning->call = call;
    tuning_ask(tuning, &(LibvirtTuning){0});
}

void
act_iotune_forget(const Vm *vm)
{
    if (vm->domain)
        libvirt_domain_forget_tuning(vm->domain);
}

ActMeans
act_means_iotune(const GPtrArray *vms)
{
    return (ActMeans){
        .name = ACT_MEANS_IOTUNE, .data = (gpointer)vms, .run = run, .is_same = is_same};
}
