/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Proxmox VM 102 of two disks in a tree, whose configuration and limits are looked at. Include
 * t.h first. */

#include "drift-look.h"
#include "pve-look.h"
#include "sample-fixture.h"

#define OLD                                                                                        \
    WORDS("kvm", "-drive",                                                                         \
          "file=/dev/pve/vm-102-disk-0,if=none,id=drive-scsi0,throttling.bps-write=62914560",      \
          "-device", "scsi-hd,drive=drive-scsi0,id=scsi0", "-drive",                               \
          "file=/dev/pve/vm-102-disk-1,if=none,id=drive-scsi1", "-device",                         \
          "scsi-hd,drive=drive-scsi1,id=scsi1")
#define NEW                                                                                        \
    WORDS("kvm", "-object", "throttle-group,id=throttle-drive-scsi0,x-bps-write=62914560",         \
          "-blockdev",                                                                             \
          "driver=throttle,node-name=drive-scsi0,throttle-group=throttle-drive-scsi0,"             \
          "file.driver=host_device,file.filename=/dev/pve/vm-102-disk-0",                          \
          "-device", "scsi-hd,drive=drive-scsi0,id=scsi0")
#define GROUP(wr)                                                                                  \
    "{\"bps-total\": 0, \"bps-read\": 0, \"bps-write\": " #wr ", \"iops-total\": 0, "              \
    "\"iops-read\": 0, \"iops-write\": 0, \"bps-write-max\": 0, \"bps-write-max-length\": 1}"
#define GET_GROUP(name)                                                                            \
    "qom-get {\"path\":\"/objects/throttle-drive-" name "\",\"property\":\"limits\"}"
#define BLOCK(name, wr)                                                                            \
    "{\"device\": \"drive-" name "\", \"qdev\": \"" name "\", \"inserted\": {\"bps\": 0, "         \
    "\"bps_rd\": 0, \"bps_wr\": " #wr ", \"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0, "            \
    "\"group\": \"drive-" name "\", \"drv\": \"raw\", \"image\": {\"actual-size\": 5}}}"
#define CONF "pve/qemu-server/102.conf"
/* Long before the fixture's VM started. */
#define OLD_US (1000000000 * (gint64)G_USEC_PER_SEC)

typedef struct {
    SampleFixture *samples;
    Children *children;
} LookFixture;

int look_set_up(void **state);
int look_tear_down(void **state);
#define WITH_LOOKS(test) cmocka_unit_test_setup_teardown(test, look_set_up, look_tear_down)

/* Its configuration, as it was written at that time of the world. */
void write_conf(LookFixture *fixture, const char *text, gint64 written_us);
/* The words are those of its command line. */
void make_vm(LookFixture *fixture, const char *const *words);
/* As the loop does it: a look, a sample, until no child is open. */
void look(LookFixture *fixture);
