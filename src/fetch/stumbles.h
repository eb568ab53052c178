#ifndef POSTRIDER_FETCH_STUMBLES_H
#define POSTRIDER_FETCH_STUMBLES_H

#include "store/listing.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Messages on which sessions broke: some servers close the connection, or never come to an end, at
 * one message and deliver all others.  Such a message is retrieved last, so that it holds up no
 * other; when that breaks the session again it is left out of the next one, which comes to QUIT and
 * so to its deletions, and then retrieved last again.  Embedded; zeroed memory is none.
 */
enum { STUMBLES_MOST = 16 };

struct stumble {
	char uid[LISTING_UID_MAX];
	size_t uid_len;
	bool rests;
};

struct stumbles {
	struct stumble list[STUMBLES_MOST];
	size_t next; /* the oldest gives way */
};

/* A session broke on it; true when it was not the first.  One without a uid is not remembered. */
bool stumbles_add(struct stumbles *stumbles, const char *uid, size_t uid_len);

enum stumbles_advice { STUMBLES_NEVER, STUMBLES_LAST, STUMBLES_REST };

/* When the message is to be retrieved: as any other, behind all others, or not in this session. */
enum stumbles_advice stumbles_ask(const struct stumbles *stumbles, const char *uid, size_t uid_len);

/* A session has come to its end without those that rested. */
void stumbles_wake(struct stumbles *stumbles);

#endif
