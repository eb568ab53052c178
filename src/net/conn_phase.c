#include "net/conn_internal.h"

#include "base/clock.h"
#include "base/secret.h"
#include "config/config.h"
#include "net/connect.h"
#include "net/tls.h"
#include "net/tls_pool.h"
#include "net/transcript.h"

#include <string.h>

/* -- connecting ------------------------------------------------------------------------------- */

static void
show_course(struct conn *c, const struct connector *connector)
{
	struct connect_course course;

	if (c->watch == NULL || c->watch->reached == NULL)
		return;
	connect_describe_course(connector, &course);
	c->watch->reached(&course, c->watch->arg);
}

static void
on_connector(struct connector *connector, enum connector_event event, void *arg)
{
	struct conn *c = arg;

	switch (event) {
	case CONNECTOR_STARTED:
		c->tell_connecting = true;
		break;
	case CONNECTOR_DONE:
		show_course(c, connector);
		c->fd = connect_take(connector, &c->peer);
		break;
	case CONNECTOR_FAILED:
		show_course(c, connector);
		conn_fail(c, connect_why(connector));
		return;
	}
	conn_next_turn(c);
}

static void
on_tls_ready(struct tls_context *context, const struct verdict *why, void *arg)
{
	struct conn *c = arg;

	c->tls_request = NULL;
	c->tls_context = context;
	c->tls_why = *why;
	if (c->phase == PHASE_HANDSHAKE)
		net_queue_step(c->net, &c->step);
}

static void
ask_for_tls(struct conn *c)
{
	c->tls_request = tls_pool_ask(c->net->tls, &c->endpoint->tls_config, on_tls_ready, c);
}

void
conn_phase_start(struct conn *c, int64_t budget)
{
	const struct proxy_config *proxy = c->endpoint->proxy;
	const struct connector_settings settings = {
	    .base = c->net->base,
	    .resolver = c->net->resolver,
	    .winners = c->net->winners,
	    .host = proxy != NULL ? proxy->host : c->endpoint->host,
	    .port = proxy != NULL ? proxy->port : c->endpoint->port,
	    .family = c->endpoint->family,
	    .bind = c->endpoint->bind,
	    .budget = budget,
	};

	c->phase = PHASE_CONNECT;
	c->budget_at = budget > 0 ? clock_mono() + budget : 0;
	c->connector = connect_new(&settings, on_connector, c);
	/* The CA certificates may be read while the server is looked for. */
	if (c->endpoint->tls != TLS_NONE)
		ask_for_tls(c);
}

/* -- the proxy -------------------------------------------------------------------------------- */

static void
fail_proxy(struct conn *c, const struct verdict *why)
{
	conn_failf(c, why->kind, why->stage, "%.200s: %s", c->server, why->text);
}

static void
send_to_proxy(struct conn *c, struct str *send)
{
	sendbuf_append(&c->out, send->data, send->len, true);
	if (send->data != NULL)
		secret_wipe(send->data, send->cap);
	str_clear(send);
	conn_next_turn(c);
}

static void
begin_proxy(struct conn *c)
{
	const struct proxy_config *proxy = c->endpoint->proxy;
	struct str send = STR_INIT;
	struct verdict why;

	c->phase = PHASE_PROXY;
	c->proxied = address_ascii_host(c->endpoint->host);
	if (c->proxied == NULL) {
		conn_failf(
		    c, FAIL_CONFIG, "proxy", "%.200s: host is not a possible name", c->server);
		return;
	}
	c->socks5 = (struct socks5){.host = c->proxied,
	    .port = c->endpoint->port,
	    .user = proxy->user,
	    .password = proxy->password};
	if (!socks5_start(&c->socks5, &send, &why)) {
		fail_proxy(c, &why);
		return;
	}
	send_to_proxy(c, &send);
	conn_arm_timer(c);
}

static void
on_reached(struct conn *c)
{
	c->phase = PHASE_OPEN;
	c->tell_connected = true;
	conn_arm_timer(c);
	conn_next_turn(c);
}

void
conn_phase_on_proxy(struct conn *c)
{
	struct str send = STR_INIT;
	struct verdict why;
	size_t used;
	enum socks5_result result = socks5_feed(&c->socks5, (const uint8_t *)c->in.data + c->in.off,
	    c->in.len - c->in.off, &used, &send, &why);

	c->in.off += used;
	c->in.scanned = c->in.off;
	send_to_proxy(c, &send);
	if (result == SOCKS5_FAILED) {
		fail_proxy(c, &why);
	} else if (result == SOCKS5_DONE && sendbuf_len(&c->out) > 0) {
		/* What was meant for the proxy must not go to the server. */
		verdict_fail(
		    &why, FAIL_PROTOCOL, "proxy", "the proxy answered before it was asked");
		fail_proxy(c, &why);
	} else if (result == SOCKS5_DONE) {
		transcript_note(c->transcript, "the proxy connected to %s", c->server);
		c->octets_in = c->in.len - c->in.off; /* the server's already */
		on_reached(c);
	}
}

/* -- TLS -------------------------------------------------------------------------------------- */

void
conn_phase_begin_tls(struct conn *c)
{
	c->phase = PHASE_HANDSHAKE;
	c->starttls_wanted = false;
	c->active_at = clock_mono();
	conn_io_await(c, false, false);
	conn_arm_timer(c);
	if (c->in.off < c->in.len) {
		conn_failf(c, FAIL_TLS, "starttls",
		    "%.200s sent %zu octets in clear before TLS began; they may be an attacker's",
		    c->server, c->in.len - c->in.off);
		return;
	}
	if (c->tls_context == NULL && c->tls_request == NULL && c->tls_why.kind == FAIL_NONE)
		ask_for_tls(c);
	if (c->tls_request == NULL)
		net_queue_step(c->net, &c->step);
}

/* The context is there, or is known not to be. */
static bool
make_tls(struct conn *c)
{
	const struct tls_settings settings = {
	    .config = &c->endpoint->tls_config,
	    .context = c->tls_context,
	    .sessions = c->net->sessions,
	    .host = c->endpoint->host,
	    .server = c->server,
	    .starttls = c->endpoint->tls != TLS_IMPLICIT,
	    .fd = c->fd,
	};
	struct verdict why;

	if (c->tls_context == NULL) {
		conn_fail(c, &c->tls_why);
		return false;
	}
	c->tls_context = NULL;
	c->tls = tls_new(&settings, &why);
	if (c->tls == NULL)
		conn_fail(c, &why);
	return c->tls != NULL;
}

static void
on_secured(struct conn *c)
{
	struct str text = STR_INIT;

	tls_describe(c->tls, &text);
	transcript_note(c->transcript, "%s", str_text(&text));
	str_clear(&text);
	c->phase = PHASE_OPEN;
	c->secured = true;
	if (c->watch != NULL && c->watch->secured != NULL)
		c->watch->secured(tls_ssl(c->tls), c->watch->arg);
	conn_next_turn(c);
	conn_tell(c, CONN_SECURED);
}

static void
show_distrusted(const struct conn *c)
{
	const struct x509_st *certificate = tls_certificate(c->tls);

	if (certificate != NULL && c->watch != NULL && c->watch->distrusted != NULL)
		c->watch->distrusted(certificate, c->watch->arg);
}

void
conn_phase_step(struct net_step *step)
{
	struct conn *c = (struct conn *)((char *)step - offsetof(struct conn, step));
	struct verdict why;

	if (c->phase != PHASE_HANDSHAKE || (c->tls == NULL && !make_tls(c)))
		return;
	c->active_at = clock_mono();
	switch (tls_handshake(c->tls, &why)) {
	case TLS_WANT_READ:
		conn_io_await(c, true, false);
		break;
	case TLS_WANT_WRITE:
		conn_io_await(c, false, true);
		break;
	case TLS_DONE:
		on_secured(c);
		break;
	case TLS_CLOSED:
	case TLS_FAILED:
		show_distrusted(c);
		conn_fail(c, &why);
		break;
	}
}

/* -- what became due -------------------------------------------------------------------------- */

static void
on_socket(struct conn *c)
{
	char text[ADDRESS_TEXT_SIZE];

	connect_free(&c->connector);
	c->active_at = clock_mono();
	conn_io_start(c);
	transcript_note(c->transcript, "connected to %s%s", address_format(&c->peer, true, text),
	    c->endpoint->proxy != NULL ? " (SOCKS5 proxy)" : "");
	if (c->endpoint->proxy != NULL)
		begin_proxy(c);
	else
		on_reached(c);
}

static bool
tell_connected(struct conn *c)
{
	c->tell_connected = false;
	if (c->endpoint->tls == TLS_IMPLICIT)
		conn_phase_begin_tls(c);
	return conn_tell(c, CONN_CONNECTED);
}

bool
conn_phase_advance(struct conn *c)
{
	if (c->tell_connecting) {
		c->tell_connecting = false;
		if (!conn_tell(c, CONN_CONNECTING))
			return false;
	}
	if (c->tell_failed) {
		c->tell_failed = false;
		conn_tell(c, CONN_FAILED);
		return false;
	}
	if (c->phase == PHASE_CONNECT && c->fd >= 0)
		on_socket(c);
	if (c->tell_connected && !tell_connected(c))
		return false;
	return c->phase == PHASE_OPEN || c->phase == PHASE_PROXY;
}
