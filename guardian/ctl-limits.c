/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* limits: what would have to be written so that a VM lives, exactly; does it, and takes it back. It
 * looks itself and asks no daemon; the journal is the same. */

#include "ctl-limits-form.h"
#include "ctl.h"

#include "act-limit.h"
#include "act-order.h"
#include "ctl-limits-group.h"
#include "ctl-limits-print.h"
#include "guardian.h"
#include "meminfo.h"
#include "units.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Without its pages counted a guest's whole RAM would be taken for what it may still take. 64 GiB
 * that are touched take 12 s, on a busy host more. */
#define COUNT_US (30 * G_USEC_PER_SEC)
#define AGAIN_APART_US (G_USEC_PER_SEC / 5)

typedef enum { DO_PLAN, DO_APPLY, DO_UNDO } What;

typedef struct {
    const CtlOptions *options;
    What what;
    const char *word; /* which VM */
    bool is_yes;
    bool has_wanted;
    guint64 wanted_bytes;
} Arguments;

/* Everything of one call. */
typedef struct {
    const Arguments *arguments;
    const Guardian *guardian;
    const Vm *vm;
    Acts *acts;
    GMainContext *context;
    LimitsInput input;
    LimitsPlan plan;
    char *problem;       /* why nothing, or not all, is done; NULL */
    GPtrArray *steps;    /* as planned, of ActRecord; NULL none */
    GHashTable *applied; /* those of steps that were written */
    bool is_done;        /* the outcome of a plan is there */
    guint n_applied;     /* of it */
    char *outcome;       /* of writing; NULL: all well, or nothing was to be written */
} Work;

static int
what_parse(const char *word, What *ret_what)
{
    static const char *const words[] = {"plan", "apply", "undo"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *ret_what = i;
        return 0;
    }
    return ctl_fail("limits: \"%s\" is none of plan, apply, undo, normalize and diff", word);
}

static int
size_parse(const char *text, Arguments *arguments)
{
    const char *wrong = text ? units_parse_size(text, &arguments->wanted_bytes) : NULL;

    if (!text)
        return ctl_fail("limits: --to needs a size, such as 3Gi");
    if (wrong || arguments->wanted_bytes == 0 || arguments->wanted_bytes > G_MAXINT64)
        return ctl_fail("limits: --to \"%s\" %s", text, wrong ? wrong : "is no limit");
    arguments->has_wanted = true;
    return 0;
}

static int
arguments_parse(int argc, char **argv, Arguments *arguments)
{
    int status =
        argc < 3
            ? ctl_fail(
                  "limits needs plan, apply or undo, and a VM, or normalize or diff; see --help")
            : what_parse(argv[1], &arguments->what);

    for (int i = 2; status == 0 && i < argc; i++) {
        if (strcmp(argv[i], "--yes") == 0)
            arguments->is_yes = true;
        else if (strcmp(argv[i], "--to") == 0)
            status = size_parse(argv[++i], arguments);
        else if (g_str_has_prefix(argv[i], "--to="))
            status = size_parse(argv[i] + strlen("--to="), arguments);
        else if (*argv[i] == '-')
            status = ctl_fail("limits does not know the option %s", argv[i]);
        else if (arguments->word)
            status = ctl_fail("limits takes one VM");
        else
            arguments->word = argv[i];
    }
    if (status != 0)
        return status;
    if (!arguments->word)
        return ctl_fail("limits needs a VM; see guardianctl list");
    if (*arguments->word == '/' && (arguments->what != DO_UNDO || arguments->has_wanted))
        return ctl_fail("limits plan and apply are for VMs; of a group only what was written is "
                        "taken back");
    if (arguments->has_wanted && arguments->what == DO_UNDO)
        return ctl_fail("limits undo takes back what was written: --to is not for it");
    return 0;
}

/* Each sentence once. */
static void
work_tell(Work *work, const char *problem)
{
    g_autofree char *before = g_steal_pointer(&work->outcome);

    if (before && strcmp(before, problem) != 0)
        work->outcome = g_strdup_printf("%s; %s", before, problem);
    else
        work->outcome = g_strdup(problem);
}

static void
on_done(const ActOutcome *outcome, gpointer data)
{
    Work *work = data;

    work->is_done = true;
    work->n_applied = outcome->n_applied;
    if (outcome->problem)
        work_tell(work, outcome->problem);
}

static void
work_wait(Work *work)
{
    while (!work->is_done)
        g_main_context_iteration(work->context, TRUE);
    work->is_done = false;
}

/* The plan, and why not. */
static void
work_plan(Work *work)
{
    const Vm *vm = work->vm;
    const ActJournal *journal = acts_journal(work->acts);
    HostMemory memory;
    bool has_memory = meminfo_read(guardian_host(work->guardian), &memory);
    g_autoptr(GError) error = NULL;

    act_limit_input(vm, journal, has_memory ? &memory : NULL, &work->input);
    work->input.has_wanted = work->arguments->has_wanted;
    work->input.wanted_bytes = work->arguments->wanted_bytes;
    work->plan = limits_plan(&work->input);
    if (work->plan.refusal) {
        work->problem = act_limit_refusal(vm, &work->plan);
        return;
    }
    work->steps = act_limit_steps(vm, &work->input, &work->plan, ACT_BY_ADMINISTRATOR, &error);
    if (!work->steps)
        work->problem = units_printable(error->message, -1);
}

/* What is planned for the kill order stands behind the limits: each kind is a plan of its own. */
static void
work_plan_order(Work *work)
{
    static const char *const kinds[] = {ACT_KIND_GROUP, ACT_KIND_SCORE};

    if (!work->steps)
        work->steps = act_steps_new();
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *fight = NULL;
        g_autoptr(GPtrArray) steps =
            act_order_steps(work->vm, acts_journal(work->acts), guardian_limits(work->guardian),
                            kinds[i], ACT_BY_ADMINISTRATOR, &fight);

        g_ptr_array_extend_and_steal(work->steps, g_steal_pointer(&steps));
    }
}

static void
work_plan_undo(Work *work)
{
    static const char *const kinds[] = {ACT_KIND_LIMITS, ACT_KIND_GROUP, ACT_KIND_SCORE};
    const Vm *vm = work->vm;

    work->steps = act_steps_new();
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        g_ptr_array_extend_and_steal(
            work->steps,
            acts_undo_plan(work->acts, proc_pid(vm->proc), proc_start_ticks(vm->proc), kinds[i]));
    for (guint i = 0; i < work->steps->len; i++) {
        ActRecord *step = work->steps->pdata[i];

        step->by = g_strdup(ACT_BY_ADMINISTRATOR);
        step->why = g_strdup("taken back");
    }
    work->problem = act_limit_undo_problem(vm, work->steps);
}

/* Copies what is printed: the writing takes the steps. */
static GPtrArray *
steps_copy(const GPtrArray *steps)
{
    GPtrArray *copy = act_steps_new();

    for (guint i = 0; steps && i < steps->len; i++) {
        g_autofree char *text = NULL;
        ActRecord *step = steps->pdata[i], *parsed;

        step->boot_id = g_strdup("");
        text = act_record_print(step, NULL);
        g_clear_pointer(&step->boot_id, g_free);
        parsed = text ? act_record_parse("plan", text, strlen(text), NULL) : NULL;
        if (parsed)
            g_ptr_array_add(copy, parsed);
    }
    return copy;
}

static ActTerms
terms_of(const Work *work, const char *kind)
{
    const Limits *limits = guardian_limits(work->guardian);
    const GPtrArray *vms = guardian_vms(work->guardian);
    ActTerms terms = strcmp(kind, ACT_KIND_LIMITS) == 0
                         ? act_limit_terms(work->vm, limits, vms)
                         : act_order_terms(work->vm, limits, vms, kind);

    terms.is_enforced = terms.is_enforced || work->arguments->is_yes;
    terms.is_commanded = true;
    return terms;
}

/* The first steps, which are of one kind, leave the plan. */
static GPtrArray *
take_first_kind(GPtrArray *steps)
{
    const char *kind = ((const ActRecord *)steps->pdata[0])->kind;
    GPtrArray *taken = act_steps_new();

    while (steps->len > 0 && strcmp(((const ActRecord *)steps->pdata[0])->kind, kind) == 0)
        g_ptr_array_add(taken, g_ptr_array_steal_index(steps, 0));
    return taken;
}

/* Kind after kind; what one refuses does not hold the others back. */
static void
work_write(Work *work)
{
    GPtrArray *printed = steps_copy(work->steps);
    guint n_before = 0;

    while (work->steps->len > 0) {
        GPtrArray *steps = take_first_kind(work->steps);
        ActTerms terms = terms_of(work, ((const ActRecord *)steps->pdata[0])->kind);
        guint n = steps->len;

        if (terms.is_enforced) {
            work->n_applied = 0;
            acts_begin(work->acts, &terms, steps, on_done, work);
            work_wait(work);
            for (guint i = 0; i < work->n_applied; i++)
                g_hash_table_add(work->applied, printed->pdata[n_before + i]);
        } else {
            g_ptr_array_unref(steps);
            work_tell(work, "observe: nothing is written; --yes writes it all the same");
        }
        n_before += n;
    }
    g_clear_pointer(&work->steps, g_ptr_array_unref);
    work->steps = printed;
}

/* 0: nothing (more) is to be done. */
static int
work_status(const Work *work)
{
    guint n = work->steps ? work->steps->len : 0;

    return work->problem || g_hash_table_size(work->applied) < n ? 1 : 0;
}

static void
work_print(const Work *work)
{
    const LimitsAnswer answer = {.vm = work->vm,
                                 .is_undo = work->arguments->what == DO_UNDO,
                                 .steps = work->steps,
                                 .written = work->applied,
                                 .problem = work->problem,
                                 .outcome = work->outcome};

    if (work->arguments->options->is_json)
        ctl_limits_print_json(&answer);
    else
        ctl_limits_print_text(&answer);
}

/* A limit that cannot be raised does not hold the kill order back; one that must not be lowered
 * does hold the undo. */
static bool
work_may_write(const Work *work)
{
    return work->steps && work->steps->len > 0 &&
           (!work->problem || work->arguments->what == DO_APPLY);
}

static int
work_run(Work *work)
{
    acts_load(work->acts, on_done, work);
    work_wait(work);
    if (work->outcome)
        fprintf(stderr, "guardianctl: limits: %s\n", work->outcome);
    g_clear_pointer(&work->outcome, g_free);
    if (work->arguments->what == DO_UNDO)
        work_plan_undo(work);
    else
        work_plan(work);
    if (work->arguments->what != DO_UNDO && !work->arguments->has_wanted)
        work_plan_order(work);
    if (work->arguments->what != DO_PLAN && work_may_write(work))
        work_write(work);
    work_print(work);
    return work_status(work);
}

static int
limits_of(const Arguments *arguments, const Host *host, Config *config)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Guardian) guardian = guardian_new(host, context, config);
    g_autofree char *word = units_printable(arguments->word, -1);
    Work work = {.arguments = arguments, .guardian = guardian, .context = context};
    const GPtrArray *vms;
    int status;

    /* all VMs are looked at: one beside it on a suspect storage holds a write back */
    guardian_look_twice(guardian, GUARDIAN_LOOK_APART_US);
    guardian_await_count(guardian, arguments->word, COUNT_US);
    vms = guardian_vms(guardian);
    for (guint i = 0; i < vms->len; i++)
        ((Vm *)vms->pdata[i])->memory_us = 0; /* once more, with the pages counted meanwhile */
    guardian_look_twice(guardian, AGAIN_APART_US);
    for (guint i = 0; i < vms->len; i++) {
        if (!vm_matches(vms->pdata[i], arguments->word))
            continue;
        if (work.vm)
            return ctl_fail("more than one VM is called \"%s\"; use its process id (guardianctl "
                            "list)",
                            word);
        work.vm = vms->pdata[i];
    }
    if (!work.vm)
        return ctl_fail("no VM is called \"%s\"; see guardianctl list", word);
    work.acts = acts_new(host, context);
    work.applied = g_hash_table_new(NULL, NULL);
    status = work_run(&work);
    acts_free(work.acts);
    g_hash_table_unref(work.applied);
    g_clear_pointer(&work.steps, g_ptr_array_unref);
    g_free(work.problem);
    g_free(work.outcome);
    return status;
}

int
ctl_limits(const CtlOptions *options, int argc, char **argv)
{
    Arguments arguments = {.options = options};
    g_autoptr(GError) error = NULL;
    Host *host;
    Config *config;
    int status;

    if (argc > 1 && ctl_limits_form_is(argv[1]))
        return ctl_limits_form(options, argc, argv);
    status = arguments_parse(argc, argv, &arguments);
    if (status != 0)
        return status;
    if (arguments.what != DO_PLAN && geteuid() != 0)
        return ctl_fail("limits apply and undo are for root");
    host = host_new(options->roots, &error);
    config = host ? config_load(host, &error) : NULL;
    if (!config)
        status = ctl_fail("%s", error->message);
    else if (*arguments.word == '/')
        status = ctl_limits_undo_group(options, host, config, arguments.word, arguments.is_yes);
    else
        status = limits_of(&arguments, host, config);
    host_free(host);
    return status;
}
