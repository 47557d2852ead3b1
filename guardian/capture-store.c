/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Directories of bundles. Below HOST_RUN everything is memory and done at once; below HOST_VAR
 * everything is done in a child, under a hidden name until it is whole. Nothing here follows a link
 * or trusts a directory that others may write to. */

#include "capture-store.h"
#include "capture-private.h"

#include "state-directory.h"
#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* "-20260730T152107Z" */
#define STAMP_LENGTH 17
/* Leaves room in NAME_MAX for the stamp and the hidden name's prefix. */
#define NAME_BYTES_MAX 100
#define HIDDEN ".part-"
/* Two VMs whose names look alike, captured in the same second. */
#define NAME_TRIES 10

char *
capture_name(const char *vm_name, gint64 realtime_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(realtime_us / G_USEC_PER_SEC);
    g_autofree char *stamp = time ? g_date_time_format(time, "%Y%m%dT%H%M%SZ") : NULL;
    GString *name = g_string_new(NULL);

    for (const char *p = vm_name; *p && name->len < NAME_BYTES_MAX; p++)
        g_string_append_c(name, g_ascii_isalnum(*p) || strchr("-_.", *p) ? *p : '_');
    if (name->len == 0 || name->str[0] == '.') /* hidden, or "..": neither */
        g_string_prepend_c(name, '_');
    g_string_append_printf(name, "-%s", stamp ? stamp : "00000000T000000Z");
    return g_string_free(name, FALSE);
}

bool
capture_name_is_valid(const char *name)
{
    gsize length = strlen(name);

    if (length <= STAMP_LENGTH || length > NAME_BYTES_MAX + 1 + STAMP_LENGTH || name[0] == '.' ||
        name[length - STAMP_LENGTH] != '-' || name[length - 1] != 'Z')
        return false;
    for (const char *p = name; *p; p++)
        if (!g_ascii_isalnum(*p) && !strchr("-_.", *p))
            return false;
    return true;
}

int
capture_directory_open(const Host *host, HostRoot root)
{
    /* below run the first is as open as the control socket needs it */
    return state_directory_open(host_root_fd(host, root), "captures",
                                root == HOST_RUN ? 0755 : 0700);
}

int
capture_make_directory(const Host *host, const char *vm_name, gint64 realtime_us, char **ret_name,
                       GError **error)
{
    auto_fd captures_fd = capture_directory_open(host, HOST_RUN);
    int dir_fd = -1;

    for (guint i = 0; captures_fd >= 0 && i < NAME_TRIES; i++) {
        g_autofree char *name = capture_name(vm_name, realtime_us + i * G_USEC_PER_SEC);

        if (mkdirat(captures_fd, name, 0700) < 0) {
            if (errno == EEXIST)
                continue;
            break;
        }
        dir_fd = host_open_beneath(captures_fd, name, O_RDONLY | O_DIRECTORY);
        if (dir_fd >= 0)
            *ret_name = g_steal_pointer(&name);
        break;
    }
    if (dir_fd < 0) {
        int number = errno;
        g_autofree char *path =
            g_build_filename(host_root_path(host, HOST_RUN), CAPTURE_DIRECTORY, NULL);

        guardian_set_errno(error, number, "make a bundle in", path);
    }
    return dir_fd;
}

static void
file_remove(const char *name, gpointer data)
{
    (void)unlinkat(*(const int *)data, name, 0);
}

/* A bundle holds plain files only. */
void
capture_bundle_remove(int captures_fd, const char *name)
{
    auto_fd dir_fd = host_open_beneath(captures_fd, name, O_RDONLY | O_DIRECTORY);

    if (dir_fd >= 0)
        (void)each_entry(dir_fd, G_MAXUINT, file_remove, &dir_fd);
    (void)unlinkat(captures_fd, name, AT_REMOVEDIR);
}

typedef struct {
    guint n;
    char oldest[NAME_BYTES_MAX + STAMP_LENGTH + 2];
} Census;

static void
census_take(const char *name, gpointer data)
{
    Census *census = data;
    gsize length = strlen(name), oldest = strlen(census->oldest);

    if (!capture_name_is_valid(name))
        return; /* somebody else's */
    if (census->n++ == 0 ||
        strcmp(name + length - STAMP_LENGTH, census->oldest + oldest - STAMP_LENGTH) < 0)
        memcpy(census->oldest, name, length + 1);
}

void
capture_prune(int captures_fd, guint keep)
{
    guint before = G_MAXUINT;

    for (;;) {
        Census census = {0};

        if (lseek(captures_fd, 0, SEEK_SET) < 0 ||
            !each_entry(captures_fd, G_MAXUINT, census_take, &census) || census.n <= keep ||
            census.n >= before) /* what cannot be removed must not be tried for ever */
            return;
        before = census.n;
        capture_bundle_remove(captures_fd, census.oldest);
    }
}

void
capture_prune_memory(const Host *host, guint keep)
{
    auto_fd captures_fd = capture_directory_open(host, HOST_RUN);

    if (captures_fd >= 0)
        capture_prune(captures_fd, keep);
}

typedef struct {
    int from_fd, to_fd;
    int error_number; /* of the first that failed */
} Copy;

static void
file_copy(const char *name, gpointer data)
{
    Copy *copy = data;
    auto_fd from_fd = host_open_beneath(copy->from_fd, name, O_RDONLY);
    auto_fd to_fd = host_open_beneath(copy->to_fd, name, O_WRONLY | O_CREAT | O_EXCL);
    CaptureOut out = {.fd = to_fd, .left = G_MAXUINT64};
    char buffer[16384];
    ssize_t n = 1;

    if (copy->error_number != 0)
        return;
    while (n > 0 && from_fd >= 0 && to_fd >= 0 && out.error_number == 0) {
        n = read(from_fd, buffer, sizeof buffer);
        out_bytes(&out, buffer, n > 0 ? (gsize)n : 0);
    }
    if (out.error_number != 0)
        copy->error_number = out.error_number;
    else if (from_fd < 0 || to_fd < 0 || n < 0 || fsync(to_fd) < 0)
        copy->error_number = errno ? errno : EIO;
}

/* A copy that was killed, perhaps years ago. */
static void
leftover_remove(const char *name, gpointer data)
{
    if (g_str_has_prefix(name, HIDDEN))
        capture_bundle_remove(*(const int *)data, name);
}

int
capture_bundle_copy(int dir_fd, const char *name, int captures_fd)
{
    char hidden[sizeof HIDDEN + NAME_BYTES_MAX + STAMP_LENGTH + 2];
    auto_fd from_fd = host_open_beneath(dir_fd, ".", O_RDONLY | O_DIRECTORY);
    auto_fd to_fd = -1;
    Copy copy = {.from_fd = from_fd};

    g_snprintf(hidden, sizeof hidden, HIDDEN "%s", name);
    (void)each_entry(captures_fd, G_MAXUINT, leftover_remove, &captures_fd);
    if (from_fd < 0 || mkdirat(captures_fd, hidden, 0700) < 0)
        return errno;
    to_fd = host_open_beneath(captures_fd, hidden, O_RDONLY | O_DIRECTORY);
    if (to_fd < 0)
        return errno;
    copy.to_fd = to_fd;
    if (!each_entry(from_fd, G_MAXUINT, file_copy, &copy))
        copy.error_number = errno;
    if (copy.error_number == 0 &&
        (fsync(to_fd) < 0 || renameat(captures_fd, hidden, captures_fd, name) < 0))
        copy.error_number = errno;
    if (copy.error_number != 0)
        capture_bundle_remove(captures_fd, hidden);
    return copy.error_number;
}

static void
store_run(int answer_fd, gconstpointer data)
{
    const Capture *capture = data;
    auto_fd captures_fd = capture_directory_open(capture_host(capture), HOST_VAR);
    int number =
        captures_fd < 0 ? errno : capture_bundle_copy(capture->dir_fd, capture->name, captures_fd);
    const char *why = number ? strerrordesc_np(number) : "";

    if (number == 0) {
        capture_prune(captures_fd, (guint)capture->keep);
        (void)fsync(captures_fd);
    }
    if (write(answer_fd, why, strlen(why)) < 0)
        _exit(1);
}

static void
store_done(const char *answer, gsize length, gpointer user_data)
{
    Capture *capture = user_data;
    const Host *host = capture_host(capture);

    capture->is_stored = answer && length == 0;
    if (capture->is_stored) {
        auto_fd captures_fd = capture_directory_open(host, HOST_RUN);

        if (captures_fd >= 0)
            capture_bundle_remove(captures_fd, capture->name);
    } else {
        capture->problem =
            g_strdup_printf("stays in memory: %s/%s %s%s", host_root_path(host, HOST_VAR),
                            CAPTURE_DIRECTORY, answer ? "cannot be written: " : "hung",
                            !answer  ? ""
                            : length ? answer
                                     : "died");
    }
    capture_stored(capture);
}

void
capture_store(Capture *capture, gint64 deadline_us)
{
    const ChildCall call = {
        .run = store_run,
        .done = store_done,
        .data = capture,
        .keep_fds = {capture->dir_fd, host_root_fd(capture_host(capture), HOST_VAR)},
        .deadline_us = deadline_us};

    if (children_run(capture_children(capture), &call))
        return;
    capture->problem = g_strdup("stays in memory: too many processes of ours hang already");
    capture_stored(capture);
}
