/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A client's bytes -> the names of the commands in them. Requests need no newline between them and
 * may come in any pieces, as QEMU takes them. */

#include <glib.h>
#include <stdbool.h>

/* "(garbage)" for what is no request. */
typedef void (*RequestFunc)(const char *command, gpointer data);

typedef struct Requests Requests;

Requests *requests_new(RequestFunc func, gpointer data);
void requests_free(Requests *requests);
void requests_push(Requests *requests, const char *bytes, gsize length);
/* Nothing was pushed yet. */
bool requests_is_silent(const Requests *requests);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Requests, requests_free)
