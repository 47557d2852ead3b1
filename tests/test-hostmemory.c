/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "hostmemory.h"
#include "units.h"

#define GIB(n) ((guint64)(n)*UNITS_GIB)

/* A host and its VMs in GiB. */
typedef struct {
    const char *name;
    guint total, swap, available, arc, arc_min, hugetlb;
    guint n_vms, ram, own, limit; /* of each VM; limit 0 none */
    bool is_hugetlb;
    PressureLevel level;
    guint missing;
} HostRow;

static const HostRow host_rows[] = {
    {"a host with room is fine", 64, 0, 40, 0, 0, 0, 3, 16, 1, 0, false, PRESSURE_OK, 0},
    {"guests that own more than there is are lost", 64, 0, 40, 0, 0, 0, 4, 16, 1, 0, false,
     PRESSURE_DOOMED, 5},
    {"and are near their end when it is used up", 64, 0, 0, 0, 0, 0, 4, 16, 1, 0, false,
     PRESSURE_IMMINENT, 5},
    {"what ZFS caches is available", 64, 0, 0, 12, 2, 0, 4, 16, 1, 0, false, PRESSURE_DOOMED, 7},
    {"swap makes it a matter to watch", 64, 8, 40, 0, 0, 0, 4, 16, 1, 0, false, PRESSURE_WATCH, 5},
    {"the ARC has to shrink", 64, 0, 8, 16, 2, 0, 3, 16, 1, 0, false, PRESSURE_WATCH, 0},
    {"a small ARC has not", 64, 0, 8, 4, 2, 0, 3, 16, 1, 0, false, PRESSURE_OK, 0},
    {"huge pages are set aside once", 64, 0, 8, 0, 0, 48, 3, 16, 1, 0, true, PRESSURE_OK, 0},
    {"limits that allow more than there is are watched", 64, 0, 40, 0, 0, 0, 3, 16, 1, 22, false,
     PRESSURE_WATCH, 0},
    {"limits that fit are fine", 64, 0, 40, 0, 0, 0, 3, 16, 1, 20, false, PRESSURE_OK, 0},
    {"without a VM nothing is wrong", 2, 0, 0, 16, 2, 0, 0, 0, 0, 0, false, PRESSURE_OK, 0},
};

static void
run_host(void **state)
{
    const HostRow *row = *state;
    HostMemory memory = {.is_known = true,
                         .total_bytes = GIB(row->total),
                         .swap_free_bytes = GIB(row->swap),
                         .hugetlb_bytes = GIB(row->hugetlb),
                         .has_available = true,
                         .available_bytes = GIB(row->available),
                         .has_arc = row->arc > 0,
                         .arc_bytes = GIB(row->arc),
                         .arc_min_bytes = GIB(row->arc_min)};
    HostVms vms = {0};
    HostVerdict verdict;

    for (guint i = 0; i < row->n_vms; i++) {
        MemorySample vm = {.has_guest_ram = true,
                           .guest_ram_bytes = GIB(row->ram),
                           .guest_ram_is_hugetlb = row->is_hugetlb,
                           .guest_ram_is_shared = true,
                           .has_rss = true,
                           .rss_anon_bytes = GIB(row->own),
                           .has_limit = row->limit > 0,
                           .limit_is_own = true,
                           .limit_bytes = GIB(row->limit)};

        host_vms_add(&vms, &vm, GIB(row->own));
    }
    verdict = host_memory_judge(&memory, &vms, GIB(1), 0);
    assert_string_equal(pressure_level_name(verdict.level), pressure_level_name(row->level));
    assert_int_equal(verdict.missing_bytes, GIB(row->missing));
}

static void
what_is_measured_counts_where_it_is_more(void **state)
{
    HostVms vms = {0};
    MemorySample vm = {.has_guest_ram = true,
                       .guest_ram_bytes = GIB(4),
                       .guest_ram_is_shared = true,
                       .has_rss = true,
                       .rss_anon_bytes = GIB(2),
                       .rss_shmem_bytes = GIB(1)};

    host_vms_add(&vms, &vm, GIB(1));
    assert_int_equal(vms.reserved_bytes, GIB(2));
    host_vms_add(&vms, &vm, GIB(3));
    assert_int_equal(vms.reserved_bytes, GIB(5));
    assert_int_equal(vms.overheads_bytes, GIB(4));
    host_vms_add(&vms, &(MemorySample){0}, 0);
    assert_int_equal(vms.n_unknown, 1);
}

/* Small VMs on a small host, for each of which the table reserves more than it takes. */
static void
what_is_only_reserved_is_watched(void **state)
{
    HostMemory memory = {.is_known = true, .total_bytes = GIB(12)};
    MemorySample vm = {.has_guest_ram = true, .guest_ram_bytes = GIB(2)};
    HostVms vms = {0};

    for (guint i = 0; i < 3; i++)
        host_vms_add(&vms, &vm, GIB(1));
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(1), 0).level, PRESSURE_OK);
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(4), 0).level, PRESSURE_WATCH);
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(7), 0).level, PRESSURE_DOOMED);
}

/* Ten VMs below one limit may have it once. */
static void
a_limit_in_common_is_nobodys_own(void **state)
{
    MemorySample vm = {.has_guest_ram = true,
                       .guest_ram_bytes = GIB(1),
                       .has_limit = true,
                       .limit_bytes = GIB(20)};
    HostMemory memory = {.is_known = true, .total_bytes = GIB(64)};
    HostVms vms = {0};

    for (guint i = 0; i < 10; i++)
        host_vms_add(&vms, &vm, 0);
    assert_int_equal(vms.limits_bytes, 0);
    assert_int_equal(vms.n_unlimited, 0);
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(1), 0).level, PRESSURE_OK);
}

/* Trees of which one holds VMs: what they hold is counted as guests already. */
static void
what_is_no_vm_counts_where_it_is_more_than_the_reserve(void **state)
{
    static const HostTree trees[] = {
        {.label = "/machine.slice", .held_bytes = GIB(9), .vms_bytes = GIB(8)},
        {.label = "/user.slice", .held_bytes = GIB(2)},
        {.label = "/qemu.slice", .held_bytes = GIB(3), .vms_bytes = GIB(4)}, /* read later */
    };
    guint64 others_bytes = host_tree_others(trees, G_N_ELEMENTS(trees));
    HostMemory memory = {.is_known = true, .total_bytes = GIB(16)};
    HostVms vms = {.n_vms = 2, .guests_bytes = GIB(12), .overheads_bytes = GIB(1)};

    assert_int_equal(others_bytes, GIB(3));
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(1), others_bytes).level, PRESSURE_OK);
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(1), GIB(4)).level, PRESSURE_DOOMED);
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(1), GIB(4)).missing_bytes, GIB(1));
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(1), GIB(4)).host_bytes, GIB(4));
    assert_int_equal(host_memory_judge(&memory, &vms, GIB(5), GIB(4)).missing_bytes, GIB(2));
}

static void
an_unknown_host_is_no_forecast(void **state)
{
    HostVms vms = {.n_vms = 1, .guests_bytes = G_MAXUINT64, .overheads_bytes = G_MAXUINT64};
    HostMemory memory = {0};

    assert_int_equal(host_memory_judge(&memory, &vms, GIB(1), 0).level, PRESSURE_UNKNOWN);
    memory = (HostMemory){.is_known = true,
                          .total_bytes = GIB(1),
                          .arc_bytes = G_MAXUINT64,
                          .hugetlb_bytes = G_MAXUINT64,
                          .has_arc = true};
    assert_int_equal(host_memory_judge(&memory, &vms, G_MAXUINT64, 0).level, PRESSURE_DOOMED);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(what_is_measured_counts_where_it_is_more),
        cmocka_unit_test(what_is_only_reserved_is_watched),
        cmocka_unit_test(a_limit_in_common_is_nobodys_own),
        cmocka_unit_test(what_is_no_vm_counts_where_it_is_more_than_the_reserve),
        cmocka_unit_test(an_unknown_host_is_no_forecast),
    };

    for (guint i = 0; i < G_N_ELEMENTS(host_rows); i++)
        g_array_append_vals(tests, &t_row(host_rows[i].name, run_host, &host_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("hostmemory", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
