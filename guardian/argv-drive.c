/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "argv-drive.h"

/* Interfaces whose buses have a fixed number of places; others have one bus without end. */
#define IDE_UNITS 2
#define SCSI_UNITS 7
/* Who numbers drives higher gets no id from us; QEMU has no such machine. */
#define SLOT_MAX 4096

const char *
drive_interface(Options *drive, const char *default_interface)
{
    const char *interface = options_get(drive, "if");

    return interface ? interface : default_interface;
}

static bool
is_cdrom(Options *drive)
{
    return g_strcmp0(options_get(drive, "media"), "cdrom") == 0;
}

const char *
drive_device(Options *drive, const char *interface)
{
    if (g_str_equal(interface, "virtio"))
        return "virtio-blk";
    if (g_str_equal(interface, "ide"))
        return is_cdrom(drive) ? "ide-cd" : "ide-hd";
    if (g_str_equal(interface, "scsi"))
        return is_cdrom(drive) ? "scsi-cd" : "scsi-hd";
    if (g_str_equal(interface, "sd"))
        return "sd-card";
    return g_str_equal(interface, "floppy") ? "floppy" : NULL;
}

/* index= counts over all buses, bus= and unit= name the place, and nothing takes the next free. */
static guint64
slot_take(Options *drive, const char *interface, guint units, GHashTable *slots)
{
    bool is_placed = options_get(drive, "index") || options_get(drive, "unit");
    guint64 slot = options_get(drive, "index")
                       ? options_get_u64(drive, "index")
                       : options_get_u64(drive, "bus") * units + options_get_u64(drive, "unit");

    slot = MIN(slot, (guint64)SLOT_MAX);
    for (; slot < SLOT_MAX; slot++) {
        char *key = g_strdup_printf("%s:%" G_GUINT64_FORMAT, interface, slot);

        if (g_hash_table_add(slots, key) || is_placed)
            break;
    }
    return slot;
}

/* New string. slots: a set of char * kept over all drives of one VM, in their order. */
static char *
drive_id(Options *drive, const char *interface, GHashTable *slots)
{
    guint units = g_str_equal(interface, "ide") ? IDE_UNITS : 0;
    guint64 slot;

    if (g_str_equal(interface, "scsi"))
        units = SCSI_UNITS;
    slot = slot_take(drive, interface, units, slots);
    if (options_get(drive, "id"))
        return g_strdup(options_get(drive, "id"));
    if (units == 0)
        return g_strdup_printf("%s%" G_GUINT64_FORMAT, interface, slot);
    return g_strdup_printf("%s%" G_GUINT64_FORMAT "-%s%" G_GUINT64_FORMAT, interface, slot / units,
                           is_cdrom(drive) ? "cd" : "hd", slot % units);
}

void
draft_add_drive(Draft *draft, Options *drive)
{
    const char *interface = drive_interface(drive, draft->default_interface);

    g_hash_table_replace(drive, g_strdup("id"), drive_id(drive, interface, draft->drive_slots));
    g_hash_table_replace(draft->drives, g_strdup(options_get(drive, "id")),
                         g_hash_table_ref(drive));
    if (drive_device(drive, interface))
        g_ptr_array_add(draft->own_drives, g_hash_table_ref(drive));
}

void
draft_add_short_drive(Draft *draft, const char *file, const char *index, const char *media)
{
    g_autoptr(GHashTable) drive = options_parse("", NULL);

    g_hash_table_replace(drive, g_strdup("file"), g_strdup(file));
    g_hash_table_replace(drive, g_strdup("index"), g_strdup(index));
    g_hash_table_replace(drive, g_strdup("media"), g_strdup(media));
    draft_add_drive(draft, drive);
}
