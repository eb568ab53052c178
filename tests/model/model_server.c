#include "model.h"

#include "base/xalloc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* -- what it says ------------------------------------------------------------------------------ */

/* Replies that nothing was asked for, and one that is none. */
static void
say_more(struct model *m)
{
	if (model_chance(m, 30))
		str_append_text(&m->server.out, "250 extra\r\n");
	if (model_chance(m, 10))
		str_append_text(&m->server.out, "554 extra\r\n");
	if (model_chance(m, 5))
		str_append_text(&m->server.out, "rubbish\r\n");
}

void
model_server_reply(struct model *m, const char *format, ...)
{
	struct model_server *s = &m->server;
	struct str line = STR_INIT;
	va_list ap;

	if (s->closed)
		return;
	va_start(ap, format);
	str_vappendf(&line, format, ap);
	va_end(ap);
	if (model_chance(m, 100))
		str_appendf(&s->out, "%.3s-(more)\r\n", str_text(&line));
	str_appendf(&s->out, "%s\r\n", str_text(&line));
	str_clear(&line);
	if (s->is_wild)
		say_more(m);
}

/*
 * A server that says 421 closes, and has looked at nothing behind it: the session takes one that
 * stays at its word only as long as its replies arrive (smtp_chunks.c), so none is lost then.
 */
void
model_server_close(struct model *m, bool with_reset)
{
	struct model_server *s = &m->server;

	model_say(m, "the server %s", with_reset ? "resets the connection" : "closes");
	s->closed = true;
	if (with_reset && !s->has_said_421)
		str_truncate(&s->out, 0);
}

/* -- what it hears ----------------------------------------------------------------------------- */

static void
on_data_line(struct model *m, const char *line, size_t len)
{
	struct model_server *s = &m->server;
	size_t dot = line[0] == '.';

	if (strcmp(line, ".\r\n") == 0)
		model_on_data_end(m);
	else
		str_append(&s->text, line + dot, len - dot);
}

/* One line, false when there is no whole one. */
static bool
read_line(struct model *m)
{
	struct model_server *s = &m->server;
	const char *at = s->in.data + s->read;
	const char *lf = memchr(at, '\n', s->in.len - s->read);
	size_t len;
	char *line;

	if (lf == NULL)
		return false;
	len = (size_t)(lf - at) + 1;
	if (len < 2 || at[len - 2] != '\r')
		model_broken(m, "a line ends in a bare LF");
	line = xcalloc(1, len + 1);
	memcpy(line, at, len);
	s->read += len;
	if (s->reading == MODEL_DATA) {
		on_data_line(m, line, len);
	} else {
		line[len - 2] = '\0';
		model_on_command(m, line);
	}
	free(line);
	return true;
}

/* As much of a chunk as is there; false when that is not all of it. */
static bool
read_chunk(struct model *m)
{
	struct model_server *s = &m->server;
	size_t n = s->in.len - s->read;

	if (n > s->chunk_left)
		n = s->chunk_left;
	str_append(&s->text, s->in.data + s->read, n);
	s->read += n;
	s->chunk_left -= n;
	if (s->chunk_left > 0)
		return false;
	s->reading = MODEL_COMMANDS;
	model_on_chunk(m);
	return true;
}

static bool
read_next(struct model *m)
{
	struct model_server *s = &m->server;

	if (s->closed)
		return false;
	if (s->reading == MODEL_CHUNK)
		return read_chunk(m);
	return s->read < s->in.len && read_line(m);
}

void
model_server_receive(struct model *m, const char *data, size_t len)
{
	struct model_server *s = &m->server;

	str_append(&s->in, data, len);
	while (read_next(m))
		continue;
	if (!s->closed && s->reading != MODEL_COMMANDS)
		model_on_part(m);
	if (s->closed)
		s->read = s->in.len;
	memmove(s->in.data, s->in.data + s->read, s->in.len - s->read);
	str_truncate(&s->in, s->in.len - s->read);
	s->read = 0;
}

/* -- what it is like --------------------------------------------------------------------------- */

static unsigned
choose_trouble(struct model *m)
{
	if (model_below(m, 3) == 0)
		return 0;
	return model_below(m, 2) ? 5 + model_below(m, 20) : 30 + model_below(m, 150);
}

static void
choose_limits(struct model *m)
{
	struct model_server *s = &m->server;

	s->size_limit = s->size && model_below(m, 6) == 0 ? 2000 : 0;
	s->recipients_max = model_below(m, 5) == 0 ? 1 + model_below(m, 3) : 0;
	s->tells_limits = model_below(m, 3) == 0;
	s->messages_max = model_below(m, 8) == 0 ? 1 + model_below(m, 6) : 0;
}

void
model_server_begin(struct model *m)
{
	struct model_server *s = &m->server;

	*s = (struct model_server){.about = -1};
	s->pipelining = model_below(m, 10) > 0;
	s->chunking = model_below(m, 3) > 0;
	s->knows_bdat = model_below(m, 15) > 0;
	s->size = model_below(m, 2);
	s->eight_bit = model_below(m, 2);
	s->dsn = model_below(m, 2);
	s->utf8 = model_below(m, 2);
	s->knows_parameters = model_below(m, 10) > 0;
	s->knows_utf8 = model_below(m, 6) > 0;
	choose_limits(m);
	s->trouble = choose_trouble(m);
	s->stays = model_below(m, 2);
	s->is_wild = model_below(m, 6) == 0;
	model_server_reply(m, "220 hello");
}

void
model_server_end(struct model *m)
{
	str_clear(&m->server.in);
	str_clear(&m->server.out);
	str_clear(&m->server.text);
}
