/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One file of a bundle, written by a child: what it reads can hang for ever (a VM's /proc, an
 * executable on a dead disk), and then the child is left behind with what it had written. Runs
 * after fork in a process that may have had threads: only async-signal-safe calls, and snprintf of
 * whole numbers. */

#include <glib.h>
#include <stdbool.h>

struct Capture;

typedef struct {
    int fd;
    guint64 left;
    bool is_cut;
    int error_number; /* of the first write that failed */
} CaptureOut;

/* NULL, or a static text of what went wrong. */
typedef const char *(*CaptureChildFunc)(CaptureOut *out, const struct Capture *capture);

/* The present step is what func does in a child; it ends when the child does, or its time is over.
 */
void capture_run_child(struct Capture *capture, CaptureChildFunc func);

void out_bytes(CaptureOut *out, const char *bytes, gsize length);
void out_text(CaptureOut *out, const char *text);
/* A heading and the file's content, or why there is none. */
void out_file(CaptureOut *out, int dir_fd, const char *path);

/* For a child that becomes a tool: standard output and errors go to the present step's file, at
 * most as much as the bundle may still grow. NULL, or a static text of what went wrong. */
const char *capture_tool_prepare(const struct Capture *capture, int answer_fd);
/* argv[0] is its path; comes back only where there is no such tool. */
void capture_tool_become(const char *const *argv);

typedef void (*EntryFunc)(const char *name, gpointer data);
/* Calls func for each entry but "." and "..", at most max. false: the directory cannot be read. */
bool each_entry(int dir_fd, guint max, EntryFunc func, gpointer data);
