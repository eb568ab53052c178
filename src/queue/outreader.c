#include "queue/outqueue_internal.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "proto/rfc5322_filter.h"
#include "queue/outrewrite.h"
#include "store/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is read at a time; the filter may double it, and hold one field back. */
enum { PIECE_SIZE = 65536, GIVEN_MAX = 256 * 1024 };

/* Below the empty line is what belongs to the job while it is out. */
struct outreader {
	struct job job;
	struct outqueue *queue; /* a reference */
	bool busy;              /* the job is out, or the callback runs */
	bool wanted;            /* asked for more from inside the callback */
	bool closed;            /* let go by the owner: freed once it is not busy */
	outreader_cb *cb;
	void *arg;

	char *path;
	struct outrewrite rewrite;
	struct rfc5322_filter filter;
	int fd;
	char *piece;
	struct str out;
	size_t given; /* so much of out */
	bool end;     /* of the file */
	struct verdict why;
};

struct outreader *
outreader_open(
    struct outqueue *q, const struct outmessage *m, const struct outreader_rewrite *rewrite)
{
	struct outreader *r = xcalloc(1, sizeof *r);
	char file[SPOOL_FILE_SIZE];

	r->queue = outqueue_ref(q);
	r->path = xasprintf("%s/queue/%s", q->path, spool_file(file, m->id, m->name));
	outrewrite_init(&r->rewrite, m->id, m->sender, m->queued, rewrite);
	rfc5322_filter_init(&r->filter, &r->rewrite.rewrite);
	r->fd = -1;
	return r;
}

static void
reader_free(struct outreader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	rfc5322_filter_clear(&r->filter);
	outrewrite_clear(&r->rewrite);
	str_clear(&r->out);
	free(r->piece);
	free(r->path);
	outqueue_unref(&r->queue);
	free(r);
}

static bool
open_file(struct outreader *r)
{
	if (r->fd >= 0)
		return true;
	r->fd = open(r->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (r->fd < 0)
		return fault_errno(&r->why, "read", errno, "open message", r->path);
	r->piece = xmalloc(PIECE_SIZE);
	return true;
}

/* A piece's worth, or the end, so that a small message is read in one turn. */
static void
run_read(struct job *job)
{
	struct outreader *r = (struct outreader *)job;

	if (r->given < r->out.len || !open_file(r))
		return;
	str_truncate(&r->out, 0);
	r->given = 0;
	while (r->out.len < PIECE_SIZE && !r->end) {
		ssize_t n = read(r->fd, r->piece, PIECE_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fault_errno(&r->why, "read", errno, "read message", r->path);
			return;
		}
		r->end = n == 0;
		if (r->end)
			rfc5322_filter_finish(&r->filter, &r->out);
		else if (!rfc5322_filter_feed(&r->filter, r->piece, (size_t)n, &r->out, &r->why))
			return;
	}
}

static void
answer(struct outreader *r)
{
	const char *data = str_text(&r->out) + r->given;
	size_t len = r->out.len - r->given;

	if (r->why.kind != FAIL_NONE)
		len = 0;
	len = len < GIVEN_MAX ? len : GIVEN_MAX;
	r->given += len;
	r->cb(data, len, r->end && r->given == r->out.len, &r->why, r->arg);
}

static void
on_read(struct job *job)
{
	struct outreader *r = (struct outreader *)job;

	if (!r->closed && !r->queue->closed)
		answer(r);
	r->busy = false;
	if (r->closed) {
		reader_free(r);
	} else if (r->wanted && !r->queue->closed) {
		r->wanted = false;
		outreader_next(r, r->cb, r->arg);
	}
}

void
outreader_next(struct outreader *r, outreader_cb *cb, void *arg)
{
	r->cb = cb;
	r->arg = arg;
	if (r->busy) {
		r->wanted = true;
		return;
	}
	r->busy = true;
	outqueue_submit_reader(r->queue, &r->job, run_read, on_read);
}

void
outreader_close(struct outreader **reader)
{
	struct outreader *r = *reader;

	*reader = NULL;
	if (r == NULL)
		return;
	r->closed = true;
	if (!r->busy)
		reader_free(r);
}
