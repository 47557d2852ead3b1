/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "group.h"

#include <string.h>

/*   kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid with _>.slice/
 *       cri-containerd-<id>.scope, crio-<id>.scope, docker-<id>.scope   (CRI-O: /container below)
 *   kubepods.slice/kubepods-pod<uid with _>.slice/...                   guaranteed
 *   kubepods/burstable/pod<uid>/<id>, kubepods/pod<uid>/crio-<id>       cgroupfs' driver
 *   <unit>/kubepods-burstable-pod<uid with _>.slice:cri-containerd:<id> systemd's names given to a
 *                                                                       runtime that has no systemd
 *   machine.slice/machine-qemu\x2d<id>\x2d<name>.scope/libvirt/...      libvirt
 *   qemu.slice/<vmid>.scope                                             Proxmox
 */

/* A uid with dashes; those of static pods have none. */
#define UID_LENGTH 36
#define UID_LENGTH_BARE 32

static bool
part_is(const char *part, gsize length, const char *word)
{
    return strlen(word) == length && strncmp(part, word, length) == 0;
}

static bool
part_has_prefix(const char *part, gsize length, const char *prefix)
{
    return strlen(prefix) <= length && strncmp(part, prefix, strlen(prefix)) == 0;
}

static bool
part_has_suffix(const char *part, gsize length, const char *suffix)
{
    gsize n = strlen(suffix);

    return n < length && strncmp(part + length - n, suffix, n) == 0;
}

static bool
part_is_unit(const char *part, gsize length)
{
    return part_has_suffix(part, length, ".slice") || part_has_suffix(part, length, ".scope") ||
           part_has_suffix(part, length, ".service");
}

/* The next part of a path; moves past it. NULL at the end. */
static const char *
part_next(const char **at, gsize *ret_length)
{
    const char *part = *at + strspn(*at, "/");

    *ret_length = strcspn(part, "/");
    *at = part + *ret_length;
    return *ret_length > 0 ? part : NULL;
}

/* "<uid>" at text: its length, 0 for none. */
static gsize
uid_take(const char *text, gsize length, char ret_uid[UID_LENGTH + 1])
{
    gsize n = MIN(strspn(text, "0123456789abcdefABCDEF-_"), length);

    if (n != UID_LENGTH && n != UID_LENGTH_BARE)
        return 0;
    for (gsize i = 0; i < n; i++)
        ret_uid[i] = text[i] == '_' ? '-' : g_ascii_tolower(text[i]);
    ret_uid[n] = '\0';
    return n;
}

/* "cri-containerd-<id>.scope", "cri-containerd:<id>", "<id>". */
static void
container_take(const char *part, gsize length, GroupPlace *place)
{
    static const struct {
        const char *prefix, *runtime;
    } runtimes[] = {
        {"cri-containerd", "containerd"},
        {"crio", "cri-o"},
        {"docker", "docker"},
    };

    if (part_has_suffix(part, length, ".scope"))
        length -= strlen(".scope");
    for (guint i = 0; i < G_N_ELEMENTS(runtimes); i++) {
        gsize n = strlen(runtimes[i].prefix);

        if (length <= n + 1 || !part_has_prefix(part, length, runtimes[i].prefix) ||
            (part[n] != '-' && part[n] != ':'))
            continue;
        place->runtime = runtimes[i].runtime;
        part += n + 1;
        length -= n + 1;
        break;
    }
    if (length >= sizeof place->container_id)
        return;
    memcpy(place->container_id, part, length);
    place->container_id[length] = '\0';
}

/* A pod's part; true also where it names its container, too. */
static bool
pod_take(const char *path, const char *part, gsize length, GroupPlace *place)
{
    const char *end = part + length, *uid = NULL, *rest;
    gsize n;

    if (part_has_prefix(part, length, "pod") && strstr(path, "/kube") &&
        strstr(path, "/kube") < part)
        uid = part + strlen("pod");
    for (const char *at = part; !uid && at + strlen("-pod") < end; at++)
        if (strncmp(at, "-pod", strlen("-pod")) == 0 && part_has_prefix(part, length, "kube"))
            uid = at + strlen("-pod");
    n = uid ? uid_take(uid, (gsize)(end - uid), place->pod_uid) : 0;
    if (n == 0)
        return false;
    rest = uid + n;
    if (rest != end && !part_has_prefix(rest, (gsize)(end - rest), ".slice")) {
        place->pod_uid[0] = '\0';
        return false;
    }
    place->is_pod = true;
    place->qos = "guaranteed";
    place->own_length = (gsize)(end - path);
    rest = memchr(rest, ':', (gsize)(end - rest));
    if (rest && rest + 1 < end) {
        container_take(rest + 1, (gsize)(end - rest - 1), place);
        place->container_length = place->own_length;
    }
    return true;
}

static void
qos_take(const char *path, GroupPlace *place)
{
    const char *burstable = strstr(path, "burstable"), *best_effort = strstr(path, "besteffort");

    if (burstable && burstable < path + place->own_length)
        place->qos = "burstable";
    else if (best_effort && best_effort < path + place->own_length)
        place->qos = "besteffort";
}

void
group_parse(const char *path, GroupPlace *ret_place)
{
    GroupPlace place = {0};
    const char *at = path, *part, *above = "";
    gsize length, above_length = 0;

    while ((part = part_next(&at, &length))) {
        if (place.is_pod) {
            if (place.container_length == 0) {
                container_take(part, length, &place);
                place.container_length = (gsize)(at - path);
            }
            break;
        }
        if (pod_take(path, part, length, &place)) {
            qos_take(path, &place);
            place.is_made_for_one_vm = true;
            continue;
        }
        /* the innermost: one around it may be the container of a whole host */
        if (part_has_suffix(part, length, ".scope")) {
            place.own_length = (gsize)(at - path);
            place.is_made_for_one_vm = part_has_prefix(part, length, "machine-qemu") ||
                                       part_is(above, above_length, "qemu.slice");
        }
        above = part;
        above_length = length;
    }
    *ret_place = place;
}

const char *
group_kind(const char *path)
{
    const char *at = path, *part, *last = NULL;
    gsize length, last_length = 0, path_length = 0;
    GroupPlace place;

    while ((part = part_next(&at, &length))) {
        last = part;
        last_length = length;
        path_length = (gsize)(at - path);
    }
    if (!last)
        return "root";
    group_parse(path, &place);
    if (place.is_pod && place.container_length > 0)
        return path_length == place.container_length ? "container" : "group";
    if (place.is_pod)
        return "pod";
    if (part_is(last, last_length, "kubepods") ||
        part_has_suffix(last, last_length, "kubepods.slice") ||
        part_is(last, last_length, "kubepods.slice"))
        return "kubepods";
    if (strstr(path, "kubepods") &&
        (part_is(last, last_length, "burstable") || part_is(last, last_length, "besteffort") ||
         part_has_suffix(last, last_length, "-burstable.slice") ||
         part_has_suffix(last, last_length, "-besteffort.slice")))
        return "qos";
    if (part_has_suffix(last, last_length, ".scope"))
        return "scope";
    if (part_has_suffix(last, last_length, ".slice"))
        return "slice";
    return part_has_suffix(last, last_length, ".service") ? "service" : "group";
}

const char *
group_owner(const char *path, bool has_systemd)
{
    const char *at = path, *part, *last = "";
    gsize length, last_length = 0;
    bool is_unit = true;
    GroupPlace place;

    while ((part = part_next(&at, &length))) {
        is_unit = is_unit && part_is_unit(part, length);
        last = part;
        last_length = length;
    }
    if (last_length == 0)
        return NULL;
    if (is_unit && has_systemd)
        return "systemd";
    if (part_is(last, last_length, "libvirt"))
        return "libvirt";
    group_parse(path, &place);
    if (place.container_length > 0)
        return "runtime";
    return place.is_pod || strstr(path, "/kubepods") ? "kubelet" : NULL;
}

bool
group_holds(const char *group, const char *path)
{
    gsize length = strlen(group);

    if (strcmp(group, "/") == 0)
        return true;
    return strncmp(path, group, length) == 0 && (path[length] == '/' || path[length] == '\0');
}
