/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A fixture tree: files a test writes below a temporary directory of its own, removed with the
 * tree. Every call aborts the test program when the file system refuses. */

#include <glib.h>
#include <stdbool.h>

typedef struct Tree Tree;

Tree *tree_new(void);
/* That of another process, which also removes it. */
Tree *tree_at(const char *root);
void tree_free(Tree *tree);
/* The tree's directory, and a path below it: borrowed until the tree is freed. */
const char *tree_root(const Tree *tree);
const char *tree_path(Tree *tree, const char *path);

/* Each makes the directories it needs. A file that exists is rewritten in place, as proc and cgroup
 * do it: a kept descriptor sees the new text; remove it first where it must not. */
void tree_directory(Tree *tree, const char *path);
void tree_file(Tree *tree, const char *path, const char *text);
void tree_bytes(Tree *tree, const char *path, const void *bytes, gsize length);
void tree_link(Tree *tree, const char *path, const char *target);
void tree_fifo(Tree *tree, const char *path);
/* How many names a directory has; 0 where it is not there. */
guint tree_count(Tree *tree, const char *path);
/* A file, or a directory with all in it. */
void tree_remove(Tree *tree, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tree, tree_free)
