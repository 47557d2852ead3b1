/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ready-source.h"

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    return callback(data);
}

GSource *
ready_source_new(GSourceFunc func, gpointer data)
{
    static GSourceFuncs funcs = {.dispatch = dispatch};
    GSource *source = g_source_new(&funcs, sizeof(GSource));

    g_source_set_callback(source, func, data, NULL);
    return source;
}
