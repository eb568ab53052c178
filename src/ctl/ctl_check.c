#include "ctl/ctl_check.h"

#include "base/clock.h"
#include "base/queue.h"
#include "base/xalloc.h"
#include "config/value.h"
#include "ctl/ctl_ask.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_place.h"
#include "ctl/ctl_text.h"
#include "ctl/ctl_time.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { PROBLEMS_MAX = 5, REASON_MAX = 120 };

static const char *const level_name[] = {"OK", "WARNING", "CRITICAL"};

struct problem {
	enum ctl_check_level level;
	char *text;
	TAILQ_ENTRY(problem) link;
};

TAILQ_HEAD(problems, problem);

struct judgement {
	const struct ctl_check_limits *limits;
	int64_t now;
	int64_t oldest;           /* wall ms, of the queue; 0: it is empty */
	struct problems problems; /* the worst first */
	size_t count;
	enum ctl_check_level worst;
};

/* -- problems --------------------------------------------------------------------------------- */

static void note(struct judgement *j, enum ctl_check_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
note(struct judgement *j, enum ctl_check_level level, const char *format, ...)
{
	struct problem *problem = xcalloc(1, sizeof *problem), *other;
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, format);
	str_vappendf(&text, format, ap);
	va_end(ap);
	problem->level = level;
	problem->text = str_take(&text);
	j->worst = level > j->worst ? level : j->worst;
	j->count++;
	TAILQ_FOREACH (other, &j->problems, link) {
		if (other->level >= level)
			continue;
		TAILQ_INSERT_BEFORE(other, problem, link);
		return;
	}
	TAILQ_INSERT_TAIL(&j->problems, problem, link);
}

/* What a bar would mean to who reads the line, it must not: the numbers follow it. */
static void
append_safe(struct str *s, const char *text)
{
	size_t from = s->len;

	ctl_text_append(s, text, false);
	for (size_t i = from; i < s->len; i++)
		if (s->data[i] == '|')
			s->data[i] = '/';
}

static void
append_problems(struct judgement *j, struct str *s)
{
	const char *between = ": ";
	struct problem *problem;
	size_t shown = 0;

	while ((problem = TAILQ_FIRST(&j->problems)) != NULL) {
		TAILQ_REMOVE(&j->problems, problem, link);
		if (shown++ < PROBLEMS_MAX) {
			str_append_text(s, between);
			append_safe(s, problem->text);
			between = "; ";
		}
		free(problem->text);
		free(problem);
	}
	if (shown > PROBLEMS_MAX)
		str_appendf(s, "; and %zu more", shown - PROBLEMS_MAX);
}

/* -- judging ---------------------------------------------------------------------------------- */

static bool
is_state(const json_t *side, const char *state)
{
	const char *is = ctl_json_text(side, "state");

	return is != NULL && strcmp(is, state) == 0;
}

static void
judge_failing(struct judgement *j, const char *what, const json_t *side)
{
	const char *reason = ctl_json_text(json_object_get(side, "last_error"), "text");
	int64_t since = 0;
	bool is_old =
	    ctl_json_time(side, "failing_since", &since) && j->now - since > j->limits->max_age;
	struct str span = STR_INIT;
	char *cut = xstrdup(reason != NULL ? reason : "the daemon does not say why");

	ctl_text_cut(cut, REASON_MAX);
	if (is_state(side, "blocked")) {
		note(j, CTL_CHECK_TROUBLE, "%s is blocked: %s", what, cut);
	} else if (is_old) {
		ctl_time_append_span(&span, j->now - since);
		note(j, CTL_CHECK_TROUBLE, "%s has not worked for %s: %s", what, str_text(&span),
		    cut);
	} else {
		note(j, CTL_CHECK_WARNING, "%s fails: %s", what, cut);
	}
	str_clear(&span);
	free(cut);
}

static void
judge_certificate(struct judgement *j, const json_t *side)
{
	const char *server = ctl_json_text(side, "server");
	struct str span = STR_INIT;
	int64_t ends;

	if (!ctl_json_time(side, "certificate_expires", &ends) ||
	    ends - j->now >= CTL_CERTIFICATE_SOON)
		return;
	ctl_time_append_until(&span, j->now, ends);
	note(j, CTL_CHECK_WARNING, "the certificate of %s ends %s",
	    server != NULL ? server : "the server", str_text(&span));
	str_clear(&span);
}

static void
judge_side(struct judgement *j, const char *account, const json_t *side, bool sends)
{
	char *what = xasprintf("%s %s", sends ? "sending for" : "fetching for", account);
	struct str span = STR_INIT;
	int64_t due;

	if (is_state(side, "blocked") || ctl_json_number(side, "failures") > 0) {
		judge_failing(j, what, side);
	} else if (is_state(side, "idle") && ctl_json_time(side, "next_attempt", &due) &&
		   j->now - due > j->limits->max_age) {
		ctl_time_append_span(&span, j->now - due);
		note(j, CTL_CHECK_TROUBLE, "%s is overdue for %s", what, str_text(&span));
	}
	judge_certificate(j, side);
	str_clear(&span);
	free(what);
}

static void
judge_accounts(struct judgement *j, const json_t *accounts)
{
	const json_t *account;
	size_t i;

	json_array_foreach(accounts, i, account)
	{
		const char *name = ctl_json_text(account, "name");

		name = name != NULL ? name : "-";
		judge_side(j, name, json_object_get(account, "pop3"), false);
		judge_side(j, name, json_object_get(account, "smtp"), true);
	}
}

static void
judge_queue(struct judgement *j, const json_t *queue)
{
	long long failed = ctl_json_number(queue, "failed"), held = ctl_json_number(queue, "held");
	int64_t age = j->oldest != 0 ? j->now - j->oldest : 0;
	struct str span = STR_INIT;

	if (age > j->limits->max_queued) {
		ctl_time_append_span(&span, age);
		note(j, age / 2 > j->limits->max_queued ? CTL_CHECK_TROUBLE : CTL_CHECK_WARNING,
		    "the oldest message has been in the queue for %s", str_text(&span));
	}
	if (failed > 0)
		note(j, CTL_CHECK_WARNING, "%lld message%s in failed/", failed,
		    failed == 1 ? "" : "s");
	if (held > 0)
		note(
		    j, CTL_CHECK_WARNING, "%lld message%s held", held, held == 1 ? " is" : "s are");
	str_clear(&span);
}

static void
append_numbers(const struct judgement *j, struct str *s, const json_t *answer)
{
	const json_t *queue = json_object_get(answer, "queue");
	long long age = j->oldest != 0 && j->now > j->oldest ? (j->now - j->oldest) / 1000 : 0;

	str_appendf(s, " | accounts=%zu queued=%lld oldest=%llds;%lld;%lld failed=%lld",
	    json_array_size(json_object_get(answer, "accounts")),
	    (long long)ctl_json_number(queue, "messages"), age,
	    (long long)(j->limits->max_queued / 1000),
	    (long long)(2 * (j->limits->max_queued / 1000)),
	    (long long)ctl_json_number(queue, "failed"));
}

enum ctl_check_level
ctl_check_append(
    struct str *s, const json_t *answer, const struct ctl_check_limits *limits, int64_t now)
{
	struct judgement j = {.limits = limits, .now = now};
	const json_t *accounts = json_object_get(answer, "accounts");
	const json_t *queue = json_object_get(answer, "queue");
	size_t count = json_array_size(accounts);

	TAILQ_INIT(&j.problems);
	(void)ctl_json_time(queue, "oldest", &j.oldest);
	if (is_state(answer, "stopping"))
		note(&j, CTL_CHECK_WARNING, "the daemon is stopping");
	if (!json_is_array(accounts))
		note(&j, CTL_CHECK_TROUBLE, "the daemon's answer is not understood");
	judge_accounts(&j, accounts);
	judge_queue(&j, queue);
	str_appendf(s, "postrider %s", level_name[j.worst]);
	if (j.count == 0)
		str_appendf(s, ": %zu account%s, %lld in the queue", count, count == 1 ? "" : "s",
		    (long long)ctl_json_number(queue, "messages"));
	append_problems(&j, s);
	append_numbers(&j, s, answer);
	return j.worst;
}

/* -- the command ------------------------------------------------------------------------------ */

/* "1h", or seconds. */
static bool
parse_span(const char *text, int64_t *ms)
{
	char *end;
	long long seconds;

	if (value_duration(text, ms))
		return *ms > 0;
	errno = 0;
	seconds = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || seconds <= 0 ||
	    seconds > INT64_MAX / 4000)
		return false;
	*ms = seconds * 1000;
	return true;
}

static int
parse(int argc, char **argv, struct ctl_check_limits *limits)
{
	static const struct option list[] = {
	    {"max-age", required_argument, NULL, 'a'},
	    {"max-queued", required_argument, NULL, 'q'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option != 'a' && option != 'q')
			return ctl_call_usage("check", CTL_CHECK_OPERANDS);
		if (parse_span(optarg, option == 'a' ? &limits->max_age : &limits->max_queued))
			continue;
		ctl_call_complain("\"%s\" is no time; it is seconds, or 90s, 5m, 2h, 1d", optarg);
		return EX_USAGE;
	}
	return optind < argc ? ctl_call_usage("check", CTL_CHECK_OPERANDS) : EX_OK;
}

/* Prints the line. */
static int
say(const struct str *line, int level, bool json)
{
	json_t *answer =
	    json_pack("{s:b, s:i, s:s}", "ok", 1, "level", level, "text", str_text(line));
	char *text = json ? json_dumps(answer, JSON_COMPACT) : NULL;

	printf("%s\n", text != NULL ? text : str_text(line));
	free(text);
	json_decref(answer);
	return level;
}

/* For a monitor it is all the same what keeps the daemon from answering, but for the words. */
static int
say_unreachable(const struct ctl_places *places, int code, bool json)
{
	const char *why = "no daemon answers on";
	struct str s = STR_INIT;

	if (code == EX_NOPERM)
		why = "may not connect to";
	else if (code == EX_PROTOCOL)
		why = "no postriderd is what answers on";
	str_appendf(&s, "postrider %s: ", level_name[CTL_CHECK_TROUBLE]);
	if (places->count == 0)
		str_append_text(&s, "the configuration cannot be used");
	for (size_t i = 0; i < places->count; i++) {
		str_appendf(&s, "%s ", i == 0 ? why : " or");
		append_safe(&s, places->path[i]);
	}
	code = say(&s, CTL_CHECK_TROUBLE, json);
	str_clear(&s);
	return code;
}

static int
judge(const struct str *line, const struct ctl_check_limits *limits, bool json)
{
	json_t *answer = json_loadb(str_text(line), line->len, 0, NULL);
	struct str s = STR_INIT;
	int code = ctl_check_append(&s, answer, limits, clock_wall());

	code = say(&s, code, json);
	json_decref(answer);
	str_clear(&s);
	return code;
}

int
ctl_check_run(const struct ctl_call *call, int argc, char **argv)
{
	struct ctl_check_limits limits = {60 * 60 * 1000, 4 * 60 * 60 * 1000};
	struct ctl_places places = {0};
	struct str line = STR_INIT;
	int code = parse(argc, argv, &limits);

	if (code != EX_OK)
		return code;
	code = ctl_place_find(&places, call->socket, call->config);
	if (code == EX_OK)
		code = ctl_ask(&places, "status", false, &line);
	if (code == EX_OK)
		code = judge(&line, &limits, call->json);
	else
		code = say_unreachable(&places, code, call->json);
	ctl_place_clear(&places);
	str_clear(&line);
	return code;
}
