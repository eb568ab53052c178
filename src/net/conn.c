#include "net/conn.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/conn_internal.h"
#include "net/connect.h"
#include "net/tls.h"
#include "net/tls_pool.h"
#include "net/transcript.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define PROGRESS_OCTETS (64 * 1024)

/* -- telling the owner ------------------------------------------------------------------------ */

size_t
conn_tell_data(struct conn *c, enum conn_event event, const char *data, size_t len)
{
	const struct conn_info info = {
	    .data = data, .len = len, .why = event == CONN_FAILED ? &c->why : NULL};

	return c->cb(c, event, &info, c->arg);
}

bool
conn_tell(struct conn *c, enum conn_event event)
{
	conn_tell_data(c, event, NULL, 0);
	return !c->dead;
}

void
conn_next_turn(struct conn *c)
{
	static const struct timeval now = {0, 0};

	if (!c->dead)
		event_add(c->turn_event, &now);
}

void
conn_fail(struct conn *c, const struct verdict *why)
{
	if (c->phase == PHASE_OVER || c->dead)
		return;
	c->why = *why;
	c->phase = PHASE_OVER;
	c->tell_failed = true;
	net_drop_step(c->net, &c->step);
	tls_pool_cancel(&c->tls_request);
	conn_io_stop(c);
	event_del(c->timer);
	conn_next_turn(c);
}

void
conn_failf(struct conn *c, enum fail kind, const char *stage, const char *format, ...)
{
	struct verdict why;
	va_list ap;

	va_start(ap, format);
	verdict_vfail(&why, kind, stage, format, ap);
	va_end(ap);
	conn_fail(c, &why);
}

/* -- time ------------------------------------------------------------------------------------- */

/* 0: the silence timeout rests. */
static int64_t
silence_at(const struct conn *c)
{
	if (c->silence <= 0 || c->paused || c->phase == PHASE_CONNECT || c->phase == PHASE_OVER)
		return 0;
	return c->active_at + c->silence;
}

static int64_t
deadline_at(const struct conn *c)
{
	return c->deadline > 0 && c->phase != PHASE_OVER ? c->progress_at + c->deadline : 0;
}

static int64_t
budget_at(const struct conn *c)
{
	return c->phase == PHASE_PROXY ? c->budget_at : 0;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* Times that moved away are noticed when the timer fires; octets need not set it again. */
void
conn_arm_timer(struct conn *c)
{
	int64_t at = earlier(earlier(silence_at(c), deadline_at(c)), budget_at(c));
	int64_t left = at - clock_mono();

	if (at == 0 || c->dead || (c->timer_at != 0 && c->timer_at <= at))
		return;
	if (left < 0)
		left = 0;
	c->timer_at = at;
	event_add(
	    c->timer, &(struct timeval){.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000});
}

static void
fail_silence(struct conn *c)
{
	const char *where = c->phase == PHASE_PROXY       ? "proxy"
			    : c->phase == PHASE_HANDSHAKE ? "handshake"
							  : "timeout";
	const char *what = c->phase == PHASE_PROXY       ? " from the proxy"
			   : c->phase == PHASE_HANDSHAKE ? " in the TLS handshake"
			   : c->octets_in > 0            ? "; it is tried again"
			   : c->tls != NULL              ? "; is it the right port?"
					    : "; does the port want TLS from the start?";

	conn_failf(c, FAIL_NETWORK, where, "%.200s: no answer for %g s%s", c->server,
	    (double)c->silence / 1000, what);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	int64_t now = clock_mono();

	(void)fd;
	(void)what;
	c->timer_at = 0;
	if (silence_at(c) != 0 && now >= silence_at(c))
		fail_silence(c);
	else if (budget_at(c) != 0 && now >= budget_at(c))
		conn_failf(c, FAIL_NETWORK, "proxy", "%.200s: the proxy did not connect in time",
		    c->server);
	else if (deadline_at(c) != 0 && now >= deadline_at(c))
		conn_failf(c, FAIL_NETWORK, "deadline",
		    "%.200s: no command completed and less than 64 KiB moved for %g s", c->server,
		    (double)c->deadline / 1000);
	else
		conn_arm_timer(c);
}

void
conn_count_moved(struct conn *c, size_t octets)
{
	c->active_at = clock_mono();
	c->moved += octets;
	if (c->moved >= PROGRESS_OCTETS)
		conn_progress(c);
}

void
conn_progress(struct conn *c)
{
	c->progress_at = clock_mono();
	c->moved = 0;
}

void
conn_set_silence(struct conn *c, int64_t silence)
{
	c->silence = silence;
	c->active_at = clock_mono();
	conn_arm_timer(c);
}

/* -- life ------------------------------------------------------------------------------------- */

static void
conn_bury(struct net_corpse *corpse)
{
	struct conn *c = (struct conn *)((char *)corpse - offsetof(struct conn, corpse));

	free(c->in.data);
	sendbuf_clear(&c->out);
	free(c->proxied);
	free(c->server);
	free(c);
}

struct conn *
conn_new(struct net *net, const struct conn_settings *settings, conn_cb *cb, void *arg)
{
	struct conn *c = xcalloc(1, sizeof *c);

	c->corpse.bury = conn_bury;
	c->step.run = conn_phase_step;
	c->net = net;
	c->endpoint = settings->endpoint;
	c->transcript = settings->transcript;
	c->cb = cb;
	c->arg = arg;
	c->watch = settings->watch;
	c->server = address_server_name(c->endpoint->host, c->endpoint->port);
	c->line_max = settings->line_max;
	c->fd = -1;
	c->silence = settings->silence;
	c->deadline = settings->deadline;
	c->ack_at_once = settings->ack_at_once;
	c->active_at = clock_mono();
	c->turn_event = evtimer_new(net->base, conn_io_turn_cb, c);
	c->timer = evtimer_new(net->base, timer_cb, c);
	if (c->turn_event == NULL || c->timer == NULL)
		exit(EX_OSERR);
	conn_progress(c);
	conn_phase_start(c, settings->connect_budget);
	conn_arm_timer(c);
	return c;
}

void
conn_free(struct conn **conn)
{
	struct conn *c = *conn;

	*conn = NULL;
	if (c == NULL)
		return;
	c->dead = true;
	net_drop_step(c->net, &c->step);
	tls_pool_cancel(&c->tls_request);
	tls_context_unref(&c->tls_context);
	connect_free(&c->connector);
	conn_io_stop(c);
	event_free(c->turn_event);
	event_free(c->timer);
	tls_free(&c->tls);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	net_bury_later(c->net, &c->corpse);
}

/* -- sending ---------------------------------------------------------------------------------- */

static void
send_octets(struct conn *c, const void *data, size_t len, bool secret)
{
	if (c->phase == PHASE_OVER || c->dead || c->write_ended) {
		c->lost += len;
		return;
	}
	sendbuf_append(&c->out, data, len, secret);
	c->active_at = clock_mono();
	if (!c->working)
		conn_next_turn(c);
}

void
conn_send(struct conn *c, const char *line)
{
	size_t len = strlen(line);

	transcript_sent(c->transcript, line, len);
	send_octets(c, line, len, false);
	send_octets(c, "\r\n", 2, false);
}

void
conn_sendf(struct conn *c, const char *format, ...)
{
	struct str line = STR_INIT;
	va_list ap;

	va_start(ap, format);
	str_vappendf(&line, format, ap);
	va_end(ap);
	conn_send(c, str_text(&line));
	str_clear(&line);
}

void
conn_send_secret(struct conn *c, const char *line, const char *shown)
{
	transcript_sent(c->transcript, shown, strlen(shown));
	send_octets(c, line, strlen(line), true);
	send_octets(c, "\r\n", 2, true);
}

void
conn_send_octets(struct conn *c, const void *data, size_t len)
{
	transcript_octets(c->transcript, true, data, len);
	send_octets(c, data, len, false);
}

size_t
conn_unsent(const struct conn *c)
{
	return sendbuf_len(&c->out) + c->lost;
}

/* -- receiving -------------------------------------------------------------------------------- */

void
conn_expect_lines(struct conn *c)
{
	c->octet_mode = false;
	c->in.scanned = c->in.off;
	if (!c->working)
		conn_next_turn(c);
}

void
conn_expect_octets(struct conn *c)
{
	c->octet_mode = true;
	if (!c->working)
		conn_next_turn(c);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
	if (!c->working)
		conn_next_turn(c);
}

void
conn_resume(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	c->active_at = clock_mono();
	conn_arm_timer(c);
	conn_next_turn(c);
}

void
conn_starttls(struct conn *c)
{
	if (c->phase != PHASE_OPEN || c->tls != NULL)
		return;
	if (sendbuf_len(&c->out) > 0) {
		conn_failf(c, FAIL_TLS, "starttls",
		    "%.200s agreed to TLS before it was asked; that may be an attacker's answer",
		    c->server);
		return;
	}
	c->starttls_wanted = true;
	if (!c->working)
		conn_next_turn(c);
}

/* -- views ------------------------------------------------------------------------------------ */

bool
conn_is_secured(const struct conn *c)
{
	return c->secured;
}

bool
conn_is_loopback(const struct conn *c)
{
	/* Behind a proxy the server may be anywhere. */
	return c->endpoint->proxy == NULL && c->fd >= 0 && address_is_loopback(&c->peer);
}

uint64_t
conn_octets_in(const struct conn *c)
{
	return c->octets_in;
}

uint64_t
conn_octets_out(const struct conn *c)
{
	return c->octets_out;
}

struct ssl_st *
conn_ssl(const struct conn *c)
{
	return c->tls != NULL ? tls_ssl(c->tls) : NULL;
}

void
conn_forget_sessions(struct conn *c)
{
	if (c->tls != NULL)
		tls_forget_sessions(c->tls);
}
