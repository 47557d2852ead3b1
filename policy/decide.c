/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"

AlertStep
decide_alert(const Verdict *before, const Verdict *after)
{
    if (after->has_alert != before->has_alert)
        return after->has_alert ? ALERT_OPEN : ALERT_CLOSE;
    return after->is_paged && !before->is_paged ? ALERT_PAGE : ALERT_NONE;
}
