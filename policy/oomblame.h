/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who made a domain run out of memory, which is seldom who died. The rules stand at the heads of
 * oomblame.c and oomblame-host.c. */

#include "oomreport.h"

/* Fills in blame and victim_why of an accounted report (oomparts.h). guest: the RAM of the one VM
 * in the domain, as configured. */
void oomblame_judge(OomReport *report, OomSize guest);
