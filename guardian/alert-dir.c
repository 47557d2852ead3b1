/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alert-run.h"

#include "capture-child.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    int answer_fd, dir_fd;
    const AlertDir *dir;
} Listing;

static void
say(const Listing *listing, const char *verdict, const char *name, const char *why)
{
    char line[512];
    int length = 0;

    for (const char *parts[] = {verdict, " ", name, why ? ": " : "", why ? why : ""},
                    **part = parts;
         part < parts + G_N_ELEMENTS(parts); part++)
        for (const char *c = *part; *c && length < (int)sizeof line - 1; c++)
            line[length++] = (guchar)*c < ' ' ? '?' : *c; /* a line is a line */
    line[length++] = '\n';
    (void)!write(listing->answer_fd, line, (size_t)length);
}

/* NULL when it may be trusted. */
static const char *
why_not(const struct stat *status, uid_t owner)
{
    if (status->st_uid != 0 && status->st_uid != owner)
        return "it does not belong to root";
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return "others than its owner may write to it";
    return NULL;
}

static bool
ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

static bool
is_left_over(const char *name)
{
    static const char *const ends[] = {
        "~",          ".bak",      ".orig",    ".rej",    ".swp",      ".dpkg-old", ".dpkg-new",
        ".dpkg-dist", ".dpkg-tmp", ".rpmsave", ".rpmnew", ".ucf-dist", ".disabled"};

    for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
        if (ends_with(name, ends[i]))
            return true;
    return *name == '.';
}

static void
look_at_entry(const char *name, gpointer data)
{
    const Listing *listing = data;
    auto_fd fd = -1;
    struct stat status;
    const char *why;

    if (is_left_over(name))
        return;
    fd = host_open_beneath(listing->dir_fd, name, O_PATH | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) < 0) {
        say(listing, "bad", name, errno == ELOOP ? "it is a link" : "it cannot be looked at");
        return;
    }
    if (S_ISLNK(status.st_mode)) {
        say(listing, "bad", name, "it is a link");
        return;
    }
    if (!S_ISREG(status.st_mode) || !(status.st_mode & S_IXUSR))
        return; /* chmod -x is how one is switched off */
    why = why_not(&status, listing->dir->owner);
    if (!why && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
                    strlen(name))
        why = "its name has other bytes than letters, digits, dot, dash and underscore";
    say(listing, why ? "bad" : "run", name, why);
}

void
alert_dir_list(int answer_fd, gconstpointer data)
{
    const AlertDir *dir = data;
    Listing listing = {.answer_fd = answer_fd, .dir = dir, .dir_fd = -1};
    auto_fd parent_fd = open(dir->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd dir_fd = -1;
    struct stat status;
    const char *why = NULL;

    if (parent_fd < 0)
        return;
    dir_fd = host_open_beneath(parent_fd, dir->name, O_RDONLY | O_DIRECTORY);
    if (dir_fd < 0 && errno == ENOENT)
        return;
    if (dir_fd < 0)
        why = errno == ELOOP ? "it is a link" : "it is no directory that can be read";
    else if (fstat(parent_fd, &status) < 0 || why_not(&status, dir->owner))
        why = "the directory above it does not belong to root alone";
    else if (fstat(dir_fd, &status) < 0)
        why = "it cannot be looked at";
    else
        why = why_not(&status, dir->owner);
    if (why) {
        say(&listing, "bad", dir->name, why);
        return;
    }
    listing.dir_fd = dir_fd;
    (void)each_entry(dir_fd, ALERT_DIR_MAX, look_at_entry, &listing);
}
