/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "throttle-text.h"

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Does a real QEMU take what we think it takes, and read back as what was asked? The commands that
 * set limits are in no table of ours, so this speaks on a socket of its own. */

#define QEMU "qemu-system-x86_64"
#define DRIVE "drive-scsi0"
#define GROUP "/objects/tg0"
#define SEED 20240614
#define ROUNDS 1500
/* A machine too loaded to answer in this time fails the test instead of hanging it. */
#define PATIENT_S 30

typedef struct {
    GSubprocess *process;
    int fd;
    FILE *answers; /* reads from fd, and owns it */
} Qemu;

static void
die_with_parent(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Our end of the monitor's socket is *ret_fd. */
static GSubprocess *
start_qemu(int *ret_fd)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GError) error = NULL;
    struct timeval patience = {.tv_sec = PATIENT_S};
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    g_subprocess_launcher_take_fd(launcher, ends[1], 3);
    g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
    GSubprocess *process = g_subprocess_launcher_spawn(
        launcher, &error, QEMU, "-S", "-nodefaults", "-display", "none", "-machine", "q35",
        "-accel", "tcg", "-m", "64", "-object", "throttle-group,id=tg0", "-drive",
        "if=none,id=" DRIVE ",driver=null-co", "-device", "virtio-scsi-pci", "-device",
        "scsi-hd,id=scsi0,drive=" DRIVE, "-chardev", "socket,id=q,fd=3", "-mon",
        "chardev=q,mode=control", NULL);
    if (process == NULL)
        fail_msg("%s", error->message);
    *ret_fd = ends[0];
    return process;
}

/* The next object that is no event. */
static JsonNode *
read_answer(Qemu *qemu)
{
    char *line = NULL;
    size_t size = 0;
    JsonNode *root = NULL;

    while (root == NULL) {
        if (getline(&line, &size, qemu->answers) < 0)
            fail_msg("QEMU does not answer");
        root = json_from_string(line, NULL);
        assert_non_null(root);
        if (json_object_has_member(json_node_get_object(root), "event"))
            g_clear_pointer(&root, json_node_unref);
    }
    free(line);
    return root;
}

/* The answer to one command: what it returns, or NULL and QEMU's words in *ret_refusal. */
static JsonNode *
ask(Qemu *qemu, const char *command, char **ret_refusal)
{
    g_autoptr(JsonNode) answer = NULL;

    assert_int_equal(send(qemu->fd, command, strlen(command), 0), strlen(command));
    answer = read_answer(qemu);
    JsonObject *object = json_node_get_object(answer);
    if (json_object_has_member(object, "error")) {
        *ret_refusal = g_strdup(
            json_object_get_string_member(json_object_get_object_member(object, "error"), "desc"));
        return NULL;
    }
    return json_node_copy(json_object_get_member(object, "return"));
}

static JsonNode *
ask_or_fail(Qemu *qemu, const char *command)
{
    g_autofree char *refusal = NULL;
    JsonNode *result = ask(qemu, command, &refusal);

    if (result == NULL)
        fail_msg("%s: %s", command, refusal);
    return result;
}

static int
setup(void **state)
{
    g_autofree char *path = g_find_program_in_path(QEMU);
    Qemu *qemu = g_new0(Qemu, 1);

    *state = qemu;
    if (path == NULL)
        return 0;
    qemu->process = start_qemu(&qemu->fd);
    qemu->answers = fdopen(qemu->fd, "r");
    json_node_unref(read_answer(qemu));
    json_node_unref(ask_or_fail(qemu, "{\"execute\":\"qmp_capabilities\"}"));
    return 0;
}

static int
teardown(void **state)
{
    Qemu *qemu = *state;

    if (qemu->process != NULL) {
        g_subprocess_force_exit(qemu->process);
        g_subprocess_wait(qemu->process, NULL, NULL);
        g_object_unref(qemu->process);
        fclose(qemu->answers);
    }
    g_free(qemu);
    return 0;
}

/* The limits as one of QEMU's two objects; head opens it. */
static char *
limits_object(const Throttle *throttle, bool is_group_object, const char *head)
{
    g_autoptr(GString) text = g_string_new(head);
    Throttle view = *throttle;

    view.form = THROTTLE_QEMU;
    view.is_group_object = is_group_object;
    g_auto(GStrv) pairs = throttle_print(THROTTLE_QEMU, &view, NULL);
    for (char **pair = pairs; *pair != NULL; pair += 2)
        g_string_append_printf(text, "%s\"%s\":%s", text->len > 1 ? "," : "", pair[0], pair[1]);
    return g_strconcat(text->str, "}", NULL);
}

static Throttle *
read_back(const JsonNode *node)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = json_to_string((JsonNode *)node, FALSE);
    Throttle *throttle = throttle_text_parse(THROTTLE_QEMU, text, strlen(text), &error);

    if (throttle == NULL)
        fail_msg("%s: %s", error->message, text);
    return throttle;
}

static Throttle *
set_legacy(Qemu *qemu, const Throttle *throttle, char **ret_refusal)
{
    g_autofree char *arguments = limits_object(throttle, false, "{\"device\":\"" DRIVE "\"");
    g_autofree char *command =
        g_strconcat("{\"execute\":\"block_set_io_throttle\",\"arguments\":", arguments, "}", NULL);
    g_autoptr(JsonNode) result = ask(qemu, command, ret_refusal);
    g_autoptr(JsonNode) blocks = NULL;

    if (result == NULL)
        return NULL;
    blocks = ask_or_fail(qemu, "{\"execute\":\"query-block\"}");
    JsonObject *block = json_array_get_object_element(json_node_get_array(blocks), 0);
    return read_back(json_object_get_member(block, "inserted"));
}

static Throttle *
set_group(Qemu *qemu, const Throttle *throttle, char **ret_refusal)
{
    g_autofree char *limits = limits_object(throttle, true, "{");
    g_autofree char *command =
        g_strconcat("{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"" GROUP
                    "\",\"property\":\"limits\",\"value\":",
                    limits, "}}", NULL);
    g_autoptr(JsonNode) result = ask(qemu, command, ret_refusal);
    g_autoptr(JsonNode) read = NULL;

    if (result == NULL)
        return NULL;
    read = ask_or_fail(qemu, "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"" GROUP
                             "\",\"property\":\"limits\"}}");
    return read_back(read);
}

static guint64
choose(GRand *random, const guint64 *values, guint n_values)
{
    return values[g_rand_int_range(random, 0, (gint32)n_values)];
}

/* Any combination, good or bad. Most fields are default, or nothing would ever be good. */
static void
fill(GRand *random, Throttle *throttle)
{
    static const guint64 rates[] = {1, 5, 62914560, THROTTLE_VALUE_MAX, THROTTLE_VALUE_MAX + 1};
    static const guint64 bursts[] = {1, 4, 7, 62914561, THROTTLE_VALUE_MAX, THROTTLE_VALUE_MAX + 1};
    static const guint64 lengths[] = {2, 7, THROTTLE_VALUE_MAX / 62914561, G_MAXUINT32};
    static const guint64 sizes[] = {1, 4096, G_GUINT64_CONSTANT(1) << 40};

    for (guint i = 0; i < THROTTLE_N_LIMITS; i++) {
        guint64 *parts = &throttle->fields[THROTTLE_FIELD(i, 0)];

        parts[THROTTLE_RATE] =
            g_rand_int_range(random, 0, 3) == 0 ? choose(random, rates, G_N_ELEMENTS(rates)) : 0;
        parts[THROTTLE_MAX] = g_rand_int_range(random, 0, parts[THROTTLE_RATE] > 0 ? 2 : 30) == 0
                                  ? choose(random, bursts, G_N_ELEMENTS(bursts))
                                  : 0;
        parts[THROTTLE_LENGTH] = g_rand_int_range(random, 0, parts[THROTTLE_MAX] > 0 ? 2 : 30) == 0
                                     ? choose(random, lengths, G_N_ELEMENTS(lengths))
                                     : 1;
    }
    throttle->fields[THROTTLE_IOPS_SIZE] =
        g_rand_int_range(random, 0, 6) == 0 ? choose(random, sizes, G_N_ELEMENTS(sizes)) : 0;
}

typedef Throttle *(*SetFunc)(Qemu *qemu, const Throttle *throttle, char **ret_refusal);

static void
check_agreement(Qemu *qemu, SetFunc set)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
    guint n_taken = 0, n_refused = 0;

    for (guint i = 0; i < ROUNDS; i++) {
        g_autofree char *wrong = NULL, *refusal = NULL, *fault = NULL;
        static const char *const none[] = {NULL};
        g_autoptr(Throttle) asked = throttle_parse(THROTTLE_POLICY, none, &wrong);
        g_autoptr(Throttle) read = NULL;

        fill(random, asked);
        fault = throttle_find_fault(asked);
        read = set(qemu, asked, &refusal);
        g_autofree char *text = limits_object(asked, true, "{");
        if ((read != NULL) != (fault == NULL))
            fail_msg("%s: QEMU says %s, we say %s", text, refusal != NULL ? refusal : "yes",
                     fault != NULL ? fault : "yes");
        if (read != NULL && !throttle_equal(asked, read))
            fail_msg("%s is read back differently", text);
        n_taken += read != NULL;
        n_refused += read == NULL;
    }
    print_message("# %u taken, %u refused\n", n_taken, n_refused);
    assert_true(n_taken > ROUNDS / 10 && n_refused > ROUNDS / 10);
}

static void
legacy_limits_are_taken_as_we_think(void **state)
{
    Qemu *qemu = *state;

    t_skip_unless(qemu->process, "no " QEMU);
    check_agreement(qemu, set_legacy);
}

static void
group_limits_are_taken_as_we_think(void **state)
{
    Qemu *qemu = *state;

    t_skip_unless(qemu->process, "no " QEMU);
    check_agreement(qemu, set_group);
}

/* The name of a group of its own is the drive's, and it is gone with the limits. */
static void
a_drive_shows_its_own_group_as_none(void **state)
{
    static const char *const limited[] = {"bps_wr", "62914560", NULL};
    Qemu *qemu = *state;
    g_autofree char *wrong = NULL, *refusal = NULL;

    t_skip_unless(qemu->process, "no " QEMU);
    g_autoptr(Throttle) asked = throttle_parse(THROTTLE_POLICY, limited, &wrong);
    g_autoptr(Throttle) read = set_legacy(qemu, asked, &refusal);
    assert_non_null(read);
    assert_null(read->group);
    assert_int_equal(read->notes->len, 1);
    assert_string_equal(read->notes->pdata[0],
                        "group \"" DRIVE "\" is the disk's own: none was given");
    asked->group = g_strdup("web");
    static const char command[] =
        "{\"execute\":\"block_set_io_throttle\",\"arguments\":{\"device\":\"" DRIVE
        "\",\"bps\":0,\"bps_rd\":0,\"bps_wr\":62914560,\"iops\":0,\"iops_rd\":0,\"iops_wr\":0,"
        "\"group\":\"web\"}}";
    json_node_unref(ask_or_fail(qemu, command));
    g_autoptr(JsonNode) blocks = ask_or_fail(qemu, "{\"execute\":\"query-block\"}");
    JsonObject *block = json_array_get_object_element(json_node_get_array(blocks), 0);
    g_autoptr(Throttle) grouped = read_back(json_object_get_member(block, "inserted"));
    assert_string_equal(grouped->group, "web");
    assert_true(throttle_equal(asked, grouped));
}

/* What only the parser can refuse: the canonical form has no length of 0. */
static void
a_length_of_0_is_refused_by_both(void **state)
{
    static const char *const zero[] = {"bps-read-max-length", "0", NULL};
    Qemu *qemu = *state;
    g_autofree char *wrong = NULL, *refusal = NULL;

    t_skip_unless(qemu->process, "no " QEMU);
    g_autoptr(JsonNode) result =
        ask(qemu,
            "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"" GROUP
            "\",\"property\":\"limits\",\"value\":{\"bps-read-max-length\":0}}}",
            &refusal);
    assert_null(result);
    assert_string_equal(refusal, "the burst length cannot be 0");
    assert_null(throttle_parse(THROTTLE_QEMU, zero, &wrong));
    assert_string_equal(wrong, "bps-read-max-length \"0\" is less than one second");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(legacy_limits_are_taken_as_we_think, setup, teardown),
        cmocka_unit_test_setup_teardown(group_limits_are_taken_as_we_think, setup, teardown),
        cmocka_unit_test_setup_teardown(a_drive_shows_its_own_group_as_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_length_of_0_is_refused_by_both, setup, teardown),
    };

    return cmocka_run_group_tests_name("throttle against QEMU", tests, NULL, NULL);
}
