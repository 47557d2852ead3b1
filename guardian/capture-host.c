/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the host says: pressure, disks, the VM's memory group, the kernel's log, versions. */

#include "capture-private.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>

/* The end of the kernel's log. A ring is 256 KiB to 1 MiB; a flood of errors fills that in seconds,
 * and the rest is in the journal. */
#define KERNEL_LOG_BYTES (256 * 1024)
/* syslog(2): SYSLOG_ACTION_READ_ALL; glibc has no name for it. Takes nothing out of the log. */
#define KERNEL_LOG_READ_ALL 3

static const char *
host_read_files(CaptureOut *out, const Capture *capture)
{
    static const char *const files[] = {"pressure/cpu", "pressure/io", "pressure/memory", "loadavg",
                                        "diskstats",    "meminfo",     "vmstat",          "mdstat"};
    int proc_fd = host_root_fd(capture_host(capture), HOST_PROC);
    char own[32];

    for (guint i = 0; i < G_N_ELEMENTS(files); i++)
        out_file(out, proc_fd, files[i]);
    /* "self" would be a link */
    g_snprintf(own, sizeof own, "%d/mountinfo", (int)getpid());
    out_file(out, proc_fd, own);
    return NULL;
}

void
capture_host_files(Capture *capture)
{
    capture_run_child(capture, host_read_files);
}

static const char *
group_read(CaptureOut *out, const Capture *capture)
{
    static const char *const v2[] = {"memory.current",  "memory.max",    "memory.high",
                                     "memory.stat",     "memory.events", "memory.swap.current",
                                     "memory.pressure", "io.pressure",   "cpu.pressure",
                                     "cpu.stat",        "io.stat",       "io.max"};
    static const char *const v1[] = {
        "memory.usage_in_bytes",      "memory.limit_in_bytes", "memory.max_usage_in_bytes",
        "memory.kmem.usage_in_bytes", "memory.failcnt",        "memory.stat",
        "memory.oom_control"};
    const Cgroup *cgroup = capture->vm->cgroup;
    const CgroupPath *path = cgroup_path(cgroup);
    const char *const *files = path->is_v2 ? v2 : v1;
    guint n = path->is_v2 ? G_N_ELEMENTS(v2) : G_N_ELEMENTS(v1);
    const char *below = path->path + strspn(path->path, "/");
    auto_fd dir_fd =
        host_open_beneath(cgroup_mount_fd(cgroup), *below ? below : ".", O_RDONLY | O_DIRECTORY);

    out_text(out, "group ");
    out_text(out, path->path);
    out_text(out, "\n");
    if (dir_fd < 0)
        return strerrordesc_np(errno);
    for (guint i = 0; i < n; i++)
        out_file(out, dir_fd, files[i]);
    return NULL;
}

void
capture_group(Capture *capture)
{
    if (capture->vm && capture->vm->cgroup)
        capture_run_child(capture, group_read);
    else
        capture_step_end(capture, STEP_SKIPPED, "not done: the VM's memory group is not known");
}

static const char *
kernel_log_read(CaptureOut *out, const Capture *capture)
{
    char *buffer =
        mmap(NULL, KERNEL_LOG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int length = buffer == MAP_FAILED ? -1 : klogctl(KERNEL_LOG_READ_ALL, buffer, KERNEL_LOG_BYTES);

    if (length < 0)
        return strerrordesc_np(errno);
    out_bytes(out, buffer, (gsize)length);
    return NULL;
}

void
capture_kernel_log(Capture *capture)
{
    capture_run_child(capture, kernel_log_read);
}

/* The NT_GNU_BUILD_ID among the notes at [offset, +size) of the file; written as hex. */
static bool
notes_find_build_id(int fd, off_t offset, guint64 size, CaptureOut *out)
{
    char notes[4096];
    ssize_t length = pread(fd, notes, (gsize)MIN(size, sizeof notes), offset);
    Elf64_Nhdr note;

    for (gsize at = 0; length > 0 && at + sizeof note <= (gsize)length;) {
        gsize name, data;

        memcpy(&note, notes + at, sizeof note);
        name = at + sizeof note;
        data = name + (((gsize)note.n_namesz + 3) & ~(gsize)3);
        at = data + (((gsize)note.n_descsz + 3) & ~(gsize)3);
        if (at > (gsize)length)
            return false;
        if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
            memcmp(notes + name, "GNU", 4) != 0)
            continue;
        for (gsize i = 0; i < note.n_descsz; i++) {
            char hex[4];

            g_snprintf(hex, sizeof hex, "%02x", (guint)(guint8)notes[data + i]);
            out_text(out, hex);
        }
        return true;
    }
    return false;
}

static bool
elf_find_build_id(int fd, CaptureOut *out)
{
    Elf64_Ehdr header;
    Elf64_Phdr program;

    if (pread(fd, &header, sizeof header, 0) != sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    for (guint i = 0; i < header.e_phnum; i++) {
        off_t at = (off_t)(header.e_phoff + i * sizeof program);

        if (pread(fd, &program, sizeof program, at) != sizeof program)
            return false;
        if (program.p_type == PT_NOTE &&
            notes_find_build_id(fd, (off_t)program.p_offset, program.p_filesz, out))
            return true;
    }
    return false;
}

/* Reading the executable pages it in, perhaps from the dead disk. */
static const char *
versions_read(CaptureOut *out, const Capture *capture)
{
    const Vm *vm = capture->vm;
    char target[1024];
    ssize_t length = readlinkat(capture->proc_fd, "exe", target, sizeof target);
    auto_fd fd = -1;
    bool is_found;

    out_text(out, "vm-guardian " VERSION "\nqemu ");
    out_text(out, vm && vm->qemu_version ? vm->qemu_version : "unknown");
    out_text(out, "\n");
    out_file(out, host_root_fd(capture_host(capture), HOST_PROC), "version");
    out_text(out, "executable ");
    if (length > 0)
        out_bytes(out, target, (gsize)length);
    fd = openat(capture->proc_fd, "exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return strerrordesc_np(errno);
    out_text(out, "\nbuild-id ");
    is_found = elf_find_build_id(fd, out);
    out_text(out, is_found ? "\n" : "unknown\n");
    return is_found ? NULL : "the executable has no readable build-id";
}

void
capture_versions(Capture *capture)
{
    capture_run_child(capture, versions_read);
}
