/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overhead.h"
#include "units.h"

/* What a policy reserves for a VM beside its guest's RAM, by two static models.
 *
 * The table carves its reserve out of what the user configured, so the guest gets less; KubeVirt
 * adds its sum, times the ratio, on top, so the guest gets all. A limit is in whole pages, because
 * the kernel rounds down what is written to memory.max; the pod's limit is rounded on its own, from
 * the sum of its containers as they were asked for.
 *
 * KubeVirt computes page tables and the product with the ratio in units of 1000 bytes, we in bytes:
 * its limit can come out a page off. What a running pod shows is the truth, this explains it. A
 * release whose constants nobody has looked up is refused: a wrong number is worse than none. */

/* The kernel's rounding of a memory limit. Every host we know of has 4 KiB pages. */
#define PAGE_BYTES G_GUINT64_CONSTANT(4096)

/* The limit of guest-console-log, the pod's second container: 60M in KubeVirt's (decimal) words. */
#define CONSOLE_LOG_BYTES G_GUINT64_CONSTANT(60000000)

/* What each probe takes that runs a program in the guest, beside what virt-probe takes once. */
#define PROBE_BYTES (10 * UNITS_MIB)

/* Releases by units_parse_version(). */
#define VERSION_1_1 1001 /* first with the term for guaranteed pods */
#define VERSION_1_6 1006 /* video: 32 MiB instead of 16 */
#define VERSION_1_8 1008 /* first with addedOverhead */

static const char too_much[] = "the sum is past what 63 bits can hold";

static bool
sum_add(guint64 *sum_bytes, guint64 bytes)
{
    return g_uint64_checked_add(sum_bytes, *sum_bytes, bytes) && *sum_bytes <= G_MAXINT64;
}

static void
result_add(OverheadResult *result, const char *name, guint64 bytes, const char *why)
{
    g_assert(result->n_terms < OVERHEAD_TERMS_MAX);
    result->terms[result->n_terms++] = (OverheadTerm){.name = name, .why = why, .bytes = bytes};
}

static guint64
whole_pages(guint64 bytes)
{
    return bytes - bytes % PAGE_BYTES;
}

typedef struct {
    guint64 from_bytes;
    guint64 reserved_bytes;
    const char *why;
} TableStep;

/* Highest first. Between its rows the table says nothing: the lower row holds. */
static const TableStep table_steps[] = {
    {10 * UNITS_GIB, 1024 * UNITS_MIB, "10 GiB or more configured"},
    {5 * UNITS_GIB, 512 * UNITS_MIB, "5 to 10 GiB configured"},
    {2 * UNITS_GIB, 384 * UNITS_MIB, "2 to 5 GiB configured"},
    {0, 256 * UNITS_MIB, "less than 2 GiB configured"},
};

const char *
overhead_table(const OverheadInput *input, OverheadResult *ret_result)
{
    OverheadResult result = {0};
    const TableStep *step = table_steps;

    if (input->configured_bytes == 0)
        return "the configured memory is zero";
    if (input->configured_bytes > G_MAXINT64)
        return too_much;
    while (input->configured_bytes < step->from_bytes)
        step++;
    if (input->configured_bytes <= step->reserved_bytes)
        return "the configured memory is not larger than what the table reserves of it";
    result_add(&result, "table", step->reserved_bytes, step->why);
    result.reserved_bytes = step->reserved_bytes;
    result.guest_bytes = input->configured_bytes - step->reserved_bytes;
    result.limit_bytes = result.pod_limit_bytes = whole_pages(input->configured_bytes);
    *ret_result = result;
    return NULL;
}

/* What KubeVirt sets aside for its own processes, in MiB: five numbers, or one lump. */
typedef struct {
    gint32 first_version, last_version;
    guint lump, monitor, launcher, virtlogd, virtqemud, qemu;
} KubevirtConstants;

static const KubevirtConstants kubevirt_constants[] = {
    {36, 53, .lump = 138},
    {54, 54, .monitor = 25, .launcher = 75, .virtlogd = 17, .virtqemud = 33, .qemu = 30},
    {58, 58, .monitor = 25, .launcher = 100, .virtlogd = 18, .virtqemud = 35, .qemu = 30},
    {59, 59, .monitor = 25, .launcher = 100, .virtlogd = 20, .virtqemud = 35, .qemu = 30},
    {1000, 1004, .monitor = 25, .launcher = 100, .virtlogd = 20, .virtqemud = 35, .qemu = 30},
    {1005, 1009, .monitor = 25, .launcher = 100, .virtlogd = 25, .virtqemud = 40, .qemu = 30},
    {UNITS_VERSION_MAIN, UNITS_VERSION_MAIN, .monitor = 25, .launcher = 100, .virtlogd = 25,
     .virtqemud = 40, .qemu = 50},
};

static const KubevirtConstants *
constants_find(gint32 version)
{
    for (guint i = 0; i < G_N_ELEMENTS(kubevirt_constants); i++)
        if (version >= kubevirt_constants[i].first_version &&
            version <= kubevirt_constants[i].last_version)
            return &kubevirt_constants[i];
    return NULL;
}

static void
add_processes(const KubevirtConstants *constants, OverheadResult *result)
{
    if (constants->lump > 0) {
        result_add(result, "launcher_lump", constants->lump * UNITS_MIB,
                   "all of KubeVirt's own processes");
        return;
    }
    result_add(result, "virt_launcher_monitor", constants->monitor * UNITS_MIB,
               "watches virt-launcher");
    result_add(result, "virt_launcher", constants->launcher * UNITS_MIB, "runs the pod");
    result_add(result, "virtlogd", constants->virtlogd * UNITS_MIB, "writes QEMU's log");
    result_add(result, "virtqemud", constants->virtqemud * UNITS_MIB, "libvirt, runs QEMU");
    result_add(result, "qemu", constants->qemu * UNITS_MIB, "QEMU without its guest's RAM");
}

static void
add_probes(const OverheadInput *input, OverheadResult *result)
{
    if (input->has_liveness_probe)
        result_add(result, "liveness_probe", PROBE_BYTES, "liveness probe by exec");
    if (input->has_readiness_probe)
        result_add(result, "readiness_probe", PROBE_BYTES, "readiness probe by exec");
    if (input->has_liveness_probe || input->has_readiness_probe)
        result_add(result, "virt_probe", 100 * UNITS_MIB, "once, with any exec probe");
}

static void
add_devices(const OverheadInput *input, OverheadResult *result)
{
    result_add(result, "vcpus", 8 * UNITS_MIB * MAX(input->vcpus, 1), "8 MiB per vCPU");
    result_add(result, "iothread", 8 * UNITS_MIB, "flat, however many there are");
    if (input->has_graphics && input->kubevirt_version < VERSION_1_6)
        result_add(result, "video", 16 * UNITS_MIB, "graphics, before 1.6");
    else if (input->has_graphics)
        result_add(result, "video", 32 * UNITS_MIB, "graphics, since 1.6");
    if (input->is_arm64)
        result_add(result, "pflash", 128 * UNITS_MIB, "two flash devices of UEFI, arm64");
    if (input->has_vfio)
        result_add(result, "vfio", 1024 * UNITS_MIB, "flat, with any host device");
    add_probes(input, result);
    if (input->has_sev)
        result_add(result, "sev", 256 * UNITS_MIB, "SEV, SEV-ES or SNP");
    if (input->has_tpm)
        result_add(result, "tpm", 53 * UNITS_MIB, "swtpm");
    if (input->is_dedicated && input->kubevirt_version >= VERSION_1_1)
        result_add(result, "guaranteed", 100 * UNITS_MIB, "dedicated CPUs or Guaranteed QoS");
    if (input->added_bytes > 0)
        result_add(result, "added", input->added_bytes, "addedOverhead of the VM");
}

/* bytes x thousandths / 1000, rounded down, without a product that needs 128 bits. */
static bool
ratio_apply(guint64 bytes, gint64 thousandths, guint64 *ret_bytes)
{
    guint64 thousands, rest;

    if (!g_uint64_checked_mul(&thousands, bytes / 1000, (guint64)thousandths) ||
        !g_uint64_checked_mul(&rest, bytes % 1000, (guint64)thousandths) ||
        !g_uint64_checked_add(ret_bytes, thousands, rest / 1000))
        return false;
    return *ret_bytes <= G_MAXINT64;
}

static const char *
input_check_kubevirt(const OverheadInput *input)
{
    if (input->configured_bytes == 0)
        return "the configured memory is zero";
    if (input->request_bytes == 0)
        return "the requested memory is zero";
    if (input->request_bytes > input->configured_bytes)
        return "the requested memory is larger than the configured memory";
    if (input->ratio_thousandths < 0)
        return "the ratio is negative";
    if (constants_find(input->kubevirt_version) == NULL)
        return "no constants are known for this version: use 0.36 to 0.54, 0.58 to 1.9 "
               "or main";
    if (input->added_bytes > 0 && input->kubevirt_version < VERSION_1_8)
        return "addedOverhead came with KubeVirt 1.8";
    return NULL;
}

const char *
overhead_kubevirt(const OverheadInput *input, OverheadResult *ret_result)
{
    OverheadResult result = {.guest_bytes = input->configured_bytes};
    guint64 sum_bytes = 0, limit_bytes = input->configured_bytes, pod_bytes;
    const char *wrong = input_check_kubevirt(input);

    if (wrong != NULL)
        return wrong;
    result_add(&result, "page_tables", input->request_bytes / 512, "requested memory / 512");
    add_processes(constants_find(input->kubevirt_version), &result);
    add_devices(input, &result);

    for (guint i = 0; i < result.n_terms; i++)
        if (!sum_add(&sum_bytes, result.terms[i].bytes))
            return too_much;
    if (!ratio_apply(sum_bytes, input->ratio_thousandths, &result.reserved_bytes) ||
        !sum_add(&limit_bytes, result.reserved_bytes))
        return too_much;
    pod_bytes = limit_bytes;
    if (!sum_add(&pod_bytes, input->has_console_log ? CONSOLE_LOG_BYTES : 0))
        return too_much;
    result.limit_bytes = whole_pages(limit_bytes);
    result.pod_limit_bytes = whole_pages(pod_bytes);
    *ret_result = result;
    return NULL;
}
