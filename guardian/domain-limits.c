/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-limits.h"

Throttle *
domain_disk_limits(const DomainDisk *disk, char **ret_wrong)
{
    static const char *const none[] = {NULL};

    return throttle_parse(THROTTLE_LIBVIRT, disk->iotune ? (const char *const *)disk->iotune : none,
                          ret_wrong);
}

Throttle *
domain_xml_limits(const DomainXml *xml, const char *word)
{
    const DomainDisk *disk = xml ? domain_xml_disk(xml, word) : NULL;
    g_autofree char *wrong = NULL;

    return disk ? domain_disk_limits(disk, &wrong) : NULL;
}
