/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* guardianctl: a table of verbs. Exit status everywhere: 0 all well, 1 something is open or
 * differs, 2 could not look, or wrong usage (one line on stderr). */

#include "host.h"
#include <json-glib/json-glib.h>

typedef struct {
    const char *roots[HOST_N_ROOTS]; /* NULL = the real one */
    bool is_json;
    bool is_coloured; /* stdout is a terminal and NO_COLOR is not set */
} CtlOptions;

/* argv[0] is the verb; the options of every verb (--json, --*-root, --help) are taken out before.
 */
typedef int (*CtlVerbFunc)(const CtlOptions *options, int argc, char **argv);

int ctl_main(int argc, char **argv);

int ctl_status(const CtlOptions *options, int argc, char **argv);
int ctl_explain(const CtlOptions *options, int argc, char **argv);
int ctl_list(const CtlOptions *options, int argc, char **argv);
int ctl_check(const CtlOptions *options, int argc, char **argv);
int ctl_audit(const CtlOptions *options, int argc, char **argv);
int ctl_oom(const CtlOptions *options, int argc, char **argv);
int ctl_capture(const CtlOptions *options, int argc, char **argv);
int ctl_ack(const CtlOptions *options, int argc, char **argv);
int ctl_alerts(const CtlOptions *options, int argc, char **argv);
int ctl_silence(const CtlOptions *options, int argc, char **argv);
int ctl_alert(const CtlOptions *options, int argc, char **argv);
int ctl_drift(const CtlOptions *options, int argc, char **argv);
int ctl_overhead(const CtlOptions *options, int argc, char **argv);
int ctl_replay(const CtlOptions *options, int argc, char **argv);
int ctl_throttle(const CtlOptions *options, int argc, char **argv);
int ctl_limits(const CtlOptions *options, int argc, char **argv);
int ctl_config(const CtlOptions *options, int argc, char **argv);
/* Its words are taken as they are; always 0. */
int ctl_hook(int argc, char **argv);
int ctl_version(const CtlOptions *options, int argc, char **argv);

/* Prints {"schema": 1, ...} on stdout, indented, with a newline; takes the node. */
void ctl_print_json(JsonNode *root);
/* Begins {"schema": 1, and is open for more; ctl_end_json() closes and prints it. Unref after. */
JsonBuilder *ctl_begin_json(void);
void ctl_end_json(JsonBuilder *builder);
/* "guardianctl: <message>" on stderr; returns 2, so that a verb can `return ctl_fail(...)`. */
int ctl_fail_argument(char **argv); /* that the verb argv[0] does not take argv[1] */
int ctl_fail(const char *format, ...) G_GNUC_PRINTF(1, 2);
