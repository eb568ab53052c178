#ifndef POSTRIDER_FETCH_PLAN_H
#define POSTRIDER_FETCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

struct listing;
struct pop3_config;

/* What a poll does with one listed message, once the store has matched the listing. */
enum plan_action {
	PLAN_LEAVE,     /* seen, and to be kept */
	PLAN_FETCH,     /* RETR */
	PLAN_DELETE,    /* stored in an earlier session, and `keep` has run out: DELE */
	PLAN_TOO_LARGE, /* above max_size: stays on the server and is reported */
	PLAN_NAMELESS,  /* without a uid among others that have one: likewise */
};

/* by_uid: the server has UIDL; without it a message has only its number in this session. */
enum plan_action plan_message(
    const struct pop3_config *config, const struct listing *listing, uint32_t number, bool by_uid);

/* True when a message is deleted as soon as it is stored. */
bool plan_deletes_stored(const struct pop3_config *config);

/*
 * True when the listing may have been a window on a larger maildrop (some services list a few
 * hundred messages, the oldest first), so that polling again at once brings more.
 */
bool plan_may_be_window(uint64_t fetched);

#endif
