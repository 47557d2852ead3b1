/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config-file.h"

#include "keyfile.h"
#include "units.h"

#include <string.h>

/* Sections and keys are those of the settings table. A file of vm.d has one section more:
 *
 *   [Match]
 *   name = web-*, db1
 *   uuid = 12345678-*
 *
 * Each key is a list of globs; one word that matches suffices, but every key given must match, and
 * at least one must be given: a file for nobody, or for everybody by accident, is an error. What a
 * VM lacks (a VM without a uuid) matches no glob.
 *
 * And such a file may say which limits a disk shall have, see config-disk.h:
 *
 *   [disk scsi0]
 *   mbps_wr = 60 */

#define MATCH_SECTION "Match"

/* A typing error is one letter too many, too few, or wrong, or two letters swapped. */
#define SUGGESTION_DISTANCE_MAX 2
#define WORD_MAX 32 /* no section or key is longer */

static const struct {
    const char *key;
    gsize offset;     /* in ConfigSubject */
    bool is_caseless; /* a uuid is a number: its letters have no case */
    bool is_list;     /* one of its words suffices */
} match_keys[CONFIG_MATCH_KEYS] = {
    {"name", G_STRUCT_OFFSET(ConfigSubject, name), false, false},
    {"id", G_STRUCT_OFFSET(ConfigSubject, id), false, false},
    {"uuid", G_STRUCT_OFFSET(ConfigSubject, uuid), true, false},
    {"source", G_STRUCT_OFFSET(ConfigSubject, source), false, false},
    {"namespace", G_STRUCT_OFFSET(ConfigSubject, space), false, false},
    {"tag", G_STRUCT_OFFSET(ConfigSubject, tags), false, true},
};

typedef struct {
    ConfigFile *file;
    GPtrArray *errors;
    Limits scratch;   /* where values are tried */
    ConfigDisk *disk; /* of the section that is being read, borrowed; NULL: it is none */
} Parser;

static void G_GNUC_PRINTF(3, 4) complain(Parser *parser, guint line, const char *format, ...)
{
    va_list arguments;
    g_autofree char *message = NULL;

    if (parser->errors->len >= CONFIG_ERRORS_MAX)
        return;
    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_ptr_array_add(parser->errors,
                    g_strdup_printf("%s:%u: %s", parser->file->path, line, message));
}

/* How many letters to insert, remove or replace; G_MAXUINT for words too long to be meant. */
static guint
word_distance(const char *word, const char *meant)
{
    guint row[WORD_MAX + 1];
    gsize length = strlen(meant);

    if (length > WORD_MAX || strlen(word) > WORD_MAX)
        return G_MAXUINT;
    for (guint i = 0; i <= length; i++)
        row[i] = i;
    for (guint j = 1; *word != '\0'; word++, j++) {
        guint diagonal = row[0];

        row[0] = j;
        for (guint i = 1; i <= length; i++) {
            guint replaced = diagonal + (meant[i - 1] == *word ? 0 : 1);

            diagonal = row[i];
            row[i] = MIN(replaced, MIN(row[i], row[i - 1]) + 1);
        }
    }
    return row[length];
}

/* The key of this section, or the section when that is NULL, that was probably meant; NULL. */
static const char *
suggest(const char *section, const char *word)
{
    const char *nearest = NULL;
    guint least = SUGGESTION_DISTANCE_MAX + 1;

    for (guint i = 0; i < n_settings; i++) {
        const char *meant = section != NULL ? settings[i].key : settings[i].section;
        guint distance = word_distance(word, meant);

        if (section != NULL && strcmp(section, settings[i].section) != 0)
            continue;
        if (distance < least) {
            least = distance;
            nearest = meant;
        }
    }
    return nearest;
}

static void
take_disk(Parser *parser, const KeyfileEntry *entry, const char *name)
{
    g_autofree char *printable = units_printable(name, -1);

    if (!parser->file->is_override) {
        complain(parser, entry->line, "[disk %s] belongs in a file of vm.d", printable);
        return;
    }
    if (*name == '\0') {
        complain(parser, entry->line, "[disk] names no disk: write [disk NAME]");
        return;
    }
    for (guint i = 0; i < parser->file->disks->len; i++) {
        const ConfigDisk *earlier = parser->file->disks->pdata[i];

        if (strcmp(earlier->name, name) != 0)
            continue;
        complain(parser, entry->line, "[disk %s] is given twice, see %s", printable,
                 earlier->origin);
        return;
    }
    parser->disk = config_disk_new(name, parser->file->path, entry->line);
    g_ptr_array_add(parser->file->disks, parser->disk);
}

static void
finish_disks(Parser *parser)
{
    for (guint i = 0; i < parser->file->disks->len; i++) {
        ConfigDisk *disk = parser->file->disks->pdata[i];
        g_autofree char *name = units_printable(disk->name, -1);
        guint line = 0;
        g_autofree char *wrong = config_disk_finish(disk, &line);

        if (wrong != NULL)
            complain(parser, line > 0 ? line : disk->line, "[disk %s] %s", name, wrong);
    }
}

static void
take_section(Parser *parser, const KeyfileEntry *entry)
{
    g_autofree char *section = units_printable(entry->section, -1);
    const char *meant = suggest(NULL, entry->section);
    const char *disk = config_disk_section(entry->section);

    parser->disk = NULL;
    if (disk != NULL) {
        take_disk(parser, entry, disk);
        return;
    }
    if (setting_section_exists(entry->section))
        return;
    if (strcmp(entry->section, MATCH_SECTION) == 0) {
        if (!parser->file->is_override)
            complain(parser, entry->line, "[%s] belongs in a file of vm.d", section);
        return;
    }
    if (meant != NULL)
        complain(parser, entry->line, "unknown section [%s]; did you mean [%s]?", section, meant);
    else
        complain(parser, entry->line, "unknown section [%s]", section);
}

static void
take_match(Parser *parser, const KeyfileEntry *entry)
{
    g_autofree char *key = units_printable(entry->key, -1);
    char **list = NULL;

    for (guint i = 0; i < CONFIG_MATCH_KEYS; i++) {
        if (strcmp(entry->key, match_keys[i].key) == 0)
            list = &parser->file->match[i];
    }
    if (list == NULL)
        complain(parser, entry->line,
                 "unknown key \"%s\" in [" MATCH_SECTION "]: use name, id, uuid, source, "
                 "namespace or tag",
                 key);
    else if (*list != NULL)
        complain(parser, entry->line, "[" MATCH_SECTION "] %s: is given twice", key);
    else if (entry->value[strspn(entry->value, SETTING_SEPARATORS)] == '\0')
        complain(parser, entry->line, "[" MATCH_SECTION "] %s: is empty", key);
    else
        *list = g_strdup(entry->value);
}

static void
complain_unknown_key(Parser *parser, const KeyfileEntry *entry)
{
    g_autofree char *key = units_printable(entry->key, -1);
    const char *meant = suggest(entry->section, entry->key);

    if (meant != NULL)
        complain(parser, entry->line, "unknown key \"%s\" in [%s]; did you mean \"%s\"?", key,
                 entry->section, meant);
    else
        complain(parser, entry->line, "unknown key \"%s\" in [%s]", key, entry->section);
}

static void
take_value(Parser *parser, const KeyfileEntry *entry)
{
    const Setting *setting = setting_find(entry->section, entry->key);
    const ConfigValue *earlier = NULL;
    ConfigValue *value = NULL;
    g_autofree char *wrong = NULL;

    if (setting == NULL) {
        complain_unknown_key(parser, entry);
        return;
    }
    earlier = config_file_find(parser->file, setting);
    if (earlier != NULL) {
        complain(parser, entry->line, "[%s] %s: is set in line %u already", setting->section,
                 setting->key, earlier->line);
        return;
    }
    wrong = setting_apply(setting, entry->value, &parser->scratch);
    if (parser->file->is_override && setting->scope == SCOPE_HOST)
        complain(parser, entry->line, "[%s] %s: is for the whole host, not for single VMs",
                 setting->section, setting->key);
    else if (wrong != NULL)
        complain(parser, entry->line, "[%s] %s: %s", setting->section, setting->key, wrong);
    value = g_new0(ConfigValue, 1);
    *value = (ConfigValue){setting, g_strdup(entry->value), entry->line};
    g_ptr_array_add(parser->file->values, value);
}

static void
take_entry(Parser *parser, const KeyfileEntry *entry)
{
    switch (entry->kind) {
    case KEYFILE_WRONG:
        complain(parser, entry->line, "the line %s", entry->wrong);
        return;
    case KEYFILE_SECTION:
        take_section(parser, entry);
        return;
    case KEYFILE_VALUE:
        /* What stands in a section that should not be was explained with the section. */
        if (parser->disk != NULL)
            config_disk_take(parser->disk, entry->key, entry->value, entry->line);
        else if (setting_section_exists(entry->section))
            take_value(parser, entry);
        else if (parser->file->is_override && strcmp(entry->section, MATCH_SECTION) == 0)
            take_match(parser, entry);
        return;
    }
}

static void
value_free(ConfigValue *value)
{
    g_free(value->text);
    g_free(value);
}

ConfigFile *
config_file_parse(const char *path, char *text, gsize length, bool is_override, GPtrArray *errors)
{
    ConfigFile *file = g_new0(ConfigFile, 1);
    Parser parser = {.file = file, .errors = errors};
    guint n_errors = errors->len;
    bool is_aimed = false;
    Keyfile keyfile;
    KeyfileEntry entry;

    file->path = g_strdup(path);
    file->is_override = is_override;
    file->values = g_ptr_array_new_with_free_func((GDestroyNotify)value_free);
    file->disks = g_ptr_array_new_with_free_func((GDestroyNotify)config_disk_free);
    keyfile_init(&keyfile, text, length);
    while (errors->len < CONFIG_ERRORS_MAX && keyfile_next(&keyfile, &entry))
        take_entry(&parser, &entry);
    finish_disks(&parser);
    for (guint i = 0; i < CONFIG_MATCH_KEYS; i++)
        is_aimed = is_aimed || file->match[i] != NULL;
    if (is_override && !is_aimed && errors->len == n_errors)
        complain(&parser, 1,
                 "no VM is named: give name, id, uuid, source, namespace or tag in [" MATCH_SECTION
                 "]");
    limits_clear(&parser.scratch);
    return file;
}

void
config_file_free(ConfigFile *file)
{
    if (file == NULL)
        return;
    g_free(file->path);
    for (guint i = 0; i < CONFIG_MATCH_KEYS; i++)
        g_free(file->match[i]);
    g_ptr_array_unref(file->values);
    g_ptr_array_unref(file->disks);
    g_free(file);
}

static bool
list_matches_any(const char *list, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", " ", -1);

    for (guint i = 0; words[i] != NULL; i++)
        if (*words[i] != '\0' && setting_list_matches(list, words[i]))
            return true;
    return false;
}

static bool
list_matches(const char *list, const char *text, bool is_caseless)
{
    g_autofree char *lower_list = NULL;
    g_autofree char *lower_text = NULL;

    if (!is_caseless || text == NULL)
        return setting_list_matches(list, text);
    lower_list = g_ascii_strdown(list, -1);
    lower_text = g_ascii_strdown(text, -1);
    return setting_list_matches(lower_list, lower_text);
}

bool
config_file_applies(const ConfigFile *file, const ConfigSubject *subject)
{
    if (!file->is_override || subject == NULL)
        return !file->is_override;
    for (guint i = 0; i < CONFIG_MATCH_KEYS; i++) {
        const char *text = G_STRUCT_MEMBER(const char *, subject, match_keys[i].offset);

        if (file->match[i] != NULL &&
            !(match_keys[i].is_list
                  ? list_matches_any(file->match[i], text)
                  : list_matches(file->match[i], text, match_keys[i].is_caseless)))
            return false;
    }
    return true;
}

const ConfigValue *
config_file_find(const ConfigFile *file, const Setting *setting)
{
    for (guint i = 0; i < file->values->len; i++) {
        const ConfigValue *value = file->values->pdata[i];

        if (value->setting == setting)
            return value;
    }
    return NULL;
}
