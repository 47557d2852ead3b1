/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hook.h"

#include <string.h>

typedef struct {
    const char *kind, *operation, *part; /* part NULL: the operation alone says it */
    HookChange change;
} HookRow;

static const HookRow rows[] = {
    {"libvirt", "prepare", "begin", HOOK_STARTING},
    {"libvirt", "start", "begin", HOOK_STARTING},
    {"libvirt", "restore", "begin", HOOK_STARTING},
    {"libvirt", "started", "begin", HOOK_STARTED},
    {"libvirt", "attach", "begin", HOOK_STARTED},
    {"libvirt", "reconnect", "begin", HOOK_STARTED},
    {"libvirt", "migrate", "begin", HOOK_INCOMING},
    {"libvirt", "stopped", "end", HOOK_STOPPED},
    {"libvirt", "release", "end", HOOK_STOPPED},
    {"libvirt", NULL, NULL, HOOK_OTHER}, /* what later versions add */
    {"proxmox", "pre-start", NULL, HOOK_STARTING},
    {"proxmox", "post-start", NULL, HOOK_STARTED},
    {"proxmox", "pre-stop", NULL, HOOK_STOPPING},
    {"proxmox", "post-stop", NULL, HOOK_STOPPED},
    {"proxmox", NULL, NULL, HOOK_OTHER},
};

static bool
row_matches(const HookRow *row, const char *kind, const char *const *words, guint n_words)
{
    if (strcmp(row->kind, kind) != 0)
        return false;
    if (!row->operation)
        return true;
    if (strcmp(row->operation, words[1]) != 0)
        return false;
    return !row->part || (n_words > 2 && strcmp(row->part, words[2]) == 0);
}

bool
hook_parse(const char *kind, const char *const *words, guint n_words, HookEvent *ret_event)
{
    if (n_words < 2 || *words[0] == '\0')
        return false;
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!row_matches(&rows[i], kind, words, n_words))
            continue;
        *ret_event = (HookEvent){.change = rows[i].change, .vm = words[0]};
        return true;
    }
    return false;
}
