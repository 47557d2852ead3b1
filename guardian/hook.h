/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a hook of libvirt or Proxmox says, as words. libvirt's qemu hook: NAME OP SUBOP EXTRA
 * (libvirt.org/hooks.html); Proxmox' hookscript: VMID PHASE (pvesm's guest-example-hookscript.pl).
 * Pure; words come from a shell and are not trusted. */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    HOOK_STARTING, /* there is no process yet */
    HOOK_STARTED,  /* or met again by a daemon that was restarted */
    HOOK_STOPPING,
    HOOK_STOPPED,  /* the process is gone */
    HOOK_INCOMING, /* a migration is going to arrive: the monitor may be silent for a while */
    HOOK_OTHER,    /* understood, and of no interest here */
} HookChange;

typedef struct {
    HookChange change;
    const char *vm; /* name or id, as it was said; borrowed from words */
} HookEvent;

/* false: a kind, an operation or a number of words that is not known; *ret_event is untouched. */
bool hook_parse(const char *kind, const char *const *words, guint n_words, HookEvent *ret_event);
