/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pve-read.h"

#include "files-read.h"

typedef struct {
    PveReadFunc func;
    gpointer data;
} Reading;

#define PVE_LOG "pve/.clusterlog"

char *
pve_conf_path(const char *id)
{
    return g_strdup_printf("pve/qemu-server/%s.conf", id);
}

static void
on_files(const FileRead *files, gpointer data)
{
    g_autofree Reading *reading = data;
    PveRead read = {0};

    if (!files) {
        reading->func(NULL, reading->data);
        return;
    }
    read.error_number = files[0].error_number;
    read.text = files[0].text;
    read.length = files[0].length;
    read.is_cut = files[0].length == PVE_CONF_BYTES_MAX;
    read.written_us = files[0].written_us;
    read.log = files[1].length > 0 ? files[1].text : NULL;
    read.log_length = files[1].length;
    reading->func(&read, reading->data);
}

/* pve/qemu-server is a link that Proxmox makes, where only root writes. */
bool
pve_read(const Host *host, Children *children, const char *id, gint64 deadline_us, PveReadFunc func,
         gpointer data)
{
    g_autofree char *path = pve_conf_path(id);
    const FileWanted wanted[] = {
        {HOST_ETC, path, PVE_CONF_BYTES_MAX, true},
        {HOST_ETC, PVE_LOG, PVE_LOG_BYTES_MAX, true},
    };
    g_autofree Reading *reading = g_new0(Reading, 1);

    reading->func = func;
    reading->data = data;
    if (!files_read(host, children, wanted, G_N_ELEMENTS(wanted), deadline_us, on_files, reading))
        return false;
    (void)g_steal_pointer(&reading);
    return true;
}
