/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much memory a VM needs beside its guest's RAM: two static models, and bounds measured from
 * the process and its cgroup. Total functions on integers; no allocation that the caller must free.
 *
 * Sources: the table is Harvester's investigation of its users' OOM kills; the KubeVirt terms are
 * those of GetMemoryOverhead in KubeVirt's pkg/virt-controller/services, constants by release. */

#include "model.h"

#define OVERHEAD_TERMS_MAX 24

typedef struct {
    const char *name; /* static: "page_tables", "virt_launcher", ... */
    const char *why;  /* static, one phrase: "requested memory / 512" */
    guint64 bytes;    /* before the ratio */
} OverheadTerm;

typedef struct {
    guint64 configured_bytes; /* the memory limit the user asked for */
    guint64 request_bytes;    /* KubeVirt: requests.memory */
    gint32 kubevirt_version;  /* units_parse_version() */
    guint32 vcpus;            /* 0 counts as 1 */
    bool has_graphics, has_vfio, has_tpm, has_sev, is_arm64, is_dedicated;
    bool has_liveness_probe, has_readiness_probe, has_console_log;
    gint64 ratio_thousandths; /* 1000 = 1 */
    guint64 added_bytes;      /* addedOverhead, since 1.8 */
} OverheadInput;

typedef struct {
    OverheadTerm terms[OVERHEAD_TERMS_MAX];
    guint n_terms;
    guint64 reserved_bytes;  /* all terms, after the ratio */
    guint64 limit_bytes;     /* of the compute container, rounded down to a page */
    guint64 pod_limit_bytes; /* of the pod, from the unrounded sum, rounded down to a page */
    guint64 guest_bytes;     /* what is left for, or configured as, the guest's RAM */
} OverheadResult;

/* NULL, or a static sentence that says why the model does not answer (unknown version, a term the
 * version does not have, zero memory, a sum past INT64_MAX); *ret_ is then untouched. The table
 * looks at configured_bytes only. */
const char *overhead_table(const OverheadInput *input,
                           OverheadResult *ret_result) G_GNUC_WARN_UNUSED_RESULT;
const char *overhead_kubevirt(const OverheadInput *input,
                              OverheadResult *ret_result) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
    bool is_known;
    bool is_exact; /* low == high because the guest's RAM can be told from the rest */
    guint64 low_bytes, high_bytes;
    const char *source; /* static: what it was measured on: "cgroup", "process" */
} OverheadBounds;

/* What the VM holds beside guest RAM, unreclaimable, now. The whole group where a limit is in
 * force, else the QEMU process. Between "the guest touched all it may" and "it touched nothing";
 * unknown without the size of guest RAM. */
OverheadBounds overhead_measure(const MemorySample *memory);

/* limit - unreclaimable charge of the limited group; negative when over. false: no limit, or
 * unknown. */
bool overhead_headroom(const MemorySample *memory, gint64 *ret_bytes);
