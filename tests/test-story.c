/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "message.h"
#include "report-story.h"

#include <string.h>

/* The founding incident as the guardian would have seen it. */
static const char incident[] =
    "{\"name\": \"devvm\", \"id\": \"102\", \"source\": \"proxmox\", \"pid\": 4711,"
    " \"state\": \"frozen\", \"layer\": \"device-model\", \"cause\": \"habit-broken\","
    " \"reason\": \"strangely quiet while its CPU ramps\", \"run\": \"running\","
    " \"since_utc\": \"2026-07-30T15:21:07Z\", \"since_s\": 1140,"
    " \"last_write\": \"15:01 UTC `update VM 102: -scsi0 ..` by root@pam: equal value, 24 times in "
    "24 h, 20 min before onset\","
    " \"sampled_utc\": \"2026-07-30T15:40:07Z\", \"capturing\": false, \"capture\": null,"
    " \"monitor\": {\"stage\": \"answered\", \"waited_us\": 1000},"
    " \"signs\": {\"network_before_bytes_per_s\": 389120, \"network_now_bytes_per_s\": 7168,"
    "             \"cpu_first_percent\": 11, \"cpu_last_percent\": 50, \"cpu_over_s\": 330},"
    " \"disks\": [{\"label\": \"scsi0\", \"driver\": \"lsi\", \"storage\": \"dev:254:14\","
    "   \"state\": \"frozen\", \"layer\": \"device-model\", \"cause\": \"habit-broken\","
    "   \"reason\": \"strangely quiet while its CPU ramps\", \"inflight\": null,"
    "   \"device_inflight\": 0, \"neighbours_moving\": 6, \"neighbours_still\": 0,"
    "   \"job_offset_bytes\": null, \"canary\": \"off\", \"canary_waited_ms\": null,"
    "   \"quiet_s\": 1140, \"longest_gap_s\": 34, \"watched_s\": 2592000,"
    "   \"limit_bytes_per_s\": 62914560, \"limit_operations_per_s\": null}]}";

static JsonObject *
parse(JsonNode **ret_node, const char *json)
{
    g_autoptr(GError) error = NULL;

    *ret_node = json_from_string(json, &error);
    assert_non_null(*ret_node);
    return json_node_get_object(*ret_node);
}

static char *
story_of(const char *json)
{
    g_autoptr(JsonNode) node = NULL;
    JsonObject *vm = parse(&node, json);
    g_autoptr(GPtrArray) disks = report_objects_of(vm, "disks");
    GString *text = g_string_new(NULL);

    story_append(text, vm, disks->len > 0 ? disks->pdata[0] : NULL, false);
    return g_string_free(text, FALSE);
}

static void
the_incident_is_told_in_full(void **state)
{
    g_autofree char *text = story_of(incident);

    assert_string_equal(
        text, "102 devvm  FROZEN 19m  scsi0/lsi  no progress since 15:21:07 UTC  QMP 1.0 ms  "
              "inside QEMU: its neighbours on that storage write  evidence not saved\n"
              "layer    device-model: between the guest's driver and QEMU's block layer; strangely "
              "quiet while its\n"
              "         CPU ramps (habit-broken); cause open: the lsi model, or the throttle timer "
              "(limit 60M B/s)\n"
              "for      longest quiet gap in 30d00h was 34s, now 19m; network 380K -> 7.0K/s; CPU "
              "climbs 11 -> 50 %\n"
              "         over 5m (a panic is flat from the first second)\n"
              "not      the host's disk (dev:254:14: 0 in flight, neighbours write), a pause, a "
              "migration, a block\n"
              "         job, the main loop. Canary: off\n"
              "before   15:01 UTC `update VM 102: -scsi0 ..` by root@pam: equal value, 24 times in "
              "24 h, 20 min\n"
              "         before onset\n"
              "do       1 guardianctl capture devvm --stacks (<= 30 s; a kill destroys the proof)\n"
              "         2 kill -9 4711; qm start 102 (HA: set it to ignored first)\n"
              "never    qm stop/reset/snapshot/migrate, backup, limit to zero: they drain the disk "
              "and hang the\n"
              "         monitor. A guest reboot keeps this QEMU process.\n");
}

/* What must be said, and what must not, in each picture. */
typedef struct {
    const char *name, *json, *says, *says_not;
} StoryRow;

static const StoryRow rows[] = {
    {"a stopped process is continued, not killed",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"process-stopped\"}",
     "kill -CONT 42", "kill -9"},
    {"a storage that is dead for all is looked at before anything is killed",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"storage\", \"disks\": "
     "[{\"label\": \"a\", \"layer\": \"storage\", \"storage\": \"nbd:/run/x\", "
     "\"neighbours_moving\": 0, \"neighbours_still\": 3, \"signals\": [\"neighbours-still\"]}]}",
     "look at nbd:/run/x: when it answers again the VM goes on by itself", "inside QEMU"},
    {"a backup's target is named, the VM is not to be killed",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"backup-target\", "
     "\"disks\": [{\"label\": \"a\", \"layer\": \"backup-target\"}]}",
     "make the backup's target answer", "kill -9"},
    {"where a stalled backup stands is told",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"backup-target\", "
     "\"disks\": [{\"label\": \"a\", \"layer\": \"backup-target\", "
     "\"job_offset_bytes\": 55574528}]}",
     "for      its block job stands still at 53M", "a block job,"},
    {"a backup that goes on is no evidence",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"block-path\", "
     "\"disks\": [{\"label\": \"a\", \"layer\": \"block-path\", \"inflight\": 2, "
     "\"job_offset_bytes\": 55574528}]}",
     "2 in flight in its virtqueue", "its block job"},
    {"a limit is raised, never to zero",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"suspect\", \"layer\": \"throttle\", "
     "\"disks\": [{\"label\": \"a\", \"layer\": \"throttle\", \"limit_bytes_per_s\": 1}]}",
     "raise the disk's limit, to another nonzero value", "kill -9"},
    {"a limit of the command line may have been changed since",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"suspect\", \"layer\": \"throttle\", "
     "\"disks\": [{\"label\": \"a\", \"layer\": \"throttle\", \"limit_bytes_per_s\": 1, "
     "\"limit_of_start\": true}]}",
     "by QEMU's command line (whether that still holds is not known)", "kill -9"},
    {"a limit that QEMU told holds",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"suspect\", \"layer\": \"throttle\", "
     "\"disks\": [{\"label\": \"a\", \"layer\": \"throttle\", \"limit_bytes_per_s\": 1, "
     "\"limit_of_start\": false}]}",
     "its own limit holds it, 1 B/s", "command line"},
    {"where neighbours stand still, too, QEMU is not blamed",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"block-path\", "
     "\"disks\": [{\"label\": \"a\", \"layer\": \"block-path\", \"neighbours_moving\": 1, "
     "\"neighbours_still\": 1}]}",
     "block-path: below the guest", "inside QEMU"},
    {"a canary that came back acquits nobody",
     "{\"name\": \"web\", \"state\": \"suspect\", \"layer\": \"device-model\", \"disks\": "
     "[{\"label\": \"a\", \"layer\": \"device-model\", \"canary\": \"back\", "
     "\"canary_waited_ms\": 3}]}",
     "came back in 3 ms; it points above the block layer, it acquits nobody", "Canary: off"},
    {"evidence that is saved is shown, not saved again",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"block-path\", "
     "\"capture\": \"web-20260730T152107Z\", \"disks\": [{\"label\": \"a\"}]}",
     "1 guardianctl capture --show web-20260730T152107Z", "--stacks"},
    {"a name that a shell would run is not what to type",
     "{\"name\": \"$(reboot)\", \"pid\": 42, \"state\": \"frozen\", \"layer\": \"block-path\"}",
     "guardianctl capture 42 --stacks", "capture $(reboot)"},
    {"a libvirt VM is told in virsh's words",
     "{\"name\": \"web\", \"pid\": 42, \"source\": \"libvirt\", \"state\": \"frozen\", "
     "\"layer\": \"block-path\"}",
     "virsh start web", "qm "},
    {"an unknown process is not killed by the number 0",
     "{\"name\": \"web\", \"state\": \"frozen\", \"layer\": \"block-path\"}",
     "its number is unknown", "kill -9 0"},
    {"a suspect is watched, not killed",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"suspect\", \"layer\": \"unknown\", "
     "\"disks\": [{\"label\": \"a\", \"canary\": \"off\"}]}",
     "allow [freeze] canary = suspect", "kill -9"},
    {"where its virtqueue tells, a canary is not asked for",
     "{\"name\": \"web\", \"pid\": 42, \"state\": \"suspect\", \"layer\": \"block-path\", "
     "\"disks\": [{\"label\": \"a\", \"canary\": \"off\", \"inflight\": 1}]}",
     "wait: it is named frozen when the evidence holds", "canary = suspect"},
    {"what is not known is not told",
     "{\"name\": \"web\", \"state\": \"suspect\", \"layer\": \"unknown\", \"disks\": [{}]}",
     "suspect", "longest quiet gap"},
    {"facts of another type are no facts",
     "{\"name\": 7, \"state\": \"frozen\", \"layer\": [], \"signs\": 3, \"monitor\": [], \"pid\": "
     "\"x\", \"disks\": [{\"label\": {}, \"inflight\": \"9\", \"signals\": {}, \"quiet_s\": -4}]}",
     "FROZEN", "in flight in"},
};

static void
a_story_says_what_it_must(void **state)
{
    const StoryRow *row = *state;
    g_autofree char *broken = story_of(row->json);
    g_auto(GStrv) lines = g_strsplit(broken, "\n         ", -1);
    g_autofree char *text = g_strjoinv(" ", lines);

    if (!strstr(text, row->says))
        fail_msg("not said: %s\n%s", row->says, text);
    if (strstr(text, row->says_not))
        fail_msg("said: %s\n%s", row->says_not, text);
    assert_null(strstr(text, "(null)"));
}

static void
times_name_their_day_unless_it_is_today(void **state)
{
    g_autofree char *today = story_time("2026-07-30T15:21:07Z", "2026-07-30T23:59:59Z");
    g_autofree char *before = story_time("2026-07-30T15:21:07Z", "2026-07-31T00:00:01Z");
    g_autofree char *none = story_time(NULL, NULL);
    g_autofree char *bad = story_time("yesterday", "2026-07-31T00:00:01Z");

    assert_string_equal(today, "15:21:07 UTC");
    assert_string_equal(before, "2026-07-30 15:21:07 UTC");
    assert_string_equal(none, "unknown");
    assert_string_equal(bad, "unknown");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 2] = {
        cmocka_unit_test(the_incident_is_told_in_full),
        cmocka_unit_test(times_name_their_day_unless_it_is_today)};

    g_setenv("TZ", "UTC", TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[2 + i] = (struct CMUnitTest){.name = rows[i].name,
                                           .test_func = a_story_says_what_it_must,
                                           .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests_name("story", tests, NULL, NULL);
}
