#include "model.h"

#include <string.h>

void
model_answer(struct model *m, const char *code, const char *what)
{
	model_server_reply(m, "%s m%d %s", code, m->server.about, what);
}

bool
model_is_in_trouble(struct model *m)
{
	return model_chance(m, m->server.trouble);
}

/* RFC 5321 section 3.8; some say 421 and mean 451. */
static void
close_with_word(struct model *m, const char *what, bool stays)
{
	struct model_server *s = &m->server;

	model_answer(m, "421 4.3.2", what);
	s->has_said_421 = true;
	if (stays)
		s->is_lax |= strcmp(what, "RSET") == 0;
	else
		model_server_close(m, false);
}

bool
model_fails_at(struct model *m, const char *what)
{
	if (!model_is_in_trouble(m))
		return false;
	switch (model_below(m, 8)) {
	case 0:
		model_server_close(m, false);
		return true;
	case 1:
		model_server_close(m, true);
		return true;
	case 2:
		close_with_word(m, what, false);
		return true;
	case 3:
	case 4:
		if (m->server.stays)
			close_with_word(m, what, true);
		return m->server.stays;
	case 5:
		model_say(m, "the server falls silent");
		m->server.closed = m->server.mute = true;
		return true;
	default:
		return false;
	}
}

void
model_end_transaction(struct model_server *s)
{
	s->mail = NULL;
	s->reading = MODEL_COMMANDS;
	str_truncate(&s->text, 0);
}
