/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* hook: one message to the daemon, and out. It is run by libvirtd and by qm in the middle of a VM's
 * start, with whatever environment and descriptors they have, so it never waits (socket and
 * connect do not block, the answer is not read), prints nothing, and its exit status is 0: libvirt
 * and Proxmox take any other as the wish that the VM shall not start, and libvirt's `reconnect`
 * even kills a VM that runs. What is lost is found by the next discovery. */

#include "ctl.h"

#include "control.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Nothing here waits; this is for a file system below /run that hangs. */
#define HOOK_DEADLINE_US (80 * 1000)
/* libvirt gives four words; what is more is not for us. */
#define HOOK_WORDS_MAX 8
/* A name in a path has at most 255 bytes, a name in XML may have more; FRAME_CAP_REQUEST is 64 KiB.
 */
#define HOOK_WORD_BYTES_MAX 1024

static void
leave(int signal_number)
{
    _exit(0);
}

/* The mask and the ignored signals of whoever started us are inherited. */
static void
limit_time(void)
{
    const struct itimerval limit = {.it_value = {.tv_usec = HOOK_DEADLINE_US}};
    struct sigaction action = {.sa_handler = leave};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)setitimer(ITIMER_REAL, &limit, NULL);
}

static void
lift_limit(void)
{
    const struct itimerval none = {0};

    (void)setitimer(ITIMER_REAL, &none, NULL);
    signal(SIGALRM, SIG_DFL);
}

/* Both lines at once; the stamp tells the daemon how long the message has waited for it. */
static char *
hook_message(int argc, char **argv)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL, *kind = g_utf8_make_valid(argv[0], -1);

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "execute");
    json_builder_add_string_value(builder, "hook");
    json_builder_set_member_name(builder, "arguments");
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "kind");
    json_builder_add_string_value(builder, kind);
    json_builder_set_member_name(builder, "at_us");
    json_builder_add_int_value(builder, g_get_monotonic_time());
    json_builder_set_member_name(builder, "words");
    json_builder_begin_array(builder);
    for (int i = 1; i < argc && i <= HOOK_WORDS_MAX; i++) {
        g_autofree char *word =
            g_utf8_make_valid(argv[i], (gssize)strnlen(argv[i], HOOK_WORD_BYTES_MAX));

        json_builder_add_string_value(builder, word);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, FALSE);
    return g_strdup_printf("{\"execute\":\"qmp_capabilities\"}\n%s\n", text);
}

static void
hook_send(const char *run_root, int argc, char **argv)
{
    g_autofree char *message = hook_message(argc, argv);
    int root_fd = open(run_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    pid_t peer = 0;
    int fd = root_fd < 0 ? -1 : host_connect_at(root_fd, CONTROL_SOCKET, &peer, NULL);

    if (fd >= 0) {
        (void)!send(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT);
        close(fd);
    }
    if (root_fd >= 0)
        close(root_fd);
}

int
ctl_hook(int argc, char **argv)
{
    const char *run_root = "/run";
    int i = 1;

    if (i < argc && strncmp(argv[i], "--run-root=", strlen("--run-root=")) == 0)
        run_root = argv[i++] + strlen("--run-root=");
    if (i + 1 >= argc)
        return 0;
    limit_time();
    hook_send(run_root, argc - i, argv + i);
    lift_limit();
    return 0;
}
