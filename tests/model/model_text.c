#include "model.h"

#include <stdlib.h>
#include <string.h>

static void
take_message(struct model *m)
{
	struct model_server *s = &m->server;

	model_say(m, "the server takes m%d", s->about);
	model_check_taken(m, s->mail);
	for (size_t i = 0; i < MODEL_RECIPIENTS_MAX; i++)
		s->mail->taken[i] |= s->accepted[i];
	s->messages++;
}

/*
 * The message is taken, and the reply is lost with the connection; not behind 421, for the reason
 * at model_server_close().
 */
static bool
takes_silently(struct model *m)
{
	if (m->server.has_said_421 || !model_chance(m, m->server.trouble / 8))
		return false;
	take_message(m);
	model_server_close(m, model_below(m, 2));
	return true;
}

/* The end of a text: true when the server takes the message and says so. */
static bool
takes_text(struct model *m, const char *what)
{
	struct model_server *s = &m->server;

	if (takes_silently(m) || model_fails_at(m, what))
		return false;
	if (model_is_in_trouble(m)) {
		MODEL_ANSWER_ONE_OF(
		    m, what, "450 4.2.0", "554 5.7.1", "451 4.3.2", "530 5.7.0", "503 5.5.1");
		return false;
	}
	take_message(m);
	model_answer(m, "250 2.0.0", what);
	if (s->messages_max > 0 && s->messages >= s->messages_max)
		model_server_close(m, model_below(m, 4) == 0);
	return true;
}

/* RFC 5321 section 4.1.1.4: whatever the answer is, nothing is left of the transaction. */
void
model_on_data_end(struct model *m)
{
	struct model_server *s = &m->server;

	s->mail->end_came = true;
	if (s->accepted_count == 0)
		model_answer(m, "554", "DATA");
	else
		takes_text(m, "DATA");
	model_end_transaction(s);
}

/* RFC 2920 section 3.1: with nobody to send to, either answer is right. */
void
model_on_data(struct model *m)
{
	struct model_server *s = &m->server;

	if (model_fails_at(m, "DATA"))
		return;
	if (s->mail == NULL) {
		model_answer(m, "503 5.5.1", "DATA");
	} else if (s->accepted_count == 0 && model_below(m, 2)) {
		model_answer(m, "554 5.5.1", "DATA");
	} else if (model_is_in_trouble(m)) {
		MODEL_ANSWER_ONE_OF(m, "DATA", "451 4.2.0", "554 5.7.0");
	} else {
		model_answer(m, "354", "DATA");
		s->reading = MODEL_DATA;
	}
}

void
model_on_bdat(struct model *m, const char *line)
{
	struct model_server *s = &m->server;

	s->chunk_left = strtoul(line + strlen("BDAT "), NULL, 10);
	s->chunk_is_last = strstr(line, " LAST") != NULL;
	/* Some refuse it (Exim). */
	if (s->chunk_left == 0 && !s->chunk_is_last)
		model_broken(m, "a chunk of m%d is empty, and not the last", s->about);
	s->reading = MODEL_CHUNK;
}

/* Some of the text, or the end of one that nothing is to come of. */
static bool
takes_chunk(struct model *m, bool is_in_order)
{
	if (model_fails_at(m, "BDAT"))
		return false;
	if (!is_in_order) {
		MODEL_ANSWER_ONE_OF(m, "BDAT", "503 5.5.1", "554 5.5.1");
		return false;
	}
	if (model_is_in_trouble(m)) {
		MODEL_ANSWER_ONE_OF(
		    m, "BDAT", "450 4.2.0", "554 5.7.1", "451 4.3.2", "503 5.5.1", "552 5.3.4");
		return false;
	}
	model_answer(m, "250 2.0.0", "BDAT");
	return true;
}

/* RFC 3030 section 2: what is behind a chunk that was refused is refused too, until RSET. */
void
model_on_chunk(struct model *m)
{
	struct model_server *s = &m->server;
	bool is_in_order = s->mail != NULL && s->accepted_count > 0 && !s->needs_rset && !s->is_lax;

	m->mails[s->about].end_came |= s->chunk_is_last;
	if (!is_in_order || !s->chunk_is_last) {
		s->needs_rset |= !takes_chunk(m, is_in_order);
		return;
	}
	s->needs_rset = !takes_text(m, "BDAT");
	model_end_transaction(s);
}

/* Some servers have seen enough before the end, say so, and hang up. */
void
model_on_part(struct model *m)
{
	const struct model_server *s = &m->server;

	if (!model_chance(m, s->trouble / 4))
		return;
	MODEL_ANSWER_ONE_OF(
	    m, s->reading == MODEL_DATA ? "DATA" : "BDAT", "552 5.3.4", "450 4.2.0", "554 5.7.1");
	model_server_close(m, false);
}
