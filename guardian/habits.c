/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "habits.h"

#include "message.h"
#include "report-build.h"
#include "run-file.h"

#include <string.h>

#define STORE_NAME "habits.json"
/* More disks than a host has; with long names they fit the file. */
#define DISKS_MAX 8192
#define STORE_BYTES_MAX (4 * 1024 * 1024)
/* A VM that was not seen for that long is gone. */
#define FORGET_US (30 * 86400 * (gint64)G_USEC_PER_SEC)

typedef struct {
    Habit habit;
    guint64 operations; /* completed, when it was seen last */
    gint64 seen_us;
} Kept;

struct Habits {
    const Host *host;
    GHashTable *disks; /* "<vm>\n<disk id>" -> Kept */
    gint64 saved_us;
};

static char *
key_of(const Vm *vm, const char *disk_id)
{
    const char *name = vm->uuid ? vm->uuid : vm->id ? vm->id : vm->name;

    return g_strconcat(name, "\n", disk_id, NULL);
}

static bool
kept_is_sane(const Kept *kept, gint64 now_us)
{
    const Habit *habit = &kept->habit;

    return habit->learned_since_us > 0 && habit->learned_since_us <= habit->last_progress_us &&
           habit->last_progress_us <= kept->seen_us && kept->seen_us <= now_us &&
           habit->longest_gap_us >= 0 && habit->longest_gap_us <= now_us;
}

static void
restore_one(JsonObject *object, gpointer data)
{
    Habits *habits = data;
    const char *vm = message_get_string(object, "vm"), *disk = message_get_string(object, "disk");
    guint64 samples, learned, progress, gap, seen;
    Kept kept = {0};

    if (!vm || !disk || !message_get_u64(object, "progress_samples", &samples) ||
        !message_get_u64(object, "learned_since_us", &learned) ||
        !message_get_u64(object, "last_progress_us", &progress) ||
        !message_get_u64(object, "longest_gap_us", &gap) ||
        !message_get_u64(object, "operations", &kept.operations) ||
        !message_get_u64(object, "seen_us", &seen))
        return;
    kept.habit = (Habit){.progress_samples = (guint)MIN(samples, G_MAXUINT),
                         .learned_since_us = (gint64)MIN(learned, G_MAXINT64),
                         .last_progress_us = (gint64)MIN(progress, G_MAXINT64),
                         .longest_gap_us = (gint64)MIN(gap, G_MAXINT64)};
    kept.seen_us = (gint64)MIN(seen, G_MAXINT64);
    if (kept_is_sane(&kept, host_monotonic_us(habits->host)))
        g_hash_table_replace(habits->disks, g_strconcat(vm, "\n", disk, NULL),
                             g_memdup2(&kept, sizeof kept));
}

static void
habits_load(Habits *habits)
{
    g_autoptr(JsonNode) kept = run_file_load_json(habits->host, STORE_NAME, STORE_BYTES_MAX);
    g_autofree char *boot = run_file_boot_id(habits->host);

    run_file_each(kept, "habits", boot, DISKS_MAX, restore_one, habits);
}

Habits *
habits_new(const Host *host)
{
    Habits *habits = g_new0(Habits, 1);

    habits->host = host;
    habits->disks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    habits->saved_us = host_monotonic_us(host);
    habits_load(habits);
    return habits;
}

void
habits_free(Habits *habits)
{
    if (!habits)
        return;
    g_hash_table_unref(habits->disks);
    g_free(habits);
}

static void
follow_disk(Habits *habits, const Vm *vm, DiskTrack *disk)
{
    g_autofree char *key = key_of(vm, disk->id);
    Kept *kept = g_hash_table_lookup(habits->disks, key);
    gint64 now = vm->sample.now_us;

    if (!disk->has_last)
        return;
    if (kept && !disk->habit_is_kept)
        /* where nothing has completed meanwhile it is the same quiet spell */
        habit_resume(&disk->habit, &kept->habit, kept->operations == disk->last.ops, now);
    disk->habit_is_kept = true;
    if (!kept && (disk->habit.progress_samples == 0 ||
                  g_hash_table_size(habits->disks) >= DISKS_MAX || !g_utf8_validate(key, -1, NULL)))
        return;
    if (!kept) {
        kept = g_new0(Kept, 1);
        g_hash_table_insert(habits->disks, g_steal_pointer(&key), kept);
    }
    kept->habit = disk->habit;
    kept->operations = disk->last.ops;
    kept->seen_us = now;
}

static void
add_kept(JsonBuilder *builder, const char *key, const Kept *kept)
{
    const char *disk = strchr(key, '\n') + 1;
    g_autofree char *vm = g_strndup(key, (gsize)(disk - 1 - key));

    json_builder_begin_object(builder);
    build_text(builder, "vm", vm);
    build_text(builder, "disk", disk);
    build_s64(builder, "progress_samples", true, kept->habit.progress_samples);
    build_s64(builder, "learned_since_us", true, kept->habit.learned_since_us);
    build_s64(builder, "last_progress_us", true, kept->habit.last_progress_us);
    build_s64(builder, "longest_gap_us", true, kept->habit.longest_gap_us);
    build_s64(builder, "operations", true, (gint64)MIN(kept->operations, G_MAXINT64));
    build_s64(builder, "seen_us", true, kept->seen_us);
    json_builder_end_object(builder);
}

static gboolean
is_forgotten(gpointer key, gpointer value, gpointer data)
{
    return ((const Kept *)value)->seen_us + FORGET_US < *(const gint64 *)data;
}

static char *
habits_text(const Habits *habits)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *boot = run_file_boot_id(habits->host);
    GHashTableIter iter;
    gpointer key, value;

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_text(builder, "boot_id", boot);
    json_builder_set_member_name(builder, "habits");
    json_builder_begin_array(builder);
    g_hash_table_iter_init(&iter, habits->disks);
    while (g_hash_table_iter_next(&iter, &key, &value))
        if (((const Kept *)value)->habit.progress_samples > 0)
            add_kept(builder, key, value);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

void
habits_save(Habits *habits)
{
    gint64 now = host_monotonic_us(habits->host);
    g_autofree char *text = NULL;

    g_hash_table_foreach_remove(habits->disks, is_forgotten, &now);
    text = habits_text(habits);
    run_file_save(habits->host, STORE_NAME, text);
    habits->saved_us = now;
}

void
habits_follow(Habits *habits, Vm *vm, bool may_save)
{
    for (guint i = 0; i < vm->track.disks->len; i++)
        follow_disk(habits, vm, vm->track.disks->pdata[i]);
    if (may_save && host_monotonic_us(habits->host) - habits->saved_us >= HABITS_SAVE_US)
        habits_save(habits);
}
