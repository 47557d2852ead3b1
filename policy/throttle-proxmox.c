/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"

#include <string.h>

/* A drive string of Proxmox VE, read as qemu-server 9.2 reads it:
 *
 *   drive = part *( "," part )          blank parts are skipped
 *   part  = key "=" value | volume      the volume without "file=" once, at any place
 *
 * An alias is its key. cyls, heads, secs and trans are dropped unread. A key given twice, also by
 * its alias, and a key of no drive are refused; so is a value that is not of its key's type, but
 * words (cache=...) are kept as they are, because no limit hangs on them.
 *
 * What Proxmox then checks, it checks on text, where only "" and "0" are false: mbps=0.0 beside
 * mbps_rd is refused and mbps=0 is not. It refuses mbps beside mbps_rd or mbps_wr, iops alike, a
 * burst of bytes without its rate, any length without its burst, and bps beside mbps. A burst of
 * operations without its rate it lets pass (its check looks for keys that do not exist), for QEMU
 * to refuse.
 *
 * bps, bps_rd and bps_wr are turned into 0.000 MiB/s whatever their value: no limit at all.
 *
 * A leading zero is plain decimal to Proxmox, but a machine before 10.0 is started with the text
 * itself, which QEMU reads as octal.
 *
 * The canonical string has the volume first, then the keys in order, flags as 1 and 0, the size in
 * its largest unit, and no limit that says what is default. */

typedef enum { KIND_WORD, KIND_FLAG, KIND_INTEGER, KIND_SIZE, KIND_DROPPED } KeyKind;

/* Every key of a disk, EFI disk or TPM state that is no limit; import-from is of `qm set` only. */
static const struct {
    const char *name;
    KeyKind kind;
} keys[] = {
    {"aio", KIND_WORD},
    {"backup", KIND_FLAG},
    {"cache", KIND_WORD},
    {"cyls", KIND_DROPPED},
    {"detect_zeroes", KIND_FLAG},
    {"discard", KIND_WORD},
    {"efitype", KIND_WORD},
    {THROTTLE_VOLUME, KIND_WORD},
    {"format", KIND_WORD},
    {"heads", KIND_DROPPED},
    {"import-from", KIND_WORD},
    {"iothread", KIND_FLAG},
    {"media", KIND_WORD},
    {"model", KIND_WORD},
    {"ms-cert", KIND_WORD},
    {"pre-enrolled-keys", KIND_FLAG},
    {"product", KIND_WORD},
    {"queues", KIND_INTEGER},
    {"replicate", KIND_FLAG},
    {"rerror", KIND_WORD},
    {"ro", KIND_FLAG},
    {"scsiblock", KIND_FLAG},
    {"secs", KIND_DROPPED},
    {"serial", KIND_WORD},
    {"shared", KIND_FLAG},
    {"size", KIND_SIZE},
    {"snapshot", KIND_FLAG},
    {"ssd", KIND_FLAG},
    {"trans", KIND_DROPPED},
    {"vendor", KIND_WORD},
    {"version", KIND_WORD},
    {"werror", KIND_WORD},
    {"wwn", KIND_WORD},
};

static const struct {
    const char *name, *key;
} aliases[] = {
    {"volume", THROTTLE_VOLUME},
    {"bps_rd_length", "bps_rd_max_length"},
    {"bps_wr_length", "bps_wr_max_length"},
    {"iops_rd_length", "iops_rd_max_length"},
    {"iops_wr_length", "iops_wr_max_length"},
};

/* The limits as text: what Proxmox' own checks look at. */
typedef struct {
    const char *values[THROTTLE_IOPS_SIZE];
    const char *ignored[THROTTLE_IOPS_SIZE]; /* bps, bps_rd, bps_wr */
    GPtrArray *others;
} Drive;

static bool
field_is_rate(guint field)
{
    return field % THROTTLE_N_PARTS == THROTTLE_RATE;
}

/* The place of a limit's key; NULL for another key. */
static const char **
drive_find(Drive *drive, const char *key)
{
    for (guint i = 0; i < THROTTLE_IOPS_SIZE; i++) {
        const char *legacy = throttle_names[i].legacy;

        if (!throttle_field_is_bytes(i) && strcmp(key, legacy) == 0)
            return &drive->values[i];
        if (throttle_field_is_bytes(i) && *key == 'm' && strcmp(key + 1, legacy) == 0)
            return &drive->values[i];
        if (throttle_field_is_bytes(i) && field_is_rate(i) && strcmp(key, legacy) == 0)
            return &drive->ignored[i];
    }
    return NULL;
}

static const char *
parse_flag(const char *text, const char **ret_flag)
{
    static const char *const words[] = {"0", "1", "off", "on", "no", "yes", "false", "true"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_ascii_strcasecmp(text, words[i]) == 0) {
            *ret_flag = words[i % 2];
            return NULL;
        }
    }
    return "is neither 1 nor 0";
}

/* "32G", "4.5GiB" -> bytes. */
static const char *
parse_size(const char *text, guint64 *ret_bytes)
{
    static const char units[] = "KMGT";
    gsize length = strspn(text, "0123456789.");
    const char *unit = text + length;
    const char *which = *unit != '\0' ? strchr(units, *unit) : NULL;
    g_autofree char *number = g_strndup(text, length);

    if (!g_ascii_isdigit(*text) || text[length - 1] == '.' ||
        (*unit != '\0' && (which == NULL || (unit[1] != '\0' && strcmp(unit + 1, "iB") != 0))))
        return "is no size";
    return number_parse_scaled(number, which != NULL ? 10 * (guint)(which - units + 1) : 0,
                               ret_bytes);
}

static char *
format_size(guint64 bytes)
{
    static const char *const units[] = {"", "K", "M", "G", "T"};
    guint i = 0;

    for (; i + 1 < G_N_ELEMENTS(units) && bytes != 0 && bytes % 1024 == 0; i++)
        bytes /= 1024;
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", bytes, units[i]);
}

/* The canonical text of a value that is no limit. NULL, or what is wrong with it. */
static const char *
canonize(KeyKind kind, const char *value, char **ret_text)
{
    const char *wrong = NULL, *flag;
    guint64 number;

    if (kind == KIND_FLAG) {
        wrong = parse_flag(value, &flag);
        *ret_text = wrong != NULL ? NULL : g_strdup(flag);
    } else if (kind == KIND_SIZE) {
        wrong = parse_size(value, &number);
        *ret_text = wrong != NULL ? NULL : format_size(number);
    } else if (kind == KIND_INTEGER) {
        wrong = number_parse(value, &number);
        *ret_text = wrong != NULL ? NULL : g_strdup_printf("%" G_GUINT64_FORMAT, number);
    } else {
        *ret_text = g_strdup(value);
    }
    return wrong;
}

static bool
others_have(const GPtrArray *others, const char *key)
{
    for (guint i = 0; i < others->len; i += 2)
        if (strcmp(others->pdata[i], key) == 0)
            return true;
    return false;
}

static char *
drive_take_other(Throttle *throttle, Drive *drive, const char *key, const char *value)
{
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *text = NULL;
        const char *wrong;

        if (strcmp(key, keys[i].name) != 0)
            continue;
        if (keys[i].kind == KIND_DROPPED) {
            throttle_note(throttle->notes, "%s is dropped: Proxmox does not read it", key);
            return NULL;
        }
        wrong = others_have(drive->others, key) ? "is given twice"
                                                : canonize(keys[i].kind, value, &text);
        if (wrong != NULL)
            return throttle_wrong(key, value, wrong);
        pairs_add(drive->others, key, text);
        return NULL;
    }
    return throttle_wrong("key", key, "is no key of a drive");
}

static char *
drive_take(Throttle *throttle, Drive *drive, const char *key, const char *value)
{
    const char **place;

    for (guint i = 0; i < G_N_ELEMENTS(aliases); i++)
        if (strcmp(key, aliases[i].name) == 0)
            key = aliases[i].key;
    place = drive_find(drive, key);
    if (place == NULL)
        return drive_take_other(throttle, drive, key, value);
    if (*place != NULL)
        return throttle_wrong(key, value, "is given twice");
    *place = value;
    return NULL;
}

static char *
drive_convert(Throttle *throttle, const Drive *drive)
{
    for (guint i = 0; i < THROTTLE_IOPS_SIZE; i++) {
        g_autofree char *key = throttle_mebi_key(i);
        guint64 ignored, *field = &throttle->fields[i];
        const char *wrong = NULL;

        if (drive->values[i] != NULL)
            wrong = throttle_field_is_bytes(i)
                        ? number_parse_scaled(drive->values[i], MEBI_SHIFT, field)
                        : number_parse(drive->values[i], field);
        if (wrong == NULL && *field == 0 && throttle_field_is_length(i))
            wrong = "is less than one second";
        if (wrong != NULL)
            return throttle_wrong(key, drive->values[i], wrong);
        if (drive->ignored[i] != NULL)
            wrong = number_parse(drive->ignored[i], &ignored);
        if (wrong != NULL)
            return throttle_wrong(throttle_names[i].legacy, drive->ignored[i], wrong);
    }
    return NULL;
}

/* As Proxmox' language sees it. */
static bool
is_true(const char *value)
{
    return value != NULL && *value != '\0' && strcmp(value, "0") != 0;
}

/* A rate counts when it is true, or came as bps: "0.000" is true. */
static bool
drive_has(const Drive *drive, guint field)
{
    return is_true(drive->values[field]) || drive->ignored[field] != NULL;
}

/* What Proxmox refuses in one limit: total is that of its kind. */
static char *
limit_check(const Drive *drive, guint field, guint total)
{
    guint max = field + THROTTLE_MAX, length = field + THROTTLE_LENGTH;
    g_autofree char *field_name = throttle_mebi_key(field), *max_name = throttle_mebi_key(max);
    g_autofree char *total_name = throttle_mebi_key(total);

    if (drive->ignored[field] != NULL && drive->values[field] != NULL)
        return g_strdup_printf("%s stands beside %s", throttle_names[field].legacy, field_name);
    if (field != total && drive_has(drive, field) && drive_has(drive, total))
        return g_strdup_printf("%s stands beside %s", total_name, field_name);
    if (throttle_field_is_bytes(field) && is_true(drive->values[max]) && !drive_has(drive, field))
        return g_strdup_printf("%s requires %s", max_name, field_name);
    if (is_true(drive->values[length]) && !is_true(drive->values[max]))
        return g_strdup_printf("%s requires %s", throttle_names[length].legacy, max_name);
    return NULL;
}

static char *
drive_check(const Drive *drive)
{
    char *wrong = NULL;

    for (guint i = 0; i < THROTTLE_N_LIMITS && wrong == NULL; i++) {
        guint total = i < THROTTLE_IOPS_TOTAL ? THROTTLE_BPS_TOTAL : THROTTLE_IOPS_TOTAL;

        wrong = limit_check(drive, THROTTLE_FIELD(i, 0), THROTTLE_FIELD(total, 0));
    }
    return wrong;
}

static void
drive_note(const Throttle *throttle, const Drive *drive)
{
    for (guint i = 0; i < THROTTLE_IOPS_SIZE; i++) {
        g_autofree char *key = throttle_mebi_key(i);
        const char *value = drive->values[i];

        if (drive->ignored[i] != NULL)
            throttle_note(throttle->notes,
                          "%s is no limit at all in Proxmox, whatever its value: use %s",
                          throttle_names[i].legacy, key);
        if (value == NULL)
            continue;
        if (throttle_field_is_bytes(i) && throttle->fields[i] == 0 &&
            strpbrk(value, "123456789") != NULL)
            throttle_note(throttle->notes, "%s is less than a byte per second: no limit", key);
        if (!throttle_field_is_bytes(i) && value[0] == '0' && throttle->fields[i] > 7)
            throttle_note(throttle->notes,
                          "%s begins with 0: a machine before 10.0 is started with it as octal",
                          key);
    }
    if (!others_have(drive->others, THROTTLE_VOLUME))
        throttle_note(throttle->notes, "there is no volume: Proxmox refuses such a drive");
}

char *
throttle_proxmox_read(Throttle *throttle, const char *const *pairs)
{
    Drive drive = {.others = pairs_new()};
    char *wrong = NULL;

    for (; *pairs != NULL && wrong == NULL; pairs += 2)
        wrong = drive_take(throttle, &drive, pairs[0], pairs[1]);
    if (wrong == NULL)
        wrong = drive_convert(throttle, &drive);
    if (wrong == NULL)
        wrong = drive_check(&drive);
    if (wrong == NULL)
        drive_note(throttle, &drive);
    g_strfreev(throttle->others);
    throttle->others = pairs_end(drive.others);
    return wrong;
}
