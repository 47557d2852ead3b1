/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which storage a disk lies on: the device number behind its image, or the network address. stat()
 * of an image on a dead file system never returns, so it happens in a child process. */

#include "child.h"
#include "vm.h"

/* Asks for the images of the VM, once; vm->storages is filled when the answer comes. While too many
 * children run it does nothing: call again at the next sample. */
void storage_look_up(Vm *vm, Children *children);
/* Before the VM ends: an answer that still comes is dropped. */
void storage_forget(Vm *vm);
/* "dev:254:3", "nbd:...", or as the command line says; printable, new string; NULL unknown. */
char *storage_identity(const Vm *vm, const ArgvDisk *disk);
