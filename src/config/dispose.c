#include "config/dispose.h"

#include "base/secret.h"
#include "config/lists.h"
#include "config/secrets.h"

#include <stdlib.h>
#include <string.h>

static void
clear_proxy(struct proxy_config **proxy)
{
	struct proxy_config *p = *proxy;

	*proxy = NULL;
	if (p == NULL)
		return;
	if (p->password != NULL)
		secret_wipe(p->password, strlen(p->password));
	free(p->host);
	free(p->user);
	free(p->password);
	free(p);
}

static void
clear_tls(struct tls_config *tls)
{
	free(tls->ca_file);
	free(tls->pins);
	free(tls->cert);
	free(tls->key);
	free(tls->server_name);
	free(tls->keylog);
}

static void
clear_endpoint(struct endpoint_config *endpoint)
{
	free(endpoint->host);
	clear_tls(&endpoint->tls_config);
	free(endpoint->user);
	secrets_clear(&endpoint->secret);
	free(endpoint->bind);
	clear_proxy(&endpoint->proxy);
}

void
dispose_pop3(struct pop3_config **pop3)
{
	struct pop3_config *p = *pop3;

	*pop3 = NULL;
	if (p == NULL)
		return;
	clear_endpoint(&p->endpoint);
	free(p);
}

void
dispose_smtp(struct smtp_config **smtp)
{
	struct smtp_config *s = *smtp;

	*smtp = NULL;
	if (s == NULL)
		return;
	clear_endpoint(&s->endpoint);
	free(s->from);
	free(s->header_from);
	free(s->helo);
	free(s->sent_maildir);
	free(s->bounce_maildir);
	free(s->bounce_to);
	free(s->dsn_notify);
	free(s->dsn_ret);
	free(s);
}

static void
clear_account(struct account_config *account)
{
	free(account->name);
	free(account->maildir);
	lists_free(&account->addresses);
	lists_free(&account->on_fetch);
	lists_free(&account->on_failure);
	dispose_pop3(&account->pop3);
	dispose_smtp(&account->smtp);
}

void
dispose_config(struct config **config)
{
	struct config *c = *config;

	*config = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->account_count; i++)
		clear_account(&c->accounts[i]);
	free(c->accounts);
	free(c->file);
	free(c->spool);
	free(c->state);
	free(c->control.socket);
	free(c->control.group);
	free(c->log.sessions);
	if (c->submission != NULL)
		lists_free(&c->submission->listen);
	free(c->submission);
	if (c->local != NULL) {
		free(c->local->domain);
		free(c->local->aliases);
	}
	free(c->local);
	free(c);
}
