/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "arguments.h"

static void
test_canary(void **state)
{
    g_autofree char *drive = qmp_arguments_canary("drive-scsi0", false);
    g_autofree char *qdev = qmp_arguments_canary("/machine/peripheral-anon/device[3]", true);

    assert_string_equal(drive, "{\"command-line\":\"qemu-io drive-scsi0 \\\"aio_read 0 512\\\"\"}");
    assert_true(qmp_arguments_are_canary(drive));
    assert_true(qmp_arguments_are_canary(qdev));
    assert_null(qmp_arguments_canary("a b", false));
    assert_null(qmp_arguments_canary("a\" quit", false));
    assert_null(qmp_arguments_canary("-d", false));
    assert_null(qmp_arguments_canary("", true));
    assert_false(qmp_arguments_are_canary(NULL));
    assert_false(qmp_arguments_are_canary("{\"command-line\":\"quit\"}"));
    assert_false(
        qmp_arguments_are_canary("{\"command-line\":\"qemu-io drive-0 \\\"read 0 512\\\"\"}"));
    assert_false(
        qmp_arguments_are_canary("{\"command-line\":\"qemu-io x\\ny \\\"aio_read 0 512\\\"\"}"));
}

static void
test_arguments(void **state)
{
    g_autofree char *path = qmp_arguments_path("/machine/a");
    g_autofree char *property = qmp_arguments_path_property("/objects/tg0", "limits");
    g_autofree char *queue = qmp_arguments_path_queue("/machine/a", 3);
    g_autofree char *odd = qmp_arguments_path("\"\\\n\x1f/\xff\xc3\xa4");

    assert_string_equal(path, "{\"path\":\"/machine/a\"}");
    assert_string_equal(property, "{\"path\":\"/objects/tg0\",\"property\":\"limits\"}");
    assert_string_equal(queue, "{\"path\":\"/machine/a\",\"queue\":3}");
    assert_string_equal(odd, "{\"path\":\"\\\"\\\\\\u000a\\u001f/\xef\xbf\xbd\xc3\xa4\"}");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"the human monitor is for the canary alone", test_canary, NULL, NULL, NULL},
        {"arguments are JSON whatever the name", test_arguments, NULL, NULL, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
