/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-text.h"

#include "host.h"
#include "iotune.h"
#include "keyfile.h"
#include "pairs.h"
#include "units.h"

#include <string.h>

/* The pair that carries the name of the disk, and the word in front of it in a section's head. */
#define DISK "disk"

static void
set_malformed(GError **error, const char *wrong)
{
    g_set_error_literal(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, wrong);
}

static char **
drive_parse(const char *text, gsize length, GError **error)
{
    g_autofree char *wrong = NULL;
    g_autofree char *line = NULL;
    char **pairs;

    /* The newline of a file; a blank would belong to the last value. */
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    line = g_strndup(text, length);
    pairs = throttle_split_drive(line, &wrong);
    if (pairs == NULL)
        set_malformed(error, wrong);
    return pairs;
}

/* The lines under a head, which keyfiles want: their own, or one of ours. */
static GString *
lines_under_head(const char *text, gsize length)
{
    g_autofree char *stripped = g_strstrip(g_strndup(text, length));
    GString *lines = g_string_new("[" DISK "]\n");
    char *bracket = strchr(stripped, ']');
    bool is_one_line = strchr(stripped, '\n') == NULL;

    if (*stripped != '[' || bracket == NULL || !is_one_line)
        return g_string_append_len(lines, text, (gssize)length);
    g_string_append_len(lines, stripped, bracket + 1 - stripped);
    g_string_append_c(lines, '\n');
    return g_string_append(lines, bracket + 1);
}

/* "disk scsi0": its name becomes the first pair. NULL, or what is wrong, a new string. */
static char *
take_head(GPtrArray *pairs, const char *section)
{
    const char *name = g_str_has_prefix(section, DISK) ? section + strlen(DISK) : "?";

    if (strcmp(section, DISK) == 0 && pairs->len == 0)
        return NULL;
    if (!g_ascii_isspace(*name))
        return g_strdup("holds a section that is no [" DISK " NAME]");
    name += strspn(name, " \t");
    if (strpbrk(name, "[]") != NULL)
        return g_strdup("holds a bracket in the name of a disk");
    if (pairs->len > 0)
        return g_strdup("holds more than one disk");
    g_ptr_array_add(pairs, g_strdup(DISK));
    g_ptr_array_add(pairs, g_strdup(name));
    return NULL;
}

/* NULL, or what is wrong with the entry, a new string. */
static char *
take_entry(GPtrArray *pairs, const KeyfileEntry *entry)
{
    /* Our own head is line 1. */
    if (entry->kind == KEYFILE_WRONG)
        return g_strdup_printf("line %u %s", entry->line - 1, entry->wrong);
    if (entry->kind == KEYFILE_SECTION)
        return take_head(pairs, entry->section);
    if (strcmp(entry->key, DISK) == 0)
        return g_strdup("key \"" DISK "\" is no key of [" DISK "]");
    g_ptr_array_add(pairs, g_strdup(entry->key));
    g_ptr_array_add(pairs, g_strdup(entry->value));
    return NULL;
}

static char **
lines_parse(const char *text, gsize length, GError **error)
{
    g_autoptr(GString) lines = lines_under_head(text, length);
    g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(g_free);
    Keyfile keyfile;
    KeyfileEntry entry;

    keyfile_init(&keyfile, lines->str, lines->len);
    while (keyfile_next(&keyfile, &entry)) {
        g_autofree char *wrong = take_entry(pairs, &entry);

        if (wrong != NULL) {
            set_malformed(error, wrong);
            return NULL;
        }
    }
    g_ptr_array_add(pairs, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&pairs), FALSE);
}

/* What a parser of others says may quote the text. */
static void
set_foreign(GError **error, const GError *foreign)
{
    g_autofree char *printable = units_printable(foreign->message, -1);

    set_malformed(error, printable);
}

static char **
json_parse(const char *text, gsize length, GError **error)
{
    g_autoptr(GError) foreign = NULL;
    char **pairs = pairs_from_json(text, length, &foreign);

    if (pairs == NULL)
        set_foreign(error, foreign);
    return pairs;
}

static char **
xml_parse(const char *text, gsize length, GError **error)
{
    g_autoptr(GError) foreign = NULL;
    char **pairs = iotune_parse(text, length, &foreign);

    if (pairs == NULL)
        set_foreign(error, foreign);
    return pairs;
}

static char **
pairs_parse(ThrottleForm form, const char *text, gsize length, GError **error)
{
    switch (form) {
    case THROTTLE_PROXMOX:
        return drive_parse(text, length, error);
    case THROTTLE_QEMU:
        return json_parse(text, length, error);
    case THROTTLE_LIBVIRT:
        return xml_parse(text, length, error);
    case THROTTLE_POLICY:
    case THROTTLE_N_FORMS:
        break;
    }
    return lines_parse(text, length, error);
}

Throttle *
throttle_text_parse(ThrottleForm form, const char *text, gsize length, GError **error)
{
    g_auto(GStrv) pairs = NULL;
    g_autofree char *wrong = NULL;
    Throttle *throttle;

    if (memchr(text, '\0', length) != NULL || !g_utf8_validate_len(text, length, NULL)) {
        set_malformed(error, "is not UTF-8 text");
        return NULL;
    }
    pairs = pairs_parse(form, text, length, error);
    if (pairs == NULL)
        return NULL;
    throttle = throttle_parse(form, (const char *const *)pairs, &wrong);
    if (throttle == NULL)
        set_malformed(error, wrong);
    return throttle;
}

/* All numbers but the group, which may look like one. */
static char *
json_print(char **pairs)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    for (; *pairs != NULL; pairs += 2) {
        json_builder_set_member_name(builder, pairs[0]);
        if (strcmp(pairs[0], "group") == 0)
            json_builder_add_string_value(builder, pairs[1]);
        else
            json_builder_add_int_value(builder, g_ascii_strtoll(pairs[1], NULL, 10));
    }
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, FALSE);
    return g_strconcat(text, "\n", NULL);
}

static char *
lines_print(char **pairs)
{
    GString *text = g_string_new(NULL);

    for (; *pairs != NULL; pairs += 2) {
        if (strcmp(pairs[0], DISK) == 0)
            g_string_append_printf(text, "[" DISK " %s]\n", pairs[1]);
        else
            g_string_append_printf(text, "%s = %s\n", pairs[0], pairs[1]);
    }
    return g_string_free(text, FALSE);
}

char *
throttle_text_print(const Throttle *throttle)
{
    g_auto(GStrv) pairs = throttle_print(throttle->form, throttle, NULL);
    g_autofree char *drive = NULL;

    switch (throttle->form) {
    case THROTTLE_QEMU:
        return json_print(pairs);
    case THROTTLE_LIBVIRT:
        return iotune_print((const char *const *)pairs);
    case THROTTLE_POLICY:
        return lines_print(pairs);
    case THROTTLE_PROXMOX:
    case THROTTLE_N_FORMS:
        break;
    }
    drive = throttle_join_drive((const char *const *)pairs);
    return g_strconcat(drive, "\n", NULL);
}
