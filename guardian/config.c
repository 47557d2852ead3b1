/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "config-file.h"
#include "fd.h"
#include "units.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* What is read, in this order; what comes later wins:
 *
 *   guardian.conf
 *   guardian.conf.d/<name>.conf   in the order of the bytes of their names, in any locale
 *   vm.d/<name>.conf              likewise; only for the VMs that its [Match] section names
 *
 * Names that do not end in .conf are not read, nor are hidden ones: what editors and package
 * managers leave behind (x.conf~, x.conf.dpkg-old, .x.conf.swp) is not configuration. What is named
 * like configuration and is no regular file, or a link, is an error. */

#define SUFFIX ".conf"

/* Far above any configuration written by people; what is larger is something else. */
#define FILE_BYTES_MAX (1024 * 1024)

struct Config {
    GPtrArray *files; /* of ConfigFile, in the order in which they win */
};

typedef struct {
    const Host *host;
    GPtrArray *files;
    GPtrArray *errors;
} Loader;

/* Nothing there is a valid configuration; everything else must be readable. */
static void
loader_complain(Loader *loader, const GError *error)
{
    if (!g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE))
        g_ptr_array_add(loader->errors, units_printable(error->message, -1));
}

static void
loader_read(Loader *loader, const char *path, bool is_override)
{
    g_autofree char *full = g_build_filename(host_root_path(loader->host, HOST_CONFIG), path, NULL);
    g_autofree char *printable = units_printable(full, -1);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize length = 0;

    text = host_read(loader->host, HOST_CONFIG, path, FILE_BYTES_MAX, &length, &error);
    if (text == NULL)
        loader_complain(loader, error);
    else
        g_ptr_array_add(loader->files,
                        config_file_parse(printable, text, length, is_override, loader->errors));
}

static void
loader_complain_directory(Loader *loader, const char *path, const char *why)
{
    g_ptr_array_add(loader->errors,
                    g_strdup_printf("cannot read %s/%s: %s",
                                    host_root_path(loader->host, HOST_CONFIG), path, why));
}

static int
name_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the configuration files in a directory, in order. */
static GPtrArray *
loader_list(Loader *loader, const char *path)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    /* Without O_DIRECTORY: a file in place of the directory must not look like none. */
    auto_fd fd = host_open(loader->host, HOST_CONFIG, path, O_RDONLY | O_NONBLOCK, &error);
    const struct dirent *entry = NULL;
    DIR *directory = NULL;

    if (fd < 0) {
        loader_complain(loader, error);
        return names;
    }
    directory = fdopendir(fd);
    if (directory == NULL) {
        loader_complain_directory(loader, path, g_strerror(errno));
        return names;
    }
    fd_steal(&fd);
    for (errno = 0; (entry = readdir(directory)) != NULL; errno = 0) {
        if (entry->d_name[0] != '.' && g_str_has_suffix(entry->d_name, SUFFIX))
            g_ptr_array_add(names, g_strdup(entry->d_name));
    }
    if (errno != 0) /* half a configuration is a wrong one */
        loader_complain_directory(loader, path, g_strerror(errno));
    closedir(directory);
    g_ptr_array_sort(names, name_compare);
    return names;
}

static void
loader_read_directory(Loader *loader, const char *path, bool is_override)
{
    g_autoptr(GPtrArray) names = loader_list(loader, path);

    for (guint i = 0; i < names->len && loader->errors->len < CONFIG_ERRORS_MAX; i++) {
        g_autofree char *file = g_build_filename(path, names->pdata[i], NULL);

        loader_read(loader, file, is_override);
    }
}

static void
errors_tell(GPtrArray *errors, GError **error)
{
    g_autofree char *message = NULL;

    if (errors->len >= CONFIG_ERRORS_MAX)
        g_ptr_array_add(errors, g_strdup("there may be more: the first errors are shown"));
    g_ptr_array_add(errors, NULL);
    message = g_strjoinv("\n", (char **)errors->pdata);
    g_set_error_literal(error, GUARDIAN_ERROR, GUARDIAN_ERROR_CONFIG, message);
}

/* Takes the files, unless there are errors: then NULL. */
static Config *
config_new(GPtrArray *files, GPtrArray *errors, GError **error)
{
    Config *config;

    if (errors->len > 0) {
        errors_tell(errors, error);
        return NULL;
    }
    config = g_new0(Config, 1);
    config->files = g_ptr_array_ref(files);
    return config;
}

Config *
config_load(const Host *host, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)config_file_free);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    Loader loader = {host, files, errors};

    loader_read(&loader, "guardian.conf", false);
    loader_read_directory(&loader, "guardian.conf.d", false);
    loader_read_directory(&loader, "vm.d", true);
    return config_new(files, errors, error);
}

Config *
config_from_text(const char *path, char *text, gsize length, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)config_file_free);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(files, config_file_parse(path, text, length, false, errors));
    return config_new(files, errors, error);
}

void
config_free(Config *config)
{
    if (config == NULL)
        return;
    g_ptr_array_unref(config->files);
    g_free(config);
}

static void
apply_files(const Config *config, const ConfigSubject *subject, bool is_override,
            Limits *ret_limits)
{
    for (guint i = 0; i < config->files->len; i++) {
        const ConfigFile *file = config->files->pdata[i];

        if (file->is_override != is_override || !config_file_applies(file, subject))
            continue;
        for (guint j = 0; j < file->values->len; j++) {
            const ConfigValue *value = file->values->pdata[j];
            g_autofree char *wrong = setting_apply(value->setting, value->text, ret_limits);

            g_assert(wrong == NULL); /* it was tried when the file was parsed */
        }
    }
}

/* "section.key"; NULL when there is no such setting. */
static const Setting *
find_setting(const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, ".", 2);

    return parts[0] != NULL && parts[1] != NULL ? setting_find(parts[0], parts[1]) : NULL;
}

/* NULL: it may be applied. */
static char *
word_problem(const OwnerWord *word, const Limits *host)
{
    const Setting *setting = find_setting(word->name);
    Limits scratch = {0};
    char *wrong;

    if (setting == NULL)
        return g_strdup("there is no such setting");
    if (!setting_is_owners(setting, host))
        return g_strdup("is not the owner's to set ([guardian] owner_may_set)");
    wrong = setting_apply(setting, word->value, &scratch);
    limits_clear(&scratch);
    return wrong;
}

char *
config_owner_problem(const Config *config, const OwnerWord *word)
{
    g_auto(Limits) host = {0};

    limits_init_defaults(&host);
    apply_files(config, NULL, false, &host);
    return word_problem(word, &host);
}

static void
apply_owner(const ConfigSubject *subject, Limits *ret_limits)
{
    for (guint i = 0; subject != NULL && subject->owner != NULL && i < subject->owner->len; i++) {
        const OwnerWord *word = subject->owner->pdata[i];
        g_autofree char *problem = word_problem(word, ret_limits);
        g_autofree char *wrong = NULL;

        if (problem == NULL)
            wrong = setting_apply(find_setting(word->name), word->value, ret_limits);
        g_assert(wrong == NULL); /* it was tried */
    }
}

void
config_limits(const Config *config, const ConfigSubject *subject, Limits *ret_limits)
{
    limits_init_defaults(ret_limits);
    apply_files(config, subject, false, ret_limits);
    apply_owner(subject, ret_limits);
    apply_files(config, subject, true, ret_limits);
}

/* Of the value that the files of one kind give; NULL: they give none. */
static char *
origin_in_files(const Config *config, const ConfigSubject *subject, bool is_override,
                const Setting *setting)
{
    for (guint i = config->files->len; i > 0; i--) {
        const ConfigFile *file = config->files->pdata[i - 1];
        const ConfigValue *value = config_file_find(file, setting);

        if (value != NULL && file->is_override == is_override && config_file_applies(file, subject))
            return g_strdup_printf("%s:%u", file->path, value->line);
    }
    return NULL;
}

static char *
origin_in_owner(const Config *config, const ConfigSubject *subject, const Setting *setting)
{
    for (guint i = subject != NULL && subject->owner != NULL ? subject->owner->len : 0; i > 0;
         i--) {
        const OwnerWord *word = subject->owner->pdata[i - 1];
        g_autofree char *problem = config_owner_problem(config, word);

        if (problem == NULL && find_setting(word->name) == setting)
            return g_strdup_printf("%s (the owner's)", word->origin);
    }
    return NULL;
}

char *
config_origin(const Config *config, const ConfigSubject *subject, const Setting *setting)
{
    char *origin = origin_in_files(config, subject, true, setting);

    if (origin == NULL)
        origin = origin_in_owner(config, subject, setting);
    if (origin == NULL)
        origin = origin_in_files(config, subject, false, setting);
    return origin != NULL ? origin : g_strdup(CONFIG_ORIGIN_DEFAULT);
}

char **
config_matching_files(const Config *config, const ConfigSubject *subject)
{
    GPtrArray *paths = g_ptr_array_new();

    for (guint i = 0; i < config->files->len; i++) {
        const ConfigFile *file = config->files->pdata[i];

        if (file->is_override && config_file_applies(file, subject))
            g_ptr_array_add(paths, g_strdup(file->path));
    }
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_free(paths, FALSE);
}

/* Takes disk. */
static void
disks_replace(GPtrArray *disks, ConfigDisk *disk)
{
    for (guint i = 0; i < disks->len; i++) {
        if (strcmp(((const ConfigDisk *)disks->pdata[i])->name, disk->name) != 0)
            continue;
        config_disk_free(disks->pdata[i]);
        disks->pdata[i] = disk;
        return;
    }
    g_ptr_array_add(disks, disk);
}

GPtrArray *
config_disks(const Config *config, const ConfigSubject *subject)
{
    GPtrArray *disks = g_ptr_array_new_with_free_func((GDestroyNotify)config_disk_free);

    for (guint i = 0; i < config->files->len; i++) {
        const ConfigFile *file = config->files->pdata[i];

        if (!config_file_applies(file, subject))
            continue;
        for (guint j = 0; j < file->disks->len; j++) {
            ConfigDisk *copy = config_disk_copy(file->disks->pdata[j]);

            if (copy != NULL) /* else it was an error when the file was read */
                disks_replace(disks, copy);
        }
    }
    return disks;
}

ConfigCount
config_count(const Config *config)
{
    ConfigCount count = {.files = config->files->len};

    for (guint i = 0; i < config->files->len; i++) {
        const ConfigFile *file = config->files->pdata[i];

        count.settings += file->values->len;
        count.overrides += file->is_override ? 1 : 0;
    }
    return count;
}
