/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How KubeVirt calls a VM, out of words that somebody in the pod chose. Pure. */

#include <glib.h>
#include <stdbool.h>

typedef struct {
    char *space, *name; /* raw bytes, never empty, without "/" */
    char *uid;          /* of the VirtualMachineInstance; NULL unknown */
} KubevirtName;

/* Of virt-launcher's command line, "--name x" and "--name=x" alike; words may be NULL. false: no
 * name, or no namespace; *ret_name is untouched. */
bool kubevirt_parse_launcher(const char *const *words, KubevirtName *ret_name);
/* Of "<namespace>_<name>", as libvirt's domains in pods are called; domain may be NULL. */
bool kubevirt_parse_domain(const char *domain, KubevirtName *ret_name);
void kubevirt_name_clear(KubevirtName *name);
