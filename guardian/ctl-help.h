/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One screen of help for each verb whose options are few; the others print their own. */

/* NULL: no such verb, or it has its own. */
const char *ctl_help_of(const char *verb);
