/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In place of libvirt-work.c where the guardian is built without libvirt. */

#include "libvirt-work.h"

const char *
libvirt_library_missing(void)
{
    return "not built in";
}

LibvirtLibrary *
libvirt_library_open(void)
{
    LibvirtLibrary *library = g_new0(LibvirtLibrary, 1);

    library->problem = g_strdup(libvirt_library_missing());
    return library;
}

char **
libvirt_library_calls(const LibvirtLibrary *library)
{
    return g_new0(char *, 1);
}
