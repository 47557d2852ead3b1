/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "throttle.h"

#include <string.h>

/* Pairs of every form are written "name=value,name=value" here. */

#define VOLUME "local:1"
#define BASE "bps=0,bps_rd=0,bps_wr=0,iops=0,iops_rd=0,iops_wr=0"
#define NO_VOLUME "there is no volume: Proxmox refuses such a drive"

typedef struct {
    const char *name;
    ThrottleForm form;
    const char *text;
    const char *canonical; /* NULL: refused */
    const char *said;      /* why it is refused, or its notes, "; " between them */
} ReadRow;

#define PROXMOX(name, text, canonical, said)                                                       \
    {                                                                                              \
        name, THROTTLE_PROXMOX, text, canonical, said                                              \
    }
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

static const ReadRow read_rows[] = {
    PROXMOX("a drive as qm config prints it",
            "local-lvm:vm-102-disk-0,iothread=1,mbps_rd=60,mbps_wr=60,size=100G",
            "local-lvm:vm-102-disk-0,iothread=1,mbps_rd=60,mbps_wr=60,size=100G", ""),
    PROXMOX("a drive with its name in front", "scsi0: local:1,mbps=5", "local:1,mbps=5", ""),
    PROXMOX("the volume comes first, keys in order", "size=1G,ssd=1,iops=5,aio=native,local:1",
            "local:1,aio=native,iops=5,size=1G,ssd=1", ""),
    PROXMOX("file= is the volume", "mbps=5,file=" VOLUME, "local:1,mbps=5", ""),
    PROXMOX("volume= is the volume", "mbps=5,volume=" VOLUME, "local:1,mbps=5", ""),
    PROXMOX("a volume with an equals sign keeps its key", "file=/dev/a=b", "file=/dev/a=b", ""),
    PROXMOX("so does one that reads as a name", "iops=5,scsi0: 1", "file=scsi0: 1,iops=5", ""),
    PROXMOX("so does one of blanks", "file= ", "file= ", ""),
    PROXMOX("flags are 1 and 0",
            VOLUME ",iothread=on,backup=No,ssd=TRUE,ro=off,discard=on,snapshot=yes",
            "local:1,backup=0,discard=on,iothread=1,ro=0,snapshot=1,ssd=1", ""),
    PROXMOX("a flag is nothing else", VOLUME ",iothread=maybe", NULL,
            "iothread \"maybe\" is neither 1 nor 0"),
    PROXMOX("a size has its largest unit", VOLUME ",size=104857600K", "local:1,size=100G", ""),
    PROXMOX("a size may be a fraction", VOLUME ",size=4.5GiB", "local:1,size=4608M", ""),
    PROXMOX("a size in bytes stays in bytes", VOLUME ",size=1025", "local:1,size=1025", ""),
    PROXMOX("a size has no other unit", VOLUME ",size=5Q", NULL, "size \"5Q\" is no size"),
    PROXMOX("a number of queues is a number", VOLUME ",queues=04", "local:1,queues=4", ""),
    PROXMOX("words stay as they are",
            VOLUME ",aio=io_uring,cache=none,detect_zeroes=1,format=raw,serial=a%20b,werror=stop",
            "local:1,aio=io_uring,cache=none,detect_zeroes=1,format=raw,serial=a%20b,werror=stop",
            ""),
    PROXMOX("keys of all kinds of drives are known",
            VOLUME ",efitype=4m,import-from=x,media=disk,model=a,ms-cert=2023,pre-enrolled-keys=1,"
                   "product=p,replicate=0,rerror=report,scsiblock=1,shared=0,vendor=v,version=v2.0,"
                   "wwn=0x1",
            "local:1,efitype=4m,import-from=x,media=disk,model=a,ms-cert=2023,pre-enrolled-keys=1,"
            "product=p,replicate=0,rerror=report,scsiblock=1,shared=0,vendor=v,version=v2.0,"
            "wwn=0x1",
            ""),
    PROXMOX(
        "geometry is dropped unread", VOLUME ",cyls=x,heads=1,secs=2,trans=lba,cyls=y", VOLUME,
        "cyls is dropped: Proxmox does not read it; heads is dropped: Proxmox does not read it; "
        "secs is dropped: Proxmox does not read it; trans is dropped: Proxmox does not read it; "
        "cyls is dropped: Proxmox does not read it"),
    PROXMOX("a key of no drive is refused", VOLUME ",mpbs_wr=60", NULL,
            "key \"mpbs_wr\" is no key of a drive"),
    PROXMOX("a blank before a key is refused", VOLUME ", mbps=60", NULL,
            "key \" mbps\" is no key of a drive"),
    PROXMOX("bps_max is no key of a drive", VOLUME ",mbps=1,bps_max=5", NULL,
            "key \"bps_max\" is no key of a drive"),
    PROXMOX("blank parts are skipped", ",," VOLUME ", ,mbps=5,", "local:1,mbps=5", ""),
    PROXMOX("a key without a value is refused", VOLUME ",mbps=", NULL,
            "part \"mbps=\" has no value"),
    PROXMOX("a value without a key is refused", VOLUME ",=5", NULL, "part \"=5\" has no key"),
    PROXMOX("two volumes are refused", VOLUME ",local:2", NULL, "file \"local:2\" is given twice"),
    PROXMOX("a newline is refused", VOLUME ",mbps=5\nmbps=6", NULL, "holds a control character"),
    PROXMOX("no volume is worth a note", "mbps=5", "mbps=5", NO_VOLUME),
    PROXMOX("a key given twice is refused", VOLUME ",mbps=5,mbps=5", NULL,
            "mbps \"5\" is given twice"),
    PROXMOX("a flag given twice is refused", VOLUME ",ssd=1,ssd=1", NULL,
            "ssd \"1\" is given twice"),
    PROXMOX("a key and its alias are one",
            VOLUME ",mbps_rd=5,mbps_rd_max=6,bps_rd_max_length=2,"
                   "bps_rd_length=2",
            NULL, "bps_rd_max_length \"2\" is given twice"),
    PROXMOX("an alias is its key",
            VOLUME ",mbps_rd=5,mbps_rd_max=6,bps_rd_length=2,mbps_wr=5,mbps_wr_max=6,"
                   "bps_wr_length=3,iops_rd=5,iops_rd_max=6,iops_rd_length=4,iops_wr=5,"
                   "iops_wr_max=6,iops_wr_length=5",
            "local:1,bps_rd_max_length=2,bps_wr_max_length=3,iops_rd=5,iops_rd_max=6,"
            "iops_rd_max_length=4,iops_wr=5,iops_wr_max=6,iops_wr_max_length=5,mbps_rd=5,"
            "mbps_rd_max=6,mbps_wr=5,mbps_wr_max=6",
            ""),
    PROXMOX("every total",
            VOLUME ",mbps=1,mbps_max=2,bps_max_length=3,iops=4,iops_max=5,iops_max_length=6",
            "local:1,bps_max_length=3,iops=4,iops_max=5,iops_max_length=6,mbps=1,mbps_max=2", ""),
    PROXMOX("a length of 1 is the default", VOLUME ",mbps=1,mbps_max=2,bps_max_length=1",
            "local:1,mbps=1,mbps_max=2", ""),
    PROXMOX("a length of 0 is refused", VOLUME ",mbps=1,mbps_max=2,bps_max_length=0", NULL,
            "bps_max_length \"0\" is less than one second"),
    PROXMOX("zero is no limit", VOLUME ",mbps=0,iops_rd=0", VOLUME, ""),
    PROXMOX("007 is 7", VOLUME ",iops=007", "local:1,iops=7", ""),
    PROXMOX("010 is 10, but not to every QEMU", VOLUME ",iops=010", "local:1,iops=10",
            "iops begins with 0: a machine before 10.0 is started with it as octal"),
    PROXMOX("a number is a number", VOLUME ",mbps=10GB", NULL, "mbps \"10GB\" is not a number"),
    PROXMOX("operations are whole", VOLUME ",iops=1.5", NULL, "iops \"1.5\" is not a whole number"),
    PROXMOX("a negative rate is refused", VOLUME ",mbps=-5", NULL, "mbps \"-5\" is negative"),
    PROXMOX("less than a byte is no limit", VOLUME ",mbps=0.0000001", VOLUME,
            "mbps is less than a byte per second: no limit"),
    PROXMOX("bps is no limit at all", VOLUME ",bps=62914560", VOLUME,
            "bps is no limit at all in Proxmox, whatever its value: use mbps"),
    PROXMOX("bps_rd and bps_wr are none either", VOLUME ",bps_rd=5,bps_wr=6", VOLUME,
            "bps_rd is no limit at all in Proxmox, whatever its value: use mbps_rd; "
            "bps_wr is no limit at all in Proxmox, whatever its value: use mbps_wr"),
    PROXMOX("bps has a type nevertheless", VOLUME ",bps=abc", NULL, "bps \"abc\" is not a number"),
    PROXMOX("bps beside mbps is refused", VOLUME ",bps=5,mbps=5", NULL, "bps stands beside mbps"),
    PROXMOX("total beside read is refused", VOLUME ",mbps=5,mbps_rd=5", NULL,
            "mbps stands beside mbps_rd"),
    PROXMOX("total beside write is refused", VOLUME ",iops=5,iops_wr=5", NULL,
            "iops stands beside iops_wr"),
    PROXMOX("bytes beside operations are not", VOLUME ",mbps=5,iops_wr=5",
            "local:1,iops_wr=5,mbps=5", ""),
    PROXMOX("a total of 0 is not beside read", VOLUME ",mbps=0,mbps_rd=5", "local:1,mbps_rd=5", ""),
    PROXMOX("a total of 0.0 is", VOLUME ",mbps=0.0,mbps_rd=5", NULL, "mbps stands beside mbps_rd"),
    PROXMOX("a total as bps is", VOLUME ",bps=0,mbps_rd=5", NULL, "mbps stands beside mbps_rd"),
    PROXMOX("a burst of bytes requires its rate", VOLUME ",mbps_max=5", NULL,
            "mbps_max requires mbps"),
    PROXMOX("a rate of 0 is none", VOLUME ",mbps_wr=0,mbps_wr_max=5", NULL,
            "mbps_wr_max requires mbps_wr"),
    PROXMOX("a rate of 0.0 is one to Proxmox only", VOLUME ",mbps_wr=0.0,mbps_wr_max=5",
            "local:1,mbps_wr=0.000,mbps_wr_max=5",
            "QEMU refuses this: bps_write_max is a burst without a rate"),
    PROXMOX("a rate as bps is one to Proxmox only", VOLUME ",bps=5242880,mbps_max=5",
            "local:1,mbps=0.000,mbps_max=5",
            "bps is no limit at all in Proxmox, whatever its value: use mbps; "
            "QEMU refuses this: bps_total_max is a burst without a rate"),
    PROXMOX("a burst of operations slips through without its rate", VOLUME ",iops_max=100",
            "local:1,iops_max=100", "QEMU refuses this: iops_total_max is a burst without a rate"),
    PROXMOX("a length requires its burst", VOLUME ",mbps=5,bps_max_length=2", NULL,
            "bps_max_length requires mbps_max"),
    PROXMOX("a length of operations requires its burst", VOLUME ",iops_rd=5,iops_rd_max_length=1",
            NULL, "iops_rd_max_length requires iops_rd_max"),
    PROXMOX("a burst below its rate slips through", VOLUME ",mbps=5,mbps_max=4",
            "local:1,mbps=5,mbps_max=4",
            "QEMU refuses this: bps_total_max is a burst below its rate"),
    PROXMOX("what is past QEMU's cap slips through", VOLUME ",iops=1000000000000001",
            "local:1,iops=1000000000000001",
            "QEMU refuses this: iops_total is past 1000000000000000"),

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

static char **
split(const char *text)
{
    g_autofree char *wrong = NULL;
    char **pairs = throttle_split_drive(text, &wrong);

    if (pairs == NULL)
        fail_msg("%s", wrong);
    return pairs;
}

/* Joins what was said. */
static char *
notes_join(const GPtrArray *notes)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < notes->len; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? "; " : "", (char *)notes->pdata[i]);
    return g_string_free(text, FALSE);
}

static Throttle *
read_text(ThrottleForm form, const char *text, char **ret_wrong)
{
    g_auto(GStrv) pairs = throttle_split_drive(text, ret_wrong);

    return pairs != NULL ? throttle_parse(form, (const char *const *)pairs, ret_wrong) : NULL;
}

static char *
canonical(const Throttle *throttle)
{
    g_auto(GStrv) pairs = throttle_print(throttle->form, throttle, NULL);

    return throttle_join_drive((const char *const *)pairs);
}

static void
check_read(void **state)
{
    const ReadRow *row = *state;
    g_autofree char *wrong = NULL, *text = NULL, *said = NULL, *again_text = NULL;
    g_autoptr(Throttle) throttle = read_text(row->form, row->text, &wrong);
    g_autoptr(Throttle) again = NULL;

    if (row->canonical == NULL) {
        assert_null(throttle);
        assert_string_equal(wrong, row->said);
        return;
    }
    if (throttle == NULL)
        fail_msg("%s", wrong);
    text = canonical(throttle);
    said = notes_join(throttle->notes);
    assert_string_equal(text, row->canonical);
    assert_string_equal(said, row->said);
    again = read_text(row->form, text, &wrong);
    if (again == NULL)
        fail_msg("its own text: %s", wrong);
    assert_true(throttle_equal(throttle, again));
    again_text = canonical(again);
    assert_string_equal(again_text, text);
}

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
    g_autoptr(Throttle) a = read_text(row->form_a, row->text_a, &wrong);
    g_autoptr(Throttle) b = a != NULL ? read_text(row->form_b, row->text_b, &wrong) : NULL;
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
    g_auto(GStrv) pairs = split("mbps_wr=60,iops=5,iops_size=4K,group=web,mbps_wr_max=61,"
                                "bps_wr_max_length=5");
    g_autofree char *wrong = NULL, *said = NULL;
    g_autoptr(Throttle) throttle =
        throttle_parse(THROTTLE_POLICY, (const char *const *)pairs, &wrong);
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);

    for (guint form = 0; form < THROTTLE_N_FORMS; form++) {
        g_auto(GStrv) printed = throttle_print((ThrottleForm)form, throttle, notes);

        assert_non_null(printed);
        assert_int_equal(notes->len, form == THROTTLE_PROXMOX ? 2 : 0);
        said = form == THROTTLE_PROXMOX ? notes_join(notes) : said;
        g_ptr_array_set_size(notes, 0);
    }
    assert_string_equal(said, "a drive string of Proxmox has no word for iops_size_bytes; "
                              "a drive string of Proxmox has no word for group");
    throttle->is_group_object = true;
    throttle->fields[THROTTLE_FIELD(THROTTLE_BPS_WRITE, THROTTLE_LENGTH)] = G_MAXUINT32 + 1ULL;
    g_auto(GStrv) group = throttle_print(THROTTLE_QEMU, throttle, notes);
    g_autofree char *of_group = notes_join(notes);
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
        tests[n++] = t_row(read_rows[i].name, check_read, &read_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(compare_rows); i++)
        tests[n++] = t_row(compare_rows[i].name, check_compare, &compare_rows[i]);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_a_form_has_no_word_for_is_said);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(names_are_the_same_both_ways);
    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
