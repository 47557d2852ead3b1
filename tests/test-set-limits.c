/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "set-limits.h"

#define GROUP(...)                                                                                 \
    ((const char *const[]){"bps-total", "0", "bps-read", "0", "iops-total", "0", "iops-read", "0", \
                           "iops-write", "0", __VA_ARGS__, NULL})
#define DRIVE(...)                                                                                 \
    ((const char *const[]){"bps", "0", "bps_rd", "0", "iops", "0", "iops_rd", "0", "iops_wr", "0", \
                           __VA_ARGS__, NULL})

static void
a_group_is_told_whole(void **state)
{
    g_autofree char *text = qmp_arguments_set_group(
        "throttle-drive-scsi0", GROUP("bps-write", "62914560", "bps-write-max-length", "1"));

    assert_string_equal(text, "{\"path\":\"/objects/throttle-drive-scsi0\",\"property\":\"limits\","
                              "\"value\":{\"bps-total\":0,\"bps-read\":0,\"iops-total\":0,"
                              "\"iops-read\":0,\"iops-write\":0,\"bps-write\":62914560,"
                              "\"bps-write-max-length\":1}}");
    assert_true(qmp_arguments_are_limits(text));
}

static void
a_drive_is_told_with_all_six_rates(void **state)
{
    g_autofree char *text =
        qmp_arguments_set_drive("drive-scsi0", DRIVE("bps_wr", "5", "group", "drive-scsi0"));
    g_autofree char *without =
        qmp_arguments_set_drive("drive-scsi0", (const char *const[]){"bps_wr", "5", NULL});

    assert_string_equal(text, "{\"device\":\"drive-scsi0\",\"bps\":0,\"bps_rd\":0,\"iops\":0,"
                              "\"iops_rd\":0,\"iops_wr\":0,\"bps_wr\":5}");
    assert_null(without);
}

static void
no_limit_at_all_is_never_made(void **state)
{
    g_autofree char *group = qmp_arguments_set_group("g", GROUP("bps-write", "0"));
    g_autofree char *group_max =
        qmp_arguments_set_group("g", GROUP("bps-write", "000", "bps-write-max", "5"));
    g_autofree char *drive = qmp_arguments_set_drive("d", DRIVE("bps_wr", "0"));

    assert_null(group);
    assert_null(group_max);
    assert_null(drive);
}

static void
what_is_no_plain_id_or_number_is_refused(void **state)
{
    static const char *const ids[] = {"", "a\"b", "a b", "0x", "/machine", "a/../b", "\xc3\xbc"};
    static const char *const values[] = {"", "-5", "5.0", "5,\"a\":1", "1e3", "\"5\""};

    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *group = qmp_arguments_set_group(ids[i], GROUP("bps-write", "5"));
        g_autofree char *drive = qmp_arguments_set_drive(ids[i], DRIVE("bps_wr", "5"));

        assert_null(group);
        assert_null(drive);
    }
    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *group = qmp_arguments_set_group("g", GROUP("bps-write", values[i]));

        assert_null(group);
    }
}

static void
nothing_else_is_limits(void **state)
{
    static const char *const others[] = {
        "{}",
        "{\"path\":\"/objects/g\",\"property\":\"limits\",\"value\":{}}",
        "{\"path\":\"/machine\",\"property\":\"limits\",\"value\":{\"bps-total\":5}}",
        "{\"path\":\"/objects/g\",\"property\":\"other\",\"value\":{\"bps-total\":5}}",
        "{\"path\":\"/objects/g\",\"property\":\"limits\",\"value\":{\"bps-total\":5}}",
        "{\"device\":\"d\",\"bps\":5}",
    };

    assert_false(qmp_arguments_are_limits(NULL));
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        assert_false(qmp_arguments_are_limits(others[i]));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_told_whole),
        cmocka_unit_test(a_drive_is_told_with_all_six_rates),
        cmocka_unit_test(no_limit_at_all_is_never_made),
        cmocka_unit_test(what_is_no_plain_id_or_number_is_refused),
        cmocka_unit_test(nothing_else_is_limits),
    };

    return cmocka_run_group_tests_name("limits as arguments", tests, NULL, NULL);
}
