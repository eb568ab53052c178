#include "model.h"
#include "../dialogue/paper_conn.h"

#include "base/verdict.h"

#include <string.h>

/* -- the text ---------------------------------------------------------------------------------- */

/* Some pieces are empty, and some ends come in a piece of their own. */
static size_t
choose_piece(struct model *m, size_t left)
{
	size_t len = model_below(m, 4) ? model_below(m, 300) : model_below(m, 200000);

	return model_below(m, 3) && len < left ? len : left;
}

static void
give_piece(struct model *m, struct model_mail *mail)
{
	const char *piece = mail->text + mail->given;
	size_t len = choose_piece(m, mail->len - mail->given);
	bool is_last = mail->given + len == mail->len && (len == 0 || model_below(m, 8) > 0);

	model_say(m, "owner: %zu octets of m%d%s", len, mail->number, is_last ? ", the last" : "");
	mail->given += len;
	mail->given_all = is_last;
	smtp_session_body(m->session, &mail->message, piece, len, is_last);
	if (is_last)
		mail->end = smtp_session_octets_out(m->session) + paper_conn_waiting(NULL);
}

static void
answer_for(struct model *m, struct model_mail *mail)
{
	struct verdict why;

	mail->asked = false;
	if (!model_chance(m, m->owner.mischief)) {
		give_piece(m, mail);
		return;
	}
	model_say(m, "owner: m%d cannot be read", mail->number);
	m->tally.unreadable++;
	verdict_fail(&why, FAIL_LOCAL, "read", "the disk is gone");
	smtp_session_body_failed(m->session, &mail->message, &why);
}

void
model_owner_answer(struct model *m)
{
	for (size_t i = 0; i < m->mail_count; i++) {
		struct model_mail *mail = &m->mails[i];

		if (mail->stand == MODEL_UNDER_WAY && mail->asked && !m->owner.is_closed) {
			answer_for(m, mail);
			return;
		}
	}
}

/* -- what it may do at any time ---------------------------------------------------------------- */

/* Only the latest can be what has nothing but its envelope on the way. */
static void
withdraw_latest(struct model *m)
{
	struct model_mail *latest = NULL;

	for (size_t i = 0; i < m->mail_count; i++)
		if (m->mails[i].stand == MODEL_UNDER_WAY && m->mails[i].turn == m->owner.turns)
			latest = &m->mails[i];
	if (latest == NULL || !smtp_session_withdraw(m->session, &latest->message))
		return;
	model_say(m, "owner: m%d is taken back", latest->number);
	m->tally.withdrawn++;
	latest->stand = MODEL_OVER;
	latest->withdrawn = true;
}

/* In or out of turn: what nobody asked for has no effect. */
static void
give_something(struct model *m, struct model_mail *mail)
{
	static const char unasked[] = "nobody asked for this\r\n";

	if (mail->stand != MODEL_UNDER_WAY)
		return;
	if (mail->asked)
		answer_for(m, mail);
	else
		smtp_session_body(m->session, &mail->message, unasked, strlen(unasked), true);
}

static void
end_session(struct model *m)
{
	struct verdict why;

	m->tally.stopped++;
	m->owner.has_stopped = true;
	if (model_below(m, 2)) {
		model_say(m, "owner: stop");
		smtp_session_stop(m->session);
		return;
	}
	model_say(m, "owner: fail");
	verdict_fail(&why, FAIL_LOCAL, "stop", "the daemon stops");
	smtp_session_fail(m->session, &why);
}

static void
quit(struct model *m)
{
	model_say(m, "owner: quit");
	m->owner.has_quit = true;
	smtp_session_quit(m->session);
}

void
model_owner_meddle(struct model *m)
{
	if (m->session == NULL || m->owner.is_closed || !model_chance(m, m->owner.mischief))
		return;
	switch (model_below(m, 10)) {
	case 0:
		end_session(m);
		break;
	case 1:
		quit(m);
		break;
	case 2:
	case 3:
		smtp_session_go(m->session);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		withdraw_latest(m);
		break;
	default:
		give_something(m, &m->mails[model_below(m, (unsigned)m->mail_count)]);
	}
}

/* No done() and no closed() come then. */
void
model_owner_leave(struct model *m)
{
	if (m->owner.is_closed || !model_chance(m, m->owner.mischief / 20))
		return;
	model_say(m, "owner: leaves");
	m->owner.is_closed = true;
	smtp_session_free(&m->session);
}

static bool
has_mail(const struct model *m, enum model_stand stand)
{
	for (size_t i = 0; i < m->mail_count; i++)
		if (m->mails[i].stand == stand)
			return true;
	return false;
}

void
model_owner_go_on(struct model *m)
{
	struct model_owner *o = &m->owner;

	if (!o->is_idle || o->has_stopped || o->is_closed)
		return;
	if (has_mail(m, MODEL_WAITING)) {
		o->is_idle = false;
		smtp_session_go(m->session);
	} else if (!o->has_quit && !has_mail(m, MODEL_UNDER_WAY)) {
		quit(m);
	}
}

/* -- what the session asks and tells ----------------------------------------------------------- */

static void
on_ready(void *arg)
{
	model_owner_meddle(arg);
}

static bool
on_next(const struct smtp_message **message, void *arg)
{
	struct model *m = arg;
	struct model_mail *mail = m->mails, *end = m->mails + m->mail_count;

	if (m->owner.is_closed || m->owner.has_stopped)
		model_broken(m, "next() behind the end");
	while (mail < end && mail->stand != MODEL_WAITING)
		mail++;
	if (mail == end || model_chance(m, 200))
		return false;
	model_say(m, "owner: m%d is next", mail->number);
	mail->stand = MODEL_UNDER_WAY;
	mail->turn = ++m->owner.turns;
	mail->transactions++;
	*message = &mail->message;
	return true;
}

static void
on_body(const struct smtp_message *message, void *arg)
{
	struct model *m = arg;
	struct model_mail *mail = message->tag;

	model_check_asked(m, mail);
	m->owner.writing = mail->turn;
	mail->asked = true;
	if (model_below(m, 2))
		answer_for(m, mail);
	model_owner_meddle(m);
}

/* Whoever may be asked about again at once is the next transaction's. */
static void
take_result(
    struct model *m, struct model_mail *mail, size_t recipient, const struct smtp_result *result)
{
	model_say(m, "owner: m%d, recipient %zu: fate %d at %s: %s%s", mail->number, recipient,
	    (int)result->fate, result->stage, result->text, result->again ? " (again)" : "");
	m->tally.fates[result->fate]++;
	m->tally.again += result->again;
	m->tally.without += result->without != 0;
	mail->fate[recipient] = result->fate;
	mail->is_told[recipient] = !result->again;
}

static void
on_done(const struct smtp_message *message, const struct smtp_result *results, void *arg)
{
	struct model *m = arg;
	struct model_mail *mail = message->tag;
	unsigned without = 0;
	size_t open = 0;

	if (mail->stand != MODEL_UNDER_WAY || m->owner.is_closed)
		model_broken(m, "done() for m%d, which is not under way", mail->number);
	model_check_results(m, mail, results);
	for (size_t i = 0; i < message->recipient_count; i++) {
		size_t recipient = mail->open[i];

		take_result(m, mail, recipient, &results[i]);
		without |= results[i].without;
		if (results[i].again)
			mail->open[open++] = recipient;
	}
	mail->message.without |= without;
	model_mail_prepare(mail, open);
	model_owner_meddle(m);
}

static void
on_falls_short(enum smtp_shortcoming what, const struct smtp_result *result, void *arg)
{
	struct model *m = arg;

	model_say(m, "owner: the server falls short in %u: %s", (unsigned)what, result->text);
	m->tally.short_of |= (unsigned)what;
	if (m->owner.mischief > 0 && model_below(m, 4) == 0)
		end_session(m);
}

static void
on_idle(void *arg)
{
	struct model *m = arg;

	model_say(m, "owner: idle");
	m->owner.is_idle = true;
	model_owner_meddle(m);
}

static void
on_closed(const struct verdict *why, bool slow, void *arg)
{
	struct model *m = arg;

	model_say(m, "owner: closed: %s: %s%s", verdict_kind_name(why->kind), why->text,
	    slow ? ", slow" : "");
	model_check_closed(m);
	m->owner.is_closed = true;
	if (model_below(m, 2))
		smtp_session_free(&m->session);
}

const struct smtp_handler model_handler = {
    .ready = on_ready,
    .next = on_next,
    .body = on_body,
    .done = on_done,
    .falls_short = on_falls_short,
    .idle = on_idle,
    .closed = on_closed,
};

void
model_owner_begin(struct model *m)
{
	m->owner = (struct model_owner){
	    .mischief = model_below(m, 2) ? 0 : 1 + model_below(m, 80),
	};
}
