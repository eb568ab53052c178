#ifndef POSTRIDER_BASE_QUEUE_H
#define POSTRIDER_BASE_QUEUE_H

/* sys/queue.h as glibc has it, with the safe traversal that it lacks. */
#include <sys/queue.h>

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next)                                                 \
	for ((var) = TAILQ_FIRST(head); (var) != NULL && ((next) = TAILQ_NEXT(var, field), 1);     \
	     (var) = (next))
#endif

#endif
