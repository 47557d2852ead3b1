/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the forms of memory-limit.h share: a reader of one value. */

#include "memory-limit.h"

/* Of a guest: qemu-server takes no less. */
#define MEMORY_PROXMOX_MIB_MIN 16

/* What a value says, before the kernel cuts it to pages. */
typedef struct {
    bool is_limited;
    guint64 bytes;
    guint64 total_bytes; /* given: of the host, 0 not known */
    const char *unit;    /* given: libvirt's; NULL */
    const char *note;    /* static; NULL */
} MemoryValue;

/* NULL, or why the owner of the form refuses it: a static phrase that follows the value. */
typedef const char *(*MemoryReadFunc)(const char *text, MemoryValue *value);

const char *memory_proxmox_read(const char *text, MemoryValue *value);
const char *memory_systemd_read(const char *text, MemoryValue *value);
const char *memory_cgroup2_read(const char *text, MemoryValue *value);
const char *memory_cgroup1_read(const char *text, MemoryValue *value);
const char *memory_libvirt_read(const char *text, MemoryValue *value);
const char *memory_kubernetes_read(const char *text, MemoryValue *value);
const char *memory_policy_read(const char *text, MemoryValue *value);
