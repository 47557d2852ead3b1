/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files below vm-guardian/ of HOST_RUN that outlive the daemon, and end with the boot. That
 * is memory, never a disk that may be dead. */

#include "host.h"

#include <json-glib/json-glib.h>

/* Monotonic times mean something within one boot only. New string, never NULL. */
char *run_file_boot_id(const Host *host);
/* Replaces the file at once, or leaves the old one: readers never see a half. Nothing is told of a
 * failure, because nobody could help: what is saved is only missed after a restart. */
void run_file_save(const Host *host, const char *name, const char *text);
/* NULL: not there, not readable, or larger than that. New string. */
char *run_file_load(const Host *host, const char *name, gsize bytes_max, gsize *ret_length);
/* The same as JSON, a node that holds an object, to be unreferenced; NULL where it is not that. */
JsonNode *run_file_load_json(const Host *host, const char *name, gsize bytes_max);
/* Likewise of any text. */
JsonNode *run_file_parse_json(const char *text, gsize length);

typedef void (*RunFileTake)(JsonObject *object, gpointer data);
/* Each object of the list of that name in what was loaded, n_max at most. None of a file that is
 * NULL, has another schema than 1 or, where boot_id is given, was written in another boot. */
void run_file_each(JsonNode *file, const char *list, const char *boot_id, guint n_max,
                   RunFileTake take, gpointer data);
