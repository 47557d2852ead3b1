/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "meminfo.h"

#include "cgroup.h"

#include <string.h>

/* meminfo has about 60 short lines, arcstats about 150. */
#define TEXT_BYTES_MAX (64 * 1024)

typedef struct {
    const char *name;
    guint64 *value;
    bool *is_set;
} Line;

/* Lines of "name ... number [unit]": the word that is a number and comes last, in column `column`
 * of words counted from 0. */
static void
lines_take(const char *text, guint column, guint64 unit, const Line *lines, guint n_lines)
{
    g_auto(GStrv) rows = g_strsplit(text, "\n", -1);

    for (guint i = 0; rows[i]; i++) {
        g_auto(GStrv) words = g_strsplit_set(g_strstrip(rows[i]), " \t", -1);
        guint n_words = 0;
        guint64 value;

        for (guint w = 0; words[w]; w++) { /* blanks come in runs */
            char *word = words[w];

            words[w] = NULL;
            if (*word)
                words[n_words++] = word;
            else
                g_free(word);
        }
        for (guint l = 0; n_words > column && l < n_lines; l++) {
            if (strcmp(words[0], lines[l].name) != 0 ||
                !cgroup_parse_bytes(words[column], &value) ||
                !g_uint64_checked_mul(&value, value, unit))
                continue;
            *lines[l].value = value;
            *lines[l].is_set = true;
        }
    }
}

bool
meminfo_parse(const char *text, HostMemory *ret_memory)
{
    HostMemory memory = {0};
    bool has_total = false, has_free = false, has_swap = false, has_huge = false, has_page = false;
    guint64 huge_pages = 0, huge_page_bytes = 0;
    const Line sizes[] = {
        {"MemTotal:", &memory.total_bytes, &has_total},
        {"MemAvailable:", &memory.available_bytes, &memory.has_available},
        {"MemFree:", &memory.free_bytes, &has_free},
        {"SwapFree:", &memory.swap_free_bytes, &has_swap},
        {"Hugepagesize:", &huge_page_bytes, &has_page},
    };
    const Line counts[] = {{"HugePages_Total:", &huge_pages, &has_huge}};

    lines_take(text, 1, 1024, sizes, G_N_ELEMENTS(sizes));
    lines_take(text, 1, 1, counts, G_N_ELEMENTS(counts));
    if (!has_total)
        return false;
    if (!g_uint64_checked_mul(&memory.hugetlb_bytes, huge_pages, huge_page_bytes))
        memory.hugetlb_bytes = 0;
    memory.is_known = true;
    *ret_memory = memory;
    return true;
}

bool
meminfo_parse_arc(const char *text, HostMemory *memory)
{
    bool has_size = false, has_min = false;
    guint64 size = 0, min = 0;
    const Line lines[] = {{"size", &size, &has_size}, {"c_min", &min, &has_min}};

    lines_take(text, 2, 1, lines, G_N_ELEMENTS(lines));
    if (!has_size)
        return false;
    memory->has_arc = true;
    memory->arc_bytes = size;
    memory->arc_min_bytes = has_min ? MIN(min, size) : 0;
    return true;
}

bool
meminfo_read(const Host *host, HostMemory *ret_memory)
{
    g_autofree char *text = host_read(host, HOST_PROC, "meminfo", TEXT_BYTES_MAX, NULL, NULL);
    g_autofree char *arc =
        host_read(host, HOST_PROC, "spl/kstat/zfs/arcstats", TEXT_BYTES_MAX, NULL, NULL);

    if (!text || !meminfo_parse(text, ret_memory))
        return false;
    if (arc)
        (void)!meminfo_parse_arc(arc, ret_memory);
    return true;
}
