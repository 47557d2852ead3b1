/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lookup.h"

Lookup *
lookup_begin(Lookup **slot, Vm *vm, const Host *host)
{
    Lookup *lookup = g_new0(Lookup, 1);

    g_assert(!*slot);
    *lookup = (Lookup){.vm = vm, .host = host, .slot = slot};
    *slot = lookup;
    return lookup;
}

Vm *
lookup_end(Lookup *lookup)
{
    Vm *vm = lookup->vm;

    if (vm)
        *lookup->slot = NULL;
    g_free(lookup);
    return vm;
}

void
lookup_forget(Lookup **slot)
{
    if (*slot)
        (*slot)->vm = NULL;
    *slot = NULL;
}
