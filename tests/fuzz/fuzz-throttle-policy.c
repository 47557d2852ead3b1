/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz-throttle.h"

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    return fuzz_throttle(THROTTLE_POLICY, data, size);
}
