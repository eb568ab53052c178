#include "fetch/plan.h"

#include "config/config.h"
#include "store/listing.h"

/* A session that brings fewer new messages than this has seen the end of the maildrop. */
enum { WINDOW_LEAST = 10 };

static enum plan_action
plan_seen(const struct pop3_config *config, const struct listing *listing, uint32_t number)
{
	switch (config->keep) {
	case KEEP_NO:
		return PLAN_DELETE;
	case KEEP_FOR:
		return listing_expired(listing, number) ? PLAN_DELETE : PLAN_LEAVE;
	case KEEP_FOREVER:
		return PLAN_LEAVE;
	}
	return PLAN_LEAVE;
}

enum plan_action
plan_message(
    const struct pop3_config *config, const struct listing *listing, uint32_t number, bool by_uid)
{
	size_t uid_len;

	if (!listing_has(listing, number))
		return PLAN_LEAVE;
	(void)listing_uid(listing, number, &uid_len);
	if (by_uid && uid_len == 0)
		return PLAN_NAMELESS;
	switch (listing_match(listing, number)) {
	case LISTED_ADOPTED:
		return PLAN_LEAVE;
	case LISTED_SEEN:
		return plan_seen(config, listing, number);
	case LISTED_NEW:
	case LISTED_COMPARE:
		break;
	}
	if (config->max_size > 0 && listing_size(listing, number) > config->max_size)
		return PLAN_TOO_LARGE;
	return PLAN_FETCH;
}

bool
plan_deletes_stored(const struct pop3_config *config)
{
	return config->keep == KEEP_NO;
}

bool
plan_may_be_window(uint64_t fetched)
{
	return fetched >= WINDOW_LEAST;
}
