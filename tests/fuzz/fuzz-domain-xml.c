/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-xml.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainXml) xml = domain_xml_parse((const char *)data, size, &error);

    g_assert(!xml == !!error);
    for (guint i = 0; xml && i < xml->disks->len; i++)
        (void)domain_xml_controller(xml, xml->disks->pdata[i]);
    return 0;
}
