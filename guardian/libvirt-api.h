/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libvirt's library, loaded when it is first needed, for the files that run errands in threads:
 * libvirt-work.c and libvirt-tune.c. Nobody else includes libvirt but libvirt-passthrough.c and
 * libvirt-watch.c. */

#include "libvirt-calls.h"
#include "libvirt-passthrough.h"
#include "libvirt-watch.h"
#include "libvirt-work.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

enum {
#define ROW(name, class, safe, why) CALL_##name,
    LIBVIRT_CALLS(ROW)
#undef ROW
        N_CALLS
};

typedef struct {
#define ROW(name, class, safe, why) __typeof__(name) *name;
    LIBVIRT_CALLS(ROW)
#undef ROW
    gint counts[N_CALLS];
    Passthrough *passthrough;
    LibvirtWatch *watch;
    gint references; /* of the library, and of each errand on its way */
    GMutex loading;
    bool is_loaded;
} Api;

/* Counts the call and makes it. */
#define CALL(api, name) (g_atomic_int_inc(&(api)->counts[CALL_##name]), (api)->name)

/* Held once. */
Api *libvirt_api_new(void);
/* Of Api. */
gpointer libvirt_api_hold(gpointer data);
void libvirt_api_release(gpointer data);
/* In the thread: to load it is to read the host's own disk, which may be the dead one. NULL when it
 * is loaded, else why not; valid until this thread's next try. */
const char *libvirt_api_load(Api *api);

/* What libvirt said last in this thread becomes the reply's problem. */
void libvirt_reply_fail(Api *api, LibvirtReply *reply, LibvirtOutcome outcome);
/* A call on a domain failed: it is gone, or libvirt has a reason. */
void libvirt_reply_fail_domain(Api *api, LibvirtReply *reply);
RunState libvirt_run_state(int state, int reason);
/* Both XMLs of the domain into the reply, or why not. */
void libvirt_read_xmls(Api *api, virDomainPtr domain, LibvirtReply *reply);

/* ERRAND_TUNE, on a connection of its own that may write. */
void libvirt_tune(Api *api, const LibvirtErrand *errand, LibvirtReply *reply);
