/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "report-domain.h"

#include <string.h>

#define MIB ((guint64)1024 * 1024)

static JsonNode *
report_of(const Vm *vm)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    report_add_domain(builder, vm);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}

static void
the_tightest_limit_comes_first(void **state)
{
    CgroupLimit limits[] = {
        {(char *)"/kubepods/pod1/a\033", 2048 * MIB, {.has_unreclaimable = true}, true, "runtime"},
        {(char *)"/kubepods/pod1", 2100 * MIB, {.has_unreclaimable = true}, true, NULL},
        {(char *)"/kubepods", 4096 * MIB, {.has_unreclaimable = true}, false, "kubelet"},
    };
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(CgroupLimit));
    Vm vm = {.group_limits = array, .kill_path = (char *)"/kubepods/pod1"};
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *json = NULL, *text = NULL, *kill = NULL;

    limits[0].charge.unreclaimable_bytes = 1024 * MIB; /* 1024 MiB left */
    limits[1].charge.unreclaimable_bytes = 2000 * MIB; /* 100 MiB left */
    limits[2].charge.unreclaimable_bytes = 4608 * MIB; /* over it by 512 */
    g_array_append_vals(array, limits, G_N_ELEMENTS(limits));
    node = report_of(&vm);
    json = json_to_string(node, FALSE);
    text = report_limits_text(json_node_get_object(node));
    kill = report_kill_text(json_node_get_object(node));
    assert_string_equal(text, "shared kubepods 4.0G (512M over; set by kubelet), group 2.1G (100M "
                              "left), group 2.0G (1.0G left; set by runtime)");
    assert_string_equal(kill, "one OOM kills all of /kubepods/pod1");
    assert_non_null(strstr(json, "{\"group\":\"/kubepods\",\"kind\":\"kubepods\",\"owner\":"
                                 "\"kubelet\",\"own\":false,\"limit_bytes\":4294967296,"
                                 "\"unreclaimable_bytes\":4831838208,\"headroom_bytes\":-536870912"
                                 "}"));
    assert_null(strchr(json, '\033'));
    assert_non_null(strstr(json, "\"killed_group\":\"/kubepods/pod1\""));
}

/* A path is copied into a command; what a terminal would obey is none of it. */
static void
a_path_is_told_as_it_is(void **state)
{
    CgroupLimit limit = {(char *)"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/lib\033[2Jvirt",
                         2048 * MIB,
                         {.has_unreclaimable = true},
                         true,
                         NULL};
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(CgroupLimit));
    Vm vm = {.group_limits = array};
    g_autoptr(JsonNode) node = NULL;
    JsonObject *domain;

    g_array_append_val(array, limit);
    node = report_of(&vm);
    domain = json_object_get_object_member(json_node_get_object(node), "domain");
    assert_string_equal(
        json_object_get_string_member(
            json_array_get_object_element(json_object_get_array_member(domain, "limits"), 0),
            "group"),
        "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/lib\\x1b[2Jvirt");
}

static void
a_pod_is_told_with_its_container(void **state)
{
    static const char json[] = "{\"pod\": {\"uid\": \"4f5a\", \"qos\": \"burstable\", "
                               "\"container\": \"aaaa\", \"runtime\": \"cri-o\"}}";
    g_autoptr(JsonNode) node = json_from_string(json, NULL);
    g_autoptr(JsonNode) none = json_from_string("{\"pod\": null}", NULL);
    g_autofree char *text = report_pod_text(json_node_get_object(node));
    g_autofree char *nothing = report_pod_text(json_node_get_object(none));

    assert_string_equal(text, "4f5a, burstable; container aaaa (cri-o)");
    assert_string_equal(nothing, "");
}

static void
what_is_unknown_is_null(void **state)
{
    Vm vm = {0};
    g_autoptr(JsonNode) node = report_of(&vm);
    g_autofree char *json = json_to_string(node, FALSE);
    g_autofree char *text = report_limits_text(json_node_get_object(node));
    g_autofree char *kill = report_kill_text(json_node_get_object(node));

    assert_string_equal(json, "{\"namespace\":null,\"pod\":null,"
                              "\"domain\":{\"limits\":null,\"killed_group\":null}}");
    assert_string_equal(text, "");
    assert_string_equal(kill, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tightest_limit_comes_first),
        cmocka_unit_test(a_path_is_told_as_it_is),
        cmocka_unit_test(a_pod_is_told_with_its_container),
        cmocka_unit_test(what_is_unknown_is_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
