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

/* output_fd: where its words go; -1: nowhere. */
static bool
client_run(char *const argv[], int output_fd)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        silence();
        if (output_fd >= 0)
            (void)dup2(output_fd, STDOUT_FILENO);
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        execvp(argv[0], argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    errno = EIO;
    return pid > 0 && status == 0;
}

/* Does systemd keep this group's limit as MemoryLimit=? It is v1's word, of which MemoryMax= on the
 * same unit is stronger; runc writes no other there. false with errno set: systemd does not say. */
static bool
unit_has_memory_limit(const char *unit, bool *ret_has)
{
    const char *const argv[] = {
        "systemctl", "show", "--property=MemoryMax,MemoryLimit", "--", unit, NULL,
    };
    char text[WORD_BYTES];
    int fds[2];
    ssize_t n;
    bool is_said;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    is_said = client_run((char *const *)argv, fds[1]); /* a pipe holds more than two lines */
    close(fds[1]);
    n = is_said ? read(fds[0], text, sizeof text - 1) : -1;
    close(fds[0]);
    text[MAX(n, 0)] = '\0';
    *ret_has = strstr(text, "MemoryMax=infinity") && strstr(text, "MemoryLimit=") &&
               !strstr(text, "MemoryLimit=infinity");
    return n >= 0;
}

/* Where its limit is, and stays: with another property beside it, the next word of whoever wrote
 * it would be without effect. NULL with errno set: systemd does not say. */
static const char *
property_of(const ActRecord *record)
{
    bool has = false;

    if (strcmp(record->field, "memory.high") == 0)
        return "MemoryHigh";
    if (strcmp(record->field, "memory.limit_in_bytes") == 0 &&
        !unit_has_memory_limit(unit_of(record), &has))
        return NULL;
    return has ? "MemoryLimit" : "MemoryMax";
}

static bool
unit_write(const ActRecord *record)
{
    const char *property = property_of(record);
    char assignment[WORD_BYTES];
    const char *const argv[WORDS_MAX] = {
        "systemctl", "set-property", "--runtime", "--", unit_of(record), assignment,
    };

    if (!property)
        return false;
    /* its word for the kernel's "max" */
    snprintf(assignment, sizeof assignment, "%s=%s", property,
             strcmp(record->new_value, "max") == 0 ? "infinity" : record->new_value);
    return client_run((char *const *)argv, -1);
}

/* Only root's own libvirtd gives its domains groups with a limit: a session's may not, and those in
 * pods are told not to. */
static bool
domain_write(const ActRecord *record)
{
    /* of v1, where libvirt takes no limit above that one */
    bool is_with_swap = strcmp(record->field, "memory.memsw.limit_in_bytes") == 0;
    const char *option = is_with_swap ? "--swap-hard-limit" : "--hard-limit";
    char limit[WORD_BYTES];
    const char *const argv[WORDS_MAX] = {
        "virsh", "--connect", "qemu:///system", "memtune", record->subject.uuid, "--live",
        option,  limit,
    };

    snprintf(limit, sizeof limit, "%" G_GUINT64_FORMAT, /* KiB */
             g_ascii_strtoull(record->new_value, NULL, 10) / 1024);
    return client_run((char *const *)argv, -1);
}

bool
act_client_write(const ActRecord *record)
{
    return is_by(record, &act_means_libvirt) ? domain_write(record) : unit_write(record);
}
