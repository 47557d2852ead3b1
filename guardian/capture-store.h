/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where bundles are: directories of mode 0700 below HOST_RUN and HOST_VAR, named by a safe subset
 * of the VM's name and the time in UTC. */

#include "capture.h"

/* "<vm>-20260730T152107Z", new string: letters, digits, '-', '_', '.'; every other byte becomes
 * '_'. Never hidden, never longer than a file name may be. */
char *capture_name(const char *vm_name, gint64 realtime_us);
/* Could capture_name() have made it? */
bool capture_name_is_valid(const char *name);

/* vm-guardian/captures below HOST_RUN or HOST_VAR, made where it is missing; -1 with errno set,
 * EPERM when it belongs to somebody else or others may write to it. */
int capture_directory_open(const Host *host, HostRoot root);
/* Of a bundle and what is in it. */
void capture_bundle_remove(int captures_fd, const char *name);
/* Copies the bundle in dir_fd below captures_fd, whole or not at all; 0, or the number of what
 * failed. For a child. */
int capture_bundle_copy(int dir_fd, const char *name, int captures_fd);

/* Makes the bundle's directory below HOST_RUN, and what is missing above it. A name that is taken
 * moves by a second. Its descriptor, and the name in *ret_name; -1 with error set. */
int capture_make_directory(const Host *host, const char *vm_name, gint64 realtime_us,
                           char **ret_name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Removes the oldest bundles until `keep` are left. What is not named like one stays. */
void capture_prune(int captures_fd, guint keep);
/* The same below HOST_RUN. */
void capture_prune_memory(const Host *host, guint keep);
/* Copies the finished bundle below HOST_VAR in a child and removes it below HOST_RUN; then
 * capture_stored() is called, once. */
void capture_store(Capture *capture, gint64 deadline_us);
