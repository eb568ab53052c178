#ifndef POSTRIDER_NET_RESOLVE_POOL_H
#define POSTRIDER_NET_RESOLVE_POOL_H

#include "base/queue.h"
#include "net/resolve.h"

/*
 * The threads behind the resolver.  A question is handed over whole and comes back whole.  Threads
 * are made when there are more questions than idle ones, and end when idle for a while.
 */
struct resolve_question {
	char *name;
	int family;
	const struct resolve_source *source; /* set by resolve_pool_ask() */
	struct resolve_answer answer;
	TAILQ_ENTRY(resolve_question) link;
};

TAILQ_HEAD(resolve_question_list, resolve_question);

struct resolve_pool;

struct resolve_pool *resolve_pool_new(void);

/*
 * Waits for no thread: those that hang keep what they need, the last of them frees it.  Questions
 * not answered yet go with it.  Sets the pointer to NULL.
 */
void resolve_pool_free(struct resolve_pool **pool);

/* An eventfd that can be read when there are answers. */
int resolve_pool_fd(const struct resolve_pool *pool);

/* Takes the question. */
void resolve_pool_ask(struct resolve_pool *pool, struct resolve_question *question);

/* Moves the answered questions to the list's end; the caller frees them. */
void resolve_pool_collect(struct resolve_pool *pool, struct resolve_question_list *answered);

void resolve_question_free(struct resolve_question *question);

#endif
