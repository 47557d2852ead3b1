/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-host.h"

#include <string.h>

#define QEMU "qemu-system-x86_64"
#define QEMU_COMM "qemu-system-x86" /* comm holds 15 bytes */

Host *
fake_host_new(Tree *tree)
{
    static const char *const names[HOST_N_ROOTS] = {
        [HOST_PROC] = "proc",     [HOST_SYS] = "sys", [HOST_RUN] = "run", [HOST_ETC] = "etc",
        [HOST_CONFIG] = "config", [HOST_VAR] = "var", [HOST_DEV] = "dev",
    };
    const char *roots[HOST_N_ROOTS];
    g_autoptr(GError) error = NULL;
    Host *host;

    for (guint i = 0; i < HOST_N_ROOTS; i++) {
        tree_directory(tree, names[i]);
        roots[i] = tree_path(tree, names[i]);
    }
    host = host_new(roots, &error);
    if (!host)
        g_error("fake host: %s", error->message);
    return host;
}

static void
write_file(Tree *tree, pid_t pid, const char *name, const char *bytes, gsize length)
{
    g_autofree char *path = g_strdup_printf("proc/%d/%s", (int)pid, name);

    tree_bytes(tree, path, bytes, length);
}

void
fake_host_set_state(Tree *tree, pid_t pid, guint64 start_ticks, const char *comm, char state)
{
    g_autofree char *stat =
        g_strdup_printf("%d (%s) %c 1 1 1 0 -1 4194560 900 0 1 0 250 50 0 0 20 0 6 0 "
                        "%" G_GUINT64_FORMAT " 1000 300 18446744073709551615\n",
                        (int)pid, comm, state, start_ticks);

    write_file(tree, pid, "stat", stat, strlen(stat));
}

void
fake_host_process(Tree *tree, pid_t pid, guint64 start_ticks, const char *comm,
                  const char *const *words)
{
    static const char status[] = "Uid:\t107\t107\t107\t107\nRssAnon:\t1048576 kB\n"
                                 "RssFile:\t2048 kB\nRssShmem:\t0 kB\nVmPTE:\t1024 kB\n";
    g_autofree char *comm_line = g_strconcat(comm, "\n", NULL);
    g_autoptr(GString) cmdline = g_string_new(NULL);

    for (guint i = 0; words && words[i]; i++)
        g_string_append_len(cmdline, words[i], (gssize)strlen(words[i]) + 1);
    write_file(tree, pid, "comm", comm_line, strlen(comm_line));
    if (words)
        write_file(tree, pid, "exe", "", 0); /* no link: as one that may not be seen */
    write_file(tree, pid, "status", status, strlen(status));
    write_file(tree, pid, "cmdline", cmdline->str, cmdline->len);
    fake_host_set_state(tree, pid, start_ticks, comm, 'S');
}

void
fake_host_qemu(Tree *tree, pid_t pid, const char *name, const char *const *more)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();

    g_ptr_array_add(words, (gpointer) "/usr/bin/" QEMU);
    g_ptr_array_add(words, (gpointer) "-name");
    g_ptr_array_add(words, (gpointer)name);
    for (guint i = 0; more && more[i]; i++)
        g_ptr_array_add(words, (gpointer)more[i]);
    g_ptr_array_add(words, NULL);
    fake_host_process(tree, pid, 1000 + (guint64)pid, QEMU_COMM, (const char *const *)words->pdata);
}
