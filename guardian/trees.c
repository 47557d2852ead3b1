/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trees.h"

#include "cgroup-place.h"
#include "units.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* A tree is a class of services: it does not turn over within a minute. */
#define PERIOD_US (30 * (gint64)G_USEC_PER_SEC)
/* systemd has half a dozen; a host without it may have a group for each service. */
#define TREES_MAX 256
#define TEXT_BYTES 16384

struct Trees {
    const Host *host;
    GArray *list;            /* of HostTree, whose labels are owned */
    guint64 others_bytes[2]; /* newest first; 0 unknown */
    Handler handler;
    gint64 read_us;
};

static void
tree_clear(gpointer data)
{
    HostTree *tree = data;

    g_free((char *)tree->label);
}

GArray *
trees_array_new(void)
{
    GArray *list = g_array_new(FALSE, TRUE, sizeof(HostTree));

    g_array_set_clear_func(list, tree_clear);
    return list;
}

Trees *
trees_new(const Host *host)
{
    Trees *trees = g_new0(Trees, 1);

    trees->host = host;
    trees->list = trees_array_new();
    return trees;
}

void
trees_free(Trees *trees)
{
    if (!trees)
        return;
    handler_clear(&trees->handler);
    g_array_unref(trees->list);
    g_free(trees);
}

GArray *
trees_list(const Trees *trees)
{
    return trees->list;
}

/* false: no group of the memory controller. */
static bool
charge_read(int mount_fd, const char *group, bool is_v2, CgroupCharge *ret_charge)
{
    char text[TEXT_BYTES];
    guint64 kmem_bytes = 0;

    if (!is_v2 && group_file_read(mount_fd, group, "memory.kmem.usage_in_bytes", text, sizeof text))
        (void)!cgroup_parse_bytes(text, &kmem_bytes);
    if (!group_file_read(mount_fd, group, "memory.stat", text, sizeof text))
        return false;
    return is_v2 ? cgroup_parse_stat_v2(text, ret_charge)
                 : cgroup_parse_stat_v1(text, kmem_bytes, ret_charge);
}

/* Is the group the VM's own, its charge is; else what the process itself has. */
static guint64
held_by(const Vm *vm)
{
    const MemorySample *memory = &vm->memory;

    if (memory->has_group && memory->group_is_own)
        return memory->group_unreclaimable_bytes;
    return memory->has_rss
               ? memory->rss_anon_bytes + memory->rss_shmem_bytes + memory->page_table_bytes
               : 0;
}

static guint64
held_by_vms(const char *group, const GPtrArray *vms)
{
    g_autofree char *path = g_strconcat("/", group, NULL);
    guint64 held_bytes = 0;

    for (guint i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];

        if (vm->cgroup && group_holds(path, cgroup_path(vm->cgroup)->path))
            held_bytes += held_by(vm);
    }
    return held_bytes;
}

static void
tree_look(Trees *trees, int mount_fd, const char *group, bool is_v2, const GPtrArray *vms)
{
    CgroupCharge charge = {0};
    HostTree tree = {0};
    g_autofree char *path = g_strconcat("/", group, NULL);
    char text[TEXT_BYTES];

    if (!charge_read(mount_fd, group, is_v2, &charge))
        return;
    if (group_file_read(mount_fd, group, is_v2 ? "memory.max" : "memory.limit_in_bytes", text,
                        sizeof text))
        (void)!cgroup_parse_limit(text, &tree.has_limit, &tree.limit_bytes);
    tree.label = units_printable_path(path);
    tree.held_bytes = charge.unreclaimable_bytes;
    tree.vms_bytes = held_by_vms(group, vms);
    g_array_append_val(trees->list, tree);
}

static gint
compare(gconstpointer a, gconstpointer b)
{
    const HostTree *first = a, *second = b;

    return first->held_bytes < second->held_bytes ? 1 : -(first->held_bytes > second->held_bytes);
}

const Handler *
trees_handler(const Trees *trees)
{
    return &trees->handler;
}

/* All of /proc is not looked through where there is no KubeVirt. */
static bool
has_kubevirt(const GPtrArray *vms)
{
    for (guint i = 0; i < vms->len; i++)
        if (strcmp(((const Vm *)vms->pdata[i])->source, "kubevirt") == 0)
            return true;
    return false;
}

/* 0 while what some VM holds is not known: it would be taken for others'. */
static guint64
others_of(const Trees *trees, const GPtrArray *vms)
{
    for (guint i = 0; i < vms->len; i++)
        if (!((const Vm *)vms->pdata[i])->memory.has_rss)
            return 0;
    return host_tree_others((const HostTree *)(void *)trees->list->data, trees->list->len);
}

void
trees_look(Trees *trees, const GPtrArray *vms, gint64 now_us)
{
    bool is_v2;
    auto_fd mount_fd = cgroup_mount_memory(trees->host, &is_v2);
    int fd = mount_fd >= 0 ? host_open_beneath(mount_fd, ".", O_RDONLY | O_DIRECTORY) : -1;
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    g_array_set_size(trees->list, 0);
    while (directory && trees->list->len < TREES_MAX && (entry = readdir(directory)))
        if (entry->d_type == DT_DIR && *entry->d_name != '.')
            tree_look(trees, mount_fd, entry->d_name, is_v2, vms);
    if (directory)
        closedir(directory);
    else
        fd_clear(&fd);
    g_array_sort(trees->list, compare);
    if (has_kubevirt(vms))
        handler_look(trees->host, &trees->handler, now_us);
    else
        handler_clear(&trees->handler);
    trees->others_bytes[1] = trees->others_bytes[0];
    trees->others_bytes[0] = others_of(trees, vms);
}

void
trees_follow(Trees *trees, const GPtrArray *vms, gint64 now_us)
{
    if (trees->read_us > 0 && now_us - trees->read_us < PERIOD_US)
        return;
    trees->read_us = now_us;
    trees_look(trees, vms, now_us);
}

guint64
trees_others_bytes(const Trees *trees)
{
    return MIN(trees->others_bytes[0], trees->others_bytes[1]);
}
