/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The texts of the memory controller.
 *
 * What stays when all page cache is given back, without swap:
 *
 *   v2: anon + shmem + locked file pages + kernel, where
 *       kernel = slab_unreclaimable + kernel_stack + pagetables + sec_pagetables + percpu + sock.
 *   v1: total_rss + total_shmem (a part of total_cache) + locked file pages + kernel, where
 *       kernel = memory.kmem.usage_in_bytes. v1 does not say how much of it is reclaimable slab, so
 *       this is an upper estimate.
 *
 * `unevictable` is mostly anonymous memory and shmem, which are counted already; only locked file
 * pages (mlock, ramfs) are missing. Every page is on one of five lists, so they can be told twice:
 *   unevictable - (anon + shmem - active_anon - inactive_anon), and
 *   file - shmem - active_file - inactive_file.
 * Swap cache, half-mapped huge pages and per-CPU batching blur each of these upwards at some time
 * but not both at once, so the smaller one counts; 0 where a field is missing.
 *
 * Lines are found by name: the kernel adds, moves and drops them. Source: the kernel's
 * cgroup-v2.rst and cgroup-v1/memory.rst. */

#include "cgroup.h"
#include "mountinfo.h"

#include <string.h>

/* v1 prints "none" as the largest signed number rounded down to a page; pages have up to 64 KiB. */
#define LIMIT_NONE_BYTES (((guint64)G_MAXINT64) & ~G_GUINT64_CONSTANT(0xffff))

typedef struct {
    const char *name;
    bool is_set;
    guint64 value;
} Field;

/* The whole of text up to end is one decimal number. */
static bool
number_parse(const char *text, const char *end, guint64 *ret_value)
{
    guint64 value = 0;

    if (text == end)
        return false;
    for (; text < end; text++) {
        if (!g_ascii_isdigit(*text) || !g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, (guint64)(*text - '0')))
            return false;
    }
    *ret_value = value;
    return true;
}

/* Lines of "name value". Of sixty lines we know a dozen: most are told by their first letter. */
static void
fields_read(const char *text, Field *fields, guint n_fields)
{
    while (*text != '\0') {
        const char *end = strchrnul(text, '\n');
        const char *blank = memchr(text, ' ', (gsize)(end - text));
        gsize length = blank ? (gsize)(blank - text) : 0;

        for (guint i = 0; length > 0 && i < n_fields; i++) {
            if (*fields[i].name == *text && strncmp(fields[i].name, text, length) == 0 &&
                fields[i].name[length] == '\0')
                fields[i].is_set = number_parse(blank + 1, end, &fields[i].value);
        }
        text = end + (*end == '\n');
    }
}

static guint64
sum(guint64 a, guint64 b)
{
    return a > G_MAXUINT64 - b ? G_MAXUINT64 : a + b;
}

static guint64
less(guint64 a, guint64 b)
{
    return a > b ? a - b : 0;
}

/* The first fields of both versions, in this order, by their names of v2. */
enum {
    ANON,
    SHMEM,
    FILE_ALL,
    UNEVICTABLE,
    ACTIVE_ANON,
    INACTIVE_ANON,
    ACTIVE_FILE,
    INACTIVE_FILE,
    N_COMMON
};

/* After these, of v2. */
enum {
    SLAB_STAYS = N_COMMON,
    KERNEL_STACK,
    PAGE_TABLES,
    SEC_PAGE_TABLES,
    PERCPU,
    SOCKETS,
    N_STAYING, /* what is summed up as the kernel's */
    SLAB_GOES = N_STAYING,
    N_V2
};

static guint64
locked_file_bytes(const Field *f)
{
    guint64 by_anon, by_file;

    for (guint i = 0; i < N_COMMON; i++) {
        if (!f[i].is_set)
            return 0;
    }
    by_anon = less(f[UNEVICTABLE].value, less(sum(f[ANON].value, f[SHMEM].value),
                                              sum(f[ACTIVE_ANON].value, f[INACTIVE_ANON].value)));
    by_file = less(less(f[FILE_ALL].value, f[SHMEM].value),
                   sum(f[ACTIVE_FILE].value, f[INACTIVE_FILE].value));
    return MIN(by_anon, by_file);
}

static MemoryKinds
kinds_from(const CgroupCharge *charge, const Field *f)
{
    guint64 locked = locked_file_bytes(f);

    return (MemoryKinds){.is_known = true,
                         .anon_bytes = charge->anon_bytes,
                         .shmem_bytes = charge->shmem_bytes,
                         .locked_file_bytes = locked,
                         .kernel_bytes = charge->kernel_bytes,
                         .reclaimable_bytes = less(charge->file_bytes, locked)};
}

static bool
charge_from_fields(const Field *f, guint n_fields, CgroupCharge *ret_charge)
{
    CgroupCharge charge = {0};

    if (!f[ANON].is_set || !f[SHMEM].is_set)
        return false;
    charge.anon_bytes = f[ANON].value;
    charge.shmem_bytes = f[SHMEM].value;
    charge.file_bytes = less(f[FILE_ALL].value, f[SHMEM].value);
    for (guint i = N_COMMON; i < n_fields; i++)
        charge.kernel_bytes = sum(charge.kernel_bytes, f[i].value);
    charge.has_unreclaimable = true;
    charge.unreclaimable_bytes = sum(sum(charge.anon_bytes, charge.shmem_bytes),
                                     sum(locked_file_bytes(f), charge.kernel_bytes));
    charge.kinds = kinds_from(&charge, f);
    *ret_charge = charge;
    return true;
}

bool
cgroup_parse_stat_v2(const char *text, CgroupCharge *ret_charge)
{
    Field fields[] = {
        [ANON] = {.name = "anon"},
        [SHMEM] = {.name = "shmem"},
        [FILE_ALL] = {.name = "file"},
        [UNEVICTABLE] = {.name = "unevictable"},
        [ACTIVE_ANON] = {.name = "active_anon"},
        [INACTIVE_ANON] = {.name = "inactive_anon"},
        [ACTIVE_FILE] = {.name = "active_file"},
        [INACTIVE_FILE] = {.name = "inactive_file"},
        [SLAB_STAYS] = {.name = "slab_unreclaimable"},
        [KERNEL_STACK] = {.name = "kernel_stack"},
        [PAGE_TABLES] = {.name = "pagetables"},
        [SEC_PAGE_TABLES] = {.name = "sec_pagetables"},
        [PERCPU] = {.name = "percpu"},
        [SOCKETS] = {.name = "sock"},
        [SLAB_GOES] = {.name = "slab_reclaimable"},
    };
    MemoryKinds *kinds = &ret_charge->kinds;

    fields_read(text, fields, N_V2);
    if (!charge_from_fields(fields, N_STAYING, ret_charge))
        return false;
    kinds->has_kernel_parts = true;
    kinds->slab_bytes = fields[SLAB_STAYS].value;
    kinds->kernel_stack_bytes = fields[KERNEL_STACK].value;
    kinds->page_table_bytes = fields[PAGE_TABLES].value;
    kinds->sec_page_table_bytes = fields[SEC_PAGE_TABLES].value;
    kinds->percpu_bytes = fields[PERCPU].value;
    kinds->socket_bytes = fields[SOCKETS].value;
    kinds->reclaimable_bytes = sum(kinds->reclaimable_bytes, fields[SLAB_GOES].value);
    return true;
}

bool
cgroup_parse_stat_v1(const char *text, guint64 kmem_bytes, CgroupCharge *ret_charge)
{
    Field fields[] = {
        [ANON] = {.name = "total_rss"},
        [SHMEM] = {.name = "total_shmem"},
        [FILE_ALL] = {.name = "total_cache"},
        [UNEVICTABLE] = {.name = "total_unevictable"},
        [ACTIVE_ANON] = {.name = "total_active_anon"},
        [INACTIVE_ANON] = {.name = "total_inactive_anon"},
        [ACTIVE_FILE] = {.name = "total_active_file"},
        [INACTIVE_FILE] = {.name = "total_inactive_file"},
        {"", true, kmem_bytes},
    };

    fields_read(text, fields, G_N_ELEMENTS(fields));
    return charge_from_fields(fields, G_N_ELEMENTS(fields), ret_charge);
}

bool
cgroup_parse_oom_kills(const char *text, guint64 *ret_kills)
{
    Field kills = {.name = "oom_kill"};

    fields_read(text, &kills, 1);
    if (kills.is_set)
        *ret_kills = kills.value;
    return kills.is_set;
}

bool
cgroup_parse_waiting(const char *text)
{
    Field fields[] = {{.name = "oom_kill_disable"}, {.name = "under_oom"}};

    fields_read(text, fields, G_N_ELEMENTS(fields));
    return fields[0].is_set && fields[0].value != 0 && fields[1].is_set && fields[1].value != 0;
}

bool
cgroup_parse_frozen(const char *text)
{
    Field frozen = {.name = "frozen"};

    fields_read(text, &frozen, 1);
    return frozen.is_set && frozen.value != 0;
}

bool
cgroup_parse_bytes(const char *text, guint64 *ret_bytes)
{
    const char *end = strchrnul(text, '\n');

    return (*end == '\0' || end[1] == '\0') && number_parse(text, end, ret_bytes);
}

bool
cgroup_parse_limit(const char *text, bool *ret_has_limit, guint64 *ret_bytes)
{
    guint64 bytes = 0;

    if (g_str_equal(text, "max\n") || g_str_equal(text, "max"))
        bytes = LIMIT_NONE_BYTES;
    else if (!cgroup_parse_bytes(text, &bytes))
        return false;
    *ret_has_limit = bytes < LIMIT_NONE_BYTES;
    if (*ret_has_limit)
        *ret_bytes = bytes;
    return true;
}

/* Whether a list of words up to end holds word. */
static bool
list_has(const char *list, const char *end, const char *word)
{
    gsize length = strlen(word);

    while (list < end) {
        gsize n = strcspn(list, ", \n:");

        if (n == length && memcmp(list, word, n) == 0)
            return true;
        list += n + 1;
    }
    return false;
}

char *
cgroup_parse_membership(const char *text, bool *ret_is_v2)
{
    g_autofree char *unified = NULL;

    while (*text != '\0') {
        const char *end = text + strcspn(text, "\n");
        const char *controllers = memchr(text, ':', (gsize)(end - text));
        const char *path =
            controllers ? memchr(controllers + 1, ':', (gsize)(end - controllers - 1)) : NULL;

        if (path && path[1] == '/' && list_has(controllers + 1, path, "memory")) {
            *ret_is_v2 = false;
            return g_strndup(path + 1, (gsize)(end - path - 1));
        }
        if (path && path[1] == '/' && g_str_has_prefix(text, "0::") && !unified)
            unified = g_strndup(path + 1, (gsize)(end - path - 1));
        text = end + (*end == '\n');
    }
    if (unified)
        *ret_is_v2 = true;
    return g_steal_pointer(&unified);
}

static bool
mount_is_memory(const Mount *mount, bool is_v2)
{
    const char *options = mount->own_options;

    if (*mount->root != '/')
        return false;
    if (is_v2)
        return g_str_equal(mount->type, "cgroup2");
    return g_str_equal(mount->type, "cgroup") &&
           list_has(options, options + strlen(options), "memory");
}

bool
cgroup_parse_mountinfo(const char *text, bool is_v2, char **ret_mount_point, char **ret_mount_root)
{
    g_autofree char *point = NULL, *root = NULL;

    while (*text != '\0' && g_strcmp0(root, "/") != 0) {
        gsize length = strcspn(text, "\n");
        g_autofree char *line = g_strndup(text, length);
        g_autoptr(Mount) mount = mount_parse(line);

        text += length + (text[length] == '\n');
        if (!mount || !mount_is_memory(mount, is_v2) || (root && !g_str_equal(mount->root, "/")))
            continue;
        g_free(point);
        g_free(root);
        root = g_steal_pointer(&mount->root);
        point = g_steal_pointer(&mount->point);
    }
    if (!point)
        return false;
    *ret_mount_point = g_steal_pointer(&point);
    *ret_mount_root = g_steal_pointer(&root);
    return true;
}
