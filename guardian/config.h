/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* guardian.conf, guardian.conf.d, the words of the VM's owner and vm.d -> Limits for one VM, in
 * that order: what comes later wins, so the host has the last word; with the origin of every value.
 * Unknown and duplicate keys, unknown sections, values out of range and keys a VM's file may not
 * set are errors that name file, line and key. Loading is all or nothing: after an error the caller
 * keeps the old Config. Later files win over earlier ones, file names only order them. */

#include "config-disk.h"
#include "host.h"
#include "owner.h"
#include "settings.h"

typedef struct Config Config;

/* What a vm.d file can match on; any may be NULL. */
typedef struct {
    const char *name, *id, *uuid, *source; /* source: "proxmox", "bare", ... */
    const char *space;                     /* KubeVirt's namespace */
    const char *tags;                      /* Proxmox' tags, one blank between two */
    const GPtrArray *owner;                /* of OwnerWord: what its owner wrote down */
} ConfigSubject;

#define CONFIG_ORIGIN_DEFAULT "default"

/* Reads guardian.conf and so on below HOST_CONFIG. No file at all is a valid configuration. The
 * error (GUARDIAN_ERROR_CONFIG) has one line for each of the first errors, "<file>:<line>: ...". */
Config *config_load(const Host *host, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The text of one guardian.conf, from wherever; path names it in errors and is printable. */
Config *config_from_text(const char *path, char *text, gsize length,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void config_free(Config *config);
/* Fills the limits of one VM, or of the host when subject is NULL; the caller clears them. */
void config_limits(const Config *config, const ConfigSubject *subject, Limits *ret_limits);
/* Why an owner's word does not count here: unknown, not his to set, not a value. Printable, a new
 * string; NULL: it counts, unless vm.d says otherwise. */
char *config_owner_problem(const Config *config, const OwnerWord *word);
/* "default", or "<file>:<line>", or the origin of the owner's word, of the value config_limits()
 * would give. New string. */
char *config_origin(const Config *config, const ConfigSubject *subject, const Setting *setting);
/* The vm.d files that match the subject, in order; g_strfreev. */
char **config_matching_files(const Config *config, const ConfigSubject *subject);

/* The limits that the vm.d files want for the subject's disks: of ConfigDisk, new and owned, each
 * name once. Of several files that speak of a disk the last one says it all. */
GPtrArray *config_disks(const Config *config, const ConfigSubject *subject);

typedef struct {
    guint files, settings; /* settings: values given in all files */
    guint overrides;       /* of the files, those in vm.d */
} ConfigCount;

ConfigCount config_count(const Config *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)
