/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-limits-print.h"

#include "act-limit.h"
#include "act-means.h"
#include "ctl.h"
#include "report-build.h"

#include <stdio.h>
#include <string.h>

static char *
mount_path(const Vm *vm)
{
    g_autofree char *link =
        vm->cgroup ? g_strdup_printf("/proc/self/fd/%d", cgroup_mount_fd(vm->cgroup)) : NULL;
    char *path = link ? g_file_read_link(link, NULL) : NULL;

    return path ? path : g_strdup("");
}

static void
print_step(const LimitsAnswer *answer, const ActRecord *step, const char *mount)
{
    bool is_process = strcmp(step->means, act_means_process.name) == 0;
    g_autofree char *before = act_value_words(step->field, step->old_value);
    g_autofree char *after = act_value_words(step->field, step->new_value);
    g_autofree char *where = act_where_words(step->means, step->where);

    printf("%s  %s%s%s%s\n    %s -> %s",
           g_hash_table_contains(answer->written, step) ? "written " : "to write",
           is_process ? "" : mount, where, is_process ? " " : "/", step->field, before, after);
    if (strcmp(step->kind, ACT_KIND_LIMITS) == 0)
        printf(" (%s -> %s bytes)", step->old_value, step->new_value);
    printf("  why: %s\n    undo: %s\n", step->why ? step->why : "-", step->undo_value);
}

void
ctl_limits_print_text(const LimitsAnswer *answer)
{
    g_autofree char *mount = mount_path(answer->vm);
    guint n = answer->steps ? answer->steps->len : 0;

    if (n == 0 && !answer->problem)
        printf("%s: %s\n", answer->vm->name,
               answer->is_undo ? "nothing of ours is to be taken back"
                               : "its limits suffice: nothing is to be written");
    for (guint i = 0; i < n; i++)
        print_step(answer, answer->steps->pdata[i], mount);
    if (answer->problem)
        printf("%s: no plan: %s\n", answer->vm->name, answer->problem);
    if (answer->outcome)
        printf("%s: %s\n", answer->vm->name, answer->outcome);
}

static void
build_step(JsonBuilder *builder, const ActRecord *step, bool is_applied)
{
    json_builder_begin_object(builder);
    build_text(builder, "kind", step->kind);
    build_text(builder, "means", step->means);
    build_text(builder, "where", step->where);
    build_text(builder, "field", step->field);
    build_text(builder, "old", step->old_value);
    build_text(builder, "new", step->new_value);
    build_text(builder, "undo", step->undo_value);
    build_text(builder, "why", step->why);
    build_bool(builder, "applied", is_applied);
    json_builder_end_object(builder);
}

void
ctl_limits_print_json(const LimitsAnswer *answer)
{
    g_autoptr(JsonBuilder) builder = ctl_begin_json();

    build_text(builder, "vm", answer->vm->name);
    build_u64(builder, "pid", true, (guint64)proc_pid(answer->vm->proc));
    json_builder_set_member_name(builder, "steps");
    json_builder_begin_array(builder);
    for (guint i = 0; answer->steps && i < answer->steps->len; i++)
        build_step(builder, answer->steps->pdata[i],
                   g_hash_table_contains(answer->written, answer->steps->pdata[i]));
    json_builder_end_array(builder);
    build_text(builder, "problem", answer->problem);
    build_text(builder, "outcome", answer->outcome);
    ctl_end_json(builder);
}
