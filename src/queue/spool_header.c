#include "queue/spool.h"

#include "base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_SIZE = 65536 };

/* What a Date and a Message-ID that are added come to, about. */
enum { DATE_SIZE = 40, MESSAGE_ID_SIZE = 80 };

/* Counts what every line end becomes on the wire: a bare CR is left out, a bare LF gets one. */
static void
count_wire(struct spool_content *content, const char *data, size_t len)
{
	const char *end = data + len;

	content->wire_size += len;
	for (const char *p = data; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		content->wire_size++;
	for (const char *p = data; (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
		content->wire_size--;
}

static void
note_content(
    struct spool_content *content, const struct envelope_request *request, bool is_line_open)
{
	content->wire_size += is_line_open ? 2 : 0;
	content->wire_size += request->has_date ? 0 : DATE_SIZE;
	content->wire_size += request->has_message_id ? 0 : MESSAGE_ID_SIZE;
	content->is_8bit = request->header_is_8bit || request->body_is_8bit;
	content->has_utf8_header = request->header_is_utf8;
	content->longest_line = request->longest_line;
}

int
spool_header_read(int fd, const char *local_domain, struct spool_claim *claim)
{
	struct rfc5322_envelope envelope;
	char *piece = xmalloc(PIECE_SIZE);
	off_t offset = 0;
	bool is_line_open = false;
	int error = 0;
	ssize_t n = 0;

	memset(&claim->content, 0, sizeof claim->content);
	rfc5322_envelope_init(&envelope, local_domain);
	for (;;) {
		n = pread(fd, piece, PIECE_SIZE, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		offset += n;
		is_line_open = piece[n - 1] != '\n';
		count_wire(&claim->content, piece, (size_t)n);
		if (!rfc5322_envelope_feed(&envelope, piece, (size_t)n))
			break;
	}
	if (n < 0)
		error = errno;
	else if (rfc5322_envelope_finish(&envelope, &claim->request, &claim->why))
		note_content(&claim->content, &claim->request, is_line_open);
	rfc5322_envelope_clear(&envelope);
	free(piece);
	return error;
}
