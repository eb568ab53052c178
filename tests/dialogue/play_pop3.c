/*
 * Plays tests/dialogue/pop3-*.txt against the real POP3 session.  Steps, besides those of steps.h:
 *
 *   CONFIG key=value ...   also max_size=N, without=FEATURE (given again: more); the secret is
 * always "secret" REPEAT N LEN           the server sends N lines of LEN octets DO want N...|delete
 * N|go|quit|fail|pause|resume DO demands             what the server asks for (LOGIN-DELAY, EXPIRE)
 * is told as an H: TURN                   the loop takes its next turn
 */
#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/pop3_session.h"
#include "paper_conn.h"
#include "script.h"
#include "steps.h"
#include "store/listing.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WANTED_MAX = 2048 };

struct stage {
	struct event_base *base;
	struct pop3_config config;
	struct secret *secret;
	struct pop3_session *session;
	uint32_t wanted[WANTED_MAX];
	size_t wanted_first, wanted_count;
	struct str message;
	size_t reserved;
	bool count_only;
	unsigned without;
};

static const char *const features[] = {
    "CAPA", "UTF8", "UIDL", "PIPELINING", "TRANSFER", "USER-CAPA"};

/* -- the owner ------------------------------------------------------------------------------- */

static void
on_listed(struct listing *listing, bool by_uid, void *arg)
{
	struct str s = STR_INIT;
	size_t len;

	(void)arg;
	for (uint32_t n = 1; n <= listing_count(listing); n++) {
		const char *uid = listing_uid(listing, n, &len);

		if (listing_has(listing, n))
			str_appendf(&s, " %" PRIu32 "/%" PRIu64 "/%.*s", n,
			    listing_size(listing, n), (int)len, len > 0 ? uid : "");
	}
	script_happened('H', "listed%s%s", by_uid ? "" : " without uidl", str_text(&s));
	str_clear(&s);
}

static bool
on_next(uint32_t *number, void *arg)
{
	struct stage *stage = arg;

	if (stage->wanted_first == stage->wanted_count)
		return false;
	*number = stage->wanted[stage->wanted_first++];
	return true;
}

static void
on_begin(uint32_t number, void *arg)
{
	struct stage *stage = arg;

	(void)number;
	str_clear(&stage->message);
}

static char *
on_reserve(size_t room, void *arg)
{
	struct stage *stage = arg;
	char *filler = xcalloc(1, room + 1);
	size_t len = stage->message.len;

	str_append(&stage->message, filler, room);
	free(filler);
	stage->reserved = len;
	return stage->message.data + len;
}

static void
on_added(size_t len, void *arg)
{
	struct stage *stage = arg;

	str_truncate(&stage->message, stage->reserved + len);
}

static void
on_end(uint32_t number, void *arg)
{
	struct stage *stage = arg;

	script_happened('H', "message %" PRIu32 " %s", number, str_text(&stage->message));
}

static void
on_refused(uint32_t number, bool retr, const char *text, void *arg)
{
	(void)arg;
	script_happened('H', "refused %s %" PRIu32 " %s", retr ? "RETR" : "DELE", number, text);
}

static void
on_deleted(uint32_t number, void *arg)
{
	(void)arg;
	script_happened('H', "deleted %" PRIu32, number);
}

static void
on_idle(void *arg)
{
	(void)arg;
	script_happened('H', "idle");
}

static const char *
hint_name(enum fail_hint hint)
{
	static const char *const names[] = {"", " IN-USE", " LOGIN-DELAY", " SYS/TEMP", " SYS/PERM",
	    " AUTH", " WEAKER", " MESSAGES"};

	return names[hint];
}

/* Nothing, when nothing is suspected. */
static void
name_suspect(char *text, size_t size, unsigned suspect)
{
	*text = '\0';
	for (size_t i = 0; i < sizeof features / sizeof *features; i++)
		if (suspect == 1u << i)
			snprintf(text, size, ", %s suspected", features[i]);
}

static void
on_closed(const struct verdict *why, bool quit_ok, void *arg)
{
	struct stage *stage = arg;
	char suspect[40];

	name_suspect(suspect, sizeof suspect, pop3_session_suspect(stage->session));
	if (why->kind == FAIL_NONE)
		script_happened('H', "closed ok%s", quit_ok ? ", quit answered" : "");
	else
		script_happened('H', "closed %s at %s%s%s", verdict_kind_name(why->kind),
		    why->stage, hint_name(why->hint), suspect);
	pop3_session_free(&stage->session);
}

static const struct pop3_handler handler = {
    .listed = on_listed,
    .next = on_next,
    .begin = on_begin,
    .reserve = on_reserve,
    .added = on_added,
    .end = on_end,
    .refused = on_refused,
    .deleted = on_deleted,
    .idle = on_idle,
    .closed = on_closed,
};

/* -- the steps ------------------------------------------------------------------------------- */

static bool
add_feature(unsigned *set, const char *name)
{
	for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
		if (strcmp(name, features[i]) == 0) {
			*set |= 1u << i;
			return true;
		}
	}
	return false;
}

static bool
set_key(const char *key, const char *value, void *arg)
{
	struct stage *stage = arg;
	struct pop3_config *c = &stage->config;

	if (strcmp(key, "count_only") == 0)
		stage->count_only = true;
	else if (strcmp(key, "without") == 0)
		return add_feature(&stage->without, value);
	else if (strcmp(key, "max_size") == 0)
		c->max_size = strtoull(value, NULL, 10);
	else
		return steps_set_endpoint_key(&c->endpoint, &c->pipelining, key, value);
	return true;
}

static void
start_session(struct stage *stage)
{
	const struct pop3_session_settings settings = {
	    .base = stage->base,
	    .config = &stage->config,
	    .secret = stage->secret,
	    .count_only = stage->count_only,
	    .without = stage->without,
	};

	stage->session = pop3_session_new(&settings, &handler, stage);
}

static void
play_event(struct stage *stage, const struct script_step *step)
{
	if (stage->session == NULL)
		start_session(stage);
	if (!steps_play_event(step))
		script_complain(step, "no such event");
}

static void
play_do(struct stage *stage, const struct script_step *step)
{
	struct verdict why;
	char *save = NULL;
	char *verb = strtok_r(step->rest, " ", &save);
	char *word;

	if (strcmp(verb, "want") == 0) {
		while ((word = strtok_r(NULL, " ", &save)) != NULL)
			stage->wanted[stage->wanted_count++] = (uint32_t)atol(word);
	} else if (strcmp(verb, "delete") == 0) {
		pop3_session_delete(stage->session, (uint32_t)atol(strtok_r(NULL, " ", &save)));
	} else if (strcmp(verb, "go") == 0) {
		pop3_session_go(stage->session);
	} else if (strcmp(verb, "quit") == 0) {
		pop3_session_quit(stage->session);
	} else if (strcmp(verb, "fail") == 0) {
		verdict_fail(&why, FAIL_LOCAL, "disk", "no space");
		pop3_session_fail(stage->session, &why);
	} else if (strcmp(verb, "pause") == 0) {
		pop3_session_pause(stage->session);
	} else if (strcmp(verb, "resume") == 0) {
		pop3_session_resume(stage->session);
	} else if (strcmp(verb, "demands") == 0) {
		script_happened('H', "login delay %" PRId64 " ms, expire %" PRId64,
		    pop3_session_login_delay(stage->session), pop3_session_expire(stage->session));
	} else {
		script_complain(step, "no such verb");
	}
}

static void
play_repeat(const struct script_step *step)
{
	unsigned count = 0, len = 0;
	char *line;

	if (sscanf(step->rest, "%u %u", &count, &len) != 2)
		script_complain(step, "REPEAT N LEN");
	line = xcalloc(1, len + 2);
	memset(line, 'x', len);
	memcpy(line + len, "\r\n", 2);
	while (count-- > 0)
		paper_conn_receive(line, len + 2);
	free(line);
}

static void
play_step(const struct script_step *step, void *arg)
{
	struct stage *stage = arg;

	if (strcmp(step->word, "CONFIG") == 0)
		steps_play_config(step, set_key, stage);
	else if (strcmp(step->word, "EVENT") == 0)
		play_event(stage, step);
	else if (strcmp(step->word, "TURN") == 0)
		event_base_loop(stage->base, EVLOOP_NONBLOCK);
	else if (strcmp(step->word, "REPEAT") == 0)
		play_repeat(step);
	else if (strcmp(step->word, "DO") == 0)
		play_do(stage, step);
	else if (!steps_play(step))
		script_complain(step, "no such step: %s", step->word);
}

static bool
play_file(const char *file)
{
	struct stage stage = {
	    .base = event_base_new(),
	    .config = {.endpoint = {.host = NULL, .port = 110, .auth_auto = true, .tls = TLS_NONE}},
	    .secret = secret_new("secret", 6),
	};
	char host[] = "pop.example.org";
	bool ok;

	stage.config.endpoint.host = host;
	stage.config.endpoint.secret.kind = SECRET_PASSWORD;
	ok = script_run(file, play_step, &stage);
	pop3_session_free(&stage.session);
	secret_unref(&stage.secret);
	str_clear(&stage.message);
	free(stage.config.endpoint.user);
	event_base_free(stage.base);
	return steps_finish(file, ok);
}

int
main(int argc, char **argv)
{
	return steps_main(argc, argv, "pop3", play_file);
}
