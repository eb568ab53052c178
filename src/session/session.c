#include "session/session.h"

#include "base/str.h"
#include "config/config.h"
#include "net/tls_verify.h"
#include "net/transcript.h"

enum { CONNECT_BUDGET = 60 * 1000 };

int64_t
session_silence(const struct endpoint_config *endpoint, int64_t standard)
{
	return endpoint->timeout > 0 ? endpoint->timeout : standard;
}

struct conn *
session_connect(const struct session_connect *to, conn_cb *cb, void *arg)
{
	const struct conn_settings settings = {
	    .endpoint = to->endpoint,
	    .transcript = to->transcript,
	    .line_max = to->line_max,
	    .silence = session_silence(to->endpoint, to->silence),
	    .connect_budget = session_silence(to->endpoint, CONNECT_BUDGET),
	    .deadline = to->endpoint->deadline,
	    .watch = to->watch,
	    .ack_at_once = to->ack_at_once,
	};

	return conn_new(to->net, &settings, cb, arg);
}

int64_t
session_certificate_end(const struct conn *conn, const struct endpoint_config *endpoint)
{
	struct ssl_st *ssl = conn_ssl(conn);

	return ssl != NULL ? tls_verify_end(ssl, &endpoint->tls_config) : 0;
}

void
session_hang_up(struct conn **conn, struct session_octets *gone)
{
	if (*conn == NULL)
		return;
	*gone = session_octets(*conn, gone);
	conn_free(conn);
}

struct session_octets
session_octets(const struct conn *conn, const struct session_octets *gone)
{
	if (conn == NULL)
		return *gone;
	return (struct session_octets){.in = conn_octets_in(conn), .out = conn_octets_out(conn)};
}

void
session_append_names(struct str *s, unsigned set, const char *(*name)(unsigned one))
{
	size_t start = s->len;

	for (unsigned one = 1; one <= set; one <<= 1)
		if ((set & one) != 0)
			str_appendf(s, "%s%s", s->len > start ? ", " : "", name(one));
}

void
session_note_left_out(
    struct transcript *transcript, unsigned set, const char *(*name)(unsigned one))
{
	struct str names = STR_INIT;

	if (set == 0)
		return;
	session_append_names(&names, set, name);
	transcript_note(transcript, "left out, for the server breaks on it: %s", str_text(&names));
	str_clear(&names);
}
