/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"
#include "units.h"

#include <string.h>

/* What QEMU enforces is eighteen numbers, the size of an operation and the group:
 *
 *   rate     0 or absent is no limit
 *   max      a burst; 0 or absent is QEMU's own, a tenth of a second of the rate
 *   length   of the burst; absent is 1, which libvirt reads back as 0
 *   group    absent is a group of the disk's own, which a read shows under a name that QEMU made of
 *            the drive's id ("drive-scsi0") or of the path or id that the writer named the disk by
 *            ("/machine/peripheral/virtio-disk0/virtio-backend"). A disk without a limit is in no
 *            group.
 *
 * QEMU refuses total beside read or write (in the rates, and in the bursts), a burst without its
 * rate or below it, a length without its burst, an operation size without a rate of operations, and
 * numbers past 10^15; measured on 7.2. */

const ThrottleNames throttle_names[THROTTLE_N_FIELDS] = {
    {"bps_total", "bps", "bps-total", "total_bytes_sec"},
    {"bps_total_max", "bps_max", "bps-total-max", "total_bytes_sec_max"},
    {"bps_total_max_length_s", "bps_max_length", "bps-total-max-length",
     "total_bytes_sec_max_length"},
    {"bps_read", "bps_rd", "bps-read", "read_bytes_sec"},
    {"bps_read_max", "bps_rd_max", "bps-read-max", "read_bytes_sec_max"},
    {"bps_read_max_length_s", "bps_rd_max_length", "bps-read-max-length",
     "read_bytes_sec_max_length"},
    {"bps_write", "bps_wr", "bps-write", "write_bytes_sec"},
    {"bps_write_max", "bps_wr_max", "bps-write-max", "write_bytes_sec_max"},
    {"bps_write_max_length_s", "bps_wr_max_length", "bps-write-max-length",
     "write_bytes_sec_max_length"},
    {"iops_total", "iops", "iops-total", "total_iops_sec"},
    {"iops_total_max", "iops_max", "iops-total-max", "total_iops_sec_max"},
    {"iops_total_max_length_s", "iops_max_length", "iops-total-max-length",
     "total_iops_sec_max_length"},
    {"iops_read", "iops_rd", "iops-read", "read_iops_sec"},
    {"iops_read_max", "iops_rd_max", "iops-read-max", "read_iops_sec_max"},
    {"iops_read_max_length_s", "iops_rd_max_length", "iops-read-max-length",
     "read_iops_sec_max_length"},
    {"iops_write", "iops_wr", "iops-write", "write_iops_sec"},
    {"iops_write_max", "iops_wr_max", "iops-write-max", "write_iops_sec_max"},
    {"iops_write_max_length_s", "iops_wr_max_length", "iops-write-max-length",
     "write_iops_sec_max_length"},
    {"iops_size_bytes", "iops_size", "iops-size", "size_iops_sec"},
};

static const struct {
    const char *name;
    ThrottleReadFunc read;
    ThrottlePrintFunc print;
    bool is_strict; /* its owner refuses what QEMU does; else it is a note */
} forms[THROTTLE_N_FORMS] = {
    [THROTTLE_PROXMOX] = {"proxmox", throttle_proxmox_read, throttle_proxmox_print, false},
    [THROTTLE_QEMU] = {"qemu", throttle_qemu_read, throttle_qemu_print, true},
    [THROTTLE_LIBVIRT] = {"libvirt", throttle_libvirt_read, throttle_libvirt_print, false},
    [THROTTLE_POLICY] = {"policy", throttle_policy_read, throttle_policy_print, true},
};

const char *
throttle_form_name(ThrottleForm form)
{
    return forms[form].name;
}

bool
throttle_form_find(const char *name, ThrottleForm *ret_form)
{
    for (guint i = 0; i < THROTTLE_N_FORMS; i++) {
        if (strcmp(forms[i].name, name) == 0) {
            *ret_form = (ThrottleForm)i;
            return true;
        }
    }
    return false;
}

const char *
throttle_field_name(guint field)
{
    return throttle_names[field].name;
}

bool
throttle_field_is_length(guint field)
{
    return field < THROTTLE_IOPS_SIZE && field % THROTTLE_N_PARTS == THROTTLE_LENGTH;
}

bool
throttle_field_is_bytes(guint field)
{
    return field < THROTTLE_FIELD(THROTTLE_IOPS_TOTAL, 0) && !throttle_field_is_length(field);
}

char *
throttle_mebi_key(guint field)
{
    return g_strconcat(throttle_field_is_bytes(field) ? "m" : "", throttle_names[field].legacy,
                       NULL);
}

guint64
throttle_field_default(guint field)
{
    return throttle_field_is_length(field) ? 1 : 0;
}

char *
throttle_wrong(const char *key, const char *value, const char *wrong)
{
    g_autofree char *printable_key = units_printable(key, -1);
    g_autofree char *printable = units_printable(value, -1);

    if (value == NULL)
        return g_strdup_printf("%s %s", printable_key, wrong);
    return g_strdup_printf("%s \"%s\" %s", printable_key, printable, wrong);
}

void
throttle_note(GPtrArray *notes, const char *format, ...)
{
    va_list arguments;

    if (notes == NULL)
        return;
    va_start(arguments, format);
    g_ptr_array_add(notes, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

/* A QOM path, or the drive or device that Proxmox or libvirt names by bus and number. */
static bool
group_is_own(const char *group)
{
    static const char *const buses[] = {"virtio-disk", "virtio", "scsi",    "sata",
                                        "ide",         "fdc",    "usb-disk"};
    const char *device = g_str_has_prefix(group, "drive-") ? group + strlen("drive-") : group;

    if (g_str_has_prefix(group, "/machine/"))
        return true;
    for (guint i = 0; i < G_N_ELEMENTS(buses); i++) {
        const char *number = device + strlen(buses[i]);

        if (g_str_has_prefix(device, buses[i]) && g_ascii_isdigit(*number) &&
            number[strspn(number, "0123456789-")] == '\0')
            return true;
    }
    return false;
}

void
throttle_set_group(Throttle *throttle, const char *group)
{
    g_autofree char *printable = units_printable(group, -1);

    if (*group == '\0')
        return;
    if (group_is_own(group)) {
        throttle_note(throttle->notes, "group \"%s\" is the disk's own: none was given", printable);
        return;
    }
    g_free(throttle->group);
    throttle->group = g_strdup(group);
}

static Throttle *
throttle_new(ThrottleForm form)
{
    Throttle *throttle = g_new0(Throttle, 1);

    throttle->form = form;
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        throttle->fields[i] = throttle_field_default(i);
    throttle->others = pairs_end(pairs_new());
    throttle->notes = g_ptr_array_new_with_free_func(g_free);
    return throttle;
}

void
throttle_free(Throttle *throttle)
{
    if (throttle == NULL)
        return;
    g_free(throttle->group);
    g_strfreev(throttle->others);
    g_ptr_array_unref(throttle->notes);
    g_free(throttle);
}

static bool
throttle_is_limited(const Throttle *throttle)
{
    for (guint i = 0; i < THROTTLE_N_LIMITS; i++)
        if (throttle->fields[THROTTLE_FIELD(i, THROTTLE_RATE)] > 0)
            return true;
    return false;
}

Throttle *
throttle_parse(ThrottleForm form, const char *const *pairs, char **ret_wrong)
{
    g_autoptr(Throttle) throttle = throttle_new(form);
    g_autofree char *wrong = forms[form].read(throttle, pairs);
    g_autofree char *fault = wrong != NULL ? NULL : throttle_find_fault(throttle);

    if (wrong != NULL || (fault != NULL && forms[form].is_strict)) {
        *ret_wrong = wrong != NULL ? g_steal_pointer(&wrong) : g_steal_pointer(&fault);
        return NULL;
    }
    if (fault != NULL)
        throttle_note(throttle->notes, "QEMU refuses this: %s", fault);
    if (throttle->group != NULL && !throttle_is_limited(throttle)) {
        throttle_note(throttle->notes, "a group without a limit has no effect");
        g_clear_pointer(&throttle->group, g_free);
    }
    return g_steal_pointer(&throttle);
}

char **
throttle_print(ThrottleForm form, const Throttle *throttle, GPtrArray *notes)
{
    return forms[form].print(throttle, notes);
}

bool
throttle_field_differs(const Throttle *a, const Throttle *b, guint field)
{
    return a->fields[field] != b->fields[field];
}

bool
throttle_group_differs(const Throttle *a, const Throttle *b)
{
    return !a->is_group_object && !b->is_group_object && g_strcmp0(a->group, b->group) != 0;
}

bool
throttle_equal(const Throttle *a, const Throttle *b)
{
    for (guint i = 0; i < THROTTLE_N_FIELDS; i++)
        if (throttle_field_differs(a, b, i))
            return false;
    return !throttle_group_differs(a, b);
}

bool
throttle_mixes(const Throttle *throttle, ThrottlePart part, ThrottleLimit *ret_limit)
{
    static const ThrottleLimit totals[] = {THROTTLE_BPS_TOTAL, THROTTLE_IOPS_TOTAL};

    for (guint i = 0; i < G_N_ELEMENTS(totals); i++) {
        const guint64 *total = &throttle->fields[THROTTLE_FIELD(totals[i], part)];

        /* Read and write stand behind their total. */
        if (total[0] > 0 && (total[THROTTLE_N_PARTS] > 0 || total[2 * THROTTLE_N_PARTS] > 0)) {
            *ret_limit = totals[i];
            return true;
        }
    }
    return false;
}

/* What is wrong with one limit, a static phrase about one of its fields. */
static const char *
limit_find_fault(const guint64 *parts, guint *ret_part)
{
    guint64 rate = parts[THROTTLE_RATE], max = parts[THROTTLE_MAX], length = parts[THROTTLE_LENGTH];

    *ret_part = rate > THROTTLE_VALUE_MAX ? THROTTLE_RATE : THROTTLE_MAX;
    if (rate > THROTTLE_VALUE_MAX || max > THROTTLE_VALUE_MAX)
        return "is past 1000000000000000";
    if (max > 0 && rate == 0)
        return "is a burst without a rate";
    if (max > 0 && max < rate)
        return "is a burst below its rate";
    *ret_part = THROTTLE_LENGTH;
    if (length > 1 && max == 0)
        return "is a length without a burst";
    if (max > 0 && length > THROTTLE_VALUE_MAX / max)
        return "is too long for its burst: more than 1000000000000000 together";
    return NULL;
}

char *
throttle_find_fault(const Throttle *throttle)
{
    static const ThrottlePart mixable[] = {THROTTLE_RATE, THROTTLE_MAX};
    const guint64 *fields = throttle->fields;
    ThrottleLimit total;
    guint part;

    for (guint i = 0; i < G_N_ELEMENTS(mixable); i++)
        if (throttle_mixes(throttle, mixable[i], &total))
            return throttle_wrong(throttle_names[THROTTLE_FIELD(total, mixable[i])].name, NULL,
                                  "stands beside its read or write");
    for (guint i = 0; i < THROTTLE_N_LIMITS; i++) {
        const char *wrong = limit_find_fault(&fields[THROTTLE_FIELD(i, 0)], &part);

        if (wrong != NULL)
            return throttle_wrong(throttle_names[THROTTLE_FIELD(i, part)].name, NULL, wrong);
    }
    if (fields[THROTTLE_IOPS_SIZE] > 0 &&
        fields[THROTTLE_FIELD(THROTTLE_IOPS_TOTAL, THROTTLE_RATE)] == 0 &&
        fields[THROTTLE_FIELD(THROTTLE_IOPS_READ, THROTTLE_RATE)] == 0 &&
        fields[THROTTLE_FIELD(THROTTLE_IOPS_WRITE, THROTTLE_RATE)] == 0)
        return throttle_wrong(throttle_names[THROTTLE_IOPS_SIZE].name, NULL,
                              "needs a limit of operations");
    return NULL;
}
