/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pveconf.h"

#include "units.h"

#include <string.h>

/* The grammar, line by line; \r and blanks at the end of a line count for nothing:
 *
 *   blank                       nothing
 *   # text                      a line of the section's description as it is, but %XX decoded
 *   [PENDING] [special:NAME]    a section, in any case of letters
 *   [name]                      a snapshot: a letter, then letters, digits, "_", "-"
 *   [anything else]             skipped, with all lines below it
 *   description: text           one more line of the description
 *   delete: keys                only below [PENDING]
 *   key: value                  key: a lower-case letter, letters "_" "-", digits at its end
 *
 * Of a key given twice the last one counts, of a section given twice the last one alone. */

/* A hostile file of a megabyte could hold a million wrong lines; the first ones tell the story. */
#define PROBLEMS_MAX 100
/* Proxmox allows far fewer snapshots; each name is looked up in all sections. */
#define SECTIONS_MAX 4096

#define DESCRIPTION "description"

typedef struct {
    PveConf *conf;
    PveSection *section; /* NULL: below a section that is skipped */
    GString *description;
    GHashTable *places; /* key -> PveEntry of this section */
    guint line;
} Reader;

static void G_GNUC_PRINTF(2, 3) reader_complain(Reader *reader, const char *format, ...)
{
    GPtrArray *problems = reader->conf->problems;
    g_autofree char *text = NULL;
    va_list arguments;

    if (problems->len >= PROBLEMS_MAX)
        return;
    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_ptr_array_add(problems, g_strdup_printf("line %u: %s", reader->line, text));
}

static void
entry_free(gpointer data)
{
    PveEntry *entry = data;

    g_free(entry->key);
    g_free(entry->value);
    g_free(entry);
}

static void
section_free(gpointer data)
{
    PveSection *section = data;

    g_free(section->name);
    g_free(section->description);
    g_ptr_array_unref(section->entries);
    g_free(section);
}

static void
pveconf_add_section(PveConf *conf, PveSectionKind kind, const char *name, guint line)
{
    PveSection *section = g_new0(PveSection, 1);

    section->kind = kind;
    section->name = g_strdup(name);
    section->line = line;
    section->entries = g_ptr_array_new_with_free_func(entry_free);
    g_ptr_array_add(conf->sections, section);
}

/* "%0A" -> newline. A NUL stays as it is written: no text of ours holds one. */
static void
append_decoded(GString *text, const char *encoded)
{
    for (; *encoded != '\0'; encoded++) {
        int high = *encoded == '%' ? g_ascii_xdigit_value(encoded[1]) : -1;
        int low = high >= 0 ? g_ascii_xdigit_value(encoded[2]) : -1;

        if (low < 0 || high + low == 0) {
            g_string_append_c(text, *encoded);
            continue;
        }
        g_string_append_c(text, (char)(high << 4 | low));
        encoded += 2;
    }
}

/* Cuts the blanks off its end; g_strchomp() without g_strchomp(). */
static char *
chomp(char *text)
{
    gsize length = strlen(text);

    while (length > 0 && g_ascii_isspace(text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

static void
reader_end_section(Reader *reader)
{
    if (reader->section != NULL && reader->description->len > 0) {
        g_autofree char *text = g_strdup(reader->description->str);

        if (*chomp(text) != '\0')
            reader->section->description = g_steal_pointer(&text);
    }
    g_string_truncate(reader->description, 0);
    g_hash_table_remove_all(reader->places);
    reader->section = NULL;
}

static void
reader_begin_section(Reader *reader, PveSectionKind kind, const char *name)
{
    GPtrArray *sections = reader->conf->sections;

    reader_end_section(reader);
    if (sections->len >= SECTIONS_MAX) {
        reader_complain(reader, "is one section too many: skipped");
        return;
    }
    for (guint i = 1; i < sections->len; i++) {
        const PveSection *section = sections->pdata[i];

        if (section->kind != kind || strcmp(section->name, name) != 0)
            continue;
        reader_complain(reader, "begins the section of line %u again: only this one counts",
                        section->line);
        g_ptr_array_remove_index(sections, i);
        break;
    }
    pveconf_add_section(reader->conf, kind, name, reader->line);
    reader->section = sections->pdata[sections->len - 1];
}

static bool
is_snapshot_name(const char *name)
{
    gsize length = strlen(name);

    for (gsize i = 0; i < length; i++)
        if (!g_ascii_isalpha(name[i]) &&
            (i == 0 || (!g_ascii_isdigit(name[i]) && strchr("_-", name[i]) == NULL)))
            return false;
    return length > 1;
}

/* line is "[...]". */
static void
reader_take_section(Reader *reader, const char *line)
{
    static const char special[] = "special:";
    g_autofree char *name = g_strndup(line + 1, strlen(line) - 2);
    bool is_special = g_ascii_strncasecmp(name, special, strlen(special)) == 0;
    const char *what = is_special ? name + strlen(special) : name;

    if (g_ascii_strcasecmp(name, "PENDING") == 0) {
        reader_begin_section(reader, PVE_PENDING, "");
    } else if (is_special && (g_ascii_strcasecmp(what, "cloudinit") == 0 ||
                              g_ascii_strcasecmp(what, "fleecing") == 0)) {
        reader_begin_section(reader, PVE_SPECIAL, what);
    } else if (is_snapshot_name(name)) {
        reader_begin_section(reader, PVE_SNAPSHOT, name);
    } else {
        g_autofree char *printable = units_printable(name, -1);

        reader_end_section(reader);
        reader_complain(reader, "section [%s] is unknown: skipped with all below it", printable);
    }
}

/* The length of the key that the line begins with, 0 for none. */
static gsize
key_length(const char *line)
{
    gsize length = 0;

    if (!g_ascii_islower(*line))
        return 0;
    while (g_ascii_islower(line[length]) || line[length] == '_' || line[length] == '-')
        length++;
    while (g_ascii_isdigit(line[length]))
        length++;
    return line[length] == ':' ? length : 0;
}

static void
reader_take_entry(Reader *reader, const char *key, const char *value)
{
    PveEntry *entry;

    if (strcmp(key, DESCRIPTION) == 0) {
        append_decoded(reader->description, value);
        return;
    }
    if (strcmp(key, "delete") == 0 && reader->section->kind != PVE_PENDING) {
        reader_complain(reader, "delete is allowed below [PENDING] only: skipped");
        return;
    }
    if (strcmp(key, "cdrom") == 0)
        key = "ide2";
    entry = g_hash_table_lookup(reader->places, key);
    if (entry != NULL) {
        reader_complain(reader, "%s is given again, after line %u: this one counts", key,
                        entry->line);
        g_free(entry->value);
    } else {
        entry = g_new0(PveEntry, 1);
        entry->key = g_strdup(key);
        g_ptr_array_add(reader->section->entries, entry);
        g_hash_table_insert(reader->places, entry->key, entry);
    }
    entry->line = reader->line;
    entry->value = g_strdup(value);
}

static void
reader_take_line(Reader *reader, char *line)
{
    gsize length, key;

    if (line[0] == '#' && reader->section != NULL) {
        append_decoded(reader->description, line + 1);
        g_string_append_c(reader->description, '\n');
        return;
    }
    if (*chomp(line) == '\0')
        return;
    length = strlen(line);
    if (line[0] == '[' && strchr(line, ']') == line + length - 1) {
        reader_take_section(reader, line);
        return;
    }
    if (reader->section == NULL)
        return;
    key = key_length(line);
    if (key == 0 || line[key + 1] == '\0') {
        reader_complain(reader, key == 0 ? "is neither a key with a value nor a section: skipped"
                                         : "has a key without a value: skipped");
        return;
    }
    line[key] = '\0';
    for (key++; g_ascii_isspace(line[key]); key++)
        ;
    reader_take_entry(reader, line, line + key);
}

PveConf *
pveconf_parse(const char *text, gsize length)
{
    PveConf *conf = g_new0(PveConf, 1);
    Reader reader = {.conf = conf, .description = g_string_new(NULL)};
    const char *end = text + length;

    conf->sections = g_ptr_array_new_with_free_func(section_free);
    conf->problems = g_ptr_array_new_with_free_func(g_free);
    reader.places = g_hash_table_new(g_str_hash, g_str_equal);
    pveconf_add_section(conf, PVE_LIVE, "", 1);
    reader.section = conf->sections->pdata[0];
    while (text < end) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        gsize size = (gsize)((newline != NULL ? newline : end) - text);
        g_autofree char *line = g_strndup(text, size);

        reader.line++;
        if (memchr(text, '\0', size) != NULL)
            reader_complain(&reader, "holds a NUL byte: skipped");
        else
            reader_take_line(&reader, line);
        text += size + 1;
    }
    reader_end_section(&reader);
    g_string_free(reader.description, TRUE);
    g_hash_table_unref(reader.places);
    return conf;
}

void
pveconf_free(PveConf *conf)
{
    if (conf == NULL)
        return;
    g_ptr_array_unref(conf->sections);
    g_ptr_array_unref(conf->problems);
    g_free(conf);
}

const PveSection *
pveconf_live(const PveConf *conf)
{
    return conf->sections->pdata[0];
}

const PveSection *
pveconf_pending(const PveConf *conf)
{
    for (guint i = 1; i < conf->sections->len; i++)
        if (((const PveSection *)conf->sections->pdata[i])->kind == PVE_PENDING)
            return conf->sections->pdata[i];
    return NULL;
}

const PveEntry *
pve_find(const PveSection *section, const char *key)
{
    for (guint i = 0; i < section->entries->len; i++)
        if (strcmp(((const PveEntry *)section->entries->pdata[i])->key, key) == 0)
            return section->entries->pdata[i];
    return NULL;
}

const char *
pve_value(const PveSection *section, const char *key)
{
    const PveEntry *entry = pve_find(section, key);

    return entry != NULL ? entry->value : NULL;
}

bool
pve_is_drive(const char *key)
{
    static const char *const buses[] = {"ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"};
    gsize letters = strcspn(key, "0123456789");
    gsize digits = strspn(key + letters, "0123456789");

    if (digits == 0 || digits > 2 || key[letters + digits] != '\0')
        return false;
    for (guint i = 0; i < G_N_ELEMENTS(buses); i++)
        if (strlen(buses[i]) == letters && strncmp(key, buses[i], letters) == 0)
            return true;
    return false;
}

bool
pve_is_limited_drive(const char *key)
{
    return pve_is_drive(key) && !g_str_has_prefix(key, "efidisk") &&
           !g_str_has_prefix(key, "tpmstate");
}

Throttle *
pve_drive_parse(const PveEntry *entry, char **ret_wrong)
{
    char **pairs = throttle_split_drive(entry->value, ret_wrong);
    Throttle *throttle;

    if (pairs == NULL)
        return NULL;
    throttle = throttle_parse(THROTTLE_PROXMOX, (const char *const *)pairs, ret_wrong);
    g_strfreev(pairs);
    return throttle;
}
