/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a drive or block node stands on: its chain is followed to the lowest node. */

#include "argv-options.h"

typedef struct {
    char *storage;        /* as in ArgvDisk; NULL unknown */
    char *aio;            /* of the lowest node as written; NULL not said */
    bool is_direct;       /* the lowest node goes past the host's page cache */
    bool ignores_flush;   /* a node of it drops the guest's flushes */
    char *throttle_group; /* of the throttle node nearest to the device; NULL none */
} ArgvChain;

/* Where a -drive begins: its "file" is a file name, and not the name of a node. nodes: node-name ->
 * Options of every -blockdev. */
ArgvChain argv_chain_of_drive(Options *drive);
ArgvChain argv_chain_of_node(GHashTable *nodes, const char *node_name);
