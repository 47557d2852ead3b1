/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomline.h"
#include "role.h"

#include <string.h>

/* The kernel prints the table in its own pages, whatever the host's page tables look like. */
#define PAGE_BYTES 4096

static const struct {
    const char *name;
    OomColumn column;
} column_names[] = {
    {"uid", OOM_COLUMN_IGNORED},
    {"tgid", OOM_COLUMN_TGID},
    {"total_vm", OOM_COLUMN_TOTAL_VM},
    {"rss", OOM_COLUMN_RSS},
    {"rss_anon", OOM_COLUMN_RSS_ANON}, /* these three since 6.8 */
    {"rss_file", OOM_COLUMN_RSS_FILE},
    {"rss_shmem", OOM_COLUMN_RSS_SHMEM},
    {"pgtables_bytes", OOM_COLUMN_PGTABLES}, /* since 4.15 */
    {"nr_ptes", OOM_COLUMN_PGTABLE_PAGES},
    {"nr_pmds", OOM_COLUMN_PGTABLE_PAGES},
    {"nr_puds", OOM_COLUMN_PGTABLE_PAGES},
    {"swapents", OOM_COLUMN_SWAP},
    {"oom_score_adj", OOM_COLUMN_SCORE_ADJ},
};

/* For a table whose header is cut off. Seven numbers can be two layouts: their page tables are
 * left out. */
static const OomColumns layouts[] = {
    {7,
     {OOM_COLUMN_IGNORED, OOM_COLUMN_TGID, OOM_COLUMN_TOTAL_VM, OOM_COLUMN_RSS, OOM_COLUMN_IGNORED,
      OOM_COLUMN_SWAP, OOM_COLUMN_SCORE_ADJ}},
    {8,
     {OOM_COLUMN_IGNORED, OOM_COLUMN_TGID, OOM_COLUMN_TOTAL_VM, OOM_COLUMN_RSS,
      OOM_COLUMN_PGTABLE_PAGES, OOM_COLUMN_PGTABLE_PAGES, OOM_COLUMN_SWAP, OOM_COLUMN_SCORE_ADJ}},
    {10,
     {OOM_COLUMN_IGNORED, OOM_COLUMN_TGID, OOM_COLUMN_TOTAL_VM, OOM_COLUMN_RSS, OOM_COLUMN_RSS_ANON,
      OOM_COLUMN_RSS_FILE, OOM_COLUMN_RSS_SHMEM, OOM_COLUMN_PGTABLES, OOM_COLUMN_SWAP,
      OOM_COLUMN_SCORE_ADJ}},
};

OomRole
oomrole_of(const char *name, guint64 *ret_share_bytes)
{
    Role role = role_of(name);

    if (ret_share_bytes)
        *ret_share_bytes = role_share_bytes(role);
    if (role_is_helper(role))
        return OOM_ROLE_HELPER;
    return role == ROLE_QEMU ? OOM_ROLE_QEMU : OOM_ROLE_STRANGER;
}

const char *
oomrole_name(OomRole role)
{
    static const char *const names[] = {
        [OOM_ROLE_QEMU] = "qemu",         [OOM_ROLE_HELPER] = "helper",
        [OOM_ROLE_STRANGER] = "stranger", [OOM_ROLE_GUEST] = "guest",
        [OOM_ROLE_KERNEL] = "kernel",     [OOM_ROLE_LIMIT] = "limit",
        [OOM_ROLE_UNKNOWN] = "unknown",
    };

    return names[role];
}

bool
oomtable_parse_header(const char *rest, OomColumns *ret_columns)
{
    OomColumns columns = {0};
    bool has_rss = false;

    while (*(rest += strspn(rest, " \t")) != '\0' && columns.n < OOM_COLUMNS_MAX) {
        gsize length = strcspn(rest, " \t");

        if (length == 4 && strncmp(rest, "name", 4) == 0) {
            *ret_columns = columns;
            return has_rss;
        }
        for (guint i = 0; i < G_N_ELEMENTS(column_names); i++)
            if (strlen(column_names[i].name) == length &&
                strncmp(column_names[i].name, rest, length) == 0)
                columns.columns[columns.n] = column_names[i].column;
        has_rss = has_rss || columns.columns[columns.n] == OOM_COLUMN_RSS;
        columns.n++;
        rest += length;
    }
    return false;
}

static void
task_set_column(OomTask *task, OomColumn column, gint64 value)
{
    /* A counter may be caught a few pages below zero. */
    guint64 number = (guint64)MAX(value, 0);
    OomSize pages = oomsize_of(number, PAGE_BYTES);

    switch (column) {
    case OOM_COLUMN_TOTAL_VM:
        task->total_vm = pages;
        break;
    case OOM_COLUMN_RSS:
        task->rss = pages;
        break;
    case OOM_COLUMN_RSS_ANON:
        task->anon = pages;
        break;
    case OOM_COLUMN_RSS_FILE:
        task->file = pages;
        break;
    case OOM_COLUMN_RSS_SHMEM:
        task->shmem = pages;
        break;
    case OOM_COLUMN_PGTABLES:
        task->pgtables = oomsize_of(number, 1);
        break;
    case OOM_COLUMN_PGTABLE_PAGES:
        if (pages.is_known)
            task->pgtables = oomsize_of(task->pgtables.bytes + pages.bytes, 1);
        break;
    case OOM_COLUMN_SWAP:
        task->swap = pages;
        break;
    case OOM_COLUMN_SCORE_ADJ:
        task->has_oom_score_adj = value >= -1000 && value <= 1000;
        task->oom_score_adj = task->has_oom_score_adj ? (gint32)value : 0;
        break;
    case OOM_COLUMN_TGID:
    case OOM_COLUMN_IGNORED:
        break;
    }
}

/* The numbers behind the bracket; stops at the first word that is none. */
static guint
take_numbers(const char **text, guint n_max, gint64 *ret_numbers)
{
    guint n = 0;

    while (n < n_max) {
        const char *at = *text + strspn(*text, " \t");

        if (at == *text || !oomscan_signed(&at, &ret_numbers[n]) || (*at != ' ' && *at != '\t'))
            break;
        *text = at;
        n++;
    }
    return n;
}

/* The row at one '[': "[  4978]  0  4978  26381 ... name". */
static bool
parse_row_at(const char *at, const OomColumns *columns, OomTask *ret_task)
{
    gint64 numbers[OOM_COLUMNS_MAX];
    OomTask task = {0};
    gsize length;
    guint n;

    at += 1 + strspn(at + 1, " ");
    if (!oomscan_signed(&at, &task.pid) || task.pid < 0 || *at != ']')
        return false;
    at++;
    n = take_numbers(&at, columns->n > 0 ? columns->n : OOM_COLUMNS_MAX, numbers);
    for (guint i = 0; columns->n == 0 && i < G_N_ELEMENTS(layouts); i++)
        if (layouts[i].n == n)
            columns = &layouts[i];
    if (columns->n == 0 || n != columns->n)
        return false;
    for (guint i = 0; i < n; i++)
        task_set_column(&task, columns->columns[i], numbers[i]);
    at += strspn(at, " \t");
    length = MIN(strlen(at), sizeof task.name - 1);
    if (length == 0)
        return false;
    memcpy(task.name, at, length);
    task.role = oomrole_of(task.name, NULL);
    *ret_task = task;
    return true;
}

bool
oomtable_parse_row(const char *line, const OomColumns *columns, OomTask *ret_task)
{
    for (const char *at = strchr(line, '['); at; at = strchr(at + 1, '['))
        if (parse_row_at(at, columns, ret_task))
            return true;
    return false;
}
