/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-work.h"

static void
listed_free(gpointer data)
{
    LibvirtListed *listed = data;

    g_free(listed->uuid);
    g_free(listed->name);
    g_free(listed);
}

static void
figures_free(gpointer data)
{
    g_free(((LibvirtFigures *)data)->uuid);
    g_free(data);
}

static void
disk_free(gpointer data)
{
    g_free(((LibvirtDisk *)data)->target);
    g_free(data);
}

GPtrArray *
libvirt_listed_new(void)
{
    return g_ptr_array_new_with_free_func(listed_free);
}

GPtrArray *
libvirt_figures_new(void)
{
    return g_ptr_array_new_with_free_func(figures_free);
}

GPtrArray *
libvirt_disks_new(void)
{
    return g_ptr_array_new_with_free_func(disk_free);
}

void
libvirt_errand_free(LibvirtErrand *errand)
{
    g_free(errand->uri);
    g_free(errand->uuid);
    g_strfreev(errand->targets);
    g_free(errand->write_uri);
    g_strfreev(errand->commands);
    g_free(errand->target);
    g_strfreev(errand->tune);
    if (errand->events)
        libvirt_events_unref(errand->events);
    g_free(errand);
}

void
libvirt_reply_free(LibvirtReply *reply)
{
    if (!reply)
        return;
    g_clear_pointer(&reply->listed, g_ptr_array_unref);
    g_clear_pointer(&reply->figures, g_ptr_array_unref);
    g_clear_pointer(&reply->disks, g_ptr_array_unref);
    g_clear_pointer(&reply->answers, g_ptr_array_unref);
    domain_xml_free(reply->xml);
    domain_xml_free(reply->persistent);
    g_free(reply->xml_problem);
    g_free(reply->problem);
    g_free(reply);
}

void
libvirt_library_free(LibvirtLibrary *library)
{
    if (library->release)
        library->release(library->data);
    g_free(library->problem);
    g_free(library);
}
