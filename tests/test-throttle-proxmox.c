/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-rows.h"

#define VOLUME "local:1"
#define NO_VOLUME "there is no volume: Proxmox refuses such a drive"

#define PROXMOX(name, text, canonical, said)                                                       \
    {                                                                                              \
        name, THROTTLE_PROXMOX, text, canonical, said                                              \
    }

static const ThrottleRow rows[] = {
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
};

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, throttle_row_check, &rows[i]);
    return cmocka_run_group_tests_name("throttle proxmox", tests, NULL, NULL);
}
