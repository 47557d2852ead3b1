/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "domain-xml.h"
#include "host.h"

#include <string.h>

#define GIB (1024ull * 1024 * 1024)

static DomainXml *
read_file(const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("TEST_DATA"), "libvirt", name, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    DomainXml *xml;
    gsize length;

    assert_true(g_file_get_contents(path, &text, &length, NULL));
    xml = domain_xml_parse(text, length, &error);
    if (!xml)
        fail_msg("%s: %s", name, error->message);
    return xml;
}

static void
assert_number(DomainNumber number, guint64 value)
{
    assert_true(number.is_known);
    assert_int_equal(number.value, value);
}

static void
identity_and_memory_are_read(void **state)
{
    g_autoptr(DomainXml) xml = read_file("many-disks.xml");

    assert_string_equal(xml->name, "shop & mail");
    assert_string_equal(xml->uuid, "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b11");
    assert_string_equal(xml->type, "kvm");
    assert_string_equal(xml->title, "The shop");
    assert_null(xml->description);
    assert_number(xml->id, 3);
    assert_number(xml->memory_bytes, 8 * GIB);
    assert_number(xml->balloon_bytes, 4 * GIB);
    assert_number(xml->maximum_bytes, 32 * GIB);
    assert_number(xml->hard_limit_bytes, 9 * GIB);
    assert_false(xml->soft_limit_bytes.is_known); /* libvirt's word for unlimited */
    assert_false(xml->swap_hard_limit_bytes.is_known);
    assert_number(xml->vcpus, 4);
    assert_number(xml->vcpus_now, 2);
    assert_number(xml->iothreads, 2);
    assert_true(xml->uses_hugepages);
    assert_true(xml->is_locked);
    assert_string_equal(xml->memory_source, "memfd");
    assert_string_equal(xml->memory_access, "shared");
    assert_int_equal(xml->n_hostdevs, 1);
    assert_int_equal(xml->n_memory_devices, 1);
}

static void
a_disk_is_what_its_own_elements_say(void **state)
{
    g_autoptr(DomainXml) xml = read_file("many-disks.xml");
    const DomainDisk *disk = domain_xml_disk(xml, "vda");
    g_autofree char *iotune = NULL;

    assert_int_equal(xml->disks->len, 9);
    assert_non_null(disk);
    assert_ptr_equal(disk, domain_xml_disk(xml, "virtio-disk0"));
    assert_string_equal(disk->storage, "file:/var/lib/libvirt/images/shop <1>.qcow2");
    assert_string_equal(disk->device, "disk");
    assert_string_equal(disk->bus, "virtio");
    assert_string_equal(disk->format, "qcow2");
    assert_string_equal(disk->cache, "none");
    assert_string_equal(disk->io, "io_uring");
    assert_string_equal(disk->error_policy, "stop");
    assert_string_equal(disk->rerror_policy, "report");
    assert_string_equal(disk->discard, "unmap");
    assert_number(disk->iothread, 2);
    assert_number(disk->queues, 4);
    assert_false(disk->controller.is_known);
    assert_null(domain_xml_controller(xml, disk));
    assert_true(disk->is_shareable);
    assert_false(disk->is_readonly);
    iotune = g_strjoinv("|", disk->iotune);
    assert_string_equal(iotune, "total_bytes_sec|62914560|group_name|drive-virtio-disk0");
}

static void
a_disk_on_a_controller_finds_it(void **state)
{
    g_autoptr(DomainXml) xml = read_file("many-disks.xml");
    const DomainDisk *lun = domain_xml_disk(xml, "sda"), *cd = domain_xml_disk(xml, "sdb");
    const DomainController *controller = domain_xml_controller(xml, lun);

    assert_string_equal(controller->model, "virtio-scsi");
    assert_string_equal(controller->alias, "scsi1");
    assert_number(controller->iothread, 1);
    assert_number(controller->queues, 8);
    assert_string_equal(lun->storage, "dev:/dev/mapper/mail");
    assert_number(lun->unit, 1);
    assert_null(lun->iotune);
    controller = domain_xml_controller(xml, cd);
    assert_string_equal(controller->alias, "ide");
    assert_null(controller->model);
    assert_true(cd->is_readonly);
    assert_null(cd->storage); /* no medium */
    assert_null(domain_xml_disk(xml, "sdc"));
}

/* As libvirt 9.0 wrote it of a running domain. */
static void
a_real_domain_is_read(void **state)
{
    g_autoptr(DomainXml) xml = read_file("live-9.0.xml");
    const DomainDisk *disk = domain_xml_disk(xml, "vda");
    const DomainDisk *drive = domain_xml_disk(xml, "sdb");

    assert_string_equal(xml->name, "web");
    assert_number(xml->id, 1);
    assert_number(xml->memory_bytes, GIB / 8);
    assert_string_equal(domain_xml_note(xml, "urn:x", "policy/a"), "d");
    assert_int_equal(xml->disks->len, 3);
    assert_string_equal(disk->alias, "virtio-disk0");
    assert_string_equal(disk->io, "threads");
    assert_number(disk->iothread, 1);
    assert_string_equal(disk->iotune[0], "total_bytes_sec");
    assert_string_equal(disk->iotune[1], "1048576");
    assert_string_equal(domain_xml_controller(xml, domain_xml_disk(xml, "sda"))->model,
                        "virtio-scsi");
    assert_null(drive->storage);
}

static void
network_storage_is_named_as_a_command_line_names_it(void **state)
{
    static const struct {
        const char *target, *storage;
    } expected[] = {
        {"vdb", "rbd:pool/image"},  {"vdc", "nbd:/run/x.sock"},
        {"vdd", "nbd:store:10809"}, {"vde", "iscsi:san:3260/iqn.2013-07.com.example:iscsi/2"},
        {"vdf", "volume:fast/v7"},  {"vdg", "https:"}};
    g_autoptr(DomainXml) xml = read_file("many-disks.xml");

    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        assert_string_equal(domain_xml_disk(xml, expected[i].target)->storage, expected[i].storage);
}

static void
metadata_is_found_by_namespace_not_by_prefix(void **state)
{
    static const char policy[] = "https://vm-guardian.org/policy/1";
    g_autoptr(DomainXml) xml = read_file("many-disks.xml");
    const DomainNote *note = xml->notes->pdata[0];

    assert_string_equal(domain_xml_note(xml, "http://kubevirt.io", "kubevirt/uid"),
                        "0b7d7b4e-8b19-43f6-8ae5-4b38e0a5a2f2");
    assert_string_equal(domain_xml_note(xml, "http://kubevirt.io",
                                        "kubevirt/graceperiod/deletionGracePeriodSeconds"),
                        "30");
    assert_string_equal(domain_xml_note(xml, policy, "policy/set"), "40s");
    assert_string_equal(note->attributes[1], "freeze");
    assert_string_equal(note->attributes[3], "patience");
    assert_string_equal(domain_xml_note(xml, "urn:other", "note/deep"), "");
    assert_null(domain_xml_note(xml, "", "policy/set"));
    assert_int_equal(xml->notes->len, 5); /* leaves only */
}

typedef struct {
    const char *name;
    const char *memory; /* the element */
    guint64 bytes;      /* 0: unknown */
} SizeRow;

static const SizeRow sizes[] = {
    {"a size without a unit is in KiB", "<memory>5</memory>", 5 * 1024},
    {"KB is a thousand, cut up to KiB", "<memory unit='KB'>5</memory>", 5 * 1024},
    {"GB are of a thousand", "<memory unit='GB'>2</memory>", 2000000000},
    {"k is 1024", "<memory unit='k'>5</memory>", 5 * 1024},
    {"MiB is 1024 squared", "<memory unit='MiB'>5</memory>", 5 << 20},
    {"bytes are bytes, cut up to KiB", "<memory unit='bytes'>1025</memory>", 2048},
    {"TiB too", "<memory unit='TiB'>5</memory>", 5120 * GIB},
    {"blanks around it do not count", "<memory> 5\n</memory>", 5 * 1024},
    {"a unit nobody knows is unknown", "<memory unit='parsec'>5</memory>", 0},
    {"an empty unit is none", "<memory unit=''>5</memory>", 5 * 1024},
    {"what is no number is unknown", "<memory>5 or so</memory>", 0},
    {"a negative one is unknown", "<memory>-5</memory>", 0},
    {"an overflow is unknown", "<memory unit='TiB'>9007199254740990</memory>", 0},
    {"libvirt's unlimited is unknown", "<memory>9007199254740991</memory>", 0},
    {"another element's is unknown", "<devices><memory>5</memory></devices>", 0},
};

static void
check_size(void **state)
{
    const SizeRow *row = *state;
    g_autofree char *text = g_strdup_printf("<domain>%s</domain>", row->memory);
    g_autoptr(DomainXml) xml = domain_xml_parse(text, strlen(text), NULL);

    assert_non_null(xml);
    assert_int_equal(xml->memory_bytes.is_known, row->bytes > 0);
    if (row->bytes > 0)
        assert_int_equal(xml->memory_bytes.value, row->bytes);
}

typedef struct {
    const char *name, *xml, *wrong; /* wrong: the end of the message; NULL: any */
} BadRow;

static const BadRow bad[] = {
    {"nothing is refused", "", NULL},
    {"another root is refused", "<network><name>a</name></network>", "is not of a <domain>"},
    {"an open element is refused", "<domain><name>a</name>", NULL},
    {"crossed tags are refused", "<domain><name>a</domain></name>", NULL},
    {"an entity of its own is refused",
     "<!DOCTYPE x [<!ENTITY e 'y'>]><domain><name>&e;</name></domain>", NULL},
};

static void
check_bad(void **state)
{
    const BadRow *row = *state;
    g_autoptr(GError) error = NULL;

    assert_null(domain_xml_parse(row->xml, strlen(row->xml), &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED));
    if (row->wrong && !g_str_has_suffix(error->message, row->wrong))
        fail_msg("%s", error->message);
}

static char *
repeated(const char *before, const char *part, guint times, const char *after)
{
    GString *text = g_string_new(before);

    for (guint i = 0; i < times; i++)
        g_string_append(text, part);
    return g_string_free(g_string_append(text, after), FALSE);
}

static void
what_is_too_much_is_refused(void **state)
{
    g_autofree char *deep = repeated("<domain>", "<a>", 100000, "");
    g_autofree char *many =
        repeated("<domain><devices>", "<disk/>", DOMAIN_DISKS_MAX + 1, "</devices></domain>");
    g_autofree char *enough =
        repeated("<domain><devices>", "<disk/>", DOMAIN_DISKS_MAX, "</devices></domain>");
    g_autoptr(DomainXml) xml = domain_xml_parse(enough, strlen(enough), NULL);
    g_autoptr(GError) error = NULL;

    assert_int_equal(xml->disks->len, DOMAIN_DISKS_MAX);
    assert_null(domain_xml_parse(many, strlen(many), &error));
    assert_true(g_str_has_suffix(error->message, "has too many disks"));
    g_clear_error(&error);
    assert_null(domain_xml_parse(deep, strlen(deep), &error));
    assert_true(g_str_has_suffix(error->message, "is too deep"));
    g_clear_error(&error);
    assert_null(domain_xml_parse("<domain/>", DOMAIN_XML_BYTES_MAX + 1, &error));
    assert_true(g_str_has_suffix(error->message, "is too long"));
}

int
main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(identity_and_memory_are_read),
        cmocka_unit_test(a_disk_is_what_its_own_elements_say),
        cmocka_unit_test(a_disk_on_a_controller_finds_it),
        cmocka_unit_test(a_real_domain_is_read),
        cmocka_unit_test(network_storage_is_named_as_a_command_line_names_it),
        cmocka_unit_test(metadata_is_found_by_namespace_not_by_prefix),
        cmocka_unit_test(what_is_too_much_is_refused),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(plain) + G_N_ELEMENTS(sizes) + G_N_ELEMENTS(bad)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(plain); i++)
        tests[n++] = plain[i];
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
        tests[n++] = t_row(sizes[i].name, check_size, &sizes[i]);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        tests[n++] = t_row(bad[i].name, check_bad, &bad[i]);
    return cmocka_run_group_tests_name("domain-xml", tests, NULL, NULL);
}
