/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A command line between its two passes: argv.c fills it, argv-resolve.c makes the Argv of it. */

#include "argv-options.h"
#include "argv.h"

/* Every table and list owns its Options. */
typedef struct {
    Argv *argv;
    GHashTable *nodes, *objects, *chardevs, *drives; /* by node-name or id */
    GPtrArray *own_drives; /* of Options: drives that bring their own device, in order */
    GPtrArray *devices, *monitors;
    GPtrArray *ram_backends; /* of char *: ids of what guest RAM is made of */
    GHashTable *drive_slots;
    bool has_mem_path;
    bool has_vga_option;           /* -vga, or -nodefaults: QEMU adds no graphics by itself */
    const char *default_interface; /* what a -drive without if= gets */
} Draft;

/* What risks hang on: controllers, iothreads, error policies, bursts, machine, helpers of a
 * post-mortem. After the disks are there. */
void argv_add_traits(const Draft *draft, Argv *argv);
/* Of a size as QEMU reads it: a fraction only with a unit, MiB without one. */
bool argv_parse_memory(const char *text, guint64 *ret_bytes);
/* Of -smp; 0 when it does not say a number, or not a sane one. */
guint argv_count_vcpus(Options *smp);
/* What a formula for memory beside the guest's RAM asks: graphics, host devices, SEV, arm64. */
void argv_add_hardware(const Draft *draft, const char *program, Argv *argv);
/* Resolves the references: monitors, disks, scsi_hosts, memory_is_shared. */
void argv_resolve(const Draft *draft, Argv *argv);
