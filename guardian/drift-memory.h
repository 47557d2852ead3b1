/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory limits of a VM's own groups beside what their owner holds of them: systemd's MemoryMax= of
 * the unit, or libvirt's hard limit, now and in the definition. Who owns a group writes its own
 * value back some day. */

#include "domain-xml.h"
#include "memory-limit.h"
#include "vm.h"

typedef enum {
    DRIFT_MEMORY_CONFIGURATION, /* what the next start brings */
    DRIFT_MEMORY_TOLD,          /* what its owner holds of it now */
    DRIFT_MEMORY_LIVE,          /* what the kernel enforces */
    DRIFT_MEMORY_N_SIDES
} DriftMemorySide;

typedef struct {
    char *group;                              /* printable */
    const char *owner;                        /* "systemd", "libvirt"; static */
    const char *problem;                      /* why its owner's is not known, static; NULL */
    MemoryLimit *sides[DRIFT_MEMORY_N_SIDES]; /* NULL: not known, or there is none */
} DriftMemory;

/* "configuration", "told", "live" */
const char *drift_memory_side_name(DriftMemorySide side);
/* Of DriftMemory, owned: a group whose owner holds nothing is left out. Nothing is read for it. */
GPtrArray *drift_memory_look(const Vm *vm);
bool drift_memory_is_equal(const DriftMemory *memory);
/* Why a difference matters: a static phrase; "" without one. */
const char *drift_memory_why(const DriftMemory *memory);
