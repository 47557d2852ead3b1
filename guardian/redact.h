/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Takes what is secret out of a QEMU command line before it becomes evidence. It rather takes too
 * much than too little. Needs no memory of its own, so that a child may call it after fork. */

/* Overwrites the secrets in argument with "***", in place; it gets shorter, never longer. option is
 * the argument before it ("-append"), NULL for the first. What is kept: secrets' ids
 * (password-secret=sec0) and switches (password=on). */
void redact_argument(const char *option, char *argument);
