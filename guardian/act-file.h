/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One small file of the kernel that an act is about (a cgroup's, a process's), in the child of that
 * act: the value in force is read, replaced where it still is what the record says, and read back.
 * The file is reached through a descriptor that was opened before its owner was looked at. */

#include "act-means.h"

/* A write returns at once when a limit is raised; when it is lowered the kernel reclaims first, and
 * gives up by itself long before this. */
#define ACT_FILE_DEADLINE_US (10 * G_USEC_PER_SEC)

typedef struct {
    const ActCall *call;
    int dir_fd;          /* the record's field is a file in it */
    int process_fd;      /* /proc/PID of a process that must live, */
    guint64 start_ticks; /* since then, or nothing is written */
} ActFile;

/* Answers on answer_fd. */
void act_file_run(int answer_fd, const ActFile *file);
/* Before anything was written: why nothing is; what and errno's text. */
void act_file_refuse_errno(int answer_fd, const char *what);
void act_file_refuse(int answer_fd, const char *why);

/* The act as a whole, which ends the call. */
typedef struct {
    ActCall *call;
    Proc *proc;   /* owned: whose file or group it is; NULL: not found */
    int mount_fd; /* owned: what the group is below; -1 none */
} ActJob;

ActJob *act_job_new(ActCall *call);
/* Takes the job. problem: why nothing may be done, static; NULL: run has it in a child, with the
 * descriptors of it that are there. */
void act_job_begin(ActJob *job, const char *problem, ChildFunc run, gint64 deadline_us);
