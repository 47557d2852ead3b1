/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomline.h"

#include <string.h>

/* The lines of a report in order, by kernel (4.x below the line, v1 = cgroup v1):
 *
 *   NAME invoked oom-killer: gfp_mask=..., order=0, oom_score_adj=986
 *   CPU: 40 PID: 40785 Comm: ... (and a call trace)
 *   Task in GROUP killed as a result of limit of DOMAIN                           before 5.0
 *   memory: usage 98304kB, limit 98304kB, failcnt 0                               memcg
 *   memory+swap: ... / swap: ...
 *   kmem: usage 756kB, limit 9007199254740988kB, failcnt 0                        v1
 *   Memory cgroup stats for DOMAIN: cache:0KB rss:8KB ...  (one for each group)   before 5.3
 *   Memory cgroup stats for DOMAIN:  and one "anon 4096" a line                   since 5.3
 *   Mem-Info: ... 65406 pages RAM ... 9559 pages reserved                         global
 *   Tasks state (memory values in pages):                                         since 4.19
 *   [  pid  ]   uid  tgid total_vm      rss ... oom_score_adj name
 *   [   4978]     0  4978    26381    13442 ...         982 qemu-system-x86
 *   oom-kill:constraint=...,oom_memcg=DOMAIN,task_memcg=GROUP,task=NAME,pid=4978,uid=0   since 5.0
 *   Memory cgroup out of memory: Kill process 4978 (NAME) score 987 or sacrifice child   before 5.1
 *   [Memory cgroup out of memory: ]Killed process 4978 (NAME) total-vm:105524kB, anon-rss:...
 *   Tasks in DOMAIN are going to be killed due to memory.oom.group set; each with its own kill
 *
 * or, instead of a kill, "Out of memory and no killable processes...", "Kernel panic - not syncing:
 * Out of memory ..." (panic_on_oom), or "... System is deadlocked on memory".
 *
 * A line is known by words that no other line has, wherever they stand: prefixes are many. A name
 * or a path may hold any byte, so a field ends at the last place where the next can begin. */

OomSize
oomsize_of(guint64 number, guint64 unit_bytes)
{
    guint64 bytes;

    if (!g_uint64_checked_mul(&bytes, number, unit_bytes) || bytes > OOM_BYTES_MAX)
        return (OomSize){false, 0};
    return (OomSize){true, bytes};
}

OomSize
oomscan_kilobytes(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    guint64 number;

    if (!at)
        return (OomSize){false, 0};
    at += strlen(key);
    at += strspn(at, " ");
    if (!oomscan_number(&at, &number) || !oomscan_word(&at, "kB"))
        return (OomSize){false, 0};
    return oomsize_of(number, 1024);
}

/* The last place of `word` in text; NULL when it is not there. */
static const char *
find_last(const char *text, const char *word)
{
    const char *last = NULL;

    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        last = at;
    return last;
}

static OomText
text_between(const char *start, const char *end)
{
    return (OomText){start, (gsize)(end - start)};
}

static bool
line_is_cut(const char *message)
{
    static const char *const marks[] = {"<SNIP>", "<snip>", "[SNIP]",      "[snip]", "SNIP",
                                        "snip",   "[...]",  "(...)",       "<...>",  "...",
                                        "....",   ".....",  "\xe2\x80\xa6" /* one character */};
    gsize length = strlen(message);

    while (length > 0 && g_ascii_isspace(message[length - 1]))
        length--;
    for (guint i = 0; i < G_N_ELEMENTS(marks); i++)
        if (strlen(marks[i]) == length && strncmp(message, marks[i], length) == 0)
            return true;
    return strstr(message, "<SNIP>") != NULL || strstr(message, "<snip>") != NULL ||
           strstr(message, "...snip") != NULL;
}

/* The name is what no prefix can be: behind the last "] " or ": ". */
static bool
parse_invoked(const char *line, OomLine *ret)
{
    const char *end = strstr(line, " invoked oom-killer:");
    const char *start = oomprefix_parse(line).message;

    if (!end)
        return false;
    if (start > end)
        start = line;
    for (const char *at = start; at < end; at++)
        if ((at[0] == ']' || at[0] == ':' || at[0] == '>') && at[1] == ' ' && at + 1 < end)
            start = at + 2;
    ret->name = text_between(start, end);
    ret->is_sysrq = strstr(end, ", order=-1,") != NULL;
    ret->kind = OOM_LINE_INVOKED;
    return true;
}

static bool
parse_task_in(const char *line, OomLine *ret)
{
    static const char middle[] = " killed as a result of limit of ";
    const char *start = strstr(line, "Task in ");
    const char *end = start ? find_last(start, middle) : NULL;

    if (!end)
        return false;
    ret->group = text_between(start + strlen("Task in "), end);
    end += strlen(middle);
    ret->domain = text_between(end, end + strlen(end));
    ret->kind = OOM_LINE_TASK_IN;
    return true;
}

static bool
parse_usage(const char *line, OomLine *ret)
{
    const char *start = strstr(line, "memory: usage "), *failures;
    const char *with_swap = strstr(line, "memory+swap: usage ");

    if (with_swap) {
        ret->usage = oomscan_kilobytes(with_swap, "usage ");
        ret->limit = oomscan_kilobytes(with_swap, "limit ");
        ret->kind = OOM_LINE_WITH_SWAP;
        return true;
    }
    if (!start) {
        start = strstr(line, "kmem: usage ");
        if (start)
            ret->usage = oomscan_kilobytes(start, "usage ");
        ret->kind = ret->usage.is_known ? OOM_LINE_KMEM : OOM_LINE_OTHER;
        return start != NULL;
    }
    ret->kind = OOM_LINE_USAGE;
    ret->usage = oomscan_kilobytes(start, "usage ");
    ret->limit = oomscan_kilobytes(start, "limit ");
    failures = strstr(start, "failcnt ");
    if (failures) {
        failures += strlen("failcnt ");
        (void)oomscan_number(&failures, &ret->failures);
    }
    return true;
}

static bool
parse_stats(const char *line, OomLine *ret)
{
    static const char words[] = "Memory cgroup stats for ";
    const char *start = strstr(line, words), *figures;

    if (!start)
        return false;
    start += strlen(words);
    figures = find_last(start, ": cache:");
    ret->domain = text_between(start, figures ? figures : start + strlen(start));
    while (!figures && ret->domain.length > 0 &&
           strchr(": ", start[ret->domain.length - 1]) != NULL)
        ret->domain.length--;
    ret->rest = figures ? figures + 2 : NULL;
    ret->kind = OOM_LINE_STATS;
    return true;
}

/* "[ pid ] uid tgid ... name": rest = behind the bracket. */
static bool
parse_header(const char *line, OomLine *ret)
{
    for (const char *at = strchr(line, '['); at; at = strchr(at + 1, '[')) {
        const char *inside = at + 1;

        inside += strspn(inside, " ");
        if (!oomscan_word(&inside, "pid"))
            continue;
        inside += strspn(inside, " ");
        if (*inside != ']')
            continue;
        ret->rest = inside + 1;
        ret->kind = OOM_LINE_HEADER;
        return true;
    }
    return false;
}

static void
parse_constraint_fields(const char *start, OomLine *ret)
{
    const char *domain = strstr(start, ",oom_memcg=");
    const char *group = find_last(start, ",task_memcg=");
    const char *pid = find_last(start, ",pid=");
    const char *name = NULL;

    if (domain && group > domain) {
        ret->domain = text_between(domain + strlen(",oom_memcg="), group);
        ret->constraint = OOM_CONSTRAINT_MEMCG; /* also where 5.0-rc says CONSTRAINT_NONE */
    }
    if (!group || !pid || pid < group)
        return;
    for (const char *at = strstr(group, ",task="); at && at < pid; at = strstr(at + 1, ",task="))
        name = at;
    if (!name)
        return;
    ret->group = text_between(group + strlen(",task_memcg="), name);
    ret->name = text_between(name + strlen(",task="), pid);
    pid += strlen(",pid=");
    pid += strspn(pid, " "); /* "%5d" before 5.1 */
    if (!oomscan_signed(&pid, &ret->pid) || ret->pid < 0)
        ret->pid = 0;
}

/* "nodemask=0" of a memory policy, "mems_allowed=0-1" of a cpuset; up to the next field. */
static OomText
parse_nodes(const char *fields)
{
    bool is_policy = strstr(fields, "CONSTRAINT_MEMORY_POLICY,") == fields;
    const char *key = is_policy ? ",nodemask=" : ",mems_allowed=";
    const char *at = strstr(fields, key);
    gsize length = at ? strspn(at += strlen(key), "0123456789,-") : 0;

    while (length > 0 && !g_ascii_isdigit(at[length - 1]))
        length--;
    return length > 0 ? (OomText){at, length} : (OomText){NULL, 0};
}

static bool
parse_constraint(const char *line, OomLine *ret)
{
    static const char words[] = "oom-kill:constraint=";
    const char *start = strstr(line, words);

    if (!start)
        return false;
    start += strlen(words);
    ret->kind = OOM_LINE_CONSTRAINT;
    if (oomscan_word(&start, "CONSTRAINT_CPUSET,") ||
        oomscan_word(&start, "CONSTRAINT_MEMORY_POLICY,"))
        ret->nodes = parse_nodes(strstr(line, words) + strlen(words));
    if (ret->nodes.start)
        ret->constraint = OOM_CONSTRAINT_GLOBAL;
    else if (oomscan_word(&start, "CONSTRAINT_MEMCG,"))
        ret->constraint = OOM_CONSTRAINT_MEMCG;
    else if (oomscan_word(&start, "CONSTRAINT_"))
        ret->constraint = OOM_CONSTRAINT_GLOBAL;
    parse_constraint_fields(start - 1, ret);
    return true;
}

static OomConstraint
constraint_of_kill(const char *line, const char *kill)
{
    const char *memcg = strstr(line, "Memory cgroup out of memory");
    const char *global = strstr(line, "Out of memory");

    if (memcg && memcg < kill)
        return OOM_CONSTRAINT_MEMCG;
    return global && global < kill ? OOM_CONSTRAINT_GLOBAL : OOM_CONSTRAINT_UNKNOWN;
}

/* "4978 (NAME) total-vm:...": also "4978, UID 107, (NAME) ..." and "4978 (NAME), UID 107, ...". */
static bool
parse_killed(const char *line, OomLine *ret)
{
    static const char words[] = "Killed process ";
    const char *at = strstr(line, words), *open, *end, *figures;
    OomTask *task = &ret->task;

    if (!at)
        return false;
    ret->constraint = constraint_of_kill(line, at);
    at += strlen(words);
    if (!oomscan_signed(&at, &task->pid) || task->pid <= 0)
        return false;
    figures = find_last(at, "total-vm:");
    open = strchr(at, '(');
    end = NULL;
    for (const char *next = open; next && *next && next != figures; next++)
        if (*next == ')')
            end = next;
    if (!end)
        return false;
    ret->name = text_between(open + 1, end);
    ret->pid = task->pid;
    ret->kind = OOM_LINE_KILLED;
    if (!figures)
        return true;
    task->total_vm = oomscan_kilobytes(figures, "total-vm:");
    task->anon = oomscan_kilobytes(figures, "anon-rss:");
    task->file = oomscan_kilobytes(figures, "file-rss:");
    task->shmem = oomscan_kilobytes(figures, "shmem-rss:"); /* since 4.5 */
    task->pgtables = oomscan_kilobytes(figures, "pgtables:");
    return true;
}

static bool
parse_chosen(const char *line, OomLine *ret)
{
    static const char words[] = "Kill process ";
    const char *at = strstr(line, words);

    if (!at)
        return false;
    ret->constraint = constraint_of_kill(line, at);
    at += strlen(words);
    if (ret->constraint == OOM_CONSTRAINT_UNKNOWN || !oomscan_signed(&at, &ret->pid))
        return false;
    ret->kind = OOM_LINE_CHOSEN;
    return true;
}

OomLine
oomline_parse(const char *line)
{
    OomLine parsed = {.kind = OOM_LINE_OTHER};

    if (strstr(line, " oom-kill") == NULL && line_is_cut(oomprefix_parse(line).message)) {
        parsed.kind = OOM_LINE_CUT;
        return parsed;
    }
    if (parse_constraint(line, &parsed) || parse_killed(line, &parsed) ||
        parse_chosen(line, &parsed) || parse_invoked(line, &parsed) ||
        parse_task_in(line, &parsed) || parse_usage(line, &parsed) || parse_stats(line, &parsed) ||
        parse_header(line, &parsed))
        return parsed;
    if (strstr(line, "due to memory.oom.group set"))
        parsed.kind = OOM_LINE_GROUP_KILL;
    else if (strstr(line, "Kernel panic - not syncing: Out of memory") ||
             strstr(line, "Kernel panic - not syncing: System is deadlocked on memory"))
        parsed.kind = OOM_LINE_PANIC;
    else if (strstr(line, "Out of memory and no killable processes..."))
        parsed.kind = OOM_LINE_NOBODY;
    else if (strstr(line, "Mem-Info:"))
        parsed.kind = OOM_LINE_MEM_INFO;
    return parsed;
}
