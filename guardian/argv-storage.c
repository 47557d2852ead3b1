/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two ways lead down: a child written inside its parent ("file.driver") and a child named by its
 * node-name ("file":"disk0-storage"). The lowest node is the one without a child; it is named after
 * what two VMs on the same storage have in common: the path, the server, the pool and image.
 *
 * A file name of -drive may also be an address: [protocol:]..., where the protocol ends before the
 * first slash, as QEMU reads it. User names and passwords in addresses are left out. */

#include "argv-storage.h"

#include <string.h>

/* throttle, copy-on-read, format, protocol and a few filters: a longer chain is a loop. */
#define CHAIN_LENGTH_MAX 32

#define NBD_PORT "10809"
#define ISCSI_PORT "3260"

static char *
storage_of_path(const char *path)
{
    bool is_device = g_str_has_prefix(path, "/dev/") && !g_str_has_prefix(path, "/dev/shm/");

    if (g_str_has_prefix(path, "/dev/fdset/"))
        return NULL; /* the descriptor's number says nothing about what it is */
    return g_strconcat(is_device ? "dev:" : "file:", path, NULL);
}

/* host[:port] with the port added; [v6]:port too. */
static char *
host_with_port(const char *host, const char *port)
{
    const char *bracket = strrchr(host, ']');
    bool has_port = strchr(bracket ? bracket : host, ':') != NULL;

    return has_port ? g_strdup(host) : g_strconcat(host, ":", port, NULL);
}

/* "nbd:unix:/path[:exportname=x]", "nbd:host:port[:exportname=x]" after "nbd:" */
static char *
storage_of_nbd_name(const char *name)
{
    const char *address = g_str_has_prefix(name, "unix:") ? name + strlen("unix:") : name;
    const char *export = strstr(address, ":exportname=");

    return g_strdup_printf("nbd:%.*s", (int)(export ? (gsize)(export - address) : strlen(address)),
                           address);
}

/* "protocol[+transport]://[user[:password]@]host[:port]/rest[?socket=path]" */
static char *
storage_of_url(const char *url)
{
    gsize scheme_length = strcspn(url, ":+");
    const char *authority = strstr(url, "://") + strlen("://");
    const char *slash = authority + strcspn(authority, "/?");
    const char *socket = strstr(slash, "socket=");
    g_autofree char *host = g_strndup(authority, (gsize)(slash - authority));
    const char *at = strrchr(host, '@');
    g_autofree char *server = NULL;

    if (scheme_length == 3 && g_str_has_prefix(url, "nbd")) {
        if (socket)
            return g_strdup_printf("nbd:%.*s", (int)strcspn(socket + 7, "&"), socket + 7);
        server = host_with_port(host, NBD_PORT);
        return g_strconcat("nbd:", server, NULL);
    }
    if (g_str_has_prefix(url, "iscsi:") || g_str_has_prefix(url, "iser:")) {
        server = host_with_port(at ? at + 1 : host, ISCSI_PORT);
        return g_strconcat("iscsi:", server, slash, NULL);
    }
    return g_strdup_printf("%.*s:", (int)scheme_length, url);
}

static char *
storage_of_file_name(const char *name)
{
    gsize length = strcspn(name, ":/");

    if (name[length] != ':')
        return storage_of_path(name);
    if (g_str_has_prefix(name, "file:") || g_str_has_prefix(name, "host_device:"))
        return storage_of_path(name + length + 1);
    if (strstr(name, "://"))
        return storage_of_url(name);
    if (g_str_has_prefix(name, "nbd:"))
        return storage_of_nbd_name(name + strlen("nbd:"));
    if (g_str_has_prefix(name, "rbd:"))
        return g_strdup_printf("rbd:%.*s", (int)strcspn(name + 4, ":@"), name + 4);
    return g_strdup_printf("%.*s:", (int)length, name);
}

static const char *
either(const char *first, const char *second)
{
    return first ? first : second;
}

static char *
storage_of_nbd_node(Options *o, const char *at)
{
    const char *path = either(options_get(o, "%sserver.path", at), options_get(o, "%spath", at));
    const char *host = either(options_get(o, "%sserver.host", at), options_get(o, "%shost", at));
    const char *port = either(options_get(o, "%sserver.port", at), options_get(o, "%sport", at));

    if (path)
        return g_strconcat("nbd:", path, NULL);
    return host ? g_strconcat("nbd:", host, ":", either(port, NBD_PORT), NULL) : NULL;
}

static char *
storage_of_iscsi_node(Options *o, const char *at)
{
    const char *portal = options_get(o, "%sportal", at);
    const char *target = options_get(o, "%starget", at);
    g_autofree char *server = portal ? host_with_port(portal, ISCSI_PORT) : NULL;

    if (!portal || !target)
        return NULL;
    return g_strconcat("iscsi:", server, "/", target, "/", either(options_get(o, "%slun", at), "0"),
                       NULL);
}

/* The lowest node stands in o below the key prefix `at`. */
static char *
storage_of_node(Options *o, const char *at)
{
    const char *driver = options_get(o, "%sdriver", at);
    const char *filename = options_get(o, "%sfilename", at);
    const char *pool = options_get(o, "%spool", at);
    const char *image = options_get(o, "%simage", at);

    if (!driver)
        return filename ? storage_of_file_name(filename) : NULL;
    if (g_str_equal(driver, "file") || g_str_has_prefix(driver, "host_"))
        return filename ? storage_of_path(filename) : NULL;
    if (g_str_equal(driver, "nbd"))
        return storage_of_nbd_node(o, at);
    if (g_str_equal(driver, "iscsi"))
        return storage_of_iscsi_node(o, at);
    if (g_str_equal(driver, "rbd"))
        return pool && image ? g_strconcat("rbd:", pool, "/", image, NULL) : NULL;
    return g_strconcat(driver, ":", NULL);
}

static bool
has_keys_below(Options *options, const char *prefix)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, options);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (g_str_has_prefix(key, prefix))
            return true;
    }
    return false;
}

static bool
is_on_at(Options *options, const char *at, const char *key)
{
    g_autofree char *whole = g_strconcat(at, key, NULL);

    return options_is_on(options, whole);
}

static ArgvChain
chain_follow(GHashTable *nodes, Options *options)
{
    ArgvChain chain = {0};
    g_autofree char *at = g_strdup("");

    for (guint i = 0; options && i < CHAIN_LENGTH_MAX; i++) {
        /* blkdebug and its like call their child so; rbd has an image that is none. */
        const char *child = has_keys_below(options, "image.") ? "image" : "file";
        g_autofree char *below = g_strconcat(at, child, ".", NULL);
        const char *reference = options_get(options, "%s%s", at, child);
        const char *driver = options_get(options, "%sdriver", at);

        if (!chain.throttle_group && g_strcmp0(driver, "throttle") == 0)
            chain.throttle_group = g_strdup(options_get(options, "%sthrottle-group", at));
        chain.ignores_flush |= is_on_at(options, at, "cache.no-flush");
        if (has_keys_below(options, below)) {
            g_free(at);
            at = g_steal_pointer(&below);
        } else if (reference) {
            options = nodes ? g_hash_table_lookup(nodes, reference) : NULL;
            *at = '\0';
        } else {
            chain.storage = storage_of_node(options, at);
            chain.aio = g_strdup(options_get(options, "%saio", at));
            chain.is_direct = is_on_at(options, at, "cache.direct");
            return chain;
        }
    }
    return chain;
}

ArgvChain
argv_chain_of_node(GHashTable *nodes, const char *node_name)
{
    return chain_follow(nodes, g_hash_table_lookup(nodes, node_name));
}

ArgvChain
argv_chain_of_drive(Options *drive)
{
    const char *name = options_get(drive, "file"), *cache;
    ArgvChain chain = {0};

    if (!name || g_str_has_prefix(name, "json:")) {
        g_autoptr(GHashTable) options =
            name ? options_parse(name + strlen("json:"), NULL) : g_hash_table_ref(drive);

        chain = chain_follow(NULL, options);
    } else {
        chain.storage = storage_of_file_name(name);
    }
    /* of a -drive it holds for the whole chain */
    if (options_get(drive, "aio")) {
        g_free(chain.aio);
        chain.aio = g_strdup(options_get(drive, "aio"));
    }
    cache = options_get(drive, "cache");
    chain.is_direct |= options_is_on(drive, "cache.direct") || g_strcmp0(cache, "none") == 0 ||
                       g_strcmp0(cache, "off") == 0 || g_strcmp0(cache, "directsync") == 0;
    chain.ignores_flush |=
        options_is_on(drive, "cache.no-flush") || g_strcmp0(cache, "unsafe") == 0;
    return chain;
}
