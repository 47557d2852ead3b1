/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One canonical form for the memory limit of a VM, and the forms it is written in. Equal means
 * equal in effect: the kernel counts whole pages and cuts the rest, so 1G, 1048576 KiB and
 * 1073741825 bytes are one limit. It refuses what the owner of a form refuses; what is read but
 * worth a word is a note, and what a form cannot express is said, not rounded.
 *
 * Text is none of its business but one value: XML and files are read elsewhere. */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    MEMORY_LIMIT_PROXMOX,    /* memory: of a VM's configuration, MiB; what its guest gets */
    MEMORY_LIMIT_SYSTEMD,    /* MemoryMax= of a unit */
    MEMORY_LIMIT_CGROUP2,    /* memory.max */
    MEMORY_LIMIT_CGROUP1,    /* memory.limit_in_bytes */
    MEMORY_LIMIT_LIBVIRT,    /* <hard_limit> of <memtune> */
    MEMORY_LIMIT_KUBERNETES, /* resources.limits.memory of a container */
    MEMORY_LIMIT_POLICY,     /* a size as in guardian.conf; 0 is no limit */
    MEMORY_LIMIT_N_FORMS
} MemoryLimitForm;

/* Of x86-64 and everything else that KVM hosts commonly have. */
#define MEMORY_LIMIT_PAGE 4096
/* PAGE_COUNTER_MAX of the kernel (include/linux/page_counter.h, 64 bit), in bytes: as many pages
 * are no limit. cgroup v1 prints it. */
#define MEMORY_LIMIT_NONE G_GUINT64_CONSTANT(9223372036854771712)

typedef struct {
    MemoryLimitForm form; /* it was read from */
    bool is_limited;
    guint64 bytes;    /* whole pages; 0 unless it is limited */
    GPtrArray *notes; /* of char *, sentences without a full stop; never NULL */
} MemoryLimit;

/* "proxmox", ...; and back: false for another word. */
const char *memory_limit_form_name(MemoryLimitForm form);
bool memory_limit_form_find(const char *name, MemoryLimitForm *ret_form) G_GNUC_WARN_UNUSED_RESULT;

/* value: without blanks around it; a key of the form's owner may stand before it ("MemoryMax=",
 * "memory:"). unit: libvirt's, NULL its default and in the other forms. total_bytes: what a share
 * of the host's memory is of; 0: not known. NULL with a sentence of its own in *ret_wrong for what
 * the form's owner refuses. */
MemoryLimit *memory_limit_parse(MemoryLimitForm form, const char *value, const char *unit,
                                guint64 total_bytes, char **ret_wrong) G_GNUC_WARN_UNUSED_RESULT;
/* No limit in that form, where nothing is written down. */
MemoryLimit *memory_limit_absent(MemoryLimitForm form);
/* The canonical value in this form, which memory_limit_parse() reads as equal: libvirt's in KiB, of
 * none "". A new string; NULL where this form has no word for it, which notes (NULL: nobody wants
 * to know) is told. */
char *memory_limit_print(MemoryLimitForm form, const MemoryLimit *limit, GPtrArray *notes);
bool memory_limit_equal(const MemoryLimit *a, const MemoryLimit *b);
void memory_limit_free(MemoryLimit *limit);

/* A number and a unit as libvirt takes them, cut up to whole KiB as libvirt does. NULL and
 * *ret_kib, or a static phrase ("is not a number"). */
const char *memory_limit_libvirt_kib(const char *value, const char *unit,
                                     guint64 *ret_kib) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MemoryLimit, memory_limit_free)
