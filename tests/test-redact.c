/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "redact.h"

typedef struct {
    const char *name, *option, *before, *after;
} Row;

static const Row rows[] = {
    {"a secret's data goes", "-object", "secret,id=sec0,data=hunter2,format=raw",
     "secret,id=sec0,data=***,format=raw"},
    {"a secret's data in JSON goes", "-object",
     "{\"qom-type\":\"secret\",\"id\":\"sec0\",\"data\": \"hun\\\"ter2\",\"format\":\"raw\"}",
     "{\"qom-type\":\"secret\",\"id\":\"sec0\",\"data\": \"***\",\"format\":\"raw\"}"},
    {"a doubled comma is part of the password", "-spice", "port=5900,password=a,,b,tls-port=1",
     "port=5900,password=***,tls-port=1"},
    {"a short password does not show its length less one", "-spice", "password=a,port=1",
     "password=*,port=1"},
    {"a switch stays", "-vnc", ":0,password=on", ":0,password=on"},
    {"a secret's id stays", "-vnc", ":0,password-secret=sec0", ":0,password-secret=sec0"},
    {"a key at the end goes", "-drive", "file=rbd:pool/disk:id=admin:key=AQB==:mon_host=a",
     "file=rbd:pool/disk:id=admin:key=***"},
    {"a URL's user goes", "-drive", "file=https://me:word@host/disk.iso,if=none",
     "file=https://***@host/disk.iso,if=none"},
    {"an iSCSI user goes", "-drive", "file=iscsi://me%word@host/iqn.x/1,format=raw",
     "file=iscsi://***@host/iqn.x/1,format=raw"},
    {"an address with an at-sign in its path stays", "-drive", "file=https://host/a@b",
     "file=https://host/a@b"},
    {"a nested password goes", "-blockdev",
     "{\"driver\":\"ssh\",\"server\":{\"host\":\"h\"},\"x\":{\"proxy-password\":\"p\"}}",
     "{\"driver\":\"ssh\",\"server\":{\"host\":\"h\"},\"x\":{\"proxy-password\":\"*\"}}"},
    {"a credential for the guest goes", "-smbios", "type=11,value=io.systemd.credential:passwd.x=y",
     "type=11,value=***"},
    {"a global's value stays", "-global", "driver=cfi.pflash01,property=secure,value=1",
     "driver=cfi.pflash01,property=secure,value=1"},
    {"configuration for the guest goes", "-fw_cfg", "name=opt/x,string=token",
     "name=opt/x,string=***"},
    {"a kernel's password goes, its neighbours stay", "-append",
     "console=ttyS0 root.password=x,y quiet luks.key=abc",
     "console=ttyS0 root.password=*** quiet luks.key=***"},
    {"two dashes are as good as one", "--append", "luks.key=abcd", "luks.key=***"},
    {"upper case is no way round", "-spice", "PassWord=abcd", "PassWord=***"},
    {"a disk is left alone", "-drive", "file=/var/lib/key/data,if=none,id=password-disk",
     "file=/var/lib/key/data,if=none,id=password-disk"},
    {"an empty value stays empty", "-spice", "password=", "password="},
    {"a quote that never ends is no way out", "-object", "{\"data\":\"abcdef", "{\"data\":\"***"},
    {"an empty argument stays", NULL, "", ""},
};

static void
redacts(void **state)
{
    const Row *row = *state;
    g_autofree char *argument = g_strdup(row->before);

    redact_argument(row->option, argument);
    assert_string_equal(argument, row->after);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, redacts, &rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
