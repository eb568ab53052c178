#include "queue/outtally.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

void
outtally_clear(struct outtally *tally)
{
	for (size_t i = 0; i < tally->count; i++)
		free(tally->lines[i].account);
	free(tally->lines);
	*tally = (struct outtally){NULL, 0};
}

struct outtally_line *
outtally_line(struct outtally *tally, const char *account)
{
	struct outtally_line *line;

	for (size_t i = 0; i < tally->count; i++)
		if (strcmp(tally->lines[i].account, account) == 0)
			return &tally->lines[i];
	tally->lines = xreallocarray(tally->lines, tally->count + 1, sizeof *tally->lines);
	line = &tally->lines[tally->count++];
	*line = (struct outtally_line){.account = xstrdup(account)};
	return line;
}

void
outtally_add(struct outtally *tally, const struct outtally *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct outtally_line *change = &changes->lines[i];
		struct outtally_line *line = outtally_line(tally, change->account);

		line->messages += change->messages;
		line->octets += change->octets;
		line->deferred += change->deferred;
		line->held += change->held;
		line->failed += change->failed;
		line->oldest = change->oldest;
	}
}
