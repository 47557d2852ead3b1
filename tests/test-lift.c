/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where lifting memory.high frees the innocent, and every reason why it would not. */

#include "t.h"

#include "lift.h"

#include <string.h>

#define GIB (G_GUINT64_CONSTANT(1) << 30)

/* The field's incident, with OOMPolicy=continue. */
static const LiftFacts freed = {.has_max = true,
                                .usage_bytes = 12 * GIB,
                                .max_bytes = 16 * GIB,
                                .has_available = true,
                                .available_bytes = 40 * GIB,
                                .reserve_bytes = 2 * GIB,
                                .has_beside = true,
                                .has_group_kill = true,
                                .is_unit = true,
                                .oom_policy = "continue"};

static void
a_service_that_lives_on_is_freed(void **state)
{
    LiftFacts facts = freed;

    assert_null(lift_refusal(&facts));
    facts.oom_policy = ""; /* a scope of systemd 252 */
    assert_null(lift_refusal(&facts));
    facts.is_unit = false; /* a container's group */
    facts.oom_policy = NULL;
    assert_null(lift_refusal(&facts));
    facts.available_bytes = 6 * GIB; /* just enough */
    assert_null(lift_refusal(&facts));
}

static void
refused(LiftFacts facts, const char *word)
{
    const char *refusal = lift_refusal(&facts);

    if (!refusal || !strstr(refusal, word))
        fail_msg("%s: wanted: %s", refusal ? refusal : "allowed", word);
}

static void
every_other_is_refused_with_the_reason(void **state)
{
    LiftFacts facts;

#define but(field, value, word)                                                                    \
    facts = freed;                                                                                 \
    facts.field = value;                                                                           \
    refused(facts, word)
    but(oom_policy, "stop", "OOMPolicy=stop");
    but(oom_policy, "kill", "OOMPolicy=kill");
    but(oom_policy, "else", "no known kind");
    but(oom_policy, NULL, "not known");
    but(hog_is_main, true, "main process");
    but(kills_group, true, "memory.oom.group=1");
    but(has_group_kill, false, "not known");
    but(has_max, false, "without memory.max");
    but(has_available, false, "could not back");
    but(available_bytes, 6 * GIB - 1, "could not back");
    but(available_bytes, GIB, "could not back");
    but(has_beside, false, "nothing but the hog");
    but(hog_is_vm, true, "a VM");
#undef but
    refused((LiftFacts){0}, "nothing but the hog");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_lives_on_is_freed),
        cmocka_unit_test(every_other_is_refused_with_the_reason),
    };

    return cmocka_run_group_tests_name("lift", tests, NULL, NULL);
}
