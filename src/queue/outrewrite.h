#ifndef POSTRIDER_QUEUE_OUTREWRITE_H
#define POSTRIDER_QUEUE_OUTREWRITE_H

#include "proto/rfc5322_date.h"
#include "proto/rfc5322_rewrite.h"
#include "queue/outqueue.h"

#include <stdint.h>

/*
 * How a queued message's header is rewritten: the same Date and Message-ID each time, so that what
 * is sent twice, and the copy of it, is one message to every reader.
 */
struct outrewrite {
	struct rfc5322_rewrite rewrite;
	/* internal */
	char date[RFC5322_DATE_SIZE];
	char *message_id;
	char *from;
	char *header_from;
	char *local_domain;
};

/* Everything is copied. */
void outrewrite_init(struct outrewrite *rewrite, const char *id, const char *sender, int64_t queued,
    const struct outreader_rewrite *wish);
void outrewrite_clear(struct outrewrite *rewrite);

#endif
