/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "libvirt-calls.h"
#include "libvirt-work.h"
#include "tree.h"

#include <string.h>

/* libvirt's own fake driver: a host in a file, without a daemon and without root. */

#define UUID "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b11"

static const char node_xml[] =
    "<node><domain type='test'><name>web</name><uuid>" UUID "</uuid>"
    "<memory>1048576</memory><vcpu>2</vcpu><os><type>hvm</type></os><devices>"
    "<disk type='file' device='disk'><source file='/web.raw'/><target dev='vda' "
    "bus='virtio'/></disk>"
    "</devices></domain></node>";

typedef struct {
    Tree *tree;
    LibvirtLibrary *library;
    char *uri;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->tree = tree_new();
    tree_file(fixture->tree, "node.xml", node_xml);
    fixture->uri = g_strdup_printf("test://%s", tree_path(fixture->tree, "node.xml"));
    fixture->library = libvirt_library_open();
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    libvirt_library_free(fixture->library);
    tree_free(fixture->tree);
    g_free(fixture->uri);
    g_free(fixture);
    return 0;
}

/* One errand on a connection of its own. */
static LibvirtReply *
run(Fixture *fixture, LibvirtErrandKind kind, const char *uri, const char *uuid)
{
    LibvirtErrand *errand = g_new0(LibvirtErrand, 1);
    LibvirtReply *reply;

    errand->kind = kind;
    errand->uri = g_strdup(uri);
    errand->uuid = g_strdup(uuid);
    reply = fixture->library->work(errand, fixture->library->data);
    assert_null(errand->link);
    libvirt_errand_free(errand);
    fixture->library->close(reply->link, fixture->library->data);
    return reply;
}

static void
domains_are_listed(void **state)
{
    Fixture *fixture = *state;
    const LibvirtListed *listed;
    LibvirtReply *reply;

    t_skip_unless(fixture->library->work, fixture->library->problem);
    reply = run(fixture, ERRAND_LIST, fixture->uri, NULL);
    assert_int_equal(reply->outcome, OUTCOME_GOOD);
    assert_null(reply->problem);
    assert_int_equal(reply->listed->len, 1);
    listed = reply->listed->pdata[0];
    assert_string_equal(listed->uuid, UUID);
    assert_string_equal(listed->name, "web");
    assert_int_equal(listed->id, 1);
    libvirt_reply_free(reply);
}

static void
a_domain_brings_its_state_and_its_xml(void **state)
{
    Fixture *fixture = *state;
    LibvirtReply *reply;

    t_skip_unless(fixture->library->work, fixture->library->problem);
    reply = run(fixture, ERRAND_DOMAIN, fixture->uri, UUID);
    assert_int_equal(reply->run, RUN_RUNNING);
    assert_non_null(reply->xml);
    assert_string_equal(reply->xml->name, "web");
    assert_int_equal(reply->xml->disks->len, 1);
    assert_non_null(reply->persistent);
    assert_false(reply->persistent->id.is_known);
    assert_non_null(reply->disks);
    assert_string_equal(((const LibvirtDisk *)reply->disks->pdata[0])->target, "vda");
    libvirt_reply_free(reply);
}

static void
a_domain_that_is_not_there_is_gone(void **state)
{
    Fixture *fixture = *state;
    LibvirtReply *reply;

    t_skip_unless(fixture->library->work, fixture->library->problem);
    reply = run(fixture, ERRAND_DOMAIN, fixture->uri, "00000000-0000-0000-0000-000000000001");
    assert_int_equal(reply->outcome, OUTCOME_GONE);
    assert_non_null(reply->problem);
    assert_null(reply->disks);
    libvirt_reply_free(reply);
}

static void
who_does_not_listen_is_down(void **state)
{
    Fixture *fixture = *state;
    LibvirtReply *reply;

    t_skip_unless(fixture->library->work, fixture->library->problem);
    reply = run(fixture, ERRAND_LIST, "qemu+unix:///system?socket=/nobody/here", NULL);
    assert_int_equal(reply->outcome, OUTCOME_DOWN);
    assert_null(reply->link);
    assert_non_null(strstr(reply->problem, "/nobody/here"));
    libvirt_reply_free(reply);
}

static void
every_call_is_counted(void **state)
{
    Fixture *fixture = *state;
    g_auto(GStrv) before = libvirt_library_calls(fixture->library);
    g_auto(GStrv) after = NULL;

    t_skip_unless(fixture->library->work, fixture->library->problem);
    assert_false(g_strv_contains((const char *const *)before, "virConnectListAllDomains"));
    libvirt_reply_free(run(fixture, ERRAND_LIST, fixture->uri, NULL));
    after = libvirt_library_calls(fixture->library);
    assert_true(g_strv_contains((const char *const *)after, "virConnectListAllDomains"));
    assert_true(g_strv_contains((const char *const *)after, "virConnectOpenReadOnly"));
    assert_false(g_strv_contains((const char *const *)after, "virDomainBlockStatsFlags"));
}

/* They make QEMU look at its images, or change something. */
static void
what_could_hurt_is_no_call_of_ours(void **state)
{
    static const char *const never[] = {
        "virConnectOpenAuth",           "virDomainGetBlockInfo",
        "virDomainGetBlockIoTune",      "virDomainGetDiskErrors",
        "virDomainBlockPeek",           "virDomainQemuMonitorCommand",
        "virDomainSetMemoryParameters", NULL};
    /* what belongs to a write of limits, and is made for nothing else */
    static const char *const of_writes[] = {"virConnectOpen",
                                            "virDomainGetJobInfo",
                                            "virDomainGetBlockJobInfo",
                                            "virTypedParamsAddULLong",
                                            "virTypedParamsFree",
                                            "virDomainSetBlockIoTune",
                                            NULL};
    static const struct {
        const char *name, *class, *why;
        bool is_safe;
    } rows[] = {
#define ROW(name, class, safe, why) {#name, #class, why, safe},
        LIBVIRT_CALLS(ROW)
#undef ROW
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        bool is_of_write = g_strv_contains(of_writes, rows[i].name);

        assert_false(g_strv_contains(never, rows[i].name));
        assert_string_equal(rows[i].class, is_of_write ? "ENFORCE" : "TICK");
        assert_true(rows[i].is_safe);
        assert_true(*rows[i].why);
    }
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(domains_are_listed),
        TEST(a_domain_brings_its_state_and_its_xml),
        TEST(a_domain_that_is_not_there_is_gone),
        TEST(who_does_not_listen_is_down),
        TEST(every_call_is_counted),
        TEST(what_could_hurt_is_no_call_of_ours),
    };

    return cmocka_run_group_tests_name("libvirt-work", tests, NULL, NULL);
}
