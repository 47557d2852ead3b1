/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-help.h"

#include <glib.h>
#include <string.h>

static const struct {
    const char *verb, *text;
} helps[] = {
    {"status",
     "Usage: guardianctl status [--json]\n"
     "Every VM on one line, the worst first, and below it its disks that are not fine.\n\n"
     "  LIMIT     the tightest memory limit of its cgroups\n"
     "  GUEST     RAM that the guest has\n"
     "  OVERHEAD  what QEMU needs beside it, measured: at least - at most\n"
     "  RESV      what the policy's model reserves for that\n"
     "  HEAD      what is left below the limit\n"
     "  -         unknown, or there is none\n\n"
     "Without a daemon it takes two samples of its own.\n"
     "Exit status: 0 all well, 1 a VM is suspect, frozen or has an alert, 2 could not\n"
     "look.\n"},
    {"explain", "Usage: guardianctl explain VM [--json]\n"
                "Why the VM's verdict is what it is, on what facts, and what to do.\n"
                "VM is a name, an id, a uuid or a process id.\n\n"
                "Exit status: 0 the VM is fine, 1 it is suspect, frozen or has an alert, 2 could\n"
                "not look.\n"},
    {"list", "Usage: guardianctl list [--json]\n"
             "What is watched: name, id, source, process, how its monitor is used, its cgroup.\n\n"
             "  own       its monitor is ours alone: connected all the time\n"
             "  shared    others need it, too: connect, ask, leave\n"
             "  none      it has no monitor that may be asked\n\n"
             "Exit status: 0 looked, 2 could not look.\n"},
    {"check", "Usage: guardianctl check VM [--for 60s] [--json]\n"
              "Watches one VM from now, without the daemon, looking into every queue; prints\n"
              "what changes, and explains the VM at the end.\n"
              "VM is a name, an id, a uuid or a process id.\n\n"
              "  --for TIME  2s to 1h (default: 60s). A frozen disk is named after 20 s, so\n"
              "              watch for 30s at least.\n\n"
              "Exit status: 0 the VM is fine, 1 it is suspect, frozen or has an alert, 2 could\n"
              "not look.\n"},
    {"capture", "Usage: guardianctl capture VM [--stacks] [--json]\n"
                "       guardianctl capture --list | --show NAME [--json]\n"
                "Saves the evidence of one VM in at most 30 s: samples, /proc, the kernel's log,\n"
                "what its monitor answers safely. Never guest RAM, never a command that could\n"
                "hang QEMU. With a daemon for root only; without one it looks itself.\n"
                "VM is a name, an id, a uuid or a process id.\n\n"
                "  --stacks     also the stacks of QEMU's threads, by eu-stack or gdb, which\n"
                "               stops it for less than a second\n"
                "  --list       the bundles that are there\n"
                "  --show NAME  what one holds, and why what is missing was not done\n\n"
                "Exit status: 0 saved, 1 saved in memory only, 2 could not.\n"},
    {"audit", "Usage: guardianctl audit [VM] [--json]\n"
              "Risks of the running processes (command line, cgroup) and of the configuration\n"
              "that the next start takes, told apart; each with why, source, what to look at\n"
              "first and the remedy on this host. Rows of /etc/vm-guardian/qemu-bugs.conf add\n"
              "to the QEMU versions that are known to freeze:\n"
              "  7.1.0 7.1.1 iothread+io_uring | what happens | where it is written\n"
              "VM is a name, an id, a uuid or a process id.\n\n"
              "Exit status: 0 nothing worse than a note, 1 a warning or a danger, 2 could not\n"
              "look.\n"},
    {"drift", "Usage: guardianctl drift [VM] [--json]\n"
              "Where the limits of disks differ: what the policy wants ([disk NAME] in vm.d),\n"
              "what the configuration brings at the next start (Proxmox), what QEMU does now;\n"
              "only the fields that differ in effect, in bytes/s, operations/s and seconds.\n"
              "Memory limits where systemd or libvirt holds another one than the kernel has.\n\n"
              "  VM  look again, now, and ask QEMU itself (root). Limits of a -drive are\n"
              "      shown by query-block only, which hangs a VM on a dead file system: it is\n"
              "      asked when nothing is suspect and every open file has just answered\n"
              "      from its storage. Without VM it is never asked.\n\n"
              "Exit status: 0 nothing differs, 1 something does, 2 could not look.\n"},
    {"replay", "Usage: guardianctl replay FILE... [--config FILE] [--json]\n"
               "What the judge says of recorded samples, and whether it is what the file expects\n"
               "(offline). A FILE that begins with - is ./-\n\n"
               "  --config FILE  the settings of this guardian.conf, not the built-in ones\n\n"
               "Exit status: 0 every expectation holds, 1 one does not, 2 unreadable.\n"},
    {"limits", "Usage: guardianctl limits plan|apply|undo VM [--to SIZE] [--yes] [--json]\n"
               "       guardianctl limits normalize|diff [--total SIZE] FORM TEXT [FORM TEXT]\n"
               "       guardianctl limits undo /GROUP [--yes] [--json]\n"
               "The lowest memory limits under which the VM lives, as exact writes, pod before\n"
               "container; never more than the host could back, nor than limits_raise_max.\n"
               "And where [memory] oom_group or oom_score_... asks for another kill order.\n"
               "VM is a name, an id, a uuid or a process id.\n\n"
               "  plan       only prints what would be written, and how it is undone\n"
               "  apply      writes it (root; --yes where the mode is observe), reads it back\n"
               "             and keeps the undo in the journal, /var/lib/vm-guardian/acts\n"
               "  undo       takes back what was written to this VM (root), or to a group that\n"
               "             stood still below its memory.high\n"
               "  --to SIZE  not what suffices, but this limit; also a lower one, but never less\n"
               "             than the group holds and limits_margin\n"
               "  normalize  print the canonical text of a limit, in the same form (offline)\n"
               "  diff       compare two by their effect, in whole pages (offline)\n\n"
               "FORM: proxmox (memory: 2048), systemd (MemoryMax=2G; 50% needs --total, the\n"
               "host's memory), cgroup2 (max), cgroup1, libvirt (<hard_limit>), kubernetes\n"
               "(2Gi) and policy.\n"
               "TEXT is the text itself, @FILE, or - for standard input.\n"
               "Exit status: 0 nothing is left to be written, or equal; 1 something is, it is\n"
               "refused, or differs; 2 could not look, or unreadable.\n"},
    {"config", "Usage: guardianctl config show [VM] [--json]\n"
               "       guardianctl config check [DIR] [--json]\n"
               "       guardianctl config sample | reload\n\n"
               "  show    every setting of the host, or of one VM, and where it is from\n"
               "  check   names the errors of the files in DIR (default: /etc/vm-guardian)\n"
               "  sample  a guardian.conf with every setting, commented out\n"
               "  reload  the daemon reads it anew; with an error in it the old one stays\n\n"
               "Exit status: 0 good, 2 errors, or wrong usage.\n"},
    {"alerts", "Usage: guardianctl alerts [--json]\n"
               "The alerts that are open, those that are over, and what is silenced. See also:\n\n"
               "  silence VM|CAUSE --for 2h --why TEXT   tell nobody of it for a while\n"
               "  ack VM                                 somebody knows: no more reminders\n"
               "  alert test                             is anybody told at all?\n\n"
               "Exit status: 0 none is open, 1 one is, 2 there is no daemon to ask.\n"},
    {"silence", "Usage: guardianctl silence VM|CAUSE --for TIME --why TEXT [--json]\n"
                "       guardianctl silence VM|CAUSE --end [--json]\n"
                "Nobody is told of the alerts of a VM, or of one cause or layer of all VMs, until\n"
                "the time is over; what is open then is told. What was told before is closed as\n"
                "always. Verdicts, status and captures do not change. For root only.\n\n"
                "  --for TIME  1s to 30d, such as 2h\n"
                "  --why TEXT  for the colleague who wonders\n"
                "  --end       now\n\n"
                "Exit status: 0 done, 2 not done.\n"},
    {"ack", "Usage: guardianctl ack VM [--json]\n"
            "Somebody knows of the VM's open alerts: they are neither paged nor reminded of\n"
            "any more; that they are over is told. For root only.\n\n"
            "Exit status: 0 done, 2 not done.\n"},
    {"alert", "Usage: guardianctl alert test [--json]\n"
              "Runs every executable of /etc/vm-guardian/alert.d with a test message, as an\n"
              "alert would, and shows what became of each. With a daemon it runs them, and it\n"
              "is for root only.\n\n"
              "Exit status: 0 all of them did their work, 1 one did not, or there is none, 2\n"
              "could not test.\n"},
    {"hook", "Usage: guardianctl hook [--run-root=DIR] libvirt NAME OPERATION PART EXTRA\n"
             "       guardianctl hook [--run-root=DIR] proxmox VMID PHASE\n"
             "Tells the daemon what a hook of libvirt or Proxmox was called with, so that it\n"
             "looks at once and not at the next discovery. Called by the scripts of\n"
             "contrib/hooks. Waits for nobody, prints nothing.\n\n"
             "Exit status: 0, whatever happens.\n"},
    {"version", "Usage: guardianctl version [--json]\n"
                "The version of this tool.\n"},
};

const char *
ctl_help_of(const char *verb)
{
    for (guint i = 0; i < G_N_ELEMENTS(helps); i++)
        if (strcmp(helps[i].verb, verb) == 0)
            return helps[i].text;
    return NULL;
}
