/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory-limit-form.h"
#include "throttle-form.h"
#include "units.h"

#include <string.h>

/* The grammars, as their owners read them:
 *
 *   proxmox     [ "memory:" ] [ "current=" ] MiB, at least 16 (qemu-server, Memory.pm)
 *   systemd     [ "MemoryMax=" ] "infinity" | share ("%", 2 decimals; per mille and per 10000 have
 *               signs of their own) | 1*( decimal [ E P T G M K B ] ), units falling, 1024 each
 *               (parse_size() of parse-util.c); nothing at all is infinity, 0 is refused
 *   cgroup2     "max" | number [ K M G T P E ], either case, 1024 each (memparse())
 *   cgroup1     "-1" | the same
 *   libvirt     number; a unit beside it, any case: KiB unless given, "k" and "KiB" are 1024, "KB"
 *               is 1000, "b" and "bytes" 1; cut up to whole KiB (virScaleInteger(),
 *               virDomainParseMemory()); what is past LLONG_MAX bytes is no limit
 *   kubernetes  [ "memory:" ] decimal [ Ki Mi Gi Ti Pi Ei | n u m k M G T P E | e NUMBER ], cut
 *               up to whole bytes (apimachinery's Quantity); 0 is no limit
 *   policy      a size of units.h; 0 is no limit
 */

#define TOO_LARGE "is too large"
/* LLONG_MAX in KiB, cut to the pages that the kernel counts. */
#define LIBVIRT_NONE_KIB (MEMORY_LIMIT_NONE >> 10)
/* Of a share: 10000 is all. */
#define PERMYRIAD 10000

/* Behind the key, and the blanks after it. */
static const char *
skip_key(const char *text, const char *key)
{
    if (strncmp(text, key, strlen(key)) != 0)
        return text;
    text += strlen(key);
    return text + strspn(text, " \t");
}

/* The number at the begin of the text, without sign: digits and points. A new string. */
static char *
take_number(const char *text, const char **ret_rest)
{
    gsize length = strspn(text, "0123456789.");

    *ret_rest = text + length;
    return g_strndup(text, length);
}

static const char *
set_bytes(MemoryValue *value, guint64 bytes)
{
    value->is_limited = true;
    value->bytes = bytes;
    return NULL;
}

const char *
memory_proxmox_read(const char *text, MemoryValue *value)
{
    const char *number = skip_key(skip_key(text, "memory:"), "current=");
    guint64 mib = 0;
    const char *wrong = number_parse(number, &mib);

    if (wrong != NULL)
        return wrong;
    if (mib < MEMORY_PROXMOX_MIB_MIN)
        return "is below 16 MiB";
    if (mib > MEMORY_LIMIT_NONE >> MEBI_SHIFT)
        return TOO_LARGE;
    value->note = "Proxmox limits no VM's memory: this is what its guest gets";
    return set_bytes(value, mib << MEBI_SHIFT);
}

/* "50%": shares of the host's memory, in pages as physical_memory_scale() does it. */
static const char *
share_read(const char *text, gsize length, guint64 parts, MemoryValue *value)
{
    g_autofree char *number = g_strndup(text, length);
    g_autofree char *scaled = g_strdup_printf("%se%u", number, parts == 100 ? 2 : parts == 1000);
    const char *point = strchr(number, '.');
    guint64 permyriad = 0, total_pages = value->total_bytes / MEMORY_LIMIT_PAGE;
    const char *wrong = number_parse_scaled(scaled, 0, &permyriad);

    if (wrong != NULL)
        return wrong;
    if (point != NULL && strlen(point + 1) > (parts == 100 ? 2 : parts == 1000))
        return "has too many decimals";
    if (permyriad > PERMYRIAD)
        return "is more than all";
    if (value->total_bytes == 0)
        return "is a share of the host's memory, which must be told, too";
    return set_bytes(value, total_pages * permyriad / PERMYRIAD * MEMORY_LIMIT_PAGE);
}

/* 1G, 1.5G, 1G 512M */
static const char *
sum_read(const char *text, MemoryValue *value)
{
    static const char units[] = "EPTGMKB";
    guint64 sum = 0, part = 0;
    gsize next = 0;

    do {
        g_autofree char *number = take_number(text + strspn(text, " \t"), &text);
        const char *unit, *wrong;

        text += strspn(text, " \t");
        unit = *text != '\0' ? strchr(units, *text) : NULL;
        if (unit != NULL && (gsize)(unit - units) < next)
            return "has units that do not fall";
        next = unit != NULL ? (gsize)(unit - units) + 1 : sizeof units;
        if (!g_ascii_isdigit(*number))
            return "is not a number";
        wrong = number_parse_scaled(
            number, unit != NULL ? 10 * (guint)(sizeof units - 2 - (gsize)(unit - units)) : 0,
            &part);
        if (wrong != NULL)
            return wrong;
        if (!g_uint64_checked_add(&sum, sum, part))
            return TOO_LARGE;
        if (unit == NULL && *text != '\0')
            return "has an unknown unit: use K, M, G, T, P or E";
        text += unit != NULL;
    } while (*text != '\0');
    return set_bytes(value, sum);
}

const char *
memory_systemd_read(const char *text, MemoryValue *value)
{
    static const struct {
        const char *sign;
        guint64 parts;
    } shares[] = {{"%", 100}, {"\xe2\x80\xb0", 1000}, {"\xe2\x80\xb1", 10000}};
    const char *number = skip_key(text, "MemoryMax=");
    const char *wrong = NULL;
    bool is_share = false;

    /* the number is what `systemctl show` of old versions prints */
    if (strcmp(number, "infinity") == 0 || strcmp(number, "18446744073709551615") == 0 ||
        (*number == '\0' && number != text))
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(shares) && !is_share; i++) {
        gsize length = strlen(number), sign = strlen(shares[i].sign);

        is_share = length > sign && strcmp(number + length - sign, shares[i].sign) == 0;
        if (is_share)
            wrong = share_read(number, length - sign, shares[i].parts, value);
    }
    if (!is_share)
        wrong = *number == '\0' ? "is empty" : sum_read(number, value);
    return wrong == NULL && value->bytes == 0 ? "is out of range" : wrong;
}

/* As the kernel reads what is written into its files. */
static const char *
memparse_read(const char *text, MemoryValue *value)
{
    static const char units[] = "KMGTPE";
    g_autofree char *number = take_number(text, &text);
    const char *unit = *text != '\0' ? strchr(units, g_ascii_toupper(*text)) : NULL;
    guint shift = unit != NULL ? 10 * ((guint)(unit - units) + 1) : 0;
    guint64 bytes = 0;
    const char *wrong = number_parse(number, &bytes);

    if (wrong != NULL)
        return *number == '\0' ? "is not a number" : wrong;
    if (number[0] == '0' && (number[1] != '\0' || *text == 'x' || *text == 'X'))
        return "begins with 0: the kernel reads no decimal number there";
    if (*text != '\0' && (unit == NULL || text[1] != '\0'))
        return "has an unknown unit: use K, M, G, T, P or E";
    if (bytes > G_MAXUINT64 >> shift)
        return TOO_LARGE;
    return set_bytes(value, bytes << shift);
}

const char *
memory_cgroup2_read(const char *text, MemoryValue *value)
{
    return strcmp(text, "max") == 0 ? NULL : memparse_read(text, value);
}

const char *
memory_cgroup1_read(const char *text, MemoryValue *value)
{
    return strcmp(text, "-1") == 0 ? NULL : memparse_read(text, value);
}

/* 1 for "b", 1000 or 1024 to the right power for the others; 0 for what is no unit. */
static guint64
libvirt_factor(const char *unit)
{
    static const char letters[] = "KMGTPE";
    const char *letter = *unit != '\0' ? strchr(letters, g_ascii_toupper(*unit)) : NULL;
    guint64 factor = 1, step;

    if (g_ascii_strcasecmp(unit, "b") == 0 || g_ascii_strcasecmp(unit, "byte") == 0 ||
        g_ascii_strcasecmp(unit, "bytes") == 0)
        return 1;
    if (letter == NULL || (unit[1] != '\0' && g_ascii_strcasecmp(unit + 1, "iB") != 0 &&
                           g_ascii_strcasecmp(unit + 1, "B") != 0))
        return 0;
    step = g_ascii_strcasecmp(unit + 1, "B") == 0 ? 1000 : 1024;
    for (const char *p = letters; p <= letter; p++)
        factor *= step;
    return factor;
}

const char *
memory_limit_libvirt_kib(const char *value, const char *unit, guint64 *ret_kib)
{
    guint64 factor = libvirt_factor(unit != NULL && *unit != '\0' ? unit : "KiB"), number = 0;
    const char *wrong = number_parse(value, &number);

    if (wrong != NULL)
        return wrong;
    if (factor == 0)
        return "has an unknown unit: use b, KB, KiB, MB, MiB, ...";
    if (number > G_MAXINT64 / factor) {
        *ret_kib = G_MAXINT64 >> 10;
        return NULL;
    }
    *ret_kib = number * factor / 1024 + (number * factor % 1024 > 0);
    return NULL;
}

const char *
memory_libvirt_read(const char *text, MemoryValue *value)
{
    guint64 kib = 0;
    const char *wrong = memory_limit_libvirt_kib(text, value->unit, &kib);

    if (wrong != NULL || kib >= LIBVIRT_NONE_KIB)
        return wrong;
    return set_bytes(value, kib << 10);
}

/* The number with that suffix as bytes; a phrase. */
static const char *
quantity_read(const char *number, const char *suffix, guint64 *ret_bytes)
{
    static const char binary[] = "KMGTPE";
    static const struct {
        const char *suffix, *exponent;
    } decimal[] = {{"", ""},    {"n", "e-9"}, {"u", "e-6"}, {"m", "e-3"}, {"k", "e3"},
                   {"M", "e6"}, {"G", "e9"},  {"T", "e12"}, {"P", "e15"}, {"E", "e18"}};
    const char *power = *suffix != '\0' ? strchr(binary, *suffix) : NULL, *exponent = NULL;
    g_autofree char *scaled = NULL;

    if (power != NULL && strcmp(suffix + 1, "i") == 0)
        return number_parse_up(number, 10 * ((guint)(power - binary) + 1), ret_bytes);
    for (guint i = 0; i < G_N_ELEMENTS(decimal); i++)
        if (strcmp(suffix, decimal[i].suffix) == 0)
            exponent = decimal[i].exponent;
    if (exponent == NULL && (*suffix == 'e' || *suffix == 'E') && suffix[1] != '\0')
        exponent = suffix;
    if (exponent == NULL)
        return "has an unknown unit: use Ki, Mi, Gi, k, M, G, ...";
    scaled = g_strconcat(number, exponent, NULL);
    return number_parse_up(scaled, 0, ret_bytes);
}

const char *
memory_kubernetes_read(const char *text, MemoryValue *value)
{
    const char *quantity = skip_key(text, "memory:"), *suffix;
    g_autofree char *number = take_number(*quantity == '+' ? quantity + 1 : quantity, &suffix);
    guint64 bytes = 0;
    const char *wrong = *quantity == '-'  ? "is negative"
                        : *number == '\0' ? "is not a number"
                                          : quantity_read(number, suffix, &bytes);

    if (wrong != NULL)
        return wrong;
    if (bytes == 0) {
        value->note = "0 is no limit in Kubernetes";
        return NULL;
    }
    return set_bytes(value, bytes);
}

const char *
memory_policy_read(const char *text, MemoryValue *value)
{
    guint64 bytes = 0;
    const char *wrong = units_parse_size(text, &bytes);

    if (wrong != NULL || bytes == 0)
        return wrong;
    return set_bytes(value, bytes);
}
