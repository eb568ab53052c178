#ifndef POSTRIDER_QUEUE_OUTTALLY_H
#define POSTRIDER_QUEUE_OUTTALLY_H

#include <stddef.h>
#include <stdint.h>

/*
 * By how much the totals of accounts have changed.  Filled in the state thread, added up in the
 * loop.  Embedded in its owner; zeroed memory begins it.
 */
struct outtally_line {
	char *account;
	int64_t messages, octets, deferred, held, failed;
	int64_t oldest; /* what it is now, wall ms; 0: none */
};

struct outtally {
	struct outtally_line *lines;
	size_t count;
};

void outtally_clear(struct outtally *tally);

/* The account's line, made when there is none. */
struct outtally_line *outtally_line(struct outtally *tally, const char *account);

/* Adds up the changes and takes over `oldest`. */
void outtally_add(struct outtally *tally, const struct outtally *changes);

#endif
