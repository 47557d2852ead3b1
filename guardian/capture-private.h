/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files that make one capture share: capture.c the order of steps, capture-manifest.c what
 * is told of them, capture-proc.c and capture-host.c what children read, capture-qmp.c the monitor,
 * capture-stacks.c stacks, capture-witness.c what the host has written of the VM, capture-store.c
 * directories. */

#include "capture.h"

#include "capture-child.h"
#include "child.h"
#include "query.h"

#define CAPTURE_CUT "cut: the bundle has reached its size_max"
/* The tool that reads stacks, from its start to its end: QEMU stands for a part of that, and may
 * stand for a second. */
#define STACKS_TOOL_US (900 * G_GINT64_CONSTANT(1000))

typedef enum {
    STEP_DONE,   /* also with an error beside what was got */
    STEP_FAILED, /* nothing was got */
    STEP_SKIPPED,
    STEP_HUNG,
} StepEnd;

typedef enum {
    KIND_HARMLESS,
    KIND_MONITOR, /* asks QEMU */
    KIND_STOP,    /* holds QEMU */
} StepKind;

typedef struct CaptureStep {
    const char *name;
    const char *file; /* in the bundle; NULL none */
    StepKind kind;    /* what is not harmless is not done once such a step hung */
    gint64 box_us;    /* how long it may take */
    /* Ends by exactly one capture_step_end(), from within or later, before capture_left_us() is
     * over. */
    void (*begin)(Capture *capture);
    QmpCommand command; /* of capture_ask() */
} CaptureStep;

struct Captures {
    const Host *host;
    GMainContext *context;
    GTimeZone *zone; /* read once: its file may lie on the dead disk */
    Children *children;
    GPtrArray *all; /* of Capture, owned, oldest first: finished, running, waiting */
    Capture *running;
    gint64 named_us; /* of the newest name: no two have the same, not even where one has left */
    CaptureDoneFunc done;
    gpointer done_data;
    GSource *retry;   /* to move what stayed in memory; NULL none */
    bool is_rescuing; /* a child does so now */
    bool is_ending;
};

typedef struct {
    const CaptureStep *step;
    StepEnd end;
    char *error;                    /* printable; NULL none */
    gint64 started_us, duration_us; /* since the capture started */
    guint64 bytes;
} CaptureResult;

struct Capture {
    Captures *captures;
    Vm *vm; /* NULL: it has ended */
    CaptureOptions options;
    char *name;
    char *vm_name, *vm_id, *vm_uuid; /* printable */
    const char *source;
    pid_t pid;
    int proc_fd; /* /proc/<pid> */
    int dir_fd;  /* the bundle below run */

    const CaptureStep *steps;
    guint n_steps;
    GArray *results;            /* of CaptureResult: one a step that ended */
    const char *hung;           /* the intrusive step that hung */
    gint64 started_us, step_us; /* g_get_monotonic_time() scale */
    gint64 monotonic_us, boottime_us, realtime_us;
    guint64 size_max, bytes;
    gint64 keep;
    GSource *timer;

    struct {
        CaptureChildFunc func;
        int out_fd;
    } job;             /* of the child under way */
    gint64 seen_us;    /* of the samples-after step: newest sample */
    guint n_seen;      /* since then */
    guint stop_checks; /* of the stacks step */
    const char *stack_problem;
    char *journal_pattern;          /* of the journal step; NULL before */
    struct CaptureMonitor *monitor; /* of the step under way; NULL none */
    bool is_lent;                   /* vm->monitor_is_lent by us */
    gint64 session_us;

    bool is_complete;
    bool is_stored;
    char *problem; /* why it stayed below run; printable */
};

const Host *capture_host(const Capture *capture);
GMainContext *capture_context(const Capture *capture);
Children *capture_children(const Capture *capture);
const CaptureStep *capture_step(const Capture *capture);
/* Is the present step's time over? */
bool capture_is_late(const Capture *capture);
/* Of the present step's box and the whole capture's; at least a millisecond. */
gint64 capture_left_us(const Capture *capture);
/* The present step is over; error may be NULL. The next one may begin from within. */
void capture_step_end(Capture *capture, StepEnd end, const char *error);
/* Calls func after that time, unless capture_clear_timer() comes first. */
void capture_set_timer(Capture *capture, gint64 after_us, GSourceFunc func);
void capture_clear_timer(Capture *capture);
/* Did the step of that name end well? */
bool capture_has_done(const Capture *capture, const char *name);

typedef struct {
    const CaptureStep *steps;
    guint n;
} CaptureStepList;
extern const CaptureStep capture_steps[];
extern const guint capture_n_steps;
/* captures_begin() with steps of the caller's, for tests. */
bool captures_begin_steps(Captures *captures, Vm *vm, const CaptureOptions *options,
                          const CaptureStepList *list, char **ret_name,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void capture_start(Capture *capture);
void capture_free(gpointer capture);
/* The VM and the capture part. */
void capture_forget(Capture *capture);
/* It was moved, or stays: problem or is_stored is set. Lets the next one begin. */
void captures_finished(Captures *captures, Capture *capture);

/* capture-manifest.c: the text of manifest.json, new string. */
char *capture_manifest(const Capture *capture);
JsonNode *capture_summary(const Capture *capture);
void capture_result_clear(gpointer result);

/* Makes the present step's file, -1 when it has none. false: the step has ended. */
bool capture_open_file(Capture *capture, int *ret_fd);
/* The present step ends in call->done, or at once when there are too many children. */
void capture_start_child(Capture *capture, const ChildCall *call);
/* Writes a file of the bundle; NULL, or a static text of what went wrong. */
const char *capture_write(const Capture *capture, const char *file, const char *text);
/* Until size_max. */
guint64 capture_bytes_left(const Capture *capture);
/* The present step is to write text to its file. */
void capture_step_write(Capture *capture, const char *text);

/* Steps. */
void capture_state(Capture *capture);
void capture_samples_before(Capture *capture);
void capture_samples_after(Capture *capture);
void capture_timeline(Capture *capture);
void capture_process(Capture *capture);
void capture_descriptors(Capture *capture);
void capture_threads(Capture *capture);
void capture_command_line(Capture *capture);
void capture_host_files(Capture *capture);
void capture_group(Capture *capture);
void capture_kernel_log(Capture *capture);
void capture_versions(Capture *capture);
void capture_journal(Capture *capture);
void capture_configuration(Capture *capture);
void capture_statistics(Capture *capture);
void capture_ask(Capture *capture);
void capture_virtqueues(Capture *capture);
void capture_stacks(Capture *capture);
void capture_media(Capture *capture);
void capture_ask_media(Capture *capture);
/* Why a command that stats media might hang QEMU, a new string; NULL: it will not. */
char *capture_media_doubt(const Capture *capture);
/* Gives a shared monitor back; nothing to do where none is held. */
void capture_leave_monitor(Capture *capture);
/* Forgets a question in flight. */
void capture_drop_monitor(Capture *capture);

/* capture-rescue.c: captures_rescue() again in some minutes. */
void capture_rescue_later(Captures *captures);
/* The end of capture_store(): problem or is_stored is set. */
void capture_stored(Capture *capture);
