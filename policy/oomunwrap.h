/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What logs wrap the kernel's lines in, for the reader of OOM reports: JSON (journalctl -o json,
 * dmesg -J, containers, Ansible), journalctl -o export and verbose, records of /dev/kmsg, lines
 * joined by an escape (rsyslog's "#012"), colours, UTF-16, any line ends. Bytes in; out come lines
 * as the kernel printed them, behind the time and the host where the wrapping tells them. Takes any
 * bytes; what is wrapped in nothing comes out as it is. */

#include "oomline.h"

/* The kernel's records end at 2 KiB, prefixes included. What is longer is cut here. */
#define OOM_LINE_BYTES_MAX 4096

/* line: borrowed, without line end, never empty. */
typedef void (*OomLineFunc)(const char *line, gpointer data);

/* One JSON text, read by the byte, forgotten at each line end. */
typedef struct {
    bool is_string, is_escape, has_token;
    guint n_hex; /* digits that \u still wants */
    gunichar character;
    char key[32];
    char token[OOM_LINE_BYTES_MAX + 1];
    gsize token_length;
} OomJson;

/* Set take and data, the rest to zero. */
typedef struct {
    OomLineFunc take;
    gpointer data;
    char line[OOM_LINE_BYTES_MAX + 1];
    gsize length;
    bool is_json, is_cut; /* the rest of the line is JSON too; is dropped */
    OomJson json;
    /* One record of a journal, whose fields come in any order; "" = not told. */
    char message[OOM_LINE_BYTES_MAX + 1], when[64], host[64];
} OomUnwrap;

/* Bytes of the log, split anywhere. */
void oomunwrap_feed(OomUnwrap *unwrap, const char *bytes, gsize length);
/* The end of the log: what waits for more comes out. */
void oomunwrap_end(OomUnwrap *unwrap);

/* Between its files. A field of a record by its name; true when the name is known. */
bool oomrecord_take(OomUnwrap *unwrap, const char *key, const char *value);
/* The record is over: its message, if any, becomes a line. */
void oomrecord_flush(OomUnwrap *unwrap);
/* Where a JSON text begins in the line; NULL: it is none. */
const char *oomjson_find(const char *line);
void oomjson_feed(OomUnwrap *unwrap, const char *bytes, gsize length);
void oomjson_end_line(OomUnwrap *unwrap);
