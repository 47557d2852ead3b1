/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who runs beside QEMU in a VM's groups, in the state and as a line of `explain`. */

#include "report-read.h"

#include "role.h"

/* Member "largest_stranger" of an open object; pid 0: null. name is raw. */
void report_add_stranger(JsonBuilder *builder, gint64 pid, const char *name, guint64 bytes);
/* "memhold[11572]", of an object with that member; NULL when no stranger holds memory to speak of.
 * New string. */
char *report_stranger_label(JsonObject *of);
/* Members "beside" (null: unknown), "beside_complete" and "largest_stranger" of an open object. */
void report_add_roles(JsonBuilder *builder, const RoleTable *table);
/* "virt-launcher 62M, virtqemud 24M"; "" when there is nobody, or nothing is known. New string. */
char *report_roles_text(JsonObject *vm);
