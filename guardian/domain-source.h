/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* <source> of a libvirt disk, and the storage it means. Only domain-xml.c uses it. */

#include <glib.h>

typedef struct {
    char *file, *dev, *protocol, *name, *pool, *volume, *host, *port, *socket;
} DomainSource;

void domain_source_clear(DomainSource *source);
/* As ArgvDisk.storage spells it, new string; NULL: no medium, or unknown. */
char *domain_source_storage(const DomainSource *source);
