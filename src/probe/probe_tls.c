#include "probe/probe_side.h"

#include "base/clock.h"
#include "config/config.h"
#include "net/tls_certificate.h"
#include "net/tls_verify.h"

#include <inttypes.h>
#include <openssl/ssl.h>

/* Certificates are renewed a month before their end; one that was not by now is worth a word. */
enum { DAYS_WORTH_SAYING = 14 };
#define DAY (INT64_C(24) * 3600 * 1000)

/* -- one certificate --------------------------------------------------------------------------- */

static int64_t
days_left(const X509 *certificate)
{
	int64_t left = tls_certificate_valid_until(certificate) - clock_wall();

	return left >= 0 ? left / DAY : -1 - (-left - 1) / DAY;
}

static void
append_days(struct str *s, const X509 *certificate)
{
	int64_t days = days_left(certificate);
	char day[TLS_CERTIFICATE_DAY_SIZE];

	tls_certificate_day(tls_certificate_valid_until(certificate), day);
	if (days < 0)
		str_appendf(s, "expired on %s", day);
	else
		str_appendf(s, "until %s (%" PRId64 " day%s left%s)", day, days,
		    days == 1 ? "" : "s", days < DAYS_WORTH_SAYING ? ": renew it now" : "");
}

static json_t *
time_fact(int64_t wall)
{
	char text[CLOCK_RFC3339_SIZE];

	return json_string(clock_rfc3339(wall, text));
}

/* For programs as an object, for people as a line. */
static void
add_certificate(const X509 *certificate, size_t depth, json_t *list, json_t *details)
{
	struct str subject = STR_INIT, issuer = STR_INIT, names = STR_INIT, line = STR_INIT;

	tls_certificate_append_subject(&subject, certificate);
	tls_certificate_append_issuer(&issuer, certificate);
	str_appendf(
	    &line, "certificate of %s, issued by %s, ", str_text(&subject), str_text(&issuer));
	if (depth == 0) {
		tls_certificate_append_names(&names, certificate);
		str_appendf(&line, "for %s, ", str_text(&names));
	}
	append_days(&line, certificate);
	json_array_append_new(details, json_string(str_text(&line)));
	json_array_append_new(
	    list, json_pack("{ss ss ss so so sI}", "subject", str_text(&subject), "issuer",
		      str_text(&issuer), "names", str_text(&names), "not_before",
		      time_fact(tls_certificate_valid_from(certificate)), "not_after",
		      time_fact(tls_certificate_valid_until(certificate)), "days_left",
		      (json_int_t)days_left(certificate)));
	str_clear(&subject);
	str_clear(&issuer);
	str_clear(&names);
	str_clear(&line);
}

/* -- why it is believed ------------------------------------------------------------------------ */

static void
append_pin(struct str *s, const struct tls_pin *pin)
{
	char shown[TLS_CERTIFICATE_HEX_SIZE];

	str_appendf(s, "tls_fingerprint \"%ssha256:%s\" matches",
	    pin->kind == PIN_KEY ? "spki-" : "", tls_certificate_hex(pin->sha256, shown));
}

static void
append_trust(struct str *s, const struct endpoint_config *endpoint, const X509 *leaf)
{
	const struct tls_config *tls = &endpoint->tls_config;
	const struct tls_pin *pin =
	    leaf != NULL && tls->pin_count > 0 ? tls_verify_matching_pin(leaf, tls) : NULL;

	if (pin != NULL)
		append_pin(s, pin);
	else if (!tls->verify)
		str_append_text(s, "not verified (tls_verify = false): it may be anybody's");
	else
		str_appendf(s, "verified for %s by %s%s",
		    tls->server_name != NULL ? tls->server_name : endpoint->host,
		    tls->ca_file != NULL ? "tls_ca_file " : "the system's CA certificates",
		    tls->ca_file != NULL ? tls->ca_file : "");
}

/* -- the step ---------------------------------------------------------------------------------- */

void
probe_on_secured(SSL *ssl, void *arg)
{
	struct probe_side *side = arg;
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	json_t *details = json_array(), *list = json_array();
	struct str trust = STR_INIT;
	json_t *facts;

	if (chain == NULL)
		chain = SSL_get_peer_cert_chain(ssl);
	append_trust(&trust, side->endpoint, SSL_get0_peer_certificate(ssl));
	json_array_append_new(details, json_string(str_text(&trust)));
	for (int i = 0; i < sk_X509_num(chain); i++)
		add_certificate(sk_X509_value(chain, i), (size_t)i, list, details);
	facts = json_pack("{ss ss sb ss so so}", "version", SSL_get_version(ssl), "cipher",
	    SSL_get_cipher_name(ssl), "starttls", side->endpoint->tls == TLS_STARTTLS, "trust",
	    str_text(&trust), "certificates", list, "details", details);
	probe_settle_connect(side);
	probe_pass(side, PROBE_TLS, facts, "%s %s, %s", SSL_get_version(ssl),
	    SSL_get_cipher_name(ssl),
	    side->endpoint->tls == TLS_STARTTLS ? "STARTTLS" : "implicit (from the start)");
	str_clear(&trust);
}

/* What was shown helps to see why it was not believed; a server's chain is its own claim only. */
void
probe_on_distrusted(const X509 *certificate, void *arg)
{
	struct probe_side *side = arg;
	json_t *details = json_array(), *list = json_array();

	add_certificate(certificate, 0, list, details);
	json_decref(side->heard.distrusted);
	side->heard.distrusted = json_pack("{so so}", "certificates", list, "details", details);
}
