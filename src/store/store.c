#include "store/store.h"

#include "base/step.h"
#include "base/xalloc.h"
#include "store/disk.h"
#include "store/fault.h"
#include "store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
fail_jobs(struct job_list *jobs, const struct verdict *why, bool doubtful)
{
	struct job *job;

	TAILQ_FOREACH (job, jobs, link) {
		struct state_job *sj = (struct state_job *)job;

		if (sj->why.kind != FAIL_NONE)
			continue;
		sj->why = *why;
		sj->doubtful = doubtful;
	}
}

static bool
run_one(struct state *state, struct state_job *job, struct verdict *why)
{
	if (!state_mark(state, why))
		return false;
	if (job->apply(state, job)) {
		state_keep(state);
		return true;
	}
	if (job->why.kind == FAIL_NONE)
		state_fault(state, &job->why);
	if (state_undo(state))
		return true;
	*why = job->why;
	return false;
}

/* False when the whole transaction is lost, with the reason. */
static bool
run_jobs(struct state *state, struct job_list *jobs, struct verdict *why)
{
	struct job *job;

	if (!state_begin(state, why))
		return false;
	TAILQ_FOREACH (job, jobs, link)
		if (!run_one(state, (struct state_job *)job, why))
			return false;
	TAILQ_FOREACH (job, jobs, link)
		step(((struct state_job *)job)->step);
	return true;
}

static void
run_transaction(struct job_list *jobs, void *arg)
{
	struct state *state = arg;
	struct verdict why = VERDICT_OK;
	struct job *job;

	TAILQ_FOREACH (job, jobs, link) {
		((struct state_job *)job)->why = (struct verdict)VERDICT_OK;
		((struct state_job *)job)->doubtful = false;
	}
	if (!run_jobs(state, jobs, &why)) {
		state_rollback(state);
		fail_jobs(jobs, &why, false);
	} else if (!state_commit(state, &why)) {
		state_rollback(state);
		fail_jobs(jobs, &why, true);
	}
}

static void
run_now(struct state *state, struct job *job)
{
	struct job_list one = TAILQ_HEAD_INITIALIZER(one);

	TAILQ_INSERT_TAIL(&one, job, link);
	run_transaction(&one, state);
	job->done(job);
}

void
store_submit_state(struct store *store, struct state_job *job, void (*done)(struct job *job))
{
	job->job.run = NULL;
	job->job.done = done;
	if (store->state_thread != NULL)
		worker_submit(store->state_thread, &job->job);
	else
		run_now(store->state, &job->job);
}

void
store_submit_file(struct store *store, unsigned writer, struct job *job,
    void (*run)(struct job *job), void (*done)(struct job *job))
{
	job->run = run;
	job->done = done;
	if (store->writers[writer] != NULL) {
		worker_submit(store->writers[writer], job);
		return;
	}
	run(job);
	done(job);
}

static void
describe_holder(int fd, const char *directory, struct verdict *why)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		verdict_fail(why, FAIL_LOCAL, "lock",
		    "state directory %s is in use by process %ld; stop that postriderd first",
		    directory, pid);
	else
		verdict_fail(why, FAIL_LOCAL, "lock",
		    "state directory %s is in use by another postriderd; stop that first",
		    directory);
	why->code = EWOULDBLOCK;
}

/* Held until the process ends, however it ends; children do not inherit it (close-on-exec). */
static int
lock_directory(const char *directory, struct verdict *why)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char *path = xasprintf("%s/lock", directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[32];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	if (fd < 0) {
		fault_errno(why, "lock", errno, "open", path);
	} else if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			describe_holder(fd, directory, why);
		else
			fault_errno(why, "lock", errno, "lock", path);
	} else if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
		fault_errno(why, "lock", errno, "write", path);
	}
	free(path);
	if (why->kind != FAIL_NONE && fd >= 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

struct store *
store_open(struct event_base *base, const char *directory, struct verdict *why)
{
	static const char *const names[STORE_WRITERS] = {
	    "writer-1", "writer-2", "writer-3", "writer-4"};
	struct store *store = xcalloc(1, sizeof *store);

	*why = (struct verdict)VERDICT_OK;
	store->base = base;
	store->lock_fd = -1;
	TAILQ_INIT(&store->mailboxes);
	if (!disk_make_directory(directory, 0700, why) ||
	    (store->lock_fd = lock_directory(directory, why)) < 0 ||
	    (store->state = state_open(directory, why)) == NULL) {
		if (store->lock_fd >= 0)
			close(store->lock_fd);
		free(store);
		return NULL;
	}
	store->state_thread = worker_new(base, "state", run_transaction, store->state);
	for (size_t i = 0; i < STORE_WRITERS; i++)
		store->writers[i] = worker_new(base, names[i], NULL, NULL);
	return store;
}

/*
 * The threads end one after the other; what a finished job leads to runs here at once when its
 * thread is gone, so that every batch comes to its end.
 */
void
store_close(struct store **storep)
{
	struct store *store = *storep;
	struct worker *state_thread;

	*storep = NULL;
	if (store == NULL)
		return;
	for (size_t i = 0; i < STORE_WRITERS; i++)
		worker_free(&store->writers[i]);
	state_thread = store->state_thread;
	store->state_thread = NULL;
	worker_free(&state_thread);
	state_close(&store->state);
	close(store->lock_fd);
	free(store);
}

void
name_list_add(struct name_list *list, const char *name)
{
	list->names = xreallocarray(list->names, list->count + 1, sizeof *list->names);
	list->names[list->count++] = xstrdup(name);
}

void
name_list_clear(struct name_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct name_list){NULL, 0};
}
