/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-rows.h"

#include <string.h>

#define VOLUME "local:1"
#define BASE "bps=0,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0"

#define QEMU(name, text, canonical, said)                                                          \
    {                                                                                              \
        name, THROTTLE_QEMU, text, canonical, said                                                 \
    }
#define LIBVIRT(name, text, canonical, said)                                                       \
    {                                                                                              \
        name, THROTTLE_LIBVIRT, text, canonical, said                                              \
    }
#define POLICY(name, text, canonical, said)                                                        \
    {                                                                                              \
        name, THROTTLE_POLICY, text, canonical, said                                               \
    }

static const ThrottleRow read_rows[] = {
    QEMU("a disk without limits", BASE, BASE, ""),
    QEMU("members that are no limits are skipped",
         "node-name=#block1,ro=false,drv=raw,file=/x," BASE ",encrypted=false", BASE, ""),
    QEMU("a burst has a length",
         "bps=0,bps_rd=0,bps_wr=5,bps_wr_max=7,bps_wr_max_length=1,iops=0,"
         "iops_rd=0,iops_wr=0",
         "bps=0,bps_rd=0,bps_wr=5,bps_wr_max=7,bps_wr_max_length=1,iops=0,iops_rd=0,iops_wr=0", ""),
    QEMU("an operation has a size",
         "bps=0,bps_rd=0,bps_wr=0,iops=5,iops_rd=0,iops_wr=0,"
         "iops_size=4096",
         "bps=0,bps_rd=0,bps_wr=0,iops=5,iops_rd=0,iops_wr=0,iops_size=4096", ""),
    QEMU("a group is kept", "bps=5,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0,group=web",
         "bps=5,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0,group=web", ""),
    QEMU("the drive's own group is none",
         "bps=5,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0,group=drive-scsi0",
         "bps=5,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0",
         "group \"drive-scsi0\" is the disk's own: none was given"),
    QEMU("a group without a limit is none", BASE ",group=web", BASE,
         "a group without a limit has no effect"),
    QEMU("the zeros of a throttle filter are not its limits", BASE ",drv=throttle", BASE,
         "this node is a throttle filter: its limits stand in its throttle-group, the zeros here "
         "are not they"),
    QEMU("a missing rate is not zero", "bps=0,bps_rd=0,iops=0,iops_rd=0,iops_wr=0", NULL,
         "bps_wr is missing"),
    QEMU("nothing is no object of QEMU's", "", NULL,
         "holds no limit: neither inserted of query-block nor limits of a throttle-group"),
    QEMU("a wrong type is refused", "bps=null,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0", NULL,
         "bps \"null\" is not a number"),
    QEMU("a negative limit is refused", "bps=-1,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0", NULL,
         "bps \"-1\" is negative"),
    QEMU("total beside read is refused", "bps=1,bps_rd=1,bps_wr=0,iops=0,iops_rd=0,iops_wr=0", NULL,
         "bps_total stands beside its read or write"),
    QEMU("bursts of total and write are refused",
         "bps=0,bps_rd=5,bps_wr=0,iops=0,iops_rd=0,iops_wr=0,bps_max=7,bps_rd_max=7", NULL,
         "bps_total_max stands beside its read or write"),
    QEMU("a burst without a rate is refused", BASE ",bps_max=5", NULL,
         "bps_total_max is a burst without a rate"),
    QEMU("a burst below its rate is refused",
         "bps=5,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0,bps_max=4", NULL,
         "bps_total_max is a burst below its rate"),
    QEMU("a length of 0 is refused", BASE ",bps_max_length=0", NULL,
         "bps_max_length \"0\" is less than one second"),
    QEMU("a length without a burst is refused", BASE ",bps_max_length=2", NULL,
         "bps_total_max_length_s is a length without a burst"),
    QEMU("a burst too long is refused",
         "bps=5,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0,bps_max=100000000000000,"
         "bps_max_length=11",
         NULL,
         "bps_total_max_length_s is too long for its burst: more than 1000000000000000 together"),
    QEMU("a size of an operation needs a limit of operations", BASE ",iops_size=4096", NULL,
         "iops_size_bytes needs a limit of operations"),
    QEMU("the limits of a throttle-group may leave out defaults", "bps-write=5,bps-write-max=7",
         "bps-total=0,bps-total-max=0,bps-total-max-length=1,bps-read=0,bps-read-max=0,"
         "bps-read-max-length=1,bps-write=5,bps-write-max=7,bps-write-max-length=1,iops-total=0,"
         "iops-total-max=0,iops-total-max-length=1,iops-read=0,iops-read-max=0,"
         "iops-read-max-length=1,iops-write=0,iops-write-max=0,iops-write-max-length=1,iops-size=0",
         ""),
    QEMU("the limits of a throttle-group hold nothing else", "bps-write=5,bps-foo=1", NULL,
         "bps-foo is no limit of a throttle-group"),
    QEMU("the limits of a throttle-group do not name it", "bps-write=5,group=web", NULL,
         "group is no limit of a throttle-group"),
    QEMU("the two objects do not mix", BASE ",iops-size=5", NULL,
         "holds members of query-block and of a throttle-group"),

    LIBVIRT("nothing is no limit", "", "", ""),
    LIBVIRT("limits, bursts, size, group, lengths in libvirt's order",
            "write_bytes_sec_max_length=3,group_name=web,size_iops_sec=4096,write_iops_sec=9,"
            "write_bytes_sec_max=7,write_bytes_sec=5",
            "write_bytes_sec=5,write_iops_sec=9,write_bytes_sec_max=7,size_iops_sec=4096,"
            "group_name=web,write_bytes_sec_max_length=3",
            ""),
    LIBVIRT("a length of 0 is the default", "read_iops_sec=5,read_iops_sec_max_length=0",
            "read_iops_sec=5", ""),
    LIBVIRT("a QOM path is the disk's own group",
            "total_bytes_sec=5,group_name=/machine/peripheral/virtio-disk0/virtio-backend",
            "total_bytes_sec=5",
            "group \"/machine/peripheral/virtio-disk0/virtio-backend\" is the disk's own: none was "
            "given"),
    LIBVIRT("a device is the disk's own group", "total_bytes_sec=5,group_name=scsi0-0-0-1",
            "total_bytes_sec=5", "group \"scsi0-0-0-1\" is the disk's own: none was given"),
    LIBVIRT("a group that only begins like a device is not",
            "total_bytes_sec=5,group_name=scsi-web", "total_bytes_sec=5,group_name=scsi-web", ""),
    LIBVIRT("an element that libvirt does not know is skipped",
            "total_bytes_sec=5,total_byte_sec=7", "total_bytes_sec=5",
            "total_byte_sec is no element libvirt knows: it is skipped"),
    LIBVIRT("an element given twice is refused", "total_bytes_sec=5,total_bytes_sec=5", NULL,
            "total_bytes_sec \"5\" is given twice"),
    LIBVIRT("a group given twice is refused", "group_name=a,group_name=b", NULL,
            "group_name \"b\" is given twice"),
    LIBVIRT("total beside read is refused", "total_bytes_sec=5,read_bytes_sec=5", NULL,
            "total_bytes_sec stands beside its read or write"),
    LIBVIRT("total beside write is refused in bursts too",
            "write_iops_sec=5,total_iops_sec_max=7,write_iops_sec_max=7", NULL,
            "total_iops_sec_max stands beside its read or write"),
    LIBVIRT("what is past QEMU's cap is refused", "write_iops_sec=1000000000000001", NULL,
            "write_iops_sec is past 1000000000000000"),
    LIBVIRT("a burst without its rate is left to QEMU", "write_iops_sec_max=5",
            "write_iops_sec_max=5", "QEMU refuses this: iops_write_max is a burst without a rate"),
    LIBVIRT("a word is refused", "total_bytes_sec=much", NULL,
            "total_bytes_sec \"much\" is not a number"),

    POLICY("whole MiB are MiB", "disk=scsi0,bps_wr=62914560", "disk=scsi0,mbps_wr=60", ""),
    POLICY("others are bytes", "mbps_wr=60.1", "bps_wr=63019417", ""),
    POLICY("bytes have units", "bps_rd=60M,bps_rd_max=1Gi,iops=5,iops_size=4Ki",
           "mbps_rd=60,mbps_rd_max=1024,iops=5,iops_size=4096", ""),
    POLICY("every key",
           "mbps=1,mbps_max=2,bps_max_length=3,iops_rd=4,iops_rd_max=5,iops_rd_max_length=6,"
           "iops_wr=7,iops_wr_max=8,iops_wr_max_length=9,group=web",
           "mbps=1,mbps_max=2,bps_max_length=3,iops_rd=4,iops_rd_max=5,iops_rd_max_length=6,"
           "iops_wr=7,iops_wr_max=8,iops_wr_max_length=9,group=web",
           ""),
    POLICY("zero is no limit", "mbps=0,bps_max_length=0,iops=0", "", ""),
    POLICY("a limit is given in one unit", "mbps_wr=60,bps_wr=60M", NULL,
           "bps_wr \"60M\" is given twice"),
    POLICY("10GB is refused", "bps_wr=10GB", NULL,
           "bps_wr \"10GB\" has an unknown unit: use K, M, G or T"),
    POLICY("-5 is refused", "mbps_wr=-5", NULL, "mbps_wr \"-5\" is negative"),
    POLICY("abc is refused", "iops=abc", NULL, "iops \"abc\" is not a number"),
    POLICY("an unknown key is refused", "mbps_write=5", NULL,
           "key \"mbps_write\" is no key of [disk]"),
    POLICY("a length is not in MiB", "mbps_max_length=5", NULL,
           "key \"mbps_max_length\" is no key of [disk]"),
    POLICY("operations are not in mega", "miops=5", NULL, "key \"miops\" is no key of [disk]"),
    POLICY("what QEMU refuses is refused", "iops_max=5", NULL,
           "iops_total_max is a burst without a rate"),
    POLICY("past 63 bits is refused", "bps=8388608T", NULL, "bps \"8388608T\" is too large"),
    POLICY("a group given twice is refused", "mbps=1,group=a,group=a", NULL,
           "group \"a\" is given twice"),
};

typedef struct {
    const char *name;
    ThrottleForm form_a;
    const char *text_a;
    ThrottleForm form_b;
    const char *text_b;
    const char *differs; /* names of the fields, in order; "" = equal */
} CompareRow;

#define INSERTED(rates) "node-name=x," rates
#define WRITE_60 INSERTED("bps=0,bps_rd=0,bps_wr=62914560,iops=0,iops_rd=0,iops_wr=0")

static const CompareRow compare_rows[] = {
    {"the incident: the same keys in another order", THROTTLE_PROXMOX,
     "local-lvm:vm-102-disk-0,iothread=1,mbps_rd=60,mbps_wr=60,size=100G", THROTTLE_PROXMOX,
     "local-lvm:vm-102-disk-0,mbps_wr=60,mbps_rd=60,size=100G,iothread=1", ""},
    {"the incident: iothread came at a restart", THROTTLE_PROXMOX,
     "local-lvm:vm-102-disk-0,mbps_rd=60,mbps_wr=60", THROTTLE_PROXMOX,
     "local-lvm:vm-102-disk-0,iothread=1,mbps_rd=60,mbps_wr=60", ""},
    {"the incident: a real drift", THROTTLE_PROXMOX, VOLUME ",mbps_rd=60,mbps_wr=60",
     THROTTLE_PROXMOX, VOLUME ",mbps_rd=60,mbps_wr=61", "bps_write "},
    {"60 in Proxmox is 62914560 in QEMU", THROTTLE_PROXMOX, VOLUME ",mbps_wr=60.0", THROTTLE_QEMU,
     WRITE_60, ""},
    {"QEMU's own group is no difference", THROTTLE_PROXMOX, VOLUME ",mbps_wr=60", THROTTLE_QEMU,
     WRITE_60 ",group=drive-scsi0", ""},
    {"another group is one", THROTTLE_PROXMOX, VOLUME ",mbps_wr=60", THROTTLE_QEMU,
     WRITE_60 ",group=web", "group "},
    {"a throttle-group does not say its name", THROTTLE_POLICY, "mbps_wr=60,group=web",
     THROTTLE_QEMU, "bps-write=62914560", ""},
    {"a throttle-group is compared in its limits", THROTTLE_POLICY, "mbps_wr=60", THROTTLE_QEMU,
     "bps-write=62914561", "bps_write "},
    {"libvirt's live read is its configuration", THROTTLE_LIBVIRT, "write_bytes_sec=62914560",
     THROTTLE_LIBVIRT,
     "total_bytes_sec=0,read_bytes_sec=0,write_bytes_sec=62914560,total_iops_sec=0,"
     "total_bytes_sec_max_length=0,write_bytes_sec_max_length=0,size_iops_sec=0,"
     "group_name=/machine/peripheral/virtio-disk0/virtio-backend",
     ""},
    {"libvirt's 0 is QEMU's 1", THROTTLE_LIBVIRT,
     "write_bytes_sec=62914560,write_bytes_sec_max=62914560,write_bytes_sec_max_length=0",
     THROTTLE_QEMU, WRITE_60 ",bps_wr_max=62914560,bps_wr_max_length=1", ""},
    {"a burst as high as its rate is not the default burst", THROTTLE_LIBVIRT,
     "write_bytes_sec=62914560,write_bytes_sec_max=62914560", THROTTLE_QEMU, WRITE_60,
     "bps_write_max "},
    {"bps in Proxmox is no limit", THROTTLE_PROXMOX, VOLUME ",bps_wr=62914560", THROTTLE_POLICY,
     "bps_wr=62914560", "bps_write "},
    {"bps in Proxmox equals none", THROTTLE_PROXMOX, VOLUME ",bps_wr=62914560", THROTTLE_PROXMOX,
     VOLUME, ""},
    {"total is not read and write", THROTTLE_POLICY, "iops=5", THROTTLE_POLICY,
     "iops_rd=5,iops_wr=5", "iops_total iops_read iops_write "},
    {"the size of an operation counts", THROTTLE_POLICY, "iops=5,iops_size=4K", THROTTLE_PROXMOX,
     VOLUME ",iops=5", "iops_size_bytes "},
    {"units are one", THROTTLE_POLICY, "bps_wr=60M", THROTTLE_POLICY, "mbps_wr=60.00", ""},
    {"007 is 7", THROTTLE_PROXMOX, VOLUME ",iops=007", THROTTLE_LIBVIRT, "total_iops_sec=7", ""},
    {"nothing is nothing", THROTTLE_PROXMOX, VOLUME, THROTTLE_LIBVIRT, "", ""},
};

static void
check_compare(void **state)
{
    const CompareRow *row = *state;
    g_autofree char *wrong = NULL;
    g_autoptr(Throttle) a = throttle_row_read(row->form_a, row->text_a, &wrong);
    g_autoptr(Throttle) b = a != NULL ? throttle_row_read(row->form_b, row->text_b, &wrong) : NULL;
    g_autoptr(GString) differs = g_string_new(NULL);

    if (b == NULL)
        fail_msg("%s", wrong);
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        if (throttle_field_differs(a, b, i))
            g_string_append_printf(differs, "%s ", throttle_field_name(i));
    if (throttle_group_differs(a, b))
        g_string_append(differs, "group ");
    assert_string_equal(differs->str, row->differs);
    assert_int_equal(throttle_equal(a, b), *row->differs == '\0');
    assert_int_equal(throttle_equal(b, a), *row->differs == '\0');
}

static void
what_a_form_has_no_word_for_is_said(void **state)
{
    g_autofree char *wrong = NULL, *said = NULL;
    g_autoptr(Throttle) throttle =
        throttle_row_read(THROTTLE_POLICY,
                          "mbps_wr=60,iops=5,iops_size=4K,group=web,mbps_wr_max=61,"
                          "bps_wr_max_length=5",
                          &wrong);
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);

    for (guint form = 0; form < THROTTLE_N_FORMS; form++) {
        g_auto(GStrv) printed = throttle_print((ThrottleForm)form, throttle, notes);

        assert_non_null(printed);
        assert_int_equal(notes->len, form == THROTTLE_PROXMOX ? 2 : 0);
        said = form == THROTTLE_PROXMOX ? throttle_row_join(notes) : said;
        g_ptr_array_set_size(notes, 0);
    }
    assert_string_equal(said, "a drive string of Proxmox has no word for iops_size_bytes; "
                              "a drive string of Proxmox has no word for group");
    throttle->is_group_object = true;
    throttle->fields[THROTTLE_FIELD(THROTTLE_BPS_WRITE, THROTTLE_LENGTH)] = G_MAXUINT32 + 1ULL;
    g_auto(GStrv) group = throttle_print(THROTTLE_QEMU, throttle, notes);
    g_autofree char *of_group = throttle_row_join(notes);
    assert_non_null(group);
    assert_string_equal(of_group, "the limits of a throttle-group have no word for group; "
                                  "bps_write_max_length_s is past the 32 bits of a throttle-group");
}

static void
names_are_the_same_both_ways(void **state)
{
    for (guint form = 0; form < THROTTLE_N_FORMS; form++) {
        ThrottleForm found = THROTTLE_N_FORMS;

        assert_true(throttle_form_find(throttle_form_name((ThrottleForm)form), &found));
        assert_int_equal(found, form);
    }
    ThrottleForm untouched = THROTTLE_POLICY;
    assert_false(throttle_form_find("xen", &untouched));
    assert_int_equal(untouched, THROTTLE_POLICY);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(read_rows) + G_N_ELEMENTS(compare_rows) + 2];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(read_rows); i++)
        tests[n++] = t_row(read_rows[i].name, throttle_row_check, &read_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(compare_rows); i++)
        tests[n++] = t_row(compare_rows[i].name, check_compare, &compare_rows[i]);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_a_form_has_no_word_for_is_said);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(names_are_the_same_both_ways);
    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
