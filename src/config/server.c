#include "config/server.h"

#include "base/xalloc.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

#define BIT(mechanism) (1u << (mechanism))
#define WITHOUT_SECRET (BIT(AUTH_EXTERNAL) | BIT(AUTH_NONE))
#define WITH_TOKEN     (BIT(AUTH_OAUTHBEARER) | BIT(AUTH_XOAUTH2))

struct service {
	enum key_group group;
	uint16_t port;
	enum tls_mode tls;
};

/* The first of a port and of a mode is what it means alone. */
static const struct service services[] = {
    {KEYS_POP3, 995, TLS_IMPLICIT},
    {KEYS_POP3, 110, TLS_STARTTLS},
    {KEYS_POP3, 110, TLS_NONE},
    {KEYS_SMTP, 465, TLS_IMPLICIT},
    {KEYS_SMTP, 587, TLS_STARTTLS},
    {KEYS_SMTP, 25, TLS_NONE},
};

#define SERVICE_COUNT (sizeof services / sizeof services[0])

/* Without both, and for a port of no service, it is implicit TLS. */
static void
complete_port_and_tls(const struct scope *scope, struct endpoint_config *e)
{
	bool has_tls = reader_find(scope, "tls") != NULL;
	bool has_port = reader_find(scope, "port") != NULL;

	for (size_t i = 0; i < SERVICE_COUNT && !has_tls && has_port; i++) {
		if (services[i].group == scope->group && services[i].port == e->port) {
			e->tls = services[i].tls;
			has_tls = true;
		}
	}
	for (size_t i = 0; i < SERVICE_COUNT && !has_port; i++) {
		if (services[i].group == scope->group && services[i].tls == e->tls) {
			e->port = services[i].port;
			has_port = true;
		}
	}
}

static bool
is_own(const struct scope *scope, const config_setting_t *setting)
{
	return setting != NULL && config_setting_parent(setting) == scope->own;
}

/* Inherited keys of TLS do not disturb an account that says it uses none. */
static void
check_tls_is_used(struct reader *reader, const struct scope *scope, const struct endpoint_config *e)
{
	bool here =
	    is_own(scope, reader_find(scope, "tls")) || is_own(scope, reader_find(scope, "port"));

	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;) {
		config_setting_t *setting = reader_find(scope, key->name);

		if (key->group != KEYS_SERVER || strncmp(key->name, "tls_", 4) != 0)
			continue;
		if (e->tls == TLS_NONE && setting != NULL && (is_own(scope, setting) || !here))
			reader_fault(reader, key->name, reader_line(setting),
			    "this key is of no use with tls = \"none\"");
	}
}

/* A certificate's file may hold its key as well. */
static void
complete_client_certificate(
    struct reader *reader, const struct scope *scope, struct tls_config *tls)
{
	config_setting_t *key = reader_find(scope, "tls_key");

	if (tls->cert != NULL && key == NULL)
		tls->key = xstrdup(tls->cert);
	if (key != NULL && reader_find(scope, "tls_cert") == NULL)
		reader_fault(
		    reader, "tls_key", reader_line(key), "a key needs its tls_cert as well");
}

static void
check_family(struct reader *reader, const struct scope *scope, const struct endpoint_config *e)
{
	static const char *const names[] = {"any", "ipv4", "ipv6"};
	enum address_family family;

	if (e->family == FAMILY_ANY)
		return;
	if (e->bind != NULL && value_ip(e->bind, &family) && family != e->family)
		reader_fault(reader, "bind", reader_line(reader_find(scope, "bind")),
		    "found the address %s, which family = \"%s\" rules out", e->bind,
		    names[e->family]);
	if (e->host != NULL && e->proxy == NULL && value_ip(e->host, &family) &&
	    family != e->family)
		reader_fault(reader, "host", reader_line(reader_find(scope, "host")),
		    "found the address %s, which family = \"%s\" rules out", e->host,
		    names[e->family]);
}

/* The source's setting, whichever of the keys it is. */
static config_setting_t *
find_secret(const struct scope *scope)
{
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		if (keys_is_secret(key) && reader_find(scope, key->name) != NULL)
			return reader_find(scope, key->name);
	return NULL;
}

/* Mechanisms that may come to use the secret: with "auto" all that auto may take. */
static uint32_t
mechanisms_with_secret(const struct endpoint_config *e)
{
	uint32_t all = e->auth_auto ? BIT(AUTH_PLAIN) : e->auth;

	return all & ~WITHOUT_SECRET;
}

static const char *
first_mechanism(uint32_t set)
{
	return auth_mechanism_name((enum auth_mechanism)__builtin_ctz(set));
}

static void
check_mechanisms(struct reader *reader, const struct scope *scope, const struct endpoint_config *e)
{
	uint32_t foreign = BIT(AUTH_APOP) | BIT(AUTH_USER);
	uint32_t for_somebody = e->auth & ~BIT(AUTH_NONE);
	config_setting_t *auth = reader_find(scope, "auth");

	/* A certificate says itself whose it is. */
	if (e->tls_config.cert != NULL)
		for_somebody &= ~BIT(AUTH_EXTERNAL);
	if (scope->group == KEYS_SMTP && (e->auth & foreign) != 0)
		reader_fault(reader, "auth", reader_line(auth), "%s is no mechanism of SMTP",
		    first_mechanism(e->auth & foreign));
	if (reader_find(scope, "user") == NULL && is_own(scope, auth) && for_somebody != 0)
		reader_fault(reader, "auth", reader_line(auth),
		    "found %s, which is of no use without %s", first_mechanism(for_somebody),
		    for_somebody == BIT(AUTH_EXTERNAL) ? "tls_cert" : "a user");
}

static void
check_secret_is_there(
    struct reader *reader, const struct scope *scope, const struct endpoint_config *e)
{
	config_setting_t *user = reader_find(scope, "user");
	bool may_be_external = e->auth_auto && e->tls_config.cert != NULL;

	if (user == NULL || find_secret(scope) != NULL || may_be_external ||
	    mechanisms_with_secret(e) == 0)
		return;
	reader_fault(reader, "user", reader_line(user),
	    "%s%sneeds a secret: expected one of password, password_file, password_command, "
	    "credential and token_command",
	    e->auth_auto ? "logging in " : first_mechanism(mechanisms_with_secret(e)),
	    e->auth_auto ? "" : " ");
}

static void
check_secret_is_used(
    struct reader *reader, const struct scope *scope, const struct endpoint_config *e)
{
	config_setting_t *secret = find_secret(scope);

	if (secret == NULL)
		return;
	if (is_own(scope, secret) && reader_find(scope, "user") == NULL)
		reader_fault(reader, config_setting_name(secret), reader_line(secret),
		    "a secret is of no use without a user");
	if (e->secret.kind == SECRET_TOKEN_COMMAND && !e->auth_auto && e->auth != 0 &&
	    (e->auth & WITH_TOKEN) == 0)
		reader_fault(reader, config_setting_name(secret), reader_line(secret),
		    "a token is of no use when auth names neither OAUTHBEARER nor XOAUTH2");
}

/* A proxy carries the secret off this machine, whatever the address says. */
static void
check_secret_is_safe(
    struct reader *reader, const struct scope *scope, const struct endpoint_config *e)
{
	config_setting_t *at = reader_find(scope, "tls");

	if (e->tls != TLS_NONE || e->cleartext_auth || e->user == NULL || e->host == NULL)
		return;
	if (mechanisms_with_secret(e) == 0 || (e->proxy == NULL && value_host_is_loopback(e->host)))
		return;
	if (at == NULL)
		at = reader_find(scope, "port");
	reader_fault(reader, "tls", reader_line(at),
	    "found none, which would send the secret in clear to %s; expected \"implicit\" or "
	    "\"starttls\", or cleartext_auth = true",
	    e->host);
}

void
server_finish(struct reader *reader, const struct scope *scope, struct endpoint_config *endpoint)
{
	const char *outer = reader->label;

	reader->label = scope->label;
	complete_port_and_tls(scope, endpoint);
	complete_client_certificate(reader, scope, &endpoint->tls_config);
	check_tls_is_used(reader, scope, endpoint);
	check_family(reader, scope, endpoint);
	check_mechanisms(reader, scope, endpoint);
	check_secret_is_there(reader, scope, endpoint);
	check_secret_is_used(reader, scope, endpoint);
	check_secret_is_safe(reader, scope, endpoint);
	reader->label = outer;
}
