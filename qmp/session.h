/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One connection of server.h: requests in, replies and events out, bounded both ways. It belongs
 * to service->sessions and removes itself from there at its end: EOF with all answered, a line past
 * FRAME_CAP_REQUEST, FRAME_CAP_REPLY waiting, or nothing done for idle_us. Only a whole request or
 * bytes that the peer took count as done: a drip does not. */

#include "server.h"

typedef struct {
    GMainContext *context;
    GPtrArray *sessions; /* freed with session_free */
    gint64 idle_us;
    ServerExecuteFunc func;
    gpointer data;
} Service;

typedef struct Session Session;

/* Takes the connected, non-blocking descriptor. service is borrowed for the session's life; the
 * greeting is a line without its end. */
Session *session_new(int fd, const Service *service, const char *greeting);
void session_free(Session *session);
/* Sends the line (without its end) if the session negotiated. */
void session_notify(Session *session, const char *line);
