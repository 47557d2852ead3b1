/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Four panels share one time axis. A series is one line; where a fact is unknown the line is
 * broken, not zero. Behind all panels: grey where the monitor did not answer, yellow where the
 * guest was not running; a dashed line where the capture began. */

#include "capture-svg.h"

#include "timeline.h"
#include "units.h"

#include <math.h>
#include <string.h>

#define WIDTH 1000
#define LEFT 80
#define RIGHT 170 /* the legend */
#define TOP 78
#define PANEL 120
#define GAP 34
#define NAME_CHARACTERS 40
#define PLOT (WIDTH - LEFT - RIGHT)

typedef struct {
    const Timeline *timeline;
    const TimelineTitle *title;
    GString *text;
} Drawing;

static const char *const colours[TIMELINE_SERIES_MAX] = {"#0b62a4", "#c2410c", "#15803d",
                                                         "#7e22ce", "#0e7490", "#a16207"};
static const char *const panel_titles[N_PANELS] = {
    [PANEL_WRITES] = "writes completed per second",
    [PANEL_FLIGHT] = "requests in flight",
    [PANEL_CPU] = "CPU, percent of one core",
    [PANEL_MEMORY] = "memory",
};

/* Whole pixels: a comma as the decimal point, of whatever locale, would spoil the file. */
static int
x_of(const Drawing *drawing, gint64 at_us)
{
    const Timeline *timeline = drawing->timeline;

    return LEFT + (int)((at_us - timeline->from_us) * PLOT / (timeline->to_us - timeline->from_us));
}

static int
y_of_panel(guint panel)
{
    return TOP + (int)panel * (PANEL + GAP);
}

static int
y_bottom(void)
{
    return y_of_panel(N_PANELS - 1) + PANEL;
}

static void
draw_bands(Drawing *drawing)
{
    for (guint i = 0; i < drawing->timeline->bands->len; i++) {
        const Band *band = &g_array_index(drawing->timeline->bands, Band, i);
        int x = x_of(drawing, band->from_us);

        g_string_append_printf(drawing->text,
                               "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
                               x, TOP, MAX(x_of(drawing, band->to_us) - x, 1), y_bottom() - TOP,
                               band->is_silent ? "#e2e2e2" : "#fff3c4");
    }
}

static char *
format_value(PanelId panel, double value)
{
    gint64 tenths = (gint64)(value * 10 + 0.5);

    if (panel == PANEL_MEMORY)
        return units_format_size_short((guint64)value);
    if (tenths % 10 == 0 || tenths >= 100)
        return g_strdup_printf("%" G_GINT64_FORMAT, tenths / 10);
    return g_strdup_printf("%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT, tenths / 10, tenths % 10);
}

/* The smallest of 1, 2, 5 x 10^n that is not below; of bytes the smallest power of two. */
static double
round_up(PanelId panel, double value)
{
    double step = 1;

    if (panel == PANEL_MEMORY) {
        while (step < value)
            step *= 2;
        return step;
    }
    while (step * 10 <= value)
        step *= 10;
    return value <= step       ? step
           : value <= 2 * step ? 2 * step
           : value <= 5 * step ? 5 * step
                               : 10 * step;
}

/* Steps, no slopes: nothing is known between two samples, and a slope would date what it was not
 * there to see. */
static void
draw_line(Drawing *drawing, const Series *series, double top, int y, const char *colour)
{
    bool is_down = false;

    g_string_append(drawing->text, "<path fill=\"none\" stroke-width=\"1.6\" d=\"");
    for (guint i = 0; i < series->points->len; i++) {
        const Point *point = &g_array_index(series->points, Point, i);
        const Point *from = series->is_rate && i > 0 ? point - 1 : point;
        int x = x_of(drawing, point->at_us), level;

        if (isnan(point->value)) {
            is_down = false;
            continue;
        }
        level = y + PANEL - (int)(point->value * PANEL / top);
        if (!is_down)
            g_string_append_printf(drawing->text, "M%d %d", x_of(drawing, from->at_us), level);
        if (series->is_rate)
            g_string_append_printf(drawing->text, "V%dH%d", level, x);
        else
            g_string_append_printf(drawing->text, "H%dV%d", x, level);
        is_down = true;
    }
    g_string_append_printf(drawing->text, "\" stroke=\"%s\"/>\n", colour);
}

static bool
is_known(const Panel *panel)
{
    for (guint i = 0; i < panel->series->len; i++) {
        const Series *series = panel->series->pdata[i];

        for (guint j = 0; j < series->points->len; j++)
            if (!isnan(g_array_index(series->points, Point, j).value))
                return true;
    }
    return false;
}

static void
draw_scale(Drawing *drawing, PanelId id, double top, int y)
{
    for (guint i = 0; i <= 2; i++) {
        g_autofree char *text = format_value(id, top * i / 2);
        int at = y + PANEL - PANEL * (int)i / 2;

        g_string_append_printf(drawing->text,
                               "<path d=\"M%d %dH%d\" stroke=\"#ccc\"/>"
                               "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
                               LEFT, at, LEFT + PLOT, LEFT - 6, at + 4, text);
    }
}

static void
draw_panel(Drawing *drawing, PanelId id)
{
    const Panel *panel = &drawing->timeline->panels[id];
    double top = round_up(id, panel->top);
    int y = y_of_panel(id);

    g_string_append_printf(drawing->text,
                           "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%s</text>\n", LEFT, y - 7,
                           panel_titles[id]);
    if (!is_known(panel)) {
        g_string_append_printf(drawing->text,
                               "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">unknown</text>\n",
                               LEFT + PLOT / 2, y + PANEL / 2);
        return;
    }
    draw_scale(drawing, id, top, y);
    for (guint i = 0; i < panel->series->len; i++) {
        const Series *series = panel->series->pdata[i];
        g_autofree char *name = g_markup_escape_text(series->name, -1);

        draw_line(drawing, series, top, y, colours[i]);
        g_string_append_printf(drawing->text, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n",
                               LEFT + PLOT + 10, y + 12 + 16 * (int)i, colours[i], name);
    }
}

/* The UTC time of a monotonic stamp. */
static char *
format_time(const Drawing *drawing, gint64 at_us, const char *format)
{
    gint64 realtime_us = drawing->title->realtime_us - (drawing->title->monotonic_us - at_us);
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(realtime_us / G_USEC_PER_SEC);

    return time ? g_date_time_format(time, format) : g_strdup("?");
}

/* About eight ticks, on whole seconds and minutes of UTC. */
static void
draw_times(Drawing *drawing)
{
    static const guint steps_s[] = {1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600};
    const TimelineTitle *title = drawing->title;
    gint64 offset_us = title->realtime_us - title->monotonic_us;
    gint64 step_us = 0;
    int bottom = y_bottom();

    for (guint i = 0; i < G_N_ELEMENTS(steps_s); i++) {
        step_us = steps_s[i] * (gint64)G_USEC_PER_SEC;
        if ((drawing->timeline->to_us - drawing->timeline->from_us) / step_us <= 8)
            break;
    }
    for (gint64 at = ((drawing->timeline->from_us + offset_us) / step_us + 1) * step_us - offset_us;
         at <= drawing->timeline->to_us; at += step_us) {
        g_autofree char *text = format_time(drawing, at, "%H:%M:%S");

        g_string_append_printf(drawing->text,
                               "<path d=\"M%d %dV%d\" stroke=\"#ddd\"/>"
                               "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                               x_of(drawing, at), TOP, bottom, x_of(drawing, at), bottom + 18,
                               text);
    }
}

static void
draw_head(Drawing *drawing)
{
    glong length = g_utf8_strlen(drawing->title->vm_name, -1);
    g_autofree char *cut =
        g_utf8_substring(drawing->title->vm_name, 0, MIN(length, NAME_CHARACTERS));
    g_autofree char *name = g_markup_escape_text(cut, -1);
    g_autofree char *from = format_time(drawing, drawing->timeline->from_us, "%Y-%m-%d %H:%M:%S");
    g_autofree char *to = format_time(drawing, drawing->timeline->to_us, "%H:%M:%S");
    int height = y_of_panel(N_PANELS) + 4;

    g_string_append_printf(
        drawing->text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
        "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
        "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n"
        "<text x=\"%d\" y=\"22\" font-size=\"15\" font-weight=\"bold\">%s</text>\n"
        "<text x=\"%d\" y=\"22\" text-anchor=\"end\">%s to %s UTC; grey: monitor silent, "
        "yellow: not running</text>\n",
        WIDTH, height, WIDTH, height, WIDTH, height, LEFT, name, WIDTH - 12, from, to);
}

static void
draw_mark(Drawing *drawing)
{
    gint64 at_us = drawing->title->monotonic_us;
    int x = x_of(drawing, at_us);

    if (at_us < drawing->timeline->from_us || at_us > drawing->timeline->to_us)
        return;
    g_string_append_printf(drawing->text,
                           "<path d=\"M%d %dV%d\" stroke=\"#b91c1c\" stroke-dasharray=\"4 3\"/>"
                           "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#b91c1c\">capture"
                           "</text>\n",
                           x, TOP - 34, y_bottom(), x - 4, TOP - 24);
}

char *
capture_svg(const char *samples, const TimelineTitle *title)
{
    g_autoptr(Timeline) timeline = timeline_new(samples);
    Drawing drawing = {.timeline = timeline, .title = title};

    if (timeline->n_samples < 2 || timeline->to_us <= timeline->from_us)
        return NULL;
    drawing.text = g_string_new(NULL);
    draw_head(&drawing);
    draw_bands(&drawing);
    draw_times(&drawing);
    for (guint i = 0; i < N_PANELS; i++)
        draw_panel(&drawing, i);
    draw_mark(&drawing);
    g_string_append(drawing.text, "</svg>\n");
    return g_string_free(drawing.text, FALSE);
}
