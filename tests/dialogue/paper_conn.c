#include "paper_conn.h"

#include "base/str.h"
#include "base/xalloc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct conn {
	conn_cb *cb;
	void *arg;
	bool octets;
	bool secured;
	bool paused;
	bool stuck;
	struct str unsent;
	int64_t silence;
	int64_t silent;
	struct str input;
	uint64_t in, out;
};

static struct conn *paper;

struct conn *
conn_new(struct net *net, const struct conn_settings *settings, conn_cb *cb, void *arg)
{
	(void)net;
	paper = xcalloc(1, sizeof *paper);
	paper->cb = cb;
	paper->arg = arg;
	paper->silence = settings->silence;
	return paper;
}

void
conn_free(struct conn **conn)
{
	struct conn *c = *conn;

	*conn = NULL;
	if (c == NULL)
		return;
	if (c == paper)
		paper = NULL;
	str_clear(&c->input);
	str_clear(&c->unsent);
	free(c);
}

void
paper_conn_event(enum conn_event event, const struct verdict *why)
{
	struct conn_info info = {.why = why};

	if (paper == NULL)
		return;
	if (event == CONN_SECURED)
		paper->secured = true;
	paper->silent = 0;
	paper->cb(paper, event, &info, paper->arg);
}

/* Hands over one line or slice; false when there is nothing whole. */
static bool
deliver_one(void)
{
	struct conn_info info = {0};
	struct str line = STR_INIT;
	const char *end;
	size_t used;

	if (paper->paused || paper->input.len == 0)
		return false;
	if (paper->octets) {
		info.data = str_text(&paper->input);
		info.len = paper->input.len;
		used = paper->cb(paper, CONN_OCTETS, &info, paper->arg);
	} else {
		end = memchr(str_text(&paper->input), '\n', paper->input.len);
		if (end == NULL)
			return false;
		used = (size_t)(end - str_text(&paper->input)) + 1;
		str_append(&line, str_text(&paper->input), used - 1);
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			str_truncate(&line, line.len - 1);
		info.data = str_text(&line);
		info.len = line.len;
		memmove(paper->input.data, paper->input.data + used, paper->input.len - used);
		str_truncate(&paper->input, paper->input.len - used);
		used = 0;
		paper->cb(paper, CONN_LINE, &info, paper->arg);
		str_clear(&line);
	}
	if (paper != NULL && used > 0) {
		memmove(paper->input.data, paper->input.data + used, paper->input.len - used);
		str_truncate(&paper->input, paper->input.len - used);
	}
	return paper != NULL;
}

void
paper_conn_receive(const char *data, size_t len)
{
	if (paper == NULL)
		return;
	paper->silent = 0;
	paper->in += len;
	str_append(&paper->input, data, len);
	while (paper != NULL && deliver_one())
		continue;
}

void
paper_conn_wait(int64_t ms)
{
	struct verdict why;

	if (paper == NULL || paper->silence == 0)
		return;
	paper->silent += ms;
	if (paper->silent < paper->silence)
		return;
	verdict_fail(&why, FAIL_NETWORK, "timeout", "silence");
	paper_conn_event(CONN_FAILED, &why);
}

void
paper_conn_set_secured(bool secured)
{
	paper->secured = secured;
}

void
paper_conn_stick(bool stuck)
{
	if (paper != NULL)
		paper->stuck = stuck;
}

bool
paper_conn_drain(void)
{
	if (paper == NULL || paper->stuck || paper->unsent.len == 0)
		return false;
	paper_conn_leave(paper->unsent.len);
	paper_conn_event(CONN_DRAINED, NULL);
	return true;
}

void
paper_conn_leave(size_t octets)
{
	struct str *unsent;

	if (paper == NULL || octets > paper->unsent.len)
		return;
	unsent = &paper->unsent;
	paper->out += octets;
	memmove(unsent->data, unsent->data + octets, unsent->len - octets);
	str_truncate(unsent, unsent->len - octets);
}

size_t
paper_conn_waiting(const char **data)
{
	if (data != NULL)
		*data = paper != NULL ? str_text(&paper->unsent) : "";
	return paper != NULL ? paper->unsent.len : 0;
}

int64_t
paper_conn_silence(void)
{
	return paper != NULL ? paper->silence : -1;
}

void
conn_send(struct conn *c, const char *line)
{
	str_append_text(&c->unsent, line);
	str_append_text(&c->unsent, "\r\n");
	paper_conn_sent('C', line, strlen(line));
}

void
conn_sendf(struct conn *c, const char *format, ...)
{
	struct str s = STR_INIT;
	va_list ap;

	va_start(ap, format);
	str_vappendf(&s, format, ap);
	va_end(ap);
	conn_send(c, str_text(&s));
	str_clear(&s);
}

void
conn_send_secret(struct conn *c, const char *line, const char *shown)
{
	(void)shown;
	conn_send(c, line);
}

void
conn_send_octets(struct conn *c, const void *data, size_t len)
{
	if (len == 0)
		return;
	str_append(&c->unsent, data, len);
	paper_conn_sent('O', data, len);
}

struct ssl_st *
conn_ssl(const struct conn *c)
{
	(void)c;
	return NULL;
}

void
conn_forget_sessions(struct conn *c)
{
	(void)c;
}

size_t
conn_unsent(const struct conn *c)
{
	return c->unsent.len;
}

void
conn_starttls(struct conn *c)
{
	c->silent = 0;
}

void
conn_expect_lines(struct conn *c)
{
	c->octets = false;
}

void
conn_expect_octets(struct conn *c)
{
	c->octets = true;
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
}

void
conn_resume(struct conn *c)
{
	c->paused = false;
}

void
conn_set_silence(struct conn *c, int64_t silence)
{
	c->silence = silence;
	c->silent = 0;
}

void
conn_progress(struct conn *c)
{
	(void)c;
}

bool
conn_is_secured(const struct conn *c)
{
	return c->secured;
}

bool
conn_is_loopback(const struct conn *c)
{
	(void)c;
	return true;
}

uint64_t
conn_octets_in(const struct conn *c)
{
	return c->in;
}

uint64_t
conn_octets_out(const struct conn *c)
{
	return c->out;
}
