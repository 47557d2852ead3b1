/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-daemon.h"

#include "libvirt-trip.h"
#include "worker.h"

#include <string.h>

/* Between two tries of a libvirtd that does not answer: a second is a restart. Of one that is down
 * a try is a connect() that fails, and five seconds later data is back within two periods of its
 * return. Of one that is silent a try may cost a lane, which comes back by itself when it goes on.
 */
#define PAUSE_MIN_US (1 * G_USEC_PER_SEC)
#define PAUSE_DOWN_MAX_US (5 * G_USEC_PER_SEC)
#define PAUSE_SILENT_MAX_US (60 * G_USEC_PER_SEC)

typedef struct {
    LibvirtErrand *errand; /* NULL once it is under way */
    gint64 deadline_us;
    LibvirtAnswerFunc answer; /* NULL: nobody wants to know any more */
    LibvirtBackFunc back;
    gpointer data;
    bool is_of_host; /* asks about all domains: its silence is the daemon's */
} Ask;

typedef struct {
    LibvirtDaemon *daemon;
    guint number;
    LibvirtLink *link; /* NULL while a call is in flight, or none was opened */
    Ask *ask;          /* in flight; NULL: idle */
    gint64 since_us;
    bool is_set_aside;
    bool hears_events; /* on its link */
} Lane;

struct LibvirtDaemon {
    LibvirtDaemonContext context;
    Workers *workers; /* its own: whoever hangs here takes no thread from others */
    char *label, *uri, *write_uri;
    GPtrArray *lanes;  /* of Lane, owned */
    GQueue waiting;    /* of Ask, owned */
    GSource *overtake; /* NULL: nobody waits behind a call */
    LibvirtDaemonState state;
    gint64 since_us, answered_us, next_try_us, pause_us;
    char *problem;
};

static void pump(LibvirtDaemon *daemon);

static void
ask_free(gpointer data)
{
    Ask *ask = data;

    if (ask->errand)
        libvirt_errand_free(ask->errand);
    g_free(ask);
}

static void
ask_answer(const Ask *ask, LibvirtReply *reply, bool is_late, const char *problem)
{
    if (ask->answer)
        ask->answer(reply, is_late, problem, ask->data);
}

LibvirtDaemon *
libvirt_daemon_new(const LibvirtDaemonContext *context, const char *label, const char *uri)
{
    LibvirtDaemon *daemon = g_new0(LibvirtDaemon, 1);

    daemon->context = *context;
    daemon->label = g_strdup(label);
    daemon->uri = g_strdup(uri);
    daemon->workers = workers_new(context->context, LIBVIRT_LANES_MAX);
    daemon->lanes = g_ptr_array_new();
    daemon->since_us = g_get_monotonic_time();
    daemon->pause_us = PAUSE_MIN_US;
    g_queue_init(&daemon->waiting);
    return daemon;
}

void
libvirt_daemon_set_write_uri(LibvirtDaemon *daemon, const char *uri)
{
    g_free(daemon->write_uri);
    daemon->write_uri = g_strdup(uri);
}

static void
end_overtake(LibvirtDaemon *daemon)
{
    if (!daemon->overtake)
        return;
    g_source_destroy(daemon->overtake);
    g_clear_pointer(&daemon->overtake, g_source_unref);
}

void
libvirt_daemon_free(LibvirtDaemon *daemon)
{
    if (!daemon)
        return;
    end_overtake(daemon);
    workers_free(daemon->workers);
    for (guint i = 0; i < daemon->lanes->len; i++) {
        Lane *lane = daemon->lanes->pdata[i];

        if (lane->link)
            trip_close_later(daemon->context.library, daemon->context.context, lane->link);
        if (lane->ask)
            ask_free(lane->ask);
        g_free(lane);
    }
    g_ptr_array_unref(daemon->lanes);
    g_queue_clear_full(&daemon->waiting, ask_free);
    g_free(daemon->problem);
    g_free(daemon->label);
    g_free(daemon->uri);
    g_free(daemon->write_uri);
    g_free(daemon);
}

static void
set_state(LibvirtDaemon *daemon, LibvirtDaemonState state, const char *problem)
{
    g_autofree char *line = NULL;

    g_free(daemon->problem);
    daemon->problem = g_strdup(problem);
    if (daemon->state == state)
        return;
    daemon->state = state;
    daemon->since_us = g_get_monotonic_time();
    line = g_strdup_printf("libvirt %s: %s%s%s", daemon->label, libvirt_daemon_state_name(state),
                           problem ? ": " : "", problem ? problem : "");
    if (daemon->context.news)
        daemon->context.news(line, daemon->context.news_data);
}

static void
pause_longer(LibvirtDaemon *daemon, gint64 max_us)
{
    daemon->next_try_us = g_get_monotonic_time() + daemon->pause_us;
    daemon->pause_us = MIN(2 * daemon->pause_us, max_us);
}

/* Calls that were under way when it went all say so; only the first is news, and none a try. */
static void
note_down(LibvirtDaemon *daemon, const char *problem)
{
    if (daemon->state != DAEMON_DOWN) {
        daemon->pause_us = PAUSE_MIN_US;
        daemon->next_try_us = 0;
    }
    if (g_get_monotonic_time() >= daemon->next_try_us)
        pause_longer(daemon, PAUSE_DOWN_MAX_US);
    set_state(daemon, DAEMON_DOWN, problem);
}

/* What a reply says of the daemon itself. */
static void
note_reply(LibvirtDaemon *daemon, const LibvirtReply *reply)
{
    if (reply->outcome == OUTCOME_DOWN) {
        note_down(daemon, reply->problem);
        return;
    }
    daemon->answered_us = g_get_monotonic_time();
    daemon->pause_us = PAUSE_MIN_US;
    set_state(daemon, DAEMON_CONNECTED, NULL);
}

static void
lane_take_link(Lane *lane, LibvirtReply *reply)
{
    lane->link = g_steal_pointer(&reply->link);
    lane->hears_events = reply->hears_events;
}

/* One lane hears what it tells, or all would hear the same. */
static bool
lane_is_to_hear(const Lane *lane)
{
    const LibvirtDaemon *daemon = lane->daemon;

    for (guint i = 0; i < daemon->lanes->len; i++)
        if (daemon->lanes->pdata[i] != lane &&
            ((const Lane *)daemon->lanes->pdata[i])->hears_events)
            return false;
    return daemon->context.events != NULL;
}

static void
lane_done(gpointer result, bool is_late, gpointer user_data)
{
    Lane *lane = user_data;
    LibvirtDaemon *daemon = lane->daemon;
    Trip *trip = result;
    Ask *ask = lane->ask;

    if (is_late) {
        lane->is_set_aside = true;
        if (ask->is_of_host) {
            pause_longer(daemon, PAUSE_SILENT_MAX_US);
            set_state(daemon, DAEMON_SILENT, "it does not say which domains it has");
        }
        ask_answer(ask, NULL, true, NULL);
    } else {
        lane_take_link(lane, trip->reply);
        lane->ask = NULL;
        note_reply(daemon, trip->reply);
        ask_answer(ask, trip->reply, false, NULL);
        ask_free(ask);
        trip_free(trip);
    }
    pump(daemon);
}

static void
lane_returned(gpointer result, gpointer user_data)
{
    Lane *lane = user_data;
    Trip *trip = result;
    Ask *ask = g_steal_pointer(&lane->ask);

    lane->is_set_aside = false;
    lane_take_link(lane, trip->reply);
    note_reply(lane->daemon, trip->reply);
    if (ask->back && ask->answer)
        ask->back(trip->reply->problem, ask->data);
    ask_free(ask);
    trip_free(trip);
    pump(lane->daemon);
}

/* false: no thread could be started; ask is still the caller's. */
static bool
lane_start(Lane *lane, Ask *ask)
{
    LibvirtDaemon *daemon = lane->daemon;
    g_autofree char *target = g_strdup_printf("lane %u", lane->number);
    Trip *trip = trip_new(daemon->context.library, g_steal_pointer(&ask->errand));
    WorkerCall call = {.run = trip_run,
                       .data = trip,
                       .free_result = trip_free,
                       .done = lane_done,
                       .returned = lane_returned,
                       .user_data = lane,
                       .deadline_us = ask->deadline_us};

    trip->errand->uri = g_strdup(daemon->uri);
    if (trip->errand->kind == ERRAND_PASS || trip->errand->kind == ERRAND_TUNE)
        trip->errand->write_uri = g_strdup(daemon->write_uri);
    if (lane_is_to_hear(lane))
        trip->errand->events = libvirt_events_ref(daemon->context.events);
    trip->errand->link = g_steal_pointer(&lane->link);
    lane->ask = ask;
    lane->since_us = g_get_monotonic_time();
    if (workers_run(daemon->workers, target, &call))
        return true;
    lane->link = g_steal_pointer(&trip->errand->link);
    trip_free(trip);
    lane->ask = NULL;
    return false;
}

static Lane *
find_idle_lane(const LibvirtDaemon *daemon)
{
    for (guint i = 0; i < daemon->lanes->len; i++)
        if (!((const Lane *)daemon->lanes->pdata[i])->ask)
            return daemon->lanes->pdata[i];
    return NULL;
}

static Lane *
add_lane(LibvirtDaemon *daemon)
{
    Lane *lane = g_new0(Lane, 1);

    lane->daemon = daemon;
    lane->number = daemon->lanes->len;
    g_ptr_array_add(daemon->lanes, lane);
    return lane;
}

/* How long until every call in flight has had its moment; 0: now. */
static gint64
time_to_overtake_us(const LibvirtDaemon *daemon)
{
    gint64 now = g_get_monotonic_time(), left = 0;

    for (guint i = 0; i < daemon->lanes->len; i++) {
        const Lane *lane = daemon->lanes->pdata[i];

        if (lane->ask)
            left = MAX(left, lane->since_us + LIBVIRT_OVERTAKE_US - now);
    }
    return left;
}

static gboolean
overtake(gpointer data)
{
    LibvirtDaemon *daemon = data;

    g_clear_pointer(&daemon->overtake, g_source_unref);
    pump(daemon);
    return G_SOURCE_REMOVE;
}

static void
wait_to_overtake(LibvirtDaemon *daemon, gint64 left_us)
{
    if (daemon->overtake)
        return;
    daemon->overtake = g_timeout_source_new((guint)(left_us / 1000) + 1);
    g_source_set_callback(daemon->overtake, overtake, daemon, NULL);
    g_source_attach(daemon->overtake, daemon->context.context);
}

/* A lane for the next ask; NULL: it has to wait. */
static Lane *
find_lane(LibvirtDaemon *daemon)
{
    Lane *lane = find_idle_lane(daemon);
    gint64 left_us;

    if (lane || daemon->lanes->len >= LIBVIRT_LANES_MAX)
        return lane;
    left_us = time_to_overtake_us(daemon);
    if (left_us == 0)
        return add_lane(daemon);
    wait_to_overtake(daemon, left_us);
    return NULL;
}

/* Why this cannot be asked now; NULL: it can. */
static const char *
find_obstacle(const LibvirtDaemon *daemon, const Ask *ask)
{
    bool is_too_early = g_get_monotonic_time() < daemon->next_try_us;

    if (!daemon->context.library->work)
        return daemon->context.library->problem;
    if (daemon->state == DAEMON_DOWN && is_too_early)
        return daemon->problem;
    if (daemon->state == DAEMON_SILENT && (is_too_early || !ask->is_of_host))
        return daemon->problem;
    if (libvirt_daemon_set_aside(daemon) == LIBVIRT_LANES_MAX)
        return "four calls to this libvirtd hang: no more are made";
    return NULL;
}

static void
pump(LibvirtDaemon *daemon)
{
    while (!g_queue_is_empty(&daemon->waiting)) {
        Ask *ask = g_queue_peek_head(&daemon->waiting);
        const char *obstacle = find_obstacle(daemon, ask);
        Lane *lane = obstacle ? NULL : find_lane(daemon);

        if (!obstacle && !lane)
            return;
        g_queue_pop_head(&daemon->waiting);
        if (!obstacle && lane_start(lane, ask))
            continue;
        ask_answer(ask, NULL, false, obstacle ? obstacle : "no thread can be started");
        ask_free(ask);
    }
    end_overtake(daemon);
}

void
libvirt_daemon_ask(LibvirtDaemon *daemon, LibvirtErrand *errand, gint64 deadline_us,
                   LibvirtAnswerFunc answer, LibvirtBackFunc back, gpointer data)
{
    Ask *ask = g_new0(Ask, 1);

    ask->errand = errand;
    ask->deadline_us = deadline_us;
    ask->answer = answer;
    ask->back = back;
    ask->data = data;
    ask->is_of_host = errand->kind == ERRAND_LIST;
    g_queue_push_tail(&daemon->waiting, ask);
    pump(daemon);
}

void
libvirt_daemon_forget(LibvirtDaemon *daemon, gpointer data)
{
    for (guint i = 0; i < daemon->lanes->len; i++) {
        Lane *lane = daemon->lanes->pdata[i];

        if (lane->ask && lane->ask->data == data)
            lane->ask->answer = NULL;
    }
    for (GList *at = daemon->waiting.head, *next; at; at = next) {
        next = at->next;
        if (((Ask *)at->data)->data != data)
            continue;
        ask_free(at->data);
        g_queue_delete_link(&daemon->waiting, at);
    }
}

const char *
libvirt_daemon_label(const LibvirtDaemon *daemon)
{
    return daemon->label;
}

LibvirtDaemonState
libvirt_daemon_state(const LibvirtDaemon *daemon)
{
    return daemon->state;
}

const char *
libvirt_daemon_state_name(LibvirtDaemonState state)
{
    static const char *const names[] = {[DAEMON_UNTRIED] = "not asked yet",
                                        [DAEMON_CONNECTED] = "connected",
                                        [DAEMON_DOWN] = "down",
                                        [DAEMON_SILENT] = "silent"};

    return names[state];
}

gint64
libvirt_daemon_since_us(const LibvirtDaemon *daemon)
{
    return daemon->since_us;
}

gint64
libvirt_daemon_answered_us(const LibvirtDaemon *daemon)
{
    return daemon->answered_us;
}

const char *
libvirt_daemon_problem(const LibvirtDaemon *daemon)
{
    return daemon->problem;
}

bool
libvirt_daemon_may_write(const LibvirtDaemon *daemon)
{
    return daemon->write_uri != NULL;
}

guint
libvirt_daemon_set_aside(const LibvirtDaemon *daemon)
{
    guint n = 0;

    for (guint i = 0; i < daemon->lanes->len; i++)
        n += ((const Lane *)daemon->lanes->pdata[i])->is_set_aside;
    return n;
}

bool
libvirt_daemon_tells_events(const LibvirtDaemon *daemon)
{
    for (guint i = 0; i < daemon->lanes->len; i++)
        if (((const Lane *)daemon->lanes->pdata[i])->hears_events)
            return true;
    return false;
}

guint
libvirt_daemon_lanes(const LibvirtDaemon *daemon)
{
    return daemon->lanes->len;
}

guint
libvirt_daemon_open(const LibvirtDaemon *daemon)
{
    guint n = daemon->waiting.length;

    for (guint i = 0; i < daemon->lanes->len; i++) {
        const Lane *lane = daemon->lanes->pdata[i];

        n += lane->ask && !lane->is_set_aside;
    }
    return n;
}
