#include "queue/outerrand.h"

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

enum { PIECE_SIZE = 65536, HEADER_SHOWN = 256 * 1024 };

/* Where octets go, CRLF becoming LF on the way; embedded in the caller. */
struct lines {
	outerrand_sink *sink;
	void *arg;
	bool cr; /* a CR waits for what follows it */
	int error;
};

static void
put(struct lines *l, const char *data, size_t len)
{
	if (l->error == 0 && len > 0)
		l->error = l->sink(data, len, l->arg);
}

static void
put_lines(struct lines *l, const char *data, size_t len)
{
	const char *end = data + len;

	while (data < end && l->error == 0) {
		const char *cr;

		if (l->cr && *data != '\n')
			put(l, "\r", 1);
		l->cr = false;
		cr = memchr(data, '\r', (size_t)(end - data));
		put(l, data, (size_t)((cr != NULL ? cr : end) - data));
		if (cr == NULL)
			return;
		l->cr = true;
		data = cr + 1;
	}
}

static void
end_lines(struct lines *l)
{
	if (l->cr)
		put(l, "\r", 1);
	l->cr = false;
}

static int
open_message(const struct outerrand *e, const char *spool_path, char **path)
{
	char file[SPOOL_FILE_SIZE];

	*path = xasprintf("%s/queue/%s", spool_path, spool_file(file, e->message, e->name));
	return open(*path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* At most len octets; -1 with errno. */
static ssize_t
read_piece(int fd, char *piece, size_t len)
{
	ssize_t n;

	while ((n = read(fd, piece, len)) < 0 && errno == EINTR)
		continue;
	return n;
}

/* How much of the first piece is an mbox "From " line. */
static size_t
skip_from_line(const char *piece, size_t len)
{
	const char *end;

	if (len < 5 || memcmp(piece, "From ", 5) != 0)
		return 0;
	end = memchr(piece, '\n', len);
	return end != NULL ? (size_t)(end + 1 - piece) : len;
}

/* How much of the piece belongs to the header; *blank: the last octets were a line's end. */
static size_t
cut_header(const char *piece, size_t len, bool *blank, bool *over)
{
	for (size_t i = 0; i < len; i++) {
		if (piece[i] == '\n' && *blank) {
			*over = true;
			return i;
		}
		if (piece[i] == '\n')
			*blank = true;
		else if (piece[i] != '\r')
			*blank = false;
	}
	return len;
}

/* The original on its way into a report; embedded in the caller. */
struct original {
	struct lines *lines;
	bool whole;  /* else its header only */
	bool leaves; /* the report goes by mail: without what must never leave */
	struct rfc5322_filter filter;
	struct str out; /* the filter's */
	bool blank;     /* the last octets were a line's end */
	bool over;      /* no more of it is wanted */
	size_t total;
};

static void
put_original(struct original *o, const char *data, size_t len)
{
	if (o->over)
		return;
	if (!o->whole)
		len = cut_header(data, len, &o->blank, &o->over);
	put_lines(o->lines, data, len);
	if (o->over)
		o->lines->cr = false; /* the empty line's */
	o->total += len;
	o->over = o->over || (!o->whole && o->total >= HEADER_SHOWN);
}

/* Bcc and what steers are for the sender's own eyes (RFC 5322 section 3.6.3). */
static bool
feed_original(struct original *o, const char *piece, size_t len, bool first, struct verdict *why)
{
	size_t skip = first ? skip_from_line(piece, len) : 0;
	bool ok = true;

	if (!o->leaves) {
		put_original(o, piece + skip, len - skip);
		return true;
	}
	ok = rfc5322_filter_feed(&o->filter, piece, len, &o->out, why);
	put_original(o, str_text(&o->out), o->out.len);
	str_truncate(&o->out, 0);
	return ok;
}

static bool
read_original(struct original *o, int fd, const char *path, struct verdict *why)
{
	char *piece = xmalloc(PIECE_SIZE);
	bool ok = true, first = true;
	ssize_t n = 0;

	while (
	    ok && !o->over && o->lines->error == 0 && (n = read_piece(fd, piece, PIECE_SIZE)) > 0) {
		ok = feed_original(o, piece, (size_t)n, first, why);
		first = false;
	}
	if (n < 0)
		ok = fault_errno(why, "report", errno, "read", path);
	free(piece);
	return ok;
}

static bool
write_original(
    const struct outerrand *e, int fd, const char *path, struct lines *l, struct verdict *why)
{
	static const struct rfc5322_rewrite nothing;
	struct original o = {.lines = l,
	    .whole = e->part == OUTERRAND_ORIGINAL,
	    .leaves = e->maildir[0] == '\0',
	    .blank = true};
	bool ok;

	rfc5322_filter_init(&o.filter, &nothing);
	ok = read_original(&o, fd, path, why);
	if (ok && o.leaves) {
		rfc5322_filter_finish(&o.filter, &o.out);
		put_original(&o, str_text(&o.out), o.out.len);
	}
	end_lines(l);
	rfc5322_filter_clear(&o.filter);
	str_clear(&o.out);
	return ok;
}

static bool
write_report(
    const struct outerrand *e, const char *spool_path, struct lines *l, struct verdict *why)
{
	static const char gone[] = "X-Postrider-Note: the original was taken away\n\n";
	bool ok = true;
	char *path;
	int fd;

	put(l, e->text, e->text_len);
	if (e->part != OUTERRAND_TEXT) {
		fd = open_message(e, spool_path, &path);
		if (fd >= 0)
			ok = write_original(e, fd, path, l, why);
		else if (errno == ENOENT)
			put(l, gone, sizeof gone - 1);
		else
			ok = fault_errno(why, "report", errno, "open", path);
		if (fd >= 0)
			close(fd);
		free(path);
	}
	if (e->text_end != NULL)
		put(l, e->text_end, strlen(e->text_end));
	return ok;
}

static bool
filter_message(int fd, const char *path, const struct rfc5322_rewrite *rewrite, struct lines *l,
    struct verdict *why)
{
	char *piece = xmalloc(PIECE_SIZE);
	struct rfc5322_filter filter;
	struct str out = STR_INIT;
	bool ok = true;
	ssize_t n = 0;

	rfc5322_filter_init(&filter, rewrite);
	while (ok && l->error == 0 && (n = read_piece(fd, piece, PIECE_SIZE)) > 0) {
		ok = rfc5322_filter_feed(&filter, piece, (size_t)n, &out, why);
		put_lines(l, str_text(&out), out.len);
		str_truncate(&out, 0);
	}
	if (n < 0)
		ok = fault_errno(why, "copy", errno, "read", path);
	if (ok)
		rfc5322_filter_finish(&filter, &out);
	put_lines(l, str_text(&out), out.len);
	end_lines(l);
	rfc5322_filter_clear(&filter);
	str_clear(&out);
	free(piece);
	return ok;
}

static bool
write_copy(const struct outerrand *e, const char *spool_path, struct lines *l, struct verdict *why)
{
	struct outreader_rewrite wish = {
	    .from = e->add_from, .header_from = e->header_from, .local_domain = e->local_domain};
	struct outrewrite r;
	char *path;
	bool ok;
	int fd = open_message(e, spool_path, &path);

	if (fd < 0) {
		ok = fault_errno(why, "copy", errno, "open", path);
	} else {
		outrewrite_init(&r, e->message, e->sender, e->queued, &wish);
		ok = filter_message(fd, path, &r.rewrite, l, why);
		outrewrite_clear(&r);
		close(fd);
	}
	free(path);
	return ok;
}

bool
outerrand_write(const struct outerrand *e, const char *spool_path, outerrand_sink *sink, void *arg,
    struct verdict *why)
{
	struct lines l = {.sink = sink, .arg = arg};
	bool ok;

	if (e->part == OUTERRAND_COPY)
		ok = write_copy(e, spool_path, &l, why);
	else
		ok = write_report(e, spool_path, &l, why);
	if (ok && l.error != 0)
		ok = fault_errno(why, "write", l.error, "write a copy or a report", NULL);
	return ok;
}
