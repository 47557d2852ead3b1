/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "pveconf.h"

#include <string.h>

#define SCSI0 "scsi0: local-lvm:vm-102-disk-0,iothread=1,mbps_rd=60,mbps_wr=60,size=100G\n"

typedef struct {
    const char *name, *text, *canonical;
    const char *problems; /* "; " between them */
} Row;

static const Row rows[] = {
    {"nothing is a configuration", "", "", ""},
    {"a file as Proxmox writes it", "#web\n#db %3A\nagent: 1\nmemory: 8192\n" SCSI0,
     "#web\n#db :\nagent: 1\nmemory: 8192\n" SCSI0, ""},
    {"keys come in order", "name: a\nagent: 1\n", "agent: 1\nname: a\n", ""},
    {"a drive is canonical",
     "scsi0: size=100G,mbps_wr=60.0,mbps_rd=060,iothread=on,volume=local-lvm:vm-102-disk-0\n",
     SCSI0, ""},
    {"a drive that Proxmox refuses stays as it is", "scsi0: x,mpbs=1\n", "scsi0: x,mpbs=1\n", ""},
    {"a volume that waits for its drive is no drive", "unused0: local:1,b=2,a=1\n",
     "unused0: local:1,b=2,a=1\n", ""},
    {"unknown keys stay", "new-key7: some thing\n", "new-key7: some thing\n", ""},
    {"args stay as they are", "args: -device x,b=1,a=2  -s\n", "args: -device x,b=1,a=2  -s\n", ""},
    {"blanks at both ends of a value are none of it", "memory:\t 4096 \r\n", "memory: 4096\n", ""},
    {"cdrom is ide2", "cdrom: none,media=cdrom\n", "ide2: none,media=cdrom\n", ""},
    {"a description is one, wherever its lines are", "#a\nmemory: 1\n#b%25\ndescription: c%0Ad\n",
     "#a\n#b%25\n#c\n#d\nmemory: 1\n", ""},
    {"blanks in a description stay, but at its end", "#  a \n#\n#b\n#\n", "#  a \n#\n#b\n", ""},
    {"an umlaut comes back as it was", "#%C3%BC\n", "#%C3%BC\n", ""},
    {"what is no escape is none", "#5% %zz %00\n", "#5%25 %25zz %2500\n", ""},
    {"sections come in order",
     "memory: 1\n[zz]\nmemory: 3\n[special:fleecing]\nx: 1\n[b4]\n#x\nmemory: 2\n[pending]\n"
     "delete: net0\n",
     "memory: 1\n\n[PENDING]\ndelete: net0\n\n[special:fleecing]\nx: 1\n\n[b4]\n#x\nmemory: 2\n\n"
     "[zz]\nmemory: 3\n",
     ""},
    {"a key without a value has its line", "memory: 1\ncores:\n", "memory: 1\n",
     "line 2: has a key without a value: skipped"},
    {"a line that is nothing has its line", "\n\nfoo bar\n=\n", "",
     "line 3: is neither a key with a value nor a section: skipped; line 4: is neither a key with "
     "a value nor a section: skipped"},
    {"a key begins with a small letter", "Memory: 1\n7: 1\n", "",
     "line 1: is neither a key with a value nor a section: skipped; line 2: is neither a key with "
     "a value nor a section: skipped"},
    {"a key given twice: the last one counts", "memory: 1\ncores: 2\nmemory: 3\n",
     "cores: 2\nmemory: 3\n", "line 3: memory is given again, after line 1: this one counts"},
    {"delete belongs below PENDING", "delete: net0\n", "",
     "line 1: delete is allowed below [PENDING] only: skipped"},
    {"an unknown section is skipped with all below it", "a: 1\n[9 lives]\nb: 2\n#x\n[ok]\nc: 3\n",
     "a: 1\n\n[ok]\nc: 3\n", "line 2: section [9 lives] is unknown: skipped with all below it"},
    {"a section given twice: the last one counts", "[snap]\na: 1\n[snap]\nb: 2\n",
     "\n[snap]\nb: 2\n", "line 3: begins the section of line 1 again: only this one counts"},
    {"control characters do not reach the log", "[\x1b[31m]\n", "",
     "line 1: section [\\x1b[31m] is unknown: skipped with all below it"},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(PveConf) conf = pveconf_parse(row->text, strlen(row->text));
    g_autofree char *text = pveconf_print(conf);
    g_autoptr(PveConf) again = pveconf_parse(text, strlen(text));
    g_autofree char *again_text = pveconf_print(again);
    g_autoptr(GString) problems = g_string_new(NULL);

    for (guint i = 0; i < conf->problems->len; i++)
        g_string_append_printf(problems, "%s%s", i > 0 ? "; " : "",
                               (const char *)conf->problems->pdata[i]);
    assert_string_equal(text, row->canonical);
    assert_string_equal(problems->str, row->problems);
    assert_string_equal(again_text, text);
    assert_int_equal(again->problems->len, 0);
}

static PveConf *
parse(const char *text)
{
    return pveconf_parse(text, strlen(text));
}

static void
only_what_stands_before_the_sections_is_in_force(void **state)
{
    g_autoptr(PveConf) conf = parse("memory: 1\nname: a\n[PENDING]\nmemory: 2\nlock: no\n[s1]\n"
                                    "memory: 3\nlock: backup\n");

    assert_string_equal(pve_value(pveconf_live(conf), "memory"), "1");
    assert_string_equal(pve_value(pveconf_pending(conf), "memory"), "2");
    /* A snapshot's lock locks nobody. */
    assert_null(pve_value(pveconf_live(conf), "lock"));
    assert_null(pve_find(pveconf_live(conf), "cores"));
    assert_int_equal(pve_find(pveconf_live(conf), "name")->line, 2);
}

static void
nothing_is_pending_without_its_section(void **state)
{
    g_autoptr(PveConf) conf = parse("memory: 1\n[pend]\nmemory: 2\n");

    assert_null(pveconf_pending(conf));
}

static void
a_nul_byte_spoils_its_line_only(void **state)
{
    static const char text[] = "cores: 1\nmemory: 1\0lock: backup\nsockets: 2\n";
    g_autoptr(PveConf) conf = pveconf_parse(text, sizeof text - 1);

    assert_string_equal(pve_value(pveconf_live(conf), "sockets"), "2");
    assert_null(pve_value(pveconf_live(conf), "memory"));
    assert_string_equal(conf->problems->pdata[0], "line 2: holds a NUL byte: skipped");
}

static void
drives_are_known_by_their_bus(void **state)
{
    static const char *const drives[] = {"ide0", "sata5", "scsi30", "virtio15"};
    static const char *const others[] = {"unused0", "scsi",     "scsihw", "net0",
                                         "scsi123", "hostpci0", "scsi1a", "xscsi0"};

    for (guint i = 0; i < G_N_ELEMENTS(drives); i++)
        assert_true(pve_is_drive(drives[i]) && pve_is_limited_drive(drives[i]));
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        assert_false(pve_is_drive(others[i]));
    assert_true(pve_is_drive("efidisk0") && !pve_is_limited_drive("efidisk0"));
    assert_true(pve_is_drive("tpmstate0") && !pve_is_limited_drive("tpmstate0"));
}

static void
a_drive_has_limits_and_other_keys(void **state)
{
    g_autoptr(PveConf) conf = parse(SCSI0 "scsi1: x,mpbs=1\n");
    g_autofree char *wrong = NULL;
    g_autoptr(Throttle) good = pve_drive_parse(pve_find(pveconf_live(conf), "scsi0"), &wrong);
    g_autoptr(Throttle) bad = NULL;

    assert_non_null(good);
    assert_int_equal(good->fields[THROTTLE_FIELD(THROTTLE_BPS_WRITE, THROTTLE_RATE)], 62914560);
    assert_string_equal(good->others[0], "file");
    bad = pve_drive_parse(pve_find(pveconf_live(conf), "scsi1"), &wrong);
    assert_null(bad);
    assert_string_equal(wrong, "key \"mpbs\" is no key of a drive");
}

/* Fisher and Yates. */
static void
shuffle(GRand *random, const char **items, guint n)
{
    for (guint i = n; i > 1; i--) {
        guint other = (guint)g_rand_int_range(random, 0, (gint32)i);
        const char *item = items[i - 1];

        items[i - 1] = items[other];
        items[other] = item;
    }
}

/* The same lines and options in any order, with any alias, unit and blank. NULL: no field of it is
 * changed; else the one that is. */
static char *
file_in_any_order(GRand *random, const char *changed)
{
    const char *options[] = {g_rand_boolean(random) ? "local-lvm:v" : "volume=local-lvm:v",
                             g_rand_boolean(random) ? "iothread=1" : "iothread=on",
                             g_rand_boolean(random) ? "mbps_wr=60" : "mbps_wr=60.0",
                             g_rand_boolean(random) ? "mbps_rd=0.5" : "mbps_rd=.50",
                             g_rand_boolean(random) ? "iops_wr=100" : "iops_wr=0100",
                             g_rand_boolean(random) ? "size=1G" : "size=1048576K",
                             g_rand_boolean(random) ? "" : " "};
    const char *lines[6] = {NULL, "memory: 4096", "cores:  2 ", "name:\tdb", "#note", "tags: a;b"};
    g_autofree char *drive = NULL;
    GString *text = g_string_new(NULL);

    shuffle(random, options, G_N_ELEMENTS(options));
    drive = g_strdup_printf("scsi0: %s,%s,%s,%s,%s,%s,%s%s%s", options[0], options[1], options[2],
                            options[3], options[4], options[5], options[6],
                            changed != NULL ? "," : "", changed != NULL ? changed : "");
    lines[0] = drive;
    shuffle(random, lines, G_N_ELEMENTS(lines));
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
        g_string_append_printf(text, "%s%s\n", lines[i],
                               lines[i][0] != '#' && g_rand_boolean(random) ? "  " : "");
    return g_string_free(text, FALSE);
}

static char *
canonical(const char *text)
{
    g_autoptr(PveConf) conf = parse(text);

    assert_int_equal(conf->problems->len, 0);
    return pveconf_print(conf);
}

static void
any_order_alias_unit_and_blank_is_equal(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20241121);

    for (guint i = 0; i < 2000; i++) {
        static const char *const changes[] = {"mbps_wr_max=70", "iops_rd=1", "ssd=1", "aio=native"};
        g_autofree char *a = file_in_any_order(random, NULL), *b = file_in_any_order(random, NULL);
        g_autofree char *c = file_in_any_order(random, changes[i % G_N_ELEMENTS(changes)]);
        g_autofree char *a_text = canonical(a), *b_text = canonical(b), *c_text = canonical(c);

        if (strcmp(a_text, b_text) != 0)
            fail_msg("%s and\n%s", a, b);
        if (strcmp(a_text, c_text) == 0)
            fail_msg("%s is no\n%s", a, c);
    }
}

static void
a_hostile_file_costs_little(void **state)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < 100000; i++)
        g_string_append_printf(text, "[s%u]\n??\nk%u: 1\n", i, i);
    g_autoptr(PveConf) conf = pveconf_parse(text->str, text->len);
    g_string_free(text, TRUE);
    assert_int_equal(conf->problems->len, 100);
    assert_int_equal(conf->sections->len, 4096);
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(only_what_stands_before_the_sections_is_in_force),
        cmocka_unit_test(nothing_is_pending_without_its_section),
        cmocka_unit_test(a_nul_byte_spoils_its_line_only),
        cmocka_unit_test(drives_are_known_by_their_bus),
        cmocka_unit_test(a_drive_has_limits_and_other_keys),
        cmocka_unit_test(any_order_alias_unit_and_blank_is_equal),
        cmocka_unit_test(a_hostile_file_costs_little),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, check_row, &rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        tests[n++] = others[i];
    return cmocka_run_group_tests_name("Proxmox configurations", tests, NULL, NULL);
}
