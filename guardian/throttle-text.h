/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Throttle settings from and to the text of their forms: a drive string, JSON, XML, keyfile lines.
 */

#include "throttle.h"

/* NULL with GUARDIAN_ERROR_MALFORMED and why the form's owner would refuse the text, printable. The
 * text of a policy is the lines of one disk; its [disk NAME] may be left out, or stand on the same
 * line as a single value. */
Throttle *throttle_text_parse(ThrottleForm form, const char *text, gsize length,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The canonical text in the form it was read from, with a newline at its end; a new string. */
char *throttle_text_print(const Throttle *throttle);
