/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The limits that a -drive or a throttle-group object is started with, as names and values of a
 * throttle-group ("bps-total", "62914560", ...) ended by NULL (g_strfreev): its six rates always,
 * bursts and sizes where they are given. What is no plain decimal counts as absent. */

#include "argv-options.h"

char **argv_limits_of_drive(Options *drive);
char **argv_limits_of_group(Options *object);
