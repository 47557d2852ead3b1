/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which attribute or text of which element becomes which field stands in one table. The reader
 * knows where it is by the path of open elements, so <source> of a <backingStore> or <mirror> is
 * not taken for the disk's own. */

#include "domain-metadata.h"
#include "domain-source.h"
#include "host.h"
#include "markup.h"
#include "memory-limit.h"

#include <string.h>

/* libvirt's own XML is 8 deep, a backing chain adds one level a layer. */
#define DEPTH_MAX 512u

#define DISK "/domain/devices/disk"
#define CONTROLLER "/domain/devices/controller"

typedef enum { OF_DOMAIN, OF_DISK, OF_CONTROLLER, OF_SOURCE } Owner;
typedef enum { TAKE_TEXT, TAKE_NUMBER, TAKE_SIZE, TAKE_PRESENCE, TAKE_COUNT } Take;

typedef struct {
    const char *path;
    const char *attribute; /* NULL: the element's text, or its presence */
    Take take;
    Owner owner;
    gsize offset;
} Field;

#define DOMAIN(path, attribute, take, field)                                                       \
    {                                                                                              \
        "/domain" path, attribute, take, OF_DOMAIN, G_STRUCT_OFFSET(DomainXml, field)              \
    }
#define OF(prefix, path, attribute, take, owner, type, field)                                      \
    {                                                                                              \
        prefix path, attribute, take, owner, G_STRUCT_OFFSET(type, field)                          \
    }

static const Field fields[] = {
    DOMAIN("", "id", TAKE_NUMBER, id),
    DOMAIN("", "type", TAKE_TEXT, type),
    DOMAIN("/name", NULL, TAKE_TEXT, name),
    DOMAIN("/uuid", NULL, TAKE_TEXT, uuid),
    DOMAIN("/title", NULL, TAKE_TEXT, title),
    DOMAIN("/description", NULL, TAKE_TEXT, description),
    DOMAIN("/memory", NULL, TAKE_SIZE, memory_bytes),
    DOMAIN("/currentMemory", NULL, TAKE_SIZE, balloon_bytes),
    DOMAIN("/maxMemory", NULL, TAKE_SIZE, maximum_bytes),
    DOMAIN("/vcpu", NULL, TAKE_NUMBER, vcpus),
    DOMAIN("/vcpu", "current", TAKE_NUMBER, vcpus_now),
    DOMAIN("/iothreads", NULL, TAKE_NUMBER, iothreads),
    DOMAIN("/memtune/hard_limit", NULL, TAKE_SIZE, hard_limit_bytes),
    DOMAIN("/memtune/soft_limit", NULL, TAKE_SIZE, soft_limit_bytes),
    DOMAIN("/memtune/swap_hard_limit", NULL, TAKE_SIZE, swap_hard_limit_bytes),
    DOMAIN("/memoryBacking/hugepages", NULL, TAKE_PRESENCE, uses_hugepages),
    DOMAIN("/memoryBacking/locked", NULL, TAKE_PRESENCE, is_locked),
    DOMAIN("/memoryBacking/source", "type", TAKE_TEXT, memory_source),
    DOMAIN("/memoryBacking/access", "mode", TAKE_TEXT, memory_access),
    DOMAIN("/devices/hostdev", NULL, TAKE_COUNT, n_hostdevs),
    DOMAIN("/devices/memory", NULL, TAKE_COUNT, n_memory_devices),
    DOMAIN("/os/type", "machine", TAKE_TEXT, machine),
    DOMAIN("/devices/watchdog", NULL, TAKE_COUNT, n_watchdogs),
    DOMAIN("/devices/serial", NULL, TAKE_COUNT, n_serials),
    DOMAIN("/devices/panic", NULL, TAKE_COUNT, n_panic_devices),
    DOMAIN("/devices/memballoon", "model", TAKE_TEXT, balloon_model),
    DOMAIN("/devices/memballoon", "freePageReporting", TAKE_TEXT, balloon_reporting),

    OF(CONTROLLER, "", "type", TAKE_TEXT, OF_CONTROLLER, DomainController, type),
    OF(CONTROLLER, "", "model", TAKE_TEXT, OF_CONTROLLER, DomainController, model),
    OF(CONTROLLER, "", "index", TAKE_NUMBER, OF_CONTROLLER, DomainController, index),
    OF(CONTROLLER, "/alias", "name", TAKE_TEXT, OF_CONTROLLER, DomainController, alias),
    OF(CONTROLLER, "/driver", "iothread", TAKE_NUMBER, OF_CONTROLLER, DomainController, iothread),
    OF(CONTROLLER, "/driver", "queues", TAKE_NUMBER, OF_CONTROLLER, DomainController, queues),

    OF(DISK, "", "device", TAKE_TEXT, OF_DISK, DomainDisk, device),
    OF(DISK, "/target", "dev", TAKE_TEXT, OF_DISK, DomainDisk, target),
    OF(DISK, "/target", "bus", TAKE_TEXT, OF_DISK, DomainDisk, bus),
    OF(DISK, "/alias", "name", TAKE_TEXT, OF_DISK, DomainDisk, alias),
    OF(DISK, "/driver", "type", TAKE_TEXT, OF_DISK, DomainDisk, format),
    OF(DISK, "/driver", "cache", TAKE_TEXT, OF_DISK, DomainDisk, cache),
    OF(DISK, "/driver", "io", TAKE_TEXT, OF_DISK, DomainDisk, io),
    OF(DISK, "/driver", "error_policy", TAKE_TEXT, OF_DISK, DomainDisk, error_policy),
    OF(DISK, "/driver", "rerror_policy", TAKE_TEXT, OF_DISK, DomainDisk, rerror_policy),
    OF(DISK, "/driver", "discard", TAKE_TEXT, OF_DISK, DomainDisk, discard),
    OF(DISK, "/driver", "detect_zeroes", TAKE_TEXT, OF_DISK, DomainDisk, detect_zeroes),
    OF(DISK, "/driver", "iothread", TAKE_NUMBER, OF_DISK, DomainDisk, iothread),
    OF(DISK, "/driver", "queues", TAKE_NUMBER, OF_DISK, DomainDisk, queues),
    OF(DISK, "/driver/iothreads/iothread", NULL, TAKE_COUNT, OF_DISK, DomainDisk, n_iothreads),
    OF(DISK, "/address", "controller", TAKE_NUMBER, OF_DISK, DomainDisk, controller),
    OF(DISK, "/address", "target", TAKE_NUMBER, OF_DISK, DomainDisk, address_target),
    OF(DISK, "/address", "unit", TAKE_NUMBER, OF_DISK, DomainDisk, unit),
    OF(DISK, "/readonly", NULL, TAKE_PRESENCE, OF_DISK, DomainDisk, is_readonly),
    OF(DISK, "/shareable", NULL, TAKE_PRESENCE, OF_DISK, DomainDisk, is_shareable),

    OF(DISK, "/source", "file", TAKE_TEXT, OF_SOURCE, DomainSource, file),
    OF(DISK, "/source", "dev", TAKE_TEXT, OF_SOURCE, DomainSource, dev),
    OF(DISK, "/source", "protocol", TAKE_TEXT, OF_SOURCE, DomainSource, protocol),
    OF(DISK, "/source", "name", TAKE_TEXT, OF_SOURCE, DomainSource, name),
    OF(DISK, "/source", "pool", TAKE_TEXT, OF_SOURCE, DomainSource, pool),
    OF(DISK, "/source", "volume", TAKE_TEXT, OF_SOURCE, DomainSource, volume),
    OF(DISK, "/source/host", "name", TAKE_TEXT, OF_SOURCE, DomainSource, host),
    OF(DISK, "/source/host", "port", TAKE_TEXT, OF_SOURCE, DomainSource, port),
    OF(DISK, "/source/host", "socket", TAKE_TEXT, OF_SOURCE, DomainSource, socket),
};

typedef struct {
    DomainXml *xml;
    DomainDisk *disk;             /* the open one; NULL */
    DomainController *controller; /* the open one; NULL */
    DomainSource source;          /* of the open disk */
    GPtrArray *iotune;            /* of the open disk; NULL without <iotune> */
    GString *path;                /* of the open elements */
    GString *text;                /* of the open element, since its last child */
    char *unit;                   /* of the open element; NULL */
    guint depth;
    MetadataReader *metadata;
} Reader;

static void
disk_free(gpointer data)
{
    DomainDisk *disk = data;
    char *texts[] = {disk->device,       disk->target,        disk->bus,     disk->alias,
                     disk->storage,      disk->format,        disk->cache,   disk->io,
                     disk->error_policy, disk->rerror_policy, disk->discard, disk->detect_zeroes};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    g_strfreev(disk->iotune);
    g_free(disk);
}

static void
controller_free(gpointer data)
{
    DomainController *controller = data;

    g_free(controller->type);
    g_free(controller->model);
    g_free(controller->alias);
    g_free(controller);
}

void
domain_xml_free(DomainXml *xml)
{
    if (!xml)
        return;
    g_ptr_array_unref(xml->disks);
    g_ptr_array_unref(xml->controllers);
    g_ptr_array_unref(xml->notes);
    g_free(xml->name);
    g_free(xml->uuid);
    g_free(xml->type);
    g_free(xml->title);
    g_free(xml->description);
    g_free(xml->memory_source);
    g_free(xml->memory_access);
    g_free(xml->machine);
    g_free(xml->balloon_model);
    g_free(xml->balloon_reporting);
    g_free(xml);
}

static void
refuse(GError **error, const char *wrong)
{
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "the domain's XML %s", wrong);
}

/* false: no number, or libvirt's word for no limit. */
static bool
size_parse(const char *text, const char *unit, guint64 *ret_bytes)
{
    guint64 kib = 0;

    if (memory_limit_libvirt_kib(text, unit, &kib) != NULL || kib >= MEMORY_LIMIT_NONE >> 10)
        return false;
    *ret_bytes = kib << 10;
    return true;
}

static void
field_take(const Field *field, gpointer base, const char *text, const char *unit)
{
    gpointer member = (char *)base + field->offset;
    DomainNumber *number = member;

    switch (field->take) {
    case TAKE_TEXT:
        g_free(*(char **)member);
        *(char **)member = g_strdup(text);
        break;
    case TAKE_NUMBER:
        number->is_known =
            g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &number->value, NULL);
        break;
    case TAKE_SIZE:
        number->is_known = size_parse(text, unit, &number->value);
        break;
    case TAKE_PRESENCE:
        *(bool *)member = true;
        break;
    case TAKE_COUNT:
        ++*(guint *)member;
        break;
    }
}

static gpointer
owner_of(Reader *reader, const Field *field)
{
    switch (field->owner) {
    case OF_DOMAIN:
        return reader->xml;
    case OF_DISK:
        return reader->disk;
    case OF_CONTROLLER:
        return reader->controller;
    case OF_SOURCE:
        return reader->disk ? &reader->source : NULL;
    }
    return NULL;
}

/* Gives the value to the fields of the open element; attribute NULL: its text, at its end. */
static void
take(Reader *reader, const char *attribute, const char *value)
{
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        gpointer owner = owner_of(reader, &fields[i]);

        if (owner && g_strcmp0(fields[i].attribute, attribute) == 0 &&
            strcmp(fields[i].path, reader->path->str) == 0)
            field_take(&fields[i], owner, value, reader->unit);
    }
}

static void
begin_device(Reader *reader)
{
    if (strcmp(reader->path->str, DISK) == 0) {
        reader->disk = g_new0(DomainDisk, 1);
        g_ptr_array_add(reader->xml->disks, reader->disk);
    } else if (strcmp(reader->path->str, CONTROLLER) == 0) {
        reader->controller = g_new0(DomainController, 1);
        g_ptr_array_add(reader->xml->controllers, reader->controller);
    } else if (reader->disk && strcmp(reader->path->str, DISK "/iotune") == 0 && !reader->iotune) {
        reader->iotune = g_ptr_array_new_with_free_func(g_free);
    }
}

static void
on_start(GMarkupParseContext *context, const char *element, const char **names, const char **values,
         gpointer data, GError **error)
{
    Reader *reader = data;

    g_string_append_printf(reader->path, "/%s", element);
    g_string_truncate(reader->text, 0);
    g_clear_pointer(&reader->unit, g_free);
    if (++reader->depth > DEPTH_MAX) {
        refuse(error, "is too deep");
        return;
    }
    if (reader->depth == 1 && strcmp(element, "domain") != 0) {
        refuse(error, "is not of a <domain>");
        return;
    }
    begin_device(reader);
    if (reader->xml->disks->len > DOMAIN_DISKS_MAX) {
        refuse(error, "has too many disks");
        return;
    }
    for (guint i = 0; names[i]; i++) {
        take(reader, names[i], values[i]);
        if (g_str_equal(names[i], "unit")) {
            g_free(reader->unit);
            reader->unit = g_strdup(values[i]);
        }
    }
    metadata_start(reader->metadata, element, names, values);
}

static void
end_disk(Reader *reader)
{
    reader->disk->storage = domain_source_storage(&reader->source);
    if (reader->iotune) {
        g_ptr_array_add(reader->iotune, NULL);
        reader->disk->iotune = (char **)g_ptr_array_free(g_steal_pointer(&reader->iotune), FALSE);
    }
    domain_source_clear(&reader->source);
    reader->disk = NULL;
}

static void
on_end(GMarkupParseContext *context, const char *element, gpointer data, GError **error)
{
    static const char iotune[] = DISK "/iotune/";
    Reader *reader = data;
    const char *path = reader->path->str;
    const char *text = g_strstrip(reader->text->str);

    take(reader, NULL, text);
    if (reader->iotune && g_str_has_prefix(path, iotune) && !strchr(path + strlen(iotune), '/')) {
        g_ptr_array_add(reader->iotune, g_strdup(element));
        g_ptr_array_add(reader->iotune, g_strdup(text));
    }
    metadata_end(reader->metadata, text);
    if (strcmp(path, DISK) == 0)
        end_disk(reader);
    else if (strcmp(path, CONTROLLER) == 0)
        reader->controller = NULL;
    reader->depth--;
    g_string_truncate(reader->path, reader->path->len - strlen(element) - 1);
    g_string_truncate(reader->text, 0);
    g_clear_pointer(&reader->unit, g_free);
}

static void
on_text(GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error)
{
    g_string_append_len(((Reader *)data)->text, text, (gssize)length);
}

DomainXml *
domain_xml_parse(const char *text, gsize length, GError **error)
{
    static const GMarkupParser parser = {
        .start_element = on_start, .end_element = on_end, .text = on_text};
    g_autoptr(DomainXml) xml = g_new0(DomainXml, 1);
    g_autoptr(GString) path = g_string_new(NULL);
    g_autoptr(GString) content = g_string_new(NULL);
    Reader reader = {.xml = xml, .path = path, .text = content};
    bool is_good;

    xml->disks = g_ptr_array_new_with_free_func(disk_free);
    xml->controllers = g_ptr_array_new_with_free_func(controller_free);
    xml->notes = domain_notes_new();
    if (length > DOMAIN_XML_BYTES_MAX) {
        refuse(error, "is too long");
        return NULL;
    }
    reader.metadata = metadata_reader_new(xml->notes);
    is_good = markup_read(&parser, &reader, text, length, error);
    metadata_reader_free(reader.metadata);
    domain_source_clear(&reader.source);
    g_clear_pointer(&reader.iotune, g_ptr_array_unref);
    g_free(reader.unit);
    return is_good ? g_steal_pointer(&xml) : NULL;
}

const DomainController *
domain_xml_controller(const DomainXml *xml, const DomainDisk *disk)
{
    for (guint i = 0; disk->controller.is_known && i < xml->controllers->len; i++) {
        const DomainController *controller = xml->controllers->pdata[i];

        if (g_strcmp0(controller->type, disk->bus) == 0 && controller->index.is_known &&
            controller->index.value == disk->controller.value)
            return controller;
    }
    return NULL;
}

const DomainDisk *
domain_xml_disk(const DomainXml *xml, const char *word)
{
    for (guint i = 0; word && i < xml->disks->len; i++) {
        const DomainDisk *disk = xml->disks->pdata[i];

        if (g_strcmp0(disk->target, word) == 0 || g_strcmp0(disk->alias, word) == 0)
            return disk;
    }
    return NULL;
}

char **
domain_xml_targets(const DomainXml *xml)
{
    GPtrArray *targets = g_ptr_array_new();

    for (guint i = 0; i < xml->disks->len; i++) {
        const DomainDisk *disk = xml->disks->pdata[i];

        if (disk->target && disk->storage)
            g_ptr_array_add(targets, g_strdup(disk->target));
    }
    g_ptr_array_add(targets, NULL);
    return (char **)g_ptr_array_free(targets, FALSE);
}

const char *
domain_xml_note(const DomainXml *xml, const char *space, const char *path)
{
    for (guint i = 0; i < xml->notes->len; i++) {
        const DomainNote *note = xml->notes->pdata[i];

        if (strcmp(note->space, space) == 0 && strcmp(note->path, path) == 0)
            return note->text;
    }
    return NULL;
}
