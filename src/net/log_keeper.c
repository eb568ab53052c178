#include "net/log_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/transcript_file.h"
#include "net/transcript_prune.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

#define PER_TOTAL 8    /* runs while max_total is written */
#define AT_ONCE   4096 /* logs gathered as the oldest */

static const struct timeval hour = {60 * 60, 0};
static const struct timeval second = {1, 0};

/* Owned by whoever called log_keeper_new(), after log_keeper_free() by its job. */
struct log_keeper {
	struct worker *worker;
	struct log_config log; /* sessions is ours */
	struct event *hourly;
	struct event *soon;
	uint64_t written; /* octets, since the last run began */

	struct job job;
	struct transcript_prune *run; /* under way; the worker's while the job is */
	bool more;                    /* for the run to do */
	bool again;                   /* one more run is wanted after this */
	bool given_up;
	bool freed;
	bool complained;

	log_keeper_done *done;
	void *done_arg;
};

static void
keeper_free(struct log_keeper *k)
{
	transcript_prune_free(&k->run);
	free(k->log.sessions);
	free(k);
}

/* -- a run ------------------------------------------------------------------------------------ */

static void
report(struct log_keeper *k)
{
	const struct transcript_prune_result *r = transcript_prune_result(k->run);

	if (r->removed > 0)
		log_debug("session logs: %zu removed, %zu with %" PRIu64 " octets left", r->removed,
		    r->left, r->left_octets);
	if (r->trouble[0] != '\0' && !k->complained)
		log_warning("session logs: %s; old ones may stay", r->trouble);
	k->complained = r->trouble[0] != '\0';
}

static void
run_soon_if_enough(struct log_keeper *k)
{
	if (k->run == NULL && k->written > k->log.max_total / PER_TOTAL &&
	    !event_pending(k->soon, EV_TIMEOUT, NULL))
		event_add(k->soon, &second);
}

static void
on_ended(struct log_keeper *k)
{
	log_keeper_done *done = k->done;

	if (k->again) {
		k->again = false;
		event_active(k->soon, EV_TIMEOUT, 0);
		return;
	}
	run_soon_if_enough(k);
	k->done = NULL;
	if (done != NULL)
		done(k->done_arg);
}

static void
on_stepped(struct job *job)
{
	struct log_keeper *k =
	    (struct log_keeper *)((char *)job - offsetof(struct log_keeper, job));

	if (k->freed) {
		keeper_free(k);
		return;
	}
	if (k->more && !k->given_up) {
		worker_submit(k->worker, &k->job);
		return;
	}
	if (!k->given_up)
		report(k);
	k->given_up = false;
	transcript_prune_free(&k->run);
	on_ended(k);
}

static void
run_step(struct job *job)
{
	struct log_keeper *k =
	    (struct log_keeper *)((char *)job - offsetof(struct log_keeper, job));

	k->more = transcript_prune_step(k->run);
}

static void
begin_run(struct log_keeper *k)
{
	if (k->run != NULL) {
		k->again = true;
		return;
	}
	k->written = 0;
	if (k->log.sessions == NULL) {
		on_ended(k);
		return;
	}
	k->run = transcript_prune_new(&k->log, clock_wall(), AT_ONCE);
	k->job = (struct job){.run = run_step, .done = on_stepped};
	worker_submit(k->worker, &k->job);
}

/* -- when ------------------------------------------------------------------------------------- */

static void
run_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_run(arg);
}

static void
on_written(size_t octets, void *arg)
{
	struct log_keeper *k = arg;

	k->written += octets;
	run_soon_if_enough(k);
}

/* -- the interface ---------------------------------------------------------------------------- */

static void
copy_settings(struct log_keeper *k, const struct log_config *log)
{
	free(k->log.sessions);
	k->log = *log;
	k->log.sessions = xstrdup(log->sessions);
}

struct log_keeper *
log_keeper_new(struct event_base *base, struct worker *worker, const struct log_config *log)
{
	struct log_keeper *k = xcalloc(1, sizeof *k);

	k->worker = worker;
	copy_settings(k, log);
	k->hourly = event_new(base, -1, EV_PERSIST, run_cb, k);
	k->soon = evtimer_new(base, run_cb, k);
	if (k->hourly == NULL || k->soon == NULL)
		exit(EX_OSERR);
	event_add(k->hourly, &hour);
	event_add(k->soon, &second);
	transcript_file_watch(on_written, k);
	return k;
}

void
log_keeper_configure(struct log_keeper *k, const struct log_config *log)
{
	copy_settings(k, log);
	k->complained = false;
	k->again = k->given_up = k->run != NULL;
	if (k->run == NULL)
		event_add(k->soon, &second);
}

void
log_keeper_run(struct log_keeper *k, log_keeper_done *done, void *arg)
{
	k->done = done;
	k->done_arg = arg;
	k->again = k->run != NULL;
	if (k->run == NULL)
		event_active(k->soon, EV_TIMEOUT, 0);
}

void
log_keeper_free(struct log_keeper **keeper)
{
	struct log_keeper *k = *keeper;

	*keeper = NULL;
	if (k == NULL)
		return;
	transcript_file_watch(NULL, NULL);
	event_free(k->hourly);
	event_free(k->soon);
	if (k->run == NULL)
		keeper_free(k);
	else
		k->freed = true;
}
