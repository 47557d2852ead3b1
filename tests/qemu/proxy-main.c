/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proxy.h"

#include <signal.h>
#include <stdio.h>

/* qmp-proxy LISTEN TARGET RECORD-FILE: the recording monitor as a program. It says "ready" when it
 * listens, and prints a summary when it is told to end (SIGTERM, SIGINT). */

static void
print_summary(Proxy *proxy)
{
    ProxySummary summary;

    proxy_get_summary(proxy, &summary);
    printf("connects %u, waited %u, dead %u\n", summary.n_connects, summary.n_waited,
           summary.n_dead);
    printf("commands %u: tick %u, suspect %u, capture %u, enforce %u, foreign %u\n",
           summary.n_commands, summary.n_by_class[QMP_CLASS_TICK],
           summary.n_by_class[QMP_CLASS_SUSPECT], summary.n_by_class[QMP_CLASS_CAPTURE],
           summary.n_by_class[QMP_CLASS_ENFORCE], summary.n_foreign);
    printf("held_us median %" G_GINT64_FORMAT ", p99 %" G_GINT64_FORMAT ", max %" G_GINT64_FORMAT
           "\n",
           summary.held_median_us, summary.held_p99_us, summary.held_max_us);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    sigset_t end;
    int signal_number;

    if (argc != 4) {
        fprintf(stderr, "usage: qmp-proxy LISTEN TARGET RECORD-FILE\n");
        return 2;
    }
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end, NULL);
    g_autoptr(Proxy) proxy = proxy_new(argv[1], argv[2], argv[3], &error);
    if (!proxy) {
        fprintf(stderr, "qmp-proxy: %s\n", error->message);
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    sigwait(&end, &signal_number);
    print_summary(proxy);
    return 0;
}
