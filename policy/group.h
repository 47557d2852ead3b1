/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the path of a cgroup says: the pod and the container in it, which part of it is one VM's
 * alone, and who sets its limits. Names are only read, never made: the path comes from the process.
 * Layouts of kubelet (systemd's and cgroupfs' driver, containerd, CRI-O, Docker), of libvirt and of
 * Proxmox; v1 and v2 alike. */

#include <glib.h>
#include <stdbool.h>

typedef struct {
    bool is_pod;
    char pod_uid[37];       /* lower case, with dashes where the pod has them */
    char container_id[72];  /* "" at the pod itself, or of an unknown form */
    const char *runtime;    /* "containerd", "cri-o", "docker"; NULL unknown */
    const char *qos;        /* "guaranteed", "burstable", "besteffort"; NULL without pod */
    gsize container_length; /* bytes of the path up to the container's group; 0 none */
    gsize own_length;       /* up to the topmost group that is the VM's alone, as far as names tell:
                               pod, scope; 0: only the whole path can be */
    bool is_made_for_one_vm; /* a pod, libvirt's or Proxmox' scope; not somebody's session */
} GroupPlace;

void group_parse(const char *path, GroupPlace *ret_place);
/* "container", "pod", "qos", "kubepods", "scope", "slice", "service", "root", or "group"; static.
 * What lies inside of a container or scope is a "group". */
const char *group_kind(const char *path);
/* Who would undo a foreign write to its memory limit: "systemd" (a unit), "libvirt" (the nested
 * group), "kubelet" (cgroupfs' driver), "runtime" (a container's group that is no unit), or NULL:
 * nobody known. Static. */
const char *group_owner(const char *path, bool has_systemd);
/* Is path the group, or below it? */
bool group_holds(const char *group, const char *path);
