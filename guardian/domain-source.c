/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-source.h"

#include <stdbool.h>
#include <string.h>

#define NBD_PORT "10809"
#define ISCSI_PORT "3260"

void
domain_source_clear(DomainSource *source)
{
    g_free(source->file);
    g_free(source->dev);
    g_free(source->protocol);
    g_free(source->name);
    g_free(source->pool);
    g_free(source->volume);
    g_free(source->host);
    g_free(source->port);
    g_free(source->socket);
    memset(source, 0, sizeof *source);
}

static char *
storage_of_network(const DomainSource *source)
{
    const char *protocol = source->protocol;
    const char *name = source->name ? source->name : "";

    if (g_str_equal(protocol, "nbd") && source->socket)
        return g_strconcat("nbd:", source->socket, NULL);
    if (g_str_equal(protocol, "nbd") && source->host)
        return g_strconcat("nbd:", source->host, ":", source->port ? source->port : NBD_PORT, NULL);
    if (g_str_equal(protocol, "iscsi") && source->host)
        return g_strconcat("iscsi:", source->host, ":", source->port ? source->port : ISCSI_PORT,
                           "/", name, NULL);
    if (g_str_equal(protocol, "rbd"))
        return g_strconcat("rbd:", name, NULL);
    return g_strconcat(protocol, ":", NULL);
}

char *
domain_source_storage(const DomainSource *source)
{
    const char *path = source->file ? source->file : source->dev;
    bool is_device =
        path && g_str_has_prefix(path, "/dev/") && !g_str_has_prefix(path, "/dev/shm/");

    if (path)
        return *path ? g_strconcat(is_device ? "dev:" : "file:", path, NULL) : NULL;
    if (source->pool && source->volume)
        return g_strconcat("volume:", source->pool, "/", source->volume, NULL);
    return source->protocol ? storage_of_network(source) : NULL;
}
