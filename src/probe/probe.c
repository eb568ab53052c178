#include "probe/probe.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/smtp_session.h"
#include "fetch/features.h"
#include "fetch/pop3_session.h"
#include "net/address.h"
#include "net/net.h"
#include "net/session_id.h"
#include "net/transcript.h"
#include "probe/probe_side.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Lives for one probe_account(). */
struct probe {
	struct event_base *base;
	struct net *net;
	struct vault *vault;
	const struct account_config *account;
	const struct probe_handler *handler;
	char host[256];          /* of this machine, for EHLO */
	struct probe_side *side; /* the one under way */
};

static void
end_side(struct probe *p)
{
	p->side->over = true;
	event_base_loopbreak(p->base);
}

/* -- POP3 -------------------------------------------------------------------------------------- */

/* What is trouble here may be none for the daemon. */
static void
fail_pop3(struct probe_side *side, const struct verdict *why)
{
	unsigned suspect = pop3_session_suspect(side->pop3);
	struct verdict told = *why;
	size_t len = strlen(told.text);

	if (suspect != 0)
		snprintf(told.text + len, sizeof told.text - len,
		    "; the daemon tries it without %s", features_name(suspect));
	probe_fail(side, &told);
}

/* As for the daemon, a server that closes instead of answering QUIT does no harm here. */
static void
on_pop3_closed(const struct verdict *why, bool quit_ok, void *arg)
{
	struct probe *p = arg;
	struct probe_side *side = p->side;

	if (quit_ok || (side->passed[PROBE_MAILBOX] && why->kind == FAIL_NETWORK))
		probe_pass_quit(side);
	else
		fail_pop3(side, why);
	end_side(p);
}

static const struct pop3_handler pop3_handler = {
    .closed = on_pop3_closed, /* a session that only counts calls no other */
};

static void
start_pop3(struct probe *p)
{
	struct probe_side *side = p->side;
	const struct pop3_session_settings settings = {
	    .base = p->base,
	    .net = p->net,
	    .config = p->account->pop3,
	    .transcript = side->transcript,
	    .secret = side->secret,
	    .deriver = vault_deriver(p->vault),
	    .count_only = true,
	    .watch = &side->watch,
	};

	side->pop3 = pop3_session_new(&settings, &pop3_handler, p);
}

/* -- SMTP -------------------------------------------------------------------------------------- */

static void
on_ready(void *arg)
{
	struct probe *p = arg;

	probe_pass_login(p->side);
	probe_pass_smtp(p->side);
	smtp_session_quit(p->side->smtp);
}

static bool
on_next(const struct smtp_message **message, void *arg)
{
	(void)message;
	(void)arg;
	return false;
}

static void
on_idle(void *arg)
{
	(void)arg;
}

static void
on_smtp_closed(const struct verdict *why, bool slow, void *arg)
{
	struct probe *p = arg;

	(void)slow;
	if (why->kind == FAIL_NONE)
		probe_pass_quit(p->side);
	else
		probe_fail(p->side, why);
	end_side(p);
}

static const struct smtp_handler smtp_handler = {
    .ready = on_ready,
    .next = on_next,
    .idle = on_idle,
    .closed = on_smtp_closed, /* no message is given, so nothing else is ever asked */
};

static void
start_smtp(struct probe *p)
{
	struct probe_side *side = p->side;
	const struct smtp_config *config = p->account->smtp;
	const struct smtp_session_settings settings = {
	    .base = p->base,
	    .net = p->net,
	    .config = config,
	    .transcript = side->transcript,
	    .secret = side->secret,
	    .deriver = vault_deriver(p->vault),
	    .helo = config->helo != NULL ? config->helo : p->host,
	    .watch = &side->watch,
	};

	side->smtp = smtp_session_new(&settings, &smtp_handler, p);
}

/* -- one side ---------------------------------------------------------------------------------- */

static void
start_session(struct probe *p)
{
	struct probe_side *side = p->side;
	char id[SESSION_ID_SIZE];
	const struct transcript_settings log = {
	    .account = p->account->name,
	    .protocol = side->protocol,
	    .server = side->server,
	    .id = session_id_next(id),
	    .tap = probe_on_line,
	    .tap_arg = side,
	};

	side->transcript = transcript_open(p->base, NULL, &log);
	if (strcmp(side->protocol, "pop3") == 0)
		start_pop3(p);
	else
		start_smtp(p);
}

/* Where it came from, never what it is; the words of a command may be secret, too. */
static void
pass_secret(struct probe_side *side)
{
	const struct secret_source *source = &side->endpoint->secret;

	switch (source->kind) {
	case SECRET_PASSWORD:
		probe_pass(side, PROBE_SECRET, NULL, "the password of the configuration");
		break;
	case SECRET_PASSWORD_FILE:
		probe_pass(side, PROBE_SECRET, NULL, "from password_file %s", source->path);
		break;
	case SECRET_PASSWORD_COMMAND:
		probe_pass(side, PROBE_SECRET, NULL, "from password_command");
		break;
	case SECRET_CREDENTIAL:
		probe_pass(side, PROBE_SECRET, NULL, "from credential %s", source->value);
		break;
	case SECRET_TOKEN_COMMAND:
		probe_pass(side, PROBE_SECRET, NULL, "a token from token_command");
		break;
	case SECRET_NONE:
		break;
	}
}

static void
on_secret(struct secret *secret, const struct verdict *why, void *arg)
{
	struct probe *p = arg;

	p->side->secret_request = NULL;
	p->side->secret = secret;
	if (secret == NULL) {
		probe_fail(p->side, why);
		end_side(p);
		return;
	}
	pass_secret(p->side);
	start_session(p);
}

static void
start_side(struct probe *p)
{
	const struct secret_source *source = &p->side->endpoint->secret;

	p->side->step_since = clock_mono();
	if (probe_has_user(p->side) && source->kind != SECRET_NONE) {
		p->side->secret_request = vault_get(p->vault, source, on_secret, p);
		return;
	}
	p->side->passed[PROBE_SECRET] = true;
	start_session(p);
}

static void
clear_side(struct probe_side *side)
{
	vault_cancel(&side->secret_request);
	pop3_session_free(&side->pop3);
	smtp_session_free(&side->smtp);
	transcript_close(&side->transcript);
	secret_unref(&side->secret);
	probe_heard_clear(&side->heard);
	json_decref(side->steps);
}

/* {"ok","server","steps"} of one side, a new reference. */
static json_t *
run_side(struct probe *p, const char *protocol, const struct endpoint_config *endpoint)
{
	struct probe_side side = {
	    .handler = p->handler,
	    .protocol = protocol,
	    .endpoint = endpoint,
	    .steps = json_array(),
	    .over = endpoint == NULL,
	    .heard = {.capabilities = json_array()},
	};
	json_t *result;

	p->side = &side;
	side.watch =
	    (struct conn_watch){probe_on_reached, probe_on_secured, probe_on_distrusted, &side};
	if (endpoint != NULL)
		address_server_text(
		    side.server, sizeof side.server, endpoint->host, endpoint->port);
	p->handler->side(protocol, endpoint != NULL ? side.server : NULL, p->handler->arg);
	if (endpoint != NULL)
		start_side(p);
	while (!side.over && event_base_loop(p->base, EVLOOP_ONCE) == 0)
		continue;
	result = json_pack("{sb so sO}", "ok", !side.failed, "server",
	    endpoint != NULL ? probe_text(side.server) : json_null(), "steps", side.steps);
	clear_side(&side);
	return result;
}

json_t *
probe_account(const struct account_config *account, const struct probe_handler *handler)
{
	struct probe p = {.base = event_base_new(), .account = account, .handler = handler};
	json_t *pop3, *smtp;
	bool ok;

	if (p.base == NULL)
		exit(EX_OSERR);
	if (gethostname(p.host, sizeof p.host - 1) < 0)
		snprintf(p.host, sizeof p.host, "localhost");
	p.net = net_new(p.base);
	p.vault = vault_new(p.base);
	pop3 = run_side(&p, "pop3", account->pop3 != NULL ? &account->pop3->endpoint : NULL);
	smtp = run_side(&p, "smtp", account->smtp != NULL ? &account->smtp->endpoint : NULL);
	ok = json_is_true(json_object_get(pop3, "ok")) && json_is_true(json_object_get(smtp, "ok"));
	vault_free(&p.vault);
	net_free(&p.net);
	event_base_free(p.base);
	libevent_global_shutdown();
	return json_pack(
	    "{sb ss so so}", "ok", ok, "account", account->name, "pop3", pop3, "smtp", smtp);
}
