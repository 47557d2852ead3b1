/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "domain-xml.h"

int
LLVMFuzzerTestOneInput(const guint8 *bytes, gsize length)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainXml) xml = domain_xml_parse((const char *)bytes, length, &error);

    g_assert(!xml == !!error);
    for (guint i = 0; xml && i < xml->disks->len; i++)
        (void)domain_xml_controller(xml, xml->disks->pdata[i]);
    return 0;
}
