/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A child looks at paths and answers with records. Each path belongs to an image of the command
 * line: its own path, or a descriptor of QEMU's that leads to it. How the kernel shows the path of
 * an open image is asked of the kernel too, because links in the path and the VM's own mounts make
 * it another one than the command line's. */

#include "storage.h"

#include "descriptor.h"
#include "units.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* stat() of a living file system answers in microseconds; a loaded NFS server may take a second. */
#define STAT_DEADLINE_US (5 * G_USEC_PER_SEC)
/* A device that was replaced stays so; twice a minute is soon enough for a suspect. */
#define LOOK_AGAIN_US (30 * G_USEC_PER_SEC)

typedef enum { PLACE_ROOT, PLACE_CWD, PLACE_DESCRIPTOR } PlaceKind;

typedef struct {
    PlaceKind kind;
    char *storage; /* argv's */
    char *path;    /* below root or cwd, or "fd/12" */
} Place;

struct StorageLookup {
    Vm *vm; /* NULL: the VM has ended */
    int proc_fd;
    GPtrArray *places;
};

/* What the child writes for each place it could stat; link_length bytes follow. */
typedef struct {
    guint32 index;
    DeviceNumber device; /* itself, or the one that its file system lies on */
    guint16 is_device, link_length;
} StorageRecord;

static void
place_free(gpointer data)
{
    Place *place = data;

    g_free(place->storage);
    g_free(place->path);
    g_free(place);
}

static struct StorageLookup *
lookup_new(Vm *vm)
{
    struct StorageLookup *lookup = g_new0(struct StorageLookup, 1);

    lookup->vm = vm;
    lookup->proc_fd = fcntl(proc_dir_fd(vm->proc), F_DUPFD_CLOEXEC, 0);
    lookup->places = g_ptr_array_new_with_free_func(place_free);
    return lookup;
}

static void
lookup_free(struct StorageLookup *lookup)
{
    if (lookup->proc_fd >= 0)
        close(lookup->proc_fd);
    g_ptr_array_unref(lookup->places);
    g_free(lookup);
}

/* In the child. Links that start at "/" mean the VM's own root. */
static int
place_open(const struct StorageLookup *lookup, const Place *place)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int dir_fd;

    if (place->kind == PLACE_DESCRIPTOR)
        return openat(lookup->proc_fd, place->path, O_PATH | O_CLOEXEC);
    dir_fd = openat(lookup->proc_fd, place->kind == PLACE_ROOT ? "root" : "cwd",
                    O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->kind == PLACE_CWD)
        return openat(dir_fd, place->path, O_PATH | O_CLOEXEC);
    return (int)syscall(SYS_openat2, dir_fd, place->path, &how, sizeof how);
}

static void
lookup_stat(int answer_fd, gconstpointer data)
{
    const struct StorageLookup *lookup = data;

    for (guint i = 0; i < lookup->places->len; i++) {
        StorageRecord record = {.index = i};
        struct stat st;
        char link[PATH_MAX];
        gssize length = -1;
        dev_t device;
        int fd = place_open(lookup, lookup->places->pdata[i]);

        if (fd < 0 || fstat(fd, &st) < 0)
            continue;
        /* the child needs no standard input, and that number needs no formatting */
        if (dup2(fd, STDIN_FILENO) == STDIN_FILENO)
            length = readlink("/proc/self/fd/0", link, sizeof link);
        record.is_device = S_ISBLK(st.st_mode);
        device = S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) ? st.st_rdev : st.st_dev;
        record.device = (DeviceNumber){major(device), minor(device)};
        record.link_length = length > 0 && length < PATH_MAX ? (guint16)length : 0;
        if (write(answer_fd, &record, sizeof record) != sizeof record ||
            write(answer_fd, link, record.link_length) != record.link_length)
            return;
        close(fd);
    }
}

static void
facts_free(gpointer data)
{
    StorageFacts *facts = data;

    g_free(facts->identity);
    g_free(facts->link);
    g_free(facts);
}

GHashTable *
storage_table_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, facts_free);
}

static void
record_take(Vm *vm, const Place *place, const StorageRecord *record, const char *link)
{
    StorageFacts *facts = g_hash_table_lookup(vm->storages, place->storage);

    if (place->kind == PLACE_DESCRIPTOR) {
        if (facts && record->is_device) {
            facts->has_held = true;
            facts->held = record->device;
        }
        return;
    }
    if (facts) {
        facts->today = record->device;
        return;
    }
    facts = g_new0(StorageFacts, 1);
    facts->identity = g_strdup_printf("dev:%u:%u", record->device.major, record->device.minor);
    facts->link = record->link_length > 0 ? g_strndup(link, record->link_length) : NULL;
    facts->is_device = record->is_device;
    facts->today = record->device;
    g_hash_table_insert(vm->storages, g_strdup(place->storage), facts);
}

static void
lookup_done(const char *answer, gsize length, gpointer user_data)
{
    struct StorageLookup *lookup = user_data;
    StorageRecord record;

    while (lookup->vm && answer && length >= sizeof record) {
        memcpy(&record, answer, sizeof record);
        answer += sizeof record;
        length -= sizeof record;
        if (record.link_length > length || record.index >= lookup->places->len)
            break;
        record_take(lookup->vm, lookup->places->pdata[record.index], &record, answer);
        answer += record.link_length;
        length -= record.link_length;
    }
    if (lookup->vm)
        lookup->vm->storage_lookup = NULL;
    lookup_free(lookup);
}

static void
lookup_add(struct StorageLookup *lookup, PlaceKind kind, const char *storage, const char *path)
{
    Place *place = g_new0(Place, 1);

    place->kind = kind;
    place->storage = g_strdup(storage);
    place->path = g_strdup(path);
    g_ptr_array_add(lookup->places, place);
}

/* The path of a file or device; NULL: none. */
static const char *
storage_path(const ArgvDisk *disk)
{
    const char *storage = disk->storage;

    if (!storage || (!g_str_has_prefix(storage, "file:") && !g_str_has_prefix(storage, "dev:")))
        return NULL;
    storage = strchr(storage, ':') + 1;
    return *storage ? storage : NULL;
}

static void
lookup_add_disk(struct StorageLookup *lookup, const ArgvDisk *disk)
{
    const char *path = storage_path(disk);

    if (path)
        lookup_add(lookup, *path == '/' ? PLACE_ROOT : PLACE_CWD, disk->storage, path);
}

static void
lookup_add_held(struct StorageLookup *lookup, const ArgvDisk *disk, const char *link)
{
    g_autoptr(GArray) numbers = descriptors_find(lookup->vm->proc, link);

    for (guint i = 0; numbers && i < numbers->len; i++) {
        char path[32];

        g_snprintf(path, sizeof path, "fd/%u", g_array_index(numbers, guint32, i));
        lookup_add(lookup, PLACE_DESCRIPTOR, disk->storage, path);
    }
}

/* Takes lookup. */
static void
lookup_start(struct StorageLookup *lookup, Children *children)
{
    ChildCall call = {.run = lookup_stat,
                      .done = lookup_done,
                      .data = lookup,
                      .keep_fds = {lookup->proc_fd},
                      .deadline_us = STAT_DEADLINE_US};

    if (lookup->places->len > 0 && children_run(children, &call))
        lookup->vm->storage_lookup = lookup;
    else
        lookup_free(lookup);
}

void
storage_look_up(Vm *vm, Children *children)
{
    struct StorageLookup *lookup;

    if (vm->has_storages || vm->storage_lookup || children_running(children) >= CHILD_STUCK_MAX)
        return;
    vm->has_storages = true;
    lookup = lookup_new(vm);
    for (guint i = 0; i < vm->argv->disks->len; i++)
        lookup_add_disk(lookup, vm->argv->disks->pdata[i]);
    lookup_start(lookup, children);
}

void
storage_look_again(Vm *vm, Children *children, gint64 now_us)
{
    struct StorageLookup *lookup;

    if (vm->storage_lookup || (vm->storages_us > 0 && now_us - vm->storages_us < LOOK_AGAIN_US))
        return;
    vm->storages_us = now_us;
    lookup = lookup_new(vm);
    for (guint i = 0; i < vm->argv->disks->len; i++) {
        const ArgvDisk *disk = vm->argv->disks->pdata[i];
        const StorageFacts *facts = storage_facts(vm, disk);

        if (!facts || !facts->is_device || !facts->link)
            continue;
        lookup_add_disk(lookup, disk);
        lookup_add_held(lookup, disk, facts->link);
    }
    lookup_start(lookup, children);
}

void
storage_forget(Vm *vm)
{
    if (vm->storage_lookup)
        vm->storage_lookup->vm = NULL;
    vm->storage_lookup = NULL;
}

const StorageFacts *
storage_facts(const Vm *vm, const ArgvDisk *disk)
{
    return disk && disk->storage ? g_hash_table_lookup(vm->storages, disk->storage) : NULL;
}

char *
storage_identity(const Vm *vm, const ArgvDisk *disk)
{
    const StorageFacts *facts = storage_facts(vm, disk);

    /* "blkdebug:" names a driver and no place: it would make one storage of strangers' disks */
    if (!disk || !disk->storage || g_str_has_suffix(disk->storage, ":"))
        return NULL;
    return facts ? g_strdup(facts->identity) : units_printable(disk->storage, -1);
}

bool
storage_may_be_open(const ArgvDisk *disk)
{
    return !disk || !disk->storage || storage_path(disk);
}

bool
storage_is_at(const Vm *vm, const ArgvDisk *disk, const char *link)
{
    const StorageFacts *facts = storage_facts(vm, disk);
    const char *path = disk ? storage_path(disk) : NULL;

    if (facts && facts->link)
        return descriptor_link_is(link, facts->link);
    return path && *path == '/' && descriptor_link_is(link, path);
}
