/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "message.h"

#include <string.h>

/* The gate is one pass over the tokens, stricter than json-glib 1.6 where that is lenient:
 *
 *   string   "..." only; no byte below 0x20; JSON's escapes, but no \u0000 (json-glib cuts there)
 *            and no half of a surrogate pair (it makes bad UTF-8 of one)
 *   number   JSON's grammar (json-glib reads 010 as 8 and 0x10 as 16), and no integer below int64
 *            (it would come out positive)
 *   word     true, false, null
 *   between  { } [ ] , : and blanks; hence no comment and no `var x =`
 *
 * It counts the depth, the values and each object's members, and wants one object with nothing but
 * blanks around it. The order of the tokens is json-glib's part. */

/* An object costs json-glib as much as four plain values, mostly its hash table. */
#define OBJECT_VALUES 4

typedef struct {
    const char *at, *end;
    guint depth, values;
    bool has_high_bytes;                    /* worth a look at UTF-8 */
    guint16 members[MESSAGE_DEPTH_MAX + 1]; /* of the open object at each depth: its colons */
} Gate;

G_DEFINE_QUARK(qmp - error - quark, qmp_error)

/* Takes the byte if it is one of these. */
static bool
gate_take(Gate *gate, const char *bytes)
{
    if (gate->at == gate->end || *gate->at == '\0' || !strchr(bytes, *gate->at))
        return false;
    gate->at++;
    return true;
}

/* The four digits of \uXXXX; -1 for anything else. */
static int
gate_code_unit(Gate *gate)
{
    int unit = 0;

    if (gate->end - gate->at < 4)
        return -1;
    for (guint i = 0; i < 4; i++) {
        int digit = g_ascii_xdigit_value(*gate->at++);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool
gate_escape(Gate *gate)
{
    if (gate_take(gate, "\"\\/bfnrt"))
        return true;
    if (!gate_take(gate, "u"))
        return false;
    int unit = gate_code_unit(gate);
    if (unit < 0xd800 || unit > 0xdfff)
        return unit > 0;
    if (unit > 0xdbff || !gate_take(gate, "\\") || !gate_take(gate, "u"))
        return false;
    int low = gate_code_unit(gate);
    return low >= 0xdc00 && low <= 0xdfff;
}

static const char *
gate_string(Gate *gate)
{
    while (gate->at < gate->end) {
        guchar byte = *gate->at++;
        if (byte == '"')
            return NULL;
        if (byte < 0x20)
            return "control byte in a string";
        if (byte >= 0x80)
            gate->has_high_bytes = true;
        if (byte == '\\' && !gate_escape(gate))
            return "bad escape in a string";
    }
    return "unfinished string";
}

static gsize
gate_digits(Gate *gate)
{
    const char *first = gate->at;

    while (gate->at < gate->end && g_ascii_isdigit(*gate->at))
        gate->at++;
    return gate->at - first;
}

static const char *
gate_number(Gate *gate)
{
    bool is_whole = true, is_negative = gate_take(gate, "-");
    const char *first = gate->at;
    gsize n_digits = gate_digits(gate);

    if (n_digits == 0 || (n_digits > 1 && *first == '0'))
        return "bad number";
    if (gate_take(gate, ".")) {
        is_whole = false;
        if (gate_digits(gate) == 0)
            return "bad number";
    }
    if (gate_take(gate, "eE")) {
        is_whole = false;
        (void)gate_take(gate, "+-");
        if (gate_digits(gate) == 0)
            return "bad number";
    }
    static const char lowest[] = "9223372036854775808";
    gsize n_lowest = sizeof(lowest) - 1;
    if (is_whole && is_negative &&
        (n_digits > n_lowest || (n_digits == n_lowest && memcmp(first, lowest, n_lowest) > 0)))
        return "number below int64";
    return NULL;
}

static const char *
gate_word(Gate *gate)
{
    static const char *const words[] = {"true", "false", "null"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        gsize length = strlen(words[i]);
        if ((gsize)(gate->end - gate->at) >= length && memcmp(gate->at, words[i], length) == 0) {
            gate->at += length;
            return NULL;
        }
    }
    return "not JSON";
}

static bool
gate_count(Gate *gate, guint values)
{
    gate->values += values;
    return gate->values <= MESSAGE_VALUES_MAX;
}

static const char *
gate_open(Gate *gate, guint values)
{
    if (gate->depth == MESSAGE_DEPTH_MAX)
        return "nested too deep";
    gate->members[++gate->depth] = 0;
    return gate_count(gate, values) ? NULL : "too many values";
}

/* One token or blank. NULL, or what is wrong with it. */
static const char *
gate_token(Gate *gate)
{
    char byte = *gate->at;

    if (gate_take(gate, " \t\r\n,"))
        return NULL;
    if (gate_take(gate, "\""))
        return gate_count(gate, 1) ? gate_string(gate) : "too many values";
    if (gate_take(gate, ":"))
        return ++gate->members[gate->depth] <= MESSAGE_MEMBERS_MAX ? NULL : "too many members";
    if (gate_take(gate, "{"))
        return gate_open(gate, OBJECT_VALUES);
    if (gate_take(gate, "["))
        return gate_open(gate, 1);
    if (gate_take(gate, "]}")) {
        gate->depth--;
        return NULL;
    }
    if (!gate_count(gate, 1))
        return "too many values";
    return byte == '-' || g_ascii_isdigit(byte) ? gate_number(gate) : gate_word(gate);
}

static void
gate_skip_blanks(Gate *gate)
{
    while (gate_take(gate, " \t\r\n"))
        ;
}

/* NULL: json-glib may see the line. Otherwise what is wrong with it. */
static const char *
gate_check(const char *line, gsize length)
{
    Gate gate = {.at = line, .end = line + length};

    gate_skip_blanks(&gate);
    if (gate.at == gate.end)
        return "empty";
    if (*gate.at != '{')
        return "not an object";
    do {
        const char *wrong = gate_token(&gate);
        if (wrong)
            return wrong;
    } while (gate.depth > 0 && gate.at < gate.end);
    if (gate.depth > 0)
        return "unfinished object";
    gate_skip_blanks(&gate);
    if (gate.at < gate.end)
        return "more than one object";
    if (gate.has_high_bytes && !g_utf8_validate_len(line, length, NULL))
        return "not UTF-8";
    return NULL;
}

JsonNode *
message_parse_object(const char *line, gsize length, GError **error)
{
    const char *wrong = gate_check(line, length);
    g_autoptr(GError) parse_error = NULL;

    if (wrong) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_MALFORMED, "malformed line: %s", wrong);
        return NULL;
    }
    g_autoptr(JsonParser) parser = json_parser_new();
    if (!json_parser_load_from_data(parser, line, length, &parse_error)) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_MALFORMED, "malformed line: %s",
                    parse_error->message);
        return NULL;
    }
    return json_parser_steal_root(parser);
}

/* The member when it is a value of this type. */
static JsonNode *
get_value(JsonObject *object, const char *member, GType type)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != type)
        return NULL;
    return node;
}

static void
message_set_id(Message *message, JsonObject *object)
{
    JsonNode *id = get_value(object, "id", G_TYPE_INT64);

    if (!id)
        return;
    message->has_id = true;
    message->id = json_node_get_int(id);
}

/* false for an object that is none of the five kinds. */
static bool
message_classify(Message *message, JsonObject *object)
{
    JsonObject *error = message_get_object(object, "error");

    if (message_get_object(object, "QMP")) {
        message->kind = MESSAGE_GREETING;
        message->body = json_object_get_member(object, "QMP");
    } else if (json_object_has_member(object, "return")) {
        message->kind = MESSAGE_REPLY;
        message->body = json_object_get_member(object, "return");
    } else if (error) {
        message->kind = MESSAGE_ERROR;
        message->body = json_object_get_member(object, "error");
        message->name = message_get_string(error, "class");
        message->text = message_get_string(error, "desc");
    } else if ((message->name = message_get_string(object, "event"))) {
        message->kind = MESSAGE_EVENT;
        message->body = json_object_get_member(object, "data");
    } else if ((message->name = message_get_string(object, "execute"))) {
        message->kind = MESSAGE_REQUEST;
        message->body = json_object_get_member(object, "arguments");
    } else {
        return false;
    }
    return true;
}

Message *
message_parse(const char *line, gsize length, GError **error)
{
    g_autoptr(JsonNode) root = message_parse_object(line, length, error);

    if (!root)
        return NULL;
    JsonObject *object = json_node_get_object(root);
    g_autoptr(Message) message = g_new0(Message, 1);
    message->root = g_steal_pointer(&root);
    if (!message_classify(message, object)) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_MALFORMED,
                    "neither greeting, reply, error, event nor request");
        return NULL;
    }
    message_set_id(message, object);
    return g_steal_pointer(&message);
}

void
message_free(Message *message)
{
    if (!message)
        return;
    json_node_unref(message->root);
    g_free(message);
}

bool
message_get_u64(JsonObject *object, const char *member, guint64 *ret_value)
{
    JsonNode *node = get_value(object, member, G_TYPE_INT64);

    if (!node || json_node_get_int(node) < 0)
        return false;
    *ret_value = json_node_get_int(node);
    return true;
}

bool
message_get_bool(JsonObject *object, const char *member, bool *ret_value)
{
    JsonNode *node = get_value(object, member, G_TYPE_BOOLEAN);

    if (!node)
        return false;
    *ret_value = json_node_get_boolean(node);
    return true;
}

const char *
message_get_string(JsonObject *object, const char *member)
{
    JsonNode *node = get_value(object, member, G_TYPE_STRING);

    return node ? json_node_get_string(node) : NULL;
}

JsonObject *
message_get_object(JsonObject *object, const char *member)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *
message_get_array(JsonObject *object, const char *member)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

JsonObject *
message_object_at(JsonArray *array, guint i)
{
    JsonNode *node = json_array_get_element(array, i);

    return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}
