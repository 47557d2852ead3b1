/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory-limit-form.h"
#include "throttle-form.h"
#include "units.h"

#include <string.h>

static const struct {
    const char *name;
    MemoryReadFunc read;
    const char *key;  /* before a printed value */
    const char *none; /* its value for no limit; NULL: it has none */
} forms[MEMORY_LIMIT_N_FORMS] = {
    [MEMORY_LIMIT_PROXMOX] = {"proxmox", memory_proxmox_read, "memory: ", NULL},
    [MEMORY_LIMIT_SYSTEMD] = {"systemd", memory_systemd_read, "MemoryMax=", "infinity"},
    [MEMORY_LIMIT_CGROUP2] = {"cgroup2", memory_cgroup2_read, "", "max"},
    [MEMORY_LIMIT_CGROUP1] = {"cgroup1", memory_cgroup1_read, "", "9223372036854771712"},
    [MEMORY_LIMIT_LIBVIRT] = {"libvirt", memory_libvirt_read, "", ""},
    [MEMORY_LIMIT_KUBERNETES] = {"kubernetes", memory_kubernetes_read, "", "0"},
    [MEMORY_LIMIT_POLICY] = {"policy", memory_policy_read, "", "0"},
};

const char *
memory_limit_form_name(MemoryLimitForm form)
{
    return forms[form].name;
}

bool
memory_limit_form_find(const char *name, MemoryLimitForm *ret_form)
{
    for (guint i = 0; i < MEMORY_LIMIT_N_FORMS; i++) {
        if (strcmp(forms[i].name, name) == 0) {
            *ret_form = (MemoryLimitForm)i;
            return true;
        }
    }
    return false;
}

MemoryLimit *
memory_limit_absent(MemoryLimitForm form)
{
    MemoryLimit *limit = g_new0(MemoryLimit, 1);

    limit->form = form;
    limit->notes = g_ptr_array_new_with_free_func(g_free);
    return limit;
}

void
memory_limit_free(MemoryLimit *limit)
{
    if (limit == NULL)
        return;
    g_ptr_array_unref(limit->notes);
    g_free(limit);
}

MemoryLimit *
memory_limit_parse(MemoryLimitForm form, const char *value, const char *unit, guint64 total_bytes,
                   char **ret_wrong)
{
    MemoryValue said = {.total_bytes = total_bytes, .unit = unit};
    const char *wrong = forms[form].read(value, &said);
    g_autofree char *printable = wrong != NULL ? units_printable(value, -1) : NULL;
    MemoryLimit *limit;

    if (wrong != NULL) {
        *ret_wrong = g_strdup_printf("\"%s\" %s", printable, wrong);
        return NULL;
    }
    limit = memory_limit_absent(form);
    limit->is_limited = said.is_limited && said.bytes < MEMORY_LIMIT_NONE;
    limit->bytes = limit->is_limited ? said.bytes / MEMORY_LIMIT_PAGE * MEMORY_LIMIT_PAGE : 0;
    if (said.note != NULL)
        throttle_note(limit->notes, "%s", said.note);
    if (said.is_limited && !limit->is_limited)
        throttle_note(limit->notes, "as much as the kernel can count is no limit");
    else if (limit->bytes != said.bytes)
        throttle_note(limit->notes,
                      "%" G_GUINT64_FORMAT " bytes are no whole pages: the kernel takes them as "
                      "%" G_GUINT64_FORMAT,
                      said.bytes, limit->bytes);
    return limit;
}

/* The largest unit of 1024 that divides, of "", K, M, ...; a new string. */
static char *
print_units(guint64 bytes, const char *behind)
{
    static const char units[] = "KMGTPE";
    guint i = 0;

    for (; bytes != 0 && bytes % 1024 == 0; i++)
        bytes /= 1024;
    return i == 0 ? g_strdup_printf("%" G_GUINT64_FORMAT, bytes)
                  : g_strdup_printf("%" G_GUINT64_FORMAT "%c%s", bytes, units[i - 1], behind);
}

/* NULL where the form has no such number. Where 0 is no limit a byte says it: less than a page. */
static char *
print_bytes(MemoryLimitForm form, guint64 bytes)
{
    switch (form) {
    case MEMORY_LIMIT_PROXMOX:
        return bytes % (1 << MEBI_SHIFT) == 0 && bytes >> MEBI_SHIFT >= MEMORY_PROXMOX_MIB_MIN
                   ? g_strdup_printf("%" G_GUINT64_FORMAT, bytes >> MEBI_SHIFT)
                   : NULL;
    case MEMORY_LIMIT_SYSTEMD:
        return print_units(MAX(bytes, 1), "");
    case MEMORY_LIMIT_KUBERNETES:
        return print_units(MAX(bytes, 1), "i");
    case MEMORY_LIMIT_POLICY:
        return units_format_size(MAX(bytes, 1));
    case MEMORY_LIMIT_LIBVIRT:
        return g_strdup_printf("%" G_GUINT64_FORMAT, bytes >> 10);
    case MEMORY_LIMIT_CGROUP2:
    case MEMORY_LIMIT_CGROUP1:
    case MEMORY_LIMIT_N_FORMS:
        break;
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
}

char *
memory_limit_print(MemoryLimitForm form, const MemoryLimit *limit, GPtrArray *notes)
{
    g_autofree char *value =
        limit->is_limited ? print_bytes(form, limit->bytes) : g_strdup(forms[form].none);

    if (value != NULL)
        return g_strconcat(forms[form].key, value, NULL);
    if (limit->is_limited)
        throttle_note(notes, "%s has no word for %" G_GUINT64_FORMAT " bytes", forms[form].name,
                      limit->bytes);
    else
        throttle_note(notes, "%s has no word for no limit", forms[form].name);
    return NULL;
}

bool
memory_limit_equal(const MemoryLimit *a, const MemoryLimit *b)
{
    return a->is_limited == b->is_limited && a->bytes == b->bytes;
}
