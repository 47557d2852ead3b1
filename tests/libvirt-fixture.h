/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host in a tree with one libvirt, whose calls a function of the test's answers, in threads.
 * Include t.h first. */

#include "libvirt.h"
#include "tree.h"

struct LibvirtLink {
    int unused;
};

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    GPtrArray *vms; /* of Vm, the test's to free */
    Libvirt *libvirt;
    gint64 now_us;
} LibvirtFixture;

/* data is of both functions. */
void libvirt_fixture_set_up(LibvirtFixture *fixture, LibvirtWorkFunc work,
                            void (*close)(LibvirtLink *link, gpointer data), gpointer data);
/* From then on it is asked. */
void libvirt_fixture_connect(LibvirtFixture *fixture);
/* A process with that command line, which is known to the libvirt from the next look on. */
Vm *libvirt_fixture_vm(LibvirtFixture *fixture, pid_t pid, const char *const *words);
/* Until no call is on its way. */
void libvirt_fixture_wait(LibvirtFixture *fixture);
/* All but the libvirt, which the test frees first. */
void libvirt_fixture_tear_down(LibvirtFixture *fixture);
