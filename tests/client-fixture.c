/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "client-fixture.h"

static gboolean
on_beat(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

ClientFixture *
client_fixture_new(void)
{
    ClientFixture *fixture = g_new0(ClientFixture, 1);
    /* Wakes the loop to see that patience is over. */
    g_autoptr(GSource) beat = g_timeout_source_new_seconds(1);

    fixture->context = g_main_context_new();
    g_source_set_callback(beat, on_beat, NULL, NULL);
    g_source_attach(beat, fixture->context);
    fixture->fake = fake_qmp_new(fixture->context, &fixture->fd);
    fixture->client = qmp_client_new(fixture->fd, fixture->context, QMP_CLASS_TICK);
    return fixture;
}

void
client_fixture_free(ClientFixture *fixture)
{
    qmp_client_free(fixture->client);
    fake_qmp_free(fixture->fake);
    for (guint i = 0; i < G_N_ELEMENTS(fixture->answers); i++)
        g_free(fixture->answers[i].text);
    g_main_context_unref(fixture->context);
    g_free(fixture);
}

static void
on_answer(QmpClient *client, JsonNode *result, const GError *error, gint64 waited_us, gpointer data)
{
    Answer *answer = data;

    answer->n++;
    answer->has_result = result;
    answer->code = error ? error->code : -1;
    g_free(answer->text);
    answer->text = g_strdup(error ? error->message : "");
    answer->waited_us = waited_us;
    if (answer->frees_client)
        qmp_client_free(client);
}

Answer *
client_fixture_ask_with(ClientFixture *fixture, guint index, QmpCommand command,
                        const char *arguments, gint64 deadline_us)
{
    Answer *answer = &fixture->answers[index];

    qmp_client_ask(fixture->client, command, arguments, deadline_us, on_answer, answer);
    return answer;
}

Answer *
client_fixture_ask(ClientFixture *fixture, guint index, QmpCommand command, gint64 deadline_us)
{
    return client_fixture_ask_with(fixture, index, command, NULL, deadline_us);
}

void
client_fixture_run_until(ClientFixture *fixture, const guint *value, guint wanted)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    while (*value < wanted && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_true(*value >= wanted);
}

void
client_fixture_run_to_stage(ClientFixture *fixture, QmpStage stage)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    while (qmp_client_stage(fixture->client) != stage && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(qmp_client_stage(fixture->client), stage);
}

void
client_fixture_run_idle(ClientFixture *fixture)
{
    while (g_main_context_iteration(fixture->context, FALSE))
        ;
}
