/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "audit-fixture.h"
#include "fake-host.h"

#include <json-glib/json-glib.h>
#include <string.h>

/* The VM of the founding incident, and one beside it that is as it should be. */
static const char *const incident_words[] = {
    "/usr/bin/kvm",
    "-id",
    "102",
    "-name",
    "devvm",
    "-m",
    "2048",
    "-chardev",
    "socket,id=qmp,path=/var/run/qemu-server/102.qmp,server=on,wait=off",
    "-mon",
    "chardev=qmp,mode=control",
    "-device",
    "lsi,id=scsihw0,bus=pci.0",
    "-drive",
    "file=/dev/pve/vm-102-disk-0,if=none,id=drive-scsi0,cache=none,aio=io_uring,"
    "throttling.bps-write=62914560",
    "-device",
    "scsi-hd,bus=scsihw0.0,drive=drive-scsi0,id=scsi0",
    "-drive",
    "if=none,id=drive-ide2,media=cdrom",
    "-device",
    "ide-cd,bus=ide.1,drive=drive-ide2,id=ide2",
    "-machine",
    "type=pc-i440fx-9.2+pve1",
    NULL};
const char *const audit_clean_words[] = {
    "/usr/bin/kvm",
    "-name",
    "clean",
    "-m",
    "1024",
    "-qmp",
    "unix:/run/a.sock,server=on",
    "-qmp",
    "unix:/run/b.sock,server=on",
    "-object",
    "iothread,id=t0",
    "-drive",
    "file=/srv/clean.raw,if=none,id=d,cache=none,aio=threads,werror=stop",
    "-device",
    "virtio-blk-pci,drive=d,id=v,iothread=t0",
    "-device",
    "i6300esb",
    "-device",
    "pvpanic",
    "-serial",
    "file:/srv/clean.log",
    NULL};

int
audit_fixture_set_up(void **state)
{
    AuditFixture *fixture = g_new0(AuditFixture, 1);
    g_autoptr(Host) host = NULL;

    *state = fixture;
    fixture->tree = tree_new();
    host = fake_host_new(fixture->tree);
    fake_host_process(fixture->tree, 102, 1, "kvm", incident_words);
    fake_host_process(fixture->tree, 103, 1, "kvm", audit_clean_words);
    tree_file(fixture->tree, "run/qemu-server/102.pid", "102\n");
    tree_file(fixture->tree, "proc/meminfo", "MemTotal:       16777216 kB\n");
    tree_file(fixture->tree, "proc/102/oom_score_adj", "-999\n");
    tree_file(fixture->tree, "proc/103/oom_score_adj", "0\n");
    return 0;
}

int
audit_fixture_tear_down(void **state)
{
    AuditFixture *fixture = *state;

    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

Run
audit_fixture_run(const AuditFixture *fixture, const char *word, bool is_json)
{
    static const char *const names[] = {"proc", "sys", "run", "etc", "var", "config"};
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(words, g_strdup("audit"));
    if (word)
        g_ptr_array_add(words, g_strdup(word));
    if (is_json)
        g_ptr_array_add(words, g_strdup("--json"));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_ptr_array_add(
            words, g_strdup_printf("--%s-root=%s", names[i], tree_path(fixture->tree, names[i])));
    g_ptr_array_add(words, NULL);
    return run_ctl((const char *const *)words->pdata);
}

char *
audit_fixture_findings(const char *json, const char *vm_name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = json_from_string(json, &error);
    GString *text = g_string_new(NULL);
    JsonArray *vms;

    if (!root)
        fail_msg("%s: %s", error ? error->message : "empty", json);
    vms = json_object_get_array_member(json_node_get_object(root), "vms");
    for (guint i = 0; i < json_array_get_length(vms); i++) {
        JsonObject *vm = json_array_get_object_element(vms, i);
        JsonArray *findings = json_object_get_array_member(vm, "findings");

        for (guint j = 0; j < json_array_get_length(findings) &&
                          strcmp(json_object_get_string_member(vm, "name"), vm_name) == 0;
             j++) {
            JsonObject *finding = json_array_get_object_element(findings, j);

            g_string_append_printf(text, "%s %s %d%s\n",
                                   json_object_get_string_member(finding, "name"),
                                   json_object_get_null_member(finding, "disk")
                                       ? "-"
                                       : json_object_get_string_member(finding, "disk"),
                                   json_object_get_boolean_member(finding, "running"),
                                   json_object_get_null_member(finding, "configured")      ? ""
                                   : json_object_get_boolean_member(finding, "configured") ? "1"
                                                                                           : "0");
        }
    }
    return g_string_free(text, FALSE);
}
