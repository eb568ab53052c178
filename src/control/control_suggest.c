#include "control/control_suggest.h"

#include <ctype.h>
#include <string.h>

/* Longer words are not typing mistakes of anything. */
#define WORD_MAX 64

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

static int
lower(char c)
{
	return tolower((unsigned char)c);
}

/*
 * Insertions, deletions, substitutions and swaps of neighbours that turn a into b, ignoring case
 * (optimal string alignment).
 */
static size_t
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[3][WORD_MAX + 1];
	size_t *before = row[0], *above = row[1], *here = row[2];

	for (size_t j = 0; j <= b_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = before;

		here[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t differs = lower(a[i - 1]) != lower(b[j - 1]);

			here[j] = least(above[j] + 1, here[j - 1] + 1, above[j - 1] + differs);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && before[j - 2] + 1 < here[j])
				here[j] = before[j - 2] + 1;
		}
		before = above;
		above = here;
		here = spare;
	}
	return above[b_len];
}

void
control_suggest_offer(struct control_suggest *suggest, const char *candidate)
{
	size_t word_len = strlen(suggest->word);
	size_t len = strlen(candidate);
	size_t distance;

	if (word_len == 0 || word_len > WORD_MAX || len > WORD_MAX)
		return;
	distance = edit_distance(suggest->word, word_len, candidate, len);
	/* A third of the word may be wrong, and of short words one letter. */
	if (distance > (word_len + 2) / 3 || distance >= len)
		return;
	if (suggest->best == NULL || distance < suggest->distance) {
		suggest->best = candidate;
		suggest->distance = distance;
	}
}
