/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits of a disk as its domain's XML has them; without <iotune> it has none. */

#include "domain-xml.h"
#include "throttle.h"

/* NULL with a sentence of its own in *ret_wrong for what libvirt refuses. */
Throttle *domain_disk_limits(const DomainDisk *disk, char **ret_wrong) G_GNUC_WARN_UNUSED_RESULT;
/* By target or alias; NULL: no XML, no such disk, or its limits cannot be read. */
Throttle *domain_xml_limits(const DomainXml *xml, const char *word) G_GNUC_WARN_UNUSED_RESULT;
