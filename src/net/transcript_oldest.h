#ifndef POSTRIDER_NET_TRANSCRIPT_OLDEST_H
#define POSTRIDER_NET_TRANSCRIPT_OLDEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transcript_log {
	int64_t time; /* wall ms, from the name */
	uint64_t size;
	char *account;
	char *name; /* behind the account's NUL, in the same memory */
};

/*
 * The oldest of any number of session logs, in memory that does not grow with it.  Embedded in its
 * owner; zeroed memory with max set begins it.
 */
struct transcript_oldest {
	size_t max; /* how many of them are wanted, at least one */
	struct transcript_log *logs;
	size_t count;
	bool cut; /* there were more than max: the youngest were dropped */
	int64_t newest;
};

/* Drops all of them; max stays. */
void transcript_oldest_clear(struct transcript_oldest *oldest);

/* The strings are borrowed for the call. */
void transcript_oldest_add(struct transcript_oldest *oldest, int64_t time, uint64_t size,
    const char *account, const char *name);

/* When all are added: at most max of them in order, the oldest first. */
void transcript_oldest_sort(struct transcript_oldest *oldest);

#endif
