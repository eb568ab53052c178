#include "fetch/stumbles.h"

#include <string.h>

/* The index, STUMBLES_MOST when it is not there. */
static size_t
find(const struct stumbles *s, const char *uid, size_t len)
{
	size_t i = 0;

	while (i < STUMBLES_MOST &&
	       (len == 0 || s->list[i].uid_len != len || memcmp(s->list[i].uid, uid, len) != 0))
		i++;
	return i;
}

bool
stumbles_add(struct stumbles *s, const char *uid, size_t len)
{
	size_t known = find(s, uid, len);
	struct stumble *stumble;

	if (known < STUMBLES_MOST) {
		s->list[known].rests = true;
		return true;
	}
	if (len == 0 || len > LISTING_UID_MAX)
		return false;
	stumble = &s->list[s->next];
	s->next = (s->next + 1) % STUMBLES_MOST;
	memcpy(stumble->uid, uid, len);
	stumble->uid_len = len;
	stumble->rests = false;
	return false;
}

enum stumbles_advice
stumbles_ask(const struct stumbles *s, const char *uid, size_t len)
{
	size_t known = find(s, uid, len);

	if (known == STUMBLES_MOST)
		return STUMBLES_NEVER;
	return s->list[known].rests ? STUMBLES_REST : STUMBLES_LAST;
}

void
stumbles_wake(struct stumbles *s)
{
	for (size_t i = 0; i < STUMBLES_MOST; i++)
		s->list[i].rests = false;
}
