/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A VM's configuration file of Proxmox VE, /etc/pve/qemu-server/<VMID>.conf, read as qemu-server
 * 9 reads it. Only what stands before the first [section] is in force; what waits for the next
 * start ([PENDING]), Proxmox' own notes ([special:...]) and snapshots are told apart.
 *
 * Whatever the bytes are, something comes out: what Proxmox would skip with a warning is a problem
 * with its line. Keys that nobody knows stay. Keys, values and names are bytes that people chose:
 * printable only after units_printable(). Nothing here writes: files under /etc/pve are Proxmox'.
 */

#include "throttle.h"

typedef enum {
    PVE_LIVE,     /* before the first section */
    PVE_PENDING,  /* [PENDING]: what the next start brings */
    PVE_SPECIAL,  /* [special:cloudinit], [special:fleecing] */
    PVE_SNAPSHOT, /* [name] */
} PveSectionKind;

typedef struct {
    guint line;
    char *key, *value; /* cdrom is ide2; the value without blanks around it, never empty */
} PveEntry;

typedef struct {
    PveSectionKind kind;
    char *name; /* of a snapshot or special section, as written; else "" */
    guint line;
    char *description;  /* decoded, without blanks at its end, lines with \n; NULL without */
    GPtrArray *entries; /* of PveEntry, each key once */
} PveSection;

typedef struct {
    GPtrArray *sections; /* of PveSection; the first one is live and always there */
    GPtrArray *problems; /* of char *, printable: "line 7: is neither key nor section" */
} PveConf;

PveConf *pveconf_parse(const char *text, gsize length);
void pveconf_free(PveConf *conf);
/* As Proxmox writes it: description, keys in order, sections; drives in their canonical string. Two
 * files that Proxmox reads alike print alike. A new string. */
char *pveconf_print(const PveConf *conf);

const PveSection *pveconf_live(const PveConf *conf);
/* NULL: nothing is pending. */
const PveSection *pveconf_pending(const PveConf *conf);
/* NULL: the section does not say. "lock" is why nobody may touch the VM now ("backup", "migrate",
 * "snapshot", ...). */
const PveEntry *pve_find(const PveSection *section, const char *key);
const char *pve_value(const PveSection *section, const char *key);

/* Is that key a drive (scsi0, virtio15, efidisk0, ...)? unused0 is none. */
bool pve_is_drive(const char *key);
/* Can it have limits? EFI disk and TPM state have none. */
bool pve_is_limited_drive(const char *key);
/* All keys of the drive are its others, its limits the fields; NULL and a new string in *ret_wrong
 * for a drive that Proxmox refuses. */
Throttle *pve_drive_parse(const PveEntry *entry, char **ret_wrong) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PveConf, pveconf_free)
