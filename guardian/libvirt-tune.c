/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits of one disk through libvirt, in a worker thread: is the domain calm, what is in force, and
 * where that is wanted the write, between these two. A connection is opened for it and closed: a
 * write is rare. */

#include "libvirt-api.h"
#include "units.h"

/* A static phrase; NULL: nothing runs that a write would disturb. */
static const char *
find_job(Api *api, virDomainPtr domain, const char *target)
{
    virDomainJobInfo job;
    virDomainBlockJobInfo block_job;

    if (CALL(api, virDomainGetJobInfo)(domain, &job) < 0)
        return "libvirt does not tell whether a job runs on the VM";
    if (job.type != VIR_DOMAIN_JOB_NONE)
        return "a job of libvirt (migration, backup, save) runs on the VM";
    switch (CALL(api, virDomainGetBlockJobInfo)(domain, target, &block_job, 0)) {
    case 0:
        return NULL;
    case 1:
        return "a block job runs on the VM";
    default:
        return "libvirt does not tell whether a block job runs on the disk";
    }
}

static bool
set_limits(Api *api, virDomainPtr domain, const LibvirtErrand *errand)
{
    unsigned int flags = (errand->tunes_live ? VIR_DOMAIN_AFFECT_LIVE : 0) |
                         (errand->tunes_configured ? VIR_DOMAIN_AFFECT_CONFIG : 0);
    virTypedParameterPtr params = NULL;
    int n = 0, room = 0;
    bool is_good = true;

    for (guint i = 0; is_good && errand->tune[i]; i += 2)
        is_good = CALL(api, virTypedParamsAddULLong)(
                      &params, &n, &room, errand->tune[i],
                      g_ascii_strtoull(errand->tune[i + 1], NULL, 10)) == 0;
    is_good = is_good &&
              CALL(api, virDomainSetBlockIoTune)(domain, errand->target, params, n, flags) == 0;
    CALL(api, virTypedParamsFree)(params, n);
    return is_good;
}

/* What libvirt refuses may have been done in part: the XMLs tell. */
static void
tune_domain(Api *api, virDomainPtr domain, const LibvirtErrand *errand, LibvirtReply *reply)
{
    int state, reason;

    if (CALL(api, virDomainGetState)(domain, &state, &reason, 0) < 0) {
        libvirt_reply_fail_domain(api, reply);
        return;
    }
    reply->run = libvirt_run_state(state, reason);
    reply->busy = find_job(api, domain, errand->target);
    if (errand->tune && reply->run == RUN_RUNNING && !reply->busy) {
        reply->was_tuned = true;
        if (!set_limits(api, domain, errand))
            libvirt_reply_fail(api, reply, OUTCOME_REFUSED);
    }
    libvirt_read_xmls(api, domain, reply);
}

void
libvirt_tune(Api *api, const LibvirtErrand *errand, LibvirtReply *reply)
{
    virConnectPtr connection =
        errand->write_uri ? CALL(api, virConnectOpen)(errand->write_uri) : NULL;
    virDomainPtr domain;

    if (!connection) {
        reply->outcome = OUTCOME_REFUSED;
        reply->problem = g_strdup("its libvirtd has no connection that may write");
        return;
    }
    domain = CALL(api, virDomainLookupByUUIDString)(connection, errand->uuid);
    if (domain)
        tune_domain(api, domain, errand, reply);
    else
        libvirt_reply_fail_domain(api, reply);
    if (domain)
        CALL(api, virDomainFree)(domain);
    CALL(api, virConnectClose)(connection);
}
