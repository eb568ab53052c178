#include "unit.h"

#include "base/worker.h"

#include <event2/event.h>
#include <pthread.h>

struct numbered_job {
	struct job job;
	int number;
	pthread_t ran_in;
};

static int done_order[64];
static int done_count;
static size_t shared_runs;

static void
note_thread(struct job *job)
{
	((struct numbered_job *)job)->ran_in = pthread_self();
}

static void
note_done(struct job *job)
{
	done_order[done_count++] = ((struct numbered_job *)job)->number;
}

static void
submit_all(struct worker *w, struct numbered_job *jobs, int count)
{
	done_count = 0;
	for (int i = 0; i < count; i++) {
		jobs[i] = (struct numbered_job){
		    .job = {.run = note_thread, .done = note_done}, .number = i};
		worker_submit(w, &jobs[i].job);
	}
}

static void
jobs_come_back_in_order_in_the_loop(void **state)
{
	struct event_base *base = event_base_new();
	struct worker *w = worker_new(base, "test", NULL, NULL);
	struct numbered_job jobs[50];

	(void)state;
	submit_all(w, jobs, 50);
	while (done_count < 50)
		event_base_loop(base, EVLOOP_ONCE);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(done_order[i], i);
		assert_false(pthread_equal(jobs[i].ran_in, pthread_self()));
	}
	worker_free(&w);
	assert_null(w);
	event_base_free(base);
}

static void
run_shared(struct job_list *jobs, void *arg)
{
	struct job *job;

	(*(size_t *)arg)++;
	TAILQ_FOREACH (job, jobs, link)
		job->run(job);
}

static void
freeing_finishes_what_was_submitted(void **state)
{
	struct event_base *base = event_base_new();
	struct worker *w = worker_new(base, "test", run_shared, &shared_runs);
	struct numbered_job jobs[50];

	(void)state;
	submit_all(w, jobs, 50);
	worker_free(&w);
	assert_int_equal(done_count, 50);
	assert_in_range(shared_runs, 1, 50);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(jobs_come_back_in_order_in_the_loop),
	    cmocka_unit_test(freeing_finishes_what_was_submitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
