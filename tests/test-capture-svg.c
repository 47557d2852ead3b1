/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "capture-svg.h"
#include "timeline.h"

#include <math.h>
#include <string.h>

#define SECOND ((gint64)G_USEC_PER_SEC)

/* A disk that writes 5 a second for 10 s and then stands with one request in flight; the monitor
 * falls silent at the end. */
static const char story[] =
    "scenario 1\n"
    "vm web clock=1000s\n"
    "disk a&b driver=virtio-blk\n"
    "at 0s process=S monitor=answered run=running disks=yes cpu=100s rss_anon=1Gi rss_file=1Mi "
    "rss_shmem=0\n"
    "    a&b rd=0 wr=100 flush=0 unmap=0 rd_bytes=0 wr_bytes=0 time=0s failed=0 inflight=0 used=1 "
    "shared=no\n"
    "hold 10s every 2s per 2s cpu=+1s a&b wr=+10\n"
    "hold 10s every 2s a&b inflight=1\n"
    "hold 4s every 2s monitor=silent\n";

static const TimelineTitle title = {
    .vm_name = "web <1>", .monotonic_us = 1020 * SECOND, .realtime_us = 1785424867 * SECOND};

static const Point *
point(const Timeline *timeline, PanelId panel, guint index)
{
    const Series *series = timeline->panels[panel].series->pdata[0];

    assert_in_range(index, 0, series->points->len - 1);
    return &g_array_index(series->points, Point, index);
}

static void
rates_and_gauges_are_what_was_recorded(void **state)
{
    g_autoptr(Timeline) timeline = timeline_new(story);

    assert_int_equal(timeline->n_samples, 13);
    assert_int_equal(timeline->to_us - timeline->from_us, 24 * SECOND);
    assert_true(isnan(point(timeline, PANEL_WRITES, 0)->value)); /* nothing to compare with */
    assert_float_equal(point(timeline, PANEL_WRITES, 1)->value, 5, 0.001);
    assert_float_equal(point(timeline, PANEL_WRITES, 6)->value, 0, 0.001);
    assert_float_equal(point(timeline, PANEL_FLIGHT, 5)->value, 0, 0.001);
    assert_float_equal(point(timeline, PANEL_FLIGHT, 6)->value, 1, 0.001);
    assert_float_equal(point(timeline, PANEL_CPU, 1)->value, 50, 0.001);
    assert_float_equal(point(timeline, PANEL_MEMORY, 1)->value, 1025.0 * 1024 * 1024, 1);
}

static void
silence_is_a_band(void **state)
{
    g_autoptr(Timeline) timeline = timeline_new(story);

    assert_int_equal(timeline->bands->len, 2);
    assert_true(g_array_index(timeline->bands, Band, 0).is_silent);
    assert_int_equal(g_array_index(timeline->bands, Band, 0).from_us, 1020 * SECOND);
}

/* Well-formed, and nothing in it that is not text and lines. */
static void
count_element(GMarkupParseContext *context, const char *element, const char **names,
              const char **values, gpointer data, GError **error)
{
    static const char *const known[] = {"svg", "rect", "path", "text"};

    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
        if (g_str_equal(element, known[i])) {
            (*(guint *)data)++;
            return;
        }
    g_set_error(error, G_MARKUP_ERROR, G_MARKUP_ERROR_UNKNOWN_ELEMENT, "<%s>", element);
}

static void
the_picture_is_lines_and_text_only(void **state)
{
    static const GMarkupParser parser = {.start_element = count_element};
    g_autofree char *svg = capture_svg(story, &title);
    guint n = 0;
    g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, &n, NULL);
    g_autoptr(GError) error = NULL;

    if (!g_markup_parse_context_parse(context, svg, -1, &error) ||
        !g_markup_parse_context_end_parse(context, &error))
        fail_msg("%s in:\n%s", error->message, svg);
    assert_in_range(n, 20, 200);
    assert_non_null(strstr(svg, ">web &lt;1&gt;<"));
    assert_non_null(strstr(svg, ">a&amp;b<"));
    assert_non_null(strstr(svg, ">15:21:05<")); /* UTC, on whole steps */
    assert_non_null(strstr(svg, ">capture<"));
    assert_null(strstr(svg, "nan"));
}

static void
what_is_unknown_says_so(void **state)
{
    static const char bare[] = "scenario 1\nvm web\nat 0s process=S\nat 2s\n";
    g_autofree char *svg = capture_svg(bare, &title);

    assert_non_null(svg);
    assert_non_null(strstr(svg, ">unknown<"));
}

static void
without_two_samples_there_is_no_picture(void **state)
{
    static const char *const texts[] = {"", "garbage", "scenario 1\nvm web\nat 0s process=S\n"};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        assert_null(capture_svg(texts[i], &title));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        {"rates and gauges are what was recorded", rates_and_gauges_are_what_was_recorded, NULL,
         NULL, NULL},
        {"silence is a band", silence_is_a_band, NULL, NULL, NULL},
        {"the picture is lines and text only", the_picture_is_lines_and_text_only, NULL, NULL,
         NULL},
        {"what is unknown says so", what_is_unknown_says_so, NULL, NULL, NULL},
        {"without two samples there is no picture", without_two_samples_there_is_no_picture, NULL,
         NULL, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
