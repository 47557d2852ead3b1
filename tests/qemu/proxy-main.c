/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proxy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* qmp-proxy SOCKET RECORD-FILE -- QEMU...: becomes that QEMU, whose monitor is at SOCKET, with the
 * recording monitor before it in a child process.
 *
 * The guardian accepts a socket only when the VM's own process listens on it, and the kernel tells
 * it who called listen(). So this process does, before it becomes QEMU, and leaves the socket to
 * the child; QEMU's own socket is moved aside as soon as it appears. The child ends with QEMU, and
 * appends a summary to its standard output. */

/* QEMU makes its monitor within a second, on a loaded machine within some. */
#define APPEAR_TRIES 3000
#define APPEAR_PERIOD_US 10000

static void
print_summary(Proxy *proxy)
{
    ProxySummary summary;

    proxy_get_summary(proxy, &summary);
    printf("connects %u, waited %u, dead %u\n", summary.n_connects, summary.n_waited,
           summary.n_dead);
    printf("commands %u: tick %u, suspect %u, canary %u, capture %u, enforce %u, foreign %u\n",
           summary.n_commands, summary.n_by_class[QMP_CLASS_TICK],
           summary.n_by_class[QMP_CLASS_SUSPECT], summary.n_by_class[QMP_CLASS_CANARY],
           summary.n_by_class[QMP_CLASS_CAPTURE], summary.n_by_class[QMP_CLASS_ENFORCE],
           summary.n_foreign);
    printf("held_us median %" G_GINT64_FORMAT ", p99 %" G_GINT64_FORMAT ", max %" G_GINT64_FORMAT
           "\n",
           summary.held_median_us, summary.held_p99_us, summary.held_max_us);
}

static void
wait_for_end(void)
{
    sigset_t end;
    int signal_number;

    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == 1)
        return;
    sigwait(&end, &signal_number);
}

static int
run_proxy(int listen_fd, const char *path, const char *record_path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Proxy) proxy = NULL;

    for (guint i = 0; i < APPEAR_TRIES && access(path, F_OK) < 0; i++)
        g_usleep(APPEAR_PERIOD_US);
    proxy = proxy_new(listen_fd, path, NULL, record_path, &error);
    if (!proxy) {
        fprintf(stderr, "qmp-proxy: %s\n", error->message);
        return 1;
    }
    wait_for_end();
    print_summary(proxy);
    return 0;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int listen_fd;
    pid_t child;

    if (argc < 5 || strcmp(argv[3], "--") != 0) {
        fprintf(stderr, "usage: qmp-proxy SOCKET RECORD-FILE -- QEMU...\n");
        return 2;
    }
    listen_fd = proxy_listen_beside(argv[1], &error);
    child = listen_fd < 0 ? -1 : fork();
    if (child == 0)
        return run_proxy(listen_fd, argv[1], argv[2]);
    if (child > 0)
        execvp(argv[4], argv + 4);
    fprintf(stderr, "qmp-proxy: cannot start %s: %s\n", argv[4],
            error ? error->message : g_strerror(errno));
    return 1;
}
