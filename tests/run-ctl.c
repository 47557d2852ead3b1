/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "run-ctl.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Puts a file in memory in the place of a stream; what was there is kept in *ret_kept. */
static int
stream_divert(FILE *stream, int *ret_kept)
{
    int fd = memfd_create("captured", MFD_CLOEXEC);

    fflush(stream);
    *ret_kept = dup(fileno(stream));
    assert_int_not_equal(dup2(fd, fileno(stream)), -1);
    return fd;
}

static char *
stream_restore(FILE *stream, int captured, int kept)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", captured);
    char *text = NULL;

    fflush(stream);
    assert_int_not_equal(dup2(kept, fileno(stream)), -1);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    close(kept);
    close(captured);
    return text;
}

static int
whole_tool(const CtlOptions *options, int argc, char **argv)
{
    return ctl_main(argc, argv);
}

Run
run_verb(CtlVerbFunc verb, const CtlOptions *options, char **argv)
{
    int kept_out, kept_err, out, err;
    Run run;

    out = stream_divert(stdout, &kept_out);
    err = stream_divert(stderr, &kept_err);
    run.status = verb(options, (int)g_strv_length(argv), argv);
    run.err = stream_restore(stderr, err, kept_err);
    run.out = stream_restore(stdout, out, kept_out);
    return run;
}

Run
run_ctl(const char *const *words)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    g_ptr_array_add(argv, (gpointer) "guardianctl");
    for (guint i = 0; words[i]; i++)
        g_ptr_array_add(argv, (gpointer)words[i]);
    g_ptr_array_add(argv, NULL);
    return run_verb(whole_tool, NULL, (char **)argv->pdata);
}

Run
run_verb_words(CtlVerbFunc verb, const char *name, bool is_json, const char *const *words)
{
    CtlOptions options = {.is_json = is_json};
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    g_ptr_array_add(argv, (gpointer)name);
    for (; *words; words++)
        g_ptr_array_add(argv, (gpointer)*words);
    g_ptr_array_add(argv, NULL);
    return run_verb(verb, &options, (char **)argv->pdata);
}

void
run_check(CtlVerbFunc verb, const char *name, const RunRow *row)
{
    const char *words[G_N_ELEMENTS(row->words) + 1] = {NULL};

    memcpy(words, row->words, sizeof row->words);
    g_auto(Run) run = run_verb_words(verb, name, false, words);
    assert_string_equal(run.err, row->err);
    assert_string_equal(run.out, row->out);
    assert_int_equal(run.status, row->status);
}

JsonObject *
run_json(JsonParser *parser, const Run *run)
{
    assert_true(json_parser_load_from_data(parser, run->out, -1, NULL));
    return json_node_get_object(json_parser_get_root(parser));
}

void
run_clear(Run *run)
{
    g_free(run->out);
    g_free(run->err);
}
