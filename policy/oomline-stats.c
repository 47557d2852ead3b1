/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomline.h"

#include <string.h>

/* Four generations of the same figures:
 *
 *   before 5.3   "cache:0KB rss:40684KB shmem:0KB ...", one line for each group of the tree, each
 *                without its children: they are added up. rss is anon, cache is file with shmem
 *   5.3 to 6.x   "anon 4096", a line each, bytes, with all groups below; on v1 too
 *   6.x on v1    "rss 0" of the group alone, "total_rss 4096" with all groups below
 *   global       Mem-Info: "active_anon:636 inactive_anon:48369 ...", pages
 *
 * Kernel memory is "kernel" since 5.18, before it the sum of its kinds; v1 has its own line for it,
 * which is 0 where v2 prints it (before 5.3). Sockets are in the usage on v2 only. */

#define PAGE_BYTES 4096

typedef struct {
    const char *name;
    gsize offset;
} Figure;

#define FIGURE(name, member)                                                                       \
    {                                                                                              \
        name, G_STRUCT_OFFSET(OomStats, member)                                                    \
    }

static const Figure list_figures[] = {
    FIGURE("anon", anon),
    FIGURE("file", file),
    FIGURE("shmem", shmem),
    FIGURE("kernel", kernel),
    FIGURE("kernel_stack", kernel_stack),
    FIGURE("pagetables", pagetables),
    FIGURE("sec_pagetables", sec_pagetables),
    FIGURE("percpu", percpu),
    FIGURE("sock", sock),
    FIGURE("slab", slab),
    FIGURE("slab_reclaimable", slab_reclaimable),
    FIGURE("slab_unreclaimable", slab_unreclaimable),
    FIGURE("cache", cache),
    FIGURE("rss", rss),
    FIGURE("total_cache", total_cache),
    FIGURE("total_rss", total_rss),
    FIGURE("total_shmem", total_shmem),
};

static const Figure inline_figures[] = {
    FIGURE("cache", cache), FIGURE("rss", rss), FIGURE("shmem", v1_shmem), /* since 4.11 */
};

static const Figure host_figures[] = {
    FIGURE("active_anon", active_anon),
    FIGURE("inactive_anon", inactive_anon),
    FIGURE("isolated_anon", isolated_anon),
    FIGURE("slab_reclaimable", slab_reclaimable),
    FIGURE("slab_unreclaimable", slab_unreclaimable),
    FIGURE("shmem", shmem),
    FIGURE("pagetables", pagetables),
    FIGURE("sec_pagetables", sec_pagetables),
    FIGURE("free", free),
};

static OomSize *
figure_find(OomStats *stats, const Figure *figures, guint n, OomText name)
{
    for (guint i = 0; i < n; i++)
        if (strlen(figures[i].name) == name.length &&
            strncmp(figures[i].name, name.start, name.length) == 0)
            return (OomSize *)(void *)((char *)stats + figures[i].offset);
    return NULL;
}

static void
size_add(OomSize *size, guint64 number, guint64 unit_bytes)
{
    OomSize more = oomsize_of(number, unit_bytes);

    if (more.is_known && size->bytes + more.bytes <= OOM_BYTES_MAX)
        *size = (OomSize){true, size->bytes + more.bytes};
}

/* "...prefix anon 4096": the last two words. */
bool
oomstats_take_line(OomStats *stats, const char *line)
{
    gsize end = strlen(line), value, name_end, name;
    const char *digits;
    OomSize *figure;
    guint64 number;

    for (value = end; value > 0 && g_ascii_isdigit(line[value - 1]); value--)
        continue;
    for (name_end = value; name_end > 0 && line[name_end - 1] == ' '; name_end--)
        continue;
    for (name = name_end; name > 0 && !g_ascii_isspace(line[name - 1]); name--)
        continue;
    if (value == end || name_end == value || name == name_end)
        return false;
    figure = figure_find(stats, list_figures, G_N_ELEMENTS(list_figures),
                         (OomText){line + name, name_end - name});
    digits = line + value;
    if (!figure || !oomscan_number(&digits, &number))
        return false;
    *figure = oomsize_of(number, 1);
    return true;
}

void
oomstats_add_inline(OomStats *stats, const char *text)
{
    while (*(text += strspn(text, " ")) != '\0') {
        gsize length = strcspn(text, " :");
        const char *at = text + length;
        OomSize *figure = figure_find(stats, inline_figures, G_N_ELEMENTS(inline_figures),
                                      (OomText){text, length});
        guint64 number;

        if (figure && oomscan_word(&at, ":") && oomscan_number(&at, &number) &&
            oomscan_word(&at, "KB"))
            size_add(figure, number, 1024);
        text += strcspn(text, " ");
    }
}

/* "65406 pages RAM" */
static bool
take_pages(OomSize *size, const char *line, const char *words)
{
    const char *end = strstr(line, words), *digits = end;
    guint64 number;

    if (!end)
        return false;
    while (digits > line && g_ascii_isdigit(digits[-1]))
        digits--;
    if (oomscan_number(&digits, &number))
        size_add(size, number, PAGE_BYTES);
    return true;
}

/* The number behind the word, anywhere in text; 0 without. */
static guint64
number_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    guint64 number;

    if (!at)
        return 0;
    at += strlen(word);
    return oomscan_number(&at, &number) ? number : 0;
}

/* "Node 0 hugepages_total=64 hugepages_free=9 hugepages_surp=0 hugepages_size=2048kB", of each
 * size. */
static bool
take_huge_pages(OomStats *stats, const char *node)
{
    guint64 total, size;

    if (!strstr(node, " hugepages_total="))
        return false;
    total = number_behind(node, " hugepages_total=");
    size = number_behind(node, " hugepages_size=");
    if (size > 0 && size <= OOM_BYTES_MAX / 1024) {
        size_add(&stats->hugetlb, total, size * 1024);
        size_add(&stats->hugetlb_free, MIN(number_behind(node, " hugepages_free="), total),
                 size * 1024);
    }
    return true;
}

/* One line per node, in kB, is in the sum above it already, but for the stacks. */
void
oomstats_take_mem_info(OomStats *stats, const char *line)
{
    const char *node = strstr(line, "Node ");

    if (take_pages(&stats->ram, line, " pages RAM") ||
        take_pages(&stats->reserved, line, " pages reserved"))
        return;
    if (node && take_huge_pages(stats, node))
        return;
    if (node) {
        OomSize stack = oomscan_kilobytes(node, "kernel_stack:");

        if (stack.is_known && strstr(node, " active_anon:"))
            size_add(&stats->kernel_stack, stack.bytes, 1);
        return;
    }
    for (const char *colon = strchr(line, ':'); colon; colon = strchr(colon + 1, ':')) {
        const char *name = colon, *at = colon + 1;
        OomSize *figure;
        guint64 number;

        while (name > line && (g_ascii_isalpha(name[-1]) || name[-1] == '_'))
            name--;
        figure = figure_find(stats, host_figures, G_N_ELEMENTS(host_figures),
                             (OomText){name, (gsize)(colon - name)});
        if (figure && !figure->is_known && oomscan_number(&at, &number) &&
            (*at == ' ' || *at == '\0'))
            size_add(figure, number, PAGE_BYTES);
    }
}

static OomSize
size_either(OomSize first, OomSize second)
{
    return first.is_known ? first : second;
}

static OomSize
size_sum(const OomSize *sizes, guint n)
{
    OomSize sum = {false, 0};

    for (guint i = 0; i < n; i++)
        if (sizes[i].is_known)
            size_add(&sum, sizes[i].bytes, 1);
    return sum;
}

static OomSize
kernel_by_kind(const OomStats *stats)
{
    const OomSize slabs[] = {stats->slab_reclaimable, stats->slab_unreclaimable};
    const OomSize kinds[] = {stats->kernel_stack, stats->pagetables, stats->sec_pagetables,
                             stats->percpu, size_either(stats->slab, size_sum(slabs, 2))};

    return size_sum(kinds, G_N_ELEMENTS(kinds));
}

OomCharge
oomstats_charge(const OomStats *stats, OomConstraint constraint)
{
    const OomSize anons[] = {stats->active_anon, stats->inactive_anon, stats->isolated_anon};
    bool is_v1 = stats->kmem.is_known && stats->kmem.bytes > 0;
    OomSize kernel = kernel_by_kind(stats);

    if (constraint == OOM_CONSTRAINT_GLOBAL)
        return (OomCharge){.anon = size_sum(anons, 3), .shmem = stats->shmem, .kernel = kernel};
    if (stats->kernel.is_known)
        kernel = stats->kernel;
    else if (is_v1)
        kernel = stats->kmem;
    if (!is_v1 && kernel.is_known && stats->sock.is_known)
        size_add(&kernel, stats->sock.bytes, 1);
    return (OomCharge){
        .anon = size_either(stats->anon, size_either(stats->total_rss, stats->rss)),
        .file = size_either(stats->file, size_either(stats->total_cache, stats->cache)),
        .shmem = size_either(stats->total_shmem, size_either(stats->shmem, stats->v1_shmem)),
        .kernel = kernel,
    };
}
