/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ring.h"

#include "descriptor.h"

#include <string.h>

/* io_uring allows 32768 entries to submit and twice as many completions; more in flight means that
 * the two counters do not count the same (several completions of one request, or none). */
#define INFLIGHT_MAX 65536
/* IORING_OP_POLL_ADD, as PollList prints it. */
#define POLL_LINE "  op=6,"

/* "Name:\t123" on a line of its own. */
static bool
number_find(const char *text, const char *name, guint32 *ret_value)
{
    const char *line = strstr(text, name);
    guint64 value;
    char *end;

    if (!line || line[strlen(name)] != '\t')
        return false;
    line += strlen(name) + 1;
    value = g_ascii_strtoull(line, &end, 10);
    if (!g_ascii_isdigit(*line) || *end != '\n' || value > G_MAXUINT32)
        return false;
    *ret_value = (guint32)value;
    return true;
}

static guint32
polls_count(const char *list)
{
    guint32 n = 0;

    for (const char *line = strchr(list, '\n'); line && line[1] == ' ';
         line = strchr(line + 1, '\n'))
        n += g_str_has_prefix(line + 1, POLL_LINE);
    return n;
}

bool
ring_parse(const char *text, Ring *ret_ring)
{
    const char *polls = strstr(text, "\nPollList:\n");
    Ring ring;
    guint32 taken, completed;

    if (!polls || !number_find(text, "\nCachedSqHead:", &taken) ||
        !number_find(text, "\nCachedCqTail:", &completed))
        return false;
    ring.polls = polls_count(polls + 1);
    ring.completed = completed;
    ring.inflight = taken - completed; /* both wrap */
    if (ring.inflight > INFLIGHT_MAX || ring.inflight < ring.polls)
        return false;
    ring.inflight -= ring.polls;
    *ret_ring = ring;
    return true;
}

bool
rings_read(const Proc *proc, Ring *ret_total)
{
    g_autoptr(GArray) numbers = descriptors_find(proc, "anon_inode:[io_uring]");
    Ring total = {0};

    for (guint i = 0; numbers && i < numbers->len; i++) {
        g_autofree char *text = descriptor_read_info(proc, g_array_index(numbers, guint32, i));
        Ring ring;

        if (!text || !ring_parse(text, &ring) || (ring.polls > 0 && ring.inflight > 0))
            return false;
        total.inflight += ring.inflight;
        total.polls += ring.polls;
        total.completed += ring.completed;
    }
    if (!numbers || numbers->len == 0)
        return false;
    *ret_total = total;
    return true;
}
