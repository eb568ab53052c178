/*
 * Plays tests/dialogue/pop3-*.txt against the real POP3 session.  Steps:
 *
 *   CONFIG key=value ...   tls=none|starttls|implicit pipelining=auto|on|off user=NAME timeout=MS
 *                          max_size=N; the secret is always "secret"
 *   EVENT connecting|connected|secured|failed
 *   S: text                the server sends a line (CRLF is added)
 *   S+ text                the server sends just these octets
 *   REPEAT N LEN           the server sends N lines of LEN octets
 *   C: text                the client must have sent this line
 *   H: text                the owner must have been told this
 *   TIME +MS               so much time passes in silence
 *   DO want N...|delete N|go|quit|fail|pause|resume
 *   TURN                   the loop takes its next turn
 */
#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/pop3_session.h"
#include "paper_conn.h"
#include "script.h"
#include "store/listing.h"

#include <event2/event.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WANTED_MAX = 2048 };

struct stage {
	struct event_base *base;
	struct pop3_config config;
	char user[64];
	struct secret *secret;
	struct pop3_session *session;
	uint32_t wanted[WANTED_MAX];
	size_t wanted_first, wanted_count;
	struct str message;
	size_t reserved;
};

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
	static const char *const names[] = {
	    "", " IN-USE", " LOGIN-DELAY", " SYS/TEMP", " SYS/PERM", " AUTH"};

	return names[hint];
}

static void
on_closed(const struct verdict *why, bool quit_ok, void *arg)
{
	struct stage *stage = arg;

	if (why->kind == FAIL_NONE)
		script_happened('H', "closed ok%s", quit_ok ? ", quit answered" : "");
	else
		script_happened('H', "closed %s at %s%s", verdict_kind_name(why->kind), why->stage,
		    hint_name(why->hint));
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

static void
set_key(struct stage *stage, const struct script_step *step, const char *key, const char *value)
{
	struct pop3_config *c = &stage->config;

	if (strcmp(key, "tls") == 0)
		c->endpoint.tls = strcmp(value, "none") == 0       ? TLS_NONE
				  : strcmp(value, "starttls") == 0 ? TLS_STARTTLS
								   : TLS_IMPLICIT;
	else if (strcmp(key, "pipelining") == 0)
		c->pipelining = strcmp(value, "on") == 0    ? PIPELINING_ON
				: strcmp(value, "off") == 0 ? PIPELINING_OFF
							    : PIPELINING_AUTO;
	else if (strcmp(key, "user") == 0)
		snprintf(stage->user, sizeof stage->user, "%s", value);
	else if (strcmp(key, "timeout") == 0)
		c->endpoint.timeout = atol(value);
	else if (strcmp(key, "max_size") == 0)
		c->max_size = strtoull(value, NULL, 10);
	else
		script_complain(step, "no such key: %s", key);
}

static void
play_config(struct stage *stage, const struct script_step *step)
{
	char *save = NULL;

	for (char *word = strtok_r(step->rest, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		set_key(stage, step, word, value);
	}
	stage->config.endpoint.user = stage->user[0] != '\0' ? stage->user : NULL;
}

static void
start_session(struct stage *stage)
{
	const struct pop3_session_settings settings = {
	    .base = stage->base, .config = &stage->config, .secret = stage->secret};

	stage->session = pop3_session_new(&settings, &handler, stage);
}

static void
play_event(struct stage *stage, const struct script_step *step)
{
	struct verdict why;

	if (stage->session == NULL)
		start_session(stage);
	if (strcmp(step->rest, "connecting") == 0) {
		paper_conn_event(CONN_CONNECTING, NULL);
	} else if (strcmp(step->rest, "connected") == 0) {
		paper_conn_event(CONN_CONNECTED, NULL);
	} else if (strcmp(step->rest, "secured") == 0) {
		paper_conn_event(CONN_SECURED, NULL);
	} else if (strcmp(step->rest, "failed") == 0) {
		verdict_fail(&why, FAIL_NETWORK, "closed", "the server closed the connection");
		paper_conn_event(CONN_FAILED, &why);
	} else {
		script_complain(step, "no such event");
	}
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
	struct str s = STR_INIT;

	if (strcmp(step->word, "CONFIG") == 0) {
		play_config(stage, step);
	} else if (strcmp(step->word, "EVENT") == 0) {
		play_event(stage, step);
	} else if (strcmp(step->word, "S:") == 0) {
		str_append(&s, step->rest, step->rest_len);
		str_append(&s, "\r\n", 2);
		paper_conn_receive(str_text(&s), s.len);
	} else if (strcmp(step->word, "S+") == 0) {
		paper_conn_receive(step->rest, step->rest_len);
	} else if (strcmp(step->word, "C:") == 0) {
		script_expect(step, 'C');
	} else if (strcmp(step->word, "H:") == 0) {
		script_expect(step, 'H');
	} else if (strcmp(step->word, "TIME") == 0) {
		paper_conn_wait(atol(step->rest));
	} else if (strcmp(step->word, "TURN") == 0) {
		event_base_loop(stage->base, EVLOOP_NONBLOCK);
	} else if (strcmp(step->word, "REPEAT") == 0) {
		play_repeat(step);
	} else if (strcmp(step->word, "DO") == 0) {
		play_do(stage, step);
	} else {
		script_complain(step, "no such step: %s", step->word);
	}
	str_clear(&s);
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
	event_base_free(stage.base);
	ok = script_finish(file) == 0 && ok;
	fprintf(stderr, "%s %s\n", ok ? "ok" : "FAILED", file);
	return ok;
}

int
main(int argc, char **argv)
{
	const char *top = getenv("SRCDIR");
	unsigned failed = 0;
	char pattern[4096];
	glob_t found;

	if (argc > 1)
		return play_file(argv[1]) ? 0 : 1;
	snprintf(pattern, sizeof pattern, "%s/tests/dialogue/pop3-*.txt", top != NULL ? top : ".");
	if (glob(pattern, 0, NULL, &found) != 0) {
		fprintf(stderr, "no scripts at %s\n", pattern);
		return 1;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		failed += !play_file(found.gl_pathv[i]);
	printf("%zu scripts played, %u failed\n", found.gl_pathc, failed);
	globfree(&found);
	return failed > 0;
}
