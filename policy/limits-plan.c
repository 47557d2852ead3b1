/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "limits-plan.h"

static guint64
add_bytes(guint64 a, guint64 b)
{
    return a > G_MAXINT64 - MIN(b, (guint64)G_MAXINT64) ? (guint64)G_MAXINT64 : a + b;
}

/* Up to a whole page. */
static guint64
whole_pages_up(guint64 bytes)
{
    guint64 rest = bytes % LIMITS_PAGE_BYTES;

    return rest == 0 ? bytes : add_bytes(bytes, LIMITS_PAGE_BYTES - rest);
}

static LimitsPlan
refuse(const char *why)
{
    return (LimitsPlan){.refusal = why};
}

static LimitsPlan
refuse_level(const char *why, guint level, guint64 needed_bytes, guint64 allowed_bytes)
{
    return (LimitsPlan){.refusal = why,
                        .has_level = true,
                        .level = level,
                        .needed_bytes = needed_bytes,
                        .allowed_bytes = allowed_bytes};
}

static guint64
level_needs(const LimitsInput *input, guint i)
{
    guint64 held = input->levels[i].unreclaimable_bytes;
    guint64 beside = add_bytes(input->margin_bytes, input->growth_bytes);

    return whole_pages_up(add_bytes(add_bytes(held, input->guest_left_bytes), beside));
}

/* Is the limit too small for certain, or will it be before the next write? */
static bool
level_is_lost(const LimitsInput *input, guint i)
{
    const LimitsLevel *level = &input->levels[i];
    guint64 more = add_bytes(input->guest_left_low_bytes, input->growth_bytes);

    return add_bytes(level->unreclaimable_bytes, more) > level->limit_bytes;
}

static bool
is_any_lost(const LimitsInput *input)
{
    for (guint i = 0; i < input->n_levels; i++)
        if (level_is_lost(input, i))
            return true;
    return false;
}

/* What the VM may still come to take, against what the host could give it. */
static bool
host_can_back(const LimitsInput *input, guint64 more_bytes)
{
    guint64 reserve = MIN(input->reserve_bytes, input->available_bytes);

    return input->has_available && more_bytes <= input->available_bytes - reserve;
}

/* Appends, or says why not: needs is more than the level's limit. */
static bool
plan_raise(const LimitsInput *input, guint i, guint64 needs, LimitsPlan *plan)
{
    const LimitsLevel *level = &input->levels[i];
    guint64 cap = add_bytes(level->original_bytes, input->raise_max_bytes);
    guint64 more = needs - MIN(needs, level->unreclaimable_bytes);

    if (!level->is_own)
        *plan = refuse_level("a group that other VMs share is too small: it is not raised for one",
                             i, needs, 0);
    else if (needs > cap)
        *plan =
            refuse_level("it would be raised by more than limits_raise_max allows", i, needs, cap);
    else if (!host_can_back(input, more))
        *plan = refuse_level("the host could not back it now", i, needs,
                             add_bytes(level->unreclaimable_bytes,
                                       input->has_available
                                           ? input->available_bytes -
                                                 MIN(input->reserve_bytes, input->available_bytes)
                                           : 0));
    else
        plan->steps[plan->n_steps++] =
            (LimitsStep){.level = i, .old_bytes = level->limit_bytes, .new_bytes = needs};
    return plan->refusal == NULL;
}

/* From the outermost in: a container must never be allowed more than its pod. */
static LimitsPlan
plan_sufficient(const LimitsInput *input)
{
    LimitsPlan plan = {0};

    if (!input->has_left)
        return refuse("it is not known how much of the guest's RAM is still untouched");
    for (guint i = 0; i < input->n_levels; i++)
        if (!input->levels[i].has_unreclaimable)
            return refuse_level("it is not known what the group holds", i, 0, 0);
    if (!is_any_lost(input))
        return plan;
    for (guint i = input->n_levels; i-- > 0;) {
        guint64 needs = level_needs(input, i);

        if (!input->levels[i].is_own && !level_is_lost(input, i))
            continue;
        if (needs > input->levels[i].limit_bytes && !plan_raise(input, i, needs, &plan))
            return plan;
    }
    return plan;
}

bool
limits_may_lower(const LimitsLevel *level, guint64 margin_bytes, guint64 new_bytes)
{
    return level->has_unreclaimable &&
           new_bytes >= add_bytes(level->unreclaimable_bytes, margin_bytes);
}

static LimitsPlan
plan_lower(const LimitsInput *input, guint64 wanted)
{
    const LimitsLevel *level = &input->levels[0];
    LimitsPlan plan = {.n_steps = 1,
                       .steps = {{.old_bytes = level->limit_bytes, .new_bytes = wanted}}};

    if (limits_may_lower(level, input->margin_bytes, wanted))
        return plan;
    return refuse_level("lower than what it holds and the margin: that kills", 0,
                        add_bytes(level->unreclaimable_bytes, input->margin_bytes), wanted);
}

/* The groups above are raised where they are the tighter ones, by as much as is missing. */
static LimitsPlan
plan_wanted(const LimitsInput *input)
{
    const guint64 wanted = whole_pages_up(input->wanted_bytes);
    const LimitsLevel *own = &input->levels[0];
    LimitsPlan plan = {0};

    if (!own->has_unreclaimable)
        return refuse_level("it is not known what the group holds", 0, 0, 0);
    if (wanted <= own->limit_bytes)
        return wanted == own->limit_bytes ? plan : plan_lower(input, wanted);
    for (guint i = input->n_levels; i-- > 0;) {
        const LimitsLevel *level = &input->levels[i];
        guint64 beside =
            level->unreclaimable_bytes - MIN(level->unreclaimable_bytes, own->unreclaimable_bytes);
        guint64 needs = i == 0 ? wanted : whole_pages_up(add_bytes(wanted, beside));

        if (!level->has_unreclaimable)
            return refuse_level("it is not known what the group holds", i, 0, 0);
        if (needs > level->limit_bytes && !plan_raise(input, i, needs, &plan))
            return plan;
    }
    return plan;
}

LimitsPlan
limits_plan(const LimitsInput *input)
{
    if (input->n_levels == 0)
        return (LimitsPlan){0};
    if (input->has_wanted && !input->levels[0].is_own)
        return refuse_level("no group of the VM's own carries a limit", 0, input->wanted_bytes, 0);
    return input->has_wanted ? plan_wanted(input) : plan_sufficient(input);
}
