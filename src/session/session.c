#include "session/session.h"

#include "config/config.h"
#include "net/tls_verify.h"

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
