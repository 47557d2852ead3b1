/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "owner-look.h"

#include "libvirt-domain.h"

#include <string.h>

/* Takes words and tags. */
static void
put_down(Vm *vm, GPtrArray *words, char *tags)
{
    bool is_new = !owner_words_equal(vm->owner, words) || g_strcmp0(vm->tags, tags) != 0;

    vm->owner_is_new = vm->owner_is_new || is_new;
    if (!is_new && vm->owner) { /* its problems stand in it */
        g_ptr_array_unref(words);
        g_free(tags);
        return;
    }
    g_clear_pointer(&vm->owner, g_ptr_array_unref);
    g_free(vm->tags);
    vm->owner = words;
    vm->tags = tags;
}

/* "prod;web" -> "prod web": Proxmox takes any of these between two tags. */
static char *
tags_normalize(const char *text)
{
    g_auto(GStrv) parts = g_strsplit_set(text, ";, \t", -1);
    GString *tags = g_string_new(NULL);

    for (guint i = 0; parts[i]; i++)
        if (*parts[i])
            g_string_append_printf(tags, "%s%s", tags->len > 0 ? " " : "", parts[i]);
    return g_string_free(tags, FALSE);
}

void
owner_look_proxmox(Vm *vm, const PveConf *conf)
{
    const PveSection *live = conf ? pveconf_live(conf) : NULL;
    const char *tags = live ? pve_value(live, "tags") : NULL;
    GPtrArray *words;

    if (!live)
        return;
    words = owner_words_new();
    owner_take_description(words, live->description, "Proxmox' notes");
    put_down(vm, words, tags ? tags_normalize(tags) : NULL);
}

void
owner_look_libvirt(Vm *vm)
{
    gint64 read_us = 0;
    const DomainXml *xml = vm->domain ? libvirt_domain_xml(vm->domain, &read_us) : NULL;
    GPtrArray *words;

    if (!xml || read_us == vm->owner_us)
        return;
    vm->owner_us = read_us;
    words = owner_words_new();
    owner_take_domain(words, xml);
    put_down(vm, words, g_strdup(vm->tags));
}
