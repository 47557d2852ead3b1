/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-qm.h"

#include "act-throttle.h"
#include "drift-look.h"
#include "freeze.h"
#include "limits-request.h"
#include "pve-read.h"
#include "pveconf.h"
#include "sandbox.h"
#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* /etc/pve answers within milliseconds while the cluster has a quorum. */
#define READ_DEADLINE_US (5 * G_USEC_PER_SEC)
/* qm waits 10 s for the lock of the configuration, and then talks to QEMU. */
#define SET_DEADLINE_US (60 * G_USEC_PER_SEC)
/* The first words of its complaint are enough. */
#define SAID_MAX 200
/* What the child's answer ends with. */
#define ENDED_WELL '0'
#define ENDED_BADLY '1'

typedef struct {
    ActCall *call;
    char **argv;  /* of qm; NULL until it is run */
    bool was_set; /* qm was run */
    char *said;   /* what it complained of, printable; NULL: it ended well */
} QmJob;

/* qm said that all went well, and what it was run for is not there: no further write, until
 * somebody has looked. What it refused may go well another time. */
static void
note_unmatched(const QmJob *job, const char *value)
{
    const ActRecord *record = job->call->record;
    Vm *vm = act_throttle_subject(job->call->means->data, &record->subject);

    if (vm && !job->said &&
        !(value && act_throttle_is_same(record->field, value, record->new_value)))
        vm->limits_unmatched = true;
}

/* Frees the job first: the engine may go on at once. */
static void
job_end(QmJob *job, bool was_written, const char *value, const char *problem)
{
    ActCall *call = job->call;
    g_autofree char *kept = g_strdup(problem), *kept_value = g_strdup(value);

    if (job->was_set)
        note_unmatched(job, value);
    g_strfreev(job->argv);
    g_free(job->said);
    g_free(job);
    act_call_end(call, was_written, kept_value, kept);
}

static void
silence(int fd)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)dup2(null_fd, STDIN_FILENO);
    (void)dup2(null_fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
}

/* In the child: its complaints go straight into the answer. */
static void
set_in_child(int answer_fd, gconstpointer data)
{
    const QmJob *job = data;
    int status = -1;
    char end;
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        silence(answer_fd);
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        execvp(job->argv[0], job->argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    end = pid > 0 && status == 0 ? ENDED_WELL : ENDED_BADLY;
    (void)!write(answer_fd, &end, 1);
}

static void job_read(QmJob *job);

static void
set_done(const char *text, gsize length, gpointer data)
{
    QmJob *job = data;

    job->was_set = true;
    if (!text || length == 0)
        job->said = g_strdup("qm set did not end in time");
    else if (text[length - 1] != ENDED_WELL) {
        g_autofree char *words = units_printable(text, MIN(length - 1, SAID_MAX));

        g_strstrip(words);
        job->said = g_strdup_printf("qm set failed: %s",
                                    *words ? words : "it is not there, or says nothing");
    }
    job_read(job);
}

/* Turns the drive as it stands there into one with other limits, a new string; NULL with a sentence
 * for what Proxmox has no words for. */
static char *
drive_with(Throttle *drive, const char *limits, const char **ret_problem)
{
    g_autoptr(Throttle) wanted = limits_parse(limits);
    g_autoptr(GPtrArray) lost = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) pairs = NULL;

    *ret_problem = "no limits that may be written";
    if (!wanted)
        return NULL;
    memcpy(drive->fields, wanted->fields, sizeof drive->fields);
    pairs = throttle_print(THROTTLE_PROXMOX, drive, lost);
    *ret_problem = "Proxmox has no words for these limits";
    return lost->len == 0 ? throttle_join_drive((const char *const *)pairs) : NULL;
}

/* A static sentence; NULL: it may be written. */
static const char *
find_hindrance(const QmJob *job, const PveConf *conf, const PveRead *read)
{
    const ActRecord *record = job->call->record;
    const Vm *vm = act_throttle_subject(job->call->means->data, &record->subject);

    if (!vm)
        return "the VM's process is gone";
    if (freeze_is_suspect(&vm->track))
        return "a stall is suspected on the VM";
    if (vm->run != RUN_RUNNING)
        return "the VM is not running";
    if (pve_value(pveconf_live(conf), "lock"))
        return "the configuration is locked";
    if (pveconf_pending(conf) && pve_find(pveconf_pending(conf), record->where))
        return "a change of the disk is pending until the next start";
    if (read->is_cut)
        return "the configuration is too long to know its digest";
    return NULL;
}

/* Below /etc/pve the daemon's own unit may not write. */
static char **
words_of(const ActRecord *record, const PveRead *read, const char *drive)
{
    g_autofree char *digest =
        g_compute_checksum_for_data(G_CHECKSUM_SHA1, (const guchar *)read->text, read->length);
    g_autofree char *key = g_strconcat("--", record->where, NULL);
    const char *const words[] = {"qm", "set", record->subject.id, "--digest", digest, key, drive};
    GPtrArray *argv = g_ptr_array_new();

    if (sandbox_is_around_us())
        sandbox_leave(argv, "vm-guardian qm set", SET_DEADLINE_US);
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        g_ptr_array_add(argv, g_strdup(words[i]));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

static bool
job_set(QmJob *job, Throttle *present, const PveRead *read, const char **ret_problem)
{
    g_autofree char *drive = drive_with(present, job->call->record->new_value, ret_problem);

    if (!drive)
        return false;
    job->argv = words_of(job->call->record, read, drive);
    *ret_problem = "too many processes of ours hang already";
    return children_run(job->call->children, &(ChildCall){.run = set_in_child,
                                                          .done = set_done,
                                                          .data = job,
                                                          .deadline_us = SET_DEADLINE_US});
}

/* After qm: what it left behind decides, not what it said; but where it refused, what else is there
 * now is somebody else's, who was faster. */
static void
job_judge(QmJob *job, const char *value)
{
    const ActRecord *record = job->call->record;
    bool is_new = act_throttle_is_same(record->field, value, record->new_value);

    job_end(job, is_new || !job->said, value, is_new ? NULL : job->said);
}

static void
job_go_on(QmJob *job, const PveRead *read)
{
    const ActRecord *record = job->call->record;
    g_autoptr(PveConf) conf = pveconf_parse(read->text, read->length);
    const PveEntry *entry = pve_find(pveconf_live(conf), record->where);
    g_autofree char *wrong = NULL, *value = NULL;
    g_autoptr(Throttle) present = entry ? pve_drive_parse(entry, &wrong) : NULL;
    const char *problem;

    if (!present) {
        job_end(job, job->was_set, NULL, "the drive cannot be read in the configuration");
        return;
    }
    value = limits_print(present);
    if (job->was_set) {
        job_judge(job, value);
        return;
    }
    if (job->call->is_read_only) {
        job_end(job, false, value, NULL);
        return;
    }
    problem = find_hindrance(job, conf, read);
    if (!problem && !act_throttle_is_same(record->field, value, record->old_value))
        problem = "the limits were changed meanwhile";
    if (problem || !job_set(job, present, read, &problem))
        job_end(job, false, value, problem);
}

static void
on_read(const PveRead *read, gpointer data)
{
    QmJob *job = data;

    if (read && read->error_number == 0)
        job_go_on(job, read);
    else
        job_end(job, job->was_set, NULL,
                read ? "the configuration cannot be read" : "reading the configuration hangs");
}

static void
job_read(QmJob *job)
{
    const ActCall *call = job->call;

    if (!pve_read(call->host, call->children, call->record->subject.id, READ_DEADLINE_US, on_read,
                  job))
        job_end(job, job->was_set, NULL, "too many processes of ours hang already");
}

static void
on_calm(bool was_written, const char *value, const char *problem, gpointer data)
{
    QmJob *job = data;

    if (problem)
        job_end(job, false, NULL, problem);
    else
        job_read(job);
}

/* Backups and moves of disks lock the configuration, jobs by other hands do not. */
static void
job_ask(QmJob *job)
{
    const ActCall *call = job->call;
    Vm *vm = act_throttle_subject(call->means->data, &call->record->subject);

    if (!vm)
        job_end(job, false, NULL, "the VM's process is gone");
    else if (!limits_request_begin_calm(vm, call->host, on_calm, job))
        job_end(job, false, NULL, "another question about the VM's limits is under way");
}

static void
run(ActCall *call)
{
    const ActRecord *record = call->record;
    const char *id = record->subject.id;
    QmJob *job;

    if (!id || !*id || id[strspn(id, "0123456789")] != '\0' ||
        !pve_is_limited_drive(record->where) || strcmp(record->field, ACT_FIELD_LIMITS) != 0) {
        act_call_end(call, false, NULL, "it is no drive of a VM of Proxmox");
        return;
    }
    job = g_new0(QmJob, 1);
    job->call = call;
    if (call->is_read_only)
        job_read(job);
    else
        job_ask(job);
}

ActMeans
act_means_qm(const GPtrArray *vms)
{
    return (ActMeans){.name = ACT_MEANS_QM,
                      .data = (gpointer)vms,
                      .outlives_vm = true,
                      .run = run,
                      .is_same = act_throttle_is_same};
}
