/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
#include "overhead.h"
#include "report-build.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

/* `guardianctl overhead`: an offline calculator; it looks at no host and asks no daemon. A term has
 * the same name in the text and in the JSON. */

static const char help_text[] =
    "Usage: guardianctl overhead --model MODEL --configured SIZE [OPTION...]\n"
    "What a policy reserves for a VM beside its guest's RAM, term by term.\n\n"
    "  --model table|kubevirt  fixed steps carved out of SIZE, or KubeVirt's formula\n"
    "  --configured SIZE       the memory limit the user asked for: 2G, 1948Mi, ...\n"
    "  --json                  for programs\n\n"
    "Only with --model kubevirt:\n"
    "  --kubevirt-version V    1.2, v1.2.3 or main (default: main)\n"
    "  --request SIZE          requests.memory (default: as configured)\n"
    "  --vcpus N               1 to 4096 (default: 1)\n"
    "  --arch ARCH             amd64, arm64 or s390x (default: amd64)\n"
    "  --no-graphics           without the graphics device\n"
    "  --vfio, --tpm, --sev    with a host device, a TPM, launch security\n"
    "  --dedicated             with dedicated CPUs, or Guaranteed QoS\n"
    "  --probe-liveness, --probe-readiness  with probes by exec\n"
    "  --console-log           with guest-console-log in the pod\n"
    "  --added SIZE            addedOverhead of the VM (since 1.8)\n"
    "  --ratio R               additionalGuestMemoryOverheadRatio (default: 1)\n\n"
    "SIZE is an integer with K, M, G or T (or Ki, KiB, ...), all 1024-based.\n"
    "Exit status: 0 calculated, 2 wrong usage or no answer.\n";

/* KVM_MAX_VCPUS of x86: no VM has more. */
#define VCPUS_MAX 4096

typedef enum {
    OPTION_MODEL,
    OPTION_CONFIGURED,
    OPTION_HELP,
    OPTION_VERSION, /* from here on: of KubeVirt only */
    OPTION_REQUEST,
    OPTION_VCPUS,
    OPTION_ARCH,
    OPTION_ADDED,
    OPTION_RATIO,
    OPTION_NO_GRAPHICS,
    OPTION_VFIO,
    OPTION_TPM,
    OPTION_SEV,
    OPTION_DEDICATED,
    OPTION_PROBE_LIVENESS,
    OPTION_PROBE_READINESS,
    OPTION_CONSOLE_LOG,
    N_OPTIONS
} Option;

static const struct {
    const char *name;
    bool has_value;
} option_table[N_OPTIONS] = {
    [OPTION_MODEL] = {"--model", true},
    [OPTION_CONFIGURED] = {"--configured", true},
    [OPTION_HELP] = {"--help", false},
    [OPTION_VERSION] = {"--kubevirt-version", true},
    [OPTION_REQUEST] = {"--request", true},
    [OPTION_VCPUS] = {"--vcpus", true},
    [OPTION_ARCH] = {"--arch", true},
    [OPTION_ADDED] = {"--added", true},
    [OPTION_RATIO] = {"--ratio", true},
    [OPTION_NO_GRAPHICS] = {"--no-graphics", false},
    [OPTION_VFIO] = {"--vfio", false},
    [OPTION_TPM] = {"--tpm", false},
    [OPTION_SEV] = {"--sev", false},
    [OPTION_DEDICATED] = {"--dedicated", false},
    [OPTION_PROBE_LIVENESS] = {"--probe-liveness", false},
    [OPTION_PROBE_READINESS] = {"--probe-readiness", false},
    [OPTION_CONSOLE_LOG] = {"--console-log", false},
};

/* What was given: the value, "" for an option without one, NULL for an option left out. */
typedef struct {
    const char *values[N_OPTIONS];
} Arguments;

/* Says what is wrong with one word of the command line, which may hold anything. */
static int
word_fail(const char *option, const char *word, const char *wrong)
{
    g_autofree char *printable = units_printable(word, -1);

    return ctl_fail("%s%s\"%s\" %s", option, *option ? " " : "", printable, wrong);
}

/* The option that a word names, with or without "=value"; N_OPTIONS when none. */
static Option
option_find(const char *word, const char **ret_value)
{
    const char *equals = strchr(word, '=');
    gsize length = equals != NULL ? (gsize)(equals - word) : strlen(word);

    *ret_value = equals != NULL ? equals + 1 : NULL;
    for (guint i = 0; i < N_OPTIONS; i++)
        if (strlen(option_table[i].name) == length &&
            memcmp(option_table[i].name, word, length) == 0)
            return (Option)i;
    return N_OPTIONS;
}

static int
arguments_parse(int argc, char **argv, Arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        const char *value;
        Option option = option_find(argv[i], &value);

        if (option == N_OPTIONS)
            return word_fail("overhead:", argv[i],
                             *argv[i] == '-' ? "is no option of this verb: see --help"
                                             : "is one word too many: see --help");
        if (arguments->values[option] != NULL)
            return ctl_fail("%s is given twice", option_table[option].name);
        if (value != NULL && !option_table[option].has_value)
            return ctl_fail("%s takes no value", option_table[option].name);
        if (value == NULL && option_table[option].has_value) {
            if (i + 1 == argc || g_str_has_prefix(argv[i + 1], "--"))
                return ctl_fail("%s needs a value", option_table[option].name);
            value = argv[++i];
        }
        arguments->values[option] = value != NULL ? value : "";
    }
    return 0;
}

static const char *
parse_vcpus(const char *text, guint32 *ret_vcpus)
{
    guint64 vcpus;

    if (!g_ascii_string_to_unsigned(text, 10, 1, VCPUS_MAX, &vcpus, NULL))
        return "is not a number from 1 to " G_STRINGIFY(VCPUS_MAX);
    *ret_vcpus = (guint32)vcpus;
    return NULL;
}

static const char *
parse_arch(const char *text, bool *ret_is_arm64)
{
    static const struct {
        const char *name;
        bool is_arm64;
    } archs[] = {
        {"amd64", false}, {"x86_64", false}, {"arm64", true}, {"aarch64", true}, {"s390x", false},
    };

    for (guint i = 0; i < G_N_ELEMENTS(archs); i++) {
        if (strcmp(text, archs[i].name) == 0) {
            *ret_is_arm64 = archs[i].is_arm64;
            return NULL;
        }
    }
    return "is unknown: use amd64, arm64 or s390x";
}

static int
input_parse(const Arguments *arguments, OverheadInput *ret_input)
{
    const char *const *values = arguments->values;
    const char *wrong[N_OPTIONS] = {NULL};
    OverheadInput input = {
        .kubevirt_version = UNITS_VERSION_MAIN,
        .vcpus = 1,
        .ratio_thousandths = 1000,
        .has_graphics = values[OPTION_NO_GRAPHICS] == NULL,
        .has_vfio = values[OPTION_VFIO] != NULL,
        .has_tpm = values[OPTION_TPM] != NULL,
        .has_sev = values[OPTION_SEV] != NULL,
        .is_dedicated = values[OPTION_DEDICATED] != NULL,
        .has_liveness_probe = values[OPTION_PROBE_LIVENESS] != NULL,
        .has_readiness_probe = values[OPTION_PROBE_READINESS] != NULL,
        .has_console_log = values[OPTION_CONSOLE_LOG] != NULL,
    };

    wrong[OPTION_CONFIGURED] = units_parse_size(values[OPTION_CONFIGURED], &input.configured_bytes);
    input.request_bytes = input.configured_bytes;
    if (values[OPTION_REQUEST] != NULL)
        wrong[OPTION_REQUEST] = units_parse_size(values[OPTION_REQUEST], &input.request_bytes);
    if (values[OPTION_ADDED] != NULL)
        wrong[OPTION_ADDED] = units_parse_size(values[OPTION_ADDED], &input.added_bytes);
    if (values[OPTION_VERSION] != NULL)
        wrong[OPTION_VERSION] =
            units_parse_version(values[OPTION_VERSION], &input.kubevirt_version);
    if (values[OPTION_RATIO] != NULL)
        wrong[OPTION_RATIO] = units_parse_ratio(values[OPTION_RATIO], &input.ratio_thousandths);
    if (values[OPTION_VCPUS] != NULL)
        wrong[OPTION_VCPUS] = parse_vcpus(values[OPTION_VCPUS], &input.vcpus);
    if (values[OPTION_ARCH] != NULL)
        wrong[OPTION_ARCH] = parse_arch(values[OPTION_ARCH], &input.is_arm64);
    for (guint i = 0; i < N_OPTIONS; i++)
        if (wrong[i] != NULL)
            return word_fail(option_table[i].name, values[i], wrong[i]);
    *ret_input = input;
    return 0;
}

static void
print_row(const char *name, guint64 bytes, const char *why)
{
    g_autofree char *size = units_format_size_short(bytes);

    printf("  %-22s %5s %15" G_GUINT64_FORMAT "%s%s\n", name, size, bytes, *why ? "  " : "", why);
}

/* "1.5", "2", "0.125" */
static char *
format_ratio(gint64 thousandths)
{
    g_autofree char *text =
        g_strdup_printf("%" G_GINT64_FORMAT ".%03d", thousandths / 1000, (int)(thousandths % 1000));
    gsize length = strlen(text);

    while (text[length - 1] == '0')
        length--;
    return g_strndup(text, text[length - 1] == '.' ? length - 1 : length);
}

static void
print_terms(const OverheadResult *result)
{
    printf("  %-22s %5s %15s  %s\n", "term", "size", "bytes", "why");
    for (guint i = 0; i < result->n_terms; i++)
        print_row(result->terms[i].name, result->terms[i].bytes, result->terms[i].why);
}

static void
print_table_model(const OverheadInput *input, const OverheadResult *result)
{
    g_autofree char *configured = units_format_size(input->configured_bytes);

    printf("table: %s configured\n\n", configured);
    print_terms(result);
    printf("\n");
    print_row("reserved", result->reserved_bytes, "out of what is configured");
    print_row("limit", result->limit_bytes, "configured, in whole pages");
    print_row("guest RAM", result->guest_bytes, "configured - reserved");
}

static void
print_kubevirt_model(const OverheadInput *input, const OverheadResult *result)
{
    g_autofree char *version = units_format_version(input->kubevirt_version);
    g_autofree char *configured = units_format_size(input->configured_bytes);
    g_autofree char *request = units_format_size(input->request_bytes);
    g_autofree char *ratio = format_ratio(input->ratio_thousandths);
    g_autofree char *times = g_strdup_printf("sum x %s", ratio);
    guint64 sum_bytes = 0;

    printf("KubeVirt %s: %s configured, %s requested, %u vCPU%s\n\n", version, configured, request,
           input->vcpus, input->vcpus == 1 ? "" : "s");
    print_terms(result);
    for (guint i = 0; i < result->n_terms; i++)
        sum_bytes += result->terms[i].bytes;
    printf("\n");
    print_row("sum", sum_bytes, "");
    print_row("reserved", result->reserved_bytes, times);
    print_row("container limit", result->limit_bytes, "configured + reserved, in pages");
    print_row("pod limit", result->pod_limit_bytes,
              input->has_console_log ? "and the console log's 60,000,000" : "no other container");
    print_row("guest RAM", result->guest_bytes, "configured");
}

static void
build_terms(JsonBuilder *builder, const OverheadResult *result)
{
    json_builder_set_member_name(builder, "terms");
    json_builder_begin_array(builder);
    for (guint i = 0; i < result->n_terms; i++) {
        json_builder_begin_object(builder);
        build_text(builder, "name", result->terms[i].name);
        build_text(builder, "why", result->terms[i].why);
        build_u64(builder, "bytes", true, result->terms[i].bytes);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

/* No number is past INT64_MAX: the models refuse such sums. */
static void
print_json(const OverheadInput *input, const OverheadResult *result, bool is_kubevirt)
{
    g_autoptr(JsonBuilder) builder = ctl_begin_json();
    g_autofree char *version = units_format_version(input->kubevirt_version);

    build_text(builder, "model", is_kubevirt ? "kubevirt" : "table");
    build_u64(builder, "configured_bytes", true, input->configured_bytes);
    if (is_kubevirt) {
        build_text(builder, "kubevirt_version", version);
        build_u64(builder, "request_bytes", true, input->request_bytes);
        build_u64(builder, "vcpus", true, input->vcpus);
        build_u64(builder, "ratio_thousandths", true, (guint64)input->ratio_thousandths);
    }
    build_terms(builder, result);
    build_u64(builder, "reserved_bytes", true, result->reserved_bytes);
    build_u64(builder, "limit_bytes", true, result->limit_bytes);
    build_u64(builder, "pod_limit_bytes", true, result->pod_limit_bytes);
    build_u64(builder, "guest_bytes", true, result->guest_bytes);
    ctl_end_json(builder);
}

static int
run_table(const OverheadInput *input, bool is_json)
{
    OverheadResult result;
    const char *wrong = overhead_table(input, &result);

    if (wrong != NULL)
        return ctl_fail("--model table: %s", wrong);
    if (is_json)
        print_json(input, &result, false);
    else
        print_table_model(input, &result);
    return 0;
}

static int
run_kubevirt(const OverheadInput *input, bool is_json)
{
    g_autofree char *version = units_format_version(input->kubevirt_version);
    OverheadResult result;
    const char *wrong = overhead_kubevirt(input, &result);

    if (wrong != NULL)
        return ctl_fail("--model kubevirt --kubevirt-version %s: %s", version, wrong);
    if (is_json)
        print_json(input, &result, true);
    else
        print_kubevirt_model(input, &result);
    return 0;
}

int
ctl_overhead(const CtlOptions *options, int argc, char **argv)
{
    Arguments arguments = {{NULL}};
    const char *model;
    OverheadInput input;
    bool is_table;

    if (arguments_parse(argc, argv, &arguments) != 0)
        return 2;
    if (arguments.values[OPTION_HELP] != NULL) {
        printf("%s", help_text);
        return 0;
    }
    model = arguments.values[OPTION_MODEL];
    if (model == NULL)
        return ctl_fail("overhead: --model is missing: table or kubevirt");
    is_table = strcmp(model, "table") == 0;
    if (!is_table && strcmp(model, "kubevirt") != 0)
        return word_fail("--model", model, "is unknown: use table or kubevirt");
    if (arguments.values[OPTION_CONFIGURED] == NULL)
        return ctl_fail("overhead: --configured is missing");
    for (guint i = OPTION_VERSION; is_table && i < N_OPTIONS; i++)
        if (arguments.values[i] != NULL)
            return ctl_fail("%s has no meaning with --model table", option_table[i].name);
    if (input_parse(&arguments, &input) != 0)
        return 2;
    return is_table ? run_table(&input, options->is_json) : run_kubevirt(&input, options->is_json);
}
