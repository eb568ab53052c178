/*
 * Plays tests/dialogue/smtp-*.txt against the real SMTP session.  Steps, besides those of steps.h:
 *
 *   CONFIG key=value ...   also auth=MECHANISM max_messages=N notify=LIST ret=WORD helo=NAME;
 *                          chunking=on; lacking=chunking|parameters|smtputf8 is known before;
 *                          texts=on tells the text of each result, free=late frees the session
 *                          only at the end, stop=NAME stops it in the done() of that message,
 *                          stop_body=NAME in its body(), once it had a piece, stop_short=on in
 *                          falls_short();
 *                          the secret is always "secret"
 *
 *   MESSAGE NAME SENDER RECIPIENT... key...
 *                          one more for next(); keys: size=N envid=ID 8bit utf8 without-parameters
 *                          without-smtputf8; "-" is the null sender
 *
 *   EVENT stuck|left N|drained
 *                          what was sent does not leave; N octets of it do; it does again
 *
 *   REPEAT N text          the server sends the line N times
 *
 *   DO go|quit|stop|withdraw NAME|fail|fail-late|piece TEXT|last TEXT|fill N|body-failed
 *                          what the owner does; fill is a piece of N octets, in lines, that are not
 *                          to be looked at; these are of the message that was asked for last,
 *                          late NAME TEXT is the last piece of another; fail-late: what waited to
 *                          leave would do so in the same turn, and "O: (left)" tells that it did;
 *                          keep NAME withdraws it, in vain
 *
 *   STATE name             smtp_session_state(), with "awaits fate" behind it when so
 */
#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/shortcomings.h"
#include "deliver/smtp_session.h"
#include "net/transcript.h"
#include "paper_conn.h"
#include "script.h"
#include "steps.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_MAX = 16, RECIPIENTS_MAX = 16 };

struct note {
	struct smtp_message message;
	char *words; /* everything in it */
	char *name;
	const char *recipients[RECIPIENTS_MAX];
};

struct stage {
	struct event_base *base;
	struct smtp_config config;
	struct transcript *transcript;
	char helo[64], notify[64], ret[16];
	struct secret *secret;
	struct smtp_session *session;
	struct note notes[MESSAGES_MAX];
	size_t note_count, note_given;
	bool texts, free_late, stop_short;
	unsigned lacking;
	char stop[16], stop_body[16];
	bool has_given;
	const struct smtp_message *asked;
};

/* -- the owner ------------------------------------------------------------------------------- */

static const char *
name_of(const struct smtp_message *message)
{
	return ((const struct note *)message->tag)->name;
}

static void
on_ready(void *arg)
{
	(void)arg;
	script_happened('H', "ready");
}

static bool
on_next(const struct smtp_message **message, void *arg)
{
	struct stage *stage = arg;

	if (stage->note_given == stage->note_count)
		return false;
	*message = &stage->notes[stage->note_given++].message;
	return true;
}

static void
on_body(const struct smtp_message *message, void *arg)
{
	struct stage *stage = arg;

	stage->asked = message;
	script_happened('H', "body %s", name_of(message));
	if (stage->has_given && strcmp(stage->stop_body, name_of(message)) == 0)
		smtp_session_stop(stage->session);
}

static const char *
fate_name(enum smtp_fate fate)
{
	static const char *const names[] = {"sent", "deferred", "refused", "unknown", "untried"};

	return names[fate];
}

/* " without SMTPUTF8" */
static const char *
without_text(unsigned without)
{
	static char text[200];

	*text = '\0';
	for (unsigned bit = 1; bit <= without; bit <<= 1)
		if (without & bit)
			snprintf(text + strlen(text), sizeof text - strlen(text), " without %s",
			    shortcomings_name(bit));
	return text;
}

static void
on_done(const struct smtp_message *message, const struct smtp_result *results, void *arg)
{
	struct stage *stage = arg;

	for (size_t i = 0; i < message->recipient_count; i++) {
		const struct smtp_result *r = &results[i];

		script_happened('H', "%s: %s %s at %s%s%.0d%s%s%s%s", name_of(message),
		    message->recipients[i], fate_name(r->fate), r->stage, r->code > 0 ? " " : "",
		    r->code, *r->status != '\0' ? " " : "", r->status, r->again ? " again" : "",
		    without_text(r->without));
		if (stage->texts)
			script_happened('T', "%s", r->text);
	}
	script_happened('H', "done %s", name_of(message));
	if (strcmp(stage->stop, name_of(message)) == 0)
		smtp_session_stop(stage->session);
}

static void
on_falls_short(enum smtp_shortcoming what, const struct smtp_result *result, void *arg)
{
	struct stage *stage = arg;

	script_happened('H', "falls short in %s: %s", shortcomings_name(what), result->text);
	if (stage->stop_short)
		smtp_session_stop(stage->session);
}

static void
on_idle(void *arg)
{
	(void)arg;
	script_happened('H', "idle");
}

static void
on_closed(const struct verdict *why, bool slow, void *arg)
{
	struct stage *stage = arg;

	if (why->kind == FAIL_NONE)
		script_happened('H', "closed ok%s", slow ? ", slow" : "");
	else
		script_happened('H', "closed %s at %s%s%.0d%s", verdict_kind_name(why->kind),
		    why->stage, why->code > 0 ? " " : "", why->code, slow ? ", slow" : "");
	if (stage->texts && why->kind != FAIL_NONE)
		script_happened('T', "%s", why->text);
	if (!stage->free_late)
		smtp_session_free(&stage->session);
}

static const struct smtp_handler handler = {
    .ready = on_ready,
    .next = on_next,
    .body = on_body,
    .done = on_done,
    .falls_short = on_falls_short,
    .idle = on_idle,
    .closed = on_closed,
};

/* -- the steps ------------------------------------------------------------------------------- */

static bool
set_auth(struct endpoint_config *endpoint, const char *value)
{
	endpoint->auth_auto = false;
	for (unsigned i = 0; i < AUTH_MECHANISM_COUNT; i++)
		if (strcmp(auth_mechanism_name((enum auth_mechanism)i), value) == 0)
			endpoint->auth |= 1u << i;
	return endpoint->auth != 0;
}

static bool
set_key(const char *key, const char *value, void *arg)
{
	struct stage *stage = arg;
	struct smtp_config *c = &stage->config;

	if (strcmp(key, "helo") == 0)
		snprintf(stage->helo, sizeof stage->helo, "%s", value);
	else if (strcmp(key, "notify") == 0)
		snprintf(stage->notify, sizeof stage->notify, "%s", value);
	else if (strcmp(key, "ret") == 0)
		snprintf(stage->ret, sizeof stage->ret, "%s", value);
	else if (strcmp(key, "max_messages") == 0)
		c->max_messages = (unsigned)atol(value);
	else if (strcmp(key, "texts") == 0)
		stage->texts = true;
	else if (strcmp(key, "chunking") == 0)
		c->chunking = strcmp(value, "on") == 0;
	else if (strcmp(key, "lacking") == 0)
		stage->lacking = strcmp(value, "chunking") == 0   ? SMTP_SHORT_CHUNKING
				 : strcmp(value, "smtputf8") == 0 ? SMTP_SHORT_SMTPUTF8
								  : SMTP_SHORT_PARAMETERS;
	else if (strcmp(key, "free") == 0)
		stage->free_late = true;
	else if (strcmp(key, "stop") == 0)
		snprintf(stage->stop, sizeof stage->stop, "%s", value);
	else if (strcmp(key, "stop_short") == 0)
		stage->stop_short = true;
	else if (strcmp(key, "stop_body") == 0)
		snprintf(stage->stop_body, sizeof stage->stop_body, "%s", value);
	else if (strcmp(key, "auth") == 0)
		return set_auth(&c->endpoint, value);
	else
		return steps_set_endpoint_key(&c->endpoint, &c->pipelining, key, value);
	return true;
}

static void
play_config(struct stage *stage, const struct script_step *step)
{
	steps_play_config(step, set_key, stage);
	stage->config.dsn_notify = *stage->notify != '\0' ? stage->notify : NULL;
	stage->config.dsn_ret = *stage->ret != '\0' ? stage->ret : NULL;
}

static void
set_message_word(struct note *note, char *word)
{
	struct smtp_message *m = &note->message;

	if (strcmp(word, "8bit") == 0)
		m->eight_bit = true;
	else if (strcmp(word, "utf8") == 0)
		m->smtputf8 = true;
	else if (strcmp(word, "without-parameters") == 0)
		m->without |= SMTP_SHORT_PARAMETERS;
	else if (strcmp(word, "without-smtputf8") == 0)
		m->without |= SMTP_SHORT_SMTPUTF8;
	else if (strncmp(word, "size=", 5) == 0)
		m->size = strtoull(word + 5, NULL, 10);
	else if (strncmp(word, "envid=", 6) == 0)
		m->envid = word + 6;
	else
		note->recipients[m->recipient_count++] = word;
}

static void
play_message(struct stage *stage, const struct script_step *step)
{
	struct note *note = &stage->notes[stage->note_count++];
	char *save = NULL;
	char *word;

	note->words = xstrdup(step->rest);
	note->name = strtok_r(note->words, " ", &save);
	note->message.sender = strtok_r(NULL, " ", &save);
	if (strcmp(note->message.sender, "-") == 0)
		note->message.sender = "";
	while ((word = strtok_r(NULL, " ", &save)) != NULL)
		set_message_word(note, word);
	note->message.recipients = note->recipients;
	note->message.tag = note;
}

static void
start_session(struct stage *stage)
{
	const struct smtp_session_settings settings = {
	    .base = stage->base,
	    .config = &stage->config,
	    .transcript = stage->transcript,
	    .secret = stage->secret,
	    .helo = stage->helo,
	    .shortcomings = stage->lacking,
	};

	stage->session = smtp_session_new(&settings, &handler, stage);
}

static void
play_event(struct stage *stage, const struct script_step *step)
{
	if (stage->session == NULL)
		start_session(stage);
	if (strcmp(step->rest, "stuck") == 0)
		paper_conn_stick(true);
	else if (strncmp(step->rest, "left ", 5) == 0)
		paper_conn_leave(strtoul(step->rest + 5, NULL, 10));
	else if (strcmp(step->rest, "drained") == 0)
		paper_conn_stick(false);
	else if (!steps_play_event(step))
		script_complain(step, "no such event");
}

/* A large piece; what is sent of it is forgotten. */
static void
play_fill(struct stage *stage, size_t len)
{
	char *data = xcalloc(1, len + 1);

	memset(data, 'x', len);
	for (size_t i = 78; i + 1 < len; i += 80)
		memcpy(data + i, "\r\n", 2);
	smtp_session_body(stage->session, stage->asked, data, len, false);
	script_forget('O');
	free(data);
}

static void
play_late(struct stage *stage, const char *rest)
{
	size_t name = strcspn(rest, " ");
	const char *text = rest + name + (rest[name] == ' ');

	for (size_t i = 0; i < stage->note_given; i++)
		if (strncmp(stage->notes[i].name, rest, name) == 0 &&
		    stage->notes[i].name[name] == '\0')
			smtp_session_body(
			    stage->session, &stage->notes[i].message, text, strlen(text), true);
}

/* Complains when the session does not give it back, or does and should not. */
static void
play_withdraw(
    struct stage *stage, const struct script_step *step, const char *name, bool is_given_back)
{
	bool found = false;

	for (size_t i = 0; i < stage->note_given && !found; i++)
		found = strcmp(stage->notes[i].name, name) == 0 &&
			smtp_session_withdraw(stage->session, &stage->notes[i].message);
	if (found != is_given_back)
		script_complain(step, "%s is %sgiven back", name, found ? "" : "not ");
}

static void
play_do(struct stage *stage, const struct script_step *step)
{
	size_t verb = strcspn(step->rest, " ");
	const char *rest = step->rest + verb + (step->rest[verb] == ' ');
	size_t rest_len = step->rest_len - (size_t)(rest - step->rest);
	struct verdict why;

	step->rest[verb] = '\0';
	if (strcmp(step->rest, "go") == 0) {
		smtp_session_go(stage->session);
	} else if (strcmp(step->rest, "quit") == 0) {
		smtp_session_quit(stage->session);
	} else if (strcmp(step->rest, "withdraw") == 0) {
		play_withdraw(stage, step, rest, true);
	} else if (strcmp(step->rest, "keep") == 0) {
		play_withdraw(stage, step, rest, false);
	} else if (strcmp(step->rest, "stop") == 0) {
		smtp_session_stop(stage->session);
	} else if (strcmp(step->rest, "fail") == 0) {
		verdict_fail(&why, FAIL_LOCAL, "stop", "the daemon stops");
		smtp_session_fail(stage->session, &why);
	} else if (strcmp(step->rest, "fail-late") == 0) {
		verdict_fail(&why, FAIL_LOCAL, "stop", "the daemon stops");
		smtp_session_fail(stage->session, &why);
		paper_conn_stick(false);
		if (paper_conn_drain())
			script_happened('O', "(left)");
	} else if (strcmp(step->rest, "piece") == 0) {
		stage->has_given = true;
		smtp_session_body(stage->session, stage->asked, rest, rest_len, false);
	} else if (strcmp(step->rest, "last") == 0) {
		smtp_session_body(stage->session, stage->asked, rest, rest_len, true);
	} else if (strcmp(step->rest, "late") == 0) {
		play_late(stage, rest);
	} else if (strcmp(step->rest, "fill") == 0) {
		play_fill(stage, strtoul(rest, NULL, 10));
	} else if (strcmp(step->rest, "body-failed") == 0) {
		verdict_fail(&why, FAIL_LOCAL, "read", "the disk is gone");
		smtp_session_body_failed(stage->session, stage->asked, &why);
	} else {
		script_complain(step, "no such verb");
	}
}

static void
play_repeat(const struct script_step *step)
{
	char *text;
	unsigned long count = strtoul(step->rest, &text, 10);

	for (text++; count > 0; count--)
		steps_receive_line(text, strlen(text));
}

static void
play_state(const struct stage *stage, const struct script_step *step)
{
	char state[64];

	snprintf(state, sizeof state, "%s%s", smtp_session_state(stage->session),
	    smtp_session_awaits_fate(stage->session) ? " awaits fate" : "");
	if (strcmp(state, step->rest) != 0)
		script_complain(step, "the state is \"%s\"", state);
}

/* Everything that runs by itself: the loop's next turns, and what was sent leaves. */
static void
settle(struct stage *stage)
{
	do
		event_base_loop(stage->base, EVLOOP_NONBLOCK);
	while (paper_conn_drain());
}

static void
play_step(const struct script_step *step, void *arg)
{
	struct stage *stage = arg;

	if (strcmp(step->word, "CONFIG") == 0)
		play_config(stage, step);
	else if (strcmp(step->word, "MESSAGE") == 0)
		play_message(stage, step);
	else if (strcmp(step->word, "EVENT") == 0)
		play_event(stage, step);
	else if (strcmp(step->word, "REPEAT") == 0)
		play_repeat(step);
	else if (strcmp(step->word, "DO") == 0)
		play_do(stage, step);
	else if (strcmp(step->word, "STATE") == 0)
		play_state(stage, step);
	else if (!steps_play(step))
		script_complain(step, "no such step: %s", step->word);
	settle(stage);
}

static bool
play_file(const char *file)
{
	static char host[] = "smtp.example.org";
	const struct transcript_settings log = {.account = "a", .protocol = "smtp", .id = "1"};
	struct stage stage = {
	    .base = event_base_new(),
	    .config = {.endpoint = {.host = host, .port = 587, .auth_auto = true, .tls = TLS_NONE},
		.max_messages = 100},
	    .helo = "client.example.org",
	    .secret = secret_new("secret", 6),
	};
	bool ok;

	stage.config.endpoint.secret.kind = SECRET_PASSWORD;
	stage.transcript = transcript_open(stage.base, NULL, &log);
	ok = script_run(file, play_step, &stage);
	smtp_session_free(&stage.session);
	for (size_t i = 0; i < stage.note_count; i++)
		free(stage.notes[i].words);
	secret_unref(&stage.secret);
	transcript_close(&stage.transcript);
	free(stage.config.endpoint.user);
	event_base_free(stage.base);
	return steps_finish(file, ok);
}

int
main(int argc, char **argv)
{
	return steps_main(argc, argv, "smtp", play_file);
}
