/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "libvirt-fixture.h"

#include "fake-host.h"

void
libvirt_fixture_set_up(LibvirtFixture *fixture, LibvirtWorkFunc work,
                       void (*close)(LibvirtLink *link, gpointer data), gpointer data)
{
    LibvirtLibrary *library = g_new0(LibvirtLibrary, 1);

    *library = (LibvirtLibrary){.work = work, .close = close, .data = data};
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->vms = g_ptr_array_new();
    fixture->libvirt = libvirt_new(fixture->host, fixture->context, fixture->vms, library);
    fixture->now_us = 1000 * G_USEC_PER_SEC;
}

void
libvirt_fixture_connect(LibvirtFixture *fixture)
{
    g_auto(Limits) limits = {0};

    limits_init_defaults(&limits);
    limits.libvirt_connections = g_strdup("test:///fake");
    libvirt_configure(fixture->libvirt, &limits);
}

Vm *
libvirt_fixture_vm(LibvirtFixture *fixture, pid_t pid, const char *const *words)
{
    Vm *vm;

    fake_host_process(fixture->tree, pid, 7, "qemu-system-x86", words);
    vm = vm_new(proc_open(fixture->host, pid, NULL), argv_parse(words), "libvirt");
    limits_init_defaults(&vm->limits);
    g_ptr_array_add(fixture->vms, vm);
    return vm;
}

void
libvirt_fixture_wait(LibvirtFixture *fixture)
{
    while (libvirt_pending(fixture->libvirt) > 0)
        g_main_context_iteration(fixture->context, TRUE);
}

void
libvirt_fixture_tear_down(LibvirtFixture *fixture)
{
    g_ptr_array_unref(fixture->vms);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
}
