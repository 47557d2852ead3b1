/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "group.h"

#include <string.h>

#define UID_ "4f5a4c6e_99f1_4a3c_8e0b_5d0b7cbe2f01"
#define UID "4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01"
#define STATIC_UID "4f5a4c6e99f14a3c8e0b5d0b7cbe2f01"
#define ID "0f3a9b7c2d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8"
#define BURSTABLE "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice"
#define MACHINE "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope"

typedef struct {
    const char *name, *path;
    const char *uid, *id, *runtime, *qos; /* uid NULL: no pod */
    const char *container, *own;          /* parts of the path; NULL none */
    bool is_made_for_one_vm;
} Row;

static const Row rows[] = {
    {"containerd, systemd's driver", BURSTABLE "/cri-containerd-" ID ".scope", UID, ID,
     "containerd", "burstable", BURSTABLE "/cri-containerd-" ID ".scope", BURSTABLE, true},
    {"CRI-O, systemd's driver", BURSTABLE "/crio-" ID ".scope", UID, ID, "cri-o", "burstable",
     BURSTABLE "/crio-" ID ".scope", BURSTABLE, true},
    {"CRI-O with crun's group below", BURSTABLE "/crio-" ID ".scope/container", UID, ID, "cri-o",
     "burstable", BURSTABLE "/crio-" ID ".scope", BURSTABLE, true},
    {"a guaranteed pod", "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope",
     UID, ID, "containerd", "guaranteed",
     "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope",
     "/kubepods.slice/kubepods-pod" UID_ ".slice", true},
    {"best effort",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/docker-" ID
     ".scope",
     UID, ID, "docker", "besteffort",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/docker-" ID
     ".scope",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice", true},
    {"cgroupfs' driver", "/kubepods/burstable/pod" UID "/" ID, UID, ID, NULL, "burstable",
     "/kubepods/burstable/pod" UID "/" ID, "/kubepods/burstable/pod" UID, true},
    {"cgroupfs' driver, guaranteed, CRI-O", "/kubepods/pod" UID "/crio-" ID, UID, ID, "cri-o",
     "guaranteed", "/kubepods/pod" UID "/crio-" ID, "/kubepods/pod" UID, true},
    {"housekeeping below the container", "/kubepods/pod" UID "/" ID "/housekeeping", UID, ID, NULL,
     "guaranteed", "/kubepods/pod" UID "/" ID, "/kubepods/pod" UID, true},
    {"a static pod's uid has no dashes", "/kubepods/burstable/pod" STATIC_UID "/" ID, STATIC_UID,
     ID, NULL, "burstable", "/kubepods/burstable/pod" STATIC_UID "/" ID,
     "/kubepods/burstable/pod" STATIC_UID, true},
    {"upper case", "/kubepods/pod4F5A4C6E-99F1-4A3C-8E0B-5D0B7CBE2F01", UID, "", NULL, "guaranteed",
     NULL, "/kubepods/pod4F5A4C6E-99F1-4A3C-8E0B-5D0B7CBE2F01", true},
    {"systemd's names without systemd",
     "/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID,
     UID, ID, "containerd", "burstable",
     "/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID,
     "/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID,
     true},
    {"a host in a container",
     "/system.slice/docker-" ID
     ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice/crio-" ID
     ".scope",
     UID, ID, "cri-o", "guaranteed",
     "/system.slice/docker-" ID
     ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice/crio-" ID
     ".scope",
     "/system.slice/docker-" ID
     ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice",
     true},
    {"libvirt", MACHINE "/libvirt/emulator", NULL, "", NULL, NULL, NULL, MACHINE, true},
    {"Proxmox", "/qemu.slice/104.scope", NULL, "", NULL, NULL, NULL, "/qemu.slice/104.scope", true},
    {"a login session", "/user.slice/user-1000.slice/session-3.scope", NULL, "", NULL, NULL, NULL,
     "/user.slice/user-1000.slice/session-3.scope", false},
    {"a service", "/system.slice/qemu.service", NULL, "", NULL, NULL, NULL, NULL, false},
    {"somebody's directory named pod", "/mine/pod" UID "/" ID, NULL, "", NULL, NULL, NULL, NULL,
     false},
    {"a word that begins like a pod", "/kubepods/podcast", NULL, "", NULL, NULL, NULL, NULL, false},
    {"a pod's name with something behind", "/kubepods/pod" UID "x/" ID, NULL, "", NULL, NULL, NULL,
     NULL, false},
    {"the root", "/", NULL, "", NULL, NULL, NULL, NULL, false},
};

static void
assert_part(const char *path, gsize length, const char *part)
{
    g_autofree char *text = length > 0 ? g_strndup(path, length) : NULL;

    if (g_strcmp0(text, part) != 0)
        fail_msg("\"%s\", not \"%s\"", text ? text : "(none)", part ? part : "(none)");
}

static void
a_path_is_read(void **state)
{
    const Row *row = *state;
    GroupPlace place;

    group_parse(row->path, &place);
    assert_int_equal(place.is_pod, row->uid != NULL);
    assert_string_equal(place.pod_uid, row->uid ? row->uid : "");
    assert_string_equal(place.container_id, row->id);
    if (g_strcmp0(place.runtime, row->runtime) != 0 || g_strcmp0(place.qos, row->qos) != 0)
        fail_msg("runtime %s, qos %s", place.runtime, place.qos);
    assert_part(row->path, place.container_length, row->container);
    assert_part(row->path, place.own_length, row->own);
    assert_int_equal(place.is_made_for_one_vm, row->is_made_for_one_vm);
}

static void
a_container_id_that_is_too_long_is_none(void **state)
{
    g_autofree char *id = g_strnfill(500, 'a');
    g_autofree char *path = g_strconcat("/kubepods/pod" UID "/", id, NULL);
    GroupPlace place;

    group_parse(path, &place);
    assert_true(place.is_pod);
    assert_string_equal(place.container_id, "");
    assert_int_equal(place.container_length, strlen(path));
}

static void
each_level_has_a_kind_and_an_owner(void **state)
{
    static const struct {
        const char *path, *kind, *owner;
    } levels[] = {
        {BURSTABLE "/cri-containerd-" ID ".scope", "container", "systemd"},
        {BURSTABLE "/crio-" ID ".scope/container", "group", "runtime"},
        {BURSTABLE, "pod", "systemd"},
        {"/kubepods.slice/kubepods-burstable.slice", "qos", "systemd"},
        {"/kubepods.slice", "kubepods", "systemd"},
        {"/kubepods/burstable/pod" UID "/" ID, "container", "runtime"},
        {"/kubepods/burstable/pod" UID, "pod", "kubelet"},
        {"/kubepods/burstable", "qos", "kubelet"},
        {"/kubepods", "kubepods", "kubelet"},
        {MACHINE "/libvirt", "group", "libvirt"},
        {MACHINE, "scope", "systemd"},
        {"/machine.slice", "slice", "systemd"},
        {"/system.slice/qemu.service", "service", "systemd"},
        {"/mine/burstable", "group", NULL},
        {"/mine/x.scope", "scope", NULL}, /* not below a unit: systemd did not make it */
        {"/", "root", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
        const char *owner = group_owner(levels[i].path, true);

        if (strcmp(group_kind(levels[i].path), levels[i].kind) != 0 ||
            g_strcmp0(owner, levels[i].owner) != 0)
            fail_msg("%s: %s, owner %s", levels[i].path, group_kind(levels[i].path), owner);
    }
}

static void
without_systemd_it_owns_nothing(void **state)
{
    assert_string_equal(group_owner(BURSTABLE, false), "kubelet");
    assert_string_equal(group_owner(BURSTABLE "/crio-" ID ".scope", false), "runtime");
    assert_null(group_owner("/qemu.slice/104.scope", false));
}

static void
a_group_holds_what_is_below_it(void **state)
{
    assert_true(group_holds("/a", "/a"));
    assert_true(group_holds("/a", "/a/b"));
    assert_false(group_holds("/a", "/ab"));
    assert_false(group_holds("/a/b", "/a"));
    assert_true(group_holds("/", "/a"));
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_container_id_that_is_too_long_is_none),
        cmocka_unit_test(each_level_has_a_kind_and_an_owner),
        cmocka_unit_test(without_systemd_it_owns_nothing),
        cmocka_unit_test(a_group_holds_what_is_below_it),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = a_path_is_read, .initial_state = (void *)&rows[i]};
    memcpy(tests + G_N_ELEMENTS(rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
