/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "memory-limit-text.h"

#include <string.h>

#define FORM(name) MEMORY_LIMIT_##name
#define GIB ((guint64)1 << 30)
#define NONE G_MAXUINT64

typedef struct {
    const char *name;
    MemoryLimitForm form;
    const char *text;
    guint64 bytes;         /* NONE: no limit */
    const char *canonical; /* NULL: it is refused */
    const char *said;      /* the only note, or why it is refused; "" */
    guint64 total_bytes;
} Row;

static const Row rows[] = {
    {"Proxmox counts MiB", FORM(PROXMOX), "memory: 2048\n", 2 * GIB, "memory: 2048",
     "Proxmox limits no VM's memory: this is what its guest gets", 0},
    {"Proxmox' new form is the old one", FORM(PROXMOX), "memory: current=02048", 2 * GIB,
     "memory: 2048", "Proxmox limits no VM's memory: this is what its guest gets", 0},
    {"a number alone is Proxmox' memory", FORM(PROXMOX), "16", 16 << 20, "memory: 16",
     "Proxmox limits no VM's memory: this is what its guest gets", 0},
    {"less than 16 MiB is refused", FORM(PROXMOX), "15", 0, NULL, "\"15\" is below 16 MiB", 0},
    {"an unknown key of Proxmox is refused", FORM(PROXMOX), "max=2048", 0, NULL,
     "\"max=2048\" is not a number", 0},
    {"Proxmox has no units", FORM(PROXMOX), "2G", 0, NULL, "\"2G\" is not a number", 0},

    {"systemd's units are of 1024", FORM(SYSTEMD), "MemoryMax=2G", 2 * GIB, "MemoryMax=2G", "", 0},
    {"systemd's fractions", FORM(SYSTEMD), "1.5G", GIB + GIB / 2, "MemoryMax=1536M", "", 0},
    {"systemd adds parts", FORM(SYSTEMD), "1G 512M", GIB + GIB / 2, "MemoryMax=1536M", "", 0},
    {"a blank before systemd's unit", FORM(SYSTEMD), "1 G", GIB, "MemoryMax=1G", "", 0},
    {"systemd's units fall", FORM(SYSTEMD), "512M 1G", 0, NULL,
     "\"512M 1G\" has units that do not fall", 0},
    {"systemd knows no GB", FORM(SYSTEMD), "1GB", 0, NULL, "\"1GB\" is not a number", 0},
    {"systemd knows no Gi", FORM(SYSTEMD), "1Gi", 0, NULL, "\"1Gi\" is not a number", 0},
    {"systemd's units are capital", FORM(SYSTEMD), "1g", 0, NULL,
     "\"1g\" has an unknown unit: use K, M, G, T, P or E", 0},
    {"infinity is no limit", FORM(SYSTEMD), "MemoryMax=infinity", NONE, "MemoryMax=infinity", "",
     0},
    {"an old systemctl's infinity", FORM(SYSTEMD), "MemoryMax=18446744073709551615", NONE,
     "MemoryMax=infinity", "", 0},
    {"an empty assignment is infinity", FORM(SYSTEMD), "MemoryMax=", NONE, "MemoryMax=infinity", "",
     0},
    {"nothing at all is refused", FORM(SYSTEMD), "", 0, NULL, "\"\" is empty", 0},
    {"systemd ignores 0", FORM(SYSTEMD), "0", 0, NULL, "\"0\" is out of range", 0},
    {"a share needs the whole", FORM(SYSTEMD), "50%", 0, NULL,
     "\"50%\" is a share of the host's memory, which must be told, too", 0},
    {"a share of the whole", FORM(SYSTEMD), "12.5%", 2 * GIB, "MemoryMax=2G", "", 16 * GIB},
    {"a share is cut to pages", FORM(SYSTEMD), "0.01%", 109944832, "MemoryMax=107368K", "",
     1024 * GIB - 4096 * 9999},
    {"per mille", FORM(SYSTEMD), "500\xe2\x80\xb0", 8 * GIB, "MemoryMax=8G", "", 16 * GIB},
    {"parts of ten thousand", FORM(SYSTEMD), "5000\xe2\x80\xb1", 8 * GIB, "MemoryMax=8G", "",
     16 * GIB},
    {"more than all is refused", FORM(SYSTEMD), "101%", 0, NULL, "\"101%\" is more than all",
     16 * GIB},
    {"a share has two decimals", FORM(SYSTEMD), "1.234%", 0, NULL,
     "\"1.234%\" has too many decimals", 16 * GIB},
    {"a byte is less than a page", FORM(SYSTEMD), "1.5", 0, "MemoryMax=1",
     "1 bytes are no whole pages: the kernel takes them as 0", 0},

    {"max is no limit", FORM(CGROUP2), "max\n", NONE, "max", "", 0},
    {"bytes of cgroup v2", FORM(CGROUP2), "2147483648", 2 * GIB, "2147483648", "", 0},
    {"the kernel cuts to pages", FORM(CGROUP2), "2147487743", 2 * GIB, "2147483648",
     "2147487743 bytes are no whole pages: the kernel takes them as 2147483648", 0},
    {"the kernel's units, either case", FORM(CGROUP2), "2g", 2 * GIB, "2147483648", "", 0},
    {"0 is a limit of the kernel", FORM(CGROUP2), "0", 0, "0", "", 0},
    {"-1 is not for v2", FORM(CGROUP2), "-1", 0, NULL, "\"-1\" is not a number", 0},
    {"infinity is not for v2", FORM(CGROUP2), "infinity", 0, NULL, "\"infinity\" is not a number",
     0},
    {"octal is not guessed", FORM(CGROUP2), "010", 0, NULL,
     "\"010\" begins with 0: the kernel reads no decimal number there", 0},
    {"hexadecimal is not guessed", FORM(CGROUP2), "0x10", 0, NULL,
     "\"0x10\" begins with 0: the kernel reads no decimal number there", 0},
    {"two units are refused", FORM(CGROUP2), "2GG", 0, NULL,
     "\"2GG\" has an unknown unit: use K, M, G, T, P or E", 0},
    {"what wraps is refused", FORM(CGROUP2), "99999999999E", 0, NULL,
     "\"99999999999E\" is too large", 0},
    {"v1 prints its cap for no limit", FORM(CGROUP1), "9223372036854771712", NONE,
     "9223372036854771712", "as much as the kernel can count is no limit", 0},
    {"a page below the cap is a limit", FORM(CGROUP1), "9223372036854767616",
     G_GUINT64_CONSTANT(9223372036854767616), "9223372036854767616", "", 0},
    {"-1 is v1's no limit", FORM(CGROUP1), "-1", NONE, "9223372036854771712", "", 0},
    {"max is not for v1", FORM(CGROUP1), "max", 0, NULL, "\"max\" is not a number", 0},

    {"libvirt counts KiB", FORM(LIBVIRT), "<hard_limit>2097152</hard_limit>", 2 * GIB,
     "<hard_limit unit='KiB'>2097152</hard_limit>", "", 0},
    {"libvirt's long units", FORM(LIBVIRT),
     "<memtune>\n  <soft_limit unit='G'>1</soft_limit>\n  <hard_limit unit='gib'> 2 </hard_limit>\n"
     "</memtune>\n",
     2 * GIB, "<hard_limit unit='KiB'>2097152</hard_limit>", "", 0},
    {"libvirt's GB are of 1000", FORM(LIBVIRT), "<hard_limit unit='GB'>2</hard_limit>", 1999998976,
     "<hard_limit unit='KiB'>1953124</hard_limit>",
     "2000000000 bytes are no whole pages: the kernel takes them as 1999998976", 0},
    {"libvirt's bytes are cut up to KiB", FORM(LIBVIRT), "<hard_limit unit='b'>4095</hard_limit>",
     4096, "<hard_limit unit='KiB'>4</hard_limit>", "", 0},
    {"libvirt's k is 1024", FORM(LIBVIRT), "<hard_limit unit='k'>4</hard_limit>", 4096,
     "<hard_limit unit='KiB'>4</hard_limit>", "", 0},
    {"an unknown unit is refused", FORM(LIBVIRT), "<hard_limit unit='Gb/s'>2</hard_limit>", 0, NULL,
     "\"2\" has an unknown unit: use b, KB, KiB, MB, MiB, ...", 0},
    {"without a hard limit there is none", FORM(LIBVIRT), "<memtune/>", NONE, "<memtune/>", "", 0},
    {"a soft limit is none", FORM(LIBVIRT), "<memtune><soft_limit>5</soft_limit></memtune>", NONE,
     "<memtune/>", "", 0},
    {"libvirt's word for unlimited", FORM(LIBVIRT), "<hard_limit>9007199254740991</hard_limit>",
     NONE, "<memtune/>", "", 0},
    {"what libvirt reads from v1", FORM(LIBVIRT), "<hard_limit>9007199254740988</hard_limit>", NONE,
     "<memtune/>", "", 0},
    {"more than libvirt can count is unlimited", FORM(LIBVIRT),
     "<hard_limit unit='EiB'>9000</hard_limit>", NONE, "<memtune/>", "", 0},
    {"the first hard limit counts", FORM(LIBVIRT),
     "<memtune><hard_limit>4</hard_limit><hard_limit>8</hard_limit></memtune>", 4096,
     "<hard_limit unit='KiB'>4</hard_limit>", "", 0},
    {"another element is refused", FORM(LIBVIRT), "<domain/>", 0, NULL,
     "<memtune> or <hard_limit> is not the outermost element", 0},

    {"Kubernetes' binary units", FORM(KUBERNETES), "memory: 2Gi", 2 * GIB, "2Gi", "", 0},
    {"Kubernetes' decimal units", FORM(KUBERNETES), "2G", 1999998976, "1953124Ki",
     "2000000000 bytes are no whole pages: the kernel takes them as 1999998976", 0},
    {"Kubernetes' exponents", FORM(KUBERNETES), "4096e3", 4096000, "4000Ki", "", 0},
    {"Kubernetes' fractions", FORM(KUBERNETES), "1.5Gi", GIB + GIB / 2, "1536Mi", "", 0},
    {"a part of a byte is cut up", FORM(KUBERNETES), "4095001m", 4096, "4Ki", "", 0},
    {"E is exa, and E3 a thousand", FORM(KUBERNETES), "8192E3", 8192000, "8000Ki", "", 0},
    {"0 is no limit in Kubernetes", FORM(KUBERNETES), "0", NONE, "0", "0 is no limit in Kubernetes",
     0},
    {"a negative quantity is refused", FORM(KUBERNETES), "-1Gi", 0, NULL, "\"-1Gi\" is negative",
     0},
    {"Kubernetes has no KB", FORM(KUBERNETES), "1KB", 0, NULL,
     "\"1KB\" has an unknown unit: use Ki, Mi, Gi, k, M, G, ...", 0},
    {"Kubernetes has no capital K", FORM(KUBERNETES), "1K", 0, NULL,
     "\"1K\" has an unknown unit: use Ki, Mi, Gi, k, M, G, ...", 0},

    {"a size of ours", FORM(POLICY), "2Gi", 2 * GIB, "2Gi", "", 0},
    {"0 of ours is no limit", FORM(POLICY), "0", NONE, "0", "", 0},
    {"a wrong size of ours", FORM(POLICY), "10GB", 0, NULL,
     "\"10GB\" has an unknown unit: use K, M, G or T", 0},
    {"an escape sequence does not get out", FORM(POLICY), "\x1b[31m", 0, NULL,
     "\"\\x1b[31m\" is not a number", 0},
};

static MemoryLimit *
read_text(MemoryLimitForm form, const char *text, guint64 total_bytes, GError **error)
{
    return memory_limit_text_parse(form, text, strlen(text), total_bytes, error);
}

static void
check(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(MemoryLimit) limit = read_text(row->form, row->text, row->total_bytes, &error);
    g_autoptr(MemoryLimit) again = NULL;
    g_autofree char *canonical = NULL;

    if (!row->canonical) {
        assert_null(limit);
        assert_string_equal(error->message, row->said);
        return;
    }
    assert_null(error);
    assert_int_equal(limit->is_limited, row->bytes != NONE);
    assert_int_equal(limit->bytes, row->bytes == NONE ? 0 : row->bytes);
    canonical = memory_limit_text_print(limit);
    assert_string_equal(canonical, row->canonical);
    assert_int_equal(limit->notes->len, *row->said != '\0');
    if (limit->notes->len > 0)
        assert_string_equal(limit->notes->pdata[0], row->said);
    again = read_text(row->form, canonical, 0, &error);
    assert_true(memory_limit_equal(limit, again));
}

/* The seed is fixed: a failure prints the text and comes back. */
#define SEED 20240613
#define ROUNDS 2000

/* Pages of any number of bits, often whole MiB; now and then no limit. */
static MemoryLimit *
random_limit(GRand *random)
{
    MemoryLimit *limit = memory_limit_absent(MEMORY_LIMIT_POLICY);
    guint64 pages = g_rand_int(random) >> g_rand_int_range(random, 0, 30);
    guint shift = g_rand_boolean(random) ? 12 : 20 + (guint)g_rand_int_range(random, 0, 5);

    limit->is_limited = g_rand_int_range(random, 0, 20) > 0;
    limit->bytes = limit->is_limited ? pages << shift : 0;
    return limit;
}

static MemoryLimit *
read_or_fail(MemoryLimitForm form, const char *text)
{
    g_autoptr(GError) error = NULL;
    MemoryLimit *limit = read_text(form, text, 0, &error);

    if (!limit)
        fail_msg("%s: %s: %s", memory_limit_form_name(form), error->message, text);
    return limit;
}

/* As text of that form; NULL where it has no word for it, which is said. */
static char *
text_of(MemoryLimitForm form, MemoryLimit *limit)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *value = memory_limit_print(form, limit, notes);

    assert_int_equal(notes->len, value == NULL);
    limit->form = form;
    return value ? memory_limit_text_print(limit) : NULL;
}

static void
what_is_printed_is_read_as_equal(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
    guint n_read = 0;

    for (guint i = 0; i < ROUNDS * MEMORY_LIMIT_N_FORMS; i++) {
        g_autoptr(MemoryLimit) limit = random_limit(random);
        g_autofree char *text = text_of((MemoryLimitForm)(i % MEMORY_LIMIT_N_FORMS), limit);
        g_autoptr(MemoryLimit) again = text ? read_or_fail(limit->form, text) : NULL;

        if (again && !memory_limit_equal(limit, again))
            fail_msg("%s became %" G_GUINT64_FORMAT, text, again->bytes);
        n_read += again != NULL;
    }
    assert_true(n_read > ROUNDS * (MEMORY_LIMIT_N_FORMS - 1));
}

static void
forms_of_one_limit_are_equal_and_a_page_more_differs(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
    guint n_compared = 0;

    for (guint i = 0; i < ROUNDS; i++) {
        g_autoptr(MemoryLimit) limit = random_limit(random);
        g_autoptr(MemoryLimit) more = memory_limit_absent(MEMORY_LIMIT_POLICY);

        more->is_limited = true;
        more->bytes = limit->bytes + MEMORY_LIMIT_PAGE * (1 + g_rand_int(random) % 1000);
        for (MemoryLimitForm form = 0; form < MEMORY_LIMIT_N_FORMS; form++) {
            g_autofree char *text = text_of(form, limit), *other_text = text_of(form, more);
            g_autoptr(MemoryLimit) as_form = text ? read_or_fail(form, text) : NULL;
            g_autoptr(MemoryLimit) other = other_text ? read_or_fail(form, other_text) : NULL;

            if (as_form)
                assert_true(memory_limit_equal(as_form, limit));
            if (as_form && other && memory_limit_equal(as_form, other))
                fail_msg("%s and %s are equal", text, other_text);
            n_compared += as_form && other;
        }
    }
    assert_true(n_compared > ROUNDS * (MEMORY_LIMIT_N_FORMS - 1));
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(what_is_printed_is_read_as_equal),
        cmocka_unit_test(forms_of_one_limit_are_equal_and_a_page_more_differs),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, check, &rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        tests[n++] = others[i];
    return cmocka_run_group_tests_name("memory limit", tests, NULL, NULL);
}
