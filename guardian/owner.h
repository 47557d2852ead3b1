/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a VM's owner wrote down about how it shall be watched, where its host keeps such words:
 *
 *   Proxmox   a line of the description (the notes):  vm-guardian: freeze.patience=60s
 *   libvirt   <metadata><guardian:policy xmlns:guardian="urn:vm-guardian:1">
 *                 <guardian:set name="freeze.patience">60s</guardian:set></guardian:policy>
 *
 * Text in, words out; whether a word counts, the host's configuration says (config.h). All of it is
 * input: raw bytes, printable only where that is said. */

#include "domain-xml.h"

#define OWNER_MARK "vm-guardian:"
#define OWNER_SPACE "urn:vm-guardian:1"
/* More words than there are settings are somebody's joke. */
#define OWNER_WORDS_MAX 64

typedef struct {
    char *name;    /* "freeze.patience", as written */
    char *value;   /* "" where there is none */
    char *origin;  /* printable: where it stands */
    char *problem; /* printable: why it does not count; NULL: it counts */
} OwnerWord;

/* Of OwnerWord. */
GPtrArray *owner_words_new(void);
/* origin is printable. Past OWNER_WORDS_MAX nothing is added. */
void owner_words_add(GPtrArray *words, const char *name, const char *value, const char *origin);
/* Appends the words of every line that begins with the mark; blanks or commas between them. text
 * may be NULL. */
void owner_take_description(GPtrArray *words, const char *text, const char *origin);
/* Appends the words of the domain's metadata in our namespace. */
void owner_take_domain(GPtrArray *words, const DomainXml *xml);
/* The same words from the same places, whatever is said of them? Both may be NULL: no words. */
bool owner_words_equal(const GPtrArray *a, const GPtrArray *b);
