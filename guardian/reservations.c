/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reservations.h"

#include "memory-watch.h"
#include "message.h"
#include "run-file.h"
#include "var-file.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define STORE_NAME "reservations.json"
#define STORE_DIRECTORY "learned"
/* Two thousand VMs with full histograms of 2 KiB. */
#define VMS_MAX 2048
#define STORE_BYTES_MAX (8 * 1024 * 1024)
/* A VM that was not seen for that long is gone. */
#define FORGET_S (30 * (gint64)86400)

typedef struct {
    char *text; /* reservation_format() */
    guint64 n_samples;
    gint64 seen_s; /* wall-clock time, as in the text */
} Kept;

struct Reservations {
    const Host *host;
    GHashTable *vms; /* uuid, id or name -> Kept */
    gint64 saved_us;
    Children *children; /* borrowed; NULL: what is due is not saved beyond the boot */
};

static void
kept_free(gpointer data)
{
    Kept *kept = data;

    g_free(kept->text);
    g_free(kept);
}

static gint64
now_s(const Reservations *reservations)
{
    return host_realtime_us(reservations->host) / G_USEC_PER_SEC;
}

static void
restore_one(JsonObject *object, gpointer data)
{
    Reservations *reservations = data;
    const char *vm = message_get_string(object, "vm");
    const char *text = message_get_string(object, "state");
    guint64 seen_s = 0;
    Reservation reservation;
    Kept *kept;

    if (!vm || !text || !message_get_u64(object, "seen_s", &seen_s) || seen_s > G_MAXINT64 ||
        !reservation_parse(text, now_s(reservations), &reservation))
        return;
    kept = g_new0(Kept, 1);
    kept->text = g_strdup(text);
    kept->n_samples = reservation.peaks.n_samples;
    kept->seen_s = (gint64)seen_s;
    g_hash_table_replace(reservations->vms, g_strdup(vm), kept);
}

/* Of this boot, or of the one before. */
static JsonNode *
store_load(const Host *host)
{
    JsonNode *kept = run_file_load_json(host, STORE_NAME, STORE_BYTES_MAX);
    g_autofree char *text =
        kept ? NULL : var_file_load(host, STORE_DIRECTORY, STORE_NAME, STORE_BYTES_MAX);

    return text ? run_file_parse_json(text, strlen(text)) : kept;
}

static void
reservations_load(Reservations *reservations)
{
    g_autoptr(JsonNode) kept = store_load(reservations->host);

    run_file_each(kept, "reservations", NULL, VMS_MAX, restore_one, reservations);
}

Reservations *
reservations_new(const Host *host)
{
    Reservations *reservations = g_new0(Reservations, 1);

    reservations->host = host;
    reservations->vms = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, kept_free);
    reservations->saved_us = host_monotonic_us(host);
    reservations_load(reservations);
    return reservations;
}

void
reservations_set_children(Reservations *reservations, Children *children)
{
    reservations->children = children;
}

void
reservations_free(Reservations *reservations)
{
    if (!reservations)
        return;
    g_hash_table_unref(reservations->vms);
    g_free(reservations);
}

void
reservations_follow(Reservations *reservations, const Vm *vm)
{
    const char *key = vm->uuid ? vm->uuid : vm->id ? vm->id : vm->name;
    MemoryWatch *watch = vm->memory_watch;
    Kept *kept = g_hash_table_lookup(reservations->vms, key);

    if (kept && !watch->reservation_is_kept)
        (void)!reservation_parse(kept->text, now_s(reservations), &watch->reservation);
    watch->reservation_is_kept = true;
    if (kept)
        kept->seen_s = now_s(reservations);
    if (watch->reservation.peaks.n_samples == (kept ? kept->n_samples : 0) ||
        (!kept && g_hash_table_size(reservations->vms) >= VMS_MAX))
        return;
    kept = g_new0(Kept, 1);
    kept->text = reservation_format(&watch->reservation);
    kept->n_samples = watch->reservation.peaks.n_samples;
    kept->seen_s = now_s(reservations);
    g_hash_table_replace(reservations->vms, g_strdup(key), kept);
}

static gboolean
is_forgotten(gpointer key, gpointer value, gpointer data)
{
    return ((const Kept *)value)->seen_s + FORGET_S < *(const gint64 *)data;
}

static void
add_kept(JsonArray *list, const char *vm, const Kept *kept)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "vm", vm);
    json_object_set_int_member(object, "seen_s", kept->seen_s);
    json_object_set_string_member(object, "state", kept->text);
    json_array_add_object_element(list, object);
}

/* New string. */
static char *
store_text(Reservations *reservations)
{
    gint64 now = now_s(reservations);
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    JsonArray *list = json_array_new();
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_foreach_remove(reservations->vms, is_forgotten, &now);
    g_hash_table_iter_init(&iter, reservations->vms);
    while (g_hash_table_iter_next(&iter, &key, &value))
        add_kept(list, key, value);
    json_object_set_int_member(object, "schema", 1);
    json_object_set_array_member(object, "reservations", list);
    json_node_take_object(root, object);
    return json_to_string(root, FALSE);
}

void
reservations_save_last(Reservations *reservations)
{
    g_autofree char *text = store_text(reservations);

    run_file_save(reservations->host, STORE_NAME, text);
    var_file_save_last(reservations->host, STORE_DIRECTORY, STORE_NAME, text);
}

void
reservations_save_due(Reservations *reservations)
{
    gint64 now_us = host_monotonic_us(reservations->host);
    g_autofree char *text = NULL;

    if (now_us - reservations->saved_us < RESERVATIONS_SAVE_US)
        return;
    reservations->saved_us = now_us;
    text = store_text(reservations);
    run_file_save(reservations->host, STORE_NAME, text);
    if (reservations->children)
        var_file_save(reservations->host, reservations->children, STORE_DIRECTORY, STORE_NAME,
                      text);
}
