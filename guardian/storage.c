/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage.h"

#include "units.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* stat() of a living file system answers in microseconds; a loaded NFS server may take a second. */
#define STAT_DEADLINE_US (5 * G_USEC_PER_SEC)

struct StorageLookup {
    Vm *vm; /* NULL: the VM has ended */
    int proc_fd;
    GPtrArray *keys;  /* argv's storage */
    GPtrArray *paths; /* below proc_fd: "root/var/lib/..." */
};

/* What the child writes for each image it could stat. */
typedef struct {
    guint32 index;
    guint32 major, minor;
} StorageRecord;

static void
lookup_free(struct StorageLookup *lookup)
{
    if (lookup->proc_fd >= 0)
        close(lookup->proc_fd);
    g_ptr_array_unref(lookup->keys);
    g_ptr_array_unref(lookup->paths);
    g_free(lookup);
}

/* In the child: the kernel resolves root and cwd in the VM's own mount namespace. */
static void
lookup_stat(int answer_fd, gconstpointer data)
{
    const struct StorageLookup *lookup = data;

    for (guint i = 0; i < lookup->paths->len; i++) {
        struct stat st;
        StorageRecord record = {.index = i};
        dev_t device;

        if (fstatat(lookup->proc_fd, lookup->paths->pdata[i], &st, 0) < 0)
            continue;
        device = S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) ? st.st_rdev : st.st_dev;
        record.major = major(device);
        record.minor = minor(device);
        if (write(answer_fd, &record, sizeof record) != sizeof record)
            return;
    }
}

static void
lookup_done(const char *answer, gsize length, gpointer user_data)
{
    struct StorageLookup *lookup = user_data;
    StorageRecord record;

    for (gsize at = 0; lookup->vm && answer && at + sizeof record <= length; at += sizeof record) {
        memcpy(&record, answer + at, sizeof record);
        if (record.index < lookup->keys->len)
            g_hash_table_replace(lookup->vm->storages, g_strdup(lookup->keys->pdata[record.index]),
                                 g_strdup_printf("dev:%u:%u", record.major, record.minor));
    }
    if (lookup->vm)
        lookup->vm->storage_lookup = NULL;
    lookup_free(lookup);
}

static void
lookup_add(struct StorageLookup *lookup, const char *storage)
{
    const char *path = NULL;

    if (storage && (g_str_has_prefix(storage, "file:") || g_str_has_prefix(storage, "dev:")))
        path = strchr(storage, ':') + 1;
    if (!path || !*path)
        return;
    g_ptr_array_add(lookup->keys, g_strdup(storage));
    g_ptr_array_add(lookup->paths, g_strconcat(*path == '/' ? "root" : "cwd/", path, NULL));
}

void
storage_look_up(Vm *vm, Children *children)
{
    struct StorageLookup *lookup;
    ChildCall call = {.run = lookup_stat, .done = lookup_done, .deadline_us = STAT_DEADLINE_US};

    if (vm->has_storages || children_running(children) >= CHILD_STUCK_MAX)
        return;
    vm->has_storages = true;
    lookup = g_new0(struct StorageLookup, 1);
    lookup->vm = vm;
    lookup->proc_fd = fcntl(proc_dir_fd(vm->proc), F_DUPFD_CLOEXEC, 0);
    lookup->keys = g_ptr_array_new_with_free_func(g_free);
    lookup->paths = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < vm->argv->disks->len; i++)
        lookup_add(lookup, ((const ArgvDisk *)vm->argv->disks->pdata[i])->storage);
    call.data = lookup;
    call.keep_fd = lookup->proc_fd;
    if (lookup->keys->len > 0 && children_run(children, &call))
        vm->storage_lookup = lookup;
    else
        lookup_free(lookup);
}

void
storage_forget(Vm *vm)
{
    if (vm->storage_lookup)
        vm->storage_lookup->vm = NULL;
    vm->storage_lookup = NULL;
}

char *
storage_identity(const Vm *vm, const ArgvDisk *disk)
{
    const char *known;

    if (!disk || !disk->storage)
        return NULL;
    known = g_hash_table_lookup(vm->storages, disk->storage);
    return known ? g_strdup(known) : units_printable(disk->storage, -1);
}
