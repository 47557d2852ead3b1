/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "owner-look.h"
#include "owner.h"
#include "report-owner.h"

#include <string.h>

/* "name=value;..." of all words. */
static char *
words_text(const GPtrArray *words)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < words->len; i++) {
        const OwnerWord *word = words->pdata[i];

        g_string_append_printf(text, "%s=%s;", word->name, word->value);
    }
    return g_string_free(text, FALSE);
}

static void
lines_with_the_mark_are_words(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"vm-guardian: freeze.patience=60s", "freeze.patience=60s;"},
        {"the mail server\n  vm-guardian: a.b=1, c.d=2 e.f=\r\nphone 12", "a.b=1;c.d=2;e.f=;"},
        {"vm-guardian: a.b=1\nvm-guardian: a.b=2", "a.b=1;a.b=2;"},
        {"vm-guardian: off", "off=;"},
        {"vm-guardian: a.b=c=d", "a.b=c=d;"},
        {"see vm-guardian: a.b=1", ""}, /* in the middle of a sentence */
        {"vm-guardian a.b=1", ""},
        {"vm-guardian:", ""},
        {"", ""},
        {NULL, ""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GPtrArray) words = owner_words_new();
        g_autofree char *text = NULL;

        owner_take_description(words, rows[i].text, "x");
        text = words_text(words);
        if (strcmp(text, rows[i].words) != 0)
            fail_msg("%s: %s", rows[i].text, text);
    }
}

static void
a_thousand_words_are_cut_off(void **state)
{
    g_autoptr(GString) text = g_string_new("vm-guardian:");
    g_autoptr(GPtrArray) words = owner_words_new();

    for (guint i = 0; i < 1000; i++)
        g_string_append(text, " a.b=1");
    owner_take_description(words, text->str, "x");
    assert_int_equal(words->len, OWNER_WORDS_MAX);
}

static void
metadata_of_our_namespace_are_words(void **state)
{
    static const char xml[] =
        "<domain type='kvm'><name>web</name><metadata>"
        "<guardian:policy xmlns:guardian='urn:vm-guardian:1'>"
        "<guardian:set name='freeze.patience'> 60s </guardian:set>"
        "<guardian:set>5</guardian:set><guardian:note>x</guardian:note></guardian:policy>"
        "<other:policy xmlns:other='urn:other'><other:set name='freeze.settle'>9s</other:set>"
        "</other:policy></metadata></domain>";
    g_autoptr(DomainXml) domain = domain_xml_parse(xml, strlen(xml), NULL);
    g_autoptr(GPtrArray) words = owner_words_new();
    g_autofree char *text = NULL;

    assert_non_null(domain);
    owner_take_domain(words, domain);
    text = words_text(words);
    assert_string_equal(text, "freeze.patience=60s;=5;");
    assert_string_equal(((OwnerWord *)words->pdata[0])->origin, "libvirt's metadata");
}

static void
words_are_compared_by_what_they_say(void **state)
{
    g_autoptr(GPtrArray) a = owner_words_new();
    g_autoptr(GPtrArray) b = owner_words_new();

    assert_true(owner_words_equal(NULL, a));
    owner_words_add(a, "a.b", "1", "x");
    assert_false(owner_words_equal(NULL, a));
    owner_words_add(b, "a.b", "1", "x");
    ((OwnerWord *)b->pdata[0])->problem = g_strdup("unknown");
    assert_true(owner_words_equal(a, b));
    owner_words_add(a, "a.c", "1", "x");
    owner_words_add(b, "a.c", "2", "x");
    assert_false(owner_words_equal(a, b));
}

static void
proxmox_notes_and_tags_are_put_down(void **state)
{
    static const char text[] = "#the mail server\n#vm-guardian%3A freeze.patience=60s\n"
                               "tags: prod;mail,x\nmemory: 512\n"
                               "[before]\n#vm-guardian%3A guardian.watch=no\ntags: old\n";
    static const char without[] = "memory: 512\n";
    g_autoptr(PveConf) conf = pveconf_parse(text, strlen(text));
    g_autoptr(PveConf) empty = pveconf_parse(without, strlen(without));
    g_autofree char *words = NULL;
    Vm vm = {0};

    owner_look_proxmox(&vm, conf);
    words = words_text(vm.owner);
    assert_string_equal(words, "freeze.patience=60s;"); /* not the snapshot's */
    assert_string_equal(vm.tags, "prod mail x");
    assert_true(vm.owner_is_new);
    vm.owner_is_new = false;
    owner_look_proxmox(&vm, conf);
    assert_false(vm.owner_is_new);
    owner_look_proxmox(&vm, NULL); /* a cluster without a quorum changes nothing */
    assert_false(vm.owner_is_new);
    assert_int_equal(vm.owner->len, 1);
    owner_look_proxmox(&vm, empty);
    assert_true(vm.owner_is_new);
    assert_int_equal(vm.owner->len, 0);
    assert_null(vm.tags);
    g_ptr_array_unref(vm.owner);
}

static void
a_vm_whose_owner_says_nothing_is_not_new(void **state)
{
    g_autoptr(PveConf) empty = pveconf_parse("memory: 512\n", 12);
    Vm vm = {0};

    owner_look_proxmox(&vm, empty);
    assert_false(vm.owner_is_new);
    assert_non_null(vm.owner);
    g_ptr_array_unref(vm.owner);
}

static void
the_report_goes_there_and_back(void **state)
{
    g_autoptr(GPtrArray) words = owner_words_new();
    g_autoptr(GPtrArray) back = NULL;
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *json = NULL, *text = NULL, *told = NULL;
    Vm vm = {.owner = words, .tags = (char *)"prod web"};

    owner_words_add(words, "freeze.patience", "60s", "the notes");
    owner_words_add(words, "guardian.watch", "n\033o", "the notes");
    ((OwnerWord *)words->pdata[1])->problem = g_strdup("is not the owner's to set");
    json_builder_begin_object(builder);
    report_add_owner(builder, &vm);
    json_builder_end_object(builder);
    node = json_builder_get_root(builder);
    json = json_to_string(node, FALSE);
    assert_null(strchr(json, '\033'));
    assert_non_null(strstr(json, "\"tags\":\"prod web\""));
    told = report_owner_text(json_node_get_object(node));
    assert_string_equal(told, "freeze.patience=60s (the notes); guardian.watch=n\\x1bo is refused: "
                              "is not the owner's to set");
    back = report_owner_words(json_node_get_object(node));
    text = words_text(back);
    assert_string_equal(text, "freeze.patience=60s;guardian.watch=n\\x1bo;");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_with_the_mark_are_words),
        cmocka_unit_test(a_thousand_words_are_cut_off),
        cmocka_unit_test(metadata_of_our_namespace_are_words),
        cmocka_unit_test(words_are_compared_by_what_they_say),
        cmocka_unit_test(proxmox_notes_and_tags_are_put_down),
        cmocka_unit_test(a_vm_whose_owner_says_nothing_is_not_new),
        cmocka_unit_test(the_report_goes_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
