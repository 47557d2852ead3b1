/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose OOM kill a kernel's report tells of, among the VMs that are or were watched, and what an
 * administrator should hear of it in a line. */

#include "oomreport.h"

/* What is known of one VM, also of one that is gone. Paths are raw, as the kernel prints them;
 * borrowed. */
typedef struct {
    gint64 pid;          /* of its QEMU */
    const char *own;     /* the topmost group that is this VM's alone; NULL: there is none */
    const char *pod_uid; /* as group.h tells it; NULL or "" without pod */
} OomSubject;

/* Index of the subject, -1 for none of them. By the victim's process, if it is a QEMU; else the
 * victim's group or the domain is the VM's own, or below it; else the pod is the same, where paths
 * differ because a cgroup namespace cut one. A domain above the VM's own groups is others', too. */
int oomstory_find(const OomReport *report, const OomSubject *subjects, guint n);
/* Is QEMU itself among the victims? */
bool oomstory_is_death(const OomReport *report, const OomSubject *subject);
/* What to do about it: "keep memhold out of the VM's group, or ..."; new string, NULL = nothing. */
char *oomstory_remedy(const OomReport *report);
/* "qemu-system-x86[70] was OOM-killed, then memhold[95]: /a used 96M of its limit 96M; ..., do:
 * ..."; all victims of its event are in it; printable, new string. is_death: of the VM that it is
 * told of. */
char *oomstory_line(const OomReport *report, bool is_death);
