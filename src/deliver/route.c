#include "deliver/route.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/route_recipients.h"
#include "proto/rfc5322_domain.h"
#include "proto/rfc5322_envelope.h"
#include "proto/smtp_address.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
route_clear(struct route *route)
{
	free(route->account);
	free(route->sender);
	for (size_t i = 0; i < route->recipient_count; i++)
		free(route->recipients[i]);
	free(route->recipients);
	*route = (struct route){0};
}

static bool
refuse(struct str *reason, const char *before, const char *text, const char *after)
{
	str_append_text(reason, before);
	str_append_escaped(reason, text, strlen(text));
	str_append_text(reason, after);
	return false;
}

static char *
spell_address(const struct rfc5322_address *address)
{
	struct str text = STR_INIT;

	rfc5322_address_append(address, &text);
	return str_take(&text);
}

static bool
is_whole(const char *address)
{
	return *address != '@';
}

static bool
is_same_domain(const char *a, const char *b)
{
	char *x = rfc5322_domain_to_ascii(a), *y = rfc5322_domain_to_ascii(b);
	bool same = x != NULL && y != NULL && strcasecmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

/* An address of the configuration; there, case counts in no part of it. */
static bool
claims(const char *claimed, const struct rfc5322_address *from, bool whole)
{
	struct rfc5322_address_list list;
	struct rfc5322_address address;
	struct verdict why;
	bool same;

	if (is_whole(claimed) != whole)
		return false;
	if (!whole)
		return is_same_domain(claimed + 1, from->domain);
	rfc5322_address_begin(&list, claimed, strlen(claimed));
	same = rfc5322_address_next(&list, &address, &why) == RFC5322_ADDRESS_GOT &&
	       address.local != NULL && address.domain != NULL &&
	       strcasecmp(address.local, from->local) == 0 &&
	       is_same_domain(address.domain, from->domain);
	rfc5322_address_clear(&address);
	return same;
}

static const struct account_config *
find_claimant(const struct config *config, const struct rfc5322_address *from, bool whole)
{
	for (size_t i = 0; i < config->account_count; i++)
		for (char **p = config->accounts[i].addresses; *p != NULL; p++)
			if (claims(*p, from, whole))
				return &config->accounts[i];
	return NULL;
}

static const struct account_config *
find_default(const struct config *config)
{
	for (size_t i = 0; i < config->account_count; i++)
		if (config->accounts[i].is_default)
			return &config->accounts[i];
	return NULL;
}

static bool
explain_no_account(const struct envelope_request *request, struct str *reason)
{
	const struct rfc5322_address *from = &request->from;
	static const char hint[] =
	    " and no account is the default (`addresses` and `default` in the configuration)";
	char *shown;

	if (from->local == NULL)
		return refuse(reason,
		    request->from_is_unreadable ? "its From holds no address that can be read,"
						: "it has no From address,",
		    "", hint);
	shown = spell_address(from);
	refuse(reason, "no account sends for ", shown, ",");
	free(shown);
	str_append_text(reason, hint);
	return false;
}

static const struct account_config *
choose_account(
    const struct config *config, const struct envelope_request *request, struct str *reason)
{
	const struct rfc5322_address *from = &request->from;
	bool has_from = from->local != NULL && from->domain != NULL;
	const struct account_config *account = NULL;

	if (request->account != NULL) {
		account = config_account(config, request->account);
		if (account == NULL)
			refuse(reason, "X-Postrider-Account: there is no account \"",
			    request->account, "\"");
		return account;
	}
	if (has_from)
		account = find_claimant(config, from, true);
	if (has_from && account == NULL)
		account = find_claimant(config, from, false);
	if (account == NULL)
		account = find_default(config);
	if (account == NULL)
		explain_no_account(request, reason);
	return account;
}

static const char *
find_whole_address(const struct account_config *account)
{
	for (char **p = account->addresses; *p != NULL; p++)
		if (is_whole(*p))
			return *p;
	return NULL;
}

/* NULL with a reason when nobody is named. */
static char *
choose_sender(const struct account_config *account, const struct envelope_request *request,
    struct str *reason)
{
	const char *own = find_whole_address(account);

	if (request->sender_is_steered)
		return spell_address(&request->sender);
	if (account->smtp->from != NULL)
		return xstrdup(account->smtp->from);
	if (request->sender.local != NULL)
		return spell_address(&request->sender);
	if (request->from.local != NULL)
		return spell_address(&request->from);
	if (own == NULL)
		refuse(reason, "it has no From address, and the account \"", account->name,
		    "\" has no full address in its `addresses` to take instead");
	return xstrdup(own);
}

static bool
route_sender(const struct account_config *account, const struct envelope_request *request,
    struct route *route, struct str *reason)
{
	const char *fault = NULL;

	if (account->smtp == NULL)
		return refuse(reason, "the account \"", account->name,
		    "\" cannot send: it has no `smtp` in the configuration");
	route->account = xstrdup(account->name);
	route->sender = choose_sender(account, request, reason);
	if (route->sender == NULL)
		return false;
	if (*route->sender != '\0')
		fault = smtp_address_fault(route->sender, true);
	return fault == NULL ||
	       (refuse(reason, "the sender ", route->sender, " "), refuse(reason, fault, "", ""));
}

static void
spell_recipients(const struct rfc5322_recipients *recipients, struct route *route)
{
	route->recipients = xcalloc(recipients->count + 1, sizeof *route->recipients);
	for (size_t i = 0; i < recipients->count; i++)
		route->recipients[route->recipient_count++] = spell_address(&recipients->list[i]);
}

static bool
route_recipients(const struct config *config, const struct aliases *aliases,
    const struct envelope_request *request, struct route *route, struct str *reason)
{
	const char *domain = config->local != NULL ? config->local->domain : NULL;
	struct rfc5322_recipients recipients = {0};
	bool good;

	if (request->recipient_count == 0)
		return refuse(reason, "it has no recipients", "", "");
	good = route_recipients_expand(
	    aliases, domain, request->recipients, request->recipient_count, &recipients, reason);
	if (good)
		spell_recipients(&recipients, route);
	rfc5322_recipients_clear(&recipients);
	return good;
}

bool
route_message(const struct config *config, const struct aliases *aliases,
    const struct envelope_request *request, struct route *route, struct str *reason)
{
	const struct account_config *account = choose_account(config, request, reason);

	*route = (struct route){.not_before = request->not_before};
	if (account != NULL && route_sender(account, request, route, reason) &&
	    route_recipients(config, aliases, request, route, reason))
		return true;
	route_clear(route);
	return false;
}

struct outqueue_admission
route_admission(const struct route *route, const char *id)
{
	return (struct outqueue_admission){
	    .id = id,
	    .account = route->account,
	    .sender = route->sender,
	    .recipients = (const char *const *)route->recipients,
	    .not_before = route->not_before,
	};
}
