/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct Tree {
    char *root;
    GPtrArray *paths;
    bool is_anothers;
};

static void
must(bool worked, const char *what, const char *path)
{
    if (!worked)
        g_error("fixture tree: cannot %s %s: %m", what, path);
}

Tree *
tree_new(void)
{
    Tree *tree = g_new0(Tree, 1);

    tree->root = g_build_filename(g_get_tmp_dir(), "guardian-tree-XXXXXX", NULL);
    tree->paths = g_ptr_array_new_with_free_func(g_free);
    must(g_mkdtemp(tree->root) != NULL, "make", tree->root);
    return tree;
}

Tree *
tree_at(const char *root)
{
    Tree *tree = g_new0(Tree, 1);

    tree->root = g_strdup(root);
    tree->paths = g_ptr_array_new_with_free_func(g_free);
    tree->is_anothers = true;
    return tree;
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    return remove(path);
}

static void
remove_all(const char *path)
{
    /* Few descriptors: fixture trees are shallow. */
    must(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "remove", path);
}

void
tree_free(Tree *tree)
{
    if (!tree)
        return;
    if (!tree->is_anothers)
        remove_all(tree->root);
    g_ptr_array_unref(tree->paths);
    g_free(tree->root);
    g_free(tree);
}

const char *
tree_root(const Tree *tree)
{
    return tree->root;
}

const char *
tree_path(Tree *tree, const char *path)
{
    char *full = g_build_filename(tree->root, path, NULL);

    g_ptr_array_add(tree->paths, full);
    return full;
}

static const char *
make_room(Tree *tree, const char *path)
{
    const char *full = tree_path(tree, path);
    g_autofree char *above = g_path_get_dirname(full);

    must(g_mkdir_with_parents(above, 0755) == 0, "make", above);
    return full;
}

void
tree_directory(Tree *tree, const char *path)
{
    const char *full = tree_path(tree, path);

    must(g_mkdir_with_parents(full, 0755) == 0, "make", full);
}

void
tree_bytes(Tree *tree, const char *path, const void *bytes, gsize length)
{
    const char *full = make_room(tree, path);
    FILE *file = fopen(full, "we");

    must(file != NULL, "open", full);
    must(fwrite(bytes, 1, length, file) == length && fclose(file) == 0, "write", full);
}

void
tree_file(Tree *tree, const char *path, const char *text)
{
    tree_bytes(tree, path, text, strlen(text));
}

void
tree_link(Tree *tree, const char *path, const char *target)
{
    const char *full = make_room(tree, path);

    must(symlink(target, full) == 0, "link", full);
}

void
tree_fifo(Tree *tree, const char *path)
{
    const char *full = make_room(tree, path);

    must(mkfifo(full, 0600) == 0, "make", full);
}

guint
tree_count(Tree *tree, const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(tree_path(tree, path), 0, NULL);
    guint n = 0;

    while (directory && g_dir_read_name(directory))
        n++;
    return n;
}

void
tree_remove(Tree *tree, const char *path)
{
    remove_all(tree_path(tree, path));
}
