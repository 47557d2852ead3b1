/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any bytes: a scenario or an error. What was accepted and played can be written, and what was
 * written can be read. */

#include "fuzz.h"

#include "scenario.h"

#include <string.h>

/* Enough to enter every step of a small text; a hold of millions would only cost time. */
#define SAMPLES_PLAYED 200

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autofree char *error = NULL, *written_error = NULL;
    g_autoptr(Scenario) scenario = scenario_parse((const char *)data, size, &error);
    g_autoptr(Scenario) written = NULL;
    g_autoptr(ScenarioWriter) writer = NULL;
    const char *text;

    g_assert((scenario == NULL) == (error != NULL));
    if (!scenario)
        return 0;
    writer = scenario_writer_new(scenario_name(scenario));
    for (guint i = 0; i < SAMPLES_PLAYED; i++) {
        const Sample *sample = scenario_next(scenario);

        if (!sample)
            break;
        scenario_writer_add(writer, sample);
    }
    text = scenario_writer_text(writer);
    if (!*text)
        return 0;
    written = scenario_parse(text, strlen(text), &written_error);
    if (!written)
        g_error("%s in:\n%s", written_error, text);
    return 0;
}
