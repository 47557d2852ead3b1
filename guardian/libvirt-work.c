/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everything here but opening and freeing the library runs in worker threads, and touches nothing
 * but its errand, its link and the counts of calls. */

#include "libvirt-api.h"
#include "units.h"

#include <string.h>

struct LibvirtLink {
    virConnectPtr connection;
    PassthroughLink *passthrough; /* NULL: not needed yet */
    LibvirtHearing *hearing;      /* NULL: nobody wants to hear, or it tells nothing */
};

static void
link_close(LibvirtLink *link, gpointer data)
{
    Api *api = data;

    if (!link)
        return;
    passthrough_close(api->passthrough, link->passthrough);
    libvirt_watch_end(api->watch, link->connection, link->hearing);
    CALL(api, virConnectClose)(link->connection);
    g_free(link);
}

static LibvirtLink *
link_open(Api *api, const char *uri)
{
    virConnectPtr connection = CALL(api, virConnectOpenReadOnly)(uri);
    LibvirtLink *link;

    if (!connection)
        return NULL;
    link = g_new0(LibvirtLink, 1);
    link->connection = connection;
    return link;
}

void
libvirt_reply_fail(Api *api, LibvirtReply *reply, LibvirtOutcome outcome)
{
    const char *message = CALL(api, virGetLastErrorMessage)();

    reply->outcome = outcome;
    g_free(reply->problem);
    reply->problem = units_printable(message ? message : "libvirt does not say why", -1);
}

static void
reply_refuse(LibvirtReply *reply, const char *problem)
{
    reply->outcome = OUTCOME_REFUSED;
    reply->problem = g_strdup(problem);
}

void
libvirt_reply_fail_domain(Api *api, LibvirtReply *reply)
{
    int code = CALL(api, virGetLastErrorCode)();
    bool is_gone = code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_OPERATION_INVALID;

    libvirt_reply_fail(api, reply, is_gone ? OUTCOME_GONE : OUTCOME_REFUSED);
}

static void
do_list(Api *api, virConnectPtr connection, LibvirtReply *reply)
{
    virDomainPtr *domains = NULL;
    int n =
        CALL(api, virConnectListAllDomains)(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

    if (n < 0) {
        libvirt_reply_fail(api, reply, OUTCOME_REFUSED);
        return;
    }
    reply->listed = libvirt_listed_new();
    for (int i = 0; i < n; i++) {
        LibvirtListed *listed = g_new0(LibvirtListed, 1);
        char uuid[VIR_UUID_STRING_BUFLEN] = "";
        unsigned int id = CALL(api, virDomainGetID)(domains[i]);

        (void)CALL(api, virDomainGetUUIDString)(domains[i], uuid);
        listed->uuid = g_strdup(uuid);
        listed->name = g_strdup(CALL(api, virDomainGetName)(domains[i]));
        listed->id = id == (unsigned int)-1 ? 0 : id;
        g_ptr_array_add(reply->listed, listed);
        CALL(api, virDomainFree)(domains[i]);
    }
    free(domains);
}

static DomainNumber
param_number(const virDomainStatsRecord *record, const char *name, guint64 factor)
{
    for (int i = 0; i < record->nparams; i++) {
        const virTypedParameter *param = &record->params[i];

        if (strcmp(param->field, name) != 0)
            continue;
        if (param->type == VIR_TYPED_PARAM_ULLONG && param->value.ul <= G_MAXINT64 / factor)
            return (DomainNumber){true, param->value.ul * factor};
        if (param->type == VIR_TYPED_PARAM_UINT)
            return (DomainNumber){true, param->value.ui * factor};
    }
    return (DomainNumber){0};
}

static void
do_figures(Api *api, virConnectPtr connection, LibvirtReply *reply)
{
    virDomainStatsRecordPtr *records = NULL;
    int n = CALL(api, virConnectGetAllDomainStats)(
        connection,
        VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU |
            VIR_DOMAIN_STATS_IOTHREAD,
        &records,
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);

    if (n < 0) {
        libvirt_reply_fail(api, reply, OUTCOME_REFUSED);
        return;
    }
    reply->figures = libvirt_figures_new();
    for (int i = 0; i < n; i++) {
        LibvirtFigures *figures = g_new0(LibvirtFigures, 1);
        char uuid[VIR_UUID_STRING_BUFLEN] = "";

        (void)CALL(api, virDomainGetUUIDString)(records[i]->dom, uuid);
        figures->uuid = g_strdup(uuid);
        figures->balloon_bytes = param_number(records[i], "balloon.current", 1024);
        figures->vcpus = param_number(records[i], "vcpu.current", 1);
        figures->iothreads = param_number(records[i], "iothread.count", 1);
        g_ptr_array_add(reply->figures, figures);
    }
    CALL(api, virDomainStatsRecordListFree)(records);
}

RunState
libvirt_run_state(int state, int reason)
{
    switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return RUN_RUNNING;
    case VIR_DOMAIN_PAUSED:
        switch (reason) {
        case VIR_DOMAIN_PAUSED_IOERROR:
            return RUN_IO_ERROR;
        case VIR_DOMAIN_PAUSED_MIGRATION:
        case VIR_DOMAIN_PAUSED_POSTCOPY:
        case VIR_DOMAIN_PAUSED_POSTCOPY_FAILED:
            return RUN_MIGRATING;
        case VIR_DOMAIN_PAUSED_STARTING_UP:
            return RUN_PRELAUNCH;
        case VIR_DOMAIN_PAUSED_CRASHED:
            return RUN_PANICKED;
        case VIR_DOMAIN_PAUSED_SHUTTING_DOWN:
            return RUN_SHUTDOWN;
        case VIR_DOMAIN_PAUSED_UNKNOWN:
        case VIR_DOMAIN_PAUSED_USER:
        case VIR_DOMAIN_PAUSED_SNAPSHOT:
            return RUN_PAUSED;
        default:
            return RUN_OTHER;
        }
    case VIR_DOMAIN_SHUTDOWN:
    case VIR_DOMAIN_SHUTOFF:
        return RUN_SHUTDOWN;
    case VIR_DOMAIN_CRASHED:
        return RUN_PANICKED;
    case VIR_DOMAIN_PMSUSPENDED:
        return RUN_OTHER;
    default:
        return RUN_UNKNOWN;
    }
}

/* NULL: libvirt gave none, or one that cannot be read, and *ret_problem says why. */
static DomainXml *
read_xml(Api *api, virDomainPtr domain, unsigned int flags, char **ret_problem)
{
    char *text = CALL(api, virDomainGetXMLDesc)(domain, flags);
    g_autoptr(GError) error = NULL;
    DomainXml *xml = text ? domain_xml_parse(text, strlen(text), &error) : NULL;

    if (error)
        *ret_problem = units_printable(error->message, -1);
    free(text);
    return xml;
}

void
libvirt_read_xmls(Api *api, virDomainPtr domain, LibvirtReply *reply)
{
    g_autofree char *unused = NULL;

    reply->xml = read_xml(api, domain, 0, &reply->xml_problem);
    if (!reply->xml && !reply->xml_problem) {
        libvirt_reply_fail_domain(api, reply);
        return;
    }
    if (CALL(api, virDomainIsPersistent)(domain) == 1)
        reply->persistent = read_xml(api, domain, VIR_DOMAIN_XML_INACTIVE, &unused);
}

static guint64
param_count(const virTypedParameter *params, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(params[i].field, name) == 0 && params[i].type == VIR_TYPED_PARAM_LLONG &&
            params[i].value.l > 0)
            return (guint64)params[i].value.l;
    return 0;
}

static bool
has_param(const virTypedParameter *params, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(params[i].field, name) == 0)
            return params[i].type == VIR_TYPED_PARAM_LLONG && params[i].value.l >= 0;
    return false;
}

/* false: the domain, not this disk, does not answer. */
static bool
count_disk(Api *api, virDomainPtr domain, const char *target, LibvirtReply *reply)
{
    /* as many as the wire protocol carries; libvirt's QEMU driver knows 8 */
    virTypedParameter params[16] = {0};
    int n = G_N_ELEMENTS(params), code;
    LibvirtDisk *disk = g_new0(LibvirtDisk, 1);

    disk->target = g_strdup(target);
    g_ptr_array_add(reply->disks, disk);
    if (CALL(api, virDomainBlockStatsFlags)(domain, target, params, &n, 0) < 0) {
        code = CALL(api, virGetLastErrorCode)();
        libvirt_reply_fail_domain(api, reply);
        /* taken out meanwhile, or without statistics: the other disks have theirs */
        return code == VIR_ERR_INVALID_ARG || code == VIR_ERR_INTERNAL_ERROR;
    }
    disk->has_counters = has_param(params, n, VIR_DOMAIN_BLOCK_STATS_READ_REQ) &&
                         has_param(params, n, VIR_DOMAIN_BLOCK_STATS_WRITE_REQ);
    disk->rd_ops = param_count(params, n, VIR_DOMAIN_BLOCK_STATS_READ_REQ);
    disk->rd_bytes = param_count(params, n, VIR_DOMAIN_BLOCK_STATS_READ_BYTES);
    disk->wr_ops = param_count(params, n, VIR_DOMAIN_BLOCK_STATS_WRITE_REQ);
    disk->wr_bytes = param_count(params, n, VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES);
    disk->flush_ops = param_count(params, n, VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ);
    disk->total_time_ns = param_count(params, n, VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES) +
                          param_count(params, n, VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES) +
                          param_count(params, n, VIR_DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES);
    return true;
}

static void
count_disks(Api *api, virDomainPtr domain, char **targets, LibvirtReply *reply)
{
    guint n_counted = 0;

    reply->disks = libvirt_disks_new();
    for (guint i = 0; targets[i]; i++) {
        if (!count_disk(api, domain, targets[i], reply))
            return;
        n_counted += ((const LibvirtDisk *)reply->disks->pdata[i])->has_counters;
    }
    if (n_counted == 0)
        return; /* why is in the reply */
    reply->outcome = OUTCOME_GOOD;
    g_clear_pointer(&reply->problem, g_free);
}

static void
do_domain(Api *api, virConnectPtr connection, const LibvirtErrand *errand, LibvirtReply *reply)
{
    virDomainPtr domain = CALL(api, virDomainLookupByUUIDString)(connection, errand->uuid);
    g_auto(GStrv) targets = g_strdupv(errand->targets);
    int state, reason;

    if (!domain) {
        libvirt_reply_fail_domain(api, reply);
        return;
    }
    if (CALL(api, virDomainGetState)(domain, &state, &reason, 0) < 0) {
        libvirt_reply_fail_domain(api, reply);
    } else {
        reply->run = libvirt_run_state(state, reason);
        if (!targets || errand->wants_xml)
            libvirt_read_xmls(api, domain, reply);
        if (reply->xml) {
            g_strfreev(targets);
            targets = domain_xml_targets(reply->xml);
        }
        if (targets)
            count_disks(api, domain, targets, reply);
        else if (reply->outcome == OUTCOME_GOOD)
            reply_refuse(reply, reply->xml_problem);
    }
    CALL(api, virDomainFree)(domain);
}

static void
do_pass(Api *api, LibvirtLink *link, const LibvirtErrand *errand, LibvirtReply *reply)
{
    if (!passthrough_ask(api->passthrough, &link->passthrough, errand, reply, &reply->problem))
        reply->outcome = OUTCOME_REFUSED;
}

/* Before the list: what starts after it was made is told. */
static void
hear(Api *api, const LibvirtErrand *errand, LibvirtLink *link)
{
    if (errand->events && !link->hearing && libvirt_watch_start(api->watch))
        link->hearing = libvirt_watch_hear(api->watch, link->connection, errand->events);
}

/* Leaves reply->link NULL when there is no connection. */
static void
connect_for(Api *api, LibvirtErrand *errand, LibvirtReply *reply)
{
    if (errand->events)
        (void)libvirt_watch_start(api->watch); /* without, libvirt is asked as ever */
    reply->link = g_steal_pointer(&errand->link);
    if (reply->link && CALL(api, virConnectIsAlive)(reply->link->connection) != 1) {
        link_close(reply->link, api);
        reply->link = NULL;
    }
    if (!reply->link)
        reply->link = link_open(api, errand->uri);
    if (!reply->link)
        libvirt_reply_fail(api, reply, OUTCOME_DOWN);
}

static LibvirtReply *
work(LibvirtErrand *errand, gpointer data)
{
    Api *api = data;
    LibvirtReply *reply = g_new0(LibvirtReply, 1);
    const char *problem;

    problem = libvirt_api_load(api);
    if (problem) {
        reply->outcome = OUTCOME_DOWN;
        reply->problem = units_printable(problem, -1);
        return reply;
    }
    connect_for(api, errand, reply);
    if (!reply->link)
        return reply;
    switch (errand->kind) {
    case ERRAND_LIST:
        hear(api, errand, reply->link);
        do_list(api, reply->link->connection, reply);
        break;
    case ERRAND_FIGURES:
        do_figures(api, reply->link->connection, reply);
        break;
    case ERRAND_DOMAIN:
        do_domain(api, reply->link->connection, errand, reply);
        break;
    case ERRAND_PASS:
        do_pass(api, reply->link, errand, reply);
        break;
    case ERRAND_TUNE:
        libvirt_tune(api, errand, reply);
        break;
    }
    if (reply->outcome != OUTCOME_GOOD &&
        CALL(api, virConnectIsAlive)(reply->link->connection) != 1) {
        reply->outcome = OUTCOME_DOWN;
        link_close(reply->link, api);
        reply->link = NULL;
    }
    reply->hears_events = reply->link && reply->link->hearing;
    return reply;
}

const char *
libvirt_library_missing(void)
{
    return NULL;
}

LibvirtLibrary *
libvirt_library_open(void)
{
    LibvirtLibrary *library = g_new0(LibvirtLibrary, 1);

    /* a session's daemon that is not there must not be started by our looking */
    g_setenv("LIBVIRT_AUTOSTART", "0", TRUE);
    library->work = work;
    library->close = link_close;
    library->data = libvirt_api_new();
    library->hold = libvirt_api_hold;
    library->release = libvirt_api_release;
    return library;
}
