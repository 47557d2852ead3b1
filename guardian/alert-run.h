/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The child's side of alert hooks: which executables a directory holds that may be run, and one run
 * of one of them. Both run after fork in a process that had threads: system calls only. */

#include <glib.h>
#include <sys/types.h>

/* More entries than this are not looked at. */
#define ALERT_DIR_MAX 128
/* Of what an executable prints, this much is kept, for the log. */
#define ALERT_OUTPUT_MAX 1024

typedef struct {
    const char *parent, *name; /* the directory, and the one above it */
    uid_t owner;               /* besides root: who the daemon runs as */
} AlertDir;

/* Answers with a line for each entry: "run <name>", or "bad <name>: <why>"; one line "bad <the
 * directory>: <why>" when nothing in it may be run; nothing when there is no such directory.
 * Everything must belong to root (or owner) and be writable for nobody else; links are not
 * followed. What is hidden, not executable, or left by an editor or a package manager is passed
 * over. data is an AlertDir. */
void alert_dir_list(int answer_fd, gconstpointer data);

typedef struct {
    char *const *argv; /* argv[0] is a path */
    char *const *environment;
    int stdin_fd;
    gint64 deadline_us;
} AlertRun;

typedef enum {
    ALERT_RUN_EXITED,   /* number: its status */
    ALERT_RUN_KILLED,   /* number: the signal */
    ALERT_RUN_LATE,     /* the deadline passed: killed, with all that it had started */
    ALERT_RUN_FLOODED,  /* printed more than ALERT_FLOOD_BYTES: the same */
    ALERT_RUN_UNSTARTED /* number: errno */
} AlertRunEnd;

#define ALERT_FLOOD_BYTES (1024 * 1024)

typedef struct {
    AlertRunEnd end;
    int number;
    gint64 took_us;
} AlertRunResult;

/* Answers with an AlertRunResult and what was printed, once the executable has ended, and nothing
 * that it started is left; or at the deadline. data is an AlertRun. */
void alert_run(int answer_fd, gconstpointer data);
