/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overhead.h"
#include "units.h"

#include <string.h>

#include "t.h"

#define PAGE 4096
#define UNTOUCHED 4711

/* 2 GiB, 1 vCPU, graphics, ratio 1: what the rows below change. Page tables: 4 MiB. */
static OverheadInput
plain_input(gint32 version)
{
    return (OverheadInput){
        .configured_bytes = 2 * UNITS_GIB,
        .request_bytes = 2 * UNITS_GIB,
        .kubevirt_version = version,
        .vcpus = 1,
        .has_graphics = true,
        .ratio_thousandths = 1000,
    };
}

typedef struct {
    const char *name;
    gint32 version;
    guint64 reserved_mib; /* of plain_input(); 0 = refused */
} VersionRow;

static const VersionRow version_rows[] = {
    {"2 GiB with 1 vCPU needs 292 MiB on main", UNITS_VERSION_MAIN, 292},
    {"0.35 is unknown", 35, 0},
    {"0.36 has one lump of 138 MiB", 36, 138 + 36},
    {"0.53 has one lump of 138 MiB", 53, 138 + 36},
    {"0.54 has five processes", 54, 180 + 36},
    {"0.55 is unknown", 55, 0},
    {"0.57 is unknown", 57, 0},
    {"0.58 has a larger virt-launcher", 58, 208 + 36},
    {"0.59 has a larger virtlogd", 59, 210 + 36},
    {"0.60 was never released", 60, 0},
    {"1.0 is as 0.59", 1000, 210 + 36},
    {"1.4 is as 0.59", 1004, 210 + 36},
    {"1.5 has a larger virtqemud", 1005, 220 + 36},
    {"1.6 has more video memory", 1006, 220 + 52},
    {"1.9 is as 1.6", 1009, 220 + 52},
    {"1.10 is unknown", 1010, 0},
    {"2.0 is unknown", 2000, 0},
    {"version 0 is unknown", 0, 0},
    {"a negative version is unknown", -1, 0},
};

static void
run_version(void **state)
{
    const VersionRow *row = *state;
    OverheadInput input = plain_input(row->version);
    OverheadResult result = {.n_terms = UNTOUCHED};
    const char *wrong = overhead_kubevirt(&input, &result);

    if (row->reserved_mib == 0) {
        assert_non_null(wrong);
        assert_non_null(strstr(wrong, "version"));
        assert_int_equal(result.n_terms, UNTOUCHED);
        return;
    }
    assert_null(wrong);
    assert_int_equal(result.reserved_bytes, row->reserved_mib * UNITS_MIB);
    assert_int_equal(result.limit_bytes, 2 * UNITS_GIB + row->reserved_mib * UNITS_MIB);
    assert_int_equal(result.pod_limit_bytes, result.limit_bytes);
    assert_int_equal(result.guest_bytes, 2 * UNITS_GIB);
}

/* Limits that KubeVirt really set, read off running pods: issues of harvester/harvester. */
typedef struct {
    const char *name;
    guint64 configured_gib, request_mib;
    gint32 version;
    guint32 vcpus;
    gint64 ratio_thousandths;
    guint64 limit_bytes, pod_limit_bytes; /* as asked for; the pod's with a console log, or 0 */
    guint64 pages_off;                    /* the price of not computing in units of 1000 bytes */
} FieldRow;

#define G(number) G_GUINT64_CONSTANT(number)

static const FieldRow field_rows[] = {
    {"2419: a 64 GiB VM of 0.49", 64, 43690, 49, 4, 1000, G(69012377600), 0, 0},
    {"6438: a VM overcommitted 15 times", 2, 136, 1002, 1, 1000, G(2401517569), 0, 0},
    {"5768: a 16 GiB VM", 16, 3276, 1002, 1, 1000, G(17440333824), 0, 0},
    {"5768: a 16 GiB VM, ratio 1.5", 16, 3276, 1002, 1, 1500, G(17570565824), 0, 1},
    {"9435: ratio 1.5", 4, 2730, 1006, 2, 1500, G(4737464313), G(4797464313), 0},
    {"9435: ratio 4.5", 4, 2730, 1006, 2, 4500, G(5622461313), G(5682461313), 1},
};

static void
assert_pages_off(guint64 bytes, guint64 asked_bytes, guint64 pages_off)
{
    guint64 set_bytes = asked_bytes / PAGE * PAGE;

    assert_int_equal(MAX(bytes, set_bytes) - MIN(bytes, set_bytes), pages_off * PAGE);
}

static void
run_field(void **state)
{
    const FieldRow *row = *state;
    OverheadInput input = plain_input(row->version);
    OverheadResult result;

    input.configured_bytes = row->configured_gib * UNITS_GIB;
    input.request_bytes = row->request_mib * UNITS_MIB;
    input.vcpus = row->vcpus;
    input.ratio_thousandths = row->ratio_thousandths;
    input.has_console_log = row->pod_limit_bytes != 0;
    assert_null(overhead_kubevirt(&input, &result));
    assert_pages_off(result.limit_bytes, row->limit_bytes, row->pages_off);
    if (input.has_console_log)
        assert_pages_off(result.pod_limit_bytes, row->pod_limit_bytes, row->pages_off);
}

/* A flag, and what it adds to plain_input() as which term. */
typedef struct {
    const char *name;
    gsize flag; /* its offset in OverheadInput */
    gint32 version;
    guint64 adds_mib;
    const char *term;
} FlagRow;

#define FLAG(field) offsetof(OverheadInput, field)

static const FlagRow flag_rows[] = {
    {"arm64 has two flash devices", FLAG(is_arm64), UNITS_VERSION_MAIN, 128, "pflash"},
    {"a host device costs 1 GiB", FLAG(has_vfio), UNITS_VERSION_MAIN, 1024, "vfio"},
    {"a TPM costs 53 MiB", FLAG(has_tpm), UNITS_VERSION_MAIN, 53, "tpm"},
    {"SEV costs 256 MiB", FLAG(has_sev), UNITS_VERSION_MAIN, 256, "sev"},
    {"dedicated CPUs cost 100 MiB", FLAG(is_dedicated), UNITS_VERSION_MAIN, 100, "guaranteed"},
    {"dedicated CPUs cost since 1.1", FLAG(is_dedicated), 1001, 100, "guaranteed"},
    {"dedicated CPUs were free in 1.0", FLAG(is_dedicated), 1000, 0, "guaranteed"},
    {"a liveness probe costs 110 MiB", FLAG(has_liveness_probe), 1009, 110, "liveness_probe"},
    {"a readiness probe costs 110 MiB", FLAG(has_readiness_probe), 1009, 110, "readiness_probe"},
    {"a console log is not in the container", FLAG(has_console_log), 1009, 0, "console_log"},
};

static bool
term_is_listed(const OverheadResult *result, const char *name)
{
    for (guint i = 0; i < result->n_terms; i++)
        if (strcmp(result->terms[i].name, name) == 0)
            return true;
    return false;
}

static void
run_flag(void **state)
{
    const FlagRow *row = *state;
    OverheadInput input = plain_input(row->version);
    OverheadResult plain, result;

    assert_null(overhead_kubevirt(&input, &plain));
    *(bool *)((char *)&input + row->flag) = true;
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.reserved_bytes - plain.reserved_bytes, row->adds_mib * UNITS_MIB);
    assert_int_equal(term_is_listed(&result, row->term), row->adds_mib > 0);
}

static void
assert_reserved(const OverheadInput *input, guint64 reserved_mib)
{
    OverheadResult result;

    assert_null(overhead_kubevirt(input, &result));
    assert_int_equal(result.reserved_bytes, reserved_mib * UNITS_MIB);
}

static void
no_graphics_saves_the_video_memory(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);

    input.has_graphics = false;
    assert_reserved(&input, 292 - 32);
    input.kubevirt_version = 1005;
    assert_reserved(&input, 256 - 16);
}

static void
both_probes_share_virt_probe(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);

    input.has_liveness_probe = input.has_readiness_probe = true;
    assert_reserved(&input, 292 + 120);
}

static void
added_overhead_is_added_since_1_8(void **state)
{
    OverheadInput input = plain_input(1008);
    OverheadResult result;

    input.added_bytes = 7 * UNITS_MIB;
    assert_reserved(&input, 272 + 7);
    input.kubevirt_version = 1007;
    assert_non_null(strstr(overhead_kubevirt(&input, &result), "addedOverhead"));
}

static void
every_term_is_listed_once(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);
    g_autoptr(GString) names = g_string_new(NULL);
    OverheadResult result;
    guint64 sum_bytes = 0;

    input.has_vfio = input.has_tpm = input.has_sev = input.is_arm64 = input.is_dedicated = true;
    input.has_liveness_probe = input.has_readiness_probe = true;
    input.added_bytes = 1;
    assert_null(overhead_kubevirt(&input, &result));
    for (guint i = 0; i < result.n_terms; i++) {
        g_string_append_printf(names, "%s ", result.terms[i].name);
        assert_true(result.terms[i].bytes > 0);
        assert_true(strlen(result.terms[i].why) > 0);
        sum_bytes += result.terms[i].bytes;
    }
    assert_string_equal(names->str,
                        "page_tables virt_launcher_monitor virt_launcher virtlogd virtqemud qemu "
                        "vcpus iothread video pflash vfio liveness_probe readiness_probe "
                        "virt_probe sev tpm guaranteed added ");
    assert_int_equal(result.reserved_bytes, sum_bytes);
}

static void
each_vcpu_costs_8_mib(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);

    input.vcpus = 0; /* counts as one */
    assert_reserved(&input, 292);
    input.vcpus = 4;
    assert_reserved(&input, 316);
}

static void
overcommit_lowers_the_page_tables_only(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);
    OverheadResult result;

    input.request_bytes = UNITS_GIB;
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.terms[0].bytes, 2 * UNITS_MIB);
    assert_int_equal(result.reserved_bytes, 290 * UNITS_MIB);
    assert_int_equal(result.limit_bytes, 2 * UNITS_GIB + 290 * UNITS_MIB);
}

static void
the_ratio_multiplies_the_sum(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);
    OverheadResult result;

    input.ratio_thousandths = 1500;
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.terms[1].bytes, 25 * UNITS_MIB);
    assert_int_equal(result.reserved_bytes, 438 * UNITS_MIB);
    input.ratio_thousandths = 0;
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.reserved_bytes, 0);
    assert_int_equal(result.limit_bytes, 2 * UNITS_GIB);
    input.ratio_thousandths = 1001; /* 306184192 * 1.001, rounded down */
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.reserved_bytes, 306490376);
    input.ratio_thousandths = -1;
    assert_non_null(overhead_kubevirt(&input, &result));
}

static void
the_pods_limit_is_rounded_from_the_unrounded_sum(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);
    OverheadResult result;

    /* 60,000,000 is 14648 pages and 1792 bytes; with 2304 more a page is full. */
    input.has_console_log = true;
    input.configured_bytes = 2 * UNITS_GIB + 2304;
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.limit_bytes, 2 * UNITS_GIB + 292 * UNITS_MIB);
    assert_int_equal(result.pod_limit_bytes, result.limit_bytes + 14649 * PAGE);
    input.configured_bytes--;
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.pod_limit_bytes, result.limit_bytes + 14648 * PAGE);
}

static void
what_kubernetes_refuses_is_refused(void **state)
{
    OverheadInput input = plain_input(UNITS_VERSION_MAIN);
    OverheadResult result = {.n_terms = UNTOUCHED};

    input.configured_bytes = 0;
    assert_non_null(overhead_kubevirt(&input, &result));
    input = plain_input(UNITS_VERSION_MAIN);
    input.request_bytes = 0;
    assert_non_null(overhead_kubevirt(&input, &result));
    input.request_bytes = input.configured_bytes + 1;
    assert_non_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.n_terms, UNTOUCHED);
}

static void
no_sum_wraps(void **state)
{
    const guint64 huge[] = {G_MAXUINT64, G_MAXUINT64 - PAGE, (guint64)G_MAXINT64 + 1, G_MAXINT64};
    OverheadResult result = {.n_terms = UNTOUCHED};
    OverheadInput input;

    for (guint i = 0; i < G_N_ELEMENTS(huge); i++) {
        input = plain_input(UNITS_VERSION_MAIN);
        input.configured_bytes = huge[i];
        assert_non_null(overhead_kubevirt(&input, &result));
        input.request_bytes = huge[i];
        assert_non_null(overhead_kubevirt(&input, &result));
        input = plain_input(UNITS_VERSION_MAIN);
        input.added_bytes = huge[i];
        assert_non_null(overhead_kubevirt(&input, &result));
        input = plain_input(UNITS_VERSION_MAIN);
        input.ratio_thousandths = G_MAXINT64 - (gint64)i;
        assert_non_null(overhead_kubevirt(&input, &result));
    }
    assert_int_equal(result.n_terms, UNTOUCHED);

    input = plain_input(UNITS_VERSION_MAIN); /* 2^32 vCPUs are many, but fit */
    input.vcpus = G_MAXUINT32;
    assert_null(overhead_kubevirt(&input, &result));
    assert_int_equal(result.reserved_bytes, 284 * UNITS_MIB + 8 * UNITS_MIB * G_MAXUINT32);
    input = plain_input(UNITS_VERSION_MAIN);
    input.has_console_log = true;
    input.configured_bytes = G_MAXINT64 - 292 * UNITS_MIB;
    assert_non_null(overhead_kubevirt(&input, &result));
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(no_graphics_saves_the_video_memory),
        cmocka_unit_test(both_probes_share_virt_probe),
        cmocka_unit_test(added_overhead_is_added_since_1_8),
        cmocka_unit_test(every_term_is_listed_once),
        cmocka_unit_test(each_vcpu_costs_8_mib),
        cmocka_unit_test(overcommit_lowers_the_page_tables_only),
        cmocka_unit_test(the_ratio_multiplies_the_sum),
        cmocka_unit_test(the_pods_limit_is_rounded_from_the_unrounded_sum),
        cmocka_unit_test(what_kubernetes_refuses_is_refused),
        cmocka_unit_test(no_sum_wraps),
    };

    for (guint i = 0; i < G_N_ELEMENTS(version_rows); i++)
        g_array_append_vals(tests, &t_row(version_rows[i].name, run_version, &version_rows[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(field_rows); i++)
        g_array_append_vals(tests, &t_row(field_rows[i].name, run_field, &field_rows[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(flag_rows); i++)
        g_array_append_vals(tests, &t_row(flag_rows[i].name, run_flag, &flag_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("overhead", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
