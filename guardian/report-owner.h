/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a VM's owner wrote down, in the state and out of it again. */

#include "report-read.h"

/* Members "tags" and "owner" (null: nothing is known) of an open object. */
void report_add_owner(JsonBuilder *builder, const Vm *vm);
/* Out of the state's VM: what config_limits() needs of it. The texts are borrowed from vm; the
 * words are new, of OwnerWord. */
GPtrArray *report_owner_words(JsonObject *vm);
/* "freeze.patience=60s (libvirt's metadata); guardian.watch=no is refused: ..."; "" when there are
 * none. New string. */
char *report_owner_text(JsonObject *vm);
