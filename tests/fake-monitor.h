/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A monitor that listens on a real socket and answers each command with what it was told, in
 * whatever order it is asked; it writes down what was asked. */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    FAKE_MONITOR_TALKS,
    FAKE_MONITOR_DEAF,  /* accepts nobody: the connect stays in the backlog */
    FAKE_MONITOR_MUTE,  /* greets nobody */
    FAKE_MONITOR_HANGS, /* greets, and answers no command */
    FAKE_MONITOR_RAVES, /* sends the raw bytes instead of a greeting */
} FakeMonitorMood;

typedef struct FakeMonitor FakeMonitor;

/* Listens at path. */
FakeMonitor *fake_monitor_new(GMainContext *context, const char *path);
void fake_monitor_free(FakeMonitor *monitor);
void fake_monitor_set_mood(FakeMonitor *monitor, FakeMonitorMood mood);
/* For FAKE_MONITOR_RAVES; borrowed. */
void fake_monitor_set_raw(FakeMonitor *monitor, const char *bytes, gsize length);
/* From now on command (or "command arguments", which counts more) returns this JSON value; NULL: it
 * is never answered. A command that nobody named is not found. */
void fake_monitor_answer(FakeMonitor *monitor, const char *command, const char *json);
/* Once trigger was asked, command returns this JSON value: what a write changes. One at a time;
 * NULL: none. */
void fake_monitor_answer_after(FakeMonitor *monitor, const char *trigger, const char *command,
                               const char *json);
/* The command, and no other one, hangs up. */
void fake_monitor_hang_up_on(FakeMonitor *monitor, const char *command);
/* Sends a line to whoever is connected. */
void fake_monitor_send(FakeMonitor *monitor, const char *line);
/* Ends every connection. */
void fake_monitor_hang_up(FakeMonitor *monitor);

/* The commands asked since the last call, each with a blank after it; a new string. */
char *fake_monitor_take_asked(FakeMonitor *monitor);
guint fake_monitor_accepted(const FakeMonitor *monitor);
guint fake_monitor_connected(const FakeMonitor *monitor);
