/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files below vm-guardian/ of HOST_VAR, which outlive the host's boot: for what took days to
 * learn. That is a disk, which may be dead: written by a child, and read before the loop begins,
 * from the disk that the daemon itself was just read from. */

#include "child.h"
#include "host.h"

/* Replaces directory/name at once, or leaves the old one. Nothing is told of a failure: what is
 * saved is only missed after a boot. Copies text. One that hangs is given up after a while. */
void var_file_save(const Host *host, Children *children, const char *directory, const char *name,
                   const char *text);
/* The same at the daemon's end: has ended when it returns, or was given up within seconds. */
void var_file_save_last(const Host *host, const char *directory, const char *name,
                        const char *text);
/* NULL: not there, not ours, not readable, or larger than that. New string. */
char *var_file_load(const Host *host, const char *directory, const char *name, gsize bytes_max);
