/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "requests.h"

#include "frame.h"
#include "message.h"

struct Requests {
    RequestFunc func;
    gpointer data;
    GString *text; /* of the object in progress */
    guint depth;
    bool is_string, is_escape;
    bool has_bytes;
};

Requests *
requests_new(RequestFunc func, gpointer data)
{
    Requests *requests = g_new0(Requests, 1);

    requests->func = func;
    requests->data = data;
    requests->text = g_string_new(NULL);
    return requests;
}

void
requests_free(Requests *requests)
{
    g_string_free(requests->text, TRUE);
    g_free(requests);
}

bool
requests_is_silent(const Requests *requests)
{
    return !requests->has_bytes;
}

/* Hands over what was gathered. */
static void
requests_finish(Requests *requests)
{
    GString *text = requests->text;
    g_autoptr(Message) message = message_parse(text->str, text->len, NULL);
    bool is_request = message && message->kind == MESSAGE_REQUEST;

    requests->func(is_request ? message->name : "(garbage)", requests->data);
    g_string_truncate(text, 0);
    requests->depth = 0;
    requests->is_string = requests->is_escape = false;
}

static void
requests_take(Requests *requests, char byte)
{
    if (requests->text->len == 0 && g_ascii_isspace(byte))
        return;
    g_string_append_c(requests->text, byte);
    if (requests->is_escape) {
        requests->is_escape = false;
    } else if (requests->is_string) {
        requests->is_escape = byte == '\\';
        requests->is_string = byte != '"';
    } else if (byte == '"') {
        requests->is_string = true;
    } else if (byte == '{' || byte == '[') {
        requests->depth++;
    } else if ((byte == '}' || byte == ']') && requests->depth > 0) {
        requests->depth--;
    }
    bool is_whole = requests->depth == 0 && (byte == '}' || g_ascii_isspace(byte));
    if ((is_whole && !requests->is_string) || requests->text->len >= FRAME_CAP_REQUEST)
        requests_finish(requests);
}

void
requests_push(Requests *requests, const char *bytes, gsize length)
{
    requests->has_bytes = true;
    for (gsize i = 0; i < length; i++)
        requests_take(requests, bytes[i]);
}
