/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which storage a disk lies on: the device number behind its image, or the network address. stat()
 * of an image on a dead file system never returns, so it happens in a child process. */

#include "child.h"
#include "vm.h"

typedef struct {
    guint32 major, minor;
} DeviceNumber;

/* What is known of one image of the command line. */
typedef struct {
    char *identity;     /* "dev:254:3" */
    char *link;         /* as the kernel shows it for an open descriptor; raw bytes; NULL unknown */
    bool is_device;     /* it is a block device itself, not a file on one */
    DeviceNumber today; /* where its path leads, at the last look */
    bool has_held;
    DeviceNumber held; /* what QEMU holds open, at the last look */
} StorageFacts;

/* argv's storage (char *) -> StorageFacts, owned. */
GHashTable *storage_table_new(void);
/* Asks for the images of the VM, once; vm->storages is filled when the answer comes. While too many
 * children run it does nothing: call again at the next sample. */
void storage_look_up(Vm *vm, Children *children);
/* Asks again for those that are block devices, at most once in 30 s: does QEMU still hold the
 * device that the path leads to? Never for files, whose file system may be dead by now. */
void storage_look_again(Vm *vm, Children *children, gint64 now_us);
/* Before the VM ends: an answer that still comes is dropped. */
void storage_forget(Vm *vm);
/* Borrowed; NULL: unknown. */
const StorageFacts *storage_facts(const Vm *vm, const ArgvDisk *disk);
/* "dev:254:3", "nbd:...", or as the command line says; printable, new string; NULL unknown. */
char *storage_identity(const Vm *vm, const ArgvDisk *disk);
/* May the disk be a file or device that QEMU itself has open? True when that is not known. */
bool storage_may_be_open(const ArgvDisk *disk);
/* Does a descriptor's link lead to the disk's image? */
bool storage_is_at(const Vm *vm, const ArgvDisk *disk, const char *link);
