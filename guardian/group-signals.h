/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a memory group says beside its charge: throttle band, events, stalls, room for swapping. Of
 * any group below the mounted hierarchy, a VM's or a slice; descriptors are kept, so a reading is
 * a few small rereads. */

#include "host.h"

typedef struct {
    bool has_usage;
    guint64 usage_bytes;
    bool has_high, has_max; /* without: none is set, or v1, or unreadable */
    guint64 high_bytes, max_bytes;
    bool has_events; /* v2, with all below the group */
    guint64 high_events, max_events, oom_kills;
    bool has_failures; /* v1: how often the charge met the limit */
    guint64 failures;
    bool has_stalled; /* PSI, memory full, since the group exists; none in v1 or where it is off */
    guint64 stalled_us;
    bool has_swap;           /* so much more may be swapped out, as far as the group is concerned */
    guint64 swap_room_bytes; /* G_MAXUINT64: no limit */
} GroupSignals;

typedef struct GroupReader GroupReader;

/* path is raw, below the mount, as the kernel prints it. Borrows mount_fd for the call only. Never
 * NULL: what cannot be opened is not known, and tried again. */
GroupReader *group_reader_new(int mount_fd, const char *path, bool is_v2);
void group_reader_free(GroupReader *reader);
const char *group_reader_path(const GroupReader *reader);
/* false when the group is gone. */
bool group_reader_read(GroupReader *reader, GroupSignals *ret_signals);

/* "full avg10=... total=N" of memory.pressure. */
bool group_parse_stalled(const char *text, guint64 *ret_us);
/* One line "name value" of memory.events. */
bool group_parse_event(const char *text, const char *name, guint64 *ret_count);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GroupReader, group_reader_free)
