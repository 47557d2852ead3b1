/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a libvirt domain's XML says, live or persistent: identity, memory and its limits, disks with
 * their controllers, driver options and <iotune>, metadata. Pure: text in, struct out; libvirt
 * itself is not needed. Elements it does not know are passed over. All texts are raw bytes (valid
 * UTF-8) that somebody may have chosen: units_printable() before they are shown. */

#include <glib.h>
#include <stdbool.h>

/* 256 disks make about 300 KiB. What is longer, or has more disks, is refused. */
#define DOMAIN_XML_BYTES_MAX (8u * 1024 * 1024)
#define DOMAIN_DISKS_MAX 4096u

typedef struct {
    bool is_known;
    guint64 value;
} DomainNumber;

typedef struct {
    char *type, *model; /* "scsi", "virtio-scsi"; model NULL: libvirt's default */
    char *alias;
    DomainNumber index, iothread, queues;
} DomainController;

typedef struct {
    char *device; /* "disk", "cdrom", "lun", "floppy" */
    char *target; /* "vda": libvirt's own name of it */
    char *bus;    /* "virtio", "scsi", "sata", "ide", "usb", ... */
    char *alias;  /* QEMU's device id ("virtio-disk0"); NULL in a persistent XML */
    /* As ArgvDisk.storage spells it, "volume:<pool>/<name>" beside; NULL: no medium, or unknown. */
    char *storage;
    char *format; /* "qcow2"; of <driver>, as the next ones; NULL */
    char *cache, *io, *error_policy, *rerror_policy, *discard, *detect_zeroes;
    DomainNumber iothread, queues; /* of the disk itself; virtio-scsi: its controller */
    guint n_iothreads;             /* that its queues are mapped to */
    DomainNumber controller, address_target, unit; /* <address type='drive'>; unknown: none */
    bool is_readonly, is_shareable;
    char **iotune; /* names and values in turn, as iotune.h; NULL: no <iotune> */
} DomainDisk;

/* A leaf of <metadata>: what an owner or a tool wrote down about the VM. */
typedef struct {
    char *space;       /* the namespace its name is in; "" none */
    char *path;        /* local names below <metadata>: "kubevirt/uid" */
    char **attributes; /* names and values in turn; never NULL */
    char *text;        /* without blanks around it; never NULL */
} DomainNote;

typedef struct {
    char *name, *uuid, *type; /* type: "kvm", "qemu" */
    char *title, *description;
    DomainNumber id; /* while it runs */
    DomainNumber memory_bytes, balloon_bytes,
        maximum_bytes; /* <memory> <currentMemory> <maxMemory> */
    DomainNumber vcpus, vcpus_now, iothreads;
    /* <memtune>; unknown: unlimited. libvirt's own word for unlimited counts as none. */
    DomainNumber hard_limit_bytes, soft_limit_bytes, swap_hard_limit_bytes;
    bool uses_hugepages, is_locked;
    char *memory_source, *memory_access; /* <memoryBacking>: "memfd", "shared"; NULL */
    guint n_hostdevs, n_memory_devices, n_watchdogs, n_serials, n_panic_devices;
    char *machine;                           /* "pc-q35-7.2"; NULL */
    char *balloon_model, *balloon_reporting; /* "virtio", "on"; NULL: libvirt's default */
    GPtrArray *disks;                        /* of DomainDisk */
    GPtrArray *controllers;                  /* of DomainController */
    GPtrArray *notes;                        /* of DomainNote */
} DomainXml;

/* NULL with GUARDIAN_ERROR_MALFORMED and what is wrong: not well-formed, no <domain>, or too much
 * of it. */
DomainXml *domain_xml_parse(const char *text, gsize length,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void domain_xml_free(DomainXml *xml);
/* The controller that the disk sits on; NULL: none (virtio), or not told. Borrowed. */
const DomainController *domain_xml_controller(const DomainXml *xml, const DomainDisk *disk);
/* By target or alias; NULL. Borrowed. */
const DomainDisk *domain_xml_disk(const DomainXml *xml, const char *word);
/* Targets of the disks that have a medium; new, never NULL (g_strfreev). */
char **domain_xml_targets(const DomainXml *xml);
/* The text of the note in that namespace at that path; NULL. Borrowed. */
const char *domain_xml_note(const DomainXml *xml, const char *space, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainXml, domain_xml_free)
