/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one table of libvirt calls: name, what it is good for (the classes of qmp/query.h), whether
 * it answers while the domain's block path is frozen, and why. libvirt is not linked: a call that
 * is not a row has no address, so it cannot be made. Each is counted when it is made.
 *
 * Never a row, because with a disk on a dead file system they put QEMU's main thread into fstat
 * (measured on 9.0 and QEMU 7.2): virDomainGetBlockInfo, virDomainGetBlockIoTune,
 * virDomainGetDiskErrors, and the block group of virConnectGetAllDomainStats. */

#define LIBVIRT_CALLS(ROW)                                                                         \
    ROW(virSetErrorFunc, TICK, true, "keeps libvirt from writing to stderr")                       \
    ROW(virGetLastErrorCode, TICK, true, "why the last call of this thread failed")                \
    ROW(virGetLastErrorMessage, TICK, true, "the same in words")                                   \
    ROW(virConnectOpenReadOnly, TICK, true, "read-only: libvirtd itself refuses any change")       \
    ROW(virConnectIsAlive, TICK, true, "looks at the socket, asks nobody")                         \
    ROW(virConnectClose, TICK, true, "leaves")                                                     \
    ROW(virConnectListAllDomains, TICK, true, "libvirtd's own memory")                             \
    ROW(virConnectGetAllDomainStats, TICK, true, "without the block group, and without waiting")   \
    ROW(virDomainStatsRecordListFree, TICK, true, "memory")                                        \
    ROW(virDomainLookupByUUIDString, TICK, true, "libvirtd's own memory")                          \
    ROW(virDomainGetUUIDString, TICK, true, "the handle's own memory")                             \
    ROW(virDomainGetName, TICK, true, "the handle's own memory")                                   \
    ROW(virDomainGetID, TICK, true, "the handle's own memory")                                     \
    ROW(virDomainGetState, TICK, true, "libvirtd's own memory")                                    \
    ROW(virDomainIsPersistent, TICK, true, "libvirtd's own memory")                                \
    ROW(virDomainGetXMLDesc, TICK, true, "libvirtd's own memory, once a minute")                   \
    ROW(virDomainBlockStatsFlags, TICK, true, "one query-blockstats; waits for a held job")        \
    ROW(virConnectOpen, ENFORCE, true, "a read-only connection may not change anything")           \
    ROW(virDomainGetJobInfo, ENFORCE, true, "a migration, backup, save: leave it alone")           \
    ROW(virDomainGetBlockJobInfo, ENFORCE, true, "the same of a disk; at most query-block-jobs")   \
    ROW(virTypedParamsAddULLong, ENFORCE, true, "memory")                                          \
    ROW(virTypedParamsFree, ENFORCE, true, "memory")                                               \
    ROW(virDomainSetBlockIoTune, ENFORCE, true, "another nonzero limit, never while suspect")      \
    ROW(virDomainFree, TICK, true, "memory")
