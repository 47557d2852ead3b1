/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* libFuzzer's entry, called by libFuzzer or, over the corpus, by run.c. Aborts on a finding. */
int LLVMFuzzerTestOneInput(const guint8 *bytes, gsize length);
