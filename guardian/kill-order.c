/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kill-order.h"

#include "act-score.h"
#include "killorder.h"
#include "roles.h"
#include "units.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* An exec probe of kubelet lives for seconds, and comes again and again: not worth a write each. */
#define SETTLED_US (30 * G_USEC_PER_SEC)
/* "-1000\n" */
#define NUMBER_BYTES 16

static void
drift_clear(gpointer data)
{
    OrderDrift *drift = data;

    g_free(drift->where);
    g_free(drift->label);
}

const char *
order_drift_field(const OrderDrift *drift)
{
    return drift->is_group ? "memory.oom.group" : ACT_FIELD_SCORE;
}

/* false: it cannot be read, or is no such number. */
static bool
number_read(int dir_fd, const char *name, gint *ret_number)
{
    auto_fd fd = host_open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK);
    char text[NUMBER_BYTES];
    gint64 number;

    if (fd < 0 || host_reread(fd, text, sizeof text, NULL) <= 0)
        return false;
    if (!g_ascii_string_to_signed(g_strchomp(text), 10, -1000, 1000, &number, NULL))
        return false;
    *ret_number = (gint)number;
    return true;
}

/* Takes label. */
static void
look_process(Vm *vm, const Proc *proc, gint wanted, char *label)
{
    OrderDrift drift = {.label = label, .wanted = wanted};

    if (!number_read(proc_dir_fd(proc), ACT_FIELD_SCORE, &drift.value) || drift.value == wanted) {
        g_free(label);
        return;
    }
    drift.where = act_score_where(proc_pid(proc), proc_start_ticks(proc));
    g_array_append_val(vm->kill_order, drift);
}

static void
look_member(Vm *vm, const Host *host, const RoleMember *member)
{
    g_autofree char *name = units_printable(member->name, -1);
    g_autoptr(Proc) proc = NULL;
    gint wanted;

    if (!kill_order_score(&vm->limits, member->role, false, &wanted))
        return;
    proc = proc_open(host, member->pid, NULL);
    if (!proc || proc_age_us(host, proc_start_ticks(proc)) < SETTLED_US)
        return;
    look_process(vm, proc, wanted,
                 g_strdup_printf("%s%s[%d]", member->role == ROLE_STRANGER ? "stranger " : "", name,
                                 (int)member->pid));
}

static void
look_members(Vm *vm, const Host *host)
{
    g_autoptr(GArray) members = NULL;

    if (vm->limits.oom_score_helpers == SCORE_KEEP && vm->limits.oom_score_strangers == SCORE_KEEP)
        return;
    members = roles_list(host, vm->cgroup, proc_pid(vm->proc));
    for (guint is_helper = 0; is_helper < 2; is_helper++)
        for (guint i = 0; i < members->len; i++) {
            const RoleMember *member = &g_array_index(members, RoleMember, i);

            if (role_is_helper(member->role) == is_helper)
                look_member(vm, host, member);
        }
}

/* path: of the VM's group or one above it. */
static void
look_group(Vm *vm, const Host *host, const char *path, bool is_innermost, bool is_own)
{
    auto_fd fd = host_open_beneath(cgroup_mount_fd(vm->cgroup), path + 1, O_RDONLY | O_DIRECTORY);
    OrderDrift drift = {.is_group = true, .is_shared = !is_own};
    struct stat st;
    bool wanted;

    if (fd < 0 || fstat(fd, &st) < 0 || !number_read(fd, "memory.oom.group", &drift.value) ||
        !kill_order_group(&vm->limits, is_innermost, drift.value != 0, &wanted))
        return;
    drift.wanted = wanted;
    drift.group_id = st.st_ino;
    drift.keeper = group_owner(path, systemd_runs(host));
    drift.where = g_strdup(path);
    drift.label = units_printable_path(path);
    g_array_append_val(vm->kill_order, drift);
}

static void
look_groups(Vm *vm, const Host *host)
{
    const CgroupPath *own = cgroup_path(vm->cgroup);
    gsize own_length = cgroup_group_place(vm->cgroup)->own_length;
    g_autofree char *path = g_strdup(own->path);

    if (vm->limits.oom_group == OOM_GROUP_KEEP || !own->is_v2)
        return;
    for (char *slash = path + strlen(path); slash > path; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (*path)
            look_group(vm, host, path, strlen(path) == strlen(own->path),
                       strlen(path) >= own_length);
    }
}

void
kill_order_look(Vm *vm, const Host *host)
{
    bool has_own_group = vm->cgroup && !cgroup_path(vm->cgroup)->is_root &&
                         cgroup_group_place(vm->cgroup)->is_made_for_one_vm;
    gint wanted;

    g_clear_pointer(&vm->kill_order, g_array_unref);
    if (!kill_order_is_asked(&vm->limits))
        return;
    vm->kill_order = g_array_new(FALSE, FALSE, sizeof(OrderDrift));
    g_array_set_clear_func(vm->kill_order, drift_clear);
    if (kill_order_score(&vm->limits, ROLE_QEMU, true, &wanted))
        look_process(vm, vm->proc, wanted, g_strdup("QEMU"));
    if (!has_own_group)
        return;
    look_groups(vm, host);
    look_members(vm, host);
}
