/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose memory it was when a domain ran out: the charge of the domain, split among its tasks by
 * role, so that each page counts once and the parts close to the usage. */

#include "oomreport.h"

/* Fills in parts, and what each task was charged with. A report without a table of tasks gets its
 * victim as the only task, and knows no other role's part. guest: the RAM of the one VM in the
 * domain. */
void oomparts_account(OomReport *report, OomSize guest);
guint64 oomtask_charged_bytes(const OomTask *task);
