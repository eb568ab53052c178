#include "net/resolve_pool.h"

#include "base/xalloc.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define IDLE_SECONDS 10
#define STACK_SIZE   (512 * 1024)

/* Shared with the threads, all of it guarded by the mutex; the last to leave frees it. */
struct resolve_pool {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct resolve_question_list asked;
	struct resolve_question_list answered;
	size_t asked_count;
	size_t threads;
	size_t idle;
	bool closed;
	int wake_fd; /* eventfd: something was put into answered */
};

static const struct resolve_source real = {getaddrinfo, freeaddrinfo};
static const struct resolve_source *source = &real;

void
resolve_set_source(const struct resolve_source *other)
{
	source = other != NULL ? other : &real;
}

void
resolve_question_free(struct resolve_question *q)
{
	free(q->name);
	free(q);
}

static void
question_answer(struct resolve_question *q)
{
	const struct addrinfo hints = {.ai_family = q->family, .ai_socktype = SOCK_STREAM};
	struct resolve_answer *a = &q->answer;
	struct addrinfo *found = NULL;

	a->error = q->source->get(q->name, NULL, &hints, &found);
	a->code = a->error == EAI_SYSTEM ? errno : 0;
	if (a->error != 0)
		return;
	for (struct addrinfo *i = found; i != NULL && a->count < RESOLVE_ADDRESSES;
	     i = i->ai_next) {
		if (i->ai_family == q->family &&
		    address_from_sockaddr(i->ai_addr, i->ai_addrlen, &a->list[a->count]))
			a->count++;
	}
	q->source->release(found);
	if (a->count == 0)
		a->error = EAI_NONAME;
}

/* With the mutex held; lets it go.  True when that was the last one who knew the pool. */
static void
pool_leave(struct resolve_pool *p)
{
	bool last = p->closed && p->threads == 0;
	struct resolve_question *q;

	pthread_mutex_unlock(&p->mutex);
	if (!last)
		return;
	TAILQ_CONCAT(&p->asked, &p->answered, link);
	while ((q = TAILQ_FIRST(&p->asked)) != NULL) {
		TAILQ_REMOVE(&p->asked, q, link);
		resolve_question_free(q);
	}
	close(p->wake_fd);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

/* With the mutex held.  False when none came for a while, or none will. */
static bool
pool_wait(struct resolve_pool *p)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	p->idle++;
	while (p->asked_count == 0 && !p->closed && error == 0)
		error = pthread_cond_timedwait(&p->work, &p->mutex, &until);
	p->idle--;
	return p->asked_count > 0 && !p->closed;
}

/* With the mutex held. */
static void
pool_hand_back(struct resolve_pool *p, struct resolve_question *q)
{
	uint64_t one = 1;

	TAILQ_INSERT_TAIL(&p->answered, q, link);
	if (!p->closed && write(p->wake_fd, &one, sizeof one) < 0)
		abort(); /* an eventfd of ours: only a bug closes it */
}

static void *
resolve_main(void *arg)
{
	struct resolve_pool *p = arg;
	struct resolve_question *q;

	pthread_setname_np(pthread_self(), "resolve");
	pthread_mutex_lock(&p->mutex);
	while (pool_wait(p)) {
		q = TAILQ_FIRST(&p->asked);
		TAILQ_REMOVE(&p->asked, q, link);
		p->asked_count--;
		pthread_mutex_unlock(&p->mutex);
		question_answer(q);
		pthread_mutex_lock(&p->mutex);
		pool_hand_back(p, q);
	}
	p->threads--;
	pool_leave(p);
	return NULL;
}

static int
start_thread(struct resolve_pool *p)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, resolve_main, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

/* With the mutex held: one more thread when there are more questions than idle ones. */
static void
pool_grow(struct resolve_pool *p)
{
	struct resolve_question *q;
	int error;

	if (p->asked_count <= p->idle || p->threads >= RESOLVE_THREADS)
		return;
	p->threads++;
	error = start_thread(p);
	if (error == 0)
		return;
	p->threads--;
	if (p->threads > 0)
		return; /* the others will come to it */
	q = TAILQ_FIRST(&p->asked);
	TAILQ_REMOVE(&p->asked, q, link);
	p->asked_count--;
	q->answer.error = EAI_SYSTEM;
	q->answer.code = error;
	pool_hand_back(p, q);
}

void
resolve_pool_ask(struct resolve_pool *p, struct resolve_question *q)
{
	q->source = source;
	pthread_mutex_lock(&p->mutex);
	TAILQ_INSERT_TAIL(&p->asked, q, link);
	p->asked_count++;
	pool_grow(p);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->mutex);
}

struct resolve_pool *
resolve_pool_new(void)
{
	struct resolve_pool *p = xcalloc(1, sizeof *p);
	pthread_condattr_t attributes;

	pthread_mutex_init(&p->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attributes);
	pthread_condattr_destroy(&attributes);
	TAILQ_INIT(&p->asked);
	TAILQ_INIT(&p->answered);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake_fd < 0)
		exit(EX_OSERR);
	return p;
}

void
resolve_pool_free(struct resolve_pool **pool)
{
	struct resolve_pool *p = *pool;

	*pool = NULL;
	pthread_mutex_lock(&p->mutex);
	p->closed = true;
	pthread_cond_broadcast(&p->work);
	pool_leave(p);
}

int
resolve_pool_fd(const struct resolve_pool *p)
{
	return p->wake_fd;
}

void
resolve_pool_collect(struct resolve_pool *p, struct resolve_question_list *answered)
{
	uint64_t count;

	if (read(p->wake_fd, &count, sizeof count) < 0)
		return; /* EAGAIN: nothing new */
	pthread_mutex_lock(&p->mutex);
	TAILQ_CONCAT(answered, &p->answered, link);
	pthread_mutex_unlock(&p->mutex);
}
