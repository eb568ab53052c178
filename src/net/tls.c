#include "net/tls.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "net/address.h"
#include "net/tls_pool.h"
#include "net/tls_sessions.h"
#include "net/tls_store.h"
#include "net/tls_verify.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

/* Owned by whoever called tls_new(). */
struct tls {
	struct tls_settings settings;
	SSL *ssl;
	char *name;   /* the one that must be in the certificate */
	char *server; /* "host:port" */
	char *key;    /* of its sessions: server, name and settings */
	struct tls_fault fault;
	SSL_SESSION *early; /* came before the peer was verified */
	bool verified;
	bool broken; /* nothing may be written any more */
};

/* -- sessions --------------------------------------------------------------------------------- */

/* Returns 1 when the reference was kept (SSL_CTX_sess_set_new_cb(3)). */
static int
new_session_cb(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_get_app_data(ssl);

	if (t->verified) {
		tls_sessions_put(t->settings.sessions, t->key, session);
		return 0;
	}
	SSL_SESSION_free(t->early);
	t->early = session;
	return 1;
}

static void
offer_session(struct tls *t)
{
	SSL_SESSION *session = tls_sessions_take(t->settings.sessions, t->key);

	if (session == NULL)
		return;
	SSL_set_session(t->ssl, session);
	SSL_SESSION_free(session);
}

void
tls_forget_sessions(struct tls *t)
{
	tls_sessions_drop(t->settings.sessions, t->key);
}

static void
keep_sessions(struct tls *t)
{
	SSL_SESSION *session;

	if (t->early != NULL)
		tls_sessions_put(t->settings.sessions, t->key, t->early);
	SSL_SESSION_free(t->early);
	t->early = NULL;
	if (SSL_version(t->ssl) >= TLS1_3_VERSION)
		return;
	session = SSL_get1_session(t->ssl);
	if (session != NULL)
		tls_sessions_put(t->settings.sessions, t->key, session);
	SSL_SESSION_free(session);
}

/* -- life ------------------------------------------------------------------------------------- */

static int
verify_cb(int good, X509_STORE_CTX *chain)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);

	if (!good)
		tls_verify_note_fault(&t->fault, chain);
	return good;
}

static bool
prepare(struct tls *t, struct verdict *why)
{
	SSL_CTX *context = tls_context_ssl(t->settings.context);

	SSL_CTX_sess_set_new_cb(context, new_session_cb);
	t->ssl = SSL_new(context);
	if (t->ssl == NULL || SSL_set_fd(t->ssl, t->settings.fd) != 1)
		return verdict_fail(
		    why, FAIL_LOCAL, "tls", "%.200s: OpenSSL gives no connection", t->server);
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	SSL_set_verify(t->ssl, SSL_VERIFY_PEER, verify_cb);
	if (!tls_verify_prepare(t->ssl, t->settings.config, t->name, why))
		return false;
	offer_session(t);
	return true;
}

struct tls *
tls_new(const struct tls_settings *settings, struct verdict *why)
{
	struct tls *t = xcalloc(1, sizeof *t);
	const char *name = settings->config->server_name;

	t->settings = *settings;
	t->server = xstrdup(settings->server);
	t->name = address_ascii_host(name != NULL ? name : settings->host);
	if (t->name == NULL) {
		verdict_fail(why, FAIL_CONFIG, "tls", "tls_server_name is not a possible name");
		tls_free(&t);
		return NULL;
	}
	t->key = xasprintf("%s|%s|%s", t->server, t->name, tls_context_key(settings->context));
	ERR_clear_error();
	if (!prepare(t, why))
		tls_free(&t);
	return t;
}

void
tls_free(struct tls **tls)
{
	struct tls *t = *tls;

	*tls = NULL;
	if (t == NULL)
		return;
	if (t->verified && !t->broken)
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	SSL_SESSION_free(t->early);
	tls_verify_clear_fault(&t->fault);
	tls_context_unref(&t->settings.context);
	free(t->name);
	free(t->server);
	free(t->key);
	free(t);
	ERR_clear_error();
}

/* -- what went wrong -------------------------------------------------------------------------- */

static enum tls_result
failed(struct tls *t, struct verdict *why, const char *stage, const char *text)
{
	verdict_fail(why, FAIL_TLS, stage, "%.200s %s", t->server, text);
	ERR_clear_error();
	return TLS_FAILED;
}

static bool
is_not_tls(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_UNKNOWN_PROTOCOL ||
	       reason == SSL_R_HTTP_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
	       reason == SSL_R_UNEXPECTED_MESSAGE || reason == SSL_R_WRONG_SSL_VERSION;
}

static bool
is_old_protocol(int reason)
{
	return reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW ||
	       reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION ||
	       reason == SSL_R_NO_PROTOCOLS_AVAILABLE;
}

/* What a person can do about an error of the library (ERR_LIB_SSL), NULL when nothing special. */
static const char *
advice(const struct tls *t, int reason)
{
	if (is_not_tls(reason))
		return t->settings.starttls ? "agreed to TLS and then did not speak it"
					    : "does not speak TLS on this port; try tls = "
					      "\"starttls\" or another port";
	if (is_old_protocol(reason))
		return "speaks no version of TLS that tls_min and this machine's OpenSSL policy "
		       "allow";
	if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
		return "wants a client certificate; set tls_cert and tls_key";
	return NULL;
}

static enum tls_result
library_failed(struct tls *t, struct verdict *why, const char *stage)
{
	unsigned long code = ERR_peek_error();
	const char *text =
	    ERR_GET_LIB(code) == ERR_LIB_SSL ? advice(t, ERR_GET_REASON(code)) : NULL;
	char reason[160], whole[200];

	t->broken = true;
	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return TLS_CLOSED;
	if (text != NULL)
		return failed(t, why, stage, text);
	snprintf(whole, sizeof whole, "broke TLS: %s", tls_store_error(reason, sizeof reason));
	return failed(t, why, stage, whole);
}

static enum tls_result
system_failed(struct tls *t, int error, struct verdict *why, const char *stage)
{
	t->broken = true;
	verdict_fail(why, FAIL_NETWORK, stage, "%.200s: %s", t->server, strerror(error));
	why->code = error;
	return TLS_FAILED;
}

/* The meaning of SSL_get_error(3) for a call that came to result; errno is that of the call. */
static enum tls_result
judge(struct tls *t, int result, int error, struct verdict *why, const char *stage)
{
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	case SSL_ERROR_SYSCALL:
		t->broken = true;
		if (error == 0)
			return TLS_CLOSED;
		ERR_clear_error();
		return system_failed(t, error, why, stage);
	default:
		return library_failed(t, why, stage);
	}
}

/* -- the conversation ------------------------------------------------------------------------- */

static enum tls_result
handshake_closed(struct tls *t, struct verdict *why)
{
	t->broken = true;
	return failed(t, why, "handshake",
	    t->settings.starttls
		? "closed the connection in the TLS handshake"
		: "closed the connection in the TLS handshake; check that the port is "
		  "one for TLS");
}

enum tls_result
tls_handshake(struct tls *t, struct verdict *why)
{
	enum tls_result result;
	int code;

	ERR_clear_error();
	errno = 0;
	code = SSL_do_handshake(t->ssl);
	if (code != 1) {
		result = judge(t, code, errno, why, "handshake");
		if (result == TLS_CLOSED)
			return handshake_closed(t, why);
		if (result == TLS_FAILED && t->fault.error != X509_V_OK)
			tls_verify_explain(&t->fault, t->server, t->name, why);
		return result;
	}
	if (!tls_verify_peer(t->ssl, t->settings.config, t->server, why))
		return TLS_FAILED;
	t->verified = true;
	keep_sessions(t);
	return TLS_DONE;
}

enum tls_result
tls_read(struct tls *t, void *data, size_t size, size_t *got, struct verdict *why)
{
	int code;

	ERR_clear_error();
	errno = 0;
	code = SSL_read_ex(t->ssl, data, size, got);
	return code == 1 ? TLS_DONE : judge(t, code, errno, why, "read");
}

enum tls_result
tls_write(struct tls *t, const void *data, size_t len, size_t *put, struct verdict *why)
{
	int code;

	ERR_clear_error();
	errno = 0;
	code = SSL_write_ex(t->ssl, data, len, put);
	return code == 1 ? TLS_DONE : judge(t, code, errno, why, "write");
}

void
tls_describe(const struct tls *t, struct str *text)
{
	tls_verify_describe(t->ssl, t->settings.config, text);
}

SSL *
tls_ssl(const struct tls *t)
{
	return t->ssl;
}

X509 *
tls_certificate(const struct tls *t)
{
	return t->fault.leaf != NULL ? t->fault.leaf : SSL_get0_peer_certificate(t->ssl);
}
