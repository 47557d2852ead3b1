/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A client, a scripted monitor and the loop that drives both. */

#include "client.h"
#include "fake-qmp.h"

/* Of a question that will be answered: only a broken client lets a test wait so long. */
#define PATIENT_US (10 * G_USEC_PER_SEC)
/* Of a question that will not. */
#define SHORT_US 20000

typedef struct {
    guint n; /* times the callback ran */
    bool has_result;
    int code; /* of the error, -1 without */
    char *text;
    gint64 waited_us;
    bool frees_client; /* set by the test: the callback frees its client */
} Answer;

typedef struct {
    GMainContext *context;
    FakeQmp *fake;
    int fd;            /* the client's */
    QmpClient *client; /* class tick */
    Answer answers[16];
} ClientFixture;

ClientFixture *client_fixture_new(void);
void client_fixture_free(ClientFixture *fixture);

/* Asks; the answer goes to answers[index]. */
Answer *client_fixture_ask(ClientFixture *fixture, guint index, QmpCommand command,
                           gint64 deadline_us);
Answer *client_fixture_ask_with(ClientFixture *fixture, guint index, QmpCommand command,
                                const char *arguments, gint64 deadline_us);
/* Run the loop until *value is at least wanted, until the client is at the stage (both fail the
 * test after PATIENT_US), while there is anything to do at once. */
void client_fixture_run_until(ClientFixture *fixture, const guint *value, guint wanted);
void client_fixture_run_to_stage(ClientFixture *fixture, QmpStage stage);
void client_fixture_run_idle(ClientFixture *fixture);
