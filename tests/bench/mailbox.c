#include "mailbox.h"

#include <stdio.h>
#include <string.h>

/*
 * A body is one line of whatever length makes the size come out even, then lines of a pool, from a
 * place that depends on the number.
 */
enum { LINE_SIZE = 64 }; /* with CRLF, not stuffed */
enum { POOL_LINES = 1024 };
enum { DOT_EVERY = 37 }; /* one line in so many begins with a dot */
enum { HEADER_MAX = MAILBOX_SIZE_MIN - 2 };

struct pool {
	char data[POOL_LINES * (LINE_SIZE + 1)];
	size_t start[POOL_LINES + 1]; /* of each line in data; the last is the end */
};

static struct pool pools[2]; /* by form */

static uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void
pool_add(struct pool *p, size_t *end, const char *text, size_t len)
{
	memcpy(p->data + *end, text, len);
	*end += len;
}

void
mailbox_prepare(void)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz      ";
	struct pool *wire = &pools[MAILBOX_WIRE], *stored = &pools[MAILBOX_STORED];
	size_t wire_end = 0, stored_end = 0;
	uint32_t seed = 2463534242u;
	char line[LINE_SIZE - 2];

	for (size_t i = 0; i < POOL_LINES; i++) {
		for (size_t j = 0; j < sizeof line; j++)
			line[j] = letters[next_random(&seed) % (sizeof letters - 1)];
		if (i % DOT_EVERY == 0) {
			line[0] = '.';
			pool_add(wire, &wire_end, ".", 1);
		}
		pool_add(wire, &wire_end, line, sizeof line);
		pool_add(wire, &wire_end, "\r\n", 2);
		pool_add(stored, &stored_end, line, sizeof line);
		pool_add(stored, &stored_end, "\n", 1);
		wire->start[i + 1] = wire_end;
		stored->start[i + 1] = stored_end;
	}
}

struct mailbox
mailbox_of_user(const char *user, uint32_t count, uint64_t size)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *user != '\0'; user++)
		hash = (hash ^ (unsigned char)*user) * 16777619u;
	return (struct mailbox){.id = hash, .count = count, .size = size};
}

/* The header of a wire message and its end; fixed widths keep all sizes the same. */
static size_t
print_header(char buf[HEADER_MAX], const struct mailbox *m, uint32_t number, const char *eol)
{
	return (size_t)snprintf(buf, HEADER_MAX,
	    "From: Bench <bench@example.org>%s"
	    "To: %08x@example.net%s"
	    "Subject: message %010u of a made-up maildrop%s"
	    "Date: Thu, 01 Jan 2026 00:00:00 +0000%s"
	    "Message-ID: <%010u.%08x@bench.example.org>%s"
	    "MIME-Version: 1.0%s"
	    "Content-Type: text/plain; charset=us-ascii%s%s",
	    eol, m->id, eol, number, eol, eol, number, m->id, eol, eol, eol, eol);
}

/* Lines of the pool, from a line of it on, as often round as need be. */
static void
write_pool_lines(const struct pool *p, size_t line, uint64_t lines, mailbox_write *write, void *arg)
{
	while (lines > 0) {
		size_t end = lines < POOL_LINES - line ? line + lines : POOL_LINES;

		write(p->data + p->start[line], p->start[end] - p->start[line], arg);
		lines -= end - line;
		line = 0;
	}
}

void
mailbox_write_message(const struct mailbox *m, uint32_t number, enum mailbox_form form,
    uint64_t lines, mailbox_write *write, void *arg)
{
	const char *eol = form == MAILBOX_WIRE ? "\r\n" : "\n";
	char header[HEADER_MAX], first[LINE_SIZE + 3];
	size_t header_len = print_header(header, m, number, "\r\n");
	uint64_t body = m->size - header_len;
	uint64_t pool_lines = (body - 2) / LINE_SIZE;
	size_t first_len = (size_t)(body - pool_lines * LINE_SIZE) - 2;

	header_len = print_header(header, m, number, eol);
	write(header, header_len, arg);
	if (lines == 0)
		return;
	memset(first, '=', first_len);
	strcpy(first + first_len, eol);
	write(first, first_len + strlen(eol), arg);
	lines--;
	write_pool_lines(&pools[form], (m->id ^ number * 2654435761u) % POOL_LINES,
	    lines < pool_lines ? lines : pool_lines, write, arg);
}
