/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lines for the journal, each state change once, with fields to search by: EVENT= and its
 * MESSAGE_ID=, and where there is a VM, VM=, DISK=, VM_STATE=, LAYER=, CAUSE=, ALERT=. Where stderr
 * is not the journal's stream, the same line goes there with a UTC time before it. */

#include "alerting.h"
#include "guardian.h"

/* What a line is about. contrib/doc/alerts.md lists the ids. */
typedef enum {
    JOURNAL_ALERT,         /* an alert was raised, paged, reminded of or closed */
    JOURNAL_CHANGED,       /* a VM's or disk's state, without an alert */
    JOURNAL_CAPTURED,      /* evidence was saved, or could not be */
    JOURNAL_HOOK,          /* an executable of alert.d failed, was refused, works again */
    JOURNAL_LIBVIRT,       /* a libvirt daemon answers, is down, is silent */
    JOURNAL_ACT,           /* a write to a VM was planned, done, or refused */
    JOURNAL_STARTED,       /* the daemon watches */
    JOURNAL_STOPPED,       /* and has ended as it was told to */
    JOURNAL_RELOADED,      /* a new configuration is in force */
    JOURNAL_RELOAD_FAILED, /* it has an error: the old one stays */
    JOURNAL_LIMITS,        /* limits of a disk were set, or could not be */
    JOURNAL_OOM,           /* OOM kills are not followed: the kernel's log cannot be read */
    JOURNAL_NOT_LOCKED,    /* memory could not be locked: a dead disk of the host may stop us */
} JournalEvent;

void report_journal_change(const GuardianChange *change, const char *line);
void report_journal_alert(const AlertingNews *news);
void report_journal_note(JournalEvent event, const char *format, ...) G_GNUC_PRINTF(2, 3);
void report_journal_warn(JournalEvent event, const char *format, ...) G_GNUC_PRINTF(2, 3);
