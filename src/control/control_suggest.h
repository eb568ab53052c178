#ifndef POSTRIDER_CONTROL_CONTROL_SUGGEST_H
#define POSTRIDER_CONTROL_CONTROL_SUGGEST_H

#include <stddef.h>

/*
 * "Did you mean": keeps the candidate nearest to a misspelt word.  Begin with
 * CONTROL_SUGGEST(word); best is NULL while nothing near enough was offered.
 */
struct control_suggest {
	const char *word;
	const char *best;
	size_t distance;
};

#define CONTROL_SUGGEST(misspelt)                                                                  \
	{                                                                                          \
		.word = (misspelt), .best = NULL, .distance = 0                                    \
	}

/* The candidate and the word are borrowed until the last look at best. */
void control_suggest_offer(struct control_suggest *suggest, const char *candidate);

#endif
