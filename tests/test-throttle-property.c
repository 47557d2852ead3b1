/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "throttle-text.h"

#include <string.h>

/* What holds for all limits that QEMU takes, tried on many. The seed is fixed: a failure prints the
 * text that failed and comes back. */
#define SEED 20240613
#define ROUNDS 2000

#define RATE(limit) THROTTLE_FIELD(limit, THROTTLE_RATE)
#define MAX_OF(limit) THROTTLE_FIELD(limit, THROTTLE_MAX)
#define LENGTH(limit) THROTTLE_FIELD(limit, THROTTLE_LENGTH)

static bool
chance(GRand *random, gint percent)
{
    return g_rand_int_range(random, 0, 100) < percent;
}

/* From 1 to max, of any size: small ones as often as large ones; often whole MiB. */
static guint64
random_number(GRand *random, guint64 max)
{
    guint64 bits = (guint64)g_rand_int(random) << 32 | g_rand_int(random);
    guint64 value = bits >> g_rand_int_range(random, 14, 64);

    if (chance(random, 40))
        value = (value >> 20) << 20;
    return 1 + value % max;
}

static void
limit_fill(GRand *random, guint64 *parts, bool is_bytes)
{
    guint64 step = is_bytes && chance(random, 40) ? 1 << 20 : 1;

    parts[THROTTLE_RATE] = random_number(random, THROTTLE_VALUE_MAX / step / 4) * step;
    if (chance(random, 50))
        return;
    parts[THROTTLE_MAX] = parts[THROTTLE_RATE] + random_number(random, THROTTLE_VALUE_MAX / 2);
    if (chance(random, 50))
        parts[THROTTLE_LENGTH] =
            random_number(random, MIN(THROTTLE_VALUE_MAX / parts[THROTTLE_MAX], G_MAXUINT32));
}

static void
limits_fill(GRand *random, guint64 *fields, ThrottleLimit total, bool is_bytes)
{
    gint kind = g_rand_int_range(random, 0, 5);

    for (guint i = 0; i < 3; i++) {
        bool is_wanted = i == 0 ? kind == 1 : kind == 4 || kind == (gint)i + 1;

        if (is_wanted)
            limit_fill(random, &fields[THROTTLE_FIELD(total + i, 0)], is_bytes);
    }
}

static Throttle *
read_or_fail(ThrottleForm form, const char *text)
{
    g_autoptr(GError) error = NULL;
    Throttle *throttle = throttle_text_parse(form, text, strlen(text), &error);

    if (throttle == NULL)
        fail_msg("%s: %s: %s", throttle_form_name(form), error->message, text);
    return throttle;
}

static Throttle *
random_throttle(GRand *random)
{
    static const char *const groups[] = {"web", "a b", "<&>\"'", "gr\xc3\xbc\xc3\x9f", "12"};
    Throttle *throttle = read_or_fail(THROTTLE_POLICY, "");
    guint64 *fields = throttle->fields;

    limits_fill(random, fields, THROTTLE_BPS_TOTAL, true);
    limits_fill(random, fields, THROTTLE_IOPS_TOTAL, false);
    if (chance(random, 50) &&
        (fields[RATE(THROTTLE_IOPS_TOTAL)] > 0 || fields[RATE(THROTTLE_IOPS_READ)] > 0 ||
         fields[RATE(THROTTLE_IOPS_WRITE)] > 0))
        fields[THROTTLE_IOPS_SIZE] = random_number(random, 1 << 30);
    for (guint i = 0; i < THROTTLE_N_LIMITS && throttle->group == NULL; i++)
        if (fields[RATE(i)] > 0 && chance(random, 20))
            throttle->group = g_strdup(groups[g_rand_int_range(random, 0, G_N_ELEMENTS(groups))]);
    assert_null(throttle_find_fault(throttle));
    return throttle;
}

/* As text of this form; what it has no word for is taken out of the limits first. */
static char *
text_of(ThrottleForm form, Throttle *throttle, GRand *random)
{
    throttle->form = form;
    throttle->is_group_object = form == THROTTLE_QEMU && random != NULL && chance(random, 50);
    if (form == THROTTLE_PROXMOX)
        throttle->fields[THROTTLE_IOPS_SIZE] = 0;
    if (form == THROTTLE_PROXMOX || throttle->is_group_object)
        g_clear_pointer(&throttle->group, g_free);
    return throttle_text_print(throttle);
}

/* false: this one was left out. */
typedef bool (*RoundFunc)(GRand *random, ThrottleForm form, Throttle *throttle);

static void
each_form(RoundFunc func)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
    guint n_tried = 0;

    for (guint i = 0; i < ROUNDS * THROTTLE_N_FORMS; i++) {
        g_autoptr(Throttle) throttle = random_throttle(random);

        n_tried += func(random, (ThrottleForm)(i % THROTTLE_N_FORMS), throttle);
    }
    /* A test that left out every round would pass. */
    assert_true(n_tried > ROUNDS);
}

static bool
round_print_and_read(GRand *random, ThrottleForm form, Throttle *throttle)
{
    g_autofree char *text = text_of(form, throttle, random);
    g_autoptr(Throttle) read = read_or_fail(form, text);
    g_autofree char *again = throttle_text_print(read);

    if (!throttle_equal(throttle, read) || strcmp(text, again) != 0 ||
        g_strcmp0(throttle->group, read->group) != 0)
        fail_msg("%s became %s", text, again);
    return true;
}

static void
what_is_printed_is_read_as_it_was(void **state)
{
    each_form(round_print_and_read);
}

/* Another value for one field, that QEMU takes; false when there is none near. */
static bool
change_field(GRand *random, Throttle *throttle, guint field)
{
    g_autofree char *fault = NULL;
    guint64 old = throttle->fields[field];
    static const gint64 steps[] = {1, -1, 1 << 20, -(1 << 20), 1000};

    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (steps[i] < 0 && old < (guint64)-steps[i])
            continue;
        throttle->fields[field] = old + (guint64)steps[i];
        g_free(fault);
        fault = throttle_find_fault(throttle);
        if (fault == NULL && throttle->fields[field] > 0)
            return true;
    }
    throttle->fields[field] = old;
    return false;
}

static bool
round_change_one(GRand *random, ThrottleForm form, Throttle *throttle)
{
    g_autofree char *before = text_of(form, throttle, NULL);
    guint field = (guint)g_rand_int_range(random, 0, THROTTLE_N_FIELDS);
    g_autoptr(Throttle) a = read_or_fail(form, before);

    if (!change_field(random, throttle, field) ||
        (form == THROTTLE_PROXMOX && field == THROTTLE_IOPS_SIZE))
        return false;
    g_autofree char *after = throttle_text_print(throttle);
    g_autoptr(Throttle) b = read_or_fail(form, after);
    if (throttle_equal(a, b) || strcmp(before, after) == 0)
        fail_msg("%s and %s are equal", before, after);
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        if (throttle_field_differs(a, b, i) != (i == field))
            fail_msg("%s: %s and %s", throttle_field_name(i), before, after);
    return true;
}

static void
one_changed_field_always_differs(void **state)
{
    each_form(round_change_one);
}

static void
pairs_shuffle(GRand *random, GPtrArray *lines)
{
    for (guint i = lines->len; i > 1; i--) {
        guint other = (guint)g_rand_int_range(random, 0, (gint32)i);
        gpointer line = lines->pdata[i - 1];

        lines->pdata[i - 1] = lines->pdata[other];
        lines->pdata[other] = line;
    }
}

static const char *
random_blanks(GRand *random)
{
    static const char *const blanks[] = {"", " ", "  ", "\t", " \t "};

    return blanks[g_rand_int_range(random, 0, G_N_ELEMENTS(blanks))];
}

/* The same number in other words. */
static char *
respell(GRand *random, const char *number, bool may_be_decimal)
{
    switch (g_rand_int_range(random, 0, may_be_decimal ? 5 : 3)) {
    case 0:
        return g_strconcat("00", number, NULL);
    case 1:
        return g_strconcat("+", number, NULL);
    case 2:
        return g_strdup(number);
    case 3:
        return g_strconcat(number, strchr(number, '.') != NULL ? "00" : ".0", NULL);
    default:
        return g_strconcat(number, "e+0", NULL);
    }
}

static bool
is_mebi(const char *name)
{
    return g_str_has_prefix(name, "mbps");
}

static bool
is_number(const char *value)
{
    return g_ascii_isdigit(*value) && value[strspn(value, "0123456789.")] == '\0';
}

/* "bps_rd_max_length" has the alias "bps_rd_length". */
static char *
random_alias(GRand *random, const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, "_max_length", -1);

    if ((strstr(name, "_rd_max_length") == NULL && strstr(name, "_wr_max_length") == NULL) ||
        chance(random, 50))
        return g_strdup(name);
    return g_strconcat(parts[0], "_length", NULL);
}

static char *
proxmox_permuted(GRand *random, const Throttle *throttle)
{
    static const char *const others[] = {"local-lvm:vm-102-disk-0", "iothread=on", "cyls=5", " ",
                                         "size=102400M"};
    g_auto(GStrv) pairs = throttle_print(THROTTLE_PROXMOX, throttle, NULL);
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        g_ptr_array_add(parts, g_strdup(others[i]));
    for (char **pair = pairs; *pair != NULL; pair += 2) {
        g_autofree char *name = random_alias(random, pair[0]);
        g_autofree char *value = respell(random, pair[1], is_mebi(pair[0]));

        g_ptr_array_add(parts, g_strdup_printf("%s=%s", name, value));
    }
    pairs_shuffle(random, parts);
    g_ptr_array_add(parts, NULL);
    return g_strjoinv(",", (char **)parts->pdata);
}

static char *
qemu_permuted(GRand *random, const Throttle *throttle)
{
    g_auto(GStrv) pairs = throttle_print(THROTTLE_QEMU, throttle, NULL);
    g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *joined = NULL;

    for (char **pair = pairs; *pair != NULL; pair += 2) {
        const char *quote = strcmp(pair[0], "group") == 0 ? "\"" : "";
        g_auto(GStrv) cut = g_strsplit(pair[1], "\"", -1);
        g_autofree char *escaped = g_strjoinv("\\\"", cut);
        bool is_default = strcmp(pair[1], strstr(pair[0], "length") != NULL ? "1" : "0") == 0;

        if (!throttle->is_group_object || !is_default || chance(random, 50))
            g_ptr_array_add(members, g_strdup_printf("%s\"%s\"%s:%s%s%s%s", random_blanks(random),
                                                     pair[0], random_blanks(random),
                                                     random_blanks(random), quote, escaped, quote));
    }
    if (!throttle->is_group_object && throttle->fields[THROTTLE_IOPS_SIZE] == 0)
        g_ptr_array_add(members, g_strdup("\"image\": {\"bps\": [1, null]}, \"iops_size\": 0"));
    if (members->len == 0)
        g_ptr_array_add(members, g_strdup("\"bps-total\":0"));
    pairs_shuffle(random, members);
    g_ptr_array_add(members, NULL);
    joined = g_strjoinv(",\n", (char **)members->pdata);
    return g_strdup_printf("{%s}\n", joined);
}

static char *
libvirt_permuted(GRand *random, const Throttle *throttle)
{
    g_auto(GStrv) pairs = throttle_print(THROTTLE_LIBVIRT, throttle, NULL);
    g_autoptr(GPtrArray) elements = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *joined = NULL;

    for (char **pair = pairs; *pair != NULL; pair += 2) {
        g_autofree char *value = is_number(pair[1]) && strcmp(pair[0], "group_name") != 0
                                     ? respell(random, pair[1], false)
                                     : g_strdup(pair[1]);

        g_ptr_array_add(elements,
                        g_markup_printf_escaped("<%s>%s%s%s</%s>", pair[0], random_blanks(random),
                                                value, random_blanks(random), pair[0]));
    }
    if (throttle->fields[LENGTH(THROTTLE_BPS_READ)] == 1)
        g_ptr_array_add(elements,
                        g_strdup("<read_bytes_sec_max_length>0</read_bytes_sec_max_length>"));
    if (throttle->group == NULL)
        g_ptr_array_add(elements, g_strdup("<group_name>/machine/peripheral/x</group_name>"));
    pairs_shuffle(random, elements);
    g_ptr_array_add(elements, NULL);
    joined = g_strjoinv("\n", (char **)elements->pdata);
    return g_strdup_printf("<!-- limits -->\n<iotune>%s</iotune>", joined);
}

/* A rate in bytes instead of MiB. */
static char *
policy_respell(GRand *random, const char *name, const char *value)
{
    const char *blank = random_blanks(random);
    const char *unit = chance(random, 50) ? "M" : "MiB";

    if (is_mebi(name) && chance(random, 50))
        return g_strdup_printf("%s%s=%s%s%s", name + 1, blank, random_blanks(random), value, unit);
    return g_strdup_printf("%s%s=%s%s%s", name, blank, random_blanks(random),
                           is_mebi(name) || strstr(name, "length") != NULL ? "00" : "", value);
}

static char *
policy_permuted(GRand *random, const Throttle *throttle)
{
    g_auto(GStrv) pairs = throttle_print(THROTTLE_POLICY, throttle, NULL);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *joined = NULL;

    g_ptr_array_add(lines, g_strdup("# a comment"));
    g_ptr_array_add(lines, g_strdup(""));
    for (char **pair = pairs; *pair != NULL; pair += 2)
        g_ptr_array_add(lines, policy_respell(random, pair[0], pair[1]));
    pairs_shuffle(random, lines);
    g_ptr_array_add(lines, NULL);
    joined = g_strjoinv(chance(random, 50) ? "\n" : "\r\n", (char **)lines->pdata);
    return g_strconcat(chance(random, 50) ? "[disk scsi0]\n" : "", joined, NULL);
}

static bool
round_permute(GRand *random, ThrottleForm form, Throttle *throttle)
{
    static char *(*const permuted[THROTTLE_N_FORMS])(GRand *, const Throttle *) = {
        [THROTTLE_PROXMOX] = proxmox_permuted,
        [THROTTLE_QEMU] = qemu_permuted,
        [THROTTLE_LIBVIRT] = libvirt_permuted,
        [THROTTLE_POLICY] = policy_permuted,
    };
    g_autofree char *text = text_of(form, throttle, random);
    g_autofree char *other = permuted[form](random, throttle);
    g_autoptr(Throttle) read = read_or_fail(form, other);

    if (!throttle_equal(throttle, read))
        fail_msg("%s and %s differ", text, other);
    return true;
}

static void
order_alias_unit_and_blanks_do_not_count(void **state)
{
    each_form(round_permute);
}

/* Through a second form and back. */
static bool
round_convert(GRand *random, ThrottleForm form, Throttle *throttle)
{
    g_autofree char *first = text_of(form, throttle, NULL);
    g_autoptr(Throttle) a = read_or_fail(form, first);

    for (guint other = 0; other < THROTTLE_N_FORMS; other++) {
        g_autofree char *text = NULL;

        if (other == THROTTLE_PROXMOX && (a->fields[THROTTLE_IOPS_SIZE] > 0 || a->group != NULL))
            continue;
        text = text_of((ThrottleForm)other, throttle, NULL);
        g_autoptr(Throttle) b = read_or_fail((ThrottleForm)other, text);
        if (!throttle_equal(a, b))
            fail_msg("%s and %s differ", first, text);
    }
    return true;
}

static void
every_form_says_the_same(void **state)
{
    each_form(round_convert);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read_as_it_was),
        cmocka_unit_test(one_changed_field_always_differs),
        cmocka_unit_test(order_alias_unit_and_blanks_do_not_count),
        cmocka_unit_test(every_form_says_the_same),
    };

    return cmocka_run_group_tests_name("throttle properties", tests, NULL, NULL);
}
