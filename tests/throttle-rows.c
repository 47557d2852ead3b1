/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-rows.h"

char *
throttle_row_join(const GPtrArray *notes)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < notes->len; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? "; " : "", (char *)notes->pdata[i]);
    return g_string_free(text, FALSE);
}

Throttle *
throttle_row_read(ThrottleForm form, const char *text, char **ret_wrong)
{
    g_auto(GStrv) pairs = throttle_split_drive(text, ret_wrong);

    return pairs != NULL ? throttle_parse(form, (const char *const *)pairs, ret_wrong) : NULL;
}

Throttle *
throttle_row_side(ThrottleForm form, const char *text)
{
    g_autofree char *wrong = NULL;
    Throttle *throttle;

    if (text == NULL)
        return NULL;
    throttle = throttle_row_read(form, text, &wrong);
    if (throttle == NULL)
        fail_msg("%s: %s", text, wrong);
    return throttle;
}

static char *
canonical(const Throttle *throttle)
{
    g_auto(GStrv) pairs = throttle_print(throttle->form, throttle, NULL);

    return throttle_join_drive((const char *const *)pairs);
}

void
throttle_row_check(void **state)
{
    const ThrottleRow *row = *state;
    g_autofree char *wrong = NULL, *text = NULL, *said = NULL, *again_text = NULL;
    g_autoptr(Throttle) throttle = throttle_row_read(row->form, row->text, &wrong);
    g_autoptr(Throttle) again = NULL;

    if (row->canonical == NULL) {
        assert_null(throttle);
        assert_string_equal(wrong, row->said);
        return;
    }
    if (throttle == NULL)
        fail_msg("%s", wrong);
    text = canonical(throttle);
    said = throttle_row_join(throttle->notes);
    assert_string_equal(text, row->canonical);
    assert_string_equal(said, row->said);
    again = throttle_row_read(row->form, text, &wrong);
    if (again == NULL)
        fail_msg("its own text: %s", wrong);
    assert_true(throttle_equal(throttle, again));
    again_text = canonical(again);
    assert_string_equal(again_text, text);
}
