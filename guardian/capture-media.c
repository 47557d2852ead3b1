/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* May QEMU be asked what makes it stat its media? Never for an alert: what storage did a moment ago
 * is no promise, and nobody would be there. Else only when there is no doubt left: no stall is
 * suspected, every disk has completed something since the sample before the newest, and each open
 * file, backing files and ISOs too, has just let itself be looked at from outside. A disk on the
 * network need not be stat'ed, but its backing file may lie anywhere: it counts like the others. */

#include "capture-private.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* From what is known in memory; new string, NULL without a doubt. */
static char *
doubt_of_disks(const Capture *capture)
{
    const Vm *vm = capture->vm;

    if (capture->options.is_automatic)
        return g_strdup("not done: only when a person asks for a capture");
    if (!vm || !vm->has_sample || vm->sample.monitor != MONITOR_ANSWERED || !vm->sample.has_disks)
        return g_strdup("not done: the VM's disks are not known, and this command could hang QEMU");
    if (freeze_is_suspect(&vm->track))
        return g_strdup("not done: a stall is suspected, and this command could hang QEMU");
    for (guint i = 0; i < vm->sample.n_disks; i++) {
        const DiskSample *disk = &vm->sample.disks[i];
        gint64 moved_us = 0;
        bool has_moved = recorder_disk_moved(vm->recorder, disk->id, &moved_us);
        g_autofree char *since = NULL;

        if (has_moved && moved_us == vm->sample.now_us)
            continue;
        since = has_moved ? report_utc(capture->realtime_us - (capture->monotonic_us - moved_us))
                          : g_strdup("it is watched");
        return g_strdup_printf("not done: disk %s completed nothing since %s, and this command "
                               "would hang QEMU if its storage were dead",
                               disk->label, since);
    }
    return NULL;
}

typedef struct {
    int dir_fd;
    int error_number;
} Media;

/* What QEMU's own fstat() would do, on the same open file. */
static void
medium_stat(const char *name, gpointer data)
{
    Media *media = data;
    struct stat st;

    if (fstatat(media->dir_fd, name, &st, 0) < 0 && errno != ENOENT)
        media->error_number = errno;
}

static const char *
media_stat(CaptureOut *out, const Capture *capture)
{
    auto_fd dir_fd = host_open_beneath(capture->proc_fd, "fd", O_RDONLY | O_DIRECTORY);
    Media media = {.dir_fd = dir_fd};

    if (dir_fd < 0 || !each_entry(dir_fd, G_MAXUINT, medium_stat, &media))
        return strerrordesc_np(errno);
    return media.error_number ? strerrordesc_np(media.error_number) : NULL;
}

/* Not where there is a doubt already: a child that hangs is one less for the next capture. */
void
capture_media(Capture *capture)
{
    g_autofree char *doubt = doubt_of_disks(capture);

    if (doubt)
        capture_step_end(capture, STEP_SKIPPED, doubt);
    else
        capture_run_child(capture, media_stat);
}

char *
capture_media_doubt(const Capture *capture)
{
    char *doubt = doubt_of_disks(capture);

    if (!doubt && !capture_has_done(capture, "media"))
        doubt = g_strdup("not done: not every open file let itself be looked at, and this command "
                         "could hang QEMU");
    return doubt;
}
