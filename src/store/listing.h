#ifndef POSTRIDER_STORE_LISTING_H
#define POSTRIDER_STORE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What one session listed: LIST's sizes and UIDL's unique-ids, and, once the store has matched it,
 * what is known of each message.  Costs at most 100 octets a message (20 for the item, the uid and
 * its length, 5 for the index while matching), grows by a sixteenth at a time, holds a million
 * messages.  Owned by the session; lent to the store while it is matched.
 *
 * A uid longer than LISTING_UID_MAX (RFC 1939 section 7 allows 70 octets), up to
 * LISTING_UID_LIMIT, is kept as the octet 0x01, which no uid contains, and its SHA-256: that is
 * what listing_uid() gives then.
 */
enum { LISTING_MAX = 1000000 };
enum { LISTING_UID_MAX = 70, LISTING_UID_LIMIT = 255 };
enum { LISTING_REPEAT_MAX = 100 }; /* the same uid more often than this is a broken server */

enum listed_match {
	LISTED_NEW,     /* not known: fetch */
	LISTED_COMPARE, /* fetch, and store only when its octets are not known */
	LISTED_SEEN,    /* stored before under this uid, occurrence and size */
	LISTED_ADOPTED  /* marked seen by `adopt`, never fetched: never to be deleted by us */
};

struct listing;

struct listing *listing_new(void);
void listing_free(struct listing **listing);

/*
 * Number n has this size / this uid.  Numbers come in any order, sizes and uids in any order of
 * one another.  False for number 0 and numbers above LISTING_MAX (the latter are counted, see
 * listing_beyond()), for a repeated number with another value, for an empty or overlong uid, and
 * for a size of 2^48 octets or more.
 */
bool listing_set_size(struct listing *listing, uint32_t number, uint64_t size);
bool listing_set_uid(struct listing *listing, uint32_t number, const char *uid, size_t len);

/* The highest number set.  Numbers below it may be missing: listing_has() tells. */
uint32_t listing_count(const struct listing *listing);
bool listing_has(const struct listing *listing, uint32_t number);
size_t listing_beyond(const struct listing *listing);

uint64_t listing_size(const struct listing *listing, uint32_t number);

/* Borrowed until the listing dies or grows; *len 0 when no uid was set.  Not NUL-terminated. */
const char *listing_uid(const struct listing *listing, uint32_t number, size_t *len);

/*
 * 1 for the first message with this uid in the order of numbers, 2 for the next ...; after match.
 * Of a message without a uid: its number.
 */
unsigned listing_occurrence(const struct listing *listing, uint32_t number);

/* Valid after mailbox_match(). */
enum listed_match listing_match(const struct listing *listing, uint32_t number);

/* SEEN and ADOPTED: the row.  COMPARE: the row with the same key that gives way, or 0. */
int64_t listing_row(const struct listing *listing, uint32_t number);

/* LISTED_SEEN and fetched at least `keep` ago. */
bool listing_expired(const struct listing *listing, uint32_t number);

/* Octets of memory held now. */
size_t listing_memory(const struct listing *listing);

/*
 * For the store only: builds the index, numbers occurrences, sets every match back to LISTED_NEW.
 * False: a uid repeats too often.
 */
bool listing_index(struct listing *listing);
uint32_t listing_find(const struct listing *listing, const char *uid, size_t len,
    unsigned occurrence); /* 0: not listed */
void listing_set_match(
    struct listing *listing, uint32_t number, enum listed_match match, int64_t row, bool expired);
void listing_drop_index(struct listing *listing);
void listing_clear_matches(struct listing *listing);

/*
 * Around a job that has the listing, both in the loop's thread: when its owner frees it meanwhile,
 * it lives until it is returned.
 */
void listing_lend(struct listing *listing);
void listing_return(struct listing **listing);

#endif
