/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "audit.h"

#include <string.h>

#define GIB ((guint64)1 << 30)

static void
a_host_that_promised_too_much_is_told(void **state)
{
    g_autoptr(AuditFinding) over = audit_overcommit(60 * GIB, 5 * GIB, 64 * GIB);

    assert_non_null(over);
    assert_string_equal(over->name, "host-overcommit");
    assert_null(audit_overcommit(60 * GIB, 4 * GIB, 64 * GIB));
    assert_null(audit_overcommit(60 * GIB, 4 * GIB, 0));
}

static void
uncapped_trees_are_named_the_largest_gets_the_remedy(void **state)
{
    static const HostTree trees[] = {
        {.label = "/user.slice", .held_bytes = 2 * GIB},
        {.label = "/docker.slice", .held_bytes = 3 * GIB},
        {.label = "/system.slice", .held_bytes = 9 * GIB, .has_limit = true, .limit_bytes = GIB},
        {.label = "/machine.slice", .held_bytes = 8 * GIB, .vms_bytes = 8 * GIB},
        {.label = "/init.scope", .held_bytes = GIB / 100},
    };
    g_autoptr(AuditFinding) over = audit_uncapped(trees, G_N_ELEMENTS(trees), 51 * GIB, 64 * GIB);
    g_autoptr(AuditFinding) note = audit_uncapped(trees, G_N_ELEMENTS(trees), 49 * GIB, 64 * GIB);

    assert_string_equal(over->name, "uncapped-trees");
    assert_int_equal(over->severity, AUDIT_WARNING);
    assert_non_null(strstr(over->why, "/user.slice 2.0G, /docker.slice 3.0G:"));
    assert_non_null(
        strstr(over->why, "all that is no VM holds 14G, the VMs need 51G, and the host has 64G"));
    assert_string_equal(over->remedy, "systemctl set-property docker.slice MemoryMax=4609M");
    assert_int_equal(note->severity, AUDIT_NOTE);
    assert_null(strstr(note->why, "holds"));
    assert_null(audit_uncapped(trees + 2, 3, GIB, GIB)); /* a limit, VMs only, next to nothing */
    assert_null(audit_uncapped(NULL, 0, GIB, GIB));
}

static void
a_tree_with_a_strange_name_is_no_word_of_a_command(void **state)
{
    static const HostTree trees[] = {{.label = "/a;reboot.slice", .held_bytes = GIB}};
    g_autoptr(AuditFinding) finding = audit_uncapped(trees, 1, GIB, 4 * GIB);

    assert_string_equal(finding->remedy, "give /a;reboot.slice a memory limit of 1537M");
}

static void
a_virt_handler_that_grew_is_told(void **state)
{
    g_autoptr(AuditFinding) grown = audit_virt_handler(90, "/kubepods.slice/x", 3 * GIB);

    assert_string_equal(grown->name, "virt-handler-grows");
    assert_non_null(strstr(grown->why, "virt-handler[90] in /kubepods.slice/x holds 3.0G"));
    assert_null(audit_virt_handler(90, "/kubepods.slice/x", GIB / 3));
}

static void
limits_are_summed_against_the_host(void **state)
{
    static const HostTree trees[] = {
        {.label = "/docker.slice", .has_limit = true, .limit_bytes = 4 * GIB},
        {.label = "/qemu.slice", .has_limit = true, .limit_bytes = 99 * GIB, .vms_bytes = 1},
        {.label = "/user.slice", .held_bytes = 2 * GIB},
    };
    g_autoptr(AuditFinding) over = audit_limits_sum(60 * GIB, trees, 3, GIB, 64 * GIB);

    assert_string_equal(over->name, "limits-exceed-host");
    assert_null(audit_limits_sum(59 * GIB, trees, 3, GIB, 64 * GIB));
    assert_null(audit_limits_sum(0, trees, 3, GIB, GIB));
    assert_null(audit_limits_sum(60 * GIB, trees, 3, GIB, 0));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_promised_too_much_is_told),
        cmocka_unit_test(uncapped_trees_are_named_the_largest_gets_the_remedy),
        cmocka_unit_test(a_tree_with_a_strange_name_is_no_word_of_a_command),
        cmocka_unit_test(a_virt_handler_that_grew_is_told),
        cmocka_unit_test(limits_are_summed_against_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
