/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One line -> greeting, reply, error or event. QEMU is not trusted: size, nesting depth, UTF-8,
 * embedded NULs and "more than one document" are checked before json-glib sees the text, because
 * json-glib 1.6 overflows its stack on deep nesting, cuts strings at \u0000 and drops a second
 * object. Pure, fuzzed. */

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/* QEMU's own limit. json-glib 1.6 needs about 100 bytes of stack a level. */
#define MESSAGE_DEPTH_MAX 1024
/* A key counts as one value, an object as four: then json-glib needs at most 140 bytes for each,
 * 14 MB for the worst line. An 80-layer backing chain (115 KB) has about 11,000. */
#define MESSAGE_VALUES_MAX 100000
/* In one object. json-glib compares each repeated key with all before it: 32,768 repeats of one
 * key in an object of as many took 14 s. */
#define MESSAGE_MEMBERS_MAX 1024

#define QMP_ERROR (qmp_error_quark())
GQuark qmp_error_quark(void);

typedef enum {
    QMP_ERROR_MALFORMED, /* not one JSON object, too deep, bad UTF-8 */
    QMP_ERROR_TOO_BIG,   /* a line past the cap */
    QMP_ERROR_COMMAND,   /* QEMU answered with an error; the message starts with its class */
    QMP_ERROR_NO_GREETING,
    QMP_ERROR_NO_NEGOTIATION,
    QMP_ERROR_TIMEOUT, /* negotiated, the command's deadline passed */
    QMP_ERROR_CLOSED,  /* the peer hung up, or the client was closed by its owner */
    QMP_ERROR_REFUSED, /* the command's class is not allowed on this client */
} QmpError;

typedef enum {
    MESSAGE_GREETING,
    MESSAGE_REPLY,
    MESSAGE_ERROR,
    MESSAGE_EVENT,
    MESSAGE_REQUEST, /* an "execute": only the serving side expects one */
} MessageKind;

typedef struct {
    MessageKind kind;
    JsonNode *root;   /* the whole object, owned */
    JsonNode *body;   /* borrowed from root: QMP greeting, return value, error, event data or
                       * arguments; NULL where absent */
    const char *name; /* borrowed: event name, error class (NULL when left out), command to
                       * execute; NULL otherwise */
    const char *text; /* borrowed: error description (NULL when left out); NULL otherwise */
    bool has_id;
    gint64 id; /* only integer ids are ours; the serving side echoes any from root */
} Message;

/* Any one object, behind the same gate. NULL with QMP_ERROR_MALFORMED. */
JsonNode *message_parse_object(const char *line, gsize length,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL with QMP_ERROR_MALFORMED for anything that is not exactly one QMP object. */
Message *message_parse(const char *line, gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void message_free(Message *message);

/* Range-checked readers; object may be NULL: nothing is in it. true and *ret_ set only when the
 * member exists and is a whole number in the range (a number past int64 comes out of json-glib as
 * negative and so counts as missing). */
bool message_get_u64(JsonObject *object, const char *member, guint64 *ret_value);
bool message_get_bool(JsonObject *object, const char *member, bool *ret_value);
/* Borrowed; NULL when absent or not a string. */
const char *message_get_string(JsonObject *object, const char *member);
/* Borrowed; NULL when absent or of another type. */
JsonObject *message_get_object(JsonObject *object, const char *member);
JsonArray *message_get_array(JsonObject *object, const char *member);
/* Borrowed; NULL when it is none. i is below its length. */
JsonObject *message_object_at(JsonArray *array, guint i);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)
