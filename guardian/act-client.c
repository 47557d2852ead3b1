/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-client.h"

#include "act-means.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORD_BYTES 256
#define WORDS_MAX 9

static bool
is_by(const ActRecord *record, const ActMeans *means)
{
    return strcmp(record->means, means->name) == 0;
}

const char *
act_client_failure(const ActRecord *record)
{
    return is_by(record, &act_means_systemd)   ? "systemctl set-property failed"
           : is_by(record, &act_means_libvirt) ? "virsh memtune failed"
                                               : NULL;
}

/* The unit is the group's name; systemd puts "_" before one that looks like a file of a cgroup. */
static const char *
unit_of(const ActRecord *record)
{
    const char *slash = strrchr(record->where, '/');
    const char *name = slash ? slash + 1 : record->where;

    return *name == '_' ? name + 1 : name;
}

static void
silence(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = STDIN_FILENO; fd >= 0 && i <= STDERR_FILENO; i++)
        (void)dup2(fd, i);
}

/* Its words go nowhere: what counts is read back from the kernel. */
static bool
client_run(char *const argv[])
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        silence();
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        execvp(argv[0], argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    errno = EIO;
    return pid > 0 && status == 0;
}

static bool
unit_write(const ActRecord *record)
{
    char property[WORD_BYTES];
    const char *const argv[WORDS_MAX] = {
        "systemctl", "set-property", "--runtime", "--", unit_of(record), property,
    };

    /* its word for the kernel's "max" */
    snprintf(property, sizeof property, "%s=%s",
             strcmp(record->field, "memory.high") == 0 ? "MemoryHigh" : "MemoryMax",
             strcmp(record->new_value, "max") == 0 ? "infinity" : record->new_value);
    return client_run((char *const *)argv);
}

/* Only root's own libvirtd gives its domains groups with a limit: a session's may not, and those in
 * pods are told not to. */
static bool
domain_write(const ActRecord *record)
{
    char limit[WORD_BYTES];
    const char *const argv[WORDS_MAX] = {
        "virsh",        "--connect", "qemu:///system", "memtune", record->subject.uuid, "--live",
        "--hard-limit", limit,
    };

    snprintf(limit, sizeof limit, "%" G_GUINT64_FORMAT, /* KiB */
             g_ascii_strtoull(record->new_value, NULL, 10) / 1024);
    return client_run((char *const *)argv);
}

bool
act_client_write(const ActRecord *record)
{
    return is_by(record, &act_means_libvirt) ? domain_write(record) : unit_write(record);
}
