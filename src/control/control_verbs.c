#include "control/control_verbs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "control/control_metrics.h"
#include "control/control_peer.h"
#include "control/control_pending.h"
#include "control/control_private.h"
#include "control/control_queue.h"
#include "control/control_status.h"
#include "control/control_suggest.h"
#include "control/control_watch.h"
#include "deliver/deliverer.h"
#include "fetch/fetcher.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* No verb takes more; a request with more words is told so. */
#define WORDS_MAX 4

struct request {
	struct control *control;
	struct control_client *client;
	char *word[WORDS_MAX]; /* the verb, then its arguments; NULL where there is none */
	size_t words;
};

enum takes {
	TAKES_ACCOUNT,
	TAKES_MESSAGE,
	TAKES_EITHER,
	TAKES_NAME /* the rest of the line is one argument, blanks and all */
};

struct verb {
	const char *name;
	size_t min; /* arguments */
	size_t max;
	enum takes takes;
	bool changes;                    /* needs more than access to the socket */
	void (*serve)(struct request *); /* must lead to one answer */
	const char *arguments;
	const char *help;
};

static void answer_error(struct request *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
answer_error(struct request *r, const char *format, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, format);
	str_vappendf(&text, format, ap);
	va_end(ap);
	control_client_answer(r->client, control_client_error(str_text(&text)));
	str_clear(&text);
}

/* A word of the request, safe to show. */
struct shown {
	char text[128];
};

static struct shown
show(const char *word)
{
	struct shown shown;

	str_escape(shown.text, sizeof shown.text, word, strlen(word));
	return shown;
}

static void
answer_no_account(struct request *r, const char *name)
{
	const struct config *config = r->control->config;
	struct control_suggest suggest = CONTROL_SUGGEST(name);

	for (size_t i = 0; i < config->account_count; i++)
		control_suggest_offer(&suggest, config->accounts[i].name);
	if (suggest.best != NULL)
		answer_error(
		    r, "no account \"%s\"; did you mean \"%s\"?", show(name).text, suggest.best);
	else
		answer_error(r, "no account \"%s\"; `status` names them", show(name).text);
}

/* True when the request may go on: starting something while stopping would come to nothing. */
static bool
still_running(struct request *r)
{
	if (r->control->stopping)
		answer_error(r, "the daemon is stopping");
	return !r->control->stopping;
}

static json_t *
status_json(const struct control *control, const char *only)
{
	const struct control_settings *settings = &control->settings;
	json_t *status = control_client_ok();
	int64_t up = clock_mono() - control->mono_started;

	json_object_set_new(status, "version", control_client_text(settings->version));
	json_object_set_new(status, "pid", json_integer(getpid()));
	json_object_set_new(status, "started", control_status_time(settings->started));
	json_object_set_new(status, "uptime", json_integer(up / 1000));
	json_object_set_new(
	    status, "state", json_string(control->stopping ? "stopping" : "running"));
	json_object_set_new(status, "accounts",
	    control_status_accounts(settings->fetcher, settings->deliverer, control->config, only));
	json_object_set_new(status, "queue", control_status_queue(settings->deliverer));
	json_object_set_new(status, "sessions",
	    control_status_sessions(settings->fetcher, settings->deliverer, only));
	json_object_set_new(status, "loop",
	    json_pack(
		"{s:I}", "lag_max_ms", (json_int_t)settings->calls->lag_max_ms(settings->arg)));
	return status;
}

static void
serve_status(struct request *r)
{
	const char *only = r->word[1];

	if (only != NULL && config_account(r->control->config, only) == NULL)
		answer_no_account(r, only);
	else
		control_client_answer(r->client, status_json(r->control, only));
}

static void
serve_sessions(struct request *r)
{
	const struct control_settings *settings = &r->control->settings;
	json_t *answer = control_client_ok();

	json_object_set_new(answer, "sessions",
	    control_status_sessions(settings->fetcher, settings->deliverer, NULL));
	control_client_answer(r->client, answer);
}

static void
answer_fetcher(struct request *r, enum fetcher_answer answer)
{
	switch (answer) {
	case FETCHER_STARTED:
		control_client_answer(r->client, control_client_ok());
		return;
	case FETCHER_NO_SUCH_ACCOUNT:
		answer_no_account(r, r->word[1] != NULL ? r->word[1] : "");
		return;
	case FETCHER_DISABLED:
		answer_error(r,
		    "account \"%s\" has no pop3 group in the configuration: it fetches nothing",
		    show(r->word[1] != NULL ? r->word[1] : "").text);
		return;
	}
	answer_error(r, "the fetching side gave no answer");
}

static void
serve_poll(struct request *r)
{
	if (still_running(r))
		answer_fetcher(r, fetcher_poll(r->control->settings.fetcher, r->word[1]));
}

/* True when there is a queue to speak of. */
static bool
has_queue(struct request *r)
{
	if (r->control->settings.deliverer == NULL)
		answer_error(r, "this daemon sends nothing: it has no queue");
	return r->control->settings.deliverer != NULL;
}

static void
serve_queue(struct request *r)
{
	if (!has_queue(r))
		return;
	if (r->word[1] != NULL)
		control_queue_show(r->control, r->client, r->word[1]);
	else
		control_queue_list(r->control, r->client);
}

static void
flush_account(struct request *r, const struct account_config *account)
{
	if (account->smtp == NULL) {
		answer_error(r,
		    "account \"%s\" has no smtp group in the configuration: it sends nothing",
		    account->name);
		return;
	}
	deliverer_flush(r->control->settings.deliverer, account->name);
	control_client_answer(r->client, control_client_ok());
}

static void
serve_flush(struct request *r)
{
	const struct account_config *account = NULL;

	if (!has_queue(r) || !still_running(r))
		return;
	if (r->word[1] != NULL)
		account = config_account(r->control->config, r->word[1]);
	if (account != NULL) {
		flush_account(r, account);
	} else if (r->word[1] != NULL) {
		control_queue_flush(r->control, r->client, r->word[1]);
	} else {
		deliverer_flush(r->control->settings.deliverer, NULL);
		control_client_answer(r->client, control_client_ok());
	}
}

static void
change_message(struct request *r, control_queue_call *call)
{
	if (has_queue(r) && still_running(r))
		control_queue_change(r->control, r->client, call, r->word[1]);
}

static void
serve_hold(struct request *r)
{
	change_message(r, outqueue_hold);
}

static void
serve_release(struct request *r)
{
	change_message(r, outqueue_release);
}

static void
serve_remove(struct request *r)
{
	change_message(r, outqueue_remove);
}

/* What is no plain name would lead out of the directory. */
static void
serve_retry(struct request *r)
{
	const char *name = r->word[1];

	if (strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		answer_error(r,
		    "\"%s\" is no file's name; `retry` takes the name that the message has in the "
		    "spool's failed/",
		    show(name).text);
	else
		change_message(r, outqueue_retry);
}

static void
serve_adopt(struct request *r)
{
	bool all = r->words == 3;
	enum fetcher_answer answer;

	if (!still_running(r))
		return;
	if (all && strcmp(r->word[2], "*") != 0) {
		answer_error(r,
		    "\"%s\" is not understood; `adopt ACCOUNT *` marks everything on the server as "
		    "seen, `adopt ACCOUNT` accepts the Maildir",
		    show(r->word[2]).text);
		return;
	}
	answer = control_pending_adopt(r->control, r->client, r->word[1], all);
	if (answer != FETCHER_STARTED)
		answer_fetcher(r, answer);
}

static void
serve_reload(struct request *r)
{
	if (still_running(r))
		control_pending_reload(r->control, r->client);
}

static void
serve_stop(struct request *r)
{
	bool first = !r->control->stopping;

	r->control->stopping = true;
	control_client_answer(r->client, control_client_ok());
	if (first)
		r->control->settings.calls->stop(r->control->settings.arg);
}

static void
serve_version(struct request *r)
{
	json_t *answer = control_client_ok();

	json_object_set_new(answer, "version", control_client_text(r->control->settings.version));
	control_client_answer(r->client, answer);
}

static void
serve_watch(struct request *r)
{
	const char *account = r->word[1];

	if (account != NULL && config_account(r->control->config, account) == NULL)
		answer_no_account(r, account);
	else
		control_watch_start(r->control, r->client, account);
}

static void
serve_metrics(struct request *r)
{
	struct str text = STR_INIT;
	json_t *answer = control_client_ok();

	control_metrics_append(&text, r->control);
	json_object_set_new(answer, "text", control_client_text(str_text(&text)));
	control_client_answer(r->client, answer);
	str_clear(&text);
}

static void serve_help(struct request *r);

static const struct verb verbs[] = {
    {"status", 0, 1, TAKES_ACCOUNT, false, serve_status, "[ACCOUNT]",
	"what the daemon and its accounts are doing, and what troubles them"},
    {"queue", 0, 1, TAKES_MESSAGE, false, serve_queue, "[ID]",
	"the messages that wait to be sent, or one of them"},
    {"sessions", 0, 0, TAKES_ACCOUNT, false, serve_sessions, "",
	"the sessions with servers running now"},
    {"poll", 0, 1, TAKES_ACCOUNT, true, serve_poll, "[ACCOUNT]",
	"fetch from the account (or all accounts) now, whatever the schedule says"},
    {"flush", 0, 1, TAKES_EITHER, true, serve_flush, "[ID|ACCOUNT]",
	"send what waits (all of it, all of an account, or one message) now, whatever the schedule "
	"says"},
    {"hold", 1, 1, TAKES_MESSAGE, true, serve_hold, "ID",
	"keep a message in the queue until it is released"},
    {"release", 1, 1, TAKES_MESSAGE, true, serve_release, "ID", "let a held message go"},
    {"remove", 1, 1, TAKES_MESSAGE, true, serve_remove, "ID",
	"delete a message from the queue, without a report to its sender"},
    {"retry", 1, 1, TAKES_NAME, true, serve_retry, "NAME",
	"send a message in failed/ again, to those whom it did not reach"},
    {"adopt", 1, 2, TAKES_ACCOUNT, true, serve_adopt, "ACCOUNT [*]",
	"accept the account's Maildir as it is; with * mark everything on the server as seen"},
    {"reload", 0, 0, TAKES_ACCOUNT, true, serve_reload, "",
	"read the configuration again; a faulty one is refused and the old one stays"},
    {"stop", 0, 0, TAKES_ACCOUNT, true, serve_stop, "",
	"finish what is under way and end the daemon"},
    {"watch", 0, 1, TAKES_ACCOUNT, false, serve_watch, "[ACCOUNT]",
	"a line for each event from now on, of all accounts or of one"},
    {"metrics", 0, 0, TAKES_ACCOUNT, false, serve_metrics, "",
	"counters and gauges in the exposition format of Prometheus"},
    {"version", 0, 0, TAKES_ACCOUNT, false, serve_version, "", "the daemon's version"},
    {"help", 0, 0, TAKES_ACCOUNT, false, serve_help, "", "this list"},
};

#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static void
serve_help(struct request *r)
{
	json_t *list = json_array();
	json_t *answer = control_client_ok();

	for (size_t i = 0; i < VERB_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s}", "verb", verbs[i].name,
						"arguments", verbs[i].arguments, "changes",
						(int)verbs[i].changes, "help", verbs[i].help));
	json_object_set_new(answer, "verbs", list);
	control_client_answer(r->client, answer);
}

static const struct verb *
find_verb(struct request *r)
{
	struct control_suggest suggest = CONTROL_SUGGEST(r->word[0]);

	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i].name, r->word[0]) == 0)
			return &verbs[i];
		control_suggest_offer(&suggest, verbs[i].name);
	}
	if (suggest.best != NULL)
		answer_error(r, "unknown verb \"%s\"; did you mean \"%s\"?", show(r->word[0]).text,
		    suggest.best);
	else
		answer_error(r, "unknown verb \"%s\"; `help` lists them", show(r->word[0]).text);
	return NULL;
}

static bool
check_arguments(struct request *r, const struct verb *verb)
{
	size_t arguments = r->words - 1;

	if (arguments >= verb->min && arguments <= verb->max)
		return true;
	if (verb->max == 0)
		answer_error(r, "`%s` takes no arguments", verb->name);
	else
		answer_error(r, "`%s` is used as: %s %s", verb->name, verb->name, verb->arguments);
	return false;
}

/* Who changes something stands in the log. */
static void
log_change(const struct request *r, const struct verb *verb, uid_t uid)
{
	static const char *const label[] = {[TAKES_ACCOUNT] = " account=",
	    [TAKES_MESSAGE] = " message=",
	    [TAKES_EITHER] = " of=",
	    [TAKES_NAME] = " name="};
	const char *word = r->word[1];

	log_info("request=%s%s%s uid=%lu", r->word[0], word != NULL ? label[verb->takes] : "",
	    word != NULL ? show(word).text : "", (unsigned long)uid);
}

static bool
check_access(struct request *r, const struct verb *verb)
{
	const struct control_socket *s = &r->control->socket;
	struct control_peer peer;
	bool allowed;

	if (!verb->changes)
		return true;
	allowed = control_peer_read(&peer, control_client_fd(r->client)) &&
		  control_peer_may_change(&peer, geteuid(), s->groups, s->group_count);
	if (allowed)
		log_change(r, verb, peer.uid);
	control_peer_clear(&peer);
	if (!allowed)
		answer_error(r,
		    "`%s` changes something: only root, the daemon's user and the members of the "
		    "control socket's group may",
		    verb->name);
	return allowed;
}

#define BLANKS " \t"

/* Cuts the next word off the line; NULL: there is none. */
static char *
next_word(char **line)
{
	char *word = *line + strspn(*line, BLANKS);
	size_t len = strcspn(word, BLANKS);

	*line = word + len;
	if (**line != '\0')
		*(*line)++ = '\0';
	return len > 0 ? word : NULL;
}

/* Without the blanks around it; NULL: there is nothing else. */
static char *
whole_rest(char *line)
{
	char *word = line + strspn(line, BLANKS);
	size_t len = strlen(word);

	while (len > 0 && strchr(BLANKS, word[len - 1]) != NULL)
		word[--len] = '\0';
	return len > 0 ? word : NULL;
}

/* Counts the words beyond WORDS_MAX too. */
static void
split_arguments(struct request *r, const struct verb *verb, char *line)
{
	char *word;

	if (verb->takes == TAKES_NAME) {
		r->word[1] = whole_rest(line);
		r->words += r->word[1] != NULL;
		return;
	}
	while ((word = next_word(&line)) != NULL) {
		if (r->words < WORDS_MAX)
			r->word[r->words] = word;
		r->words++;
	}
}

void
control_verbs_serve(struct control *control, struct control_client *client, char *line)
{
	struct request r = {.control = control, .client = client};
	const struct verb *verb;

	r.word[0] = next_word(&line);
	if (r.word[0] == NULL) {
		answer_error(&r, "empty request; `help` lists the verbs");
		return;
	}
	r.words = 1;
	verb = find_verb(&r);
	if (verb == NULL)
		return;
	split_arguments(&r, verb, line);
	if (check_arguments(&r, verb) && check_access(&r, verb))
		verb->serve(&r);
}
