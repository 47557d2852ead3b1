/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One errand to a libvirtd, run in a worker thread because any call may block for ever: plain
 * structs in, plain structs out. The library is loaded when it is first needed, so that what never
 * talks to libvirt does not load it, and a host without it works.
 *
 * The calls that may be made on every VM stand in one table (libvirt-calls.h). None of them asks
 * QEMU for more than query-blockstats: what makes QEMU look at its images (the block group of the
 * statistics, virDomainGetBlockInfo, GetBlockIoTune, GetDiskErrors) hangs it on a dead file system.
 */

#include "domain-xml.h"
#include "libvirt-events.h"
#include "model.h"

/* An open connection, used by one thread at a time. */
typedef struct LibvirtLink LibvirtLink;

typedef enum {
    ERRAND_LIST,    /* which domains run */
    ERRAND_FIGURES, /* state, balloon, vcpu, iothread of all, without waiting for a held job */
    ERRAND_DOMAIN,  /* one domain: state, counters of its disks, and its XML when wanted */
    ERRAND_PASS,    /* commands to its QEMU, which taint it: libvirt-passthrough.h */
    ERRAND_TUNE,    /* limits of one disk, and whether anything runs that a write would disturb */
} LibvirtErrandKind;

typedef struct {
    LibvirtErrandKind kind;
    char *uri;         /* to open where there is no link */
    LibvirtLink *link; /* owned; NULL: open one */
    char *uuid;        /* of ERRAND_DOMAIN, ERRAND_PASS */
    char **targets;    /* disks to count; NULL: as its XML says, which is then read */
    bool wants_xml;
    /* of ERRAND_PASS, ERRAND_TUNE: of a connection that may write; NULL: there is none */
    char *write_uri;
    char **commands; /* of ERRAND_PASS: QMP, one object each */
    char *target;    /* of ERRAND_TUNE: the disk */
    char **tune;     /* of ERRAND_TUNE: names of iotune.h and numbers in turn; NULL: only look */
    bool tunes_live, tunes_configured; /* what is told: QEMU, the next start */
    /* A reference; NULL: there is nothing to hear. Of ERRAND_LIST: they are heard on its link from
     * then on. */
    LibvirtEvents *events;
} LibvirtErrand;

typedef struct {
    char *uuid, *name;
    guint id;
} LibvirtListed;

typedef struct {
    char *uuid;
    DomainNumber balloon_bytes, vcpus, iothreads;
} LibvirtFigures;

typedef struct {
    char *target;
    bool has_counters; /* false: an empty drive, or libvirt could not tell */
    guint64 rd_ops, rd_bytes, wr_ops, wr_bytes, flush_ops, total_time_ns;
} LibvirtDisk;

typedef enum {
    OUTCOME_GOOD,
    OUTCOME_REFUSED, /* libvirt said no: problem says why; the link lives */
    OUTCOME_GONE,    /* that domain does not run there */
    OUTCOME_DOWN,    /* no connection, or it broke: link is NULL */
} LibvirtOutcome;

typedef struct {
    LibvirtOutcome outcome;
    char *problem;      /* printable; NULL when good */
    LibvirtLink *link;  /* to be used again; NULL */
    GPtrArray *listed;  /* of LibvirtListed; NULL */
    GPtrArray *figures; /* of LibvirtFigures; NULL */
    RunState run;
    DomainXml *persistent; /* of its next start, with xml; NULL: none */
    DomainXml *xml;        /* NULL: not wanted, or unreadable */
    char *xml_problem;     /* why it is unreadable; NULL */
    GPtrArray *disks;      /* of LibvirtDisk; NULL */
    bool hears_events;     /* on its link */
    GPtrArray *answers;    /* of char *: what QEMU said to each command, JSON unseen; NULL */
    const char *busy;      /* of ERRAND_TUNE: what runs on the domain, static; NULL: nothing */
    bool was_tuned;        /* libvirt was told; what it made of it is in the XMLs */
} LibvirtReply;

/* Takes nothing but errand's link. Never NULL. */
typedef LibvirtReply *(*LibvirtWorkFunc)(LibvirtErrand *errand, gpointer library);

typedef struct {
    LibvirtWorkFunc work; /* NULL: libvirt cannot be used */
    void (*close)(LibvirtLink *link, gpointer data);
    gpointer data; /* given to both */
    /* Who may call either holds data; both may be NULL. */
    gpointer (*hold)(gpointer data);
    void (*release)(gpointer data);
    char *problem; /* "not built in"; NULL */
} LibvirtLibrary;

/* Why there can be none, without loading anything: "not built in"; NULL: try. */
const char *libvirt_library_missing(void);
/* Never NULL. It is loaded in the thread of its first errand, which tells when that fails. */
LibvirtLibrary *libvirt_library_open(void);
/* Threads may still be in libvirt's: it is not unloaded. */
void libvirt_library_free(LibvirtLibrary *library);
/* How often each call was made so far: names and counts in turn, as text; new strings. The table's
 * calls that were never made are left out. */
char **libvirt_library_calls(const LibvirtLibrary *library);

GPtrArray *libvirt_listed_new(void);
GPtrArray *libvirt_figures_new(void);
GPtrArray *libvirt_disks_new(void);
void libvirt_errand_free(LibvirtErrand *errand);
/* But not its link: that is its lane's, or is closed by the library. */
void libvirt_reply_free(LibvirtReply *reply);
