/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One canonical form for the limits of a disk, and the four forms they are written in. Equal means
 * equal in effect: 60, 60.0 and 62914560 bytes, an alias and its key, what is absent and its
 * default. Text is none of its business but Proxmox' drive string: it reads and prints pairs, names
 * and values in turn behind each other, ended by NULL (g_strfreev).
 *
 * It refuses what the owner of a form refuses. What is read but worth a word is a note; a value
 * that a form cannot express is never rounded or dropped without one. */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    THROTTLE_PROXMOX, /* a drive string of a VM's configuration */
    THROTTLE_QEMU,    /* `inserted` of query-block, or `limits` of a throttle-group object */
    THROTTLE_LIBVIRT, /* the elements of <iotune> */
    THROTTLE_POLICY,  /* the lines of [disk NAME] */
    THROTTLE_N_FORMS
} ThrottleForm;

typedef enum {
    THROTTLE_BPS_TOTAL,
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_IOPS_TOTAL,
    THROTTLE_IOPS_READ,
    THROTTLE_IOPS_WRITE,
    THROTTLE_N_LIMITS
} ThrottleLimit;

typedef enum {
    THROTTLE_RATE,   /* bytes/s or operations/s; 0 = no limit */
    THROTTLE_MAX,    /* of a burst, in the same unit; 0 = QEMU's own tenth of a second */
    THROTTLE_LENGTH, /* of a burst, in seconds; 1 unless given */
    THROTTLE_N_PARTS
} ThrottlePart;

/* A field is one number of one limit, or the bytes that count as one operation (0 = any). */
#define THROTTLE_FIELD(limit, part) ((limit)*THROTTLE_N_PARTS + (part))
#define THROTTLE_IOPS_SIZE THROTTLE_FIELD(THROTTLE_N_LIMITS, 0)
#define THROTTLE_N_FIELDS (THROTTLE_IOPS_SIZE + 1)

/* QEMU's cap for a rate, a burst, and the product of a burst and its length. */
#define THROTTLE_VALUE_MAX G_GUINT64_CONSTANT(1000000000000000)

typedef struct {
    ThrottleForm form; /* it was read from */
    guint64 fields[THROTTLE_N_FIELDS];
    char *group;          /* limits shared with other disks; NULL = with none */
    bool is_group_object; /* a throttle-group's own limits, which do not say its name */
    char **others;        /* pairs of this form that are no limits, for printing; never NULL */
    GPtrArray *notes;     /* of char *, sentences without a full stop; never NULL */
} Throttle;

/* "proxmox", ...; and back: false for another word. */
const char *throttle_form_name(ThrottleForm form);
bool throttle_form_find(const char *name, ThrottleForm *ret_form) G_GNUC_WARN_UNUSED_RESULT;
/* "bps_write_max_length_s", "iops_size_bytes": the same in every output. */
const char *throttle_field_name(guint field);

/* NULL with a sentence of its own in *ret_wrong for what the form's owner refuses. */
Throttle *throttle_parse(ThrottleForm form, const char *const *pairs,
                         char **ret_wrong) G_GNUC_WARN_UNUSED_RESULT;
/* The canonical pairs of this form, which throttle_parse() reads as equal; but notes (NULL: nobody
 * wants to know) is told of each field that this form has no word for. */
char **throttle_print(ThrottleForm form, const Throttle *throttle, GPtrArray *notes);
void throttle_free(Throttle *throttle);

/* Do they differ in effect in this field; in their group. A group that one of the two cannot know
 * is no difference. */
bool throttle_field_differs(const Throttle *a, const Throttle *b, guint field);
bool throttle_group_differs(const Throttle *a, const Throttle *b);
bool throttle_equal(const Throttle *a, const Throttle *b);
/* Why QEMU would refuse these limits, a new string; NULL when it takes them. */
char *throttle_find_fault(const Throttle *throttle);

/* What libvirt is to be told so that a disk with these limits has the wanted ones: pairs of its
 * form, numbers only, none when nothing differs. libvirt sets total, read and write of a kind
 * (bytes or operations, rate or burst) together, and takes what is left out as 0; other kinds keep
 * their values, and so do lengths, the size of an operation and the group (measured on 9.0). So of
 * a kind in which anything differs all three are told. known: n of them, that have all to become
 * so. */
char **throttle_libvirt_change(const Throttle *wanted, const Throttle *const *known, guint n);

/* "local:vm-1-disk-0,iothread=1" <-> pairs, the volume under "file". Splitting gives NULL and a
 * sentence of its own for text that is no such list. */
char **throttle_split_drive(const char *text, char **ret_wrong) G_GNUC_WARN_UNUSED_RESULT;
char *throttle_join_drive(const char *const *pairs);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Throttle, throttle_free)
