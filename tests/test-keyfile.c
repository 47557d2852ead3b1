/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "keyfile.h"

#include <string.h>

/* What a text says, one entry a line: "3 [section]", "4 section.key=<value>", "5 ! is not ...". */
typedef struct {
    const char *name;
    const char *text;
    const char *entries;
    gsize length; /* 0: strlen(text) */
} ParseCase;

#define NEITHER "is neither [section], key = value nor a comment"
#define COMMENT "has a comment behind its value: a comment stands on its own line"

static const ParseCase parse_cases[] = {
    {"an empty text says nothing", "", "", 0},
    {"blank lines and comments say nothing", "\n  \n# a\n;b\n \t# [c]\n", "", 0},
    {"a value has section, key and line", "[a]\n\nk = v\n", "1 [a]\n3 a.k=<v>\n", 0},
    {"the last line needs no end", "[a]\nk=v", "1 [a]\n2 a.k=<v>\n", 0},
    {"blanks around do not count", "  [a]  \n\tk\t=  v w \t\n", "1 [a]\n2 a.k=<v w>\n", 0},
    {"a carriage return does not count", "[a]\r\nk = v\r\n", "1 [a]\n2 a.k=<v>\n", 0},
    {"a value may be empty", "[a]\nk =\n", "1 [a]\n2 a.k=<>\n", 0},
    {"a value may hold more equal signs", "[a]\nk = b=c\n", "1 [a]\n2 a.k=<b=c>\n", 0},
    {"a section may be entered again", "[a]\nk=1\n[b]\nk=2\n[a]\nl=3\n",
     "1 [a]\n2 a.k=<1>\n3 [b]\n4 b.k=<2>\n5 [a]\n6 a.l=<3>\n", 0},
    {"a value before any section", "k = v\n", "1 ! stands before any [section]\n", 0},
    {"a line without an equal sign", "[a]\nfoo\n", "1 [a]\n2 ! " NEITHER "\n", 0},
    {"a value without a key", "[a]\n= v\n", "1 [a]\n2 ! " NEITHER "\n", 0},
    {"a comment behind a value", "[a]\nk = 20s # was 10s\n", "1 [a]\n2 ! " COMMENT "\n", 0},
    {"a semicolon behind a value", "[a]\nk = 20s\t; was 10s\n", "1 [a]\n2 ! " COMMENT "\n", 0},
    {"a comment in place of a value", "[a]\nk =#20s\n", "1 [a]\n2 ! " COMMENT "\n", 0},
    {"a number sign inside a word is text", "[a]\nk = vm#1;x\n", "1 [a]\n2 a.k=<vm#1;x>\n", 0},
    {"a section without a name", "[]\nk = v\n", "1 ! " NEITHER "\n", 0},
    {"a broken section takes its values with it", "[a]\n[b\nk = v\n[c]\nk = w\n",
     "1 [a]\n2 ! " NEITHER "\n4 [c]\n5 c.k=<w>\n", 0},
    {"a comment behind a section breaks it", "[a] # b\nk = v\n", "1 ! " NEITHER "\n", 0},
    {"invalid UTF-8 is named with its line", "[a]\nk = \xff\nl = 1\n",
     "1 [a]\n2 ! is not valid UTF-8\n3 a.l=<1>\n", 0},
    {"invalid UTF-8 in a comment, too", "# \xc3\n", "1 ! is not valid UTF-8\n", 0},
    {"a section of invalid UTF-8 is a broken one", "[a]\n[\xff]\nk = v\n",
     "1 [a]\n2 ! is not valid UTF-8\n", 0},
    {"a NUL byte is named with its line", "[a]\nk = v\0w\nl = 1\n",
     "1 [a]\n2 ! holds a NUL byte\n3 a.l=<1>\n", 18},
    {"a NUL byte alone is not an empty line", "\0", "1 ! holds a NUL byte\n", 1},
};

static void
check_parse(void **state)
{
    const ParseCase *parse_case = *state;
    gsize length = parse_case->length ? parse_case->length : strlen(parse_case->text);
    /* On the heap and no longer than it is: a sanitizer sees a step too far. */
    g_autofree char *text = g_malloc0(length + 1);
    g_autoptr(GString) entries = g_string_new(NULL);
    Keyfile keyfile;
    KeyfileEntry entry;

    memcpy(text, parse_case->text, length);
    keyfile_init(&keyfile, text, length);
    while (keyfile_next(&keyfile, &entry)) {
        if (entry.kind == KEYFILE_SECTION)
            g_string_append_printf(entries, "%u [%s]\n", entry.line, entry.section);
        else if (entry.kind == KEYFILE_VALUE)
            g_string_append_printf(entries, "%u %s.%s=<%s>\n", entry.line, entry.section, entry.key,
                                   entry.value);
        else
            g_string_append_printf(entries, "%u ! %s\n", entry.line, entry.wrong);
    }
    assert_string_equal(entries->str, parse_case->entries);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(parse_cases)];

    for (guint i = 0; i < G_N_ELEMENTS(parse_cases); i++)
        tests[i] = t_row(parse_cases[i].name, check_parse, &parse_cases[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
