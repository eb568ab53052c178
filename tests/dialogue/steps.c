#include "steps.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "paper_conn.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
paper_conn_sent(char kind, const char *data, size_t len)
{
	script_happened(kind, "%.*s", (int)len, data);
}

void
steps_receive_line(const char *text, size_t len)
{
	struct str s = STR_INIT;

	str_append(&s, text, len);
	str_append(&s, "\r\n", 2);
	paper_conn_receive(str_text(&s), s.len);
	str_clear(&s);
}

bool
steps_play(const struct script_step *step)
{
	if (strcmp(step->word, "S:") == 0)
		steps_receive_line(step->rest, step->rest_len);
	else if (strcmp(step->word, "S+") == 0)
		paper_conn_receive(step->rest, step->rest_len);
	else if (strcmp(step->word, "C:") == 0 || strcmp(step->word, "O:") == 0 ||
		 strcmp(step->word, "H:") == 0 || strcmp(step->word, "T:") == 0)
		script_expect(step, *step->word);
	else if (strcmp(step->word, "TIME") == 0)
		paper_conn_wait(atol(step->rest));
	else
		return false;
	return true;
}

bool
steps_play_event(const struct script_step *step)
{
	static const struct {
		const char *name;
		enum conn_event event;
	} events[] = {{"connecting", CONN_CONNECTING}, {"connected", CONN_CONNECTED},
	    {"secured", CONN_SECURED}, {"failed", CONN_FAILED}};
	struct verdict why;

	verdict_fail(&why, FAIL_NETWORK, "closed", "the server closed the connection");
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		if (strcmp(step->rest, events[i].name) != 0)
			continue;
		paper_conn_event(events[i].event, events[i].event == CONN_FAILED ? &why : NULL);
		return true;
	}
	return false;
}

void
steps_play_config(const struct script_step *step, steps_set_key *set, void *arg)
{
	char *save = NULL;

	for (char *word = strtok_r(step->rest, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		if (!set(word, value, arg))
			script_complain(step, "no such key: %s", word);
	}
}

bool
steps_set_endpoint_key(struct endpoint_config *endpoint, enum pipelining *pipelining,
    const char *key, const char *value)
{
	if (strcmp(key, "tls") == 0) {
		endpoint->tls = strcmp(value, "none") == 0       ? TLS_NONE
				: strcmp(value, "starttls") == 0 ? TLS_STARTTLS
								 : TLS_IMPLICIT;
	} else if (strcmp(key, "pipelining") == 0) {
		*pipelining = strcmp(value, "on") == 0    ? PIPELINING_ON
			      : strcmp(value, "off") == 0 ? PIPELINING_OFF
							  : PIPELINING_AUTO;
	} else if (strcmp(key, "user") == 0) {
		free(endpoint->user);
		endpoint->user = *value != '\0' ? xstrdup(value) : NULL;
	} else if (strcmp(key, "timeout") == 0) {
		endpoint->timeout = atol(value);
	} else {
		return false;
	}
	return true;
}

bool
steps_finish(const char *file, bool ok)
{
	ok = script_finish(file) == 0 && ok;
	fprintf(stderr, "%s %s\n", ok ? "ok" : "FAILED", file);
	return ok;
}

int
steps_main(int argc, char **argv, const char *protocol, steps_play_file *play)
{
	const char *top = getenv("SRCDIR");
	unsigned failed = 0;
	char pattern[4096];
	glob_t found;

	if (argc > 1)
		return play(argv[1]) ? 0 : 1;
	snprintf(pattern, sizeof pattern, "%s/tests/dialogue/%s-*.txt", top != NULL ? top : ".",
	    protocol);
	if (glob(pattern, 0, NULL, &found) != 0) {
		fprintf(stderr, "no scripts at %s\n", pattern);
		return 1;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		failed += !play(found.gl_pathv[i]);
	printf("%zu scripts played, %u failed\n", found.gl_pathc, failed);
	globfree(&found);
	return failed > 0;
}
