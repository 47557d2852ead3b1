/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oomreader.h"
#include "units.h"

/* Whole reports, real ones and ones in the formats of other kernels, with all their figures. */

typedef struct {
    const char *name;
    const char *file; /* of tests/data/oom */
    const char *guest;
    const char *expected;
} Row;

static const Row rows[] = {
    {"shared guest RAM is told without its size, the stranger is to blame",
     "v1-6.18-stranger-beside-shared-guest.txt", "",
     "whole memcg: qemu-system-x86[4978] 55058432, vm pod12914c4e-282a-4f69-bd3b-f75cba6e715e, by "
     "CPU 0/KVM\n"
     " /vm-guardian-test 100663296 of 100663296, 7 tasks\n"
     " guest 51249152 qemu 3145728 helpers 19922944 strangers 25165824\n"
     " kernel 774144 cache 0 unexplained 405504\n"
     " stranger memhold[4977], 143654912\n"},
    {"QEMU past its guest's RAM is to blame", "v1-6.18-qemu-alone.txt", "40Mi",
     "whole memcg: kvm[5038] 67510272, vm 104, by CPU 0/KVM\n"
     " /vm-guardian-test 67108864 of 67108864, 1 tasks\n"
     " guest 41943040 qemu 24903680 helpers 0 strangers 0\n"
     " kernel 237568 cache 0 unexplained 24576\n"
     " qemu kvm[5038], 83886080\n"},
    {"QEMU alone, its guest's size unknown, is not to blame", "v1-6.18-qemu-alone.txt", "",
     "whole memcg: kvm[5038] 67510272, vm 104, by CPU 0/KVM\n"
     " /vm-guardian-test 67108864 of 67108864, 1 tasks\n"
     " guest ? qemu 66846720 helpers 0 strangers 0\n"
     " kernel 237568 cache 0 unexplained 24576\n"
     " unknown -, ?\n"},
    {"a stranger that dies itself is still to blame", "v1-6.18-stranger-is-the-victim.txt", "",
     "whole memcg: memhold[5795] 35643392, vm vm4, by CPU 0/KVM\n"
     " /vm-guardian-test 67108864 of 67108864, 2 tasks\n"
     " guest ? qemu 31457280 helpers 0 strangers 34996224\n"
     " kernel 364544 cache 0 unexplained 290816\n"
     " stranger memhold[5795], 119537664\n"},
    {"three deaths in a row are one event", "v1-6.18-chain-of-three.txt", "",
     "whole memcg: qemu-system-x86[6115] 51503104, vm web-1, by CPU 0/KVM\n"
     " /vm-guardian-test 67108864 of 67108864, 3 tasks\n"
     " guest ? qemu 50855936 helpers 10485760 strangers 5242880\n"
     " kernel 348160 cache 0 unexplained 176128\n"
     " stranger memhold[6117], 89128960\n"
     " chain qemu-system-x86[6115] virtqemud[6116] memhold[6117]\n"
     "whole memcg: virtqemud[6116] 32112640, vm web-1, by CPU 0/KVM\n"
     " /vm-guardian-test 67108864 of 67108864, 2 tasks\n"
     " guest ? qemu 0 helpers 31457280 strangers 35127296\n"
     " kernel 323584 cache 0 unexplained 200704\n"
     " stranger memhold[6117], 134217728\n"
     " chain qemu-system-x86[6115] virtqemud[6116] memhold[6117]\n"
     "whole memcg: memhold[6117] 67362816, vm web-1, by CPU 0/KVM\n"
     " /vm-guardian-test 67108864 of 67108864, 1 tasks\n"
     " guest ? qemu 0 helpers 0 strangers 66715648\n"
     " kernel 249856 cache 0 unexplained 143360\n"
     " stranger memhold[6117], 150994944\n"
     " chain qemu-system-x86[6115] virtqemud[6116] memhold[6117]\n"},
    {"kernel memory is nobody's process", "v1-6.18-kernel-memory.txt", "",
     "whole memcg: qemu-system-x86[6167] 13230080, vm fs, by virtiofsd\n"
     " /vm-guardian-test 33554432 of 33554432, 2 tasks\n"
     " guest ? qemu 12582912 helpers 1048576 strangers 0\n"
     " kernel 19759104 cache 0 unexplained 163840\n"
     " kernel -, 61865984\n"
     " chain qemu-system-x86[6167] virtiofsd[6168]\n"
     "whole memcg: virtiofsd[6168] 1703936, vm fs, by virtiofsd\n"
     " /vm-guardian-test 33554432 of 33554432, 1 tasks\n"
     " guest ? qemu 0 helpers 1048576 strangers 0\n"
     " kernel 32395264 cache 0 unexplained 110592\n"
     " kernel -, 74448896\n"
     " chain qemu-system-x86[6167] virtiofsd[6168]\n"},
    {"v2 without RSS by kind tells the same of a pod", "v2-6.1-pod-with-stranger.txt", "",
     "whole memcg: qemu-system-x86[108] 56336384, vm pod0f3c2d1e-55aa-4b6c-9d7e-8899aabbccdd, by "
     "CPU 0/KVM\n"
     " /kubepods.slice/kubepods-burstable.slice/"
     "kubepods-burstable-pod0f3c2d1e_55aa_4b6c_9d7e_8899aabbccdd.slice/cri-containerd-5f1e.scope "
     "100663296 of 100663296, 6 tasks\n"
     " guest 52465664 qemu 3182592 helpers 20170111 strangers 24164991\n"
     " kernel 663552 cache 0 unexplained 16386\n"
     " stranger memhold[107], 142606336\n"},
    {"a group that dies at once is a chain, a thread of it is not in it", "v2-6.1-group-kill.txt",
     "",
     "whole memcg: virtiofsd[129] 33357824, vm 105, by CPU 0/KVM\n"
     " /qemu.slice/105.scope 67072000 of 67108864, 3 tasks\n"
     " guest ? qemu 31351360 helpers 35401151 strangers 0\n"
     " kernel 319488 cache 0 unexplained 1\n"
     " helper virtiofsd[129], 100663296\n"
     " chain virtiofsd[129] swtpm[128] kvm[131]\n"},
    {"the host's killer takes the innocent first", "global-6.1-innocent-first.txt", "",
     "whole global: sshd[161] 3895296, vm ?, by CPU 0/KVM\n"
     " / 226111488 of 228749312, 5 tasks\n"
     " guest ? qemu 116461568 helpers 0 strangers 82771968\n"
     " kernel 18145280 cache ? unexplained 8732672\n"
     " guest kvm[158], ?\n"
     " chain sshd[161] kvm[158]\n"
     "whole global: kvm[158] 84451328, vm 201, by CPU 0/KVM\n"
     " / 226185216 of 228749312, 4 tasks\n"
     " guest ? qemu 116457472 helpers 0 strangers 82563072\n"
     " kernel 18096128 cache ? unexplained 9068544\n"
     " guest kvm[158], ?\n"
     " chain sshd[161] kvm[158]\n"},
    {"the charges of 4.9 are summed over the groups", "v1-4.9-journal.txt", "2Gi",
     "whole memcg: qemu-system-x86[20101] 2211840000, vm pod7c1d2e3f-0a1b-4c2d-8e3f-405162738495, "
     "by CPU 1/KVM\n"
     " /kubepods/burstable/pod7c1d2e3f-0a1b-4c2d-8e3f-405162738495 2472542208 of 2472542208, 5 "
     "tasks\n"
     " guest 2147483648 qemu 41947136 helpers 258998270 strangers 0\n"
     " kernel 23068672 cache 1048576 unexplained 1044482\n"
     " helper libvirtd[19950], 2505048064\n"},
    {"4.19 behind ISO dates", "v1-4.19-iso.txt", "1Gi",
     "whole memcg: qemu-system-x86[3301] 1617920000, vm build, by qemu-system-x86\n"
     " /machine/qemu-12-build.libvirt-qemu 1610612736 of 1610612736, 1 tasks\n"
     " guest 1073741824 qemu 521445376 helpers 0 strangers 0\n"
     " kernel 14680064 cache 524288 unexplained 745472\n"
     " qemu qemu-system-x86[3301], 1665138688\n"},
    {"figures of many lines behind one prefix, nobody to blame but the limit",
     "v1-5.3-multiline.txt", "16Gi",
     "whole memcg: qemu-system-x86[70870] 17195008000, vm pod11112222-3333-4444-5555-666677778888, "
     "by CPU 11/KVM\n"
     " /kubepods.slice/kubepods-burstable.slice/"
     "kubepods-burstable-pod11112222_3333_4444_5555_666677778888.slice 17364418560 of 17364418560, "
     "6 tasks\n"
     " guest 17141760000 qemu 0 helpers 61308925 strangers 0\n"
     " kernel 157286400 cache 1081344 unexplained 4063235\n"
     " limit -, 17552113664\n"},
    {"a snipped report tells the rest, also whom the kernel chose", "v1-5.14-snip.txt", "",
     "cut memcg: qemu-system-x86[39079] 17210433536, vm podabcd2222-3333-4444-5555-666677778888, "
     "by virt-launcher\n"
     " /kubepods.slice/kubepods-burstable.slice/"
     "kubepods-burstable-podabcd2222_3333_4444_5555_666677778888.slice 17432924160 of 17432924160, "
     "4 tasks\n"
     " guest ? qemu 17210433536 helpers 75489278 strangers 0\n"
     " kernel 147001344 cache ? unexplained 2\n"
     " unknown -, ?\n"},
    {"files on a tmpfs are unexplained, not QEMU's", "v2-5.15-tmpfs.txt", "",
     "whole memcg: kvm[2210] 1802240000, vm 104, by kvm\n"
     " /qemu.slice/104.scope 2147483648 of 2147483648, 2 tasks\n"
     " guest ? qemu 1794048000 helpers 1114112 strangers 0\n"
     " kernel 16777216 cache 20971520 unexplained 335544320\n"
     " unknown -, 2677014528\n"},
    {"two threads' reports are taken apart by the caller", "v2-6.8-two-threads.txt", "1Gi",
     "whole memcg: qemu-system-x86[901] 1303937024, vm db-1, by CPU 0/KVM\n"
     " /machine.slice/machine-qemu\\x2d3\\x2ddb\\x2d1.scope/libvirt 1342177280 of 1342177280, 1 "
     "tasks\n"
     " guest 1073741824 qemu 209715200 helpers 0 strangers 0\n"
     " kernel 50331648 cache 0 unexplained 8388608\n"
     " qemu qemu-system-x86[901], 1369440256\n"
     "whole memcg: qemu-system-x86[902] 1115193344, vm web, by IO iothread1\n"
     " /machine.slice/machine-qemu\\x2d4\\x2dweb.scope/libvirt 1409286144 of 1409286144, 2 tasks\n"
     " guest 1073741824 qemu 20971520 helpers 188743680 strangers 0\n"
     " kernel 33554432 cache 0 unexplained 92274688\n"
     " helper virtiofsd[903], 1442840576\n"},
    {"what nothing tells apart is not told", "v2-6.8-two-mixed.txt", "1Gi",
     "cut memcg: qemu-system-x86[901] 1303937024, vm db-1, by CPU 0/KVM\n"
     " /machine.slice/machine-qemu\\x2d3\\x2ddb\\x2d1.scope/libvirt 1342177280 of 1342177280, 1 "
     "tasks\n"
     " guest 1073741824 qemu 209715200 helpers ? strangers ?\n"
     " kernel ? cache ? unexplained 58720256\n"
     " qemu qemu-system-x86[901], 1369440256\n"
     "cut memcg: qemu-system-x86[902] 1115193344, vm web, by IO iothread1\n"
     " /machine.slice/machine-qemu\\x2d4\\x2dweb.scope/libvirt 1409286144 of 1409286144, 1 tasks\n"
     " guest 1073741824 qemu 20971520 helpers ? strangers ?\n"
     " kernel ? cache ? unexplained 314572800\n"
     " limit -, 1442840576\n"},
    {"the largest task of a host is to blame, its adjustment saved it", "global-5.15-syslog.txt",
     "",
     "whole global: kvm[4101] 17612800000, vm 101, by ksmtuned\n"
     " / 67297280000 of 67584000000, 4 tasks\n"
     " guest ? qemu 26398720000 helpers 0 strangers 38098944000\n"
     " kernel 790528000 cache ? unexplained 2009088000\n"
     " stranger backup proxy[5000], ?\n"},
};

/* In one of a few rings, so that several may stand in one call. */
static const char *
number(OomSize size, char *buffer, gsize length)
{
    if (!size.is_known)
        return "?";
    g_snprintf(buffer, (gulong)length, "%" G_GUINT64_FORMAT, size.bytes);
    return buffer;
}

#define NUMBER(size) number((size), (char[24]){0}, 24)

static const char *
text_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static void
describe_victims(GString *text, const GArray *victims)
{
    if (victims->len < 2)
        return;
    g_string_append(text, " chain");
    for (guint i = 0; i < victims->len; i++) {
        const OomTask *victim = &g_array_index(victims, OomTask, i);

        g_string_append_printf(text, " %s[%" G_GINT64_FORMAT "]", victim->name, victim->pid);
    }
    g_string_append(text, "\n");
}

static void
describe(GString *text, const OomReport *report)
{
    const OomParts *parts = &report->parts;
    const OomBlame *blame = &report->blame;
    g_autofree char *victim =
        report->has_victim
            ? g_strdup_printf("%s[%" G_GINT64_FORMAT "]", report->victim.name, report->victim.pid)
            : g_strdup("?");
    g_autofree char *blamed =
        blame->has_pid ? g_strdup_printf("%s[%" G_GINT64_FORMAT "]", blame->name, blame->pid)
                       : g_strdup("-");

    g_string_append_printf(
        text, "%s %s: %s %s, vm %s, by %s\n", report->is_complete ? "whole" : "cut",
        oomconstraint_name(report->constraint), victim, NUMBER(report->victim.rss),
        text_or(report->vm, "?"), text_or(report->invoker, "?"));
    g_string_append_printf(text, " %s %s of %s, %u tasks\n", text_or(report->domain, "?"),
                           NUMBER(report->usage), NUMBER(report->limit), report->tasks->len);
    g_string_append_printf(text, " guest %s qemu %s helpers %s strangers %s\n",
                           NUMBER(parts->guest), NUMBER(parts->qemu), NUMBER(parts->helpers),
                           NUMBER(parts->strangers));
    g_string_append_printf(text, " kernel %s cache %s unexplained %s\n", NUMBER(parts->kernel),
                           NUMBER(report->cache), NUMBER(parts->unexplained));
    g_string_append_printf(text, " %s %s, %s\n", oomrole_name(blame->role), blamed,
                           NUMBER(blame->suggested_limit));
    describe_victims(text, report->victims);
}

static void
assert_closes(const OomReport *report)
{
    const OomParts *parts = &report->parts;

    if (!report->usage.is_known)
        return;
    assert_int_equal(parts->guest.bytes + parts->qemu.bytes + parts->helpers.bytes +
                         parts->strangers.bytes + parts->kernel.bytes + parts->unexplained.bytes,
                     report->usage.bytes);
}

static void
run_row(void **state)
{
    const Row *row = *state;
    g_autofree char *path =
        g_build_filename(g_getenv("SOURCE_ROOT"), "tests", "data", "oom", row->file, NULL);
    g_autofree char *log = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(OomReader) reader = oomreader_new();
    OomSize guest = {.is_known = *row->guest != '\0'};
    const GPtrArray *reports;
    gsize length;

    assert_true(g_file_get_contents(path, &log, &length, NULL));
    if (guest.is_known)
        assert_null(units_parse_size(row->guest, &guest.bytes));
    oomreader_feed(reader, log, length);
    reports = oomreader_finish(reader, guest);
    for (guint i = 0; i < reports->len; i++) {
        describe(text, reports->pdata[i]);
        assert_closes(reports->pdata[i]);
    }
    assert_string_equal(text->str, row->expected);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        g_array_append_vals(tests, &t_row(rows[i].name, run_row, &rows[i]), 1);
    return _cmocka_run_group_tests("oomreport", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
