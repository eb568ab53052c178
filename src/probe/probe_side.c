#include "probe/probe_side.h"

#include "base/clock.h"
#include "config/config.h"

#include <inttypes.h>
#include <string.h>

static const char *const names[PROBE_STEP_COUNT] = {
    [PROBE_SECRET] = "secret",
    [PROBE_NAME] = "name",
    [PROBE_CONNECT] = "connect",
    [PROBE_GREETING] = "greeting",
    [PROBE_TLS] = "tls",
    [PROBE_CAPABILITIES] = "capabilities",
    [PROBE_MECHANISM] = "mechanism",
    [PROBE_LOGIN] = "login",
    [PROBE_MAILBOX] = "mailbox",
    [PROBE_QUIT] = "quit",
};

bool
probe_has_user(const struct probe_side *side)
{
	return side->endpoint->user != NULL;
}

json_t *
probe_facts(const char *key, json_t *value)
{
	json_t *facts = json_object();

	json_object_set_new(facts, key, value);
	return facts;
}

json_t *
probe_text(const char *text)
{
	json_t *string = json_string(text);
	struct str escaped = STR_INIT;

	if (string != NULL)
		return string;
	str_append_escaped(&escaped, text, strlen(text));
	string = json_string(str_text(&escaped));
	str_clear(&escaped);
	return string;
}

/* -- the record -------------------------------------------------------------------------------- */

static void
record(struct probe_side *side, enum probe_step which, bool ok, json_t *facts, const char *text)
{
	json_t *step = facts != NULL ? facts : json_object();
	int64_t now = clock_mono();

	json_object_set_new(step, "step", json_string(names[which]));
	json_object_set_new(step, "ok", json_boolean(ok));
	json_object_set_new(step, "text", probe_text(text));
	if (json_object_get(step, "ms") == NULL)
		json_object_set_new(step, "ms", json_integer(now - side->step_since));
	side->step_since = now;
	json_array_append_new(side->steps, step);
	side->handler->step(step, side->handler->arg);
}

void
probe_pass(struct probe_side *side, enum probe_step which, json_t *facts, const char *format, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	if (side->passed[which] || side->failed) {
		json_decref(facts);
		return;
	}
	side->passed[which] = true;
	va_start(ap, format);
	str_vappendf(&text, format, ap);
	va_end(ap);
	record(side, which, true, facts, str_text(&text));
	str_clear(&text);
}

/* -- which step it was that failed ------------------------------------------------------------- */

/* Where the stage of a verdict says more than how far the side came. */
static const struct {
	const char *stage;
	enum probe_step step;
} stages[] = {
    {"proxy", PROBE_CONNECT},
    {"tls", PROBE_TLS},
    {"handshake", PROBE_TLS},
    {"verify", PROBE_TLS},
    {"greeting", PROBE_GREETING},
    {"capa", PROBE_CAPABILITIES},
    {"ehlo", PROBE_CAPABILITIES},
    {"helo", PROBE_CAPABILITIES},
    {"mechanism", PROBE_MECHANISM},
};

static enum probe_step
next_step(const struct probe_side *side)
{
	static const enum probe_step implicit[] = {PROBE_SECRET, PROBE_NAME, PROBE_CONNECT,
	    PROBE_TLS, PROBE_GREETING, PROBE_CAPABILITIES, PROBE_MECHANISM, PROBE_LOGIN,
	    PROBE_MAILBOX, PROBE_QUIT};

	for (size_t i = 0; i < PROBE_STEP_COUNT; i++) {
		enum probe_step step =
		    side->endpoint->tls == TLS_IMPLICIT ? implicit[i] : (enum probe_step)i;

		if (!side->passed[step])
			return step;
	}
	return PROBE_QUIT;
}

static enum probe_step
failed_step(const struct probe_side *side, const char *stage)
{
	for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
		if (strcmp(stages[i].stage, stage) == 0)
			return stages[i].step;
	return next_step(side);
}

void
probe_fail(struct probe_side *side, const struct verdict *why)
{
	json_t *facts;

	if (side->failed)
		return;
	if (strcmp(why->stage, "proxy") != 0)
		probe_settle_connect(side);
	if (strcmp(why->stage, "mechanism") != 0)
		probe_settle_mechanism(side);
	facts = side->heard.distrusted != NULL ? side->heard.distrusted : json_object();
	side->heard.distrusted = NULL;
	json_object_set_new(facts, "kind", json_string(verdict_kind_name(why->kind)));
	record(side, failed_step(side, why->stage), false, facts, why->text);
	side->failed = true;
}
