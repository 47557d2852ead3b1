/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A VM of libvirt without a monitor of ours: libvirt tells its state and its disks' counters.
 *
 * Silence is less certain there than on a monitor. libvirt may wait for QEMU, or for another client
 * (a backup, a migration, a snapshot) that holds the domain's job: that is as with a monitor that a
 * foreign client holds, and accuses nobody. Only when QEMU's main thread itself sleeps in D is the
 * silence QEMU's own. */

#include "sample-private.h"

#include "drift-look.h"
#include "libvirt-domain.h"
#include "storage.h"
#include "throttle.h"
#include "units.h"

#include <string.h>

static void
fill_limit(const DomainDisk *known, DiskSample *disk)
{
    static const ThrottleLimit bytes[] = {THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ,
                                          THROTTLE_BPS_WRITE};
    static const ThrottleLimit operations[] = {THROTTLE_IOPS_TOTAL, THROTTLE_IOPS_READ,
                                               THROTTLE_IOPS_WRITE};
    g_autofree char *wrong = NULL;
    g_autoptr(Throttle) throttle =
        known->iotune ? throttle_parse(THROTTLE_LIBVIRT, (const char *const *)known->iotune, &wrong)
                      : NULL;

    disk->has_limit = throttle != NULL;
    for (guint i = 0; throttle && i < G_N_ELEMENTS(bytes); i++) {
        guint64 bps = throttle->fields[THROTTLE_FIELD(bytes[i], THROTTLE_RATE)];
        guint64 iops = throttle->fields[THROTTLE_FIELD(operations[i], THROTTLE_RATE)];

        if (bps > 0 && (disk->limit_bps == 0 || bps < disk->limit_bps))
            disk->limit_bps = bps;
        if (iops > 0 && (disk->limit_iops == 0 || iops < disk->limit_iops))
            disk->limit_iops = iops;
    }
}

/* "virtio-blk", "lsilogic", "sata": what libvirt calls the device model of a disk that is not on
 * the command line. */
static char *
driver_of(const DomainXml *xml, const DomainDisk *known)
{
    const DomainController *controller = domain_xml_controller(xml, known);

    if (controller && controller->model)
        return units_printable(controller->model, -1);
    if (g_strcmp0(known->bus, "virtio") == 0)
        return g_strdup("virtio-blk");
    return known->bus ? units_printable(known->bus, -1) : NULL;
}

static void
fill_known(const Vm *vm, const DomainXml *xml, const DomainDisk *known, const ArgvDisk *argv,
           DiskSample *disk)
{
    if (argv) {
        const char *model = argv_disk_model(argv);

        disk->driver = model ? units_printable(model, -1) : NULL;
        disk->storage = storage_identity(vm, argv);
    } else {
        disk->driver = driver_of(xml, known);
        disk->storage = known->storage ? units_printable(known->storage, -1) : NULL;
    }
    fill_limit(known, disk);
}

static void
fill_disk(const Vm *vm, const DomainXml *xml, const LibvirtDisk *seen, DiskSample *disk,
          DiskOrigin *ret_origin)
{
    const DomainDisk *known = xml ? domain_xml_disk(xml, seen->target) : NULL;

    *ret_origin = (DiskOrigin){.argv = known ? vm_argv_disk(vm, known->alias) : NULL,
                               .device = g_strdup(known ? known->alias : NULL)};
    disk->id = g_strdup(known && known->alias ? known->alias : seen->target);
    disk->label = units_printable(seen->target, -1);
    disk->has_counters = seen->has_counters;
    disk->rd_ops = seen->rd_ops;
    disk->wr_ops = seen->wr_ops;
    disk->flush_ops = seen->flush_ops;
    disk->rd_bytes = seen->rd_bytes;
    disk->wr_bytes = seen->wr_bytes;
    disk->total_time_ns = seen->total_time_ns;
    if (known)
        fill_known(vm, xml, known, ret_origin->argv, disk);
}

static void
fill_disks(Sampling *sampling, const GPtrArray *disks)
{
    Sample *sample = &sampling->sample;
    const DomainXml *xml = libvirt_domain_xml(sampling->vm->domain, NULL);

    sample->has_disks = true;
    sample->disks = g_new0(DiskSample, disks->len);
    sampling->origins = sample_origins_new(disks->len);
    for (guint i = 0; i < disks->len; i++) {
        DiskOrigin origin;

        fill_disk(sampling->vm, xml, disks->pdata[i], &sample->disks[sample->n_disks++], &origin);
        g_array_append_val(sampling->origins, origin);
    }
}

static void
fill_silence(Sampling *sampling, gint64 waited_us)
{
    Sample *sample = &sampling->sample;
    bool is_qemu_itself = sample->process_state == 'D';

    sample->monitor = is_qemu_itself ? MONITOR_SILENT : MONITOR_NO_GREETING;
    sample->waited_us = waited_us;
    g_free(sampling->vm->client_error);
    sampling->vm->client_error = g_strdup(
        is_qemu_itself ? "libvirt gets no answer, and QEMU's main thread sleeps in the kernel (D)"
                       : "libvirt does not answer for this VM: QEMU is silent, or another job "
                         "(backup, migration, snapshot) holds the domain");
}

static void
fill_problem(Sampling *sampling, const char *problem)
{
    sampling->sample.monitor = MONITOR_REFUSED;
    g_free(sampling->vm->client_error);
    sampling->vm->client_error = g_strconcat("libvirt: ", problem ? problem : "no answer", NULL);
}

static void
settle_tunes(const Vm *vm)
{
    gint64 asked_us;
    const DomainXml *xml = libvirt_domain_xml(vm->domain, &asked_us);

    tunes_settle(libvirt_domain_tunes(vm->domain), xml, asked_us, drift_look_writers(vm->drift));
}

static void
seen(const LibvirtReply *reply, bool is_late, gint64 waited_us, const char *problem, gpointer data)
{
    Sampling *sampling = data;

    if (sampling->is_cancelled) {
        sampling_answered(sampling);
        return;
    }
    sampling->sample.waited_us = waited_us;
    if (is_late) {
        fill_silence(sampling, waited_us);
    } else if (!reply || reply->outcome != OUTCOME_GOOD) {
        fill_problem(sampling, problem);
    } else {
        sampling->sample.monitor = MONITOR_ANSWERED;
        sampling->vm->run = reply->run;
        if (reply->disks)
            fill_disks(sampling, reply->disks);
        drift_look_take_domain(sampling->vm);
        settle_tunes(sampling->vm);
        if (sample_pass_begin(sampling))
            sampling->phase = PHASE_BASE;
    }
    sampling_answered(sampling);
}

bool
sample_ask_domain(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    Sample *sample = &sampling->sample;

    if (vm->monitor_path || !vm->argv->is_libvirt)
        return false;
    if (!vm->domain) {
        g_free(vm->client_error);
        vm->client_error = g_strdup("no libvirt daemon that answers has this VM");
        return false;
    }
    /* a stopped process answers nothing, and the call would hang in libvirtd */
    if (sample_is_stopped(sample))
        return false;
    sampling->phase = PHASE_DONE;
    sampling->open++;
    libvirt_domain_look(vm->domain, sampling->context.now_us,
                        MIN(vm->limits.answer_deadline_us, sampling->context.period_us), seen,
                        sampling);
    return true;
}
