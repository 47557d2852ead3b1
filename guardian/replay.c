/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replay.h"

#include "fact.h"
#include "freeze.h"
#include "units.h"

#include <string.h>

/* No story has more; a text that makes more of them is there to fill memory. */
#define VERDICTS_MAX 1000000

/* What was said last: of the VM in `vm`, of a disk in `disks` by id; 0 is nothing yet, else the
 * index of the entry in verdicts + 1. */
typedef struct {
    Replay *replay;
    Scenario *scenario;
    Track track;
    guint vm;
    GHashTable *disks;
    GArray *is_seen; /* of bool: the expectation met a verdict in its span */
    gint64 last_us;  /* of the newest sample, scenario time; < 0 before the first */
} Player;

char *
replay_format_time(gint64 at_us)
{
    g_autoptr(GString) text = g_string_new(NULL);

    fact_format_time_ns((guint64)(at_us / 1000) * 1000000, text);
    return g_strdup(text->str);
}

static void
verdict_clear(gpointer data)
{
    ReplayVerdict *verdict = data;

    g_free(verdict->disk);
}

static void
expectation_clear(gpointer data)
{
    ReplayExpectation *expectation = data;

    g_free(expectation->text);
    g_free(expectation->wrong);
}

static Replay *
replay_new(const GArray *expectations)
{
    Replay *replay = g_new0(Replay, 1);

    replay->verdicts = g_array_new(FALSE, FALSE, sizeof(ReplayVerdict));
    g_array_set_clear_func(replay->verdicts, verdict_clear);
    replay->expectations = g_array_new(FALSE, FALSE, sizeof(ReplayExpectation));
    g_array_set_clear_func(replay->expectations, expectation_clear);
    for (guint i = 0; i < expectations->len; i++) {
        const ScenarioExpectation *told = &g_array_index(expectations, ScenarioExpectation, i);
        ReplayExpectation expectation = {.line = told->line, .text = g_strdup(told->text)};

        g_array_append_val(replay->expectations, expectation);
    }
    return replay;
}

void
replay_free(Replay *replay)
{
    g_array_unref(replay->verdicts);
    g_array_unref(replay->expectations);
    g_free(replay);
}

/* Adds an entry if this differs from what was said last; returns the entry to remember. */
static guint
verdict_note(Player *player, guint last, const char *label, const Verdict *verdict)
{
    GArray *verdicts = player->replay->verdicts;
    const ReplayVerdict *before =
        last > 0 ? &g_array_index(verdicts, ReplayVerdict, last - 1) : NULL;
    ReplayVerdict now = {.at_us = player->last_us,
                         .state = verdict->state,
                         .layer = verdict->layer,
                         .cause = verdict->cause ? verdict->cause : ""};

    if (before && before->state == now.state && before->layer == now.layer &&
        strcmp(before->cause, now.cause) == 0)
        return last;
    now.disk = label ? units_printable(label, -1) : NULL;
    g_array_append_val(verdicts, now);
    return verdicts->len;
}

static void
verdicts_note(Player *player)
{
    player->vm = verdict_note(player, player->vm, NULL, &player->track.verdict);
    for (guint i = 0; i < player->track.disks->len; i++) {
        const DiskTrack *disk = player->track.disks->pdata[i];
        gpointer last = g_hash_table_lookup(player->disks, disk->id);
        guint next = verdict_note(player, GPOINTER_TO_UINT(last), disk->label, &disk->verdict);

        if (next != GPOINTER_TO_UINT(last))
            g_hash_table_insert(player->disks, g_strdup(disk->id), GUINT_TO_POINTER(next));
    }
}

static bool
verdict_is(const Verdict *verdict, const ScenarioExpectation *told)
{
    return verdict->state == told->state && (!told->has_layer || verdict->layer == told->layer) &&
           (!told->cause || g_strcmp0(verdict->cause, told->cause) == 0);
}

/* What the track says now, against one expectation. New string when it does not hold. */
static char *
expectation_judge(const Player *player, const ScenarioExpectation *told)
{
    const DiskTrack *disk = told->disk ? track_find_disk(&player->track, told->disk) : NULL;
    const Verdict *verdict = disk ? &disk->verdict : &player->track.verdict;
    bool is_there = disk || !told->disk;
    g_autofree char *at = NULL;

    if ((is_there && verdict_is(verdict, told)) != told->is_never)
        return NULL;
    at = replay_format_time(player->last_us);
    if (!is_there)
        return g_strdup_printf("at %s there was no such disk", at);
    return g_strdup_printf("from %s it was %s/%s%s%s", at, state_name(verdict->state),
                           layer_name(verdict->layer), *verdict->cause ? "/" : "", verdict->cause);
}

/* The verdicts of the newest sample hold until `until_us`: do the expectations? */
static void
expectations_check(Player *player, gint64 until_us)
{
    const GArray *all = scenario_expectations(player->scenario);

    for (guint i = 0; player->last_us >= 0 && i < all->len; i++) {
        const ScenarioExpectation *told = &g_array_index(all, ScenarioExpectation, i);
        ReplayExpectation *expectation =
            &g_array_index(player->replay->expectations, ReplayExpectation, i);
        bool is_in_span =
            told->from_us < 0
                ? until_us == G_MAXINT64
                : until_us > told->from_us && (told->to_us < 0 || player->last_us <= told->to_us);

        if (!is_in_span || expectation->wrong)
            continue;
        g_array_index(player->is_seen, bool, i) = true;
        expectation->wrong = expectation_judge(player, told);
    }
}

static void
expectations_end(Player *player)
{
    GArray *all = player->replay->expectations;

    expectations_check(player, G_MAXINT64);
    player->replay->is_passed = true;
    for (guint i = 0; i < all->len; i++) {
        ReplayExpectation *expectation = &g_array_index(all, ReplayExpectation, i);

        if (!g_array_index(player->is_seen, bool, i))
            expectation->wrong = g_strdup("no sample lies in the span");
        if (expectation->wrong)
            player->replay->is_passed = false;
    }
}

static bool
player_run(Player *player, const Limits *limits)
{
    const Sample *sample;

    while ((sample = scenario_next(player->scenario))) {
        gint64 at_us = sample->now_us - scenario_start_us(player->scenario);

        expectations_check(player, at_us);
        freeze_judge(&player->track, sample, limits);
        player->last_us = at_us;
        verdicts_note(player);
        if (player->replay->verdicts->len > VERDICTS_MAX)
            return false;
    }
    expectations_end(player);
    player->replay->final_state = player->track.verdict.state;
    player->replay->final_layer = player->track.verdict.layer;
    return true;
}

Replay *
replay_text(const char *text, gsize length, const Limits *limits, char **ret_error)
{
    g_autoptr(Scenario) scenario = scenario_parse(text, length, ret_error);
    g_autoptr(Replay) replay = NULL;
    Player player = {.scenario = scenario, .last_us = -1};
    bool is_whole;

    if (!scenario)
        return NULL;
    replay = replay_new(scenario_expectations(scenario));
    player.replay = replay;
    player.disks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    player.is_seen = g_array_new(FALSE, TRUE, sizeof(bool));
    g_array_set_size(player.is_seen, replay->expectations->len);
    track_init(&player.track);
    is_whole = player_run(&player, limits);
    track_clear(&player.track);
    g_array_unref(player.is_seen);
    g_hash_table_unref(player.disks);
    if (!is_whole) {
        *ret_error = g_strdup("more than a million changes of verdicts");
        return NULL;
    }
    return g_steal_pointer(&replay);
}
