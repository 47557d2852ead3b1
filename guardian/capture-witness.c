/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's own witnesses of one VM: its journal of the last day, the configuration as it lies on
 * the host, Proxmox's minute-by-minute statistics. In the founding incident these statistics were
 * the only witness. What they say of other VMs stays out. */

#include "capture-private.h"

#include "redact.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A search through the journal of a day takes a second or two on a busy host; newest first, so that
 * what a deadline cuts off is the oldest. */
#define JOURNAL_US (4 * (gint64)G_USEC_PER_SEC)
/* Proxmox refuses a larger one. */
#define CONFIGURATION_BYTES_MAX (512 * 1024)

static const char *
journal_run(const Capture *capture, int answer_fd)
{
    const char *const journalctl[] = {"/usr/bin/journalctl",
                                      "--quiet",
                                      "--no-pager",
                                      "--utc",
                                      "--reverse",
                                      "--since=-24h",
                                      "--output=short-iso-precise",
                                      "--grep",
                                      capture->journal_pattern,
                                      NULL};
    const char *why = capture_tool_prepare(capture, answer_fd);

    if (why)
        return why;
    capture_tool_become(journalctl);
    return "not done: journalctl is not installed";
}

static void
journal_child(int answer_fd, gconstpointer data)
{
    const char *why = journal_run(data, answer_fd);

    if (write(answer_fd, why, strlen(why)) < 0)
        _exit(1);
}

static void
journal_done(const char *answer, gsize length, gpointer user_data)
{
    Capture *capture = user_data;
    bool is_late = capture_is_late(capture);

    if (length > 0) /* it never began */
        capture_step_end(capture, STEP_SKIPPED, answer);
    else if (!answer && is_late)
        capture_step_end(capture, STEP_DONE, "cut: the search took too long, newest lines first");
    else /* journalctl ends with 1 when no line matches */
        capture_step_end(capture, STEP_DONE, NULL);
}

/* Lines that name this VM: its process, its id as Proxmox writes it, or its name. */
static char *
journal_pattern(const Capture *capture)
{
    g_autofree char *name = g_regex_escape_string(capture->vm_name, -1);
    g_autofree char *id =
        capture->vm_id ? g_regex_escape_string(capture->vm_id, -1) : g_strdup(name);

    return g_strdup_printf("(\\bVM %s\\b|:%s:|\\b%s\\.scope|\\b%s\\b|\\b%d\\b)", id, id, id, name,
                           (int)capture->pid);
}

void
capture_journal(Capture *capture)
{
    auto_fd fd = -1;

    if (!capture_open_file(capture, &fd))
        return;
    g_free(capture->journal_pattern);
    capture->journal_pattern = journal_pattern(capture);
    capture->job.out_fd = fd;
    capture_start_child(capture, &(ChildCall){.run = journal_child,
                                              .done = journal_done,
                                              .data = capture,
                                              .keep_fds = {fd},
                                              .deadline_us = JOURNAL_US});
}

/* The number Proxmox knows the VM by; NULL for another host's. */
static const char *
vmid_of(const Capture *capture)
{
    const char *id = capture->vm_id;

    return id && *id && strlen(id) < 16 && id[strspn(id, "0123456789")] == '\0' ? id : NULL;
}

/* "key: value" where value must not leave the host. */
static bool
line_is_secret(const char *line, gsize length)
{
    static const char *const keys[] = {"cipassword:", "sshkeys:", "smbios1:"};

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
        if (length >= strlen(keys[i]) && memcmp(line, keys[i], strlen(keys[i])) == 0)
            return true;
    return false;
}

/* Line by line; buffer is NUL-terminated and is written to. */
static void
configuration_write(CaptureOut *out, char *buffer)
{
    while (*buffer) {
        char *end = strchrnul(buffer, '\n');
        bool is_last = *end == '\0';

        *end = '\0';
        if (line_is_secret(buffer, (gsize)(end - buffer))) {
            out_bytes(out, buffer, strcspn(buffer, ":") + 1);
            out_text(out, " ***");
        } else {
            if (strncmp(buffer, "args:", strlen("args:")) == 0)
                redact_argument(NULL, buffer);
            out_text(out, buffer);
        }
        out_text(out, "\n");
        buffer = is_last ? end : end + 1;
    }
}

static const char *
configuration_copy(CaptureOut *out, int fd)
{
    char *buffer = mmap(NULL, CONFIGURATION_BYTES_MAX + 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    gsize length = 0;
    ssize_t n = 1;

    if (buffer == MAP_FAILED)
        return strerrordesc_np(errno);
    while (n > 0 && length < CONFIGURATION_BYTES_MAX) {
        n = read(fd, buffer + length, CONFIGURATION_BYTES_MAX - length);
        length += n > 0 ? (gsize)n : 0;
    }
    configuration_write(out, buffer);
    return n < 0 ? strerrordesc_np(errno) : NULL;
}

static const char *
configuration_read(CaptureOut *out, const Capture *capture)
{
    char path[64], line[64];
    struct stat st;
    auto_fd fd = -1;

    g_snprintf(path, sizeof path, "pve/qemu-server/%s.conf", vmid_of(capture));
    fd = host_open_beneath(host_root_fd(capture_host(capture), HOST_ETC), path,
                           O_RDONLY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return strerrordesc_np(errno);
    out_text(out, "### ");
    out_text(out, path);
    g_snprintf(line, sizeof line, ", written at %lld s since 1970 (UTC)\n",
               (long long)st.st_mtim.tv_sec);
    out_text(out, line);
    return configuration_copy(out, fd);
}

void
capture_configuration(Capture *capture)
{
    if (vmid_of(capture))
        capture_run_child(capture, configuration_read);
    else
        capture_step_end(capture, STEP_SKIPPED, "not done: no Proxmox VM");
}

/* As it is: rrdtool reads it anywhere. */
static const char *
statistics_read(CaptureOut *out, const Capture *capture)
{
    static const char *const directories[] = {"pve-vm-9.0", "pve2-vm"};
    int var_fd = host_root_fd(capture_host(capture), HOST_VAR);
    char buffer[4096], path[128];
    auto_fd fd = -1;
    ssize_t n = 1;

    for (guint i = 0; i < G_N_ELEMENTS(directories) && fd < 0; i++) {
        g_snprintf(path, sizeof path, "rrdcached/db/%s/%s", directories[i], vmid_of(capture));
        fd = host_open_beneath(var_fd, path, O_RDONLY | O_NONBLOCK);
    }
    if (fd < 0)
        return strerrordesc_np(errno);
    while (n > 0 && !out->is_cut && out->error_number == 0) {
        n = read(fd, buffer, sizeof buffer);
        if (n > 0)
            out_bytes(out, buffer, (gsize)n);
    }
    return n < 0 ? strerrordesc_np(errno) : NULL;
}

void
capture_statistics(Capture *capture)
{
    if (vmid_of(capture))
        capture_run_child(capture, statistics_read);
    else
        capture_step_end(capture, STEP_SKIPPED, "not done: no Proxmox VM");
}
