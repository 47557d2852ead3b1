/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-domain.h"

/* Disks are plugged and limits changed by people: once a minute is soon enough. */
#define XML_PERIOD_US (60 * G_USEC_PER_SEC)

struct LibvirtDomain {
    LibvirtDaemon *daemon; /* borrowed */
    char *uuid;
    bool is_in_flight;    /* also past its deadline */
    gint64 asked_us;      /* g_get_monotonic_time() scale */
    gint64 looked_us;     /* the tick's, of the look that is open */
    LibvirtSeenFunc seen; /* NULL: no look is open */
    gpointer data;
    LibvirtSeenFunc tuned; /* NULL: no tuning is open */
    gpointer tuned_data;
    bool is_tuning;     /* in flight, also past its deadline */
    gint64 tuned_us;    /* g_get_monotonic_time() scale */
    char *late_problem; /* what the call that came back too late said; NULL */
    DomainXml *xml, *persistent;
    gint64 xml_us;
    bool is_xml_wanted;
    Tunes *tunes;
    LibvirtFigures figures;
    gint64 figures_us; /* 0 never */
};

LibvirtDomain *
libvirt_domain_new(LibvirtDaemon *daemon, const char *uuid)
{
    LibvirtDomain *domain = g_new0(LibvirtDomain, 1);

    domain->daemon = daemon;
    domain->uuid = g_strdup(uuid);
    domain->tunes = tunes_new();
    return domain;
}

static void
tell_tuned(LibvirtDomain *domain, const LibvirtReply *reply, bool is_late, const char *problem)
{
    LibvirtSeenFunc tuned = domain->tuned;

    domain->tuned = NULL;
    if (tuned)
        tuned(reply, is_late, g_get_monotonic_time() - domain->tuned_us, problem,
              domain->tuned_data);
}

void
libvirt_domain_free(LibvirtDomain *domain)
{
    if (!domain)
        return;
    libvirt_domain_cancel(domain);
    libvirt_domain_forget_tuning(domain);
    libvirt_daemon_forget(domain->daemon, domain);
    domain_xml_free(domain->xml);
    domain_xml_free(domain->persistent);
    tunes_free(domain->tunes);
    g_free(domain->late_problem);
    g_free(domain->uuid);
    g_free(domain);
}

static void
tell(LibvirtDomain *domain, const LibvirtReply *reply, bool is_late, const char *problem)
{
    LibvirtSeenFunc seen = domain->seen;

    domain->seen = NULL;
    if (seen)
        seen(reply, is_late, g_get_monotonic_time() - domain->asked_us, problem, domain->data);
}

static void
keep_xml(LibvirtDomain *domain, LibvirtReply *reply)
{
    domain_xml_free(domain->xml);
    domain_xml_free(domain->persistent);
    domain->xml = g_steal_pointer(&reply->xml);
    domain->persistent = g_steal_pointer(&reply->persistent);
    domain->xml_us = domain->looked_us;
}

static void
answered(LibvirtReply *reply, bool is_late, const char *problem, gpointer data)
{
    LibvirtDomain *domain = data;

    if (is_late) {
        tell(domain, NULL, true, NULL);
        return;
    }
    domain->is_in_flight = false;
    if (reply && reply->xml)
        keep_xml(domain, reply);
    tell(domain, reply, false, reply ? reply->problem : problem);
}

static void
came_back(const char *problem, gpointer data)
{
    LibvirtDomain *domain = data;

    domain->is_in_flight = false;
    g_free(domain->late_problem);
    domain->late_problem = g_strdup(problem);
}

/* false: the call before it has not come back, which it was told. */
static bool
begin(LibvirtDomain *domain, LibvirtSeenFunc seen, gpointer data)
{
    g_assert(!domain->seen && seen);
    domain->seen = seen;
    domain->data = data;
    if (!domain->is_in_flight)
        return true;
    tell(domain, NULL, true, NULL);
    return false;
}

static LibvirtErrand *
errand_new(const LibvirtDomain *domain, LibvirtErrandKind kind)
{
    LibvirtErrand *errand = g_new0(LibvirtErrand, 1);

    errand->kind = kind;
    errand->uuid = g_strdup(domain->uuid);
    return errand;
}

static void
send_errand(LibvirtDomain *domain, LibvirtErrand *errand, gint64 deadline_us)
{
    domain->asked_us = g_get_monotonic_time();
    domain->is_in_flight = true;
    libvirt_daemon_ask(domain->daemon, errand, deadline_us, answered, came_back, domain);
}

void
libvirt_domain_look(LibvirtDomain *domain, gint64 now_us, gint64 deadline_us, LibvirtSeenFunc seen,
                    gpointer data)
{
    LibvirtErrand *errand;

    if (!begin(domain, seen, data))
        return;
    errand = errand_new(domain, ERRAND_DOMAIN);
    errand->wants_xml =
        !domain->xml || domain->is_xml_wanted || now_us - domain->xml_us >= XML_PERIOD_US;
    domain->is_xml_wanted = false;
    errand->targets = domain->xml ? domain_xml_targets(domain->xml) : NULL;
    domain->looked_us = now_us;
    send_errand(domain, errand, deadline_us);
}

void
libvirt_domain_pass(LibvirtDomain *domain, char **commands, gint64 deadline_us,
                    LibvirtSeenFunc seen, gpointer data)
{
    LibvirtErrand *errand = errand_new(domain, ERRAND_PASS);

    errand->commands = commands;
    if (begin(domain, seen, data))
        send_errand(domain, errand, deadline_us);
    else
        libvirt_errand_free(errand);
}

void
libvirt_domain_forget_tuning(LibvirtDomain *domain)
{
    tell_tuned(domain, NULL, true, NULL);
}

static void
tuning_answered(LibvirtReply *reply, bool is_late, const char *problem, gpointer data)
{
    LibvirtDomain *domain = data;

    domain->is_tuning = is_late;
    tell_tuned(domain, reply, is_late, reply ? reply->problem : problem);
}

static void
tuning_came_back(const char *problem, gpointer data)
{
    ((LibvirtDomain *)data)->is_tuning = false;
}

bool
libvirt_domain_tune(LibvirtDomain *domain, const LibvirtTuning *tuning, gint64 deadline_us,
                    LibvirtSeenFunc seen, gpointer data)
{
    LibvirtErrand *errand;

    /* a look in flight that nobody waits for any more is late */
    if (domain->tuned || domain->is_tuning || (domain->is_in_flight && !domain->seen)) {
        g_strfreev(tuning->tune);
        return false;
    }
    errand = errand_new(domain, ERRAND_TUNE);
    errand->target = g_strdup(tuning->target);
    errand->tune = tuning->tune;
    errand->tunes_live = tuning->tunes_live;
    errand->tunes_configured = tuning->tunes_configured;
    domain->tuned = seen;
    domain->tuned_data = data;
    domain->is_tuning = true;
    domain->tuned_us = g_get_monotonic_time();
    libvirt_daemon_ask(domain->daemon, errand, deadline_us, tuning_answered, tuning_came_back,
                       domain);
    return true;
}

void
libvirt_domain_cancel(LibvirtDomain *domain)
{
    tell(domain, NULL, false, "cancelled");
}

void
libvirt_domain_want_xml(LibvirtDomain *domain)
{
    domain->is_xml_wanted = true;
}

LibvirtDaemon *
libvirt_domain_daemon(const LibvirtDomain *domain)
{
    return domain->daemon;
}

const DomainXml *
libvirt_domain_xml(const LibvirtDomain *domain, gint64 *ret_us)
{
    if (ret_us)
        *ret_us = domain->xml_us;
    return domain->xml;
}

const DomainXml *
libvirt_domain_persistent(const LibvirtDomain *domain)
{
    return domain->persistent;
}

Tunes *
libvirt_domain_tunes(const LibvirtDomain *domain)
{
    return domain->tunes;
}

void
libvirt_domain_set_figures(LibvirtDomain *domain, const LibvirtFigures *figures, gint64 now_us)
{
    domain->figures = *figures;
    domain->figures.uuid = NULL;
    domain->figures_us = now_us;
}

const LibvirtFigures *
libvirt_domain_figures(const LibvirtDomain *domain, gint64 *ret_us)
{
    if (ret_us)
        *ret_us = domain->figures_us;
    return domain->figures_us > 0 ? &domain->figures : NULL;
}
