/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lift.h"

#include <string.h>

static bool
host_can_back(const LiftFacts *facts)
{
    guint64 more_bytes = facts->max_bytes - MIN(facts->max_bytes, facts->usage_bytes);

    return facts->has_available &&
           more_bytes <= facts->available_bytes - MIN(facts->available_bytes, facts->reserve_bytes);
}

/* systemd.service(5), OOMPolicy=. Scopes have one since systemd 253. */
static const char *
policy_refusal(const char *oom_policy)
{
    if (!oom_policy)
        return "its OOMPolicy is not known";
    if (strcmp(oom_policy, "continue") == 0 || *oom_policy == '\0')
        return NULL;
    if (strcmp(oom_policy, "stop") == 0)
        return "OOMPolicy=stop: systemd would end the whole service";
    return strcmp(oom_policy, "kill") == 0
               ? "OOMPolicy=kill: the kernel would end the whole service"
               : "its OOMPolicy is of no known kind";
}

const char *
lift_refusal(const LiftFacts *facts)
{
    if (facts->hog_is_vm)
        return "a VM holds the memory, and the kernel would end it";
    if (!facts->has_beside)
        return "nothing but the hog is in it";
    if (!facts->has_max)
        return "without memory.max the hog would go on into the host's memory";
    if (!host_can_back(facts))
        return "the host could not back memory.max now";
    if (!facts->has_group_kill)
        return "it is not known whether memory.oom.group is set";
    if (facts->kills_group)
        return "memory.oom.group=1: the kernel would end the whole group";
    if (!facts->is_unit)
        return NULL;
    if (facts->hog_is_main)
        return "the hog is the main process of its unit, which ends with it";
    return policy_refusal(facts->oom_policy);
}
