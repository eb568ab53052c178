#include "tally.h"

#include "loopback.h"
#include "mailbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* for sums and seen */
static struct tally_sums sums;
static unsigned char *seen; /* by number, from 1 */
static struct mailbox mailbox;

void
tally_prepare(uint32_t messages, uint64_t size)
{
	mailbox_prepare();
	mailbox = mailbox_of_user("bench", messages, size);
	seen = calloc((size_t)messages + 1, 1);
	if (seen == NULL)
		loopback_die("calloc");
}

/* Follows a message of ours and compares its body with another. */
struct comparison {
	const char *body;
	size_t left;
	bool in_body;
	bool differs;
};

/* A mailbox_write: the header comes in one call of its own, as the first. */
static void
compare(const char *data, size_t len, void *arg)
{
	struct comparison *c = arg;

	if (!c->in_body) {
		c->in_body = true;
		return;
	}
	if (c->differs || len > c->left || memcmp(c->body, data, len) != 0) {
		c->differs = true;
		return;
	}
	c->body += len;
	c->left -= len;
}

static bool
is_body_of(uint32_t number, const char *body, size_t len)
{
	struct comparison c = {.body = body, .left = len};

	mailbox_write_message(&mailbox, number, MAILBOX_WIRE, MAILBOX_ALL_LINES, compare, &c);
	return !c.differs && c.left == 0;
}

/* From the Message-ID; 0 when it is none of ours. */
static uint32_t
number_of(const char *data, size_t header_len)
{
	static const char field[] = "\r\nMessage-ID: <";
	const char *at = memmem(data, header_len, field, sizeof field - 1);
	uint32_t number, id;

	if (at == NULL || sscanf(at + sizeof field - 1, "%10u.%8x@", &number, &id) != 2 ||
	    id != mailbox.id || number > mailbox.count)
		return 0;
	return number;
}

void
tally_add(const char *data, size_t len)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);
	size_t header_len = end != NULL ? (size_t)(end - data) : len;
	uint32_t number = number_of(data, header_len);
	bool whole = number > 0 && end != NULL && is_body_of(number, end + 4, len - header_len - 4);

	pthread_mutex_lock(&mutex);
	sums.accepted++;
	sums.strangers += number == 0;
	sums.spoilt += number > 0 && !whole;
	if (number > 0 && !seen[number]) {
		seen[number] = 1;
		sums.distinct++;
	}
	pthread_mutex_unlock(&mutex);
}

void
tally_add_session(void)
{
	pthread_mutex_lock(&mutex);
	sums.sessions++;
	pthread_mutex_unlock(&mutex);
}

struct tally_sums
tally_sums(void)
{
	struct tally_sums now;

	pthread_mutex_lock(&mutex);
	now = sums;
	pthread_mutex_unlock(&mutex);
	return now;
}

void
tally_reset(void)
{
	pthread_mutex_lock(&mutex);
	sums = (struct tally_sums){0};
	memset(seen, 0, (size_t)mailbox.count + 1);
	pthread_mutex_unlock(&mutex);
}
